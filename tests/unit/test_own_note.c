#include "base/ascii.h"
#include "logd/own_note.h"
#include "tests/support/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    SIZE = 37,   /* of the tree at hand */
    DURABLE = 50 /* of what we have */
};

static struct signer ours, other;
static struct hash leaves[64];
static bool is_broken; /* the source fails */

static struct hash root_of(uint64_t size)
{
    struct compact_range range;
    compact_range_init(&range);
    for (uint64_t i = 0; i < size; i++) {
        compact_range_append(&range, &leaves[i], NULL, NULL);
    }
    return compact_range_root(&range);
}

static struct hash node_of(uint8_t level, uint64_t index)
{
    if (level == 0) {
        return leaves[index];
    }
    struct hash left = node_of(level - 1, 2 * index), right = node_of(level - 1, 2 * index + 1);
    return merkle_node_hash(&left, &right);
}

static enum err_code get(void *ctx, struct merkle_node node, struct hash *out, struct err *err)
{
    (void)ctx;
    if (is_broken) {
        return err_set(err, E_CORRUPT, "broken");
    }
    *out = node_of(node.level, node.index);
    return E_OK;
}

static int set_up(void **state)
{
    (void)state;
    ours = keys_signer("log.example/test", SIGNATURE_ED25519, "ours");
    other = keys_signer("log.example/test", SIGNATURE_ED25519, "other");
    for (size_t i = 0; i < 64; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "%zu", i);
        leaves[i] = merkle_leaf_hash(span_of(text, (size_t)len));
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    signer_clear(&ours);
    signer_clear(&other);
    return 0;
}

static enum err_code compare(enum own_note_verdict *verdict, const char *origin, uint64_t size,
                             struct hash root, const struct signer *signer)
{
    struct checkpoint checkpoint = { .size = size, .root = root }, seen;
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX), note = BUF_INIT(NOTE_BYTES_MAX);
    struct own_tree tree = {
        .log = &ours.vkey, .source = { .get = get }, .size = SIZE, .durable = DURABLE
    };
    struct err err;
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", origin);
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(&note, buf_span(&text), signer, 0);
    enum err_code rc = own_note_compare(verdict, &seen, &tree, buf_span(&note), &err);
    if (rc == E_OK && *verdict != OWN_NOTE_FOREIGN) {
        assert_true(checkpoint_is_equal(&seen, &checkpoint));
    }
    buf_clear(&text);
    buf_clear(&note);
    return rc;
}

static enum own_note_verdict verdict_on(uint64_t size, struct hash root)
{
    enum own_note_verdict verdict;
    assert_int_equal(compare(&verdict, "log.example/test", size, root, &ours), E_OK);
    return verdict;
}

/* Every size up to what is durable, and beyond, with the right root and with another. */
static void own_note_compares_every_size(void **state)
{
    (void)state;
    for (uint64_t size = 0; size < 60; size++) {
        struct hash root = root_of(size), wrong = root;
        wrong.bytes[31] ^= 1;
        if (size <= SIZE) {
            assert_int_equal(verdict_on(size, root), OWN_NOTE_AGREES);
            if (size > 0) { /* size 0 has one root, or the text is no checkpoint */
                assert_int_equal(verdict_on(size, wrong), OWN_NOTE_CONTRADICTS);
            }
        } else {
            enum own_note_verdict expected =
                size <= DURABLE ? OWN_NOTE_AHEAD : OWN_NOTE_CONTRADICTS;
            assert_int_equal(verdict_on(size, root), expected);
            assert_int_equal(verdict_on(size, wrong), expected);
        }
    }
    assert_int_equal(verdict_on(SIZE_VALUE_MAX, root_of(3)), OWN_NOTE_CONTRADICTS);
}

static void own_note_takes_nothing_that_is_not_under_our_key(void **state)
{
    (void)state;
    enum own_note_verdict verdict = OWN_NOTE_AGREES;
    struct hash wrong = root_of(3);
    assert_int_equal(compare(&verdict, "log.example/test", 1000, wrong, &other), E_OK);
    assert_int_equal(verdict, OWN_NOTE_FOREIGN);
    assert_int_equal(compare(&verdict, "log.example/other", 1000, wrong, &ours), E_OK);
    assert_int_equal(verdict, OWN_NOTE_FOREIGN);
    static const char *const garbage[] = { "", "\n\n", "log.example/test\n9\n\n", "\xff" };
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        struct own_tree tree = {
            .log = &ours.vkey, .source = { .get = get }, .size = SIZE, .durable = DURABLE
        };
        struct checkpoint seen;
        struct err err;
        verdict = OWN_NOTE_CONTRADICTS;
        assert_int_equal(own_note_compare(&verdict, &seen, &tree, span_of_str(garbage[i]), &err),
                         E_OK);
        assert_int_equal(verdict, OWN_NOTE_FOREIGN);
    }
}

static void own_note_accuses_nobody_when_our_tiles_cannot_be_read(void **state)
{
    (void)state;
    enum own_note_verdict verdict = OWN_NOTE_AGREES;
    is_broken = true;
    assert_int_equal(compare(&verdict, "log.example/test", 3, root_of(4), &ours), E_CORRUPT);
    assert_int_equal(verdict, OWN_NOTE_AGREES);
    is_broken = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_note_compares_every_size),
        cmocka_unit_test(own_note_takes_nothing_that_is_not_under_our_key),
        cmocka_unit_test(own_note_accuses_nobody_when_our_tiles_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
