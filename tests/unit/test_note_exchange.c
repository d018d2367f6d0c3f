#include "monitor/note_exchange.h"

#include "base/alloc.h"

#include "tests/support/tree_log.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    NOW = 1790000000
};

struct fixture {
    struct signer ours, theirs, witness;
    const struct vkey *keys[2];
    struct tree_log log;
    struct buf notes[3], message;
    struct span spans[3];
};

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->ours = keys_signer("monitor.example/ours", SIGNATURE_ED25519, "ours");
    f->theirs = keys_signer("monitor.example/theirs", SIGNATURE_ED25519, "theirs");
    f->witness = keys_signer("monitor.example/ours", SIGNATURE_COSIGNATURE, "ours");
    f->keys[0] = &f->theirs.vkey;
    f->keys[1] = &f->ours.vkey;
    f->log = tree_log_make("log.example/1", "log");
    buf_init(&f->message, NOTE_EXCHANGE_BYTES_MAX);
    for (size_t i = 0; i < 3; i++) {
        tree_log_add(&f->log, i);
        struct hash root = tree_log_root(&f->log, i + 1);
        buf_init(&f->notes[i], 4096);
        tree_log_put_note(&f->notes[i], &f->log, i + 1, &root);
        f->spans[i] = buf_span(&f->notes[i]);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    signer_clear(&f->ours);
    signer_clear(&f->theirs);
    signer_clear(&f->witness);
    signer_clear(&f->log.signer);
    for (size_t i = 0; i < 3; i++) {
        buf_clear(&f->notes[i]);
    }
    buf_clear(&f->message);
    mem_free(f);
    return 0;
}

static void put(struct fixture *f, const struct signer *key, const struct span *notes, size_t count)
{
    struct err err;
    buf_reset(&f->message);
    assert_int_equal(note_exchange_put(&f->message, key, NOW, notes, count, &err), E_OK);
}

static enum err_code open_at(struct fixture *f, struct note_exchange *out, int64_t now_s)
{
    struct err err;
    return note_exchange_open(out, buf_span(&f->message), f->keys, 2, now_s, &err);
}

/* Signs whatever text as a message. */
static void sign(struct fixture *f, const char *text)
{
    buf_reset(&f->message);
    keys_put_signed(&f->message, span_of_str(text), &f->ours, 0);
}

static void notes_come_out_as_they_went_in(void **state)
{
    struct fixture *f = *state;
    struct note_exchange out;
    put(f, &f->ours, f->spans, 3);
    assert_int_equal(open_at(f, &out, NOW), E_OK);
    assert_int_equal(out.unix_s, NOW);
    assert_int_equal(out.sender, 1);
    assert_int_equal(out.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(span_is_equal(out.notes[i], f->spans[i]));
        assert_true(out.notes[i].data > f->message.data);
    }
    put(f, &f->theirs, NULL, 0);
    assert_int_equal(open_at(f, &out, NOW), E_OK);
    assert_int_equal(out.sender, 0);
    assert_int_equal(out.count, 0);
}

static void a_message_is_refused_outside_its_time(void **state)
{
    struct fixture *f = *state;
    struct note_exchange out = { .sender = 7 };
    put(f, &f->ours, f->spans, 1);
    assert_int_equal(open_at(f, &out, NOW + NOTE_EXCHANGE_SKEW_S + 1), E_DENIED);
    assert_int_equal(open_at(f, &out, NOW - NOTE_EXCHANGE_SKEW_S - 1), E_DENIED);
    assert_int_equal(open_at(f, &out, 0), E_DENIED);
    assert_int_equal(open_at(f, &out, INT64_MAX), E_DENIED);
    assert_int_equal(out.sender, 7);
    assert_int_equal(open_at(f, &out, NOW + NOTE_EXCHANGE_SKEW_S), E_OK);
    assert_int_equal(open_at(f, &out, NOW - NOTE_EXCHANGE_SKEW_S), E_OK);
}

