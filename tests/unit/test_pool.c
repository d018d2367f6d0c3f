#include "logd/pool.h"
#include "tests/support/entries.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

enum {
    GIVERS = 4,
    CALLS = 3000, /* of each giver */
};

static void release_and_free(struct pool *pool, struct submission *submission)
{
    pool_release(pool, submission->count, submission->entries_bytes);
    submission_free(submission);
}

static void push(struct pool *pool, const char *words)
{
    struct err err;
    assert_int_equal(pool_push(pool, entries_submission(words), &err), E_OK);
}

static enum err_code push_refused(struct pool *pool, const char *words, struct err *err)
{
    struct submission *submission = entries_submission(words);
    enum err_code rc = pool_push(pool, submission, err);
    submission_free(submission); /* still the caller's */
    return rc;
}

static void drain(struct pool *pool)
{
    struct submission *at = pool_take(pool);
    while (at != NULL) {
        struct submission *next = at->next;
        release_and_free(pool, at);
        at = next;
    }
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pool_gives_back_in_order_of_arrival(void **state)
{
    (void)state;
    struct pool *pool = pool_new(10, 1000);
    assert_null(pool_take(pool));
    push(pool, "a");
    push(pool, "bb");
    push(pool, "ccc");
    assert_int_equal(pool_entries(pool), 3);
    struct submission *at = pool_take(pool);
    for (size_t i = 1; i <= 3; i++) {
        assert_non_null(at);
        assert_int_equal(at->entries_bytes, 2 + i);
        struct submission *next = at->next;
        release_and_free(pool, at);
        at = next;
    }
    assert_null(at);
    assert_null(pool_take(pool));
    assert_int_equal(pool_entries(pool), 0);
    pool_free(pool);
}

static void pool_is_full_at_its_entries(void **state)
{
    (void)state;
    struct err err;
    struct pool *pool = pool_new(3, 1000);
    push(pool, "a b");
    assert_int_equal(push_refused(pool, "c d", &err), E_BUSY);
    assert_int_equal(pool_entries(pool), 2);
    push(pool, "c");
    assert_int_equal(push_refused(pool, "d", &err), E_BUSY);
    assert_int_equal(push_refused(pool, "d e f g", &err), E_BUSY); /* more than there ever is */
    assert_int_equal(pool_entries(pool), 3);
    drain(pool);
    push(pool, "a b c");
    drain(pool);
    pool_free(pool);
}

static void pool_is_full_at_its_bytes(void **state)
{
    (void)state;
    struct err err;
    struct pool *pool = pool_new(100, 10);
    push(pool, "aaaa");
    assert_int_equal(push_refused(pool, "bbb", &err), E_BUSY);
    assert_int_equal(pool_entries(pool), 1);
    push(pool, "bb");
    assert_int_equal(push_refused(pool, "aaaaaaaaa", &err), E_BUSY);
    drain(pool);
    push(pool, "aaaaaaaa");
    drain(pool);
    pool_free(pool);
}

static void pool_counts_what_is_taken_until_it_is_released(void **state)
{
    (void)state;
    struct err err;
    struct pool *pool = pool_new(2, 1000);
    push(pool, "a b");
    struct submission *taken = pool_take(pool);
    assert_int_equal(push_refused(pool, "c", &err), E_BUSY);
    release_and_free(pool, taken);
    push(pool, "c");
    drain(pool);
    pool_free(pool);
}

static void pool_closed_says_why(void **state)
{
    (void)state;
    struct err err;
    char reason[64] = "untouched";
    struct pool *pool = pool_new(10, 1000);
    assert_false(pool_is_closed(pool, reason, sizeof reason));
    assert_string_equal(reason, "untouched");
    push(pool, "a");
    pool_close(pool, POOL_CLOSED_STORE, "the disk is full");
    assert_true(pool_is_closed(pool, reason, sizeof reason));
    assert_string_equal(reason, "the disk is full");
    assert_int_equal(push_refused(pool, "b", &err), E_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "the disk is full"));
    drain(pool); /* what was in is not lost */
    pool_open(pool, POOL_CLOSED_STORE);
    push(pool, "b");
    drain(pool);
    pool_free(pool);
}

static void assert_closed(struct pool *pool, const char *expected)
{
    struct err err;
    char reason[64];
    assert_true(pool_is_closed(pool, reason, sizeof reason));
    assert_string_equal(reason, expected);
    assert_int_equal(push_refused(pool, "a", &err), E_UNAVAILABLE);
    assert_non_null(strstr(err.msg, expected));
}

/* Space that comes back says nothing about the start check, nor the other way round. */
static void pool_opens_only_when_no_closer_is_left(void **state)
{
    (void)state;
    static const char *const words[POOL_CLOSERS] = { "frozen", "the check", "no note",
                                                     "no registry", "the disk" };
    char reason[64];
    struct pool *pool = pool_new(10, 1000);
    for (unsigned order = 0; order < 2; order++) {
        for (unsigned set = 1; set < 1U << POOL_CLOSERS; set++) {
            unsigned left = set;
            for (unsigned i = 0; i < POOL_CLOSERS; i++) {
                if ((set >> i & 1) != 0) {
                    pool_close(pool, i, words[i]);
                }
            }
            for (unsigned at = 0; at < POOL_CLOSERS; at++) {
                unsigned i = order == 0 ? at : POOL_CLOSERS - 1 - at;
                if (left != 0) {
                    assert_closed(pool, words[__builtin_ctz(left)]);
                }
                pool_open(pool, i); /* nothing for one that had not closed it */
                left &= ~(1U << i);
            }
            assert_false(pool_is_closed(pool, reason, sizeof reason));
            push(pool, "a");
            drain(pool);
        }
    }
    pool_free(pool);
}

