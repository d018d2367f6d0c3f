#include "monitor/note_check.h"

#include "tests/support/compare_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
    NOW = COMPARE_WORLD_NOW
};

static struct compare_world *world;
static struct note_check_result result;
static struct note_memory_of_log memory;

static int set_up(void **state)
{
    (void)state;
    world = compare_world_new("group g 2 w0 w1 w2\nquorum g\n");
    memory = (struct note_memory_of_log){ 0 };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    compare_world_free(world);
    return 0;
}

/* -- helpers -- */

static void check(struct span note)
{
    memset(&result, 0xa5, sizeof result);
    note_check(&result, &world->options, &memory, note, NOW);
    for (size_t i = 0; i < result.count; i++) {
        for (const char *c = result.findings[i].summary; *c != 0; c++) {
            assert_true(*c >= 0x20 && *c < 0x7f);
        }
        for (const char *c = result.findings[i].subject; *c != 0; c++) {
            assert_true(*c >= 0x20 && *c < 0x7f);
        }
    }
}

static void check_times(uint64_t size, uint64_t t0, uint64_t t1, uint64_t t2)
{
    struct buf note =
        compare_world_note(world, world->honest, size, (const uint64_t[]){ t0, t1, t2 });
    check(buf_span(&note));
    buf_clear(&note);
}

static void take(void)
{
    assert_true(result.is_usable);
    note_memory_of_log_take(&memory, &result.verdict);
}

static bool has(enum finding_code code, const char *subject)
{
    for (size_t i = 0; i < result.count; i++) {
        if (result.findings[i].code == code && strcmp(result.findings[i].subject, subject) == 0) {
            return true;
        }
    }
    return false;
}

static void expect_only(enum finding_code code, const char *subject)
{
    assert_int_equal(result.count, 1);
    assert_true(has(code, subject));
}

/* Changes one base64 character of the line number `line` from the end (1 is the last). */
static void spoil_line(struct buf *note, size_t line)
{
    size_t at = note->len - 1;
    while (--line > 0) {
        do {
            at--;
        } while (note->data[at] != '\n');
    }
    note->data[at - 10] = note->data[at - 10] == 'A' ? 'B' : 'A';
}

/* -- notes that are fine -- */

static void an_honest_note_is_usable_and_nothing_is_wrong(void **state)
{
    (void)state;
    check_times(10, NOW - 5, NOW, NOW + 5);
    assert_int_equal(result.count, 0);
    assert_true(result.is_usable);
    assert_true(result.verdict.is_met);
    assert_int_equal(result.verdict.checkpoint.size, 10);
    assert_int_equal(result.verdict.timestamps[1], NOW);
    assert_ptr_equal(result.verdict.log, world->options.log);
}

static void the_verdict_is_that_of_the_policy(void **state)
{
    (void)state;
    for (unsigned set = 0; set < 8; set++) {
        const uint64_t times[] = { set & 1 ? NOW : 0, set & 2 ? NOW : 0, set & 4 ? NOW : 0 };
        struct buf note = compare_world_note(world, world->honest, 7, times);
        struct policy_verdict verdict;
        struct err err;
        assert_int_equal(policy_open_checkpoint(world->policy, &verdict, buf_span(&note), &err),
                         E_OK);
        check(buf_span(&note));
        assert_ptr_equal(result.verdict.log, verdict.log);
        assert_int_equal(result.verdict.is_met, verdict.is_met);
        assert_int_equal(result.verdict.bad_signatures, verdict.bad_signatures);
        assert_true(checkpoint_is_equal(&result.verdict.checkpoint, &verdict.checkpoint));
        assert_memory_equal(&result.verdict.cosigned, &verdict.cosigned, sizeof verdict.cosigned);
        assert_memory_equal(result.verdict.timestamps, verdict.timestamps,
                            sizeof verdict.timestamps);
        buf_clear(&note);
    }
}

