#include "witness/guard.h"

#include "base/alloc.h"
#include "base/log.h"
#include "witness/guard_finding.h"

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
    char *refused;      /* why; owned; NULL: it is not */
    bool has_note;      /* one that is ahead of the store, or contradicts what we signed */
    uint64_t note_size; /* of the largest */
    struct hash note_root;
    bool is_contradicted; /* for good */
    /* What the ledger has not taken yet: the largest note, and the first that contradicts. */
    struct buf newest, contradiction;
};

struct guard {
    struct ledger *ledger;
    const struct vkey *keys;
    size_t key_count;
    size_t peer_count;
    const char *const *peers; /* what they are called in the log, or NULL */
    uint64_t peer_wait_ms;
    bool has_mark;

    pthread_mutex_t
        keeping; /* held while the ledger takes notes, so that the last one is the largest */

    pthread_mutex_t mutex; /* guards all below; never held while the ledger or a log is asked */
    bool is_mark_new;
    bool is_unchecked;
    bool has_tpm;
    char *all_refused; /* why; owned; NULL: they are not */
    void *tree;        /* of struct guarded, by hash */
    struct guarded **list;
    size_t count, room;
    size_t unsettled; /* not read, checking, or with a note to keep: what a tick looks after */
    size_t unheard;   /* of which some peer has not been heard yet */
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
    return guarded->is_read && !guarded->is_checking && guarded->newest.len == 0 &&
           guarded->contradiction.len == 0;
}

/* Locked. */
static bool is_heard(const struct guard *guard, const struct guarded *guarded)
{
    return guarded->answered + 1 == 1U << guard->peer_count;
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
    guard->peer_wait_ms = GUARD_PEER_WAIT_MS;
    pthread_mutex_init(&guard->keeping, NULL);
    pthread_mutex_init(&guard->mutex, NULL);
    read_mark_use(guard);
    return guard;
}

static void free_guarded(void *arg)
{
    struct guarded *guarded = arg;
    mem_free(guarded->refused);
    buf_clear(&guarded->newest);
    buf_clear(&guarded->contradiction);
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
    pthread_mutex_destroy(&guard->keeping);
    mem_free(guard);
}

