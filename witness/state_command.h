/* state_command.h -- `courtroll-witness state`: shows what was cosigned last, moves it forward, and says
 * that a lost mark file is no alarm. For a witness that is stopped.
 *
 * Main thread; prints to stdout, errors to stderr.
 */
#ifndef WITNESS_STATE_COMMAND_H
#define WITNESS_STATE_COMMAND_H

/* argv[0] is "state". Returns the exit code: 0 done; 1 the note is not adopted; 2 wrong usage; 3 something
 * could not be read or written. */
int state_command_run(int argc, char **argv);

#endif
