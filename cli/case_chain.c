#include "base/alloc.h"
#include "cli/case_chain_parts.h"

#include <assert.h>

struct case_chain *case_chain_new(const struct case_key *key, const char *origin)
{
    struct case_chain *chain = NEW(struct case_chain);
    chain->key = key;
    chain->origin = origin;
    chain->tag_room = 1024;
    chain->tags = mem_calloc(chain->tag_room, sizeof *chain->tags);
    return chain;
}

void case_chain_free(struct case_chain *chain)
{
    if (chain == NULL) {
        return;
    }
    for (size_t i = 0; i < chain->submitter_count; i++) {
        mem_free(chain->submitters[i].name);
    }
    crypto_wipe(chain->tags, chain->tag_room * sizeof *chain->tags);
    mem_free(chain->tags);
    mem_free(chain->only);
    mem_free(chain->submitters);
    mem_free(chain->operations);
    crypto_wipe(chain, sizeof *chain);
    mem_free(chain);
}

void case_chain_restrict(struct case_chain *chain, const struct submitter_id *id)
{
    chain->only = mem_realloc(chain->only, (chain->only_count + 1) * sizeof *chain->only);
    chain->only[chain->only_count++] = *id;
}

/* ---- the tags that are looked for ---- */

/* Its place in the table, or the empty place where it would be. Tags are as good as random. */
static struct chain_tag *place_of(const struct case_chain *chain, const struct hash *tag)
{
    struct span bytes = hash_span(tag);
    uint64_t at = 0;
    bool is_there = span_take_u64(&bytes, &at);
    assert(is_there);
    for (;; at++) {
        struct chain_tag *place = &chain->tags[at & (chain->tag_room - 1)];
        if (place->submitter == 0 || hash_is_equal(&place->tag, tag)) {
            return place;
        }
    }
}

static void grow_tags(struct case_chain *chain)
{
    struct chain_tag *old = chain->tags;
    size_t room = chain->tag_room;
    chain->tag_room = 2 * room;
    chain->tags = mem_calloc(chain->tag_room, sizeof *chain->tags);
    for (size_t i = 0; i < room; i++) {
        if (old[i].submitter != 0) {
            *place_of(chain, &old[i].tag) = old[i];
        }
    }
    crypto_wipe(old, room * sizeof *old);
    mem_free(old);
}

static void look_for(struct case_chain *chain, size_t submitter, uint64_t below)
{
    struct chain_submitter *known = &chain->submitters[submitter];
    for (; known->looked < below; known->looked++) {
        if (2 * (chain->tag_count + 1) > chain->tag_room) {
            grow_tags(chain);
        }
        struct chain_tag tag = { .tag = entry_tag_make(chain->key, &known->id, known->looked),
                                 .submitter = (uint32_t)submitter + 1,
                                 .number = known->looked };
        *place_of(chain, &tag.tag) = tag;
        chain->tag_count++;
    }
}

/* ---- submitters ---- */

static bool is_wanted(const struct case_chain *chain, const struct submitter_id *id)
{
    for (size_t i = 0; i < chain->only_count; i++) {
        if (submitter_id_is_equal(&chain->only[i], id)) {
            return true;
        }
    }
    return chain->only_count == 0;
}

/* The same key may be registered again, perhaps under another name: the last one is shown. */
static enum err_code add_submitter(struct case_chain *chain, const struct operation *operation,
                                   struct err *err)
{
    const struct registration *registration = &operation->registration;
    if (!is_wanted(chain, &operation->submitter)) {
        return E_OK;
    }
    for (size_t i = 0; i < chain->submitter_count; i++) {
        struct chain_submitter *known = &chain->submitters[i];
        if (submitter_id_is_equal(&known->id, &operation->submitter)) {
            mem_free(known->name);
            known->name = mem_strdup(registration->name);
            return E_OK;
        }
    }
    if (chain->submitter_count == CASE_CHAIN_SUBMITTERS_MAX) {
        return err_set(err, E_TOO_LARGE, "more than %d submitters: name some with --submitter",
                       CASE_CHAIN_SUBMITTERS_MAX);
    }
    if (chain->submitter_count == chain->submitter_room) {
        chain->submitter_room = chain->submitter_room == 0 ? 16 : 2 * chain->submitter_room;
        chain->submitters =
            mem_realloc(chain->submitters, chain->submitter_room * sizeof *chain->submitters);
    }
    size_t i = chain->submitter_count++;
    chain->submitters[i] = (struct chain_submitter){ .id = operation->submitter,
                                                     .key = registration->key,
                                                     .name = mem_strdup(registration->name) };
    look_for(chain, i, CASE_CHAIN_FIRST);
    return E_OK;
}

