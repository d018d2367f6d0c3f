#include "tests/support/memory_log.h"

#include "base/alloc.h"
#include "tests/support/keys.h"
#include "tlog/bundle.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ENTRY_BYTES_MIN = 8
};

/* The hashes that tiles of one level consist of. */
struct level {
    struct hash *hashes; /* owned */
    size_t count, cap;
};

/* Where entries from `first` on come from, up to the next segment. */
struct segment {
    uint64_t first;
    struct memory_log_options options;
};

struct kept_entry {
    uint64_t index;
    struct buf bytes; /* owned */
};

struct tampered {
    char *path;         /* owned */
    enum err_code code; /* E_OK: `bytes` are served */
    struct buf bytes;   /* owned */
};

struct memory_log {
    const struct signer *signer;
    enum err_code (*on_get)(void *ctx, const char *path, struct err *err);
    void *on_get_ctx;
    atomic_uint_fast64_t gets;

    pthread_rwlock_t lock; /* guards all below */
    struct compact_range range;
    struct level levels[TILE_LEVELS];
    struct segment *segments; /* all arrays are owned */
    size_t segment_count;
    struct kept_entry *kept; /* by index */
    size_t kept_count;
    struct tampered *tampered;
    size_t tampered_count;
    enum err_code fail_all;
    bool is_published;
    struct buf note;
    uint64_t served;     /* the largest size published */
    uint64_t *published; /* sizes whose partial files are there; ascending */
    size_t published_count;
};

static void must(enum err_code rc, const struct err *err)
{
    if (rc != E_OK) {
        fprintf(stderr, "memory log: %s\n", err->msg);
        abort();
    }
}

static void lock_to_read(struct memory_log *log)
{
    pthread_rwlock_rdlock(&log->lock);
}

static void lock_to_write(struct memory_log *log)
{
    pthread_rwlock_wrlock(&log->lock);
}

static void unlock(struct memory_log *log)
{
    pthread_rwlock_unlock(&log->lock);
}

/* -- entries -- */

static uint64_t mixed(uint64_t z) /* splitmix64 */
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The first 8 bytes are one number each for (seed, index). */
static void derive_entry(const struct memory_log_options *options, uint64_t index, struct buf *out)
{
    size_t max = options->entry_bytes_max;
    uint64_t state = mixed(mixed(options->seed + 0x9e3779b97f4a7c15u) + index);
    size_t len = ENTRY_BYTES_MIN + (size_t)(mixed(state + 1) % (max - ENTRY_BYTES_MIN + 1));
    uint8_t *bytes = buf_extend(out, len);
    for (size_t at = 0; at < len; at += sizeof state) {
        size_t left = len - at;
        memcpy(bytes + at, &state, left < sizeof state ? left : sizeof state);
        state = mixed(state + 0x9e3779b97f4a7c15u);
    }
}

static const struct kept_entry *find_kept(const struct memory_log *log, uint64_t index)
{
    size_t low = 0;
    size_t high = log->kept_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->kept[middle].index < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < log->kept_count && log->kept[low].index == index ? &log->kept[low] : NULL;
}

static void put_entry(const struct memory_log *log, uint64_t index, struct buf *out)
{
    const struct kept_entry *kept = find_kept(log, index);
    if (kept != NULL) {
        buf_put(out, buf_span(&kept->bytes));
        return;
    }
    size_t at = log->segment_count - 1;
    while (log->segments[at].first > index) {
        at--;
    }
    const struct memory_log_options *options = &log->segments[at].options;
    if (options->put_entry != NULL) {
        options->put_entry(options->ctx, index, out);
    } else {
        derive_entry(options, index, out);
    }
}

/* -- the tree -- */

static void push(struct level *level, const struct hash *hash)
{
    if (level->count == level->cap) {
        level->cap = level->cap == 0 ? TILE_WIDTH : 2 * level->cap;
        level->hashes = mem_realloc(level->hashes, level->cap * sizeof *level->hashes);
    }
    level->hashes[level->count++] = *hash;
}

