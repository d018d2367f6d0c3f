/* Certificates of a deposit: their data, page and PDF. The proof is that of protocols.md 8.6 (entry "six"). */
#include "cli/deposit_html.h"
#include "cli/deposit_pdf.h"
#include "cli/deposit_pdf_file.h"
#include "cli/deposit_qr.h"
#include "cli/deposit_verify.h"

#include "base/ascii.h"
#include "tlog/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DASH "\xe2\x80\x94 "

static const char proof[] =
    "c2sp.org/tlog-proof@v1\n"
    "index 5\n"
    "zMKa4OAqd7D0V4wawXST15z0JiEEkprIBPkfxOesWvA=\n"
    "nk9gCR+floFqznAPtqjjcnnV64dge2jQB95D5t164Hg=\n"
    "zY1lN35vrXYAPixXSd59LsU29xUJtuW4o2dNNg5Y2Co=\n"
    "\n"
    "example.com/log/testdata\n"
    "8\n"
    "bC+VwvrJbalNVjfkdI8kUgs7mJoXrqiXCE7bgnD28pY=\n"
    "\n" DASH "example.com/log/testdata "
    "M9e0lq1EK37dHtgv9O3UzPxisw5vwIPcJsX9ab0xt4mvVfbdUR1fbMjN6sBFYpBoBEmD4+cWhj/"
    "AVgI5MitCO5+mews=\n" DASH "witness.example.org "
    "uKLPIAAAAABpVGeATpM2NHKXdN9/xPeN3aSJvqGWTvnkFr6/tuGZO+LedHGBX60g5LEGl2C5U8eFgrgSgntlmYNIEEKTgM"
    "RRXK8hCQ==\n";
static const char rules[] =
    "log example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx\n"
    "witness w witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN\n"
    "quorum w\n";

static const char hex_64[] = "9d13aa672df9abcbbcfa2d4c29e3d415ad9df13a3fcea4cf733f98b1aa2645bb";

/* "six", as a certificate's data. */
static struct deposit make_deposit(char leaf[static 80], char digest[static 80])
{
    struct hash hash = merkle_leaf_hash(span_of_str("six"));
    struct buf text = BUF_INIT(80);
    hex_put(&text, hash_span(&hash));
    memcpy(leaf, buf_c_str(&text), 65);
    buf_reset(&text);
    hash = sha256(span_of_str("six"));
    hex_put(&text, hash_span(&hash));
    memcpy(digest, buf_c_str(&text), 65);
    buf_clear(&text);
    return (struct deposit){ .fields = {
                                 [DEPOSIT_TEMPLATE] = span_of_str("1"),
                                 [DEPOSIT_PROGRAM] = span_of_str("courtroll 0.1.0"),
                                 [DEPOSIT_EXECUTABLE] = span_of_str(hex_64),
                                 [DEPOSIT_DOCUMENT_SHA256] = span_of_str(digest),
                                 [DEPOSIT_DOCUMENT_BYTES] = span_of_str("3"),
                                 [DEPOSIT_DOCUMENT_NAME] = span_of_str("裁定书 <6> & \"six\".pdf"),
                                 [DEPOSIT_ADDRESS] = span_of_str("https://verify.court.example"),
                                 [DEPOSIT_ABOUT] = span_of_str("operator = A <court>\n"
                                                               "operator.zh = 某法院\n"),
                                 [DEPOSIT_POLICY] = span_of_str(rules),
                                 [DEPOSIT_PROOF] = span_of_str(proof),
                                 [DEPOSIT_LEAF_HASH] = span_of_str(leaf),
                             } };
}

struct world {
    char leaf[80], digest[80];
    struct buf data;
    struct deposit deposit;
    struct policy *policy;
    struct deposit_judgement judgement;
    struct buf html;
};

static struct deposit_page page_of(const struct world *world)
{
    return (struct deposit_page){ &world->deposit, &world->judgement, world->policy,
                                  buf_span(&world->data) };
}

