/* The normal path: the text of a note says what it is and of which origin; that decides which of the keys
 * may have signed it; only then its lines are verified. A key that is known in one role and signs in
 * another is an unknown key. */
#include "evidence/evidence_parts.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>

/* -- who may sign what -- */

/* A promise key may share its log's holder, but what it signs is never a checkpoint: its name is the origin of
 * no log, though it may look like one. */
static bool is_promise_key(const struct vkey *key, const struct evidence_signers *signers)
{
    for (size_t i = 0; i < signers->count; i++) {
        if (signers->keys[i]->type == SIGNATURE_ED25519 &&
            promise_key_is_of(key, signers->keys[i]->name)) {
            return true;
        }
    }
    return false;
}

/* ML-DSA-44 keys are of logs or of witnesses; a log's has the origin as its name. */
static bool is_ml_dsa_of_log(const struct vkey *key, const char *origin)
{
    return key->type == SIGNATURE_ML_DSA_44 && strcmp(key->name, origin) == 0;
}

/* `origin` is NULL for the role of a monitor. */
static bool may_sign(const struct vkey *key, enum evidence_role role, const char *origin,
                     const struct evidence_signers *signers)
{
    switch (role) {
    case EVIDENCE_ROLE_WITNESS:
        return key->type == SIGNATURE_COSIGNATURE ||
               (key->type == SIGNATURE_ML_DSA_44 && !is_ml_dsa_of_log(key, origin));
    case EVIDENCE_ROLE_PROMISE:
        return promise_key_is_of(key, origin);
    case EVIDENCE_ROLE_MONITOR:
        return key->type == SIGNATURE_ED25519 && !is_promise_key(key, signers);
    case EVIDENCE_ROLE_LOG:
        break;
    }
    if (is_ml_dsa_of_log(key, origin)) {
        return true;
    }
    return key->type == SIGNATURE_ED25519 &&
           (signers->are_of_log ||
            (strcmp(key->name, origin) == 0 && !is_promise_key(key, signers)));
}

/* The keys that may have signed, and where they stand among all. */
struct selected {
    const struct vkey **keys; /* owned */
    size_t *positions;        /* owned */
    size_t count;
};

/* A key that is given twice counts once: it may be listed in two places. */
static bool is_selected(const struct selected *selected, const struct vkey *key)
{
    for (size_t i = 0; i < selected->count; i++) {
        if (vkey_is_equal(selected->keys[i], key)) {
            return true;
        }
    }
    return false;
}

static struct selected select_keys(enum evidence_role role, const char *origin,
                                   const struct evidence_signers *signers)
{
    struct selected selected = { mem_calloc(signers->count + 1, sizeof selected.keys[0]),
                                 mem_calloc(signers->count + 1, sizeof selected.positions[0]), 0 };
    for (size_t i = 0; i < signers->count; i++) {
        const struct vkey *key = signers->keys[i];
        if (may_sign(key, role, origin, signers) && !is_selected(&selected, key)) {
            selected.keys[selected.count] = key;
            selected.positions[selected.count++] = i;
        }
    }
    return selected;
}

static enum err_code verify_lines(struct evidence_note *out, enum evidence_role role,
                                  const char *origin, const struct evidence_signers *signers,
                                  struct err *err)
{
    struct selected selected = select_keys(role, origin, signers);
    enum err_code rc =
        note_verify(&out->note, selected.keys, selected.count, out->verified, &out->count, err);
    for (size_t i = 0; rc == E_OK && i < out->count; i++) {
        out->verified[i].key = selected.positions[out->verified[i].key];
    }
    mem_free(selected.keys);
    mem_free(selected.positions);
    return rc;
}

/* -- opening -- */

