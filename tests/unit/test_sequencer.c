#include "logd/sequencer.h"
#include "tests/support/death.h"
#include "tests/support/entries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_hash_equal(a, b) assert_memory_equal((a)->bytes, (b)->bytes, HASH_BYTES)

enum {
    BYTES_MAX = CALL_BYTES_MAX
};

static struct sequencer *s;
static struct sequencer_actions actions; /* of the last step */
static uint64_t durable;                 /* what a commit has made so */

static void start_at(struct edge *edge, struct recent *recent,
                     const struct sequencer_limits *limits, uint64_t indexed)
{
    durable = edge_size(edge);
    s = sequencer_new(limits, edge, recent, durable / TILE_WIDTH * TILE_WIDTH, indexed);
}

static void start(const struct sequencer_limits *limits)
{
    struct edge *edge = NEW(struct edge);
    struct recent recent;
    edge_init(edge);
    recent_init(&recent);
    start_at(edge, &recent, limits, 0);
    mem_free(edge);
}

static const struct sequencer_limits with_dedup = {
    .has_dedup = true,
    .batch_entries_max = COMMIT_ENTRIES_MAX,
    .batch_bytes_max = BYTES_MAX,
    .unindexed_max = UINT64_MAX,
    .unstored_bytes_max = SIZE_MAX,
};
static const struct sequencer_limits without_dedup = {
    .batch_entries_max = COMMIT_ENTRIES_MAX,
    .batch_bytes_max = BYTES_MAX,
    .unindexed_max = UINT64_MAX,
    .unstored_bytes_max = SIZE_MAX,
};
static const struct sequencer_limits with_facts = {
    .has_dedup = true,
    .batch_entries_max = COMMIT_ENTRIES_MAX,
    .batch_bytes_max = BYTES_MAX,
    .unindexed_max = UINT64_MAX,
    .unstored_bytes_max = SIZE_MAX,
    .has_facts = true,
};

static int setup(void **state)
{
    (void)state;
    start(&with_dedup);
    return 0;
}

static int setup_with_facts(void **state)
{
    (void)state;
    start(&with_facts);
    return 0;
}

static int setup_without_dedup(void **state)
{
    (void)state;
    start(&without_dedup);
    return 0;
}

static void clear_actions(void)
{
    for (size_t i = 0; i < actions.count; i++) {
        struct sequencer_action *action = &actions.items[i];
        while (action->submissions != NULL) {
            struct submission *next = action->submissions->next;
            submission_free(action->submissions);
            action->submissions = next;
        }
        while (action->resources != NULL) {
            struct resource *next = action->resources->next;
            mem_free(action->resources);
            action->resources = next;
        }
        mem_free(action->index_job);
    }
    actions.count = 0;
}

static int teardown(void **state)
{
    (void)state;
    clear_actions();
    sequencer_free(s);
    return 0;
}

static bool has_result(enum sequencer_action_type type)
{
    return type == SEQUENCER_LOOK_UP || type == SEQUENCER_RESERVE || type == SEQUENCER_COMMIT;
}

/* What holds in every step: an action with a result is the last one, and nobody is told of an entry
 * that is not durable. */
static void check_actions(void)
{
    for (size_t i = 0; i < actions.count; i++) {
        const struct sequencer_action *action = &actions.items[i];
        assert_true(!has_result(action->type) || i == actions.count - 1);
        if (action->type == SEQUENCER_STORE) {
            assert_int_equal(action->size, durable);
        }
        if (action->type != SEQUENCER_ANSWER) {
            assert_null(action->submissions);
            continue;
        }
        assert_non_null(action->submissions);
        for (const struct submission *at = action->submissions; at != NULL; at = at->next) {
            bool is_logged = action->err.code == E_OK && !at->conflict.is_there;
            for (size_t j = 0; is_logged && j < at->count; j++) {
                assert_true(at->indices[j] < durable);
            }
        }
    }
}

static void step(struct sequencer_event event)
{
    clear_actions();
    sequencer_step(s, &event, &actions);
    check_actions();
}

static void submit(struct submission *submissions)
{
    step((struct sequencer_event){ .type = SEQUENCER_SUBMITTED, .submissions = submissions });
}

static void submit_words(const char *words)
{
    submit(entries_submission(words));
}

static void told(enum sequencer_event_type type)
{
    step((struct sequencer_event){ .type = type });
}

static void told_size(enum sequencer_event_type type, uint64_t size)
{
    step((struct sequencer_event){ .type = type, .size = size });
}

static void told_error(enum sequencer_event_type type, enum err_code code)
{
    struct err err;
    err_set(&err, code, "error %d", (int)code);
    step((struct sequencer_event){ .type = type, .err = &err });
}

static void looked_up(void)
{
    const struct sequencer_batch *batch = sequencer_batch(s);
    for (size_t i = 0; i < batch->count; i++) {
        batch->hits[i] = SEQUENCER_NO_HIT;
        if (batch->tag_hits != NULL) {
            batch->tag_hits[i] = SEQUENCER_NO_HIT;
        }
    }
    told(SEQUENCER_LOOKED_UP);
}

static void committed(void)
{
    assert_int_equal(actions.items[actions.count - 1].type, SEQUENCER_COMMIT);
    durable = actions.items[actions.count - 1].record.size;
    told(SEQUENCER_COMMITTED);
}

/* The step asked for exactly these actions; the list ends with -1. */
#define assert_actions(...) check_types((const int[]){ __VA_ARGS__, -1 })
static void check_types(const int *types)
{
    size_t i = 0;
    for (; types[i] >= 0; i++) {
        assert_true(i < actions.count);
        assert_int_equal(actions.items[i].type, types[i]);
    }
    assert_int_equal(actions.count, i);
}

static void assert_nothing(void)
{
    assert_int_equal(actions.count, 0);
}

static const struct sequencer_action *action(size_t i)
{
    assert_true(i < actions.count);
    return &actions.items[i];
}

