/* Values are the index, big-endian, without leading zeros (0 is one zero byte). The size covered is
 * under the key "covered", which is shorter than a hash key. */
#include "store/index.h"

#include "base/alloc.h"
#include "store/leveldb_store.h"

#include <assert.h>
#include <stdlib.h>

enum {
    KEY_BYTES = 16,
    VALUE_BYTES_MAX = 8,
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

struct index {
    struct leveldb_store store;
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

enum err_code index_open(struct index **out, const char *dir, struct err *err)
{
    uint64_t covered = 0;
    struct index *index = NEW(struct index);
    enum err_code rc = leveldb_store_open(&index->store, dir, &sizes, "index: open", err);
    if (rc != E_OK) {
        mem_free(index);
        return rc;
    }
    index->batch = leveldb_writebatch_create();
    rc = get_number(index, span_of_str(covered_key), &covered, err);
    if (rc != E_OK && rc != E_NOT_FOUND) {
        index_close(index);
        return rc;
    }
    index->covered = covered;
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

static int compare_pending(const void *a, const void *b)
{
    const struct pending *left = a, *right = b;
    int order = memcmp(left->key, right->key, KEY_BYTES);
    return order != 0 ? order
                      : (left->position > right->position) - (left->position < right->position);
}

static struct pending *sort_batch(const struct hash *leaves, size_t count)
{
    struct pending *sorted = mem_calloc(count, sizeof *sorted);
    for (size_t i = 0; i < count; i++) {
        memcpy(sorted[i].key, leaves[i].bytes, KEY_BYTES);
        sorted[i].position = (uint32_t)i;
    }
    qsort(sorted, count, sizeof *sorted, compare_pending);
    return sorted;
}

/* Of equal keys the first is put, which is the smallest index; the others are behind it. */
static enum err_code fill_batch(struct index *index, uint64_t first, const struct hash *leaves,
                                const bool *is_new, size_t count, size_t *bytes, struct err *err)
{
    enum err_code rc = E_OK;
    struct pending *sorted = sort_batch(leaves, count);
    leveldb_writebatch_clear(index->batch);
    *bytes = batch_put(index, span_of_str(covered_key), first + count);
    for (size_t i = 0; i < count && rc == E_OK; i++) {
        struct span key = { sorted[i].key, KEY_BYTES };
        uint32_t position = sorted[i].position;
        uint64_t old;
        if (i > 0 && memcmp(sorted[i - 1].key, sorted[i].key, KEY_BYTES) == 0) {
            continue;
        }
        enum err_code found = E_NOT_FOUND;
        if (is_new == NULL || !is_new[position]) {
            found = get_number(index, key, &old, err);
        }
        if (found == E_NOT_FOUND) {
            *bytes += batch_put(index, key, first + position);
        } else {
            rc = found;
        }
    }
    mem_free(sorted);
    return rc;
}

enum err_code index_put(struct index *index, uint64_t first, const struct hash *leaves,
                        const bool *is_new, size_t count, struct err *err)
{
    assert(first == index->covered);
    for (size_t done = 0; done < count;) {
        size_t n = count - done < BATCH_ENTRIES_MAX ? count - done : BATCH_ENTRIES_MAX;
        size_t bytes;
        char *db_err = NULL;
        /* After the first batch `is_new` no longer tells: an equal hash may have been in it. */
        enum err_code rc = fill_batch(index, first + done, leaves + done, done == 0 ? is_new : NULL,
                                      n, &bytes, err);
        if (rc != E_OK) {
            return rc;
        }
        leveldb_write(index->store.db, index->store.write, index->batch, &db_err);
        if (db_err != NULL) {
            return leveldb_store_error(db_err, "index: put", err);
        }
        index->bytes_written += bytes;
        done += n;
        index->covered = first + done;
    }
    return E_OK;
}

enum err_code index_get(const struct index *index, const struct hash *leaf, uint64_t *out,
                        struct err *err)
{
    return get_number(index, span_of(leaf->bytes, KEY_BYTES), out, err);
}
