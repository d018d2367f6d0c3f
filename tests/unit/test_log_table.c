/* The logs that a witness knows: what each list may change, and looking up while some are added. */
#include "base/log.h"
#include "tests/support/keys.h"
#include "witness/log_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <assert.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MANY = 3000,
    READERS = 4,
    OWN_LIST = false,
    NETWORK_LIST = true
};

static const char own_name[] = "witness.example.org";

struct added {
    struct log_table *table;
    size_t count;
};

/* What is told is not to be found yet, and complete. */
static void on_added(void *ctx, struct known_log *log)
{
    struct added *added = ctx;
    struct hash hash = sha256(span_of_str(log->origin));
    assert_null(log_table_find_hash(added->table, &hash));
    assert_true(hash_is_equal(&hash, &log->origin_hash));
    assert_int_equal(log->key_count, 1);
    assert_int_equal(log->state.size, 0);
    log->state.size = 1000 + added->count++; /* as a start does, from the ledger */
}

static struct log_list_item item_of(const char *origin, const char *name, const char *secret)
{
    struct log_list_item item = { .url = NULL };
    struct signer signer = keys_signer(name, SIGNATURE_ED25519, secret);
    snprintf(item.origin, sizeof item.origin, "%s", origin);
    item.vkey = signer.vkey;
    signer_clear(&signer);
    return item;
}

static struct log_table_change add(struct log_table *table, struct log_list_item *items,
                                   size_t count, bool is_network)
{
    struct log_list list = { .count = count, .items = items };
    struct added added = { table, 0 };
    struct log_table_change change =
        log_table_add(table, &list, is_network, own_name, &added, on_added);
    assert_int_equal(change.added_logs, added.count);
    return change;
}

static struct known_log *find(const struct log_table *table, const char *origin)
{
    struct known_log *log = log_table_find(table, span_of_str(origin));
    if (log != NULL) {
        assert_string_equal(log->origin, origin);
    }
    return log;
}

static void log_table_finds_what_was_added_and_nothing_else(void **state)
{
    (void)state;
    struct log_table *table = log_table_new();
    assert_null(find(table, "a"));
    assert_int_equal(log_table_count(table), 0);
    struct log_list_item items[] = { item_of("a", "a", "1"), item_of("b c", "b", "2") };
    char url[] = "https://log.example.org/";
    items[1].url = url;
    items[1].requests_per_day = 86400;
    struct log_table_change change = add(table, items, 2, OWN_LIST);
    assert_int_equal(change.added_logs, 2);
    assert_int_equal(change.added_keys, 2);
    assert_int_equal(change.missing + change.refused, 0);
    assert_int_equal(log_table_count(table), 2);
    assert_ptr_equal(log_table_at(table, 0), find(table, "a"));
    assert_ptr_equal(log_table_at(table, 1), find(table, "b c"));
    assert_string_equal(find(table, "b c")->url, url);
    assert_int_equal(find(table, "b c")->requests_per_day, 86400);
    assert_int_equal(find(table, "a")->state.size, 1000);
    assert_null(find(table, "b"));
    assert_null(find(table, ""));
    assert_null(log_table_find(table, span_of("a\0", 2)));
    char longest[ORIGIN_BYTES_MAX + 2];
    memset(longest, 'a', sizeof longest);
    assert_null(log_table_find(table, SPAN_OF_ARRAY(longest)));
    log_table_free(table);
}

static void log_table_only_grows(void **state)
{
    (void)state;
    struct log_table *table = log_table_new();
    struct log_list_item items[] = { item_of("a", "a", "1"), item_of("b", "b", "2"),
                                     item_of("c", "c", "3") };
    add(table, items, 2, OWN_LIST);
    struct known_log *a = find(table, "a");
    struct log_table_change change = add(table, items + 1, 2, OWN_LIST);
    assert_int_equal(change.missing, 1);
    assert_int_equal(change.added_logs, 1);
    assert_ptr_equal(find(table, "a"), a);
    assert_int_equal(a->key_count, 1);
    assert_int_equal(add(table, NULL, 0, OWN_LIST).missing, 3);
    assert_int_equal(add(table, items, 3, OWN_LIST).missing, 0); /* back again, as they were */
    assert_int_equal(log_table_count(table), 3);
    assert_int_equal(a->state.size, 1000);
    log_table_free(table);
}