/* From SUBMITTED up to the commit, whose record is action 0 then. */
static void submit_to_commit(struct submission *submissions)
{
    submit(submissions);
    assert_actions(SEQUENCER_LOOK_UP);
    looked_up();
    assert_actions(SEQUENCER_RESERVE);
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_COMMIT);
}

static void append(struct submission *submissions)
{
    submit_to_commit(submissions);
    committed();
    assert_actions(SEQUENCER_STORE, SEQUENCER_INDEX, SEQUENCER_ANSWER);
}

static void append_words(const char *words)
{
    append(entries_submission(words));
}

static void assert_answer(const struct submission *submission, size_t i, uint64_t index,
                          bool is_duplicate)
{
    assert_true(i < submission->count);
    assert_int_equal(submission->indices[i], index);
    assert_int_equal(submission->duplicate[i], is_duplicate);
}

/* -- The normal path -- */

static void sequencer_gives_indices_in_order_of_arrival(void **state)
{
    (void)state;
    append_words("a b c");
    const struct submission *first = action(2)->submissions;
    for (size_t i = 0; i < 3; i++) {
        assert_answer(first, i, i, false);
    }
    append_words("d e");
    assert_answer(action(2)->submissions, 0, 3, false);
    assert_answer(action(2)->submissions, 1, 4, false);
    assert_true(sequencer_is_idle(s));
}

static void sequencer_answers_nothing_before_the_commit(void **state)
{
    (void)state;
    submit_words("a");
    assert_actions(SEQUENCER_LOOK_UP);
    assert_false(sequencer_is_idle(s));
    looked_up();
    assert_actions(SEQUENCER_RESERVE);
    assert_int_equal(action(0)->bytes, 3);
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_COMMIT);
    assert_false(sequencer_is_idle(s));
    committed();
    assert_actions(SEQUENCER_STORE, SEQUENCER_INDEX, SEQUENCER_ANSWER);
}

static void sequencer_record_extends_the_tree(void **state)
{
    (void)state;
    struct compact_range range;
    compact_range_init(&range);
    for (size_t first = 0; first < 20; first += 2) {
        struct submission *submission = entries_numbered(first, 2);
        struct span entries = span_of(submission->entries, submission->entries_bytes);
        for (size_t i = 0; i < 2; i++) {
            compact_range_append(&range, &submission->leaves[i], NULL, NULL);
        }
        struct hash root = compact_range_root(&range);
        submit_to_commit(submission);
        const struct journal_record *record = &action(0)->record;
        assert_int_equal(record->first, first);
        assert_int_equal(record->size, first + 2);
        assert_hash_equal(&record->root, &root);
        assert_true(span_is_equal(record->entries, entries));
        committed();
        assert_int_equal(edge_size(sequencer_edge(s)), first + 2);
        struct hash durable_root = edge_root(sequencer_edge(s));
        assert_hash_equal(&durable_root, &root);
    }
}

static void sequencer_stores_full_tiles_of_what_it_committed(void **state)
{
    (void)state;
    append(entries_numbered(0, 255));
    assert_null(action(0)->resources);
    assert_int_equal(action(0)->size, 255);
    append(entries_numbered(255, 2));
    assert_int_equal(action(0)->size, 257);
    const struct resource *bundle = action(0)->resources;
    assert_non_null(bundle);
    assert_true(bundle->path.is_bundle);
    struct hash leaves[TILE_WIDTH];
    struct err err;
    assert_int_equal(bundle_leaf_hashes(leaves, span_of(bundle->bytes, bundle->len), TILE_WIDTH,
                                        &err),
                     E_OK);
    const struct resource *tile = bundle->next;
    assert_non_null(tile);
    assert_false(tile->path.is_bundle);
    assert_int_equal(tile->len, TILE_BYTES);
    assert_memory_equal(tile->bytes, leaves, TILE_BYTES);
    assert_null(tile->next);
}

static void sequencer_indexes_the_new_entries_only(void **state)
{
    (void)state;
    append_words("a b");
    append_words("b c a d");
    const struct index_job *job = action(1)->index_job;
    assert_int_equal(job->first, 2);
    assert_int_equal(job->count, 2);
    struct hash c = merkle_leaf_hash(span_of_str("c"));
    struct hash d = merkle_leaf_hash(span_of_str("d"));
    assert_hash_equal(&job->leaves[0], &c);
    assert_hash_equal(&job->leaves[1], &d);
}

static void sequencer_forms_the_next_batch_while_one_is_committed(void **state)
{
    (void)state;
    submit_to_commit(entries_submission("a"));
    submit_words("b");
    assert_nothing();
    submit_words("c");
    assert_nothing();
    durable = 1;
    told(SEQUENCER_COMMITTED);
    assert_actions(SEQUENCER_STORE, SEQUENCER_INDEX, SEQUENCER_ANSWER, SEQUENCER_LOOK_UP);
    assert_null(action(2)->submissions->next);
    looked_up();
    told(SEQUENCER_RESERVED);
    assert_int_equal(action(0)->record.first, 1);
    assert_int_equal(action(0)->record.size, 3);
    committed();
    const struct submission *b = action(2)->submissions;
    assert_answer(b, 0, 1, false);
    assert_answer(b->next, 0, 2, false);
    assert_null(b->next->next);
}

static void sequencer_takes_the_empty_entry(void **state)
{
    (void)state;
    struct submission *submission = submission_new(2, 0);
    submission_add(submission, span_of(NULL, 0));
    submission_add(submission, span_of(NULL, 0));
    append(submission);
    assert_answer(action(2)->submissions, 0, 0, false);
    assert_answer(action(2)->submissions, 1, 0, true);
}

/* -- Deduplication -- */

