/* Many threads that ask a witness for contradictory things at once: of one size there is never more than
 * one root under its signature, and never a smaller size after a larger one. */
#include "base/log.h"
#include "tests/support/witness_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    THREADS = 64,
    ROUNDS = 300,
    ROUNDS_LONG = 3000, /* with COURTROLL_LONG=1 */
    FAULT_ROUNDS =
        24, /* of these every other has a failing write, from which to recover takes 100 ms */
    BODIES = 8,
    LEAVES_MAX = 40, /* then the next log */
    SIZES = LEAVES_MAX + 3
};

/* What was ever let out for one log. Answers of a log come one after the other. */
struct released {
    pthread_mutex_t mutex;
    bool is_signed[SIZES];
    struct hash roots[SIZES];
    uint64_t last_size;
    uint64_t last_time;
    size_t count;
    size_t wrong; /* must stay 0 */
};

struct body {
    struct buf bytes;
    uint64_t size;
    struct hash root;
};

struct race {
    char *dir;
    struct world_store *store;
    struct world world;
    struct tree_log log; /* what the witness holds, as its leaves */
    struct known_log *known;
    struct released released;
    struct body bodies[BODIES];
    pthread_barrier_t barrier; /* of the threads and the test */
    bool is_over;
    size_t logs;
    size_t rounds_signed;
};

struct contender {
    struct race *race;
    size_t number;
    pthread_t thread;
    const struct body *body;
    pthread_mutex_t mutex; /* guards the answers */
    pthread_cond_t changed;
    size_t answers;
};

/* -- what is let out -- */

static void on_answer(void *ctx, const struct cosigner_answer *answer)
{
    struct contender *contender = ctx;
    const struct body *body = contender->body;
    struct race *race = contender->race;
    struct released *released = &race->released;
    uint64_t timestamp = 0;
    pthread_mutex_lock(&released->mutex);
    if (answer->refusal == REFUSED_NONE) {
        released->wrong += !world_is_signed(&race->world, answer->lines, race->known->origin,
                                            body->size, &body->root, &timestamp);
        released->wrong += body->size < released->last_size || timestamp < released->last_time;
        released->wrong += released->is_signed[body->size] &&
                           !hash_is_equal(&released->roots[body->size], &body->root);
        released->is_signed[body->size] = true;
        released->roots[body->size] = body->root;
        released->last_size = body->size;
        released->last_time = timestamp;
        released->count++;
    } else {
        released->wrong += answer->lines.len > 0;
    }
    pthread_mutex_unlock(&released->mutex);
    pthread_mutex_lock(&contender->mutex);
    contender->answers++;
    pthread_cond_signal(&contender->changed);
    pthread_mutex_unlock(&contender->mutex);
}

static void *contend(void *arg)
{
    struct contender *contender = arg;
    struct race *race = contender->race;
    for (size_t asked = 1;; asked++) {
        pthread_barrier_wait(&race->barrier);
        if (race->is_over) {
            return NULL;
        }
        contender->body = &race->bodies[contender->number % BODIES];
        cosigner_submit(race->world.cosigner, buf_span(&contender->body->bytes),
                        span_of_str("192.0.2.7"), contender, on_answer);
        pthread_mutex_lock(&contender->mutex);
        while (contender->answers < asked) {
            pthread_cond_wait(&contender->changed, &contender->mutex);
        }
        pthread_mutex_unlock(&contender->mutex);
        pthread_barrier_wait(&race->barrier);
    }
}

/* -- rounds -- */

/* What the log would look like with two leaves more, of this variant. */
static struct tree_log grown(const struct race *race, uint64_t round, uint64_t variant)
{
    struct tree_log log = race->log;
    tree_log_add(&log, round * 10 + variant);
    tree_log_add(&log, round * 10 + variant + 5);
    return log;
}

/* For each of two histories: one more, two more, from the first of these to the second, and again. */
static void make_bodies(struct race *race, uint64_t round)
{
    size_t size = race->log.count;
    static const struct {
        uint64_t from, to;
    } steps[BODIES / 2] = { { 0, 1 }, { 0, 2 }, { 1, 2 }, { 1, 1 } };
    for (size_t i = 0; i < BODIES; i++) {
        struct body *body = &race->bodies[i];
        struct tree_log log = grown(race, round, i % 2);
        body->size = size + steps[i / 2].to;
        body->root = tree_log_root(&log, body->size);
        buf_reset(&body->bytes);
        tree_log_put_request(&body->bytes, &log, size + steps[i / 2].from, body->size);
    }
}

/* Takes over what the store has as the log's history. */
static void follow_winner(struct race *race, uint64_t round)
{
    struct origin_state state;
    struct err err;
    assert_int_equal(ledger_state(race->world.ledger, &race->known->origin_hash, &state, &err),
                     E_OK);
    assert_true(state.size >= race->released.last_size);
    for (uint64_t variant = 0; variant < 2; variant++) {
        struct tree_log log = grown(race, round, variant);
        struct hash root = tree_log_root(&log, state.size);
        if (hash_is_equal(&root, &state.root)) {
            race->log = log;
            race->log.count = state.size;
            return;
        }
    }
    fail_msg("round %llu: the witness holds what nobody sent", (unsigned long long)round);
}

