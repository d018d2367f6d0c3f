/* A folder as a vantage: what is read, what is passed over, and what is read only once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/files.h"
#include "tests/support/vantage_world.h"
#include "tlog/receipt.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    POLL_MS = 20
};

struct fixture {
    struct vantage_world world;
    char *dir;
    char text[256];
    struct vantage *vantage;
};

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    world_open(&f->world);
    f->dir = files_make_temp_dir();
    snprintf(f->text, sizeof f->text, "file:%s", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->vantage != NULL) {
        vantage_stop(f->vantage);
    }
    world_close(&f->world);
    files_remove_tree(f->dir);
    mem_free(f);
    return 0;
}

static void start(struct fixture *f)
{
    f->vantage = world_start(&f->world, f->text, POLL_MS);
}

static void write_file(struct fixture *f, const char *name, struct span bytes)
{
    char *path = files_join(f->dir, name);
    files_write(path, bytes);
    free(path);
}

static void write_note(struct fixture *f, const char *name, size_t log, uint64_t size)
{
    struct buf note = BUF_INIT(4096);
    world_put_note(&note, &f->world, log, size);
    write_file(f, name, buf_span(&note));
    buf_clear(&note);
}

/* As long as this many polls take, at least. */
static void let_polls_pass(struct fixture *f, unsigned count)
{
    (void)f;
    usleep(count * 3 * POLL_MS * 1000);
}

static void notes_and_receipts_of_any_log_are_handed_over(void **state)
{
    struct fixture *f = *state;
    struct buf note = BUF_INIT(4096), receipt = BUF_INIT(8192);
    struct proof proof = { .count = 0 };
    world_put_note(&note, &f->world, 1, 1);
    receipt_put(&receipt, 0, &proof, buf_span(&note));
    write_note(f, "a note", 0, 4);
    write_file(f, "b.tlog-proof", buf_span(&receipt));
    start(f);
    WAIT_FOR(f->world.memories[0].calls == 1 && f->world.memories[1].calls == 1);
    WAIT_FOR(world_status(f->vantage).last_answer_s > 0);
    assert_int_equal(f->world.memories[0].last_size, 4);
    assert_string_equal(f->world.memories[0].vantage, f->text);
    struct vantage_status status = world_status(f->vantage);
    assert_int_equal(status.notes, 2);
    assert_int_equal(status.unusable, 0);
    assert_string_equal(status.last_error, "");
    assert_string_equal(status.text, f->text);
    buf_clear(&note);
    buf_clear(&receipt);
}

static void a_file_is_handed_over_once_until_it_changes(void **state)
{
    struct fixture *f = *state;
    f->world.memories[0].result = COMPARE_AHEAD; /* is remembered by others than us */
    write_note(f, "note", 0, 4);
    start(f);
    WAIT_FOR(f->world.memories[0].calls == 1);
    let_polls_pass(f, 5);
    assert_int_equal(f->world.memories[0].calls, 1);
    write_note(f, "note", 0, 5); /* of the same length */
    WAIT_FOR(f->world.memories[0].calls == 2);
    assert_int_equal(f->world.memories[0].last_size, 5);
    let_polls_pass(f, 5);
    assert_int_equal(f->world.memories[0].calls, 2);
}

static void a_file_that_vanished_and_came_back_is_read_again(void **state)
{
    struct fixture *f = *state;
    f->world.memories[0].result = COMPARE_AHEAD;
    char *path = files_join(f->dir, "note");
    write_note(f, "note", 0, 4);
    write_note(f, "other", 1, 4);
    start(f);
    WAIT_FOR(f->world.memories[0].calls == 1);
    assert_int_equal(unlink(path), 0);
    let_polls_pass(f, 5);
    write_note(f, "note", 0, 4);
    WAIT_FOR(f->world.memories[0].calls == 2);
    assert_int_equal(f->world.memories[1].calls, 1);
    free(path);
}