static void strangers_are_refused(void **state)
{
    struct fixture *f = *state;
    struct signer stranger = keys_signer("monitor.example/ours", SIGNATURE_ED25519, "stranger");
    struct note_exchange out;
    struct err err;
    put(f, &stranger, f->spans, 1);
    assert_int_equal(open_at(f, &out, NOW), E_BAD_SIGNATURE);
    put(f, &f->ours, f->spans, 1);
    assert_int_equal(note_exchange_open(&out, buf_span(&f->message), NULL, 0, NOW, &err),
                     E_BAD_SIGNATURE);
    f->message.data[30] ^= 1; /* a digit of the time */
    assert_int_equal(open_at(f, &out, NOW), E_BAD_SIGNATURE);
    signer_clear(&stranger);
}

static void a_key_of_another_kind_is_no_monitors(void **state)
{
    struct fixture *f = *state;
    struct note_exchange out;
    struct err err;
    const struct vkey *keys[] = { &f->witness.vkey };
    char text[64];
    snprintf(text, sizeof text, "courtroll notes v1\n%d\n", NOW);
    buf_reset(&f->message);
    keys_put_signed(&f->message, span_of_str(text), &f->witness, NOW);
    assert_int_equal(note_exchange_open(&out, buf_span(&f->message), keys, 1, NOW, &err),
                     E_BAD_SIGNATURE);
}

static void a_key_that_was_configured_twice_is_one(void **state)
{
    struct fixture *f = *state;
    struct note_exchange out;
    struct err err;
    const struct vkey *keys[] = { &f->theirs.vkey, &f->ours.vkey, &f->ours.vkey };
    put(f, &f->ours, f->spans, 1);
    assert_int_equal(note_exchange_open(&out, buf_span(&f->message), keys, 3, NOW, &err), E_OK);
    assert_int_equal(out.sender, 1);
}

static void there_is_one_spelling(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {
        "courtroll notes v1\n",
        "courtroll notes v1\n01790000000\n",
        "courtroll notes v1\n+1790000000\n",
        "courtroll notes v1\n-1\n",
        "courtroll notes v1\n1790000000 \n",
        "courtroll notes v1\n18446744073709551616\n",
        "courtroll notes v2\n1790000000\n",
        "courtroll notes v1 \n1790000000\n",
        "courtroll notes v1\n1790000000\n\n",
        "courtroll notes v1\n1790000000\nnote 0\n",
        "courtroll notes v1\n1790000000\nnote 5\n",
        "courtroll notes v1\n1790000000\nnote 6\nhello\n",
        "courtroll notes v1\n1790000000\nnotes\n",
        "courtroll notes v1\n1790000000\nnote 99999999999999999999\n",
        "log.example/1\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    };
    struct note_exchange out;
    struct err err;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        sign(f, texts[i]);
        assert_int_equal(open_at(f, &out, NOW), E_MALFORMED);
        assert_int_equal(note_exchange_parse(&out, buf_span(&f->message), &err), E_MALFORMED);
    }
    sign(f, "courtroll notes v1\n1790000000\n");
    assert_int_equal(open_at(f, &out, NOW), E_OK);
}

static void a_second_signature_is_none_of_its_business(void **state)
{
    struct fixture *f = *state;
    struct note_exchange out;
    put(f, &f->ours, f->spans, 1);
    struct span text = span_slice(buf_span(&f->message), 0,
                                  span_find_last(buf_span(&f->message), span_of_str("\n\n")) + 1);
    struct buf copy = BUF_INIT(16384);
    buf_put(&copy, text);
    keys_put_signature(&f->message, buf_span(&copy), &f->theirs, 0);
    assert_int_equal(open_at(f, &out, NOW), E_MALFORMED);
    buf_clear(&copy);
}

