/* Parsing finds the one spelling, whoever wrote it; verifying asks the keys. Nothing here may blame an
 * honest log: what counts is signed by the log's keys, but for a root that is recomputed from what
 * is signed. In form 2 the proof fixes R' as the root of B's first entries: a log that signed
 * another root for that many has two histories. A proof that leads nowhere shows nothing. */
#include "tlog/evidence.h"

#include "base/ascii.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

static const char header[] = "courtroll evidence v1\n";
static const char note_prefix[] = "note ";
static const char root_prefix[] = "root ";

const char *evidence_kind_text(enum evidence_kind kind)
{
    assert(kind == EVIDENCE_FORK);
    return "fork";
}

/* -- notes in their one spelling -- */

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
static void put_note(struct buf *out, const struct note *note, const struct note_line **lines,
                     size_t count)
{
    qsort(lines, count, sizeof lines[0], compare_lines);
    buf_put(out, note->text);
    buf_put_u8(out, '\n');
    for (size_t i = 0; i < count; i++) {
        note_put_line(out, lines[i]);
    }
}

/* Lines that were read are as long in our spelling: base64 differs in unused bits only. */
static enum err_code check_spelling(const struct note *note, struct span bytes, struct err *err)
{
    const struct note_line *lines[NOTE_SIGNATURES_MAX];
    for (size_t i = 0; i < note->count; i++) {
        lines[i] = &note->lines[i];
    }
    struct buf again = BUF_INIT(bytes.len);
    put_note(&again, note, lines, note->count);
    bool is_same = span_is_equal(buf_span(&again), bytes);
    buf_clear(&again);
    if (!is_same) {
        return err_set(err, E_MALFORMED, "signature lines not sorted, or not in our spelling");
    }
    return E_OK;
}

/* Which of two checkpoints is A: the smaller one, of two of one size the one with the lesser root. */
static int compare_checkpoints(const struct checkpoint *a, const struct checkpoint *b)
{
    if (a->size != b->size) {
        return a->size < b->size ? -1 : 1;
    }
    return span_compare(hash_span(&a->root), hash_span(&b->root));
}

/* -- parsing -- */

static enum err_code take_note(struct span *out, struct span *in, struct err *err)
{
    struct span line;
    uint64_t len;
    if (!span_take_prefix(in, span_of_str(note_prefix)) || !span_take_until(in, '\n', &line)) {
        return err_set(err, E_MALFORMED, "the line \"note BYTES\" is missing");
    }
    if (decimal_parse(&len, line, EVIDENCE_BYTES_MAX, err) != E_OK) {
        return err_wrap(err, "bytes of the note");
    }
    if (!span_take(in, (size_t)len, out)) {
        return err_set(err, E_MALFORMED, "a note that is cut off");
    }
    return E_OK;
}

static enum err_code take_proof(struct evidence *evidence, struct span in, struct err *err)
{
    struct span line;
    if (!span_take_prefix(&in, span_of_str(root_prefix)) || !span_take_until(&in, '\n', &line)) {
        return err_set(err, E_MALFORMED,
                       "neither an end nor a line \"root HASH\" behind the notes");
    }
    if (base64_decode_hash(&evidence->root, line, err) != E_OK) {
        return err_wrap(err, "root");
    }
    while (in.len > 0) {
        if (!span_take_until(&in, '\n', &line)) {
            return err_set(err, E_MALFORMED, "no newline at the end");
        }
        enum err_code rc = proof_add_line(&evidence->proof, line, err);
        if (rc != E_OK) {
            return rc;
        }
    }
    evidence->has_proof = true;
    return E_OK;
}

/* The order in which evidence_put_fork writes two notes. */
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

static enum err_code check_notes(const struct evidence *evidence, struct err *err)
{
    struct checkpoint checkpoints[2];
    for (size_t i = 0; i < 2; i++) {
        struct note note;
        enum err_code rc = note_parse(&note, evidence->notes[i], err);
        if (rc == E_OK) {
            rc = checkpoint_parse(&checkpoints[i], note.text, err);
            if (rc == E_OK) {
                rc = check_spelling(&note, evidence->notes[i], err);
            }
            note_clear(&note);
        }
        if (rc != E_OK) {
            return err_wrap(err, "note %c", (int)('A' + i));
        }
    }
    return check_order(evidence, checkpoints, err);
}

