/* A spool in front of a log that is honest, slow, gone for a while, or refuses. */
#include "base/alloc.h"
#include "tests/support/spool_world.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static _Atomic unsigned syncs;

/* In the place of libc's, for LevelDB too. */
int fdatasync(int fd)
{
    syncs++;
    return (int)syscall(SYS_fdatasync, fd);
}

static void an_item_goes_when_its_receipt_verifies(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    struct buf proof = BUF_INIT(PROOF_FILE_BYTES_MAX);
    spool_world_start(&world);
    uint64_t ticket = spool_world_put(&world, "a", 0, "");
    spool_world_flush(&world);
    struct spool_status status = spool_world_status(&world);
    assert_int_equal(status.waiting, 0);
    assert_int_equal(status.waiting_bytes, 0);
    assert_int_equal(status.proved, 1);
    assert_int_equal(world.proved, 1);
    assert_int_equal(world.bad, 0);
    assert_int_equal(world.last_ticket, ticket);
    assert_int_equal(spool_receipt(world.spool, ticket, &proof, &err), E_OK);
    assert_true(span_has_prefix(buf_span(&proof), span_of_str("c2sp.org/tlog-proof@v1\n")));
    assert_int_equal(spool_forget(world.spool, ticket, &err), E_OK);
    SPOOL_WORLD_UNTIL(spool_receipt(world.spool, ticket, &proof, &err) == E_NOT_FOUND);
    assert_int_equal(spool_forget(world.spool, ticket, &err), E_NOT_FOUND);
    assert_int_equal(spool_receipt(world.spool, ticket + 1, &proof, &err), E_NOT_FOUND);
    buf_clear(&proof);
    spool_world_stop(&world);
}

static void numbers_are_given_once_and_in_order(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    spool_world_start(&world);
    struct hash id = spool_world_case("a");
    uint64_t next = 99;
    assert_int_equal(spool_next_number(world.spool, &id, &next, &err), E_OK);
    assert_int_equal(next, 0);
    assert_int_equal(spool_world_try(&world, "a", 1, "", false, NULL, &err), E_CONFLICT);
    spool_world_put(&world, "a", 0, "");
    assert_int_equal(spool_world_try(&world, "a", 0, "again", false, NULL, &err), E_CONFLICT);
    spool_world_put(&world, "a", 1, "");
    spool_world_flush(&world);
    spool_world_close(&world);
    spool_world_open(&world);
    assert_int_equal(spool_next_number(world.spool, &id, &next, &err), E_OK);
    assert_int_equal(next, 2);
    assert_int_equal(fake_log_size(world.log), 2);
    spool_world_stop(&world);
}

/* A batch whose last item has a wrong number leaves no trace. */
static void a_batch_is_accepted_whole_or_not_at_all(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    uint64_t next = 99;
    spool_world_start(&world);
    struct hash id = spool_world_case("a");
    struct spool_item items[4];
    for (size_t i = 0; i < 4; i++) {
        items[i] = (struct spool_item){
            .entry = span_of_str("a/0"), .case_id = id, .has_number = true, .number = i < 3 ? i : 7
        };
    }
    assert_int_equal(spool_put(world.spool, items, 4, NULL, &err), E_CONFLICT);
    assert_non_null(strstr(err.msg, "item 3"));
    assert_int_equal(spool_next_number(world.spool, &id, &next, &err), E_OK);
    assert_int_equal(next, 0);
    assert_int_equal(spool_world_status(&world).waiting, 0);
    items[2].entry.len = 0;
    assert_int_equal(spool_put(world.spool, items, 3, NULL, &err), E_TOO_LARGE);
    assert_int_equal(spool_put(world.spool, items, 0, NULL, &err), E_MALFORMED);
    spool_world_stop(&world);
}

struct putter {
    struct spool_world *world;
    unsigned number;
    pthread_t thread;
};

enum {
    PUTTERS = 8,
    CASES = 4,
    EACH = 60,
};

static void *put_many(void *arg)
{
    struct putter *putter = arg;
    for (uint64_t i = 0; i < EACH; i++) {
        for (unsigned k = 0; k < CASES; k++) {
            char name[32];
            snprintf(name, sizeof name, "p%u-%u", putter->number, k);
            spool_world_put(putter->world, name, i, "");
        }
    }
    return NULL;
}

/* Many threads, many cases, a slow log, several calls in flight: no case is in two of them, nothing is out of order,
 * and nothing twice. */
