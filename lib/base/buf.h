/* buf.h -- owned bytes that grow up to a maximum given at init.
 *
 * Two ways to append: buf_append for a length that came from outside (fails over the maximum),
 * buf_put* for what the caller knows to fit (asserts).
 * Any thread; one owner.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/span.h"

struct buf {
    uint8_t *data; /* owned; NULL until the first append */
    size_t len;
    size_t cap;
    size_t max; /* bytes */
};

#define BUF_INIT(bytes_max)                                                                        \
    {                                                                                              \
        NULL, 0, 0, (bytes_max)                                                                    \
    }

void buf_init(struct buf *buf, size_t bytes_max);

/* Frees the bytes; the buffer is empty and usable again, with the same maximum. */
void buf_clear(struct buf *buf);

/* Forgets the bytes, keeps the memory. */
void buf_reset(struct buf *buf);

/* Valid until the next call that changes the buffer. */
static inline struct span buf_span(const struct buf *buf)
{
    return (struct span){ buf->data, buf->len };
}

static inline size_t buf_room(const struct buf *buf)
{
    return buf->max - buf->len;
}

/* E_TOO_LARGE over the maximum; nothing is appended then. */
MUST_USE enum err_code buf_append(struct buf *buf, struct span bytes, struct err *err);

/* These require room for the bytes. */
void buf_put(struct buf *buf, struct span bytes);
void buf_put_str(struct buf *buf, const char *text);
void buf_put_u8(struct buf *buf, uint8_t value);
void buf_put_u16(struct buf *buf, uint16_t value); /* big-endian, as all below */
void buf_put_u32(struct buf *buf, uint32_t value);
void buf_put_u64(struct buf *buf, uint64_t value);
void buf_putf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Appends `len` bytes for the caller to fill and returns them; good until the next change. */
uint8_t *buf_extend(struct buf *buf, size_t len);

/* Drops the bytes after the first `len`. Requires len <= buf->len. */
void buf_truncate(struct buf *buf, size_t len);

/* The bytes with a NUL after them (not counted in len), for C strings; requires room for it. */
const char *buf_c_str(struct buf *buf);

/* Moves the contents of `from` into `to`, which must be empty; `from` is then empty. */
void buf_take(struct buf *to, struct buf *from);

#endif
