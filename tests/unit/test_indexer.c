#include "base/alloc.h"
#include "base/log.h"
#include "logd/indexer.h"
#include "store/index.h"
#include "store/tile_source.h"
#include "store/tiles_memory.h"
#include "tests/support/files.h"
#include "tests/support/tagged_entries.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    WAIT_MS = 60 * 1000,
    FILE_BYTES_MAX = 100 * 1024
};

static char *root_dir;
static char *dir;
static struct tiles_memory_disk *disk;
static struct tiles *tiles;
static struct indexer *indexer;
static struct err err;
static _Atomic uint64_t indexed;
static _Atomic bool is_damaged;

static struct hash leaf_of(uint64_t number)
{
    return sha256(span_of(&number, sizeof number));
}

static void on_indexed(void *ctx, uint64_t size)
{
    (void)ctx;
    indexed = size;
}

static void on_damaged(void *ctx, const struct err *why)
{
    (void)ctx;
    (void)why;
    is_damaged = true;
}

static int setup(void **state)
{
    (void)state;
    root_dir = files_make_temp_dir();
    dir = files_join(root_dir, "index");
    disk = tiles_memory_disk_new();
    tiles = tiles_memory_open(disk);
    indexer = NULL;
    indexed = 0;
    is_damaged = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    indexer_stop(indexer);
    tiles_close(tiles);
    tiles_memory_disk_free(disk);
    free(dir);
    files_remove_tree(root_dir);
    return 0;
}

/* Level-0 tiles of entries [0, size). */
static void write_tiles(uint64_t size)
{
    for (uint64_t i = 0; i < size / TILE_WIDTH; i++) {
        struct hash hashes[TILE_WIDTH];
        char path[64];
        for (uint64_t j = 0; j < TILE_WIDTH; j++) {
            hashes[j] = leaf_of(i * TILE_WIDTH + j);
        }
        snprintf(path, sizeof path, "tile/0/%03llu", (unsigned long long)i);
        assert_int_equal(tiles_replace(tiles, path, SPAN_OF_ARRAY(hashes), &err), E_OK);
    }
}

static void start(uint64_t head)
{
    struct indexer_callbacks callbacks = { NULL, on_indexed, on_damaged };
    indexer = indexer_open(dir, tiles, false, head);
    indexer_start(indexer, head / TILE_WIDTH * TILE_WIDTH, &callbacks);
}

static void stop(void)
{
    indexer_stop(indexer);
    indexer = NULL;
    indexed = 0;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static void wait_ready(void)
{
    char reason[ERR_MSG_MAX];
    for (int ms = 0; ms < WAIT_MS && !indexer_is_ready(indexer, reason, sizeof reason); ms++) {
        pause_ms(1);
    }
    assert_true(indexer_is_ready(indexer, reason, sizeof reason));
}

static void wait_indexed(uint64_t size)
{
    for (int ms = 0; ms < WAIT_MS && indexed < size; ms++) {
        pause_ms(1);
    }
    assert_int_equal(indexed, size);
}

static void add_job(uint64_t first, size_t count)
{
    struct index_job *job = mem_alloc(sizeof *job + count * sizeof job->leaves[0]);
    *job = (struct index_job){ .first = first, .count = count };
    for (size_t i = 0; i < count; i++) {
        job->leaves[i] = leaf_of(first + i);
    }
    indexer_add(indexer, job);
}

static void assert_finds(uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        struct hash leaf = leaf_of(i);
        uint64_t index;
        assert_int_equal(indexer_find(indexer, &leaf, &index, &err), E_OK);
        assert_int_equal(index, i);
    }
}

static void assert_misses(uint64_t number)
{
    struct hash leaf = leaf_of(number);
    uint64_t index;
    assert_int_equal(indexer_find(indexer, &leaf, &index, &err), E_NOT_FOUND);
}

static void indexer_of_a_new_log_takes_jobs(void **state)
{
    (void)state;
    start(0);
    wait_ready();
    assert_misses(0);
    for (uint64_t first = 0; first < 1000; first += 100) {
        add_job(first, 100);
    }
    wait_indexed(1000);
    assert_finds(0, 1000);
    assert_misses(1000);
    assert_true(indexer_bytes_written(indexer) >= 16000);
}

