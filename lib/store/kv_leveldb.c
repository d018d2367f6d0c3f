/* A write that failed may have left half a record in LevelDB's log, behind which it would go on
 * writing: so the handle is done with after the first, and a new one reads what is there. */
#include "base/alloc.h"
#include "base/file.h"
#include "store/kv.h"
#include "store/leveldb_store.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    DIRECTORY_MODE = 0700
};

/* Keys are few and small: a short log is read again quickly after a crash. */
static const struct leveldb_sizes sizes = {
    .write_buffer_bytes = 4 * 1024 * 1024,
    .block_cache_bytes = 2 * 1024 * 1024,
    .table_bytes = 2 * 1024 * 1024,
    .open_files_max = 64,
};

static const char name[] = "store";

struct kv_leveldb {
    struct kv base;
    struct leveldb_store store;
    leveldb_writebatch_t *batch; /* the writer's; owned */
    atomic_bool is_broken;       /* a write failed */
};

static struct kv_leveldb *self_of(struct kv *kv)
{
    return (struct kv_leveldb *)kv;
}

static enum err_code get(struct kv *kv, struct span key, struct buf *out, struct err *err)
{
    char *value = NULL;
    size_t len = 0;
    enum err_code rc = leveldb_store_get(&self_of(kv)->store, key, &value, &len, name, err);
    if (rc == E_OK) {
        rc = buf_append(out, span_of(value, len), err);
        leveldb_free(value);
    }
    return rc;
}

static void fill(leveldb_writebatch_t *out, const struct kv_batch *batch)
{
    struct span changes = buf_span(&batch->changes);
    struct span key, value;
    bool is_delete;
    leveldb_writebatch_clear(out);
    while (kv_batch_take(&changes, &key, &value, &is_delete)) {
        if (is_delete) {
            leveldb_writebatch_delete(out, (const char *)key.data, key.len);
        } else {
            leveldb_writebatch_put(out, (const char *)key.data, key.len, (const char *)value.data,
                                   value.len);
        }
    }
}

static enum err_code write_batch(struct kv *kv, const struct kv_batch *batch, bool is_synced,
                                 struct err *err)
{
    struct kv_leveldb *self = self_of(kv);
    const struct leveldb_store *store = &self->store;
    char *db_err = NULL;
    if (self->is_broken) {
        return err_set(err, E_IO, "%s: a write failed before: it must be opened again", name);
    }
    fill(self->batch, batch);
    leveldb_write(store->db, is_synced ? store->write_synced : store->write, self->batch, &db_err);
    leveldb_writebatch_clear(self->batch);
    if (db_err != NULL) {
        self->is_broken = true;
        return leveldb_store_error(db_err, name, err);
    }
    return E_OK;
}

/* An iterator sees the store as it was when it was made. */
static enum err_code scan(struct kv *kv, struct span prefix,
                          enum err_code (*on_item)(void *ctx, struct span key, struct span value,
                                                   struct err *err),
                          void *ctx, struct err *err)
{
    const struct leveldb_store *store = &self_of(kv)->store;
    enum err_code rc = E_OK;
    char *db_err = NULL;
    leveldb_iterator_t *at = leveldb_create_iterator(store->db, store->scan);
    leveldb_iter_seek(at, (const char *)prefix.data, prefix.len);
    for (; rc == E_OK && leveldb_iter_valid(at); leveldb_iter_next(at)) {
        struct span key, value;
        key.data = (const uint8_t *)leveldb_iter_key(at, &key.len);
        value.data = (const uint8_t *)leveldb_iter_value(at, &value.len);
        if (!span_has_prefix(key, prefix)) {
            break;
        }
        rc = on_item(ctx, key, value, err);
    }
    if (rc == E_OK) {
        leveldb_iter_get_error(at, &db_err);
    }
    leveldb_iter_destroy(at);
    return db_err != NULL ? leveldb_store_error(db_err, name, err) : rc;
}

static void close_store(struct kv *kv)
{
    struct kv_leveldb *self = self_of(kv);
    leveldb_writebatch_destroy(self->batch);
    leveldb_store_close(&self->store);
    mem_free(self);
}

static const struct kv_ops ops = { get, write_batch, scan, close_store };

static bool is_data(const char *file)
{
    struct span span = span_of_str(file);
    return span_has_suffix(span, span_of_str(".ldb")) || span_has_suffix(span, span_of_str(".log"));
}

static bool has_current(const char *dir)
{
    char *current = file_join(dir, "CURRENT");
    bool is_there = access(current, F_OK) == 0;
    mem_free(current);
    return is_there;
}

/* LevelDB makes a new, empty store when CURRENT is gone, whatever else is there. A store that lost it
 * has lost its state; one whose making was cut short has no data yet. */
static enum err_code check_current(const char *dir, struct err *err)
{
    enum err_code rc = E_OK;
    if (has_current(dir)) {
        return E_OK;
    }
    DIR *listing = opendir(dir);
    if (listing == NULL) {
        return err_set_errno(err, E_IO, errno, "%s: %s", name, dir);
    }
    for (struct dirent *entry; rc == E_OK && (entry = readdir(listing)) != NULL;) {
        if (is_data(entry->d_name)) {
            rc = err_set(err, E_CORRUPT, "%s: %s has %s but no CURRENT", name, dir, entry->d_name);
        }
    }
    closedir(listing);
    return rc;
}

static enum err_code open_store(struct kv **out, const char *dir, struct err *err)
{
    struct kv_leveldb *self = NEW(struct kv_leveldb);
    self->base.ops = &ops;
    enum err_code rc = leveldb_store_open(&self->store, dir, &sizes, name, err);
    if (rc != E_OK) {
        mem_free(self);
        return rc;
    }
    self->batch = leveldb_writebatch_create();
    *out = &self->base;
    return E_OK;
}

enum err_code kv_leveldb_open(struct kv **out, const char *dir, struct err *err)
{
    enum err_code rc = file_make_directory(dir, DIRECTORY_MODE, err);
    if (rc == E_OK) {
        rc = check_current(dir, err);
    }
    return rc == E_OK ? open_store(out, dir, err) : rc;
}

enum err_code kv_leveldb_open_existing(struct kv **out, const char *dir, struct err *err)
{
    if (!has_current(dir)) {
        return err_set(err, E_NOT_FOUND, "%s: %s has no CURRENT", name, dir);
    }
    return open_store(out, dir, err);
}
