#include "cli/prove_earliest.h"

#include "base/file.h"
#include "client/log_archive.h"
#include "evidence/evidence.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    NOTES_MAX = 64, /* archived notes looked at, when the first ones lack cosignatures */
};

static enum err_code useless(struct err *err, const char *what)
{
    struct err cause = *err;
    return err_set(err, E_NOT_FOUND, "%s: %s", what, cause.msg);
}

/* The first archived note above `index` whose quorum is met. */
static enum err_code find_note(struct prove_earliest *out, const struct log_address *address,
                               const struct policy *policy, uint64_t index, struct err *err)
{
    uint64_t above = index;
    for (int i = 0; i < NOTES_MAX; i++) {
        buf_reset(&out->note);
        enum err_code rc = log_archive_after(address, above, &out->note, err);
        if (rc != E_OK) {
            return useless(err, "no archived checkpoint");
        }
        if (policy_open_checkpoint(policy, &out->checkpoint, buf_span(&out->note), err) != E_OK) {
            return useless(err, "the archived checkpoint is no good");
        }
        if (out->checkpoint.checkpoint.size <= above) {
            return err_set(err, E_NOT_FOUND, "the archived checkpoint does not have the entry");
        }
        if (out->checkpoint.is_met) {
            return E_OK;
        }
        above = out->checkpoint.checkpoint.size;
    }
    return err_set(err, E_NOT_FOUND, "%d archived checkpoints lack cosignatures", NOTES_MAX);
}

/* Both notes are signed by the log, and one is right at most. */
static enum err_code conflict(struct prove_earliest *out, const struct policy *policy,
                              const struct prove_latest *latest,
                              const struct log_fetch_older *older, struct err *err)
{
    const struct vkey *keys[POLICY_KEYS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < policy_log_count(policy); i++) {
        const struct vkey *key = &policy_log_at(policy, i)->vkey;
        if (strcmp(key->name, latest->checkpoint->origin) == 0) {
            keys[count++] = key;
        }
    }
    struct err no_evidence;
    enum err_code rc =
        evidence_put_fork(&out->evidence, buf_span(&out->note), latest->note,
                          older != NULL ? &older->root : NULL,
                          older != NULL ? &older->consistency : NULL, keys, count, &no_evidence);
    const char *words = "contradicts the latest";
    return rc == E_OK ? err_set(err, E_CONFLICT,
                                "the archived checkpoint of %" PRIu64
                                " entries %s: the log has shown two histories",
                                out->checkpoint.checkpoint.size, words)
                      : err_set(err, E_BAD_PROOF,
                                "the archived checkpoint of %" PRIu64
                                " entries %s, which is no proof for others: %s",
                                out->checkpoint.checkpoint.size, words, no_evidence.msg);
}

static enum err_code prove_in_older(struct prove_earliest *out, const struct log_address *address,
                                    const struct policy *policy, const struct prove_latest *latest,
                                    uint64_t index, struct err *err)
{
    const struct checkpoint *archived = &out->checkpoint.checkpoint;
    struct log_fetch_older older = { .size = archived->size };
    enum err_code rc = log_fetch_older(address, latest->checkpoint->size, &latest->checkpoint->root,
                                       index, &older, err);
    if (rc != E_OK) {
        return err->code;
    }
    if (!hash_is_equal(&older.root, &archived->root)) {
        return conflict(out, policy, latest, &older, err);
    }
    out->proof = older.inclusion;
    return E_OK;
}

static enum err_code find(struct prove_earliest *out, const struct log_address *address,
                          const struct policy *policy, const struct prove_latest *latest,
                          uint64_t index, struct err *err)
{
    enum err_code rc = find_note(out, address, policy, index, err);
    if (rc != E_OK) {
        return rc;
    }
    const struct checkpoint *archived = &out->checkpoint.checkpoint;
    if (strcmp(archived->origin, latest->checkpoint->origin) != 0) {
        return err_set(err, E_NOT_FOUND, "the archived checkpoint is of another log");
    }
    if (archived->size > latest->checkpoint->size) {
        return err_set(err, E_NOT_FOUND, "the archived checkpoint is above the latest");
    }
    if (archived->size < latest->checkpoint->size) {
        return prove_in_older(out, address, policy, latest, index, err);
    }
    if (!hash_is_equal(&archived->root, &latest->checkpoint->root)) {
        return conflict(out, policy, latest, NULL, err);
    }
    out->proof = *latest->proof;
    return E_OK;
}

enum err_code prove_earliest_find(struct prove_earliest *out, const struct log_address *address,
                                  const struct policy *policy, const struct prove_latest *latest,
                                  uint64_t index, struct err *err)
{
    *out = (struct prove_earliest){ .note = BUF_INIT(NOTE_BYTES_MAX),
                                    .evidence = BUF_INIT(EVIDENCE_BYTES_MAX) };
    enum err_code rc = find(out, address, policy, latest, index, err);
    if (rc == E_NOT_FOUND) {
        prove_earliest_clear(out);
    }
    return rc;
}

void prove_earliest_clear(struct prove_earliest *earliest)
{
    buf_clear(&earliest->note);
    buf_clear(&earliest->evidence);
}

enum err_code prove_earliest_write_evidence(const struct prove_earliest *earliest, const char *path,
                                            struct err *err)
{
    struct err cause = *err;
    char fork_path[4096];
    int len = snprintf(fork_path, sizeof fork_path, "%s.fork", path);
    if (len < 0 || (size_t)len >= sizeof fork_path) {
        return err_set(err, E_IO, "%s: too long a path", path);
    }
    if (file_replace(fork_path, 0644, buf_span(&earliest->evidence), err) != E_OK) {
        return err_wrap(err, "%s: %s", cause.msg, fork_path);
    }
    return err_set(err, E_BAD_PROOF, "%s: the evidence is in %s", cause.msg, fork_path);
}
