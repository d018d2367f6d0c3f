/* What a mail looks like on the wire, and what never gets into one. */
#include "net/mail_message.h"

#include "base/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const one[] = { "clerk@agency.example" };
static const char *const two[] = { "clerk@agency.example", "press@bar.example" };

static struct mail_message sample(void)
{
    return (struct mail_message){ .from = "monitor@agency.example",
                                  .to = one,
                                  .to_count = 1,
                                  .unix_s = 1769903940,
                                  .subject = "[courtroll] critical fork",
                                  .id = "00ff.opened",
                                  .body = span_of_str("Two histories.\n.\nEnd\n") };
}

static char *put(const struct mail_message *message)
{
    struct buf out = BUF_INIT(MAIL_MESSAGE_BYTES_MAX);
    struct err err;
    assert_int_equal(mail_message_put(&out, message, &err), E_OK);
    char *text = strdup(buf_c_str(&out));
    buf_clear(&out);
    return text;
}

static void assert_refused(const struct mail_message *message, enum err_code code)
{
    struct buf out = BUF_INIT(MAIL_MESSAGE_BYTES_MAX);
    struct err err;
    assert_int_equal(mail_message_put(&out, message, &err), code);
    assert_int_equal(out.len, 0);
    buf_clear(&out);
}

/* Every line ends with CRLF, and none is longer than a server must take. */
static void assert_lines(const char *text)
{
    size_t len = 0;
    for (const char *at = text; *at != 0; at++) {
        if (*at == '\n') {
            assert_true(at > text && at[-1] == '\r');
            len = 0;
        } else {
            assert_true(++len <= 998);
        }
        assert_true(*at != '\r' || at[1] == '\n');
    }
    assert_int_equal(len, 0);
}

static void message_is_as_rfc_5322_has_it(void **state)
{
    (void)state;
    struct mail_message message = sample();
    char *text = put(&message);
    assert_string_equal(text, "From: <monitor@agency.example>\r\n"
                              "To: <clerk@agency.example>\r\n"
                              "Date: Sat, 31 Jan 2026 23:59:00 +0000\r\n"
                              "Subject: [courtroll] critical fork\r\n"
                              "Message-ID: <00ff.opened@agency.example>\r\n"
                              "Auto-Submitted: auto-generated\r\n"
                              "MIME-Version: 1.0\r\n"
                              "Content-Type: text/plain; charset=utf-8\r\n"
                              "Content-Transfer-Encoding: 7bit\r\n"
                              "\r\n"
                              "Two histories.\r\n.\r\nEnd\r\n");
    free(text);
}

static void recipients_are_folded_and_replies_name_what_they_answer(void **state)
{
    (void)state;
    struct mail_message message = sample();
    message.to = two;
    message.to_count = 2;
    message.in_reply_to = "11.opened";
    message.body = span_of_str("no line end");
    char *text = put(&message);
    assert_non_null(
        strstr(text, "\r\nTo: <clerk@agency.example>,\r\n <press@bar.example>\r\nDate: "));
    assert_non_null(strstr(text, "\r\nIn-Reply-To: <11.opened@agency.example>\r\n"
                                 "References: <11.opened@agency.example>\r\n"));
    assert_non_null(strstr(text, "\r\n\r\nno line end\r\n"));
    assert_lines(text);
    free(text);
}

/* Decodes the encoded words of a subject. */
static void decode_subject(const char *text, struct buf *out)
{
    const char *at = strstr(text, "\r\nSubject: ") + 11, *end;
    struct err err;
    for (;; at = end + 5) {
        assert_memory_equal(at, "=?UTF-8?B?", 10);
        end = strstr(at + 10, "?=");
        assert_true(end - at + 2 <= 75);
        struct buf word = BUF_INIT(100);
        struct span chars = span_of(at + 10, (size_t)(end - at - 10));
        assert_int_equal(base64_append_decoded(&word, chars, BASE64_STRICT, &err), E_OK);
        assert_true((word.data[0] & 0xc0) != 0x80); /* no code point is cut */
        buf_put(out, buf_span(&word));
        buf_clear(&word);
        if (memcmp(end, "?=\r\n ", 5) != 0) {
            assert_memory_equal(end, "?=\r\nMessage-ID", 14);
            return;
        }
    }
}

static void subject_is_encoded_when_it_must_be(void **state)
{
    (void)state;
    char longest[MAIL_SUBJECT_MAX + 1];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    char umlauts[201];
    for (size_t i = 0; i < 200; i += 2) {
        memcpy(umlauts + i, "\xc3\xa4", 2);
    }
    umlauts[200] = 0;
    const char *const subjects[] = { "Gericht M\xc3\xbcnchen", umlauts, longest, "=?UTF-8?Q?x?=",
                                     "a\xf0\x9f\x94\xa5\xf0\x9f\x94\xa5\xf0\x9f\x94\xa5\xf0\x9f"
                                     "\x94\xa5\xf0\x9f\x94\xa5\xf0\x9f\x94\xa5\xf0\x9f\x94\xa5"
                                     "\xf0\x9f\x94\xa5\xf0\x9f\x94\xa5\xf0\x9f\x94\xa5" };
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        struct mail_message message = sample();
        struct buf decoded = BUF_INIT(4096);
        message.subject = subjects[i];
        char *text = put(&message);
        assert_lines(text);
        decode_subject(text, &decoded);
        assert_string_equal(buf_c_str(&decoded), subjects[i]);
        buf_clear(&decoded);
        free(text);
    }
}

