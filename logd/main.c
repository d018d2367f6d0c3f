#include "base/process.h"
#include "logd/daemon.h"
#include "logd/recover_command.h"
#include "logd/settings.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    process_forbid_core();
    if (argc > 1 && strcmp(argv[1], "recover") == 0) {
        return recover_command_run(argc - 1, argv + 1);
    }
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
