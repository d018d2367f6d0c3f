/* lib/store/index.c: what is found, what a batch does, damage, and rebuilding. */
#include "base/alloc.h"
#include "store/index.h"
#include "tests/support/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

enum {
    MANY = 40000 /* more than two batches */
};

struct fixture {
    char *parent; /* owned */
    char *dir;    /* owned */
    struct index *index;
    struct hash *leaves; /* owned; MANY of them */
    struct err err;
};

static void make_leaves(struct hash *leaves)
{
    for (uint64_t i = 0; i < MANY; i++) {
        leaves[i] = sha256(span_of(&i, sizeof i));
    }
}

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->parent = files_make_temp_dir();
    f->dir = files_join(f->parent, "index");
    f->leaves = mem_calloc(MANY, sizeof *f->leaves);
    make_leaves(f->leaves);
    assert_int_equal(index_open(&f->index, f->dir, false, &f->err), E_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    index_close(f->index);
    files_remove_tree(f->parent);
    free(f->dir);
    mem_free(f->leaves);
    mem_free(f);
    return 0;
}

static enum err_code reopen(struct fixture *f)
{
    index_close(f->index);
    f->index = NULL;
    return index_open(&f->index, f->dir, false, &f->err);
}

static void put(struct fixture *f, const struct hash *leaves, const bool *is_new, size_t count)
{
    uint64_t first = index_covered(f->index);
    assert_int_equal(index_put(f->index, first, leaves, NULL, is_new, count, &f->err), E_OK);
    assert_int_equal(index_covered(f->index), first + count);
}

static void assert_at(struct fixture *f, const struct hash *leaf, uint64_t expected)
{
    uint64_t found = UINT64_MAX;
    assert_int_equal(index_get(f->index, leaf, &found, &f->err), E_OK);
    assert_int_equal(found, expected);
}

static void assert_absent(struct fixture *f, const struct hash *leaf)
{
    uint64_t found = 77;
    assert_int_equal(index_get(f->index, leaf, &found, &f->err), E_NOT_FOUND);
    assert_int_equal(found, 77);
}

static void a_new_index_covers_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(index_covered(f->index), 0);
    assert_absent(f, &f->leaves[0]);
    assert_int_equal(reopen(f), E_OK);
    assert_int_equal(index_covered(f->index), 0);
}

static void what_was_put_is_found_after_reopening(void **state)
{
    struct fixture *f = *state;
    put(f, f->leaves, NULL, 300);
    put(f, f->leaves + 300, NULL, 0);
    put(f, f->leaves + 300, NULL, 1);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 301; i++) {
            assert_at(f, &f->leaves[i], i);
        }
        assert_absent(f, &f->leaves[301]);
        assert_int_equal(reopen(f), E_OK);
        assert_int_equal(index_covered(f->index), 301);
    }
}

static void the_first_index_of_equal_entries_stays(void **state)
{
    struct fixture *f = *state;
    const struct hash *l = f->leaves;
    const struct hash leaves[] = { l[0], l[1], l[0], l[1], l[2], l[0] };
    const bool is_new[] = { true, true, true, true, true, true };
    put(f, leaves, is_new, 6); /* nothing was there, and some come twice */
    assert_at(f, &l[0], 0);
    assert_at(f, &l[1], 1);
    assert_at(f, &l[2], 4);
    put(f, leaves, NULL, 6); /* they are there by now */
    const bool is_last_new[] = { false, false, true };
    put(f, l + 1, is_last_new, 3);
    assert_at(f, &l[0], 0);
    assert_at(f, &l[1], 1);
    assert_at(f, &l[2], 4);
    assert_at(f, &l[3], 14);
}

/* Whatever the caller looked up, it was before the call. */
static void equal_entries_of_one_large_put_keep_the_first_index(void **state)
{
    struct fixture *f = *state;
    bool *is_new = mem_calloc(MANY, sizeof *is_new);
    for (size_t i = 0; i < MANY; i++) {
        is_new[i] = true;
    }
    f->leaves[20000] = f->leaves[3];
    f->leaves[MANY - 1] = f->leaves[20001];
    put(f, f->leaves, is_new, MANY);
    assert_at(f, &f->leaves[3], 3);
    assert_at(f, &f->leaves[20001], 20001);
    assert_at(f, &f->leaves[MANY - 2], MANY - 2);
    mem_free(is_new);
}

/* Only 16 bytes are compared: the caller checks the rest. */
static void a_hit_is_a_hint(void **state)
{
    struct fixture *f = *state;
    put(f, f->leaves, NULL, 2);
    struct hash similar = f->leaves[1];
    similar.bytes[16] ^= 1;
    assert_at(f, &similar, 1);
    similar.bytes[15] ^= 1;
    assert_absent(f, &similar);
}

