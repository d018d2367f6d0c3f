/* The normal path of adding is: the file is made under its id, and synced with its directory, and only
 * then it is in the list. A crash before leaves at most a temporary file, which the next start removes.
 * What was damaged on the disk is not in the list; when it is found again it is written anew. */
#include "witness/evidence_keep.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "base/log.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    HEX_BYTES = 2 * HASH_BYTES,
    DIRECTORY_MODE = 0755, /* evidence is to be shown */
    FILE_MODE = 0644
};

struct evidence_keep {
    char *dir; /* owned */
    atomic_uint_fast64_t found;
    pthread_mutex_t writing; /* of files; held over the disk, taken before `mutex` */
    pthread_mutex_t mutex;   /* guards the list; for a few instructions */
    size_t count;
    size_t cap;
    struct evidence_item *items; /* owned; oldest first */
};

struct hex_name {
    char text[HEX_BYTES + 1];
};

static struct hex_name hex_name(const struct hash *hash)
{
    struct hex_name name;
    struct buf hex = BUF_INIT(HEX_BYTES + 1);
    hex_put(&hex, hash_span(hash));
    memcpy(name.text, buf_c_str(&hex), sizeof name.text);
    buf_clear(&hex);
    return name;
}

/* False unless it is just what hex_name writes. */
static bool parse_hex_name(struct hash *out, const char *text)
{
    struct err err;
    return strlen(text) == HEX_BYTES && text[strspn(text, "0123456789abcdef")] == '\0' &&
           hex_decode(out->bytes, HASH_BYTES, span_of_str(text), &err) == E_OK;
}

/* The caller frees them with mem_free. */
static char *directory_of(const struct evidence_keep *keep, const struct hash *origin_hash)
{
    return file_join(keep->dir, hex_name(origin_hash).text);
}

static char *path_of(const struct evidence_keep *keep, const struct hash *origin_hash,
                     const struct hash *id)
{
    char *directory = directory_of(keep, origin_hash);
    char *path = file_join(directory, hex_name(id).text);
    mem_free(directory);
    return path;
}

/* -- what a file says -- */

/* All but the time. E_MALFORMED. */
static enum err_code describe(struct evidence_item *out, struct span file, struct err *err)
{
    struct evidence evidence;
    struct checkpoint a, b;
    struct evidence_item item = { .id = sha256(file) };
    enum err_code rc = evidence_parse(&evidence, file, err);
    if (rc == E_OK) {
        rc = checkpoint_parse_note(&a, evidence.notes[0], err);
    }
    if (rc == E_OK) {
        rc = checkpoint_parse_note(&b, evidence.notes[1], err);
    }
    if (rc != E_OK) {
        return rc;
    }
    if (strcmp(a.origin, b.origin) != 0) {
        return err_set(err, E_MALFORMED, "notes of two origins");
    }
    memcpy(item.origin, a.origin, sizeof item.origin);
    item.origin_hash = sha256(span_of_str(a.origin));
    item.kind = evidence.kind;
    item.size_a = a.size;
    item.size_b = b.size;
    *out = item;
    return E_OK;
}

/* -- the list -- */

/* Requires the mutex, or that nobody else knows the list yet. */
static void append(struct evidence_keep *keep, const struct evidence_item *item)
{
    if (keep->count == keep->cap) {
        keep->cap = keep->cap == 0 ? EVIDENCE_KEEP_MAX : keep->cap * 2;
        keep->items = mem_realloc(keep->items, keep->cap * sizeof keep->items[0]);
    }
    keep->items[keep->count++] = *item;
}

struct tally {
    size_t of_origin;
    bool is_there;
};

/* `id` may be NULL. */
static struct tally tally(struct evidence_keep *keep, const struct hash *origin_hash,
                          const struct hash *id)
{
    struct tally tally = { 0, false };
    pthread_mutex_lock(&keep->mutex);
    for (size_t i = 0; i < keep->count; i++) {
        bool is_same_origin = hash_is_equal(&keep->items[i].origin_hash, origin_hash);
        tally.of_origin += is_same_origin;
        tally.is_there |= is_same_origin && id != NULL && hash_is_equal(&keep->items[i].id, id);
    }
    pthread_mutex_unlock(&keep->mutex);
    return tally;
}

/* -- opening -- */

