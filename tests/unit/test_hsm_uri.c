/* lib/store/hsm_uri.c: RFC 7512 as far as we take it, and nothing else. */
#include "store/hsm_uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

/* The shortest that is whole, and its parts. */
#define TOKEN "pkcs11:token=t"
#define KEY   ";object=k"
#define QUERY "?module-path=/m.so&pin-source=/p"

static struct err err;

static struct hsm_uri *parse(const char *text)
{
    struct hsm_uri *uri = NULL;
    enum err_code rc = hsm_uri_parse(&uri, span_of_str(text), &err);
    if (rc != E_OK) {
        print_message("%s: %s\n", text, err.msg);
    }
    assert_int_equal(rc, E_OK);
    return uri;
}

/* The error must name the attribute. */
static void assert_malformed(const char *text, const char *attribute)
{
    struct hsm_uri *uri = NULL;
    char expected[64];
    snprintf(expected, sizeof expected, "pkcs11 URI: %s", attribute);
    assert_int_equal(hsm_uri_parse(&uri, span_of_str(text), &err), E_MALFORMED);
    assert_null(uri);
    assert_memory_equal(err.msg, expected, strlen(expected));
}

static void all_attributes_are_read(void **state)
{
    (void)state;
    struct hsm_uri *uri = parse("pkcs11:model=m;manufacturer=me;token=t;serial=0a;slot-id=17;"
                                "object=k;id=%00%ff+;type=private"
                                "?pin-source=file:/p/in&module-path=/usr/lib/m.so");
    assert_string_equal(hsm_uri_text(uri, HSM_MODEL), "m");
    assert_string_equal(hsm_uri_text(uri, HSM_MANUFACTURER), "me");
    assert_string_equal(hsm_uri_text(uri, HSM_TOKEN), "t");
    assert_string_equal(hsm_uri_text(uri, HSM_SERIAL), "0a");
    assert_int_equal(uri->slot_id, 17);
    assert_string_equal(hsm_uri_text(uri, HSM_OBJECT), "k");
    assert_true(span_is_equal(uri->values[HSM_ID], span_of("\0\xff+", 3)));
    assert_string_equal(hsm_uri_text(uri, HSM_MODULE_PATH), "/usr/lib/m.so");
    assert_string_equal(hsm_uri_text(uri, HSM_PIN_SOURCE), "/p/in");
    assert_false(hsm_uri_has(uri, HSM_PIN_VALUE));
    hsm_uri_free(uri);
}

static void a_token_and_a_key_have_several_names(void **state)
{
    (void)state;
    static const char *const texts[] = {
        TOKEN KEY QUERY,
        "pkcs11:serial=1;id=%01" QUERY,
        "pkcs11:slot-id=0;object=k" QUERY,
        "pkcs11:object=k;token=t?pin-value=1234&module-path=/m.so",
        TOKEN KEY "?module-path=/m.so&pin-source=file:///p",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        hsm_uri_free(parse(texts[i]));
    }
}

static void percent_signs_are_decoded_once(void **state)
{
    (void)state;
    struct hsm_uri *uri = parse("pkcs11:token=a%20b%25%32%30;object=%3b%3D&?module-path=/m%26/?|"
                                "&pin-value=%26%c3%a4");
    assert_string_equal(hsm_uri_text(uri, HSM_TOKEN), "a b%20");
    assert_string_equal(hsm_uri_text(uri, HSM_OBJECT), ";=&");
    assert_string_equal(hsm_uri_text(uri, HSM_MODULE_PATH), "/m&/?|");
    assert_string_equal(hsm_uri_text(uri, HSM_PIN_VALUE), "&\xc3\xa4");
    hsm_uri_free(uri);
}

