#include "monitor/known_note.h"

#include "tlog/lines.h"

#include <assert.h>

static enum err_code parse(struct known_note *out, const struct watched_log_options *options,
                           struct err *err)
{
    struct span text = out->note.text;
    if (text.len > KNOWN_NOTE_TEXT_MAX) {
        return err_set(err, E_MALFORMED, "a checkpoint of %zu bytes, at most %d are read", text.len,
                       KNOWN_NOTE_TEXT_MAX);
    }
    enum err_code rc = checkpoint_parse(&out->verdict.checkpoint, text, err);
    if (rc != E_OK) {
        return rc;
    }
    if (strcmp(out->verdict.checkpoint.origin, options->log->vkey.name) != 0) {
        return err_set(err, E_NOT_FOUND, "a checkpoint of another log, \"%s\"",
                       lines_quote(span_of_str(out->verdict.checkpoint.origin)).text);
    }
    return E_OK;
}

enum err_code known_note_parse(struct known_note *out, const struct watched_log_options *options,
                               struct span bytes, struct err *err)
{
    struct known_note known = { .log_line_count = 0 };
    enum err_code rc = note_parse(&known.note, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = parse(&known, options, err);
    if (rc != E_OK) {
        note_clear(&known.note);
        return rc;
    }
    *out = known;
    return E_OK;
}

size_t known_note_log_keys(const struct watched_log_options *options,
                           const struct vkey *keys[static POLICY_KEYS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < policy_log_count(options->policy); i++) {
        const struct vkey *key = &policy_log_at(options->policy, i)->vkey;
        if (strcmp(key->name, options->log->vkey.name) == 0) {
            keys[count++] = key;
        }
    }
    return count;
}

static void verify_witnesses(struct known_note *note, const struct policy *policy)
{
    struct policy_verdict *verdict = &note->verdict;
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        const struct vkey *key = &policy_witness_at(policy, i)->vkey;
        struct note_verified verified;
        size_t count, bad_count;
        note_verify_each(&note->note, &key, 1, &verified, &count, &bad_count);
        verdict->bad_signatures += bad_count;
        note->bad_witnesses.has[i] = bad_count > 0;
        verdict->unchecked.has[i] = note_is_unchecked(&note->note, key);
        if (count > 0) {
            assert(note->witness_line_count < NOTE_SIGNATURES_MAX);
            note->witness_lines[note->witness_line_count++] =
                (struct known_line){ i, verified.line };
            verdict->cosigned.has[i] = true;
            verdict->timestamps[i] = verified.timestamp;
        }
    }
    verdict->is_met = policy_is_met(policy, &verdict->cosigned);
}

enum err_code known_note_verify(struct known_note *note, const struct watched_log_options *options,
                                struct err *err)
{
    const struct vkey *keys[POLICY_KEYS_MAX];
    struct note_verified verified[NOTE_SIGNATURES_MAX];
    size_t count, key_count = known_note_log_keys(options, keys);
    verify_witnesses(note, options->policy);
    enum err_code rc = note_verify(&note->note, keys, key_count, verified, &count, err);
    if (rc != E_OK) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        note->log_lines[note->log_line_count++] = verified[i].line;
    }
    for (size_t i = 0; i < policy_log_count(options->policy); i++) {
        const struct policy_log *log = policy_log_at(options->policy, i);
        if (&log->vkey == keys[verified[0].key]) {
            note->verdict.log = log;
        }
    }
    return E_OK;
}

enum err_code known_note_open(struct known_note *out, const struct watched_log_options *options,
                              struct span bytes, struct err *err)
{
    struct known_note known;
    enum err_code rc = known_note_parse(&known, options, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = known_note_verify(&known, options, err);
    if (rc != E_OK) {
        known_note_clear(&known);
        return rc;
    }
    *out = known;
    return E_OK;
}

void known_note_clear(struct known_note *note)
{
    note_clear(&note->note);
}

static void put_log_lines(struct buf *out, const struct known_note *note)
{
    assert(note->log_line_count > 0);
    buf_put(out, note->note.text);
    buf_put_u8(out, '\n');
    for (size_t i = 0; i < note->log_line_count; i++) {
        note_put_line(out, &note->note.lines[note->log_lines[i]]);
    }
}

void known_note_put(struct buf *out, const struct known_note *note)
{
    put_log_lines(out, note);
    for (size_t i = 0; i < note->witness_line_count; i++) {
        note_put_line(out, &note->note.lines[note->witness_lines[i].line]);
    }
}

void known_note_put_for_witness(struct buf *out, const struct known_note *note, size_t witness)
{
    put_log_lines(out, note);
    for (size_t i = 0; i < note->witness_line_count; i++) {
        if (note->witness_lines[i].witness == witness) {
            note_put_line(out, &note->note.lines[note->witness_lines[i].line]);
        }
    }
}

bool known_note_read_stored(struct checkpoint *out, size_t *line_count, struct span bytes)
{
    struct note note;
    struct err err;
    if (note_parse(&note, bytes, &err) != E_OK) {
        return false;
    }
    bool is_read = checkpoint_parse(out, note.text, &err) == E_OK;
    *line_count = note.count;
    note_clear(&note);
    return is_read;
}
