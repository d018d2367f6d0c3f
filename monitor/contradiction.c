/* Nothing here may blame the honest: every file is judged as a stranger would before anyone hears of it. The
 * order is raise, then remember: a crash between them raises the same file again, which is the same alert. */
#include "monitor/contradiction.h"

#include "base/ascii.h"
#include "base/log.h"
#include "evidence/evidence.h"
#include "monitor/known_note.h"

#include <assert.h>
#include <stdio.h>

/* What is stored for one party: when the last piece beyond the maximum was raised, then the pieces. */
struct pieces {
    uint64_t later_s;
    size_t count;
    struct {
        struct hash claim, id;
    } all[CONTRADICTION_PIECES_MAX];
};

struct hash contradiction_claim(char form, uint64_t number, struct span value)
{
    struct buf head = BUF_INIT(1 + 8);
    buf_put_u8(&head, (uint8_t)form);
    buf_put_u64(&head, number);
    struct span parts[] = { buf_span(&head), value };
    struct hash claim = sha256_parts(parts, 2);
    buf_clear(&head);
    return claim;
}

static const struct policy_witness *witness_of(const struct watched_log_options *options,
                                               const struct contradiction *contradiction)
{
    return policy_witness_at(options->policy, contradiction->witness);
}

/* -- what is known already -- */

static void put_key(struct buf *out, struct watched_log *log,
                    const struct contradiction *contradiction)
{
    static const char *const names[] = { "contradiction/fork", "contradiction/witness/",
                                         "contradiction/promise" };
    watched_log_put_key(out, log, names[contradiction->kind]);
    if (contradiction->kind == CONTRADICTION_EQUIVOCATION) {
        const struct vkey *key = &witness_of(watched_log_options(log), contradiction)->vkey;
        struct hash id = vkey_public_id(key);
        hex_put(out, hash_span(&id));
    }
}

static bool parse_pieces(struct pieces *out, struct span bytes)
{
    struct span claim, id;
    if (!span_take_u64(&bytes, &out->later_s)) {
        return false;
    }
    while (bytes.len > 0) {
        if (out->count == CONTRADICTION_PIECES_MAX || !span_take(&bytes, HASH_BYTES, &claim) ||
            !span_take(&bytes, HASH_BYTES, &id)) {
            return false;
        }
        memcpy(out->all[out->count].claim.bytes, claim.data, HASH_BYTES);
        memcpy(out->all[out->count].id.bytes, id.data, HASH_BYTES);
        out->count++;
    }
    return true;
}

static enum err_code read_pieces(struct pieces *out, struct state_store *store, struct span key,
                                 struct err *err)
{
    struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
    *out = (struct pieces){ 0 };
    enum err_code rc = state_store_get(store, key, &value, err);
    if (rc == E_NOT_FOUND) {
        rc = E_OK;
    } else if (rc == E_OK && !parse_pieces(out, buf_span(&value))) {
        rc = err_set(err, E_CORRUPT, "the stored list of contradictions is none");
    }
    buf_clear(&value);
    return rc;
}

static enum err_code write_pieces(const struct pieces *pieces, struct state_store *store,
                                  struct span key, struct err *err)
{
    struct kv_batch batch;
    struct buf value = BUF_INIT(8 + sizeof pieces->all);
    kv_batch_init(&batch);
    buf_put_u64(&value, pieces->later_s);
    for (size_t i = 0; i < pieces->count; i++) {
        buf_put(&value, hash_span(&pieces->all[i].claim));
        buf_put(&value, hash_span(&pieces->all[i].id));
    }
    kv_batch_put(&batch, key, buf_span(&value));
    enum err_code rc = state_store_write(store, &batch, err);
    kv_batch_clear(&batch);
    buf_clear(&value);
    return rc;
}

static bool find_piece(const struct pieces *pieces, const struct hash *claim, struct hash *id)
{
    for (size_t i = 0; i < pieces->count; i++) {
        if (hash_is_equal(&pieces->all[i].claim, claim)) {
            *id = pieces->all[i].id;
            return true;
        }
    }
    return false;
}

/* A clock that was set back must not silence anything. */
static bool is_wanted(const struct pieces *pieces, uint64_t now_s)
{
    return pieces->count < CONTRADICTION_PIECES_MAX || now_s < pieces->later_s ||
           now_s - pieces->later_s >= CONTRADICTION_LATER_S;
}

static void add_piece(struct pieces *pieces, const struct hash *claim, const struct hash *id,
                      uint64_t now_s)
{
    if (pieces->count == CONTRADICTION_PIECES_MAX) {
        pieces->later_s = now_s;
        return;
    }
    pieces->all[pieces->count].claim = *claim;
    pieces->all[pieces->count].id = *id;
    pieces->count++;
}

/* -- a new piece -- */

