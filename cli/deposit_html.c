#include "cli/deposit_html.h"

#include "base/ascii.h"
#include "cli/deposit_qr.h"
#include "net/html.h"

#define HEAD      "<!DOCTYPE html>\n<html lang=\"zh-Hans\">\n<head>\n<meta charset=\"utf-8\">\n"
#define GENERATOR "<meta name=\"generator\" content=\"courtroll certificate\">\n"
#define DIGEST    "<code id=\"certificate-data-sha256\">"
#define DATA      "\n<pre id=\"certificate-data\">\n"
#define DATA_END  "</pre>\n"
#define POLICY    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

enum {
    LINE_CHARS = 76
};

/* A4 on paper, one column on a phone; the look of an official paper, in whatever serif there is. */
static const char style[] =
    ":root{color-scheme:light}*{box-sizing:border-box}"
    "body{font:16px/1.6 'Noto Serif CJK SC','Songti "
    "SC','SimSun',serif;color:#1a1a1a;background:#eceae4;"
    "margin:0}"
    "main{background:#fff;max-width:54rem;margin:2rem auto;padding:2.5rem 3rem;border:1px solid "
    "#b9b2a3;"
    "border-top:6px solid #8f1d14}"
    "h1{text-align:center;font-size:2rem;letter-spacing:.3em;margin:0}"
    ".en{font-family:'Noto Serif','Noto Serif CJK SC',Georgia,serif}"
    "h1 "
    ".en{display:block;font-size:1.1rem;letter-spacing:.04em;font-weight:normal;margin-top:.2rem}"
    ".number{text-align:center;margin:.8rem 0 1.5rem}"
    "h2{clear:both;font-size:1.1rem;border-bottom:2px solid #8f1d14;margin:2rem 0 "
    ".6rem;padding-bottom:.2rem;"
    "break-after:avoid}h2 .en{font-weight:normal;margin-left:.6em}"
    "table{border-collapse:collapse;width:100%;table-layout:fixed}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid "
    "#ddd8cc;"
    "overflow-wrap:anywhere}"
    "th{width:30%;font-weight:normal;color:#4a4a4a}th .en,td .en+.en{font-size:.86em}th "
    ".en{display:block}"
    "td>span{display:block}tr{break-inside:avoid}"
    "code,pre{font-family:'Noto Sans Mono CJK SC','DejaVu Sans "
    "Mono',Consolas,monospace;font-size:.82em}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f4ee;border:1px solid "
    "#ddd8cc;padding:.8rem;"
    "margin:.4rem 0 1rem;line-height:1.45}"
    "p{margin:.5rem 0}p .en{display:block;color:#3c3c3c;font-size:.92em}"
    "h3{font-size:.95rem;margin:1rem 0 .2rem;break-after:avoid}h3 "
    ".en{font-weight:normal;margin-left:.6em}"
    ".qr{float:right;width:11rem;margin:0 0 .5rem 1.5rem}.qr svg{width:100%;display:block}"
    "a{color:inherit}"
    "@media(max-width:40rem){main{margin:0;padding:1.2rem;border-left:0;border-right:0}th,td{"
    "display:block;"
    "width:auto;border:0;padding:.1rem 0}tr{display:block;border-bottom:1px solid "
    "#ddd8cc;padding:.3rem 0}"
    ".qr{float:none;margin:0 auto 1rem}h1{font-size:1.6rem}}"
    "@media print{body{background:#fff;font-size:10.5pt}main{border:0;border-top:4px solid "
    "#8f1d14;margin:0;"
    "padding:1rem 0;max-width:none}pre{background:none}}"
    "@page{size:A4;margin:18mm 16mm}";

/* Where the page goes, and what is open. */
struct html {
    struct buf *out;
    bool is_in_table;
    struct err *err;
    enum err_code rc;
};

/* Chinese is the language of the page, so what is not is marked. */
static void put_both(struct buf *out, const char *zh, const char *en)
{
    html_put_escaped(out, span_of_str(zh));
    buf_put_str(out, "<span class=\"en\" lang=\"en\">");
    html_put_escaped(out, span_of_str(en));
    buf_put_str(out, "</span>");
}

static void leave_table(struct html *html)
{
    if (html->is_in_table) {
        buf_put_str(html->out, "</table>\n");
        html->is_in_table = false;
    }
}

