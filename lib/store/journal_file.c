/* The directory holds live segments, <epoch>.seg with consecutive epochs, the newest of which is
 * written to; spare ones that were trimmed, spare-<epoch>.seg; and for a moment new.tmp, a segment
 * being prewritten. A segment gets its live name only after its block 0 is synced, and that block
 * repeats what the segments before end with: so a live segment always checks, and a segment that
 * has a successor is known to have ended cleanly. Only the newest can have a torn tail. */
#include "store/journal_file.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/no_space.h"
#include "store/segment.h"
#include "tlog/merkle.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SEGMENT_BYTES_MIN = 64 * 1024,
    /* Two of the largest records, some 16 MiB: little is lost at the end whatever their sizes. */
    SEGMENT_BYTES_MAX = SEGMENT_BLOCK + 2 * SEGMENT_RECORD_BYTES_MAX,
    SEGMENTS_MIN = 2, /* the one that holds the last record, and one to write to */
    NAME_BYTES_MAX = 48
};

static const char temporary_name[] = "new.tmp";
static const char live_prefix[] = "";
static const char spare_prefix[] = "spare-";

struct name {
    char text[NAME_BYTES_MAX];
};

struct journal_file {
    struct journal base;
    char *dir;                  /* owned; for messages */
    int dir_fd;                 /* owned */
    struct segment_list live;   /* owned; oldest first; only the newest has its descriptor open */
    struct segment_list spares; /* owned; to be used again */
    uint64_t live_bytes;
    size_t live_count;
    uint64_t spare_bytes;
    uint64_t bytes_max;
    uint64_t segment_bytes; /* of a new segment, unless a record needs more */
    struct segment_chain chain;
    size_t reserved; /* bytes of entries */
    uint64_t bytes_written;
    bool is_broken; /* an append failed: what is on the disk is unknown */
};

static struct name segment_name(const char *prefix, uint64_t epoch)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%s%08" PRIu64 ".seg", prefix, epoch);
    return name;
}

/* Accepts exactly the names that segment_name makes. */
static bool parse_name(uint64_t *epoch, const char *text, const char *prefix)
{
    if (strncmp(text, prefix, strlen(prefix)) != 0) {
        return false;
    }
    *epoch = strtoull(text + strlen(prefix), NULL, 10);
    return strcmp(segment_name(prefix, *epoch).text, text) == 0;
}

static struct segment *newest(const struct journal_file *journal)
{
    return TAILQ_LAST(&journal->live, segment_list);
}

static enum err_code sync_directory(const struct journal_file *journal, struct err *err)
{
    if (fsync(journal->dir_fd) != 0) {
        return err_set_errno(err, store_write_code(errno), errno, "sync directory %s",
                             journal->dir);
    }
    return E_OK;
}

static void segment_close(struct segment *segment)
{
    if (segment->fd >= 0) {
        close(segment->fd);
        segment->fd = -1;
    }
}

static void list_free(struct segment_list *list)
{
    struct segment *segment;
    while ((segment = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, segment, link);
        segment_close(segment);
        mem_free(segment);
    }
}

static struct segment *segment_new(uint64_t epoch, uint64_t bytes)
{
    struct segment *segment = NEW(struct segment);
    segment->fd = -1;
    segment->epoch = epoch;
    segment->bytes = bytes / SEGMENT_BLOCK * SEGMENT_BLOCK;
    return segment;
}

/* Sorted by epoch. */
static void list_insert(struct segment_list *list, struct segment *segment)
{
    struct segment *after = TAILQ_LAST(list, segment_list);
    while (after != NULL && after->epoch > segment->epoch) {
        after = TAILQ_PREV(after, segment_list, link);
    }
    if (after == NULL) {
        TAILQ_INSERT_HEAD(list, segment, link);
    } else {
        TAILQ_INSERT_AFTER(list, after, segment, link);
    }
}

static void live_push(struct journal_file *journal, struct segment *segment)
{
    list_insert(&journal->live, segment);
    journal->live_bytes += segment->bytes;
    journal->live_count++;
}

