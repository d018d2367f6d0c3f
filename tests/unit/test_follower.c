/* The thread: it polls, it is woken, it ends in the middle of a slow scan. The times here are real. */
#include "monitor/follower.h"

#include "tests/support/follow_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static struct follow_world *world;
static struct follower *follower;

static int set_up(void **state)
{
    (void)state;
    world = follow_world_new("quorum none\n");
    world->base->now = (struct monitor_time){ (int64_t)time(NULL), 0 };
    world->base->options.thresholds.witness_missing_after_s = 0;
    follow_world_serve(world, COMPARE_WORLD_SIZE);
    follow_world_open(world);
    follow_close(world->follow); /* the follower has one of its own */
    world->follow = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    follow_world_free(world);
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000 + (uint64_t)at.tv_nsec / 1000000;
}

static void sleep_ms(unsigned ms)
{
    struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };
    nanosleep(&time, NULL);
}

static void start(uint64_t poll_interval_ms)
{
    struct follower_options options = { .log = world->base->log,
                                        .memory = world->memory,
                                        .scan_threads = 2,
                                        .poll_interval_ms = poll_interval_ms };
    assert_int_equal(follower_start(&follower, &options, &world->err), E_OK);
}

static void stop(void)
{
    follower_end(follower);
    follower_free(follower);
}

static bool is_held_within(uint64_t size, uint64_t ms)
{
    for (uint64_t until = now_ms() + ms; now_ms() < until; sleep_ms(5)) {
        struct watched_status status;
        watched_log_status(world->base->log, &status);
        if (status.is_verified && status.held_size == size) {
            return true;
        }
    }
    return false;
}

static void log_is_polled_again_and_again(void **state)
{
    (void)state;
    start(20);
    assert_true(is_held_within(COMPARE_WORLD_SIZE, 10000));
    follow_world_serve(world, 200);
    assert_true(is_held_within(200, 10000));
    assert_true(follower_silent_ms(follower) < 10000);
    stop();
}

static void waiting_follower_is_woken_and_ended_at_once(void **state)
{
    (void)state;
    start(3600 * 1000);
    assert_true(is_held_within(COMPARE_WORLD_SIZE, 10000));
    follow_world_serve(world, 100);
    follower_poll_now(follower);
    assert_true(is_held_within(100, 10000));
    uint64_t began_ms = now_ms();
    follower_end(follower);
    assert_true(now_ms() - began_ms < 1000);
    follower_end(follower); /* once more is nothing */
    follower_free(follower);
}

static enum err_code be_slow(void *ctx, const char *path, struct err *err)
{
    (void)ctx;
    (void)path;
    (void)err;
    sleep_ms(30);
    return E_OK;
}

static void slow_scan_is_left_at_the_next_bundle(void **state)
{
    (void)state;
    memory_log_on_get(world->base->honest, be_slow, NULL);
    follow_world_serve(world, 2000 * TILE_WIDTH); /* a minute of it */
    start(1000);
    sleep_ms(300);
    uint64_t began_ms = now_ms();
    follower_end(follower);
    assert_true(now_ms() - began_ms < 1000);
    follower_free(follower);
    struct watched_status status;
    watched_log_status(world->base->log, &status);
    assert_false(status.is_verified);
    assert_false(status.is_scanning);
    assert_int_equal(world->base->call_count, 0);
}

static void store_that_fails_is_tried_again(void **state)
{
    (void)state;
    world->disk->dies_at = 1;
    start(20);
    sleep_ms(200);
    struct watched_status status;
    watched_log_status(world->base->log, &status);
    assert_false(status.is_verified);
    stop();
    world->disk->dies_at = 0;
    start(20);
    assert_true(is_held_within(COMPARE_WORLD_SIZE, 10000));
    stop();
}

static void stored_state_that_is_not_ours_does_not_start(void **state)
{
    (void)state;
    struct buf key = BUF_INIT(200);
    struct kv_batch batch;
    struct follower_options options = { .log = world->base->log,
                                        .memory = world->memory,
                                        .scan_threads = 1,
                                        .poll_interval_ms = 1000 };
    watched_log_put_key(&key, world->base->log, "follow/state");
    kv_batch_init(&batch);
    kv_batch_put(&batch, buf_span(&key), span_of_str("x"));
    assert_int_equal(state_store_write_synced(world->base->store, &batch, &world->err), E_OK);
    assert_int_equal(follower_start(&follower, &options, &world->err), E_CORRUPT);
    kv_batch_clear(&batch);
    buf_clear(&key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(log_is_polled_again_and_again),
        TEST(waiting_follower_is_woken_and_ended_at_once),
        TEST(slow_scan_is_left_at_the_next_bundle),
        TEST(store_that_fails_is_tried_again),
        TEST(stored_state_that_is_not_ours_does_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
