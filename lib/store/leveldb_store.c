#include "store/leveldb_store.h"

#include <string.h>

enum {
    BLOOM_BITS = 10
};

/* LevelDB's C interface has words only. Its lock is refused by itself ("already held by process") or
 * by fcntl (EAGAIN). Files that are missing or do not check make the store useless. */
static enum err_code code_of(const char *text)
{
    if (strncmp(text, "IO error", strlen("IO error")) != 0) {
        return E_CORRUPT;
    }
    if (strstr(text, "lock ") != NULL && (strstr(text, "already held by process") != NULL ||
                                          strstr(text, "temporarily unavailable") != NULL)) {
        return E_BUSY;
    }
    return strstr(text, "No such file") != NULL ? E_CORRUPT : E_IO;
}

enum err_code leveldb_store_error(char *text, const char *name, struct err *err)
{
    enum err_code rc = err_set(err, code_of(text), "%s: %s", name, text);
    leveldb_free(text);
    return rc;
}

static void make_options(struct leveldb_store *store, const struct leveldb_sizes *sizes)
{
    store->cache = leveldb_cache_create_lru(sizes->block_cache_bytes);
    store->filter = leveldb_filterpolicy_create_bloom(BLOOM_BITS);
    store->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(store->options, 1);
    leveldb_options_set_paranoid_checks(store->options, 1);
    leveldb_options_set_write_buffer_size(store->options, sizes->write_buffer_bytes);
    leveldb_options_set_max_file_size(store->options, sizes->table_bytes);
    leveldb_options_set_max_open_files(store->options, sizes->open_files_max);
    leveldb_options_set_cache(store->options, store->cache);
    leveldb_options_set_filter_policy(store->options, store->filter);
    leveldb_options_set_compression(store->options, leveldb_no_compression); /* hashes */
    store->read = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(store->read, 1);
    store->scan = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(store->scan, 1);
    leveldb_readoptions_set_fill_cache(store->scan, 0);
    store->write = leveldb_writeoptions_create();
    store->write_synced = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(store->write_synced, 1);
}

enum err_code leveldb_store_open(struct leveldb_store *out, const char *dir,
                                 const struct leveldb_sizes *sizes, const char *name,
                                 struct err *err)
{
    char *db_err = NULL;
    struct leveldb_store store = { .db = NULL };
    make_options(&store, sizes);
    store.db = leveldb_open(store.options, dir, &db_err);
    if (db_err != NULL) {
        leveldb_store_close(&store);
        return leveldb_store_error(db_err, name, err);
    }
    *out = store;
    return E_OK;
}

void leveldb_store_close(struct leveldb_store *store)
{
    if (store->db != NULL) {
        leveldb_close(store->db);
    }
    leveldb_writeoptions_destroy(store->write_synced);
    leveldb_writeoptions_destroy(store->write);
    leveldb_readoptions_destroy(store->scan);
    leveldb_readoptions_destroy(store->read);
    leveldb_options_destroy(store->options);
    leveldb_filterpolicy_destroy(store->filter);
    leveldb_cache_destroy(store->cache);
    *store = (struct leveldb_store){ .db = NULL };
}

enum err_code leveldb_store_destroy(const char *dir, const char *name, struct err *err)
{
    char *db_err = NULL;
    leveldb_options_t *options = leveldb_options_create();
    leveldb_destroy_db(options, dir, &db_err);
    leveldb_options_destroy(options);
    return db_err != NULL ? leveldb_store_error(db_err, name, err) : E_OK;
}

enum err_code leveldb_store_get(const struct leveldb_store *store, struct span key, char **value,
                                size_t *value_len, const char *name, struct err *err)
{
    char *db_err = NULL;
    size_t len = 0;
    char *found =
        leveldb_get(store->db, store->read, (const char *)key.data, key.len, &len, &db_err);
    if (db_err != NULL) {
        return leveldb_store_error(db_err, name, err);
    }
    if (found == NULL) {
        return err_set(err, E_NOT_FOUND, "%s: no such key", name);
    }
    *value = found;
    *value_len = len;
    return E_OK;
}
