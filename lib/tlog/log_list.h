/* log_list.h -- the logs that a witness or a monitor knows: their origins and keys.
 *
 * Ours: `log <vkey> [<url>]` lines, as in a policy; several lines of one key name are several keys of
 * that log. Also the witness network's list, "logs/v0" (protocols 7.5).
 * Pure. Any thread.
 */
#ifndef TLOG_LOG_LIST_H
#define TLOG_LOG_LIST_H

#include "base/limits.h"
#include "tlog/vkey.h"

enum {
    LOG_LIST_BYTES_MAX = 4 * 1024 * 1024,
    LOG_LIST_LINES_MAX = 16384, /* keys; the network's largest list has 4000 logs */
};

/* One key of one log. */
struct log_list_item {
    char origin[ORIGIN_BYTES_MAX + 1];
    struct vkey vkey;          /* of a log; its name need not be the origin */
    char *url;                 /* where the log is read, or NULL; owned */
    uint64_t requests_per_day; /* add-checkpoint requests that the log announced; 0: it did not */
};

struct log_list {
    size_t count;
    struct log_list_item *items; /* owned */
    size_t skipped;              /* entries of a network list that we cannot use */
};

/* E_MALFORMED names the line; also for a cosigner's key, in words, and for the same key twice. */
MUST_USE enum err_code log_list_parse(struct log_list *out, struct span bytes, struct err *err);

/* A network list. Unknown keywords are ignored; an entry whose vkey or origin we cannot use, be it none at
 * all, or whose origin is there already, is skipped and counted. The network's validator, which judges a
 * list before it is out, refuses one with a bad vkey; we only read what is out, where one stranger's entry
 * must not freeze the list for all logs, and skip it as torchwood and sunlight do. Anything else wrong is
 * E_MALFORMED and names the line: that is the list's form, which its publisher vouches for. */
MUST_USE enum err_code log_list_parse_network(struct log_list *out, struct span bytes,
                                              struct err *err);

void log_list_clear(struct log_list *list);

#endif
