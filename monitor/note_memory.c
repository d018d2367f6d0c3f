/* A note is compared when it comes. If that cannot be done yet it waits in a slot, and note_memory_look tries
 * again. Comparing reads files of the log, so it is done without the lock: a slot is copied, compared, and
 * then left alone if another note has come into it meanwhile. What is raised comes before what is forgotten. */
#include "monitor/note_memory.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "monitor/compare_parts.h"
#include "monitor/contradiction.h"
#include "monitor/note_slot.h"
#include "monitor/witness_memory.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

enum {
    SLOTS = NOTE_MEMORY_SLOTS_MAX + NOTE_MEMORY_REJECTED_MAX
};

static const char log_itself[] = "the log itself";

struct note_memory {
    struct watched_log *log; /* borrowed */
    pthread_mutex_t lock;    /* of all below, and of what is stored of it */
    size_t count, rejected_count;
    struct note_slot slots[SLOTS]; /* owned; by number */
    uint64_t last_number;
    uint64_t scan_at;        /* how far the follower had read at the last look */
    struct older_tree *tree; /* owned; who sets is_tree_lent uses it */
    bool is_tree_lent;
    struct buf contradiction; /* owned; the last note that contradicted our tree, or empty */
};

/* -- the slots; all of these are called locked, but for opening -- */

static void append_slot(struct note_memory *memory, struct note_slot *slot)
{
    assert(memory->count < SLOTS);
    slot->number = ++memory->last_number;
    memory->slots[memory->count++] = *slot;
    memory->rejected_count += slot->is_rejected ? 1 : 0;
}

static void drop_slot(struct note_memory *memory, size_t at)
{
    memory->rejected_count -= memory->slots[at].is_rejected ? 1 : 0;
    note_slot_clear(&memory->slots[at]);
    memory->count--;
    memmove(&memory->slots[at], &memory->slots[at + 1],
            (memory->count - at) * sizeof memory->slots[0]);
}

static bool has_room(const struct note_memory *memory, bool is_rejected)
{
    return is_rejected ? memory->rejected_count < NOTE_MEMORY_REJECTED_MAX
                       : memory->count - memory->rejected_count < NOTE_MEMORY_SLOTS_MAX;
}

static struct note_slot *find_slot(struct note_memory *memory, const char *vantage, bool is_latest)
{
    for (size_t i = 0; i < memory->count; i++) {
        struct note_slot *slot = &memory->slots[i];
        if (!slot->is_rejected && slot->is_latest == is_latest &&
            strcmp(slot->vantage, vantage) == 0) {
            return slot;
        }
    }
    return NULL;
}

static struct note_slot *find_rejected(struct note_memory *memory,
                                       const struct checkpoint *checkpoint)
{
    for (size_t i = 0; i < memory->count; i++) {
        struct note_slot *slot = &memory->slots[i];
        if (slot->is_rejected && checkpoint_is_equal(&slot->checkpoint, checkpoint)) {
            return slot;
        }
    }
    return NULL;
}

/* The position of the largest rejected note. */
static size_t find_largest_rejected(const struct note_memory *memory)
{
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < memory->count; i++) {
        if (memory->slots[i].is_rejected &&
            (at == SIZE_MAX ||
             memory->slots[i].checkpoint.size > memory->slots[at].checkpoint.size)) {
            at = i;
        }
    }
    assert(at != SIZE_MAX);
    return at;
}

/* The position of the smallest note of a vantage. */
static size_t find_smallest(const struct note_memory *memory)
{
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < memory->count; i++) {
        if (!memory->slots[i].is_rejected &&
            (at == SIZE_MAX ||
             memory->slots[i].checkpoint.size < memory->slots[at].checkpoint.size)) {
            at = i;
        }
    }
    assert(at != SIZE_MAX);
    return at;
}

