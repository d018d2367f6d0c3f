#include "store/mark_place.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/span.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

/* The directory part, as it was written; mem_free. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return mem_strdup(".");
    }
    size_t len = slash == path ? 1 : (size_t)(slash - path);
    char *out = mem_alloc(len + 1);
    memcpy(out, path, len);
    out[len] = 0;
    return out;
}

/* Both are real paths. */
static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strcmp(dir, "/") == 0 ||
           (strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == 0));
}

static bool is_really_below(const char *path, const char *real_dir)
{
    char real[PATH_MAX];
    return realpath(path, real) != NULL && is_below(real, real_dir);
}

static void warn_of_one_disk(const char *mark_path, const char *mark_dir, const char *data_dir)
{
    struct stat mark, data;
    if (stat(mark_dir, &mark) == 0 && stat(data_dir, &data) == 0 && mark.st_dev == data.st_dev) {
        log_event(LOG_LEVEL_WARN, "mark_on_same_disk", "mark=%s advice=%s",
                  log_quoted_str(mark_path).text,
                  log_quoted_str("the mark should be on another disk, outside backups and "
                                 "snapshots of data-dir")
                      .text);
    }
}

enum err_code mark_place_check(const char *mark_path, const char *data_dir, struct err *err)
{
    char real_dir[PATH_MAX];
    enum err_code rc = E_OK;
    if (mark_path == NULL || realpath(data_dir, real_dir) == NULL) {
        return E_OK;
    }
    char *mark_dir = directory_of(mark_path);
    if (is_really_below(mark_dir, real_dir) || is_really_below(mark_path, real_dir)) {
        rc = err_set(err, E_DENIED,
                     "mark-path: %s is in data-dir, so that a backup would restore both and "
                     "nothing be noticed: give a file on another disk, outside backups",
                     mark_path);
    } else {
        warn_of_one_disk(mark_path, mark_dir, data_dir);
    }
    mem_free(mark_dir);
    return rc;
}