static enum err_code put_file(struct buf *out, const struct watched_log_options *options,
                              const struct contradiction *c, struct err *err)
{
    const struct vkey *keys[POLICY_KEYS_MAX];
    size_t key_count = known_note_log_keys(options, keys);
    switch (c->kind) {
    case CONTRADICTION_FORK:
        return evidence_put_fork(out, c->notes[0], c->notes[1], c->root, c->proof, keys, key_count,
                                 err);
    case CONTRADICTION_EQUIVOCATION:
        return evidence_put_equivocation(out, c->notes[0], c->notes[1], c->root, c->proof,
                                         &witness_of(options, c)->vkey, err);
    default:
        return evidence_put_broken_promise(out, c->notes[0], c->notes[1], c->index, c->root,
                                           c->proof, options->promise_key, keys, key_count, err);
    }
}

/* With the keys that a stranger finds in the policy, and none of another log. */
static enum err_code judge(struct span file, const struct watched_log_options *options,
                           const struct contradiction *c, struct err *err)
{
    const struct vkey *keys[POLICY_KEYS_MAX + 1];
    struct evidence evidence;
    struct evidence_verdict verdict;
    size_t key_count = 1;
    if (c->kind == CONTRADICTION_EQUIVOCATION) {
        keys[0] = &witness_of(options, c)->vkey;
    } else {
        key_count = known_note_log_keys(options, keys);
        if (c->kind == CONTRADICTION_PROMISE) {
            keys[key_count++] = options->promise_key;
        }
    }
    enum err_code rc = evidence_parse(&evidence, file, err);
    return rc == E_OK ? evidence_verify(&evidence, keys, key_count, &verdict, err) : rc;
}

static void fill(struct finding *finding, struct watched_log *log, const struct contradiction *c,
                 struct span file)
{
    static const enum finding_code codes[] = { FINDING_FORK, FINDING_WITNESS_EQUIVOCATION,
                                               FINDING_PROMISE_BROKEN };
    struct buf text = BUF_INIT(4 * FINDING_SUBJECT_MAX + 8);
    *finding = (struct finding){ .code = codes[c->kind],
                                 .origin = watched_log_origin(log),
                                 .evidence = file };
    if (c->kind == CONTRADICTION_EQUIVOCATION) {
        const char *name = witness_of(watched_log_options(log), c)->name;
        ascii_put_escaped(&text, span_of_str(name), FINDING_SUBJECT_MAX);
        snprintf(finding->subject, sizeof finding->subject, "%s", buf_c_str(&text));
        buf_reset(&text);
    }
    ascii_put_escaped(&text, span_of_str(c->from), 128);
    snprintf(finding->summary, sizeof finding->summary, "Shown by %s: %s", buf_c_str(&text),
             c->detail);
    buf_clear(&text);
}

/* False: it would not convince, which is ours to find out about. */
static bool make(struct buf *file, const struct watched_log_options *options,
                 const struct contradiction *c)
{
    struct err err;
    enum err_code rc = put_file(file, options, c, &err);
    if (rc == E_OK) {
        rc = judge(buf_span(file), options, c, &err);
    }
    if (rc != E_OK) {
        log_event(LOG_LEVEL_ERROR, "contradiction_not_proved", "origin=%s from=%s error=%s",
                  log_quoted_str(options->log->vkey.name).text, log_quoted_str(c->from).text,
                  log_quoted_str(err.msg).text);
    }
    return rc == E_OK;
}

static enum err_code make_and_raise(struct watched_log *log, const struct contradiction *c,
                                    int64_t now_s, bool *is_made, struct hash *id, struct err *err)
{
    const struct watched_log_options *options = watched_log_options(log);
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    enum err_code rc = E_OK;
    *is_made = make(&file, options, c);
    if (*is_made) {
        struct finding finding;
        fill(&finding, log, c, buf_span(&file));
        *id = sha256(buf_span(&file));
        rc = options->sink.raise(options->sink.ctx, &finding, now_s, err);
    }
    buf_clear(&file);
    return rc;
}

enum err_code contradiction_raise(struct watched_log *log, const struct contradiction *c,
                                  int64_t now_s, bool *has_evidence, struct hash *id,
                                  struct err *err)
{
    struct state_store *store = watched_log_options(log)->store;
    struct buf key = BUF_INIT(KV_KEY_BYTES_MAX);
    struct pieces pieces;
    struct hash made;
    uint64_t now = now_s > 0 ? (uint64_t)now_s : 0;
    put_key(&key, log, c);
    enum err_code rc = read_pieces(&pieces, store, buf_span(&key), err);
    bool is_known = rc == E_OK && find_piece(&pieces, &c->claim, &made);
    bool is_new = rc == E_OK && !is_known && is_wanted(&pieces, now);
    if (is_new) {
        rc = make_and_raise(log, c, now_s, &is_new, &made, err);
        if (rc == E_OK && is_new) {
            add_piece(&pieces, &c->claim, &made, now);
            rc = write_pieces(&pieces, store, buf_span(&key), err);
        }
    }
    buf_clear(&key);
    if (rc == E_OK) {
        *has_evidence = is_known || is_new;
        if (*has_evidence) {
            *id = made;
        }
    }
    return rc;
}
