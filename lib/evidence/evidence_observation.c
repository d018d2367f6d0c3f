/* evidence_observation.c -- what a monitor says, under its own key: no proof, but its word.
 *
 * The text begins with a line that no checkpoint has, and its second line, where a checkpoint has its
 * size, starts with a letter: a monitor's signature can never pass for a log's. */
#include "base/ascii.h"
#include "evidence/evidence_parts.h"

#include <inttypes.h>

static const char header[] = "courtroll observation v1\n";
static const char note_prefix[] = "note ";

enum {
    TEXT_LINES_BYTES_MAX = 8 * 1024 /* all but the note it is about */
};

/* -- lines -- */

/* 1..max bytes of UTF-8 without control characters. */
static bool line_is_valid(struct span line, size_t max)
{
    if (line.len == 0 || line.len > max) {
        return false;
    }
    uint32_t c;
    while (utf8_take(&line, &c)) {
        if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            return false;
        }
    }
    return line.len == 0;
}

static bool code_is_valid(struct span code)
{
    if (code.len == 0 || code.len > EVIDENCE_CODE_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < code.len; i++) {
        uint8_t c = code.data[i];
        bool is_letter = c >= 'a' && c <= 'z';
        if (!is_letter && (i == 0 || !((c >= '0' && c <= '9') || c == '-'))) {
            return false;
        }
    }
    return true;
}

static bool note_is_valid(struct span bytes)
{
    struct note note;
    struct err err;
    if (note_parse(&note, bytes, &err) != E_OK) {
        return false;
    }
    note_clear(&note);
    return true;
}

/* What reading and writing both ask for. */
static enum err_code check_observation(const struct evidence_observation *observation,
                                       struct err *err)
{
    if (!code_is_valid(observation->code)) {
        return err_set(err, E_MALFORMED, "code: not a letter, then letters, digits and hyphens");
    }
    if (observation->origin.len > 0 && !origin_is_valid(observation->origin)) {
        return err_set(err, E_MALFORMED, "origin: not a line of at most %d bytes",
                       ORIGIN_BYTES_MAX);
    }
    if (observation->subject.len > 0 &&
        !line_is_valid(observation->subject, EVIDENCE_SUBJECT_BYTES_MAX)) {
        return err_set(err, E_MALFORMED, "subject: not a line of at most %d bytes",
                       EVIDENCE_SUBJECT_BYTES_MAX);
    }
    if (observation->unix_s > SIZE_VALUE_MAX) {
        return err_set(err, E_MALFORMED, "time: above 2^63-1");
    }
    if (!line_is_valid(observation->summary, EVIDENCE_SUMMARY_BYTES_MAX)) {
        return err_set(err, E_MALFORMED, "summary: not a line of 1 to %d bytes",
                       EVIDENCE_SUMMARY_BYTES_MAX);
    }
    if (observation->note.len > 0 && !note_is_valid(observation->note)) {
        return err_set(err, E_MALFORMED, "what it is about is not a note");
    }
    return E_OK;
}

/* -- the text -- */

static void put_line(struct buf *out, struct span line)
{
    buf_put(out, line.len == 0 ? span_of_str("-") : line);
    buf_put_u8(out, '\n');
}

static void put_text(struct buf *out, const struct evidence_observation *observation)
{
    buf_put_str(out, header);
    put_line(out, observation->code);
    put_line(out, observation->origin);
    put_line(out, observation->subject);
    buf_putf(out, "%" PRIu64 "\n", observation->unix_s);
    put_line(out, observation->summary);
    if (observation->note.len > 0) {
        buf_putf(out, "%s%zu\n", note_prefix, observation->note.len);
        buf_put(out, observation->note);
    }
}

static struct span or_empty(struct span line)
{
    return span_is_str(line, "-") ? span_of(NULL, 0) : line;
}

/* All that is behind the summary: nothing, or a note to the end. */
static enum err_code take_note(struct evidence_observation *out, struct span in, struct err *err)
{
    struct span line;
    uint64_t len;
    if (in.len == 0) {
        return E_OK;
    }
    if (!span_take_prefix(&in, span_of_str(note_prefix)) || !span_take_until(&in, '\n', &line)) {
        return err_set(err, E_MALFORMED, "neither an end nor \"note BYTES\" behind the summary");
    }
    if (decimal_parse(&len, line, EVIDENCE_BYTES_MAX, err) != E_OK) {
        return err_wrap(err, "bytes of the note it is about");
    }
    if (len == 0 || len != in.len) {
        return err_set(err, E_MALFORMED, "the note it is about does not end where the text does");
    }
    out->note = in;
    return E_OK;
}

