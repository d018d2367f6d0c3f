/* Nothing here may blame an honest log. Each note is under the log's signature, and a root that is
 * not in a note was computed from a proof that leads to a signed root. A proof that leads nowhere, which
 * any stranger can send with an honest note, is not looked at. */
#include "witness/cosign_evidence.h"

#include "base/log.h"
#include "witness/complaint.h"

#include <inttypes.h>

/* Makes the file, which a stranger would accept. */
static enum err_code put_file(struct buf *file, struct known_log *log, struct span note,
                              struct span other_note, const struct hash *root,
                              const struct proof *proof, struct err *err)
{
    struct vkey keys[LOG_KEYS_MAX];
    const struct vkey *pointers[LOG_KEYS_MAX];
    size_t key_count = known_log_keys(log, keys);
    for (size_t i = 0; i < key_count; i++) {
        pointers[i] = &keys[i];
    }
    return evidence_put_fork(file, other_note, note, root, proof, pointers, key_count, err);
}

/* -- writing -- */

static void complain_not_kept(const struct cosign_evidence *evidence, const struct err *err)
{
    if (complaint_is_due(&evidence->complaints->not_kept_ms, evidence->now_ms)) {
        log_event(LOG_LEVEL_ERROR, "evidence_not_kept", "origin=%s size=%" PRIu64 " error=%s",
                  log_quoted_str(evidence->log->origin).text, evidence->request->checkpoint.size,
                  log_quoted_str(err->msg).text);
    }
}

static void write_unwritten(const struct cosign_evidence *evidence)
{
    struct cosign_memory *memory = evidence->memory;
    if (evidence->now_ms < memory->unwritten_due_ms) {
        return;
    }
    while (memory->unwritten_count > 0) {
        struct err err;
        bool is_new;
        if (evidence_keep_add(evidence->keep, evidence->log->origin,
                              buf_span(&memory->unwritten[0]), &is_new, &err) != E_OK) {
            memory->unwritten_due_ms = evidence->now_ms + COSIGN_EVIDENCE_RETRY_MS;
            complain_not_kept(evidence, &err);
            return;
        }
        cosign_memory_drop_unwritten(memory);
    }
}

/* What the log says in a contradiction: this root at this size, in a note of its own (form 1) or by a
 * proof (form 2). Of a claim one piece of evidence is enough, in however many notes it is made. */
static struct hash claim_of(uint8_t form, uint64_t size, const struct hash *root)
{
    struct buf bytes = BUF_INIT(1 + 8 + HASH_BYTES);
    buf_put_u8(&bytes, form);
    buf_put_u64(&bytes, size);
    buf_put(&bytes, hash_span(root));
    struct hash claim = sha256(buf_span(&bytes));
    buf_clear(&bytes);
    return claim;
}

/* Whether to make a file of it. It is counted in any case, once. */
static bool is_wanted(const struct cosign_evidence *evidence, const struct hash *claim)
{
    struct cosign_memory *memory = evidence->memory;
    if (cosign_memory_has_kept(memory, claim)) {
        return false;
    }
    memory->is_evidence_full = memory->is_evidence_full ||
                               evidence_keep_is_full(evidence->keep, &evidence->log->origin_hash);
    if (memory->is_evidence_full) {
        evidence_keep_add_found(evidence->keep);
        cosign_memory_add_kept(memory, claim);
        return false;
    }
    return memory->unwritten_count < COSIGN_UNWRITTEN_MAX;
}

/* `root` and `proof` are NULL for form 1. */
static void keep_fork(const struct cosign_evidence *evidence, struct span other_note,
                      const struct hash *root, const struct proof *proof)
{
    const struct cosign_request *request = evidence->request;
    struct hash claim = root == NULL
                            ? claim_of(1, request->checkpoint.size, &request->checkpoint.root)
                            : claim_of(2, request->old_size, root);
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct err err;
    bool is_new, is_safe = false;
    if (!is_wanted(evidence, &claim)) {
        return;
    }
    enum err_code rc =
        put_file(&file, evidence->log, buf_span(&request->note), other_note, root, proof, &err);
    if (rc == E_OK) {
        rc = evidence_keep_add(evidence->keep, evidence->log->origin, buf_span(&file), &is_new,
                               &err);
        is_safe = rc == E_OK || cosign_memory_add_unwritten(evidence->memory, buf_span(&file));
    }
    if (is_safe) {
        cosign_memory_add_kept(evidence->memory, &claim);
    }
    if (rc != E_OK) {
        evidence->memory->unwritten_due_ms = evidence->now_ms + COSIGN_EVIDENCE_RETRY_MS;
        complain_not_kept(evidence, &err);
    }
    buf_clear(&file);
}

