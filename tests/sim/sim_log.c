/* The log in simulation: sequencer, rounds and recovery over stores in memory, with a driver that does
 * what logd's threads do, in an order that a seed gives.
 *
 * The stores are wrapped: before each write the disks are copied, the copies lose what was not
 * synced, and recovery runs on them (that is a crash at every boundary there is, since nothing else
 * changes a disk). A fault can be put on any one write. check_log verifies everything against the
 * model, which knows what was submitted, committed, acknowledged and signed. */
#include "logd/recovery.h"
#include "logd/round.h"
#include "logd/sequencer.h"
#include "store/journal_memory.h"
#include "store/tiles_memory.h"
#include "tests/support/entries.h"
#include "tests/support/log_check.h"
#include "tests/support/tagged_entries.h"
#include "tlog/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    ENTRIES_MAX = 8000, /* of one run */
    BATCH_ENTRIES = 200,
    /* Less than a busy run writes, but room for a batch behind what cannot be trimmed: a tile's worth of
     * entries and the record that it begins in. */
    JOURNAL_BYTES = 9000,
    JOURNAL_BYTES_WITH_FACTS = 150 * 1000, /* likewise, of records */
    NUMBERS = 700,                         /* of tags, in runs with facts */
    VARIANTS = 2,                          /* of the bytes that come with a tag */
    UNSTORED_BYTES = 20 * 1000,            /* two full tiles with their bundles are more */
    INTERVAL_MS = 100,
    TICKS = 50,       /* of a run, before everything is brought to its end */
    FULL_TICKS = 8,   /* how long a disk stays full */
    SETTLE_MAX = 1000 /* ticks in which a log without faults must come to rest */
};

/* What is known to have happened, apart from what the log says. */
struct model {
    struct hash leaves[ENTRIES_MAX]; /* by index, of all that a commit was begun for */
    struct entry_facts facts[ENTRIES_MAX];
    bool is_acknowledged[ENTRIES_MAX];
    struct hash signed_roots[ENTRIES_MAX + 1]; /* by size */
    bool is_signed[ENTRIES_MAX + 1];
    uint64_t durable;     /* committed */
    uint64_t attempted;   /* durable, or the size of the commit under way */
    uint64_t signed_size; /* largest */
    uint64_t acknowledged_end;
    size_t submissions; /* not answered yet */
};

struct store_job {
    struct store_job *next;
    struct resource *resources; /* owned */
    uint64_t size;
};

/* A journal and tiles whose writes pass through the world. */
struct hooked_journal {
    struct journal base;
    struct journal *inner; /* owned */
};
struct hooked_tiles {
    struct tiles base;
    struct tiles *inner; /* owned */
};

struct world {
    uint64_t seed;
    uint64_t random;
    uint64_t now_ms;
    bool has_dedup;
    bool has_facts;
    bool forgets_tags; /* a log that does not look tags up: the checks must see it */
    struct model *model;
    struct journal_memory_disk *journal_disk;
    struct tiles_memory_disk *tiles_disk;
    struct journal *journal;
    struct tiles *tiles;

    /* Crashes and faults. */
    bool checks_crashes; /* at each write */
    uint64_t writes;     /* so far */
    uint64_t fault_at;   /* that write has `fault`; UINT64_MAX: none */
    enum store_fault fault;
    size_t full_ticks; /* left */

    /* The process: gone after a crash. */
    struct sequencer *sequencer;
    struct round round;
    struct store_job *jobs; /* oldest first */
    struct resource *next_resource;
    uint64_t stored;
    uint64_t indexed;
    bool has_round_action;
    enum round_action_type round_action;
    struct edge *snapshot;
    bool is_halted;
};

static struct world *world; /* the one that runs, for the wrapped stores */

