/* process.h -- what a process with secrets does about its own memory, first of all.
 *
 * Touches this process alone; call at the start of main. Best effort: a kernel that refuses is one on which nothing
 * could be done.
 */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

/* Leaves no core dump when it crashes, neither as a file nor to a program (core_pattern `|...`): keys and payloads
 * would be in it. Children inherit that. */
void process_forbid_core(void);

/* And nobody but root may read its memory or trace it. Costs an unprivileged process its own /proc/self/io, from which
 * the daemons' metrics come: for commands. */
void process_hide_memory(void);

#endif
