#include "client/payload_dir.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "tlog/merkle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char names_dir[] = "sealed";

enum {
    DIRECTORY_MODE = 0700,
    FILE_MODE = 0600,
    FAN = 256,
    SEALED_BYTES_MAX = PAYLOAD_BYTES_MAX + 256,
};

/* ---- open and close ---- */

/* One sync for many: each would cost a start some milliseconds. */
static enum err_code make_some(const char *path, unsigned from, unsigned to, struct err *err)
{
    for (unsigned i = from; i < to; i++) {
        char name[4];
        snprintf(name, sizeof name, "%02x", i);
        char *directory = file_join(path, name);
        bool is_made = mkdir(directory, DIRECTORY_MODE) == 0 || errno == EEXIST;
        int problem = errno;
        mem_free(directory);
        if (!is_made) {
            return err_set_errno(err, E_IO, problem, "make directory %s/%s", path, name);
        }
    }
    return file_sync_directory(path, err);
}

static enum err_code make_directories(const char *path, struct err *err)
{
    enum err_code rc = file_make_directory(path, DIRECTORY_MODE, err);
    char last[4];
    snprintf(last, sizeof last, "%02x", FAN - 1);
    char *mark = file_join(path, last);
    bool is_made = access(mark, F_OK) == 0;
    mem_free(mark);
    if (rc == E_OK && !is_made) {
        rc = make_some(path, 0, FAN - 1, err);
    }
    if (rc == E_OK && !is_made) {
        rc = make_some(path, FAN - 1, FAN, err); /* the last is last */
    }
    if (rc == E_OK) {
        char *names = file_join(path, names_dir);
        rc = file_make_directory(names, DIRECTORY_MODE, err);
        mem_free(names);
    }
    return rc;
}

enum err_code payload_dir_open(struct payload_dir *out, const char *path, const char *key_path,
                               struct err *err)
{
    struct payload_dir dir = { .path = NULL };
    enum err_code rc = sealed_key_load(&dir.key, key_path, err);
    if (rc == E_OK) {
        rc = make_directories(path, err);
    }
    if (rc == E_OK) {
        dir.path = mem_strdup(path);
        *out = dir;
    }
    crypto_wipe(&dir.key, sizeof dir.key);
    return rc;
}

void payload_dir_close(struct payload_dir *dir)
{
    crypto_wipe(&dir->key, sizeof dir->key);
    mem_free(dir->path);
    dir->path = NULL;
}

void payload_dir_put_path(struct buf *out, const struct payload_dir *dir, const struct hash *leaf)
{
    struct buf hex = BUF_INIT(2 * HASH_BYTES);
    hex_put(&hex, hash_span(leaf));
    buf_putf(out, "%s/%.2s/%.*s.payload", dir->path, (const char *)hex.data, (int)hex.len,
             (const char *)hex.data);
    buf_clear(&hex);
}

/* ---- writing ---- */

static void put_path_of(struct buf *out, const struct payload_dir *dir,
                        const struct payload *payload)
{
    struct hash leaf = merkle_leaf_hash(buf_span(&payload->record));
    payload_dir_put_path(out, dir, &leaf);
}

static enum err_code write_all(int fd, struct span bytes, struct err *err)
{
    while (bytes.len > 0) {
        ssize_t written = write(fd, bytes.data, bytes.len);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return err_set_errno(err, E_IO, errno, "payload");
        }
        bytes = span_slice(bytes, (size_t)written, bytes.len - (size_t)written);
    }
    return E_OK;
}

