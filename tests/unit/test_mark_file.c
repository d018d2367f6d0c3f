/* lib/store/mark_file.c: torn slots, damage, failed writes and syncs, and one sync a group. */
#include "base/alloc.h"
#include "base/file.h"
#include "store/mark_file.h"
#include "tests/support/death.h"
#include "tests/support/files.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

/* The layout, as the head of mark_file.c tells it. */
enum {
    BLOCK = 4096,
    SLOT = 128,
    USED = 112, /* bytes of a slot */
    GROUP = 32,
    FILE_MAX = 1 << 20,
};

/* -- the disk: takes the place of libc's fdatasync, counts, and fails as it is told to -- */

static struct {
    int syncs;
    int fail_syncs;
    bool is_remembering; /* a failed sync loses what was written since the last that worked */
    const char *path;
    struct buf last; /* the file's bytes at the last sync that worked */
} disk;

static void read_all(const char *path, struct buf *out)
{
    struct err err;
    buf_reset(out);
    assert_int_equal(file_read(out, path, &err), E_OK);
}

int fdatasync(int fd)
{
    disk.syncs++;
    if (disk.fail_syncs > 0) {
        disk.fail_syncs--;
        if (disk.is_remembering) {
            assert_int_equal(ftruncate(fd, (off_t)disk.last.len), 0);
            assert_int_equal(pwrite(fd, disk.last.data, disk.last.len, 0), disk.last.len);
        }
        errno = EIO;
        return -1;
    }
    if (disk.is_remembering) {
        read_all(disk.path, &disk.last);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

struct fixture {
    char *dir;  /* owned */
    char *path; /* owned */
    struct mark_file *file;
    struct buf bytes;
    struct err err;
};

static enum err_code try_reopen(struct fixture *f)
{
    mark_file_close(f->file);
    f->file = NULL;
    return mark_file_open(&f->file, f->path, false, &f->err);
}

static void reopen(struct fixture *f)
{
    assert_int_equal(try_reopen(f), E_OK);
}

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->dir = files_make_temp_dir();
    f->path = files_join(f->dir, "mark");
    buf_init(&f->bytes, FILE_MAX);
    assert_int_equal(mark_file_open(&f->file, f->path, true, &f->err), E_OK);
    memset(&disk, 0, sizeof disk);
    buf_init(&disk.last, FILE_MAX);
    disk.path = f->path;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    mark_file_close(f->file);
    buf_clear(&f->bytes);
    buf_clear(&disk.last);
    files_remove_tree(f->dir);
    free(f->path);
    mem_free(f);
    return 0;
}

static struct hash hash_of(uint64_t number)
{
    return sha256(span_of(&number, sizeof number));
}

static struct mark mark_of(uint64_t origin, uint64_t size)
{
    return (struct mark){ hash_of(origin), size, hash_of(~size) };
}

static void put(struct fixture *f, uint64_t origin, uint64_t size)
{
    struct mark mark = mark_of(origin, size);
    assert_int_equal(mark_file_put(f->file, &mark, 1, &f->err), E_OK);
}

static void assert_mark(struct fixture *f, uint64_t origin, uint64_t size)
{
    struct mark expected = mark_of(origin, size), found;
    assert_int_equal(mark_file_get(f->file, &expected.origin, &found, &f->err), E_OK);
    assert_true(hash_is_equal(&found.origin, &expected.origin));
    assert_int_equal(found.size, size);
    assert_true(hash_is_equal(&found.root, &expected.root));
}

static void assert_absent(struct fixture *f, uint64_t origin)
{
    struct hash hash = hash_of(origin);
    struct mark found = { .size = 77 };
    assert_int_equal(mark_file_get(f->file, &hash, &found, &f->err), E_NOT_FOUND);
    assert_int_equal(found.size, 77);
}

static size_t slot_at(size_t position, size_t which)
{
    return BLOCK + position / GROUP * 2 * BLOCK + which * BLOCK + position % GROUP * SLOT;
}

/* Writes bytes over those of the file, behind its back. */
static void overwrite(struct fixture *f, size_t at, struct span bytes)
{
    int fd = open(f->path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes.data, bytes.len, (off_t)at), bytes.len);
    close(fd);
}

