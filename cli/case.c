/* case.c -- `courtroll case`: a command whose first argument is one of several words. */
#include "cli/case.h"

static const struct command *const words[] = {
    &case_new_key_command,
    &case_verify_command,
};

static int run(int argc, char **argv)
{
    return command_run_word(&case_command, words, COMMAND_COUNT(words), argc, argv);
}

const struct command case_command = {
    .name = "case",
    .arguments = "new-key|verify ...",
    .summary = "keys of cases; is all of a case on the log?",
    .text = "new-key   makes the key of a case, from which its entry tags are derived\n"
            "verify    sees that no operation of a case is missing on the log\n",
    .examples = "  courtroll case new-key --case '（2026）测0101执1号' --out case.key\n",
    .run = run,
};
