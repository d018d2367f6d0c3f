/* evidence_fork.c -- two checkpoints that contradict each other: of a log, or of a witness.
 *
 * In form 2 the proof fixes R' as the root of B's first entries: who signed another root for that many has
 * vouched for two histories. Form 3 is a witness' only: a log may sign an old size again, but a cosignature
 * says that at its time there was no larger tree. */
#include "base/ascii.h"
#include "evidence/evidence_parts.h"

#include <assert.h>
#include <inttypes.h>

static const char root_prefix[] = "root ";

/* Which of two checkpoints is A: the smaller one, of two of one size the one with the lesser root. */
static int compare_checkpoints(const struct checkpoint *a, const struct checkpoint *b)
{
    if (a->size != b->size) {
        return a->size < b->size ? -1 : 1;
    }
    return span_compare(hash_span(&a->root), hash_span(&b->root));
}

/* -- the form -- */

static enum err_code take_tail(struct evidence *evidence, struct span in, struct err *err)
{
    struct span line;
    if (in.len == 0) {
        return E_OK;
    }
    if (!span_take_prefix(&in, span_of_str(root_prefix)) || !span_take_until(&in, '\n', &line)) {
        return err_set(err, E_MALFORMED,
                       "neither an end nor a line \"root HASH\" behind the notes");
    }
    if (base64_decode_hash(&evidence->root, line, err) != E_OK) {
        return err_wrap(err, "root");
    }
    evidence->has_proof = true;
    return evidence_take_proof(&evidence->proof, in, err);
}

static void put_tail(struct buf *out, const struct evidence *evidence)
{
    if (evidence->has_proof) {
        buf_put_str(out, root_prefix);
        base64_put_hash(out, &evidence->root);
        buf_put_u8(out, '\n');
        proof_put_lines(out, &evidence->proof);
    }
}

/* The order in which we write two notes. */
static enum err_code check_order(const struct evidence *evidence,
                                 const struct checkpoint checkpoints[static 2], struct err *err)
{
    if (compare_checkpoints(&checkpoints[0], &checkpoints[1]) > 0) {
        return err_set(err, E_MALFORMED, "the notes are in the wrong order");
    }
    if (evidence->has_proof && checkpoints[0].size == checkpoints[1].size) {
        return err_set(err, E_MALFORMED, "a proof, though both notes have one size");
    }
    return E_OK;
}

static enum err_code check_note(const struct evidence *evidence, size_t i,
                                struct checkpoint *checkpoint, struct err *err)
{
    struct note note;
    enum err_code rc = note_parse(&note, evidence->notes[i], err);
    if (rc != E_OK) {
        return rc;
    }
    rc = checkpoint_parse(checkpoint, note.text, err);
    if (rc == E_OK) {
        rc = evidence_note_check_spelling(&note, evidence->notes[i], err);
    }
    if (rc == E_OK && evidence->kind == EVIDENCE_WITNESS_EQUIVOCATION && note.count != 1) {
        rc = err_set(err, E_MALFORMED, "%zu signature lines, not one", note.count);
    }
    note_clear(&note);
    return rc;
}

static enum err_code check(const struct evidence *evidence, struct err *err)
{
    struct checkpoint checkpoints[2];
    for (size_t i = 0; i < 2; i++) {
        if (check_note(evidence, i, &checkpoints[i], err) != E_OK) {
            return evidence_note_wrap(err, i);
        }
    }
    return check_order(evidence, checkpoints, err);
}

/* -- what contradicts -- */

/* Form 1. Extension lines are not compared: they make no claim about the tree. */
static enum err_code contradict_directly(const struct checkpoint *a, const struct checkpoint *b,
                                         struct err *err)
{
    if (a->size != b->size) {
        return err_set(err, E_BAD_PROOF, "sizes %" PRIu64 " and %" PRIu64 ", and no proof", a->size,
                       b->size);
    }
    if (hash_is_equal(&a->root, &b->root)) {
        return err_set(err, E_BAD_PROOF, "both notes have one size and one root");
    }
    return E_OK;
}

/* Form 2. When A's size is a power of two the proof does not hold R', and is followed upward from it;
 * in every other case it gives R'. */
static enum err_code contradict_by_proof(const struct evidence *evidence,
                                         const struct checkpoint *a, const struct checkpoint *b,
                                         struct err *err)
{
    if (a->size == 0 || a->size >= b->size) {
        return err_set(err, E_BAD_PROOF,
                       "a proof from %" PRIu64 " to %" PRIu64 " cannot contradict anything",
                       a->size, b->size);
    }
    if (hash_is_equal(&a->root, &evidence->root)) {
        return err_set(err, E_BAD_PROOF, "the proof is about A's own root");
    }
    return proof_verify_consistency(&evidence->proof, a->size, b->size, &evidence->root, &b->root,
                                    err);
}

/* Form 3. Within one second a witness may well have cosigned both, the smaller first. */
static enum err_code contradict_by_time(const struct evidence_verdict *verdict, struct err *err)
{
    if (verdict->timestamps[0] <= verdict->timestamps[1]) {
        return err_set(err, E_BAD_PROOF,
                       "the smaller tree was cosigned at %" PRIu64 ", the larger at %" PRIu64
                       ": no contradiction without a proof",
                       verdict->timestamps[0], verdict->timestamps[1]);
    }
    return E_OK;
}

/* -- verifying -- */

