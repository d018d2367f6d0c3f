#include "cli/anchor_proof.h"

#include "client/log_reader.h"
#include "client/tile_reader.h"
#include "record/operation.h"
#include "tlog/bundle.h"

#include <assert.h>
#include <string.h>

void anchor_proof_clear(struct anchor_proof *anchor)
{
    buf_clear(&anchor->entry);
}

static enum err_code read_note(struct anchor_proof *out, struct span note, uint64_t index,
                               const struct policy *policy, const char *origin, struct err *err)
{
    struct policy_verdict inside;
    enum err_code rc = policy_open_checkpoint(policy, &inside, note, err);
    if (rc != E_OK) {
        return err_wrap(err, "the note in it");
    }
    if (strcmp(inside.checkpoint.origin, origin) != 0) {
        return err_set(err, E_MALFORMED, "the note in it is another log's");
    }
    if (inside.checkpoint.size > index) {
        return err_set(err, E_MALFORMED, "the note in it is of a tree that has it");
    }
    uint64_t time_s = inside.is_met ? policy_sequenced_after(policy, &inside) : 0;
    if (time_s == 0) {
        return err_set(err, E_NOT_FOUND, "too few of the policy's witnesses are in it");
    }
    out->index = index;
    out->time_s = time_s;
    out->checkpoint = inside.checkpoint;
    return E_OK;
}

enum err_code anchor_proof_read(struct anchor_proof *out, struct span entry, uint64_t index,
                                const struct policy *policy, const char *origin, struct err *err)
{
    struct operation operation;
    struct err not_one;
    if (operation_decode(&operation, entry, &not_one) != E_OK) {
        return err_set(err, E_NOT_FOUND, "the entry is no ANCHOR");
    }
    enum err_code rc = operation.kind->number != KIND_ANCHOR
                           ? err_set(err, E_NOT_FOUND, "the entry is no ANCHOR")
                           : read_note(out, operation.note, index, policy, origin, err);
    operation_clear(&operation);
    return rc;
}

/* -- A file -- */

static enum err_code check_place(const struct receipt *anchor, const struct receipt *receipt,
                                 const struct policy *policy,
                                 const struct policy_verdict *checkpoint, struct err *err)
{
    if (!anchor->has_extra) {
        return err_set(err, E_MALFORMED, "it has no entry");
    }
    if (anchor->index >= receipt->index) {
        return err_set(err, E_BAD_PROOF, "it is not before the entry");
    }
    struct policy_verdict verdict;
    struct hash leaf = merkle_leaf_hash(buf_span(&anchor->extra));
    enum err_code rc = receipt_verify(anchor, policy, &leaf, &verdict, err);
    const struct checkpoint *ours = &checkpoint->checkpoint, *its = &verdict.checkpoint;
    if (rc == E_OK && (strcmp(ours->origin, its->origin) != 0 || ours->size != its->size ||
                       !hash_is_equal(&ours->root, &its->root))) {
        rc = err_set(err, E_BAD_PROOF, "it leads to another checkpoint than the proof");
    }
    return rc;
}

enum err_code anchor_proof_check(struct anchor_proof *out, struct span file,
                                 const struct receipt *receipt, const struct policy *policy,
                                 const struct policy_verdict *checkpoint, struct err *err)
{
    struct receipt anchor;
    if (receipt_parse(&anchor, file, err) != E_OK) {
        return err_wrap(err, "the anchor");
    }
    enum err_code rc = check_place(&anchor, receipt, policy, checkpoint, err);
    if (rc == E_OK) {
        rc = anchor_proof_read(out, buf_span(&anchor.extra), anchor.index, policy,
                               checkpoint->checkpoint.origin, err);
    }
    receipt_clear(&anchor);
    return rc == E_OK ? rc : err_wrap(err, "the anchor");
}

/* -- A log -- */

struct search {
    struct anchor_proof *out;
    const struct policy *policy;
    const char *origin;
    struct tile_reader *tiles;
    struct buf bundle; /* owned */
};

/* The last one in the bundle below `end`. E_NOT_FOUND: none. One that the log should not have made is passed over: what
 * it is worth is a monitor's business. */
