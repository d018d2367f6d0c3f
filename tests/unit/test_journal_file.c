/* lib/store/journal_file.c and segment.c: crashes, damage, full disks and used segments. */
#include "base/alloc.h"
#include "base/log.h"
#include "store/journal_file.h"
#include "store/segment.h"
#include "tests/support/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants some of the above first */
#include <cmocka.h>

enum {
    BYTES_MAX = 256 * 1024, /* so segments are 64 KiB */
    SEGMENT_BYTES = 64 * 1024,
    ENTRIES_MAX = 9 * 1024 * 1024
};

struct fixture {
    char *dir; /* owned */
    struct journal *journal;
    struct err err;
};

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->dir = files_make_temp_dir();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    journal_close(f->journal);
    files_remove_tree(f->dir);
    mem_free(f);
    return 0;
}

static enum err_code reopen(struct fixture *f)
{
    journal_close(f->journal);
    f->journal = NULL;
    return journal_file_open(&f->journal, f->dir, BYTES_MAX, &f->err);
}

static void close_journal(struct fixture *f)
{
    journal_close(f->journal);
    f->journal = NULL;
}

static struct journal_record make_record(uint64_t first, size_t bytes)
{
    static uint8_t entries[ENTRIES_MAX];
    for (size_t i = 0; i < bytes; i++) {
        entries[i] = (uint8_t)(first * 31 + i * 7 + (i >> 8) + 1);
    }
    return (struct journal_record){ first, first + 1, sha256(span_of(&first, sizeof first)),
                                    span_of(entries, bytes) };
}

static enum err_code try_append(struct fixture *f, size_t bytes)
{
    struct journal_record record = make_record(journal_head(f->journal).size, bytes);
    enum err_code rc = journal_reserve(f->journal, bytes, &f->err);
    return rc != E_OK ? rc : journal_append(f->journal, &record, &f->err);
}

static void append(struct fixture *f, size_t bytes)
{
    assert_int_equal(try_append(f, bytes), E_OK);
}

static enum err_code check_record(void *ctx, const struct journal_record *record, struct err *err)
{
    (void)err;
    struct journal_record expected = make_record(record->first, record->entries.len);
    assert_true(hash_is_equal(&record->root, &expected.root));
    assert_true(span_is_equal(record->entries, expected.entries));
    *(uint64_t *)ctx = record->size;
    return E_OK;
}

static void assert_whole_up_to(struct fixture *f, uint64_t size)
{
    uint64_t seen = 0;
    assert_int_equal(journal_head(f->journal).size, size);
    assert_int_equal(journal_replay(f->journal, check_record, &seen, &f->err), E_OK);
    assert_int_equal(seen, size);
}

/* ---- files of the journal, as bytes ---- */

struct image {
    uint8_t *data; /* owned */
    size_t len;
};

static struct image load(struct fixture *f, const char *name)
{
    char *path = files_join(f->dir, name);
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    struct image image = { mem_alloc((size_t)st.st_size + 1), (size_t)st.st_size };
    assert_int_equal(read(fd, image.data, image.len), (ssize_t)image.len);
    close(fd);
    free(path);
    return image;
}

/* In place: new blocks would make each sync after it slow. */
static void store(struct fixture *f, const char *name, const uint8_t *data, size_t len)
{
    char *path = files_join(f->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, 0), (ssize_t)len);
    assert_int_equal(ftruncate(fd, (off_t)len), 0);
    close(fd);
    free(path);
}

static size_t count_files(struct fixture *f, uint64_t *bytes)
{
    size_t count = 0;
    DIR *stream = opendir(f->dir);
    assert_non_null(stream);
    *bytes = 0;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        struct stat st;
        if (entry->d_name[0] != '.') {
            assert_int_equal(fstatat(dirfd(stream), entry->d_name, &st, 0), 0);
            *bytes += (uint64_t)st.st_size;
            count++;
        }
    }
    closedir(stream);
    return count;
}