/* What the runs came across: each must have happened, or they show little. */
static struct {
    uint64_t crashes; /* looked at */
    uint64_t boots;
    uint64_t entries; /* acknowledged */
    uint64_t duplicates;
    uint64_t full_tiles;
    uint64_t published;
    uint64_t refusals;
    uint64_t halts;
    uint64_t held; /* batches, because the journal was full */
    uint64_t failed_rounds;
    uint64_t failed_recoveries;
    uint64_t full_recoveries; /* without room for the tiles */
    uint64_t conflicts;       /* calls refused for a tag that is logged */
    uint64_t conflicts_inside;
    uint64_t repeated_tags; /* by a log that forgets them */
} seen;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("seed %llu, write %llu, fault %d at %llu: %s\n",                           \
                        (unsigned long long)world->seed, (unsigned long long)world->writes,        \
                        (int)world->fault, (unsigned long long)world->fault_at, #condition);       \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static uint64_t below(uint64_t bound)
{
    return bound == 0 ? 0 : entries_next_number(&world->random) % bound;
}

static enum recovery_recent recent_wanted(void)
{
    if (!world->has_dedup) {
        return RECOVERY_RECENT_NONE;
    }
    return world->has_facts && !world->forgets_tags ? RECOVERY_RECENT_LEAVES_AND_TAGS
                                                    : RECOVERY_RECENT_LEAVES;
}

/* -- Checking -- */

static void read_checkpoint(struct tiles *tiles, struct checkpoint *out, bool *is_there)
{
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    struct err err;
    enum err_code rc = tiles_read(tiles, "checkpoint", &text, &err);
    CHECK(rc == E_OK || rc == E_NOT_FOUND);
    *is_there = rc == E_OK;
    CHECK(rc == E_NOT_FOUND || checkpoint_parse(out, buf_span(&text), &err) == E_OK);
    buf_clear(&text);
}

/* What a stranger sees on the disk as it is, before recovery has touched it. */
static void check_public(struct tiles *tiles)
{
    struct checkpoint checkpoint;
    bool is_there;
    read_checkpoint(tiles, &checkpoint, &is_there);
    if (!is_there) {
        return;
    }
    CHECK(checkpoint.size <= world->model->signed_size);
    CHECK(world->model->is_signed[checkpoint.size]);
    struct hash root = log_check_tree(tiles, checkpoint.size, true, NULL);
    CHECK(hash_is_equal(&root, &checkpoint.root));
}

/* Every leaf of the recovered log, from its full bundles and its edge. */
static struct hash *read_leaves(struct tiles *tiles, const struct edge *edge)
{
    uint64_t size = edge_size(edge), stored = size / TILE_WIDTH * TILE_WIDTH;
    struct hash *leaves = mem_calloc(size + 1, sizeof *leaves);
    struct err err;
    log_check_tree(tiles, stored, false, leaves);
    if (stored < size) {
        CHECK(bundle_leaf_hashes(leaves + stored, buf_span(&edge->bundle),
                                 (uint16_t)(size - stored), &err) == E_OK);
        CHECK(memcmp(leaves + stored, edge->tiles[0], (size - stored) * HASH_BYTES) == 0);
    }
    return leaves;
}

/* The log holds what the model says, and every root that was ever signed is one of its roots. */
static void check_leaves(const struct hash *leaves, const struct edge *edge)
{
    const struct model *model = world->model;
    uint64_t size = edge_size(edge);
    CHECK(size == model->durable || size == model->attempted);
    CHECK(size >= model->acknowledged_end && size >= model->signed_size);
    struct compact_range range;
    compact_range_init(&range);
    for (uint64_t i = 0; i <= size; i++) {
        if (model->is_signed[i]) {
            struct hash root = compact_range_root(&range);
            CHECK(hash_is_equal(&root, &model->signed_roots[i]));
        }
        if (i < size) {
            CHECK(hash_is_equal(&leaves[i], &model->leaves[i]));
            compact_range_append(&range, &leaves[i], NULL, NULL);
        }
    }
    struct hash root = compact_range_root(&range), edge_says = edge_root(edge);
    CHECK(hash_is_equal(&root, &edge_says));
}

/* The partial tiles of the published size can be made again from what is on the disk. */
static void check_published_edge(struct journal *journal, struct tiles *tiles)
{
    struct checkpoint checkpoint;
    bool is_there;
    struct err err;
    read_checkpoint(tiles, &checkpoint, &is_there);
    if (is_there) {
        struct edge *edge = NEW(struct edge);
        edge_init(edge);
        CHECK(recovery_edge_at(edge, checkpoint.size, journal, tiles, &err) == E_OK);
        struct hash root = edge_root(edge);
        CHECK(edge_size(edge) == checkpoint.size);
        CHECK(hash_is_equal(&root, &checkpoint.root));
        edge_clear(edge);
        mem_free(edge);
    }
}

/* What the index may not have yet is found by tag, too. */
static void check_recent_tags(const struct recovered *recovered)
{
    if (recent_wanted() != RECOVERY_RECENT_LEAVES_AND_TAGS) {
        return;
    }
    for (uint64_t i = recovered->replayed_from; i < edge_size(&recovered->edge); i++) {
        const struct entry_facts *facts = &world->model->facts[i];
        uint64_t index;
        CHECK(!facts->has_tag ||
              (recent_find_tag(&recovered->recent, &facts->tag, &index) && index == i));
    }
}

static void check_recovered(const struct recovered *recovered, struct journal *journal,
                            struct tiles *tiles)
{
    uint64_t size = edge_size(&recovered->edge);
    CHECK(journal_head(journal).size == size);
    CHECK(recovered->stored == size / TILE_WIDTH * TILE_WIDTH);
    CHECK(recovered->replayed_from <= recovered->stored);
    struct hash *leaves = read_leaves(tiles, &recovered->edge);
    check_leaves(leaves, &recovered->edge);
    for (uint64_t i = recovered->replayed_from; world->has_dedup && i < size; i++) {
        uint64_t index;
        CHECK(recent_find(&recovered->recent, &leaves[i], &index));
        CHECK(index <= i && hash_is_equal(&leaves[index], &leaves[i]));
    }
    check_recent_tags(recovered);
    check_published_edge(journal, tiles);
    mem_free(leaves);
}

/* A start while the disk under the tiles is full: the log is there all the same, and the power that
 * goes again before there is room takes nothing with it. */
static void check_full_disk(struct journal_memory_disk *journal_disk,
                            struct tiles_memory_disk *tiles_disk)
{
    struct recovered *recovered = NEW(struct recovered);
    struct err err;
    struct journal *journal = journal_memory_open(journal_disk);
    struct tiles *tiles = tiles_memory_open(tiles_disk);
    tiles_memory_disk_fault(tiles_disk, STORE_FAULT_FULL);
    CHECK(recovery_run(recovered, journal, tiles, recent_wanted(), NULL, &err) == E_OK);
    struct hash root = edge_root(&recovered->edge), committed = journal_head(journal).root;
    CHECK(hash_is_equal(&root, &committed));
    CHECK((recovered->unstored != NULL) == (recovered->unstored_err.code == E_UNAVAILABLE));
    seen.full_recoveries += recovered->unstored != NULL;
    check_public(tiles);
    recovered_clear(recovered);
    journal_close(journal);
    tiles_close(tiles);
    tiles_memory_disk_crash(tiles_disk, world->random);
    mem_free(recovered);
}

/* Recovers the log on these disks and verifies all of it; now and then twice, with a power loss in
 * between: the second time finds the same. */
static void check_log(struct journal_memory_disk *journal_disk,
                      struct tiles_memory_disk *tiles_disk)
{
    struct recovered *recovered = NEW(struct recovered);
    struct hash root;
    size_t times = world->writes % 4 == 0 ? 2 : 1;
    if (world->writes % 3 == 0) {
        check_full_disk(journal_disk, tiles_disk);
    }
    for (size_t i = 0; i < times; i++) {
        struct err err;
        struct journal *journal = journal_memory_open(journal_disk);
        struct tiles *tiles = tiles_memory_open(tiles_disk);
        check_public(tiles);
        CHECK(recovery_run(recovered, journal, tiles, recent_wanted(), NULL, &err) == E_OK);
        if (i == 0) {
            root = edge_root(&recovered->edge);
            check_recovered(recovered, journal, tiles);
        }
        struct hash again = edge_root(&recovered->edge);
        CHECK(hash_is_equal(&root, &again));
        recovered_clear(recovered);
        journal_close(journal);
        tiles_close(tiles);
        tiles_memory_disk_crash(tiles_disk, world->random + i);
    }
    mem_free(recovered);
}

/* The power goes now. */
static void check_crash(void)
{
    seen.crashes++;
    struct journal_memory_disk *journal_disk = journal_memory_disk_copy(world->journal_disk);
    struct tiles_memory_disk *tiles_disk = tiles_memory_disk_copy(world->tiles_disk);
    journal_memory_disk_fault(journal_disk, STORE_FAULT_NONE);
    tiles_memory_disk_crash(tiles_disk, world->seed * 1000003 + world->writes);
    check_log(journal_disk, tiles_disk);
    journal_memory_disk_free(journal_disk);
    tiles_memory_disk_free(tiles_disk);
}

/* -- Stores that pass through here -- */

static void before_write(bool is_journal)
{
    if (world->checks_crashes) {
        check_crash();
    }
    if (world->writes++ != world->fault_at) {
        return;
    }
    if (is_journal) {
        journal_memory_disk_fault(world->journal_disk, world->fault);
    } else {
        tiles_memory_disk_fault(world->tiles_disk, world->fault);
    }
    world->full_ticks = FULL_TICKS;
}

static struct journal *inner_journal(const struct journal *base)
{
    return ((const struct hooked_journal *)base)->inner;
}

static enum err_code hooked_reserve(struct journal *base, size_t bytes, struct err *err)
{
    before_write(true);
    return journal_reserve(inner_journal(base), bytes, err);
}

static enum err_code hooked_append(struct journal *base, const struct journal_record *record,
                                   struct err *err)
{
    before_write(true);
    return journal_append(inner_journal(base), record, err);
}

static enum err_code hooked_trim(struct journal *base, uint64_t size, struct err *err)
{
    before_write(true);
    return journal_trim(inner_journal(base), size, err);
}

static enum err_code hooked_replay(struct journal *base,
                                   enum err_code (*on_record)(void *ctx,
                                                              const struct journal_record *record,
                                                              struct err *err),
                                   void *ctx, struct err *err)
{
    return journal_replay(inner_journal(base), on_record, ctx, err);
}

static struct journal_head hooked_head(const struct journal *base)
{
    return journal_head(inner_journal(base));
}

static uint64_t hooked_journal_bytes(const struct journal *base)
{
    return journal_bytes_written(inner_journal(base));
}

static void hooked_journal_close(struct journal *base)
{
    journal_close(inner_journal(base));
    mem_free(base);
}

static const struct journal_ops hooked_journal_ops = {
    .reserve = hooked_reserve,
    .append = hooked_append,
    .trim = hooked_trim,
    .replay = hooked_replay,
    .head = hooked_head,
    .bytes_written = hooked_journal_bytes,
    .close = hooked_journal_close,
};

static struct tiles *inner_tiles(const struct tiles *base)
{
    return ((const struct hooked_tiles *)base)->inner;
}

static enum err_code hooked_write(struct tiles *base, const char *path, struct span bytes,
                                  struct err *err)
{
    before_write(false);
    return tiles_write(inner_tiles(base), path, bytes, err);
}

static enum err_code hooked_sync(struct tiles *base, struct err *err)
{
    before_write(false);
    return tiles_sync(inner_tiles(base), err);
}

static enum err_code hooked_replace(struct tiles *base, const char *path, struct span bytes,
                                    struct err *err)
{
    before_write(false);
    return tiles_replace(inner_tiles(base), path, bytes, err);
}

static enum err_code hooked_read(struct tiles *base, const char *path, struct buf *out,
                                 struct err *err)
{
    return tiles_read(inner_tiles(base), path, out, err);
}

static void hooked_tiles_close(struct tiles *base)
{
    tiles_close(inner_tiles(base));
    mem_free(base);
}

static const struct tiles_ops hooked_tiles_ops = {
    .write = hooked_write,
    .sync = hooked_sync,
    .replace = hooked_replace,
    .read = hooked_read,
    .close = hooked_tiles_close,
};

static void open_stores(void)
{
    struct hooked_journal *journal = NEW(struct hooked_journal);
    journal->base.ops = &hooked_journal_ops;
    journal->inner = journal_memory_open(world->journal_disk);
    world->journal = &journal->base;
    struct hooked_tiles *tiles = NEW(struct hooked_tiles);
    tiles->base.ops = &hooked_tiles_ops;
    tiles->inner = tiles_memory_open(world->tiles_disk);
    world->tiles = &tiles->base;
}

static void close_stores(void)
{
    journal_close(world->journal);
    tiles_close(world->tiles);
}

/* -- The sequencer's actions -- */

static void tell(struct sequencer_event event);
static void tell_round(enum round_event_type type, uint64_t size, bool is_ok);

static uint64_t find_hit(const struct hash *leaf)
{
    for (uint64_t i = 0; i < world->indexed; i++) {
        if (hash_is_equal(&world->model->leaves[i], leaf)) {
            return i < world->stored ? i : SEQUENCER_NO_HIT;
        }
    }
    return SEQUENCER_NO_HIT;
}

static uint64_t find_tag_hit(const struct entry_facts *facts)
{
    for (uint64_t i = 0; facts->has_tag && !world->forgets_tags && i < world->indexed; i++) {
        const struct entry_facts *there = &world->model->facts[i];
        if (there->has_tag && hash_is_equal(&there->tag, &facts->tag)) {
            return i;
        }
    }
    return SEQUENCER_NO_HIT;
}

static void look_up_tags(const struct sequencer_batch *batch)
{
    uint64_t *hit = batch->tag_hits;
    for (const struct submission *at = batch->submissions; at != NULL; at = at->next) {
        for (size_t i = 0; i < at->count; i++) {
            *hit++ = find_tag_hit(&at->facts[i]);
        }
    }
}

static void look_up(void)
{
    const struct sequencer_batch *batch = sequencer_batch(world->sequencer);
    if (world->has_facts) {
        look_up_tags(batch);
    }
    uint64_t *hit = batch->hits;
    for (const struct submission *at = batch->submissions; at != NULL; at = at->next) {
        for (size_t i = 0; i < at->count; i++) {
            *hit++ = find_hit(&at->leaves[i]);
        }
    }
}

/* The one rule of tags: whatever was refused, repeated or lost on the way, the log has each once. */
static void keep_facts(uint64_t index, struct span entry)
{
    struct model *model = world->model;
    model->facts[index] = entry_facts_read(entry);
    const struct entry_facts *facts = &model->facts[index];
    for (uint64_t i = 0; facts->has_tag && i < index; i++) {
        bool is_repeated =
            model->facts[i].has_tag && hash_is_equal(&model->facts[i].tag, &facts->tag);
        CHECK(!is_repeated || world->forgets_tags);
        seen.repeated_tags += is_repeated;
    }
}

/* What a commit is about to make durable, or not. */
static void attempt(const struct journal_record *record)
{
    struct model *model = world->model;
    CHECK(record->first == model->durable);
    CHECK(record->size <= ENTRIES_MAX);
    struct span rest = record->entries, entry;
    for (uint64_t i = record->first; i < record->size; i++) {
        CHECK(bundle_take_entry(&rest, &entry));
        model->leaves[i] = merkle_leaf_hash(entry);
        if (world->has_facts) {
            keep_facts(i, entry);
        }
    }
    CHECK(rest.len == 0);
    model->attempted = record->size;
}

static enum err_code commit(const struct journal_record *record, struct err *err)
{
    attempt(record);
    enum err_code rc = journal_append(world->journal, record, err);
    if (rc == E_OK) {
        world->model->durable = record->size;
    }
    return rc;
}

static void acknowledge(const struct submission *submission)
{
    struct model *model = world->model;
    for (size_t i = 0; i < submission->count; i++) {
        uint64_t index = submission->indices[i];
        CHECK(index < model->durable);
        CHECK(hash_is_equal(&model->leaves[index], &submission->leaves[i]));
        CHECK(submission->duplicate[i] || !model->is_acknowledged[index]);
        CHECK(world->has_dedup || !submission->duplicate[i]);
        seen.duplicates += submission->duplicate[i];
        seen.entries++;
        model->is_acknowledged[index] = true;
        if (index >= model->acknowledged_end) {
            model->acknowledged_end = index + 1;
        }
    }
}

/* Refused for its tag, and rightly: that one is durable, in other bytes. */
static void check_conflict(const struct submission *submission)
{
    const struct submission_conflict *conflict = &submission->conflict;
    const struct hash *tag = &submission->facts[conflict->position].tag;
    const struct hash *leaf = &submission->leaves[conflict->position];
    CHECK(submission->facts[conflict->position].has_tag);
    if (conflict->is_inside) {
        seen.conflicts_inside++;
        CHECK(conflict->index < conflict->position);
        CHECK(hash_is_equal(&submission->facts[conflict->index].tag, tag));
        CHECK(!hash_is_equal(&submission->leaves[conflict->index], leaf));
        return;
    }
    seen.conflicts++;
    CHECK(conflict->index < world->model->durable);
    CHECK(hash_is_equal(&world->model->facts[conflict->index].tag, tag));
    CHECK(!hash_is_equal(&world->model->leaves[conflict->index], leaf));
}

static void take_answers(struct submission *submissions, bool is_ok)
{
    while (submissions != NULL) {
        struct submission *next = submissions->next;
        if (is_ok && submissions->conflict.is_there) {
            check_conflict(submissions);
        } else if (is_ok) {
            acknowledge(submissions);
        }
        world->model->submissions--;
        submission_free(submissions);
        submissions = next;
    }
}

static void add_job(struct resource *resources, uint64_t size)
{
    struct store_job *job = NEW(struct store_job);
    job->resources = resources;
    job->size = size;
    struct store_job **last = &world->jobs;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = job;
    if (world->jobs == job) {
        world->next_resource = resources;
    }
}

static bool perform_with_result(const struct sequencer_action *action,
                                struct sequencer_event *event, struct err *err)
{
    enum err_code rc = E_OK;
    *event = (struct sequencer_event){ .type = SEQUENCER_LOOKED_UP };
    if (action->type == SEQUENCER_LOOK_UP) {
        look_up();
    } else if (action->type == SEQUENCER_RESERVE) {
        rc = journal_reserve(world->journal, action->bytes, err);
        seen.held += rc == E_BUSY;
        event->type = SEQUENCER_RESERVED;
    } else if (action->type == SEQUENCER_COMMIT) {
        rc = commit(&action->record, err);
        event->type = SEQUENCER_COMMITTED;
    } else {
        return false;
    }
    event->err = rc == E_OK ? NULL : err;
    return true;
}

static void perform(struct sequencer_action *action)
{
    struct err err;
    switch (action->type) {
    case SEQUENCER_ANSWER:
        take_answers(action->submissions, action->err.code == E_OK);
        break;
    case SEQUENCER_STORE:
        CHECK(action->size == world->model->durable);
        add_job(action->resources, action->size);
        tell_round(ROUND_NEWS, action->size, true);
        break;
    case SEQUENCER_INDEX:
        CHECK(action->index_job->first + action->index_job->count == world->model->durable);
        mem_free(action->index_job);
        break;
    case SEQUENCER_TRIM:
        (void)!journal_trim(world->journal, action->size, &err);
        break;
    case SEQUENCER_REFUSE:
        seen.refusals++;
        break;
    case SEQUENCER_HALT:
        seen.halts++;
        world->is_halted = true;
        break;
    default: /* ADMIT: there is no pool here */
        break;
    }
}

static void tell(struct sequencer_event event)
{
    struct err err;
    bool has_event = true;
    while (has_event) {
        struct sequencer_actions actions;
        actions.count = 0;
        sequencer_step(world->sequencer, &event, &actions);
        has_event = false;
        for (size_t i = 0; i < actions.count; i++) {
            CHECK(!has_event);
            has_event = perform_with_result(&actions.items[i], &event, &err);
            if (!has_event) {
                perform(&actions.items[i]);
            }
        }
    }
}

/* -- Rounds -- */

static void take_snapshot(void)
{
    edge_copy(world->snapshot, sequencer_edge(world->sequencer));
}

static void tell_round(enum round_event_type type, uint64_t size, bool is_ok)
{
    struct round_event event = {
        .type = type, .now_ms = world->now_ms, .size = size, .is_ok = is_ok
    };
    struct round_actions actions;
    actions.count = 0;
    round_step(&world->round, &event, &actions);
    for (size_t i = 0; i < actions.count; i++) {
        if (actions.items[i].type != ROUND_WAIT) {
            CHECK(!world->has_round_action);
            world->has_round_action = true;
            world->round_action = actions.items[i].type;
        }
    }
}

struct partials {
    bool is_ok;
};

static void write_partial(void *ctx, const struct tile_path *path, struct span bytes)
{
    struct partials *partials = ctx;
    struct err err;
    partials->is_ok = partials->is_ok &&
                      tiles_write(world->tiles, tile_path_text(path).text, bytes, &err) == E_OK;
}

/* The signature is out from here on: one size, one root, and nothing that is not durable. */
static void sign(void)
{
    struct model *model = world->model;
    uint64_t size = edge_size(world->snapshot);
    struct hash root = edge_root(world->snapshot);
    CHECK(size <= model->durable);
    CHECK(!model->is_signed[size] || hash_is_equal(&model->signed_roots[size], &root));
    model->is_signed[size] = true;
    model->signed_roots[size] = root;
    model->signed_size = size > model->signed_size ? size : model->signed_size;
}

static bool prepare(void)
{
    struct partials partials = { .is_ok = true };
    struct err err;
    edge_put_partials(world->snapshot, write_partial, &partials);
    if (!partials.is_ok || tiles_sync(world->tiles, &err) != E_OK) {
        return false;
    }
    sign();
    return true;
}

static bool publish(void)
{
    struct checkpoint checkpoint = { .origin = "sim.example/log" };
    checkpoint.size = edge_size(world->snapshot);
    checkpoint.root = edge_root(world->snapshot);
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    struct err err;
    checkpoint_put(&text, &checkpoint);
    bool is_ok = tiles_replace(world->tiles, "checkpoint", buf_span(&text), &err) == E_OK;
    buf_clear(&text);
    return is_ok;
}

static void do_round_action(void)
{
    if (!world->has_round_action) {
        return;
    }
    bool is_ok = true;
    world->has_round_action = false;
    switch (world->round_action) {
    case ROUND_TAKE_SNAPSHOT:
        take_snapshot();
        tell_round(ROUND_SNAPSHOT, edge_size(world->snapshot), true);
        break;
    case ROUND_PREPARE:
        is_ok = prepare();
        tell_round(ROUND_PREPARED, 0, is_ok);
        break;
    case ROUND_PUBLISH:
        is_ok = publish();
        seen.published += is_ok;
        tell_round(ROUND_PUBLISHED, 0, is_ok);
        break;
    case ROUND_ASK: /* there are no witnesses */
    case ROUND_MERGE:
    case ROUND_WAIT:
        break;
    }
    seen.failed_rounds += !is_ok;
}

/* -- Integration -- */

static void free_job(void)
{
    struct store_job *job = world->jobs;
    while (job->resources != NULL) {
        struct resource *next = job->resources->next;
        mem_free(job->resources);
        job->resources = next;
    }
    world->jobs = job->next;
    world->next_resource = world->jobs == NULL ? NULL : world->jobs->resources;
    mem_free(job);
}

static void end_job(void)
{
    uint64_t size = world->jobs->size;
    free_job();
    seen.full_tiles += size / TILE_WIDTH - world->stored / TILE_WIDTH;
    world->stored = size / TILE_WIDTH * TILE_WIDTH;
    tell((struct sequencer_event){ .type = SEQUENCER_STORED, .size = size });
    if (!world->is_halted) {
        tell_round(ROUND_STORED, size, true);
    }
}

/* One file, or the sync behind the last one. After a failure all files of the job are written again. */
static void integrate(void)
{
    struct err err;
    if (world->jobs == NULL) {
        return;
    }
    struct resource *resource = world->next_resource;
    if (resource != NULL) {
        enum err_code rc = tiles_write(world->tiles, tile_path_text(&resource->path).text,
                                       span_of(resource->bytes, resource->len), &err);
        if (rc == E_OK) {
            world->next_resource = resource->next;
            return;
        }
    } else if (tiles_sync(world->tiles, &err) == E_OK) {
        end_job();
        return;
    }
    world->next_resource = world->jobs->resources;
    tell((struct sequencer_event){ .type = SEQUENCER_STORE_FAILED, .err = &err });
}

/* -- The life of a process -- */

static const struct sequencer_limits limits_of_sim = {
    .has_dedup = true,
    .batch_entries_max = BATCH_ENTRIES,
    .batch_bytes_max = CALL_BYTES_MAX,
    .unindexed_max = UINT64_MAX,
    .unstored_bytes_max = UNSTORED_BYTES,
};

static void start_process(struct recovered *recovered)
{
    struct model *model = world->model;
    uint64_t size = edge_size(&recovered->edge);
    CHECK(size == model->durable || size == model->attempted);
    model->durable = size;
    model->attempted = size;
    model->submissions = 0;
    world->stored = recovered->stored;
    world->indexed = recovered->stored + below(size - recovered->stored + 1);
    struct sequencer_limits limits = limits_of_sim;
    limits.has_dedup = world->has_dedup;
    limits.has_facts = world->has_facts;
    if (world->has_facts) {
        limits.unstored_bytes_max *= 4; /* records are larger */
    }
    world->sequencer = sequencer_new(&limits, &recovered->edge, &recovered->recent,
                                     recovered->stored, world->indexed);
    bool is_behind = recovered->unstored_err.code != E_OK;
    if (is_behind) { /* a full disk: what is missing is the first job */
        seen.full_recoveries++;
        add_job(recovered->unstored, size);
        recovered->unstored = NULL;
        tell((struct sequencer_event){ .type = SEQUENCER_STORE_FAILED,
                                       .err = &recovered->unstored_err });
    }
    uint64_t stored = recovered->stored;
    recovered_clear(recovered);
    struct checkpoint checkpoint = { .size = 0 };
    bool is_published;
    read_checkpoint(world->tiles, &checkpoint, &is_published);
    CHECK(checkpoint.size <= size);
    round_init(&world->round, INTERVAL_MS, is_published, checkpoint.size, stored);
    tell_round(ROUND_NEWS, size, true);
}

static void clear_faults(void)
{
    journal_memory_disk_fault(world->journal_disk, STORE_FAULT_NONE);
    tiles_memory_disk_fault(world->tiles_disk, STORE_FAULT_NONE);
}

/* A fault may hit recovery too: then the supervisor starts the process again. */
static void boot(void)
{
    struct recovered *recovered = NEW(struct recovered);
    struct err err;
    seen.boots++;
    open_stores();
    while (recovery_run(recovered, world->journal, world->tiles, recent_wanted(), NULL, &err) !=
           E_OK) {
        CHECK(err.code == E_IO || err.code == E_UNAVAILABLE);
        CHECK(world->writes > world->fault_at);
        seen.failed_recoveries++;
        close_stores();
        clear_faults();
        open_stores();
    }
    start_process(recovered);
    mem_free(recovered);
}

static void end_process(void)
{
    while (world->jobs != NULL) {
        free_job();
    }
    sequencer_free(world->sequencer);
    close_stores();
    world->has_round_action = false;
    world->is_halted = false;
}

/* The process is killed, or the power goes. */
static void crash_and_boot(void)
{
    end_process();
    if (below(2) == 0) {
        tiles_memory_disk_crash(world->tiles_disk, entries_next_number(&world->random));
    }
    boot();
}

/* -- The workload -- */

/* Records whose tags come again: the same bytes are a duplicate, other bytes a conflict. */
static struct submission *make_call_with_facts(void)
{
    uint64_t numbers[BATCH_ENTRIES], variants[BATCH_ENTRIES];
    bool is_careless = below(3) == 0; /* a store that was put back numbers at random */
    size_t count = !is_careless && below(8) == 0 ? 60 + below(60) : 1 + below(4);
    uint64_t first = below(NUMBERS);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = is_careless ? below(NUMBERS) : first + i;
        variants[i] = is_careless ? below(VARIANTS) : 0;
    }
    return tagged_entries_submission(numbers, variants, count);
}