static enum err_code search_bundle(struct search *s, uint64_t number, uint64_t end, struct err *err)
{
    buf_reset(&s->bundle);
    enum err_code rc = tile_reader_get_bundle(s->tiles, number, &s->bundle, err);
    if (rc != E_OK) {
        err->code =
            rc == E_NOT_FOUND ? E_IO : rc; /* the log lacks a file: no answer to the question */
        return err->code;
    }
    struct anchor_proof found = { 0 };
    struct span rest = buf_span(&s->bundle), entry, best = { 0 };
    for (uint64_t i = number * TILE_WIDTH; i < end && bundle_take_entry(&rest, &entry); i++) {
        struct err why;
        if (anchor_proof_read(&found, entry, i, s->policy, s->origin, &why) == E_OK) {
            best = entry;
        }
    }
    if (best.len == 0) {
        return err_set(err, E_NOT_FOUND, "no ANCHOR");
    }
    *s->out = found;
    buf_init(&s->out->entry, best.len);
    buf_put(&s->out->entry, best);
    return E_OK;
}

static enum err_code search(struct search *s, uint64_t index,
                            void (*on_progress)(void *ctx, uint64_t entries), void *ctx,
                            struct err *err)
{
    uint64_t end = index;
    while (end > 0 && index - end < ANCHOR_PROOF_ENTRIES_MAX) {
        uint64_t number = (end - 1) / TILE_WIDTH;
        enum err_code rc = search_bundle(s, number, end, err);
        if (rc != E_NOT_FOUND) {
            return rc;
        }
        end = number * TILE_WIDTH;
        if (on_progress != NULL) {
            on_progress(ctx, index - end);
        }
    }
    return err_set(err, E_NOT_FOUND, "no ANCHOR with a quorum among the %ju entries before it",
                   (uintmax_t)(index - end));
}

/* Its checkpoint is of the tree that it stands in. */
static enum err_code check_history(struct search *s, const struct merkle_source *source,
                                   struct err *err)
{
    struct hash root;
    const struct checkpoint *inside = &s->out->checkpoint;
    enum err_code rc = merkle_root(&root, source, inside->size, err);
    if (rc == E_OK && !hash_is_equal(&root, &inside->root)) {
        rc = err_set(err, E_BAD_PROOF,
                     "the ANCHOR at index %ju has a checkpoint of another tree of %ju entries: the "
                     "log has shown two histories",
                     (uintmax_t)s->out->index, (uintmax_t)inside->size);
    }
    return rc;
}

static enum err_code prove(struct search *s, uint64_t size, struct err *err)
{
    struct merkle_source source = tile_reader_source(s->tiles);
    enum err_code rc = check_history(s, &source, err);
    rc = rc != E_OK ? rc : proof_make_inclusion(&s->out->proof, &source, s->out->index, size, err);
    if (rc != E_OK) {
        anchor_proof_clear(s->out);
        err->code = rc == E_NOT_FOUND ? E_IO : rc;
        return err->code;
    }
    return E_OK;
}

enum err_code anchor_proof_find(struct anchor_proof *out, const struct log_address *address,
                                const struct policy *policy, const struct checkpoint *latest,
                                uint64_t size, uint64_t index,
                                void (*on_progress)(void *ctx, uint64_t entries), void *ctx,
                                struct err *err)
{
    assert(index < size);
    assert(size <= latest->size);
    struct log_reader *reader = NULL;
    struct search s = {
        .out = out, .policy = policy, .origin = latest->origin, .bundle = BUF_INIT(BUNDLE_BYTES_MAX)
    };
    enum err_code rc = log_reader_open(&reader, address, err);
    if (rc == E_OK) {
        rc = tile_reader_open(&s.tiles, reader, latest->size, &latest->root, err);
        err->code = rc = rc == E_NOT_FOUND ? E_IO : rc;
    }
    if (rc == E_OK) {
        rc = search(&s, index, on_progress, ctx, err);
    }
    if (rc == E_OK) {
        rc = prove(&s, size, err);
    }
    buf_clear(&s.bundle);
    tile_reader_close(s.tiles);
    log_reader_close(reader);
    return rc;
}