static enum err_code add_slot(struct note_memory *memory, const char *vantage, bool is_latest,
                              const struct known_note *note, const struct monitor_time *now,
                              struct err *err)
{
    bool is_rejected = vantage == NULL;
    if (!has_room(memory, is_rejected)) {
        /* Of the log's own the smallest stay: those are compared first, and sizes that no tree ever
         * reaches keep none of them out. */
        uint64_t size = note->verdict.checkpoint.size;
        size_t at = is_rejected ? find_largest_rejected(memory) : find_smallest(memory);
        uint64_t kept = memory->slots[at].checkpoint.size;
        if (is_rejected ? kept <= size : kept >= size) {
            return E_OK;
        }
        enum err_code rc = note_slot_delete(&memory->slots[at], memory->log, err);
        if (rc != E_OK) {
            return rc;
        }
        drop_slot(memory, at);
    }
    struct note_slot slot;
    note_slot_init(&slot, vantage, is_latest, note, now);
    enum err_code rc = note_slot_write(&slot, memory->log, err);
    if (rc == E_OK) {
        append_slot(memory, &slot);
    } else {
        note_slot_clear(&slot);
    }
    return rc;
}

/* The same checkpoint with more lines. */
static bool is_better(const struct known_note *note, const struct note_slot *slot)
{
    return checkpoint_is_equal(&note->verdict.checkpoint, &slot->checkpoint) &&
           note->log_line_count + note->witness_line_count > slot->line_count;
}

/* What waits is not pushed out by what the vantage shows next: that has a slot of its own, where the newest
 * stays. So a lie that was shown once is compared, whatever is shown after it. After a failed write the
 * store has the old note or the new one: either may wait. */
static enum err_code keep(struct note_memory *memory, const char *vantage,
                          const struct known_note *note, const struct monitor_time *now,
                          struct err *err)
{
    const struct checkpoint *checkpoint = &note->verdict.checkpoint;
    struct note_slot *slot = find_slot(memory, vantage, false);
    bool is_latest = slot != NULL && !checkpoint_is_equal(checkpoint, &slot->checkpoint);
    if (is_latest) {
        slot = find_slot(memory, vantage, true);
    }
    if (slot == NULL) {
        return add_slot(memory, vantage, is_latest, note, now, err);
    }
    if (checkpoint_is_equal(checkpoint, &slot->checkpoint) && !is_better(note, slot)) {
        return E_OK;
    }
    note_slot_replace(slot, note, now);
    return note_slot_write(slot, memory->log, err);
}

/* -- opening -- */

static enum err_code on_stored(void *ctx, struct note_slot *slot, struct err *err)
{
    struct note_memory *memory = ctx;
    (void)err;
    if (has_room(memory, slot->is_rejected)) {
        append_slot(memory, slot);
    } else {
        note_slot_clear(slot);
    }
    return E_OK;
}

enum err_code note_memory_open(struct note_memory **out, struct watched_log *log, struct err *err)
{
    struct note_memory *memory = NEW(struct note_memory);
    memory->log = log;
    memory->tree = older_tree_new(log);
    buf_init(&memory->contradiction, KNOWN_NOTE_BYTES_MAX);
    pthread_mutex_init(&memory->lock, NULL);
    enum err_code rc = note_slot_read_all(log, memory, on_stored, err);
    if (rc != E_OK) {
        note_memory_free(memory);
        return rc;
    }
    *out = memory;
    return E_OK;
}

void note_memory_free(struct note_memory *memory)
{
    if (memory == NULL) {
        return;
    }
    while (memory->count > 0) {
        drop_slot(memory, memory->count - 1);
    }
    older_tree_free(memory->tree);
    buf_clear(&memory->contradiction);
    pthread_mutex_destroy(&memory->lock);
    mem_free(memory);
}

/* -- comparing -- */

/* The tree whose tiles stay open, or one of our own while another thread has that. */
static struct older_tree *borrow_tree(struct note_memory *memory)
{
    pthread_mutex_lock(&memory->lock);
    bool is_lent = memory->is_tree_lent;
    memory->is_tree_lent = true;
    pthread_mutex_unlock(&memory->lock);
    return is_lent ? older_tree_new(memory->log) : memory->tree;
}

static void give_back_tree(struct note_memory *memory, struct older_tree *tree)
{
    if (tree != memory->tree) {
        older_tree_free(tree);
        return;
    }
    pthread_mutex_lock(&memory->lock);
    memory->is_tree_lent = false;
    pthread_mutex_unlock(&memory->lock);
}

static enum err_code compare(struct note_memory *memory, const char *from, struct span note,
                             const struct monitor_time *now, struct compare_outcome *out,
                             struct err *err)
{
    struct older_tree *tree = borrow_tree(memory);
    enum err_code rc = compare_note_in(memory->log, tree, from, note, now, out, err);
    give_back_tree(memory, tree);
    return rc;
}

