/* A witness in simulation: an evil log and an honest one against the core, over a store in memory, in an
 * order that a seed gives, one request at a time.
 *
 * The evil log has several histories and sends notes of all of them, with right, wrong and stolen proofs,
 * again and out of order; strangers send the honest log's notes with nonsense around them. Writes fail
 * before or after they took effect; crashes drop everything but what the store had. Each answer is held
 * against the rules (decision.h) applied to what the store held; what was let out is recorded, and
 * at the end it must be one history, and the evidence just what was to be had. */
#include "base/log.h"
#include "tests/support/entries.h"
#include "tests/support/witness_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    SEEDS = 40,
    SEEDS_LONG = 800, /* with COURTROLL_LONG=1 */
    STEPS = 60,       /* of a run */
    BRANCHES = 3,
    LEAVES = 24,
    OLD_BODIES = 8, /* kept to be sent again */
    FAULT_PERCENT = 20
};

/* A log, and all that is known of what the witness did for it. */
struct subject {
    bool is_evil;
    struct tree_log branches[BRANCHES]; /* alike up to where each parts; an honest log has one */
    size_t branch_count;
    struct known_log *known;

    bool is_signed[LEAVES + 1]; /* let out */
    struct hash signed_roots[LEAVES + 1];
    uint64_t last_size;
    uint64_t last_time;
    char last_lines[WORLD_ANSWER_BYTES];
    size_t last_lines_len;

    bool is_cosigned[LEAVES + 1]; /* in the store, let out or not */
    struct hash cosigned_roots[LEAVES + 1];
    bool is_forked[LEAVES +
                   1]; /* the witness was shown two roots of that size, one of them cosigned */
};

/* A request, and what it says. */
struct request {
    struct buf body; /* owned */
    struct subject *subject;
    uint64_t old_size;
    struct proof proof;
    struct checkpoint checkpoint;
    bool is_forged; /* the log's signature does not verify */
};

struct sim {
    uint64_t seed;
    uint64_t random;
    size_t step;
    uint64_t time; /* seconds */
    char *dir;
    struct world_store *store;
    struct world world;
    struct subject subjects[2]; /* the evil one first */
    struct request old[OLD_BODIES];
    size_t old_count; /* so far */
};

