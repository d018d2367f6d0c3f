#include "base/alloc.h"
#include "tests/support/shared.h"
#include "tests/support/vectors.h"
#include "tlog/bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_hash_equal(a, b) assert_memory_equal((a)->bytes, (b)->bytes, HASH_BYTES)

/* Entry i of the test bundles: i % 7 bytes, so that some are empty. */
static struct span entry_of(size_t i)
{
    static const uint8_t bytes[] = "abcdefg";
    return span_of(bytes, i % 7);
}

static void put_entries(struct buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bundle_put_entry(out, entry_of(i));
    }
}

static void entries_round_trip_at_every_width(void **state)
{
    (void)state;
    for (uint16_t width = 1; width <= TILE_WIDTH; width++) {
        struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
        put_entries(&bundle, width);
        struct span rest = buf_span(&bundle), entry;
        struct hash leaves[TILE_WIDTH];
        struct err err;
        assert_int_equal(bundle_leaf_hashes(leaves, rest, width, &err), E_OK);
        for (uint16_t i = 0; i < width; i++) {
            assert_int_equal(bundle_entry(&entry, buf_span(&bundle), i, &err), E_OK);
            assert_true(span_is_equal(entry, entry_of(i)));
            assert_true(bundle_take_entry(&rest, &entry));
            assert_true(span_is_equal(entry, entry_of(i)));
            struct hash leaf = merkle_leaf_hash(entry_of(i));
            assert_hash_equal(&leaves[i], &leaf);
        }
        assert_int_equal(rest.len, 0);
        assert_false(bundle_take_entry(&rest, &entry));
        assert_int_equal(bundle_entry(&entry, buf_span(&bundle), width, &err), E_MALFORMED);
        buf_clear(&bundle);
    }
}

static void the_largest_bundle_fits(void **state)
{
    (void)state;
    uint8_t *bytes = mem_calloc(1, ENTRY_BYTES_MAX);
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    for (int i = 0; i < TILE_WIDTH; i++) {
        bundle_put_entry(&bundle, span_of(bytes, ENTRY_BYTES_MAX));
    }
    assert_int_equal(bundle.len, BUNDLE_BYTES_MAX);
    struct hash *leaves = mem_calloc(TILE_WIDTH, sizeof *leaves);
    struct err err;
    assert_int_equal(bundle_leaf_hashes(leaves, buf_span(&bundle), TILE_WIDTH, &err), E_OK);
    struct hash leaf = merkle_leaf_hash(span_of(bytes, ENTRY_BYTES_MAX));
    assert_hash_equal(&leaves[TILE_WIDTH - 1], &leaf);
    mem_free(leaves);
    buf_clear(&bundle);
    mem_free(bytes);
}

static void assert_hashes_rejected(struct span bundle, uint16_t width, const char *words)
{
    struct hash leaves[TILE_WIDTH] = { 0 };
    struct hash untouched[TILE_WIDTH] = { 0 };
    struct err err;
    assert_int_equal(bundle_leaf_hashes(leaves, bundle, width, &err), E_MALFORMED);
    assert_memory_equal(leaves, untouched, sizeof leaves);
    if (words != NULL && strstr(err.msg, words) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", words, err.msg);
    }
}

static void a_bundle_has_exactly_as_many_entries_as_its_width(void **state)
{
    (void)state;
    for (uint16_t count = 0; count <= TILE_WIDTH; count++) {
        struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
        put_entries(&bundle, count);
        for (uint16_t width = 1; width <= TILE_WIDTH; width = (uint16_t)(width + 5)) {
            if (width != count) {
                char words[32];
                snprintf(words, sizeof words, "entry %d", width < count ? width : count);
                assert_hashes_rejected(buf_span(&bundle), width, words);
            }
        }
        buf_clear(&bundle);
    }
}

static void every_truncation_and_extension_is_rejected(void **state)
{
    (void)state;
    enum {
        WIDTH = 60
    };
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    put_entries(&bundle, WIDTH);
    for (size_t len = 0; len < bundle.len; len++) {
        uint8_t *cut = mem_alloc(len + 1); /* no byte more, for AddressSanitizer to watch */
        memcpy(cut + 1, bundle.data, len);
        assert_hashes_rejected(span_of(cut + 1, len), WIDTH, NULL);
        mem_free(cut);
    }
    for (int i = 0; i < 3; i++) {
        buf_put_u8(&bundle, 0);
        assert_hashes_rejected(buf_span(&bundle), WIDTH, "entry 60");
    }
    buf_clear(&bundle);
}

