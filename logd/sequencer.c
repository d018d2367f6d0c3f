#include "logd/sequencer.h"

#include "base/alloc.h"

#include <assert.h>
#include <sys/queue.h>

/* What one commit has given to STORE. */
struct unstored {
    STAILQ_ENTRY(unstored) next;
    uint64_t size; /* of the tree: STORED of it, or of more, is the end of this */
    size_t bytes;
};

enum phase {
    PHASE_IDLE,
    PHASE_LOOKING_UP,
    PHASE_RESERVING,
    PHASE_HELD, /* for room in the journal */
    PHASE_COMMITTING,
    PHASE_HALTED,
};

struct submission_list {
    struct submission *first;
    struct submission **last; /* where the next one is linked in */
};

struct sequencer {
    struct sequencer_limits limits;
    enum phase phase;
    struct edge edge;
    struct recent recent;
    uint64_t stored;
    uint64_t indexed;
    struct submission_list queue; /* not in a batch yet */

    struct sequencer_batch batch;
    size_t hits_max; /* slots in batch.hits, and in batch.tag_hits */

    /* Of the batch, once sequenced. */
    uint64_t first;
    struct buf entries;
    struct resource *resources;
    struct resource **resources_last;
    struct index_job *index_job;
    size_t resources_bytes;

    STAILQ_HEAD(, unstored) unstored; /* oldest first */
    size_t unstored_bytes;            /* sum of it */

    bool is_refusing;
    bool is_store_failing; /* refusing because of the tiles, not the journal */
    bool is_ended;         /* refusing for good */
    struct err refusal;
};

