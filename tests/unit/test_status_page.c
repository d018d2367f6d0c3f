#include "base/alloc.h"
#include "base/ascii.h"
#include "monitor/page_text.h"
#include "monitor/status_page.h"
#include "tests/support/monitor_page_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    OPEN_TAGS_MAX = 64,
    IDS_MAX = 4096
};

#define MARKUP  "<script>alert(1)</script>\"><img/src=x&amp;&lt;'"
#define SNEAKY  "\x1b[2J\xe2\x80\xae\xff\xc0\x80</style>"
#define HOSTILE MARKUP SNEAKY

static struct monitor_page_world world;

/* -- is it well-formed? -- */

static bool is_void(struct span name)
{
    return span_is_str(name, "meta") || span_is_str(name, "!DOCTYPE");
}

struct checker {
    struct span open[OPEN_TAGS_MAX];
    size_t depth;
    struct span ids[IDS_MAX];
    size_t id_count;
};

static void note_id(struct checker *checker, struct span id)
{
    for (size_t i = 0; i < checker->id_count; i++) {
        if (span_is_equal(checker->ids[i], id)) {
            fail_msg("id %.*s twice", SPAN_PRINTF(id));
        }
    }
    assert_true(checker->id_count < IDS_MAX);
    checker->ids[checker->id_count++] = id;
}

/* ` name="value"` or ` name`, as we write them. */
static void check_attributes(struct checker *checker, struct span rest)
{
    while (rest.len > 0) {
        size_t equals = span_find(rest, span_of_str("=\""));
        struct span value;
        if (equals == SIZE_MAX) {
            assert_true(span_find(rest, span_of_str("\"")) == SIZE_MAX);
            assert_true(span_find(rest, span_of_str("=")) == SIZE_MAX);
            return;
        }
        struct span name = span_slice(rest, 0, equals);
        assert_true(name.len > 1 && name.data[0] == ' ');
        rest = span_slice(rest, equals + 2, rest.len - equals - 2);
        assert_true(span_take_until(&rest, '"', &value));
        assert_true(span_find(value, span_of_str("<")) == SIZE_MAX);
        assert_false(span_has_prefix(name, span_of_str(" on"))); /* no event handlers */
        if (span_is_str(name, " id")) {
            note_id(checker, value);
        }
        if (span_is_str(name, " href")) {
            assert_true(value.len > 0 && (value.data[0] == '/' || value.data[0] == '#'));
        }
    }
}

static void check_tag(struct checker *checker, struct span tag)
{
    size_t name_len = 0;
    while (name_len < tag.len && tag.data[name_len] != ' ' && tag.data[name_len] != '\n') {
        name_len++;
    }
    struct span name = span_slice(tag, 0, name_len);
    if (span_take_prefix(&name, span_of_str("/"))) {
        assert_true(checker->depth > 0);
        struct span last = checker->open[--checker->depth];
        if (!span_is_equal(last, name)) {
            fail_msg("</%.*s> closes <%.*s>", SPAN_PRINTF(name), SPAN_PRINTF(last));
        }
        return;
    }
    bool is_closed = tag.data[tag.len - 1] == '/';
    if (!span_is_str(name, "!DOCTYPE")) {
        check_attributes(checker,
                         span_slice(tag, name_len, tag.len - name_len - (is_closed ? 1 : 0)));
    }
    if (!is_closed && !is_void(name)) {
        assert_true(checker->depth < OPEN_TAGS_MAX);
        checker->open[checker->depth++] = name;
    }
}

static void check_entity(struct span rest)
{
    static const char *const known[] = { "&amp;", "&lt;", "&gt;", "&quot;" };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (span_has_prefix(rest, span_of_str(known[i]))) {
            return;
        }
    }
    fail_msg("a bare ampersand: %.20s", (const char *)rest.data);
}

