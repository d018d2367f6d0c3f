/* status_page.h -- the page at "/": which logs this witness cosigns and how that goes, for people.
 *
 * May wait for the disk. Any thread.
 */
#ifndef WITNESS_STATUS_PAGE_H
#define WITNESS_STATUS_PAGE_H

#include "witness/parts.h"

enum {
    WITNESS_PAGE_LOGS_MAX = 1000,
    WITNESS_PAGE_BYTES_MAX = 8 * 1024 * 1024
};

/* Requires WITNESS_PAGE_BYTES_MAX bytes of room. */
void witness_page_put(struct buf *out, struct parts *parts);

#endif