static enum err_code parse(struct evidence *evidence, struct span in, struct err *err)
{
    struct span line;
    if (in.len > EVIDENCE_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "%zu bytes, at most %d are read", in.len,
                       EVIDENCE_BYTES_MAX);
    }
    if (!span_take_prefix(&in, span_of_str(header))) {
        return err_set(err, E_MALFORMED, "the first line is not courtroll evidence v1");
    }
    if (!span_take_until(&in, '\n', &line) ||
        !span_is_str(line, evidence_kind_text(EVIDENCE_FORK))) {
        return err_set(err, E_MALFORMED, "the second line is no kind of evidence that we know");
    }
    evidence->kind = EVIDENCE_FORK;
    enum err_code rc = take_note(&evidence->notes[0], &in, err);
    if (rc == E_OK) {
        rc = take_note(&evidence->notes[1], &in, err);
    }
    if (rc == E_OK && in.len > 0) {
        rc = take_proof(evidence, in, err);
    }
    return rc == E_OK ? check_notes(evidence, err) : rc;
}

enum err_code evidence_parse(struct evidence *out, struct span bytes, struct err *err)
{
    struct evidence parsed = { 0 };
    if (parse(&parsed, bytes, err) != E_OK) {
        return err_wrap(err, "evidence");
    }
    *out = parsed;
    return E_OK;
}

/* -- verifying -- */

/* A checkpoint that a key of the log signed. */
struct opened {
    struct note note;
    struct checkpoint checkpoint;
    struct note_verified verified[NOTE_SIGNATURES_MAX]; /* lines of the log's keys */
    size_t count;
};