static void order_within_a_case_is_kept(void **state)
{
    (void)state;
    struct spool_world world;
    struct putter putters[PUTTERS];
    spool_world_start(&world);
    fake_log_set_delay(world.log, 40);
    for (unsigned i = 0; i < PUTTERS; i++) {
        putters[i] = (struct putter){ .world = &world, .number = i };
        assert_int_equal(pthread_create(&putters[i].thread, NULL, put_many, &putters[i]), 0);
    }
    for (unsigned i = 0; i < PUTTERS; i++) {
        pthread_join(putters[i].thread, NULL);
    }
    spool_world_flush(&world);
    struct fake_log_counts counts = fake_log_counts(world.log);
    assert_int_equal(fake_log_size(world.log), PUTTERS * CASES * EACH);
    assert_int_equal(counts.overlaps, 0);
    assert_int_equal(counts.disorders, 0);
    assert_true(counts.entries_max > 1);
    assert_int_equal(world.proved, PUTTERS * CASES * EACH);
    assert_int_equal(world.bad, 0);
    spool_world_stop(&world);
}

/* Answers that are lost: the same bytes again, which the log has once. */
static void lost_answers_double_nothing(void **state)
{
    (void)state;
    struct spool_world world;
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_LOSES_ANSWERS);
    for (uint64_t i = 0; i < 20; i++) {
        spool_world_put(&world, "a", i, "");
        spool_world_put(&world, "b", i, "");
        spool_world_put(&world, "", i, "");
    }
    SPOOL_WORLD_UNTIL(fake_log_size(world.log) > 0);
    assert_int_equal(spool_world_status(&world).proved, 0);
    assert_int_equal(spool_world_status(&world).waiting, 60);
    fake_log_set_fault(world.log, FAKE_LOG_HONEST);
    spool_world_flush(&world);
    assert_int_equal(fake_log_size(world.log), 60);
    assert_int_equal(fake_log_counts(world.log).disorders, 0);
    assert_int_equal(world.proved, 60);
    spool_world_stop(&world);
}

static void what_waits_survives_a_close(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_UNAVAILABLE);
    for (uint64_t i = 0; i < 10; i++) {
        spool_world_put(&world, "a", i, "");
    }
    assert_int_equal(spool_flush(world.spool, 50, &err), E_TIMEOUT);
    usleep(20000);
    assert_true(spool_world_status(&world).lag_ms >= 20);
    spool_world_close(&world);
    struct spool_status status;
    assert_int_equal(spool_status_read(&status, world.dir, &err), E_OK);
    assert_int_equal(status.waiting, 10);
    assert_true(status.lag_ms > 0);
    spool_world_open(&world);
    assert_int_equal(spool_status_read(&status, world.dir, &err), E_OK); /* of one that is open */
    fake_log_set_fault(world.log, FAKE_LOG_HONEST);
    spool_world_flush(&world);
    assert_int_equal(fake_log_size(world.log), 10);
    assert_int_equal(fake_log_counts(world.log).disorders, 0);
    spool_world_stop(&world);
}

static void one_process_has_a_spool(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    spool_world_start(&world);
    struct spool *first = world.spool;
    assert_int_equal(spool_world_try_open(&world, &err), E_BUSY);
    world.spool = first;
    spool_world_stop(&world);
}

static void a_spool_is_of_one_origin(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    spool_world_start(&world);
    spool_world_close(&world);
    struct spool_options options = { .dir = world.dir,
                                     .origin = "fake.example/other",
                                     .policy = fake_log_policy(world.log) };
    assert_int_equal(log_address_parse(&options.log, fake_log_address(world.log), &err), E_OK);
    assert_int_equal(spool_open(&world.spool, &options, &err), E_CONFLICT);
    assert_non_null(strstr(err.msg, "fake.example/log"));
    options.origin = "fake.example/unlisted";
    assert_int_equal(spool_open(&world.spool, &options, &err), E_MALFORMED);
    world.spool = NULL;
    spool_world_stop(&world);
}