static void assert_corrupt(struct fixture *f, const char *name, const char *where)
{
    assert_int_equal(reopen(f), E_CORRUPT);
    assert_non_null(strstr(f->err.msg, name));
    assert_non_null(strstr(f->err.msg, where));
}

/* ---- torn tails ---- */

/* What a power loss during the last commit may leave from some offset on. */
enum tear {
    TEAR_TRUNCATE,
    TEAR_ZERO,
    TEAR_GARBAGE,
    TEARS
};

static void write_torn(struct fixture *f, const struct image *image, size_t at, enum tear tear)
{
    uint8_t *copy = mem_alloc(image->len);
    memcpy(copy, image->data, image->len);
    for (size_t i = at; i < image->len && tear != TEAR_TRUNCATE; i++) {
        copy[i] = tear == TEAR_ZERO ? 0 : (uint8_t)(0xa5 + i * 131);
    }
    store(f, "00000001.seg", copy, tear == TEAR_TRUNCATE ? at : image->len);
    mem_free(copy);
}

/* The journal goes on where it was cut. */
static void append_after_cut(struct fixture *f)
{
    append(f, 20);
    assert_int_equal(reopen(f), E_OK);
    assert_whole_up_to(f, 3);
    close_journal(f);
    char *next = files_join(f->dir, "00000002.seg"); /* begun if the first was truncated */
    unlink(next);
    free(next);
}

/* The last of three records, `bytes` long, is torn at every `step`-th byte: the two before it stay,
 * and the journal goes on. */
static void tear_last_record(struct fixture *f, size_t bytes, size_t step)
{
    assert_int_equal(reopen(f), E_OK);
    append(f, 10);
    append(f, 5000);
    append(f, bytes);
    close_journal(f);
    struct image image = load(f, "00000001.seg");
    size_t start = SEGMENT_BLOCK * (1 + 1 + 2);
    for (size_t at = start; at < start + SEGMENT_RECORD_HEADER_BYTES + bytes; at += step) {
        for (enum tear tear = 0; tear < TEARS; tear++) {
            write_torn(f, &image, at, tear);
            assert_int_equal(reopen(f), E_OK);
            assert_whole_up_to(f, 2);
            if (at % 8 == 0) { /* syncs are slow */
                append_after_cut(f);
            }
        }
    }
    store(f, "00000001.seg", image.data, image.len);
    assert_int_equal(reopen(f), E_OK);
    assert_whole_up_to(f, 3);
    mem_free(image.data);
}

static void a_torn_record_is_cut_at_every_byte(void **state)
{
    tear_last_record(*state, 70, 1);
}

static void a_torn_record_of_many_blocks_is_cut(void **state)
{
    tear_last_record(*state, 20000, 1000);
}

/* Blocks reach the disk in any order: the last one may be there without the first. */
static void a_record_without_its_first_block_is_cut(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(reopen(f), E_OK);
    append(f, 10);
    append(f, 20000);
    close_journal(f);
    struct image image = load(f, "00000001.seg");
    for (size_t block = 0; block < 5; block++) {
        struct image copy = { mem_alloc(image.len), image.len };
        memcpy(copy.data, image.data, image.len);
        memset(copy.data + SEGMENT_BLOCK * (2 + block), 0, SEGMENT_BLOCK);
        store(f, "00000001.seg", copy.data, copy.len);
        assert_int_equal(reopen(f), E_OK);
        assert_whole_up_to(f, 1);
        append(f, 100);
        assert_int_equal(reopen(f), E_OK);
        assert_whole_up_to(f, 2);
        close_journal(f);
        mem_free(copy.data);
    }
    mem_free(image.data);
}

/* ---- damage ---- */

