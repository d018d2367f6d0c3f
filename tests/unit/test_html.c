#include "net/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void html_escapes_what_could_be_markup(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(256);
    html_put_escaped(&out, span_of_str("<a href=\"x\">&amp;'\xc3\xa4</a>"));
    assert_string_equal(buf_c_str(&out),
                        "&lt;a href=&quot;x&quot;&gt;&amp;amp;'\xc3\xa4&lt;/a&gt;");
    buf_clear(&out);
}

static void html_escapes_titles_and_values(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(4096);
    html_put_head(&out, span_of_str("<script>"));
    html_put_row(&out, "name", "<script>");
    assert_null(strstr(buf_c_str(&out), "<script>"));
    assert_non_null(strstr(buf_c_str(&out), "<h1>&lt;script&gt;</h1>"));
    assert_non_null(strstr(buf_c_str(&out), "<td>&lt;script&gt;</td>"));
    buf_clear(&out);
}

static void html_escaping_keeps_to_its_bound(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        struct buf out = BUF_INIT(HTML_ESCAPED_MAX);
        html_put_escaped(&out, span_of(&byte, 1));
        assert_in_range(out.len, 1, HTML_ESCAPED_MAX);
        buf_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(html_escapes_what_could_be_markup),
        cmocka_unit_test(html_escapes_titles_and_values),
        cmocka_unit_test(html_escaping_keeps_to_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