static void add_node(void *ctx, struct merkle_node node, const struct hash *hash)
{
    struct memory_log *log = ctx;
    if (node.level % TILE_HEIGHT == 0) {
        push(&log->levels[node.level / TILE_HEIGHT], hash);
    }
}

static void append(struct memory_log *log, struct span entry)
{
    struct hash leaf = merkle_leaf_hash(entry);
    compact_range_append(&log->range, &leaf, add_node, log);
}

static enum err_code get_node(void *ctx, struct merkle_node node, struct hash *out, struct err *err)
{
    const struct memory_log *log = ctx;
    (void)err;
    assert(merkle_node_is_complete(node, log->range.size));
    struct tile_place place = tile_place_of(node);
    const struct hash *tile = &log->levels[place.id.level].hashes[place.id.index * TILE_WIDTH];
    *out = tile_node_hash(span_of(tile, (size_t)(place.first + place.count) * HASH_BYTES),
                          place.first, place.count);
    return E_OK;
}

static struct merkle_source nodes_of(struct memory_log *log)
{
    return (struct merkle_source){ get_node, log };
}

static struct hash root_at(struct memory_log *log, uint64_t size)
{
    assert(size <= log->range.size);
    struct merkle_source source = nodes_of(log);
    struct hash root;
    struct err err;
    must(merkle_root(&root, &source, size, &err), &err);
    return root;
}

static struct memory_log_options with_defaults(const struct memory_log_options *options)
{
    struct memory_log_options all = *options;
    if (all.entry_bytes_max == 0) {
        all.entry_bytes_max = MEMORY_LOG_ENTRY_BYTES_DEFAULT;
    }
    assert(all.entry_bytes_max >= ENTRY_BYTES_MIN);
    assert(all.entry_bytes_max <= ENTRY_BYTES_MAX);
    return all;
}

static void add_segment(struct memory_log *log, uint64_t first,
                        const struct memory_log_options *options)
{
    log->segments = mem_realloc(log->segments, (log->segment_count + 1) * sizeof *log->segments);
    log->segments[log->segment_count++] = (struct segment){ first, with_defaults(options) };
}

static struct memory_log *new_log(const struct signer *signer)
{
    struct memory_log *log = NEW(struct memory_log);
    int rc = pthread_rwlock_init(&log->lock, NULL);
    assert(rc == 0);
    log->signer = signer;
    compact_range_init(&log->range);
    buf_init(&log->note, NOTE_BYTES_MAX);
    return log;
}

struct memory_log *memory_log_new(const struct memory_log_options *options)
{
    struct memory_log *log = new_log(options->signer);
    add_segment(log, 0, options);
    return log;
}

static void clear_tampered(struct memory_log *log)
{
    for (size_t i = 0; i < log->tampered_count; i++) {
        mem_free(log->tampered[i].path);
        buf_clear(&log->tampered[i].bytes);
    }
    log->tampered_count = 0;
}

void memory_log_free(struct memory_log *log)
{
    if (log == NULL) {
        return;
    }
    clear_tampered(log);
    for (size_t i = 0; i < log->kept_count; i++) {
        buf_clear(&log->kept[i].bytes);
    }
    for (size_t i = 0; i < TILE_LEVELS; i++) {
        mem_free(log->levels[i].hashes);
    }
    mem_free(log->segments);
    mem_free(log->kept);
    mem_free(log->tampered);
    mem_free(log->published);
    buf_clear(&log->note);
    pthread_rwlock_destroy(&log->lock);
    mem_free(log);
}

static void keep_entry(struct memory_log *log, uint64_t index, struct span bytes)
{
    log->kept = mem_realloc(log->kept, (log->kept_count + 1) * sizeof *log->kept);
    struct kept_entry *kept = &log->kept[log->kept_count++];
    kept->index = index;
    buf_init(&kept->bytes, ENTRY_BYTES_MAX);
    buf_put(&kept->bytes, bytes);
}

