/* deposit_html.h -- a certificate as one HTML page, and what is inside one.
 *
 * Spec: docs/certificate.md, "HTML". No script, nothing loaded. Pure. Any thread.
 */
#ifndef CLI_DEPOSIT_HTML_H
#define CLI_DEPOSIT_HTML_H

#include "cli/deposit_page.h"

enum {
    DEPOSIT_HTML_BYTES_MAX = 64 * 1024 * 1024, /* the data escaped and in base64, and the page */
};

/* Appends the page; the same bytes for the same page. E_TOO_LARGE: no QR code for the link. Requires an empty buffer of
 * DEPOSIT_HTML_BYTES_MAX. */
MUST_USE enum err_code deposit_html_put(struct buf *out, const struct deposit_page *page,
                                        struct err *err);

/* Whether it is meant as one. */
bool deposit_html_is_one(struct span bytes);

/* Appends the data in it, whose digest is the printed one. `out` has room for DEPOSIT_BYTES_MAX. E_MALFORMED, with
 * *position at what is wrong: something that deposit_html_put does not write. */
MUST_USE enum err_code deposit_html_extract(struct buf *out, size_t *position, struct span html,
                                            struct err *err);

#endif
