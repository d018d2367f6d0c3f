#include "witness/guard.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    REASON_MAX = ERR_MSG_MAX
};

struct guarded {
    struct hash origin_hash;
    struct known_log *log;
    bool is_read;         /* its state was compared with the mark and with what was refused */
    bool is_checking;     /* peers are waited for */
    unsigned answered;    /* bits: peers that did */
    uint64_t answered_ms; /* when the first did */
    bool was_asked;
    uint64_t asked_ms;
    char *refused;         /* why; owned; NULL: it is not */
    uint64_t refused_size; /* of the note that is kept */
    struct buf pending;    /* a note that the ledger has not taken yet */
};

struct guard {
    struct ledger *ledger;
    const struct vkey *keys;
    size_t key_count;
    size_t peer_count;
    bool has_mark;

    pthread_mutex_t mutex; /* guards all below; never held while the ledger or a log is asked */
    bool is_mark_new;
    bool is_unchecked;
    bool has_tpm;
    char *all_refused; /* why; owned; NULL: they are not */
    void *tree;        /* of struct guarded, by hash */
    struct guarded **list;
    size_t count, room;
    size_t unsettled; /* not read, checking, or with a pending note: what a tick looks after */
};

static int compare(const void *a, const void *b)
{
    const struct guarded *left = a, *right = b;
    return memcmp(left->origin_hash.bytes, right->origin_hash.bytes, HASH_BYTES);
}

static struct guarded *find(struct guard *guard, const struct known_log *log)
{
    struct guarded key = { .origin_hash = log->origin_hash };
    struct guarded **found = tfind(&key, &guard->tree, compare);
    return found == NULL ? NULL : *found;
}

static bool is_settled(const struct guarded *guarded)
{
    return guarded->is_read && !guarded->is_checking && guarded->pending.len == 0;
}

/* --- The whole. --- */

/* Reads what the store says about mark files. */
static void read_mark_use(struct guard *guard)
{
    struct buf use = BUF_INIT(16);
    struct hash any = { { 0 } };
    struct mark mark;
    struct err err;
    guard->has_mark = ledger_mark(guard->ledger, &any, &mark, &err) != E_UNSUPPORTED;
    enum err_code rc = ledger_get(guard->ledger, "mark", &use, &err);
    bool was_used = rc == E_OK;
    guard->is_mark_new = was_used && span_is_str(buf_span(&use), "new");
    buf_clear(&use);
    if (rc != E_OK && rc != E_NOT_FOUND) {
        guard_refuse_all(guard, err.msg);
    } else if (was_used && !guard->has_mark) {
        guard_refuse_all(guard, "the mark file that this store was used with is missing: bring it "
                                "back, or, when you know that the store is the newest, start once "
                                "with --start-unchecked on");
    }
}

struct guard *guard_new(struct ledger *ledger, const struct vkey *keys, size_t key_count,
                        size_t peer_count)
{
    assert(peer_count <= GUARD_PEERS_MAX);
    struct guard *guard = NEW(struct guard);
    guard->ledger = ledger;
    guard->keys = keys;
    guard->key_count = key_count;
    guard->peer_count = peer_count;
    pthread_mutex_init(&guard->mutex, NULL);
    read_mark_use(guard);
    return guard;
}

static void free_guarded(void *arg)
{
    struct guarded *guarded = arg;
    mem_free(guarded->refused);
    buf_clear(&guarded->pending);
    mem_free(guarded);
}

void guard_free(struct guard *guard)
{
    if (guard == NULL) {
        return;
    }
    tdestroy(guard->tree, free_guarded);
    mem_free(guard->list);
    mem_free(guard->all_refused);
    pthread_mutex_destroy(&guard->mutex);
    mem_free(guard);
}

void guard_start_unchecked(struct guard *guard)
{
    pthread_mutex_lock(&guard->mutex);
    guard->is_unchecked = true;
    pthread_mutex_unlock(&guard->mutex);
    log_event(LOG_LEVEL_ERROR, "start_unchecked",
              "peers=\"not waited for\" hint=\"take start-unchecked out of the configuration\"");
}

void guard_use_tpm(struct guard *guard)
{
    pthread_mutex_lock(&guard->mutex);
    guard->has_tpm = true;
    pthread_mutex_unlock(&guard->mutex);
}