static void indexer_catches_up_from_the_tiles(void **state)
{
    (void)state;
    write_tiles(1024);
    start(1024);
    wait_indexed(1024);
    assert_finds(0, 1024);
    add_job(1024, 50);
    wait_indexed(1074);
    assert_finds(1024, 1074);
}

/* The entries that no tile has yet come as the first job. */
static void indexer_goes_on_where_it_was(void **state)
{
    (void)state;
    write_tiles(512);
    start(512);
    wait_indexed(512);
    add_job(512, 100);
    wait_indexed(612);
    stop();
    write_tiles(1024);
    start(1024 + 50); /* covers 612 */
    assert_int_equal(indexer_covered(indexer) >= 612, true);
    wait_indexed(1024);
    add_job(1024, 50);
    wait_indexed(1074);
    stop();
    start(1074); /* covers more than the tiles: the job has nothing new */
    wait_ready();
    add_job(1024, 50);
    add_job(1074, 10);
    wait_indexed(1084);
    assert_finds(0, 1084);
}

static void indexer_that_was_stopped_early_catches_up(void **state)
{
    (void)state;
    write_tiles(256 * 200);
    for (size_t i = 0; i < 5; i++) {
        start(256 * 200);
        stop();
    }
    start(256 * 200);
    wait_indexed(256 * 200);
    assert_finds(0, 2000);
    assert_finds(256 * 200 - 1000, 256 * 200);
}

/* A backup was restored: what the index knows is of another history. */
static void indexer_that_knows_more_than_the_log_is_rebuilt(void **state)
{
    (void)state;
    start(0);
    add_job(0, 600);
    wait_indexed(600);
    stop();
    write_tiles(512);
    start(512);
    wait_indexed(512);
    assert_finds(0, 512);
    assert_misses(550);
}

static void indexer_that_does_not_open_is_rebuilt(void **state)
{
    (void)state;
    write_tiles(512);
    start(512);
    wait_indexed(512);
    stop();
    char *current = files_join(dir, "CURRENT");
    files_write(current, span_of_str("MANIFEST-999999\n"));
    free(current);
    start(512);
    wait_indexed(512);
    assert_finds(0, 512);
    assert_false(is_damaged);
}

/* A tile it needs is missing: it says so, and finds nothing rather than too little. */
static void indexer_without_its_tiles_is_unavailable(void **state)
{
    (void)state;
    write_tiles(512);
    struct hash leaf = leaf_of(0);
    uint64_t index;
    assert_int_equal(tiles_remove(tiles, "tile/0/001", &err), E_OK);
    start(512);
    char reason[ERR_MSG_MAX] = "";
    for (int ms = 0; ms < WAIT_MS && strstr(reason, "tile/0/001") == NULL; ms++) {
        assert_false(indexer_is_ready(indexer, reason, sizeof reason));
        pause_ms(1);
    }
    assert_non_null(strstr(reason, "tile/0/001"));
    assert_int_equal(indexer_find(indexer, &leaf, &index, &err), E_UNAVAILABLE);
    add_job(512, 10);
    assert_false(is_damaged);
    assert_int_equal(indexed, 0);
    write_tiles(512); /* it is stored, or repaired: no restart is needed */
    wait_indexed(522);
    assert_finds(0, 522);
}