static void sequencer_finds_duplicates_within_a_call(void **state)
{
    (void)state;
    append_words("a b a a c b");
    const struct submission *submission = action(2)->submissions;
    static const uint64_t indices[] = { 0, 1, 0, 0, 2, 1 };
    static const bool duplicate[] = { false, false, true, true, false, true };
    for (size_t i = 0; i < 6; i++) {
        assert_answer(submission, i, indices[i], duplicate[i]);
    }
}

static void sequencer_finds_duplicates_across_calls_of_a_batch(void **state)
{
    (void)state;
    struct submission *first = entries_submission("a b");
    first->next = entries_submission("c b");
    first->next->next = entries_submission("c");
    append(first);
    const struct submission *second = action(2)->submissions->next;
    assert_answer(second, 0, 2, false);
    assert_answer(second, 1, 1, true);
    assert_answer(second->next, 0, 2, true);
}

static void sequencer_finds_duplicates_of_earlier_batches(void **state)
{
    (void)state;
    append_words("a b");
    append_words("c b");
    assert_answer(action(2)->submissions, 0, 2, false);
    assert_answer(action(2)->submissions, 1, 1, true);
}

static void sequencer_answers_duplicates_only_without_a_commit(void **state)
{
    (void)state;
    append_words("a b");
    submit_words("b a");
    looked_up();
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_ANSWER);
    assert_answer(action(0)->submissions, 0, 1, true);
    assert_answer(action(0)->submissions, 1, 0, true);
    assert_true(sequencer_is_idle(s));
    append_words("c");
    assert_answer(action(2)->submissions, 0, 2, false);
}

static void sequencer_believes_the_hits(void **state)
{
    (void)state;
    append(entries_numbered(0, 300));
    submit(entries_submission("x y z"));
    const struct sequencer_batch *batch = sequencer_batch(s);
    assert_int_equal(batch->count, 3);
    batch->hits[0] = SEQUENCER_NO_HIT;
    batch->hits[1] = 17;
    batch->hits[2] = SEQUENCER_NO_HIT;
    told(SEQUENCER_LOOKED_UP);
    told(SEQUENCER_RESERVED);
    assert_int_equal(action(0)->record.size, 302);
    committed();
    const struct submission *submission = action(2)->submissions;
    assert_answer(submission, 0, 300, false);
    assert_answer(submission, 1, 17, true);
    assert_answer(submission, 2, 301, false);
}

static void sequencer_hits_are_of_the_batch_in_order(void **state)
{
    (void)state;
    append(entries_numbered(0, 300));
    struct submission *first = entries_submission("x y");
    first->next = entries_submission("z");
    submit(first);
    const struct sequencer_batch *batch = sequencer_batch(s);
    assert_ptr_equal(batch->submissions, first);
    assert_int_equal(batch->count, 3);
    assert_int_equal(batch->bytes, first->entries_bytes + first->next->entries_bytes);
    batch->hits[0] = SEQUENCER_NO_HIT;
    batch->hits[1] = SEQUENCER_NO_HIT;
    batch->hits[2] = 5;
    told(SEQUENCER_LOOKED_UP);
    told(SEQUENCER_RESERVED);
    committed();
    assert_answer(action(2)->submissions->next, 0, 5, true);
}

static void sequencer_without_dedup_logs_equal_entries_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        submit_words("a a");
        assert_actions(SEQUENCER_RESERVE);
        told(SEQUENCER_RESERVED);
        assert_actions(SEQUENCER_COMMIT);
        committed();
        assert_actions(SEQUENCER_STORE, SEQUENCER_ANSWER);
        assert_answer(action(1)->submissions, 0, 2 * i, false);
        assert_answer(action(1)->submissions, 1, 2 * i + 1, false);
    }
}

static void sequencer_refuses_a_batch_that_cannot_be_looked_up(void **state)
{
    (void)state;
    submit_words("a");
    submit_words("b");
    told_error(SEQUENCER_LOOKED_UP, E_UNAVAILABLE);
    assert_actions(SEQUENCER_ANSWER, SEQUENCER_LOOK_UP);
    assert_int_equal(action(0)->err.code, E_UNAVAILABLE);
    assert_null(action(0)->submissions->next);
    looked_up();
    told(SEQUENCER_RESERVED);
    assert_int_equal(action(0)->record.first, 0);
    committed();
    assert_actions(SEQUENCER_STORE, SEQUENCER_INDEX, SEQUENCER_ANSWER);
}

/* Entries of the first generations, which the index and the tiles have covered, are forgotten: then
 * it is the look-up that finds them. */
static void sequencer_forgets_what_is_stored_and_indexed(void **state)
{
    (void)state;
    for (size_t i = 0; i < 13; i++) {
        append(entries_numbered(1000 * i, 1000));
        told_size(SEQUENCER_STORED, durable);
        told_size(SEQUENCER_INDEXED, durable);
    }
    append(entries_numbered(0, 1)); /* misses: the look-up said NO_HIT */
    assert_answer(action(2)->submissions, 0, 13000, false);
    submit(entries_numbered(12999, 1));
    looked_up();
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_ANSWER);
    assert_answer(action(0)->submissions, 0, 12999, true);
}

/* A batch is looked up while the index misses an entry, then waits for room in the journal; in the
 * meantime the entry gets indexed and stored. It must not be logged again. */
static void sequencer_held_batch_still_finds_its_duplicates(void **state)
{
    (void)state;
    for (size_t i = 0; i < 6; i++) { /* 6000 entries: the first generation is full */
        append(entries_numbered(1000 * i, 1000));
    }
    told_size(SEQUENCER_INDEXED, 1); /* it grows old */
    for (size_t i = 6; i < 12; i++) {
        append(entries_numbered(1000 * i, 1000));
    }
    submit(entries_numbered(4000, 1));
    looked_up(); /* a miss: nothing is indexed yet */
    told_error(SEQUENCER_RESERVED, E_BUSY);
    told_size(SEQUENCER_INDEXED, durable);
    told_size(SEQUENCER_STORED, durable);
    assert_actions(SEQUENCER_TRIM, SEQUENCER_RESERVE);
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_ANSWER);
    assert_answer(action(0)->submissions, 0, 4000, true);
}