void cosign_evidence_keep(struct evidence_keep *keep, struct known_log *log, struct span note_1,
                          struct span note_2)
{
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct err err;
    bool is_new;
    enum err_code rc = put_file(&file, log, note_1, note_2, NULL, NULL, &err);
    if (rc == E_OK) {
        rc = evidence_keep_add(keep, log->origin, buf_span(&file), &is_new, &err);
    }
    if (rc != E_OK) {
        log_event(LOG_LEVEL_ERROR, "evidence_not_kept", "origin=%s error=%s",
                  log_quoted_str(log->origin).text, log_quoted_str(err.msg).text);
    }
    buf_clear(&file);
}

/* -- looking -- */

/* The note of that size that was cosigned: the last one, or one before it. False when there is none. */
static bool read_cosigned(const struct cosign_evidence *evidence, uint64_t size, struct buf *out)
{
    const struct hash *origin_hash = &evidence->log->origin_hash;
    struct err err;
    enum err_code rc = E_NOT_FOUND;
    if (size == evidence->held->size) {
        rc = ledger_note(evidence->ledger, origin_hash, out, &err);
    }
    if (rc == E_NOT_FOUND) {
        rc = ledger_seen(evidence->ledger, origin_hash, size, out, &err);
    }
    if (rc != E_OK && rc != E_NOT_FOUND &&
        complaint_is_due(&evidence->complaints->not_read_ms, evidence->now_ms)) {
        log_error(LOG_LEVEL_ERROR, "note_not_read", &err);
    }
    return rc == E_OK;
}

/* The root in a note of ours. */
static bool read_checkpoint(struct checkpoint *out, struct span bytes)
{
    struct note note;
    struct err err;
    if (note_parse(&note, bytes, &err) != E_OK) {
        return false;
    }
    bool is_read = checkpoint_parse(out, note.text, &err) == E_OK;
    note_clear(&note);
    return is_read;
}

/* Form 1: a note that was cosigned has this size and another root: *is_fork. True when it has the same. */
static bool compare_with_cosigned(const struct cosign_evidence *evidence, bool *is_fork)
{
    const struct checkpoint *checkpoint = &evidence->request->checkpoint;
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct checkpoint cosigned;
    bool is_same = false;
    *is_fork = false;
    if (checkpoint->size > evidence->held->size) {
        return false;
    }
    if (checkpoint->size == evidence->held->size && !evidence->decision->has_same_size_fork) {
        return true;
    }
    if (read_cosigned(evidence, checkpoint->size, &note) &&
        read_checkpoint(&cosigned, buf_span(&note)) && cosigned.size == checkpoint->size) {
        is_same = hash_is_equal(&cosigned.root, &checkpoint->root);
        *is_fork = !is_same;
        if (*is_fork) {
            keep_fork(evidence, buf_span(&note), NULL, NULL);
        }
    }
    buf_clear(&note);
    return is_same;
}

/* Form 1 again, among those that were refused. One is enough: with all of them a few forks of one size
 * would be so many pairs that there is no room for those of another. */
static bool compare_with_refused(const struct cosign_evidence *evidence)
{
    struct span note;
    bool is_fork =
        cosign_memory_find_contradicting(evidence->memory, &evidence->request->checkpoint, &note);
    if (is_fork) {
        keep_fork(evidence, note, NULL, NULL);
    }
    return is_fork;
}

/* Form 2: the proof leads to the checkpoint, but from another root than the note has that was cosigned
 * at the old size. That need not be the size held: a proof from before it shows as much. */
static void follow_proof(const struct cosign_evidence *evidence)
{
    const struct cosign_request *request = evidence->request;
    uint64_t old_size = request->old_size;
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct checkpoint cosigned;
    struct hash old_root, new_root;
    struct err err;
    bool is_candidate =
        evidence->decision->has_other_root ||
        (old_size > 0 && old_size < evidence->held->size && old_size < request->checkpoint.size);
    if (is_candidate && read_cosigned(evidence, old_size, &note) &&
        read_checkpoint(&cosigned, buf_span(&note)) && cosigned.size == old_size &&
        proof_consistency_roots(&old_root, &new_root, &request->proof, old_size,
                                request->checkpoint.size, &cosigned.root, &err) == E_OK &&
        hash_is_equal(&new_root, &request->checkpoint.root) &&
        !hash_is_equal(&old_root, &cosigned.root)) {
        keep_fork(evidence, buf_span(&note), &old_root, &request->proof);
    }
    buf_clear(&note);
}

bool cosign_evidence_look(const struct cosign_evidence *evidence)
{
    write_unwritten(evidence);
    if (evidence->request->checkpoint.size == 0) {
        return true; /* all trees begin alike */
    }
    bool is_fork;
    bool is_cosigned = compare_with_cosigned(evidence, &is_fork);
    is_fork = is_fork || compare_with_refused(evidence);
    if (!is_fork || !evidence->memory->is_evidence_full) {
        follow_proof(evidence);
    }
    return is_cosigned;
}