static void set_file_limit(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A full disk at the start: reads are served meanwhile, and nothing but room is needed. */
static void indexer_that_could_not_be_opened_is_tried_again(void **state)
{
    (void)state;
    write_tiles(512);
    signal(SIGXFSZ, SIG_IGN);
    for (int is_new = 1; is_new >= 0; is_new--) {
        struct hash leaf = leaf_of(0);
        uint64_t index;
        char reason[ERR_MSG_MAX] = "";
        set_file_limit(0);
        start(512);
        assert_false(indexer_is_ready(indexer, reason, sizeof reason));
        assert_null(strstr(reason, "catching up"));
        assert_int_not_equal(strlen(reason), 0);
        assert_int_equal(indexer_find(indexer, &leaf, &index, &err), E_UNAVAILABLE);
        assert_int_equal(indexer_bytes_written(indexer), 0);
        set_file_limit(RLIM_INFINITY);
        wait_indexed(512);
        assert_finds(0, 512);
        stop();
    }
    set_file_limit(0);
    start(512);
    stop(); /* does not wait for room */
    set_file_limit(RLIM_INFINITY);
    assert_false(is_damaged);
}

/* Writing fails in the middle of catching up, and works again later. In between and after, it never
 * answers before it knows all that the tiles have. */
static void indexer_that_could_not_write_catches_up(void **state)
{
    (void)state;
    const uint64_t size = 256 * 900;
    write_tiles(size);
    signal(SIGXFSZ, SIG_IGN);
    set_file_limit(FILE_BYTES_MAX);
    start(size);
    char reason[ERR_MSG_MAX] = "";
    for (int ms = 0; ms < WAIT_MS && strstr(reason, "index") != reason; ms++) {
        assert_false(indexer_is_ready(indexer, reason, sizeof reason));
        pause_ms(1);
    }
    assert_int_equal(indexed, 0);
    set_file_limit(RLIM_INFINITY);
    wait_ready();
    assert_finds(size - 1, size);
    wait_indexed(size);
    assert_finds(0, 5000);
    assert_finds(size - 5000, size);
    assert_false(is_damaged);
}

static void indexer_stops_while_it_cannot_write(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    start(0);
    wait_ready();
    set_file_limit(FILE_BYTES_MAX);
    char reason[ERR_MSG_MAX];
    uint64_t first = 0;
    for (; first < 20000; first += 1000) {
        add_job(first, 1000);
    }
    for (int ms = 0; ms < WAIT_MS && indexer_is_ready(indexer, reason, sizeof reason); ms++) {
        pause_ms(1);
    }
    assert_false(indexer_is_ready(indexer, reason, sizeof reason));
    struct hash leaf = leaf_of(0);
    uint64_t index;
    assert_int_equal(indexer_find(indexer, &leaf, &index, &err), E_UNAVAILABLE);
    stop();
    set_file_limit(RLIM_INFINITY);
    start(0); /* covers some: more than this log has, so it is rebuilt */
    wait_ready();
    assert_misses(0);
}

/* The entries above the last full tile come as a job; of a time without deduplication one of them may
 * equal an earlier entry, which stays the one that is found. */
static void indexer_keeps_the_first_copy_of_what_it_found(void **state)
{
    (void)state;
    write_tiles(256);
    struct index_job *tail = mem_alloc(sizeof *tail + 2 * sizeof tail->leaves[0]);
    *tail = (struct index_job){ .first = 256, .count = 2 };
    tail->leaves[0] = leaf_of(10);
    tail->leaves[1] = leaf_of(257);
    start(258);
    indexer_add(indexer, tail);
    wait_indexed(258);
    assert_finds(0, 256);
    assert_finds(257, 258);
}

/* Of every table: the block with the smallest keys, which is not looked at when it is opened. */
static void damage_tables(void)
{
    static const uint8_t junk[64] = { 1 };
    DIR *stream = opendir(dir);
    assert_non_null(stream);
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        size_t len = strlen(entry->d_name);
        if (len < 4 || strcmp(entry->d_name + len - 4, ".ldb") != 0) {
            continue;
        }
        int fd = openat(dirfd(stream), entry->d_name, O_WRONLY);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, junk, sizeof junk, 100), sizeof junk);
        close(fd);
    }
    closedir(stream);
}

static void indexer_that_is_found_damaged_is_removed(void **state)
{
    (void)state;
    write_tiles(20 * 256);
    start(20 * 256);
    wait_indexed(20 * 256);
    stop();
    start(20 * 256); /* moves the log of the store into a table */
    wait_ready();
    stop();
    damage_tables();
    start(20 * 256);
    wait_ready();
    for (uint64_t i = 0; i < 20 * 256; i++) {
        struct hash leaf = leaf_of(i);
        uint64_t index;
        if (indexer_find(indexer, &leaf, &index, &err) != E_OK) {
            break;
        }
    }
    assert_int_equal(err.code, E_CORRUPT);
    for (int ms = 0; ms < WAIT_MS && !is_damaged; ms++) {
        pause_ms(1);
    }
    assert_true(is_damaged);
    stop();
    is_damaged = false;
    start(20 * 256);
    wait_indexed(20 * 256);
    assert_finds(0, 20 * 256);
    assert_false(is_damaged);
}

/* -- Facts -- */

