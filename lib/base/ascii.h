/* ascii.h -- decimals, hex and UTF-8, with one spelling a value.
 *
 * Pure. Any thread.
 */
#ifndef BASE_ASCII_H
#define BASE_ASCII_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum {
    DECIMAL_MAX = 20
}; /* digits of the largest uint64_t */

#define SIZE_VALUE_MAX ((uint64_t)INT64_MAX) /* sizes and indices above are refused, as peers do */

/* [0-9]+ without a leading zero, at most `max`; anything else is E_MALFORMED. */
MUST_USE enum err_code decimal_parse(uint64_t *out, struct span text, uint64_t max,
                                     struct err *err);

/* Lower-case, two digits a byte. */
void hex_put(struct buf *out, struct span bytes);

/* Exactly out_len bytes, either case; anything else is E_MALFORMED. */
MUST_USE enum err_code hex_decode(uint8_t *out, size_t out_len, struct span text, struct err *err);

/* Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_is_valid(struct span text);

/* Takes the next code point of valid UTF-8; false at the end or at a bad byte. */
bool utf8_take(struct span *in, uint32_t *code_point);

/* Appends `text` for a log line or a terminal: printable ASCII as it is, other bytes as \xHH,
 * backslash and double quote escaped, cut after `bytes_max` input bytes with "...". */
void ascii_put_escaped(struct buf *out, struct span text, size_t bytes_max);

#endif
