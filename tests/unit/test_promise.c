#include "tlog/promise.h"

#include "base/alloc.h"
#include "tests/support/keys.h"
#include "tlog/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HASH "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define HEAD "courtroll promise v1\n"

/* 40 KB each. */
static struct promise promise, again;

static struct promise_item *make_items(size_t count)
{
    struct promise_item *items = mem_calloc(count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        struct hash leaf = sha256(span_of(&i, sizeof i));
        items[i] = (struct promise_item){ i * i * 1000003, leaf };
    }
    return items;
}

static struct buf make_text(const char *origin, size_t count)
{
    struct buf text = BUF_INIT(PROMISE_TEXT_MAX);
    struct promise_item *items = make_items(count);
    promise_put_text(&text, origin, items, count);
    mem_free(items);
    return text;
}

static void the_text_has_the_form_of_the_design(void **state)
{
    (void)state;
    struct promise_item items[] = { { 7, { { 0 } } }, { 0, { { 0 } } } };
    for (size_t i = 0; i < HASH_BYTES; i++) {
        items[0].leaf.bytes[i] = (uint8_t)(i + 1);
    }
    struct buf text = BUF_INIT(PROMISE_TEXT_MAX);
    promise_put_text(&text, "log.example/1", items, 2);
    assert_true(span_is_str(buf_span(&text), "courtroll promise v1\nlog.example/1\n7 " HASH
                                             "\n0 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"));
    buf_clear(&text);
}

static void promise_parse_undoes_promise_put_text(void **state)
{
    (void)state;
    static const size_t counts[] = { 1, 2, 999, PROMISE_ITEMS_MAX };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct buf text = make_text("log.example", counts[i]);
        struct promise_item *items = make_items(counts[i]);
        struct err err;
        assert_int_equal(promise_parse(&promise, buf_span(&text), &err), E_OK);
        assert_string_equal(promise.origin, "log.example");
        assert_int_equal(promise.count, counts[i]);
        for (size_t k = 0; k < counts[i]; k++) {
            assert_int_equal(promise.items[k].index, items[k].index);
            assert_true(hash_is_equal(&promise.items[k].leaf, &items[k].leaf));
        }
        mem_free(items);
        buf_clear(&text);
    }
}

static void the_longest_promise_fits_its_maxima(void **state)
{
    (void)state;
    char origin[KEY_NAME_BYTES_MAX + 1], name[KEY_NAME_BYTES_MAX + 1];
    memset(origin, 'o', sizeof origin);
    origin[ORIGIN_BYTES_MAX] = 0;
    memset(name, 'n', sizeof name);
    name[KEY_NAME_BYTES_MAX] = 0;
    struct promise_item *items = make_items(PROMISE_ITEMS_MAX);
    for (size_t i = 0; i < PROMISE_ITEMS_MAX; i++) {
        items[i].index = SIZE_VALUE_MAX - 1;
    }
    struct buf text = BUF_INIT(PROMISE_TEXT_MAX), note = BUF_INIT(PROMISE_NOTE_MAX);
    promise_put_text(&text, origin, items, PROMISE_ITEMS_MAX);
    struct signer signer = keys_signer(name, SIGNATURE_ED25519, "long");
    keys_put_signed(&note, buf_span(&text), &signer, 0);
    struct err err;
    assert_int_equal(promise_parse(&promise, buf_span(&text), &err), E_OK);
    signer_clear(&signer);
    mem_free(items);
    buf_clear(&note);
    buf_clear(&text);
}