static void damage(struct fixture *f, size_t position, size_t which)
{
    overwrite(f, slot_at(position, which) + 40, span_of_str("damage"));
}

static void a_new_file_is_empty_and_private(void **state)
{
    struct fixture *f = *state;
    struct stat status;
    assert_int_equal(mark_file_count(f->file), 0);
    assert_absent(f, 1);
    assert_int_equal(stat(f->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    reopen(f);
    assert_int_equal(mark_file_count(f->file), 0);
}

static void a_missing_file_is_made_only_when_told(void **state)
{
    struct fixture *f = *state;
    struct mark_file *file = NULL;
    char *path = files_join(f->dir, "none");
    assert_int_equal(mark_file_open(&file, path, false, &f->err), E_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
    assert_null(file);
    free(path);
}

static void marks_are_found_after_reopening_in_their_order(void **state)
{
    struct fixture *f = *state;
    for (uint64_t size = 1; size <= 5; size++) {
        for (uint64_t origin = 0; origin < 3 * size; origin++) {
            put(f, origin, size);
        }
        for (int round = 0; round < 2; round++) {
            assert_int_equal(mark_file_count(f->file), 3 * size);
            for (uint64_t origin = 0; origin < 3 * size; origin++) {
                struct mark at = mark_file_at(f->file, (size_t)origin);
                struct hash expected = hash_of(origin);
                assert_true(hash_is_equal(&at.origin, &expected));
                assert_mark(f, origin, size);
            }
            reopen(f);
        }
    }
    assert_absent(f, 15);
}

/* Whether a mark may go back is decided above. */
static void a_put_takes_what_it_is_given(void **state)
{
    struct fixture *f = *state;
    put(f, 1, 100);
    put(f, 1, 7);
    assert_mark(f, 1, 7);
    reopen(f);
    assert_mark(f, 1, 7);
    put(f, 1, UINT64_MAX);
    put(f, 2, 0);
    reopen(f);
    assert_mark(f, 1, UINT64_MAX);
    assert_mark(f, 2, 0);
}

static void a_group_is_one_sync(void **state)
{
    enum {
        COUNT = 64
    };
    struct fixture *f = *state;
    struct mark marks[COUNT];
    for (uint64_t size = 1; size <= 4; size++) {
        for (uint64_t i = 0; i < COUNT; i++) {
            marks[i] = mark_of(i + 16 * size, size); /* some are new each time */
        }
        disk.syncs = 0;
        assert_int_equal(mark_file_put(f->file, marks, COUNT, &f->err), E_OK);
        assert_int_equal(disk.syncs, 1);
    }
    reopen(f);
    assert_int_equal(mark_file_count(f->file), COUNT + 3 * 16);
    assert_mark(f, 16, 1);
    assert_mark(f, 32, 2);
    for (uint64_t i = 64; i < 128; i++) {
        assert_mark(f, i, 4);
    }
}

/* Of a write that is cut at each byte in turn, the old mark or the new one is left, and the next
 * write heals it. */
static void a_torn_write_leaves_one_of_the_two_marks(void **state)
{
    struct fixture *f = *state;
    struct buf old = BUF_INIT(FILE_MAX);
    put(f, 1, 50);
    put(f, 2, 60);
    for (uint64_t size = 101; size <= 102; size++) { /* once into each slot of the pair */
        read_all(f->path, &old);
        put(f, 2, size);
        read_all(f->path, &f->bytes);
        size_t which = memcmp(f->bytes.data + slot_at(1, 0), old.data + slot_at(1, 0), SLOT) == 0;
        size_t at = slot_at(1, which);
        for (size_t cut = 0; cut <= SLOT; cut++) {
            overwrite(f, at, span_of(old.data + at, SLOT));
            overwrite(f, at, span_of(f->bytes.data + at, cut));
            reopen(f);
            assert_mark(f, 1, 50);
            assert_mark(f, 2, cut >= USED ? size : size == 101 ? 60 : 101);
        }
        for (size_t cut = 0; cut <= SLOT; cut++) { /* or from its end */
            overwrite(f, at, span_of(f->bytes.data + at, SLOT));
            overwrite(f, at, span_of(old.data + at, cut));
            reopen(f);
            struct mark found;
            struct hash origin = hash_of(2);
            assert_int_equal(mark_file_get(f->file, &origin, &found, &f->err), E_OK);
            assert_true(found.size == size || found.size == (size == 101 ? 60 : 101));
        }
        overwrite(f, at, span_of(f->bytes.data + at, SLOT / 2));
        reopen(f);
        put(f, 2, size);
    }
    reopen(f);
    assert_mark(f, 1, 50);
    assert_mark(f, 2, 102);
    assert_int_equal(mark_file_count(f->file), 2);
    buf_clear(&old);
}

static void a_damaged_slot_leaves_the_other(void **state)
{
    struct fixture *f = *state;
    put(f, 1, 10);
    put(f, 1, 20);
    read_all(f->path, &f->bytes);
    for (size_t which = 0; which < 2; which++) {
        size_t at = slot_at(0, which);
        for (size_t bit = 0; bit < SLOT * 8; bit++) {
            uint8_t byte = f->bytes.data[at + bit / 8] ^ (uint8_t)(1 << bit % 8);
            overwrite(f, at + bit / 8, span_of(&byte, 1));
            reopen(f);
            assert_int_equal(mark_file_count(f->file), 1);
            struct mark mark = mark_file_at(f->file, 0);
            assert_true(mark.size == 10 || mark.size == 20);
            overwrite(f, at + bit / 8, span_of(f->bytes.data + at + bit / 8, 1));
        }
    }
    reopen(f);
    assert_mark(f, 1, 20);
}

static void two_damaged_slots_are_corruption(void **state)
{
    struct fixture *f = *state;
    put(f, 1, 10);
    put(f, 2, 10); /* written once only */
    put(f, 3, 10);
    damage(f, 1, 0);
    reopen(f);
    assert_mark(f, 2, 10);
    damage(f, 1, 1);
    assert_int_equal(try_reopen(f), E_CORRUPT);
    assert_null(f->file);
    assert_int_equal(try_reopen(f), E_CORRUPT);
}

/* It was never told to be there; what came with it is. */
static void a_first_write_that_was_cut_short_is_nobodys_loss(void **state)
{
    struct fixture *f = *state;
    static const uint8_t zeros[SLOT];
    put(f, 1, 10);
    put(f, 2, 10);
    put(f, 3, 10);
    damage(f, 1, 1);
    overwrite(f, slot_at(1, 0), SPAN_OF_ARRAY(zeros));
    overwrite(f, slot_at(2, 0), SPAN_OF_ARRAY(zeros));
    reopen(f);
    assert_int_equal(mark_file_count(f->file), 2);
    assert_mark(f, 1, 10);
    assert_absent(f, 2);
    assert_mark(f, 3, 10);
    put(f, 2, 11);
    reopen(f);
    assert_int_equal(mark_file_count(f->file), 3);
    assert_mark(f, 1, 10);
    assert_mark(f, 2, 11);
    assert_mark(f, 3, 10);
}

static void a_slot_in_the_wrong_place_is_corruption(void **state)
{
    struct fixture *f = *state;
    put(f, 1, 10);
    put(f, 2, 10);
    read_all(f->path, &f->bytes);
    overwrite(f, slot_at(1, 0), span_of(f->bytes.data + slot_at(0, 0), SLOT));
    assert_int_equal(try_reopen(f), E_CORRUPT);
    overwrite(f, slot_at(1, 1), span_of(f->bytes.data + slot_at(0, 0), SLOT));
    assert_int_equal(try_reopen(f), E_CORRUPT);
}

static void what_is_not_a_mark_file_is_corruption(void **state)
{
    struct fixture *f = *state;
    put(f, 1, 10);
    read_all(f->path, &f->bytes);
    assert_int_equal(f->bytes.len, 3 * BLOCK);
    const size_t lengths[] = { 0, 1, BLOCK - 1, BLOCK + 1, 2 * BLOCK, 3 * BLOCK - 1 };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        files_write(f->path, span_of(f->bytes.data, lengths[i]));
        assert_int_equal(try_reopen(f), E_CORRUPT);
    }
    for (size_t at = 0; at < BLOCK; at += 7) {
        files_write(f->path, buf_span(&f->bytes));
        uint8_t byte = f->bytes.data[at] ^ 1;
        overwrite(f, at, span_of(&byte, 1));
        assert_int_equal(try_reopen(f), E_CORRUPT);
    }
    files_write(f->path, buf_span(&f->bytes));
    reopen(f);
    assert_mark(f, 1, 10);
}

static void a_file_is_locked_while_it_is_open(void **state)
{
    struct fixture *f = *state;
    struct mark_file *second = NULL;
    assert_int_equal(mark_file_open(&second, f->path, true, &f->err), E_BUSY);
    assert_null(second);
    put(f, 1, 1);
    mark_file_close(f->file);
    f->file = NULL;
    assert_int_equal(mark_file_open(&second, f->path, true, &f->err), E_OK);
    mark_file_close(second);
}

/* A sync that fails may have lost all that was written since the last: writing that again, not
 * syncing again, is what helps. */
static void what_a_failed_sync_lost_is_written_by_the_next_call(void **state)
{
    struct fixture *f = *state;
    disk.is_remembering = true;
    put(f, 1, 10);
    put(f, 2, 10);
    struct mark marks[] = { mark_of(1, 20), mark_of(3, 20) };
    disk.fail_syncs = 2;
    assert_int_equal(mark_file_put(f->file, marks, 2, &f->err), E_IO);
    assert_mark(f, 1, 20);
    marks[0] = mark_of(4, 20);
    assert_int_equal(mark_file_put(f->file, marks, 1, &f->err), E_IO);
    put(f, 2, 30);
    reopen(f);
    assert_int_equal(mark_file_count(f->file), 4);
    assert_mark(f, 1, 20);
    assert_mark(f, 2, 30);
    assert_mark(f, 3, 20);
    assert_mark(f, 4, 20);
}

static void a_failed_sync_keeps_the_old_mark_on_the_disk(void **state)
{
    struct fixture *f = *state;
    disk.is_remembering = true;
    put(f, 1, 10);
    struct mark mark = mark_of(1, 20);
    disk.fail_syncs = 3;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mark_file_put(f->file, &mark, 1, &f->err), E_IO);
    }
    reopen(f);
    assert_mark(f, 1, 10);
    assert_int_equal(mark_file_put(f->file, NULL, 0, &f->err), E_OK);
    reopen(f);
    assert_mark(f, 1, 10);
    disk.fail_syncs = 1;
    assert_int_equal(mark_file_put(f->file, &mark, 1, &f->err), E_IO);
    assert_int_equal(mark_file_put(f->file, NULL, 0, &f->err), E_OK);
    reopen(f);
    assert_mark(f, 1, 20);
}

