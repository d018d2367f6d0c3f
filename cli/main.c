/* main.c -- the table of commands.
 *
 * The normal path is: find the command, let it run, see that what it printed arrived. */
#include "base/process.h"
#include "cli/command.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {
    &keygen_command,  &append_command,          &checkpoint_command,  &prove_command,
    &verify_command,  &verify_evidence_command, &certificate_command, &code_command,
    &policy_command,  &cosign_command,          &record_command,      &case_command,
    &fsck_command,    &status_command,          &submit_command,      &submitter_command,
    &monitor_command, &bench_command,           &synth_command,
};

static void print_help(FILE *file)
{
    fprintf(file, "usage: courtroll COMMAND [OPTION...] [ARGUMENT...]\n\n"
                  "Append to a transparency log, prove, verify and check.\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT(commands); i++) {
        fprintf(file, "  %-16s %s\n", commands[i]->name, commands[i]->summary);
    }
    fprintf(file,
            "\n'courtroll COMMAND --help' explains a command, with examples.\n"
            "'courtroll --version' prints the version.\n\n"
            "LOG is http(s)://HOST[:PORT][/PATH] (the log's tiles), HOST:PORT or unix:PATH (its\n"
            "gRPC service), or file:DIR (a copy on disk).\n");
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT(commands); i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    process_forbid_core(); /* some commands hold keys and payloads */
    process_hide_memory();
    signal(SIGPIPE, SIG_IGN); /* a reader that leaves early is a write error, which is reported */
    if (argc < 2) {
        print_help(stderr);
        return OUTPUT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return output_finish(OUTPUT_DONE);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("courtroll %s\n", COURTROLL_VERSION);
        return output_finish(OUTPUT_DONE);
    }
    const struct command *command = find(argv[1]);
    if (command == NULL) {
        fprintf(stderr, "courtroll: unknown command '%s'\nTry 'courtroll --help'.\n", argv[1]);
        return OUTPUT_USAGE;
    }
    return output_finish(command->run(argc - 1, argv + 1));
}
