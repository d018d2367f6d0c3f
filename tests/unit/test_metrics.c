#include "base/metrics.h"

#include "tests/support/death.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct metrics *metrics; /* of the test that runs */
static struct buf text;

static int begin(void **state)
{
    (void)state;
    metrics = metrics_new();
    buf_init(&text, METRICS_TEXT_BYTES_MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    metrics_free(metrics);
    buf_clear(&text);
    return 0;
}

static const char *rendered(void)
{
    buf_reset(&text);
    metrics_put(&text, metrics);
    return buf_c_str(&text);
}

static void assert_starts_with(const char *expected)
{
    const char *all = rendered();
    if (strncmp(all, expected, strlen(expected)) != 0) {
        fail_msg("expected: %s\nis: %s", expected, all);
    }
}

static void metrics_counter_counts(void **state)
{
    (void)state;
    struct metrics_counter *counter = metrics_add_counter(metrics, "a_total", NULL, "What a is.");
    assert_starts_with("# HELP a_total What a is.\n# TYPE a_total counter\na_total 0\n");
    metrics_count(counter, 2);
    metrics_count(counter, 3);
    assert_starts_with("# HELP a_total What a is.\n# TYPE a_total counter\na_total 5\n");
    metrics_count_total(counter, UINT64_MAX);
    assert_true(metrics_counted(counter) == UINT64_MAX);
    assert_starts_with(
        "# HELP a_total What a is.\n# TYPE a_total counter\na_total 18446744073709551615\n");
}

static void metrics_gauge_goes_up_and_down(void **state)
{
    (void)state;
    struct metrics_gauge *gauge = metrics_add_gauge(metrics, "g", NULL, "G.");
    metrics_set(gauge, 5);
    metrics_change(gauge, -7);
    assert_int_equal(metrics_value(gauge), -2);
    assert_starts_with("# HELP g G.\n# TYPE g gauge\ng -2\n");
}

static void metrics_series_of_one_name_stand_together(void **state)
{
    (void)state;
    struct metrics_counter *ok = metrics_add_counter(metrics, "c_total", "code=\"OK\"", "C.");
    metrics_add_gauge(metrics, "g", NULL, "G.");
    struct metrics_counter *bad = metrics_add_counter(metrics, "c_total", "code=\"BAD\"", "C.");
    metrics_count(ok, 1);
    metrics_count(bad, 2);
    assert_starts_with("# HELP c_total C.\n# TYPE c_total counter\n"
                       "c_total{code=\"OK\"} 1\nc_total{code=\"BAD\"} 2\n"
                       "# HELP g G.\n# TYPE g gauge\ng 0\n");
}

static void metrics_histogram_is_cumulative_and_in_seconds(void **state)
{
    (void)state;
    static const uint64_t bounds[] = { 100, 1000, 2500000 };
    struct metrics_histogram *histogram =
        metrics_add_histogram(metrics, "h_seconds", "a=\"b\"", "H.", METRICS_MICROSECONDS, bounds,
                              3);
    metrics_observe(histogram, 0);
    metrics_observe(histogram, 100);
    metrics_observe(histogram, 101);
    metrics_observe(histogram, 2500000);
    metrics_observe(histogram, 2500001);
    assert_starts_with("# HELP h_seconds H.\n# TYPE h_seconds histogram\n"
                       "h_seconds_bucket{a=\"b\",le=\"0.000100\"} 2\n"
                       "h_seconds_bucket{a=\"b\",le=\"0.001000\"} 3\n"
                       "h_seconds_bucket{a=\"b\",le=\"2.500000\"} 4\n"
                       "h_seconds_bucket{a=\"b\",le=\"+Inf\"} 5\n"
                       "h_seconds_sum{a=\"b\"} 5.000202\n"
                       "h_seconds_count{a=\"b\"} 5\n");
}

static void metrics_plain_histogram_has_no_braces_without_labels(void **state)
{
    (void)state;
    static const uint64_t bounds[] = { 10 };
    struct metrics_histogram *histogram =
        metrics_add_histogram(metrics, "h_bytes", NULL, "H.", METRICS_PLAIN, bounds, 1);
    metrics_observe(histogram, 7);
    assert_starts_with("# HELP h_bytes H.\n# TYPE h_bytes histogram\n"
                       "h_bytes_bucket{le=\"10\"} 1\nh_bytes_bucket{le=\"+Inf\"} 1\n"
                       "h_bytes_sum 7\nh_bytes_count 1\n");
}

static void metrics_label_values_are_escaped(void **state)
{
    (void)state;
    struct buf labels = BUF_INIT(100);
    metrics_put_label(&labels, "a", span_of_str("x\"y\\z\nw"));
    metrics_put_label(&labels, "b", span_of_str(""));
    assert_string_equal(buf_c_str(&labels), "a=\"x\\\"y\\\\z\\nw\",b=\"\"");
    buf_clear(&labels);
}

enum {
    UPDATES = 20000
};

struct updates {
    struct metrics_counter *counter;
    struct metrics_gauge *gauge;
    struct metrics_histogram *histogram;
};

static void *update(void *memory)
{
    struct updates *updates = memory;
    for (uint64_t i = 0; i < UPDATES; i++) {
        metrics_count(updates->counter, 1);
        metrics_change(updates->gauge, i % 2 == 0 ? 3 : -2);
        metrics_observe(updates->histogram, i % 20);
    }
    return NULL;
}

static void metrics_updates_of_many_threads_all_count(void **state)
{
    (void)state;
    enum {
        THREADS = 4
    };
    static const uint64_t bounds[] = { 9 };
    struct updates updates = {
        metrics_add_counter(metrics, "c_total", NULL, "C."),
        metrics_add_gauge(metrics, "g", NULL, "G."),
        metrics_add_histogram(metrics, "h", NULL, "H.", METRICS_PLAIN, bounds, 1),
    };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, update, &updates), 0);
    }
    rendered(); /* meanwhile */
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(metrics_counted(updates.counter), THREADS * UPDATES);
    assert_int_equal(metrics_value(updates.gauge), THREADS * UPDATES / 2);
    const char *all = rendered();
    assert_non_null(strstr(all, "h_bucket{le=\"9\"} 40000\nh_bucket{le=\"+Inf\"} 80000\n"));
    assert_non_null(strstr(all, "h_sum 760000\n"));
}

