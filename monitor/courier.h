/* courier.h -- a thread for each sink: takes deliveries from the book, sends them, says so. Any thread. */
#ifndef MONITOR_COURIER_H
#define MONITOR_COURIER_H

#include "monitor/alert_sink.h"

struct courier;

/* Starts the thread of sink number `position` of the book; takes the sink. */
struct courier *courier_start(struct alert_book *book, size_t position, struct alert_sink *sink);
void courier_wake(struct courier *courier); /* something is new in the book */
/* Ends after the delivery under way, and frees. Waits up to ALERT_SINK_TIMEOUT_MS. */
void courier_stop(struct courier *courier);

struct courier_status {
    char sink[ALERT_SINK_NAME_MAX];
    char last_error[ERR_MSG_MAX]; /* "": the last try went well */
    int64_t last_success_s;       /* 0: none since the start */
};
void courier_read_status(struct courier *courier, struct courier_status *out);

/* Has its sink taken a delivery of this alert? Known of the last COURIER_REMEMBERED_MAX. */
enum {
    COURIER_REMEMBERED_MAX = 1024
};
bool courier_has_delivered(struct courier *courier, const char *alert_id);

#endif