/* The page of data; false when they are none that a page is made of. */
static bool draw(struct buf *html, struct span data, enum verdict *verdict)
{
    struct deposit deposit;
    struct deposit_judgement judgement;
    struct policy *policy = NULL;
    struct err err;
    bool is_drawn = false;
    if (deposit_parse(&deposit, data, &err) != E_OK ||
        policy_parse(&policy, deposit.fields[DEPOSIT_POLICY], &err) != E_OK) {
        return false;
    }
    *verdict = deposit_judge(&judgement, &deposit, policy, &err);
    if (*verdict == VERDICT_PASS) {
        const struct deposit_page page = { &deposit, &judgement, policy, data };
        is_drawn = deposit_html_put(html, &page, &err) == E_OK;
    }
    deposit_judgement_clear(&judgement);
    policy_free(policy);
    return is_drawn;
}

static void set_up(struct world *world)
{
    struct err err = { 0 };
    *world = (struct world){ .data = BUF_INIT(DEPOSIT_BYTES_MAX),
                             .html = BUF_INIT(DEPOSIT_HTML_BYTES_MAX) };
    struct deposit made = make_deposit(world->leaf, world->digest);
    if (deposit_put(&world->data, &made, &err) != E_OK ||
        deposit_parse(&world->deposit, buf_span(&world->data), &err) != E_OK ||
        policy_parse(&world->policy, span_of_str(rules), &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(deposit_judge(&world->judgement, &world->deposit, world->policy, &err),
                     VERDICT_PASS);
    const struct deposit_page page = page_of(world);
    assert_int_equal(deposit_html_put(&world->html, &page, &err), E_OK);
}

static void tear_down(struct world *world)
{
    deposit_judgement_clear(&world->judgement);
    policy_free(world->policy);
    buf_clear(&world->data);
    buf_clear(&world->html);
}

/* -- the data -- */

static enum err_code parse_changed(const char *from, const char *to)
{
    char leaf[80], digest[80];
    struct err err;
    struct deposit made = make_deposit(leaf, digest), parsed;
    struct buf data = BUF_INIT(DEPOSIT_BYTES_MAX), changed = BUF_INIT(DEPOSIT_BYTES_MAX);
    assert_int_equal(deposit_put(&data, &made, &err), E_OK);
    size_t at = span_find(buf_span(&data), span_of_str(from));
    assert_true(at != SIZE_MAX);
    buf_put(&changed, span_slice(buf_span(&data), 0, at));
    buf_put_str(&changed, to);
    size_t rest = at + strlen(from);
    buf_put(&changed, span_slice(buf_span(&data), rest, data.len - rest));
    enum err_code rc = deposit_parse(&parsed, buf_span(&changed), &err);
    buf_clear(&data);
    buf_clear(&changed);
    return rc;
}

static void data_have_one_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } changes[] = {
        { "certificate v1\n", "certificate v2\n" },
        { "template 1\n1\n", "" },
        { "template 1\n1\n", "template 1\n2\n" },
        { "template 1\n1\n", "template 01\n1\n" },
        { "template 1\n1\n", "template 1\n1\ntemplate 1\n1\n" },
        { "template 1\n1\n", "template 1\n1\nunknown 1\n1\n" },
        { "document-bytes 1\n3\n", "document-bytes 2\n03\n" },
        { "document-bytes 1\n3\n", "document-bytes 0\n\n" },
        { "executable 64\n9d13aa", "executable 64\n9D13AA" },
        { "courtroll 0.1.0", "courtrole 0.1.0" },
        { "https://verify.court.example", "https://verify.court.examplE" },
        { "A <court>\n", "A <court>\r" },
        { "operator.zh", "operatorzzz" },
    };
    assert_int_equal(parse_changed("template 1\n1\n", "template 1\n1\n"), E_OK);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        if (parse_changed(changes[i].from, changes[i].to) != E_MALFORMED) {
            fail_msg("change %zu is accepted", i);
        }
    }
}