/* The slots of a pair may be of two attempts, of which none was told to be done. */
static void attempts_at_a_first_write_may_be_mixed(void **state)
{
    struct fixture *f = *state;
    struct mark first = mark_of(1, 10), second = mark_of(1, 20);
    struct buf old = BUF_INIT(FILE_MAX);
    disk.fail_syncs = 2;
    assert_int_equal(mark_file_put(f->file, &first, 1, &f->err), E_IO);
    read_all(f->path, &old);
    assert_int_equal(mark_file_put(f->file, &second, 1, &f->err), E_IO);
    read_all(f->path, &f->bytes);
    for (size_t which = 0; which < 2; which++) {
        size_t at = slot_at(0, which);
        overwrite(f, at, span_of(old.data + at, SLOT));
        reopen(f);
        assert_mark(f, 1, 20);
        overwrite(f, at, span_of(f->bytes.data + at, SLOT));
    }
    buf_clear(&old);
}

/* A process's limit on file sizes stands for a full disk. */
static void a_full_disk_fails_until_there_is_room(void **state)
{
    struct fixture *f = *state;
    struct rlimit old;
    struct mark marks[GROUP];
    put(f, 0, 1);
    for (uint64_t i = 0; i < GROUP; i++) {
        marks[i] = mark_of(i + 1, 2);
    }
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 4 * BLOCK, old.rlim_max }), 0);
    enum err_code full = mark_file_put(f->file, marks, GROUP, &f->err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(full, E_IO);
    put(f, 0, 3);
    reopen(f);
    assert_int_equal(mark_file_count(f->file), 1 + GROUP);
    assert_mark(f, 0, 3);
    for (uint64_t i = 0; i < GROUP; i++) {
        assert_mark(f, i + 1, 2);
    }
}

