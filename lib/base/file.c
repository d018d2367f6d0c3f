/* The normal path of a write is: temporary file in the same directory, write, fsync, then one
 * atomic step that gives it its name, then fsync of the directory. A crash before the atomic step
 * leaves at most a stray temporary file: PATH.tmp, which the next file_replace clears away, or
 * PATH.<pid>-<n>.tmp of file_create. */
#include "base/file.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 * 1024,
    PARENT_MODE = 0755
};

static enum err_code read_error(struct err *err, const char *path)
{
    return err_set_errno(err, errno == ENOENT || errno == ENOTDIR ? E_NOT_FOUND : E_IO, errno,
                         "read %s", path);
}

/* What to ask of read(2) next: a regular file's size in one go, so that secrets are not left
 * behind in outgrown memory. */
static size_t first_chunk(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        return (size_t)st.st_size;
    }
    return READ_BYTES;
}

static ssize_t read_again(int fd, void *into, size_t len)
{
    ssize_t got;
    do {
        got = read(fd, into, len);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* Appends at most `chunk` bytes; *got is 0 at the end of the file. */
static enum err_code read_chunk(struct buf *out, int fd, size_t chunk, size_t *got,
                                const char *path, struct err *err)
{
    uint8_t probe; /* a full buffer is fine when the file ends there too */
    size_t room = buf_room(out);
    size_t before = out->len;
    size_t len = chunk < room ? chunk : room;
    void *into = len > 0 ? buf_extend(out, len) : &probe;
    ssize_t n = read_again(fd, into, len > 0 ? len : 1);
    buf_truncate(out, before + (n > 0 && len > 0 ? (size_t)n : 0));
    if (n < 0) {
        return read_error(err, path);
    }
    if (n > 0 && len == 0) {
        return err_set(err, E_TOO_LARGE, "read %s: over %zu bytes", path, out->max);
    }
    *got = (size_t)n;
    return E_OK;
}

char *file_join(const char *dir, const char *name)
{
    size_t len = strlen(dir) + 1 + strlen(name) + 1;
    char *path = mem_alloc(len);
    snprintf(path, len, "%s/%s", dir, name);
    return path;
}

enum err_code file_read(struct buf *out, const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return read_error(err, path);
    }
    size_t before = out->len;
    size_t chunk = first_chunk(fd);
    size_t got = 0;
    enum err_code rc;
    do {
        rc = read_chunk(out, fd, chunk, &got, path, err);
        chunk = READ_BYTES;
    } while (rc == E_OK && got > 0);
    close(fd);
    if (rc != E_OK) {
        buf_truncate(out, before);
    }
    return rc;
}

/* Writes the directory of `path` to `out`; false when it does not fit. */
static bool directory_of(char out[static PATH_MAX], const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (len >= PATH_MAX) {
        return false;
    }
    if (slash == path) {
        len = 1; /* the root directory keeps its slash */
    }
    memcpy(out, len == 0 ? "." : path, len == 0 ? 1 : len);
    out[len == 0 ? 1 : len] = '\0';
    return true;
}

enum err_code file_sync_directory(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_set_errno(err, E_IO, errno, "open directory %s", path);
    }
    enum err_code rc = E_OK;
    if (fsync(fd) != 0) {
        rc = err_set_errno(err, E_IO, errno, "sync directory %s", path);
    }
    close(fd);
    return rc;
}

/* Makes the name `path` durable in the directory that holds it. */
static enum err_code sync_parent(const char *path, struct err *err)
{
    char directory[PATH_MAX];
    if (!directory_of(directory, path)) {
        return err_set(err, E_IO, "%s: path too long", path);
    }
    return file_sync_directory(directory, err);
}

static bool write_all(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            bytes = span_slice(bytes, (size_t)n, bytes.len - (size_t)n);
        }
    }
    return true;
}

/* Puts the bytes into a new file `path` and syncs it; nothing is left behind on failure. */
static enum err_code write_new(const char *path, mode_t mode, struct span bytes, struct err *err)
{
    enum err_code rc = E_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode & 0600);
    if (fd < 0) {
        return err_set_errno(err, E_IO, errno, "create %s", path);
    }
    if (fchmod(fd, mode) != 0 || !write_all(fd, bytes) || fsync(fd) != 0) {
        rc = err_set_errno(err, E_IO, errno, "write %s", path);
    }
    if (close(fd) != 0 && rc == E_OK) {
        rc = err_set_errno(err, E_IO, errno, "close %s", path);
    }
    if (rc != E_OK) {
        unlink(path);
    }
    return rc;
}