/* Each line is a comment or a name, perhaps labels, and a number. */
static void metrics_text_has_a_number_on_every_line(void **state)
{
    (void)state;
    metrics_add_gauge(metrics, "g", "a=\"b c\"", "G.");
    rendered();
    struct span rest = buf_span(&text), line;
    size_t lines = 0;
    while (span_take_until(&rest, '\n', &line)) {
        lines++;
        if (line.data[0] == '#') {
            continue;
        }
        size_t blank = span_find_last(line, span_of_str(" "));
        assert_true(blank != SIZE_MAX && blank + 1 < line.len);
        for (size_t i = blank + 1; i < line.len; i++) {
            assert_true((line.data[i] >= '0' && line.data[i] <= '9') || line.data[i] == '.');
        }
    }
    assert_int_equal(rest.len, 0);
    assert_true(lines > 3);
}

static void metrics_process_numbers_are_those_of_the_kernel(void **state)
{
    (void)state;
    struct metrics_process before = metrics_process();
    assert_true(before.rss_anon_bytes > 100 * 1024);
    assert_true(before.open_fds >= 3);
    assert_true(before.open_fds <= before.max_fds);

    enum {
        HELD_BYTES = 32 * 1024 * 1024
    };
    int copy = dup(STDOUT_FILENO);
    volatile char *held = malloc(HELD_BYTES);
    for (size_t i = 0; i < HELD_BYTES; i += 512) {
        held[i] = (char)i;
    }
    struct metrics_process after = metrics_process();
    assert_int_equal(after.open_fds, before.open_fds + 1);
    assert_in_range(after.rss_anon_bytes - before.rss_anon_bytes, HELD_BYTES / 2, 4L * HELD_BYTES);
    assert_true(after.cpu_us > before.cpu_us);
    free((void *)held);
    close(copy);
    assert_non_null(strstr(rendered(), "process_resident_anon_bytes "));
    assert_non_null(strstr(rendered(), "process_cpu_seconds_total "));
}

static void register_twice(void)
{
    struct metrics *own = metrics_new();
    metrics_add_counter(own, "c_total", "a=\"b\"", "C.");
    metrics_add_counter(own, "c_total", "a=\"b\"", "C.");
}

static void register_as_another_kind(void)
{
    struct metrics *own = metrics_new();
    metrics_add_counter(own, "c_total", NULL, "C.");
    metrics_add_gauge(own, "c_total", "a=\"b\"", "C.");
}

static void metrics_registered_twice_are_a_bug(void **state)
{
    (void)state;
    assert_true(death_of(register_twice));
    assert_true(death_of(register_as_another_kind));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(metrics_counter_counts),
        TEST(metrics_gauge_goes_up_and_down),
        TEST(metrics_series_of_one_name_stand_together),
        TEST(metrics_histogram_is_cumulative_and_in_seconds),
        TEST(metrics_plain_histogram_has_no_braces_without_labels),
        TEST(metrics_label_values_are_escaped),
        TEST(metrics_updates_of_many_threads_all_count),
        TEST(metrics_text_has_a_number_on_every_line),
        TEST(metrics_process_numbers_are_those_of_the_kernel),
        TEST(metrics_registered_twice_are_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
