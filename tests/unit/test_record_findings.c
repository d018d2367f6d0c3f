#include "monitor/record_findings.h"
#include "tests/support/compare_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct compare_world *world;
static struct record_store *store;
static struct record_findings *findings;
static struct err err;

static void open_findings(void)
{
    assert_int_equal(record_store_open(&store, world->log, &err), E_OK);
    assert_int_equal(record_findings_open(&findings, store, &err), E_OK);
}

static void close_findings(void)
{
    record_findings_free(findings);
    record_store_free(store);
}

static int set_up(void **state)
{
    (void)state;
    world = compare_world_new("group g 2 w0 w1 w2\nquorum g\n");
    open_findings();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_findings();
    compare_world_free(world);
    return 0;
}

static void write_waiting(void)
{
    struct kv_batch batch;
    kv_batch_init(&batch);
    record_findings_put(findings);
    record_store_put_waiting(store, &batch);
    assert_int_equal(state_store_write(world->options.store, &batch, &err), E_OK);
    record_store_on_written(store);
    kv_batch_clear(&batch);
}

static void restart(void)
{
    close_findings();
    open_findings();
}

static void what_is_written_is_there_after_a_restart(void **state)
{
    uint64_t first;
    (void)state;
    for (uint64_t i = 0; i < RECORD_FINDINGS_MAX + 7; i++) {
        record_findings_add(findings, FINDING_BAD_RECORD, i, 0, "number %d", (int)i);
    }
    record_findings_add(findings, FINDING_TAG_REPEATED, 900, 800, "twice");
    record_findings_add_over(findings, FINDING_SEALED_OVERDUE, 700);
    write_waiting();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(record_findings_count(findings), RECORD_FINDINGS_MAX + 2);
        assert_int_equal(record_findings_more(findings, FINDING_BAD_RECORD, &first), 7);
        assert_int_equal(first, RECORD_FINDINGS_MAX);
        assert_int_equal(record_findings_more(findings, FINDING_TAG_REPEATED, &first), 0);
        const struct record_finding *bad = record_findings_at(findings, 3);
        const struct record_finding *tag = record_findings_at(findings, RECORD_FINDINGS_MAX);
        const struct record_finding *over = record_findings_at(findings, RECORD_FINDINGS_MAX + 1);
        assert_true(bad->code == FINDING_BAD_RECORD && bad->index == 3 && !bad->is_over);
        assert_string_equal(bad->text, "number 3");
        assert_true(tag->code == FINDING_TAG_REPEATED && tag->index == 900 && tag->other == 800);
        assert_true(over->code == FINDING_SEALED_OVERDUE && over->is_over && over->index == 700);
        restart();
    }
    record_findings_add(findings, FINDING_BAD_RECORD, 999, 0, "one more");
    assert_int_equal(record_findings_more(findings, FINDING_BAD_RECORD, &first), 8);
}

static void what_was_told_is_gone(void **state)
{
    (void)state;
    record_findings_add(findings, FINDING_BAD_RECORD, 1, 0, "x");
    write_waiting();
    record_findings_reset(findings);
    assert_int_equal(record_findings_count(findings), 0);
    write_waiting();
    restart();
    assert_int_equal(record_findings_count(findings), 0);
}

static void findings_of_a_scan_that_led_nowhere_are_gone(void **state)
{
    (void)state;
    record_store_advance(store, 5);
    record_findings_add(findings, FINDING_BAD_RECORD, 1, 0, "x");
    write_waiting();
    assert_int_equal(record_store_restart(store, &err), E_OK);
    restart();
    assert_int_equal(record_findings_count(findings), 0);
}

static void a_value_that_is_not_ours_is_corrupt(void **state)
{
    (void)state;
    record_findings_add(findings, FINDING_BAD_RECORD, 1, 0, "x");
    record_findings_add(findings, FINDING_TAG_REPEATED, 2, 1, "text");
    record_findings_put(findings);
    struct buf value = BUF_INIT(RECORD_VALUE_BYTES_MAX);
    assert_int_equal(record_store_get(store, span_of_str("f"), &value, &err), E_OK);
    size_t whole = 0;
    for (size_t len = 0; len < value.len; len++) {
        struct record_findings *other = NULL;
        record_store_put(store, span_of_str("f"), span_of(value.data, len));
        enum err_code rc = record_findings_open(&other, store, &err);
        assert_true(rc == E_OK || rc == E_CORRUPT);
        whole += rc == E_OK ? 1 : 0;
        record_findings_free(rc == E_OK ? other : NULL);
    }
    assert_int_equal(whole, 2); /* without the second, and without both */
    buf_clear(&value);
}

static void longer_texts_are_cut(void **state)
{
    char text[2 * RECORD_TEXT_MAX];
    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    record_findings_add(findings, FINDING_BAD_RECORD, 1, 0, "%s", text);
    write_waiting();
    restart();
    assert_int_equal(strlen(record_findings_at(findings, 0)->text), RECORD_TEXT_MAX - 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_is_written_is_there_after_a_restart),
        CASE(what_was_told_is_gone),
        CASE(findings_of_a_scan_that_led_nowhere_are_gone),
        CASE(a_value_that_is_not_ours_is_corrupt),
        CASE(longer_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