static void log_table_takes_further_keys_from_our_own_file_only(void **state)
{
    (void)state;
    struct log_table *table = log_table_new();
    struct log_list_item items[] = { item_of("a", "a", "1"), item_of("a", "a", "2"),
                                     item_of("a", "other", "3") };
    struct log_table_change change = add(table, items, 2, OWN_LIST);
    assert_int_equal(change.added_logs, 1);
    assert_int_equal(change.added_keys, 2);
    struct known_log *a = find(table, "a");
    assert_int_equal(a->key_count, 2);
    assert_int_equal(add(table, items, 2, OWN_LIST).added_keys, 0); /* again: nothing new */
    assert_int_equal(add(table, items + 2, 1, NETWORK_LIST).added_keys, 0);
    assert_int_equal(a->key_count, 2);
    assert_int_equal(add(table, items + 2, 1, OWN_LIST).missing, 2);
    assert_int_equal(a->key_count, 3);
    assert_true(vkey_is_equal(&a->keys[2], &items[2].vkey));
    log_table_free(table);
}

static void log_table_never_changes_a_known_log_by_a_network_list(void **state)
{
    (void)state;
    struct log_table *table = log_table_new();
    struct log_list_item ours = item_of("a", "a", "ours");
    struct log_list_item theirs[] = { item_of("a", "a", "theirs"), item_of("b", "b", "theirs") };
    theirs[0].requests_per_day = theirs[1].requests_per_day = 7;
    add(table, &ours, 1, OWN_LIST);
    struct log_table_change change = add(table, theirs, 2, NETWORK_LIST);
    assert_int_equal(change.added_logs, 1);
    assert_int_equal(change.missing, 0); /* of ours, which no network list need have */
    assert_int_equal(find(table, "a")->key_count, 1);
    assert_int_equal(find(table, "a")->requests_per_day, 0);
    assert_true(vkey_is_equal(&find(table, "a")->keys[0], &ours.vkey));
    assert_int_equal(find(table, "b")->requests_per_day, 7);
    assert_int_equal(add(table, &ours, 1, OWN_LIST).missing, 0); /* b is not ours to miss */
    log_table_free(table);
}

static void log_table_refuses_our_own_name_as_an_origin(void **state)
{
    (void)state;
    struct log_table *table = log_table_new();
    struct log_list_item item = item_of(own_name, "some.log", "1");
    assert_int_equal(add(table, &item, 1, OWN_LIST).refused, 1);
    assert_int_equal(add(table, &item, 1, NETWORK_LIST).refused, 1);
    assert_null(find(table, own_name));
    assert_int_equal(log_table_count(table), 0);
    log_table_free(table);
}

static void log_table_refuses_too_many_keys_and_two_that_look_alike(void **state)
{
    (void)state;
    struct log_table *table = log_table_new();
    struct log_list_item items[LOG_KEYS_MAX + 1];
    for (size_t i = 0; i <= LOG_KEYS_MAX; i++) {
        char secret[16];
        snprintf(secret, sizeof secret, "%zu", i);
        items[i] = item_of("a", "a", secret);
    }
    add(table, items, 2, OWN_LIST);
    struct log_list_item alike = items[1];
    alike.vkey.key.bytes[0] ^= 1; /* its ID stays */
    assert_int_equal(add(table, &alike, 1, OWN_LIST).refused, 1);
    assert_int_equal(find(table, "a")->key_count, 2);
    struct log_table_change change = add(table, items, LOG_KEYS_MAX + 1, OWN_LIST);
    assert_int_equal(change.added_keys, LOG_KEYS_MAX - 2);
    assert_int_equal(change.refused, 1);
    assert_int_equal(find(table, "a")->key_count, LOG_KEYS_MAX);
    log_table_free(table);
}

static void set_number(struct log_list_item *item, size_t i)
{
    snprintf(item->origin, sizeof item->origin, "log %zu", i);
}