/* Call note_clear on the note after success. */
static enum err_code open_note(struct opened *out, struct span bytes,
                               const struct vkey *const *log_keys, size_t key_count,
                               struct err *err)
{
    enum err_code rc = note_parse(&out->note, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = note_verify(&out->note, log_keys, key_count, out->verified, &out->count, err);
    if (rc == E_OK) {
        rc = checkpoint_parse(&out->checkpoint, out->note.text, err);
    }
    if (rc != E_OK) {
        note_clear(&out->note);
    }
    return rc;
}

/* Reads note A or B, which must hold no line but of these keys, and one line of each. */
static enum err_code verify_note(struct evidence_verdict *out, size_t i, struct span bytes,
                                 const struct vkey *const *log_keys, size_t key_count,
                                 struct err *err)
{
    struct opened opened;
    enum err_code rc = open_note(&opened, bytes, log_keys, key_count, err);
    if (rc != E_OK) {
        return rc;
    }
    if (opened.count != opened.note.count) {
        rc = err_set(err, E_BAD_SIGNATURE, "a signature line that is not of a key of the log");
    }
    out->checkpoints[i] = opened.checkpoint;
    out->keys[i] = opened.verified[0].key;
    note_clear(&opened.note);
    return rc;
}

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

static enum err_code verify(const struct evidence *evidence, const struct vkey *const *log_keys,
                            size_t key_count, struct evidence_verdict *out, struct err *err)
{
    const struct checkpoint *a = &out->checkpoints[0], *b = &out->checkpoints[1];
    for (size_t i = 0; i < 2; i++) {
        if (verify_note(out, i, evidence->notes[i], log_keys, key_count, err) != E_OK) {
            return err_wrap(err, "note %c", (int)('A' + i));
        }
    }
    if (strcmp(a->origin, b->origin) != 0) {
        return err_set(err, E_BAD_PROOF, "the notes are of two logs, %s and %s", a->origin,
                       b->origin);
    }
    out->contradicted = evidence->has_proof ? evidence->root : b->root;
    return evidence->has_proof ? contradict_by_proof(evidence, a, b, err)
                               : contradict_directly(a, b, err);
}

enum err_code evidence_verify(const struct evidence *evidence, const struct vkey *const *log_keys,
                              size_t key_count, struct evidence_verdict *out, struct err *err)
{
    struct evidence_verdict verdict = { 0 };
    if (verify(evidence, log_keys, key_count, &verdict, err) != E_OK) {
        return err_wrap(err, "evidence");
    }
    *out = verdict;
    return E_OK;
}

/* -- making -- */

/* A note that came in, in the spelling of the file. */
struct clean_note {
    struct checkpoint checkpoint;
    struct buf bytes; /* owned */
};

static enum err_code clean(struct clean_note *out, struct span bytes,
                           const struct vkey *const *log_keys, size_t key_count, struct err *err)
{
    struct opened opened;
    enum err_code rc = open_note(&opened, bytes, log_keys, key_count, err);
    if (rc != E_OK) {
        return rc;
    }
    const struct note_line *lines[NOTE_SIGNATURES_MAX];
    for (size_t i = 0; i < opened.count; i++) {
        lines[i] = &opened.note.lines[opened.verified[i].line];
    }
    out->checkpoint = opened.checkpoint;
    buf_init(&out->bytes, bytes.len);
    put_note(&out->bytes, &opened.note, lines, opened.count);
    note_clear(&opened.note);
    return E_OK;
}

static enum err_code put_file(struct buf *out, const struct clean_note *a,
                              const struct clean_note *b, const struct hash *root,
                              const struct proof *proof, struct err *err)
{
    enum {
        LINES_BYTES_MAX = 1024 + (PROOF_HASHES_MAX + 1) * 64 /* all but the notes */
    };
    size_t notes = a->bytes.len + b->bytes.len; /* each at most NOTE_BYTES_MAX */
    if (notes > EVIDENCE_BYTES_MAX - LINES_BYTES_MAX) {
        return err_set(err, E_TOO_LARGE, "notes of %zu bytes together", notes);
    }
    buf_putf(out, "%s%s\n", header, evidence_kind_text(EVIDENCE_FORK));
    buf_putf(out, "%s%zu\n", note_prefix, a->bytes.len);
    buf_put(out, buf_span(&a->bytes));
    buf_putf(out, "%s%zu\n", note_prefix, b->bytes.len);
    buf_put(out, buf_span(&b->bytes));
    if (root != NULL && a->checkpoint.size != b->checkpoint.size) {
        buf_put_str(out, root_prefix);
        base64_put_hash(out, root);
        buf_put_u8(out, '\n');
        proof_put_lines(out, proof);
    }
    return E_OK;
}

/* What is written must convince a stranger, so it is read and judged as a stranger would. */
static enum err_code judge(struct span bytes, const struct vkey *const *log_keys, size_t key_count,
                           struct err *err)
{
    struct evidence evidence;
    struct evidence_verdict verdict;
    enum err_code rc = evidence_parse(&evidence, bytes, err);
    if (rc == E_OK) {
        rc = evidence_verify(&evidence, log_keys, key_count, &verdict, err);
    }
    return rc;
}

enum err_code evidence_put_fork(struct buf *out, struct span note_1, struct span note_2,
                                const struct hash *root, const struct proof *proof,
                                const struct vkey *const *log_keys, size_t key_count,
                                struct err *err)
{
    assert((root == NULL) == (proof == NULL));
    assert(proof == NULL || proof->count <= PROOF_HASHES_MAX);
    struct clean_note notes[2] = { 0 };
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    enum err_code rc = clean(&notes[0], note_1, log_keys, key_count, err);
    if (rc == E_OK) {
        rc = clean(&notes[1], note_2, log_keys, key_count, err);
    }
    if (rc == E_OK) {
        bool is_swapped = compare_checkpoints(&notes[0].checkpoint, &notes[1].checkpoint) > 0;
        rc = put_file(&file, &notes[is_swapped], &notes[!is_swapped], root, proof, err);
    }
    if (rc == E_OK) {
        rc = judge(buf_span(&file), log_keys, key_count, err);
    }
    if (rc == E_OK) {
        rc = buf_append(out, buf_span(&file), err);
    }
    buf_clear(&notes[0].bytes);
    buf_clear(&notes[1].bytes);
    buf_clear(&file);
    return rc;
}