/* Without lines of strangers, which could make it too long to be told. */
static void remember_contradiction(struct note_memory *memory, struct span bytes)
{
    struct known_note *note = NEW(struct known_note);
    struct err err;
    if (known_note_open(note, watched_log_options(memory->log), bytes, &err) == E_OK) {
        pthread_mutex_lock(&memory->lock);
        buf_reset(&memory->contradiction);
        known_note_put(&memory->contradiction, note);
        pthread_mutex_unlock(&memory->lock);
        known_note_clear(note);
    }
    mem_free(note);
}

static bool must_wait(enum compare_result result)
{
    return result == COMPARE_AHEAD || result == COMPARE_NO_DATA || result == COMPARE_NOTHING_HELD;
}

/* Two notes of one size with two roots are a fork though the data of neither is served. */
static bool copy_contradicting(struct note_memory *memory, const struct checkpoint *checkpoint,
                               struct buf *out)
{
    bool is_found = false;
    pthread_mutex_lock(&memory->lock);
    for (size_t i = 0; !is_found && i < memory->count; i++) {
        const struct note_slot *slot = &memory->slots[i];
        is_found = slot->checkpoint.size == checkpoint->size &&
                   !hash_is_equal(&slot->checkpoint.root, &checkpoint->root);
        if (is_found) {
            buf_put(out, buf_span(&slot->note));
        }
    }
    pthread_mutex_unlock(&memory->lock);
    return is_found;
}

static enum err_code raise_pair(struct note_memory *memory, const char *from,
                                const struct known_note *note, struct span other, int64_t now_s,
                                bool *has_evidence, struct hash *id, struct err *err)
{
    const struct checkpoint *checkpoint = &note->verdict.checkpoint;
    struct buf bytes = BUF_INIT(KNOWN_NOTE_BYTES_MAX);
    char detail[256];
    known_note_put(&bytes, note);
    snprintf(detail, sizeof detail,
             "two checkpoints of size %" PRIu64 " with different roots, both signed by the log.",
             checkpoint->size);
    struct contradiction fork = {
        .kind = CONTRADICTION_FORK,
        .from = from,
        .claim = contradiction_claim(1, checkpoint->size, hash_span(&checkpoint->root)),
        .detail = detail,
        .notes = { buf_span(&bytes), other },
    };
    enum err_code rc = contradiction_raise(memory->log, &fork, now_s, has_evidence, id, err);
    buf_clear(&bytes);
    return rc;
}

static enum err_code look_for_pair(struct note_memory *memory, const char *from,
                                   const struct known_note *note, int64_t now_s, bool *is_found,
                                   bool *has_evidence, struct hash *id, struct err *err)
{
    struct buf other = BUF_INIT(KNOWN_NOTE_BYTES_MAX);
    enum err_code rc = E_OK;
    *is_found = copy_contradicting(memory, &note->verdict.checkpoint, &other);
    if (*is_found) {
        rc = raise_pair(memory, from, note, buf_span(&other), now_s, has_evidence, id, err);
    }
    buf_clear(&other);
    return rc;
}

static enum err_code wait(struct note_memory *memory, const char *vantage, struct span bytes,
                          const struct monitor_time *now, struct compare_outcome *outcome,
                          struct err *err)
{
    struct known_note *note = NEW(struct known_note);
    enum err_code rc = known_note_open(note, watched_log_options(memory->log), bytes, err);
    if (rc != E_OK) {
        mem_free(note);
        return rc;
    }
    bool is_found;
    rc = look_for_pair(memory, vantage, note, now->unix_s, &is_found, &outcome->has_evidence,
                       &outcome->evidence_id, err);
    if (rc == E_OK) {
        outcome->result = is_found ? COMPARE_CONTRADICTION : outcome->result;
        pthread_mutex_lock(&memory->lock);
        rc = keep(memory, vantage, note, now, err);
        pthread_mutex_unlock(&memory->lock);
    }
    known_note_clear(note);
    mem_free(note);
    return rc;
}

