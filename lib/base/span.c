#include "base/span.h"

#include <assert.h>

bool span_has_prefix(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_is_equal(span_of(s.data, prefix.len), prefix);
}

bool span_has_suffix(struct span s, struct span suffix)
{
    return s.len >= suffix.len &&
           span_is_equal(span_slice(s, s.len - suffix.len, suffix.len), suffix);
}

int span_compare(struct span a, struct span b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

struct span span_slice(struct span s, size_t from, size_t len)
{
    assert(from <= s.len);
    assert(len <= s.len - from);
    return (struct span){ s.data == NULL ? NULL : s.data + from, len };
}

size_t span_find(struct span s, struct span needle)
{
    if (needle.len == 0 || s.len < needle.len) {
        return SIZE_MAX;
    }
    const uint8_t *found = memmem(s.data, s.len, needle.data, needle.len);
    return found == NULL ? SIZE_MAX : (size_t)(found - s.data);
}

size_t span_find_last(struct span s, struct span needle)
{
    if (needle.len == 0) {
        return SIZE_MAX;
    }
    for (size_t end = s.len; end >= needle.len; end--) {
        if (memcmp(s.data + end - needle.len, needle.data, needle.len) == 0) {
            return end - needle.len;
        }
    }
    return SIZE_MAX;
}

bool span_take(struct span *in, size_t len, struct span *out)
{
    if (in->len < len) {
        return false;
    }
    *out = span_slice(*in, 0, len);
    *in = span_slice(*in, len, in->len - len);
    return true;
}

bool span_take_until(struct span *in, uint8_t separator, struct span *out)
{
    size_t at = span_find(*in, span_of(&separator, 1));
    if (at == SIZE_MAX) {
        return false;
    }
    *out = span_slice(*in, 0, at);
    *in = span_slice(*in, at + 1, in->len - at - 1);
    return true;
}

bool span_take_prefix(struct span *in, struct span prefix)
{
    struct span taken;
    return span_has_prefix(*in, prefix) && span_take(in, prefix.len, &taken);
}

static bool take_integer(struct span *in, size_t len, uint64_t *out)
{
    struct span bytes;
    if (!span_take(in, len, &bytes)) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | bytes.data[i];
    }
    *out = value;
    return true;
}

#define SPAN_TAKE(type, name)                                                                      \
    bool name(struct span *in, type *out)                                                          \
    {                                                                                              \
        uint64_t value;                                                                            \
        if (!take_integer(in, sizeof(type), &value)) {                                             \
            return false;                                                                          \
        }                                                                                          \
        *out = (type)value;                                                                        \
        return true;                                                                               \
    }

SPAN_TAKE(uint8_t, span_take_u8)
SPAN_TAKE(uint16_t, span_take_u16)
SPAN_TAKE(uint32_t, span_take_u32)
SPAN_TAKE(uint64_t, span_take_u64)
