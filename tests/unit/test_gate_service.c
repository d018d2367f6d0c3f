/* The registrations that a log finds on itself at a start: in full tiles, as the index lists them, and in the edge. */
#include "base/alloc.h"
#include "logd/gate_service.h"
#include "store/tile_source.h"
#include "store/tiles_memory.h"
#include "tests/support/files.h"
#include "tests/support/tagged_entries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum {
    SIZE = TILE_WIDTH + 3,
    WAIT_MS = 20 * 1000
};

static const char bundle_path[] = "tile/entries/000";

struct world {
    char *root, *index_dir, *submitters;
    struct tiles_memory_disk *disk;
    struct edge edge;
    struct settings settings;
    struct parts *parts;
    uv_loop_t loop;
    struct gate_service *service;
};

static void keep_resource(void *ctx, const struct tile_path *path, struct span bytes)
{
    struct world *world = ctx;
    struct err err;
    assert_int_equal(tiles_replace(world->parts->tiles, tile_path_text(path).text, bytes, &err),
                     E_OK);
}

static bool is_registration(uint64_t index)
{
    return index == 0 || index == 7 || index == TILE_WIDTH - 1 || index == SIZE - 1;
}

/* A log whose entries at those places register somebody, each another. */
static void write_log(struct world *world)
{
    struct buf entry = BUF_INIT(4096);
    edge_init(&world->edge);
    for (uint64_t i = 0; i < SIZE; i++) {
        buf_reset(&entry);
        if (is_registration(i)) {
            tagged_entries_put_registration(&entry, i);
        } else {
            tagged_entries_put(&entry, i, 0);
        }
        struct hash leaf = merkle_leaf_hash(buf_span(&entry));
        edge_append(&world->edge, buf_span(&entry), &leaf, keep_resource, world);
    }
    buf_clear(&entry);
}

static void on_indexed(void *ctx, uint64_t size)
{
    (void)ctx;
    (void)size;
}

static void on_damaged(void *ctx, const struct err *why)
{
    (void)ctx;
    fail_msg("%s", why->msg);
}

static void index_log(struct world *world)
{
    struct indexer_callbacks callbacks = { NULL, on_indexed, on_damaged };
    struct indexer *indexer = indexer_open(world->index_dir, world->parts->tiles, true, SIZE);
    world->parts->indexer = indexer;
    indexer_add_tail(indexer, &world->edge);
    indexer_start(indexer, TILE_WIDTH, &callbacks);
    indexer_wait_ready(indexer, WAIT_MS);
    char reason[ERR_MSG_MAX];
    assert_true(indexer_is_ready(indexer, reason, sizeof reason));
}

static void world_init(struct world *world)
{
    struct err err;
    *world = (struct world){ .root = files_make_temp_dir() };
    world->index_dir = files_join(world->root, "index");
    world->submitters = files_join(world->root, "submitters");
    files_write(world->submitters, span_of_str("# nobody\n"));
    world->disk = tiles_memory_disk_new();
    world->parts = NEW(struct parts);
    world->parts->tiles = tiles_memory_open(world->disk);
    world->parts->cache = tile_cache_new(world->parts->tiles, 1024 * 1024);
    world->parts->pool = pool_new(1000, 1000000);
    memcpy(world->parts->signing.log.vkey.name, OPERATIONS_ORIGIN, sizeof OPERATIONS_ORIGIN);
    write_log(world);
    index_log(world);
    world->settings.submitters = world->submitters;
    uv_loop_init(&world->loop);
    assert_int_equal(gate_service_open(&world->service, &world->settings, world->parts, &err),
                     E_OK);
    gate_service_start(world->service, &world->loop, &world->edge);
}

static void on_closed(void *ctx)
{
    (void)ctx;
}

static void world_clear(struct world *world)
{
    gate_service_close(world->service, NULL, on_closed);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    gate_service_free(world->service);
    indexer_stop(world->parts->indexer);
    pool_free(world->parts->pool);
    tile_cache_free(world->parts->cache);
    tiles_close(world->parts->tiles);
    tiles_memory_disk_free(world->disk);
    edge_clear(&world->edge);
    mem_free(world->parts);
    free(world->index_dir);
    free(world->submitters);
    files_remove_tree(world->root);
}

static size_t registered(const struct world *world)
{
    return registry_counts(world->parts->registry).registered;
}

static void registrations_are_found_in_tiles_and_in_the_edge(void **state)
{
    (void)state;
    struct world world;
    char reason[STATUS_REASON_MAX];
    world_init(&world);
    assert_int_equal(registered(&world), 1); /* the edge's */
    gate_service_load(world.service);
    assert_int_equal(registered(&world), 4);
    assert_false(pool_is_closed(world.parts->pool, reason, sizeof reason));
    world_clear(&world);
}

/* Its form may be as good as before: what is not what was logged registers nobody, and nobody may log meanwhile. */
static void a_damaged_bundle_registers_nobody(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    char reason[STATUS_REASON_MAX];
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    world_init(&world);
    assert_int_equal(tiles_read(world.parts->tiles, bundle_path, &bundle, &err), E_OK);
    size_t at = span_find(buf_span(&bundle), span_of_str("court-0101.example"));
    assert_int_not_equal(at, SIZE_MAX);
    bundle.data[at] = 'x'; /* in the first entry */
    assert_int_equal(tiles_replace(world.parts->tiles, bundle_path, buf_span(&bundle), &err), E_OK);
    gate_service_load(world.service);
    assert_int_equal(registered(&world), 1);
    assert_true(pool_is_closed(world.parts->pool, reason, sizeof reason));
    assert_non_null(strstr(reason, "entry 0 is not what was logged"));
    bundle.data[at] = 'c'; /* repaired: the next try finds them */
    assert_int_equal(tiles_replace(world.parts->tiles, bundle_path, buf_span(&bundle), &err), E_OK);
    gate_service_load(world.service);
    assert_int_equal(registered(&world), 4);
    assert_false(pool_is_closed(world.parts->pool, reason, sizeof reason));
    buf_clear(&bundle);
    world_clear(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registrations_are_found_in_tiles_and_in_the_edge),
        cmocka_unit_test(a_damaged_bundle_registers_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