/* Entry i of the log: every 50th registers a submitter, every 7th repeats a tag, as a log may that was opaque. */
static bool is_registration(uint64_t i)
{
    return i % 50 == 3;
}

static uint64_t tag_number(uint64_t i)
{
    return i % 7 == 0 && i > 0 && !is_registration(i - 1) ? i - 1 : i;
}

static void put_entry(struct buf *out, uint64_t i)
{
    buf_reset(out);
    if (is_registration(i)) {
        tagged_entries_put_registration(out, i);
    } else {
        tagged_entries_put(out, tag_number(i), i);
    }
}

static void store_resource(void *ctx, const struct tile_path *path, struct span bytes)
{
    (void)ctx;
    assert_int_equal(tiles_replace(tiles, tile_path_text(path).text, bytes, &err), E_OK);
}

/* The first `size` entries: full tiles and bundles are stored, the others are in the edge. */
static struct edge *make_log(uint64_t size)
{
    struct edge *edge = NEW(struct edge);
    edge_init(edge);
    struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
    for (uint64_t i = 0; i < size; i++) {
        put_entry(&entry, i);
        struct hash leaf = merkle_leaf_hash(buf_span(&entry));
        edge_append(edge, buf_span(&entry), &leaf, store_resource, NULL);
    }
    buf_clear(&entry);
    return edge;
}

static void open_with_facts(const struct edge *edge)
{
    struct indexer_callbacks callbacks = { NULL, on_indexed, on_damaged };
    uint64_t head = edge_size(edge);
    indexer = indexer_open(dir, tiles, true, head);
    indexer_add_tail(indexer, edge);
    indexer_start(indexer, head / TILE_WIDTH * TILE_WIDTH, &callbacks);
}

static void free_log(struct edge *edge)
{
    edge_clear(edge);
    mem_free(edge);
}

static enum err_code keep_registration(void *ctx, uint64_t index, struct err *e)
{
    (void)e;
    uint64_t *next = ctx;
    assert_int_equal(index, *next);
    *next += 50;
    return E_OK;
}

static void assert_knows_facts(uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        struct hash tag = tagged_entries_tag(i);
        uint64_t index;
        enum err_code rc = indexer_find_tag(indexer, &tag, &index, &err);
        assert_int_equal(rc, is_registration(i) || tag_number(i) != i ? E_NOT_FOUND : E_OK);
        assert_true(rc != E_OK || index == i);
    }
    uint64_t next = 3;
    assert_int_equal(indexer_scan_registrations(indexer, &next, keep_registration, &err), E_OK);
    assert_int_equal(next, 3 + (size + 46) / 50 * 50);
}

/* From bundles and the partial tile: all of it is known before the indexer answers anything. */
static void indexer_learns_facts_from_the_log(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 0, 1, 4, 256, 511, 600 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct edge *edge = make_log(sizes[i]);
        open_with_facts(edge);
        wait_ready();
        assert_knows_facts(sizes[i]);
        free_log(edge);
        stop();
    }
}

static void indexer_learns_facts_from_jobs(void **state)
{
    (void)state;
    struct edge *edge = make_log(0);
    open_with_facts(edge);
    struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
    for (uint64_t first = 0; first < 600; first += 60) {
        struct index_job *job = index_job_new(first, 60, true);
        for (uint64_t i = first; i < first + 60; i++) {
            put_entry(&entry, i);
            struct hash leaf = merkle_leaf_hash(buf_span(&entry));
            struct entry_facts facts = entry_facts_read(buf_span(&entry));
            index_job_add(job, &leaf, &facts);
        }
        indexer_add(indexer, job);
    }
    buf_clear(&entry);
    wait_indexed(600);
    uint64_t next = 3;
    assert_int_equal(indexer_scan_registrations(indexer, &next, keep_registration, &err), E_OK);
    assert_int_equal(next, 603);
    struct hash tag = tagged_entries_tag(599);
    uint64_t index;
    assert_int_equal(indexer_find_tag(indexer, &tag, &index, &err), E_OK);
    assert_int_equal(index, 599);
    free_log(edge);
}