static void there_is_a_most_of_origins(void **state)
{
    struct fixture *f = *state;
    struct mark *marks = mem_calloc(MARK_FILE_ORIGINS_MAX + 1, sizeof *marks);
    for (uint64_t i = 0; i <= MARK_FILE_ORIGINS_MAX; i++) {
        marks[i].origin.bytes[i % 3] = (uint8_t)i; /* in no order */
        marks[i].origin.bytes[3] = (uint8_t)(i >> 8);
        marks[i].origin.bytes[4] = (uint8_t)(i >> 16);
        marks[i].origin.bytes[5] = (uint8_t)(i % 3);
        marks[i].size = i;
    }
    size_t max = MARK_FILE_ORIGINS_MAX;
    assert_int_equal(mark_file_put(f->file, marks, max + 1, &f->err), E_TOO_LARGE);
    assert_int_equal(mark_file_count(f->file), 0);
    assert_int_equal(mark_file_put(f->file, marks, max, &f->err), E_OK);
    assert_int_equal(mark_file_put(f->file, marks + max, 1, &f->err), E_TOO_LARGE);
    assert_int_equal(mark_file_put(f->file, marks + max - 1, 1, &f->err), E_OK);
    reopen(f);
    assert_int_equal(mark_file_count(f->file), max);
    for (size_t i = 0; i < max; i++) {
        assert_int_equal(mark_file_at(f->file, i).size, i);
    }
    mem_free(marks);
}

