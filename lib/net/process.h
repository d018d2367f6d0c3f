/* process.h -- what a daemon's process is told before it has threads. Main thread, at start. */
#ifndef NET_PROCESS_H
#define NET_PROCESS_H

/* Ignores SIGPIPE, raises the limit of descriptors (one a connection) to what we may have, and has
 * libuv make exactly so many workers, whatever the environment says: with fewer than a program counts on
 * its stop could wait for ever. Before libuv's first work. */
void process_prepare(unsigned uv_workers);

/* Cores that we may use, at least 1. */
unsigned process_cores(void);

#endif
