/* self_test.h -- drills: is everybody told, and is a fork found?
 *
 * (1) A log of the drill's own, in memory, with a key made for it, shows two histories: the very code that
 * follows real logs must find it, with evidence that verifies. (2) That alert, marked as a drill, goes to every
 * sink, and the answer waits for each to have taken it. Then it is resolved. Blocks; one at a time.
 */
#ifndef MONITOR_SELF_TEST_H
#define MONITOR_SELF_TEST_H

#include "monitor/courier.h"

#include <stdatomic.h>

struct self_test_report {
    bool is_fork_found, is_evidence_good;
    char alert_id[ALERT_ID_CHARS + 1];
    struct hash evidence_id;
    size_t sink_count;
    struct {
        char name[ALERT_SINK_NAME_MAX];
        bool is_told;
        char error[ERR_MSG_MAX];
    } sinks[ALERT_SINKS_MAX];
    char error[ERR_MSG_MAX]; /* "" when the drill could be held */
};

struct self_test_options {
    struct alert_book *alerts;
    struct courier *const *couriers;
    size_t courier_count;
    const struct signer *key;       /* the monitor's: its name is in the drill's origin */
    uint64_t timeout_ms;            /* for the sinks */
    const atomic_bool *is_stopping; /* may be NULL; true: sinks are waited for no longer */
};

/* *out is filled whatever happens. */
void self_test_run(const struct self_test_options *options, struct self_test_report *out);

/* Before the first drill of a process: resolves the alerts of drills that the last one did not end. */
MUST_USE enum err_code self_test_clean_up(struct alert_book *alerts, int64_t now_s,
                                          struct err *err);

#endif
