/* The contract of the tiles seam (lib/store/tiles.h): every implementation passes these. */
#include "base/alloc.h"
#include "store/tiles.h"
#include "store/tiles_memory.h"
#include "store/tiles_posix.h"
#include "tests/support/files.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

enum {
    READ_MAX = 64 * 1024,
    WORKERS = 4,
    FILES_PER_WORKER = 60
};

enum kind {
    KIND_POSIX,
    KIND_MEMORY
};

struct fixture {
    enum kind kind;
    char *dir;                      /* owned; KIND_POSIX */
    struct tiles_memory_disk *disk; /* owned; KIND_MEMORY */
    struct tiles *tiles;            /* owned */
    struct err err;
};

static void fixture_open(struct fixture *f)
{
    if (f->kind == KIND_POSIX) {
        assert_int_equal(tiles_posix_open(&f->tiles, f->dir, &f->err), E_OK);
    } else {
        f->tiles = tiles_memory_open(f->disk);
    }
}

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->kind = *(const enum kind *)*state;
    if (f->kind == KIND_POSIX) {
        f->dir = files_make_temp_dir();
    } else {
        f->disk = tiles_memory_disk_new();
    }
    fixture_open(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tiles_close(f->tiles);
    tiles_memory_disk_free(f->disk);
    if (f->dir != NULL) {
        files_remove_tree(f->dir);
    }
    mem_free(f);
    return 0;
}

static void write_text(struct fixture *f, const char *path, const char *text)
{
    assert_int_equal(tiles_write(f->tiles, path, span_of_str(text), &f->err), E_OK);
}

static void assert_text(struct fixture *f, const char *path, const char *text)
{
    struct buf out = BUF_INIT(READ_MAX);
    assert_int_equal(tiles_read(f->tiles, path, &out, &f->err), E_OK);
    assert_true(span_is_str(buf_span(&out), text));
    buf_clear(&out);
}

static void assert_absent(struct fixture *f, const char *path)
{
    struct buf out = BUF_INIT(READ_MAX);
    assert_int_equal(tiles_read(f->tiles, path, &out, &f->err), E_NOT_FOUND);
    assert_int_equal(out.len, 0);
    buf_clear(&out);
}

static void sync_tiles(struct fixture *f)
{
    assert_int_equal(tiles_sync(f->tiles, &f->err), E_OK);
}

static void a_written_file_is_read_at_once_and_after_reopening(void **state)
{
    struct fixture *f = *state;
    write_text(f, "tile/0/x001/234", "full");
    write_text(f, "tile/0/x001/235.p/17", "partial");
    write_text(f, "tile/entries/000", "");
    assert_text(f, "tile/0/x001/234", "full");
    sync_tiles(f);
    tiles_close(f->tiles);
    fixture_open(f);
    assert_text(f, "tile/0/x001/234", "full");
    assert_text(f, "tile/0/x001/235.p/17", "partial");
    assert_text(f, "tile/entries/000", "");
    assert_absent(f, "tile/0/x001/236");
    assert_absent(f, "tile/9/000");
}

static void a_full_tile_and_its_partial_ones_stand_side_by_side(void **state)
{
    struct fixture *f = *state;
    write_text(f, "tile/0/000.p/3", "three");
    write_text(f, "tile/0/000.p/255", "more");
    write_text(f, "tile/0/000", "all");
    sync_tiles(f);
    assert_int_equal(tiles_remove(f->tiles, "tile/0/000.p/3", &f->err), E_OK);
    assert_absent(f, "tile/0/000.p/3");
    assert_text(f, "tile/0/000.p/255", "more");
    assert_int_equal(tiles_remove(f->tiles, "tile/0/000.p/255", &f->err), E_OK);
    assert_text(f, "tile/0/000", "all");
    write_text(f, "tile/0/000.p/7", "again");
    assert_text(f, "tile/0/000.p/7", "again");
    sync_tiles(f);
}

static void writing_the_same_again_is_fine(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        write_text(f, "tile/entries/000", "same");
        sync_tiles(f);
        assert_text(f, "tile/entries/000", "same");
    }
}

static void replace_makes_and_replaces(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tiles_replace(f->tiles, "checkpoint", span_of_str("one"), &f->err), E_OK);
    assert_text(f, "checkpoint", "one");
    assert_int_equal(tiles_replace(f->tiles, "checkpoint", span_of_str("second"), &f->err), E_OK);
    assert_text(f, "checkpoint", "second");
    assert_int_equal(tiles_replace(f->tiles, "archive/2024/05", span_of_str(""), &f->err), E_OK);
    assert_text(f, "archive/2024/05", "");
}

static void read_obeys_the_maximum(void **state)
{
    struct fixture *f = *state;
    struct buf out = BUF_INIT(7);
    write_text(f, "tile/0/000", "12345");
    assert_int_equal(tiles_read(f->tiles, "tile/0/000", &out, &f->err), E_OK);
    assert_int_equal(tiles_read(f->tiles, "tile/0/000", &out, &f->err), E_TOO_LARGE);
    assert_true(span_is_str(buf_span(&out), "12345"));
    buf_reset(&out);
    buf_put_str(&out, "ab"); /* appends, up to the last byte */
    assert_int_equal(tiles_read(f->tiles, "tile/0/000", &out, &f->err), E_OK);
    assert_true(span_is_str(buf_span(&out), "ab12345"));
    buf_clear(&out);
}