static struct submission *make_call(void)
{
    struct submission *submission;
    if (world->has_facts) {
        world->model->submissions++;
        return make_call_with_facts();
    }
    switch (below(10)) {
    case 0:
        submission = entries_numbered(below(400), 90 + below(90));
        break;
    case 1:
    case 2:
        submission = entries_numbered(below(400), 1 + below(40));
        break;
    default:
        submission = entries_numbered(below(100000), 1 + below(9));
    }
    world->model->submissions++;
    return submission;
}

static void submit(void)
{
    struct submission *list = NULL;
    size_t count = 1 + below(3);
    for (size_t i = 0; i < count; i++) {
        struct submission *call = make_call();
        call->next = list;
        list = call;
    }
    tell((struct sequencer_event){ .type = SEQUENCER_SUBMITTED, .submissions = list });
}

static void advance_index(void)
{
    if (world->has_dedup) {
        world->indexed += below(world->model->durable - world->indexed + 1);
        tell((struct sequencer_event){ .type = SEQUENCER_INDEXED, .size = world->indexed });
    }
}

static void do_something(bool is_ending)
{
    if (world->full_ticks > 0 && --world->full_ticks == 0) {
        clear_faults();
    }
    world->now_ms += below(INTERVAL_MS);
    if (!is_ending && world->seed % 6 == 0 && below(3) == 0) {
        submit(); /* a busy run: integration lags */
        return;
    }
    switch (is_ending ? 2 + below(10) : below(13)) {
    case 0:
    case 1:
        submit();
        break;
    case 2:
        tell_round(ROUND_TICK, 0, true);
        break;
    case 3:
        tell((struct sequencer_event){ .type = SEQUENCER_RETRY });
        break;
    case 4:
        advance_index();
        break;
    case 5:
    case 6:
    case 7:
        do_round_action();
        break;
    case 12:
        if (below(3) == 0) {
            crash_and_boot();
        }
        break;
    default:
        integrate();
        break;
    }
}

