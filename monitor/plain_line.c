#include "monitor/plain_line.h"

#include "base/ascii.h"

#include <assert.h>

static bool is_control(uint32_t code_point)
{
    return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0);
}

void plain_line(char *out, size_t room, struct span text)
{
    assert(room > 0);
    size_t used = 0;
    while (text.len > 0) {
        struct span before = text;
        uint32_t code_point;
        bool is_plain = utf8_take(&text, &code_point) && !is_control(code_point);
        if (text.len == before.len) {
            text = span_slice(text, 1, text.len - 1);
        }
        size_t len = is_plain ? before.len - text.len : 1;
        if (len > room - 1 - used) {
            break;
        }
        memcpy(out + used, is_plain ? (const char *)before.data : "?", len);
        used += len;
    }
    out[used] = 0;
}
