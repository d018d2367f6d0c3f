/* Values are the index, big-endian, without leading zeros (0 is one zero byte). The size covered is
 * under the key "covered", which is shorter than a hash key. With facts there are also "tag/" and the tag,
 * "registration/" and the index (8 bytes, big-endian) without a value that counts, and "facts". No two kinds
 * of keys have one length; registrations are the only keys of their prefix but for a chance of 2^-104. */
#include "store/index.h"

#include "base/alloc.h"
#include "store/leveldb_store.h"

#include <assert.h>
#include <stdlib.h>

enum {
    KEY_BYTES = 16,
    VALUE_BYTES_MAX = 8,
    TAG_PREFIX_BYTES = 4,
    TAG_KEY_BYTES = TAG_PREFIX_BYTES + HASH_BYTES,
    REGISTRATION_PREFIX_BYTES = 13,
    REGISTRATION_KEY_BYTES = REGISTRATION_PREFIX_BYTES + 8,
    BATCH_ENTRIES_MAX = 16384
};

static const struct leveldb_sizes sizes = {
    /* Measured with 5 million random keys: 4 MB stalls for seconds, 32 MB costs twice the lookup
     * and a second to open again. */
    .write_buffer_bytes = 16 * 1024 * 1024,
    .block_cache_bytes = 8 * 1024 * 1024,
    .table_bytes = 8 * 1024 * 1024,
    /* An open table keeps its filter and its index in memory, 0.4 MB: 50 MB for 33 million keys. */
    .open_files_max = 130,
};

static const char covered_key[] = "covered";
static const char facts_key[] = "facts"; /* 1 in an index that has them */
static const char tag_prefix[] = "tag/";
static const char registration_prefix[] = "registration/";

struct index {
    struct leveldb_store store;
    bool has_facts;
    leveldb_writebatch_t *batch; /* the writer's; owned */
    _Atomic uint64_t covered;
    _Atomic uint64_t bytes_written;
};

struct value {
    uint8_t bytes[VALUE_BYTES_MAX];
    size_t len;
};

static struct value value_of(uint64_t number)
{
    struct value value = { { 0 }, 1 };
    while (value.len < VALUE_BYTES_MAX && number >> (8 * value.len) != 0) {
        value.len++;
    }
    for (size_t i = 0; i < value.len; i++) {
        value.bytes[i] = (uint8_t)(number >> (8 * (value.len - 1 - i)));
    }
    return value;
}

/* Accepts what value_of makes. */
static bool value_parse(uint64_t *out, struct span bytes)
{
    if (bytes.len == 0 || bytes.len > VALUE_BYTES_MAX || (bytes.len > 1 && bytes.data[0] == 0)) {
        return false;
    }
    *out = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        *out = *out << 8 | bytes.data[i];
    }
    return true;
}

static enum err_code get_number(const struct index *index, struct span key, uint64_t *out,
                                struct err *err)
{
    char *value = NULL;
    size_t len = 0;
    enum err_code rc = leveldb_store_get(&index->store, key, &value, &len, "index: get", err);
    if (rc == E_OK && !value_parse(out, span_of(value, len))) {
        rc = err_set(err, E_CORRUPT, "index: a value is not a number");
    }
    leveldb_free(value);
    return rc;
}

/* 0 when it is not there. */
static enum err_code get_own(const struct index *index, const char *key, uint64_t *out,
                             struct err *err)
{
    *out = 0;
    enum err_code rc = get_number(index, span_of_str(key), out, err);
    return rc == E_NOT_FOUND ? E_OK : rc;
}

