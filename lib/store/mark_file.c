/* The file: a header of one block, then groups of two blocks. The first block of group g has the left
 * slots of the origins 32 g to 32 g + 31, the second the right ones: the slots of a pair are on
 * different blocks of the disk, and no slot is on two sectors.
 *
 * A slot is the origin's hash, sequence number, size, root, and a SHA-256 over these; or zeros, while
 * it was never written. An origin's first mark goes to both slots, so that one damaged slot beside an
 * empty one is a first write that was cut short, and nobody's loss. Later marks go to the slot that is
 * not the newest on the disk, and again there when that failed. */
#include "store/mark_file.h"

#include "base/alloc.h"
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 4096,
    SLOT_BYTES = 128,
    SLOT_CHECKED_BYTES = 32 + 8 + 8 + 32,
    GROUP_ORIGINS = BLOCK_BYTES / SLOT_BYTES,
    GROUP_BYTES = 2 * BLOCK_BYTES,
    GROUPS_MAX = MARK_FILE_ORIGINS_MAX / GROUP_ORIGINS,
    FILE_BYTES_MAX = BLOCK_BYTES + GROUPS_MAX * GROUP_BYTES,
    FILE_MODE = 0600,
};

static_assert(SLOT_CHECKED_BYTES + HASH_BYTES <= SLOT_BYTES, "a slot holds its checksum");

static const char header_text[] = "courtroll marks v1\n"; /* then zeros */

struct entry {
    struct mark mark;   /* as put last */
    uint64_t sequence;  /* the last one used, be it by a write that failed */
    uint32_t position;  /* in the file */
    uint8_t newest;     /* which slot: 0 or 1 */
    bool is_on_disk;    /* one slot of the pair is */
    bool is_to_write;   /* the disk may not have `mark` */
    uint64_t last_call; /* that put it */
};

struct mark_file {
    int fd;                /* locked */
    char *path;            /* owned */
    struct entry *entries; /* owned; in the order in which they came in */
    uint32_t *by_origin;   /* owned; indices of `entries` in the order of origins */
    uint32_t *to_write;    /* owned; indices of those with is_to_write */
    size_t to_write_count;
    size_t count;
    size_t cap; /* of all three */
    uint32_t next_position;
    uint64_t calls;
};

/* -- slots -- */

struct slot {
    struct mark mark;
    uint64_t sequence; /* from 1 */
};

enum slot_state {
    SLOT_EMPTY,
    SLOT_GOOD,
    SLOT_DAMAGED
};

static off_t slot_offset(uint32_t position, unsigned which)
{
    uint32_t group = position / GROUP_ORIGINS, within = position % GROUP_ORIGINS;
    return BLOCK_BYTES + (off_t)group * GROUP_BYTES + (off_t)which * BLOCK_BYTES +
           (off_t)within * SLOT_BYTES;
}

static void slot_put(struct buf *out, const struct slot *slot)
{
    size_t start = out->len;
    buf_put(out, hash_span(&slot->mark.origin));
    buf_put_u64(out, slot->sequence);
    buf_put_u64(out, slot->mark.size);
    buf_put(out, hash_span(&slot->mark.root));
    struct hash checksum = sha256(span_of(out->data + start, SLOT_CHECKED_BYTES));
    buf_put(out, hash_span(&checksum));
    size_t padding = SLOT_BYTES - SLOT_CHECKED_BYTES - HASH_BYTES;
    memset(buf_extend(out, padding), 0, padding);
}

static void take_hash(struct span *in, struct hash *out)
{
    struct span bytes;
    bool is_taken = span_take(in, HASH_BYTES, &bytes);
    assert(is_taken);
    memcpy(out->bytes, bytes.data, HASH_BYTES);
}

static bool is_zero(struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] != 0) {
            return false;
        }
    }
    return true;
}

static enum slot_state slot_parse(struct slot *out, struct span bytes)
{
    struct hash checksum, expected = sha256(span_slice(bytes, 0, SLOT_CHECKED_BYTES));
    if (is_zero(bytes)) {
        return SLOT_EMPTY;
    }
    take_hash(&bytes, &out->mark.origin);
    bool is_taken = span_take_u64(&bytes, &out->sequence) && span_take_u64(&bytes, &out->mark.size);
    assert(is_taken);
    take_hash(&bytes, &out->mark.root);
    take_hash(&bytes, &checksum);
    bool is_good = hash_is_equal(&checksum, &expected) && out->sequence > 0 && is_zero(bytes);
    return is_good ? SLOT_GOOD : SLOT_DAMAGED;
}

static bool mark_is_equal(const struct mark *a, const struct mark *b)
{
    return hash_is_equal(&a->origin, &b->origin) && a->size == b->size &&
           hash_is_equal(&a->root, &b->root);
}

/* -- the entries in memory -- */

