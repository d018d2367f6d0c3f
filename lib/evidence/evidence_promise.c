/* evidence_promise.c -- a log promised one entry for an index, and has another one there.
 *
 * The inclusion proof fixes the leaf at that index of B's tree, so what was promised is not in it. */
#include "base/alloc.h"
#include "base/ascii.h"
#include "evidence/evidence_parts.h"

#include <assert.h>
#include <inttypes.h>

static const char entry_prefix[] = "entry ";

enum {
    PROMISE_NOTE,
    CHECKPOINT_NOTE
};

/* -- the form -- */

static enum err_code take_tail(struct evidence *evidence, struct span in, struct err *err)
{
    struct span line, index;
    if (!span_take_prefix(&in, span_of_str(entry_prefix)) || !span_take_until(&in, '\n', &line) ||
        !span_take_until(&line, ' ', &index)) {
        return err_set(err, E_MALFORMED, "the line \"entry INDEX HASH\" is missing");
    }
    if (decimal_parse(&evidence->index, index, SIZE_VALUE_MAX - 1, err) != E_OK) {
        return err_wrap(err, "index of the entry");
    }
    if (base64_decode_hash(&evidence->root, line, err) != E_OK) {
        return err_wrap(err, "leaf hash of the entry");
    }
    evidence->has_proof = true;
    return evidence_take_proof(&evidence->proof, in, err);
}

static void put_tail(struct buf *out, const struct evidence *evidence)
{
    buf_putf(out, "%s%" PRIu64 " ", entry_prefix, evidence->index);
    base64_put_hash(out, &evidence->root);
    buf_put_u8(out, '\n');
    proof_put_lines(out, &evidence->proof);
}

static enum err_code check_text(const struct note *note, size_t i, struct err *err)
{
    struct checkpoint checkpoint;
    if (i == CHECKPOINT_NOTE) {
        return checkpoint_parse(&checkpoint, note->text, err);
    }
    struct promise *promise = NEW(struct promise);
    enum err_code rc = promise_parse(promise, note->text, err);
    mem_free(promise);
    if (rc == E_OK && note->count != 1) {
        rc = err_set(err, E_MALFORMED, "%zu signature lines, not one", note->count);
    }
    return rc;
}

static enum err_code check(const struct evidence *evidence, struct err *err)
{
    for (size_t i = 0; i < 2; i++) {
        struct note note;
        enum err_code rc = note_parse(&note, evidence->notes[i], err);
        if (rc == E_OK) {
            rc = check_text(&note, i, err);
            if (rc == E_OK) {
                rc = evidence_note_check_spelling(&note, evidence->notes[i], err);
            }
            note_clear(&note);
        }
        if (rc != E_OK) {
            return evidence_note_wrap(err, i);
        }
    }
    return E_OK;
}

/* -- verifying -- */

/* A promise may name an index twice, if only to be broken: one leaf that is not there is enough. */
static enum err_code find_broken(struct hash *promised, const struct promise *promise,
                                 uint64_t index, const struct hash *found, struct err *err)
{
    bool is_promised = false;
    for (size_t i = 0; i < promise->count; i++) {
        const struct promise_item *item = &promise->items[i];
        if (item->index == index && !hash_is_equal(&item->leaf, found)) {
            *promised = item->leaf;
            return E_OK;
        }
        is_promised = is_promised || item->index == index;
    }
    return err_set(err, E_BAD_PROOF,
                   is_promised ? "the promise for index %" PRIu64 " was kept"
                               : "nothing was promised for index %" PRIu64,
                   index);
}

static enum err_code compare(const struct evidence *evidence, const struct promise *promise,
                             struct evidence_verdict *out, struct err *err)
{
    const struct checkpoint *b = &out->checkpoints[1];
    if (strcmp(promise->origin, b->origin) != 0) {
        return err_set(err, E_BAD_PROOF, "a promise of %s, and a checkpoint of %s", promise->origin,
                       b->origin);
    }
    enum err_code rc = find_broken(&out->promised, promise, evidence->index, &evidence->root, err);
    if (rc != E_OK) {
        return rc;
    }
    out->found = evidence->root;
    return proof_verify_inclusion(&evidence->proof, evidence->index, b->size, &evidence->root,
                                  &b->root, err);
}

static enum err_code verify(const struct evidence *evidence, const struct evidence_signers *signers,
                            struct evidence_verdict *out, struct err *err)
{
    struct evidence_note promise, note;
    enum err_code rc = evidence_note_open_pure(&promise, evidence->notes[PROMISE_NOTE],
                                               EVIDENCE_ROLE_PROMISE, signers, err);
    if (rc != E_OK) {
        return evidence_note_wrap(err, PROMISE_NOTE);
    }
    rc = evidence_note_open_pure(&note, evidence->notes[CHECKPOINT_NOTE], EVIDENCE_ROLE_LOG,
                                 signers, err);
    if (rc != E_OK) {
        evidence_note_wrap(err, CHECKPOINT_NOTE);
        goto out;
    }
    out->checkpoints[1] = note.checkpoint;
    out->keys[0] = promise.verified[0].key;
    out->keys[1] = note.verified[0].key;
    evidence_note_clear(&note);
    rc = compare(evidence, promise.promise, out, err);
out:
    evidence_note_clear(&promise);
    return rc;
}

const struct evidence_format evidence_format_promise = {
    "promise-broken", 2, take_tail, put_tail, check, verify,
};

/* -- making -- */

/* The keys of the log, and behind them the promise key: the maker's word is good for the log's only, and
 * the promise key must fit by its name. */
enum err_code evidence_put_broken_promise(struct buf *out, struct span promise, struct span note,
                                          uint64_t index, const struct hash *leaf,
                                          const struct proof *proof, const struct vkey *promise_key,
                                          const struct vkey *const *log_keys, size_t key_count,
                                          struct err *err)
{
    assert(proof->count <= PROOF_HASHES_MAX);
    assert(index < SIZE_VALUE_MAX);
    struct buf notes[2] = { 0 };
    const struct vkey **keys = mem_calloc(key_count + 1, sizeof keys[0]);
    for (size_t i = 0; i < key_count; i++) {
        keys[i] = log_keys[i];
    }
    keys[key_count] = promise_key;
    struct evidence_signers signers = { keys, key_count + 1, false };
    enum err_code rc =
        evidence_note_clean(&notes[0], promise, EVIDENCE_ROLE_PROMISE, &signers, err);
    if (rc == E_OK) {
        rc = evidence_note_clean(&notes[1], note, EVIDENCE_ROLE_LOG, &signers, err);
    }
    if (rc == E_OK) {
        struct evidence evidence = { .kind = EVIDENCE_PROMISE_BROKEN,
                                     .notes = { buf_span(&notes[0]), buf_span(&notes[1]) },
                                     .has_proof = true,
                                     .root = *leaf,
                                     .index = index,
                                     .proof = *proof,
                                     .entries = { { 0 } } };
        rc = evidence_put(out, &evidence, &signers, err);
    }
    buf_clear(&notes[0]);
    buf_clear(&notes[1]);
    mem_free(keys);
    return rc;
}
