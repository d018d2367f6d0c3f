#include "witness/cosign_memory.h"

#include "base/alloc.h"

struct cosign_memory *cosign_memory_new(void)
{
    struct cosign_memory *memory = NEW(struct cosign_memory);
    buf_init(&memory->answered_lines, ADD_CHECKPOINT_LINES_MAX);
    for (size_t i = 0; i < COSIGN_REFUSED_MAX; i++) {
        buf_init(&memory->refused[i].note, COSIGN_REFUSED_NOTE_MAX);
    }
    return memory;
}

void cosign_memory_free(struct cosign_memory *memory)
{
    if (memory == NULL) {
        return;
    }
    for (size_t i = 0; i < COSIGN_REFUSED_MAX; i++) {
        buf_clear(&memory->refused[i].note);
    }
    buf_clear(&memory->answered_lines);
    mem_free(memory);
}

void cosign_memory_set_answer(struct cosign_memory *memory, const struct hash *body,
                              struct span lines, uint64_t now_ms)
{
    memory->has_answer = true;
    memory->answered_body = *body;
    memory->answered_ms = now_ms;
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

static size_t refused_end(const struct cosign_memory *memory)
{
    return memory->refused_count < COSIGN_REFUSED_MAX ? memory->refused_count : COSIGN_REFUSED_MAX;
}

void cosign_memory_add_refused(struct cosign_memory *memory, const struct cosign_request *request)
{
    const struct checkpoint *checkpoint = &request->checkpoint;
    if (checkpoint->size == 0 || request->note.len > COSIGN_REFUSED_NOTE_MAX) {
        return;
    }
    for (size_t i = 0; i < refused_end(memory); i++) {
        if (memory->refused[i].size == checkpoint->size &&
            hash_is_equal(&memory->refused[i].root, &checkpoint->root)) {
            return;
        }
    }
    struct cosign_refused *refused = &memory->refused[memory->refused_count++ % COSIGN_REFUSED_MAX];
    refused->size = checkpoint->size;
    refused->root = checkpoint->root;
    buf_reset(&refused->note);
    buf_put(&refused->note, buf_span(&request->note));
}

bool cosign_memory_find_contradicting(const struct cosign_memory *memory,
                                      const struct checkpoint *checkpoint, size_t *at,
                                      struct span *note)
{
    while (*at < refused_end(memory)) {
        const struct cosign_refused *refused = &memory->refused[(*at)++];
        if (refused->size == checkpoint->size &&
            !hash_is_equal(&refused->root, &checkpoint->root)) {
            *note = buf_span(&refused->note);
            return true;
        }
    }
    return false;
}
