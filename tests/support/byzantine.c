#include "tests/support/byzantine.h"

#include "base/alloc.h"
#include "evidence/evidence.h"
#include "monitor/follow.h"
#include "tests/support/keys.h"
#include "tests/support/memory_log.h"
#include "tlog/promise.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ORIGIN  "log.court.example/2026"
#define VANTAGE "witness http://witness.example"

enum {
    WITNESSES = 3,
    RAISED_MAX = 512,
    NOTE_MAX = 64 * 1024,
    START_S = 1800000000,
    POLL_S = 20,
    GROWTH_MAX = 300, /* entries between two polls of an honest log */
    STALLED_S = 1800,
    MISSING_S = 7200,
    WITHHELD_S = 600,
    UNREACHABLE_S = 300,
    GROWTH_PER_HOUR = 100000,
    SCAN_THREADS = 2,
    EVIDENCE_MAX = 32,
};

struct raised {
    enum finding_code code;
    char subject[FINDING_SUBJECT_MAX];
    bool is_over;
};

struct byzantine {
    uint64_t seed, random;
    enum byzantine_plant plant;
    struct signer log_key, promise_key, other_key, witness_keys[WITNESSES];
    struct policy *policy;
    struct kv *kv; /* the store's, kept for crashes */
    struct state_store *store;
    struct memory_log *honest, *served; /* what the log's address shows */
    struct watched_log *log;
    struct note_memory *memory;
    struct follow *follow;
    struct monitor_time now;
    int64_t last_s[WITNESSES]; /* time of its last line */
    bool is_absent[WITNESSES];
    size_t raised_count;
    struct raised raised[RAISED_MAX];
    uint64_t raise_calls;
    char plan[512]; /* what was planted so far, for a person */
    bool must[FINDING_COUNT], may[FINDING_COUNT];
    char must_subject[FINDING_COUNT][FINDING_SUBJECT_MAX]; /* or "": any */
    struct buf note;                                       /* the honest one that is served */
};

static const char *const plant_texts[PLANT_COUNT] = {
    [PLANT_FORK_EQUAL] = "fork of the same size",
    [PLANT_FORK_SMALLER] = "fork of a smaller size",
    [PLANT_FORK_LARGER] = "fork of a larger size",
    [PLANT_EQUIVOCATION] = "witness on both sides of a fork",
    [PLANT_LATER_SMALLER] = "witness signs a smaller size later",
    [PLANT_BROKEN_PROMISE] = "broken promise",
    [PLANT_FRAMING] = "framing",
    [PLANT_FORK_SERVED] = "fork served to us",
    [PLANT_BAD_LOG_SIGNATURE] = "bad signature of the log",
    [PLANT_BAD_WITNESS_SIGNATURE] = "bad signature of a witness",
    [PLANT_NO_QUORUM] = "no quorum",
    [PLANT_STALE] = "stale cosignature",
    [PLANT_FUTURE] = "future cosignature",
    [PLANT_WITNESS_MISSING] = "witness missing",
    [PLANT_STALLED] = "stalled",
    [PLANT_ROLLBACK] = "rollback",
    [PLANT_ROOT_MISMATCH] = "root mismatch",
    [PLANT_MALFORMED] = "malformed bundle",
    [PLANT_TILE_MISMATCH] = "tile mismatch",
    [PLANT_TIME_BACKWARDS] = "time backwards",
    [PLANT_GROWTH] = "growth",
    [PLANT_WITHHELD] = "withheld",
    [PLANT_UNREACHABLE] = "unreachable",
};

const char *byzantine_plant_text(enum byzantine_plant plant)
{
    return plant < PLANT_COUNT ? plant_texts[plant] : "none";
}

