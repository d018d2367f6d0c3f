/* span.h -- borrowed, read-only bytes, and a cursor over them.
 *
 * A span is good for the call it is passed to, unless a header says otherwise. Reading shrinks the
 * span from the left; a read that fails leaves it as it was.
 * Pure. Any thread.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data; /* may be NULL when len is 0 */
    size_t len;
};

/* The bytes of an array or a fixed-size struct member. */
#define SPAN_OF_ARRAY(array) ((struct span){ (const uint8_t *)(array), sizeof(array) })

/* A string literal as printf arguments for "%.*s". */
#define SPAN_PRINTF(s) (int)(s).len, (const char *)(s).data

static inline struct span span_of(const void *data, size_t len)
{
    return (struct span){ data, len };
}

static inline struct span span_of_str(const char *text)
{
    return (struct span){ (const uint8_t *)text, strlen(text) };
}

static inline bool span_is_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool span_is_str(struct span a, const char *text)
{
    return span_is_equal(a, span_of_str(text));
}

bool span_has_prefix(struct span s, struct span prefix);
bool span_has_suffix(struct span s, struct span suffix);

/* Lexicographic by unsigned byte, shorter first: <0, 0, >0. */
int span_compare(struct span a, struct span b);

/* Bytes [from, from + len) of `s`. Requires that they lie inside it. */
struct span span_slice(struct span s, size_t from, size_t len);

/* Position of the first (last) `needle` in `s`, or SIZE_MAX. An empty needle is never found. */
size_t span_find(struct span s, struct span needle);
size_t span_find_last(struct span s, struct span needle);

/* Takes the next `len` bytes; false when there are fewer. */
bool span_take(struct span *in, size_t len, struct span *out);

/* Takes the bytes up to the next `separator` and drops that too; false when there is none. */
bool span_take_until(struct span *in, uint8_t separator, struct span *out);

/* Takes `prefix` when `in` starts with it. */
bool span_take_prefix(struct span *in, struct span prefix);

/* Takes a big-endian integer. */
bool span_take_u8(struct span *in, uint8_t *out);
bool span_take_u16(struct span *in, uint16_t *out);
bool span_take_u32(struct span *in, uint32_t *out);
bool span_take_u64(struct span *in, uint64_t *out);

#endif
