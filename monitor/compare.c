/* The normal path: the note is read and its log's line verified, then its root is held against the one that
 * our own tree has at that size. A contradiction is what the log has signed twice: our note, or the proof that leads
 * to it, on the one side and this note on the other. Whatever does not verify ends as an error, and whatever
 * cannot be fetched as "no data": neither is held against anybody. */
#include "monitor/compare.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "monitor/compare_parts.h"
#include "monitor/contradiction.h"
#include "monitor/known_note.h"
#include "monitor/witness_slot.h"
#include "tlog/promise.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

const char *compare_result_text(enum compare_result result)
{
    static const char *const texts[] = { "same",    "consistent",   "ahead",        "contradiction",
                                         "no-data", "nothing-held", "not-looked-at" };
    assert((unsigned)result < sizeof texts / sizeof texts[0]);
    return texts[result];
}

struct comparing {
    struct watched_log *log;
    struct older_tree *tree;
    const char *from;
    int64_t now_s;
    const struct held_tree *held;
    const struct known_note *note;
    struct buf bytes;      /* owned: what is kept of the note; and of the held one: without bad */
    struct buf held_bytes; /* lines, which would stand in the way of evidence */
    struct hash root;      /* of the held tree at the note's size */
    struct proof proof;    /* from there to the held root */
    struct known_note *other; /* the held note, once a contradiction is found; owned, or NULL */
};

/* -- contradictions -- */

/* The root and the proof, where sizes differ. */
static void set_proof(struct contradiction *contradiction, uint64_t size, uint64_t other_size,
                      const struct hash *root, const struct proof *proof)
{
    if (size != other_size) {
        contradiction->root = root;
        contradiction->proof = proof;
    }
}

static struct contradiction begin(const struct comparing *comparing, enum contradiction_kind kind,
                                  const char *detail)
{
    const struct checkpoint *checkpoint = &comparing->note->verdict.checkpoint;
    return (struct contradiction){
        .kind = kind,
        .from = comparing->from,
        .claim = contradiction_claim(1, checkpoint->size, hash_span(&checkpoint->root)),
        .detail = detail,
        .notes = { buf_span(&comparing->bytes), buf_span(&comparing->held_bytes) },
    };
}

static enum err_code raise_fork(struct comparing *comparing, struct compare_outcome *out,
                                struct err *err)
{
    const struct checkpoint *checkpoint = &comparing->note->verdict.checkpoint;
    struct buf roots[2] = { BUF_INIT(HASH_BASE64_CHARS + 1), BUF_INIT(HASH_BASE64_CHARS + 1) };
    char detail[512];
    base64_put_hash(&roots[0], &checkpoint->root);
    base64_put_hash(&roots[1], &comparing->root);
    snprintf(detail, sizeof detail,
             "a checkpoint that the log signed for size %" PRIu64
             " with root %s; the tree that was verified here, of size %" PRIu64
             " and signed by the log too, has root %s there.",
             checkpoint->size, buf_c_str(&roots[0]), comparing->held->range.size,
             buf_c_str(&roots[1]));
    struct contradiction fork = begin(comparing, CONTRADICTION_FORK, detail);
    set_proof(&fork, checkpoint->size, comparing->held->range.size, &comparing->root,
              &comparing->proof);
    buf_clear(&roots[0]);
    buf_clear(&roots[1]);
    return contradiction_raise(comparing->log, &fork, comparing->now_s, &out->has_evidence,
                               &out->evidence_id, err);
}

