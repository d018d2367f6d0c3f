#include "monitor/record_key_files.h"

#include "base/log.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char suffix[] = ".casekey";

enum {
    FRESH_S =
        2 /* a directory that changed so lately may have changed again within the clock's grain */
};

void record_key_files_init(struct record_key_files *files, const char *const *dirs, size_t count)
{
    assert(count <= RECORD_KEY_DIRS_MAX);
    *files = (struct record_key_files){ .dir_count = count };
    for (size_t i = 0; i < count; i++) {
        files->dirs[i] = dirs[i];
    }
}

bool record_key_files_is_new(const struct record_key_files *files)
{
    for (size_t i = 0; i < files->dir_count; i++) {
        struct stat info;
        if (stat(files->dirs[i], &info) != 0 || info.st_mtim.tv_sec != files->changed[i].s ||
            info.st_mtim.tv_nsec != files->changed[i].ns ||
            info.st_mtim.tv_sec >= files->read_s - FRESH_S) {
            return true;
        }
    }
    return false;
}

/* -- one file -- */

/* Whole, or cut off one byte above what a key file may have. */
static enum err_code read_private(int fd, struct buf *out, struct err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return err_set(err, E_MALFORMED, "not a file");
    }
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return err_set(err, E_DENIED, "others can read or write it: chmod 600");
    }
    uint8_t bytes[CASE_KEY_FILE_BYTES_MAX + 1];
    ssize_t len;
    while ((len = read(fd, bytes, sizeof bytes - out->len)) > 0) {
        buf_put(out, span_of(bytes, (size_t)len));
    }
    crypto_wipe(bytes, sizeof bytes);
    return len == 0 ? E_OK : err_set(err, E_IO, "cannot be read");
}

static enum err_code read_key(struct case_key *out, const char *path, struct err *err)
{
    struct buf text = BUF_INIT(CASE_KEY_FILE_BYTES_MAX + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return err_set(err, E_IO, "cannot be opened");
    }
    enum err_code rc = read_private(fd, &text, err);
    close(fd);
    if (rc == E_OK) {
        rc = case_key_parse(out, buf_span(&text), err);
    }
    if (text.data != NULL) {
        crypto_wipe(text.data, text.cap);
    }
    buf_clear(&text);
    return rc;
}

/* -- all -- */

struct reading {
    size_t keys, left_out;
    void (*on_key)(void *ctx, const char *path, const struct case_key *key);
    void *ctx;
};

static void read_file(struct reading *reading, const char *path)
{
    struct case_key key;
    struct err err;
    if (reading->keys == RECORD_KEYS_MAX) {
        reading->left_out++;
        return;
    }
    if (read_key(&key, path, &err) == E_OK) {
        reading->keys++;
        reading->on_key(reading->ctx, path, &key);
    } else {
        reading->left_out++;
        log_event(LOG_LEVEL_WARN, "case_key_left_out", "path=%s error=%s",
                  log_quoted_str(path).text, log_quoted_str(err.msg).text);
    }
    case_key_wipe(&key);
}

static void read_dir(struct reading *reading, const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    if (dir == NULL) {
        log_event(LOG_LEVEL_WARN, "case_keys_not_read", "path=%s", log_quoted_str(path).text);
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        char file[PATH_MAX];
        if (entry->d_name[0] != '.' &&
            span_has_suffix(span_of_str(entry->d_name), span_of_str(suffix)) &&
            snprintf(file, sizeof file, "%s/%s", path, entry->d_name) < (int)sizeof file) {
            read_file(reading, file);
        }
    }
    closedir(dir);
}

void record_key_files_read(struct record_key_files *files, int64_t now_s,
                           void (*on_key)(void *ctx, const char *path, const struct case_key *key),
                           void *ctx)
{
    struct reading reading = { .on_key = on_key, .ctx = ctx };
    files->read_s = now_s;
    for (size_t i = 0; i < files->dir_count; i++) {
        struct stat info;
        if (stat(files->dirs[i], &info) ==
            0) { /* before the reading: what comes during it is new */
            files->changed[i].s = info.st_mtim.tv_sec;
            files->changed[i].ns = info.st_mtim.tv_nsec;
        }
        read_dir(&reading, files->dirs[i]);
    }
    files->left_out = reading.left_out;
}
