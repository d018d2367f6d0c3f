#include "base/process.h"
#include "witness/daemon.h"
#include "witness/settings.h"
#include "witness/state_command.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    process_forbid_core();
    if (argc > 1 && strcmp(argv[1], "state") == 0) {
        return state_command_run(argc - 1, argv + 1);
    }
    struct config *config = NULL;
    enum config_outcome outcome;
    struct err err;
    if (config_load(&config, &outcome, &witness_settings_schema, argc, argv, &err) != E_OK) {
        fprintf(stderr, "courtroll-witness: %s\n", err.msg);
        return WITNESS_CONFIGURATION;
    }
    if (outcome == CONFIG_STOP) {
        return WITNESS_STOPPED;
    }
    enum witness_exit code = witness_run(config);
    config_free(config);
    return code;
}
