/* In a directory the note is found by halving among the days, then the hours of one, then its minutes:
 * each holds smaller sizes than the next. */
#include "client/log_archive.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "client/log_reader.h"
#include "tlog/checkpoint.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FILE_BYTES_MAX = 8 << 20, /* of one minute: logd writes at most half */
    NAMES_MAX = 100000,       /* days: of 270 years */
};

/* What the names are in archive/, in a day, and in an hour; behind them there are files. */
enum depth {
    DEPTH_DAYS,
    DEPTH_HOURS,
    DEPTH_MINUTES,
    DEPTH_FILE
};

/* ---- notes of a file ---- */

/* The size of the note that starts here, which ends at an empty line behind its signatures. */
static bool take_note(struct span *in, struct span *out, uint64_t *size)
{
    size_t text_len = span_find(*in, span_of_str("\n\n"));
    if (text_len == SIZE_MAX) {
        return false;
    }
    struct span behind = span_slice(*in, text_len + 2, in->len - text_len - 2);
    size_t lines_len = span_find(behind, span_of_str("\n\n"));
    size_t len = text_len + 2 + (lines_len == SIZE_MAX ? behind.len : lines_len + 1);
    struct checkpoint checkpoint;
    struct err err;
    if (checkpoint_parse(&checkpoint, span_slice(*in, 0, text_len + 1), &err) != E_OK) {
        return false;
    }
    *size = checkpoint.size;
    *out = span_slice(*in, 0, len);
    *in = span_slice(*in, len, in->len - len);
    (void)span_take_prefix(in, span_of_str("\n"));
    return true;
}

/* The first note of more than `index` entries in a file: *is_found. A damaged file has as many as can be
 * read. */
static enum err_code find_in_file(const char *path, uint64_t index, struct buf *note,
                                  bool *is_found, struct err *err)
{
    struct buf file = BUF_INIT(FILE_BYTES_MAX);
    enum err_code rc = file_read(&file, path, err);
    struct span rest = buf_span(&file);
    struct span found;
    uint64_t size = 0;
    *is_found = false;
    while (rc == E_OK && !*is_found && take_note(&rest, &found, &size)) {
        *is_found = size > index;
    }
    if (rc == E_OK && *is_found) {
        rc = buf_append(note, found, err);
    }
    buf_clear(&file);
    return rc;
}

/* ---- names of a directory ---- */

struct names {
    char **items; /* owned; sorted */
    size_t count;
};

static bool is_name(const char *name, enum depth depth)
{
    static const char *const patterns[] = {
        [DEPTH_DAYS] = "dddd-dd-dd", [DEPTH_HOURS] = "dd", [DEPTH_MINUTES] = "dd"
    };
    const char *pattern = patterns[depth];
    if (strlen(name) != strlen(pattern)) {
        return false;
    }
    for (size_t i = 0; pattern[i] != '\0'; i++) {
        bool is_digit = name[i] >= '0' && name[i] <= '9';
        if (pattern[i] == 'd' ? !is_digit : name[i] != pattern[i]) {
            return false;
        }
    }
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum err_code names_list(struct names *out, const char *path, enum depth depth,
                                struct err *err)
{
    DIR *dir = opendir(path);
    *out = (struct names){ 0 };
    if (dir == NULL) {
        return err_set(err, E_NOT_FOUND, "%s is no directory", path);
    }
    struct dirent *entry = NULL;
    while (out->count < NAMES_MAX && (entry = readdir(dir)) != NULL) {
        if (is_name(entry->d_name, depth)) {
            out->items = mem_realloc(out->items, (out->count + 1) * sizeof(char *));
            out->items[out->count++] = mem_strdup(entry->d_name);
        }
    }
    closedir(dir);
    if (out->count > 0) {
        qsort(out->items, out->count, sizeof(char *), compare_names);
    }
    return E_OK;
}

static void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        mem_free(names->items[i]);
    }
    mem_free(names->items);
}

/* ---- finding ---- */

/* The first note of more than `index` entries at or below `path`. What holds none at all counts as
 * holding smaller ones: only such directories end a search early, and logd makes none. */
static enum err_code find(const char *path, enum depth depth, uint64_t index, struct buf *note,
                          bool *is_found, struct err *err)
{
    if (depth == DEPTH_FILE) {
        return find_in_file(path, index, note, is_found, err);
    }
    struct names names;
    enum err_code rc = names_list(&names, path, depth, err);
    size_t low = 0, high = names.count;
    struct buf best = BUF_INIT(NOTE_BYTES_MAX);
    *is_found = false;
    while (rc == E_OK && low < high) {
        size_t middle = low + (high - low) / 2;
        struct buf one = BUF_INIT(NOTE_BYTES_MAX);
        bool is_there = false;
        char *below = file_join(path, names.items[middle]);
        rc = find(below, depth + 1, index, &one, &is_there, err);
        mem_free(below);
        if (is_there) {
            buf_clear(&best);
            buf_take(&best, &one);
            *is_found = true;
            high = middle;
        } else {
            low = middle + 1;
        }
        buf_clear(&one);
    }
    if (rc == E_OK && *is_found) {
        rc = buf_append(note, buf_span(&best), err);
    }
    buf_clear(&best);
    names_clear(&names);
    return rc;
}

static enum err_code directory_after(const struct log_address *address, uint64_t index,
                                     struct buf *note, struct err *err)
{
    bool is_found = false;
    char *path = file_join(address->target, "archive");
    enum err_code rc = find(path, DEPTH_DAYS, index, note, &is_found, err);
    mem_free(path);
    if (rc == E_OK && !is_found) {
        rc = err_set(err, E_NOT_FOUND, "no archived note is of more than %ju entries",
                     (uintmax_t)index);
    }
    return rc;
}

static enum err_code http_after(const struct log_address *address, uint64_t index, struct buf *note,
                                struct err *err)
{
    char path[64];
    struct log_reader *reader = NULL;
    snprintf(path, sizeof path, "archive/after/%ju", (uintmax_t)index);
    enum err_code rc = log_reader_open(&reader, address, err);
    if (rc == E_OK) {
        rc = log_reader_get(reader, path, note, err);
    }
    log_reader_close(reader);
    return rc;
}

enum err_code log_archive_after(const struct log_address *address, uint64_t index, struct buf *note,
                                struct err *err)
{
    switch (address->kind) {
    case LOG_ADDRESS_DIRECTORY:
        return directory_after(address, index, note, err);
    case LOG_ADDRESS_HTTP:
        return http_after(address, index, note, err);
    case LOG_ADDRESS_GRPC:
        break;
    }
    return err_set(err, E_UNSUPPORTED,
                   "a log's archive is not served over gRPC: give its http(s):// URL");
}