/* The hashes of the tree of `size`; entries come from the same places. */
static void copy_tree(struct memory_log *to, struct memory_log *from, uint64_t size)
{
    struct merkle_source source = nodes_of(from);
    struct err err;
    must(compact_range_load(&to->range, &source, size, &err), &err);
    for (unsigned i = 0; i < TILE_LEVELS; i++) {
        size_t count = (size_t)(size >> (TILE_HEIGHT * i));
        if (count > 0) {
            to->levels[i].hashes = mem_alloc(count * HASH_BYTES);
            memcpy(to->levels[i].hashes, from->levels[i].hashes, count * HASH_BYTES);
            to->levels[i].count = to->levels[i].cap = count;
        }
    }
    for (size_t i = 0; i < from->segment_count && from->segments[i].first < size; i++) {
        add_segment(to, from->segments[i].first, &from->segments[i].options);
    }
    for (size_t i = 0; i < from->kept_count && from->kept[i].index < size; i++) {
        keep_entry(to, from->kept[i].index, buf_span(&from->kept[i].bytes));
    }
}

struct memory_log *memory_log_fork(struct memory_log *log, uint64_t size,
                                   const struct memory_log_options *options)
{
    struct memory_log *fork = new_log(options->signer);
    lock_to_read(log);
    assert(size <= log->range.size);
    copy_tree(fork, log, size);
    unlock(log);
    add_segment(fork, size, options);
    return fork;
}

uint64_t memory_log_size(struct memory_log *log)
{
    lock_to_read(log);
    uint64_t size = log->range.size;
    unlock(log);
    return size;
}

void memory_log_grow(struct memory_log *log, uint64_t size)
{
    struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
    lock_to_write(log);
    while (log->range.size < size) {
        buf_reset(&entry);
        put_entry(log, log->range.size, &entry);
        append(log, buf_span(&entry));
    }
    unlock(log);
    buf_clear(&entry);
}

void memory_log_append(struct memory_log *log, struct span entry)
{
    lock_to_write(log);
    keep_entry(log, log->range.size, entry);
    append(log, entry);
    unlock(log);
}

struct hash memory_log_root(struct memory_log *log, uint64_t size)
{
    lock_to_read(log);
    struct hash root = root_at(log, size);
    unlock(log);
    return root;
}

struct hash memory_log_leaf(struct memory_log *log, uint64_t index)
{
    lock_to_read(log);
    assert(index < log->range.size);
    struct hash leaf = log->levels[0].hashes[index];
    unlock(log);
    return leaf;
}

void memory_log_put_entry(struct memory_log *log, uint64_t index, struct buf *out)
{
    lock_to_read(log);
    assert(index < log->range.size);
    put_entry(log, index, out);
    unlock(log);
}

struct compact_range memory_log_range(struct memory_log *log, uint64_t size)
{
    struct compact_range range;
    struct err err;
    lock_to_read(log);
    struct merkle_source source = nodes_of(log);
    assert(size <= log->range.size);
    must(compact_range_load(&range, &source, size, &err), &err);
    unlock(log);
    return range;
}

struct proof memory_log_consistency(struct memory_log *log, uint64_t old_size, uint64_t size)
{
    struct proof proof = { .count = 0 };
    struct err err;
    lock_to_read(log);
    struct merkle_source source = nodes_of(log);
    assert(old_size <= size);
    assert(size <= log->range.size);
    if (old_size > 0 && old_size < size) {
        must(proof_make_consistency(&proof, &source, old_size, size, &err), &err);
    }
    unlock(log);
    return proof;
}

struct proof memory_log_inclusion(struct memory_log *log, uint64_t index, uint64_t size)
{
    struct proof proof;
    struct err err;
    lock_to_read(log);
    struct merkle_source source = nodes_of(log);
    assert(index < size);
    assert(size <= log->range.size);
    must(proof_make_inclusion(&proof, &source, index, size, &err), &err);
    unlock(log);
    return proof;
}

/* -- publishing -- */

static void put_text(struct memory_log *log, uint64_t size, struct buf *out)
{
    assert(log->signer != NULL);
    struct checkpoint checkpoint = { .size = size, .root = root_at(log, size) };
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", log->signer->vkey.name);
    checkpoint_put(out, &checkpoint);
}

static void put_note(struct memory_log *log, uint64_t size, struct buf *out)
{
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    put_text(log, size, &text);
    keys_put_signed(out, buf_span(&text), log->signer, 0);
    buf_clear(&text);
}