/* ---- operations ---- */

/* A sealed record shows that its one-time key signed it; whose that is, UNSEAL says. */
static bool is_signed(const struct case_chain *chain, const struct chain_submitter *submitter,
                      const struct operation *operation, struct span entry)
{
    struct err ignored; /* that it does not verify is the answer */
    return operation->is_vouched ? submitter_id_is_equal(&operation->submitter, &submitter->id)
                                 : operation_verify(operation, entry, chain->origin,
                                                    &submitter->key, &ignored) == E_OK;
}

static void note_closed(struct case_chain *chain, const struct operation *operation, uint64_t index)
{
    struct chain_closed *closed = &chain->closed;
    struct err ignored; /* that they cannot be read is told */
    *closed = (struct chain_closed){ .is_there = true,
                                     .is_vouched = operation->is_vouched,
                                     .index = index };
    closed->is_readable =
        closed_counts_read(closed->counts, &closed->count, chain->key, &operation->entry_tag,
                           operation->closed_counts, &ignored) == E_OK;
}

static enum err_code add_operation(struct case_chain *chain, const struct chain_tag *tag,
                                   uint64_t index, const struct operation *operation,
                                   struct span entry, struct err *err)
{
    if (chain->operation_count == CASE_CHAIN_OPERATIONS_MAX) {
        return err_set(err, E_TOO_LARGE, "more than %d operations of one case",
                       CASE_CHAIN_OPERATIONS_MAX);
    }
    if (chain->operation_count == chain->operation_room) {
        chain->operation_room = chain->operation_room == 0 ? 64 : 2 * chain->operation_room;
        chain->operations =
            mem_realloc(chain->operations, chain->operation_room * sizeof *chain->operations);
    }
    size_t submitter = tag->submitter - 1;
    uint64_t number = tag->number;
    struct chain_operation *added = &chain->operations[chain->operation_count++];
    *added = (struct chain_operation){ .number = number,
                                       .index = index,
                                       .submitter = (uint32_t)submitter,
                                       .kind = operation->kind->number,
                                       .is_vouched = operation->is_vouched };
    added->is_bad = !is_signed(chain, &chain->submitters[submitter], operation, entry);
    if (added->kind == KIND_CLOSED && !added->is_bad) {
        note_closed(chain, operation, index);
    }
    look_for(chain, submitter, number + 1 + CASE_CHAIN_AHEAD); /* `tag` is not good any more */
    return E_OK;
}

/* The tag is looked at first: nearly all entries are other cases', and decoding them would cost most. */
enum err_code case_chain_add(struct case_chain *chain, uint64_t index, struct span entry,
                             struct err *err)
{
    struct operation operation = { 0 };
    struct hash tag;
    struct err ignored; /* what is no record is the monitor's to tell */
    const struct chain_tag *found = NULL;
    if (operation_peek_tag(&tag, entry)) {
        found = place_of(chain, &tag);
        if (found->submitter == 0) {
            return E_OK;
        }
    }
    if (operation_decode(&operation, entry, &ignored) != E_OK) {
        return E_OK;
    }
    enum err_code rc = E_OK;
    if (found != NULL && operation.has_commitments) {
        rc = add_operation(chain, found, index, &operation, entry, err);
    } else if (operation.kind->number == KIND_SUBMITTER &&
               operation_verify(&operation, entry, chain->origin, &operation.registration.key,
                                &ignored) == E_OK) {
        rc = add_submitter(chain, &operation, err);
    }
    operation_clear(&operation);
    return rc;
}
