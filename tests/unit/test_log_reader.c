/* Reading a log that nobody need trust: log_address, log_reader, tile_reader, log_fetch. */
#include "base/alloc.h"
#include "client/log_fetch.h"
#include "client/log_reader.h"
#include "client/tile_reader.h"
#include "store/tile_source.h"
#include "tests/support/files.h"
#include "tests/support/log_dir.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char *temp;
    struct log_dir log;
    struct log_address address;
    struct log_reader *reader;
};

static void make(struct fixture *fixture, uint64_t size)
{
    struct err err;
    fixture->temp = files_make_temp_dir();
    char *path = files_join(fixture->temp, "log");
    log_dir_make(&fixture->log, path, size);
    fixture->address.kind = LOG_ADDRESS_DIRECTORY;
    snprintf(fixture->address.target, sizeof fixture->address.target, "%s", path);
    assert_int_equal(log_reader_open(&fixture->reader, &fixture->address, &err), E_OK);
    free(path);
}

static void drop(struct fixture *fixture)
{
    log_reader_close(fixture->reader);
    log_dir_clear(&fixture->log);
    files_remove_tree(fixture->temp);
}

static void remove_file(const struct fixture *fixture, const char *name)
{
    char *path = files_join(fixture->log.path, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void flip(const struct fixture *fixture, const char *name, size_t at)
{
    struct err err;
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    assert_int_equal(log_reader_get(fixture->reader, name, &bytes, &err), E_OK);
    bytes.data[at] ^= 1;
    log_dir_write(&fixture->log, name, buf_span(&bytes));
    buf_clear(&bytes);
}

static enum err_code open_tiles(struct fixture *fixture, struct tile_reader **tiles,
                                struct err *err)
{
    return tile_reader_open(tiles, fixture->reader, fixture->log.checkpoint.size,
                            &fixture->log.checkpoint.root, err);
}

static struct hash leaf_of(uint64_t index)
{
    struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
    log_dir_put_entry(&entry, index);
    struct hash leaf = merkle_leaf_hash(buf_span(&entry));
    buf_clear(&entry);
    return leaf;
}

static void addresses_are_read_as_documented(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum log_address_kind kind;
        const char *target;
    } good[] = {
        { "http://a", LOG_ADDRESS_HTTP, "http://a" },
        { "https://a.example:1/b/c/", LOG_ADDRESS_HTTP, "https://a.example:1/b/c" },
        { "localhost:6963", LOG_ADDRESS_GRPC, "localhost:6963" },
        { "[::1]:1", LOG_ADDRESS_GRPC, "[::1]:1" },
        { "grpc://a:65535", LOG_ADDRESS_GRPC, "a:65535" },
        { "unix:/run/logd", LOG_ADDRESS_GRPC, "unix:/run/logd" },
        { "file:a/b", LOG_ADDRESS_DIRECTORY, "a/b" },
    };
    static const char *const bad[] = { "",        "a",           "a:",    "a:0",    "a:65536",
                                       "a:1x",    ":1",          "a/b:1", "unix:",  "file:",
                                       "ftp://a", "a:000000001", "grpc",  "/a/b/c", "grpc://" };
    struct log_address address;
    struct err err;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(log_address_parse(&address, good[i].text, &err), E_OK);
        assert_int_equal(address.kind, good[i].kind);
        assert_string_equal(address.target, good[i].target);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(log_address_parse(&address, bad[i], &err), E_MALFORMED);
    }
}

