/* An honest witness signs sizes that never shrink, at times that never go back. Notes come here in any order,
 * each with the time when its line was made, so two lines convict only when the smaller size has the strictly
 * later time, or one size has two roots. */
#include "monitor/witness_memory.h"

#include "base/alloc.h"
#include "monitor/contradiction.h"
#include "monitor/known_note.h"
#include "monitor/witness_slot.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

/* One for each log, as long as there are fewer logs than that: what is read is written again. */
enum {
    LOCKS = 64
};
static struct locks {
    pthread_mutex_t all[LOCKS];
} locks;
static pthread_once_t locks_once = PTHREAD_ONCE_INIT;

static void init_locks(void)
{
    for (size_t i = 0; i < LOCKS; i++) {
        pthread_mutex_init(&locks.all[i], NULL);
    }
}

static pthread_mutex_t *lock_of(const struct watched_log *log)
{
    pthread_once(&locks_once, init_locks);
    return &locks.all[watched_log_origin_hash(log)->bytes[0] % LOCKS];
}

struct adding {
    struct watched_log *log;
    const char *from;
    const struct known_note *note;
    int64_t now_s;
    struct kv_batch batch; /* slots that move */
};

/* What a witness says on the note that came. */
struct line {
    size_t witness;
    const struct vkey *key;
    uint64_t size, time;
    struct hash root;
    struct buf note; /* owned */
};

static struct line line_of(const struct adding *adding, size_t witness)
{
    const struct policy_verdict *verdict = &adding->note->verdict;
    const struct policy *policy = watched_log_options(adding->log)->policy;
    struct line line = { .witness = witness,
                         .key = &policy_witness_at(policy, witness)->vkey,
                         .size = verdict->checkpoint.size,
                         .time = verdict->timestamps[witness],
                         .root = verdict->checkpoint.root,
                         .note = BUF_INIT(KNOWN_NOTE_BYTES_MAX) };
    known_note_put_for_witness(&line.note, adding->note, witness);
    return line;
}

/* -- two lines that cannot both be honest -- */

static bool has_other_root(const struct line *line, const struct witness_slot *kept)
{
    return line->size == kept->size && !hash_is_equal(&line->root, &kept->root);
}

static bool is_smaller_later(const struct line *line, const struct witness_slot *kept)
{
    return (line->size < kept->size && line->time > kept->time) ||
           (line->size > kept->size && line->time < kept->time);
}

static enum err_code raise_pair(const struct adding *adding, const struct line *line,
                                const struct witness_slot *kept, enum contradiction_kind kind,
                                const struct hash *claim, const char *detail, struct err *err)
{
    struct contradiction contradiction = {
        .kind = kind,
        .witness = line->witness,
        .from = adding->from,
        .claim = *claim,
        .detail = detail,
        .notes = { buf_span(&line->note), buf_span(&kept->note) },
    };
    struct hash id;
    bool has_evidence;
    return contradiction_raise(adding->log, &contradiction, adding->now_s, &has_evidence, &id, err);
}

/* Both notes are under the log's key, so that it is the log's fork as well. */
static enum err_code raise_other_root(const struct adding *adding, const struct line *line,
                                      const struct witness_slot *kept, struct err *err)
{
    char detail[256];
    struct hash claim = contradiction_claim(1, line->size, hash_span(&line->root));
    snprintf(detail, sizeof detail,
             "two checkpoints of size %" PRIu64 " with different roots, both signed by the log and "
             "both cosigned by this witness.",
             line->size);
    enum err_code rc =
        raise_pair(adding, line, kept, CONTRADICTION_EQUIVOCATION, &claim, detail, err);
    if (rc == E_OK) {
        snprintf(detail, sizeof detail,
                 "two checkpoints of size %" PRIu64
                 " with different roots, both signed by the log.",
                 line->size);
        rc = raise_pair(adding, line, kept, CONTRADICTION_FORK, &claim, detail, err);
    }
    return rc;
}

