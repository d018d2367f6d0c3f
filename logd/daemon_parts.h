/* daemon_parts.h -- what the daemon*.c files share.
 *
 * daemon.c          the surfaces, the stop, and all of it in order
 * daemon_threads.c  the threads behind them: what they tell, and their start
 *
 * Loop thread, but for what a callback's words say.
 */
#ifndef LOGD_DAEMON_PARTS_H
#define LOGD_DAEMON_PARTS_H

#include "logd/daemon.h"
#include "logd/gate_service.h"
#include "logd/http_service.h"
#include "logd/opening.h"
#include "logd/reload.h"
#include "logd/stream_service.h"
#include "net/rpc_server.h"

enum {
    WORK_RUNNING_MAX = 2,   /* receipts, proofs and promises */
    COSIGN_RUNNING_MAX = 1, /* notes that leave, and cosignatures that come, as files */
};

struct daemon {
    struct settings settings;
    struct log_opening opening;
    struct parts parts;
    bool has_published;
    bool has_signed;  /* a note is published, or signed in this run */
    bool is_paused;   /* nothing is signed or admitted in this run */
    bool is_checking; /* nor is it until enough witnesses have been asked */

    uv_loop_t loop;
    uv_signal_t sigterm, sigint;
    struct reload *reload;
    uv_timer_t drain_timer;
    uv_timer_t health_timer;
    uv_work_t stop_work;
    struct gate_service *gate; /* NULL: schema = opaque */
    struct append_service *append;
    struct stream_service *streams;
    struct http_service *http;
    struct rpc_server *rpc;
    char http_text[LISTEN_TEXT_MAX + 1];
    bool is_ready;
    bool is_check_overdue; /* it serves reads meanwhile, and says so */
    uint64_t drain_until_ms;
    int open; /* parts on the loop that are not closed yet */
};

/* The threads and what runs on the loop behind the surfaces. Main thread, before the loop runs. */
void daemon_start_threads(struct daemon *d);

/* Says that the log serves, once there is a checkpoint to be read. */
void daemon_report_ready(struct daemon *d);

#endif
