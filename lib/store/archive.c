/* Sizes never fall from note to note, so the notes are found by halving: among the days, then the
 * hours of one, then its minutes. A clock that was set back breaks that order for a while; what is
 * found then is still above the index, but perhaps not the earliest. */
#include "store/archive.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/log.h"
#include "tlog/checkpoint.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    DAY_SECONDS = 24 * 60 * 60,
    YEAR_MIN = 1970,
    DATE_CHARS = 10, /* 2026-01-31 */
    NAME_MAX_CHARS = DATE_CHARS,
};

/* What the names in archive/, in a day and in an hour are; behind them there are only files. */
enum depth {
    DEPTH_DAYS,
    DEPTH_HOURS,
    DEPTH_MINUTES,
    DEPTH_FILE
};

#define UNIX_S_MAX INT64_C(253402300799) /* 9999-12-31 23:59:59 */

static const char archive_dir[] = "archive";
/* Holds a date: every day up to it is thin. */
static const char thin_until_path[] = "archive/thin-until";

/* -- Paths -- */

struct archive_path archive_path_of(int64_t unix_s)
{
    time_t when = unix_s < 0 ? 0 : unix_s > UNIX_S_MAX ? UNIX_S_MAX : unix_s;
    struct tm utc;
    gmtime_r(&when, &utc);
    struct archive_path path;
    size_t len = strftime(path.text, sizeof path.text, "archive/%Y-%m-%d/%H/%M", &utc);
    assert(len > 0);
    return path;
}

/* Takes `digits` digits of a number in [least, most]. */
static bool take_number(struct span *in, size_t digits, unsigned least, unsigned most,
                        unsigned *out)
{
    struct span text;
    unsigned value = 0;
    if (!span_take(in, digits, &text)) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (text.data[i] - '0');
    }
    *out = value;
    return value >= least && value <= most;
}

static unsigned days_of_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && is_leap ? 29 : days[month - 1];
}

static bool take_date(struct span *in)
{
    const struct span dash = span_of_str("-");
    unsigned year, month, day;
    return take_number(in, 4, YEAR_MIN, 9999, &year) && span_take_prefix(in, dash) &&
           take_number(in, 2, 1, 12, &month) && span_take_prefix(in, dash) &&
           take_number(in, 2, 1, days_of_month(year, month), &day);
}

static bool take_name(struct span *in, enum depth depth)
{
    unsigned number;
    switch (depth) {
    case DEPTH_DAYS:
        return take_date(in);
    case DEPTH_HOURS:
        return take_number(in, 2, 0, 23, &number);
    case DEPTH_MINUTES:
        return take_number(in, 2, 0, 59, &number);
    case DEPTH_FILE:
        break;
    }
    return false;
}

bool archive_path_is_valid(struct span path)
{
    bool is_valid = span_take_prefix(&path, span_of_str(archive_dir));
    for (enum depth depth = DEPTH_DAYS; is_valid && depth < DEPTH_FILE; depth++) {
        is_valid = span_take_prefix(&path, span_of_str("/")) && take_name(&path, depth);
    }
    return is_valid && path.len == 0;
}

static struct archive_path join(const char *dir, const char *name)
{
    struct archive_path path;
    int len = snprintf(path.text, sizeof path.text, "%s/%s", dir, name);
    assert(len > 0 && (size_t)len < sizeof path.text);
    return path;
}

/* -- Notes of one file -- */

bool archive_take_note(struct span *in, struct span *note)
{
    size_t text_len = span_find(*in, span_of_str("\n\n"));
    if (text_len == SIZE_MAX || text_len == 0) {
        return false;
    }
    size_t signatures_at = text_len + 2;
    struct span rest = span_slice(*in, signatures_at, in->len - signatures_at), line;
    size_t count = 0;
    while (span_has_prefix(rest, span_of_str("— ")) && span_take_until(&rest, '\n', &line)) {
        count++;
    }
    if (count == 0 || (rest.len > 0 && rest.data[0] != '\n')) {
        return false;
    }
    *note = span_slice(*in, 0, in->len - rest.len);
    (void)span_take_prefix(&rest, span_of_str("\n"));
    *in = rest;
    return true;
}

/* The size in a note; false when its text is no checkpoint. */
static bool note_size(struct span note, uint64_t *size)
{
    struct checkpoint checkpoint;
    struct err err;
    struct span text = span_slice(note, 0, span_find(note, span_of_str("\n\n")) + 1);
    if (checkpoint_parse(&checkpoint, text, &err) != E_OK) {
        return false;
    }
    *size = checkpoint.size;
    return true;
}

/* Bytes up to the end of the last whole note, which is told too. */
static size_t whole_notes(struct span file, struct span *last)
{
    struct span rest = file;
    *last = span_of(NULL, 0);
    while (archive_take_note(&rest, last)) {
    }
    return last->len == 0 ? 0 : (size_t)(last->data + last->len - file.data);
}