static enum err_code temporary_name(char out[static PATH_MAX], const char *path, const char *suffix,
                                    struct err *err)
{
    int len = snprintf(out, PATH_MAX, "%s%s", path, suffix);
    if (len < 0 || len >= PATH_MAX) {
        return err_set(err, E_IO, "%s: path too long", path);
    }
    return E_OK;
}

enum err_code file_create(const char *path, mode_t mode, struct span bytes, struct err *err)
{
    char temporary[PATH_MAX];
    char suffix[32]; /* of our own: two creators of one path must not share a temporary file */
    static _Atomic unsigned int counter;
    snprintf(suffix, sizeof suffix, ".%ld-%u.tmp", (long)getpid(), counter++);
    enum err_code rc = temporary_name(temporary, path, suffix, err);
    if (rc != E_OK) {
        return rc;
    }
    unlink(temporary); /* of a dead process that had our number */
    rc = write_new(temporary, mode, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    if (link(temporary, path) != 0) { /* unlike rename, never over something */
        rc = err_set_errno(err, errno == EEXIST ? E_EXISTS : E_IO, errno, "create %s", path);
    }
    unlink(temporary);
    return rc == E_OK ? sync_parent(path, err) : rc;
}

enum err_code file_replace(const char *path, mode_t mode, struct span bytes, struct err *err)
{
    char temporary[PATH_MAX];
    enum err_code rc = temporary_name(temporary, path, ".tmp", err);
    if (rc != E_OK) {
        return rc;
    }
    unlink(temporary); /* left by a crash */
    rc = write_new(temporary, mode, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    if (rename(temporary, path) != 0) {
        rc = err_set_errno(err, E_IO, errno, "rename %s to %s", temporary, path);
        unlink(temporary);
        return rc;
    }
    return sync_parent(path, err);
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Makes one directory whose parent exists. */
static enum err_code make_one(const char *path, mode_t mode, struct err *err)
{
    if (mkdir(path, mode & 0700) != 0) {
        if (errno == EEXIST && is_directory(path)) {
            return E_OK;
        }
        return err_set_errno(err, E_IO, errno, "make directory %s", path);
    }
    if (chmod(path, mode) != 0) {
        return err_set_errno(err, E_IO, errno, "set mode of %s", path);
    }
    return sync_parent(path, err);
}

enum err_code file_make_directory(const char *path, mode_t mode, struct err *err)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    if (len == 0 || len >= PATH_MAX) {
        return err_set(err, E_IO, "make directory: path empty or too long");
    }
    char partial[PATH_MAX];
    memcpy(partial, path, len);
    partial[len] = '\0';
    enum err_code rc = E_OK;
    for (size_t i = 1; i < len && rc == E_OK; i++) {
        if (path[i] == '/' && path[i - 1] != '/') {
            partial[i] = '\0';
            if (!is_directory(partial)) {
                rc = make_one(partial, PARENT_MODE, err);
            }
            partial[i] = '/';
        }
    }
    if (rc == E_OK && !is_directory(partial)) {
        rc = make_one(partial, mode, err);
    }
    return rc;
}

enum err_code file_lock(const char *path, int *fd, struct err *err)
{
    int opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (opened < 0) {
        return err_set_errno(err, E_IO, errno, "open %s", path);
    }
    if (flock(opened, LOCK_EX | LOCK_NB) != 0) {
        int errnum = errno;
        close(opened);
        if (errnum == EWOULDBLOCK) {
            return err_set(err, E_BUSY, "%s is locked by another process", path);
        }
        return err_set_errno(err, E_IO, errnum, "lock %s", path);
    }
    *fd = opened;
    return E_OK;
}

enum err_code file_lock_directory(const char *dir, int *fd, struct err *err)
{
    char *name = file_join(dir, "lock");
    enum err_code rc = file_lock(name, fd, err);
    mem_free(name);
    if (rc == E_BUSY) {
        return err_set(err, E_BUSY, "data directory %s is in use by another process", dir);
    }
    return rc;
}
