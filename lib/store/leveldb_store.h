/* leveldb_store.h -- one open LevelDB directory: its options, its handles, its errors in our words.
 *
 * What every store of ours that is kept in LevelDB has in common: paranoid checks, checksums verified
 * on each read, an LRU cache, a bloom filter, a bound on open files, no compression.
 * For lib/store's own files. Any thread may read; one writer at a time. Blocks on the disk.
 */
#ifndef STORE_LEVELDB_STORE_H
#define STORE_LEVELDB_STORE_H

#include "base/err.h"
#include "base/span.h"

#include <leveldb/c.h>

struct leveldb_sizes {
    size_t write_buffer_bytes;
    size_t block_cache_bytes;
    size_t table_bytes;
    int open_files_max;
};

struct leveldb_store {
    leveldb_t *db; /* owned, as all below */
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_readoptions_t *read;
    leveldb_readoptions_t *scan; /* leaves the cache alone */
    leveldb_writeoptions_t *write;
    leveldb_writeoptions_t *write_synced;
};

/* Opens or creates. Errors as leveldb_store_error, and then there is nothing to close. `name` comes
 * first in the message. */
MUST_USE enum err_code leveldb_store_open(struct leveldb_store *out, const char *dir,
                                          const struct leveldb_sizes *sizes, const char *name,
                                          struct err *err);
void leveldb_store_close(struct leveldb_store *store);

/* Removes the LevelDB files of a directory that is not open. */
MUST_USE enum err_code leveldb_store_destroy(const char *dir, const char *name, struct err *err);

/* E_NOT_FOUND, or the value, to be freed with leveldb_free. */
MUST_USE enum err_code leveldb_store_get(const struct leveldb_store *store, struct span key,
                                         char **value, size_t *value_len, const char *name,
                                         struct err *err);

/* Takes and frees LevelDB's own error string. E_BUSY: another process, or another handle of this one,
 * has the directory. E_CORRUPT: files are missing or do not check. E_IO: anything else, such as a
 * full disk, which may pass. */
enum err_code leveldb_store_error(char *text, const char *name, struct err *err);

#endif