static void a_destroyed_index_is_rebuilt(void **state)
{
    struct fixture *f = *state;
    put(f, f->leaves, NULL, 1000);
    index_close(f->index);
    f->index = NULL;
    assert_int_equal(index_destroy(f->dir, &f->err), E_OK);
    assert_int_equal(index_destroy(f->dir, &f->err), E_OK); /* nothing there */
    assert_int_equal(index_open(&f->index, f->dir, false, &f->err), E_OK);
    assert_int_equal(index_covered(f->index), 0);
    assert_absent(f, &f->leaves[0]);
    put(f, f->leaves, NULL, MANY);
    assert_at(f, &f->leaves[999], 999);
    assert_true(index_bytes_written(f->index) > MANY * 17);
}

/* The first file in the directory whose name has this in it, to be freed with free(). */
static char *find_file(struct fixture *f, const char *part)
{
    char *path = NULL;
    DIR *stream = opendir(f->dir);
    assert_non_null(stream);
    for (const struct dirent *entry; path == NULL && (entry = readdir(stream)) != NULL;) {
        if (strstr(entry->d_name, part) != NULL) {
            path = files_join(f->dir, entry->d_name);
        }
    }
    closedir(stream);
    assert_non_null(path);
    return path;
}

static void assert_is_rebuilt(struct fixture *f)
{
    assert_int_equal(reopen(f), E_CORRUPT);
    assert_int_equal(index_destroy(f->dir, &f->err), E_OK);
    assert_int_equal(reopen(f), E_OK);
    put(f, f->leaves, NULL, 10);
}

static void a_damaged_manifest_is_corruption(void **state)
{
    struct fixture *f = *state;
    put(f, f->leaves, NULL, 10);
    assert_int_equal(reopen(f), E_OK);
    char *path = find_file(f, "MANIFEST");
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damage", 6, 10), 6);
    close(fd);
    free(path);
    assert_is_rebuilt(f);
}

static void a_missing_table_is_corruption(void **state)
{
    struct fixture *f = *state;
    put(f, f->leaves, NULL, 10);
    assert_int_equal(reopen(f), E_OK); /* turns the log into a table */
    char *path = find_file(f, ".ldb");
    index_close(f->index);
    f->index = NULL;
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_is_rebuilt(f);
}

static void a_damaged_table_is_corruption_when_read(void **state)
{
    struct fixture *f = *state;
    uint64_t found;
    put(f, f->leaves, NULL, 100);
    assert_int_equal(reopen(f), E_OK);
    char *path = find_file(f, ".ldb");
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damage", 6, 100), 6);
    close(fd);
    free(path);
    enum err_code rc = reopen(f);
    if (rc == E_OK) {
        rc = index_get(f->index, &f->leaves[0], &found, &f->err);
    }
    assert_int_equal(rc, E_CORRUPT);
    index_close(f->index);
    f->index = NULL;
    assert_int_equal(index_destroy(f->dir, &f->err), E_OK);
    assert_int_equal(reopen(f), E_OK);
}

static void an_index_is_opened_once(void **state)
{
    struct fixture *f = *state;
    struct index *second = NULL;
    assert_int_equal(index_open(&second, f->dir, false, &f->err), E_BUSY);
    assert_null(second);
    assert_int_equal(index_destroy(f->dir, &f->err), E_IO);
}

/* -- Facts -- */

static enum err_code open_with_facts(struct fixture *f)
{
    index_close(f->index);
    f->index = NULL;
    return index_open(&f->index, f->dir, true, &f->err);
}

/* The tag of leaf i is leaf MANY - 1 - i, so that one may stand for the other. Every 100th entry is a
 * registration, and has none. */
static struct index_facts facts_of(struct fixture *f, uint64_t i)
{
    bool is_registration = i % 100 == 0;
    return (struct index_facts){ .has_tag = !is_registration,
                                 .is_registration = is_registration,
                                 .tag = f->leaves[MANY - 1 - i] };
}

static void put_with_facts(struct fixture *f, size_t count)
{
    uint64_t first = index_covered(f->index);
    struct index_facts *facts = mem_calloc(count, sizeof *facts);
    for (size_t i = 0; i < count; i++) {
        facts[i] = facts_of(f, first + i);
    }
    assert_int_equal(index_put(f->index, first, f->leaves + first, facts, NULL, count, &f->err),
                     E_OK);
    mem_free(facts);
}

static void assert_tag_at(struct fixture *f, const struct hash *tag, uint64_t expected)
{
    uint64_t found = UINT64_MAX;
    assert_int_equal(index_get_tag(f->index, tag, &found, &f->err), E_OK);
    assert_int_equal(found, expected);
}

static void assert_tag_absent(struct fixture *f, const struct hash *tag)
{
    uint64_t found = 77;
    assert_int_equal(index_get_tag(f->index, tag, &found, &f->err), E_NOT_FOUND);
    assert_int_equal(found, 77);
}

