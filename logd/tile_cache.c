#include "logd/tile_cache.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/tile_source.h"
#include "tlog/bundle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

enum {
    BUCKETS = 4096
};

struct cached {
    TAILQ_ENTRY(cached) by_use; /* most recent first */
    LIST_ENTRY(cached) by_key;
    struct tile_path path;
    bool is_verified; /* false: only good for tile_cache_stored_leaf */
    struct http_body *body;
};

struct tile_cache {
    struct tiles *tiles;
    size_t bytes_max;
    atomic_ullong corrupt_count;

    pthread_mutex_t mutex; /* guards all below; never held while reading or hashing */
    TAILQ_HEAD(cached_list, cached) by_use;
    LIST_HEAD(, cached) buckets[BUCKETS];
    size_t bytes;
};

struct tile_cache *tile_cache_new(struct tiles *tiles, size_t bytes_max)
{
    struct tile_cache *cache = NEW(struct tile_cache);
    cache->tiles = tiles;
    cache->bytes_max = bytes_max;
    pthread_mutex_init(&cache->mutex, NULL);
    TAILQ_INIT(&cache->by_use);
    return cache;
}

static size_t bucket_of(const struct tile_path *path)
{
    uint64_t mixed = path->id.index * 0x9e3779b97f4a7c15u + path->id.level * 0x85ebca6bu +
                     path->width * 0xc2b2ae35u + path->is_bundle;
    return (mixed >> 32) % BUCKETS;
}

static bool is_same(const struct tile_path *a, const struct tile_path *b)
{
    return a->is_bundle == b->is_bundle && a->id.level == b->id.level &&
           a->id.index == b->id.index && a->width == b->width;
}

static void drop(struct tile_cache *cache, struct cached *cached)
{
    TAILQ_REMOVE(&cache->by_use, cached, by_use);
    LIST_REMOVE(cached, by_key);
    cache->bytes -= http_body_span(cached->body).len + sizeof *cached;
    http_body_release(cached->body);
    mem_free(cached);
}

void tile_cache_free(struct tile_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    while (!TAILQ_EMPTY(&cache->by_use)) {
        drop(cache, TAILQ_FIRST(&cache->by_use));
    }
    pthread_mutex_destroy(&cache->mutex);
    mem_free(cache);
}

/* Requires the mutex. */
static struct cached *find(struct tile_cache *cache, const struct tile_path *path)
{
    struct cached *cached;
    LIST_FOREACH(cached, &cache->buckets[bucket_of(path)], by_key)
    {
        if (is_same(&cached->path, path)) {
            return cached;
        }
    }
    return NULL;
}

static struct http_body *look_up(struct tile_cache *cache, const struct tile_path *path,
                                 bool must_be_verified)
{
    struct http_body *body = NULL;
    pthread_mutex_lock(&cache->mutex);
    struct cached *cached = find(cache, path);
    if (cached != NULL && (cached->is_verified || !must_be_verified)) {
        body = http_body_hold(cached->body);
        TAILQ_REMOVE(&cache->by_use, cached, by_use);
        TAILQ_INSERT_HEAD(&cache->by_use, cached, by_use);
    }
    pthread_mutex_unlock(&cache->mutex);
    return body;
}

static void keep(struct tile_cache *cache, const struct tile_path *path, struct http_body *body,
                 bool is_verified)
{
    pthread_mutex_lock(&cache->mutex);
    struct cached *old = find(cache, path);
    if (old != NULL) {
        drop(cache, old);
    }
    struct cached *cached = NEW(struct cached);
    cached->path = *path;
    cached->is_verified = is_verified;
    cached->body = http_body_hold(body);
    TAILQ_INSERT_HEAD(&cache->by_use, cached, by_use);
    LIST_INSERT_HEAD(&cache->buckets[bucket_of(path)], cached, by_key);
    cache->bytes += http_body_span(body).len + sizeof *cached;
    while (cache->bytes > cache->bytes_max && TAILQ_LAST(&cache->by_use, cached_list) != cached) {
        drop(cache, TAILQ_LAST(&cache->by_use, cached_list));
    }
    pthread_mutex_unlock(&cache->mutex);
}