/* `other` is the note on the honest side, of `other_size` entries, that the witness cosigned too. */
static enum err_code raise_equivocation(struct comparing *comparing, size_t witness,
                                        struct span other, uint64_t other_size,
                                        const struct hash *root, const struct proof *proof,
                                        struct err *err)
{
    const struct checkpoint *checkpoint = &comparing->note->verdict.checkpoint;
    char detail[256];
    snprintf(detail, sizeof detail,
             "the witness cosigned the checkpoint of size %" PRIu64 " and the one of size %" PRIu64
             ", which cannot be of one history.",
             checkpoint->size, other_size);
    struct contradiction equivocation = begin(comparing, CONTRADICTION_EQUIVOCATION, detail);
    equivocation.witness = witness;
    equivocation.notes[1] = other;
    set_proof(&equivocation, checkpoint->size, other_size, root, proof);
    bool has_evidence;
    struct hash id;
    return contradiction_raise(comparing->log, &equivocation, comparing->now_s, &has_evidence, &id,
                               err);
}

/* Against a note of the witness that is kept, if that is at least as large and of the held history. */
static enum err_code look_at_slot(struct comparing *comparing, size_t witness,
                                  const struct witness_slot *slot, struct err *err)
{
    uint64_t size = comparing->note->verdict.checkpoint.size;
    struct hash root, later_root;
    struct proof proof;
    struct err why;
    if (!slot->is_there || slot->size < size || slot->size > comparing->held->range.size) {
        return E_OK;
    }
    if (slot->size == comparing->held->range.size) {
        later_root = comparing->held->root;
        root = comparing->root;
        proof = comparing->proof;
    } else if (older_tree_roots(comparing->tree, comparing->held, size, slot->size, &root,
                                &later_root, &proof, &why) != E_OK) {
        return E_OK; /* it can be proved another time */
    }
    if (!hash_is_equal(&later_root, &slot->root)) {
        return E_OK;
    }
    return raise_equivocation(comparing, witness, buf_span(&slot->note), slot->size, &root, &proof,
                              err);
}

static enum err_code look_at_kept(struct comparing *comparing, size_t witness, struct err *err)
{
    const struct policy *policy = watched_log_options(comparing->log)->policy;
    enum err_code rc = E_OK;
    for (int kind = 0; rc == E_OK && kind < WITNESS_SLOT_KINDS; kind++) {
        struct witness_slot slot;
        rc = witness_slot_read(&slot, comparing->log, &policy_witness_at(policy, witness)->vkey,
                               (enum witness_slot_kind)kind, err);
        if (rc == E_OK) {
            rc = look_at_slot(comparing, witness, &slot, err);
            witness_slot_clear(&slot);
        }
    }
    return rc;
}

static enum err_code look_at_witnesses(struct comparing *comparing, struct err *err)
{
    const struct known_note *note = comparing->note;
    const struct policy_set *held = &comparing->other->verdict.cosigned;
    enum err_code rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < note->witness_line_count; i++) {
        size_t witness = note->witness_lines[i].witness;
        if (held->has[witness]) {
            rc = raise_equivocation(comparing, witness, buf_span(&comparing->held_bytes),
                                    comparing->held->range.size, &comparing->root,
                                    &comparing->proof, err);
        } else {
            rc = look_at_kept(comparing, witness, err);
        }
    }
    return rc;
}

static enum err_code on_contradiction(struct comparing *comparing, struct compare_outcome *out,
                                      struct err *err)
{
    const struct watched_log_options *options = watched_log_options(comparing->log);
    struct known_note *other = NEW(struct known_note);
    out->result = COMPARE_CONTRADICTION;
    enum err_code rc = known_note_open(other, options, buf_span(&comparing->held->note), err);
    if (rc != E_OK) {
        mem_free(other);
        err->code = E_CORRUPT;
        return err_wrap(err, "the note of the held tree");
    }
    comparing->other = other;
    buf_init(&comparing->bytes, KNOWN_NOTE_BYTES_MAX);
    buf_init(&comparing->held_bytes, KNOWN_NOTE_BYTES_MAX);
    known_note_put(&comparing->bytes, comparing->note);
    known_note_put(&comparing->held_bytes, other);
    rc = raise_fork(comparing, out, err);
    if (rc == E_OK) {
        rc = look_at_witnesses(comparing, err);
    }
    buf_clear(&comparing->bytes);
    buf_clear(&comparing->held_bytes);
    known_note_clear(other);
    mem_free(other);
    return rc;
}