/* What it covers; E_CORRUPT when it was made for a log of another schema. */
static enum err_code read_own(struct index *index, struct err *err)
{
    uint64_t covered, facts;
    enum err_code rc = get_own(index, covered_key, &covered, err);
    if (rc == E_OK) {
        rc = get_own(index, facts_key, &facts, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    if (covered > 0 && (facts != 0) != index->has_facts) {
        return err_set(err, E_CORRUPT, "index: it was made %s entry tags, for another schema",
                       facts != 0 ? "with" : "without");
    }
    index->covered = covered;
    return E_OK;
}

enum err_code index_open(struct index **out, const char *dir, bool has_facts, struct err *err)
{
    struct index *index = NEW(struct index);
    index->has_facts = has_facts;
    enum err_code rc = leveldb_store_open(&index->store, dir, &sizes, "index: open", err);
    if (rc != E_OK) {
        mem_free(index);
        return rc;
    }
    index->batch = leveldb_writebatch_create();
    rc = read_own(index, err);
    if (rc != E_OK) {
        index_close(index);
        return rc;
    }
    *out = index;
    return E_OK;
}

void index_close(struct index *index)
{
    if (index == NULL) {
        return;
    }
    leveldb_writebatch_destroy(index->batch);
    leveldb_store_close(&index->store);
    mem_free(index);
}

enum err_code index_destroy(const char *dir, struct err *err)
{
    if (leveldb_store_destroy(dir, "index: destroy", err) != E_OK) {
        err->code = E_IO; /* whatever the files are like */
        return E_IO;
    }
    return E_OK;
}

uint64_t index_covered(const struct index *index)
{
    return index->covered;
}

uint64_t index_bytes_written(const struct index *index)
{
    return index->bytes_written;
}

static size_t batch_put(struct index *index, struct span key, uint64_t number)
{
    struct value value = value_of(number);
    leveldb_writebatch_put(index->batch, (const char *)key.data, key.len, (const char *)value.bytes,
                           value.len);
    return key.len + value.len;
}

/* One entry of a batch, ordered by key: neighbours share their way through the tables, which is
 * half the time of an insert in random order. */
struct pending {
    uint8_t key[KEY_BYTES];
    uint32_t position; /* in the batch */
};

/* Likewise for a tag, which is a key in full. */
struct pending_tag {
    const struct hash *tag;
    uint32_t position;
};

/* What index_put was given, from one of its batches on. */
struct given {
    uint64_t first;
    const struct hash *leaves;
    const struct index_facts *facts; /* NULL: none */
    const bool *is_new;              /* NULL: nothing was looked up */
    size_t count;
};

static int compare_pending(const void *a, const void *b)
{
    const struct pending *left = a, *right = b;
    int order = memcmp(left->key, right->key, KEY_BYTES);
    return order != 0 ? order
                      : (left->position > right->position) - (left->position < right->position);
}

static int compare_pending_tags(const void *a, const void *b)
{
    const struct pending_tag *left = a, *right = b;
    int order = memcmp(left->tag->bytes, right->tag->bytes, HASH_BYTES);
    return order != 0 ? order
                      : (left->position > right->position) - (left->position < right->position);
}

/* Puts it unless it has an index already. */
static enum err_code put_first(struct index *index, struct span key, const struct given *given,
                               uint32_t position, size_t *bytes, struct err *err)
{
    uint64_t old;
    if (given->is_new == NULL || !given->is_new[position]) {
        enum err_code rc = get_number(index, key, &old, err);
        if (rc != E_NOT_FOUND) {
            return rc;
        }
    }
    *bytes += batch_put(index, key, given->first + position);
    return E_OK;
}

static struct pending *sort_leaves(const struct given *given)
{
    struct pending *sorted = mem_calloc(given->count, sizeof *sorted);
    for (size_t i = 0; i < given->count; i++) {
        memcpy(sorted[i].key, given->leaves[i].bytes, KEY_BYTES);
        sorted[i].position = (uint32_t)i;
    }
    qsort(sorted, given->count, sizeof *sorted, compare_pending);
    return sorted;
}

/* Of equal keys the first is put, which is the smallest index; the others are behind it. */
static enum err_code fill_leaves(struct index *index, const struct given *given, size_t *bytes,
                                 struct err *err)
{
    enum err_code rc = E_OK;
    struct pending *sorted = sort_leaves(given);
    for (size_t i = 0; i < given->count && rc == E_OK; i++) {
        struct span key = { sorted[i].key, KEY_BYTES };
        if (i == 0 || memcmp(sorted[i - 1].key, sorted[i].key, KEY_BYTES) != 0) {
            rc = put_first(index, key, given, sorted[i].position, bytes, err);
        }
    }
    mem_free(sorted);
    return rc;
}

struct tag_key {
    uint8_t bytes[TAG_KEY_BYTES];
};

static struct tag_key tag_key_of(const struct hash *tag)
{
    struct tag_key key;
    memcpy(key.bytes, tag_prefix, TAG_PREFIX_BYTES);
    memcpy(key.bytes + TAG_PREFIX_BYTES, tag->bytes, HASH_BYTES);
    return key;
}

static enum err_code fill_tags(struct index *index, const struct given *given, size_t *bytes,
                               struct err *err)
{
    size_t count = 0;
    struct pending_tag *sorted = mem_calloc(given->count, sizeof *sorted);
    for (size_t i = 0; i < given->count; i++) {
        if (given->facts[i].has_tag) {
            sorted[count++] = (struct pending_tag){ &given->facts[i].tag, (uint32_t)i };
        }
    }
    qsort(sorted, count, sizeof *sorted, compare_pending_tags);
    enum err_code rc = E_OK;
    for (size_t i = 0; i < count && rc == E_OK; i++) {
        struct tag_key key = tag_key_of(sorted[i].tag);
        if (i == 0 || !hash_is_equal(sorted[i - 1].tag, sorted[i].tag)) {
            rc = put_first(index, SPAN_OF_ARRAY(key.bytes), given, sorted[i].position, bytes, err);
        }
    }
    mem_free(sorted);
    return rc;
}

struct registration_key {
    uint8_t bytes[REGISTRATION_KEY_BYTES];
};

static struct registration_key registration_key_of(uint64_t number)
{
    struct registration_key key;
    memcpy(key.bytes, registration_prefix, REGISTRATION_PREFIX_BYTES);
    for (size_t i = 0; i < 8; i++) {
        key.bytes[REGISTRATION_PREFIX_BYTES + i] = (uint8_t)(number >> (8 * (7 - i)));
    }
    return key;
}

static size_t fill_registrations(struct index *index, const struct given *given)
{
    size_t bytes = batch_put(index, span_of_str(facts_key), 1);
    for (size_t i = 0; i < given->count; i++) {
        if (given->facts[i].is_registration) {
            struct registration_key key = registration_key_of(given->first + i);
            bytes += batch_put(index, SPAN_OF_ARRAY(key.bytes), 1);
        }
    }
    return bytes;
}

static enum err_code fill_batch(struct index *index, const struct given *given, size_t *bytes,
                                struct err *err)
{
    leveldb_writebatch_clear(index->batch);
    *bytes = batch_put(index, span_of_str(covered_key), given->first + given->count);
    enum err_code rc = fill_leaves(index, given, bytes, err);
    if (rc == E_OK && given->facts != NULL) {
        rc = fill_tags(index, given, bytes, err);
        *bytes += fill_registrations(index, given);
    }
    return rc;
}

enum err_code index_put(struct index *index, uint64_t first, const struct hash *leaves,
                        const struct index_facts *facts, const bool *is_new, size_t count,
                        struct err *err)
{
    assert(first == index->covered);
    assert((facts != NULL) == index->has_facts);
    for (size_t done = 0; done < count;) {
        size_t bytes;
        char *db_err = NULL;
        struct given given = {
            .first = first + done,
            .leaves = leaves + done,
            .facts = facts == NULL ? NULL : facts + done,
            /* After the first batch it no longer tells: an equal hash may have been in that. */
            .is_new = done == 0 ? is_new : NULL,
            .count = count - done < BATCH_ENTRIES_MAX ? count - done : BATCH_ENTRIES_MAX,
        };
        enum err_code rc = fill_batch(index, &given, &bytes, err);
        if (rc != E_OK) {
            return rc;
        }
        leveldb_write(index->store.db, index->store.write, index->batch, &db_err);
        if (db_err != NULL) {
            return leveldb_store_error(db_err, "index: put", err);
        }
        index->bytes_written += bytes;
        done += given.count;
        index->covered = first + done;
    }
    return E_OK;
}

enum err_code index_get(const struct index *index, const struct hash *leaf, uint64_t *out,
                        struct err *err)
{
    return get_number(index, span_of(leaf->bytes, KEY_BYTES), out, err);
}

enum err_code index_get_tag(const struct index *index, const struct hash *tag, uint64_t *out,
                            struct err *err)
{
    struct tag_key key = tag_key_of(tag);
    return get_number(index, SPAN_OF_ARRAY(key.bytes), out, err);
}

/* False past the last registration. A key of another kind between them is chance. */
static bool take_registration(const leveldb_iterator_t *at, bool *is_one, uint64_t *number)
{
    size_t len;
    const char *key = leveldb_iter_key(at, &len);
    if (len < REGISTRATION_PREFIX_BYTES ||
        memcmp(key, registration_prefix, REGISTRATION_PREFIX_BYTES) != 0) {
        return false;
    }
    *is_one = len == REGISTRATION_KEY_BYTES;
    *number = 0;
    for (size_t i = REGISTRATION_PREFIX_BYTES; *is_one && i < len; i++) {
        *number = *number << 8 | (uint8_t)key[i];
    }
    return true;
}

enum err_code index_scan_registrations(const struct index *index, void *ctx,
                                       enum err_code (*on_index)(void *ctx, uint64_t index,
                                                                 struct err *err),
                                       struct err *err)
{
    enum err_code rc = E_OK;
    leveldb_iterator_t *at = leveldb_create_iterator(index->store.db, index->store.scan);
    leveldb_iter_seek(at, registration_prefix, REGISTRATION_PREFIX_BYTES);
    bool is_one;
    uint64_t number;
    while (rc == E_OK && leveldb_iter_valid(at) && take_registration(at, &is_one, &number)) {
        if (is_one) {
            rc = on_index(ctx, number, err);
        }
        leveldb_iter_next(at);
    }
    char *db_err = NULL;
    leveldb_iter_get_error(at, &db_err);
    if (db_err != NULL) {
        enum err_code failed = leveldb_store_error(db_err, "index: scan", err);
        rc = rc == E_OK ? failed : rc;
    }
    leveldb_iter_destroy(at);
    return rc;
}