static void a_partial_tile_that_is_gone_comes_from_the_full_one(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    struct buf partial = BUF_INIT(BUNDLE_BYTES_MAX);
    struct buf cut = BUF_INIT(BUNDLE_BYTES_MAX);
    make(&fixture, 300);
    static const struct tile_path paths[] = { { true, { 0, 1 }, 44 }, { false, { 0, 1 }, 44 } };
    struct buf *outs[] = { &partial, &cut };
    for (int after = 0; after < 2; after++) {
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(log_reader_get_tile(fixture.reader, &paths[i], outs[after], &err),
                             E_OK);
        }
        if (after == 0) {
            log_dir_grow(&fixture.log, 512);
            remove_file(&fixture, "tile/entries/001.p/44");
            remove_file(&fixture, "tile/0/001.p/44");
        }
    }
    assert_true(span_is_equal(buf_span(&partial), buf_span(&cut)));
    struct tile_path wider = { true, { 0, 2 }, 5 };
    assert_int_equal(log_reader_get_tile(fixture.reader, &wider, &cut, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "tile/entries/002.p/5"));
    buf_clear(&partial);
    buf_clear(&cut);
    drop(&fixture);
}

static void a_file_of_the_wrong_length_is_malformed(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    struct buf out = BUF_INIT(BUNDLE_BYTES_MAX);
    make(&fixture, 256);
    static const struct tile_path tile = { false, { 0, 0 }, 256 };
    static const struct tile_path bundle = { true, { 0, 0 }, 256 };
    uint8_t zeros[TILE_BYTES + 1] = { 0 };
    for (size_t len = 0; len <= sizeof zeros; len += len < 40 ? 1 : 31) {
        bool is_right = len == TILE_BYTES;
        log_dir_write(&fixture.log, "tile/0/000", span_of(zeros, len));
        buf_reset(&out);
        assert_int_equal(log_reader_get_tile(fixture.reader, &tile, &out, &err),
                         is_right ? E_OK : E_MALFORMED);
        assert_int_equal(out.len, is_right ? TILE_BYTES : 0);
        log_dir_write(&fixture.log, "tile/entries/000", span_of(zeros, len));
        buf_reset(&out);
        assert_int_equal(log_reader_get_tile(fixture.reader, &bundle, &out, &err),
                         len == 512 ? E_OK : E_MALFORMED);
    }
    buf_clear(&out);
    drop(&fixture);
}

static void every_entry_is_proved_from_tiles(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 1, 2, 3, 7, 255, 256, 257, 600 };
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct fixture fixture;
        struct tile_reader *tiles = NULL;
        struct err err;
        make(&fixture, sizes[s]);
        assert_int_equal(open_tiles(&fixture, &tiles, &err), E_OK);
        struct merkle_source source = tile_reader_source(tiles);
        for (uint64_t i = 0; i < sizes[s]; i++) {
            struct proof proof;
            struct hash leaf = leaf_of(i);
            assert_int_equal(proof_make_inclusion(&proof, &source, i, sizes[s], &err), E_OK);
            assert_int_equal(proof_verify_inclusion(&proof, i, sizes[s], &leaf,
                                                    &fixture.log.checkpoint.root, &err),
                             E_OK);
        }
        tile_reader_close(tiles);
        drop(&fixture);
    }
}

/* Entries high and low in a tree of three tile levels; more full tiles than the cache has room for. */
static void a_tall_tree_is_read_from_top_to_bottom(void **state)
{
    (void)state;
    const uint64_t size = 2 * 65536 + 300;
    struct fixture fixture;
    struct tile_reader *tiles = NULL;
    struct err err;
    make(&fixture, size);
    assert_int_equal(open_tiles(&fixture, &tiles, &err), E_OK);
    struct merkle_source source = tile_reader_source(tiles);
    for (uint64_t i = 0; i < size; i += 997) {
        struct proof proof;
        struct hash leaf = leaf_of(i);
        assert_int_equal(proof_make_inclusion(&proof, &source, i, size, &err), E_OK);
        assert_int_equal(proof_verify_inclusion(&proof, i, size, &leaf,
                                                &fixture.log.checkpoint.root, &err),
                         E_OK);
    }
    tile_reader_close(tiles);
    flip(&fixture, "tile/1/000", 99 * HASH_BYTES);
    assert_int_equal(open_tiles(&fixture, &tiles, &err), E_OK);
    const struct hash *hashes = NULL;
    assert_int_equal(tile_reader_get(tiles, (struct tile_id){ 0, 3 }, &hashes, &err), E_CORRUPT);
    assert_non_null(strstr(err.msg, "tile/1/000"));
    assert_int_equal(tile_reader_get(tiles, (struct tile_id){ 0, 300 }, &hashes, &err), E_OK);
    tile_reader_close(tiles);
    drop(&fixture);
}