/* -- Limits -- */

static void sequencer_batch_keeps_to_its_entries(void **state)
{
    (void)state;
    sequencer_free(s);
    struct sequencer_limits limits = with_dedup;
    limits.batch_entries_max = 5;
    start(&limits);
    struct submission *first = entries_numbered(0, 3);
    first->next = entries_numbered(3, 2);
    first->next->next = entries_numbered(5, 1);
    first->next->next->next = entries_numbered(6, 5);
    submit(first);
    static const size_t counts[] = { 5, 1, 5 };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(sequencer_batch(s)->count, counts[i]);
        looked_up();
        told(SEQUENCER_RESERVED);
        committed();
        if (i < 2) {
            assert_actions(SEQUENCER_STORE, SEQUENCER_INDEX, SEQUENCER_ANSWER, SEQUENCER_LOOK_UP);
        }
    }
    assert_int_equal(durable, 11);
    assert_true(sequencer_is_idle(s));
}

static void sequencer_batch_keeps_to_its_bytes(void **state)
{
    (void)state;
    sequencer_free(s);
    struct sequencer_limits limits = with_dedup;
    limits.batch_bytes_max = 3 + 4;
    start(&limits);
    struct submission *first = entries_submission("a");
    first->next = entries_submission("bb");
    first->next->next = entries_submission("c");
    submit(first);
    assert_int_equal(sequencer_batch(s)->count, 2);
    assert_int_equal(sequencer_batch(s)->bytes, 7);
    looked_up();
    told(SEQUENCER_RESERVED);
    committed();
    assert_int_equal(sequencer_batch(s)->bytes, 3);
}

static void sequencer_waits_for_an_index_that_lags(void **state)
{
    (void)state;
    sequencer_free(s);
    struct sequencer_limits limits = with_dedup;
    limits.unindexed_max = 2;
    start(&limits);
    append_words("a b");
    append_words("c");
    submit_words("d");
    assert_nothing();
    assert_false(sequencer_is_idle(s));
    told(SEQUENCER_RETRY);
    assert_nothing();
    told_size(SEQUENCER_INDEXED, 0);
    assert_nothing();
    told_size(SEQUENCER_INDEXED, 1);
    assert_actions(SEQUENCER_LOOK_UP);
    told_size(SEQUENCER_INDEXED, 0); /* news that are late change nothing */
    assert_nothing();
    looked_up();
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_COMMIT);
}

/* -- Tiles that wait in memory -- */

static size_t resources_bytes(const struct resource *resource)
{
    size_t bytes = 0;
    for (; resource != NULL; resource = resource->next) {
        bytes += resource->len;
    }
    return bytes;
}

/* Starts with room for one full tile and its bundle, and not for two; fills two. */
static void fill_memory(void)
{
    sequencer_free(s);
    start(&with_dedup);
    append(entries_numbered(0, 256));
    struct sequencer_limits limits = with_dedup;
    limits.unstored_bytes_max = resources_bytes(action(0)->resources) * 3 / 2;
    sequencer_free(s);
    start(&limits);
    append(entries_numbered(0, 256));
    append(entries_numbered(256, 10)); /* fills no tile */
    append(entries_numbered(266, 300));
}

static void sequencer_waits_for_tiles_that_lag(void **state)
{
    (void)state;
    fill_memory();
    submit_words("a");
    assert_nothing();
    assert_false(sequencer_is_idle(s));
    told(SEQUENCER_RETRY);
    assert_nothing();
    told_size(SEQUENCER_STORED, 255);
    assert_nothing();
    told_size(SEQUENCER_STORED, 256); /* the first of the two */
    assert_actions(SEQUENCER_TRIM, SEQUENCER_LOOK_UP);
    looked_up();
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_COMMIT);
}

static void sequencer_end_answers_who_waits_for_the_tiles(void **state)
{
    (void)state;
    fill_memory();
    submit_words("a");
    assert_nothing();
    told_error(SEQUENCER_END, E_UNAVAILABLE);
    assert_actions(SEQUENCER_ANSWER);
    assert_int_equal(action(0)->err.code, E_UNAVAILABLE);
    assert_true(sequencer_is_idle(s));
}

static void sequencer_refuses_who_waits_for_tiles_that_cannot_be_stored(void **state)
{
    (void)state;
    fill_memory();
    submit_words("a");
    told_error(SEQUENCER_STORE_FAILED, E_UNAVAILABLE);
    assert_actions(SEQUENCER_REFUSE, SEQUENCER_ANSWER);
    assert_true(sequencer_is_idle(s));
}

/* -- No room, and room again -- */

static void sequencer_refuses_while_there_is_no_room(void **state)
{
    (void)state;
    submit_words("a");
    submit_words("b");
    looked_up();
    told_error(SEQUENCER_RESERVED, E_UNAVAILABLE);
    assert_actions(SEQUENCER_REFUSE, SEQUENCER_ANSWER, SEQUENCER_ANSWER);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(action(i)->err.code, E_UNAVAILABLE);
    }
    assert_true(sequencer_is_idle(s));
    submit_words("c"); /* came while the pool was closing */
    assert_actions(SEQUENCER_ANSWER);
    assert_int_equal(action(0)->err.code, E_UNAVAILABLE);

    told(SEQUENCER_RETRY);
    assert_actions(SEQUENCER_RESERVE);
    assert_int_equal(action(0)->bytes, BYTES_MAX);
    told_error(SEQUENCER_RESERVED, E_UNAVAILABLE);
    assert_nothing();
    told_size(SEQUENCER_STORED, 0); /* tiles are on another disk, or not at fault */
    assert_nothing();
    told(SEQUENCER_RETRY);
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_ADMIT);
    told(SEQUENCER_RETRY);
    assert_nothing();
    append_words("a b c");
    assert_answer(action(2)->submissions, 0, 0, false);
}

