#include "base/process.h"
#include "monitor/daemon.h"
#include "monitor/settings.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    process_forbid_core();
    struct config *config = NULL;
    enum config_outcome outcome;
    struct err err;
    if (config_load(&config, &outcome, &monitor_settings_schema, argc, argv, &err) != E_OK) {
        fprintf(stderr, "courtroll-monitor: %s\n", err.msg);
        return MONITOR_CONFIGURATION;
    }
    if (outcome == CONFIG_STOP) {
        return MONITOR_STOPPED;
    }
    enum monitor_exit code = monitor_run(config);
    config_free(config);
    return code;
}
