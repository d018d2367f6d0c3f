/* Also of exported_notes.h, which reads them at start, and of contradiction.h, which is alike. */
#include "logd/exported.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "logd/contradiction.h"
#include "logd/exported_notes.h"
#include "tests/support/files.h"
#include "tests/support/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *dir;
static struct signer signer;

static int set_up(void **state)
{
    (void)state;
    dir = files_make_temp_dir();
    signer = keys_signer("log.example/test", SIGNATURE_ED25519, "log");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    files_remove_tree(dir);
    signer_clear(&signer);
    return 0;
}

static void write_note(uint64_t file_size, uint64_t size, const struct signer *by)
{
    struct checkpoint checkpoint = { .origin = "log.example/test", .size = size };
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX), note = BUF_INIT(NOTE_BYTES_MAX);
    struct err err;
    checkpoint.root = merkle_empty_root();
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(&note, buf_span(&text), by, 0);
    assert_int_equal(exported_write(dir, file_size, buf_span(&note), &err), E_OK);
    buf_clear(&text);
    buf_clear(&note);
}

static void write_file(const char *name, const char *text)
{
    char *path = file_join(dir, name);
    files_write(path, span_of_str(text));
    mem_free(path);
}

struct seen {
    size_t count;
    uint64_t sum;
    enum err_code rc; /* to be answered */
};

static enum err_code see(void *ctx, uint64_t size, struct span note, struct err *err)
{
    struct seen *seen = ctx;
    (void)err;
    assert_true(note.len > 0);
    seen->count++;
    seen->sum += size;
    return seen->rc;
}

static struct seen read_all(void)
{
    struct seen seen = { 0, 0, E_OK };
    struct err err;
    assert_int_equal(exported_read(dir, see, &seen, &err), E_OK);
    return seen;
}

static void exported_files_come_back(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(read_all().count, 0); /* there is no directory yet */
    assert_int_equal(exported_write(dir, 7, span_of_str("a"), &err), E_OK);
    assert_int_equal(exported_write(dir, 7, span_of_str("b"), &err), E_OK);
    assert_int_equal(exported_write(dir, 300, span_of_str("c"), &err), E_OK);
    write_file("exported/007", "x");
    write_file("exported/nine", "x");
    write_file("exported/7.tmp", "x");
    struct seen seen = read_all();
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.sum, 307);
    struct seen failing = { 0, 0, E_CORRUPT };
    assert_int_equal(exported_read(dir, see, &failing, &err), E_CORRUPT);
    assert_int_equal(failing.count, 1);
    struct stat status;
    char *path = file_join(dir, "exported");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    mem_free(path);
}

static void exported_others_are_removed(void **state)
{
    (void)state;
    static const uint64_t kept[] = { 3, 5, 11 };
    struct err err;
    exported_remove_others(dir, kept, 3);
    for (uint64_t size = 0; size < 8; size++) {
        assert_int_equal(exported_write(dir, size, span_of_str("x"), &err), E_OK);
    }
    exported_remove_others(dir, kept, 3);
    struct seen seen = read_all();
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.sum, 8);
}

static void exported_notes_are_ours_or_left_out(void **state)
{
    (void)state;
    struct signer other = keys_signer("log.example/test", SIGNATURE_ED25519, "other");
    struct exported_notes notes;
    struct err err;
    write_note(0, 0, &signer);
    write_note(4, 4, &signer);
    write_note(5, 5, &other);
    write_note(6, 7, &signer); /* not what its name says */
    assert_int_equal(exported_write(dir, 9, span_of_str("garbage"), &err), E_OK);
    assert_int_equal(exported_notes_read(&notes, dir, &signer.vkey, &err), E_OK);
    assert_int_equal(notes.count, 2);
    uint64_t sum = notes.items[0].checkpoint.size + notes.items[1].checkpoint.size;
    assert_int_equal(sum, 4);
    exported_notes_clear(&notes);
    signer_clear(&other);
}

static void exported_notes_are_the_largest(void **state)
{
    (void)state;
    struct exported_notes notes;
    struct recovery_sizes sizes = { .count = 0 };
    struct err err;
    for (uint64_t size = 0; size < 3 * ROUND_PINNED; size++) {
        write_note(size, size, &signer);
    }
    assert_int_equal(exported_notes_read(&notes, dir, &signer.vkey, &err), E_OK);
    assert_int_equal(notes.count, ROUND_PINNED);
    for (size_t i = 0; i < notes.count; i++) {
        assert_in_range(notes.items[i].checkpoint.size, 2 * ROUND_PINNED, 3 * ROUND_PINNED - 1);
    }
    exported_notes_wanted_sizes(&notes, &sizes);
    assert_int_equal(sizes.count, ROUND_PINNED);
    exported_notes_clear(&notes);
}

static void contradiction_is_there_from_then_on(void **state)
{
    (void)state;
    bool is_there = true;
    struct err err;
    assert_int_equal(contradiction_exists(dir, &is_there, &err), E_OK);
    assert_false(is_there);
    for (int i = 0; i < 2; i++) { /* again is no error */
        assert_int_equal(contradiction_keep(dir, span_of_str("theirs"), span_of_str("ours"), &err),
                         E_OK);
        assert_int_equal(contradiction_exists(dir, &is_there, &err), E_OK);
        assert_true(is_there);
    }
    struct buf path = BUF_INIT(4096), bytes = BUF_INIT(100);
    struct hash id = sha256(span_of_str("theirs"));
    buf_putf(&path, "%s/contradiction/", dir);
    hex_put(&path, span_of(id.bytes, 8));
    size_t len = path.len;
    buf_put_str(&path, ".theirs");
    assert_int_equal(file_read(&bytes, buf_c_str(&path), &err), E_OK);
    buf_truncate(&path, len);
    buf_put_str(&path, ".ours");
    assert_int_equal(file_read(&bytes, buf_c_str(&path), &err), E_OK);
    assert_string_equal(buf_c_str(&bytes), "theirsours");
    buf_clear(&path);
    buf_clear(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exported_files_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(exported_others_are_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(exported_notes_are_ours_or_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(exported_notes_are_the_largest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(contradiction_is_there_from_then_on, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
