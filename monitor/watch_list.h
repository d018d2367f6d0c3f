/* watch_list.h -- what a monitor is told to watch, read from the files that its settings name: policies with
 * their log, checkpoints to begin at, and the keys of other monitors.
 *
 * Blocks on the disk. Main thread, at the start; nothing changes after.
 */
#ifndef MONITOR_WATCH_LIST_H
#define MONITOR_WATCH_LIST_H

#include "monitor/settings.h"

struct watch_item {
    struct policy *policy;          /* owned */
    const struct policy_log *log;   /* the one log in it */
    const struct vkey *promise_key; /* of that log, or NULL */
    struct log_address address;     /* of its files: http(s) or a directory */
    struct buf trusted;             /* checkpoint note to begin at, signed by the log; or empty */
};

struct watch_list {
    size_t count;
    struct watch_item *items; /* owned */
    size_t peer_count;
    struct vkey peers[SETTINGS_PEERS_MAX];
};

/* Every error is for exit code 2 and names the file. Policies that a few evil witnesses can defeat are
 * warned of in the log. */
MUST_USE enum err_code watch_list_read(struct watch_list *out,
                                       const struct monitor_settings *settings, struct err *err);
void watch_list_clear(struct watch_list *list);

#endif