static enum err_code read_text(struct evidence_note *note, enum evidence_role role,
                               const char **origin, struct err *err)
{
    enum err_code rc = E_OK;
    *origin = NULL;
    if (role == EVIDENCE_ROLE_LOG || role == EVIDENCE_ROLE_WITNESS) {
        rc = checkpoint_parse(&note->checkpoint, note->note.text, err);
        *origin = note->checkpoint.origin;
    } else if (role == EVIDENCE_ROLE_PROMISE) {
        note->promise = NEW(struct promise); /* 40 KB: not for every stack */
        rc = promise_parse(note->promise, note->note.text, err);
        *origin = note->promise->origin;
    }
    return rc;
}

enum err_code evidence_note_open(struct evidence_note *out, struct span bytes,
                                 enum evidence_role role, const struct evidence_signers *signers,
                                 struct err *err)
{
    const char *origin;
    out->promise = NULL;
    out->count = 0;
    enum err_code rc = note_parse(&out->note, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = read_text(out, role, &origin, err);
    if (rc == E_OK) {
        rc = verify_lines(out, role, origin, signers, err);
    }
    if (rc != E_OK) {
        evidence_note_clear(out);
    }
    return rc;
}

enum err_code evidence_note_open_pure(struct evidence_note *out, struct span bytes,
                                      enum evidence_role role,
                                      const struct evidence_signers *signers, struct err *err)
{
    enum err_code rc = evidence_note_open(out, bytes, role, signers, err);
    if (rc == E_OK && out->count != out->note.count) {
        rc = err_set(err, E_BAD_SIGNATURE, "a signature line of a key that has no place here");
        evidence_note_clear(out);
    }
    return rc;
}

void evidence_note_clear(struct evidence_note *note)
{
    note_clear(&note->note);
    mem_free(note->promise);
    note->promise = NULL;
}

enum err_code evidence_note_wrap(struct err *err, size_t i)
{
    return err_wrap(err, "note %c", (int)('A' + i));
}

/* -- one spelling -- */

static int compare_lines(const void *a, const void *b)
{
    const struct note_line *x = *(const struct note_line *const *)a;
    const struct note_line *y = *(const struct note_line *const *)b;
    int names = span_compare(x->name, y->name);
    if (names != 0) {
        return names;
    }
    if (x->key_id != y->key_id) {
        return x->key_id < y->key_id ? -1 : 1;
    }
    return span_compare(x->signature, y->signature);
}

/* Appends the note with these of its lines, sorted and spelled as we write them. */
static void put_lines(struct buf *out, const struct note *note, const struct note_line **lines,
                      size_t count)
{
    qsort(lines, count, sizeof lines[0], compare_lines);
    buf_put(out, note->text);
    buf_put_u8(out, '\n');
    for (size_t i = 0; i < count; i++) {
        note_put_line(out, lines[i]);
    }
}

void evidence_note_put(struct buf *out, const struct evidence_note *note)
{
    const struct note_line *lines[NOTE_SIGNATURES_MAX];
    for (size_t i = 0; i < note->count; i++) {
        lines[i] = &note->note.lines[note->verified[i].line];
    }
    put_lines(out, &note->note, lines, note->count);
}

/* Lines that were read are as long in our spelling: base64 differs in unused bits only. */
enum err_code evidence_note_check_spelling(const struct note *note, struct span bytes,
                                           struct err *err)
{
    const struct note_line *lines[NOTE_SIGNATURES_MAX];
    for (size_t i = 0; i < note->count; i++) {
        lines[i] = &note->lines[i];
    }
    struct buf again = BUF_INIT(bytes.len);
    put_lines(&again, note, lines, note->count);
    bool is_same = span_is_equal(buf_span(&again), bytes);
    buf_clear(&again);
    if (!is_same) {
        return err_set(err, E_MALFORMED, "signature lines not sorted, or not in our spelling");
    }
    return E_OK;
}

enum err_code evidence_note_clean(struct buf *out, struct span bytes, enum evidence_role role,
                                  const struct evidence_signers *signers, struct err *err)
{
    struct evidence_note note;
    enum err_code rc = evidence_note_open(&note, bytes, role, signers, err);
    if (rc == E_OK) {
        buf_init(out, bytes.len);
        evidence_note_put(out, &note);
        evidence_note_clear(&note);
    }
    return rc;
}
