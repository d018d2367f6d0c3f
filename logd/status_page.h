/* status_page.h -- the page at "/": what this log is and how it is doing, for people. Pure. */
#ifndef LOGD_STATUS_PAGE_H
#define LOGD_STATUS_PAGE_H

#include "logd/parts.h"

enum {
    STATUS_PAGE_MAX = 1 << 20
};

struct status_page {
    const char *origin;
    const struct status *status;
    const char *rollback_check;
    struct span note; /* the published checkpoint, or empty */
    const struct witness_status *witnesses;
    size_t witness_count;
    int64_t now_unix_s;
};

void status_page_put(struct buf *out, const struct status_page *page);

#endif