/* Each hash of each tile, and each entry: a flipped bit never gets through. */
static void a_flipped_bit_is_never_believed(void **state)
{
    (void)state;
    struct fixture fixture;
    struct tile_reader *tiles = NULL;
    const struct hash *hashes = NULL;
    struct err err;
    make(&fixture, 520);
    static const char *const edge[] = { "tile/0/002.p/8", "tile/1/000.p/2" };
    static const size_t edge_bytes[] = { 8 * HASH_BYTES, 2 * HASH_BYTES };
    for (size_t f = 0; f < 2; f++) {
        for (size_t at = 0; at < edge_bytes[f]; at += 5) {
            flip(&fixture, edge[f], at);
            assert_int_equal(open_tiles(&fixture, &tiles, &err), E_CORRUPT);
            flip(&fixture, edge[f], at);
        }
    }
    for (size_t at = 0; at < TILE_BYTES; at += 31) {
        flip(&fixture, "tile/0/001", at);
        assert_int_equal(open_tiles(&fixture, &tiles, &err), E_OK);
        assert_int_equal(tile_reader_get(tiles, (struct tile_id){ 0, 1 }, &hashes, &err),
                         E_CORRUPT);
        assert_non_null(strstr(err.msg, "tile/0/001"));
        flip(&fixture, "tile/0/001", at);
        assert_int_equal(tile_reader_get(tiles, (struct tile_id){ 0, 1 }, &hashes, &err), E_OK);
        tile_reader_close(tiles);
    }
    assert_int_equal(open_tiles(&fixture, &tiles, &err), E_OK);
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    assert_int_equal(tile_reader_get_bundle(tiles, 1, &bundle, &err), E_OK);
    size_t len = bundle.len;
    for (size_t at = 0; at < len; at += 501) {
        flip(&fixture, "tile/entries/001", at);
        buf_reset(&bundle);
        enum err_code rc = tile_reader_get_bundle(tiles, 1, &bundle, &err);
        assert_true(rc == E_CORRUPT || rc == E_MALFORMED);
        assert_int_equal(bundle.len, 0);
        flip(&fixture, "tile/entries/001", at);
    }
    buf_clear(&bundle);
    tile_reader_close(tiles);
    drop(&fixture);
}

static void an_entry_is_found_by_its_leaf_hash(void **state)
{
    (void)state;
    static const uint64_t wanted[] = { 0, 1, 255, 256, 511, 512, 599 };
    struct fixture fixture;
    struct err err;
    struct proof proof;
    make(&fixture, 600);
    const struct checkpoint *checkpoint = &fixture.log.checkpoint;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct log_fetch_entry entry = { .has_leaf = true, .leaf = leaf_of(wanted[i]) };
        assert_int_equal(log_fetch_proof(&fixture.address, checkpoint->size, &checkpoint->root,
                                         &entry, &proof, NULL, NULL, &err),
                         E_OK);
        struct hash found = leaf_of(entry.index);
        assert_true(hash_is_equal(&found, &entry.leaf));
    }
    struct log_fetch_entry none = { .has_leaf = true };
    assert_int_equal(log_fetch_proof(&fixture.address, checkpoint->size, &checkpoint->root, &none,
                                     &proof, NULL, NULL, &err),
                     E_NOT_FOUND);
    struct log_fetch_entry past = { .index = 600 };
    assert_int_equal(log_fetch_proof(&fixture.address, checkpoint->size, &checkpoint->root, &past,
                                     &proof, NULL, NULL, &err),
                     E_NOT_FOUND);
    remove_file(&fixture, "tile/0/001"); /* a lost tile is another matter than no such entry */
    assert_int_equal(log_fetch_proof(&fixture.address, checkpoint->size, &checkpoint->root, &none,
                                     &proof, NULL, NULL, &err),
                     E_IO);
    drop(&fixture);
}