/* Made by somebody with the usual mode, and another one's link in it. */
static void a_directory_that_others_can_enter_shows_them_nothing(void **state)
{
    (void)state;
    struct spool_world world;
    struct stat status;
    spool_world_start(&world);
    spool_world_close(&world);
    free(world.dir);
    world.dir = files_join(world.temp, "open");
    assert_int_equal(mkdir(world.dir, 0755), 0);
    char *victim = files_join(world.temp, "victim"), *planted = files_join(world.dir, "status.tmp");
    files_write(victim, span_of_str("untouched"));
    assert_int_equal(symlink(victim, planted), 0);
    spool_world_open(&world);
    spool_world_put(&world, "a", 0, "");
    spool_world_flush(&world);
    spool_world_close(&world);
    char *store = files_join(world.dir, "store"), *told = files_join(world.dir, "status");
    assert_int_equal(stat(store, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(lstat(told, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(stat(victim, &status), 0);
    assert_int_equal(status.st_size, strlen("untouched"));
    free(victim);
    free(planted);
    free(store);
    free(told);
    spool_world_open(&world);
    spool_world_stop(&world);
}

static void a_full_spool_says_busy(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    spool_world_start(&world);
    spool_world_close(&world);
    struct spool_options options = { .dir = world.dir,
                                     .origin = fake_log_origin(world.log),
                                     .policy = fake_log_policy(world.log),
                                     .items_max = 3 };
    fake_log_set_fault(world.log, FAKE_LOG_UNAVAILABLE);
    assert_int_equal(log_address_parse(&options.log, fake_log_address(world.log), &err), E_OK);
    assert_int_equal(spool_open(&world.spool, &options, &err), E_OK);
    for (uint64_t i = 0; i < 3; i++) {
        spool_world_put(&world, "a", i, "");
    }
    assert_int_equal(spool_world_try(&world, "a", 3, "", false, NULL, &err), E_BUSY);
    fake_log_set_fault(world.log, FAKE_LOG_HONEST);
    spool_world_flush(&world);
    spool_world_put(&world, "a", 3, "");
    spool_world_stop(&world);
}

/* ---- refusals ---- */

static void put_three_cases_with_a_bad_item(struct spool_world *world)
{
    for (uint64_t i = 0; i < 5; i++) {
        spool_world_put(world, "a", i, "");
        spool_world_put(world, "b", i, i == 2 ? " bad" : "");
        spool_world_put(world, "", i, "");
    }
}

static void check_one_is_refused(struct spool_world *world)
{
    spool_world_flush(world);
    struct spool_status status = spool_world_status(world);
    assert_int_equal(status.waiting, 3); /* b/2, b/3, b/4 */
    assert_int_equal(status.refused_now, 1);
    assert_int_equal(status.refused, 1);
    assert_int_equal(fake_log_size(world->log), 12);
    SPOOL_WORLD_UNTIL(world->refused == 1);
}

static void a_refusal_with_a_position_stops_its_case_only(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_REFUSES_AT);
    put_three_cases_with_a_bad_item(&world);
    check_one_is_refused(&world);
    assert_null(strchr(world.refusal, '\n')); /* the log's words are escaped */
    assert_non_null(strstr(world.refusal, "kind: not for this"));
    /* The person saw to it: with the next open it goes, and what is behind it. */
    fake_log_set_fault(world.log, FAKE_LOG_HONEST);
    spool_world_close(&world);
    struct spool_status status;
    assert_int_equal(spool_status_read(&status, world.dir, &err), E_OK);
    assert_int_equal(status.refused_now, 1);
    spool_world_open(&world);
    spool_world_flush(&world);
    assert_int_equal(fake_log_size(world.log), 15);
    assert_int_equal(fake_log_counts(world.log).disorders, 0);
    assert_int_equal(spool_world_status(&world).refused, 1);
    spool_world_stop(&world);
}

static void a_refusal_without_a_position_is_narrowed_down(void **state)
{
    (void)state;
    struct spool_world world;
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_REFUSES);
    put_three_cases_with_a_bad_item(&world);
    check_one_is_refused(&world);
    spool_world_stop(&world);
}

static void one_bad_item_among_thousands_is_found(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    enum {
        COUNT = 2500
    };
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_REFUSES);
    char(*texts)[32] = mem_calloc(COUNT, sizeof *texts);
    struct spool_item *items = mem_calloc(COUNT, sizeof *items);
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof texts[i], "%s %zu", i == 1234 ? "bad" : "good", i);
        items[i] = (struct spool_item){ .entry = span_of_str(texts[i]) };
    }
    assert_int_equal(spool_put(world.spool, items, COUNT, NULL, &err), E_OK);
    spool_world_flush(&world);
    assert_int_equal(fake_log_size(world.log), COUNT - 1);
    assert_int_equal(spool_world_status(&world).refused_now, 1);
    assert_int_equal(fake_log_counts(world.log).entries_max, 1000);
    mem_free(texts);
    mem_free(items);
    spool_world_stop(&world);
}

static void a_refused_item_can_be_given_up(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_REFUSES_AT);
    spool_world_put(&world, "a", 0, "");
    uint64_t ticket = spool_world_put(&world, "a", 1, " bad");
    spool_world_put(&world, "a", 2, "");
    assert_int_equal(spool_forget(world.spool, ticket + 1, &err), E_NOT_FOUND);
    spool_world_flush(&world);
    assert_int_equal(fake_log_size(world.log), 1);
    assert_int_equal(spool_forget(world.spool, ticket, &err), E_OK);
    assert_int_equal(spool_forget(world.spool, ticket, &err), E_NOT_FOUND);
    SPOOL_WORLD_UNTIL(spool_world_status(&world).waiting == 0);
    assert_int_equal(fake_log_size(world.log), 2);
    assert_int_equal(spool_world_status(&world).refused_now, 0);
    spool_world_stop(&world);
}