static void sequencer_goes_on_with_what_came_during_the_retry(void **state)
{
    (void)state;
    submit_words("a");
    looked_up();
    told_error(SEQUENCER_RESERVED, E_UNAVAILABLE);
    told(SEQUENCER_RETRY);
    submit_words("b");
    assert_nothing();
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_ADMIT, SEQUENCER_LOOK_UP);
}

static void sequencer_refuses_while_tiles_cannot_be_stored(void **state)
{
    (void)state;
    append(entries_numbered(0, 300));
    told_error(SEQUENCER_STORE_FAILED, E_UNAVAILABLE);
    assert_actions(SEQUENCER_REFUSE);
    told_error(SEQUENCER_STORE_FAILED, E_UNAVAILABLE);
    assert_nothing();
    submit_words("a");
    assert_actions(SEQUENCER_ANSWER);
    assert_int_equal(action(0)->err.code, E_UNAVAILABLE);
    told(SEQUENCER_RETRY);
    assert_nothing(); /* the journal has room: that is not the point */
    told_size(SEQUENCER_STORED, 300);
    assert_actions(SEQUENCER_TRIM, SEQUENCER_ADMIT);
    append_words("a");
}

static void sequencer_finishes_its_batch_when_storing_fails(void **state)
{
    (void)state;
    submit_words("a");
    told_error(SEQUENCER_STORE_FAILED, E_IO);
    assert_actions(SEQUENCER_REFUSE);
    looked_up();
    assert_actions(SEQUENCER_RESERVE);
    told(SEQUENCER_RESERVED);
    submit_words("b");
    durable = 1;
    told(SEQUENCER_COMMITTED);
    assert_actions(SEQUENCER_STORE, SEQUENCER_INDEX, SEQUENCER_ANSWER, SEQUENCER_ANSWER);
    assert_int_equal(action(2)->err.code, E_OK);
    assert_int_equal(action(3)->err.code, E_IO);
}

static void sequencer_admits_only_when_both_stores_have_room(void **state)
{
    (void)state;
    submit_words("a");
    looked_up();
    told_error(SEQUENCER_RESERVED, E_UNAVAILABLE);
    told(SEQUENCER_RETRY);
    assert_actions(SEQUENCER_RESERVE);
    told_error(SEQUENCER_STORE_FAILED, E_IO);
    assert_nothing();
    told(SEQUENCER_RESERVED);
    assert_nothing(); /* the journal has room, the tiles have not */
    submit_words("b");
    assert_actions(SEQUENCER_ANSWER);
    told_size(SEQUENCER_STORED, 0);
    assert_actions(SEQUENCER_ADMIT);
}

static void sequencer_holds_a_batch_while_the_journal_is_full(void **state)
{
    (void)state;
    append(entries_numbered(0, 300));
    submit_words("a");
    looked_up();
    told_error(SEQUENCER_RESERVED, E_BUSY);
    assert_nothing();
    assert_false(sequencer_is_idle(s));
    submit_words("b");
    assert_nothing();
    told(SEQUENCER_RETRY);
    assert_actions(SEQUENCER_RESERVE);
    told_error(SEQUENCER_RESERVED, E_BUSY);
    assert_nothing();
    told_size(SEQUENCER_INDEXED, 300);
    assert_nothing();
    told_size(SEQUENCER_STORED, 300);
    assert_actions(SEQUENCER_TRIM, SEQUENCER_RESERVE);
    assert_int_equal(action(0)->size, 256);
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_COMMIT);
    assert_int_equal(action(0)->record.first, 300);
    assert_int_equal(action(0)->record.size, 301);
    committed();
    assert_actions(SEQUENCER_STORE, SEQUENCER_INDEX, SEQUENCER_ANSWER, SEQUENCER_LOOK_UP);
}

static void sequencer_refuses_a_held_batch_when_the_disk_fills_up(void **state)
{
    (void)state;
    submit_words("a");
    looked_up();
    told_error(SEQUENCER_RESERVED, E_BUSY);
    told_error(SEQUENCER_STORE_FAILED, E_UNAVAILABLE);
    assert_actions(SEQUENCER_REFUSE);
    told(SEQUENCER_RETRY);
    assert_actions(SEQUENCER_RESERVE);
    told_error(SEQUENCER_RESERVED, E_UNAVAILABLE);
    assert_actions(SEQUENCER_ANSWER); /* refusing already */
    told_size(SEQUENCER_STORED, 0);
    assert_actions(SEQUENCER_ADMIT);
}

static void sequencer_admits_before_it_takes_a_held_batch_up(void **state)
{
    (void)state;
    append(entries_numbered(0, 256));
    submit_words("a");
    looked_up();
    told_error(SEQUENCER_RESERVED, E_BUSY);
    told_error(SEQUENCER_STORE_FAILED, E_UNAVAILABLE);
    told_size(SEQUENCER_STORED, 256);
    assert_actions(SEQUENCER_TRIM, SEQUENCER_ADMIT, SEQUENCER_RESERVE);
}

/* -- The end -- */

static void sequencer_end_answers_who_may_wait_for_ever(void **state)
{
    (void)state;
    submit_words("a");
    looked_up();
    told_error(SEQUENCER_RESERVED, E_BUSY);
    submit_words("b");
    assert_nothing();
    told_error(SEQUENCER_END, E_UNAVAILABLE);
    assert_actions(SEQUENCER_ANSWER, SEQUENCER_ANSWER);
    assert_int_equal(action(0)->err.code, E_UNAVAILABLE);
    assert_int_equal(action(1)->err.code, E_UNAVAILABLE);
    assert_true(sequencer_is_idle(s));
    assert_int_equal(edge_size(sequencer_edge(s)), 0);
}