static uint64_t below(struct byzantine *world, uint64_t n)
{
    world->random += 0x9e3779b97f4a7c15u;
    uint64_t z = world->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

/* From `least` to `most`, both included. */
static uint64_t between(struct byzantine *world, uint64_t least, uint64_t most)
{
    return least + below(world, most - least + 1);
}

static void fail(const struct byzantine *world, const char *what, const char *detail)
{
    fprintf(stderr, "seed %" PRIu64 ", planted%s, now %s: %s%s\n", world->seed, world->plan,
            byzantine_plant_text(world->plant), what, detail);
    abort();
}

static void check(const struct byzantine *world, enum err_code rc, const struct err *err)
{
    if (rc != E_OK) {
        fail(world, "", err->msg);
    }
}

/* -- the sink: each proof has to convince a stranger -- */

static void judge_proof(const struct byzantine *world, const struct finding *finding)
{
    const struct vkey *keys[WITNESSES + 2] = { &world->log_key.vkey, &world->promise_key.vkey };
    for (size_t i = 0; i < WITNESSES; i++) {
        keys[i + 2] = &world->witness_keys[i].vkey;
    }
    struct evidence evidence;
    struct evidence_verdict *verdict = NEW(struct evidence_verdict);
    struct err err;
    enum err_code rc = evidence_parse(&evidence, finding->evidence, &err);
    if (rc == E_OK) {
        rc = evidence_verify(&evidence, keys, WITNESSES + 2, verdict, &err);
    }
    check(world, rc, &err);
    if (strcmp(evidence_kind_text(evidence.kind), finding_kind(finding->code)->text) != 0) {
        fail(world, "evidence of another kind: ", evidence_kind_text(evidence.kind));
    }
    mem_free(verdict);
}

static enum err_code on_raise(void *ctx, const struct finding *finding, int64_t now_s,
                              struct err *err)
{
    struct byzantine *world = ctx;
    (void)now_s;
    (void)err;
    world->raise_calls++;
    if (finding_kind(finding->code)->is_provable) {
        judge_proof(world, finding);
    }
    if (!world->must[finding->code] && !world->may[finding->code]) {
        char text[FINDING_SUBJECT_MAX + FINDING_SUMMARY_MAX + 64];
        snprintf(text, sizeof text, "%s (%s): %s", finding_kind(finding->code)->text,
                 finding->subject, finding->summary);
        fail(world, "raised, and was not planted: ", text);
    }
    for (size_t i = 0; i < world->raised_count; i++) {
        if (world->raised[i].code == finding->code &&
            strcmp(world->raised[i].subject, finding->subject) == 0) {
            world->raised[i].is_over = false;
            return E_OK;
        }
    }
    if (world->raised_count == RAISED_MAX) {
        fail(world, "more causes than a person can read", "");
    }
    struct raised *raised = &world->raised[world->raised_count++];
    raised->code = finding->code;
    raised->is_over = false;
    memcpy(raised->subject, finding->subject, sizeof raised->subject);
    return E_OK;
}

static enum err_code on_clear(void *ctx, enum finding_code code, const char *origin,
                              const char *subject, int64_t now_s, struct err *err)
{
    struct byzantine *world = ctx;
    (void)origin;
    (void)now_s;
    (void)err;
    for (size_t i = 0; i < world->raised_count; i++) {
        if (world->raised[i].code == code && strcmp(world->raised[i].subject, subject) == 0) {
            world->raised[i].is_over = true;
        }
    }
    return E_OK;
}

/* -- the monitor -- */

static enum err_code open_served(void *ctx, struct log_reader **out, struct err *err)
{
    struct byzantine *world = ctx;
    return memory_log_open_source(world->served, out, err);
}

static void open_monitor(struct byzantine *world)
{
    struct watched_log_options options = {
        .policy = world->policy,
        .log = policy_log_by_origin(world->policy, ORIGIN),
        .promise_key = policy_promise_key(world->policy, ORIGIN),
        .thresholds = { .stalled_after_s = STALLED_S,
                        .witness_missing_after_s = MISSING_S,
                        .withheld_after_s = WITHHELD_S,
                        .unreachable_after_s = UNREACHABLE_S,
                        .future_tolerance_s = 60,
                        .growth_per_hour_max = GROWTH_PER_HOUR },
        .sources = { { world, open_served } },
        .source_count = 1,
        .sink = { world, on_raise, on_clear },
    };
    struct err err;
    world->store = state_store_new(kv_memory_copy(world->kv), NULL, NULL);
    kv_close(world->kv);
    world->kv = NULL;
    options.store = world->store;
    world->log = watched_log_new(&options);
    check(world, note_memory_open(&world->memory, world->log, &err), &err);
    struct follow_options follow = { .log = world->log,
                                     .memory = world->memory,
                                     .scan_threads = SCAN_THREADS };
    check(world, follow_open(&world->follow, &follow, &err), &err);
}

static void close_monitor(struct byzantine *world)
{
    follow_close(world->follow);
    note_memory_free(world->memory);
    watched_log_free(world->log);
    state_store_free(world->store);
}

/* The kv cannot be had back from the store: what is stored is copied out of it. */
static enum err_code copy_item(void *ctx, struct span key, struct span value, struct err *err)
{
    (void)err;
    kv_batch_put(ctx, key, value);
    return E_OK;
}

void byzantine_crash(struct byzantine *world)
{
    struct kv_batch batch;
    struct err err;
    kv_batch_init(&batch);
    check(world, state_store_scan(world->store, (struct span){ 0 }, copy_item, &batch, &err), &err);
    close_monitor(world);
    world->kv = kv_memory_new();
    check(world, kv_write_synced(world->kv, &batch, &err), &err);
    kv_batch_clear(&batch);
    open_monitor(world);
}

static void step(struct byzantine *world)
{
    struct err err;
    size_t steps = 0;
    do {
        check(world, follow_step(world->follow, &world->now, &err), &err);
    } while (follow_has_more(world->follow) && ++steps < 100);
}

static void pass(struct byzantine *world, int64_t seconds)
{
    world->now.unix_s += seconds;
    world->now.monotonic_ms += (uint64_t)seconds * 1000;
}

/* -- notes -- */

/* A time of 0: no line of that witness. */
static void put_note(struct byzantine *world, struct memory_log *log, uint64_t size,
                     const struct signer *log_key, const int64_t times[WITNESSES], struct buf *out)
{
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    memory_log_put_text(log, size, &text);
    keys_put_signed(out, buf_span(&text), log_key, 0);
    for (size_t i = 0; i < WITNESSES; i++) {
        if (times[i] > 0) {
            keys_put_signature(out, buf_span(&text), &world->witness_keys[i], (uint64_t)times[i]);
        }
    }
    buf_clear(&text);
}

/* Honest witnesses sign now, and never earlier than before. */
static void cosign_times(struct byzantine *world, int64_t times[WITNESSES])
{
    for (size_t i = 0; i < WITNESSES; i++) {
        times[i] = 0;
        if (!world->is_absent[i]) {
            if (world->now.unix_s > world->last_s[i]) {
                world->last_s[i] = world->now.unix_s;
            }
            times[i] = world->last_s[i];
        }
    }
}

static void serve(struct byzantine *world, uint64_t size, const int64_t times[WITNESSES])
{
    buf_reset(&world->note);
    put_note(world, world->honest, size, &world->log_key, times, &world->note);
    memory_log_publish_note(world->honest, size, buf_span(&world->note));
}

static void publish(struct byzantine *world)
{
    int64_t times[WITNESSES];
    cosign_times(world, times);
    serve(world, memory_log_size(world->honest), times);
}

static void grow(struct byzantine *world, uint64_t count)
{
    memory_log_grow(world->honest, memory_log_size(world->honest) + count);
}

void byzantine_poll(struct byzantine *world)
{
    pass(world, POLL_S);
    grow(world, below(world, GROWTH_MAX));
    publish(world);
    step(world);
}

static void show(struct byzantine *world, struct span note)
{
    struct compare_outcome *out = NEW(struct compare_outcome);
    struct err err;
    enum err_code rc = note_memory_on_note(world->memory, VANTAGE, note, &world->now, out, &err);
    if (rc != E_OK && rc != E_MALFORMED && rc != E_BAD_SIGNATURE && rc != E_NOT_FOUND) {
        check(world, rc, &err);
    }
    mem_free(out);
}

static void must(struct byzantine *world, enum finding_code code, const char *subject)
{
    world->must[code] = true;
    snprintf(world->must_subject[code], sizeof world->must_subject[code], "%s", subject);
}

static const char *witness_name(const struct byzantine *world, size_t i)
{
    return policy_witness_at(world->policy, i)->name;
}

uint64_t byzantine_held(struct byzantine *world)
{
    struct watched_status *status = NEW(struct watched_status);
    watched_log_status(world->log, status);
    uint64_t size = status->held_size;
    mem_free(status);
    return size;
}

uint64_t byzantine_raised(const struct byzantine *world)
{
    return world->raise_calls;
}

/* Another history under the same key: equal below `from`, which is less than `size`. */
static struct memory_log *forked(struct byzantine *world, uint64_t from, uint64_t size)
{
    struct memory_log_options options = { .seed = world->seed + 1 + below(world, 1 << 20),
                                          .signer = &world->log_key };
    struct memory_log *log = memory_log_fork(world->honest, from, &options);
    memory_log_grow(log, size);
    return log;
}

/* -- plants of the views -- */

/* A witness whose line is on the note that is held: what it signs besides can be held against it. */
static size_t some_witness(struct byzantine *world)
{
    size_t w = below(world, WITNESSES);
    int64_t latest = 0;
    for (size_t i = 0; i < WITNESSES; i++) {
        latest = world->last_s[i] > latest ? world->last_s[i] : latest;
    }
    while (world->is_absent[w] || world->last_s[w] != latest) {
        w = (w + 1) % WITNESSES;
    }
    return w;
}

/* `line_of`: this witness has signed both; WITNESSES: none. */
static void show_fork(struct byzantine *world, uint64_t size, size_t line_of)
{
    uint64_t honest = memory_log_size(world->honest);
    struct memory_log *log = forked(world, below(world, size < honest ? size : honest), size);
    struct buf note = BUF_INIT(NOTE_MAX);
    int64_t times[WITNESSES] = { 0 };
    if (line_of < WITNESSES) {
        times[line_of] = world->last_s[line_of];
    }
    put_note(world, log, size, &world->log_key, times, &note);
    show(world, buf_span(&note));
    buf_clear(&note);
    memory_log_free(log);
}

static void plant_later_smaller(struct byzantine *world)
{
    uint64_t held = byzantine_held(world);
    size_t w = some_witness(world);
    int64_t times[WITNESSES] = { 0 };
    struct buf note = BUF_INIT(NOTE_MAX);
    times[w] = world->last_s[w] + 1;
    put_note(world, world->honest, between(world, 1, held - 1), &world->log_key, times, &note);
    must(world, FINDING_WITNESS_EQUIVOCATION, witness_name(world, w));
    show(world, buf_span(&note));
    buf_clear(&note);
}

static void plant_promise(struct byzantine *world)
{
    uint64_t held = byzantine_held(world);
    struct promise_item items[3];
    struct compare_promise_outcome out;
    struct buf text = BUF_INIT(PROMISE_NOTE_MAX), note = BUF_INIT(PROMISE_NOTE_MAX);
    struct err err;
    for (size_t i = 0; i < 3; i++) {
        items[i].index = below(world, held);
        items[i].leaf = memory_log_leaf(world->honest, items[i].index);
    }
    items[below(world, 3)].leaf.bytes[below(world, HASH_BYTES)] ^= 1;
    promise_put_text(&text, ORIGIN, items, 3);
    keys_put_signed(&note, buf_span(&text), &world->promise_key, 0);
    must(world, FINDING_PROMISE_BROKEN, "");
    check(world,
          compare_promise(world->log, "a submitter", buf_span(&note), &world->now, &out, &err),
          &err);
    buf_clear(&text);
    buf_clear(&note);
}

/* What anybody can make, and what an honest log may once have signed. */
static void plant_framing(struct byzantine *world)
{
    uint64_t held = byzantine_held(world);
    int64_t none[WITNESSES] = { 0 }, times[WITNESSES];
    struct buf note = BUF_INIT(NOTE_MAX);
    struct memory_log *log = forked(world, below(world, held), held);
    put_note(world, log, held, &world->other_key, none, &note); /* the log's name, another key */
    show(world, buf_span(&note));
    buf_reset(&note);
    put_note(world, world->honest, between(world, 1, held), &world->log_key, none, &note);
    show(world, buf_span(&note)); /* stale, and stripped of its cosignatures */
    for (int i = 0; i < 20; i++) {
        size_t at = below(world, note.len);
        note.data[at] ^= (uint8_t)(1u << below(world, 8));
        show(world, buf_span(&note));
        note.data[at] = 0;
        show(world, buf_span(&note));
        buf_reset(&note);
        for (size_t w = 0; w < WITNESSES; w++) {
            times[w] = world->last_s[w];
        }
        put_note(world, world->honest, held, &world->log_key, times, &note);
    }
    buf_reset(&note);
    put_note(world, world->honest, 0, &world->log_key, none, &note);
    show(world, buf_span(&note));
    memory_log_free(log);
    buf_clear(&note);
}

static void plant_view(struct byzantine *world, enum byzantine_plant view)
{
    uint64_t held = byzantine_held(world);
    size_t w = some_witness(world);
    switch (view) {
    case PLANT_FORK_EQUAL:
        must(world, FINDING_FORK, "");
        show_fork(world, held, WITNESSES);
        break;
    case PLANT_FORK_SMALLER:
        must(world, FINDING_FORK, "");
        show_fork(world, between(world, 1, held - 1), WITNESSES);
        break;
    case PLANT_FORK_LARGER:
        must(world, FINDING_FORK, "");
        show_fork(world, held + between(world, 1, 50), WITNESSES);
        break;
    case PLANT_EQUIVOCATION:
        must(world, FINDING_FORK, "");
        must(world, FINDING_WITNESS_EQUIVOCATION, witness_name(world, w));
        show_fork(world, held, w);
        break;
    case PLANT_LATER_SMALLER:
        plant_later_smaller(world);
        break;
    case PLANT_BROKEN_PROMISE:
        plant_promise(world);
        break;
    case PLANT_FRAMING:
        plant_framing(world);
        break;
    default:
        break;
    }
}

/* -- plants of what is served: each leaves the log as it wants it seen, and steps -- */

/* All of the note but its last line, or that with the first line of a witness, has one bit flipped. */
static void serve_flipped(struct byzantine *world, const char *name)
{
    pass(world, POLL_S);
    grow(world, between(world, 1, GROWTH_MAX));
    publish(world);
    struct buf line = BUF_INIT(KEY_NAME_BYTES_MAX + 16);
    buf_putf(&line, "\xe2\x80\x94 %s ", name);
    size_t at = span_find(buf_span(&world->note), buf_span(&line));
    assert(at != SIZE_MAX);
    at += line.len + 30; /* inside the signature */
    world->note.data[at] = world->note.data[at] == 'A' ? 'B' : 'A';
    memory_log_publish_note(world->honest, memory_log_size(world->honest), buf_span(&world->note));
    buf_clear(&line);
    step(world);
}

static void plant_no_quorum(struct byzantine *world)
{
    size_t w = below(world, WITNESSES);
    must(world, FINDING_NO_QUORUM, "");
    for (size_t i = 0; i < WITNESSES; i++) {
        world->is_absent[i] = i != w;
    }
    byzantine_poll(world);
    memset(world->is_absent, 0, sizeof world->is_absent);
}

static void plant_stale(struct byzantine *world)
{
    size_t w = below(world, WITNESSES);
    int64_t times[WITNESSES];
    world->is_absent[w] = true;
    for (int i = 0; i < 8; i++) {
        pass(world, STALLED_S / 6);
        byzantine_poll(world);
    }
    pass(world, POLL_S);
    grow(world, between(world, 1, GROWTH_MAX));
    cosign_times(world, times);
    times[w] = world->last_s[w] = world->last_s[w] + 10;
    must(world, FINDING_STALE_COSIGNATURE, witness_name(world, w));
    serve(world, memory_log_size(world->honest), times);
    step(world);
    world->is_absent[w] = false;
}

static void plant_future(struct byzantine *world)
{
    size_t w = below(world, WITNESSES);
    must(world, FINDING_FUTURE_COSIGNATURE, witness_name(world, w));
    world->last_s[w] = world->now.unix_s + 1000;
    for (int i = 0; i < 5; i++) {
        byzantine_poll(world);
    }
    pass(world, 1000);
}

static void plant_missing(struct byzantine *world)
{
    size_t w = below(world, WITNESSES);
    must(world, FINDING_WITNESS_MISSING, witness_name(world, w));
    world->is_absent[w] = true;
    for (int i = 0; i < 10; i++) {
        pass(world, MISSING_S / 8);
        byzantine_poll(world);
    }
    world->is_absent[w] = false;
}

static void plant_stalled(struct byzantine *world)
{
    must(world, FINDING_STALLED, "");
    for (int i = 0; i < 8; i++) {
        pass(world, STALLED_S / 6);
        step(world);
    }
}

static void plant_rollback(struct byzantine *world)
{
    struct buf older = BUF_INIT(NOTE_MAX);
    buf_put(&older, buf_span(&world->note));
    uint64_t size = memory_log_size(world->honest);
    must(world, FINDING_ROLLBACK, "");
    grow(world, 1); /* else it is the same */
    byzantine_poll(world);
    memory_log_publish_note(world->honest, size, buf_span(&older));
    for (int i = 0; i < 3; i++) {
        pass(world, POLL_S);
        step(world);
    }
    buf_clear(&older);
}

/* Grows by two tiles, so that there is a full one that is new; its bundle, or its tile, in `out`. */
static void grow_tiles(struct byzantine *world, bool is_bundle, struct buf *path, struct buf *out)
{
    struct err err;
    uint64_t tile = memory_log_size(world->honest) / TILE_WIDTH + 1;
    pass(world, POLL_S);
    grow(world, 2 * TILE_WIDTH);
    publish(world);
    if (is_bundle) {
        bundle_path_append(path, tile, TILE_WIDTH);
    } else {
        tile_path_append(path, (struct tile_id){ 0, tile }, TILE_WIDTH);
    }
    check(world, memory_log_get(world->honest, buf_c_str(path), out, &err), &err);
}

static void plant_file(struct byzantine *world, enum finding_code code)
{
    struct buf path = BUF_INIT(TILE_PATH_MAX + 1), bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    must(world, code, "");
    grow_tiles(world, code != FINDING_TILE_MISMATCH, &path, &bytes);
    if (code == FINDING_MALFORMED) {
        buf_truncate(&bytes, below(world, bytes.len));
    } else if (code == FINDING_TILE_MISMATCH) {
        bytes.data[below(world, bytes.len)] ^= 1;
    } else { /* the last byte of the last entry, which has at least 8 */
        bytes.data[bytes.len - 1 - below(world, 8)] ^= 1;
        world->may[FINDING_TILE_MISMATCH] = true;
    }
    memory_log_replace(world->honest, buf_c_str(&path), buf_span(&bytes));
    step(world);
    memory_log_restore_all(world->honest);
    buf_clear(&path);
    buf_clear(&bytes);
}

static void plant_time_backwards(struct byzantine *world)
{
    size_t w = below(world, WITNESSES);
    int64_t times[WITNESSES];
    grow(world, 1);
    byzantine_poll(world);
    memcpy(times, world->last_s, sizeof times);
    times[w] -= (int64_t)between(world, 1, POLL_S / 2);
    must(world, FINDING_TIME_BACKWARDS, witness_name(world, w));
    serve(world, memory_log_size(world->honest), times);
    pass(world, POLL_S);
    step(world);
}

static void plant_growth(struct byzantine *world)
{
    must(world, FINDING_GROWTH, "");
    grow(world, GROWTH_PER_HOUR + 10000);
    byzantine_poll(world);
    byzantine_poll(world);
    for (int i = 0; i < 4; i++) { /* an hour later it is over */
        pass(world, 1200);
        byzantine_poll(world);
    }
}

/* A vantage has a larger note, and the log shows us neither it nor its data. */
static void plant_withheld(struct byzantine *world)
{
    int64_t times[WITNESSES];
    struct buf note = BUF_INIT(NOTE_MAX);
    grow(world, between(world, 1, GROWTH_MAX));
    pass(world, POLL_S);
    cosign_times(world, times);
    put_note(world, world->honest, memory_log_size(world->honest), &world->log_key, times, &note);
    must(world, FINDING_WITHHELD, "");
    for (int i = 0; i < 6; i++) {
        show(world, buf_span(&note));
        step(world);
        pass(world, WITHHELD_S / 4);
    }
    buf_clear(&note);
}

static void plant_unreachable(struct byzantine *world, enum byzantine_plant view)
{
    must(world, FINDING_UNREACHABLE, "");
    memory_log_fail_all(world->honest, below(world, 2) == 0 ? E_TIMEOUT : E_IO);
    for (int i = 0; i < 6; i++) {
        step(world);
        pass(world, UNREACHABLE_S / 4);
        if (i == 3 && view != PLANT_BROKEN_PROMISE) { /* that needs the log's tiles at once */
            plant_view(world, view);
        }
    }
    memory_log_fail_all(world->honest, E_OK);
}

/* The log's own address shows the other history for a while, its data too. */
static void plant_fork_served(struct byzantine *world)
{
    uint64_t held = byzantine_held(world);
    uint64_t size = between(world, 1, held + 2 * GROWTH_MAX);
    struct memory_log *log = forked(world, below(world, size < held ? size : held), size);
    struct buf note = BUF_INIT(NOTE_MAX);
    int64_t times[WITNESSES] = { 0 };
    times[0] = times[1] = 0;
    put_note(world, log, size, &world->log_key, times, &note);
    memory_log_publish_note(log, size, buf_span(&note));
    must(world, FINDING_FORK, "");
    world->may[FINDING_ROOT_MISMATCH] = world->may[FINDING_ROLLBACK] = true;
    world->may[FINDING_NO_QUORUM] = world->may[FINDING_TILE_MISMATCH] = true;
    world->may[FINDING_MALFORMED] = true;
    world->served = log;
    byzantine_crash(world); /* readers of the other one are closed */
    for (int i = 0; i < 3; i++) {
        pass(world, POLL_S);
        step(world);
    }
    world->served = world->honest;
    byzantine_crash(world);
    grow(world, 2 * GROWTH_MAX + 1);
    byzantine_poll(world); /* now the tree is larger than what was shown */
    memory_log_free(log);
    buf_clear(&note);
}

static void plant_served(struct byzantine *world, enum byzantine_plant plant,
                         enum byzantine_plant view)
{
    size_t w = below(world, WITNESSES);
    switch (plant) {
    case PLANT_FORK_SERVED:
        plant_fork_served(world);
        break;
    case PLANT_BAD_LOG_SIGNATURE:
        must(world, FINDING_BAD_SIGNATURE, "");
        serve_flipped(world, ORIGIN);
        break;
    case PLANT_BAD_WITNESS_SIGNATURE:
        must(world, FINDING_BAD_SIGNATURE, witness_name(world, w));
        serve_flipped(world, world->witness_keys[w].vkey.name);
        break;
    case PLANT_NO_QUORUM:
        plant_no_quorum(world);
        break;
    case PLANT_STALE:
        plant_stale(world);
        break;
    case PLANT_FUTURE:
        plant_future(world);
        break;
    case PLANT_WITNESS_MISSING:
        plant_missing(world);
        break;
    case PLANT_STALLED:
        plant_stalled(world);
        break;
    case PLANT_ROLLBACK:
        plant_rollback(world);
        break;
    case PLANT_ROOT_MISMATCH:
        plant_file(world, FINDING_ROOT_MISMATCH);
        break;
    case PLANT_MALFORMED:
        plant_file(world, FINDING_MALFORMED);
        break;
    case PLANT_TILE_MISMATCH:
        plant_file(world, FINDING_TILE_MISMATCH);
        break;
    case PLANT_TIME_BACKWARDS:
        plant_time_backwards(world);
        break;
    case PLANT_GROWTH:
        plant_growth(world);
        break;
    case PLANT_WITHHELD:
        plant_withheld(world);
        break;
    case PLANT_UNREACHABLE:
        plant_unreachable(world, view);
        break;
    default:
        break;
    }
}

void byzantine_run(struct byzantine *world, enum byzantine_plant plant, enum byzantine_plant view)
{
    size_t used = strlen(world->plan);
    snprintf(world->plan + used, sizeof world->plan - used, " [%s with %s]",
             byzantine_plant_text(plant), byzantine_plant_text(view));
    world->plant = plant;
    if (plant < PLANT_VIEWS) {
        plant_view(world, plant);
    } else {
        plant_served(world, plant, view);
    }
    if (plant == PLANT_NO_QUORUM || plant == PLANT_BAD_WITNESS_SIGNATURE) {
        byzantine_poll(world); /* so that the held note has a line of each witness */
    }
    if (view < PLANT_VIEWS && (plant != PLANT_UNREACHABLE || view == PLANT_BROKEN_PROMISE)) {
        plant_view(world, view);
    }
    world->plant = plant;
    for (int i = 0; i < 3; i++) {
        byzantine_poll(world);
    }
    world->plant = PLANT_COUNT;
}

/* -- the verdict -- */

static bool was_raised(const struct byzantine *world, enum finding_code code, const char *subject)
{
    for (size_t i = 0; i < world->raised_count; i++) {
        if (world->raised[i].code == code &&
            (subject[0] == '\0' || strcmp(world->raised[i].subject, subject) == 0)) {
            return true;
        }
    }
    return false;
}

void byzantine_judge(struct byzantine *world)
{
    for (enum finding_code code = 0; code < FINDING_COUNT; code++) {
        if (world->must[code] && !was_raised(world, code, world->must_subject[code])) {
            fail(world, "planted, and not found: ", finding_kind(code)->text);
        }
    }
    for (size_t i = 0; i < world->raised_count; i++) {
        const struct finding_kind *kind = finding_kind(world->raised[i].code);
        if (kind->is_transient && !world->raised[i].is_over) {
            fail(world, "never cleared: ", kind->text);
        }
    }
    if (byzantine_held(world) != memory_log_size(world->honest)) {
        fail(world, "what is held is not all there is", "");
    }
}

/* -- a log that signs whatever it is asked to -- */

void byzantine_sign_heads(struct byzantine *world, uint64_t count)
{
    uint64_t held = byzantine_held(world);
    struct checkpoint checkpoint;
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX), note = BUF_INIT(NOTE_MAX);
    must(world, FINDING_FORK, "");
    world->may[FINDING_ROOT_MISMATCH] = world->may[FINDING_ROLLBACK] = true;
    world->may[FINDING_NO_QUORUM] = world->may[FINDING_WITHHELD] = true;
    world->may[FINDING_STALLED] = world->may[FINDING_WITNESS_MISSING] = true;
    world->may[FINDING_MALFORMED] = true;
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", ORIGIN);
    checkpoint.has_extensions = false;
    for (uint64_t i = 0; i < count; i++) {
        checkpoint.size = 1 + below(world, 2 * held);
        for (size_t k = 0; k < HASH_BYTES; k++) {
            checkpoint.root.bytes[k] = (uint8_t)below(world, 256);
        }
        buf_reset(&text);
        buf_reset(&note);
        checkpoint_put(&text, &checkpoint);
        keys_put_signed(&note, buf_span(&text), &world->log_key, 0);
        if (i % 2 == 0) {
            show(world, buf_span(&note));
        } else {
            memory_log_publish_note(world->honest, memory_log_size(world->honest), buf_span(&note));
            pass(world, 1);
            step(world);
        }
    }
    buf_clear(&text);
    buf_clear(&note);
}