static void tick(bool is_ending)
{
    do_something(is_ending);
    if (world->is_halted) {
        crash_and_boot();
    }
}

static bool is_settled(void)
{
    return world->jobs == NULL && sequencer_is_idle(world->sequencer) && !world->has_round_action &&
           world->round.published == world->model->durable && world->round.phase == ROUND_RESTING &&
           !world->round.is_first;
}

/* Brings everything to its end: all calls are answered, all entries public. */
static void settle(void)
{
    for (size_t i = 0; i < SETTLE_MAX && !is_settled(); i++) {
        tick(true);
    }
    CHECK(is_settled());
    CHECK(world->model->submissions == 0);
    struct checkpoint checkpoint;
    bool is_there;
    read_checkpoint(world->tiles, &checkpoint, &is_there);
    CHECK(is_there && checkpoint.size == world->model->durable);
    check_crash();
}

enum run_kind {
    RUN_OPAQUE,
    RUN_WITH_FACTS,
    RUN_FORGETTING_TAGS,
};

/* One run from an empty disk. Returns the number of writes. */
static uint64_t run_kind(enum run_kind kind, uint64_t seed, bool checks_crashes, uint64_t fault_at,
                         enum store_fault fault)
{
    struct world here = {
        .seed = seed,
        .random = seed,
        .has_dedup = kind != RUN_OPAQUE || seed % 5 != 0,
        .has_facts = kind != RUN_OPAQUE,
        .forgets_tags = kind == RUN_FORGETTING_TAGS,
        .checks_crashes = checks_crashes,
        .fault_at = fault_at,
        .fault = fault,
        .model = NEW(struct model),
        .journal_disk =
            journal_memory_disk_new(kind == RUN_OPAQUE ? JOURNAL_BYTES : JOURNAL_BYTES_WITH_FACTS),
        .tiles_disk = tiles_memory_disk_new(),
        .snapshot = NEW(struct edge),
    };
    world = &here;
    edge_init(here.snapshot);
    boot();
    for (size_t i = 0; i < TICKS; i++) {
        tick(false);
    }
    settle();
    end_process();
    journal_memory_disk_free(here.journal_disk);
    tiles_memory_disk_free(here.tiles_disk);
    edge_clear(here.snapshot);
    mem_free(here.snapshot);
    mem_free(here.model);
    return here.writes;
}