struct scanned {
    uint64_t next; /* registration */
    size_t count;
    size_t until; /* this one fails */
};

static enum err_code on_registration(void *ctx, uint64_t index, struct err *err)
{
    struct scanned *scanned = ctx;
    assert_int_equal(index, scanned->next);
    scanned->next += 100;
    return ++scanned->count == scanned->until ? err_set(err, E_DENIED, "enough") : E_OK;
}

static void tags_are_found_apart_from_leaves(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_with_facts(f), E_OK);
    put_with_facts(f, 1000);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 1000; i++) {
            struct index_facts facts = facts_of(f, i);
            assert_at(f, &f->leaves[i], i);
            assert_tag_absent(f, &f->leaves[i]); /* a leaf is no tag */
            assert_absent(f, &facts.tag);
            if (facts.has_tag) {
                assert_tag_at(f, &facts.tag, i);
            } else {
                assert_tag_absent(f, &facts.tag);
            }
        }
        assert_int_equal(open_with_facts(f), E_OK);
        assert_int_equal(index_covered(f->index), 1000);
    }
}

/* Nothing is compared behind it: each bit counts. */
static void a_tag_is_a_key_in_full(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_with_facts(f), E_OK);
    put_with_facts(f, 2);
    struct index_facts facts = facts_of(f, 1);
    for (size_t bit = 0; bit < 8 * HASH_BYTES; bit++) {
        struct hash other = facts.tag;
        other.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_tag_absent(f, &other);
    }
    assert_tag_at(f, &facts.tag, 1);
}

/* The log was made without looking tags up: then the first entry with one is the one that counts. */
static void the_first_index_of_equal_tags_stays(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_with_facts(f), E_OK);
    struct index_facts a = { .has_tag = true, .tag = f->leaves[100] };
    struct index_facts b = a;
    b.tag.bytes[31] ^= 1; /* alike in all that a leaf's key would be */
    const struct index_facts facts[] = { a, b, a, b };
    assert_int_equal(index_put(f->index, 0, f->leaves, facts, NULL, 4, &f->err), E_OK);
    assert_int_equal(index_put(f->index, 4, f->leaves + 4, facts + 1, NULL, 3, &f->err), E_OK);
    assert_tag_at(f, &a.tag, 0);
    assert_tag_at(f, &b.tag, 1);
}

static void registrations_are_told_in_the_order_of_the_log(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_with_facts(f), E_OK);
    struct scanned scanned = { 0 };
    assert_int_equal(index_scan_registrations(f->index, &scanned, on_registration, &f->err), E_OK);
    assert_int_equal(scanned.count, 0);
    put_with_facts(f, 150);
    put_with_facts(f, MANY - 150);
    assert_int_equal(index_scan_registrations(f->index, &scanned, on_registration, &f->err), E_OK);
    assert_int_equal(scanned.count, MANY / 100);
    scanned = (struct scanned){ .until = 3 };
    assert_int_equal(index_scan_registrations(f->index, &scanned, on_registration, &f->err),
                     E_DENIED);
    assert_int_equal(scanned.count, 3);
}

/* A log that was opaque has entries whose tags nobody indexed, and the other way round. */
static void an_index_made_for_another_schema_is_corruption(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_with_facts(f), E_OK); /* nothing is in it: it may become either */
    assert_int_equal(reopen(f), E_OK);
    put(f, f->leaves, NULL, 10);
    assert_int_equal(open_with_facts(f), E_CORRUPT);
    assert_non_null(strstr(f->err.msg, "schema"));
    assert_int_equal(index_destroy(f->dir, &f->err), E_OK);
    assert_int_equal(open_with_facts(f), E_OK);
    put_with_facts(f, 10);
    assert_int_equal(open_with_facts(f), E_OK);
    assert_int_equal(index_covered(f->index), 10);
    assert_is_rebuilt(f);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_new_index_covers_nothing),
        CASE(what_was_put_is_found_after_reopening),
        CASE(the_first_index_of_equal_entries_stays),
        CASE(equal_entries_of_one_large_put_keep_the_first_index),
        CASE(a_hit_is_a_hint),
        CASE(a_destroyed_index_is_rebuilt),
        CASE(a_damaged_manifest_is_corruption),
        CASE(a_missing_table_is_corruption),
        CASE(a_damaged_table_is_corruption_when_read),
        CASE(an_index_is_opened_once),
        CASE(tags_are_found_apart_from_leaves),
        CASE(a_tag_is_a_key_in_full),
        CASE(the_first_index_of_equal_tags_stays),
        CASE(registrations_are_told_in_the_order_of_the_log),
        CASE(an_index_made_for_another_schema_is_corruption),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