static void assert_is_well_formed(struct span page)
{
    struct checker *checker = calloc(1, sizeof *checker);
    assert_true(utf8_is_valid(page));
    for (size_t i = 0; i < page.len; i++) {
        assert_true(page.data[i] >= ' ' || page.data[i] == '\n');
        if (page.data[i] == '&') {
            check_entity(span_slice(page, i, page.len - i));
        }
        assert_int_not_equal(page.data[i], 0x7f);
        if (page.data[i] == '<') {
            struct span rest = span_slice(page, i + 1, page.len - i - 1), tag;
            assert_true(span_take_until(&rest, '>', &tag));
            check_tag(checker, tag);
            i += tag.len + 1;
            if (span_is_str(tag, "style")) { /* ours from end to end; it has '>' of its own */
                i += span_find(rest, span_of_str("</style"));
            }
        } else {
            assert_int_not_equal(page.data[i], '>');
        }
    }
    assert_int_equal(checker->depth, 0);
    free(checker);
}

static bool has(struct buf *page, const char *text)
{
    return strstr(buf_c_str(page), text) != NULL;
}

static struct buf make_page(void)
{
    struct buf page;
    buf_init(&page, STATUS_PAGE_BYTES_MAX);
    monitor_page_put(&page, &world.parts, WORLD_NOW_S);
    return page;
}

/* -- fillings -- */

static void make_well(void *ctx, struct watched_status *status)
{
    (void)ctx;
    status->log_size = 1234567;
    status->held_size = 1234000;
    status->is_verified = true;
    status->verified_s = WORLD_NOW_S - 30;
    status->note_time_s = WORLD_NOW_S - 200;
    status->is_quorum_met = true;
    status->polls = 10;
    status->witness_seen_s[0] = WORLD_NOW_S - 7200;
}

static void make_scanning(void *ctx, struct watched_status *status)
{
    make_well(ctx, status);
    status->is_scanning = true;
    status->scan_at = 500;
    status->scan_to = UINT64_MAX;
    status->scan_rate = 61234.5;
    status->has_trusted_start = true;
    status->trusted_start = 999000;
    status->is_quorum_met = false;
    snprintf(status->last_error, sizeof status->last_error, "%s", HOSTILE);
}

static void fill_hostile(void)
{
    static const char *const sinks[] = { "webhook http://user:secret@x.example/" MARKUP,
                                         "command " MARKUP };
    char id[ALERT_ID_CHARS + 1], first[ALERT_ID_CHARS + 1] = "";
    struct err err;
    world_open(&world, "monitor<script>&\"", sinks, 2);
    size_t i = world_add_log(&world, "log.example/<script>&\"'", "<img&\">", 3);
    watched_log_update(world.logs[i], make_scanning, NULL);
    watched_log_add_sample(world.logs[i], WORLD_NOW_S - 100000, 5);
    watched_log_add_sample(world.logs[i], WORLD_NOW_S, INT64_MAX);
    world_add_vantage(&world, "http://" HOSTILE, HOSTILE);
    snprintf(world_couriers[0].last_error, sizeof world_couriers[0].last_error, "%s", HOSTILE);
    for (int code = 0; code < FINDING_COUNT; code++) {
        if (!finding_kind(code)->is_provable) {
            world_raise(&world, code, watched_log_origin(world.logs[i]), HOSTILE, HOSTILE, id);
            if (first[0] == 0) {
                memcpy(first, id, sizeof first);
            }
        }
    }
    assert_int_equal(alert_book_resolve(world.parts.alerts, first, MARKUP, WORLD_NOW_S - 60, &err),
                     E_OK);
    world_silent_ms = UINT64_MAX;
}

/* -- the tests -- */

