/* recover_command.h -- `courtroll-logd recover --from LOG`: recover.h on the directory of a log that is stopped.
 *
 * Main thread; blocks. Prints what it did to stdout, progress and errors to stderr.
 */
#ifndef LOGD_RECOVER_COMMAND_H
#define LOGD_RECOVER_COMMAND_H

/* argv[0] is "recover". Returns the exit code: 0 done, 2 wrong usage or configuration, 3 it could not be done. */
int recover_command_run(int argc, char **argv);

#endif
