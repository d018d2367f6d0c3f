/* The notes that receipts are made from. test_kept_notes.c has the trees themselves. */
#include "logd/published.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct published *published;

static int set_up(void **state)
{
    (void)state;
    published = published_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    published_free(published);
    return 0;
}

static struct published_tree *make_tree(uint64_t size, struct http_body *note)
{
    struct checkpoint checkpoint = { .origin = "log.example/test", .size = size };
    struct edge edge;
    edge_init(&edge);
    buf_put_str(&edge.bundle, "entries");
    struct published_tree *tree = published_tree_new(&checkpoint, note, &edge);
    edge_clear(&edge);
    return tree;
}

static void add(uint64_t size, size_t cosignatures)
{
    char text[64];
    snprintf(text, sizeof text, "%llu by %zu", (unsigned long long)size, cosignatures);
    struct http_body *note = http_body_new(span_of_str(text));
    struct published_tree *tree = make_tree(size, note);
    published_add_witnessed(published, tree, note, cosignatures);
    published_tree_release(tree);
    http_body_release(note);
}

/* The note that a receipt for the entry gets while `size` is published, as SIZE by COUNT. */
static void assert_best(uint64_t size, uint64_t index, const char *expected)
{
    struct http_body *served = http_body_new(span_of_str("served"));
    struct published_tree *tree = make_tree(size, served);
    struct published_tree *best = published_best(published, tree, index);
    assert_true(span_is_str(http_body_span(best->note), expected));
    assert_true(best == tree || best->edge.bundle.len == 0);
    published_tree_release(best);
    published_tree_release(tree);
    http_body_release(served);
}

static void published_best_has_the_most_cosignatures_and_is_the_earliest_of_such(void **state)
{
    (void)state;
    assert_best(5, 2, "served");
    add(5, 2);
    add(8, 3);
    add(6, 2);
    add(9, 3);
    add(10, 2);
    assert_best(10, 2, "8 by 3");
    assert_best(10, 7, "8 by 3");
    assert_best(10, 8, "9 by 3");
    assert_best(10, 9, "10 by 2");
    assert_best(7, 2, "5 by 2"); /* nothing above what is published */
    assert_best(7, 5, "6 by 2");
    assert_best(11, 10, "served");
    add(6, 4); /* a late one */
    assert_best(10, 2, "6 by 4");
    assert_best(10, 6, "8 by 3");
}

static void published_keeps_the_best_of_many(void **state)
{
    (void)state;
    for (uint64_t size = 1; size <= 1000; size++) {
        add(size, size == 300 ? 5 : size == 400 ? 4 : 2);
    }
    assert_best(1000, 0, "300 by 5");
    assert_best(1000, 299, "300 by 5");
    assert_best(1000, 300, "400 by 4");
    assert_best(1000, 500, "987 by 2"); /* of equal ones the last few */
    assert_best(1000, 999, "1000 by 2");
    for (uint64_t size = 2000; size < 3000; size++) {
        add(size, 3000 - (size_t)size); /* each worse than the one before */
    }
    assert_best(3000, 0, "2984 by 16");
    assert_best(3000, 2999, "served");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            published_best_has_the_most_cosignatures_and_is_the_earliest_of_such, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(published_keeps_the_best_of_many, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