static void put_label(struct html *html, const char *zh, const char *en)
{
    if (!html->is_in_table) {
        buf_put_str(html->out, "<table>\n");
        html->is_in_table = true;
    }
    buf_put_str(html->out, "<tr><th scope=\"row\">");
    put_both(html->out, zh, en);
    buf_put_str(html->out, "</th><td>");
}

static void on_title(void *ctx, struct span number)
{
    struct html *html = ctx;
    buf_put_str(html->out, "<h1>");
    put_both(html->out, DEPOSIT_PAGE_TITLE_ZH, DEPOSIT_PAGE_TITLE_EN);
    buf_put_str(html->out, "</h1>\n<p class=\"number\"><code>");
    html_put_escaped(html->out, number);
    buf_put_str(html->out, "</code></p>\n");
}

static void on_section(void *ctx, const char *zh, const char *en)
{
    struct html *html = ctx;
    leave_table(html);
    buf_put_str(html->out, "<h2>");
    put_both(html->out, zh, en);
    buf_put_str(html->out, "</h2>\n");
}

static void on_row(void *ctx, const char *label_zh, const char *label_en, struct span zh,
                   struct span en)
{
    struct html *html = ctx;
    put_label(html, label_zh, label_en);
    if (zh.len > 0) {
        buf_put_str(html->out, "<span>");
        html_put_escaped(html->out, zh);
        buf_put_str(html->out, "</span>");
    }
    buf_put_str(html->out, zh.len > 0 ? "<span class=\"en\" lang=\"en\">" : "<span>");
    html_put_escaped(html->out, en);
    buf_put_str(html->out, "</span></td></tr>\n");
}

static void on_row_code(void *ctx, const char *label_zh, const char *label_en, struct span value)
{
    struct html *html = ctx;
    put_label(html, label_zh, label_en);
    buf_put_str(html->out, "<code>");
    html_put_escaped(html->out, value);
    buf_put_str(html->out, "</code></td></tr>\n");
}

static void on_paragraph(void *ctx, const char *zh, const char *en)
{
    struct html *html = ctx;
    leave_table(html);
    buf_put_str(html->out, "<p>");
    put_both(html->out, zh, en);
    buf_put_str(html->out, "</p>\n");
}

static void on_link(void *ctx, struct span link)
{
    struct html *html = ctx;
    struct deposit_qr qr;
    leave_table(html);
    if (html->rc == E_OK) {
        html->rc = deposit_qr_make(&qr, link, html->err);
    }
    if (html->rc == E_OK) {
        buf_put_str(html->out, "<div class=\"qr\">");
        deposit_qr_put_svg(html->out, &qr, "二维码：核验码 / QR code: the code of the document");
        buf_put_str(html->out, "</div>\n");
        crypto_wipe(&qr, sizeof qr);
    }
}

static void put_heading(struct html *html, const char *zh, const char *en)
{
    leave_table(html);
    buf_put_str(html->out, "<h3>");
    put_both(html->out, zh, en);
    buf_put_str(html->out, "</h3>");
}

static void on_block(void *ctx, const char *zh, const char *en, struct span text)
{
    struct html *html = ctx;
    put_heading(html, zh, en);
    buf_put_str(html->out, "\n<pre>\n");
    html_put_escaped(html->out, text);
    buf_put_str(html->out, "</pre>\n");
}

static void on_data(void *ctx, const struct hash *digest, struct span data)
{
    struct html *html = ctx;
    struct buf base64 = BUF_INIT(DEPOSIT_BYTES_MAX / 3 * 4 + 8);
    put_heading(html, "数据（本页全部内容由此生成）", "The data: all of this page is made of them");
    buf_put_str(html->out, "\n<p>SHA-256: " DIGEST);
    hex_put(html->out, hash_span(digest));
    buf_put_str(html->out, "</code></p>" DATA);
    base64_put(&base64, data);
    struct span rest = buf_span(&base64), line;
    while (rest.len > 0) {
        (void)span_take(&rest, rest.len < LINE_CHARS ? rest.len : LINE_CHARS, &line);
        buf_put(html->out, line);
        buf_put_u8(html->out, '\n');
    }
    buf_put_str(html->out, DATA_END);
    crypto_wipe_buf(&base64);
}

