#include "witness/guard_finding.h"

#include "tlog/checkpoint.h"
#include "tlog/note.h"

#include <stdio.h>

static void judge_mark(struct ledger *ledger, const struct origin_state *state,
                       const struct hash *origin_hash, struct guard_finding *finding)
{
    struct mark mark;
    struct err err;
    enum err_code rc = ledger_mark(ledger, origin_hash, &mark, &err);
    if (rc == E_UNSUPPORTED) {
        return;
    }
    /* The ledger raises marks that are behind at its start. One that is not there belongs to an origin
     * that nothing was ever signed for. */
    if (rc == E_NOT_FOUND) {
        finding->is_vouched = state->timestamp == 0;
    } else if (rc != E_OK) {
        snprintf(finding->reason, sizeof finding->reason, "%s", err.msg);
    } else if (mark.size > state->size) {
        snprintf(finding->reason, sizeof finding->reason,
                 "the mark is at size %llu, the store at %llu: the store is an old one",
                 (unsigned long long)mark.size, (unsigned long long)state->size);
    } else if (mark.size == state->size && !hash_is_equal(&mark.root, &state->root)) {
        snprintf(finding->reason, sizeof finding->reason,
                 "the mark has another root of size %llu than the store",
                 (unsigned long long)mark.size);
    } else {
        finding->is_vouched = true;
    }
}

/* Of a note that the ledger keeps; 0 when it is none. */
static void read_point(struct span bytes, uint64_t *size, struct hash *root)
{
    struct note note;
    struct checkpoint checkpoint;
    struct err err;
    *size = 0;
    *root = (struct hash){ { 0 } };
    if (note_parse(&note, bytes, &err) == E_OK) {
        if (checkpoint_parse(&checkpoint, note.text, &err) == E_OK) {
            *size = checkpoint.size;
            *root = checkpoint.root;
        }
        note_clear(&note);
    }
}

/* E_NOT_FOUND: nothing is refused. */
static enum err_code read_refused(struct ledger *ledger, const struct hash *origin_hash,
                                  struct guard_finding *finding, struct err *err)
{
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    enum err_code rc = ledger_refused(ledger, origin_hash, &note, err);
    if (rc == E_OK) {
        finding->has_refused = true;
        read_point(buf_span(&note), &finding->refused_size, &finding->refused_root);
        snprintf(finding->reason, sizeof finding->reason,
                 "a note of ours at size %llu shows that the store is an old one",
                 (unsigned long long)finding->refused_size);
    }
    buf_clear(&note);
    return rc;
}

static enum err_code read_contradiction(struct ledger *ledger, const struct hash *origin_hash,
                                        struct guard_finding *finding, struct err *err)
{
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    enum err_code rc = ledger_contradiction(ledger, origin_hash, &note, err);
    if (rc == E_OK) {
        uint64_t size;
        struct hash root;
        read_point(buf_span(&note), &size, &root);
        finding->is_contradicted = true;
        snprintf(finding->reason, sizeof finding->reason,
                 "a note of ours at size %llu contradicts another one of ours: retire the key",
                 (unsigned long long)size);
    }
    buf_clear(&note);
    return rc;
}

struct guard_finding guard_find_out(struct ledger *ledger, const struct hash *origin_hash)
{
    struct guard_finding finding = { .is_certain = true };
    struct origin_state state;
    struct err err;
    enum err_code rc = ledger_state(ledger, origin_hash, &state, &err);
    if (rc == E_OK) {
        rc = read_refused(ledger, origin_hash, &finding, &err);
    }
    if (rc == E_OK || rc == E_NOT_FOUND) {
        rc = read_contradiction(ledger, origin_hash, &finding, &err);
    }
    if (rc == E_NOT_FOUND && !finding.has_refused) {
        judge_mark(ledger, &state, origin_hash, &finding);
    } else if (rc == E_CORRUPT) {
        snprintf(finding.reason, sizeof finding.reason, "%s", err.msg);
    } else if (rc != E_OK && rc != E_NOT_FOUND) {
        finding = (struct guard_finding){ .is_certain = false };
    }
    return finding;
}