static enum err_code raise_smaller_later(const struct adding *adding, const struct line *line,
                                         const struct witness_slot *kept, struct err *err)
{
    bool is_line_smaller = line->size < kept->size;
    uint64_t small_size = is_line_smaller ? line->size : kept->size;
    uint64_t small_time = is_line_smaller ? line->time : kept->time;
    uint8_t time[8];
    for (size_t i = 0; i < sizeof time; i++) {
        time[i] = (uint8_t)(line->time >> (8 * i));
    }
    struct hash claim = contradiction_claim(3, line->size, SPAN_OF_ARRAY(time));
    char detail[256];
    snprintf(detail, sizeof detail,
             "the witness cosigned size %" PRIu64 " at time %" PRIu64
             ", though it had cosigned size %" PRIu64 " at time %" PRIu64 " before.",
             small_size, small_time, is_line_smaller ? kept->size : line->size,
             is_line_smaller ? kept->time : line->time);
    return raise_pair(adding, line, kept, CONTRADICTION_EQUIVOCATION, &claim, detail, err);
}

static enum err_code compare(const struct adding *adding, const struct line *line,
                             const struct witness_slot *kept, struct err *err)
{
    if (!kept->is_there) {
        return E_OK;
    }
    if (has_other_root(line, kept)) {
        return raise_other_root(adding, line, kept, err);
    }
    return is_smaller_later(line, kept) ? raise_smaller_later(adding, line, kept, err) : E_OK;
}

/* -- what is kept -- */

static bool is_kept_instead(const struct line *line, const struct witness_slot *kept,
                            enum witness_slot_kind kind)
{
    if (!kept->is_there) {
        return true;
    }
    return kind == WITNESS_SLOT_SIZE
               ? line->size > kept->size || (line->size == kept->size && line->time < kept->time)
               : line->time > kept->time || (line->time == kept->time && line->size < kept->size);
}

static enum err_code add_to_slot(struct adding *adding, const struct line *line,
                                 enum witness_slot_kind kind, struct err *err)
{
    struct witness_slot kept;
    enum err_code rc = witness_slot_read(&kept, adding->log, line->key, kind, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = compare(adding, line, &kept, err);
    if (rc == E_OK && is_kept_instead(line, &kept, kind)) {
        struct witness_slot next = { true, line->size, line->time, line->root, line->note };
        witness_slot_put(&adding->batch, adding->log, line->key, kind, &next);
    }
    witness_slot_clear(&kept);
    return rc;
}

static enum err_code add_line(struct adding *adding, size_t witness, struct err *err)
{
    struct line line = line_of(adding, witness);
    enum err_code rc = E_OK;
    for (int kind = 0; rc == E_OK && kind < WITNESS_SLOT_KINDS; kind++) {
        rc = add_to_slot(adding, &line, (enum witness_slot_kind)kind, err);
    }
    buf_clear(&line.note);
    return rc;
}

static enum err_code add_lines(struct adding *adding, struct err *err)
{
    enum err_code rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < adding->note->witness_line_count; i++) {
        rc = add_line(adding, adding->note->witness_lines[i].witness, err);
    }
    if (rc == E_OK && adding->batch.count > 0) {
        rc = state_store_write(watched_log_options(adding->log)->store, &adding->batch, err);
    }
    return rc;
}

enum err_code witness_memory_add(struct watched_log *log, const char *from, struct span bytes,
                                 int64_t now_s, struct err *err)
{
    struct known_note *note = NEW(struct known_note);
    if (known_note_open(note, watched_log_options(log), bytes, err) != E_OK) {
        mem_free(note);
        return E_OK; /* it convicts nobody, whatever the caller thought of it */
    }
    struct adding adding = { .log = log, .from = from, .note = note, .now_s = now_s };
    kv_batch_init(&adding.batch);
    pthread_mutex_lock(lock_of(log));
    enum err_code rc = add_lines(&adding, err);
    pthread_mutex_unlock(lock_of(log));
    kv_batch_clear(&adding.batch);
    known_note_clear(note);
    mem_free(note);
    return rc;
}