static enum err_code verify_notes(const struct evidence *evidence, enum evidence_role role,
                                  const struct evidence_signers *signers,
                                  struct evidence_verdict *out, struct err *err)
{
    const struct checkpoint *a = &out->checkpoints[0], *b = &out->checkpoints[1];
    for (size_t i = 0; i < 2; i++) {
        struct evidence_note note;
        if (evidence_note_open_pure(&note, evidence->notes[i], role, signers, err) != E_OK) {
            return evidence_note_wrap(err, i);
        }
        out->checkpoints[i] = note.checkpoint;
        out->keys[i] = note.verified[0].key;
        out->timestamps[i] = note.verified[0].timestamp;
        evidence_note_clear(&note);
    }
    if (strcmp(a->origin, b->origin) != 0) {
        return err_set(err, E_BAD_PROOF, "the notes are of two logs, %s and %s", a->origin,
                       b->origin);
    }
    out->contradicted = evidence->has_proof ? evidence->root : b->root;
    return E_OK;
}

static enum err_code verify_fork(const struct evidence *evidence,
                                 const struct evidence_signers *signers,
                                 struct evidence_verdict *out, struct err *err)
{
    const struct checkpoint *a = &out->checkpoints[0], *b = &out->checkpoints[1];
    enum err_code rc = verify_notes(evidence, EVIDENCE_ROLE_LOG, signers, out, err);
    if (rc != E_OK) {
        return rc;
    }
    return evidence->has_proof ? contradict_by_proof(evidence, a, b, err)
                               : contradict_directly(a, b, err);
}

static enum err_code verify_equivocation(const struct evidence *evidence,
                                         const struct evidence_signers *signers,
                                         struct evidence_verdict *out, struct err *err)
{
    const struct checkpoint *a = &out->checkpoints[0], *b = &out->checkpoints[1];
    enum err_code rc = verify_notes(evidence, EVIDENCE_ROLE_WITNESS, signers, out, err);
    if (rc != E_OK) {
        return rc;
    }
    if (out->keys[0] != out->keys[1]) {
        return err_set(err, E_BAD_PROOF, "one note is cosigned by %s, the other by %s",
                       signers->keys[out->keys[0]]->name, signers->keys[out->keys[1]]->name);
    }
    if (evidence->has_proof) {
        return contradict_by_proof(evidence, a, b, err);
    }
    if (a->size == b->size) {
        return contradict_directly(a, b, err);
    }
    out->is_later_smaller = true;
    return contradict_by_time(out, err);
}

const struct evidence_format evidence_format_fork = {
    "fork", 2, take_tail, put_tail, check, verify_fork,
};
const struct evidence_format evidence_format_equivocation = {
    "witness-equivocation", 2, take_tail, put_tail, check, verify_equivocation,
};

/* -- making -- */

/* A note that came in, in the spelling of the file. */
struct clean_note {
    struct checkpoint checkpoint;
    struct buf bytes; /* owned */
};

static enum err_code clean(struct clean_note *out, struct span bytes, enum evidence_role role,
                           const struct evidence_signers *signers, struct err *err)
{
    struct evidence_note note;
    enum err_code rc = evidence_note_open(&note, bytes, role, signers, err);
    if (rc == E_OK) {
        out->checkpoint = note.checkpoint;
        buf_init(&out->bytes, bytes.len);
        evidence_note_put(&out->bytes, &note);
        evidence_note_clear(&note);
    }
    return rc;
}

static struct evidence arrange(enum evidence_kind kind, const struct clean_note notes[static 2],
                               const struct hash *root, const struct proof *proof)
{
    bool is_swapped = compare_checkpoints(&notes[0].checkpoint, &notes[1].checkpoint) > 0;
    struct evidence evidence = {
        .kind = kind,
        .notes = { buf_span(&notes[is_swapped].bytes), buf_span(&notes[!is_swapped].bytes) },
        .has_proof = root != NULL && notes[0].checkpoint.size != notes[1].checkpoint.size,
    };
    if (evidence.has_proof) {
        evidence.root = *root;
        evidence.proof = *proof;
    }
    return evidence;
}

static enum err_code put(struct buf *out, enum evidence_kind kind, enum evidence_role role,
                         const struct span notes[static 2], const struct hash *root,
                         const struct proof *proof, const struct evidence_signers *signers,
                         struct err *err)
{
    assert((root == NULL) == (proof == NULL));
    assert(proof == NULL || proof->count <= PROOF_HASHES_MAX);
    struct clean_note cleaned[2] = { 0 };
    enum err_code rc = clean(&cleaned[0], notes[0], role, signers, err);
    if (rc == E_OK) {
        rc = clean(&cleaned[1], notes[1], role, signers, err);
    }
    if (rc == E_OK) {
        struct evidence evidence = arrange(kind, cleaned, root, proof);
        rc = evidence_put(out, &evidence, signers, err);
    }
    buf_clear(&cleaned[0].bytes);
    buf_clear(&cleaned[1].bytes);
    return rc;
}

enum err_code evidence_put_fork(struct buf *out, struct span note_1, struct span note_2,
                                const struct hash *root, const struct proof *proof,
                                const struct vkey *const *log_keys, size_t key_count,
                                struct err *err)
{
    struct evidence_signers signers = { log_keys, key_count, true };
    return put(out, EVIDENCE_FORK, EVIDENCE_ROLE_LOG, (struct span[]){ note_1, note_2 }, root,
               proof, &signers, err);
}

enum err_code evidence_put_equivocation(struct buf *out, struct span note_1, struct span note_2,
                                        const struct hash *root, const struct proof *proof,
                                        const struct vkey *witness, struct err *err)
{
    struct evidence_signers signers = { &witness, 1, false };
    return put(out, EVIDENCE_WITNESS_EQUIVOCATION, EVIDENCE_ROLE_WITNESS,
               (struct span[]){ note_1, note_2 }, root, proof, &signers, err);
}
