/* What the follower stores: a death at any write, records that are not ours, and a policy that changes. */
#include "monitor/follow_state.h"

#include "base/ascii.h"
#include "monitor/follow_raised.h"
#include "tests/support/follow_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct follow_world *world;

static int set_up(void **state)
{
    (void)state;
    world = follow_world_new("group g 2 w0 w1 w2\nquorum g\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    follow_world_free(world);
    return 0;
}

/* -- dying -- */

static void flip(const char *path)
{
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    struct err err;
    assert_int_equal(memory_log_get(world->base->honest, path, &bytes, &err), E_OK);
    bytes.data[bytes.len - 1] ^= 1;
    memory_log_replace(world->base->honest, path, buf_span(&bytes));
    buf_clear(&bytes);
}

enum {
    ACTS = 8,
    LAST_SIZE = 1500
};

/* What the log does between two polls. */
static void act(int number)
{
    struct buf note;
    switch (number) {
    case 0:
        follow_world_serve(world, 64);
        break;
    case 1:
        follow_world_serve(world, 700);
        flip("tile/0/001");
        break;
    case 2:
        follow_world_serve(world, 1024);
        flip("tile/entries/003");
        break;
    case 3:
        memory_log_restore_all(world->base->honest);
        break;
    case 4:
        follow_world_serve(world, 900);
        break;
    case 5:
        follow_world_serve(world, 1300);
        break;
    case 6:
        note = compare_world_note(world->base, world->base->forked, 33, NULL);
        follow_world_serve_note(world, 33, &note);
        break;
    default:
        follow_world_serve(world, LAST_SIZE);
        break;
    }
}

/* Polls once; a store that has died is one that was killed, and is started again. */
static bool poll_or_die(void)
{
    compare_world_pass(world->base, 5);
    if (follow_world_try_step(world) == E_OK) {
        return false;
    }
    follow_world_restart(world);
    compare_world_pass(world->base, 1);
    follow_world_step(world);
    return true;
}

static void assert_nothing_was_lost(uint64_t dies_at)
{
    static const enum finding_code planted[] = { FINDING_TILE_MISMATCH, FINDING_ROOT_MISMATCH,
                                                 FINDING_ROLLBACK, FINDING_FORK };
    if (follow_world_held(world) != LAST_SIZE) {
        fail_msg("killed at write %ju: %ju entries are held", (uintmax_t)dies_at,
                 (uintmax_t)follow_world_held(world));
    }
    for (size_t i = 0; i < sizeof planted / sizeof planted[0]; i++) {
        if (compare_world_count(world->base, planted[i], NULL, false) == 0) {
            fail_msg("killed at write %ju: no %s", (uintmax_t)dies_at,
                     finding_kind(planted[i])->text);
        }
    }
    for (size_t i = 0; i < world->base->call_count; i++) {
        const struct world_call *call = &world->base->calls[i];
        if (finding_kind(call->code)->is_transient &&
            follow_world_is_open(world, call->code, call->subject)) {
            fail_msg("killed at write %ju: %s %s is still open", (uintmax_t)dies_at,
                     finding_kind(call->code)->text, call->subject);
        }
    }
}

static void death_at_any_write_loses_nothing(void **state)
{
    (void)state;
    bool has_died = true;
    for (uint64_t round = 0; has_died; round++) {
        follow_world_free(world);
        set_up(NULL);
        has_died = false;
        world->disk->dies_at = round / 2 + 1;
        world->disk->is_applied = round % 2 == 1;
        follow_world_open(world);
        for (int number = 0; number < ACTS; number++) {
            act(number);
            has_died |= poll_or_die();
        }
        has_died |= poll_or_die();
        assert_nothing_was_lost(round / 2 + 1);
        assert_true(round < 400);
        if (!has_died) {
            assert_true(round > 20);
        }
    }
}

/* -- records -- */

static void put_own_key(struct buf *key, const char *rest)
{
    struct hash origin = sha256(span_of_str(COMPARE_WORLD_ORIGIN));
    buf_put_str(key, "log/");
    buf_put(key, hash_span(&origin));
    buf_put_u8(key, '/');
    buf_put_str(key, rest);
}

static void get_record(const char *rest, struct buf *out)
{
    struct buf key = BUF_INIT(200);
    put_own_key(&key, rest);
    assert_int_equal(state_store_get(world->base->store, buf_span(&key), out, &world->err), E_OK);
    buf_clear(&key);
}

static void put_record(const char *rest, struct span value)
{
    struct buf key = BUF_INIT(200);
    struct kv_batch batch;
    put_own_key(&key, rest);
    kv_batch_init(&batch);
    kv_batch_put(&batch, buf_span(&key), value);
    assert_int_equal(state_store_write_synced(world->base->store, &batch, &world->err), E_OK);
    kv_batch_clear(&batch);
    buf_clear(&key);
}

static void assert_refused(const char *rest, struct span value)
{
    put_record(rest, value);
    follow_world_close(world);
    assert_int_equal(follow_world_try_open(world), E_CORRUPT);
}

/* Every truncation, one byte too many, and another version. */
static void record_that_is_not_ours_is_refused(void **state)
{
    (void)state;
    static const char *const records[] = { "follow/state", "follow/raised", "follow/cursor" };
    struct follow_cursor cursor = { .is_there = true };
    follow_world_serve(world, 64);
    follow_world_open(world);
    follow_world_step(world);
    follow_world_serve(world, 40); /* so that a rollback is raised */
    follow_world_step(world);
    cursor.range = memory_log_range(world->base->honest, 64);
    cursor.bad_count = 1;
    cursor.bad_tiles[0] = (struct scan_bad_tile){ { false, { 0, 7 }, 256 }, E_NOT_FOUND, "why" };
    assert_int_equal(follow_cursor_save(&cursor, &world->base->options, world->base->log,
                                        &world->err),
                     E_OK);
    for (size_t i = 0; i < 3; i++) {
        struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
        get_record(records[i], &value);
        for (size_t len = 0; len < value.len; len += len < 16 ? 1 : 7) {
            assert_refused(records[i], span_of(value.data, len));
        }
        buf_put_u8(&value, 0);
        assert_refused(records[i], buf_span(&value));
        buf_truncate(&value, value.len - 1);
        value.data[0] ^= 0x80;
        assert_refused(records[i], buf_span(&value));
        value.data[0] ^= 0x80;
        put_record(records[i], buf_span(&value));
        follow_world_close(world);
        follow_world_open(world);
        buf_clear(&value);
    }
    assert_int_equal(follow_world_held(world), 64);
}

static void held_note_of_another_tree_is_refused(void **state)
{
    (void)state;
    follow_world_serve(world, 64);
    follow_world_open(world);
    follow_world_step(world);
    struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
    buf_put_u8(&value, 1);
    struct buf note = follow_world_note(world, world->base->forked, 64);
    buf_put(&value, buf_span(&note));
    assert_refused("follow/note/held", buf_span(&value));
    value.data[2] ^= 1; /* unsigned */
    assert_refused("follow/note/held", buf_span(&value));
    buf_clear(&note);
    buf_clear(&value);
}

static void cursor_is_read_back(void **state)
{
    (void)state;
    struct follow_cursor cursor = { .is_there = true, .bad_count = 2, .bad_more = 5 }, again;
    follow_world_open(world);
    cursor.range = memory_log_range(world->base->honest, 37);
    cursor.bad_tiles[0] = (struct scan_bad_tile){ { false, { 0, 1234567 }, 256 }, E_CORRUPT, "" };
    cursor.bad_tiles[1] = (struct scan_bad_tile){ { false, { 2, 0 }, 7 }, E_MALFORMED, "short" };
    const struct watched_log_options *options = &world->base->options;
    assert_int_equal(follow_cursor_save(&cursor, options, world->base->log, &world->err), E_OK);
    assert_int_equal(follow_cursor_load(&again, options, world->base->log, &world->err), E_OK);
    assert_true(again.is_there);
    assert_int_equal(again.range.size, 37);
    struct hash root = memory_log_root(world->base->honest, 37);
    struct hash found = compact_range_root(&again.range);
    assert_true(hash_is_equal(&root, &found));
    assert_int_equal(again.bad_count, 2);
    assert_int_equal(again.bad_more, 5);
    assert_int_equal(again.bad_tiles[0].path.id.index, 1234567);
    assert_int_equal(again.bad_tiles[0].code, E_CORRUPT);
    assert_int_equal(again.bad_tiles[1].path.width, 7);
    assert_int_equal(again.bad_tiles[1].code, E_MALFORMED);
    assert_string_equal(again.bad_tiles[1].detail, "short");
    cursor.is_there = false;
    assert_int_equal(follow_cursor_save(&cursor, options, world->base->log, &world->err), E_OK);
    assert_int_equal(follow_cursor_load(&again, options, world->base->log, &world->err), E_OK);
    assert_false(again.is_there);
}

/* -- the policy -- */

/* A policy of the same log, or of another key with its name, and of witnesses in this order. */
static struct policy *make_policy(const struct signer *log, const int *witnesses, size_t count)
{
    struct buf text = BUF_INIT(8192);
    struct policy *policy = NULL;
    struct err err;
    compare_world_put_line(&text, "log ", log);
    for (size_t i = 0; i < count; i++) {
        char head[32];
        snprintf(head, sizeof head, "witness w%d ", witnesses[i]);
        compare_world_put_line(&text, head, &world->base->witnesses[witnesses[i]]);
    }
    buf_put_str(&text, "quorum none\n");
    assert_int_equal(policy_parse(&policy, buf_span(&text), &err), E_OK);
    buf_clear(&text);
    return policy;
}

static void use_policy(struct policy *policy)
{
    world->base->options.policy = policy;
    world->base->options.log = policy_log_by_origin(policy, COMPARE_WORLD_ORIGIN);
}

static void other_key_of_the_origin_is_a_conflict(void **state)
{
    (void)state;
    struct signer other = keys_signer(COMPARE_WORLD_ORIGIN, SIGNATURE_ED25519, "another");
    struct policy *policy = make_policy(&other, NULL, 0);
    struct policy *before = world->base->policy;
    follow_world_serve(world, 64);
    follow_world_open(world);
    follow_world_step(world);
    follow_world_close(world);
    use_policy(policy);
    assert_int_equal(follow_world_try_open(world), E_CONFLICT);
    follow_world_close(world);
    use_policy(before);
    follow_world_open(world);
    policy_free(policy);
    signer_clear(&other);
}

static void times_of_witnesses_follow_their_keys(void **state)
{
    (void)state;
    const int order[] = { 2, 0 };
    const uint64_t times[] = { COMPARE_WORLD_NOW - 1, COMPARE_WORLD_NOW - 2,
                               COMPARE_WORLD_NOW - 3 };
    struct watched_status status;
    memory_log_grow(world->base->honest, 70);
    struct buf note = compare_world_note(world->base, world->base->honest, 70, times);
    follow_world_serve_note(world, 70, &note);
    follow_world_open(world);
    follow_world_step(world);
    follow_world_close(world);
    struct policy *before = world->base->policy;
    struct policy *policy = make_policy(&world->base->log_key, order, 2);
    use_policy(policy);
    follow_world_open(world);
    watched_log_status(world->base->log, &status);
    assert_int_equal(status.witness_count, 2);
    assert_int_equal(status.witness_seen_s[0], COMPARE_WORLD_NOW - 3);
    assert_int_equal(status.witness_seen_s[1], COMPARE_WORLD_NOW - 1);
    assert_int_equal(follow_world_held(world), 70);
    follow_world_step_after(world, 5);
    assert_int_equal(world->base->call_count, 0);
    follow_world_close(world);
    use_policy(before);
    policy_free(policy);
}

/* -- what was raised -- */

static void raise_one(struct follow_raised *raised, enum finding_code code, const char *subject)
{
    struct finding finding = { .code = code, .origin = COMPARE_WORLD_ORIGIN };
    snprintf(finding.subject, sizeof finding.subject, "%s", subject);
    assert_int_equal(follow_raised_raise(raised, &finding, COMPARE_WORLD_NOW, &world->err), E_OK);
}

static void what_was_raised_is_cleared_after_a_restart(void **state)
{
    (void)state;
    struct follow_raised *raised;
    follow_world_open(world);
    assert_int_equal(follow_raised_open(&raised, world->base->log, &world->err), E_OK);
    raise_one(raised, FINDING_STALLED, "");
    raise_one(raised, FINDING_WITNESS_MISSING, "w1");
    raise_one(raised, FINDING_HEARTBEAT, "");
    assert_true(follow_raised_is_told(raised, FINDING_STALLED, "", COMPARE_WORLD_NOW + 3599));
    assert_false(follow_raised_is_told(raised, FINDING_STALLED, "", COMPARE_WORLD_NOW + 3600));
    follow_raised_free(raised);
    assert_int_equal(follow_raised_open(&raised, world->base->log, &world->err), E_OK);
    assert_int_equal(follow_raised_count(raised, FINDING_WITNESS_MISSING), 1);
    assert_int_equal(follow_raised_count(raised, FINDING_HEARTBEAT), 0); /* not ours to clear */
    assert_false(follow_raised_is_told(raised, FINDING_STALLED, "", COMPARE_WORLD_NOW));
    follow_raised_over(raised, FINDING_STALLED, "");
    follow_raised_over(raised, FINDING_WITNESS_MISSING, "w2"); /* never raised */
    assert_int_equal(follow_raised_flush(raised, COMPARE_WORLD_NOW, &world->err), E_OK);
    assert_false(follow_world_is_open(world, FINDING_STALLED, ""));
    assert_true(follow_world_is_open(world, FINDING_WITNESS_MISSING, "w1"));
    assert_int_equal(compare_world_count(world->base, FINDING_WITNESS_MISSING, "w2", true), 0);
    follow_raised_free(raised);
    assert_int_equal(follow_raised_open(&raised, world->base->log, &world->err), E_OK);
    assert_int_equal(follow_raised_count(raised, FINDING_STALLED), 0);
    follow_raised_free(raised);
}

static void more_causes_than_can_be_kept_are_raised_all_the_same(void **state)
{
    (void)state;
    struct follow_raised *raised;
    follow_world_open(world);
    assert_int_equal(follow_raised_open(&raised, world->base->log, &world->err), E_OK);
    for (int i = 0; i < FOLLOW_RAISED_MAX + 10; i++) {
        char subject[FINDING_SUBJECT_MAX];
        memset(subject, 'x', sizeof subject);
        snprintf(subject + sizeof subject - 8, 8, "%07d", i);
        world->base->call_count = 0;
        raise_one(raised, FINDING_WITNESS_MISSING, subject);
        assert_int_equal(world->base->call_count, 1);
    }
    assert_int_equal(follow_raised_count(raised, FINDING_WITNESS_MISSING), FOLLOW_RAISED_MAX);
    follow_raised_free(raised);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(death_at_any_write_loses_nothing),
        TEST(record_that_is_not_ours_is_refused),
        TEST(held_note_of_another_tree_is_refused),
        TEST(cursor_is_read_back),
        TEST(other_key_of_the_origin_is_a_conflict),
        TEST(times_of_witnesses_follow_their_keys),
        TEST(what_was_raised_is_cleared_after_a_restart),
        TEST(more_causes_than_can_be_kept_are_raised_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
