#include "monitor/page_text.h"

#include "base/ascii.h"
#include "net/html.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum {
    MINUTE_S = 60,
    HOUR_S = 3600,
    DAY_S = 86400,
    NARROW_COLUMNS = 2, /* so many fit a phone side by side */
    FEW = 2             /* of a unit: below, the next smaller one says more */
};

/* Control characters, and what has no shape of its own or turns the direction of writing. */
static bool is_hidden(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        { 0x00, 0x1f },     { 0x7f, 0x9f },     { 0xad, 0xad },     { 0x61c, 0x61c },
        { 0x180e, 0x180e }, { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
        { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xfff0, 0xfffb }, { 0xe0000, 0xe0fff },
    };
    bool is_hidden = (c & 0xfffe) == 0xfffe;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        is_hidden = is_hidden || (c >= ranges[i].first && c <= ranges[i].last);
    }
    return is_hidden;
}

void page_put_text(struct buf *out, const char *text)
{
    struct span rest = span_of_str(text);
    uint32_t c;
    if (!utf8_is_valid(rest)) {
        struct buf escaped = BUF_INIT(4 * rest.len + 8);
        ascii_put_escaped(&escaped, rest, rest.len);
        html_put_escaped(out, buf_span(&escaped));
        buf_clear(&escaped);
        return;
    }
    for (struct span at = rest; utf8_take(&rest, &c); at = rest) {
        if (is_hidden(c)) {
            buf_putf(out, "\\u{%" PRIx32 "}", c);
        } else {
            html_put_escaped(out, span_slice(at, 0, at.len - rest.len));
        }
    }
}

void page_put_count(struct buf *out, uint64_t value)
{
    char digits[DECIMAL_MAX + 1];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, value);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            buf_put_u8(out, ',');
        }
        buf_put_u8(out, (uint8_t)digits[i]);
    }
}

void page_put_duration(struct buf *out, uint64_t seconds)
{
    uint64_t count = seconds;
    const char *unit = "second";
    if (seconds >= FEW * DAY_S) {
        count = seconds / DAY_S;
        unit = "day";
    } else if (seconds >= FEW * HOUR_S) {
        count = seconds / HOUR_S;
        unit = "hour";
    } else if (seconds >= FEW * MINUTE_S) {
        count = seconds / MINUTE_S;
        unit = "minute";
    }
    page_put_count(out, count);
    buf_putf(out, " %s%s", unit, count == 1 ? "" : "s");
}

void page_put_time(struct buf *out, int64_t unix_s)
{
    struct tm tm;
    time_t when = (time_t)unix_s;
    char machine[64] = "", human[64] = "";
    if (unix_s == 0) {
        buf_put_str(out, "never");
    } else if (gmtime_r(&when, &tm) == NULL || tm.tm_year < 0 || tm.tm_year > 9999 - 1900) {
        buf_putf(out, "second %" PRId64, unix_s);
    } else {
        strftime(machine, sizeof machine, "%Y-%m-%dT%H:%M:%SZ", &tm);
        strftime(human, sizeof human, "%Y-%m-%d %H:%M:%S UTC", &tm);
        buf_putf(out, "<time datetime=\"%s\">%s</time>", machine, human);
    }
}

void page_put_age(struct buf *out, int64_t unix_s, int64_t now_s)
{
    page_put_time(out, unix_s);
    if (unix_s == 0) {
        return;
    }
    bool is_past = unix_s <= now_s;
    buf_put_str(out, is_past ? ", " : ", in ");
    page_put_duration(out, is_past ? (uint64_t)now_s - (uint64_t)unix_s
                                   : (uint64_t)unix_s - (uint64_t)now_s);
    buf_put_str(out, is_past ? " ago" : "");
}

void page_begin_table(struct buf *out, const char *name, const char *caption,
                      const char *const *headings, size_t heading_count)
{
    const char *kind = heading_count > NARROW_COLUMNS ? "wide" : "narrow";
    buf_putf(out, "<table role=\"table\" class=\"%s\"><caption>%s", kind, name);
    page_put_text(out, caption);
    buf_put_str(out, "</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">");
    for (size_t i = 0; i < heading_count; i++) {
        buf_putf(out, "<th scope=\"col\" role=\"columnheader\">%s</th>", headings[i]);
    }
    buf_put_str(out, "</tr></thead>\n<tbody role=\"rowgroup\">\n");
}

void page_begin_row(struct buf *out)
{
    buf_put_str(out, "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\">");
}

void page_begin_cell(struct buf *out, const char *heading)
{
    buf_putf(out, "<td role=\"cell\" data-heading=\"%s\">", heading);
}

void page_end_table(struct buf *out)
{
    buf_put_str(out, "</tbody></table>\n");
}

void page_begin_fact(struct buf *out, const char *term)
{
    buf_putf(out, "<div><dt>%s</dt><dd>", term);
}

void page_end_fact(struct buf *out)
{
    buf_put_str(out, "</dd></div>\n");
}
