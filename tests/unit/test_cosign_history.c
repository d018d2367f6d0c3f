#include "cli/cosign_history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct checkpoint checkpoint_at(uint64_t size)
{
    struct checkpoint checkpoint = { .size = size, .root = sha256(span_of(&size, sizeof size)) };
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "log.example/1");
    return checkpoint;
}

static void add(struct cosign_history *history, uint64_t size)
{
    struct err err;
    struct checkpoint checkpoint = checkpoint_at(size);
    assert_int_equal(cosign_history_add(history, &checkpoint, &err), E_OK);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    struct cosign_history history = { .count = 0 };
    for (uint64_t size = 0; size < 100; size += 7) {
        struct cosign_history again;
        struct err err;
        struct buf bytes = BUF_INIT(COSIGN_HISTORY_BYTES_MAX);
        add(&history, size);
        cosign_history_put(&bytes, &history);
        assert_int_equal(cosign_history_parse(&again, buf_span(&bytes), &err), E_OK);
        assert_memory_equal(&again, &history, sizeof history);
        for (size_t len = 0; len < bytes.len; len++) {
            struct span cut = span_slice(buf_span(&bytes), 0, len);
            if (cosign_history_parse(&again, cut, &err) == E_OK) {
                assert_int_equal(cut.data[len - 1], '\n'); /* fewer sizes, all of them whole */
            }
        }
        buf_clear(&bytes);
    }
}

static void the_newest_are_kept_and_older_ones_at_growing_ages(void **state)
{
    (void)state;
    static const uint64_t steps[] = { 1, 1000, 1 << 20 };
    for (size_t at = 0; at < sizeof steps / sizeof steps[0]; at++) {
        struct cosign_history history = { .count = 0 };
        uint64_t newest = 0;
        for (uint64_t i = 1; i <= 2000; i++) {
            newest = i * steps[at];
            add(&history, newest);
            assert_true(i < COSIGN_HISTORY_MAX ? history.count == i
                                               : history.count == COSIGN_HISTORY_MAX);
            for (size_t j = 0; j < COSIGN_HISTORY_NEWEST && j < i; j++) {
                assert_int_equal(history.items[history.count - 1 - j].size, newest - j * steps[at]);
            }
            assert_int_equal(history.items[0].size, steps[at]);
            /* Whoever holds a size has one near it, for its age. */
            for (size_t j = 0; j + 1 < history.count; j++) {
                uint64_t gap = history.items[j + 1].size - history.items[j].size;
                assert_true(gap <= (newest - history.items[j].size) / 2 + steps[at]);
            }
        }
    }
}

static void one_size_is_added_once(void **state)
{
    (void)state;
    struct cosign_history history = { .count = 0 };
    add(&history, 5);
    add(&history, 5);
    assert_int_equal(history.count, 1);
}

static void a_log_that_goes_back_is_noticed(void **state)
{
    (void)state;
    struct cosign_history history = { .count = 0 };
    struct err err;
    add(&history, 5);
    add(&history, 9);
    struct checkpoint smaller = checkpoint_at(8);
    assert_int_equal(cosign_history_add(&history, &smaller, &err), E_BAD_PROOF);
    struct checkpoint other = checkpoint_at(9);
    other.root.bytes[31] ^= 1;
    assert_int_equal(cosign_history_add(&history, &other, &err), E_BAD_PROOF);
    struct checkpoint strange = checkpoint_at(10);
    strange.origin[0] = 'L';
    assert_int_equal(cosign_history_add(&history, &strange, &err), E_DENIED);
    assert_int_equal(history.count, 2);
}

static void files_of_another_form_are_refused(void **state)
{
    (void)state;
#define ROOT "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define HEAD "courtroll cosign-history v1\nlog.example/1\n"
    static const char *const bad[] = {
        "",
        "courtroll cosign-history v1\n",
        "courtroll cosign-history v2\nlog.example/1\n",
        "courtroll cosign-history v1\n\n",
        HEAD "5\n",
        HEAD "5 " ROOT,
        HEAD "05 " ROOT "\n",
        HEAD "-5 " ROOT "\n",
        HEAD "5  " ROOT "\n",
        HEAD "5 " ROOT " \n",
        HEAD "5 47DEQpj8\n",
        HEAD "5 " ROOT "\n5 " ROOT "\n",
        HEAD "5 " ROOT "\n4 " ROOT "\n",
        HEAD "5 " ROOT "\n\n",
        HEAD "9223372036854775808 " ROOT "\n",
    };
    struct cosign_history history;
    struct err err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(cosign_history_parse(&history, span_of_str(bad[i]), &err), E_MALFORMED);
    }
    assert_int_equal(cosign_history_parse(&history, span_of_str(HEAD "5 " ROOT "\n"), &err), E_OK);
    struct buf many = BUF_INIT(1 << 16);
    buf_put_str(&many, HEAD);
    for (int i = 0; i <= COSIGN_HISTORY_MAX; i++) {
        buf_putf(&many, "%d %s\n", i, ROOT);
    }
    assert_int_equal(cosign_history_parse(&history, buf_span(&many), &err), E_MALFORMED);
    buf_clear(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(the_newest_are_kept_and_older_ones_at_growing_ages),
        cmocka_unit_test(one_size_is_added_once),
        cmocka_unit_test(a_log_that_goes_back_is_noticed),
        cmocka_unit_test(files_of_another_form_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
