/* What a file is, is told by its first line. Nothing is handed over before the whole of it has been read. */
#include "monitor/vantage.h"

#include "base/alloc.h"
#include "evidence/evidence.h"
#include "tlog/add_checkpoint.h"
#include "tlog/cosign_file.h"
#include "tlog/peer_notes.h"
#include "tlog/promise.h"
#include "tlog/receipt.h"

#include <assert.h>

enum {
    NOTES_MAX = 64,
    OBSERVATION_LINES = 6, /* before the note: what it is, code, origin, subject, time, summary */
};

struct found {
    size_t count;
    struct span notes[NOTES_MAX];
    bool is_promise[NOTES_MAX];
};

static enum err_code add(struct found *found, struct span note, bool is_promise, struct err *err)
{
    if (found->count == NOTES_MAX) {
        return err_set(err, E_MALFORMED, "more than %d notes", NOTES_MAX);
    }
    found->notes[found->count] = note;
    found->is_promise[found->count++] = is_promise;
    return E_OK;
}

static enum err_code check_promise(struct span text, struct err *err)
{
    struct promise *promise = NEW(struct promise); /* 40 KB: not for every stack */
    enum err_code rc = promise_parse(promise, text, err);
    mem_free(promise);
    return rc;
}

/* A checkpoint note or a promise: their texts tell which. */
static enum err_code add_note(struct found *found, struct span bytes, struct err *err)
{
    struct note note;
    if (note_parse(&note, bytes, err) != E_OK) {
        return err->code;
    }
    struct checkpoint checkpoint;
    struct err promise_err;
    enum err_code rc = checkpoint_parse(&checkpoint, note.text, err);
    bool is_promise = rc != E_OK && check_promise(note.text, &promise_err) == E_OK;
    note_clear(&note);
    return rc == E_OK || is_promise ? add(found, bytes, is_promise, err) : rc;
}

/* -- kinds of files -- */

static enum err_code take_receipt(struct found *found, struct span bytes, struct err *err)
{
    struct receipt receipt;
    enum err_code rc = receipt_parse(&receipt, bytes, err);
    if (rc == E_OK) {
        rc = add_note(found, receipt.note, err);
        receipt_clear(&receipt);
    }
    return rc;
}

/* The note that an observation is about: evidence_parse has seen to its form. */
static enum err_code take_observed(struct found *found, struct span observation, struct err *err)
{
    struct note note;
    enum err_code rc = note_parse(&note, observation, err);
    if (rc != E_OK) {
        return rc;
    }
    struct span rest = note.text, line = { 0 };
    for (size_t i = 0; i < OBSERVATION_LINES; i++) {
        if (!span_take_until(&rest, '\n', &line)) {
            rest.len = 0;
        }
    }
    if (span_take_until(&rest, '\n', &line) && rest.len > 0) { /* "note BYTES" */
        rc = add_note(found, rest, err);
    }
    note_clear(&note);
    return rc;
}

static enum err_code take_evidence(struct found *found, struct span bytes, struct err *err)
{
    struct evidence evidence;
    enum err_code rc = evidence_parse(&evidence, bytes, err);
    if (rc == E_OK && evidence.kind == EVIDENCE_OBSERVATION) {
        return take_observed(found, evidence.notes[0], err);
    }
    for (size_t i = 0; rc == E_OK && i < 2 && evidence.notes[i].len > 0; i++) {
        rc = add_note(found, evidence.notes[i], err);
    }
    return rc;
}

static enum err_code take_cosign_file(struct found *found, struct span bytes, struct err *err)
{
    struct cosign_file file;
    enum err_code rc = cosign_file_parse(&file, bytes, err);
    if (rc == E_OK) {
        rc = add_note(found, file.note, err);
        cosign_file_clear(&file);
    }
    return rc;
}

static enum err_code take_add_checkpoint(struct found *found, struct span bytes, struct err *err)
{
    struct add_checkpoint request;
    enum err_code rc = add_checkpoint_parse(&request, bytes, err);
    return rc == E_OK ? add_note(found, request.note, err) : rc;
}

static enum err_code take_peer_notes(struct found *found, struct span bytes, struct err *err)
{
    struct peer_notes peers;
    enum err_code rc = peer_notes_parse(&peers, bytes, err);
    for (size_t i = 0; rc == E_OK && i < peers.count; i++) {
        rc = add_note(found, peers.notes[i], err);
    }
    return rc;
}

/* All of these may be the beginning of an origin, so what is a note is that before it is anything else; none of
 * them can be both, by its second and third line. */
static enum err_code take_any(struct found *found, struct span bytes, struct err *err)
{
    static const struct {
        const char *begins;
        enum err_code (*take)(struct found *found, struct span bytes, struct err *err);
    } kinds[] = {
        { "c2sp.org/tlog-proof@v1\n", take_receipt },
        { "courtroll evidence v1\n", take_evidence },
        { "courtroll cosign-request v1\n", take_cosign_file },
        { "old ", take_add_checkpoint },
        { "note ", take_peer_notes },
    };
    enum err_code rc = add_note(found, bytes, err);
    for (size_t i = 0; rc != E_OK && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (span_has_prefix(bytes, span_of_str(kinds[i].begins))) {
            found->count = 0;
            return kinds[i].take(found, bytes, err);
        }
    }
    return rc;
}

enum err_code vantage_take_notes(struct span bytes, void *ctx,
                                 void (*on_note)(void *ctx, struct span note),
                                 void (*on_promise)(void *ctx, struct span note), struct err *err)
{
    struct found found = { 0 };
    if (bytes.len > VANTAGE_FILE_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "%zu bytes, at most %d are read", bytes.len,
                       VANTAGE_FILE_BYTES_MAX);
    }
    if (take_any(&found, bytes, err) != E_OK) {
        err->code = E_MALFORMED;
        return err_wrap(err,
                        "not a note, receipt, promise, evidence or cosign file that we can read");
    }
    for (size_t i = 0; i < found.count; i++) {
        (found.is_promise[i] ? on_promise : on_note)(ctx, found.notes[i]);
    }
    return E_OK;
}