/* -- Checking what was read -- */

/* Reads a file whose absence is the reader's affair: E_NOT_FOUND stays that. */
static enum err_code read_resource(struct tile_cache *cache, const struct tile_path *path,
                                   struct buf *out, struct err *err)
{
    buf_init(out, path->is_bundle ? BUNDLE_BYTES_MAX : TILE_BYTES);
    enum err_code rc = tiles_read(cache->tiles, tile_path_text(path).text, out, err);
    if (rc == E_TOO_LARGE) {
        return err_set(err, E_CORRUPT, "too large");
    }
    if (rc == E_OK && !path->is_bundle && out->len != (size_t)path->width * HASH_BYTES) {
        return err_set(err, E_CORRUPT, "%zu bytes", out->len);
    }
    return rc;
}

/* Hash number `position` of the tile `id` in the published tree. */
static enum err_code published_hash(struct tile_cache *cache, const struct published_tree *tree,
                                    struct tile_id id, uint16_t position, struct hash *out,
                                    struct err *err)
{
    if (tile_width(id, tree->checkpoint.size) < TILE_WIDTH) {
        *out = tree->edge.tiles[id.level][position];
        return E_OK;
    }
    struct tile_path path = { false, id, TILE_WIDTH };
    struct http_body *tile = NULL;
    enum err_code rc = tile_cache_get(cache, tree, &path, &tile, err);
    if (rc == E_OK) {
        memcpy(out->bytes, http_body_span(tile).data + (size_t)position * HASH_BYTES, HASH_BYTES);
        http_body_release(tile);
    }
    return rc;
}

/* A full tile against its hash in the tile above. */
static enum err_code check_full_tile(struct tile_cache *cache, const struct published_tree *tree,
                                     const struct tile_path *path, struct span bytes,
                                     struct err *err)
{
    struct tile_id above = { path->id.level + 1, path->id.index / TILE_WIDTH };
    struct hash expected;
    enum err_code rc =
        published_hash(cache, tree, above, path->id.index % TILE_WIDTH, &expected, err);
    if (rc != E_OK) {
        return rc;
    }
    struct hash found = tile_root(bytes);
    if (!hash_is_equal(&found, &expected)) {
        return err_set(err, E_CORRUPT, "does not hash to its place in the tile above");
    }
    return E_OK;
}

/* Leaf hashes, or a partial tile, against the tile of the published tree that has them. */
static enum err_code check_hashes(struct tile_cache *cache, const struct published_tree *tree,
                                  const struct tile_path *path, const uint8_t *hashes,
                                  struct err *err)
{
    struct tile_id id = path->id;
    for (uint16_t i = 0; i < path->width; i++) {
        struct hash expected;
        enum err_code rc = published_hash(cache, tree, id, i, &expected, err);
        if (rc != E_OK) {
            return rc;
        }
        if (memcmp(expected.bytes, hashes + (size_t)i * HASH_BYTES, HASH_BYTES) != 0) {
            return err_set(err, E_CORRUPT, "hash %u is not the published tree's", i);
        }
    }
    return E_OK;
}

static enum err_code check_resource(struct tile_cache *cache, const struct published_tree *tree,
                                    const struct tile_path *path, struct span bytes,
                                    struct err *err)
{
    if (path->is_bundle) {
        struct hash leaves[TILE_WIDTH];
        enum err_code rc = bundle_leaf_hashes(leaves, bytes, path->width, err);
        if (rc != E_OK) {
            return err_set(err, E_CORRUPT, "not %u entries", path->width);
        }
        return check_hashes(cache, tree, path, leaves[0].bytes, err);
    }
    if (path->width < TILE_WIDTH) {
        return check_hashes(cache, tree, path, bytes.data, err);
    }
    return check_full_tile(cache, tree, path, bytes, err);
}

