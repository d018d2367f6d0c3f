#include "base/process.h"
#include "logd/daemon.h"
#include "logd/settings.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    process_forbid_core();
    struct config *config = NULL;
    enum config_outcome outcome;
    struct err err;
    if (config_load(&config, &outcome, &settings_schema, argc, argv, &err) != E_OK) {
        fprintf(stderr, "courtroll-logd: %s\n", err.msg);
        return DAEMON_CONFIGURATION;
    }
    if (outcome == CONFIG_STOP) {
        return DAEMON_STOPPED;
    }
    enum daemon_exit code = daemon_run(config);
    config_free(config);
    return code;
}
