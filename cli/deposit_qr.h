/* deposit_qr.h -- a text as a QR code of at most version 10, level M. Any thread. */
#ifndef CLI_DEPOSIT_QR_H
#define CLI_DEPOSIT_QR_H

#include "base/buf.h"
#include "base/err.h"

enum {
    DEPOSIT_QR_WIDTH_MAX = 57, /* modules of version 10 */
    DEPOSIT_QR_QUIET = 4,      /* modules of white around it */
};

struct deposit_qr {
    size_t width;
    bool is_dark[DEPOSIT_QR_WIDTH_MAX][DEPOSIT_QR_WIDTH_MAX]; /* by row, then column */
};

/* E_TOO_LARGE when it takes a larger one. */
MUST_USE enum err_code deposit_qr_make(struct deposit_qr *out, struct span text, struct err *err);

/* <svg> with its quiet zone; `label` says to who cannot see it what it is. */
void deposit_qr_put_svg(struct buf *out, const struct deposit_qr *qr, const char *label);

/* Two rows a line, in half blocks, dark on light whatever the terminal's colours. */
void deposit_qr_put_utf8(struct buf *out, const struct deposit_qr *qr);

#endif
