/* Nothing here may blame an honest log. Each note is under the log's signature, and a root that is
 * not in a note was computed from a proof that leads to a signed root. A proof that leads nowhere, which
 * any stranger can send with an honest note, is not looked at. */
#include "witness/cosign_evidence.h"

#include "base/log.h"

#include <inttypes.h>

/* Makes the file, and sees that a stranger would accept it. */
static enum err_code put_file(struct buf *file, const struct cosign_evidence *evidence,
                              struct span other_note, const struct hash *root,
                              const struct proof *proof, struct err *err)
{
    struct vkey keys[LOG_KEYS_MAX];
    const struct vkey *pointers[LOG_KEYS_MAX];
    struct evidence parsed;
    struct evidence_verdict verdict;
    size_t key_count = known_log_keys(evidence->log, keys);
    for (size_t i = 0; i < key_count; i++) {
        pointers[i] = &keys[i];
    }
    enum err_code rc = evidence_put_fork(file, other_note, buf_span(&evidence->request->note), root,
                                         proof, pointers, key_count, err);
    if (rc == E_OK) {
        rc = evidence_parse(&parsed, buf_span(file), err);
    }
    if (rc == E_OK) {
        rc = evidence_verify(&parsed, pointers, key_count, &verdict, err);
    }
    return rc;
}

/* `root` and `proof` are NULL for form 1. */
static void keep_fork(const struct cosign_evidence *evidence, struct span other_note,
                      const struct hash *root, const struct proof *proof)
{
    struct span parts[] = { buf_span(&evidence->request->note), other_note,
                            root == NULL ? span_of(NULL, 0) : hash_span(root) };
    struct hash contradiction = sha256_parts(parts, 3);
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct err err;
    bool is_new;
    if (cosign_memory_has_kept(evidence->memory, &contradiction)) {
        return;
    }
    enum err_code rc = put_file(&file, evidence, other_note, root, proof, &err);
    if (rc == E_OK) {
        rc = evidence_keep_add(evidence->keep, evidence->log->origin, buf_span(&file), &is_new,
                               &err);
    }
    if (rc == E_OK) {
        cosign_memory_add_kept(evidence->memory, &contradiction);
    } else {
        log_event(LOG_LEVEL_ERROR, "evidence-not-kept", "origin=%s size=%" PRIu64 " error=%s",
                  log_quoted_str(evidence->log->origin).text, evidence->request->checkpoint.size,
                  log_quoted_str(err.msg).text);
    }
    buf_clear(&file);
}

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
    if (rc != E_OK && rc != E_NOT_FOUND) {
        log_error(LOG_LEVEL_ERROR, "note-not-read", &err);
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

/* Form 1: a note that was cosigned has this size and another root. True when it has the same. */
static bool compare_with_cosigned(const struct cosign_evidence *evidence)
{
    const struct checkpoint *checkpoint = &evidence->request->checkpoint;
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct checkpoint cosigned;
    bool is_same = false;
    if (checkpoint->size > evidence->held->size) {
        return false;
    }
    if (checkpoint->size == evidence->held->size && !evidence->decision->has_same_size_fork) {
        return true;
    }
    if (read_cosigned(evidence, checkpoint->size, &note) &&
        read_checkpoint(&cosigned, buf_span(&note)) && cosigned.size == checkpoint->size) {
        is_same = hash_is_equal(&cosigned.root, &checkpoint->root);
        if (!is_same) {
            keep_fork(evidence, buf_span(&note), NULL, NULL);
        }
    }
    buf_clear(&note);
    return is_same;
}

/* Form 1 again, among those that were refused. */
static void compare_with_refused(const struct cosign_evidence *evidence)
{
    size_t at = 0;
    struct span note;
    while (cosign_memory_find_contradicting(evidence->memory, &evidence->request->checkpoint, &at,
                                            &note)) {
        keep_fork(evidence, note, NULL, NULL);
    }
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
    if (evidence->request->checkpoint.size == 0) {
        return true; /* all trees begin alike */
    }
    bool is_cosigned = compare_with_cosigned(evidence);
    compare_with_refused(evidence);
    follow_proof(evidence);
    return is_cosigned;
}