static void lines_of_strangers_are_nothing(void **state)
{
    (void)state;
    struct buf note =
        compare_world_note(world, world->honest, 10, (const uint64_t[]){ NOW, NOW, 0 });
    for (int i = 0; i < 97; i++) {
        buf_put_str(&note, "\xe2\x80\x94 stranger AAAAAAAAAAAA\n");
    }
    check(buf_span(&note));
    assert_int_equal(result.count, 0);
    assert_true(result.is_usable);
    buf_put_str(&note, "\xe2\x80\x94 stranger AAAAAAAAAAAA\n"); /* over a hundred */
    check(buf_span(&note));
    expect_only(FINDING_MALFORMED, "checkpoint");
    buf_clear(&note);
}

/* -- signatures -- */

static void a_bad_line_of_a_witness_is_told_and_the_others_count(void **state)
{
    (void)state;
    struct buf note =
        compare_world_note(world, world->honest, 10, (const uint64_t[]){ NOW, NOW, NOW });
    spoil_line(&note, 2); /* of w1 */
    check(buf_span(&note));
    expect_only(FINDING_BAD_SIGNATURE, "w1");
    assert_true(result.is_usable);
    assert_true(result.verdict.is_met);
    assert_false(result.verdict.cosigned.has[1]);
    buf_clear(&note);
}

static void a_bad_line_of_the_log_makes_the_note_useless(void **state)
{
    (void)state;
    struct buf note =
        compare_world_note(world, world->honest, 10, (const uint64_t[]){ NOW, NOW, NOW });
    spoil_line(&note, 4);
    spoil_line(&note, 1); /* and w2 */
    check(buf_span(&note));
    assert_false(result.is_usable);
    assert_int_equal(result.count, 2);
    assert_true(has(FINDING_BAD_SIGNATURE, ""));
    assert_true(has(FINDING_BAD_SIGNATURE, "w2"));
    buf_clear(&note);
}

static void a_note_under_another_key_of_that_name_is_not_the_logs(void **state)
{
    (void)state;
    struct signer forger = keys_signer(COMPARE_WORLD_ORIGIN, SIGNATURE_ED25519, "forger");
    struct buf note = compare_world_sign(world, world->forked, 30, &forger, NULL);
    check(buf_span(&note));
    expect_only(FINDING_BAD_SIGNATURE, "");
    assert_false(result.is_usable);
    buf_clear(&note);
    signer_clear(&forger);
}

static void a_missing_quorum_is_told(void **state)
{
    (void)state;
    check_times(10, NOW, 0, 0);
    expect_only(FINDING_NO_QUORUM, "");
    assert_true(result.is_usable);
    assert_false(result.verdict.is_met);
    check_times(10, 0, NOW, NOW);
    assert_int_equal(result.count, 0);
}

static void no_quorum_is_asked_for_where_the_policy_asks_for_none(void **state)
{
    (void)state;
    compare_world_free(world);
    world = compare_world_new("quorum none\n");
    check_times(10, 0, 0, 0);
    assert_int_equal(result.count, 0);
}

/* -- times -- */

static void times_ahead_are_told_from_the_tolerance_on(void **state)
{
    (void)state;
    check_times(10, NOW + 60, NOW, NOW);
    assert_int_equal(result.count, 0);
    check_times(10, NOW, NOW + 61, NOW);
    expect_only(FINDING_FUTURE_COSIGNATURE, "w1");
    check_times(10, SIZE_VALUE_MAX, NOW, NOW);
    expect_only(FINDING_FUTURE_COSIGNATURE, "w0");
}

static void old_times_on_news_are_told(void **state)
{
    (void)state;
    check_times(10, NOW - 601, NOW, NOW); /* nobody knows when the first note was news */
    assert_int_equal(result.count, 0);
    take();
    check_times(10, NOW - 601, NOW, NOW); /* no news */
    assert_int_equal(result.count, 0);
    check_times(11, NOW - 600, NOW, NOW);
    assert_int_equal(result.count, 0);
    check_times(11, NOW, NOW, NOW - 601);
    expect_only(FINDING_STALE_COSIGNATURE, "w2");
    check_times(11, 1, NOW, NOW);
    expect_only(FINDING_STALE_COSIGNATURE, "w0");
    world->options.thresholds.stalled_after_s = 0;
    check_times(11, 1, NOW, NOW);
    assert_int_equal(result.count, 0);
}