/* -- a world -- */

static struct policy *make_policy(const struct byzantine *world)
{
    struct buf text = BUF_INIT(POLICY_BYTES_MAX);
    struct policy *policy = NULL;
    struct err err;
    buf_put_str(&text, "log ");
    vkey_put(&text, &world->log_key.vkey);
    buf_put_str(&text, "\nlog ");
    vkey_put(&text, &world->promise_key.vkey);
    for (size_t i = 0; i < WITNESSES; i++) {
        buf_putf(&text, "\nwitness w%zu ", i);
        vkey_put(&text, &world->witness_keys[i].vkey);
    }
    buf_put_str(&text, "\ngroup g 2 w0 w1 w2\nquorum g\n");
    check(world, policy_parse(&policy, buf_span(&text), &err), &err);
    buf_clear(&text);
    return policy;
}

struct byzantine *byzantine_new(uint64_t seed, uint64_t first_size)
{
    static const char *const names[WITNESSES] = { "procuratorate.example", "higher-court.example",
                                                  "notary.example" };
    struct byzantine *world = NEW(struct byzantine);
    world->seed = world->random = seed;
    world->plant = PLANT_COUNT;
    world->log_key = keys_signer(ORIGIN, SIGNATURE_ED25519, "log");
    world->other_key = keys_signer(ORIGIN, SIGNATURE_ED25519, "somebody else");
    world->promise_key = keys_signer(ORIGIN "/promise", SIGNATURE_ED25519, "promise");
    for (size_t i = 0; i < WITNESSES; i++) {
        world->witness_keys[i] = keys_signer(names[i], SIGNATURE_COSIGNATURE, names[i]);
    }
    world->policy = make_policy(world);
    world->kv = kv_memory_new();
    world->now = (struct monitor_time){ START_S, 1000000 };
    buf_init(&world->note, NOTE_MAX);
    struct memory_log_options options = { .seed = seed, .signer = &world->log_key };
    world->honest = world->served = memory_log_new(&options);
    memory_log_grow(world->honest, first_size);
    publish(world);
    open_monitor(world);
    step(world);
    return world;
}

void byzantine_free(struct byzantine *world)
{
    close_monitor(world);
    memory_log_free(world->honest);
    policy_free(world->policy);
    signer_clear(&world->log_key);
    signer_clear(&world->other_key);
    signer_clear(&world->promise_key);
    for (size_t i = 0; i < WITNESSES; i++) {
        signer_clear(&world->witness_keys[i]);
    }
    buf_clear(&world->note);
    mem_free(world);
}