void guard_refuse_all(struct guard *guard, const char *reason)
{
    log_event(LOG_LEVEL_ERROR, "guard_refuses_all", "reason=%s", log_quoted_str(reason).text);
    pthread_mutex_lock(&guard->mutex);
    if (guard->all_refused == NULL) {
        guard->all_refused = mem_strdup(reason);
    }
    pthread_mutex_unlock(&guard->mutex);
}

const char *guard_words(const struct guard *guard)
{
    static const char *const words[2][2][2] = {
        { { "rollback not detectable", "rollback detected by asking peers" },
          { "rollback detected by a TPM counter",
            "rollback detected by a TPM counter and peers" } },
        { { "rollback detected by a mark file", "rollback detected by a mark file and peers" },
          { "rollback detected by a mark file and a TPM counter",
            "rollback detected by a mark file, a TPM counter and peers" } },
    };
    struct guard *locked = (struct guard *)guard;
    pthread_mutex_lock(&locked->mutex);
    const char *text = guard->is_unchecked
                           ? "rollback check overridden by start-unchecked"
                           : words[guard->has_mark][guard->has_tpm][guard->peer_count != 0];
    pthread_mutex_unlock(&locked->mutex);
    return text;
}

/* --- One origin. --- */

/* Locked. The first reason stays: it is the one that an operator has to clear up. */
static void refuse(struct guarded *guarded, const char *reason)
{
    if (guarded->refused != NULL) {
        return;
    }
    guarded->refused = mem_strdup(reason);
    log_event(LOG_LEVEL_ERROR, "guard_refuses", "origin=%s reason=%s",
              log_quoted_str(guarded->log->origin).text, log_quoted_str(reason).text);
}

/* The size in the text of a note that the ledger keeps, or 0. */
static uint64_t size_of_note(struct span bytes)
{
    struct note note;
    struct checkpoint checkpoint = { .size = 0 };
    struct err err;
    if (note_parse(&note, bytes, &err) == E_OK) {
        if (checkpoint_parse(&checkpoint, note.text, &err) != E_OK) {
            checkpoint.size = 0;
        }
        note_clear(&note);
    }
    return checkpoint.size;
}

/* What the ledger says of an origin when it comes in. */
struct finding {
    bool is_certain; /* false: the ledger could not be read */
    bool is_vouched; /* the mark agrees */
    uint64_t refused_size;
    char reason[REASON_MAX]; /* not empty: refused */
};