/* A file of that name that says what its name says. */
static enum err_code load(struct evidence_item *out, const char *path,
                          const struct hash *origin_hash, const struct hash *id, struct err *err)
{
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct evidence_item item;
    struct stat status;
    enum err_code rc = file_read(&file, path, err);
    if (rc == E_OK) {
        rc = describe(&item, buf_span(&file), err);
    }
    buf_clear(&file);
    if (rc != E_OK) {
        return rc;
    }
    if (!hash_is_equal(&item.id, id) || !hash_is_equal(&item.origin_hash, origin_hash)) {
        return err_set(err, E_CORRUPT, "not what its name says");
    }
    if (stat(path, &status) != 0) {
        return err_set_errno(err, E_IO, errno, "%s", path);
    }
    item.first_seen_s = status.st_mtime > 0 ? (uint64_t)status.st_mtime : 0;
    *out = item;
    return E_OK;
}

/* One damaged file must not hide the others. */
static void open_file(struct evidence_keep *keep, const char *directory, const char *name,
                      const struct hash *origin_hash)
{
    char *path = file_join(directory, name);
    struct evidence_item item;
    struct hash id;
    struct err err;
    if (span_has_suffix(span_of_str(name), span_of_str(".tmp"))) {
        unlink(path); /* of a start that ended while it wrote */
    } else if (!parse_hex_name(&id, name)) {
        err_set(&err, E_CORRUPT, "%s: not a name of ours", path);
        log_error(LOG_LEVEL_ERROR, "evidence_damaged", &err);
    } else if (load(&item, path, origin_hash, &id, &err) != E_OK) {
        err_wrap(&err, "%s", path);
        log_error(LOG_LEVEL_ERROR, "evidence_damaged", &err);
    } else {
        append(keep, &item);
    }
    mem_free(path);
}

static enum err_code open_directory(struct evidence_keep *keep, const char *name, struct err *err)
{
    struct hash origin_hash;
    if (!parse_hex_name(&origin_hash, name)) {
        return E_OK;
    }
    char *directory = file_join(keep->dir, name);
    DIR *listing = opendir(directory);
    if (listing == NULL) {
        enum err_code rc = err_set_errno(err, E_IO, errno, "open directory %s", directory);
        mem_free(directory);
        return rc;
    }
    struct dirent *entry;
    while ((entry = readdir(listing)) != NULL) {
        if (entry->d_name[0] != '.') {
            open_file(keep, directory, entry->d_name, &origin_hash);
        }
    }
    closedir(listing);
    mem_free(directory);
    return E_OK;
}

static int compare_items(const void *a, const void *b)
{
    const struct evidence_item *x = a, *y = b;
    if (x->first_seen_s != y->first_seen_s) {
        return x->first_seen_s < y->first_seen_s ? -1 : 1;
    }
    return span_compare(hash_span(&x->id), hash_span(&y->id));
}

static enum err_code open_all(struct evidence_keep *keep, struct err *err)
{
    enum err_code rc = file_make_directory(keep->dir, DIRECTORY_MODE, err);
    if (rc != E_OK) {
        return rc;
    }
    DIR *listing = opendir(keep->dir);
    if (listing == NULL) {
        return err_set_errno(err, E_IO, errno, "open directory %s", keep->dir);
    }
    struct dirent *entry;
    while (rc == E_OK && (entry = readdir(listing)) != NULL) {
        rc = open_directory(keep, entry->d_name, err);
    }
    closedir(listing);
    if (keep->count > 0) {
        qsort(keep->items, keep->count, sizeof keep->items[0], compare_items);
    }
    return rc;
}

enum err_code evidence_keep_open(struct evidence_keep **out, const char *dir, struct err *err)
{
    struct evidence_keep *keep = NEW(struct evidence_keep);
    keep->dir = mem_strdup(dir);
    pthread_mutex_init(&keep->writing, NULL);
    pthread_mutex_init(&keep->mutex, NULL);
    enum err_code rc = open_all(keep, err);
    if (rc != E_OK) {
        evidence_keep_close(keep);
        return err_wrap(err, "evidence");
    }
    *out = keep;
    return E_OK;
}