static void list_init(struct submission_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void list_append(struct submission_list *list, struct submission *submissions)
{
    *list->last = submissions;
    while (*list->last != NULL) {
        list->last = &(*list->last)->next;
    }
}

struct sequencer *sequencer_new(const struct sequencer_limits *limits, struct edge *edge,
                                struct recent *recent, uint64_t stored, uint64_t indexed)
{
    assert(limits->has_dedup || !limits->has_facts);
    struct sequencer *s = NEW(struct sequencer);
    s->limits = *limits;
    edge_init(&s->edge);
    edge_copy(&s->edge, edge);
    edge_clear(edge);
    s->recent = *recent;
    recent_init(recent);
    s->stored = stored;
    s->indexed = indexed;
    list_init(&s->queue);
    STAILQ_INIT(&s->unstored);
    buf_init(&s->entries, limits->batch_bytes_max);
    s->resources_last = &s->resources;
    return s;
}

/* STORED of that size: what was given for smaller trees, and for this one, is on the disk. */
static void forget_unstored(struct sequencer *s, uint64_t size)
{
    struct unstored *oldest;
    while ((oldest = STAILQ_FIRST(&s->unstored)) != NULL && oldest->size <= size) {
        STAILQ_REMOVE_HEAD(&s->unstored, next);
        s->unstored_bytes -= oldest->bytes;
        mem_free(oldest);
    }
}

static void free_submissions(struct submission *submissions)
{
    while (submissions != NULL) {
        struct submission *next = submissions->next;
        submission_free(submissions);
        submissions = next;
    }
}

void sequencer_free(struct sequencer *s)
{
    if (s == NULL) {
        return;
    }
    free_submissions(s->queue.first);
    free_submissions(s->batch.submissions);
    resource_free_all(s->resources);
    forget_unstored(s, UINT64_MAX);
    mem_free(s->index_job);
    mem_free(s->batch.hits);
    mem_free(s->batch.tag_hits);
    buf_clear(&s->entries);
    edge_clear(&s->edge);
    recent_clear(&s->recent);
    mem_free(s);
}

static struct sequencer_action *add_action(struct sequencer_actions *out,
                                           enum sequencer_action_type type)
{
    assert(out->count < SEQUENCER_ACTIONS_MAX);
    struct sequencer_action *action = &out->items[out->count++];
    *action = (struct sequencer_action){ .type = type };
    return action;
}

static void answer(struct sequencer_actions *out, struct submission *submissions,
                   const struct err *err)
{
    struct sequencer_action *action = add_action(out, SEQUENCER_ANSWER);
    action->submissions = submissions;
    if (err != NULL) {
        action->err = *err;
    }
}

/* -- Forming a batch -- */

/* Moves submissions from the queue into the batch while they fit. */
static void fill_batch(struct sequencer *s)
{
    struct submission_list taken;
    list_init(&taken);
    while (s->queue.first != NULL) {
        struct submission *next = s->queue.first;
        if (taken.first != NULL &&
            (next->count > s->limits.batch_entries_max - s->batch.count ||
             next->entries_bytes > s->limits.batch_bytes_max - s->batch.bytes)) {
            break;
        }
        s->queue.first = next->next;
        next->next = NULL;
        list_append(&taken, next);
        s->batch.count += next->count;
        s->batch.bytes += next->entries_bytes;
    }
    if (s->queue.first == NULL) {
        s->queue.last = &s->queue.first;
    }
    s->batch.submissions = taken.first;
}

/* Not while a batch is under way: what its hits miss must still be found among the recent ones. */
static void forget_recent(struct sequencer *s)
{
    if (s->batch.submissions == NULL) {
        recent_forget(&s->recent, s->indexed < s->stored ? s->indexed : s->stored);
    }
}

static void reset_batch(struct sequencer *s)
{
    s->batch.submissions = NULL;
    s->batch.count = 0;
    s->batch.bytes = 0;
    forget_recent(s);
}

static void reserve(struct sequencer *s, struct sequencer_actions *out)
{
    s->phase = PHASE_RESERVING;
    add_action(out, SEQUENCER_RESERVE)->bytes = s->batch.bytes;
}

/* Begins the next batch if there is one and nothing stands in the way. */
static void begin_batch(struct sequencer *s, struct sequencer_actions *out)
{
    if (s->phase != PHASE_IDLE || s->queue.first == NULL) {
        return;
    }
    if (s->is_refusing) {
        answer(out, s->queue.first, &s->refusal);
        list_init(&s->queue);
        return;
    }
    if (s->limits.has_dedup && edge_size(&s->edge) - s->indexed > s->limits.unindexed_max) {
        return; /* INDEXED comes */
    }
    if (s->unstored_bytes > s->limits.unstored_bytes_max) {
        return; /* STORED comes */
    }
    fill_batch(s);
    if (!s->limits.has_dedup) {
        reserve(s, out);
        return;
    }
    if (s->batch.count > s->hits_max) {
        s->hits_max = s->batch.count;
        s->batch.hits = mem_realloc(s->batch.hits, s->hits_max * sizeof *s->batch.hits);
        if (s->limits.has_facts) {
            s->batch.tag_hits =
                mem_realloc(s->batch.tag_hits, s->hits_max * sizeof *s->batch.tag_hits);
        }
    }
    s->phase = PHASE_LOOKING_UP;
    add_action(out, SEQUENCER_LOOK_UP);
}

/* -- Sequencing -- */

static void keep_resource(void *ctx, const struct tile_path *path, struct span bytes)
{
    struct sequencer *s = ctx;
    struct resource *resource = resource_new(path, bytes);
    *s->resources_last = resource;
    s->resources_last = &resource->next;
    s->resources_bytes += bytes.len;
}

/* True when the entry is logged already; the first copy counts, which after a time without
 * deduplication may be in the index although a later one is among the recent. */
static bool find_duplicate(const struct sequencer *s, const struct hash *leaf, uint64_t hit,
                           uint64_t *index)
{
    if (!s->limits.has_dedup) {
        return false;
    }
    if (!recent_find(&s->recent, leaf, index) || hit < *index) {
        *index = hit;
    }
    return *index != SEQUENCER_NO_HIT;
}

/* An entry whose tag is on the log, or in this batch already, with other bytes. */
static void find_conflict(const struct sequencer *s, struct submission *submission,
                          const uint64_t *hits, const uint64_t *tag_hits)
{
    for (size_t i = 0; i < submission->count && !submission->conflict.is_there; i++) {
        const struct entry_facts *facts = &submission->facts[i];
        uint64_t index;
        if (!facts->has_tag || find_duplicate(s, &submission->leaves[i], hits[i], &index)) {
            continue;
        }
        if (!recent_find_tag(&s->recent, &facts->tag, &index)) {
            index = tag_hits[i];
        }
        if (index != SEQUENCER_NO_HIT) {
            submission->conflict =
                (struct submission_conflict){ .is_there = true, .position = i, .index = index };
        }
    }
}

static void sequence_entry(struct sequencer *s, struct span encoded, const struct hash *leaf,
                           const struct entry_facts *facts)
{
    buf_put(&s->entries, encoded);
    if (s->limits.has_dedup) {
        recent_add(&s->recent, leaf, edge_size(&s->edge));
        index_job_add(s->index_job, leaf, facts);
    }
    if (facts != NULL && facts->has_tag) {
        recent_add_tag(&s->recent, &facts->tag, edge_size(&s->edge));
    }
    edge_append(&s->edge, span_slice(encoded, 2, encoded.len - 2), leaf, keep_resource, s);
}

/* Gives every entry of one submission its index; new ones go into the record. */
static void sequence_submission(struct sequencer *s, struct submission *submission,
                                const uint64_t *hits)
{
    struct span rest = span_of(submission->entries, submission->entries_bytes);
    for (size_t i = 0; i < submission->count; i++) {
        struct span entry;
        bool is_there = bundle_take_entry(&rest, &entry);
        assert(is_there);
        const struct hash *leaf = &submission->leaves[i];
        uint64_t hit = hits == NULL ? SEQUENCER_NO_HIT : hits[i];
        submission->duplicate[i] = find_duplicate(s, leaf, hit, &submission->indices[i]);
        if (!submission->duplicate[i]) {
            submission->indices[i] = edge_size(&s->edge);
            sequence_entry(s, span_of(entry.data - 2, entry.len + 2), leaf,
                           submission->facts == NULL ? NULL : &submission->facts[i]);
        }
    }
}

/* The submissions in order. One with a conflict is left out whole, and refused when the others are
 * answered: the entry that it meets may be in this very batch. */
static void sequence_batch(struct sequencer *s)
{
    const uint64_t *hits = s->limits.has_dedup ? s->batch.hits : NULL;
    size_t done = 0;
    for (struct submission *at = s->batch.submissions; at != NULL; at = at->next) {
        assert((at->facts != NULL) == s->limits.has_facts);
        if (s->limits.has_facts) {
            submission_find_conflict(at);
            find_conflict(s, at, hits + done, s->batch.tag_hits + done);
        }
        if (!at->conflict.is_there) {
            sequence_submission(s, at, hits == NULL ? NULL : hits + done);
        }
        done += at->count;
    }
}

static void finish_batch(struct sequencer *s, struct sequencer_actions *out)
{
    answer(out, s->batch.submissions, NULL);
    reset_batch(s);
    s->phase = PHASE_IDLE;
    begin_batch(s, out);
}

/* There is room: the tree moves on, and the record of it goes to the disk. The tree is not told to
 * anyone before COMMITTED; should the commit fail, nobody is told at all. */
static void commit(struct sequencer *s, struct sequencer_actions *out)
{
    s->first = edge_size(&s->edge);
    buf_reset(&s->entries);
    if (s->limits.has_dedup) {
        s->index_job = index_job_new(s->first, s->batch.count, s->limits.has_facts);
    }
    sequence_batch(s);
    if (edge_size(&s->edge) == s->first) { /* duplicates only, each of them durable, or refused */
        mem_free(s->index_job);
        s->index_job = NULL;
        finish_batch(s, out);
        return;
    }
    s->phase = PHASE_COMMITTING;
    struct sequencer_action *action = add_action(out, SEQUENCER_COMMIT);
    action->record = (struct journal_record){
        .first = s->first,
        .size = edge_size(&s->edge),
        .root = edge_root(&s->edge),
        .entries = buf_span(&s->entries),
    };
}

/* -- Events -- */

static void start_refusing(struct sequencer *s, const struct err *err,
                           struct sequencer_actions *out)
{
    if (!s->is_refusing) {
        add_action(out, SEQUENCER_REFUSE)->err = *err;
    }
    s->is_refusing = true;
    s->refusal = *err;
}

static void stop_refusing(struct sequencer *s, struct sequencer_actions *out)
{
    if (s->is_refusing && !s->is_ended) {
        s->is_refusing = false;
        s->is_store_failing = false;
        add_action(out, SEQUENCER_ADMIT);
    }
}

static void on_looked_up(struct sequencer *s, const struct err *err, struct sequencer_actions *out)
{
    assert(s->phase == PHASE_LOOKING_UP);
    if (err == NULL) {
        reserve(s, out);
        return;
    }
    s->phase = PHASE_IDLE;
    answer(out, s->batch.submissions, err);
    reset_batch(s);
    begin_batch(s, out);
}

static void on_reserved(struct sequencer *s, const struct err *err, struct sequencer_actions *out)
{
    assert(s->phase == PHASE_RESERVING);
    if (err != NULL && err->code == E_BUSY && !s->is_ended) {
        s->phase = PHASE_HELD;
        return;
    }
    if (err != NULL) {
        s->phase = PHASE_IDLE;
        start_refusing(s, err, out);
        if (s->batch.submissions != NULL) {
            answer(out, s->batch.submissions, err);
            reset_batch(s);
        }
        begin_batch(s, out);
        return;
    }
    if (s->batch.submissions == NULL) { /* a RETRY found room again */
        s->phase = PHASE_IDLE;
        if (!s->is_store_failing) {
            stop_refusing(s, out);
        }
        begin_batch(s, out);
        return;
    }
    commit(s, out);
}

static void give_to_store(struct sequencer *s, struct sequencer_actions *out)
{
    struct sequencer_action *store = add_action(out, SEQUENCER_STORE);
    store->resources = s->resources;
    store->size = edge_size(&s->edge);
    if (s->resources != NULL) {
        struct unstored *unstored = NEW(struct unstored);
        unstored->size = store->size;
        unstored->bytes = s->resources_bytes;
        STAILQ_INSERT_TAIL(&s->unstored, unstored, next);
        s->unstored_bytes += unstored->bytes;
    }
    s->resources = NULL;
    s->resources_last = &s->resources;
    s->resources_bytes = 0;
}

static void on_committed(struct sequencer *s, const struct err *err, struct sequencer_actions *out)
{
    assert(s->phase == PHASE_COMMITTING);
    if (err != NULL) {
        s->phase = PHASE_HALTED;
        add_action(out, SEQUENCER_HALT)->err = *err;
        return;
    }
    give_to_store(s, out);
    if (s->index_job != NULL) {
        add_action(out, SEQUENCER_INDEX)->index_job = s->index_job;
        s->index_job = NULL;
    }
    finish_batch(s, out);
}

static void on_stored(struct sequencer *s, uint64_t tree_size, struct sequencer_actions *out)
{
    uint64_t size = tree_size / TILE_WIDTH * TILE_WIDTH; /* entries above are in no full tile yet */
    if (size > s->stored) {
        s->stored = size;
        forget_recent(s);
        add_action(out, SEQUENCER_TRIM)->size = size;
    }
    forget_unstored(s, tree_size);
    if (s->is_store_failing) {
        stop_refusing(s, out);
    }
    if (s->phase == PHASE_HELD) {
        reserve(s, out);
    }
    begin_batch(s, out);
}

static void on_retry(struct sequencer *s, struct sequencer_actions *out)
{
    if (s->phase == PHASE_HELD) {
        reserve(s, out);
    } else if (s->phase == PHASE_IDLE && s->is_refusing && !s->is_store_failing && !s->is_ended) {
        s->phase = PHASE_RESERVING; /* without a batch: only to see whether there is room */
        add_action(out, SEQUENCER_RESERVE)->bytes = s->limits.batch_bytes_max;
    }
}

/* A batch on its way is finished; one that waits for room, or for the index, is not begun any more. */
static void on_end(struct sequencer *s, const struct err *err, struct sequencer_actions *out)
{
    s->is_ended = true;
    s->is_refusing = true;
    s->refusal = *err;
    if (s->phase == PHASE_HELD) {
        s->phase = PHASE_IDLE;
        if (s->batch.submissions != NULL) {
            answer(out, s->batch.submissions, err);
            reset_batch(s);
        }
    }
    begin_batch(s, out);
}

void sequencer_step(struct sequencer *s, const struct sequencer_event *event,
                    struct sequencer_actions *out)
{
    assert(out->count == 0);
    if (s->phase == PHASE_HALTED) {
        if (event->type == SEQUENCER_SUBMITTED) {
            list_append(&s->queue, event->submissions);
        }
        return;
    }
    switch (event->type) {
    case SEQUENCER_SUBMITTED:
        list_append(&s->queue, event->submissions);
        begin_batch(s, out);
        break;
    case SEQUENCER_LOOKED_UP:
        on_looked_up(s, event->err, out);
        break;
    case SEQUENCER_RESERVED:
        on_reserved(s, event->err, out);
        break;
    case SEQUENCER_COMMITTED:
        on_committed(s, event->err, out);
        break;
    case SEQUENCER_STORED:
        on_stored(s, event->size, out);
        break;
    case SEQUENCER_STORE_FAILED:
        s->is_store_failing = true;
        start_refusing(s, event->err, out);
        begin_batch(s, out); /* who waits for STORED is answered */
        break;
    case SEQUENCER_INDEXED:
        s->indexed = event->size > s->indexed ? event->size : s->indexed;
        forget_recent(s);
        begin_batch(s, out);
        break;
    case SEQUENCER_RETRY:
        on_retry(s, out);
        break;
    case SEQUENCER_END:
        on_end(s, event->err, out);
        break;
    }
}

const struct sequencer_batch *sequencer_batch(const struct sequencer *s)
{
    assert(s->phase == PHASE_LOOKING_UP);
    return &s->batch;
}

const struct edge *sequencer_edge(const struct sequencer *s)
{
    assert(s->phase != PHASE_COMMITTING);
    assert(s->phase != PHASE_HALTED); /* nor is it known to be durable then */
    return &s->edge;
}

bool sequencer_is_idle(const struct sequencer *s)
{
    return s->phase == PHASE_IDLE && s->queue.first == NULL;
}