void guard_set_peers(struct guard *guard, const char *const *peers, uint64_t wait_ms)
{
    guard->peers = peers;
    guard->peer_wait_ms = wait_ms;
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

/* Locked. The first reason stays: it is the one that an operator has to clear up. But nothing is to be
 * cleared up any more once there is a contradiction. */
static void refuse(struct guarded *guarded, const char *reason, bool is_contradiction)
{
    if (guarded->refused != NULL && !is_contradiction) {
        return;
    }
    mem_free(guarded->refused);
    guarded->refused = mem_strdup(reason);
    log_event(LOG_LEVEL_ERROR, "guard_refuses", "origin=%s reason=%s",
              log_quoted_str(guarded->log->origin).text, log_quoted_str(reason).text);
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

/* Locked. A note may have come before what was kept of earlier ones could be read. */
static void merge_kept(struct guarded *guarded, const struct guard_finding *finding)
{
    bool has_both = finding->has_refused && guarded->has_note;
    if (has_both && finding->refused_size == guarded->note_size &&
        !hash_is_equal(&finding->refused_root, &guarded->note_root) && !guarded->is_contradicted) {
        guarded->is_contradicted = true;
        buf_put(&guarded->contradiction, buf_span(&guarded->newest));
    }
    if (finding->has_refused &&
        (!guarded->has_note || finding->refused_size >= guarded->note_size)) {
        guarded->has_note = true;
        guarded->note_size = finding->refused_size;
        guarded->note_root = finding->refused_root;
        buf_reset(&guarded->newest);
    }
    if (finding->is_contradicted) {
        guarded->is_contradicted = true;
        buf_reset(&guarded->contradiction);
    }
}

/* Locked. */
static void apply(struct guard *guard, struct guarded *guarded, const struct guard_finding *finding)
{
    bool was_settled = is_settled(guarded);
    if (!finding->is_certain || guarded->is_read) {
        return;
    }
    guarded->is_read = true;
    merge_kept(guarded, finding);
    if (finding->reason[0] != '\0') {
        refuse(guarded, finding->reason, finding->is_contradicted);
    }
    bool is_vouched = finding->is_vouched && !guard->is_mark_new;
    guarded->is_checking = !is_vouched && !is_heard(guard, guarded) && !guard->is_unchecked;
    resettle(guard, guarded, was_settled);
}

/* Reads what the ledger has of an origin, unless that was done. */
static void read_origin(struct guard *guard, struct guarded *guarded)
{
    pthread_mutex_lock(&guard->mutex);
    bool is_read = guarded->is_read;
    pthread_mutex_unlock(&guard->mutex);
    if (is_read) {
        return;
    }
    struct guard_finding finding = guard_find_out(guard->ledger, &guarded->origin_hash);
    pthread_mutex_lock(&guard->mutex);
    apply(guard, guarded, &finding);
    pthread_mutex_unlock(&guard->mutex);
}

void guard_add(struct guard *guard, struct known_log *log)
{
    pthread_mutex_lock(&guard->mutex);
    if (find(guard, log) == NULL) {
        struct guarded *guarded = NEW(struct guarded);
        guarded->origin_hash = log->origin_hash;
        guarded->log = log;
        buf_init(&guarded->newest, LEDGER_NOTE_BYTES_MAX);
        buf_init(&guarded->contradiction, LEDGER_NOTE_BYTES_MAX);
        if (tsearch(guarded, &guard->tree, compare) == NULL) {
            abort(); /* out of memory, as in alloc.c */
        }
        if (guard->count == guard->room) {
            guard->room = guard->room == 0 ? 16 : 2 * guard->room;
            guard->list = mem_realloc(guard->list, guard->room * sizeof(struct guarded *));
        }
        guard->list[guard->count++] = guarded;
        guard->unsettled++;
        guard->unheard += is_heard(guard, guarded) ? 0 : 1;
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
        *reason = "the store has not been read yet";
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

enum against {
    AGAINST_NOTHING,
    AGAINST_STORE,    /* ahead of it */
    AGAINST_SIGNATURE /* contradicts what we signed */
};

static enum against judge(struct guard *guard, struct known_log *log,
                          const struct checkpoint *checkpoint, char *reason, size_t reason_max)
{
    struct origin_state state = newest_state(guard, log);
    if (checkpoint->size > state.size) {
        snprintf(reason, reason_max,
                 "a note of ours at size %llu is ahead of the store at %llu: it is an old one, or "
                 "our key is on another machine",
                 (unsigned long long)checkpoint->size, (unsigned long long)state.size);
        return AGAINST_STORE;
    }
    bool is_other = checkpoint->size == state.size ? !hash_is_equal(&checkpoint->root, &state.root)
                                                   : contradicts_seen(guard, log, checkpoint);
    if (is_other) {
        snprintf(reason, reason_max,
                 "a note of ours has another root of size %llu than the store: retire the key",
                 (unsigned long long)checkpoint->size);
    }
    return is_other ? AGAINST_SIGNATURE : AGAINST_NOTHING;
}

/* Locked. A note that is against us: the largest is kept, since it is the one to adopt, and the first that
 * contradicts, since nothing is to be adopted then. */
static void take_note(struct guarded *guarded, const struct checkpoint *checkpoint,
                      struct span note, enum against against, const char *reason)
{
    bool is_other = guarded->has_note && guarded->note_size == checkpoint->size &&
                    !hash_is_equal(&guarded->note_root, &checkpoint->root);
    if ((against == AGAINST_SIGNATURE || is_other) && !guarded->is_contradicted) {
        guarded->is_contradicted = true;
        buf_put(&guarded->contradiction, note);
        refuse(guarded,
               against == AGAINST_SIGNATURE
                   ? reason
                   : "two notes of ours of one size contradict each other: retire the key",
               true);
    }
    if (!guarded->has_note || checkpoint->size > guarded->note_size) {
        guarded->has_note = true;
        guarded->note_size = checkpoint->size;
        guarded->note_root = checkpoint->root;
        buf_reset(&guarded->newest);
        buf_put(&guarded->newest, note);
    }
    refuse(guarded, reason, false);
}

/* Gives the ledger what it has not taken yet; what it does not take is tried again on a tick. Nothing is
 * replaced before it was read: it may be larger. */
static void keep_one(struct guard *guard, struct guarded *guarded, struct buf *pending,
                     enum err_code (*put)(struct ledger *ledger, const struct hash *origin_hash,
                                          struct span note, struct err *err))
{
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct err err;
    pthread_mutex_lock(&guard->mutex);
    if (guarded->is_read) {
        buf_put(&note, buf_span(pending));
    }
    pthread_mutex_unlock(&guard->mutex);
    enum err_code rc =
        note.len == 0 ? E_OK : put(guard->ledger, &guarded->origin_hash, buf_span(&note), &err);
    if (rc != E_OK) {
        log_error(LOG_LEVEL_ERROR, "guard_note_not_kept", &err);
    }
    pthread_mutex_lock(&guard->mutex);
    if (rc == E_OK && span_is_equal(buf_span(pending), buf_span(&note))) {
        bool was_settled = is_settled(guarded);
        buf_clear(pending);
        resettle(guard, guarded, was_settled);
    }
    pthread_mutex_unlock(&guard->mutex);
    buf_clear(&note);
}

static void keep(struct guard *guard, struct guarded *guarded)
{
    pthread_mutex_lock(&guard->keeping);
    keep_one(guard, guarded, &guarded->contradiction, ledger_contradict);
    keep_one(guard, guarded, &guarded->newest, ledger_refuse);
    pthread_mutex_unlock(&guard->keeping);
}

/* Locked. */
static void count_answer(struct guard *guard, struct guarded *guarded, size_t peer, uint64_t now_ms)
{
    if (peer >= guard->peer_count || (guarded->answered >> peer & 1U) != 0) {
        return;
    }
    bool was_settled = is_settled(guarded);
    if (guarded->answered == 0) {
        guarded->answered_ms = now_ms;
    }
    guarded->answered |= 1U << peer;
    if (is_heard(guard, guarded)) {
        guarded->is_checking = false;
        guard->unheard--;
    }
    resettle(guard, guarded, was_settled);
}

static struct guarded *get(struct guard *guard, const struct known_log *log)
{
    pthread_mutex_lock(&guard->mutex);
    struct guarded *guarded = find(guard, log);
    pthread_mutex_unlock(&guard->mutex);
    assert(guarded != NULL);
    return guarded;
}

bool guard_on_note(struct guard *guard, struct known_log *log, size_t peer, struct span note,
                   uint64_t now_ms)
{
    struct guarded *guarded = get(guard, log);
    struct checkpoint checkpoint;
    char reason[REASON_MAX];
    enum against against = AGAINST_NOTHING;
    read_origin(guard, guarded);
    if (open_own_note(guard, log, note, &checkpoint)) {
        against = judge(guard, log, &checkpoint, reason, sizeof reason);
    }
    pthread_mutex_lock(&guard->mutex);
    if (against != AGAINST_NOTHING) {
        bool was_settled = is_settled(guarded);
        take_note(guarded, &checkpoint, note, against, reason);
        resettle(guard, guarded, was_settled);
    }
    count_answer(guard, guarded, peer, now_ms); /* after it was refused: never open in between */
    pthread_mutex_unlock(&guard->mutex);
    if (against != AGAINST_NOTHING) {
        keep(guard, guarded);
    }
    return against != AGAINST_NOTHING;
}

void guard_on_none(struct guard *guard, struct known_log *log, size_t peer, uint64_t now_ms)
{
    struct guarded *guarded = get(guard, log);
    pthread_mutex_lock(&guard->mutex);
    count_answer(guard, guarded, peer, now_ms);
    pthread_mutex_unlock(&guard->mutex);
}

bool guard_wants_ask(struct guard *guard, struct known_log *log, uint64_t now_ms)
{
    pthread_mutex_lock(&guard->mutex);
    struct guarded *guarded = find(guard, log);
    bool is_wanted = guarded != NULL &&
                     (!guarded->was_asked || now_ms >= guarded->asked_ms + GUARD_ASK_AGAIN_MS);
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

/* Locked. For whoever finds out later that one of them knew better. */
static void log_unheard(const struct guard *guard, const struct guarded *guarded)
{
    for (size_t i = 0; i < guard->peer_count; i++) {
        if ((guarded->answered >> i & 1U) == 0) {
            const char *name = guard->peers == NULL ? "" : guard->peers[i];
            log_event(LOG_LEVEL_WARN, "guard_peers_late",
                      "origin=%s peer=%s number=%zu waited_ms=%llu",
                      log_quoted_str(guarded->log->origin).text, log_quoted_str(name).text, i,
                      (unsigned long long)guard->peer_wait_ms);
        }
    }
}

static void tend(struct guard *guard, struct guarded *guarded, uint64_t now_ms)
{
    read_origin(guard, guarded);
    pthread_mutex_lock(&guard->mutex);
    bool has_pending = guarded->newest.len != 0 || guarded->contradiction.len != 0;
    bool was_settled = is_settled(guarded);
    /* An answer may have come after this tick began. */
    if (guarded->is_checking && guarded->answered != 0 &&
        now_ms >= guarded->answered_ms + guard->peer_wait_ms) {
        guarded->is_checking = false;
        log_unheard(guard, guarded);
    }
    resettle(guard, guarded, was_settled);
    pthread_mutex_unlock(&guard->mutex);
    if (has_pending) {
        keep(guard, guarded);
    }
}

/* Once every peer was heard about every log, the mark file may vouch for the store at the next start. */
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
    bool is_trusted = guard->is_mark_new && guard->has_mark && guard->count != 0 &&
                      guard->unsettled == 0 && guard->unheard == 0;
    pthread_mutex_unlock(&guard->mutex);
    if (is_trusted) {
        trust_mark(guard);
    }
}