static void sequencer_end_answers_who_waits_for_the_index(void **state)
{
    (void)state;
    sequencer_free(s);
    struct sequencer_limits limits = with_dedup;
    limits.unindexed_max = 2;
    start(&limits);
    append_words("a b c");
    submit_words("d");
    assert_nothing();
    told_error(SEQUENCER_END, E_UNAVAILABLE);
    assert_actions(SEQUENCER_ANSWER);
    assert_int_equal(action(0)->err.code, E_UNAVAILABLE);
    assert_true(sequencer_is_idle(s));
}

static void sequencer_end_finishes_the_batch_on_its_way(void **state)
{
    (void)state;
    submit_to_commit(entries_submission("a"));
    submit_words("b");
    durable = 1;
    told_error(SEQUENCER_END, E_UNAVAILABLE);
    assert_nothing();
    told(SEQUENCER_COMMITTED);
    assert_actions(SEQUENCER_STORE, SEQUENCER_INDEX, SEQUENCER_ANSWER, SEQUENCER_ANSWER);
    assert_int_equal(action(2)->err.code, E_OK);
    assert_int_equal(action(3)->err.code, E_UNAVAILABLE);
}

/* Neither space nor time admits again. */
static void sequencer_end_is_for_good(void **state)
{
    (void)state;
    append(entries_numbered(0, 300));
    told_error(SEQUENCER_STORE_FAILED, E_UNAVAILABLE);
    told_error(SEQUENCER_END, E_UNAVAILABLE);
    assert_nothing();
    told_size(SEQUENCER_STORED, 300);
    assert_actions(SEQUENCER_TRIM);
    told(SEQUENCER_RETRY);
    assert_nothing();
    submit_words("a");
    assert_actions(SEQUENCER_ANSWER);
    assert_int_equal(action(0)->err.code, E_UNAVAILABLE);
}

static void sequencer_end_does_not_wait_for_room(void **state)
{
    (void)state;
    submit_words("a");
    looked_up();
    told_error(SEQUENCER_END, E_UNAVAILABLE);
    assert_nothing();
    told_error(SEQUENCER_RESERVED, E_BUSY);
    assert_actions(SEQUENCER_ANSWER);
    assert_int_equal(action(0)->err.code, E_BUSY);
    assert_true(sequencer_is_idle(s));
}

/* -- Storing -- */

static void sequencer_trims_to_full_tiles(void **state)
{
    (void)state;
    append(entries_numbered(0, 700));
    told_size(SEQUENCER_STORED, 255);
    assert_nothing();
    told_size(SEQUENCER_STORED, 300);
    assert_actions(SEQUENCER_TRIM);
    assert_int_equal(action(0)->size, 256);
    told_size(SEQUENCER_STORED, 511);
    assert_nothing();
    told_size(SEQUENCER_STORED, 700);
    assert_actions(SEQUENCER_TRIM);
    assert_int_equal(action(0)->size, 512);
    told_size(SEQUENCER_STORED, 300);
    assert_nothing();
}

/* -- Commits that fail -- */

static void sequencer_halts_when_a_commit_fails(void **state)
{
    (void)state;
    append_words("a");
    submit_to_commit(entries_submission("b"));
    submit_words("c");
    told_error(SEQUENCER_COMMITTED, E_IO);
    assert_actions(SEQUENCER_HALT);
    assert_int_equal(action(0)->err.code, E_IO);
    assert_false(sequencer_is_idle(s));
    submit_words("d");
    assert_nothing();
    told_size(SEQUENCER_STORED, 1);
    assert_nothing();
    told_size(SEQUENCER_INDEXED, 1);
    assert_nothing();
    told_error(SEQUENCER_STORE_FAILED, E_IO);
    assert_nothing();
    told(SEQUENCER_RETRY);
    assert_nothing();
}

static void look_at_the_edge(void)
{
    (void)sequencer_edge(s);
}

static void sequencer_shows_no_tree_that_may_not_be_durable(void **state)
{
    (void)state;
    assert_int_equal(edge_size(sequencer_edge(s)), 0);
    submit_to_commit(entries_submission("a"));
    assert_true(death_of(look_at_the_edge));
    told_error(SEQUENCER_COMMITTED, E_IO);
    assert_true(death_of(look_at_the_edge));
}

/* -- After a restart -- */

/* -- Entry tags -- */

static struct hash tag_of(char letter)
{
    return sha256(span_of(&letter, 1));
}

/* One call with an entry for each word. Its first letter is its tag: one tag, and other bytes, is what a
 * word has that goes on differently. A capital has no tag, '!' is a registration. */
static struct submission *tagged(const char *words)
{
    struct submission *submission = submission_new_with_facts(ENTRIES_PER_CALL_MAX, strlen(words));
    while (*words != '\0') {
        size_t len = strcspn(words, " ");
        struct entry_facts facts = { .has_tag = words[0] >= 'a',
                                     .is_registration = words[0] == '!' };
        if (facts.has_tag) {
            facts.tag = tag_of(words[0]);
        }
        submission_add_with_facts(submission, span_of(words, len), &facts);
        words += len + (words[len] == ' ' ? 1 : 0);
    }
    return submission;
}

static void assert_refused(const struct submission *submission, size_t position, uint64_t index)
{
    assert_true(submission->conflict.is_there);
    assert_false(submission->conflict.is_inside);
    assert_int_equal(submission->conflict.position, position);
    assert_int_equal(submission->conflict.index, index);
}

/* Submitted together, so that they are of one batch. */
static void submit_list(const char *const *calls, size_t count)
{
    struct submission *list = NULL;
    for (size_t i = count; i > 0; i--) {
        struct submission *call = tagged(calls[i - 1]);
        call->next = list;
        list = call;
    }
    submit(list);
}