/* -- sizes -- */

static enum err_code compare_older(struct comparing *comparing, struct compare_outcome *out,
                                   struct err *err)
{
    const struct held_tree *held = comparing->held;
    const struct checkpoint *checkpoint = &out->checkpoint;
    struct hash held_root;
    struct err why;
    if (checkpoint->size == 0) {
        out->result = COMPARE_CONSISTENT; /* all trees begin alike */
        return E_OK;
    }
    if (older_tree_roots(comparing->tree, held, checkpoint->size, held->range.size,
                         &comparing->root, &held_root, &comparing->proof, &why) != E_OK) {
        bool is_before = held->has_trusted_start && checkpoint->size < held->trusted_start;
        out->result = is_before ? COMPARE_NOT_LOOKED_AT : COMPARE_NO_DATA;
        snprintf(out->detail, sizeof out->detail, "%.*s", (int)sizeof out->detail - 1, why.msg);
        return E_OK;
    }
    if (hash_is_equal(&comparing->root, &checkpoint->root)) {
        out->result = COMPARE_CONSISTENT;
        return E_OK;
    }
    return on_contradiction(comparing, out, err);
}

static enum err_code compare_with_held(struct comparing *comparing, struct compare_outcome *out,
                                       struct err *err)
{
    const struct held_tree *held = comparing->held;
    const struct checkpoint *checkpoint = &out->checkpoint;
    if (!held->is_there) {
        out->result = COMPARE_NOTHING_HELD;
        return E_OK;
    }
    if (checkpoint->size > held->range.size) {
        out->result = COMPARE_AHEAD;
        return E_OK;
    }
    if (checkpoint->size < held->range.size) {
        return compare_older(comparing, out, err);
    }
    if (hash_is_equal(&checkpoint->root, &held->root)) {
        out->result = COMPARE_SAME;
        return E_OK;
    }
    comparing->root = held->root;
    return on_contradiction(comparing, out, err);
}

enum err_code compare_note_in(struct watched_log *log, struct older_tree *tree, const char *from,
                              struct span bytes, const struct monitor_time *now,
                              struct compare_outcome *out, struct err *err)
{
    struct known_note *note = NEW(struct known_note); /* 20 KB: not for every stack */
    enum err_code rc = known_note_open(note, watched_log_options(log), bytes, err);
    if (rc != E_OK) {
        mem_free(note);
        return rc;
    }
    struct held_tree held;
    watched_log_held(log, &held);
    struct comparing comparing = {
        .log = log, .tree = tree, .from = from, .now_s = now->unix_s, .held = &held, .note = note
    };
    struct compare_outcome outcome = { .checkpoint = note->verdict.checkpoint,
                                       .verdict = note->verdict };
    rc = compare_with_held(&comparing, &outcome, err);
    if (rc == E_OK) {
        *out = outcome;
    }
    held_tree_clear(&held);
    known_note_clear(note);
    mem_free(note);
    return rc;
}

enum err_code compare_note(struct watched_log *log, const char *from, struct span note,
                           const struct monitor_time *now, struct compare_outcome *out,
                           struct err *err)
{
    struct older_tree *tree = older_tree_new(log);
    enum err_code rc = compare_note_in(log, tree, from, note, now, out, err);
    older_tree_free(tree);
    return rc;
}

enum err_code compare_older_root(struct watched_log *log, const struct held_tree *held,
                                 uint64_t size, struct hash *root, struct proof *proof,
                                 struct err *err)
{
    assert(held->is_there);
    assert(size <= held->range.size);
    struct older_tree *tree = older_tree_new(log);
    struct hash found, held_root;
    struct proof made = { .count = 0 };
    enum err_code rc = E_OK;
    if (size == held->range.size) {
        found = held->root;
    } else if (size == 0) {
        found = merkle_empty_root();
    } else {
        rc = older_tree_roots(tree, held, size, held->range.size, &found, &held_root, &made, err);
    }
    if (rc == E_OK) {
        *root = found;
        if (proof != NULL) {
            *proof = made;
        }
    }
    older_tree_free(tree);
    return rc;
}