static void every_truncation_of_the_data_is_refused(void **state)
{
    (void)state;
    struct world world;
    struct deposit parsed;
    struct err err;
    set_up(&world);
    for (size_t len = 0; len < world.data.len; len++) {
        assert_int_not_equal(deposit_parse(&parsed, span_slice(buf_span(&world.data), 0, len),
                                           &err),
                             E_OK);
    }
    tear_down(&world);
}

static void texts_that_turn_direction_or_control_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "a\nb", "a\x7f",     "\xe2\x80\xae.", "a\xe2\x81\xa6",
                                       "\xff", "a\xc2\x85", "a\xe2\x80\xa8" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(deposit_text_is_plain(span_of_str(bad[i])));
    }
    assert_true(deposit_text_is_plain(span_of_str("裁定书 ①.pdf")));
}

/* -- codes -- */

static void a_code_and_a_link_are_read_back_and_nothing_else_is(void **state)
{
    (void)state;
    static const uint8_t salt[16] = { 0xff, 0xfe, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 };
    static const char *const bad[] = {
        "",
        "c1.",
        "c2.UyITsyvtrjcZDrKDY7Zkkg.17.",
        "c1.UyITsyvtrjcZDrKDY7Zkkg.17",
        "c1.UyITsyvtrjcZDrKDY7Zkkg.017.",
        "c1.UyITsyvtrjcZDrKDY7Zkkg.9223372036854775808.",
        "c1.UyITsyvtrjcZDrKDY7Zkkh.17.", /* bits behind the last byte */
        "c1.UyITsyvtrjcZDrKDY7Zk+g.17.",
        "c1.UyITsyvtrjcZDrKDY7Zkkg.17.x",
        "http://verify.example/verify#c1.UyITsyvtrjcZDrKDY7Zkkg.17.",
        "https://verify.example/x/verify#c1.UyITsyvtrjcZDrKDY7Zkkg.17.",
        "https://verify.example/verify#c1.UyITsyvtrjcZDrKDY7Zkkg.17. ",
    };
    struct deposit_code code = deposit_code_make("log.example/test", 17, salt), read;
    struct buf text = BUF_INIT(DEPOSIT_LINK_BYTES_MAX + 1);
    struct err err;
    deposit_code_put(&text, &code);
    assert_string_equal(buf_c_str(&text), "c1.UyITsyvtrjcZDrKDY7Zkkg.17.__4BAgMEBQYHCAkKCwwNDg");
    assert_int_equal(deposit_code_parse(&read, buf_span(&text), &err), E_OK);
    assert_true(read.has_salt && read.index == 17);
    assert_memory_equal(read.salt, salt, sizeof salt);
    buf_reset(&text);
    deposit_code_put_link(&text, &code, span_of_str("https://verify.example:8443"));
    assert_int_equal(deposit_code_parse(&read, buf_span(&text), &err), E_OK);
    assert_memory_equal(read.log_id, code.log_id, sizeof code.log_id);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (deposit_code_parse(&read, span_of_str(bad[i]), &err) != E_MALFORMED) {
            fail_msg("'%s' is a code", bad[i]);
        }
    }
    buf_clear(&text);
}

static void the_longest_link_fits_a_code_of_version_10(void **state)
{
    (void)state;
    static const uint8_t salt[16] = { 255 };
    struct deposit_code code = deposit_code_make("o", INT64_MAX, salt);
    char address[DEPOSIT_ADDRESS_BYTES_MAX + 2] = "https://";
    struct deposit_qr qr;
    struct err err;
    struct buf text = BUF_INIT(DEPOSIT_LINK_BYTES_MAX);
    memset(address + 8, 'a', DEPOSIT_ADDRESS_BYTES_MAX - 8);
    assert_int_equal(deposit_address_check(span_of_str(address), &err), E_OK);
    deposit_code_put_link(&text, &code, span_of_str(address));
    assert_int_equal(text.len, DEPOSIT_LINK_BYTES_MAX);
    assert_int_equal(deposit_qr_make(&qr, buf_span(&text), &err), E_OK);
    assert_true(qr.width <= DEPOSIT_QR_WIDTH_MAX);
    address[DEPOSIT_ADDRESS_BYTES_MAX] = 'a';
    assert_int_equal(deposit_address_check(span_of_str(address), &err), E_MALFORMED);
    buf_clear(&text);
}

