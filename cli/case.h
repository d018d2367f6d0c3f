/* case.h -- the words of `courtroll case`. Main thread. */
#ifndef CLI_CASE_H
#define CLI_CASE_H

#include "cli/command.h"

extern const struct command case_new_key_command, case_verify_command;

#endif
