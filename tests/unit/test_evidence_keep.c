/* The evidence that a witness holds: what is kept, what is not, and what a restart finds. */
#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "tests/support/files.h"
#include "tests/support/tree_log.h"
#include "witness/evidence_keep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char *dir;  /* temporary */
    char *path; /* of the keep, which makes it */
    struct evidence_keep *keep;
    struct tree_log log;
    struct buf file;
};

static void open_keep(struct fixture *f)
{
    struct err err;
    assert_int_equal(evidence_keep_open(&f->keep, f->path, &err), E_OK);
}

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->dir = files_make_temp_dir();
    f->path = files_join(f->dir, "evidence");
    f->log = tree_log_make("log.example.org", "the log");
    buf_init(&f->file, EVIDENCE_BYTES_MAX);
    open_keep(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    evidence_keep_close(f->keep);
    buf_clear(&f->file);
    signer_clear(&f->log.signer);
    free(f->path);
    files_remove_tree(f->dir);
    mem_free(f);
    return 0;
}

/* Makes f->file: two roots of one size. */
static void make_fork(struct fixture *f, const struct tree_log *log, uint64_t size)
{
    struct buf notes[2] = { BUF_INIT(4096), BUF_INIT(4096) };
    const struct vkey *key = &log->signer.vkey;
    struct err err;
    for (uint8_t i = 0; i < 2; i++) {
        struct hash root = { { i, (uint8_t)size } };
        tree_log_put_note(&notes[i], log, size, &root);
    }
    buf_reset(&f->file);
    assert_int_equal(evidence_put_fork(&f->file, buf_span(&notes[0]), buf_span(&notes[1]), NULL,
                                       NULL, &key, 1, &err),
                     E_OK);
    buf_clear(&notes[0]);
    buf_clear(&notes[1]);
}

static bool add(struct fixture *f, uint64_t size)
{
    struct err err;
    bool is_new = false;
    make_fork(f, &f->log, size);
    assert_int_equal(evidence_keep_add(f->keep, f->log.signer.vkey.name, buf_span(&f->file),
                                       &is_new, &err),
                     E_OK);
    return is_new;
}

static size_t count(struct fixture *f)
{
    struct evidence_item *items;
    size_t n = evidence_keep_list(f->keep, &items);
    mem_free(items);
    return n;
}

/* The path of what was added last; the caller frees it. */
static char *last_path(struct fixture *f)
{
    struct hash origin = sha256(span_of_str(f->log.signer.vkey.name));
    struct hash id = sha256(buf_span(&f->file));
    struct buf path = BUF_INIT(4096);
    buf_put_str(&path, f->path);
    buf_put_u8(&path, '/');
    hex_put(&path, hash_span(&origin));
    buf_put_u8(&path, '/');
    hex_put(&path, hash_span(&id));
    char *text = mem_strdup(buf_c_str(&path));
    buf_clear(&path);
    return text;
}

static void evidence_keep_says_what_it_holds(void **state)
{
    struct fixture *f = *state;
    struct evidence_item *items;
    struct buf read = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct err err;
    assert_int_equal(count(f), 0);
    assert_true(add(f, 7));
    assert_int_equal(evidence_keep_list(f->keep, &items), 1);
    struct hash id = sha256(buf_span(&f->file)), origin = sha256(span_of_str("log.example.org"));
    assert_string_equal(items[0].origin, "log.example.org");
    assert_true(hash_is_equal(&items[0].origin_hash, &origin));
    assert_true(hash_is_equal(&items[0].id, &id));
    assert_int_equal(items[0].kind, EVIDENCE_FORK);
    assert_int_equal(items[0].size_a, 7);
    assert_int_equal(items[0].size_b, 7);
    assert_in_range(items[0].first_seen_s, 1700000000, UINT32_MAX);
    assert_int_equal(evidence_keep_read(f->keep, &origin, &id, &read, &err), E_OK);
    assert_true(span_is_equal(buf_span(&read), buf_span(&f->file)));
    id.bytes[0] ^= 1;
    assert_int_equal(evidence_keep_read(f->keep, &origin, &id, &read, &err), E_NOT_FOUND);
    buf_clear(&read);
    mem_free(items);
}

static void evidence_keep_has_each_piece_once(void **state)
{
    struct fixture *f = *state;
    assert_true(add(f, 7));
    assert_false(add(f, 7));
    assert_true(add(f, 8));
    assert_int_equal(count(f), 2);
    assert_int_equal(evidence_keep_count(f->keep), 2);
}

static void evidence_keep_caps_each_origin_by_itself(void **state)
{
    struct fixture *f = *state;
    for (uint64_t size = 1; size <= EVIDENCE_KEEP_MAX + 5; size++) {
        assert_int_equal(add(f, size), size <= EVIDENCE_KEEP_MAX);
    }
    assert_int_equal(count(f), EVIDENCE_KEEP_MAX);
    assert_int_equal(evidence_keep_count(f->keep), EVIDENCE_KEEP_MAX + 5);
    struct hash full = sha256(span_of_str("log.example.org"));
    struct hash empty = sha256(span_of_str("another.example.org"));
    assert_true(evidence_keep_is_full(f->keep, &full));
    assert_false(evidence_keep_is_full(f->keep, &empty));
    struct tree_log another = tree_log_make("another.example.org", "another");
    make_fork(f, &another, 3);
    struct err err;
    bool is_new = false;
    assert_int_equal(evidence_keep_add(f->keep, "another.example.org", buf_span(&f->file), &is_new,
                                       &err),
                     E_OK);
    assert_true(is_new);
    signer_clear(&another.signer);
}