/* -- the page -- */

static void the_page_is_a_function_of_its_data(void **state)
{
    (void)state;
    struct world world;
    struct buf data = BUF_INIT(DEPOSIT_BYTES_MAX), again = BUF_INIT(DEPOSIT_HTML_BYTES_MAX);
    struct err err;
    size_t position;
    enum verdict verdict;
    set_up(&world);
    assert_int_equal(deposit_html_extract(&data, &position, buf_span(&world.html), &err), E_OK);
    assert_true(span_is_equal(buf_span(&data), buf_span(&world.data)));
    assert_true(draw(&again, buf_span(&data), &verdict));
    assert_true(deposit_first_difference(buf_span(&again), buf_span(&world.html)) == SIZE_MAX);
    assert_true(span_find(buf_span(&world.html), span_of_str("<script")) == SIZE_MAX);
    assert_true(span_find(buf_span(&world.html), span_of_str("A &lt;court&gt;")) != SIZE_MAX);
    assert_true(span_find(buf_span(&world.html), span_of_str("A <court>")) == SIZE_MAX);
    buf_clear(&data);
    buf_clear(&again);
    tear_down(&world);
}

/* What verification says of a page: the data are taken out, the page is made again and compared. `same` is the page of
 * the data `known`, so that it is not made anew for each of many changes. */
static bool is_unaltered(struct span html, const struct world *known)
{
    struct buf data = BUF_INIT(DEPOSIT_BYTES_MAX), again = BUF_INIT(DEPOSIT_HTML_BYTES_MAX);
    struct err err;
    size_t position;
    enum verdict verdict;
    bool is_same = false;
    if (deposit_html_is_one(html) && deposit_html_extract(&data, &position, html, &err) == E_OK) {
        if (span_is_equal(buf_span(&data), buf_span(&known->data))) {
            is_same = deposit_first_difference(buf_span(&known->html), html) == SIZE_MAX;
        } else if (draw(&again, buf_span(&data), &verdict)) {
            is_same = deposit_first_difference(buf_span(&again), html) == SIZE_MAX;
        }
    }
    buf_clear(&data);
    buf_clear(&again);
    return is_same;
}

/* Bytes, not only visible characters: whatever is changed, to its neighbour, to a blank, or dropped. */
static void every_byte_changed_in_turn_is_altered(void **state)
{
    (void)state;
    struct world world;
    size_t changed = 0;
    set_up(&world);
    struct buf html = BUF_INIT(DEPOSIT_HTML_BYTES_MAX);
    buf_put(&html, buf_span(&world.html));
    assert_true(is_unaltered(buf_span(&html), &world));
    for (size_t i = 0; i < html.len; i++) {
        uint8_t was = html.data[i];
        uint8_t others[] = { was ^ 1, was == ' ' ? 'x' : ' ' };
        for (size_t k = 0; k < sizeof others; k++) {
            html.data[i] = others[k];
            if (is_unaltered(buf_span(&html), &world)) {
                fail_msg("byte %zu may be %d", i, others[k]);
            }
            changed++;
        }
        html.data[i] = was;
    }
    assert_true(changed > 20000);
    buf_clear(&html);
    tear_down(&world);
}

static void bytes_behind_or_missing_are_altered(void **state)
{
    (void)state;
    struct world world;
    set_up(&world);
    struct buf html = BUF_INIT(DEPOSIT_HTML_BYTES_MAX);
    buf_put(&html, buf_span(&world.html));
    buf_put_u8(&html, '\n');
    assert_false(is_unaltered(buf_span(&html), &world));
    for (size_t len = 0; len < world.html.len; len += 97) {
        assert_false(is_unaltered(span_slice(buf_span(&world.html), 0, len), &world));
    }
    buf_clear(&html);
    tear_down(&world);
}