static void only_checkpoint_notes_are_sent_and_taken(void **state)
{
    struct fixture *f = *state;
    struct note_exchange out;
    struct buf other = BUF_INIT(4096), text = BUF_INIT(16384);
    keys_put_signed(&other, span_of_str("courtroll promise v1\nlog.example/1\n"), &f->ours, 0);
    const struct span notes[] = { buf_span(&other), f->spans[0], span_of_str("junk"),
                                  span_of(NULL, 0), f->spans[1] };
    put(f, &f->ours, notes, 5);
    assert_int_equal(open_at(f, &out, NOW), E_OK);
    assert_int_equal(out.count, 2);
    assert_true(span_is_equal(out.notes[1], f->spans[1]));
    buf_putf(&text, "courtroll notes v1\n%d\nnote %zu\n", NOW, other.len);
    buf_put(&text, buf_span(&other));
    buf_reset(&f->message);
    keys_put_signed(&f->message, buf_span(&text), &f->ours, 0);
    assert_int_equal(open_at(f, &out, NOW), E_MALFORMED);
    buf_clear(&other);
    buf_clear(&text);
}

static void what_does_not_fit_is_left_out(void **state)
{
    struct fixture *f = *state;
    enum {
        MANY = 300
    };
    static struct note_exchange out;
    struct span notes[MANY];
    struct buf large = BUF_INIT(NOTE_EXCHANGE_NOTE_MAX), text = BUF_INIT(NOTE_EXCHANGE_NOTE_MAX);
    for (size_t i = 0; i < MANY; i++) {
        notes[i] = f->spans[i % 3];
    }
    put(f, &f->ours, notes, MANY);
    assert_int_equal(open_at(f, &out, NOW), E_OK);
    assert_int_equal(out.count, NOTE_EXCHANGE_MAX);
    struct hash root = { { 1 } };
    buf_put_str(&text, "log.example/1\n7\n");
    base64_put_hash(&text, &root);
    buf_put_u8(&text, '\n');
    while (text.len < NOTE_EXCHANGE_NOTE_MAX - 1024) {
        buf_put_str(&text, "an extension line of a log that has much to say\n");
    }
    keys_put_signed(&large, buf_span(&text), &f->log.signer, 0);
    for (size_t i = 0; i < MANY; i++) {
        notes[i] = i == 40 ? f->spans[0] : buf_span(&large);
    }
    put(f, &f->ours, notes, MANY);
    assert_true(f->message.len <= NOTE_EXCHANGE_BYTES_MAX);
    assert_int_equal(open_at(f, &out, NOW), E_OK);
    assert_true(out.count > 10 && out.count < 20);
    assert_true(span_is_equal(out.notes[out.count - 1], f->spans[0])); /* there was room for it */
    buf_clear(&large);
    buf_clear(&text);
}

static void the_form_can_be_read_without_a_key(void **state)
{
    struct fixture *f = *state;
    struct note_exchange out;
    struct err err;
    put(f, &f->theirs, f->spans, 2);
    assert_int_equal(note_exchange_parse(&out, buf_span(&f->message), &err), E_OK);
    assert_int_equal(out.count, 2);
    assert_int_equal(out.sender, SIZE_MAX);
    assert_int_equal(note_exchange_parse(&out, span_of(f->message.data, f->message.len - 1), &err),
                     E_MALFORMED);
    assert_int_equal(note_exchange_parse(&out, span_of(NULL, 0), &err), E_MALFORMED);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(notes_come_out_as_they_went_in),
        CASE(a_message_is_refused_outside_its_time),
        CASE(strangers_are_refused),
        CASE(a_key_of_another_kind_is_no_monitors),
        CASE(a_key_that_was_configured_twice_is_one),
        CASE(there_is_one_spelling),
        CASE(a_second_signature_is_none_of_its_business),
        CASE(only_checkpoint_notes_are_sent_and_taken),
        CASE(what_does_not_fit_is_left_out),
        CASE(the_form_can_be_read_without_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
