#include "logd/data_dir.h"

#include "base/alloc.h"
#include "base/file.h"

#include <stdio.h>
#include <unistd.h>

enum {
    PUBLIC_MODE = 0755,
    PRIVATE_MODE = 0700,
    FILE_MODE = 0600
};

/* The first start writes the log's vkey down; every later one must have the same. */
static enum err_code bind(const char *path, const struct vkey *log, struct err *err)
{
    char *name = file_join(path, "identity");
    struct buf ours = BUF_INIT(VKEY_TEXT_MAX), theirs = BUF_INIT(VKEY_TEXT_MAX);
    vkey_put(&ours, log);
    buf_put_str(&ours, "\n");
    enum err_code rc = file_read(&theirs, name, err);
    if (rc == E_NOT_FOUND) {
        rc = file_create(name, FILE_MODE, buf_span(&ours), err);
    } else if (rc == E_OK && !span_is_equal(buf_span(&ours), buf_span(&theirs))) {
        rc = err_set(err, E_DENIED,
                     "data directory %s belongs to another log or key: %.*s; the key file is of "
                     "%.*s. Origin and key are for life",
                     path, (int)theirs.len - (theirs.len > 0), (const char *)theirs.data,
                     (int)ours.len - 1, (const char *)ours.data);
    }
    buf_clear(&ours);
    buf_clear(&theirs);
    mem_free(name);
    return rc;
}

/* Logs of opaque entries, which all were once, have no such file. */
static enum err_code check_schema(const char *path, struct span file, bool is_operation,
                                  bool has_entries, struct err *err)
{
    static const char operation[] = "operation\n";
    if (file.len > 0 && !span_is_str(file, operation)) {
        return err_set(err, E_DENIED, "data directory %s is of a schema that this release has not",
                       path);
    }
    if (file.len > 0 && !is_operation) {
        return err_set(err, E_DENIED,
                       "data directory %s is of a log of operations: it needs schema = operation",
                       path);
    }
    if (file.len == 0 && is_operation && has_entries) {
        return err_set(
            err, E_DENIED,
            "data directory %s holds opaque entries: schema = operation is for a new log", path);
    }
    return E_OK;
}

enum err_code data_dir_bind_schema(const char *path, bool is_operation, bool has_entries,
                                   struct err *err)
{
    char *name = file_join(path, "schema");
    struct buf file = BUF_INIT(64);
    enum err_code rc = file_read(&file, name, err);
    bool is_there = rc != E_NOT_FOUND;
    if (rc == E_OK || rc == E_NOT_FOUND) {
        rc = check_schema(path, buf_span(&file), is_operation, has_entries, err);
    }
    if (rc == E_OK && is_operation && !is_there) {
        rc = file_create(name, FILE_MODE, span_of_str("operation\n"), err);
    }
    buf_clear(&file);
    mem_free(name);
    return rc;
}

enum err_code data_dir_open(struct data_dir *out, const char *path, const struct vkey *log,
                            struct err *err)
{
    struct data_dir dir = {
        .lock_fd = -1,
        .log = file_join(path, "log"),
        .journal = file_join(path, "journal"),
        .index = file_join(path, "index"),
    };
    enum err_code rc = file_make_directory(path, PUBLIC_MODE, err);
    if (rc == E_OK) {
        rc = file_lock_directory(path, &dir.lock_fd, err);
    }
    if (rc == E_OK) {
        rc = bind(path, log, err);
    }
    if (rc == E_OK) {
        rc = file_make_directory(dir.log, PUBLIC_MODE, err);
    }
    if (rc == E_OK) {
        rc = file_make_directory(dir.journal, PRIVATE_MODE, err);
    }
    if (rc == E_OK) {
        rc = file_make_directory(dir.index, PRIVATE_MODE, err);
    }
    if (rc != E_OK) {
        data_dir_close(&dir);
        return rc;
    }
    *out = dir;
    return E_OK;
}

void data_dir_close(struct data_dir *dir)
{
    if (dir->lock_fd >= 0) {
        close(dir->lock_fd);
    }
    mem_free(dir->log);
    mem_free(dir->journal);
    mem_free(dir->index);
}