/* -- promises -- */

struct promising {
    struct watched_log *log;
    struct older_tree *tree;
    const struct held_tree *held;
    const char *from;
    struct span note;
    int64_t now_s;
};

static enum err_code raise_broken(const struct promising *promising,
                                  const struct promise_item *item, const struct hash *leaf,
                                  struct compare_promise_outcome *out, struct err *err)
{
    char detail[256];
    struct proof proof;
    struct err why;
    if (older_tree_inclusion(promising->tree, promising->held, item->index, &proof, &why) != E_OK) {
        snprintf(out->detail, sizeof out->detail, "%.*s", (int)sizeof out->detail - 1, why.msg);
        return E_OK; /* it can be proved another time */
    }
    snprintf(detail, sizeof detail,
             "the log promised an entry index %" PRIu64 ", and in the tree of size %" PRIu64
             " that it signed another entry is there.",
             item->index, promising->held->range.size);
    struct contradiction broken = {
        .kind = CONTRADICTION_PROMISE,
        .from = promising->from,
        .claim = contradiction_claim('p', item->index, hash_span(&item->leaf)),
        .detail = detail,
        .notes = { promising->note, buf_span(&promising->held->note) },
        .root = leaf,
        .proof = &proof,
        .index = item->index,
    };
    return contradiction_raise(promising->log, &broken, promising->now_s, &out->has_evidence,
                               &out->evidence_id, err);
}

/* Once a leaf cannot be had, the ones that are left are not asked for: each would take as long to fail. */
static enum err_code compare_items(const struct promising *promising, const struct promise *promise,
                                   struct compare_promise_outcome *out, struct err *err)
{
    const struct held_tree *held = promising->held;
    enum err_code rc = E_OK;
    struct err why;
    bool is_served = held->is_there;
    for (size_t i = 0; rc == E_OK && i < promise->count; i++) {
        const struct promise_item *item = &promise->items[i];
        struct hash leaf;
        if (!is_served || item->index >= held->range.size) {
            out->open++;
            continue;
        }
        is_served = older_tree_leaf(promising->tree, held, item->index, &leaf, &why) == E_OK;
        if (!is_served) {
            out->open++;
            snprintf(out->detail, sizeof out->detail, "%.*s", (int)sizeof out->detail - 1, why.msg);
        } else if (hash_is_equal(&leaf, &item->leaf)) {
            out->kept++;
        } else {
            out->broken++;
            if (!out->has_evidence) {
                rc = raise_broken(promising, item, &leaf, out, err);
            }
        }
    }
    return rc;
}

enum err_code compare_promise(struct watched_log *log, const char *from, struct span note,
                              const struct monitor_time *now, struct compare_promise_outcome *out,
                              struct err *err)
{
    const struct watched_log_options *options = watched_log_options(log);
    if (options->promise_key == NULL) {
        return err_set(err, E_UNSUPPORTED, "the policy has no promise key of this log");
    }
    struct promise *promise = NEW(struct promise); /* 40 KB: not for every stack */
    enum err_code rc = promise_open(promise, note, options->promise_key, err);
    if (rc == E_OK && strcmp(promise->origin, watched_log_origin(log)) != 0) {
        rc = err_set(err, E_DENIED, "a promise of another log");
    }
    if (rc == E_OK) {
        struct held_tree held;
        watched_log_held(log, &held);
        struct promising promising = {
            log, older_tree_new(log), &held, from, note, now->unix_s,
        };
        struct compare_promise_outcome outcome = { .kept = 0 };
        rc = compare_items(&promising, promise, &outcome, err);
        if (rc == E_OK) {
            *out = outcome;
        }
        older_tree_free(promising.tree);
        held_tree_clear(&held);
    }
    mem_free(promise);
    return rc;
}