static void data_that_prove_nothing_make_no_page(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    set_up(&world);
    struct deposit other = world.deposit;
    struct deposit_judgement judgement;
    other.leaf.bytes[0] ^= 1;
    assert_int_equal(deposit_judge(&judgement, &other, world.policy, &err), VERDICT_MISMATCH);
    deposit_judgement_clear(&judgement);
    tear_down(&world);
}

/* -- the PDF -- */

static void the_pdf_is_a_function_of_its_data_and_holds_them(void **state)
{
    (void)state;
    struct world world;
    struct buf a = BUF_INIT(DEPOSIT_PDF_BYTES_MAX), b = BUF_INIT(DEPOSIT_PDF_BYTES_MAX);
    struct err err = { 0 };
    struct span data;
    set_up(&world);
    const struct deposit_page page = page_of(&world);
    enum err_code rc = deposit_pdf_put(&a, &page, &err);
    if (rc == E_NOT_FOUND) {
        tear_down(&world);
        skip(); /* no font here has the letters */
    }
    assert_int_equal(rc, E_OK);
    assert_int_equal(deposit_pdf_put(&b, &page, &err), E_OK);
    assert_true(span_is_equal(buf_span(&a), buf_span(&b)));
    assert_int_equal(deposit_pdf_extract(&data, buf_span(&a), &err), E_OK);
    assert_true(span_is_equal(data, buf_span(&world.data)));
    for (size_t cut = 1; cut < 2000; cut++) {
        assert_int_equal(deposit_pdf_extract(&data, span_slice(buf_span(&a), 0, a.len - cut), &err),
                         E_MALFORMED);
    }
    buf_clear(&a);
    buf_clear(&b);
    tear_down(&world);
}

static void a_trailer_that_points_elsewhere_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "%PDF-1.4\n\nstream\nx\nendstream\nendobj\ntrailer\n<< /CourtrollData [17 99] >>\n%%EOF\n",
        "%PDF-1.4\n\nstream\nx\nendstream\nendobj\ntrailer\n<< /CourtrollData [0 1] >>\n%%EOF\n",
        "%PDF-1.4\n\nstream\nx\nendstream\nendobj\ntrailer\n<< /CourtrollData [18 1] >>\n%%EOF\n",
        "%PDF-1.4\n\nstream\nx\nendstream\nendobj\ntrailer\n<< /CourtrollData [17 1 >>\n%%EOF\n",
        "%PDF-1.4\n\nstream\nx\nendstream\nendobj\ntrailer\n<< /CourtrollData [017 1] >>\n%%EOF\n",
        "%PDF-1.4\n/CourtrollData [17 1]\ntrailer\n<< >>\n%%EOF\n",
    };
    static const char good[] =
        "%PDF-1.4\n\nstream\nx\nendstream\nendobj\ntrailer\n<< /CourtrollData [17 1] >>\n%%EOF\n";
    struct span data;
    struct err err;
    assert_int_equal(deposit_pdf_extract(&data, span_of_str(good), &err), E_OK);
    assert_true(span_is_str(data, "x"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (deposit_pdf_extract(&data, span_of_str(bad[i]), &err) != E_MALFORMED) {
            fail_msg("trailer %zu is accepted", i);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_have_one_spelling),
        cmocka_unit_test(every_truncation_of_the_data_is_refused),
        cmocka_unit_test(texts_that_turn_direction_or_control_are_refused),
        cmocka_unit_test(a_code_and_a_link_are_read_back_and_nothing_else_is),
        cmocka_unit_test(the_longest_link_fits_a_code_of_version_10),
        cmocka_unit_test(the_page_is_a_function_of_its_data),
        cmocka_unit_test(every_byte_changed_in_turn_is_altered),
        cmocka_unit_test(bytes_behind_or_missing_are_altered),
        cmocka_unit_test(data_that_prove_nothing_make_no_page),
        cmocka_unit_test(the_pdf_is_a_function_of_its_data_and_holds_them),
        cmocka_unit_test(a_trailer_that_points_elsewhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