/* Not synced yet. Nobody looks for the file before the spool has the record. */
static enum err_code write_one(const struct payload_dir *dir, const struct payload *payload,
                               struct buf *path, struct err *err)
{
    struct buf json = BUF_INIT(PAYLOAD_BYTES_MAX);
    struct buf sealed = BUF_INIT(SEALED_BYTES_MAX);
    enum err_code rc = E_OK;
    int fd = open(buf_c_str(path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return err_set_errno(err, errno == EEXIST ? E_EXISTS : E_IO, errno, "payload");
    }
    payload_put(&json, payload);
    sealed_file_put(&sealed, CIPHER_AES_256_GCM, &dir->key, buf_span(&json));
    rc = write_all(fd, buf_span(&sealed), err);
    crypto_wipe_buf(&json);
    buf_clear(&sealed);
    if (close(fd) != 0 && rc == E_OK) {
        rc = err_set_errno(err, E_IO, errno, "payload");
    }
    return rc;
}

static enum err_code sync_path(const char *path, bool is_of_all, struct err *err)
{
    enum err_code rc = E_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (is_of_all ? syncfs(fd) : fsync(fd)) != 0) {
        rc = err_set_errno(err, E_IO, errno, "payload");
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

/* A single one costs its file and directory; for more the file system is synced once. */
static enum err_code sync_all(const struct payload_dir *dir, struct buf *path, size_t count,
                              struct err *err)
{
    if (count > 1) {
        return sync_path(dir->path, true, err);
    }
    enum err_code rc = sync_path(buf_c_str(path), false, err);
    if (rc == E_OK) {
        size_t name = span_find_last(buf_span(path), span_of_str("/"));
        buf_truncate(path, name);
        rc = sync_path(buf_c_str(path), false, err);
    }
    return rc;
}

enum err_code payload_dir_write(const struct payload_dir *dir, const struct payload *payloads,
                                size_t count, struct err *err)
{
    struct buf path = BUF_INIT(PATH_MAX);
    size_t written = 0;
    enum err_code rc = E_OK;
    if (strlen(dir->path) + 2 * HASH_BYTES + 64 > PATH_MAX) {
        return err_set(err, E_TOO_LARGE, "the path of the payloads is too long");
    }
    for (; written < count && rc == E_OK; written++) {
        buf_reset(&path);
        put_path_of(&path, dir, &payloads[written]);
        rc = write_one(dir, &payloads[written], &path, err);
    }
    /* One that was there stays. */
    size_t made = rc == E_EXISTS ? written - 1 : written;
    if (rc == E_OK && count > 0) {
        rc = sync_all(dir, &path, count, err);
    }
    if (rc != E_OK) {
        payload_dir_remove(dir, payloads, made);
    }
    buf_clear(&path);
    return rc;
}

void payload_dir_remove(const struct payload_dir *dir, const struct payload *payloads, size_t count)
{
    struct buf path = BUF_INIT(PATH_MAX);
    for (size_t i = 0; i < count; i++) {
        buf_reset(&path);
        put_path_of(&path, dir, &payloads[i]);
        (void)unlink(buf_c_str(&path));
    }
    buf_clear(&path);
}

/* ---- names ---- */

void payload_dir_put_name_path(struct buf *out, const struct payload_dir *dir,
                               const struct hash *name)
{
    buf_putf(out, "%s/%s/", dir->path, names_dir);
    hex_put(out, hash_span(name));
    buf_put_str(out, ".payload");
}

/* Made aside and renamed: a name leads to one payload or the other, at any time. */
enum err_code payload_dir_put_name(const struct payload_dir *dir, const struct hash *name,
                                   const struct hash *leaf, struct err *err)
{
    struct buf path = BUF_INIT(PATH_MAX), aside = BUF_INIT(PATH_MAX), target = BUF_INIT(PATH_MAX);
    char parent[] = "..";
    const struct payload_dir above = { .path = parent };
    enum err_code rc = E_OK;
    payload_dir_put_name_path(&path, dir, name);
    buf_putf(&aside, "%s.new", buf_c_str(&path));
    payload_dir_put_path(&target, &above, leaf);
    (void)unlink(buf_c_str(&aside)); /* of a crash */
    if (symlink(buf_c_str(&target), buf_c_str(&aside)) != 0 ||
        rename(buf_c_str(&aside), buf_c_str(&path)) != 0) {
        rc = err_set_errno(err, E_IO, errno, "payload");
    }
    buf_clear(&path);
    buf_clear(&aside);
    buf_clear(&target);
    return rc;
}

enum err_code payload_dir_sync_names(const struct payload_dir *dir, struct err *err)
{
    char *names = file_join(dir->path, names_dir);
    enum err_code rc = file_sync_directory(names, err);
    mem_free(names);
    return rc;
}

/* ---- reading ---- */

enum err_code payload_dir_read(const struct payload_dir *dir, const char *path, struct payload *out,
                               struct err *err)
{
    struct buf json = BUF_INIT(PAYLOAD_BYTES_MAX);
    payload_init(out);
    enum err_code rc = sealed_file_read(&json, path, &dir->key, PAYLOAD_BYTES_MAX, err);
    if (rc == E_OK) {
        rc = payload_parse(out, buf_span(&json), err);
    }
    crypto_wipe_buf(&json);
    return rc;
}