enum err_code note_memory_on_note(struct note_memory *memory, const char *vantage, struct span note,
                                  const struct monitor_time *now, struct compare_outcome *out,
                                  struct err *err)
{
    assert(strlen(vantage) < LOG_ADDRESS_MAX);
    struct compare_outcome outcome;
    enum err_code rc = compare(memory, vantage, note, now, &outcome, err);
    if (rc == E_OK) {
        rc = witness_memory_add(memory->log, vantage, note, now->unix_s, err);
    }
    if (rc == E_OK && must_wait(outcome.result)) {
        rc = wait(memory, vantage, note, now, &outcome, err);
    }
    if (rc == E_OK) {
        if (outcome.result == COMPARE_CONTRADICTION) {
            remember_contradiction(memory, note);
        }
        *out = outcome;
    }
    return rc;
}

static enum err_code add_rejected(struct note_memory *memory, const struct known_note *note,
                                  struct span bytes, const struct monitor_time *now,
                                  struct err *err)
{
    pthread_mutex_lock(&memory->lock);
    bool is_known = find_rejected(memory, &note->verdict.checkpoint) != NULL;
    pthread_mutex_unlock(&memory->lock);
    if (is_known) {
        return E_OK;
    }
    bool is_found, has_evidence;
    struct hash id;
    enum err_code rc = witness_memory_add(memory->log, log_itself, bytes, now->unix_s, err);
    if (rc == E_OK) {
        rc = look_for_pair(memory, log_itself, note, now->unix_s, &is_found, &has_evidence, &id,
                           err);
    }
    if (rc == E_OK) {
        pthread_mutex_lock(&memory->lock);
        rc = add_slot(memory, NULL, false, note, now, err);
        pthread_mutex_unlock(&memory->lock);
    }
    return rc;
}

enum err_code note_memory_on_rejected(struct note_memory *memory, struct span bytes,
                                      const struct monitor_time *now, struct err *err)
{
    struct known_note *note = NEW(struct known_note);
    enum err_code rc = known_note_open(note, watched_log_options(memory->log), bytes, err);
    if (rc == E_OK) {
        rc = add_rejected(memory, note, bytes, now, err);
        known_note_clear(note);
    }
    mem_free(note);
    return rc;
}

/* -- looking again -- */

struct looking {
    struct note_memory *memory;
    const struct monitor_time *now;
    struct held_tree held;
    struct watched_status status;
    bool has_progress; /* the follower has read on since the last look, and is not done */
    uint64_t number;   /* of the slot looked at */
    /* A copy of it. */
    uint64_t revision;
    bool is_silent; /* rejected, or beside a note of the same vantage that waits for longer */
    char vantage[LOG_ADDRESS_MAX];
    struct buf note; /* owned */
    uint64_t size, wait_size, waited_s;
};

static struct note_slot *slot_of(const struct looking *looking)
{
    for (size_t i = 0; i < looking->memory->count; i++) {
        if (looking->memory->slots[i].number == looking->number) {
            return &looking->memory->slots[i];
        }
    }
    return NULL;
}

/* Copies the next slot in the order of numbers; false when there is none. */
static bool copy_next(struct looking *looking)
{
    struct note_memory *memory = looking->memory;
    struct note_slot *next = NULL;
    pthread_mutex_lock(&memory->lock);
    for (size_t i = 0; next == NULL && i < memory->count; i++) {
        next = memory->slots[i].number > looking->number ? &memory->slots[i] : NULL;
    }
    if (next != NULL) {
        looking->number = next->number;
        looking->revision = next->revision;
        looking->is_silent = next->is_rejected ||
                             (next->is_latest && find_slot(memory, next->vantage, false) != NULL);
        snprintf(looking->vantage, sizeof looking->vantage, "%s",
                 next->is_rejected ? log_itself : next->vantage);
        buf_reset(&looking->note);
        buf_put(&looking->note, buf_span(&next->note));
        looking->size = next->checkpoint.size;
        looking->wait_size = next->wait_size;
        looking->waited_s = note_clock_seconds(&next->waiting, looking->now);
    }
    pthread_mutex_unlock(&memory->lock);
    return next != NULL;
}

static bool is_covered(const struct looking *looking, uint64_t size)
{
    return looking->held.is_there && size <= looking->held.range.size;
}

