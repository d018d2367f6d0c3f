/* SIGHUP, as the kernel sends it: what is read, and how often. */
#include "logd/reload.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A reader that stands still until it is let go, and says how many of it there are. */
struct world {
    uv_loop_t loop;
    struct work *work;
    struct reload *reload;
    sem_t go;
    atomic_int begun, running, running_max;
    int open;
};

static void read_again(void *ctx)
{
    struct world *world = ctx;
    int running = atomic_fetch_add(&world->running, 1) + 1;
    if (running > atomic_load(&world->running_max)) {
        atomic_store(&world->running_max, running);
    }
    atomic_fetch_add(&world->begun, 1);
    sem_wait(&world->go);
    atomic_fetch_sub(&world->running, 1);
}

static void world_init(struct world *world)
{
    *world = (struct world){ .open = 0 };
    sem_init(&world->go, 0, 0);
    uv_loop_init(&world->loop);
    world->work = work_new(&world->loop, 2); /* room for two readings, of which there must be one */
    world->reload = reload_start(&world->loop);
}

static void on_closed(void *ctx)
{
    struct world *world = ctx;
    world->open--;
}

static void turn(struct world *world)
{
    uv_run(&world->loop, UV_RUN_NOWAIT);
}

/* One signal, taken in by the loop. */
static void hang_up(struct world *world)
{
    raise(SIGHUP);
    for (int i = 0; i < 10; i++) {
        turn(world);
    }
}

static void wait_begun(struct world *world, int count)
{
    while (atomic_load(&world->begun) < count) {
        turn(world);
    }
}

static void wait_idle(struct world *world)
{
    while (reload_is_under_way(world->reload)) {
        turn(world);
    }
}

static void world_clear(struct world *world)
{
    reload_end(world->reload);
    wait_idle(world);
    world->open = 2;
    reload_close(world->reload, world, on_closed);
    work_close(world->work, world, on_closed);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->open, 0);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    sem_destroy(&world->go);
}

static void a_signal_before_there_is_anything_to_read_is_survived(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    hang_up(&world);
    assert_false(reload_is_under_way(world.reload));
    world_clear(&world);
}

static void each_signal_has_the_files_read(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    reload_serve(world.reload, world.work, &world, read_again);
    for (int i = 1; i <= 3; i++) {
        hang_up(&world);
        sem_post(&world.go);
        wait_begun(&world, i);
        wait_idle(&world);
    }
    assert_int_equal(atomic_load(&world.begun), 3);
    world_clear(&world);
}

/* The file may have been written after the reading began. */
static void a_signal_during_a_reading_has_another_one_follow(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    reload_serve(world.reload, world.work, &world, read_again);
    hang_up(&world);
    wait_begun(&world, 1);
    hang_up(&world);
    hang_up(&world);
    hang_up(&world);
    assert_int_equal(atomic_load(&world.begun), 1);
    sem_post(&world.go);
    wait_begun(&world, 2);
    assert_true(reload_is_under_way(world.reload));
    sem_post(&world.go);
    wait_idle(&world);
    assert_int_equal(atomic_load(&world.begun), 2); /* one for all three */
    assert_int_equal(atomic_load(&world.running_max), 1);
    world_clear(&world);
}

static void none_begins_after_the_end(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    reload_serve(world.reload, world.work, &world, read_again);
    hang_up(&world);
    wait_begun(&world, 1);
    hang_up(&world);
    reload_end(world.reload);
    hang_up(&world);
    assert_true(reload_is_under_way(world.reload));
    sem_post(&world.go);
    wait_idle(&world);
    assert_int_equal(atomic_load(&world.begun), 1);
    world_clear(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_before_there_is_anything_to_read_is_survived),
        cmocka_unit_test(each_signal_has_the_files_read),
        cmocka_unit_test(a_signal_during_a_reading_has_another_one_follow),
        cmocka_unit_test(none_begins_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