static void an_entry_longer_than_the_bundle_is_not_taken(void **state)
{
    (void)state;
    static const uint8_t bytes[] = { 0xff, 0xff, 1, 2, 3 };
    struct span in = SPAN_OF_ARRAY(bytes), entry;
    assert_false(bundle_take_entry(&in, &entry));
    assert_int_equal(in.len, sizeof bytes);
    in.len = 1;
    assert_false(bundle_take_entry(&in, &entry));
    assert_int_equal(in.len, 1);
    in = span_of(NULL, 0);
    assert_false(bundle_take_entry(&in, &entry));
}

static void a_prefix_is_the_partial_bundle(void **state)
{
    (void)state;
    struct buf full = BUF_INIT(BUNDLE_BYTES_MAX);
    put_entries(&full, TILE_WIDTH);
    for (uint16_t width = 0; width <= TILE_WIDTH; width++) {
        struct buf partial = BUF_INIT(BUNDLE_BYTES_MAX);
        put_entries(&partial, width);
        struct span prefix = { NULL, 99 };
        struct err err;
        assert_int_equal(bundle_prefix(&prefix, buf_span(&full), width, &err), E_OK);
        assert_true(span_is_equal(prefix, buf_span(&partial)));
        if (width > 0) {
            assert_int_equal(bundle_prefix(&prefix, buf_span(&partial), width, &err), E_OK);
            prefix.len = 99;
            assert_int_equal(bundle_prefix(&prefix, buf_span(&partial), (uint16_t)(width + 1),
                                           &err),
                             E_MALFORMED);
            assert_int_equal(prefix.len, 99);
            assert_int_equal(bundle_entry(&prefix, buf_span(&partial), width, &err), E_MALFORMED);
            assert_int_equal(prefix.len, 99);
        }
        buf_clear(&partial);
    }
    buf_clear(&full);
}

static void the_bundle_of_256_records_is_that_of_the_vector(void **state)
{
    (void)state;
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    for (int i = 0; i < TILE_WIDTH; i++) {
        char entry[16];
        snprintf(entry, sizeof entry, "record %d", i);
        bundle_put_entry(&bundle, span_of_str(entry));
    }
    assert_int_equal(bundle.len, 2962);
    struct hash found = sha256(buf_span(&bundle));
    struct hash expected =
        vectors_hash_str("985287e65b66e7b12f16d01217b32858b6a0f9dae6d00c0431d0db350087f638");
    assert_hash_equal(&found, &expected);
    buf_clear(&bundle);
}

/* "name = hex hex hex" -> the bytes. */
static void shared_bytes(struct buf *out, const char *name)
{
    struct span line = shared_lines(name, 1), word;
    line = span_slice(line, strlen(name), line.len - strlen(name));
    assert_true(vectors_take_word(&line, &word));
    assert_true(span_is_str(word, "="));
    while (vectors_take_word(&line, &word)) {
        struct err err;
        assert_int_equal(hex_decode(buf_extend(out, word.len / 2), word.len / 2, word, &err), E_OK);
    }
}

static void the_shared_bundle_hashes_to_the_shared_tile(void **state)
{
    (void)state;
    struct buf bundle = BUF_INIT(4096), tile = BUF_INIT(4096), made = BUF_INIT(4096);
    shared_bytes(&bundle, "tile/entries/000.p/3");
    shared_bytes(&tile, "tile/0/000.p/3");
    struct hash leaves[3];
    struct err err;
    assert_int_equal(bundle_leaf_hashes(leaves, buf_span(&bundle), 3, &err), E_OK);
    assert_true(span_is_equal(SPAN_OF_ARRAY(leaves), buf_span(&tile)));

    struct span words = shared_lines("entries: one", 1), word;
    vectors_take_word(&words, &word);
    for (int i = 0; i < 3; i++) {
        assert_true(vectors_take_word(&words, &word));
        bundle_put_entry(&made, word);
    }
    assert_true(span_is_equal(buf_span(&made), buf_span(&bundle)));
    buf_clear(&bundle);
    buf_clear(&tile);
    buf_clear(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_round_trip_at_every_width),
        cmocka_unit_test(the_largest_bundle_fits),
        cmocka_unit_test(a_bundle_has_exactly_as_many_entries_as_its_width),
        cmocka_unit_test(every_truncation_and_extension_is_rejected),
        cmocka_unit_test(an_entry_longer_than_the_bundle_is_not_taken),
        cmocka_unit_test(a_prefix_is_the_partial_bundle),
        cmocka_unit_test(the_bundle_of_256_records_is_that_of_the_vector),
        cmocka_unit_test(the_shared_bundle_hashes_to_the_shared_tile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