void memory_log_put_text(struct memory_log *log, uint64_t size, struct buf *out)
{
    lock_to_read(log);
    put_text(log, size, out);
    unlock(log);
}

void memory_log_put_note(struct memory_log *log, uint64_t size, struct buf *out)
{
    lock_to_read(log);
    put_note(log, size, out);
    unlock(log);
}

/* The position of the first published size that is not below `size`. */
static size_t find_published(const struct memory_log *log, uint64_t size)
{
    size_t low = 0;
    size_t high = log->published_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->published[middle] < size) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void add_published(struct memory_log *log, uint64_t size)
{
    size_t at = find_published(log, size);
    if (at < log->published_count && log->published[at] == size) {
        return;
    }
    size_t count = log->published_count;
    log->published = mem_realloc(log->published, (count + 1) * sizeof *log->published);
    memmove(&log->published[at + 1], &log->published[at], (count - at) * sizeof *log->published);
    log->published[at] = size;
    log->published_count++;
}

void memory_log_publish_note(struct memory_log *log, uint64_t size, struct span note)
{
    lock_to_write(log);
    assert(size <= log->range.size);
    add_published(log, size);
    log->served = size > log->served ? size : log->served;
    log->is_published = true;
    buf_reset(&log->note);
    buf_put(&log->note, note);
    unlock(log);
}

void memory_log_publish(struct memory_log *log, uint64_t size)
{
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    memory_log_put_note(log, size, &note);
    memory_log_publish_note(log, size, buf_span(&note));
    buf_clear(&note);
}

void memory_log_grow_published(struct memory_log *log, uint64_t size)
{
    memory_log_grow(log, size);
    memory_log_publish(log, size);
}

void memory_log_drop_partials(struct memory_log *log)
{
    lock_to_write(log);
    if (log->published_count > 0) {
        log->published[0] = log->published[log->published_count - 1];
        log->published_count = 1;
    }
    unlock(log);
}

/* -- tampering -- */

static struct tampered *find_tampered(const struct memory_log *log, const char *path)
{
    for (size_t i = 0; i < log->tampered_count; i++) {
        if (strcmp(log->tampered[i].path, path) == 0) {
            return &log->tampered[i];
        }
    }
    return NULL;
}

static void tamper(struct memory_log *log, const char *path, enum err_code code, struct span bytes)
{
    lock_to_write(log);
    struct tampered *file = find_tampered(log, path);
    if (file == NULL) {
        log->tampered =
            mem_realloc(log->tampered, (log->tampered_count + 1) * sizeof *log->tampered);
        file = &log->tampered[log->tampered_count++];
        file->path = mem_strdup(path);
        buf_init(&file->bytes, SIZE_MAX);
    }
    file->code = code;
    buf_reset(&file->bytes);
    buf_put(&file->bytes, bytes);
    unlock(log);
}

void memory_log_replace(struct memory_log *log, const char *path, struct span bytes)
{
    tamper(log, path, E_OK, bytes);
}

void memory_log_remove(struct memory_log *log, const char *path)
{
    tamper(log, path, E_NOT_FOUND, span_of(NULL, 0));
}

void memory_log_fail(struct memory_log *log, const char *path, enum err_code code)
{
    assert(code != E_OK);
    tamper(log, path, code, span_of(NULL, 0));
}

void memory_log_restore(struct memory_log *log, const char *path)
{
    lock_to_write(log);
    struct tampered *file = find_tampered(log, path);
    if (file != NULL) {
        mem_free(file->path);
        buf_clear(&file->bytes);
        *file = log->tampered[--log->tampered_count];
    }
    unlock(log);
}

void memory_log_restore_all(struct memory_log *log)
{
    lock_to_write(log);
    clear_tampered(log);
    unlock(log);
}

void memory_log_fail_all(struct memory_log *log, enum err_code code)
{
    lock_to_write(log);
    log->fail_all = code;
    unlock(log);
}

/* -- reading -- */

