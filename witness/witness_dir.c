#include "witness/witness_dir.h"

#include "base/alloc.h"
#include "base/file.h"

#include <stdio.h>
#include <unistd.h>

#define IDENTITY "identity"

enum {
    PRIVATE_MODE = 0700,
    FILE_MODE = 0600,
    IDENTITY_BYTES_MAX = 64 * 1024
};

static bool has_line(struct span bytes, struct span wanted)
{
    struct span line;
    while (span_take_until(&bytes, '\n', &line)) {
        if (span_is_equal(line, wanted)) {
            return true;
        }
    }
    return false;
}

/* Appends those of our keys that `held` lacks; counts those it has. */
static size_t put_new(struct buf *out, struct span held, const struct signer *keys, size_t count)
{
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        struct buf vkey = BUF_INIT(VKEY_TEXT_MAX);
        vkey_put(&vkey, &keys[i].vkey);
        if (has_line(held, buf_span(&vkey))) {
            known++;
        } else {
            buf_put(out, buf_span(&vkey));
            buf_put_str(out, "\n");
        }
        buf_clear(&vkey);
    }
    return known;
}

/* A state belongs to the keys that signed from it: with another key it would say nothing about what
 * that key has signed. */
static enum err_code check_identity(struct witness_dir *dir, const struct signer *keys,
                                    size_t key_count, struct err *err)
{
    char *name = file_join(dir->path, IDENTITY);
    struct buf held = BUF_INIT(IDENTITY_BYTES_MAX);
    enum err_code rc = file_read(&held, name, err);
    mem_free(name);
    dir->has_signed = rc == E_OK;
    if (rc == E_NOT_FOUND) {
        rc = E_OK;
    }
    if (rc == E_OK) {
        buf_put(&dir->identity, buf_span(&held));
        size_t known = put_new(&dir->identity, buf_span(&held), keys, key_count);
        if (dir->has_signed && known == 0) {
            rc = err_set(
                err, E_DENIED,
                "data directory %s belongs to other keys, see its file identity. What a key "
                "has signed is known by its own directory only: start with the key that "
                "this one belongs to (a new key may be given beside it), or give a key that "
                "has never signed a directory of its own",
                dir->path);
        } else if (known == key_count) {
            buf_reset(&dir->identity);
        }
    }
    buf_clear(&held);
    return rc;
}

static enum err_code write_identity(struct witness_dir *dir, struct err *err)
{
    if (dir->identity.len == 0) {
        return E_OK;
    }
    char *name = file_join(dir->path, IDENTITY);
    enum err_code rc = file_replace(name, FILE_MODE, buf_span(&dir->identity), err);
    mem_free(name);
    if (rc == E_OK) {
        dir->has_signed = true;
        buf_reset(&dir->identity);
    }
    return rc;
}

enum err_code witness_dir_open(struct witness_dir *out, const char *path, const struct signer *keys,
                               size_t key_count, struct err *err)
{
    struct witness_dir dir = {
        .lock_fd = -1,
        .path = mem_strdup(path),
        .state = file_join(path, "state"),
        .evidence = file_join(path, "evidence"),
        .lists = file_join(path, "lists"),
        .bastion_key = file_join(path, "bastion.key"),
    };
    buf_init(&dir.identity, 2 * IDENTITY_BYTES_MAX);
    enum err_code rc = file_make_directory(path, PRIVATE_MODE, err);
    if (rc == E_OK) {
        rc = file_lock_directory(path, &dir.lock_fd, err);
    }
    if (rc == E_OK) {
        rc = check_identity(&dir, keys, key_count, err);
    }
    if (rc == E_OK) {
        rc = file_make_directory(dir.evidence, PRIVATE_MODE, err);
    }
    if (rc == E_OK) {
        rc = file_make_directory(dir.lists, PRIVATE_MODE, err);
    }
    if (rc != E_OK) {
        witness_dir_close(&dir);
        return rc;
    }
    *out = dir;
    return E_OK;
}

/* LevelDB writes when it opens: its log of the last run becomes a table, and it begins new files. */
static enum err_code explain(const struct witness_dir *dir, enum err_code rc, struct err *err)
{
    if (rc == E_NOT_FOUND) {
        return err_set(err, rc,
                       "the state is lost: this key must be retired (docs/witness.md); but if %s "
                       "is on a volume that is not mounted, mount it and start again. The file "
                       "identity says that this directory has signed, and there is no store: an "
                       "empty one would sign a second history",
                       dir->state);
    }
    if (rc == E_IO) {
        return err_wrap(err, "the store cannot be opened, which takes some room: if the disk "
                             "under data-dir is full, free 16 MiB there and start again");
    }
    return rc;
}

enum err_code witness_dir_open_store(struct witness_dir *dir, struct kv **out, struct err *err)
{
    struct kv *kv = NULL;
    enum err_code rc = dir->has_signed ? kv_leveldb_open_existing(&kv, dir->state, err)
                                       : kv_leveldb_open(&kv, dir->state, err);
    if (rc != E_OK) {
        return explain(dir, rc, err);
    }
    rc = write_identity(dir, err);
    if (rc != E_OK) {
        kv_close(kv);
        return rc;
    }
    *out = kv;
    return E_OK;
}

enum err_code witness_dir_reopen_store(const struct witness_dir *dir, struct kv **out,
                                       struct err *err)
{
    enum err_code rc = kv_leveldb_open_existing(out, dir->state, err);
    return rc == E_NOT_FOUND ? explain(dir, rc, err) : rc;
}

void witness_dir_close(struct witness_dir *dir)
{
    if (dir->lock_fd >= 0) {
        close(dir->lock_fd);
    }
    dir->lock_fd = -1;
    buf_clear(&dir->identity);
    mem_free(dir->path);
    mem_free(dir->state);
    mem_free(dir->evidence);
    mem_free(dir->lists);
    mem_free(dir->bastion_key);
}