static enum err_code add_to_file(struct tiles *tiles, const char *path, struct buf *file,
                                 struct span note, struct err *err)
{
    struct span last;
    size_t whole = whole_notes(buf_span(file), &last);
    if (span_is_equal(last, note)) {
        return E_OK; /* publishing it failed behind this step, and is tried again */
    }
    buf_truncate(file, whole);
    if (note.len >= buf_room(file)) {
        log_event(LOG_LEVEL_ERROR, "note_not_archived", "path=%s reason=\"the minute is full\"",
                  path);
        return E_OK;
    }
    if (whole > 0) {
        buf_put_u8(file, '\n');
    }
    buf_put(file, note);
    return tiles_replace(tiles, path, buf_span(file), err);
}

enum err_code archive_add(struct tiles *tiles, int64_t unix_s, struct span note, struct err *err)
{
    struct archive_path path = archive_path_of(unix_s);
    struct buf file = BUF_INIT(ARCHIVE_FILE_MAX);
    enum err_code rc = tiles_read(tiles, path.text, &file, err);
    if (rc == E_OK || rc == E_NOT_FOUND) {
        rc = add_to_file(tiles, path.text, &file, note, err);
    }
    buf_clear(&file);
    return rc == E_OK ? E_OK : err_wrap(err, "archiving");
}

/* -- Names of one directory -- */

struct names {
    enum depth depth;
    size_t count;
    size_t capacity;
    char (*items)[NAME_MAX_CHARS + 1]; /* owned; sorted */
};