/* A channel that may not append is for a person to mend, not a reason to hold every case. */
static void a_denied_channel_holds_nothing(void **state)
{
    (void)state;
    struct spool_world world;
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_DENIED);
    spool_world_put(&world, "a", 0, "");
    SPOOL_WORLD_UNTIL(spool_world_status(&world).reason[0] != 0);
    assert_non_null(strstr(spool_world_status(&world).reason, "may not append"));
    assert_int_equal(spool_world_status(&world).refused_now, 0);
    fake_log_set_fault(world.log, FAKE_LOG_HONEST);
    spool_world_flush(&world);
    spool_world_stop(&world);
}

static void a_tag_that_another_record_has_stops_the_spool_for_good(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    struct spool_status status;
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_EXISTS);
    spool_world_put(&world, "a", 0, "");
    assert_int_equal(spool_flush(world.spool, SPOOL_WORLD_TIMEOUT_MS, &err), E_CONFLICT);
    assert_int_equal(spool_world_try(&world, "b", 0, "", false, NULL, &err), E_CONFLICT);
    assert_non_null(strstr(err.msg, "entry tag"));
    fake_log_set_fault(world.log, FAKE_LOG_HONEST);
    spool_world_close(&world);
    assert_int_equal(spool_world_try_open(&world, &err), E_CONFLICT);
    assert_non_null(strstr(err.msg, "entry tag"));
    world.spool = NULL;
    assert_int_equal(spool_status_read(&status, world.dir, &err), E_OK);
    assert_true(status.is_stopped);
    assert_int_equal(status.waiting, 1);
    assert_int_equal(fake_log_size(world.log), 0);
    spool_world_stop(&world);
}

/* ---- sealed ---- */

static void sealed_items_go_alone_and_hold_their_case(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    spool_world_start(&world);
    spool_world_close(&world);
    world.sealed_delay_max_ms = 60;
    spool_world_open(&world);
    fake_log_set_delay(world.log, 20);
    for (uint64_t i = 0; i < 12; i++) {
        bool is_sealed = i % 3 == 1;
        assert_int_equal(spool_world_try(&world, "a", i, "", is_sealed, NULL, &err), E_OK);
        assert_int_equal(spool_world_try(&world, "b", i, "", !is_sealed, NULL, &err), E_OK);
    }
    spool_world_flush(&world);
    struct fake_log_counts counts = fake_log_counts(world.log);
    assert_int_equal(fake_log_size(world.log), 24);
    assert_int_equal(counts.overlaps, 0);
    assert_int_equal(counts.disorders, 0);
    assert_int_equal(counts.mixed, 0);
    assert_int_equal(counts.certificates, 12);
    spool_world_stop(&world);
}

static void sealed_items_are_still_sealed_when_the_spool_is_opened_again(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_UNAVAILABLE);
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(spool_world_try(&world, "a", i, "", i == 1, NULL, &err), E_OK);
        assert_int_equal(spool_world_try(&world, "b", i, "", i != 1, NULL, &err), E_OK);
    }
    spool_world_close(&world);
    fake_log_set_fault(world.log, FAKE_LOG_HONEST);
    spool_world_open(&world);
    spool_world_flush(&world);
    struct fake_log_counts counts = fake_log_counts(world.log);
    assert_int_equal(fake_log_size(world.log), 8);
    assert_int_equal(counts.mixed, 0);
    assert_int_equal(counts.disorders, 0);
    assert_true(counts.certificates >= 4); /* one may have been refused before */
    spool_world_stop(&world);
}