/* Places 1 and 2 are of first writes that were cut short, before one that was not. */
static void room_is_what_can_be_put(void **state)
{
    struct fixture *f = *state;
    static const uint8_t nothing[SLOT];
    assert_int_equal(mark_file_room(f->file), MARK_FILE_ORIGINS_MAX);
    for (uint64_t i = 0; i < 4; i++) {
        put(f, i, 1);
    }
    put(f, 0, 2);
    assert_int_equal(mark_file_room(f->file), MARK_FILE_ORIGINS_MAX - 4);
    for (size_t i = 0; i < 4; i++) {
        overwrite(f, slot_at(1 + i / 2, i % 2), SPAN_OF_ARRAY(nothing));
    }
    reopen(f);
    size_t room = mark_file_room(f->file);
    assert_int_equal(mark_file_count(f->file), 2);
    assert_int_equal(room, MARK_FILE_ORIGINS_MAX - 4);
    struct mark *marks = mem_calloc(room + 2, sizeof *marks);
    for (size_t i = 0; i < room + 2; i++) {
        marks[i] = mark_of(100 + i, i);
    }
    assert_int_equal(mark_file_put(f->file, marks, room + 1, &f->err), E_TOO_LARGE);
    assert_int_equal(mark_file_room(f->file), room);
    marks[room] = mark_of(0, 3); /* one that has its place */
    assert_int_equal(mark_file_put(f->file, marks, room + 1, &f->err), E_OK);
    assert_int_equal(mark_file_room(f->file), 0);
    assert_int_equal(mark_file_put(f->file, marks + room + 1, 1, &f->err), E_TOO_LARGE);
    reopen(f);
    assert_int_equal(mark_file_room(f->file), 0);
    assert_mark(f, 0, 3);
    mem_free(marks);
}