static void promise_parse_rejects_what_is_not_a_promise(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        { "", "first line" },
        { "\n", "first line" },
        { "log.example\n7\n" HASH "\n", "first line" },
        { "courtroll promise v2\no\n7 " HASH "\n", "first line" },
        { " " HEAD "o\n7 " HASH "\n", "first line" },
        { "courtroll promise v1\r\no\n7 " HASH "\n", "first line" },
        { HEAD, "origin: " },
        { HEAD "o", "origin: " },
        { HEAD "\n7 " HASH "\n", "origin: " },
        { HEAD "o\x7f\n7 " HASH "\n", "origin: " },
        { HEAD "o\r\n7 " HASH "\n", "origin: " },
        { HEAD "o\n", "no entry" },
        { HEAD "o\n7 " HASH, "no newline" },
        { HEAD "o\n\n7 " HASH "\n", "entry 1: " },
        { HEAD "o\n7 " HASH "\n\n", "entry 2: " },
        { HEAD "o\n7\n" HASH "\n", "entry 1: " },
        { HEAD "o\n07 " HASH "\n", "entry 1: index: " },
        { HEAD "o\n-7 " HASH "\n", "entry 1: index: " },
        { HEAD "o\n" HASH "\n", "entry 1: " },
        { HEAD "o\n " HASH "\n", "entry 1: index: " },
        { HEAD "o\n9223372036854775807 " HASH "\n", "entry 1: index: " },
        { HEAD "o\n7  " HASH "\n", "entry 1: leaf hash: " },
        { HEAD "o\n7 " HASH " \n", "entry 1: leaf hash: " },
        { HEAD "o\n7 " HASH "\r\n", "entry 1: leaf hash: " },
        { HEAD "o\n7 \n", "entry 1: leaf hash: " },
        { HEAD "o\n7 AQID\n", "entry 1: leaf hash: " },
        { HEAD "o\n7 AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=\n", "entry 1: leaf hash: " },
        { HEAD "o\n7 " HASH "\n8 AQID\n", "entry 2: leaf hash: " },
    };
    promise.count = 77;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err;
        if (promise_parse(&promise, span_of_str(cases[i].text), &err) != E_MALFORMED) {
            fail_msg("accepted: %s", cases[i].text);
        }
        if (strncmp(err.msg, "promise: ", 9) != 0 || strstr(err.msg, cases[i].words) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", err.msg, cases[i].words);
        }
    }
    assert_int_equal(promise.count, 77);
}

static void a_thousand_entries_are_read_and_no_more(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(PROMISE_NOTE_MAX);
    struct buf full = make_text("o", PROMISE_ITEMS_MAX);
    buf_put(&text, buf_span(&full));
    buf_put_str(&text, "7 " HASH "\n");
    struct err err;
    assert_int_equal(promise_parse(&promise, buf_span(&text), &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "over 1000 entries"));
    buf_clear(&full);
    buf_clear(&text);
}

static void promise_parse_rejects_each_truncation_but_whole_lines(void **state)
{
    (void)state;
    struct buf text = make_text("log.example", 3);
    size_t accepted = 0;
    for (size_t len = 0; len < text.len; len++) {
        struct err err;
        accepted += promise_parse(&promise, span_of(text.data, len), &err) == E_OK;
    }
    assert_int_equal(accepted, 2);
    buf_clear(&text);
}

/* The origin is the size line of a checkpoint, so a number as origin is the nearest they come. */
static void no_promise_is_a_checkpoint_and_no_checkpoint_a_promise(void **state)
{
    (void)state;
    static const char *const origins[] = { "log.example", "7",  "0",
                                           "1000",        HASH, "courtroll promise v1" };
    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
        for (size_t count = 1; count < 4; count++) {
            struct buf text = make_text(origins[i], count);
            struct checkpoint checkpoint;
            struct err err;
            assert_int_equal(promise_parse(&promise, buf_span(&text), &err), E_OK);
            assert_int_equal(checkpoint_parse(&checkpoint, buf_span(&text), &err), E_MALFORMED);
            buf_clear(&text);
        }
    }
    struct checkpoint checkpoint = { .origin = "courtroll promise v1", .size = 7 };
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX + 100);
    checkpoint_put(&text, &checkpoint);
    struct err err;
    assert_int_equal(promise_parse(&promise, buf_span(&text), &err), E_MALFORMED);
    buf_put_str(&text, "7 " HASH "\n"); /* with an extension line */
    assert_int_equal(checkpoint_parse(&checkpoint, buf_span(&text), &err), E_OK);
    assert_int_equal(promise_parse(&promise, buf_span(&text), &err), E_MALFORMED);
    buf_clear(&text);
}

/* -- signed -- */