static void a_directory_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    struct log_address address = { .kind = LOG_ADDRESS_DIRECTORY, .target = "/nowhere/at/all" };
    struct log_reader *reader = NULL;
    struct err err;
    assert_int_equal(log_reader_open(&reader, &address, &err), E_NOT_FOUND);
    address.kind = LOG_ADDRESS_GRPC;
    assert_int_equal(log_reader_open(&reader, &address, &err), E_UNSUPPORTED);
    assert_null(reader);
}

/* Every older size, with its first, a middle and its last entry. */
static void older_trees_are_proved_from_the_tiles_of_a_newer_one(void **state)
{
    (void)state;
    enum {
        SIZE = 600
    };
    struct fixture fixture;
    struct err err;
    make(&fixture, SIZE);
    struct compact_range range;
    compact_range_init(&range);
    for (uint64_t size = 1; size < SIZE; size++) {
        struct hash leaf = leaf_of(size - 1);
        compact_range_append(&range, &leaf, NULL, NULL);
        struct hash expected = compact_range_root(&range);
        if (size % 7 != 0 && size % 256 > 1) {
            continue;
        }
        const uint64_t indices[] = { 0, size / 2, size - 1 };
        for (size_t i = 0; i < 3; i++) {
            struct log_fetch_older older = { .size = size };
            assert_int_equal(log_fetch_older(&fixture.address, SIZE, &fixture.log.checkpoint.root,
                                             indices[i], &older, &err),
                             E_OK);
            struct hash entry = leaf_of(indices[i]);
            assert_true(hash_is_equal(&older.root, &expected));
            assert_int_equal(proof_verify_inclusion(&older.inclusion, indices[i], size, &entry,
                                                    &expected, &err),
                             E_OK);
            assert_int_equal(proof_verify_consistency(&older.consistency, size, SIZE, &expected,
                                                      &fixture.log.checkpoint.root, &err),
                             E_OK);
        }
    }
    drop(&fixture);
}

static int64_t monotonic_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

/* The kernel takes the connection, and nobody ever answers. */
static void a_server_that_hangs_is_waited_for_as_long_as_was_said(void **state)
{
    (void)state;
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    struct log_address address = { .kind = LOG_ADDRESS_HTTP };
    snprintf(address.target, sizeof address.target, "http://127.0.0.1:%d", ntohs(at.sin_port));
    struct log_reader *reader = NULL;
    struct err err;
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    assert_int_equal(log_reader_open_within(&reader, &address, 150, 2, &err), E_OK);
    int64_t began = monotonic_ms();
    assert_int_equal(log_reader_checkpoint(reader, &note, &err), E_TIMEOUT);
    assert_in_range(monotonic_ms() - began, 300, 5000); /* two tries, and not the default's */
    log_reader_close(reader);
    buf_clear(&note);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_as_documented),
        cmocka_unit_test(a_partial_tile_that_is_gone_comes_from_the_full_one),
        cmocka_unit_test(a_file_of_the_wrong_length_is_malformed),
        cmocka_unit_test(every_entry_is_proved_from_tiles),
        cmocka_unit_test(a_tall_tree_is_read_from_top_to_bottom),
        cmocka_unit_test(a_flipped_bit_is_never_believed),
        cmocka_unit_test(an_entry_is_found_by_its_leaf_hash),
        cmocka_unit_test(a_directory_that_is_not_there_is_not_found),
        cmocka_unit_test(a_server_that_hangs_is_waited_for_as_long_as_was_said),
        cmocka_unit_test(older_trees_are_proved_from_the_tiles_of_a_newer_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
