#include "logd/exported.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum {
    DIR_MODE = 0700,
    FILE_MODE = 0600
};

static char *dir_of(const char *data_dir)
{
    return file_join(data_dir, "exported");
}

static char *path_of(const char *dir, uint64_t size)
{
    char name[DECIMAL_MAX + 1];
    snprintf(name, sizeof name, "%llu", (unsigned long long)size);
    return file_join(dir, name);
}

enum err_code exported_write(const char *data_dir, uint64_t size, struct span note, struct err *err)
{
    char *dir = dir_of(data_dir);
    char *path = path_of(dir, size);
    enum err_code rc = file_make_directory(dir, DIR_MODE, err);
    if (rc == E_OK) {
        rc = file_replace(path, FILE_MODE, note, err);
    }
    mem_free(path);
    mem_free(dir);
    return rc;
}

/* Calls on_size for each file whose name is a size. */
static enum err_code list(const char *dir,
                          enum err_code (*on_size)(void *ctx, const char *path, uint64_t size,
                                                   struct err *err),
                          void *ctx, struct err *err)
{
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        return errno == ENOENT ? E_OK : err_set_errno(err, E_IO, errno, "%s", dir);
    }
    enum err_code rc = E_OK;
    struct dirent *entry;
    while (rc == E_OK && (entry = readdir(stream)) != NULL) {
        uint64_t size;
        if (decimal_parse(&size, span_of_str(entry->d_name), SIZE_VALUE_MAX, err) == E_OK) {
            char *path = file_join(dir, entry->d_name);
            rc = on_size(ctx, path, size, err);
            mem_free(path);
        }
    }
    closedir(stream);
    return rc;
}

struct others {
    const uint64_t *sizes;
    size_t count;
};

static enum err_code remove_other(void *ctx, const char *path, uint64_t size, struct err *err)
{
    (void)err;
    const struct others *others = ctx;
    for (size_t i = 0; i < others->count; i++) {
        if (others->sizes[i] == size) {
            return E_OK;
        }
    }
    if (unlink(path) != 0) {
        log_event(LOG_LEVEL_WARN, "exported_not_removed", "path=%s errno=%d",
                  log_quoted_str(path).text, errno);
    }
    return E_OK;
}

void exported_remove_others(const char *data_dir, const uint64_t *sizes, size_t count)
{
    struct others others = { sizes, count };
    struct err err;
    char *dir = dir_of(data_dir);
    if (list(dir, remove_other, &others, &err) != E_OK) {
        log_error(LOG_LEVEL_WARN, "exported_not_removed", &err);
    }
    mem_free(dir);
}

struct reading {
    enum err_code (*on_note)(void *ctx, uint64_t size, struct span note, struct err *err);
    void *ctx;
};

static enum err_code read_one(void *ctx, const char *path, uint64_t size, struct err *err)
{
    const struct reading *reading = ctx;
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    enum err_code rc = file_read(&note, path, err);
    if (rc == E_OK) {
        rc = reading->on_note(reading->ctx, size, buf_span(&note), err);
    }
    buf_clear(&note);
    return rc;
}

enum err_code exported_read(const char *data_dir,
                            enum err_code (*on_note)(void *ctx, uint64_t size, struct span note,
                                                     struct err *err),
                            void *ctx, struct err *err)
{
    struct reading reading = { on_note, ctx };
    char *dir = dir_of(data_dir);
    enum err_code rc = list(dir, read_one, &reading, err);
    mem_free(dir);
    return rc;
}