static void what_is_no_regular_readable_file_is_passed_over(void **state)
{
    struct fixture *f = *state;
    char *link_path = files_join(f->dir, "link"), *fifo = files_join(f->dir, "fifo");
    char *folder = files_join(f->dir, "folder"), *secret = files_join(f->dir, "secret");
    char *outside = files_make_temp_dir();
    char *target = files_join(outside, "note");
    struct buf note = BUF_INIT(4096);
    world_put_note(&note, &f->world, 0, 7);
    files_write(target, buf_span(&note));
    assert_int_equal(symlink(target, link_path), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    write_note(f, "secret", 0, 6);
    assert_int_equal(chmod(secret, 0), 0);
    write_note(f, ".hidden", 0, 5);
    write_note(f, "z", 1, 4);
    start(f);
    WAIT_FOR(f->world.memories[1].calls == 1);
    let_polls_pass(f, 5);
    bool may_read_all = geteuid() == 0;
    assert_int_equal(f->world.memories[0].calls, may_read_all ? 1 : 0);
    assert_true(!may_read_all || f->world.memories[0].last_size == 6);
    assert_int_equal(world_status(f->vantage).unusable, may_read_all ? 3 : 4);
    files_remove_tree(outside);
    buf_clear(&note);
    free(target);
    free(link_path);
    free(fifo);
    free(folder);
    free(secret);
}

static void too_large_and_meaningless_files_are_counted_once(void **state)
{
    struct fixture *f = *state;
    char *large = files_join(f->dir, "large");
    write_file(f, "large", span_of_str("x"));
    assert_int_equal(truncate(large, (off_t)1 << 40), 0);
    write_file(f, "empty", span_of(NULL, 0));
    write_file(f, "noise", span_of_str("courtroll evidence v1\nfork\nnote 99999999\n"));
    write_note(f, "z", 2, 4);
    start(f);
    WAIT_FOR(f->world.memories[2].calls == 1);
    let_polls_pass(f, 5);
    assert_int_equal(world_status(f->vantage).unusable, 3);
    assert_int_equal(world_status(f->vantage).notes, 1);
    free(large);
}

static void notes_under_other_keys_or_of_other_logs_prove_nothing(void **state)
{
    struct fixture *f = *state;
    struct tree_log forger = tree_log_make("log0.example", "another secret");
    struct tree_log stranger = tree_log_make("stranger.example", "a secret");
    struct hash root = tree_log_root(&f->world.logs[0], 4);
    struct buf note = BUF_INIT(4096);
    tree_log_put_note(&note, &forger, 4, &root);
    write_file(f, "forged", buf_span(&note));
    buf_reset(&note);
    tree_log_put_note(&note, &stranger, 4, &root);
    write_file(f, "strange", buf_span(&note));
    start(f);
    WAIT_FOR(world_status(f->vantage).unusable == 2);
    let_polls_pass(f, 3);
    assert_int_equal(world_status(f->vantage).unusable, 2);
    assert_int_equal(world_status(f->vantage).notes, 0);
    assert_int_equal(world_status(f->vantage).contradictions, 0);
    assert_int_equal(f->world.memories[0].strange, 1);
    signer_clear(&forger.signer);
    signer_clear(&stranger.signer);
    buf_clear(&note);
}

static void a_promise_is_read_again_when_the_tree_has_grown(void **state)
{
    struct fixture *f = *state;
    struct buf promise = BUF_INIT(PROMISE_NOTE_MAX);
    world_put_promise(&promise, &f->world, 1);
    write_file(f, "promise", buf_span(&promise));
    f->world.memories[1].open = 1;
    start(f);
    WAIT_FOR(f->world.memories[1].promises == 1);
    let_polls_pass(f, 5);
    assert_int_equal(f->world.memories[1].promises, 1);
    world_hold(&f->world, 1, 5);
    WAIT_FOR(f->world.memories[1].promises == 2);
    f->world.memories[1].open = 0;
    world_hold(&f->world, 1, 6);
    WAIT_FOR(f->world.memories[1].promises == 3);
    world_hold(&f->world, 1, 7); /* it was judged */
    let_polls_pass(f, 5);
    assert_int_equal(f->world.memories[1].promises, 3);
    buf_clear(&promise);
}

static void a_note_that_the_store_did_not_take_is_tried_again(void **state)
{
    struct fixture *f = *state;
    f->world.memories[0].failure = E_IO;
    write_note(f, "note", 0, 4);
    start(f);
    WAIT_FOR(f->world.memories[0].calls >= 3);
    f->world.memories[0].failure = E_OK;
    let_polls_pass(f, 3);
    int calls = f->world.memories[0].calls;
    let_polls_pass(f, 3);
    assert_int_equal(f->world.memories[0].calls, calls);
}

static void a_contradiction_is_counted(void **state)
{
    struct fixture *f = *state;
    f->world.memories[0].result = COMPARE_CONTRADICTION;
    write_note(f, "a", 0, 4);
    write_note(f, "b", 0, 4); /* the same */
    write_note(f, "c", 0, 5);
    start(f);
    WAIT_FOR(f->world.memories[0].calls == 3);
    WAIT_FOR(world_status(f->vantage).contradictions == 2);
    let_polls_pass(f, 3);
    assert_int_equal(world_status(f->vantage).contradictions, 2);
}

static void a_folder_that_is_not_there_is_told_and_waited_for(void **state)
{
    struct fixture *f = *state;
    char *later = files_join(f->dir, "later");
    char *path = files_join(f->dir, "later/note");
    struct buf note = BUF_INIT(4096);
    snprintf(f->text, sizeof f->text, "file:%s", later);
    start(f);
    WAIT_FOR(world_status(f->vantage).failures >= 2);
    struct vantage_status status = world_status(f->vantage);
    assert_int_equal(status.last_answer_s, 0);
    assert_non_null(strstr(status.last_error, "later"));
    assert_int_equal(mkdir(later, 0700), 0);
    world_put_note(&note, &f->world, 0, 4);
    files_write(path, buf_span(&note));
    WAIT_FOR(f->world.memories[0].calls == 1);
    WAIT_FOR(world_status(f->vantage).last_error[0] == '\0');
    free(later);
    free(path);
    buf_clear(&note);
}

static void a_folder_with_too_many_files_is_read_in_order_and_told(void **state)
{
    struct fixture *f = *state;
    char name[32];
    for (int i = 0; i < VANTAGE_FILES_MAX + 5; i++) {
        snprintf(name, sizeof name, "m%05d", i);
        write_file(f, name, span_of(NULL, 0));
    }
    write_note(f, "a first one", 0, 4);
    write_note(f, "z last one", 1, 4);
    f->vantage = world_start(&f->world, f->text, 1000);
    WAIT_FOR(world_status(f->vantage).failures >= 1);
    struct vantage_status status = world_status(f->vantage);
    assert_int_equal(f->world.memories[0].calls, 1);
    assert_int_equal(f->world.memories[1].calls, 0);
    assert_non_null(strstr(status.last_error, "7 files"));
    assert_true(status.last_answer_s > 0);
    assert_int_equal(status.unusable, VANTAGE_FILES_MAX - 1);
}

static void it_stops_at_once(void **state)
{
    struct fixture *f = *state;
    time_t before = time(NULL);
    f->vantage = world_start(&f->world, f->text, 3600 * 1000);
    WAIT_FOR(world_status(f->vantage).last_answer_s > 0);
    vantage_stop(f->vantage);
    f->vantage = NULL;
    assert_true(time(NULL) - before < 5);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(notes_and_receipts_of_any_log_are_handed_over),
        CASE(a_file_is_handed_over_once_until_it_changes),
        CASE(a_file_that_vanished_and_came_back_is_read_again),
        CASE(what_is_no_regular_readable_file_is_passed_over),
        CASE(too_large_and_meaningless_files_are_counted_once),
        CASE(notes_under_other_keys_or_of_other_logs_prove_nothing),
        CASE(a_promise_is_read_again_when_the_tree_has_grown),
        CASE(a_note_that_the_store_did_not_take_is_tried_again),
        CASE(a_contradiction_is_counted),
        CASE(a_folder_that_is_not_there_is_told_and_waited_for),
        CASE(a_folder_with_too_many_files_is_read_in_order_and_told),
        CASE(it_stops_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