static void log_table_takes_so_many_logs_of_network_lists_and_all_of_our_own(void **state)
{
    (void)state;
    struct log_table *table = log_table_new();
    size_t max = LOG_TABLE_NETWORK_MAX;
    struct log_list_item ours = item_of("ours", "ours", "1"), item = item_of("x", "x", "1");
    struct log_list_item *items = calloc(max + 2, sizeof *items);
    add(table, &ours, 1, OWN_LIST);
    for (size_t i = 0; i < max + 2; i++) {
        items[i] = item;
        set_number(&items[i], i);
    }
    struct log_table_change change = add(table, items, max + 2, NETWORK_LIST);
    assert_int_equal(change.added_logs, max);
    assert_int_equal(change.left_out, 2);
    assert_int_equal(change.refused, 0);
    assert_null(find(table, items[max].origin));
    assert_int_equal(add(table, items, max, NETWORK_LIST).left_out, 0); /* they are known */
    /* Our own have no bound; one that was the network's makes room for another of it. */
    struct log_list_item own[] = { ours, items[max + 1], items[7] };
    change = add(table, own, 3, OWN_LIST);
    assert_int_equal(change.added_logs, 1);
    assert_int_equal(change.left_out, 0);
    set_number(&item, max + 3);
    struct log_list_item more[] = { items[max], item };
    change = add(table, more, 2, NETWORK_LIST);
    assert_int_equal(change.added_logs, 1);
    assert_int_equal(change.left_out, 1);
    assert_non_null(find(table, items[max].origin));
    assert_null(find(table, item.origin));
    add(table, own, 3, OWN_LIST); /* again: that makes no more room */
    assert_int_equal(add(table, more, 2, NETWORK_LIST).left_out, 1);
    assert_int_equal(log_table_count(table), max + 3);
    free(items);
    log_table_free(table);
}

/* -- threads -- */

struct reading {
    struct log_table *table;
    atomic_size_t *known; /* so many of "log <i>" are in */
    size_t found;
};

static void *read_until_all(void *arg)
{
    struct reading *reading = arg;
    size_t known;
    do {
        known = atomic_load(reading->known);
        for (size_t i = 0; i <= known && i < MANY; i += 1 + known / 16) {
            char origin[32];
            snprintf(origin, sizeof origin, "log %zu", i);
            struct known_log *log = log_table_find(reading->table, span_of_str(origin));
            assert(log != NULL || i == known);
            assert(log == NULL || log->state.size >= 1000);
            reading->found += log != NULL;
        }
        assert(log_table_count(reading->table) >= known);
        assert(known == 0 || log_table_at(reading->table, known - 1) != NULL);
    } while (known < MANY);
    return NULL;
}

static void log_table_is_read_while_it_grows(void **state)
{
    (void)state;
    struct log_table *table = log_table_new();
    atomic_size_t known = 0;
    pthread_t threads[READERS];
    struct reading readings[READERS];
    for (size_t i = 0; i < READERS; i++) {
        readings[i] = (struct reading){ table, &known, 0 };
        pthread_create(&threads[i], NULL, read_until_all, &readings[i]);
    }
    struct log_list_item item = item_of("x", "x", "1");
    for (size_t i = 0; i < MANY; i++) {
        snprintf(item.origin, sizeof item.origin, "log %zu", i);
        add(table, &item, 1, NETWORK_LIST);
        atomic_store(&known, i + 1);
    }
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(readings[i].found > 0);
    }
    for (size_t i = 0; i < MANY; i++) {
        snprintf(item.origin, sizeof item.origin, "log %zu", i);
        assert_ptr_equal(find(table, item.origin), log_table_at(table, i));
    }
    log_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_table_finds_what_was_added_and_nothing_else),
        cmocka_unit_test(log_table_only_grows),
        cmocka_unit_test(log_table_takes_further_keys_from_our_own_file_only),
        cmocka_unit_test(log_table_never_changes_a_known_log_by_a_network_list),
        cmocka_unit_test(log_table_refuses_our_own_name_as_an_origin),
        cmocka_unit_test(log_table_refuses_too_many_keys_and_two_that_look_alike),
        cmocka_unit_test(log_table_takes_so_many_logs_of_network_lists_and_all_of_our_own),
        cmocka_unit_test(log_table_is_read_while_it_grows),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