bool deposit_html_is_one(struct span bytes)
{
    return span_has_prefix(bytes, span_of_str(HEAD GENERATOR)) ||
           span_find(bytes, span_of_str(DATA)) != SIZE_MAX;
}

enum err_code deposit_html_put(struct buf *out, const struct deposit_page *page, struct err *err)
{
    struct html html = { .out = out, .err = err, .rc = E_OK };
    const struct deposit_page_sink sink = { .ctx = &html,
                                            .title = on_title,
                                            .section = on_section,
                                            .row = on_row,
                                            .row_code = on_row_code,
                                            .paragraph = on_paragraph,
                                            .link = on_link,
                                            .block = on_block,
                                            .data = on_data };
    buf_put_str(out,
                HEAD GENERATOR "<meta name=\"viewport\" content=\"width=device-width\">\n"
                               "<meta http-equiv=\"Content-Security-Policy\" content=\"" POLICY
                               "\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
    html_put_escaped(out, span_of_str(DEPOSIT_PAGE_TITLE_ZH " " DEPOSIT_PAGE_TITLE_EN));
    buf_put_str(out, "</title>\n<style>");
    buf_put_str(out, style);
    buf_put_str(out, "</style>\n</head>\n<body>\n<main>\n");
    deposit_page_draw(page, &sink);
    buf_put_str(out, "</main>\n</body>\n</html>\n");
    return html.rc;
}

/* -- Taking the data out -- */

/* The bytes between `begin` and `end`, of which there is one. */
static enum err_code find_between(struct span *out, struct span html, const char *begin,
                                  const char *end, struct err *err)
{
    size_t at = span_find(html, span_of_str(begin));
    if (at == SIZE_MAX || span_find_last(html, span_of_str(begin)) != at) {
        return err_set(err, E_MALFORMED, "the data are not there, or twice");
    }
    size_t from = at + strlen(begin);
    struct span rest = span_slice(html, from, html.len - from);
    size_t len = span_find(rest, span_of_str(end));
    if (len == SIZE_MAX) {
        return err_set(err, E_MALFORMED, "the data do not end");
    }
    *out = span_slice(rest, 0, len);
    return E_OK;
}

static enum err_code decode_lines(struct buf *out, size_t *bad, struct span lines, struct err *err)
{
    struct buf base64 = BUF_INIT(DEPOSIT_BYTES_MAX / 3 * 4 + 8);
    struct span rest = lines, line;
    enum err_code rc = E_OK;
    while (rest.len > 0 && rc == E_OK) {
        *bad = (size_t)(rest.data - lines.data);
        if (!span_take_until(&rest, '\n', &line) || line.len == 0 || line.len > LINE_CHARS ||
            (rest.len > 0 && line.len != LINE_CHARS)) {
            rc = err_set(err, E_MALFORMED, "the data are not in lines of %d", LINE_CHARS);
            break;
        }
        rc = buf_append(&base64, line, err);
    }
    if (rc == E_OK) {
        *bad = 0;
        rc = base64_append_decoded(out, buf_span(&base64), BASE64_STRICT, err);
    }
    crypto_wipe_buf(&base64);
    return rc;
}

enum err_code deposit_html_extract(struct buf *out, size_t *position, struct span html,
                                   struct err *err)
{
    struct span lines, printed;
    struct hash digest, own;
    size_t bad = 0;
    *position = 0;
    if (find_between(&lines, html, DATA, DATA_END, err) != E_OK ||
        find_between(&printed, html, DIGEST, "<", err) != E_OK) {
        return err->code;
    }
    if (decode_lines(out, &bad, lines, err) != E_OK) {
        *position = (size_t)(lines.data - html.data) + bad;
        return err_set(err, E_MALFORMED, "the data are not base64 in lines of %d", LINE_CHARS);
    }
    own = sha256(buf_span(out));
    *position = (size_t)(printed.data - html.data);
    if (hex_decode(digest.bytes, HASH_BYTES, printed, err) != E_OK ||
        !hash_is_equal(&digest, &own)) {
        return err_set(err, E_MALFORMED, "the data and their printed SHA-256 do not agree");
    }
    return E_OK;
}