/* What the log goes back to is old, and no news. */
static void old_times_are_news_above_the_largest_size_only(void **state)
{
    (void)state;
    check_times(12, NOW, NOW, NOW);
    take();
    check_times(8, NOW - 700, NOW - 700, 0);
    assert_int_equal(result.count, 0);
    take();
    assert_int_equal(memory.size, 8);
    assert_int_equal(memory.size_max, 12);
    check_times(9, NOW - 700, NOW - 700, 0);
    assert_int_equal(result.count, 0);
    check_times(13, NOW - 700, NOW, 0);
    expect_only(FINDING_STALE_COSIGNATURE, "w0");
}

static void times_that_go_back_on_one_tree_are_told(void **state)
{
    (void)state;
    check_times(10, NOW, NOW - 10, 0);
    take();
    check_times(10, NOW, NOW - 10, NOW - 20);
    assert_int_equal(result.count, 0);
    check_times(10, NOW, NOW - 11, 0);
    expect_only(FINDING_TIME_BACKWARDS, "w1");
    check_times(11, NOW - 5, NOW - 50, 0); /* another size is another matter */
    assert_int_equal(result.count, 0);
    check_times(10, NOW + 1, NOW - 10, 0);
    assert_int_equal(result.count, 0);
    struct buf note =
        compare_world_note(world, world->forked, 10, (const uint64_t[]){ NOW, NOW - 11, 0 });
    check(buf_span(&note)); /* the trees have not parted at 10 */
    expect_only(FINDING_TIME_BACKWARDS, "w1");
    buf_clear(&note);
}

static void a_clock_before_1970_breaks_nothing(void **state)
{
    (void)state;
    struct buf note = compare_world_note(world, world->honest, 10, (const uint64_t[]){ 5, 5, 0 });
    note_check(&result, &world->options, &memory, buf_span(&note), INT64_MIN);
    assert_true(result.is_usable);
    assert_int_equal(result.count, 0);
    note_check(&result, &world->options, &memory, buf_span(&note), INT64_MAX);
    assert_true(result.is_usable);
    buf_clear(&note);
}

/* -- what is no checkpoint -- */

static void rubbish_is_malformed(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "\n\n",
        "<html>404</html>",
        "log.example\n1\nAAAA\n",
        "log.example\n10\nAAAA\n\n\xe2\x80\x94 log.example AAAAAAAA\n",
        "log.example\n9223372036854775808\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"
        "\xe2\x80\x94 log.example AAAAAAAA\n",
        "log.example\n-1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"
        "\xe2\x80\x94 log.example AAAAAAAA\n",
        "\xff\xfe\x00",
        "\x1b[2Jlog.example\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        check(span_of_str(texts[i]));
        expect_only(FINDING_MALFORMED, "checkpoint");
        assert_false(result.is_usable);
    }
    check(span_of("log.example\n\0", 13));
    expect_only(FINDING_MALFORMED, "checkpoint");
}

static void a_note_of_another_log_is_malformed_and_named(void **state)
{
    (void)state;
    struct memory_log *other =
        memory_log_new(&(struct memory_log_options){ .seed = 5, .signer = &world->other_key });
    memory_log_grow(other, 5);
    struct buf note = compare_world_sign(world, other, 5, &world->other_key, NULL);
    check(buf_span(&note));
    expect_only(FINDING_MALFORMED, "checkpoint");
    assert_non_null(strstr(result.findings[0].summary, "other.example"));
    assert_false(result.is_usable);
    buf_clear(&note);
    memory_log_free(other);
}

