#include "net/verify_page.h"

#include "net/html.h"

extern const size_t verify_page_bytes_count;
extern const uint8_t verify_page_bytes[];
extern const char verify_page_etag[], verify_page_policy[];

struct span verify_page_span(void)
{
    return span_of(verify_page_bytes, verify_page_bytes_count);
}

struct http_body *verify_page_body(void)
{
    return http_body_new(verify_page_span());
}

static struct span trim(struct span text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = span_slice(text, 1, text.len - 1);
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/* RFC 9110, 13.1.2: a list of tags, compared weakly, or "*". A comma inside another's tag only makes two tags that
 * are not ours. */
static bool is_current(struct span list)
{
    for (bool has_more = true; has_more;) {
        struct span tag;
        has_more = span_take_until(&list, ',', &tag);
        tag = trim(has_more ? tag : list);
        span_take_prefix(&tag, span_of_str("W/"));
        if (span_is_str(tag, verify_page_etag) || span_is_str(tag, "*")) {
            return true;
        }
    }
    return false;
}

struct http_response verify_page_response(struct http_body *body, struct span if_none_match)
{
    static const struct http_header headers[] = {
        { "Content-Security-Policy", verify_page_policy },
        { "Referrer-Policy", "no-referrer" },
        { "X-Content-Type-Options", "nosniff" },
        { "Cross-Origin-Opener-Policy", "same-origin" },
        { "ETag", verify_page_etag },
    };
    bool is_known = is_current(if_none_match);
    return (struct http_response){ .status = is_known ? 304 : 200,
                                   .content_type = is_known ? NULL : HTML_TYPE,
                                   .cache_control = "no-cache",
                                   .headers = headers,
                                   .header_count = sizeof headers / sizeof headers[0],
                                   .shared = is_known ? NULL : body };
}
