#include "witness/cosign_memory.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>

static_assert(sizeof(struct cosign_refused) + ADD_CHECKPOINT_BYTES_MAX <= COSIGN_REFUSED_BYTES_MAX,
              "the longest note has room once the others are gone");

struct cosign_memory *cosign_memory_new(struct cosign_memory_total *total)
{
    struct cosign_memory *memory = NEW(struct cosign_memory);
    memory->total = total;
    buf_init(&memory->answered_lines, ADD_CHECKPOINT_LINES_MAX);
    TAILQ_INIT(&memory->refused);
    return memory;
}

/* -- the bytes of all logs -- */

/* False over the maximum. */
static bool take_bytes(struct cosign_memory_total *total, size_t bytes)
{
    size_t before = atomic_fetch_add(&total->bytes, bytes);
    if (before > COSIGN_MEMORY_TOTAL_BYTES_MAX || bytes > COSIGN_MEMORY_TOTAL_BYTES_MAX - before) {
        atomic_fetch_sub(&total->bytes, bytes);
        return false;
    }
    return true;
}

static void return_bytes(struct cosign_memory_total *total, size_t bytes)
{
    atomic_fetch_sub(&total->bytes, bytes);
}

static void tell_full(struct cosign_memory_total *total)
{
    if (!atomic_exchange(&total->was_full, true)) {
        log_event(LOG_LEVEL_ERROR, "memory_of_refused_notes_full",
                  "bytes=%d detail=\"a contradiction among refused notes may be missed\"",
                  COSIGN_MEMORY_TOTAL_BYTES_MAX);
    }
}

/* -- answers -- */

void cosign_memory_set_answer(struct cosign_memory *memory, const struct hash *body,
                              const struct origin_state *state, struct span lines, uint64_t now_ms)
{
    memory->has_answer = true;
    memory->answered_body = *body;
    memory->answered_ms = now_ms;
    memory->answered_state = *state;
    buf_reset(&memory->answered_lines);
    buf_put(&memory->answered_lines, lines);
}

void cosign_memory_forget_answer(struct cosign_memory *memory)
{
    memory->has_answer = false;
}

bool cosign_memory_find_answer(const struct cosign_memory *memory, const struct hash *body,
                               uint64_t now_ms, uint64_t age_ms, struct span *lines)
{
    if (!memory->has_answer || !hash_is_equal(&memory->answered_body, body) ||
        now_ms < memory->answered_ms || now_ms - memory->answered_ms > age_ms) {
        return false;
    }
    *lines = buf_span(&memory->answered_lines);
    return true;
}

bool cosign_memory_find_lines(const struct cosign_memory *memory, const struct origin_state *state,
                              struct span *lines)
{
    const struct origin_state *answered = &memory->answered_state;
    if (!memory->has_answer || answered->size != state->size ||
        answered->timestamp != state->timestamp || !hash_is_equal(&answered->root, &state->root)) {
        return false;
    }
    *lines = buf_span(&memory->answered_lines);
    return true;
}

/* -- contradictions -- */

bool cosign_memory_has_kept(const struct cosign_memory *memory, const struct hash *contradiction)
{
    for (size_t i = 0; i < memory->kept_count && i < COSIGN_KEPT_MAX; i++) {
        if (hash_is_equal(&memory->kept[i], contradiction)) {
            return true;
        }
    }
    return false;
}

void cosign_memory_add_kept(struct cosign_memory *memory, const struct hash *contradiction)
{
    memory->kept[memory->kept_count++ % COSIGN_KEPT_MAX] = *contradiction;
}

/* -- refused notes -- */

static size_t refused_bytes(const struct cosign_refused *refused)
{
    return sizeof *refused + refused->len;
}

static void drop_oldest(struct cosign_memory *memory)
{
    struct cosign_refused *oldest = TAILQ_FIRST(&memory->refused);
    TAILQ_REMOVE(&memory->refused, oldest, next);
    memory->refused_bytes -= refused_bytes(oldest);
    return_bytes(memory->total, refused_bytes(oldest));
    mem_free(oldest);
}

/* A log that has filled its share, or finds everybody's in use, gives up its own oldest notes, and nobody
 * else's. False: it has none left to give up. */
static bool make_room(struct cosign_memory *memory, size_t bytes)
{
    while (bytes > COSIGN_REFUSED_BYTES_MAX - memory->refused_bytes) {
        drop_oldest(memory);
    }
    while (!take_bytes(memory->total, bytes)) {
        if (TAILQ_EMPTY(&memory->refused)) {
            tell_full(memory->total);
            return false;
        }
        drop_oldest(memory);
    }
    return true;
}

void cosign_memory_add_refused(struct cosign_memory *memory, const struct cosign_request *request)
{
    const struct checkpoint *checkpoint = &request->checkpoint;
    struct cosign_refused *refused;
    if (checkpoint->size == 0) {
        return;
    }
    TAILQ_FOREACH(refused, &memory->refused, next)
    {
        if (refused->size == checkpoint->size && hash_is_equal(&refused->root, &checkpoint->root)) {
            return;
        }
    }
    size_t bytes = sizeof *refused + request->note.len;
    if (!make_room(memory, bytes)) {
        return;
    }
    refused = mem_alloc(bytes);
    refused->size = checkpoint->size;
    refused->root = checkpoint->root;
    refused->len = request->note.len;
    memcpy(refused->note, request->note.data, request->note.len);
    TAILQ_INSERT_TAIL(&memory->refused, refused, next);
    memory->refused_bytes += bytes;
}

bool cosign_memory_find_contradicting(const struct cosign_memory *memory,
                                      const struct checkpoint *checkpoint, struct span *note)
{
    const struct cosign_refused *refused;
    TAILQ_FOREACH(refused, &memory->refused, next)
    {
        if (refused->size == checkpoint->size &&
            !hash_is_equal(&refused->root, &checkpoint->root)) {
            *note = span_of(refused->note, refused->len);
            return true;
        }
    }
    return false;
}

/* -- unwritten evidence -- */

bool cosign_memory_add_unwritten(struct cosign_memory *memory, struct span file)
{
    if (memory->unwritten_count == COSIGN_UNWRITTEN_MAX) {
        return false;
    }
    if (!take_bytes(memory->total, file.len)) {
        tell_full(memory->total);
        return false;
    }
    struct buf *unwritten = &memory->unwritten[memory->unwritten_count++];
    buf_init(unwritten, file.len);
    buf_put(unwritten, file);
    return true;
}

void cosign_memory_drop_unwritten(struct cosign_memory *memory)
{
    assert(memory->unwritten_count > 0);
    return_bytes(memory->total, memory->unwritten[0].len);
    buf_clear(&memory->unwritten[0]);
    memory->unwritten_count--;
    for (size_t i = 0; i < memory->unwritten_count; i++) {
        memory->unwritten[i] = memory->unwritten[i + 1];
    }
}

void cosign_memory_free(struct cosign_memory *memory)
{
    if (memory == NULL) {
        return;
    }
    while (!TAILQ_EMPTY(&memory->refused)) {
        drop_oldest(memory);
    }
    while (memory->unwritten_count > 0) {
        cosign_memory_drop_unwritten(memory);
    }
    buf_clear(&memory->answered_lines);
    mem_free(memory);
}