static void pool_tells_a_closers_latest_reason_and_forgets_it_at_once(void **state)
{
    (void)state;
    struct pool *pool = pool_new(10, 1000);
    pool_close(pool, POOL_CLOSED_CHECK, "waiting for w1, w2");
    pool_close(pool, POOL_CLOSED_CHECK, "waiting for w2");
    assert_closed(pool, "waiting for w2");
    pool_open(pool, POOL_CLOSED_CHECK);
    push(pool, "a");
    drain(pool);
    pool_free(pool);
}

/* What comes after it neither opens the pool nor takes the reason's place. */
static void pool_ended_stays_closed(void **state)
{
    (void)state;
    struct err err;
    char reason[64];
    struct pool *pool = pool_new(10, 1000);
    pool_close(pool, POOL_CLOSED_STORE, "the disk is full");
    pool_end(pool, "stopping");
    pool_open(pool, POOL_CLOSED_STORE);
    pool_close(pool, POOL_CLOSED_STORE, "the disk is full");
    assert_true(pool_is_closed(pool, reason, sizeof reason));
    assert_string_equal(reason, "stopping");
    assert_int_equal(push_refused(pool, "a", &err), E_UNAVAILABLE);
    pool_free(pool);
}

static void pool_wait_ends_in_time(void **state)
{
    (void)state;
    struct pool *pool = pool_new(10, 1000);
    uint64_t before = now_ms();
    pool_wait(pool, 30);
    assert_true(now_ms() - before >= 29);
    pool_free(pool);
}

static void pool_wait_does_not_sleep_on_news(void **state)
{
    (void)state;
    struct pool *pool = pool_new(10, 1000);
    push(pool, "a");
    pool_wait(pool, 60 * 1000);
    drain(pool);
    pool_wake(pool);
    pool_wait(pool, 60 * 1000);
    pool_free(pool);
}

static void *wake_later(void *arg)
{
    nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
    pool_wake(arg);
    return NULL;
}

static void *push_later(void *arg)
{
    nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
    push(arg, "a");
    return NULL;
}

static void pool_wait_is_woken(void **state)
{
    (void)state;
    void *(*const wakers[])(void *) = { wake_later, push_later };
    for (size_t i = 0; i < 2; i++) {
        struct pool *pool = pool_new(10, 1000);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wakers[i], pool), 0);
        uint64_t before = now_ms();
        pool_wait(pool, 60 * 1000);
        assert_true(now_ms() - before < 30 * 1000);
        pthread_join(thread, NULL);
        drain(pool);
        pool_free(pool);
    }
}

struct giver {
    struct pool *pool;
    unsigned number;
    pthread_t thread;
};

static void *give(void *arg)
{
    struct giver *giver = arg;
    for (unsigned i = 0; i < CALLS; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "%u %u", giver->number, i);
        struct submission *submission = submission_new(1, (size_t)len);
        submission_add(submission, span_of(text, (size_t)len));
        submission->ctx = (void *)(uintptr_t)(i + 1);
        struct err err;
        while (pool_push(giver->pool, submission, &err) != E_OK) {
            nanosleep(&(struct timespec){ .tv_nsec = 1000 }, NULL);
        }
    }
    return NULL;
}

/* The giver's number is the first character of the entry. */
static void check_order(const struct submission *submission, uintptr_t *last)
{
    size_t giver = (size_t)(submission->entries[2] - '0');
    assert_true(giver < GIVERS);
    assert_int_equal((uintptr_t)submission->ctx, last[giver] + 1);
    last[giver]++;
}

/* Nothing is lost, doubled, or out of its giver's order, and the taker never sleeps on work. */
static void pool_loses_nothing_between_threads(void **state)
{
    (void)state;
    struct pool *pool = pool_new(64, 100000);
    struct giver givers[GIVERS];
    uintptr_t last[GIVERS] = { 0 };
    size_t taken = 0;
    for (unsigned i = 0; i < GIVERS; i++) {
        givers[i] = (struct giver){ .pool = pool, .number = i };
        assert_int_equal(pthread_create(&givers[i].thread, NULL, give, &givers[i]), 0);
    }
    while (taken < GIVERS * CALLS) {
        uint64_t before = now_ms();
        pool_wait(pool, 60 * 1000);
        assert_true(now_ms() - before < 30 * 1000);
        struct submission *at = pool_take(pool);
        while (at != NULL) {
            struct submission *next = at->next;
            check_order(at, last);
            release_and_free(pool, at);
            at = next;
            taken++;
        }
    }
    for (size_t i = 0; i < GIVERS; i++) {
        pthread_join(givers[i].thread, NULL);
    }
    assert_null(pool_take(pool));
    assert_int_equal(pool_entries(pool), 0);
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool_gives_back_in_order_of_arrival),
        cmocka_unit_test(pool_is_full_at_its_entries),
        cmocka_unit_test(pool_is_full_at_its_bytes),
        cmocka_unit_test(pool_counts_what_is_taken_until_it_is_released),
        cmocka_unit_test(pool_closed_says_why),
        cmocka_unit_test(pool_opens_only_when_no_closer_is_left),
        cmocka_unit_test(pool_tells_a_closers_latest_reason_and_forgets_it_at_once),
        cmocka_unit_test(pool_ended_stays_closed),
        cmocka_unit_test(pool_wait_ends_in_time),
        cmocka_unit_test(pool_wait_does_not_sleep_on_news),
        cmocka_unit_test(pool_wait_is_woken),
        cmocka_unit_test(pool_loses_nothing_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