static enum err_code parse_text(struct evidence_observation *out, struct span text, struct err *err)
{
    struct evidence_observation parsed = { 0 };
    struct span time;
    if (!span_take_prefix(&text, span_of_str(header))) {
        return err_set(err, E_MALFORMED, "the first line is not courtroll observation v1");
    }
    if (!span_take_until(&text, '\n', &parsed.code) ||
        !span_take_until(&text, '\n', &parsed.origin) ||
        !span_take_until(&text, '\n', &parsed.subject) || !span_take_until(&text, '\n', &time) ||
        !span_take_until(&text, '\n', &parsed.summary)) {
        return err_set(err, E_MALFORMED, "fewer than six lines");
    }
    if (parsed.origin.len == 0 || parsed.subject.len == 0) {
        return err_set(err, E_MALFORMED, "an empty line, where \"-\" stands for nothing");
    }
    parsed.origin = or_empty(parsed.origin);
    parsed.subject = or_empty(parsed.subject);
    if (decimal_parse(&parsed.unix_s, time, SIZE_VALUE_MAX, err) != E_OK) {
        return err_wrap(err, "time");
    }
    enum err_code rc = take_note(&parsed, text, err);
    if (rc == E_OK) {
        rc = check_observation(&parsed, err);
    }
    if (rc == E_OK) {
        *out = parsed;
    }
    return rc;
}

/* -- the form -- */

static enum err_code take_tail(struct evidence *evidence, struct span in, struct err *err)
{
    (void)evidence;
    return in.len == 0 ? E_OK : err_set(err, E_MALFORMED, "something behind the observation");
}

static void put_tail(struct buf *out, const struct evidence *evidence)
{
    (void)out;
    (void)evidence;
}

static enum err_code read_note(struct evidence_observation *out, struct span bytes, struct err *err)
{
    struct note note;
    enum err_code rc = note_parse(&note, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    if (note.count != 1) {
        rc = err_set(err, E_MALFORMED, "%zu signature lines, not one", note.count);
    }
    if (rc == E_OK) {
        rc = parse_text(out, note.text, err);
    }
    if (rc == E_OK) {
        rc = evidence_note_check_spelling(&note, bytes, err);
    }
    note_clear(&note);
    return rc == E_OK ? E_OK : err_wrap(err, "observation");
}

static enum err_code check(const struct evidence *evidence, struct err *err)
{
    struct evidence_observation observation;
    return read_note(&observation, evidence->notes[0], err);
}

enum err_code evidence_read_observation(struct evidence_observation *out,
                                        const struct evidence *evidence, struct err *err)
{
    if (evidence->kind != EVIDENCE_OBSERVATION) {
        return err_set(err, E_MALFORMED, "not an observation");
    }
    return read_note(out, evidence->notes[0], err);
}

/* -- verifying and making -- */

static enum err_code verify(const struct evidence *evidence, const struct evidence_signers *signers,
                            struct evidence_verdict *out, struct err *err)
{
    struct evidence_note note;
    enum err_code rc = read_note(&out->observation, evidence->notes[0], err);
    if (rc == E_OK) {
        rc =
            evidence_note_open_pure(&note, evidence->notes[0], EVIDENCE_ROLE_MONITOR, signers, err);
    }
    if (rc == E_OK) {
        out->keys[0] = note.verified[0].key;
        evidence_note_clear(&note);
    }
    return rc;
}

const struct evidence_format evidence_format_observation = {
    "observation", 1, take_tail, put_tail, check, verify,
};

enum err_code evidence_put_observation(struct buf *out,
                                       const struct evidence_observation *observation,
                                       const struct signer *key, struct err *err)
{
    enum err_code rc = vkey_require_type(&key->vkey, SIGNATURE_ED25519, err);
    if (rc == E_OK) {
        rc = check_observation(observation, err);
    }
    if (rc != E_OK) {
        return err_wrap(err, "observation");
    }
    if (observation->note.len > EVIDENCE_BYTES_MAX - TEXT_LINES_BYTES_MAX) {
        return err_set(err, E_TOO_LARGE, "observation: about a note of %zu bytes",
                       observation->note.len);
    }
    struct buf text = BUF_INIT(EVIDENCE_BYTES_MAX), note = BUF_INIT(EVIDENCE_BYTES_MAX + 1024);
    const struct vkey *const keys[] = { &key->vkey };
    struct evidence_signers signers = { keys, 1, false };
    put_text(&text, observation);
    rc = note_put_signed(&note, buf_span(&text), key, 0, err);
    if (rc == E_OK) {
        struct evidence evidence = { .kind = EVIDENCE_OBSERVATION, .notes = { buf_span(&note) } };
        rc = evidence_put(out, &evidence, &signers, err);
    }
    buf_clear(&text);
    buf_clear(&note);
    return rc;
}
