#include "tlog/lines.h"

#include "base/ascii.h"

struct lines_quoted lines_quote(struct span item)
{
    struct lines_quoted out;
    struct buf buf = BUF_INIT(sizeof out.text);
    ascii_put_escaped(&buf, item, 64);
    memcpy(out.text, buf_c_str(&buf), buf.len + 1);
    buf_clear(&buf);
    return out;
}

/* -- items -- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

bool lines_take_item(struct span *line, struct span *item)
{
    while (line->len > 0 && is_blank(line->data[0])) {
        *line = span_slice(*line, 1, line->len - 1);
    }
    size_t len = 0;
    while (len < line->len && !is_blank(line->data[len])) {
        len++;
    }
    return len > 0 && span_take(line, len, item);
}

enum err_code lines_expect_item(struct span *line, const char *what, struct span *item,
                                struct err *err)
{
    if (!lines_take_item(line, item)) {
        return err_set(err, E_MALFORMED, "%s is missing", what);
    }
    return E_OK;
}

enum err_code lines_expect_end(struct span *line, struct err *err)
{
    struct span item;
    if (!lines_take_item(line, &item)) {
        return E_OK;
    }
    if (item.data[0] == '#') {
        return err_set(err, E_MALFORMED, "a comment must stand on a line of its own");
    }
    return err_set(err, E_MALFORMED, "\"%s\" is one item too many", lines_quote(item).text);
}

enum err_code lines_expect_key(struct span *line, enum vkey_role role, struct vkey *vkey,
                               struct span *url, struct err *err)
{
    struct span text;
    enum err_code rc = lines_expect_item(line, "the vkey", &text, err);
    if (rc == E_OK && vkey_parse(vkey, text, err) != E_OK) {
        rc = err_wrap(err, "vkey \"%s\"", lines_quote(text).text);
    }
    if (rc == E_OK) {
        rc = vkey_require_role(vkey, role, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    *url = span_of(NULL, 0);
    if (lines_take_item(line, url) && url->data[0] == '#') {
        return err_set(err, E_MALFORMED, "a comment must stand on a line of its own");
    }
    return lines_expect_end(line, err);
}

/* -- lines -- */

static enum err_code check_bytes(struct span line, struct err *err)
{
    for (size_t i = 0; i < line.len; i++) {
        uint8_t c = line.data[i];
        if (c != '\t' && (c < 0x20 || c == 0x7f)) {
            return err_set(err, E_MALFORMED, "byte 0x%02x is not allowed%s", c,
                           c == '\r' ? ": end lines with a newline alone" : "");
        }
    }
    return E_OK;
}

enum err_code lines_parse(struct span bytes,
                          enum err_code (*on_line)(void *ctx, struct span keyword, struct span line,
                                                   struct err *err),
                          void *ctx, struct err *err)
{
    for (size_t number = 1; bytes.len > 0; number++) {
        struct span line, keyword;
        enum err_code rc = E_OK;
        if (!span_take_until(&bytes, '\n', &line)) {
            rc = err_set(err, E_MALFORMED, "no newline at the end");
        }
        if (rc == E_OK) {
            rc = check_bytes(line, err);
        }
        if (rc == E_OK && lines_take_item(&line, &keyword) && keyword.data[0] != '#') {
            rc = on_line(ctx, keyword, line, err);
        }
        if (rc != E_OK) {
            struct err cause = *err; /* a key's own code says nothing more to the caller */
            return err_set(err, E_MALFORMED, "line %zu: %s", number, cause.msg);
        }
    }
    return E_OK;
}
