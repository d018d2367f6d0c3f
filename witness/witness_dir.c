#include "witness/witness_dir.h"

#include "base/alloc.h"
#include "base/file.h"

#include <stdio.h>
#include <unistd.h>

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
        struct buf vkey = BUF_INIT(1024);
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
static enum err_code bind(const char *path, const struct signer *keys, size_t key_count,
                          struct err *err)
{
    char *name = file_join(path, "identity");
    struct buf held = BUF_INIT(IDENTITY_BYTES_MAX), added = BUF_INIT(2 * IDENTITY_BYTES_MAX);
    enum err_code rc = file_read(&held, name, err);
    bool is_new = rc == E_NOT_FOUND;
    if (is_new) {
        rc = E_OK;
    }
    if (rc == E_OK) {
        buf_put(&added, buf_span(&held));
        size_t known = put_new(&added, buf_span(&held), keys, key_count);
        if (!is_new && known == 0) {
            rc = err_set(
                err, E_DENIED,
                "data directory %s belongs to other keys, see its file identity. What a key "
                "has signed is known by its own directory only: start with the key that "
                "this one belongs to (a new key may be given beside it), or give a key that "
                "has never signed a directory of its own",
                path);
        } else if (known < key_count) {
            rc = file_replace(name, FILE_MODE, buf_span(&added), err);
        }
    }
    buf_clear(&held);
    buf_clear(&added);
    mem_free(name);
    return rc;
}

enum err_code witness_dir_open(struct witness_dir *out, const char *path, const struct signer *keys,
                               size_t key_count, struct err *err)
{
    struct witness_dir dir = {
        .lock_fd = -1,
        .state = file_join(path, "state"),
        .evidence = file_join(path, "evidence"),
        .lists = file_join(path, "lists"),
        .bastion_key = file_join(path, "bastion.key"),
    };
    enum err_code rc = file_make_directory(path, PRIVATE_MODE, err);
    if (rc == E_OK) {
        rc = file_lock_directory(path, &dir.lock_fd, err);
    }
    if (rc == E_OK) {
        rc = bind(path, keys, key_count, err);
    }
    if (rc == E_OK) {
        rc = file_make_directory(dir.state, PRIVATE_MODE, err);
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

void witness_dir_close(struct witness_dir *dir)
{
    if (dir->lock_fd >= 0) {
        close(dir->lock_fd);
    }
    dir->lock_fd = -1;
    mem_free(dir->state);
    mem_free(dir->evidence);
    mem_free(dir->lists);
    mem_free(dir->bastion_key);
}
