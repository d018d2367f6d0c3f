#include "witness/state_store.h"

#include "base/alloc.h"
#include "base/file.h"
#include "witness/ledger_value.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    IDENTITY_BYTES_MAX = 64 * 1024,
    VALUE_BYTES_MAX = 1024
};

static enum err_code check_directory(const char *data_dir, const char *state, struct err *err)
{
    struct stat status;
    if (stat(state, &status) != 0) {
        return errno == ENOENT ? err_set(err, E_NOT_FOUND,
                                         "%s is not the data directory of a witness", data_dir)
                               : err_set_errno(err, E_IO, errno, "%s", state);
    }
    if (status.st_uid != geteuid()) {
        return err_set(err, E_DENIED,
                       "%s belongs to user %u: run this as that user, or the witness could not "
                       "read what is written here",
                       state, (unsigned)status.st_uid);
    }
    return E_OK;
}

static enum err_code open_kv(struct state_store *store, const char *state, struct err *err)
{
    struct buf value = BUF_INIT(VALUE_BYTES_MAX);
    struct ledger_key key = ledger_key_named("mark");
    enum err_code rc = kv_leveldb_open_existing(&store->kv, state, err);
    if (rc == E_NOT_FOUND) {
        return err_set(err, E_NOT_FOUND,
                       "%s has no store: if it is a volume, mount it; if it held the state of a "
                       "witness, that is lost (docs/witness.md)",
                       state);
    }
    if (rc != E_OK) {
        return rc;
    }
    rc = kv_get(store->kv, ledger_key_span(&key), &value, err);
    store->uses_mark = rc == E_OK;
    buf_clear(&value);
    return rc == E_NOT_FOUND ? E_OK : rc;
}

enum err_code state_store_open(struct state_store *out, const char *data_dir, struct err *err)
{
    struct state_store store = { .lock_fd = -1, .identity = file_join(data_dir, "identity") };
    char *state = file_join(data_dir, "state");
    enum err_code rc = check_directory(data_dir, state, err);
    if (rc == E_OK) {
        rc = file_lock_directory(data_dir, &store.lock_fd, err);
    }
    if (rc == E_OK) {
        rc = open_kv(&store, state, err);
    }
    if (rc == E_BUSY) {
        rc = err_set(err, E_BUSY, "%s is in use: stop courtroll-witness first", data_dir);
    }
    mem_free(state);
    if (rc != E_OK) {
        state_store_close(&store);
        return rc;
    }
    *out = store;
    return E_OK;
}

void state_store_start(struct state_store *store, struct mark_file *mark)
{
    store->ledger = ledger_start(&(struct ledger_options){ .kv = store->kv, .mark = mark });
    store->kv = NULL;
}

void state_store_close(struct state_store *store)
{
    ledger_stop(store->ledger);
    kv_close(store->kv);
    if (store->lock_fd >= 0) {
        close(store->lock_fd);
    }
    mem_free(store->identity);
}

enum err_code state_store_identity(const struct state_store *store, struct vkey *out, size_t max,
                                   size_t *count, struct err *err)
{
    struct buf bytes = BUF_INIT(IDENTITY_BYTES_MAX);
    struct span rest, line;
    enum err_code rc = file_read(&bytes, store->identity, err);
    rest = buf_span(&bytes);
    *count = 0;
    while (rc == E_OK && span_take_until(&rest, '\n', &line)) {
        rc = *count == max ? err_set(err, E_TOO_LARGE, "over %zu keys", max)
                           : vkey_parse(&out[*count], line, err);
        *count += rc == E_OK ? 1 : 0;
    }
    buf_clear(&bytes);
    return rc == E_OK ? E_OK : err_wrap(err, "%s", store->identity);
}