static void a_flipped_bit_before_the_last_record_is_corruption(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(reopen(f), E_OK);
    append(f, 10);
    append(f, 300);
    append(f, 10);
    close_journal(f);
    struct image image = load(f, "00000001.seg");
    size_t start = SEGMENT_BLOCK * 2;
    for (size_t at = start; at < start + SEGMENT_RECORD_HEADER_BYTES + 300;
         at += at < start + SEGMENT_RECORD_HEADER_BYTES ? 1 : 7) {
        image.data[at] ^= (uint8_t)(1u << (at % 8));
        store(f, "00000001.seg", image.data, image.len);
        assert_corrupt(f, "00000001.seg", "offset 8192");
        image.data[at] ^= (uint8_t)(1u << (at % 8));
    }
    mem_free(image.data);
}

static void a_damaged_segment_header_is_corruption(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(reopen(f), E_OK);
    append(f, 10);
    close_journal(f);
    struct image image = load(f, "00000001.seg");
    for (size_t at = 0; at < 96; at++) {
        image.data[at] ^= (uint8_t)(1u << (at % 8));
        store(f, "00000001.seg", image.data, image.len);
        assert_corrupt(f, "00000001.seg", "offset 0");
        image.data[at] ^= (uint8_t)(1u << (at % 8));
    }
    mem_free(image.data);
}

/* Three segments, with the last record of the first at offset 53248. */
static void fill_three_segments(struct fixture *f)
{
    assert_int_equal(reopen(f), E_OK);
    append(f, 44 * 1024);
    append(f, 4000);
    append(f, 60000);
    append(f, 100);
    append(f, 60000);
    assert_whole_up_to(f, 5);
    close_journal(f);
}

/* A record at the end of a segment that has a successor was synced, so it cannot be torn. */
static void an_older_segment_has_no_torn_tail(void **state)
{
    struct fixture *f = *state;
    fill_three_segments(f);
    struct image image = load(f, "00000001.seg");
    for (size_t at = 53248; at < 53248 + 200; at += 9) {
        image.data[at] ^= 1;
        store(f, "00000001.seg", image.data, image.len);
        assert_corrupt(f, "00000001.seg", "offset 53248");
        image.data[at] ^= 1;
    }
    memset(image.data + 53248, 0, SEGMENT_BLOCK);
    store(f, "00000001.seg", image.data, image.len);
    assert_corrupt(f, "00000001.seg", "offset 53248");
    store(f, "00000001.seg", image.data, 53248);
    assert_corrupt(f, "00000001.seg", "offset 53248");
    mem_free(image.data);
}

/* Also when the successor holds no record yet. */
static void an_empty_successor_vouches_for_the_segment_before(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(reopen(f), E_OK);
    append(f, 50000);
    append(f, 100);
    assert_int_equal(journal_reserve(f->journal, 50000, &f->err), E_OK);
    assert_int_equal(reopen(f), E_OK);
    assert_whole_up_to(f, 2);
    close_journal(f);
    struct image image = load(f, "00000001.seg");
    image.data[SEGMENT_BLOCK * 14 + 120] ^= 1;
    store(f, "00000001.seg", image.data, image.len);
    assert_corrupt(f, "00000001.seg", "offset 57344");
    mem_free(image.data);
}

static void a_missing_segment_is_named(void **state)
{
    struct fixture *f = *state;
    fill_three_segments(f);
    char *path = files_join(f->dir, "00000002.seg");
    unlink(path);
    assert_corrupt(f, "00000002.seg", "missing");
    free(path);
}

static void a_renamed_segment_is_corruption(void **state)
{
    struct fixture *f = *state;
    fill_three_segments(f);
    char *from = files_join(f->dir, "00000001.seg");
    char *to = files_join(f->dir, "00000004.seg");
    assert_int_equal(rename(from, to), 0);
    assert_corrupt(f, "00000004.seg", "epoch 1");
    free(from);
    free(to);
}

static void an_empty_segment_file_is_corruption(void **state)
{
    struct fixture *f = *state;
    fill_three_segments(f);
    store(f, "00000004.seg", (const uint8_t *)"", 0);
    assert_corrupt(f, "00000004.seg", "header");
}