/* What a call writes is what it is given, and what failed before: nothing else, however much there is. */
static void a_call_writes_no_slot_but_those_it_must(void **state)
{
    struct fixture *f = *state;
    struct buf after = BUF_INIT(FILE_MAX);
    struct mark first = mark_of(3, 20), second = mark_of(40, 20);
    for (uint64_t i = 0; i < 2 * GROUP; i++) {
        put(f, i, 10);
    }
    disk.fail_syncs = 1;
    assert_int_equal(mark_file_put(f->file, &first, 1, &f->err), E_IO);
    assert_int_equal(mark_file_put(f->file, &second, 1, &f->err), E_OK);
    read_all(f->path, &f->bytes);
    assert_int_equal(mark_file_put(f->file, NULL, 0, &f->err), E_OK);
    put(f, 5, 30);
    read_all(f->path, &after);
    size_t changed = 0;
    for (size_t at = 0; at < after.len; at += SLOT) {
        if (memcmp(after.data + at, f->bytes.data + at, SLOT) != 0) {
            assert_true(at == slot_at(5, 0) || at == slot_at(5, 1));
            changed++;
        }
    }
    assert_int_equal(changed, 1);
    reopen(f);
    assert_mark(f, 3, 20);
    assert_mark(f, 40, 20);
    assert_mark(f, 5, 30);
    buf_clear(&after);
}

static void put_one_origin_twice(void)
{
    struct err err;
    struct mark_file *file = NULL;
    struct mark marks[] = { mark_of(1, 1), mark_of(1, 2) };
    char *dir = files_make_temp_dir();
    char *path = files_join(dir, "mark");
    if (mark_file_open(&file, path, true, &err) == E_OK) {
        unlink(path);
        rmdir(dir);
        if (mark_file_put(file, marks, 2, &err) != E_OK) {
            _exit(0);
        }
    }
}

static void one_origin_twice_in_a_group_is_the_callers_bug(void **state)
{
    (void)state;
    assert_true(death_of(put_one_origin_twice));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_new_file_is_empty_and_private),
        CASE(a_missing_file_is_made_only_when_told),
        CASE(marks_are_found_after_reopening_in_their_order),
        CASE(a_put_takes_what_it_is_given),
        CASE(a_group_is_one_sync),
        CASE(a_torn_write_leaves_one_of_the_two_marks),
        CASE(a_damaged_slot_leaves_the_other),
        CASE(two_damaged_slots_are_corruption),
        CASE(a_first_write_that_was_cut_short_is_nobodys_loss),
        CASE(a_slot_in_the_wrong_place_is_corruption),
        CASE(what_is_not_a_mark_file_is_corruption),
        CASE(a_file_is_locked_while_it_is_open),
        CASE(what_a_failed_sync_lost_is_written_by_the_next_call),
        CASE(a_failed_sync_keeps_the_old_mark_on_the_disk),
        CASE(attempts_at_a_first_write_may_be_mixed),
        CASE(a_full_disk_fails_until_there_is_room),
        CASE(there_is_a_most_of_origins),
        CASE(room_is_what_can_be_put),
        CASE(a_call_writes_no_slot_but_those_it_must),
        cmocka_unit_test(one_origin_twice_in_a_group_is_the_callers_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
