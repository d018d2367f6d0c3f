/* log_lists.h -- where the witness learns of logs: its own file, and lists of the witness network.
 *
 * Our own file is read at start and when it is asked for (SIGHUP). Network lists, paths or URLs, are read
 * at start and every so often; a copy of the last good one is kept, so that a start does not depend on
 * others. Logs and keys are only ever added (log_table.h). A log's state is read from the ledger before
 * the log can be looked up: a list whose logs' states cannot be read adds nothing.
 *
 * Files and the store are read by a worker. Loop thread.
 */
#ifndef WITNESS_LOG_LISTS_H
#define WITNESS_LOG_LISTS_H

#include "net/work.h"
#include "witness/ledger.h"
#include "witness/log_table.h"

struct log_lists;

struct log_lists_options {
    uv_loop_t *loop;
    struct work *work; /* borrowed, as all below */
    struct log_table *logs;
    struct ledger *ledger;
    const char *own_name;     /* our keys', which no log may have */
    const char *path;         /* of our own file; NULL: none */
    const char *const *lists; /* paths or URLs */
    size_t list_count;
    const char *copies; /* the directory of the copies */
    uint64_t poll_ms;
    void *ctx;
    /* Its state is filled in, and it cannot be looked up yet. */
    void (*on_added)(void *ctx, struct known_log *log);
};

/* Reads our own file, and the network's lists that are files or of which there are copies, whose errors
 * are logged only. Before the loop runs; a worker is not used. E_NOT_FOUND, E_MALFORMED and so on of our own
 * file: what the configuration names is wrong. E_CORRUPT, E_IO, E_UNAVAILABLE of the ledger: *is_ledger. */
MUST_USE enum err_code log_lists_open(struct log_lists **out,
                                      const struct log_lists_options *options, bool *is_ledger,
                                      struct err *err);

/* Begins to poll the network's lists. */
void log_lists_start(struct log_lists *lists);

/* Reads our own file again, and polls. Errors are logged, and nothing changes then. */
void log_lists_reload(struct log_lists *lists);

/* After log_lists_start. Stops reading; on_closed comes from the loop, once no worker has anything of
 * ours. */
void log_lists_close(struct log_lists *lists, void *ctx, void (*on_closed)(void *ctx));

#endif
