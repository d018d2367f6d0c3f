/* text.h -- Unicode texts with one spelling: NFC, no control characters, no blank at either end.
 *
 * Pure. Any thread. The only file that knows libunistring. */
#ifndef RECORD_TEXT_H
#define RECORD_TEXT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* E_MALFORMED, with the position in characters from 1, for what text_put would not append as it is. */
MUST_USE enum err_code text_check(struct span text, struct err *err);
/* Appends the NFC of `text` without blanks around. E_MALFORMED for bad UTF-8, control characters, or nothing left;
 * E_TOO_LARGE over `bytes_max`. */
MUST_USE enum err_code text_put(struct buf *out, struct span text, size_t bytes_max,
                                struct err *err);

#endif
