#include "base/buf.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    CAP_FIRST = 64
};

void buf_init(struct buf *buf, size_t bytes_max)
{
    *buf = (struct buf)BUF_INIT(bytes_max);
}

void buf_clear(struct buf *buf)
{
    mem_free(buf->data);
    buf_init(buf, buf->max);
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
}

/* Requires more <= buf_room(buf). */
static void grow(struct buf *buf, size_t more)
{
    size_t need = buf->len + more;
    if (need <= buf->cap) {
        return;
    }
    size_t cap = buf->cap < CAP_FIRST ? CAP_FIRST : buf->cap;
    while (cap < need) {
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    }
    if (cap > buf->max) {
        cap = buf->max; /* still >= need */
    }
    buf->data = mem_realloc(buf->data, cap);
    buf->cap = cap;
}

uint8_t *buf_extend(struct buf *buf, size_t len)
{
    assert(len <= buf_room(buf));
    if (len == 0) {
        return buf->data; /* may be NULL, to which nothing may be added */
    }
    grow(buf, len);
    uint8_t *at = buf->data + buf->len;
    buf->len += len;
    return at;
}

enum err_code buf_append(struct buf *buf, struct span bytes, struct err *err)
{
    if (bytes.len > buf_room(buf)) {
        return err_set(err, E_TOO_LARGE, "over %zu bytes", buf->max);
    }
    buf_put(buf, bytes);
    return E_OK;
}

void buf_put(struct buf *buf, struct span bytes)
{
    if (bytes.len > 0) {
        memcpy(buf_extend(buf, bytes.len), bytes.data, bytes.len);
    }
}

void buf_put_str(struct buf *buf, const char *text)
{
    buf_put(buf, span_of_str(text));
}

static void put_integer(struct buf *buf, uint64_t value, size_t len)
{
    uint8_t *at = buf_extend(buf, len);
    for (size_t i = 0; i < len; i++) {
        at[i] = (uint8_t)(value >> 8 * (len - 1 - i));
    }
}

void buf_put_u8(struct buf *buf, uint8_t value)
{
    put_integer(buf, value, 1);
}

void buf_put_u16(struct buf *buf, uint16_t value)
{
    put_integer(buf, value, 2);
}

void buf_put_u32(struct buf *buf, uint32_t value)
{
    put_integer(buf, value, 4);
}

void buf_put_u64(struct buf *buf, uint64_t value)
{
    put_integer(buf, value, 8);
}

void buf_putf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    assert(len >= 0);
    char *text = mem_alloc((size_t)len + 1); /* vsnprintf wants room for a NUL that we do not */
    vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    buf_put(buf, span_of(text, (size_t)len));
    mem_free(text);
}

void buf_truncate(struct buf *buf, size_t len)
{
    assert(len <= buf->len);
    buf->len = len;
}

const char *buf_c_str(struct buf *buf)
{
    *buf_extend(buf, 1) = 0;
    buf->len--;
    return (const char *)buf->data;
}

void buf_take(struct buf *to, struct buf *from)
{
    assert(to->len == 0);
    assert(from->len <= to->max);
    mem_free(to->data);
    to->data = from->data;
    to->len = from->len;
    to->cap = from->cap;
    buf_init(from, from->max);
}