static void strangers_words_are_text_and_nothing_else(void **state)
{
    (void)state;
    fill_hostile();
    struct buf page = make_page();
    assert_is_well_formed(buf_span(&page));
    assert_false(has(&page, "<script"));
    assert_false(has(&page, "<img"));
    assert_false(has(&page, "\xe2\x80\xae"));
    assert_true(
        has(&page, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&gt;&lt;img/src=x&amp;amp;"));
    assert_true(has(&page, "<h1>monitor&lt;script&gt;&amp;&quot;</h1>"));
    assert_true(has(&page, "&lt;img&amp;&quot;&gt;0</th>"));
    assert_true(has(&page, "Recently resolved alerts"));
    buf_clear(&page);
    world_close(&world);
}

static void secrets_of_sinks_are_not_shown(void **state)
{
    (void)state;
    fill_hostile();
    struct buf page = make_page();
    assert_false(has(&page, "secret"));
    assert_false(has(&page, "user:"));
    assert_true(has(&page, "1 webhook http://"));
    assert_true(has(&page, "2 command<"));
    buf_clear(&page);
    world_close(&world);
}

static void a_page_of_nothing_is_well_formed(void **state)
{
    (void)state;
    world_open(&world, "monitor.example", NULL, 0);
    world_add_log(&world, "log.example/new", "w", 0);
    struct buf page = make_page();
    assert_is_well_formed(buf_span(&page));
    assert_true(has(&page, "No alert is open: 0 of 1 log is verified."));
    assert_true(has(&page, "nothing yet"));
    assert_true(has(&page, "unnoticed"));
    assert_true(has(&page, "Nobody: alerts are on this page only."));
    assert_false(has(&page, "<svg"));
    buf_clear(&page);
    world_close(&world);
}

static void all_is_well_is_said_when_it_is(void **state)
{
    (void)state;
    char id[ALERT_ID_CHARS + 1];
    world_open(&world, "monitor.example", NULL, 0);
    world_add_log(&world, "log.example/a", "w", 3);
    watched_log_update(world.logs[0], make_well, NULL);
    struct buf page = make_page();
    assert_true(has(&page, "class=\"state good\"><strong>All is well: 1 of 1 log is verified."));
    assert_true(has(&page, "1,234,000 entries: each hashed here"));
    assert_true(has(&page, "<strong>met</strong>: "));
    assert_true(has(&page, ", 3 minutes ago")); /* the quorum's time */
    assert_true(has(&page, ", 2 hours ago"));   /* the first witness */
    assert_true(has(&page, ">w1</th><td>never</td>"));
    buf_clear(&page);
    world_raise(&world, FINDING_UNREACHABLE, "log.example/a", "", "no answer", id);
    page = make_page();
    assert_true(has(&page, "class=\"state warning\"><strong>1 warning is open"));
    buf_clear(&page);
    world_raise(&world, FINDING_STALLED, "log.example/a", "", "nothing new", id);
    page = make_page();
    assert_true(has(&page, "class=\"state critical\"><strong>1 critical alert is open"));
    assert_is_well_formed(buf_span(&page));
    const char *text = buf_c_str(&page);
    assert_true(strstr(text, "Critical: stalled") < strstr(text, "Warning: unreachable"));
    assert_true(has(&page, finding_kind(FINDING_STALLED)->runbook));
    assert_true(has(&page, "href=\"/evidence/"));
    char command[128];
    snprintf(command, sizeof command,
             "courtroll monitor ack --monitor unix:DATA-DIR/control.sock %s", id);
    assert_true(has(&page, command));
    buf_clear(&page);
    world_close(&world);
}

static void what_was_not_looked_at_is_said(void **state)
{
    (void)state;
    world_open(&world, "monitor.example", NULL, 0);
    world_add_log(&world, "log.example/a", "w", 1);
    watched_log_update(world.logs[0], make_scanning, NULL);
    struct buf page = make_page();
    assert_true(has(&page, "entries below 999,000"));
    assert_true(has(&page, "class=\"bad\">not met</strong>"));
    assert_true(has(&page, "<progress max=\"18446744073709551616\" value=\"500\""));
    assert_true(has(&page, "61,234 a second"));
    buf_clear(&page);
    world_close(&world);
}

static void a_monitor_that_is_not_well_says_so(void **state)
{
    (void)state;
    world_open(&world, "monitor.example", NULL, 0);
    world_add_log(&world, "log.example/a", "w", 1);
    watched_log_update(world.logs[0], make_well, NULL);
    world_silent_ms = 101 * 1000;
    struct buf page = make_page();
    assert_true(has(&page, "class=\"state warning\""));
    assert_true(has(&page, "the follower of log.example/a has made no progress for 101 s"));
    buf_clear(&page);
    world_silent_ms = 100 * 1000; /* ten polls */
    page = make_page();
    assert_true(has(&page, "All is well"));
    buf_clear(&page);
    world_close(&world);
}

/* As many logs, with as many witnesses, as there can be: the page ends within its bound. */
static void the_page_is_bounded(void **state)
{
    (void)state;
    char witness[200], name[64];
    memset(witness, '&', sizeof witness);
    witness[sizeof witness - 1] = 0;
    world_open(&world, "monitor.example", NULL, 0);
    for (size_t i = 0; i < 56; i++) {
        snprintf(name, sizeof name, "log.example/%zu", i);
        world_add_log(&world, name, witness, 250);
        watched_log_update(world.logs[i], make_scanning, NULL);
    }
    struct buf page = make_page();
    assert_is_well_formed(buf_span(&page));
    assert_true(has(&page, "for which this page has no room"));
    assert_true(has(&page, "</html>"));
    buf_clear(&page);
    world_close(&world);
}

static void the_chart_stays_in_its_frame(void **state)
{
    (void)state;
    struct history history;
    struct buf out = BUF_INIT(1 << 20);
    history_init(&history);
    monitor_page_put_chart(&out, &history, 1);
    history_add(&history, 1000, 0);
    monitor_page_put_chart(&out, &history, 1);
    assert_int_equal(out.len, 0); /* fewer than two samples are no line */
    history_add(&history, 2000, 0);
    history_add(&history, 4000, INT64_MAX);
    monitor_page_put_chart(&out, &history, 7);
    assert_is_well_formed(buf_span(&out));
    assert_true(has(&out, "points=\"4.0,156.0 214.7,156.0 636.0,4.0\""));
    assert_true(has(&out, "id=\"chart-7-title\">Size over time</title>"));
    assert_true(has(&out, "9,223,372,036,854,775,807 on <time"));
    assert_true(has(&out, "<caption>Size over time</caption>"));
    buf_clear(&out);
}

static void the_chart_takes_any_history(void **state)
{
    (void)state;
    struct history history;
    history_init(&history);
    for (int i = 0; i < 3 * HISTORY_MAX; i++) {
        history_add(&history, WORLD_NOW_S + i * 977, (uint64_t)(i % 7) * 1000);
        struct buf out = BUF_INIT(1 << 20);
        monitor_page_put_chart(&out, &history, 1);
        if (history.count >= 2 && i % 97 == 0) {
            assert_is_well_formed(buf_span(&out));
            assert_false(has(&out, "nan"));
            assert_false(has(&out, "inf"));
            assert_false(has(&out, "\"-"));
        }
        buf_clear(&out);
    }
}

static void assert_age(int64_t unix_s, const char *text)
{
    struct buf out = BUF_INIT(512);
    page_put_age(&out, unix_s, WORLD_NOW_S);
    const char *end = strstr(buf_c_str(&out), "</time>");
    assert_string_equal(end == NULL ? buf_c_str(&out) : end + strlen("</time>"), text);
    buf_clear(&out);
}

static void ages_are_in_words(void **state)
{
    (void)state;
    assert_age(0, "never");
    assert_age(WORLD_NOW_S, ", 0 seconds ago");
    assert_age(WORLD_NOW_S - 1, ", 1 second ago");
    assert_age(WORLD_NOW_S - 119, ", 119 seconds ago");
    assert_age(WORLD_NOW_S - 120, ", 2 minutes ago");
    assert_age(WORLD_NOW_S - 7200, ", 2 hours ago");
    assert_age(WORLD_NOW_S - 200000, ", 2 days ago");
    assert_age(WORLD_NOW_S + 61, ", in 61 seconds");
    assert_age(INT64_MAX, "second 9223372036854775807, in 106,751,991,146,583 days");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_words_are_text_and_nothing_else),
        cmocka_unit_test(secrets_of_sinks_are_not_shown),
        cmocka_unit_test(a_page_of_nothing_is_well_formed),
        cmocka_unit_test(all_is_well_is_said_when_it_is),
        cmocka_unit_test(what_was_not_looked_at_is_said),
        cmocka_unit_test(a_monitor_that_is_not_well_says_so),
        cmocka_unit_test(the_page_is_bounded),
        cmocka_unit_test(the_chart_stays_in_its_frame),
        cmocka_unit_test(the_chart_takes_any_history),
        cmocka_unit_test(ages_are_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