static void a_foreign_file_is_named(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "1.seg",        "00000001.seg.bak", "000000001.seg",
                                         "00000000.seg", "README",           "spare-1.seg" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        store(f, names[i], (const uint8_t *)"x", 1);
        assert_corrupt(f, names[i], "no file of the journal");
        char *path = files_join(f->dir, names[i]);
        unlink(path);
        free(path);
    }
    assert_int_equal(reopen(f), E_OK);
}

static void a_missing_directory_is_an_error(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(journal_file_open(&f->journal, "/nonexistent/journal", BYTES_MAX, &f->err),
                     E_IO);
    assert_non_null(strstr(f->err.msg, "/nonexistent/journal"));
    assert_null(f->journal);
}

/* ---- segments used again ---- */

/* Many epochs over the same files, with restarts at every fill level: what an epoch left is never
 * taken for a record of a later one. Space stays bounded, and prewriting is paid once. */
static void used_segments_keep_their_past_to_themselves(void **state)
{
    struct fixture *f = *state;
    uint64_t bytes;
    uint64_t logged = 0;
    uint64_t written = 0;
    assert_int_equal(reopen(f), E_OK);
    for (int i = 0; i < 400; i++) {
        size_t len = (size_t)(i * 977 % 30000);
        append(f, len);
        logged += segment_record_bytes(len);
        uint64_t size = journal_head(f->journal).size;
        if (i % 5 == 0) {
            assert_int_equal(journal_trim(f->journal, size, &f->err), E_OK);
        }
        if (i % 17 == 0) {
            assert_int_equal(reopen(f), E_OK);
            assert_whole_up_to(f, size);
        }
        if (i % 17 == 15) {
            written = journal_bytes_written(f->journal);
        }
    }
    assert_true(count_files(f, &bytes) >= 3);
    assert_true(bytes <= BYTES_MAX + 2 * SEGMENT_BYTES);
    assert_true(logged > 10 * bytes);
    assert_true(written < 17 * 35000 + BYTES_MAX); /* no zeros among it */
}

/* A submitter may know how records look: what matters is the nonce, which stays on our disk. */
static void an_entry_cannot_pass_for_a_record(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(reopen(f), E_OK);
    append(f, 10);
    append(f, 10);
    close_journal(f);
    struct image image = load(f, "00000001.seg");
    /* Behind the last record lies what the second record was, under another nonce. */
    uint8_t *forged = image.data + SEGMENT_BLOCK * 3;
    memcpy(forged, forged - SEGMENT_BLOCK, SEGMENT_BLOCK);
    forged[0] ^= 1;
    store(f, "00000001.seg", image.data, image.len);
    assert_int_equal(reopen(f), E_OK);
    assert_whole_up_to(f, 2);
    /* Under the same nonce it is a whole record that does not continue the chain. */
    forged[0] ^= 1;
    store(f, "00000001.seg", image.data, image.len);
    assert_corrupt(f, "00000001.seg", "offset 12288");
    mem_free(image.data);
}

static void a_prewritten_segment_has_its_blocks(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(reopen(f), E_OK);
    assert_int_equal(journal_reserve(f->journal, 10, &f->err), E_OK);
    char *path = files_join(f->dir, "00000001.seg");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, SEGMENT_BYTES);
    assert_true(st.st_blocks * 512 >= st.st_size);
    assert_int_equal(st.st_mode & 0777, 0600);
    free(path);
}