static enum err_code load(struct tile_cache *cache, const struct published_tree *tree,
                          const struct tile_path *path, struct http_body **out, struct err *err)
{
    struct buf bytes;
    enum err_code rc = read_resource(cache, path, &bytes, err);
    if (rc == E_NOT_FOUND && path->width == TILE_WIDTH) {
        rc = err_set(err, E_CORRUPT, "missing");
    }
    if (rc == E_OK) {
        rc = check_resource(cache, tree, path, buf_span(&bytes), err);
    }
    if (rc == E_OK) {
        *out = http_body_take(&bytes);
        keep(cache, path, *out, true);
    } else {
        buf_clear(&bytes);
        err_wrap(err, "%s", tile_path_text(path).text);
    }
    if (rc == E_CORRUPT) {
        atomic_fetch_add(&cache->corrupt_count, 1);
        log_error(LOG_LEVEL_ERROR, "tile_damaged", err);
    }
    return rc;
}

/* A partial tile or bundle of exactly the published size. */
static struct http_body *partial_from_edge(const struct published_tree *tree,
                                           const struct tile_path *path)
{
    if (path->is_bundle) {
        return http_body_new(buf_span(&tree->edge.bundle));
    }
    return http_body_new(
        span_of(tree->edge.tiles[path->id.level], (size_t)path->width * HASH_BYTES));
}

enum err_code tile_cache_get(struct tile_cache *cache, const struct published_tree *tree,
                             const struct tile_path *path, struct http_body **out, struct err *err)
{
    uint16_t width = tile_width(path->id, tree->checkpoint.size);
    if (path->width > width) {
        return err_set(err, E_NOT_FOUND, "%s is not in the tree of %llu entries",
                       tile_path_text(path).text, (unsigned long long)tree->checkpoint.size);
    }
    if (path->width == width && width < TILE_WIDTH) {
        *out = partial_from_edge(tree, path);
        return E_OK;
    }
    *out = look_up(cache, path, true);
    return *out != NULL ? E_OK : load(cache, tree, path, out, err);
}

struct http_body *tile_cache_peek(struct tile_cache *cache, const struct tile_path *path)
{
    return look_up(cache, path, true);
}

enum err_code tile_cache_stored_leaf(struct tile_cache *cache, uint64_t index, struct hash *out,
                                     struct err *err)
{
    struct tile_path path = { false, { 0, index / TILE_WIDTH }, TILE_WIDTH };
    struct http_body *tile = look_up(cache, &path, false);
    if (tile == NULL) {
        struct buf bytes = BUF_INIT(TILE_BYTES);
        enum err_code rc = tile_source_read(cache->tiles, &path, &bytes, err);
        if (rc != E_OK) {
            buf_clear(&bytes);
            return rc;
        }
        tile = http_body_take(&bytes);
        keep(cache, &path, tile, false);
    }
    memcpy(out->bytes, http_body_span(tile).data + index % TILE_WIDTH * HASH_BYTES, HASH_BYTES);
    http_body_release(tile);
    return E_OK;
}

static enum err_code get_node(void *ctx, struct merkle_node node, struct hash *out, struct err *err)
{
    struct tile_nodes *nodes = ctx;
    const struct published_tree *tree = nodes->tree;
    if (!merkle_node_is_complete(node, tree->checkpoint.size)) {
        return err_set(err, E_NOT_FOUND, "node %u/%llu is not in the published tree", node.level,
                       (unsigned long long)node.index);
    }
    struct tile_place place = tile_place_of(node);
    if (tile_width(place.id, tree->checkpoint.size) < TILE_WIDTH) {
        const struct hash *tile = tree->edge.tiles[place.id.level];
        *out = tile_node_hash(span_of(tile, TILE_BYTES), place.first, place.count);
        return E_OK;
    }
    struct tile_path path = { false, place.id, TILE_WIDTH };
    struct http_body *tile = NULL;
    enum err_code rc = tile_cache_get(nodes->cache, tree, &path, &tile, err);
    if (rc == E_OK) {
        *out = tile_node_hash(http_body_span(tile), place.first, place.count);
        http_body_release(tile);
    }
    return rc;
}

struct merkle_source tile_cache_nodes(struct tile_nodes *nodes)
{
    return (struct merkle_source){ .get = get_node, .ctx = nodes };
}

uint64_t tile_cache_corrupt_count(const struct tile_cache *cache)
{
    return atomic_load(&((struct tile_cache *)cache)->corrupt_count);
}