/* Every character that is not plain, in the path and in the query. */
static void other_characters_must_be_encoded(void **state)
{
    (void)state;
    const char *plain = "-._~:[]@!$'()*+,=";
    for (int c = 1; c < 256; c++) {
        char path[64], query[64];
        bool is_word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        bool is_plain = is_word || strchr(plain, c) != NULL;
        if (c == ';' || c == '&' || c == '?' || c == '%') {
            continue;
        }
        snprintf(path, sizeof path, "pkcs11:token=a%cb;object=k" QUERY, c);
        snprintf(query, sizeof query, TOKEN KEY "?module-path=/a%cb&pin-value=1", c);
        if (is_plain) {
            hsm_uri_free(parse(path));
        } else {
            assert_malformed(path, "token");
        }
        if (is_plain || c == '/' || c == '|') {
            hsm_uri_free(parse(query));
        } else {
            assert_malformed(query, "module-path");
        }
    }
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    assert_malformed("pkcs11:object=k" QUERY, "token");
    assert_malformed("pkcs11:model=m;manufacturer=me;object=k" QUERY, "token");
    assert_malformed(TOKEN QUERY, "object");
    assert_malformed(TOKEN KEY, "module-path");
    assert_malformed(TOKEN KEY "?pin-source=/p", "module-path");
    assert_malformed(TOKEN KEY "?module-path=/m.so", "pin-source");
    assert_malformed(TOKEN KEY "?module-path=/m.so&pin-source=/p&pin-value=1", "pin-source");
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    assert_malformed("", "");
    assert_malformed("PKCS11:token=t" KEY QUERY, "");
    assert_malformed("pkcs11:", "path");
    assert_malformed(TOKEN ";" KEY QUERY, "path");
    assert_malformed(TOKEN KEY ";" QUERY, "path");
    assert_malformed(TOKEN KEY "?", "behind '?'");
    assert_malformed(TOKEN KEY QUERY "&", "behind '?'");
    assert_malformed(TOKEN ";object" QUERY, "path");
    assert_malformed(TOKEN ";object=" QUERY, "object");
    assert_malformed(TOKEN ";=k" QUERY, ": not an attribute");
    assert_malformed(TOKEN KEY ";a-name-that-is-long"
                               "=k" QUERY,
                     "a-name-that-is-");
    assert_malformed(TOKEN ";token=u" KEY QUERY, "token");
    assert_malformed(TOKEN KEY QUERY "&pin-source=/p", "pin-source");
    assert_malformed(TOKEN KEY ";type=public" QUERY, "type");
    assert_malformed(TOKEN KEY ";Type=private" QUERY, "Type");
    assert_malformed(TOKEN KEY ";slot-id=-1" QUERY, "slot-id");
    assert_malformed(TOKEN KEY ";slot-id=01" QUERY, "slot-id");
    assert_malformed(TOKEN KEY ";slot-id=4294967296" QUERY, "slot-id");
    assert_malformed(TOKEN KEY ";pin-value=1" QUERY, "pin-value");
    assert_malformed(TOKEN KEY ";x-vendor=1" QUERY, "x-vendor");
    assert_malformed(TOKEN KEY QUERY "&object=k", "object");
    assert_malformed(TOKEN KEY QUERY "&module-name=m", "module-name");
    assert_malformed(TOKEN KEY "?module-path=m.so&pin-source=/p", "module-path");
    assert_malformed(TOKEN KEY "?module-path=/m.so&pin-source=p", "pin-source");
    assert_malformed(TOKEN KEY "?module-path=/m.so&pin-source=file:p", "pin-source");
    assert_malformed(TOKEN KEY "?module-path=/m.so&pin-source=file:", "pin-source");
    assert_malformed(TOKEN KEY "?module-path=/m.so&pin-source=|/bin/pin", "pin-source");
    assert_malformed(TOKEN "%" KEY QUERY, "token");
    assert_malformed(TOKEN "%4" KEY QUERY, "token");
    assert_malformed(TOKEN "%4g" KEY QUERY, "token");
    assert_malformed(TOKEN "%00" KEY QUERY, "token");
    assert_malformed(TOKEN "%0a" KEY QUERY, "token");
    assert_malformed(TOKEN "%c3" KEY QUERY, "token");
    assert_malformed("pkcs11:\x1b[31m=t" KEY QUERY, "\\x1b[31m");
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    char text[HSM_URI_MAX + 64];
    snprintf(text, sizeof text, "pkcs11:token=%032d;object=%0255d" QUERY, 1, 1);
    hsm_uri_free(parse(text));
    snprintf(text, sizeof text, "pkcs11:token=%033d" KEY QUERY, 1);
    assert_malformed(text, "token");
    snprintf(text, sizeof text, TOKEN ";object=%0256d" QUERY, 1);
    assert_malformed(text, "object");
    int rest = HSM_URI_MAX - (int)strlen(TOKEN KEY "?pin-value=1&module-path=/");
    snprintf(text, sizeof text, TOKEN KEY "?pin-value=1&module-path=/%0*d", rest, 1);
    struct hsm_uri *uri = parse(text);
    assert_int_equal(uri->values[HSM_MODULE_PATH].len, rest + 1);
    hsm_uri_free(uri);
    snprintf(text, sizeof text, TOKEN KEY "?pin-value=1&module-path=/%0*d", rest + 1, 1);
    assert_malformed(text, "over 1024 bytes");
}

/* Of any URI that is cut or has one byte changed, a PIN is never told. */
static void a_pin_is_in_no_message(void **state)
{
    (void)state;
    char text[] = TOKEN KEY "?module-path=/m.so&pin-value=s3cret";
    size_t len = strlen(text);
    for (size_t at = 0; at < len; at++) {
        for (size_t step = 0; step < 3; step++) {
            char changed[sizeof text];
            struct hsm_uri *uri = NULL;
            memcpy(changed, text, sizeof text);
            changed[at] = step == 0 ? '\0' : step == 1 ? '%' : '&';
            size_t changed_len = step == 0 ? at : len;
            if (hsm_uri_parse(&uri, span_of(changed, changed_len), &err) != E_OK) {
                assert_null(strstr(err.msg, "s3cret"));
                assert_null(uri);
            }
            hsm_uri_free(uri);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_attributes_are_read),
        cmocka_unit_test(a_token_and_a_key_have_several_names),
        cmocka_unit_test(percent_signs_are_decoded_once),
        cmocka_unit_test(other_characters_must_be_encoded),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(a_pin_is_in_no_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