/* Bytes this process caused to be written, as the kernel counts them; 0 where it does not. */
static uint64_t kernel_bytes_written(void)
{
    uint64_t bytes = 0;
    char line[128];
    FILE *file = fopen("/proc/self/io", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "write_bytes: ", strlen("write_bytes: ")) == 0) {
            bytes = strtoull(line + strlen("write_bytes: "), NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

static void append_and_count(struct fixture *f)
{
    enum {
        COMMITS = 5
    };
    uint64_t before = kernel_bytes_written();
    for (int i = 0; i < COMMITS; i++) {
        append(f, 100);
    }
    assert_true(kernel_bytes_written() - before <= 2 * COMMITS * SEGMENT_BLOCK);
}

/* However the segment came into the page cache: prewritten, used before, or read. */
static void a_commit_writes_its_own_blocks_only(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(reopen(f), E_OK);
    assert_int_equal(journal_reserve(f->journal, 100, &f->err), E_OK);
    append_and_count(f);
    assert_int_equal(reopen(f), E_OK);
    append_and_count(f);
    assert_whole_up_to(f, 10);
    append(f, 60000);
    append(f, 60000);
    assert_int_equal(journal_trim(f->journal, 12, &f->err), E_OK);
    append(f, 10000);
    append_and_count(f);
}

/* The largest record there is, in a journal whose segments are smaller. */
static void a_large_record_gets_a_large_segment(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(reopen(f), E_OK);
    append(f, 10);
    append(f, SEGMENT_ENTRIES_BYTES_MAX);
    assert_int_equal(journal_trim(f->journal, 2, &f->err), E_OK);
    append(f, 10);
    assert_int_equal(journal_reserve(f->journal, SEGMENT_ENTRIES_BYTES_MAX + 1, &f->err),
                     E_TOO_LARGE);
    assert_int_equal(reopen(f), E_OK);
    assert_whole_up_to(f, 3);
}

/* A small segment that was reserved for nothing grows when a large record comes first after all. */
static void an_unused_segment_grows(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(reopen(f), E_OK);
    assert_int_equal(journal_reserve(f->journal, 10, &f->err), E_OK);
    append(f, SEGMENT_BYTES * 2);
    assert_int_equal(reopen(f), E_OK);
    assert_whole_up_to(f, 1);
}

static void a_half_prewritten_file_is_removed(void **state)
{
    struct fixture *f = *state;
    uint64_t bytes;
    store(f, "new.tmp", (const uint8_t *)"half", 4);
    assert_int_equal(reopen(f), E_OK);
    assert_int_equal(count_files(f, &bytes), 0);
}

/* ---- no space ---- */

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void no_space_is_told_before_the_commit(void **state)
{
    struct fixture *f = *state;
    uint64_t bytes;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(reopen(f), E_OK);
    append(f, 40000);
    limit_file_size(SEGMENT_BYTES / 2);
    enum err_code rc = journal_reserve(f->journal, 40000, &f->err);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(rc, E_UNAVAILABLE);
    assert_non_null(strstr(f->err.msg, "File too large"));
    assert_int_equal(count_files(f, &bytes), 1);
    append(f, 100); /* what fits into the old segment is still taken */
    append(f, 40000);
    assert_int_equal(reopen(f), E_OK);
    assert_whole_up_to(f, 3);
}

static void after_a_failed_append_nothing_is_taken(void **state)
{
    struct fixture *f = *state;
    struct journal_record record = make_record(1, 100);
    assert_int_equal(reopen(f), E_OK);
    append(f, 10);
    assert_int_equal(journal_reserve(f->journal, 100, &f->err), E_OK);
    limit_file_size(SEGMENT_BLOCK);
    enum err_code rc = journal_append(f->journal, &record, &f->err);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(rc, E_IO);
    assert_non_null(strstr(f->err.msg, "00000001.seg"));
    assert_int_equal(journal_reserve(f->journal, 100, &f->err), E_IO);
    assert_int_equal(journal_append(f->journal, &record, &f->err), E_IO);
    assert_int_equal(reopen(f), E_OK);
    assert_whole_up_to(f, 1);
    append(f, 100);
}

/* In a child with mounts of its own. Exit 0 is success; 77: a file system may not be mounted here. */
static int fill_a_small_disk(const char *dir)
{
    struct err err = { 0 };
    struct journal *journal = NULL;
    enum {
        SKIPPED = 77
    };
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        return SKIPPED;
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("small", dir, "tmpfs", 0, "size=200k") != 0) {
        return SKIPPED;
    }
    if (journal_file_open(&journal, dir, BYTES_MAX, &err) != E_OK) {
        return 1;
    }
    enum err_code rc = E_OK;
    for (uint64_t i = 0; rc == E_OK && i < 100; i++) {
        struct journal_record record = make_record(i, 30000);
        rc = journal_reserve(journal, record.entries.len, &err);
        if (rc == E_OK && journal_append(journal, &record, &err) != E_OK) {
            return 2;
        }
    }
    if (rc != E_UNAVAILABLE || strstr(err.msg, "No space left on device") == NULL) {
        return 3;
    }
    uint64_t size = journal_head(journal).size;
    struct journal_record record = make_record(size, 30000);
    if (journal_trim(journal, size, &err) != E_OK ||
        journal_reserve(journal, record.entries.len, &err) != E_OK ||
        journal_append(journal, &record, &err) != E_OK) {
        return 4;
    }
    journal_close(journal);
    if (journal_file_open(&journal, dir, BYTES_MAX, &err) != E_OK ||
        journal_head(journal).size != size + 1) {
        return 5;
    }
    journal_close(journal);
    return 0;
}

static void a_full_disk_is_told_and_gets_over(void **state)
{
    struct fixture *f = *state;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(fill_a_small_disk(f->dir));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The entries of a tile that is not full are nowhere else, so no trim makes room: 255 of the largest
 * must fit, however their commits waste the ends of segments, and then the commit that fills it. */
static void the_smallest_journal_holds_a_partial_tile(void **state)
{
    struct fixture *f = *state;
    enum {
        ENTRY = 2 + ENTRY_BYTES_MAX,
        COMMITS = 5
    };
    static const unsigned tails[][COMMITS] = { { 1, 127, 1, 126, 127 },
                                               { 60, 127, 60, 8, 127 },
                                               { 127, 1, 127, 0, 127 } };
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        close_journal(f);
        files_remove_tree(f->dir);
        f->dir = files_make_temp_dir();
        assert_int_equal(journal_file_open(&f->journal, f->dir, JOURNAL_BYTES_MIN, &f->err), E_OK);
        append(f, COMMIT_BYTES_MAX); /* of full tiles, but for its last entry: one segment full */
        append(f, COMMIT_BYTES_MAX - SEGMENT_BLOCK * 5);
        for (size_t j = 0; j < COMMITS; j++) {
            if (tails[i][j] > 0) {
                append(f, (size_t)tails[i][j] * ENTRY);
            }
        }
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_torn_record_is_cut_at_every_byte),
        CASE(a_torn_record_of_many_blocks_is_cut),
        CASE(a_record_without_its_first_block_is_cut),
        CASE(a_flipped_bit_before_the_last_record_is_corruption),
        CASE(a_damaged_segment_header_is_corruption),
        CASE(an_older_segment_has_no_torn_tail),
        CASE(an_empty_successor_vouches_for_the_segment_before),
        CASE(a_missing_segment_is_named),
        CASE(a_renamed_segment_is_corruption),
        CASE(an_empty_segment_file_is_corruption),
        CASE(a_foreign_file_is_named),
        CASE(a_missing_directory_is_an_error),
        CASE(used_segments_keep_their_past_to_themselves),
        CASE(an_entry_cannot_pass_for_a_record),
        CASE(a_prewritten_segment_has_its_blocks),
        CASE(a_commit_writes_its_own_blocks_only),
        CASE(a_large_record_gets_a_large_segment),
        CASE(an_unused_segment_grows),
        CASE(a_half_prewritten_file_is_removed),
        CASE(no_space_is_told_before_the_commit),
        CASE(after_a_failed_append_nothing_is_taken),
        CASE(a_full_disk_is_told_and_gets_over),
        CASE(the_smallest_journal_holds_a_partial_tile),
    };
    log_set_level(LOG_LEVEL_ERROR); /* cut tails are expected here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
