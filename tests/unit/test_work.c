/* Lanes of work on libuv's workers: a real loop, run by the test's thread. */
#include "net/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ITEMS = 40,
    WORKERS = 4,
    SLOW_US = 2000,
};

struct fixture {
    uv_loop_t loop;
    struct work *work;
    pthread_t loop_thread;
    atomic_int running;
    atomic_int running_most;
    atomic_int run_count;
    int done_count;
    int order[ITEMS]; /* of the runs; with one at a time nothing else writes it */
    bool is_closed;
};

struct task {
    struct fixture *fixture;
    int number;
    bool has_run;
};

static void start(struct fixture *fixture, struct task *tasks, unsigned running_max)
{
    *fixture = (struct fixture){ .loop_thread = pthread_self() };
    for (int i = 0; i < ITEMS; i++) {
        tasks[i] = (struct task){ fixture, i, false };
    }
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    fixture->work = work_new(&fixture->loop, running_max);
}

static void on_closed(void *ctx)
{
    struct fixture *fixture = ctx;
    fixture->is_closed = true;
}

/* Closes at once, with everything posted still to be run. */
static void finish(struct fixture *fixture)
{
    work_close(fixture->work, fixture, on_closed);
    assert_false(fixture->is_closed); /* from the loop only */
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_true(fixture->is_closed);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
}

static void run(void *arg)
{
    struct task *task = arg;
    struct fixture *fixture = task->fixture;
    assert_false(pthread_equal(pthread_self(), fixture->loop_thread));
    int running = atomic_fetch_add(&fixture->running, 1) + 1;
    int most = atomic_load(&fixture->running_most);
    while (running > most &&
           !atomic_compare_exchange_weak(&fixture->running_most, &most, running)) {
    }
    usleep(SLOW_US);
    int at = atomic_fetch_add(&fixture->run_count, 1);
    fixture->order[at] = task->number;
    task->has_run = true;
    atomic_fetch_sub(&fixture->running, 1);
}

static void on_done(void *arg)
{
    struct task *task = arg;
    assert_true(pthread_equal(pthread_self(), task->fixture->loop_thread));
    assert_true(task->has_run);
    assert_false(task->fixture->is_closed);
    task->fixture->done_count++;
}

static void work_runs_in_the_order_of_posting(void **state)
{
    (void)state;
    struct fixture fixture;
    struct task tasks[ITEMS];
    start(&fixture, tasks, 1);
    for (int i = 0; i < ITEMS; i++) {
        work_post_then(fixture.work, &tasks[i], run, on_done);
    }
    finish(&fixture);
    for (int i = 0; i < ITEMS; i++) {
        assert_int_equal(fixture.order[i], i);
    }
    assert_int_equal(fixture.done_count, ITEMS);
    assert_int_equal(fixture.running_most, 1);
}

static void work_runs_no_more_at_a_time_than_it_may(void **state)
{
    (void)state;
    struct fixture fixture;
    struct task tasks[ITEMS];
    start(&fixture, tasks, 2);
    for (int i = 0; i < ITEMS; i++) {
        work_post(fixture.work, run, &tasks[i]);
    }
    finish(&fixture);
    assert_int_equal(fixture.run_count, ITEMS);
    assert_int_equal(fixture.running_most, 2); /* and no fewer: there are more workers */
}

static void post_again(void *arg)
{
    struct task *task = arg;
    on_done(arg);
    if (task->number + 1 < ITEMS) {
        work_post_then(task->fixture->work, task + 1, run, post_again);
    }
}

static void work_close_waits_for_what_on_done_posts(void **state)
{
    (void)state;
    struct fixture fixture;
    struct task tasks[ITEMS];
    start(&fixture, tasks, 1);
    work_post_then(fixture.work, &tasks[0], run, post_again);
    finish(&fixture);
    assert_int_equal(fixture.done_count, ITEMS);
}

static void work_closes_when_nothing_was_posted(void **state)
{
    (void)state;
    struct fixture fixture;
    struct task tasks[ITEMS];
    start(&fixture, tasks, 1);
    finish(&fixture);
}

/* -- A full lane beside another one -- */

struct blocker {
    pthread_mutex_t mutex; /* guards is_open */
    pthread_cond_t opened;
    bool is_open;
    atomic_int waiting;
};

static void wait_until_open(void *arg)
{
    struct blocker *blocker = arg;
    atomic_fetch_add(&blocker->waiting, 1);
    pthread_mutex_lock(&blocker->mutex);
    while (!blocker->is_open) {
        pthread_cond_wait(&blocker->opened, &blocker->mutex);
    }
    pthread_mutex_unlock(&blocker->mutex);
}

static void run_open(void *arg)
{
    struct blocker *blocker = arg;
    pthread_mutex_lock(&blocker->mutex);
    blocker->is_open = true;
    pthread_cond_broadcast(&blocker->opened);
    pthread_mutex_unlock(&blocker->mutex);
}

/* Only while all of its places are taken and something waits: what a watchdog is to see. */
static void work_tells_how_long_it_is_stuck(void **state)
{
    (void)state;
    struct fixture fixture;
    struct task tasks[ITEMS];
    struct blocker blocker = { .mutex = PTHREAD_MUTEX_INITIALIZER,
                               .opened = PTHREAD_COND_INITIALIZER };
    start(&fixture, tasks, 1);
    assert_int_equal(work_stuck_ms(fixture.work), 0);
    work_post(fixture.work, wait_until_open, &blocker);
    while (atomic_load(&blocker.waiting) < 1) {
        uv_run(&fixture.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(work_stuck_ms(fixture.work), 0); /* busy, but nobody waits for it */
    work_post(fixture.work, run_open, &blocker);
    while (work_stuck_ms(fixture.work) < 20) {
        uv_run(&fixture.loop, UV_RUN_NOWAIT);
    }
    run_open(&blocker);
    while (work_stuck_ms(fixture.work) > 0) {
        uv_run(&fixture.loop, UV_RUN_NOWAIT);
    }
    finish(&fixture);
}

/* If the full lane had put everything into libuv's queue, nothing would ever open. */
static void work_leaves_workers_to_other_lanes(void **state)
{
    (void)state;
    struct fixture fixture;
    struct task tasks[ITEMS];
    struct blocker blocker = { .mutex = PTHREAD_MUTEX_INITIALIZER,
                               .opened = PTHREAD_COND_INITIALIZER };
    start(&fixture, tasks, WORKERS - 1);
    struct work *other = work_new(&fixture.loop, 1);
    for (int i = 0; i < ITEMS; i++) {
        work_post(fixture.work, wait_until_open, &blocker);
    }
    while (atomic_load(&blocker.waiting) < WORKERS - 1) {
        uv_run(&fixture.loop, UV_RUN_NOWAIT);
    }
    work_post(other, run_open, &blocker);
    struct fixture closed = { .is_closed = false };
    work_close(other, &closed, on_closed);
    finish(&fixture);
    assert_true(closed.is_closed);
    assert_int_equal(blocker.waiting, ITEMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_in_the_order_of_posting),
        cmocka_unit_test(work_runs_no_more_at_a_time_than_it_may),
        cmocka_unit_test(work_close_waits_for_what_on_done_posts),
        cmocka_unit_test(work_closes_when_nothing_was_posted),
        cmocka_unit_test(work_leaves_workers_to_other_lanes),
        cmocka_unit_test(work_tells_how_long_it_is_stuck),
    };
    char workers[8];
    snprintf(workers, sizeof workers, "%d", WORKERS);
    setenv("UV_THREADPOOL_SIZE", workers, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
