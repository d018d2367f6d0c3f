/* status_page.h -- the page at "/": what this log is and how it is doing, for people. Pure. */
#ifndef LOGD_STATUS_PAGE_H
#define LOGD_STATUS_PAGE_H

#include "logd/parts.h"

enum {
    STATUS_PAGE_MAX = 1 << 20
};

/* `note` is the published checkpoint, or empty. */
void status_page_put(struct buf *out, const char *origin, const struct status *status,
                     const char *rollback_check, struct span note);

#endif
