#include "witness/state_adopt.h"

#include "witness/ledger.h"

#include <assert.h>

enum {
    KEYS_MAX = STATE_ADOPT_KEYS_MAX + 64 /* ours, and the log's */
};

/* The keys of a log, then ours. Returns how many are the log's. */
static size_t collect(const struct state_adopt_keys *keys, const char *origin,
                      const struct vkey **out, size_t *count)
{
    size_t log_count = 0;
    if (keys->policy != NULL) {
        const struct policy_log *log = policy_log_by_origin(keys->policy, origin);
        if (log != NULL) {
            out[log_count++] = &log->vkey;
        }
    } else {
        for (size_t i = 0; i < keys->logs->count; i++) {
            const struct log_list_item *item = &keys->logs->items[i];
            if (strcmp(item->origin, origin) == 0 && log_count < KEYS_MAX - STATE_ADOPT_KEYS_MAX) {
                out[log_count++] = &item->vkey;
            }
        }
    }
    *count = log_count;
    for (size_t i = 0; i < keys->own_count; i++) {
        out[(*count)++] = &keys->own[i];
    }
    return log_count;
}

/* A quorum of the policy's witnesses, not counting us. */
static bool have_others_cosigned(const struct state_adopt_keys *keys, struct span note)
{
    struct policy_verdict verdict;
    struct err err;
    if (keys->policy == NULL || !policy_has_quorum(keys->policy) ||
        policy_open_checkpoint(keys->policy, &verdict, note, &err) != E_OK) {
        return false;
    }
    for (size_t i = 0; i < policy_witness_count(keys->policy); i++) {
        for (size_t j = 0; j < keys->own_count; j++) {
            if (vkey_is_equal(&policy_witness_at(keys->policy, i)->vkey, &keys->own[j])) {
                verdict.cosigned.has[i] = false;
            }
        }
    }
    return policy_is_met(keys->policy, &verdict.cosigned);
}

static enum err_code check_signers(struct state_adopt_note *out,
                                   const struct state_adopt_keys *keys, const struct note *note,
                                   struct span bytes, struct err *err)
{
    const struct vkey *all[KEYS_MAX];
    struct note_verified verified[NOTE_SIGNATURES_MAX];
    size_t count, verified_count = 0, bad_count = 0;
    size_t log_count = collect(keys, out->checkpoint.origin, all, &count);
    if (log_count == 0) {
        return err_set(err, E_NOT_FOUND, "no log with the note's origin is listed");
    }
    note_verify_each(note, all, count, verified, &verified_count, &bad_count);
    bool is_logs = false;
    buf_put(&out->note, note->text);
    buf_put_str(&out->note, "\n");
    for (size_t i = 0; i < verified_count; i++) {
        is_logs = is_logs || verified[i].key < log_count;
        if (verified[i].key >= log_count && verified[i].timestamp > out->own_time) {
            out->own_time = verified[i].timestamp;
        }
        note_put_line(&out->note, &note->lines[verified[i].line]);
    }
    if (!is_logs) {
        return err_set(err, E_BAD_SIGNATURE, "the log's signature is missing or does not verify");
    }
    if (out->own_time == 0 && !have_others_cosigned(keys, bytes)) {
        return err_set(err, E_BAD_SIGNATURE,
                       keys->policy == NULL
                           ? "we have not cosigned it; without --policy no others count"
                           : "neither have we cosigned it, nor a quorum of the others");
    }
    return E_OK;
}

enum err_code state_adopt_open(struct state_adopt_note *out, const struct state_adopt_keys *keys,
                               struct span bytes, struct err *err)
{
    assert(keys->own_count <= STATE_ADOPT_KEYS_MAX);
    struct state_adopt_note opened = { .own_time = 0 };
    struct note note;
    if (bytes.len > LEDGER_NOTE_BYTES_MAX) {
        return err_set(err, E_TOO_LARGE, "a note has %d bytes at most", LEDGER_NOTE_BYTES_MAX);
    }
    enum err_code rc = note_parse(&note, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    buf_init(&opened.note, LEDGER_NOTE_BYTES_MAX);
    rc = checkpoint_parse(&opened.checkpoint, note.text, err);
    if (rc == E_OK && opened.checkpoint.has_extensions) {
        rc = err_set(err, E_MALFORMED, "a checkpoint with extension lines, which we never cosign");
    }
    if (rc == E_OK) {
        rc = check_signers(&opened, keys, &note, bytes, err);
    }
    note_clear(&note);
    if (rc != E_OK) {
        buf_clear(&opened.note);
        return rc;
    }
    *out = opened;
    return E_OK;
}

static bool is_proved(const struct checkpoint *checkpoint, const struct state_adopt_point *point,
                      const struct proof *proofs, size_t proof_count)
{
    struct err err;
    for (size_t i = 0; i < proof_count; i++) {
        if (proof_verify_consistency(&proofs[i], point->size, checkpoint->size, &point->root,
                                     &checkpoint->root, &err) == E_OK) {
            return true;
        }
    }
    return false;
}

enum err_code state_adopt_extends(const struct checkpoint *checkpoint,
                                  const struct state_adopt_point *points, size_t point_count,
                                  const struct proof *proofs, size_t proof_count, struct err *err)
{
    for (size_t i = 0; i < point_count; i++) {
        const struct state_adopt_point *point = &points[i];
        if (point->size > checkpoint->size) {
            return err_set(err, E_CONFLICT, "%s is at size %llu, ahead of the note's %llu",
                           point->name, (unsigned long long)point->size,
                           (unsigned long long)checkpoint->size);
        }
        if (point->size == checkpoint->size && !hash_is_equal(&point->root, &checkpoint->root)) {
            return err_set(err, E_CONFLICT,
                           "%s has another root of size %llu than the note: two histories were "
                           "signed, or are about to be; retire the key",
                           point->name, (unsigned long long)point->size);
        }
        if (point->size != 0 && point->size < checkpoint->size &&
            !is_proved(checkpoint, point, proofs, proof_count)) {
            return err_set(err, E_BAD_PROOF,
                           "no proof that was given leads from %s at size %llu to the note at size "
                           "%llu",
                           point->name, (unsigned long long)point->size,
                           (unsigned long long)checkpoint->size);
        }
    }
    return E_OK;
}