static void sequencer_refuses_a_tag_that_is_logged_with_other_bytes(void **state)
{
    (void)state;
    append(tagged("a1 b1"));
    submit(tagged("c1 b2"));
    looked_up();
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_ANSWER); /* nothing was left to commit: c1 neither */
    assert_refused(action(0)->submissions, 1, 1);
    assert_int_equal(edge_size(sequencer_edge(s)), 2);
    append(tagged("c2"));
    assert_false(action(2)->submissions->conflict.is_there);
    assert_answer(action(2)->submissions, 0, 2, false);
}

static void sequencer_believes_the_tag_hits(void **state)
{
    (void)state;
    append(tagged("A a1"));
    submit(tagged("B b1"));
    const struct sequencer_batch *batch = sequencer_batch(s);
    batch->hits[0] = batch->hits[1] = SEQUENCER_NO_HIT;
    batch->tag_hits[0] = 1; /* of an entry without a tag: means nothing */
    batch->tag_hits[1] = 0;
    told(SEQUENCER_LOOKED_UP);
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_ANSWER);
    assert_refused(action(0)->submissions, 1, 0);
}

static void sequencer_takes_the_same_leaf_with_its_tag_for_a_duplicate(void **state)
{
    (void)state;
    append(tagged("a1 b1"));
    append(tagged("b1 c1 a1 c1"));
    const struct submission *call = action(2)->submissions;
    assert_false(call->conflict.is_there);
    assert_answer(call, 0, 1, true);
    assert_answer(call, 1, 2, false);
    assert_answer(call, 2, 0, true);
    assert_answer(call, 3, 2, true);
    submit(tagged("z1")); /* in the index, tag and all, but no longer among the recent ones */
    const struct sequencer_batch *batch = sequencer_batch(s);
    batch->hits[0] = batch->tag_hits[0] = 1;
    told(SEQUENCER_LOOKED_UP);
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_ANSWER);
    assert_false(action(0)->submissions->conflict.is_there);
    assert_answer(action(0)->submissions, 0, 1, true);
}

static void sequencer_logs_the_others_of_a_batch_with_a_conflict(void **state)
{
    (void)state;
    append(tagged("a1"));
    const char *const calls[] = { "b1 b1", "c1 a2 d1", "d2", "b2", "e1" };
    submit_list(calls, 5);
    looked_up();
    told(SEQUENCER_RESERVED);
    assert_actions(SEQUENCER_COMMIT);
    struct buf expected = BUF_INIT(64);
    bundle_put_entry(&expected, span_of_str("b1"));
    bundle_put_entry(&expected, span_of_str("d2"));
    bundle_put_entry(&expected, span_of_str("e1"));
    assert_true(span_is_equal(action(0)->record.entries, buf_span(&expected)));
    buf_clear(&expected);
    committed();
    const struct submission *at = action(2)->submissions;
    assert_answer(at, 0, 1, false);
    assert_answer(at, 1, 1, true);
    at = at->next;
    assert_refused(at, 1, 0);
    at = at->next; /* d1 was not logged: its tag is free */
    assert_answer(at, 0, 2, false);
    at = at->next;
    assert_refused(at, 0, 1); /* by an entry of this very batch */
    at = at->next;
    assert_answer(at, 0, 3, false);
    assert_null(at->next);
}

static void sequencer_refuses_two_entries_of_a_call_with_one_tag(void **state)
{
    (void)state;
    const char *const calls[] = { "c1 b1 A a1 A b2", "b2 b2" };
    submit_list(calls, 2);
    looked_up();
    told(SEQUENCER_RESERVED);
    committed();
    const struct submission *at = action(2)->submissions;
    assert_true(at->conflict.is_there);
    assert_true(at->conflict.is_inside);
    assert_int_equal(at->conflict.position, 5);
    assert_int_equal(at->conflict.index, 1);
    assert_false(at->next->conflict.is_there);
    assert_answer(at->next, 0, 0, false);
    assert_answer(at->next, 1, 0, true);
}

static void sequencer_logs_entries_without_tags_as_they_come(void **state)
{
    (void)state;
    append(tagged("A B"));
    append(tagged("C A !x"));
    assert_false(action(2)->submissions->conflict.is_there);
    assert_answer(action(2)->submissions, 1, 0, true);
    assert_int_equal(edge_size(sequencer_edge(s)), 4);
}

static void sequencer_indexes_the_facts_of_new_entries(void **state)
{
    (void)state;
    append(tagged("a1"));
    append(tagged("a1 !x b1 C"));
    const struct index_job *job = action(1)->index_job;
    assert_int_equal(job->first, 1);
    assert_int_equal(job->count, 3);
    assert_true(job->facts[0].is_registration);
    assert_false(job->facts[0].has_tag);
    assert_true(job->facts[1].has_tag);
    assert_false(job->facts[1].is_registration);
    struct hash tag = tag_of('b');
    assert_hash_equal(&job->facts[1].tag, &tag);
    assert_false(job->facts[2].has_tag);
    sequencer_free(s);
    start(&with_dedup);
    append_words("a");
    assert_null(action(1)->index_job->facts);
}

/* What is in the tiles but not in the index, or the other way round, is still remembered. */
static void sequencer_remembers_tags_until_the_index_has_them(void **state)
{
    (void)state;
    append(tagged("a1"));
    for (char letter = 'A'; letter <= 'Z'; letter++) {
        char words[1600] = { 0 };
        for (size_t i = 0; i < 200; i++) {
            snprintf(words + strlen(words), 8, "%c%zu ", letter, i);
        }
        append(tagged(words)); /* 5,200 of them: a generation */
    }
    told_size(SEQUENCER_STORED, durable);
    told_size(SEQUENCER_INDEXED, 0);
    submit(tagged("a2"));
    looked_up();
    told(SEQUENCER_RESERVED);
    assert_refused(action(0)->submissions, 0, 0);
    told_size(SEQUENCER_INDEXED, durable); /* it grows old */
    told_size(SEQUENCER_INDEXED, durable);
    submit(tagged("a2"));
    const struct sequencer_batch *batch = sequencer_batch(s);
    batch->hits[0] = SEQUENCER_NO_HIT;
    batch->tag_hits[0] = 0; /* now the index knows */
    told(SEQUENCER_LOOKED_UP);
    told(SEQUENCER_RESERVED);
    assert_refused(action(0)->submissions, 0, 0);
}