static void indexer_made_for_opaque_entries_is_rebuilt_with_facts(void **state)
{
    (void)state;
    struct edge *edge = make_log(300);
    struct indexer_callbacks callbacks = { NULL, on_indexed, on_damaged };
    indexer = indexer_open(dir, tiles, false, 300);
    indexer_add_tail(indexer, edge);
    indexer_start(indexer, 256, &callbacks);
    wait_indexed(300);
    stop();
    open_with_facts(edge);
    wait_ready();
    assert_knows_facts(300);
    assert_false(is_damaged);
    free_log(edge);
}

/* Without the entries of the partial tile it would not know who may log. */
static void indexer_with_facts_answers_only_when_it_has_the_tail(void **state)
{
    (void)state;
    struct edge *edge = make_log(300);
    struct indexer_callbacks callbacks = { NULL, on_indexed, on_damaged };
    indexer = indexer_open(dir, tiles, true, 300);
    indexer_start(indexer, 256, &callbacks);
    wait_indexed(256);
    char reason[ERR_MSG_MAX];
    assert_false(indexer_is_ready(indexer, reason, sizeof reason));
    struct hash tag = tagged_entries_tag(1);
    uint64_t index = 0;
    assert_int_equal(indexer_find_tag(indexer, &tag, &index, &err), E_UNAVAILABLE);
    assert_int_equal(indexer_scan_registrations(indexer, &index, keep_registration, &err),
                     E_UNAVAILABLE);
    indexer_add_tail(indexer, edge);
    wait_ready();
    assert_knows_facts(300);
    free_log(edge);
}

/* A bundle that is not what the tile says is not read for tags, but waited for. */
static void indexer_waits_for_the_bundle_that_its_tile_says(void **state)
{
    (void)state;
    struct edge *edge = make_log(512);
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    assert_int_equal(tiles_read(tiles, "tile/entries/001", &bundle, &err), E_OK);
    size_t middle = bundle.len / 2;
    for (int fault = 0; fault < 3; fault++) {
        bundle.data[middle] ^= 1;
        struct span wrong = buf_span(&bundle);
        wrong.len -= fault == 1 ? 1 : 0; /* too short at its end, as well */
        if (fault < 2) {
            assert_int_equal(tiles_replace(tiles, "tile/entries/001", wrong, &err), E_OK);
        } else {
            assert_int_equal(tiles_remove(tiles, "tile/entries/001", &err), E_OK);
        }
        bundle.data[middle] ^= 1;
        open_with_facts(edge);
        char reason[ERR_MSG_MAX] = "";
        for (int ms = 0; ms < WAIT_MS && strstr(reason, "catching up") != NULL; ms++) {
            assert_false(indexer_is_ready(indexer, reason, sizeof reason));
            pause_ms(1);
        }
        pause_ms(20);
        assert_false(indexer_is_ready(indexer, reason, sizeof reason));
        assert_int_equal(indexed, 0);
        assert_int_equal(tiles_replace(tiles, "tile/entries/001", buf_span(&bundle), &err), E_OK);
        wait_ready();
        assert_knows_facts(512);
        assert_false(is_damaged);
        stop();
        assert_int_equal(index_destroy(dir, &err), E_OK);
    }
    buf_clear(&bundle);
    free_log(edge);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR + 1);
    const struct CMUnitTest tests[] = {
        CASE(indexer_of_a_new_log_takes_jobs),
        CASE(indexer_catches_up_from_the_tiles),
        CASE(indexer_goes_on_where_it_was),
        CASE(indexer_that_was_stopped_early_catches_up),
        CASE(indexer_that_knows_more_than_the_log_is_rebuilt),
        CASE(indexer_that_does_not_open_is_rebuilt),
        CASE(indexer_without_its_tiles_is_unavailable),
        CASE(indexer_that_could_not_write_catches_up),
        CASE(indexer_stops_while_it_cannot_write),
        CASE(indexer_keeps_the_first_copy_of_what_it_found),
        CASE(indexer_that_could_not_be_opened_is_tried_again),
        CASE(indexer_that_is_found_damaged_is_removed),
        CASE(indexer_learns_facts_from_the_log),
        CASE(indexer_learns_facts_from_jobs),
        CASE(indexer_made_for_opaque_entries_is_rebuilt_with_facts),
        CASE(indexer_with_facts_answers_only_when_it_has_the_tail),
        CASE(indexer_waits_for_the_bundle_that_its_tile_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