static void promise_key_is_of_wants_type_and_name(void **state)
{
    (void)state;
    struct signer key = keys_signer("log.example/promise", SIGNATURE_ED25519, "promise");
    struct vkey cosigner = vkey_make("log.example/promise", SIGNATURE_COSIGNATURE, &key.vkey.key);
    assert_true(promise_key_is_of(&key.vkey, "log.example"));
    assert_false(promise_key_is_of(&cosigner, "log.example"));
    assert_false(promise_key_is_of(&key.vkey, "log.exampl"));
    assert_false(promise_key_is_of(&key.vkey, "log.example2"));
    assert_false(promise_key_is_of(&key.vkey, "log.example/promise"));
    signer_clear(&key);
}

static void assert_opens(const struct signer *signer, const struct vkey *key, struct span text,
                         enum err_code expected)
{
    struct buf note = BUF_INIT(PROMISE_NOTE_MAX);
    keys_put_signed(&note, text, signer, 0);
    again.count = 77;
    struct err err;
    assert_int_equal(promise_open(&again, buf_span(&note), key, &err), expected);
    if (expected != E_OK) {
        assert_int_equal(again.count, 77);
    }
    buf_clear(&note);
}

static void promise_open_wants_form_signature_and_origin(void **state)
{
    (void)state;
    struct signer key = keys_signer("log.example/promise", SIGNATURE_ED25519, "promise");
    struct signer other = keys_signer("log.example/promise", SIGNATURE_ED25519, "other");
    struct signer log = keys_signer("log.example", SIGNATURE_ED25519, "promise");
    struct buf text = make_text("log.example", 2), elsewhere = make_text("log.example2", 2);
    assert_opens(&key, &key.vkey, buf_span(&text), E_OK);
    assert_int_equal(again.count, 2);
    assert_opens(&key, &key.vkey, buf_span(&elsewhere), E_DENIED);
    assert_opens(&other, &key.vkey, buf_span(&text), E_BAD_SIGNATURE);
    assert_opens(&log, &key.vkey, buf_span(&text), E_BAD_SIGNATURE);
    assert_opens(&log, &log.vkey, buf_span(&text),
                 E_DENIED); /* the log's own key makes no promises */
    assert_opens(&key, &key.vkey, span_of_str("log.example\n1\n" HASH "\n"), E_MALFORMED);
    struct err err;
    assert_int_equal(promise_open(&again, buf_span(&text), &key.vkey, &err), E_MALFORMED);
    buf_clear(&text);
    buf_clear(&elsewhere);
    signer_clear(&key);
    signer_clear(&other);
    signer_clear(&log);
}

static void no_flipped_bit_of_a_promise_opens(void **state)
{
    (void)state;
    struct signer key = keys_signer("log.example/promise", SIGNATURE_ED25519, "promise");
    struct buf text = make_text("log.example", 2), note = BUF_INIT(PROMISE_NOTE_MAX);
    keys_put_signed(&note, buf_span(&text), &key, 0);
    for (size_t bit = 0; bit < 8 * note.len; bit++) {
        note.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct err err;
        if (promise_open(&again, buf_span(&note), &key.vkey, &err) == E_OK) {
            assert_int_equal(bit / 8, note.len - 3); /* bits behind the signature's last byte */
        }
        note.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_clear(&text);
    buf_clear(&note);
    signer_clear(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_has_the_form_of_the_design),
        cmocka_unit_test(promise_parse_undoes_promise_put_text),
        cmocka_unit_test(the_longest_promise_fits_its_maxima),
        cmocka_unit_test(promise_parse_rejects_what_is_not_a_promise),
        cmocka_unit_test(a_thousand_entries_are_read_and_no_more),
        cmocka_unit_test(promise_parse_rejects_each_truncation_but_whole_lines),
        cmocka_unit_test(no_promise_is_a_checkpoint_and_no_checkpoint_a_promise),
        cmocka_unit_test(promise_key_is_of_wants_type_and_name),
        cmocka_unit_test(promise_open_wants_form_signature_and_origin),
        cmocka_unit_test(no_flipped_bit_of_a_promise_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