static void put_subject(char out[static FINDING_SUBJECT_MAX], const char *vantage)
{
    struct buf text = BUF_INIT(4 * LOG_ADDRESS_MAX + 8);
    ascii_put_escaped(&text, span_of_str(vantage), LOG_ADDRESS_MAX);
    snprintf(out, FINDING_SUBJECT_MAX, "%s", buf_c_str(&text));
    buf_clear(&text);
}

static enum err_code clear_withheld(const struct looking *looking, struct err *err)
{
    const struct finding_sink *sink = &watched_log_options(looking->memory->log)->sink;
    char subject[FINDING_SUBJECT_MAX];
    if (looking->is_silent) {
        return E_OK;
    }
    put_subject(subject, looking->vantage);
    return sink->clear(sink->ctx, FINDING_WITHHELD, watched_log_origin(looking->memory->log),
                       subject, looking->now->unix_s, err);
}

/* `why` is what a server said, or empty. */
static void put_summary(char out[static FINDING_SUMMARY_MAX], const struct looking *looking,
                        const char *why)
{
    struct buf text = BUF_INIT(4 * ERR_MSG_MAX + 8);
    ascii_put_escaped(&text, span_of_str(why), 256);
    if (is_covered(looking, looking->size)) {
        snprintf(out, FINDING_SUMMARY_MAX,
                 "A checkpoint of size %" PRIu64
                 ", signed by the log, was shown there; for %" PRIu64
                 " s nobody has served the tiles to compare it with the tree of size %" PRIu64
                 " that was verified here: %s.",
                 looking->size, looking->waited_s, looking->held.range.size, buf_c_str(&text));
    } else {
        snprintf(out, FINDING_SUMMARY_MAX,
                 "A checkpoint of size %" PRIu64
                 ", signed by the log, was shown there; for %" PRIu64
                 " s the log has not served us a tree of size %" PRIu64
                 " or more that could be verified. We hold %s%" PRIu64 " entries.",
                 looking->size, looking->waited_s, looking->wait_size,
                 looking->held.is_there ? "" : "nothing yet, ", looking->held.range.size);
    }
    buf_clear(&text);
}

/* A long scan, as of the first start, that gets on towards a tree as large as that is no withholding; nor while
 * the log shows us such a tree, and we still read a smaller one. */
static bool is_being_read(const struct looking *looking)
{
    const struct watched_status *status = &looking->status;
    bool is_shown = status->scan_to >= looking->wait_size || status->log_size >= looking->wait_size;
    return is_shown && (status->is_scanning || looking->has_progress);
}

static enum err_code raise_withheld(const struct looking *looking, const char *why, struct err *err)
{
    const struct watched_log_options *options = watched_log_options(looking->memory->log);
    uint64_t after_s = options->thresholds.withheld_after_s;
    if (looking->is_silent || after_s == 0 || looking->waited_s < after_s ||
        is_being_read(looking)) {
        return E_OK;
    }
    struct finding finding = { .code = FINDING_WITHHELD,
                               .origin = watched_log_origin(looking->memory->log),
                               .evidence = buf_span(&looking->note) };
    put_subject(finding.subject, looking->vantage);
    put_summary(finding.summary, looking, why);
    return options->sink.raise(options->sink.ctx, &finding, looking->now->unix_s, err);
}

/* The size that was first too large is there by now; a larger note has come since, and waits from then on. */
static enum err_code wait_anew(struct looking *looking, struct err *err)
{
    struct note_memory *memory = looking->memory;
    enum err_code rc = clear_withheld(looking, err);
    if (rc != E_OK) {
        return rc;
    }
    pthread_mutex_lock(&memory->lock);
    struct note_slot *slot = slot_of(looking);
    if (slot != NULL) {
        slot->wait_size = slot->checkpoint.size;
        slot->waiting = slot->shown;
        looking->wait_size = slot->wait_size;
        looking->waited_s = note_clock_seconds(&slot->waiting, looking->now);
        rc = note_slot_write(slot, memory->log, err);
    }
    pthread_mutex_unlock(&memory->lock);
    return rc;
}

static enum err_code leave(const struct looking *looking, struct err *err)
{
    struct note_memory *memory = looking->memory;
    enum err_code rc = clear_withheld(looking, err);
    if (rc != E_OK) {
        return rc;
    }
    pthread_mutex_lock(&memory->lock);
    struct note_slot *slot = slot_of(looking);
    if (slot != NULL && slot->revision == looking->revision) {
        rc = note_slot_delete(slot, memory->log, err);
        if (rc == E_OK) {
            drop_slot(memory, (size_t)(slot - memory->slots));
        }
    }
    pthread_mutex_unlock(&memory->lock);
    return rc;
}