static void start_with_facts_but_no_dedup(void)
{
    struct sequencer_limits limits = with_facts;
    limits.has_dedup = false;
    start(&limits);
}

static void sequencer_insists_on_dedup_for_facts(void **state)
{
    (void)state;
    assert_true(death_of(start_with_facts_but_no_dedup));
}

static void no_resource(void *ctx, const struct tile_path *path, struct span bytes)
{
    (void)ctx;
    (void)path;
    (void)bytes;
}

static void sequencer_goes_on_where_recovery_ended(void **state)
{
    (void)state;
    sequencer_free(s);
    struct edge *edge = NEW(struct edge);
    struct recent recent;
    edge_init(edge);
    recent_init(&recent);
    struct submission *logged = entries_numbered(0, 300);
    struct span rest = span_of(logged->entries, logged->entries_bytes), entry;
    for (size_t i = 0; bundle_take_entry(&rest, &entry); i++) {
        edge_append(edge, entry, &logged->leaves[i], no_resource, NULL);
        if (i >= 256) {
            recent_add(&recent, &logged->leaves[i], i);
        }
    }
    submission_free(logged);
    start_at(edge, &recent, &with_dedup, 256);
    mem_free(edge);

    submit(entries_numbered(299, 2));
    looked_up();
    told(SEQUENCER_RESERVED);
    assert_int_equal(action(0)->record.first, 300);
    committed();
    assert_answer(action(2)->submissions, 0, 299, true);
    assert_answer(action(2)->submissions, 1, 300, false);
    append(entries_numbered(301, 211));
    assert_non_null(action(0)->resources); /* the tile of 256 to 511 */
    told_size(SEQUENCER_STORED, durable);
    assert_actions(SEQUENCER_TRIM);
}

#define CASE(f)          cmocka_unit_test_setup_teardown(f, setup, teardown)
#define CASE_FACTS(f)    cmocka_unit_test_setup_teardown(f, setup_with_facts, teardown)
#define CASE_NO_DEDUP(f) cmocka_unit_test_setup_teardown(f, setup_without_dedup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(sequencer_gives_indices_in_order_of_arrival),
        CASE(sequencer_answers_nothing_before_the_commit),
        CASE(sequencer_record_extends_the_tree),
        CASE(sequencer_stores_full_tiles_of_what_it_committed),
        CASE(sequencer_indexes_the_new_entries_only),
        CASE(sequencer_forms_the_next_batch_while_one_is_committed),
        CASE(sequencer_takes_the_empty_entry),
        CASE(sequencer_finds_duplicates_within_a_call),
        CASE(sequencer_finds_duplicates_across_calls_of_a_batch),
        CASE(sequencer_finds_duplicates_of_earlier_batches),
        CASE(sequencer_answers_duplicates_only_without_a_commit),
        CASE(sequencer_believes_the_hits),
        CASE(sequencer_hits_are_of_the_batch_in_order),
        CASE_NO_DEDUP(sequencer_without_dedup_logs_equal_entries_again),
        CASE(sequencer_refuses_a_batch_that_cannot_be_looked_up),
        CASE(sequencer_forgets_what_is_stored_and_indexed),
        CASE(sequencer_held_batch_still_finds_its_duplicates),
        CASE(sequencer_batch_keeps_to_its_entries),
        CASE(sequencer_batch_keeps_to_its_bytes),
        CASE(sequencer_waits_for_an_index_that_lags),
        CASE(sequencer_waits_for_tiles_that_lag),
        CASE(sequencer_end_answers_who_waits_for_the_tiles),
        CASE(sequencer_refuses_who_waits_for_tiles_that_cannot_be_stored),
        CASE(sequencer_refuses_while_there_is_no_room),
        CASE(sequencer_goes_on_with_what_came_during_the_retry),
        CASE(sequencer_refuses_while_tiles_cannot_be_stored),
        CASE(sequencer_finishes_its_batch_when_storing_fails),
        CASE(sequencer_admits_only_when_both_stores_have_room),
        CASE(sequencer_holds_a_batch_while_the_journal_is_full),
        CASE(sequencer_refuses_a_held_batch_when_the_disk_fills_up),
        CASE(sequencer_admits_before_it_takes_a_held_batch_up),
        CASE(sequencer_end_answers_who_may_wait_for_ever),
        CASE(sequencer_end_answers_who_waits_for_the_index),
        CASE(sequencer_end_finishes_the_batch_on_its_way),
        CASE(sequencer_end_is_for_good),
        CASE(sequencer_end_does_not_wait_for_room),
        CASE(sequencer_trims_to_full_tiles),
        CASE(sequencer_halts_when_a_commit_fails),
        CASE(sequencer_shows_no_tree_that_may_not_be_durable),
        CASE(sequencer_goes_on_where_recovery_ended),
        CASE_FACTS(sequencer_refuses_a_tag_that_is_logged_with_other_bytes),
        CASE_FACTS(sequencer_believes_the_tag_hits),
        CASE_FACTS(sequencer_takes_the_same_leaf_with_its_tag_for_a_duplicate),
        CASE_FACTS(sequencer_logs_the_others_of_a_batch_with_a_conflict),
        CASE_FACTS(sequencer_refuses_two_entries_of_a_call_with_one_tag),
        CASE_FACTS(sequencer_logs_entries_without_tags_as_they_come),
        CASE_FACTS(sequencer_indexes_the_facts_of_new_entries),
        CASE_FACTS(sequencer_remembers_tags_until_the_index_has_them),
        CASE_FACTS(sequencer_insists_on_dedup_for_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