/* Is there such a file, when nothing is tampered with? */
static bool is_served(const struct memory_log *log, const struct tile_path *path)
{
    if (path->id.level >= TILE_LEVELS) {
        return false;
    }
    unsigned bits = TILE_HEIGHT * path->id.level;
    uint64_t hashes = log->served >> bits;
    if (path->width == TILE_WIDTH) {
        return path->id.index < hashes / TILE_WIDTH;
    }
    if (path->id.index > hashes / TILE_WIDTH) {
        return false;
    }
    uint64_t wanted = path->id.index * TILE_WIDTH + path->width; /* hashes, in a published tree */
    if (wanted > hashes) {
        return false;
    }
    size_t at = find_published(log, wanted << bits);
    return at < log->published_count && log->published[at] >> bits == wanted;
}

static void put_bundle(const struct memory_log *log, const struct tile_path *path, struct buf *out)
{
    struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
    for (uint64_t i = 0; i < path->width; i++) {
        buf_reset(&entry);
        put_entry(log, path->id.index * TILE_WIDTH + i, &entry);
        bundle_put_entry(out, buf_span(&entry));
    }
    buf_clear(&entry);
}

static enum err_code get_honest(const struct memory_log *log, const char *name, struct buf *out,
                                struct err *err)
{
    if (strcmp(name, "checkpoint") == 0 && log->is_published) {
        return buf_append(out, buf_span(&log->note), err);
    }
    struct tile_path path;
    struct err ignored;
    if (!log->is_published || tile_path_parse(&path, span_of_str(name), &ignored) != E_OK ||
        !is_served(log, &path)) {
        return err_set(err, E_NOT_FOUND, "the log has no %s", name);
    }
    if (!path.is_bundle) {
        const struct hash *tile = &log->levels[path.id.level].hashes[path.id.index * TILE_WIDTH];
        return buf_append(out, span_of(tile, (size_t)path.width * HASH_BYTES), err);
    }
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    put_bundle(log, &path, &bundle);
    enum err_code rc = buf_append(out, buf_span(&bundle), err);
    buf_clear(&bundle);
    return rc;
}

enum err_code memory_log_get(struct memory_log *log, const char *path, struct buf *out,
                             struct err *err)
{
    enum err_code rc = E_OK;
    lock_to_read(log);
    const struct tampered *file = find_tampered(log, path);
    if (log->fail_all != E_OK) {
        rc = err_set(err, log->fail_all, "%s: the log fails", path);
    } else if (file == NULL) {
        rc = get_honest(log, path, out, err);
    } else if (file->code != E_OK) {
        rc = err_set(err, file->code, "%s: made to fail", path);
    } else {
        rc = buf_append(out, buf_span(&file->bytes), err);
    }
    unlock(log);
    return rc;
}

struct memory_reader {
    struct log_reader reader;
    struct memory_log *log; /* borrowed */
};

static enum err_code reader_get(struct log_reader *reader, const char *path, struct buf *out,
                                struct err *err)
{
    struct memory_log *log = ((struct memory_reader *)reader)->log;
    atomic_fetch_add(&log->gets, 1);
    enum err_code rc = E_OK;
    if (log->on_get != NULL) {
        rc = log->on_get(log->on_get_ctx, path, err);
    }
    return rc == E_OK ? memory_log_get(log, path, out, err) : rc;
}

static void reader_close(struct log_reader *reader)
{
    mem_free(reader);
}

static const struct log_reader_ops reader_ops = { reader_get, reader_close };

struct log_reader *memory_log_open(struct memory_log *log)
{
    struct memory_reader *reader = NEW(struct memory_reader);
    reader->reader.ops = &reader_ops;
    reader->log = log;
    return &reader->reader;
}

enum err_code memory_log_open_source(void *ctx, struct log_reader **out, struct err *err)
{
    (void)err;
    *out = memory_log_open(ctx);
    return E_OK;
}

void memory_log_on_get(struct memory_log *log,
                       enum err_code (*on_get)(void *ctx, const char *path, struct err *err),
                       void *ctx)
{
    log->on_get_ctx = ctx;
    log->on_get = on_get;
}

uint64_t memory_log_get_count(struct memory_log *log)
{
    return atomic_load(&log->gets);
}
