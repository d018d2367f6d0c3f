#include "client/journal_tail.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "store/journal_file.h"
#include "tlog/bundle.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct journal_tail {
    int lock;            /* descriptor, -1 when not held */
    uint64_t first, end; /* entries */
    struct buf bytes;    /* of all of them, as in a bundle */
    size_t *offsets;     /* where each begins; owned */
    size_t cap;
};

static const size_t tail_bytes_max = (size_t)1 << 32;

static enum err_code add_record(void *ctx, const struct journal_record *record, struct err *err)
{
    struct journal_tail *tail = ctx;
    if (tail->end == tail->first) {
        tail->first = tail->end = record->first;
    }
    if (record->first != tail->end) {
        return err_set(err, E_CORRUPT, "the journal has a gap at entry %ju", (uintmax_t)tail->end);
    }
    struct span rest = record->entries;
    struct span entry;
    size_t at = tail->bytes.len;
    while (bundle_take_entry(&rest, &entry)) {
        size_t count = (size_t)(tail->end - tail->first);
        if (count == tail->cap) {
            tail->cap = tail->cap == 0 ? 4096 : 2 * tail->cap;
            tail->offsets = mem_realloc(tail->offsets, tail->cap * sizeof *tail->offsets);
        }
        tail->offsets[count] = at;
        at += 2 + entry.len;
        tail->end++;
    }
    return buf_append(&tail->bytes, record->entries, err);
}

static enum err_code read_journal(struct journal_tail *tail, const char *directory, struct err *err)
{
    struct journal *journal = NULL;
    enum err_code rc = journal_file_open(&journal, directory, tail_bytes_max, err);
    if (rc == E_OK) {
        rc = journal_replay(journal, add_record, tail, err);
    }
    journal_close(journal);
    return rc;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum err_code journal_tail_open(struct journal_tail **out, const char *data_dir, struct err *err)
{
    char lock[PATH_MAX];
    char directory[PATH_MAX];
    if ((size_t)snprintf(lock, sizeof lock, "%s/lock", data_dir) >= sizeof lock ||
        (size_t)snprintf(directory, sizeof directory, "%s/journal", data_dir) >= sizeof directory) {
        return err_set(err, E_IO, "the path of %.100s... is too long", data_dir);
    }
    if (!is_directory(directory)) {
        return err_set(err, E_NOT_FOUND, "no journal in %s", data_dir);
    }
    struct journal_tail *tail = NEW(struct journal_tail);
    tail->lock = -1;
    buf_init(&tail->bytes, tail_bytes_max);
    enum err_code rc = file_lock(lock, &tail->lock, err);
    if (rc == E_BUSY) {
        err_wrap(err, "a logd is running on %s: stop it first", data_dir);
    }
    if (rc == E_OK) {
        rc = read_journal(tail, directory, err);
    }
    if (rc != E_OK) {
        journal_tail_close(tail);
        return rc;
    }
    *out = tail;
    return E_OK;
}

void journal_tail_close(struct journal_tail *tail)
{
    if (tail != NULL) {
        if (tail->lock >= 0) {
            close(tail->lock);
        }
        buf_clear(&tail->bytes);
        mem_free(tail->offsets);
        mem_free(tail);
    }
}

uint64_t journal_tail_first(const struct journal_tail *tail)
{
    return tail->first;
}

uint64_t journal_tail_end(const struct journal_tail *tail)
{
    return tail->end;
}

enum err_code journal_tail_get_bundle(const struct journal_tail *tail, uint64_t index,
                                      uint16_t width, struct buf *out, struct err *err)
{
    uint64_t first = index * TILE_WIDTH;
    if (first < tail->first || first >= tail->end || tail->end - first < width) {
        return err_set(err, E_NOT_FOUND, "the journal does not hold bundle %ju", (uintmax_t)index);
    }
    size_t at = (size_t)(first - tail->first);
    size_t past = at + width;
    size_t end = past < tail->end - tail->first ? tail->offsets[past] : tail->bytes.len;
    size_t begin = tail->offsets[at];
    return buf_append(out, span_slice(buf_span(&tail->bytes), begin, end - begin), err);
}
