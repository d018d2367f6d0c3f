/* Parsing finds the one spelling, whoever wrote it; verifying asks the keys. Nothing here may blame the
 * honest: what counts is signed by the key in question, but for a root or a leaf that is recomputed from
 * what is signed. A proof that leads nowhere shows nothing. */
#include "base/ascii.h"
#include "evidence/evidence_parts.h"

#include <assert.h>
#include <inttypes.h>

static const char header[] = "courtroll evidence v1\n";
static const char note_prefix[] = "note ";

static const struct evidence_format *const formats[] = {
    [EVIDENCE_FORK] = &evidence_format_fork,
    [EVIDENCE_WITNESS_EQUIVOCATION] = &evidence_format_equivocation,
    [EVIDENCE_PROMISE_BROKEN] = &evidence_format_promise,
    [EVIDENCE_TAG_REPEATED] = &evidence_format_tag,
    [EVIDENCE_OBSERVATION] = &evidence_format_observation,
};

enum {
    KIND_COUNT = sizeof formats / sizeof formats[0],
    /* Of a file: all but the notes. */
    LINES_BYTES_MAX =
        1024 + 2 * (PROOF_HASHES_MAX + 1) * 64 + 2 * 4 * (EVIDENCE_RECORD_BYTES_MAX / 3 + 1)
};

const char *evidence_kind_text(enum evidence_kind kind)
{
    assert((size_t)kind < KIND_COUNT);
    return formats[kind]->text;
}

/* -- formatting -- */

static enum err_code format(struct buf *out, const struct evidence *evidence, struct err *err)
{
    const struct evidence_format *format = formats[evidence->kind];
    size_t notes = 0;
    for (size_t i = 0; i < format->note_count; i++) {
        size_t len = evidence->notes[i].len;
        if (len > EVIDENCE_BYTES_MAX - LINES_BYTES_MAX - notes) {
            return err_set(err, E_TOO_LARGE, "over %d bytes of notes",
                           EVIDENCE_BYTES_MAX - LINES_BYTES_MAX);
        }
        notes += len;
    }
    buf_putf(out, "%s%s\n", header, format->text);
    for (size_t i = 0; i < format->note_count; i++) {
        buf_putf(out, "%s%zu\n", note_prefix, evidence->notes[i].len);
        buf_put(out, evidence->notes[i]);
    }
    format->put_tail(out, evidence);
    return E_OK;
}

/* -- parsing -- */

static enum err_code take_kind(enum evidence_kind *out, struct span *in, struct err *err)
{
    struct span line;
    if (!span_take_prefix(in, span_of_str(header))) {
        return err_set(err, E_MALFORMED, "the first line is not courtroll evidence v1");
    }
    if (span_take_until(in, '\n', &line)) {
        for (size_t kind = 0; kind < KIND_COUNT; kind++) {
            if (span_is_str(line, formats[kind]->text)) {
                *out = (enum evidence_kind)kind;
                return E_OK;
            }
        }
    }
    return err_set(err, E_MALFORMED, "the second line is no kind of evidence that we know");
}

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

enum err_code evidence_take_proof(struct proof *out, struct span in, struct err *err)
{
    struct span line;
    while (in.len > 0) {
        if (!span_take_until(&in, '\n', &line)) {
            return err_set(err, E_MALFORMED, "no newline at the end");
        }
        enum err_code rc = proof_add_line(out, line, err);
        if (rc != E_OK) {
            return rc;
        }
    }
    return E_OK;
}

/* Each part has one spelling already; this is the belt to those braces. */
static enum err_code check_spelling(const struct evidence *evidence, struct span bytes,
                                    struct err *err)
{
    struct buf again = BUF_INIT(EVIDENCE_BYTES_MAX);
    enum err_code rc = format(&again, evidence, err);
    if (rc != E_OK || !span_is_equal(buf_span(&again), bytes)) {
        rc = err_set(err, E_MALFORMED, "not as we would write it");
    }
    buf_clear(&again);
    return rc;
}

static enum err_code parse(struct evidence *evidence, struct span bytes, struct err *err)
{
    struct span in = bytes;
    if (in.len > EVIDENCE_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "%zu bytes, at most %d are read", in.len,
                       EVIDENCE_BYTES_MAX);
    }
    enum err_code rc = take_kind(&evidence->kind, &in, err);
    const struct evidence_format *format = formats[evidence->kind];
    for (size_t i = 0; rc == E_OK && i < format->note_count; i++) {
        rc = take_note(&evidence->notes[i], &in, err);
    }
    if (rc == E_OK) {
        rc = format->take_tail(evidence, in, err);
    }
    if (rc == E_OK) {
        rc = format->check(evidence, err);
    }
    return rc == E_OK ? check_spelling(evidence, bytes, err) : rc;
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

static enum err_code verify(const struct evidence *evidence, const struct evidence_signers *signers,
                            struct evidence_verdict *out, struct err *err)
{
    struct evidence_verdict verdict = { 0 };
    enum err_code rc = formats[evidence->kind]->verify(evidence, signers, &verdict, err);
    if (rc != E_OK) {
        return err_wrap(err, "evidence");
    }
    *out = verdict;
    return E_OK;
}

enum err_code evidence_verify(const struct evidence *evidence, const struct vkey *const *keys,
                              size_t key_count, struct evidence_verdict *out, struct err *err)
{
    assert((size_t)evidence->kind < KIND_COUNT);
    struct evidence_signers signers = { keys, key_count, false };
    return verify(evidence, &signers, out, err);
}

/* -- making -- */

enum err_code evidence_put(struct buf *out, const struct evidence *evidence,
                           const struct evidence_signers *signers, struct err *err)
{
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct evidence read;
    struct evidence_verdict verdict;
    enum err_code rc = format(&file, evidence, err);
    if (rc == E_OK) {
        rc = evidence_parse(&read, buf_span(&file), err);
    }
    if (rc == E_OK) {
        rc = verify(&read, signers, &verdict, err);
    }
    if (rc == E_OK) {
        rc = buf_append(out, buf_span(&file), err);
    }
    buf_clear(&file);
    return rc;
}

/* -- what it is about -- */

/* A checkpoint or a promise: their texts are never both. */
static void put_note_origin(struct buf *out, struct span bytes)
{
    struct note note;
    struct checkpoint checkpoint;
    struct err err;
    struct span first, origin;
    if (note_parse(&note, bytes, &err) != E_OK) {
        return;
    }
    struct span text = note.text;
    if (checkpoint_parse(&checkpoint, text, &err) == E_OK) {
        buf_put_str(out, checkpoint.origin);
    } else if (span_take_until(&text, '\n', &first) && span_take_until(&text, '\n', &origin) &&
               span_is_str(first, "courtroll promise v1") && origin_is_valid(origin)) {
        buf_put(out, origin);
    }
    note_clear(&note);
}

void evidence_put_origin(struct buf *out, const struct evidence *evidence)
{
    struct evidence_observation observation;
    struct err err;
    if (evidence->kind != EVIDENCE_OBSERVATION) {
        put_note_origin(out, evidence->notes[0]);
    } else if (evidence_read_observation(&observation, evidence, &err) == E_OK) {
        buf_put(out, observation.origin);
    }
}