/* All that was let out for this log is one history. */
static void check_history(struct race *race)
{
    for (size_t size = 0; size <= race->log.count; size++) {
        struct hash root = tree_log_root(&race->log, size);
        assert_true(!race->released.is_signed[size] ||
                    hash_is_equal(&race->released.roots[size], &root));
    }
    for (size_t size = race->log.count + 1; size < SIZES; size++) {
        assert_false(race->released.is_signed[size]);
    }
}

static void next_log(struct race *race)
{
    check_history(race);
    char name[32];
    snprintf(name, sizeof name, "log/%zu", race->logs++);
    struct signer signer = race->log.signer;
    signer.vkey = vkey_make(name, SIGNATURE_ED25519, &signer.vkey.key);
    race->log = (struct tree_log){ .signer = signer };
    race->known = world_add_log(&race->world, &race->log);
    struct released *released = &race->released;
    assert_int_equal(released->wrong, 0);
    memset(released->is_signed, 0, sizeof released->is_signed);
    released->last_size = released->last_time = 0;
}

static void run_round(struct race *race, uint64_t round)
{
    size_t before = race->released.count;
    make_bodies(race, round);
    pthread_barrier_wait(&race->barrier);
    pthread_barrier_wait(&race->barrier);
    assert_int_equal(race->released.wrong, 0);
    world_settle(&race->world);
    follow_winner(race, round);
    race->rounds_signed += race->released.count > before;
    if (race->log.count >= LEAVES_MAX) {
        next_log(race);
    }
}

static struct race *start(struct contender *contenders)
{
    struct race *race = NEW(struct race);
    race->dir = files_make_temp_dir();
    race->store = world_store_new();
    world_start(&race->world, race->store, race->dir, 1);
    race->log = tree_log_make("log", "the log");
    pthread_mutex_init(&race->released.mutex, NULL);
    next_log(race);
    for (size_t i = 0; i < BODIES; i++) {
        buf_init(&race->bodies[i].bytes, ADD_CHECKPOINT_BYTES_MAX);
    }
    pthread_barrier_init(&race->barrier, NULL, THREADS + 1);
    for (size_t i = 0; i < THREADS; i++) {
        contenders[i] = (struct contender){ .race = race, .number = i };
        pthread_mutex_init(&contenders[i].mutex, NULL);
        pthread_cond_init(&contenders[i].changed, NULL);
        pthread_create(&contenders[i].thread, NULL, contend, &contenders[i]);
    }
    return race;
}

static void stop(struct race *race, struct contender *contenders, size_t rounds)
{
    check_history(race);
    race->is_over = true;
    pthread_barrier_wait(&race->barrier);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(contenders[i].thread, NULL);
        assert_int_equal(contenders[i].answers, rounds); /* none lost, none twice */
        pthread_cond_destroy(&contenders[i].changed);
        pthread_mutex_destroy(&contenders[i].mutex);
    }
    world_stop(&race->world);
    world_store_free(race->store);
    for (size_t i = 0; i < BODIES; i++) {
        buf_clear(&race->bodies[i].bytes);
    }
    pthread_barrier_destroy(&race->barrier);
    pthread_mutex_destroy(&race->released.mutex);
    signer_clear(&race->log.signer);
    files_remove_tree(race->dir);
    mem_free(race);
}

static void cosigner_signs_one_history_whatever_many_threads_ask(void **state)
{
    (void)state;
    struct contender contenders[THREADS];
    struct race *race = start(contenders);
    const char *wants_long = getenv("COURTROLL_LONG");
    uint64_t rounds = wants_long != NULL && strcmp(wants_long, "1") == 0 ? ROUNDS_LONG : ROUNDS;
    for (uint64_t round = 0; round < rounds; round++) {
        run_round(race, round);
    }
    assert_int_equal(race->rounds_signed, rounds);
    assert_true(race->logs > 1);
    stop(race, contenders, rounds);
}

/* As before, with writes that fail before or after they took effect. */
static void cosigner_signs_one_history_though_writes_fail(void **state)
{
    (void)state;
    struct contender contenders[THREADS];
    struct race *race = start(contenders);
    for (uint64_t round = 0; round < FAULT_ROUNDS; round++) {
        if (round % 2 == 0) {
            world_store_fault(race->store, round / 4 % 3,
                              round % 4 == 0 ? WORLD_FAIL_BEFORE : WORLD_FAIL_AFTER);
        }
        run_round(race, round);
        world_store_fault(race->store, UINT64_MAX, WORLD_FINE);
    }
    assert_in_range(race->rounds_signed, FAULT_ROUNDS / 2, FAULT_ROUNDS);
    stop(race, contenders, FAULT_ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosigner_signs_one_history_whatever_many_threads_ask),
        cmocka_unit_test(cosigner_signs_one_history_though_writes_fail),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