static void put_and_await(struct spool_world *world, const char *name, uint64_t number)
{
    struct err err;
    uint64_t ticket = spool_world_put(world, name, number, "");
    if (spool_await(world->spool, ticket, SPOOL_WORLD_TIMEOUT_MS, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
}

/* The sealed one is proved and forgotten, and the spool was closed since: what follows it in its case still waits its
 * random time, here weeks, and so it does when it has waited over another close. */
static void what_follows_a_sealed_item_waits_however_late_it_comes(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    spool_world_start(&world);
    assert_int_equal(spool_world_try(&world, "a", 0, "", true, NULL, &err), E_OK);
    spool_world_put(&world, "b", 0, "");
    spool_world_flush(&world);
    spool_world_close(&world);
    world.sealed_delay_max_ms = UINT32_MAX;
    spool_world_open(&world);
    spool_world_put(&world, "a", 1, ""); /* it stays, and those of others pass it */
    put_and_await(&world, "b", 1);
    assert_int_equal(fake_log_size(world.log), 3);
    spool_world_close(&world);
    spool_world_open(&world);
    put_and_await(&world, "b", 2);
    assert_int_equal(fake_log_size(world.log), 4);
    assert_int_equal(spool_world_status(&world).waiting, 1);
    spool_world_close(&world);
    world.sealed_delay_max_ms = 0;
    spool_world_open(&world);
    spool_world_flush(&world);
    spool_world_close(&world);
    /* One step is enough: the next one is not behind a sealed one. */
    world.sealed_delay_max_ms = UINT32_MAX;
    spool_world_open(&world);
    spool_world_put(&world, "a", 2, "");
    spool_world_flush(&world);
    assert_int_equal(fake_log_counts(world.log).disorders, 0);
    spool_world_stop(&world);
}

static void words_about_a_sealed_item_name_nothing(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_REFUSES_AT);
    assert_int_equal(spool_world_try(&world, "a", 0, " bad", true, NULL, &err), E_OK);
    spool_world_flush(&world);
    SPOOL_WORLD_UNTIL(world.refused == 1);
    assert_null(strstr(world.refusal, "kind"));
    assert_null(strstr(spool_world_status(&world).reason, "kind"));
    spool_world_stop(&world);
}

/* ---- the disk ---- */

static void what_is_accepted_is_synced(void **state)
{
    (void)state;
    struct spool_world world;
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_UNAVAILABLE);
    for (uint64_t i = 0; i < 5; i++) {
        unsigned before = syncs;
        spool_world_put(&world, "a", i, "");
        assert_true(syncs > before);
    }
    spool_world_stop(&world);
}

static void a_full_disk_is_said_and_passes(void **state)
{
    (void)state;
    struct spool_world world;
    struct err err;
    struct rlimit was, small;
    uint64_t number = 0;
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_UNAVAILABLE);
    spool_world_put(&world, "a", number++, "");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = was;
    small.rlim_cur = 16 * 1024;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum err_code rc = E_OK;
    for (unsigned i = 0; i < 1000 && rc == E_OK; i++) {
        rc =
            spool_world_try(&world, "a", number,
                            "  with some more text behind it, so that it fills", false, NULL, &err);
        number += rc == E_OK;
    }
    assert_int_equal(rc, E_IO);
    assert_non_null(strstr(err.msg, "not accepted"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    SPOOL_WORLD_UNTIL(spool_world_try(&world, "a", number, "", false, NULL, &err) == E_OK);
    fake_log_set_fault(world.log, FAKE_LOG_HONEST);
    spool_world_flush(&world);
    assert_int_equal(fake_log_size(world.log), number + 1);
    assert_int_equal(fake_log_counts(world.log).disorders, 0);
    spool_world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_goes_when_its_receipt_verifies),
        cmocka_unit_test(numbers_are_given_once_and_in_order),
        cmocka_unit_test(a_batch_is_accepted_whole_or_not_at_all),
        cmocka_unit_test(order_within_a_case_is_kept),
        cmocka_unit_test(lost_answers_double_nothing),
        cmocka_unit_test(what_waits_survives_a_close),
        cmocka_unit_test(one_process_has_a_spool),
        cmocka_unit_test(a_spool_is_of_one_origin),
        cmocka_unit_test(a_directory_that_others_can_enter_shows_them_nothing),
        cmocka_unit_test(a_full_spool_says_busy),
        cmocka_unit_test(a_refusal_with_a_position_stops_its_case_only),
        cmocka_unit_test(a_refusal_without_a_position_is_narrowed_down),
        cmocka_unit_test(one_bad_item_among_thousands_is_found),
        cmocka_unit_test(a_refused_item_can_be_given_up),
        cmocka_unit_test(a_denied_channel_holds_nothing),
        cmocka_unit_test(a_tag_that_another_record_has_stops_the_spool_for_good),
        cmocka_unit_test(sealed_items_go_alone_and_hold_their_case),
        cmocka_unit_test(sealed_items_are_still_sealed_when_the_spool_is_opened_again),
        cmocka_unit_test(what_follows_a_sealed_item_waits_however_late_it_comes),
        cmocka_unit_test(words_about_a_sealed_item_name_nothing),
        cmocka_unit_test(what_is_accepted_is_synced),
        cmocka_unit_test(a_full_disk_is_said_and_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