/* Where in by_origin the origin is, or would be. */
static size_t rank_of(const struct mark_file *file, const struct hash *origin)
{
    size_t low = 0, high = file->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct hash *there = &file->entries[file->by_origin[middle]].mark.origin;
        if (memcmp(there->bytes, origin->bytes, HASH_BYTES) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct entry *find(const struct mark_file *file, const struct hash *origin)
{
    size_t rank = rank_of(file, origin);
    if (rank == file->count) {
        return NULL;
    }
    struct entry *entry = &file->entries[file->by_origin[rank]];
    return hash_is_equal(&entry->mark.origin, origin) ? entry : NULL;
}

/* Requires that the origin is not there yet. */
static struct entry *add(struct mark_file *file, const struct entry *entry)
{
    size_t rank = rank_of(file, &entry->mark.origin);
    if (file->count == file->cap) {
        file->cap = file->cap == 0 ? GROUP_ORIGINS : 2 * file->cap;
        file->entries = mem_realloc(file->entries, file->cap * sizeof *file->entries);
        file->by_origin = mem_realloc(file->by_origin, file->cap * sizeof *file->by_origin);
        file->to_write = mem_realloc(file->to_write, file->cap * sizeof *file->to_write);
    }
    memmove(file->by_origin + rank + 1, file->by_origin + rank,
            (file->count - rank) * sizeof *file->by_origin);
    file->by_origin[rank] = (uint32_t)file->count;
    file->entries[file->count] = *entry;
    file->next_position = entry->position + 1;
    return &file->entries[file->count++];
}

/* -- opening -- */

static enum err_code load_pair(struct mark_file *file, struct span bytes, uint32_t position,
                               struct err *err)
{
    struct slot slots[2];
    enum slot_state states[2];
    for (unsigned i = 0; i < 2; i++) {
        struct span slot = span_slice(bytes, (size_t)slot_offset(position, i), SLOT_BYTES);
        states[i] = slot_parse(&slots[i], slot);
    }
    if (states[0] == SLOT_DAMAGED && states[1] == SLOT_DAMAGED) {
        return err_set(err, E_CORRUPT, "mark file %s: both slots of origin %u are damaged",
                       file->path, position);
    }
    if (states[0] != SLOT_GOOD && states[1] != SLOT_GOOD) {
        return E_OK; /* never written, or not to the end */
    }
    bool are_good = states[0] == SLOT_GOOD && states[1] == SLOT_GOOD;
    if (are_good && (!hash_is_equal(&slots[0].mark.origin, &slots[1].mark.origin) ||
                     (slots[0].sequence == slots[1].sequence &&
                      !mark_is_equal(&slots[0].mark, &slots[1].mark)))) {
        return err_set(err, E_CORRUPT, "mark file %s: the slots of origin %u do not agree",
                       file->path, position);
    }
    uint8_t newest = states[0] != SLOT_GOOD || (are_good && slots[1].sequence > slots[0].sequence);
    if (find(file, &slots[newest].mark.origin) != NULL) {
        return err_set(err, E_CORRUPT, "mark file %s: origin %u is there twice", file->path,
                       position);
    }
    add(file, &(struct entry){ .mark = slots[newest].mark,
                               .sequence = slots[newest].sequence,
                               .position = position,
                               .newest = newest,
                               .is_on_disk = true });
    return E_OK;
}

static struct span header(uint8_t block[static BLOCK_BYTES])
{
    memset(block, 0, BLOCK_BYTES);
    memcpy(block, header_text, sizeof header_text - 1);
    return span_of(block, BLOCK_BYTES);
}

static enum err_code load(struct mark_file *file, struct err *err)
{
    uint8_t block[BLOCK_BYTES];
    struct buf bytes = BUF_INIT(FILE_BYTES_MAX);
    enum err_code rc = file_read(&bytes, file->path, err);
    if (rc == E_TOO_LARGE || (rc == E_OK && bytes.len % GROUP_BYTES != BLOCK_BYTES) ||
        (rc == E_OK && !span_has_prefix(buf_span(&bytes), header(block)))) {
        rc = err_set(err, E_CORRUPT, "%s is not a mark file, or was cut", file->path);
    }
    uint32_t positions = (uint32_t)(bytes.len / GROUP_BYTES) * GROUP_ORIGINS;
    for (uint32_t position = 0; position < positions && rc == E_OK; position++) {
        rc = load_pair(file, buf_span(&bytes), position, err);
    }
    buf_clear(&bytes);
    return rc;
}

static enum err_code make(const char *path, bool may_create, struct err *err)
{
    uint8_t block[BLOCK_BYTES];
    if (access(path, F_OK) == 0) {
        return E_OK;
    }
    if (errno != ENOENT) {
        return err_set_errno(err, E_IO, errno, "mark file %s", path);
    }
    if (!may_create) {
        return err_set(err, E_NOT_FOUND, "mark file %s is not there", path);
    }
    enum err_code rc = file_create(path, FILE_MODE, header(block), err);
    return rc == E_EXISTS ? E_OK : rc;
}

enum err_code mark_file_open(struct mark_file **out, const char *path, bool may_create,
                             struct err *err)
{
    int fd;
    enum err_code rc = make(path, may_create, err);
    if (rc == E_OK) {
        rc = file_lock(path, &fd, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    struct mark_file *file = NEW(struct mark_file);
    file->fd = fd;
    file->path = mem_strdup(path);
    rc = load(file, err);
    if (rc != E_OK) {
        mark_file_close(file);
        return rc;
    }
    *out = file;
    return E_OK;
}

void mark_file_close(struct mark_file *file)
{
    if (file != NULL) {
        close(file->fd);
        mem_free(file->path);
        mem_free(file->entries);
        mem_free(file->by_origin);
        mem_free(file->to_write);
        mem_free(file);
    }
}

/* -- reading -- */

size_t mark_file_count(const struct mark_file *file)
{
    return file->count;
}

size_t mark_file_room(const struct mark_file *file)
{
    return MARK_FILE_ORIGINS_MAX - file->next_position;
}

struct mark mark_file_at(const struct mark_file *file, size_t i)
{
    assert(i < file->count);
    return file->entries[i].mark;
}

enum err_code mark_file_get(const struct mark_file *file, const struct hash *origin,
                            struct mark *out, struct err *err)
{
    const struct entry *entry = find(file, origin);
    if (entry == NULL) {
        return err_set(err, E_NOT_FOUND, "mark file %s has no such origin", file->path);
    }
    *out = entry->mark;
    return E_OK;
}

/* -- writing -- */

static enum err_code write_error(const struct mark_file *file, struct err *err)
{
    return err_set_errno(err, E_IO, errno, "write mark file %s", file->path);
}

/* Whole groups, so that a file that was cut is known by its length. */
static enum err_code make_room(struct mark_file *file, struct err *err)
{
    off_t groups = (file->next_position + GROUP_ORIGINS - 1) / GROUP_ORIGINS;
    off_t needed = BLOCK_BYTES + groups * GROUP_BYTES;
    struct stat status;
    if (fstat(file->fd, &status) != 0 ||
        (status.st_size < needed && ftruncate(file->fd, needed) != 0)) {
        return write_error(file, err);
    }
    return E_OK;
}

static enum err_code write_slot(const struct mark_file *file, const struct entry *entry,
                                unsigned which, struct err *err)
{
    struct buf bytes = BUF_INIT(SLOT_BYTES);
    slot_put(&bytes, &(struct slot){ entry->mark, entry->sequence });
    ssize_t n;
    do {
        n = pwrite(file->fd, bytes.data, bytes.len, slot_offset(entry->position, which));
    } while (n < 0 && errno == EINTR);
    bool is_whole = n == (ssize_t)bytes.len;
    if (n >= 0 && !is_whole) {
        errno = ENOSPC; /* a short write has no errno */
    }
    buf_clear(&bytes);
    return is_whole ? E_OK : write_error(file, err);
}

static enum err_code write_entry(const struct mark_file *file, struct entry *entry, struct err *err)
{
    entry->sequence++; /* what a write left that failed is older than this */
    enum err_code rc = write_slot(file, entry, entry->newest == 0, err);
    return rc == E_OK && !entry->is_on_disk ? write_slot(file, entry, entry->newest, err) : rc;
}

static void take_marks(struct mark_file *file, const struct mark *marks, size_t count)
{
    file->calls++;
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = find(file, &marks[i].origin);
        if (entry == NULL) {
            entry = add(file, &(struct entry){ .position = file->next_position, .mark = marks[i] });
        }
        assert(entry->last_call != file->calls); /* an origin comes once */
        entry->mark = marks[i];
        entry->last_call = file->calls;
        if (!entry->is_to_write) {
            entry->is_to_write = true;
            file->to_write[file->to_write_count++] = (uint32_t)(entry - file->entries);
        }
    }
}

static bool has_room(const struct mark_file *file, const struct mark *marks, size_t count)
{
    size_t new_count = 0;
    for (size_t i = 0; i < count; i++) {
        new_count += find(file, &marks[i].origin) == NULL;
    }
    return new_count <= mark_file_room(file);
}

/* All that was to be written is on the disk. */
static void settle(struct mark_file *file)
{
    for (size_t i = 0; i < file->to_write_count; i++) {
        struct entry *entry = &file->entries[file->to_write[i]];
        entry->newest = entry->newest == 0;
        entry->is_on_disk = true;
        entry->is_to_write = false;
    }
    file->to_write_count = 0;
}

enum err_code mark_file_put(struct mark_file *file, const struct mark *marks, size_t count,
                            struct err *err)
{
    if (!has_room(file, marks, count)) {
        return err_set(err, E_TOO_LARGE, "mark file %s: room for %zu more origins", file->path,
                       mark_file_room(file));
    }
    take_marks(file, marks, count);
    enum err_code rc = make_room(file, err);
    for (size_t i = 0; i < file->to_write_count && rc == E_OK; i++) {
        rc = write_entry(file, &file->entries[file->to_write[i]], err);
    }
    if (rc == E_OK && fdatasync(file->fd) != 0) {
        rc = write_error(file, err);
    }
    if (rc == E_OK) {
        settle(file);
    }
    return rc;
}