/* What is not ASCII, or has lines that no server must take, travels as base64 of the text with CRLF. */
static void body_is_encoded_when_it_must_be(void **state)
{
    (void)state;
    char line[2001];
    memset(line, 'b', 2000);
    line[2000] = 0;
    const char *const bodies[] = { "Gericht M\xc3\xbcnchen\nzweite Zeile\n", line };
    for (size_t i = 0; i < 2; i++) {
        struct mail_message message = sample();
        struct buf decoded = BUF_INIT(8192), expected = BUF_INIT(8192), chars = BUF_INIT(8192);
        struct err err;
        message.body = span_of_str(bodies[i]);
        char *text = put(&message);
        assert_lines(text);
        assert_non_null(strstr(text, "\r\nContent-Transfer-Encoding: base64\r\n\r\n"));
        for (const char *at = strstr(text, "\r\n\r\n") + 4; *at != 0; at++) {
            if (*at != '\r' && *at != '\n') {
                buf_put_u8(&chars, (uint8_t)*at);
            }
        }
        assert_int_equal(base64_append_decoded(&decoded, buf_span(&chars), BASE64_STRICT, &err),
                         E_OK);
        for (const char *at = bodies[i]; *at != 0; at++) {
            buf_put_str(&expected, *at == '\n' ? "\r\n" : "");
            if (*at != '\n') {
                buf_put_u8(&expected, (uint8_t)*at);
            }
        }
        buf_put_str(&expected, i == 1 ? "\r\n" : "");
        assert_true(span_is_equal(buf_span(&decoded), buf_span(&expected)));
        buf_clear(&chars);
        buf_clear(&decoded);
        buf_clear(&expected);
        free(text);
    }
}

static void largest_body_fits(void **state)
{
    (void)state;
    struct mail_message message = sample();
    char *body = calloc(1, MAIL_BODY_MAX + 1);
    memset(body, '\n', MAIL_BODY_MAX);
    memcpy(body, "\xc3\xa4", 2);
    message.body = span_of(body, MAIL_BODY_MAX);
    free(put(&message));
    message.body = span_of(body, MAIL_BODY_MAX + 1);
    assert_refused(&message, E_TOO_LARGE);
    free(body);
}

/* CR, LF, NUL and what else could begin another header or command, wherever it stands. */
static void nothing_is_injected(void **state)
{
    (void)state;
    static const char *const addresses[] = {
        "",          "a",     "@b",     "a@",          "a@b@c", "a b@c",   "a@b\r\nRCPT TO:<x@y>",
        "a@b\nX: y", "a@b>",  "<a@b",   "a,b@c",       "a@b;c", "\"a\"@b", "a@b\x01",
        "a@b\x7f",   "a\\@b", "(x)a@b", "m\xc3\xbc@b",
    };
    static const char *const subjects[] = { "a\r\nBcc: x@y", "a\nb", "a\rb",     "a\x7f",
                                            "a\tb",          "\xff", "\xc2\x85", "\xc3" };
    static const char *const ids[] = { "", "a@b", "a b", "a\r\nX: y", "a>", ".a", "a.", "a..b" };
    static const char *const bodies[] = { "a\r\nb", "a\rb", "\x1b[2J", "\xfe" };
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct mail_message message = sample();
        message.from = addresses[i];
        assert_refused(&message, E_MALFORMED);
        message = sample();
        message.to = &addresses[i];
        assert_refused(&message, E_MALFORMED);
    }
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        struct mail_message message = sample();
        message.subject = subjects[i];
        assert_refused(&message, E_MALFORMED);
    }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct mail_message message = sample();
        message.id = ids[i];
        assert_refused(&message, E_MALFORMED);
        message = sample();
        message.in_reply_to = ids[i];
        assert_refused(&message, E_MALFORMED);
    }
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct mail_message message = sample();
        message.body = span_of_str(bodies[i]);
        assert_refused(&message, E_MALFORMED);
    }
    struct mail_message message = sample();
    message.body = span_of("a\0b", 3);
    assert_refused(&message, E_MALFORMED);
    message = sample();
    message.to_count = 0;
    assert_refused(&message, E_MALFORMED);
}

static void long_address_is_refused(void **state)
{
    (void)state;
    char address[MAIL_ADDRESS_MAX + 2];
    memset(address, 'a', sizeof address);
    address[1] = '@';
    assert_true(mail_address_is_valid(span_of(address, MAIL_ADDRESS_MAX)));
    assert_false(mail_address_is_valid(span_of(address, MAIL_ADDRESS_MAX + 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_is_as_rfc_5322_has_it),
        cmocka_unit_test(recipients_are_folded_and_replies_name_what_they_answer),
        cmocka_unit_test(subject_is_encoded_when_it_must_be),
        cmocka_unit_test(body_is_encoded_when_it_must_be),
        cmocka_unit_test(largest_body_fits),
        cmocka_unit_test(nothing_is_injected),
        cmocka_unit_test(long_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