static void spare_push(struct journal_file *journal, struct segment *segment)
{
    TAILQ_INSERT_TAIL(&journal->spares, segment, link);
    journal->spare_bytes += segment->bytes;
}

static struct segment *spare_pop(struct journal_file *journal)
{
    struct segment *segment = TAILQ_FIRST(&journal->spares);
    if (segment != NULL) {
        TAILQ_REMOVE(&journal->spares, segment, link);
        journal->spare_bytes -= segment->bytes;
    }
    return segment;
}

/* ---- a segment to write to ---- */

static enum err_code segment_grow(struct journal_file *journal, struct segment *segment,
                                  uint64_t bytes, struct err *err)
{
    if (segment->bytes >= bytes) {
        return E_OK;
    }
    enum err_code rc = segment_prewrite(segment->fd, segment->bytes, bytes, err);
    if (rc == E_OK) {
        journal->bytes_written += bytes - segment->bytes;
        segment->bytes = bytes;
    }
    return rc;
}

/* Makes `name`, a spare or a new file, the newest live segment. */
static enum err_code make_live(struct journal_file *journal, struct segment *segment,
                               const char *name, uint64_t bytes, struct err *err)
{
    uint64_t epoch = journal->live_count == 0 ? 1 : newest(journal)->epoch + 1;
    struct name live = segment_name(live_prefix, epoch);
    segment->fd = openat(journal->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (segment->fd < 0) {
        return err_set_errno(err, E_UNAVAILABLE, errno, "open %s", name);
    }
    struct stat st;
    if (fstat(segment->fd, &st) != 0) {
        return err_set_errno(err, E_UNAVAILABLE, errno, "look at %s", name);
    }
    segment->bytes = (uint64_t)st.st_size / SEGMENT_BLOCK * SEGMENT_BLOCK;
    enum err_code rc = segment_grow(journal, segment, bytes, err);
    if (rc == E_OK) {
        rc = segment_begin(segment, epoch, &journal->chain, err);
    }
    if (rc == E_OK) {
        journal->bytes_written += SEGMENT_BLOCK;
        if (renameat(journal->dir_fd, name, journal->dir_fd, live.text) != 0) {
            rc = err_set_errno(err, E_UNAVAILABLE, errno, "rename %s", name);
        } else if ((rc = sync_directory(journal, err)) != E_OK) {
            unlinkat(journal->dir_fd, live.text, 0);
        }
    }
    return rc;
}

/* Nothing has happened when this fails, whatever the reason: so it is E_UNAVAILABLE. */
static enum err_code next_segment(struct journal_file *journal, uint64_t bytes, struct err *err)
{
    struct name name;
    struct segment *segment = spare_pop(journal);
    if (segment != NULL) {
        name = segment_name(spare_prefix, segment->epoch);
    } else {
        segment = segment_new(0, 0);
        snprintf(name.text, sizeof name.text, "%s", temporary_name);
        unlinkat(journal->dir_fd, name.text, 0);
    }
    enum err_code rc = make_live(journal, segment, name.text, bytes, err);
    if (rc != E_OK) {
        unlinkat(journal->dir_fd, name.text, 0);
        segment_close(segment);
        mem_free(segment);
        return err_set(err, E_UNAVAILABLE, "no new segment for the journal %s: %s", journal->dir,
                       err->msg);
    }
    if (newest(journal) != NULL) {
        segment_close(newest(journal));
    }
    live_push(journal, segment);
    return E_OK;
}

/* A newest segment without records that is too small for the first one. */
static enum err_code grow_newest(struct journal_file *journal, uint64_t bytes, struct err *err)
{
    struct segment *segment = newest(journal);
    uint64_t before = segment->bytes;
    if (segment_grow(journal, segment, bytes, err) != E_OK) {
        if (ftruncate(segment->fd, (off_t)before) != 0) {
            log_event(LOG_LEVEL_WARN, "journal_truncate_failed", "segment=%" PRIu64,
                      segment->epoch);
        }
        return err_set(err, E_UNAVAILABLE, "no larger segment for the journal %s: %s", journal->dir,
                       err->msg);
    }
    journal->live_bytes += segment->bytes - before;
    return E_OK;
}

static enum err_code file_reserve(struct journal *base, size_t entries_bytes, struct err *err)
{
    struct journal_file *journal = (struct journal_file *)base;
    struct segment *segment = newest(journal);
    if (journal->is_broken) {
        return err_set(err, E_IO, "journal %s: an append failed before", journal->dir);
    }
    if (entries_bytes > SEGMENT_ENTRIES_BYTES_MAX) {
        return err_set(err, E_TOO_LARGE, "journal record of %zu bytes", entries_bytes);
    }
    uint64_t record = segment_record_bytes(entries_bytes);
    uint64_t bytes = record + SEGMENT_BLOCK;
    enum err_code rc = E_OK;
    if (segment == NULL || segment->bytes - segment->end < record) {
        bytes = bytes > journal->segment_bytes ? bytes : journal->segment_bytes;
        if (segment != NULL && segment->end == SEGMENT_BLOCK) {
            rc = grow_newest(journal, bytes, err);
        } else if (journal->live_count >= SEGMENTS_MIN &&
                   journal->live_bytes >= journal->bytes_max) {
            rc =
                err_set(err, E_BUSY, "journal %s: full until integration catches up", journal->dir);
        } else {
            rc = next_segment(journal, bytes, err);
        }
    }
    if (rc == E_OK) {
        journal->reserved = entries_bytes;
    }
    return rc;
}

/* ---- commit and trim ---- */

static enum err_code file_append(struct journal *base, const struct journal_record *record,
                                 struct err *err)
{
    struct journal_file *journal = (struct journal_file *)base;
    if (journal->is_broken) {
        return err_set(err, E_IO, "journal %s: an append failed before", journal->dir);
    }
    if (record->first != journal->chain.head.size || record->size <= record->first) {
        return err_set(err, E_CONFLICT,
                       "journal %s: entries %" PRIu64 " to %" PRIu64
                       " do not extend the head at %" PRIu64,
                       journal->dir, record->first, record->size, journal->chain.head.size);
    }
    struct segment *segment = newest(journal);
    assert(segment != NULL);
    assert(record->entries.len <= journal->reserved);
    journal->reserved = 0;
    enum err_code rc = segment_append(segment, &journal->chain, record, err);
    journal->bytes_written += segment_record_bytes(record->entries.len);
    if (rc != E_OK) {
        journal->is_broken = true;
        return err_wrap(err, "journal segment %s/%s", journal->dir,
                        segment_name(live_prefix, segment->epoch).text);
    }
    return E_OK;
}

/* Synced one by one: after a crash the oldest are gone, never one in the middle. */
static enum err_code retire_oldest(struct journal_file *journal, struct err *err)
{
    struct segment *segment = TAILQ_FIRST(&journal->live);
    struct name live = segment_name(live_prefix, segment->epoch);
    struct name spare = segment_name(spare_prefix, segment->epoch);
    uint64_t kept = journal->live_bytes + journal->spare_bytes;
    bool is_surplus =
        kept > journal->bytes_max + journal->segment_bytes && !TAILQ_EMPTY(&journal->spares);
    int result = is_surplus ? unlinkat(journal->dir_fd, live.text, 0)
                            : renameat(journal->dir_fd, live.text, journal->dir_fd, spare.text);
    if (result != 0) {
        return err_set_errno(err, E_IO, errno, "retire %s/%s", journal->dir, live.text);
    }
    TAILQ_REMOVE(&journal->live, segment, link);
    journal->live_bytes -= segment->bytes;
    journal->live_count--;
    if (is_surplus) {
        mem_free(segment);
    } else {
        spare_push(journal, segment);
    }
    return sync_directory(journal, err);
}

static enum err_code file_trim(struct journal *base, uint64_t size, struct err *err)
{
    struct journal_file *journal = (struct journal_file *)base;
    enum err_code rc = E_OK;
    while (rc == E_OK && journal->live_count > 1) {
        const struct segment *second = TAILQ_NEXT(TAILQ_FIRST(&journal->live), link);
        bool has_last = second->start.sequence == journal->chain.sequence;
        if (has_last || second->start.head.size > size) {
            break;
        }
        rc = retire_oldest(journal, err);
    }
    return rc;
}

/* ---- reading ---- */

static enum err_code open_segment(const struct journal_file *journal, struct segment *segment,
                                  struct err *err)
{
    if (segment->fd < 0) {
        struct name name = segment_name(live_prefix, segment->epoch);
        segment->fd = openat(journal->dir_fd, name.text, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (segment->fd < 0) {
            return err_set_errno(err, E_IO, errno, "open");
        }
    }
    return E_OK;
}

struct replay {
    enum err_code (*on_record)(void *ctx, const struct journal_record *record, struct err *err);
    void *ctx;
    bool is_told; /* the last error is on_record's own */
};

static enum err_code tell_record(void *ctx, struct segment *segment, struct span raw,
                                 const struct segment_record *found, struct err *err)
{
    struct replay *replay = ctx;
    (void)segment;
    (void)raw;
    enum err_code rc = replay->on_record(replay->ctx, &found->record, err);
    replay->is_told = rc != E_OK;
    return rc;
}

static enum err_code replay_segment(struct journal_file *journal, struct segment *segment,
                                    struct segment_walk *walk, struct replay *replay,
                                    struct err *err)
{
    enum err_code rc = open_segment(journal, segment, err);
    if (rc == E_OK) {
        rc = segment_walk_records(walk, segment, tell_record, replay, err);
    }
    if (rc == E_OK && walk->offset != segment->end) {
        rc = err_set(err, E_CORRUPT, "offset %" PRIu64 ": the record was whole when last read",
                     walk->offset);
    }
    segment_forget_cache(segment->fd);
    if (segment != newest(journal)) {
        segment_close(segment);
    }
    if (rc != E_OK && !replay->is_told) {
        return err_wrap(err, "journal segment %s/%s", journal->dir,
                        segment_name(live_prefix, segment->epoch).text);
    }
    return rc;
}

static enum err_code file_replay(struct journal *base,
                                 enum err_code (*on_record)(void *ctx,
                                                            const struct journal_record *record,
                                                            struct err *err),
                                 void *ctx, struct err *err)
{
    struct journal_file *journal = (struct journal_file *)base;
    struct replay replay = { on_record, ctx, false };
    struct segment_walk walk = { .buf = BUF_INIT(SEGMENT_RECORD_BYTES_MAX) };
    struct segment *segment = TAILQ_FIRST(&journal->live);
    enum err_code rc = E_OK;
    if (segment != NULL) {
        walk.chain = segment->start;
    }
    while (rc == E_OK && segment != NULL) {
        rc = replay_segment(journal, segment, &walk, &replay, err);
        segment = TAILQ_NEXT(segment, link);
    }
    buf_clear(&walk.buf);
    return rc;
}

/* ---- open ---- */

/* A page that a failed sync left in memory reads well and is not on the disk: so what is read back
 * is written again, over the same bytes. */
static enum err_code rewrite_record(void *ctx, struct segment *segment, struct span raw,
                                    const struct segment_record *found, struct err *err)
{
    struct journal_file *journal = ctx;
    (void)found;
    enum err_code rc = segment_write(segment->fd, segment->end, raw, err);
    segment->end += raw.len;
    journal->bytes_written += raw.len;
    return rc;
}

/* The newest segment ends at segment->end. A torn record is the last thing ever begun there, never
 * acknowledged; a damaged one has others behind it. */
static enum err_code cut_tail(struct journal_file *journal, struct segment *segment,
                              const struct segment_walk *walk, struct err *err)
{
    static const uint8_t block[SEGMENT_BLOCK];
    bool is_followed;
    enum err_code rc =
        segment_has_record_behind(segment, walk->offset, walk->chain.sequence, &is_followed, err);
    if (rc != E_OK) {
        return rc;
    }
    if (is_followed) {
        return err_set(err, E_CORRUPT,
                       "offset %" PRIu64 ": record %" PRIu64 " does not check, and others follow",
                       walk->offset, walk->chain.sequence);
    }
    if (walk->last == SEGMENT_TORN) {
        /* Without its header nothing of the record can ever be taken for one. */
        log_event(LOG_LEVEL_WARN, "journal_tail_cut", "segment=%" PRIu64 " offset=%" PRIu64,
                  segment->epoch, walk->offset);
        journal->bytes_written += SEGMENT_BLOCK;
        return segment_write(segment->fd, walk->offset, SPAN_OF_ARRAY(block), err);
    }
    return E_OK;
}

static enum err_code recover_records(struct journal_file *journal, struct segment *segment,
                                     struct segment_walk *walk, struct err *err)
{
    enum err_code rc = segment_walk_records(walk, segment, rewrite_record, journal, err);
    if (rc == E_OK && segment == newest(journal)) {
        rc = cut_tail(journal, segment, walk, err);
    } else if (rc == E_OK && walk->last == SEGMENT_TORN) {
        rc = err_set(err, E_CORRUPT,
                     "offset %" PRIu64 ": record %" PRIu64 " does not check, and others follow",
                     walk->offset, walk->chain.sequence);
    }
    return rc;
}

static bool chain_is_equal(const struct segment_chain *a, const struct segment_chain *b)
{
    return a->sequence == b->sequence && a->checksum == b->checksum &&
           a->head.size == b->head.size && hash_is_equal(&a->head.root, &b->head.root);
}

/* Checks that `segment` continues what the segments before it end with. */
static enum err_code check_start(const struct journal_file *journal, const struct segment *segment,
                                 const struct segment_walk *walk, struct err *err)
{
    const struct segment *before = TAILQ_PREV(segment, segment_list, link);
    if (before == NULL || chain_is_equal(&segment->start, &walk->chain)) {
        return E_OK;
    }
    return err_set(err, E_CORRUPT,
                   "it continues record %" PRIu64 " at size %" PRIu64
                   ", but %s/%s ends at offset %" PRIu64 " with record %" PRIu64
                   " at size %" PRIu64,
                   segment->start.sequence, segment->start.head.size, journal->dir,
                   segment_name(live_prefix, before->epoch).text, before->end, walk->chain.sequence,
                   walk->chain.head.size);
}

static enum err_code recover_segment(struct journal_file *journal, struct segment *segment,
                                     struct segment_walk *walk, struct err *err)
{
    enum err_code rc = open_segment(journal, segment, err);
    if (rc == E_OK) {
        rc = segment_load(segment, segment->epoch, err);
    }
    if (rc == E_OK) {
        journal->bytes_written += SEGMENT_BLOCK;
        rc = check_start(journal, segment, walk, err);
    }
    if (rc == E_OK) {
        walk->chain = segment->start;
        rc = recover_records(journal, segment, walk, err);
    }
    if (rc == E_OK && fdatasync(segment->fd) != 0) {
        rc = err_set_errno(err, E_IO, errno, "sync");
    }
    segment_forget_cache(segment->fd);
    if (rc != E_OK) {
        return err_wrap(err, "journal segment %s/%s", journal->dir,
                        segment_name(live_prefix, segment->epoch).text);
    }
    if (segment != newest(journal)) {
        segment_close(segment);
    }
    return E_OK;
}

static enum err_code recover(struct journal_file *journal, struct err *err)
{
    struct segment_walk walk = { .chain = journal->chain,
                                 .buf = BUF_INIT(SEGMENT_RECORD_BYTES_MAX) };
    struct segment *segment;
    enum err_code rc = E_OK;
    TAILQ_FOREACH(segment, &journal->live, link)
    {
        const struct segment *before = TAILQ_PREV(segment, segment_list, link);
        if (before != NULL && segment->epoch != before->epoch + 1) {
            rc = err_set(err, E_CORRUPT, "journal segment %s/%s is missing", journal->dir,
                         segment_name(live_prefix, before->epoch + 1).text);
        } else {
            rc = recover_segment(journal, segment, &walk, err);
        }
        if (rc != E_OK) {
            break;
        }
    }
    journal->chain = walk.chain;
    buf_clear(&walk.buf);
    return rc;
}

/* Sorts one name of the directory into its list. */
static enum err_code find_segment(struct journal_file *journal, const char *name, struct err *err)
{
    uint64_t epoch;
    bool is_live = parse_name(&epoch, name, live_prefix);
    bool is_spare = !is_live && parse_name(&epoch, name, spare_prefix);
    struct stat st;
    if (strcmp(name, temporary_name) == 0) { /* of a crash while prewriting */
        unlinkat(journal->dir_fd, name, 0);
        return E_OK;
    }
    if (fstatat(journal->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return err_set_errno(err, E_IO, errno, "look at %s/%s", journal->dir, name);
    }
    if ((!is_live && !is_spare) || !S_ISREG(st.st_mode) || epoch == 0) {
        return err_set(err, E_CORRUPT, "%s/%s is no file of the journal: move it away",
                       journal->dir, name);
    }
    if (is_live) {
        live_push(journal, segment_new(epoch, (uint64_t)st.st_size));
    } else {
        spare_push(journal, segment_new(epoch, (uint64_t)st.st_size));
    }
    return E_OK;
}

static enum err_code find_segments(struct journal_file *journal, struct err *err)
{
    enum err_code rc = E_OK;
    int fd = openat(journal->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL) {
        rc = err_set_errno(err, E_IO, errno, "list %s", journal->dir);
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL && errno != 0) {
            rc = err_set_errno(err, E_IO, errno, "list %s", journal->dir);
        }
        if (entry == NULL || rc != E_OK) {
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, "lost+found") != 0) {
            rc = find_segment(journal, entry->d_name, err);
        }
    }
    closedir(stream);
    if (rc == E_OK && TAILQ_EMPTY(&journal->live) && !TAILQ_EMPTY(&journal->spares)) {
        rc = err_set(err, E_CORRUPT, "journal %s: there are spare segments, but no live one",
                     journal->dir);
    }
    return rc;
}

static struct journal_head file_head(const struct journal *base)
{
    return ((const struct journal_file *)base)->chain.head;
}

static uint64_t file_bytes_written(const struct journal *base)
{
    return ((const struct journal_file *)base)->bytes_written;
}

static void file_close(struct journal *base)
{
    struct journal_file *journal = (struct journal_file *)base;
    list_free(&journal->live);
    list_free(&journal->spares);
    if (journal->dir_fd >= 0) {
        close(journal->dir_fd);
    }
    mem_free(journal->dir);
    mem_free(journal);
}

static const struct journal_ops file_ops = {
    .reserve = file_reserve,
    .append = file_append,
    .trim = file_trim,
    .replay = file_replay,
    .head = file_head,
    .bytes_written = file_bytes_written,
    .close = file_close,
};

/* A quarter of the bound, so that trimming frees space in small steps. */
static uint64_t segment_bytes_for(uint64_t bytes_max)
{
    uint64_t bytes = bytes_max / 4 / SEGMENT_BLOCK * SEGMENT_BLOCK;
    bytes = bytes < SEGMENT_BYTES_MIN ? SEGMENT_BYTES_MIN : bytes;
    return bytes > SEGMENT_BYTES_MAX ? SEGMENT_BYTES_MAX : bytes;
}

enum err_code journal_file_open(struct journal **out, const char *dir, uint64_t bytes_max,
                                struct err *err)
{
    struct journal_file *journal = NEW(struct journal_file);
    journal->base.ops = &file_ops;
    journal->dir = mem_strdup(dir);
    journal->bytes_max = bytes_max;
    journal->segment_bytes = segment_bytes_for(bytes_max);
    journal->chain.head.root = merkle_empty_root();
    TAILQ_INIT(&journal->live);
    TAILQ_INIT(&journal->spares);
    enum err_code rc = E_OK;
    journal->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (journal->dir_fd < 0) {
        rc = err_set_errno(err, E_IO, errno, "open journal %s", dir);
    }
    if (rc == E_OK) {
        rc = find_segments(journal, err);
    }
    if (rc == E_OK) {
        rc = recover(journal, err);
    }
    if (rc == E_OK) {
        rc = sync_directory(journal, err);
    }
    if (rc != E_OK) {
        file_close(&journal->base);
        return rc;
    }
    *out = &journal->base;
    return E_OK;
}