static void removing_nothing_is_no_error(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tiles_remove(f->tiles, "tile/0/000", &f->err), E_OK);
    write_text(f, "tile/0/000", "x");
    assert_int_equal(tiles_remove(f->tiles, "tile/0/000", &f->err), E_OK);
    assert_absent(f, "tile/0/000");
    assert_int_equal(tiles_remove(f->tiles, "tile/0/000", &f->err), E_OK);
    sync_tiles(f);
}

struct names {
    char text[1024]; /* "name " and "name/ ", in the order told */
    int stop_after;
};

static enum err_code see_name(void *ctx, const char *name, bool is_dir, struct err *err)
{
    struct names *names = ctx;
    size_t used = strlen(names->text);
    snprintf(names->text + used, sizeof names->text - used, "%s%s ", name, is_dir ? "/" : "");
    return --names->stop_after == 0 ? err_set(err, E_DENIED, "enough") : E_OK;
}

static void assert_lists(struct fixture *f, const char *dir, const char *const *expected)
{
    struct names names = { .text = " " };
    assert_int_equal(tiles_list(f->tiles, dir, see_name, &names, &f->err), E_OK);
    size_t total = 1;
    for (; *expected != NULL; expected++) {
        assert_non_null(strstr(names.text, *expected));
        total += strlen(*expected) - 1; /* neighbours share a space */
    }
    assert_int_equal(strlen(names.text), total);
}

static void list_tells_names_and_kinds(void **state)
{
    struct fixture *f = *state;
    assert_lists(f, "", (const char *const[]){ NULL });
    write_text(f, "checkpoint", "c");
    write_text(f, "tile/0/000", "a");
    write_text(f, "tile/0/001.p/3", "b");
    write_text(f, "tile/0/001.p/4", "b");
    write_text(f, "tile/0/x001/000", "b");
    assert_lists(f, "", (const char *const[]){ " checkpoint ", " tile/ ", NULL });
    assert_lists(f, "tile/0", (const char *const[]){ " 000 ", " 001.p/ ", " x001/ ", NULL });
    assert_lists(f, "tile/0/001.p", (const char *const[]){ " 3 ", " 4 ", NULL });
    struct names names = { .stop_after = 2 };
    assert_int_equal(tiles_list(f->tiles, "tile/1", see_name, &names, &f->err), E_NOT_FOUND);
    assert_int_equal(tiles_list(f->tiles, "til", see_name, &names, &f->err), E_NOT_FOUND);
    assert_int_equal(tiles_list(f->tiles, "tile/0", see_name, &names, &f->err), E_DENIED);
    assert_int_equal(names.stop_after, 0);
}

static void bytes_written_are_counted(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tiles_bytes_written(f->tiles), 0);
    write_text(f, "tile/0/000", "12345");
    assert_int_equal(tiles_replace(f->tiles, "checkpoint", span_of_str("123"), &f->err), E_OK);
    assert_int_equal(tiles_bytes_written(f->tiles), 8);
}

struct worker {
    struct fixture *fixture;
    int number;
    pthread_t thread;
};

/* cmocka's asserts belong to the main thread: a worker ends the program. */
static void *write_many(void *arg)
{
    struct worker *worker = arg;
    struct err err;
    char path[64];
    for (int i = 0; i < FILES_PER_WORKER; i++) {
        snprintf(path, sizeof path, "tile/%d/x%03d/%03d", i % 3, i / 7, worker->number);
        if (tiles_write(worker->fixture->tiles, path, span_of_str(path), &err) != E_OK ||
            (i % 16 == 0 && tiles_sync(worker->fixture->tiles, &err) != E_OK)) {
            fprintf(stderr, "%s\n", err.msg);
            abort();
        }
        snprintf(path, sizeof path, "tile/%d/000.p/%d", worker->number, i % 2);
        if (tiles_write(worker->fixture->tiles, path, span_of_str("x"), &err) != E_OK ||
            tiles_remove(worker->fixture->tiles, path, &err) != E_OK) {
            fprintf(stderr, "%s\n", err.msg);
            abort();
        }
    }
    return NULL;
}

/* In the same directories, some of which come and go. */
static void workers_write_at_once(void **state)
{
    struct fixture *f = *state;
    struct worker workers[WORKERS];
    char path[64];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){ .fixture = f, .number = i };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, write_many, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    sync_tiles(f);
    for (int i = 0; i < FILES_PER_WORKER * WORKERS; i++) {
        int file = i / WORKERS;
        snprintf(path, sizeof path, "tile/%d/x%03d/%03d", file % 3, file / 7, i % WORKERS);
        assert_text(f, path, path);
    }
}

#define CASE(kind, test)                                                                           \
    {                                                                                              \
#kind " " #test, test, setup, teardown, (void *)&kind                                      \
    }
#define CASES(kind)                                                                                \
    CASE(kind, a_written_file_is_read_at_once_and_after_reopening),                                \
        CASE(kind, a_full_tile_and_its_partial_ones_stand_side_by_side),                           \
        CASE(kind, writing_the_same_again_is_fine), CASE(kind, replace_makes_and_replaces),        \
        CASE(kind, read_obeys_the_maximum), CASE(kind, removing_nothing_is_no_error),              \
        CASE(kind, list_tells_names_and_kinds), CASE(kind, bytes_written_are_counted),             \
        CASE(kind, workers_write_at_once)

int main(void)
{
    static const enum kind posix = KIND_POSIX;
    static const enum kind memory = KIND_MEMORY;
    const struct CMUnitTest tests[] = { CASES(posix), CASES(memory) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