static uint64_t run(uint64_t seed, bool checks_crashes, uint64_t fault_at, enum store_fault fault)
{
    return run_kind(RUN_OPAQUE, seed, checks_crashes, fault_at, fault);
}

/* COURTROLL_LONG=1 runs as many more. */
static uint64_t scaled(uint64_t count)
{
    const char *wants_long = getenv("COURTROLL_LONG");
    return wants_long != NULL && strcmp(wants_long, "1") == 0 ? count * 50 : count;
}

/* -- Cases -- */

static void log_survives_a_crash_at_every_write(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= scaled(200); seed++) {
        run(seed, true, UINT64_MAX, STORE_FAULT_NONE);
    }
}

static void log_survives_a_fault_of_every_write(void **state)
{
    (void)state;
    static const enum store_fault faults[] = { STORE_FAULT_BEFORE, STORE_FAULT_AFTER,
                                               STORE_FAULT_FULL };
    for (uint64_t seed = 1; seed <= scaled(8); seed++) {
        for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
            for (uint64_t at = 0; run(seed, false, at, faults[i]) > at; at++) {
            }
        }
    }
}

/* A crash at every write of a run in which one write failed. */
static void log_survives_crashes_behind_a_fault(void **state)
{
    (void)state;
    for (uint64_t seed = 1000; seed < scaled(30) + 1000; seed++) {
        run(seed, true, seed * 31 % 60, 1 + seed % 3);
    }
}

