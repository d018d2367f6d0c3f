#include "monitor/monitor_dir.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"

#include <unistd.h>

#define IDENTITY "identity"

enum {
    PRIVATE_MODE = 0700,
    FILE_MODE = 0600,
    IDENTITY_BYTES_MAX = 1024
};

static void put_identity(struct buf *out, const struct vkey *vkey)
{
    vkey_put(out, vkey);
    buf_put_str(out, "\n");
}

/* Observations in the store are signed, and alerts have been told under a name: both are of one key. */
static enum err_code check_identity(struct monitor_dir *dir, const struct vkey *vkey,
                                    struct err *err)
{
    char *name = file_join(dir->path, IDENTITY);
    struct buf held = BUF_INIT(IDENTITY_BYTES_MAX), ours = BUF_INIT(IDENTITY_BYTES_MAX);
    put_identity(&ours, vkey);
    enum err_code rc = file_read(&held, name, err);
    dir->is_known = rc == E_OK;
    if (rc == E_NOT_FOUND) {
        rc = E_OK;
    } else if (rc == E_OK && !span_is_equal(buf_span(&held), buf_span(&ours))) {
        rc = err_set(err, E_DENIED,
                     "data directory %s belongs to another key, see its file identity: start with "
                     "that key, or give this one a directory of its own",
                     dir->path);
    }
    mem_free(name);
    buf_clear(&held);
    buf_clear(&ours);
    return rc;
}

static enum err_code write_identity(struct monitor_dir *dir, const struct vkey *vkey,
                                    struct err *err)
{
    char *name = file_join(dir->path, IDENTITY);
    struct buf ours = BUF_INIT(IDENTITY_BYTES_MAX);
    put_identity(&ours, vkey);
    enum err_code rc = file_replace(name, FILE_MODE, buf_span(&ours), err);
    dir->is_known = rc == E_OK;
    buf_clear(&ours);
    mem_free(name);
    return rc;
}

enum err_code monitor_dir_open(struct monitor_dir *out, const char *path, const struct vkey *vkey,
                               struct err *err)
{
    struct monitor_dir dir = {
        .lock_fd = -1,
        .path = mem_strdup(path),
        .state = file_join(path, "state"),
        .archive = file_join(path, "archive"),
        .control = file_join(path, MONITOR_CONTROL_NAME),
    };
    enum err_code rc = file_make_directory(path, PRIVATE_MODE, err);
    if (rc == E_OK) {
        rc = file_lock_directory(path, &dir.lock_fd, err);
    }
    if (rc == E_OK) {
        rc = check_identity(&dir, vkey, err);
    }
    if (rc == E_OK) {
        rc = file_make_directory(dir.archive, PRIVATE_MODE, err);
    }
    if (rc != E_OK) {
        monitor_dir_close(&dir);
        return rc;
    }
    *out = dir;
    return E_OK;
}

static enum err_code explain(const struct monitor_dir *dir, enum err_code rc, struct err *err)
{
    if (rc == E_NOT_FOUND) {
        return err_set(err, rc,
                       "the store %s is lost, with all alerts and what was seen: if it is on a "
                       "volume that is not mounted, mount it and start again; if it is gone, "
                       "remove the file identity beside it to begin anew",
                       dir->state);
    }
    if (rc == E_IO) {
        return err_wrap(err, "the store cannot be opened, which takes some room: if the disk "
                             "under data-dir is full, free 16 MiB there and start again");
    }
    return rc;
}

enum err_code monitor_dir_open_store(struct monitor_dir *dir, const struct vkey *vkey,
                                     struct kv **out, struct err *err)
{
    struct kv *kv = NULL;
    enum err_code rc = dir->is_known ? kv_leveldb_open_existing(&kv, dir->state, err)
                                     : kv_leveldb_open(&kv, dir->state, err);
    if (rc != E_OK) {
        return explain(dir, rc, err);
    }
    if (!dir->is_known) {
        rc = write_identity(dir, vkey, err);
    }
    if (rc != E_OK) {
        kv_close(kv);
        return rc;
    }
    *out = kv;
    return E_OK;
}

enum err_code monitor_dir_reopen_store(const struct monitor_dir *dir, struct kv **out,
                                       struct err *err)
{
    enum err_code rc = kv_leveldb_open_existing(out, dir->state, err);
    return rc == E_NOT_FOUND ? explain(dir, rc, err) : rc;
}

char *monitor_dir_archive_of(const struct monitor_dir *dir, const struct hash *origin_hash)
{
    struct buf name = BUF_INIT(2 * HASH_BYTES + 1);
    hex_put(&name, hash_span(origin_hash));
    char *path = file_join(dir->archive, buf_c_str(&name));
    buf_clear(&name);
    return path;
}

void monitor_dir_close(struct monitor_dir *dir)
{
    if (dir->lock_fd >= 0) {
        close(dir->lock_fd);
    }
    dir->lock_fd = -1;
    mem_free(dir->path);
    mem_free(dir->state);
    mem_free(dir->archive);
    mem_free(dir->control);
}
