#include "net/verify_page.h"

#include "base/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const char *header(const struct http_response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++) {
        if (strcmp(response->headers[i].name, name) == 0) {
            return response->headers[i].value;
        }
    }
    return NULL;
}

static void verify_page_is_named_by_its_hash(void **state)
{
    (void)state;
    struct hash hash = sha256(verify_page_span());
    struct buf hex = BUF_INIT(2 * HASH_BYTES + 1);
    for (size_t i = 0; i < HASH_BYTES; i++) {
        buf_putf(&hex, "%02x", hash.bytes[i]);
    }
    assert_string_equal(buf_c_str(&hex), verify_page_hash);
    assert_non_null(strstr(verify_page_build, verify_page_hash));
    buf_clear(&hex);
}

static void verify_page_comes_whole_with_what_keeps_it_in(void **state)
{
    (void)state;
    struct http_body *body = verify_page_body();
    struct http_response response = verify_page_response(body, (struct span){ 0 });
    assert_int_equal(response.status, 200);
    assert_true(span_is_equal(http_body_span(response.shared), verify_page_span()));
    assert_string_equal(response.content_type, "text/html; charset=utf-8");
    assert_non_null(strstr(header(&response, "Content-Security-Policy"), "default-src 'none'"));
    assert_non_null(strstr(header(&response, "Content-Security-Policy"), "frame-ancestors 'none'"));
    assert_string_equal(header(&response, "Referrer-Policy"), "no-referrer");
    assert_string_equal(header(&response, "X-Content-Type-Options"), "nosniff");
    http_body_release(body);
}

static int status_for(const char *tags)
{
    struct http_body *body = verify_page_body();
    struct http_response response = verify_page_response(body, span_of_str(tags));
    assert_true((response.status == 304) == (response.shared == NULL));
    assert_non_null(header(&response, "ETag"));
    http_body_release(body);
    return response.status;
}

static void verify_page_is_sent_again_to_all_but_who_has_it(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        int status;
    } cases[] = {
        { "\"", "\"", 304 },       { "W/\"", "\"", 304 },     { " \t\"", "\" ", 304 },
        { "\"x\",\"", "\"", 304 }, { "\"", "\",\"x\"", 304 }, { "\"x,y\" , W/\"", "\",", 304 },
        { "", "", 200 },           { "\"", "", 200 },         { "", "\"", 200 },
        { "\"", "0\"", 200 },      { "w/\"", "\"", 200 },     { "W/W/\"", "\"", 200 },
        { "\"x", "\"", 200 },      { "\"", "\"x", 200 },
    };
    char tags[256];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(tags, sizeof tags, "%s%s%s", cases[i].before, verify_page_hash, cases[i].after);
        assert_int_equal(status_for(tags), cases[i].status);
    }
    assert_int_equal(status_for("*"), 304);
    assert_int_equal(status_for(","), 200);
    assert_int_equal(status_for("\"\""), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verify_page_is_named_by_its_hash),
        cmocka_unit_test(verify_page_comes_whole_with_what_keeps_it_in),
        cmocka_unit_test(verify_page_is_sent_again_to_all_but_who_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