static void log_has_each_tag_once_through_crashes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= scaled(12); seed++) {
        run_kind(RUN_WITH_FACTS, seed, true, UINT64_MAX, STORE_FAULT_NONE);
    }
    for (uint64_t seed = 100; seed < scaled(60) + 100; seed++) {
        run_kind(RUN_WITH_FACTS, seed, false, seed * 37 % 90, 1 + seed % 3);
    }
    assert_int_equal(seen.repeated_tags, 0);
}

/* The check above is one: a log that looks tags up nowhere but in memory, and forgets them at each start, has
 * some twice. */
static void log_that_forgets_tags_repeats_them(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        run_kind(RUN_FORGETTING_TAGS, seed, false, UINT64_MAX, STORE_FAULT_NONE);
    }
    assert_true(seen.repeated_tags > 0);
}

static void simulation_has_seen_everything(void **state)
{
    (void)state;
    const uint64_t *counts = (const uint64_t *)&seen;
    for (size_t i = 0; i < sizeof seen / sizeof *counts; i++) {
        assert_true(counts[i] > 0);
    }
    print_message("crashes=%llu boots=%llu entries=%llu duplicates=%llu full_tiles=%llu "
                  "published=%llu refusals=%llu halts=%llu held=%llu failed_rounds=%llu "
                  "failed_recoveries=%llu full_recoveries=%llu conflicts=%llu "
                  "conflicts_inside=%llu repeated_tags=%llu\n",
                  (unsigned long long)seen.crashes, (unsigned long long)seen.boots,
                  (unsigned long long)seen.entries, (unsigned long long)seen.duplicates,
                  (unsigned long long)seen.full_tiles, (unsigned long long)seen.published,
                  (unsigned long long)seen.refusals, (unsigned long long)seen.halts,
                  (unsigned long long)seen.held, (unsigned long long)seen.failed_rounds,
                  (unsigned long long)seen.failed_recoveries,
                  (unsigned long long)seen.full_recoveries, (unsigned long long)seen.conflicts,
                  (unsigned long long)seen.conflicts_inside,
                  (unsigned long long)seen.repeated_tags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_survives_a_crash_at_every_write),
        cmocka_unit_test(log_survives_a_fault_of_every_write),
        cmocka_unit_test(log_survives_crashes_behind_a_fault),
        cmocka_unit_test(log_has_each_tag_once_through_crashes),
        cmocka_unit_test(log_that_forgets_tags_repeats_them),
        cmocka_unit_test(simulation_has_seen_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
