/* Checking records, which takes a tenth of a millisecond each, off the gRPC thread. A call is cut into chunks, so that
 * one large call uses all workers, and small ones wait behind no more than a chunk a worker. */
#include "logd/append_service_parts.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "tlog/bundle.h"

#include <assert.h>
#include <time.h>

enum {
    CHUNK_ENTRIES = 64
};

/* -- How much is under way -- */

static bool count_in(atomic_size_t *counter, size_t more, size_t max)
{
    if (atomic_fetch_add(counter, more) + more <= max) {
        return true;
    }
    atomic_fetch_sub(counter, more);
    return false;
}

bool append_count_in(struct append_call *append, size_t times_max)
{
    struct append_service *service = append->service;
    size_t entries = append->submission->count, bytes = append->submission->entries_bytes;
    if (!count_in(&service->checking_entries, entries, times_max * APPEND_CHECKING_ENTRIES_MAX)) {
        return false;
    }
    if (!count_in(&service->checking_bytes, bytes, times_max * APPEND_CHECKING_BYTES_MAX)) {
        atomic_fetch_sub(&service->checking_entries, entries);
        return false;
    }
    append->counted_entries = entries;
    append->counted_bytes = bytes;
    return true;
}

void append_count_out(struct append_call *append)
{
    atomic_fetch_sub(&append->service->checking_entries, append->counted_entries);
    atomic_fetch_sub(&append->service->checking_bytes, append->counted_bytes);
    append->counted_entries = 0;
    append->counted_bytes = 0;
}

bool append_has_room(struct append_service *service)
{
    return atomic_load(&service->checking_entries) < APPEND_CHECKING_ENTRIES_MAX &&
           atomic_load(&service->checking_bytes) < APPEND_CHECKING_BYTES_MAX;
}

/* -- A chunk -- */

static struct span certificate_of(const struct append_call *append, size_t position)
{
    static const uint8_t none[CERTIFICATE_BYTES];
    if (append->certificates == NULL) {
        return (struct span){ 0 };
    }
    const uint8_t *at = append->certificates + position * CERTIFICATE_BYTES;
    return memcmp(at, none, CERTIFICATE_BYTES) == 0 ? (struct span){ 0 }
                                                    : span_of(at, CERTIFICATE_BYTES);
}

/* What was let in once is answered as a duplicate, whatever has happened to its submitter since: a sender that never
 * heard the answer must not be told that it was refused. Only the published is looked at, which everyone may know. */
static bool is_on_the_log(struct parts *parts, const struct hash *leaf)
{
    struct published_tree *tree = published_get(parts->published);
    uint64_t index;
    struct err err;
    bool is_there = tree != NULL && parts_find_leaf(parts, tree, leaf, &index, &err) == E_OK;
    published_tree_release(tree);
    return is_there;
}

/* A registration, or an end, that is on the log already changes nothing when it is sent again, which anybody can who
 * reads the log: then it must neither hold up its key nor have all that is under way checked again. */
static enum err_code check_entry(struct append_call *append, size_t position, struct span entry,
                                 uint64_t minute, struct err *err)
{
    struct parts *parts = append->service->parts;
    struct entry_facts *facts = &append->submission->facts[position];
    enum err_code rc = gate_check(parts->gate, position, entry, certificate_of(append, position),
                                  &append->sender, minute, facts, err);
    bool is_asked = rc == E_DENIED || (rc == E_OK && facts->is_registration);
    if (is_asked && is_on_the_log(parts, &append->submission->leaves[position])) {
        facts->is_registration = false;
        rc = E_OK;
    }
    return rc;
}

static void refuse_chunk(struct append_chunk *chunk, const struct err *err)
{
    struct append_call *append = chunk->append;
    size_t own = (size_t)(chunk - append->chunks), first = atomic_load(&append->first_refused);
    chunk->refusal = NEW(struct err);
    *chunk->refusal = *err;
    while (own < first && !atomic_compare_exchange_weak(&append->first_refused, &first, own)) {
    }
}

static void finish_verify(struct append_call *append)
{
    struct err refusal;
    size_t first = atomic_load(&append->first_refused);
    bool is_refused = first < append->chunk_count;
    if (is_refused) {
        refusal = *append->chunks[first].refusal;
    }
    for (size_t i = 0; i < append->chunk_count; i++) {
        mem_free(append->chunks[i].refusal);
    }
    mem_free(append->chunks);
    append->chunks = NULL;
    append_on_checked(append, is_refused ? &refusal : NULL);
}

/* On a worker. The first bad entry is the one that is told, so that what is behind another need not be looked at. */
static void run_chunk(void *arg)
{
    struct append_chunk *chunk = arg;
    struct append_call *append = chunk->append;
    struct submission *submission = append->submission;
    struct span rest =
        span_of(submission->entries + chunk->offset, submission->entries_bytes - chunk->offset);
    uint64_t minute = (uint64_t)time(NULL) / 60;
    struct span entry;
    struct err err;
    for (size_t i = chunk->first; i < chunk->end; i++) {
        if (atomic_load(&append->first_refused) < (size_t)(chunk - append->chunks)) {
            break;
        }
        bool is_there = bundle_take_entry(&rest, &entry);
        assert(is_there);
        if (check_entry(append, i, entry, minute, &err) != E_OK) {
            refuse_chunk(chunk, &err);
            break;
        }
    }
    if (atomic_fetch_sub(&append->chunks_left, 1) == 1) {
        finish_verify(append);
    }
}

/* -- A call -- */

void append_verify(struct append_call *append)
{
    struct submission *submission = append->submission;
    struct work *work = append->service->parts->verify_work;
    size_t count = (submission->count + CHUNK_ENTRIES - 1) / CHUNK_ENTRIES, offset = 0;
    append->epoch = gate_epoch(append->service->parts->gate);
    append->chunks = mem_calloc(count, sizeof append->chunks[0]);
    append->chunk_count = count;
    atomic_store(&append->chunks_left, count);
    atomic_store(&append->first_refused, count);
    for (size_t i = 0; i < submission->count; i++) {
        struct append_chunk *chunk = &append->chunks[i / CHUNK_ENTRIES];
        if (i % CHUNK_ENTRIES == 0) {
            *chunk = (struct append_chunk){ .append = append, .first = i, .offset = offset };
        }
        chunk->end = i + 1;
        offset += 2 + ((size_t)submission->entries[offset] << 8 | submission->entries[offset + 1]);
    }
    struct append_chunk *chunks = append->chunks; /* the last one to run takes `append` away */
    for (size_t i = 0; i < count; i++) {
        work_post(work, run_chunk, &chunks[i]);
    }
}

enum err_code append_push(struct append_call *append, struct err *err)
{
    struct parts *parts = append->service->parts;
    struct append_service *service = append->service;
    size_t entries = append->counted_entries, bytes = append->counted_bytes;
    append->counted_entries = append->counted_bytes = 0; /* once pushed, it may be gone */
    enum err_code rc = parts->gate != NULL ? gate_push(parts->gate, parts->pool, append->submission,
                                                       append->epoch, err)
                                           : pool_push(parts->pool, append->submission, err);
    if (rc == E_OK) {
        atomic_fetch_sub(&service->checking_entries, entries);
        atomic_fetch_sub(&service->checking_bytes, bytes);
    } else {
        append->counted_entries = entries;
        append->counted_bytes = bytes;
    }
    return rc;
}