void evidence_keep_close(struct evidence_keep *keep)
{
    if (keep == NULL) {
        return;
    }
    pthread_mutex_destroy(&keep->mutex);
    pthread_mutex_destroy(&keep->writing);
    mem_free(keep->items);
    mem_free(keep->dir);
    mem_free(keep);
}

/* -- adding -- */

static void log_loudly(const struct evidence_item *item)
{
    log_event(LOG_LEVEL_ERROR, "evidence",
              "kind=%s origin=%s size_a=%" PRIu64 " size_b=%" PRIu64 " id=%s",
              evidence_kind_text(item->kind), log_quoted_str(item->origin).text, item->size_a,
              item->size_b, hex_name(&item->id).text);
}

/* A file that is there already is damaged, or it would be in the list. */
static enum err_code write_file(const struct evidence_keep *keep, const struct evidence_item *item,
                                struct span file, struct err *err)
{
    char *directory = directory_of(keep, &item->origin_hash);
    char *path = path_of(keep, &item->origin_hash, &item->id);
    enum err_code rc = file_make_directory(directory, DIRECTORY_MODE, err);
    if (rc == E_OK) {
        rc = file_create(path, FILE_MODE, file, err);
    }
    if (rc == E_EXISTS) {
        rc = file_replace(path, FILE_MODE, file, err);
    }
    mem_free(path);
    mem_free(directory);
    return rc;
}

/* Requires `writing`. */
static enum err_code add(struct evidence_keep *keep, struct evidence_item *item, struct span file,
                         bool *is_new, struct err *err)
{
    struct tally known = tally(keep, &item->origin_hash, &item->id);
    if (known.is_there) {
        return E_OK;
    }
    if (known.of_origin >= EVIDENCE_KEEP_MAX) {
        evidence_keep_add_found(keep);
        return E_OK;
    }
    enum err_code rc = write_file(keep, item, file, err);
    if (rc != E_OK) {
        return rc;
    }
    evidence_keep_add_found(keep);
    item->first_seen_s = (uint64_t)time(NULL);
    pthread_mutex_lock(&keep->mutex);
    append(keep, item);
    pthread_mutex_unlock(&keep->mutex);
    log_loudly(item);
    *is_new = true;
    return E_OK;
}

enum err_code evidence_keep_add(struct evidence_keep *keep, const char *origin, struct span file,
                                bool *is_new, struct err *err)
{
    struct evidence_item item;
    bool was_new = false;
    enum err_code rc = describe(&item, file, err);
    if (rc != E_OK) {
        return rc;
    }
    assert(strcmp(item.origin, origin) == 0);
    pthread_mutex_lock(&keep->writing);
    rc = add(keep, &item, file, &was_new, err);
    pthread_mutex_unlock(&keep->writing);
    if (rc == E_OK) {
        *is_new = was_new;
    }
    return rc;
}

/* -- reading -- */

size_t evidence_keep_list(struct evidence_keep *keep, struct evidence_item **out)
{
    pthread_mutex_lock(&keep->mutex);
    size_t count = keep->count;
    struct evidence_item *copy = mem_calloc(count + 1, sizeof *copy);
    if (count > 0) {
        memcpy(copy, keep->items, count * sizeof *copy);
    }
    pthread_mutex_unlock(&keep->mutex);
    *out = copy;
    return count;
}

enum err_code evidence_keep_read(struct evidence_keep *keep, const struct hash *origin_hash,
                                 const struct hash *id, struct buf *out, struct err *err)
{
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    char *path = path_of(keep, origin_hash, id);
    enum err_code rc = file_read(&file, path, err);
    if (rc == E_OK) {
        struct hash found = sha256(buf_span(&file));
        rc = hash_is_equal(&found, id) ? buf_append(out, buf_span(&file), err)
                                       : err_set(err, E_CORRUPT, "%s: damaged", path);
    }
    mem_free(path);
    buf_clear(&file);
    return rc;
}

bool evidence_keep_is_full(struct evidence_keep *keep, const struct hash *origin_hash)
{
    return tally(keep, origin_hash, NULL).of_origin >= EVIDENCE_KEEP_MAX;
}

void evidence_keep_add_found(struct evidence_keep *keep)
{
    atomic_fetch_add(&keep->found, 1);
}

uint64_t evidence_keep_count(const struct evidence_keep *keep)
{
    return atomic_load(&keep->found);
}