static void judge_mark(struct guard *guard, const struct origin_state *state,
                       const struct hash *origin_hash, struct finding *finding)
{
    struct mark mark;
    struct err err;
    enum err_code rc = ledger_mark(guard->ledger, origin_hash, &mark, &err);
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

static struct finding find_out(struct guard *guard, const struct hash *origin_hash)
{
    struct finding finding = { .is_certain = true };
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct origin_state state;
    struct err err;
    enum err_code rc = ledger_state(guard->ledger, origin_hash, &state, &err);
    enum err_code refused_rc =
        rc == E_OK ? ledger_refused(guard->ledger, origin_hash, &note, &err) : rc;
    if (rc == E_OK && refused_rc == E_NOT_FOUND) {
        judge_mark(guard, &state, origin_hash, &finding);
    } else if (refused_rc == E_OK) {
        finding.refused_size = size_of_note(buf_span(&note));
        snprintf(finding.reason, sizeof finding.reason,
                 "a note of ours at size %llu shows that the store is an old one",
                 (unsigned long long)finding.refused_size);
    } else if (refused_rc == E_CORRUPT) {
        snprintf(finding.reason, sizeof finding.reason, "%s", err.msg);
    } else {
        finding.is_certain = false;
    }
    buf_clear(&note);
    return finding;
}

/* Locked. */
static void apply(struct guard *guard, struct guarded *guarded, const struct finding *finding)
{
    if (!finding->is_certain) {
        return;
    }
    guarded->is_read = true;
    if (finding->reason[0] != '\0') {
        guarded->refused_size = finding->refused_size;
        refuse(guarded, finding->reason);
    }
    bool is_vouched = finding->is_vouched && !guard->is_mark_new;
    bool has_all = guarded->answered + 1 == 1U << guard->peer_count;
    guarded->is_checking = !is_vouched && !has_all && !guard->is_unchecked;
}

void guard_add(struct guard *guard, struct known_log *log)
{
    struct finding finding = find_out(guard, &log->origin_hash);
    pthread_mutex_lock(&guard->mutex);
    if (find(guard, log) == NULL) {
        struct guarded *guarded = NEW(struct guarded);
        guarded->origin_hash = log->origin_hash;
        guarded->log = log;
        buf_init(&guarded->pending, LEDGER_NOTE_BYTES_MAX);
        if (tsearch(guarded, &guard->tree, compare) == NULL) {
            abort(); /* out of memory, as in alloc.c */
        }
        if (guard->count == guard->room) {
            guard->room = guard->room == 0 ? 16 : 2 * guard->room;
            guard->list = mem_realloc(guard->list, guard->room * sizeof(struct guarded *));
        }
        guard->list[guard->count++] = guarded;
        apply(guard, guarded, &finding);
        guard->unsettled += is_settled(guarded) ? 0 : 1;
    }
    pthread_mutex_unlock(&guard->mutex);
}

/* Locked. */
static enum guard_verdict verdict_of(const struct guard *guard, const struct guarded *guarded,
                                     const char **reason)
{
    if (guard->all_refused != NULL) {
        *reason = guard->all_refused;
        return GUARD_REFUSED;
    }
    if (guarded->refused != NULL) {
        *reason = guarded->refused;
        return GUARD_REFUSED;
    }
    if (!guarded->is_read) {
        *reason = "the store cannot be read";
        return GUARD_CHECKING;
    }
    if (guarded->is_checking) {
        *reason = guarded->answered == 0 ? "no peer has answered yet whether it knows a newer note "
                                           "of ours"
                                         : "not all peers have answered yet";
        return GUARD_CHECKING;
    }
    *reason = "";
    return GUARD_OPEN;
}

enum guard_verdict guard_verdict(struct guard *guard, const struct known_log *log, char *reason,
                                 size_t reason_max)
{
    const char *words = "the guard does not know this log";
    enum guard_verdict verdict = GUARD_REFUSED;
    pthread_mutex_lock(&guard->mutex);
    const struct guarded *guarded = find(guard, log);
    if (guarded != NULL) {
        verdict = verdict_of(guard, guarded, &words);
    }
    snprintf(reason, reason_max, "%s", words);
    pthread_mutex_unlock(&guard->mutex);
    return verdict;
}

struct guard_counts guard_counts(struct guard *guard)
{
    struct guard_counts counts = { 0, 0 };
    const char *reason;
    pthread_mutex_lock(&guard->mutex);
    for (size_t i = 0; i < guard->count; i++) {
        enum guard_verdict verdict = verdict_of(guard, guard->list[i], &reason);
        counts.checking += verdict == GUARD_CHECKING ? 1 : 0;
        counts.refused += verdict == GUARD_REFUSED ? 1 : 0;
    }
    pthread_mutex_unlock(&guard->mutex);
    return counts;
}

/* --- What others say. --- */

/* Is this a note of the log, signed by one of its keys and by one of ours? */
static bool open_own_note(struct guard *guard, struct known_log *log, struct span bytes,
                          struct checkpoint *out)
{
    struct note note;
    struct err err;
    if (bytes.len > LEDGER_NOTE_BYTES_MAX || note_parse(&note, bytes, &err) != E_OK) {
        return false;
    }
    struct vkey log_keys[LOG_KEYS_MAX];
    pthread_mutex_lock(&log->mutex);
    size_t log_count = log->key_count;
    memcpy(log_keys, log->keys, log_count * sizeof log_keys[0]);
    pthread_mutex_unlock(&log->mutex);
    size_t key_count = log_count + guard->key_count;
    const struct vkey **keys = mem_calloc(key_count + 1, sizeof(struct vkey *));
    for (size_t i = 0; i < key_count; i++) {
        keys[i] = i < log_count ? &log_keys[i] : &guard->keys[i - log_count];
    }
    struct note_verified verified[NOTE_SIGNATURES_MAX];
    size_t count = 0, bad_count = 0;
    bool is_logs = false, is_ours = false;
    note_verify_each(&note, keys, key_count, verified, &count, &bad_count);
    for (size_t i = 0; i < count; i++) {
        is_logs = is_logs || verified[i].key < log_count;
        is_ours = is_ours || verified[i].key >= log_count;
    }
    bool is_own = is_logs && is_ours && checkpoint_parse(out, note.text, &err) == E_OK &&
                  strcmp(out->origin, log->origin) == 0;
    mem_free(keys);
    note_clear(&note);
    return is_own;
}

/* The newest state that any signature of ours can have left for. While the ledger recovers, nothing has
 * left since the log's state moved last. */
static struct origin_state newest_state(struct guard *guard, struct known_log *log)
{
    struct origin_state released = origin_state_new();
    struct err err;
    bool is_known = ledger_state(guard->ledger, &log->origin_hash, &released, &err) == E_OK;
    pthread_mutex_lock(&log->mutex);
    struct origin_state moved = log->state;
    pthread_mutex_unlock(&log->mutex);
    return is_known && released.size >= moved.size ? released : moved;
}

/* A note of this size that we cosigned, but of another root? */
static bool contradicts_seen(struct guard *guard, const struct known_log *log,
                             const struct checkpoint *checkpoint)
{
    struct buf bytes = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct note note;
    struct checkpoint seen;
    struct err err;
    bool is_other = false;
    if (ledger_seen(guard->ledger, &log->origin_hash, checkpoint->size, &bytes, &err) == E_OK &&
        note_parse(&note, buf_span(&bytes), &err) == E_OK) {
        is_other = checkpoint_parse(&seen, note.text, &err) == E_OK &&
                   seen.size == checkpoint->size && !hash_is_equal(&seen.root, &checkpoint->root);
        note_clear(&note);
    }
    buf_clear(&bytes);
    return is_other;
}

static bool is_against(struct guard *guard, struct known_log *log,
                       const struct checkpoint *checkpoint, char *reason, size_t reason_max)
{
    struct origin_state state = newest_state(guard, log);
    if (checkpoint->size > state.size) {
        snprintf(reason, reason_max,
                 "a note of ours at size %llu is ahead of the store at %llu: it is an old one, or "
                 "our key is on another machine",
                 (unsigned long long)checkpoint->size, (unsigned long long)state.size);
        return true;
    }
    bool is_other = checkpoint->size == state.size ? !hash_is_equal(&checkpoint->root, &state.root)
                                                   : contradicts_seen(guard, log, checkpoint);
    if (is_other) {
        snprintf(reason, reason_max,
                 "a note of ours has another root of size %llu than the store: retire the key",
                 (unsigned long long)checkpoint->size);
    }
    return is_other;
}

/* Locked. Counts the change of an origin between settled and not. */
static void resettle(struct guard *guard, const struct guarded *guarded, bool was_settled)
{
    bool settled = is_settled(guarded);
    if (was_settled && !settled) {
        guard->unsettled++;
    } else if (!was_settled && settled) {
        guard->unsettled--;
    }
}

/* Gives the ledger the note; what it does not take is tried again on a tick. */
static void keep(struct guard *guard, struct known_log *log, struct span note)
{
    struct err err;
    enum err_code rc = ledger_refuse(guard->ledger, &log->origin_hash, note, &err);
    if (rc != E_OK) {
        log_error(LOG_LEVEL_ERROR, "guard_note_not_kept", &err);
    }
    pthread_mutex_lock(&guard->mutex);
    struct guarded *guarded = find(guard, log);
    bool was_settled = is_settled(guarded);
    buf_reset(&guarded->pending);
    if (rc != E_OK) {
        buf_put(&guarded->pending, note);
    }
    resettle(guard, guarded, was_settled);
    pthread_mutex_unlock(&guard->mutex);
}

/* Locked. */
static void count_answer(struct guard *guard, struct guarded *guarded, size_t peer, uint64_t now_ms)
{
    if (peer >= guard->peer_count) {
        return;
    }
    bool was_settled = is_settled(guarded);
    if (guarded->answered == 0) {
        guarded->answered_ms = now_ms;
    }
    guarded->answered |= 1U << peer;
    if (guarded->answered + 1 == 1U << guard->peer_count) {
        guarded->is_checking = false;
    }
    resettle(guard, guarded, was_settled);
}

bool guard_on_note(struct guard *guard, struct known_log *log, size_t peer, struct span note,
                   uint64_t now_ms)
{
    struct checkpoint checkpoint;
    char reason[REASON_MAX];
    bool is_bad = open_own_note(guard, log, note, &checkpoint) &&
                  is_against(guard, log, &checkpoint, reason, sizeof reason);
    bool is_worse = false;
    pthread_mutex_lock(&guard->mutex);
    struct guarded *guarded = find(guard, log);
    assert(guarded != NULL);
    if (is_bad) {
        is_worse = guarded->refused_size == 0 || checkpoint.size > guarded->refused_size;
        guarded->refused_size = is_worse ? checkpoint.size : guarded->refused_size;
        refuse(guarded, reason);
    }
    count_answer(guard, guarded, peer, now_ms); /* after it was refused: never open in between */
    pthread_mutex_unlock(&guard->mutex);
    if (is_worse) {
        keep(guard, log, note);
    }
    return is_bad;
}

void guard_on_none(struct guard *guard, struct known_log *log, size_t peer, uint64_t now_ms)
{
    pthread_mutex_lock(&guard->mutex);
    struct guarded *guarded = find(guard, log);
    assert(guarded != NULL);
    count_answer(guard, guarded, peer, now_ms);
    pthread_mutex_unlock(&guard->mutex);
}

bool guard_wants_ask(struct guard *guard, struct known_log *log, uint64_t now_ms)
{
    pthread_mutex_lock(&guard->mutex);
    struct guarded *guarded = find(guard, log);
    bool is_wanted = guarded != NULL &&
                     (!guarded->was_asked || now_ms - guarded->asked_ms >= GUARD_ASK_AGAIN_MS);
    if (is_wanted) {
        guarded->was_asked = true;
        guarded->asked_ms = now_ms;
    }
    pthread_mutex_unlock(&guard->mutex);
    return is_wanted;
}

/* --- Ticks. --- */

/* Locked. The next origin from `*at` that is not settled, or NULL. */
static struct guarded *next_unsettled(struct guard *guard, size_t *at)
{
    while (*at < guard->count && guard->unsettled != 0) {
        struct guarded *guarded = guard->list[(*at)++];
        if (!is_settled(guarded)) {
            return guarded;
        }
    }
    return NULL;
}

static void tend(struct guard *guard, struct guarded *guarded, uint64_t now_ms)
{
    struct buf pending = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    pthread_mutex_lock(&guard->mutex);
    bool is_read = guarded->is_read;
    buf_put(&pending, buf_span(&guarded->pending));
    pthread_mutex_unlock(&guard->mutex);
    struct finding finding = { .is_certain = false };
    if (!is_read) {
        finding = find_out(guard, &guarded->origin_hash);
    }
    if (pending.len != 0) {
        keep(guard, guarded->log, buf_span(&pending));
    }
    buf_clear(&pending);
    pthread_mutex_lock(&guard->mutex);
    bool was_settled = is_settled(guarded);
    if (!is_read) {
        apply(guard, guarded, &finding);
    }
    if (guarded->is_checking && guarded->answered != 0 &&
        now_ms - guarded->answered_ms >= GUARD_PEER_WAIT_MS) {
        guarded->is_checking = false;
        log_event(LOG_LEVEL_WARN, "guard_peers_late", "origin=%s",
                  log_quoted_str(guarded->log->origin).text);
    }
    resettle(guard, guarded, was_settled);
    pthread_mutex_unlock(&guard->mutex);
}

/* Once nobody waits for peers any more, the mark file may vouch for the store at the next start. */
static void trust_mark(struct guard *guard)
{
    struct err err;
    if (ledger_put(guard->ledger, "mark", span_of_str("1"), &err) != E_OK) {
        log_error(LOG_LEVEL_WARN, "mark_not_trusted", &err);
        return;
    }
    pthread_mutex_lock(&guard->mutex);
    guard->is_mark_new = false;
    pthread_mutex_unlock(&guard->mutex);
}

void guard_on_tick(struct guard *guard, uint64_t now_ms)
{
    struct guarded *guarded;
    size_t at = 0;
    do {
        pthread_mutex_lock(&guard->mutex);
        guarded = next_unsettled(guard, &at);
        pthread_mutex_unlock(&guard->mutex);
        if (guarded != NULL) {
            tend(guard, guarded, now_ms);
        }
    } while (guarded != NULL);
    pthread_mutex_lock(&guard->mutex);
    bool is_trusted =
        guard->is_mark_new && guard->has_mark && guard->count != 0 && guard->unsettled == 0;
    pthread_mutex_unlock(&guard->mutex);
    if (is_trusted) {
        trust_mark(guard);
    }
}