static void evidence_keep_refuses_what_is_no_evidence(void **state)
{
    struct fixture *f = *state;
    struct err err;
    bool is_new = false;
    assert_int_equal(evidence_keep_add(f->keep, "log.example.org", span_of_str("nonsense"), &is_new,
                                       &err),
                     E_MALFORMED);
    assert_false(is_new);
    assert_int_equal(count(f), 0);
    assert_int_equal(evidence_keep_count(f->keep), 0);
}

static void evidence_keep_has_all_after_a_restart(void **state)
{
    struct fixture *f = *state;
    for (uint64_t size = 1; size <= EVIDENCE_KEEP_MAX - 1; size++) {
        assert_true(add(f, size));
    }
    evidence_keep_close(f->keep);
    open_keep(f);
    assert_int_equal(count(f), EVIDENCE_KEEP_MAX - 1);
    assert_int_equal(evidence_keep_count(f->keep), 0); /* since the start */
    assert_false(add(f, 3));
    assert_true(add(f, 100));
    assert_false(add(f, 101));
}

static void set_time(const char *path, time_t seconds)
{
    struct timespec times[2] = { { seconds, 0 }, { seconds, 0 } };
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void evidence_keep_lists_the_oldest_first(void **state)
{
    struct fixture *f = *state;
    for (uint64_t size = 1; size <= 5; size++) {
        add(f, size);
        char *path = last_path(f);
        set_time(path, (time_t)(1700000000 + 100 * (size * 3 % 5)));
        mem_free(path);
    }
    evidence_keep_close(f->keep);
    open_keep(f);
    struct evidence_item *items;
    assert_int_equal(evidence_keep_list(f->keep, &items), 5);
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(items[i].first_seen_s, 1700000000 + 100 * i);
        assert_int_equal(items[i].size_a * 3 % 5, i);
    }
    mem_free(items);
}

/* A damaged file is not in the list, hides no other, is never handed out, and is written anew when the
 * same is found again. */
static void evidence_keep_skips_what_is_damaged(void **state)
{
    struct fixture *f = *state;
    struct buf read = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct err err;
    add(f, 1);
    add(f, 2);
    char *path = last_path(f);
    struct hash origin = sha256(span_of_str("log.example.org")), id = sha256(buf_span(&f->file));
    f->file.data[f->file.len / 2] ^= 1;
    files_write(path, buf_span(&f->file));
    assert_int_equal(evidence_keep_read(f->keep, &origin, &id, &read, &err), E_CORRUPT);
    evidence_keep_close(f->keep);
    open_keep(f);
    assert_int_equal(count(f), 1);
    assert_int_equal(evidence_keep_read(f->keep, &origin, &id, &read, &err), E_CORRUPT);
    assert_true(add(f, 2));
    assert_int_equal(count(f), 2);
    assert_int_equal(evidence_keep_read(f->keep, &origin, &id, &read, &err), E_OK);
    assert_true(span_is_equal(buf_span(&read), buf_span(&f->file)));
    buf_clear(&read);
    mem_free(path);
}

static void put_beside(struct fixture *f, const char *name, struct span bytes)
{
    char *path = last_path(f);
    struct buf beside = BUF_INIT(4096);
    buf_put(&beside, span_of(path, (size_t)(strrchr(path, '/') + 1 - path)));
    buf_put_str(&beside, name);
    files_write(buf_c_str(&beside), bytes);
    buf_clear(&beside);
    mem_free(path);
}

static void evidence_keep_skips_what_it_did_not_put_there(void **state)
{
    struct fixture *f = *state;
    add(f, 1);
    put_beside(f, "README", span_of_str("hello"));
    put_beside(f, "12-3.tmp", span_of_str("half a fi"));
    put_beside(f, "0000000000000000000000000000000000000000000000000000000000000000",
               buf_span(&f->file)); /* genuine, under another name */
    char *stray = files_join(f->path, "notes.txt");
    files_write(stray, span_of_str("x"));
    free(stray);
    evidence_keep_close(f->keep);
    open_keep(f);
    assert_int_equal(count(f), 1);
}

static void evidence_keep_needs_its_directory(void **state)
{
    struct fixture *f = *state;
    char *path = files_join(f->dir, "a file");
    struct evidence_keep *keep = NULL;
    struct err err;
    files_write(path, span_of_str(""));
    assert_int_equal(evidence_keep_open(&keep, path, &err), E_IO);
    assert_null(keep);
    free(path);
}

/* Each new piece is one line that nobody overlooks. */
static void evidence_keep_is_loud(void **state)
{
    struct fixture *f = *state;
    char *path = files_join(f->dir, "stderr");
    struct buf said = BUF_INIT(65536);
    struct err err;
    int saved = dup(STDERR_FILENO);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(saved >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    add(f, 6);
    add(f, 6);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
    assert_int_equal(file_read(&said, path, &err), E_OK);
    struct span text = buf_span(&said), line;
    assert_true(span_take_until(&text, '\n', &line));
    assert_int_equal(text.len, 0);
    assert_int_not_equal(span_find(line, span_of_str(" level=error event=evidence kind=fork "
                                                     "origin=\"log.example.org\" size_a=6")),
                         SIZE_MAX);
    buf_clear(&said);
    free(path);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(evidence_keep_says_what_it_holds),
        CASE(evidence_keep_has_each_piece_once),
        CASE(evidence_keep_caps_each_origin_by_itself),
        CASE(evidence_keep_refuses_what_is_no_evidence),
        CASE(evidence_keep_has_all_after_a_restart),
        CASE(evidence_keep_lists_the_oldest_first),
        CASE(evidence_keep_skips_what_is_damaged),
        CASE(evidence_keep_skips_what_it_did_not_put_there),
        CASE(evidence_keep_needs_its_directory),
        CASE(evidence_keep_is_loud),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
