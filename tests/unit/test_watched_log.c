#include "monitor/watched_log.h"

#include "tests/support/keys.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
    struct signer signer;
    struct policy *policy;
    struct watched_log_options options;
    struct watched_log *log;
};

static int set_up(void **state)
{
    static struct world world;
    struct buf text = BUF_INIT(4096);
    struct err err;
    struct signer witness = keys_signer("w1.example", SIGNATURE_COSIGNATURE, "w1");
    world.signer = keys_signer("log.example", SIGNATURE_ED25519, "log");
    buf_put_str(&text, "log ");
    vkey_put(&text, &world.signer.vkey);
    buf_put_str(&text, "\nwitness w1 ");
    vkey_put(&text, &witness.vkey);
    buf_put_str(&text, "\nquorum w1\n");
    assert_int_equal(policy_parse(&world.policy, buf_span(&text), &err), E_OK);
    signer_clear(&witness);
    buf_clear(&text);
    world.options = (struct watched_log_options){ .policy = world.policy,
                                                  .log = policy_log_at(world.policy, 0) };
    world.log = watched_log_new(&world.options);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    watched_log_free(world->log);
    policy_free(world->policy);
    signer_clear(&world->signer);
    return 0;
}

static struct held_tree make_held(uint64_t size, const char *note)
{
    struct held_tree held = { .is_there = true, .verified_s = (int64_t)size };
    compact_range_init(&held.range);
    for (uint64_t i = 0; i < size; i++) {
        struct hash leaf = sha256(span_of(&i, sizeof i));
        compact_range_append(&held.range, &leaf, NULL, NULL);
    }
    held.root = compact_range_root(&held.range);
    buf_init(&held.note, NOTE_BYTES_MAX);
    buf_put_str(&held.note, note);
    return held;
}

static void nothing_is_held_at_first(void **state)
{
    struct world *world = *state;
    struct held_tree held;
    struct watched_status status;
    struct history history;
    watched_log_held(world->log, &held);
    assert_false(held.is_there);
    assert_int_equal(held.note.len, 0);
    held_tree_clear(&held);
    watched_log_status(world->log, &status);
    assert_false(status.is_verified);
    assert_int_equal(status.witness_count, 1);
    watched_log_history(world->log, &history);
    assert_int_equal(history.count, 0);
    assert_string_equal(watched_log_origin(world->log), "log.example");
}

static void copies_are_of_what_was_held_last(void **state)
{
    struct world *world = *state;
    struct held_tree held = make_held(5, "a note"), copy, other;
    struct watched_status status;
    watched_log_hold(world->log, &held);
    assert_int_equal(held.note.len, 0); /* taken */
    watched_log_held(world->log, &copy);
    held = make_held(6, "another");
    held.has_trusted_start = true;
    held.trusted_start = 3;
    watched_log_hold(world->log, &held);
    watched_log_held(world->log, &other);
    assert_int_equal(copy.range.size, 5);
    assert_true(span_is_str(buf_span(&copy.note), "a note"));
    assert_int_equal(other.range.size, 6);
    assert_true(span_is_str(buf_span(&other.note), "another"));
    watched_log_status(world->log, &status);
    assert_true(status.is_verified);
    assert_int_equal(status.held_size, 6);
    assert_int_equal(status.verified_s, 6);
    assert_true(status.has_trusted_start);
    assert_int_equal(status.trusted_start, 3);
    held_tree_clear(&copy);
    held_tree_clear(&other);
}

static void key_is_below_the_hash_of_the_origin(void **state)
{
    struct world *world = *state;
    struct buf key = BUF_INIT(100);
    struct hash origin = sha256(span_of_str("log.example"));
    watched_log_put_key(&key, world->log, "state");
    struct span rest = buf_span(&key);
    assert_true(span_take_prefix(&rest, span_of_str("log/")));
    assert_true(span_take_prefix(&rest, hash_span(&origin)));
    assert_true(span_is_str(rest, "/state"));
    assert_true(hash_is_equal(watched_log_origin_hash(world->log), &origin));
    buf_clear(&key);
}

static void samples_are_kept(void **state)
{
    struct world *world = *state;
    struct history history;
    watched_log_add_sample(world->log, 100, 7);
    watched_log_history(world->log, &history);
    assert_int_equal(history.count, 1);
    assert_int_equal(history.samples[0].size, 7);
    history_init(&history);
    watched_log_load_history(world->log, &history);
    watched_log_history(world->log, &history);
    assert_int_equal(history.count, 0);
}

static void count_up(void *ctx, struct watched_status *status)
{
    (void)ctx;
    status->polls++;
}

static void *read_on(void *ctx)
{
    struct watched_log *log = ctx;
    for (int i = 0; i < 500; i++) {
        struct held_tree held;
        watched_log_held(log, &held);
        struct hash root = compact_range_root(&held.range);
        bool is_whole = !held.is_there || hash_is_equal(&root, &held.root);
        held_tree_clear(&held);
        watched_log_update(log, count_up, NULL);
        if (!is_whole) {
            return ctx;
        }
    }
    return NULL;
}

static void readers_never_see_half_a_tree(void **state)
{
    struct world *world = *state;
    pthread_t threads[2];
    struct watched_status status;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, world->log), 0);
    }
    for (uint64_t size = 1; size < 200; size++) {
        struct held_tree held = make_held(size, "note");
        watched_log_hold(world->log, &held);
    }
    for (int i = 0; i < 2; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    watched_log_status(world->log, &status);
    assert_int_equal(status.polls, 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_held_at_first),
        TEST(copies_are_of_what_was_held_last),
        TEST(key_is_below_the_hash_of_the_origin),
        TEST(samples_are_kept),
        TEST(readers_never_see_half_a_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