/* Extension lines are allowed, and bounded: two such notes must fit into evidence. */
static void extension_lines_are_read_up_to_a_bound(void **state)
{
    (void)state;
    for (int is_long = 0; is_long < 2; is_long++) {
        struct buf text = BUF_INIT(64 * 1024), note = BUF_INIT(128 * 1024);
        memory_log_put_text(world->honest, 10, &text);
        while (text.len < (is_long ? 33u : 31u) * 1024) {
            buf_put_str(&text, "an extension line\n");
        }
        keys_put_signed(&note, buf_span(&text), &world->log_key, 0);
        keys_put_signature(&note, buf_span(&text), &world->witnesses[0], NOW);
        keys_put_signature(&note, buf_span(&text), &world->witnesses[1], NOW);
        check(buf_span(&note));
        assert_int_equal(result.is_usable, !is_long);
        assert_int_equal(result.count, is_long);
        buf_clear(&text);
        buf_clear(&note);
    }
}

/* Each byte of a note changed: it is never usable with another text, and nothing breaks. */
static void no_changed_byte_goes_unnoticed(void **state)
{
    (void)state;
    struct buf note =
        compare_world_note(world, world->honest, 10, (const uint64_t[]){ NOW, NOW, NOW });
    size_t text_len = span_find_last(buf_span(&note), span_of_str("\n\n"));
    for (size_t i = 0; i < note.len; i++) {
        uint8_t before = note.data[i];
        note.data[i] ^= 1;
        check(buf_span(&note));
        assert_true(i > text_len || !result.is_usable);
        assert_true(i > text_len || result.count > 0);
        note.data[i] = before;
    }
    for (size_t len = 0; len < note.len; len++) {
        check(span_of(note.data, len));
        assert_true(!result.is_usable || len > text_len);
    }
    buf_clear(&note);
}

/* 100 lines of known witnesses, each with a time that is wrong in two ways: what is found is bounded. */
static void findings_are_bounded(void **state)
{
    enum {
        MANY = 99
    };
    struct signer many[MANY];
    struct buf policy_text = BUF_INIT(64 * 1024), text = BUF_INIT(1024), note = BUF_INIT(64 * 1024);
    struct policy *policy;
    struct err err;
    (void)state;
    compare_world_put_line(&policy_text, "log ", &world->log_key);
    memory_log_put_text(world->honest, 10, &text);
    keys_put_signed(&note, buf_span(&text), &world->log_key, 0);
    for (int i = 0; i < MANY; i++) {
        char name[64], head[80];
        snprintf(name, sizeof name, "many%d.example", i);
        many[i] = keys_signer(name, SIGNATURE_COSIGNATURE, name);
        keys_put_signature(&note, buf_span(&text), &many[i], NOW + 1000);
        snprintf(head, sizeof head, "witness many%d ", i);
        compare_world_put_line(&policy_text, head, &many[i]);
    }
    buf_put_str(&policy_text, "quorum none\n");
    assert_int_equal(policy_parse(&policy, buf_span(&policy_text), &err), E_OK);
    world->options.policy = policy;
    world->options.log = policy_log_at(policy, 0);
    check(buf_span(&note));
    assert_int_equal(result.count, MANY);
    take();
    for (int i = 0; i < MANY; i++) {
        memory.timestamps[i]++;
    }
    check(buf_span(&note));
    assert_int_equal(result.count, NOTE_CHECK_FINDINGS_MAX);
    for (int i = 0; i < MANY; i++) {
        signer_clear(&many[i]);
    }
    policy_free(policy);
    buf_clear(&policy_text);
    buf_clear(&text);
    buf_clear(&note);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_honest_note_is_usable_and_nothing_is_wrong, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_verdict_is_that_of_the_policy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_of_strangers_are_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_line_of_a_witness_is_told_and_the_others_count,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_line_of_the_log_makes_the_note_useless, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_note_under_another_key_of_that_name_is_not_the_logs,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_quorum_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_quorum_is_asked_for_where_the_policy_asks_for_none,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(times_ahead_are_told_from_the_tolerance_on, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(old_times_on_news_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_times_are_news_above_the_largest_size_only, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(times_that_go_back_on_one_tree_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clock_before_1970_breaks_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rubbish_is_malformed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_note_of_another_log_is_malformed_and_named, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(extension_lines_are_read_up_to_a_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_changed_byte_goes_unnoticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(findings_are_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