/* What the runs came across: each must have happened, or they show little. */
static struct {
    uint64_t answers[REFUSAL_COUNT];
    uint64_t repeats;
    uint64_t failed_writes;
    uint64_t crashes;
    uint64_t silent_advances; /* stored, but never let out */
    uint64_t evidence;
    uint64_t proofs; /* evidence of form 2 */
    uint64_t forks;  /* same-size contradictions in runs that stayed under the cap */
} seen;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("seed %llu, step %zu: %s\n", (unsigned long long)sim->seed, sim->step,     \
                        #condition);                                                               \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static uint64_t below(struct sim *sim, uint64_t bound)
{
    return entries_next_number(&sim->random) % bound;
}

static bool is_chance(struct sim *sim, unsigned percent)
{
    return below(sim, 100) < percent;
}

/* -- the process -- */

static void start(struct sim *sim)
{
    memset(&sim->world, 0, sizeof sim->world);
    world_start(&sim->world, sim->store, sim->dir, 1);
    for (size_t i = 0; i < 2; i++) {
        sim->subjects[i].known = world_add_log(&sim->world, &sim->subjects[i].branches[0]);
    }
}

/* What is left is what the store has, and files. */
static void crash(struct sim *sim)
{
    world_stop(&sim->world);
    struct world_store *after = world_store_new();
    kv_close(after->inner);
    after->inner = kv_memory_copy(sim->store->inner);
    world_store_free(sim->store);
    sim->store = after;
    start(sim);
    seen.crashes++;
}

static struct origin_state stored_state(struct sim *sim, const struct subject *subject)
{
    struct origin_state state;
    struct err err;
    CHECK(ledger_state(sim->world.ledger, &subject->known->origin_hash, &state, &err) == E_OK);
    return state;
}

/* -- requests -- */

static struct proof choose_proof(struct sim *sim, const struct subject *subject, size_t branch,
                                 uint64_t old_size, uint64_t size)
{
    uint64_t from = old_size <= size ? old_size : size;
    struct proof proof = tree_log_proof(&subject->branches[branch], from, size);
    switch (below(sim, 8)) {
    case 0: /* one bit */
        if (proof.count > 0) {
            proof.hashes[below(sim, proof.count)].bytes[below(sim, HASH_BYTES)] ^= 1;
        }
        break;
    case 1: /* of another history, or of another size */
        proof = tree_log_proof(&subject->branches[below(sim, subject->branch_count)],
                               below(sim, LEAVES), LEAVES);
        break;
    case 2:
        proof.count = below(sim, 2) == 0 ? 0 : PROOF_HASHES_MAX;
        break;
    default:
        break;
    }
    return proof;
}

static void put_body(struct sim *sim, struct request *request)
{
    struct buf note = BUF_INIT(4096);
    const struct tree_log *log = &request->subject->branches[0];
    tree_log_put_note(&note, log, request->checkpoint.size, &request->checkpoint.root);
    if (is_chance(sim, 5)) {
        uint8_t *at = note.data + note.len - 10; /* in the signature's base64 */
        *at = *at == 'A' ? 'B' : 'A';
        request->is_forged = true;
    }
    buf_init(&request->body, ADD_CHECKPOINT_BYTES_MAX);
    add_checkpoint_put(&request->body, request->old_size, &request->proof, buf_span(&note));
    buf_clear(&note);
}

static struct request make_request(struct sim *sim)
{
    struct subject *subject = &sim->subjects[is_chance(sim, 70) ? 0 : 1];
    struct request request = { .subject = subject };
    size_t branch = below(sim, subject->branch_count);
    uint64_t held = stored_state(sim, subject).size;
    uint64_t size = is_chance(sim, 25) ? below(sim, LEAVES + 1) : held + below(sim, 4);
    size = size > LEAVES ? LEAVES : size;
    request.old_size = is_chance(sim, 75) ? held : below(sim, LEAVES + 1);
    request.checkpoint.size = size;
    request.checkpoint.root = tree_log_root(&subject->branches[branch], size);
    request.proof = choose_proof(sim, subject, branch, request.old_size, size);
    put_body(sim, &request);
    return request;
}

/* A new one, or an old one again. */
static struct request next_request(struct sim *sim)
{
    if (sim->old_count > 0 && is_chance(sim, 15)) {
        size_t end = sim->old_count < OLD_BODIES ? sim->old_count : OLD_BODIES;
        struct request request = sim->old[below(sim, end)];
        struct span bytes = buf_span(&request.body);
        buf_init(&request.body, ADD_CHECKPOINT_BYTES_MAX);
        buf_put(&request.body, bytes);
        return request;
    }
    return make_request(sim);
}

static void keep_request(struct sim *sim, struct request *request)
{
    struct request *place = &sim->old[sim->old_count++ % OLD_BODIES];
    buf_clear(&place->body);
    *place = *request;
}

/* -- checking -- */

/* A signature left the witness. */
static void check_released(struct sim *sim, const struct request *request,
                           const struct world_answer *answer)
{
    struct subject *subject = request->subject;
    uint64_t size = request->checkpoint.size, timestamp = 0;
    const struct hash *root = &request->checkpoint.root;
    CHECK(world_is_signed(&sim->world, span_of(answer->lines, answer->lines_len),
                          subject->known->origin, size, root, &timestamp));
    CHECK(size >= subject->last_size && timestamp >= subject->last_time);
    CHECK(!subject->is_signed[size] || hash_is_equal(&subject->signed_roots[size], root));
    subject->is_signed[size] = true;
    subject->signed_roots[size] = *root;
    subject->last_size = size;
    subject->last_time = timestamp;
    memcpy(subject->last_lines, answer->lines, answer->lines_len);
    subject->last_lines_len = answer->lines_len;
    struct origin_state state = stored_state(sim, subject);
    CHECK(state.size == size && hash_is_equal(&state.root, root)); /* stored before it left */
    CHECK(state.timestamp == timestamp);
}

/* The answer is what the rules say of what was held; or the last one once more. */
static void check_answer(struct sim *sim, const struct request *request,
                         const struct origin_state *held, const struct world_answer *answer)
{
    struct subject *subject = request->subject;
    struct decision rules =
        decide(held, request->old_size, &request->checkpoint, &request->proof, world_unix_s());
    enum refusal expected = request->is_forged ? REFUSED_BAD_SIGNATURE : rules.refusal;
    seen.answers[answer->refusal]++;
    if (answer->refusal == REFUSED_NONE && expected != REFUSED_NONE) {
        CHECK(!request->is_forged);
        CHECK(answer->lines_len == subject->last_lines_len);
        CHECK(memcmp(answer->lines, subject->last_lines, answer->lines_len) == 0);
        seen.repeats++;
    } else if (answer->refusal == REFUSED_STORAGE) {
        CHECK(expected == REFUSED_NONE);
    } else {
        if (answer->refusal != expected) {
            print_error("%s, expected %s\n", refusal_label(answer->refusal),
                        refusal_label(expected));
        }
        CHECK(answer->refusal == expected);
    }
    CHECK(answer->refusal != REFUSED_STALE || answer->stored_size == held->size);
}

/* What the witness was shown, whether or not it answered with a signature. */
static void note_contradiction(const struct request *request)
{
    struct subject *subject = request->subject;
    uint64_t size = request->checkpoint.size;
    if (!request->is_forged && size > 0 && subject->is_cosigned[size] &&
        !hash_is_equal(&subject->cosigned_roots[size], &request->checkpoint.root)) {
        subject->is_forked[size] = true;
    }
}

static void note_stored(struct sim *sim, struct subject *subject)
{
    struct origin_state state = stored_state(sim, subject);
    CHECK(state.size >= subject->last_size);
    CHECK(!subject->is_cosigned[state.size] ||
          hash_is_equal(&subject->cosigned_roots[state.size], &state.root));
    seen.silent_advances += state.size > subject->last_size;
    subject->is_cosigned[state.size] = true;
    subject->cosigned_roots[state.size] = state.root;
}

/* All that was let out lies on one branch. */
static void check_history(struct sim *sim, const struct subject *subject)
{
    bool has_branch = false;
    for (size_t b = 0; b < subject->branch_count; b++) {
        bool is_on_it = true;
        for (uint64_t size = 0; size <= LEAVES; size++) {
            struct hash root = tree_log_root(&subject->branches[b], size);
            is_on_it = is_on_it && (!subject->is_signed[size] ||
                                    hash_is_equal(&subject->signed_roots[size], &root));
        }
        has_branch = has_branch || is_on_it;
    }
    CHECK(has_branch);
}

/* Each piece is accepted by a stranger who has the evil log's key. */
static void check_piece(struct sim *sim, const struct evidence_item *item, bool *is_found)
{
    const struct vkey *key = &sim->subjects[0].branches[0].signer.vkey;
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct evidence evidence;
    struct evidence_verdict verdict;
    struct err err;
    CHECK(strcmp(item->origin, sim->subjects[0].known->origin) == 0);
    CHECK(evidence_keep_read(sim->world.evidence, &item->origin_hash, &item->id, &file, &err) ==
          E_OK);
    CHECK(evidence_parse(&evidence, buf_span(&file), &err) == E_OK);
    CHECK(evidence_verify(&evidence, &key, 1, &verdict, &err) == E_OK);
    CHECK(item->size_b <= LEAVES);
    if (item->size_a == item->size_b) {
        is_found[item->size_a] = true;
    }
    seen.evidence++;
    seen.proofs += evidence.has_proof;
    buf_clear(&file);
}

static void check_evidence(struct sim *sim)
{
    bool is_found[LEAVES + 1] = { false };
    struct evidence_item *items;
    size_t count = evidence_keep_list(sim->world.evidence, &items);
    for (size_t i = 0; i < count; i++) {
        check_piece(sim, &items[i], is_found);
    }
    for (uint64_t size = 0; size <= LEAVES && count < EVIDENCE_KEEP_MAX; size++) {
        CHECK(!sim->subjects[0].is_forked[size] || is_found[size]);
        seen.forks += sim->subjects[0].is_forked[size];
    }
    mem_free(items);
}

/* -- runs -- */

/* Mostly forward; now and then it is behind, for one step. */
static void move_clock(struct sim *sim)
{
    sim->time += below(sim, 5);
    atomic_store(&world_now_s, is_chance(sim, 10) ? sim->time - below(sim, 120) : sim->time);
}

static enum world_fault arm_fault(struct sim *sim)
{
    enum world_fault fault = WORLD_FINE;
    if (is_chance(sim, FAULT_PERCENT)) {
        fault = (enum world_fault)(WORLD_FAIL_BEFORE + below(sim, 4));
        world_store_fault(sim->store, 0, fault);
    }
    return fault;
}

static void run_step(struct sim *sim)
{
    move_clock(sim);
    struct request request = next_request(sim);
    struct origin_state held = stored_state(sim, request.subject);
    size_t writes = sim->store->writes;
    enum world_fault fault = arm_fault(sim);
    struct world_answer answer = world_submit(&sim->world, buf_span(&request.body));
    bool was_hit = fault != WORLD_FINE && sim->store->writes > writes;
    CHECK(!was_hit || answer.refusal == REFUSED_STORAGE);
    CHECK(was_hit || answer.refusal != REFUSED_STORAGE);
    world_store_fault(sim->store, UINT64_MAX, WORLD_FINE);
    seen.failed_writes += was_hit;
    if (was_hit && (fault == WORLD_CRASH_BEFORE || fault == WORLD_CRASH_AFTER)) {
        crash(sim);
    } else if (was_hit) {
        world_settle(&sim->world);
    } else if (is_chance(sim, 3)) {
        crash(sim);
    }
    check_answer(sim, &request, &held, &answer);
    note_contradiction(&request);
    note_stored(sim, request.subject);
    if (answer.refusal == REFUSED_NONE) {
        check_released(sim, &request, &answer);
    }
    keep_request(sim, &request);
}

static void make_subjects(struct sim *sim)
{
    static const size_t parts_at[BRANCHES] = { LEAVES, 2, 11 };
    struct subject *evil = &sim->subjects[0], *honest = &sim->subjects[1];
    evil->is_evil = true;
    evil->branch_count = BRANCHES;
    evil->branches[0] = tree_log_make("evil.example.org", "evil");
    honest->branch_count = 1;
    honest->branches[0] = tree_log_make("honest.example.org", "honest");
    for (uint64_t i = 0; i < LEAVES; i++) {
        tree_log_add(&evil->branches[0], i);
        tree_log_add(&honest->branches[0], i);
    }
    for (size_t b = 1; b < BRANCHES; b++) {
        evil->branches[b] = evil->branches[0];
        for (size_t i = parts_at[b]; i < LEAVES; i++) {
            evil->branches[b].leaves[i].bytes[b] ^= 1;
        }
    }
}

static void run(uint64_t seed)
{
    struct sim *sim = NEW(struct sim);
    sim->seed = sim->random = seed;
    sim->time = 1700000000;
    sim->dir = files_make_temp_dir();
    sim->store = world_store_new();
    make_subjects(sim);
    start(sim);
    for (sim->step = 0; sim->step < STEPS; sim->step++) {
        run_step(sim);
    }
    crash(sim);
    for (size_t i = 0; i < 2; i++) {
        check_history(sim, &sim->subjects[i]);
        note_stored(sim, &sim->subjects[i]);
    }
    check_evidence(sim);
    world_stop(&sim->world);
    world_store_free(sim->store);
    for (size_t i = 0; i < OLD_BODIES; i++) {
        buf_clear(&sim->old[i].body);
    }
    signer_clear(&sim->subjects[0].branches[0].signer);
    signer_clear(&sim->subjects[1].branches[0].signer);
    files_remove_tree(sim->dir);
    mem_free(sim);
}

static void witness_keeps_to_one_history_and_blames_the_guilty_only(void **state)
{
    (void)state;
    const char *wants_long = getenv("COURTROLL_LONG");
    uint64_t seeds = wants_long != NULL && strcmp(wants_long, "1") == 0 ? SEEDS_LONG : SEEDS;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        run(seed);
    }
    static const enum refusal must_happen[] = {
        REFUSED_NONE,
        REFUSED_BAD_SIGNATURE,
        REFUSED_OLD_ABOVE_SIZE,
        REFUSED_STALE,
        REFUSED_UNEXPECTED_PROOF,
        REFUSED_ROOT_MISMATCH,
        REFUSED_BAD_PROOF,
        REFUSED_CLOCK,
        REFUSED_STORAGE,
    };
    for (size_t i = 0; i < sizeof must_happen / sizeof must_happen[0]; i++) {
        print_message("%s %llu\n", refusal_label(must_happen[i]),
                      (unsigned long long)seen.answers[must_happen[i]]);
        assert_true(seen.answers[must_happen[i]] > 0);
    }
    print_message("repeats %llu, failed writes %llu, crashes %llu, silent advances %llu, "
                  "evidence %llu, of these with a proof %llu, forks %llu\n",
                  (unsigned long long)seen.repeats, (unsigned long long)seen.failed_writes,
                  (unsigned long long)seen.crashes, (unsigned long long)seen.silent_advances,
                  (unsigned long long)seen.evidence, (unsigned long long)seen.proofs,
                  (unsigned long long)seen.forks);
    assert_true(seen.repeats > 0 && seen.failed_writes > 0 && seen.crashes > 0);
    assert_true(seen.silent_advances > 0 && seen.evidence > 0 && seen.proofs > 0);
    assert_true(seen.forks > seeds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(witness_keeps_to_one_history_and_blames_the_guilty_only),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