static enum err_code keep_name(void *ctx, const char *name, bool is_dir, struct err *err)
{
    (void)err;
    struct names *names = ctx;
    struct span rest = span_of_str(name);
    if (is_dir != (names->depth < DEPTH_MINUTES) || !take_name(&rest, names->depth) ||
        rest.len > 0) {
        return E_OK; /* not ours */
    }
    if (names->count == names->capacity) {
        names->capacity = names->capacity == 0 ? 64 : names->capacity * 2;
        names->items = mem_realloc(names->items, names->capacity * sizeof *names->items);
    }
    memcpy(names->items[names->count++], name, strlen(name) + 1);
    return E_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* No such directory: no names. The caller calls names_clear, after an error too. */
static enum err_code names_list(struct names *names, struct tiles *tiles, const char *dir,
                                enum depth depth, struct err *err)
{
    *names = (struct names){ .depth = depth };
    enum err_code rc = tiles_list(tiles, dir, keep_name, names, err);
    if (names->count > 1) {
        qsort(names->items, names->count, sizeof *names->items, compare_names);
    }
    return rc == E_NOT_FOUND ? E_OK : rc;
}

static void names_remove(struct names *names, size_t i)
{
    names->count--;
    memmove(&names->items[i], &names->items[i + 1], (names->count - i) * sizeof *names->items);
}

static void names_clear(struct names *names)
{
    mem_free(names->items);
}

/* -- Finding -- */

/* The size in the last note of a file. */
static enum err_code last_size_in_file(struct tiles *tiles, const char *path, uint64_t *size,
                                       struct err *err)
{
    struct buf file = BUF_INIT(ARCHIVE_FILE_MAX);
    enum err_code rc = tiles_read(tiles, path, &file, err);
    struct span rest = buf_span(&file), note;
    bool has_size = false;
    while (rc == E_OK && archive_take_note(&rest, &note)) {
        has_size = note_size(note, size) || has_size;
    }
    buf_clear(&file);
    return rc == E_OK && !has_size ? err_set(err, E_NOT_FOUND, "no note in %s", path) : rc;
}

/* The size in the last note at or below `path`; E_NOT_FOUND when there is none. */
static enum err_code last_size(struct tiles *tiles, const char *path, enum depth depth,
                               uint64_t *size, struct err *err)
{
    if (depth == DEPTH_FILE) {
        return last_size_in_file(tiles, path, size, err);
    }
    struct names names;
    enum err_code rc = names_list(&names, tiles, path, depth, err);
    if (rc == E_OK) {
        rc = err_set(err, E_NOT_FOUND, "no note in %s", path);
    }
    for (size_t i = names.count; rc == E_NOT_FOUND && i-- > 0;) {
        rc = last_size(tiles, join(path, names.items[i]).text, depth + 1, size, err);
    }
    names_clear(&names);
    return rc;
}

static enum err_code find_in_file(struct tiles *tiles, const char *path, uint64_t index,
                                  struct buf *out, struct err *err)
{
    struct buf file = BUF_INIT(ARCHIVE_FILE_MAX);
    enum err_code rc = tiles_read(tiles, path, &file, err);
    struct span rest = buf_span(&file), note;
    uint64_t size = 0;
    bool is_found = false;
    while (rc == E_OK && !is_found && archive_take_note(&rest, &note)) {
        is_found = note_size(note, &size) && size > index;
    }
    if (rc == E_OK) {
        rc = is_found ? buf_append(out, note, err)
                      : err_set(err, E_NOT_FOUND, "no such note in %s", path);
    }
    buf_clear(&file);
    return rc;
}

/* The first of `names` whose last note is above `index`; names->count when there is none. What holds
 * no note leaves the list. */
static enum err_code first_above(struct tiles *tiles, const char *dir, struct names *names,
                                 uint64_t index, size_t *out, struct err *err)
{
    size_t low = 0;
    size_t high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint64_t size;
        enum err_code rc =
            last_size(tiles, join(dir, names->items[middle]).text, names->depth + 1, &size, err);
        if (rc == E_NOT_FOUND) {
            names_remove(names, middle);
            high--;
        } else if (rc != E_OK) {
            return rc;
        } else if (size > index) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *out = low;
    return E_OK;
}

static enum err_code find(struct tiles *tiles, const char *path, enum depth depth, uint64_t index,
                          struct buf *out, struct err *err)
{
    if (depth == DEPTH_FILE) {
        return find_in_file(tiles, path, index, out, err);
    }
    struct names names;
    size_t at = 0;
    enum err_code rc = names_list(&names, tiles, path, depth, err);
    if (rc == E_OK) {
        rc = first_above(tiles, path, &names, index, &at, err);
    }
    if (rc == E_OK && at == names.count) {
        rc = err_set(err, E_NOT_FOUND, "no archived note is of more than %llu entries",
                     (unsigned long long)index);
    } else if (rc == E_OK) {
        rc = find(tiles, join(path, names.items[at]).text, depth + 1, index, out, err);
    }
    names_clear(&names);
    return rc;
}

enum err_code archive_find(struct tiles *tiles, uint64_t index, struct buf *out, struct err *err)
{
    return find(tiles, archive_dir, DEPTH_DAYS, index, out, err);
}

/* -- Thinning out -- */

/* Keeps the first note of a file, or of all files below a directory. */
static enum err_code thin(struct tiles *tiles, const char *path, enum depth depth, struct err *err)
{
    enum err_code rc;
    if (depth < DEPTH_FILE) {
        struct names names;
        rc = names_list(&names, tiles, path, depth, err);
        for (size_t i = 0; rc == E_OK && i < names.count; i++) {
            rc = thin(tiles, join(path, names.items[i]).text, depth + 1, err);
        }
        names_clear(&names);
        return rc;
    }
    struct buf file = BUF_INIT(ARCHIVE_FILE_MAX);
    rc = tiles_read(tiles, path, &file, err);
    struct span rest = buf_span(&file), note;
    if (rc == E_OK && archive_take_note(&rest, &note) && note.len < file.len) {
        rc = tiles_replace(tiles, path, note, err);
    }
    buf_clear(&file);
    return rc;
}

/* Anything but a date says nothing: then all days are looked through again. */
static enum err_code read_thin_until(struct tiles *tiles, char date[static DATE_CHARS + 1],
                                     struct err *err)
{
    struct buf text = BUF_INIT(DATE_CHARS);
    enum err_code rc = tiles_read(tiles, thin_until_path, &text, err);
    struct span rest = buf_span(&text);
    date[0] = '\0';
    if (rc == E_OK && take_date(&rest)) {
        memcpy(date, text.data, DATE_CHARS);
        date[DATE_CHARS] = '\0';
    }
    buf_clear(&text);
    return rc == E_NOT_FOUND || rc == E_TOO_LARGE ? E_OK : rc;
}

/* The days behind `from` and before `until`. */
static enum err_code list_days_between(struct names *days, struct tiles *tiles, const char *from,
                                       const char *until, struct err *err)
{
    enum err_code rc = names_list(days, tiles, archive_dir, DEPTH_DAYS, err);
    for (size_t i = days->count; i-- > 0;) {
        if (strcmp(days->items[i], from) <= 0 || strcmp(days->items[i], until) >= 0) {
            names_remove(days, i);
        }
    }
    return rc;
}

enum err_code archive_prune(struct tiles *tiles, int64_t now_unix_s, bool *has_more,
                            struct err *err)
{
    char thin_until[DATE_CHARS + 1];
    struct archive_path kept = archive_path_of(now_unix_s - (int64_t)ARCHIVE_DAYS * DAY_SECONDS);
    char *first_kept = kept.text + strlen("archive/");
    first_kept[DATE_CHARS] = '\0';
    struct names days = { .count = 0 };
    enum err_code rc = read_thin_until(tiles, thin_until, err);
    if (rc == E_OK) {
        rc = list_days_between(&days, tiles, thin_until, first_kept, err);
    }
    if (rc == E_OK && days.count > 0) {
        rc = thin(tiles, join(archive_dir, days.items[0]).text, DEPTH_HOURS, err);
        if (rc == E_OK) {
            rc = tiles_replace(tiles, thin_until_path, span_of(days.items[0], DATE_CHARS), err);
        }
    }
    if (rc == E_OK) {
        *has_more = days.count > 1;
    }
    names_clear(&days);
    return rc == E_OK ? E_OK : err_wrap(err, "thinning out the archive");
}