static enum err_code compare_slot(struct looking *looking, struct err *err)
{
    struct compare_outcome outcome;
    struct err why;
    enum err_code rc = compare(looking->memory, looking->vantage, buf_span(&looking->note),
                               looking->now, &outcome, &why);
    if (rc == E_MALFORMED || rc == E_NOT_FOUND || rc == E_BAD_SIGNATURE) {
        return leave(looking, err); /* the policy has another key by now */
    }
    if (rc != E_OK) {
        *err = why;
        return rc;
    }
    if (outcome.result == COMPARE_CONTRADICTION) {
        remember_contradiction(looking->memory, buf_span(&looking->note));
    }
    return must_wait(outcome.result) ? raise_withheld(looking, outcome.detail, err)
                                     : leave(looking, err);
}

static enum err_code look_at_slot(struct looking *looking, struct err *err)
{
    if (is_covered(looking, looking->size)) {
        return compare_slot(looking, err);
    }
    enum err_code rc = E_OK;
    if (is_covered(looking, looking->wait_size)) {
        rc = wait_anew(looking, err);
    }
    return rc == E_OK ? raise_withheld(looking, "", err) : rc;
}

/* Between two looks the files of a log need not stay open. */
static void rest(struct note_memory *memory)
{
    pthread_mutex_lock(&memory->lock);
    if (!memory->is_tree_lent) {
        older_tree_rest(memory->tree);
    }
    pthread_mutex_unlock(&memory->lock);
}

static void look_at_progress(struct looking *looking)
{
    struct note_memory *memory = looking->memory;
    watched_log_status(memory->log, &looking->status);
    pthread_mutex_lock(&memory->lock);
    looking->has_progress = looking->status.scan_at != memory->scan_at &&
                            looking->status.scan_at < looking->status.scan_to;
    memory->scan_at = looking->status.scan_at;
    pthread_mutex_unlock(&memory->lock);
}

/* One slot that fails does not hold up the others: the first error is told. */
enum err_code note_memory_look(struct note_memory *memory, const struct monitor_time *now,
                               struct err *err)
{
    struct looking looking = { .memory = memory,
                               .now = now,
                               .note = BUF_INIT(KNOWN_NOTE_BYTES_MAX) };
    enum err_code rc = E_OK;
    watched_log_held(memory->log, &looking.held);
    look_at_progress(&looking);
    while (copy_next(&looking)) {
        struct err why;
        if (look_at_slot(&looking, &why) != E_OK && rc == E_OK) {
            *err = why;
            rc = why.code;
        }
    }
    rest(memory);
    held_tree_clear(&looking.held);
    buf_clear(&looking.note);
    return rc;
}

/* -- for people -- */

bool note_memory_next(struct note_memory *memory, uint64_t above, struct buf *note, uint64_t *size,
                      const struct monitor_time *now, uint64_t *waiting_s)
{
    struct note_slot *next = NULL;
    pthread_mutex_lock(&memory->lock);
    for (size_t i = 0; i < memory->count; i++) {
        struct note_slot *slot = &memory->slots[i];
        if (slot->checkpoint.size > above &&
            (next == NULL || slot->checkpoint.size < next->checkpoint.size)) {
            next = slot;
        }
    }
    if (next != NULL) {
        buf_put(note, buf_span(&next->note));
        *size = next->checkpoint.size;
        *waiting_s = note_clock_seconds(&next->waiting, now);
    }
    pthread_mutex_unlock(&memory->lock);
    return next != NULL;
}

bool note_memory_contradiction(struct note_memory *memory, struct buf *note)
{
    pthread_mutex_lock(&memory->lock);
    bool is_there = memory->contradiction.len > 0;
    buf_put(note, buf_span(&memory->contradiction));
    pthread_mutex_unlock(&memory->lock);
    return is_there;
}

size_t note_memory_count(struct note_memory *memory)
{
    pthread_mutex_lock(&memory->lock);
    size_t count = memory->count;
    pthread_mutex_unlock(&memory->lock);
    return count;
}
