/* What a core dump would show: after a payload has been made, written, sealed, read and cleared, no writable memory
 * of the process holds its values or salts. What is looked for is kept masked, or it would find itself. */
#include "base/alloc.h"
#include "base/ascii.h"
#include "store/sealed_file.h"
#include "tests/support/record_world.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    MASK = 0x5a,
    NEEDLE_MAX = 64,
    NEEDLES = 5,
    CHUNK_BYTES = 1024 * 1024,
};

struct needle {
    uint8_t masked[NEEDLE_MAX];
    size_t len;
};

static struct needle needles[NEEDLES];
static size_t needle_count;
static uint8_t chunk[CHUNK_BYTES];

/* Literals are in read-only memory, which is not searched. */
static void add_needle(struct span plain)
{
    struct needle *needle = &needles[needle_count++];
    assert_true(plain.len >= 8 && plain.len <= NEEDLE_MAX && needle_count <= NEEDLES);
    needle->len = plain.len;
    for (size_t i = 0; i < plain.len; i++) {
        needle->masked[i] = plain.data[i] ^ MASK;
    }
}

static bool is_at(const uint8_t *bytes, const struct needle *needle)
{
    for (size_t i = 0; i < needle->len; i++) {
        if ((bytes[i] ^ MASK) != needle->masked[i]) {
            return false;
        }
    }
    return true;
}

/* Chunks overlap, so that nothing is missed between two. Counts into `found`. */
static void search_region(int memory, uintptr_t from, uintptr_t to, size_t found[static NEEDLES])
{
    for (uintptr_t at = from; at < to; at += CHUNK_BYTES - NEEDLE_MAX) {
        size_t len = to - at < CHUNK_BYTES ? to - at : (size_t)CHUNK_BYTES;
        ssize_t n = pread(memory, chunk, len, (off_t)at);
        for (ssize_t i = 0; i + NEEDLE_MAX <= n; i++) {
            uintptr_t address = at + (uintptr_t)i;
            bool is_ours = address >= (uintptr_t)chunk && address < (uintptr_t)chunk + CHUNK_BYTES;
            for (size_t k = 0; !is_ours && k < needle_count; k++) {
                found[k] += is_at(chunk + i, &needles[k]);
            }
        }
    }
    crypto_wipe(chunk, sizeof chunk);
}

/* Not in larger regions than a test has: those are a sanitizer's own. */
static void search(size_t found[static NEEDLES])
{
    FILE *maps = fopen("/proc/self/maps", "re");
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    assert_non_null(maps);
    assert_true(memory >= 0);
    uintptr_t from[1024], to[1024];
    size_t count = 0;
    char line[512], mode[8];
    while (fgets(line, sizeof line, maps) != NULL && count < 1024) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &from[count], &to[count], mode) == 3 &&
            mode[0] == 'r' && mode[1] == 'w' && to[count] - from[count] < UINT64_C(1) << 26) {
            count++;
        }
    }
    fclose(maps);
    memset(found, 0, NEEDLES * sizeof *found);
    for (size_t i = 0; i < count; i++) {
        search_region(memory, from[i], to[i], found);
    }
    close(memory);
}

static void wipe(struct buf *buf)
{
    crypto_wipe(buf->data, buf->cap);
    buf_clear(buf);
}

static void add_salt_needles(const struct payload *payload)
{
    struct buf hex = BUF_INIT(2 * FIELD_SALT_BYTES);
    hex_put(&hex, SPAN_OF_ARRAY(payload->salts[FIELD_DEBTOR]));
    add_needle(buf_span(&hex));
    add_needle(SPAN_OF_ARRAY(payload->salts[FIELD_DEBTOR]));
    wipe(&hex);
}

/* All that a submitter does with a payload. */
__attribute__((noinline)) static void live(void)
{
    struct payload payload, again;
    struct disclosure disclosure;
    struct disclosure_verdict verdict;
    struct sealed_key key;
    struct err err;
    struct buf json = BUF_INIT(PAYLOAD_BYTES_MAX), sealed = BUF_INIT(PAYLOAD_BYTES_MAX + 256),
               plain = BUF_INIT(PAYLOAD_BYTES_MAX), shown = BUF_INIT(DISCLOSURE_BYTES_MAX);
    crypto_random(key.bytes, sizeof key.bytes);
    record_world_make(&payload, RECORD_WORLD_FREEZE("true"), 1);
    add_salt_needles(&payload);
    payload_put(&json, &payload);
    sealed_file_put(&sealed, CIPHER_AES_256_GCM, &key, buf_span(&json));
    assert_int_equal(sealed_file_take(&plain, &key, buf_span(&sealed), &err), E_OK);
    payload_init(&again);
    assert_int_equal(payload_parse(&again, buf_span(&plain), &err), E_OK);
    disclosure_init(&disclosure);
    disclosure_make(&disclosure, &again, UINT32_MAX, true, span_of(NULL, 0));
    disclosure_put(&shown, &disclosure);
    disclosure_clear(&disclosure);
    assert_int_equal(disclosure_parse(&disclosure, buf_span(&shown), &err), E_OK);
    assert_int_equal(disclosure_verify(&verdict, &disclosure, &err), E_OK);
    disclosure_verdict_clear(&verdict);
    disclosure_clear(&disclosure);
    payload_clear(&again);
    payload_clear(&payload);
    wipe(&json);
    wipe(&plain);
    wipe(&shown);
    buf_clear(&sealed);
    crypto_wipe(&key, sizeof key);
}

static void the_search_finds_what_is_there(void **state)
{
    (void)state;
    size_t found[NEEDLES];
    char *copy = mem_strdup(RECORD_WORLD_DEBTOR);
    needle_count = 0;
    add_needle(span_of_str(RECORD_WORLD_DEBTOR));
    search(found);
    assert_true(found[0] > 0);
    crypto_wipe(copy, strlen(RECORD_WORLD_DEBTOR));
    mem_free(copy);
    search(found);
    assert_int_equal(found[0], 0);
}

static void nothing_of_a_payload_stays_in_memory(void **state)
{
    (void)state;
    size_t found[NEEDLES];
    needle_count = 0;
    add_needle(span_of_str(RECORD_WORLD_DEBTOR));
    add_needle(span_of_str("account 6200990100000017"));
    add_needle(span_of_str("6200990100000017"));
    live();
    search(found);
    for (size_t i = 0; i < needle_count; i++) {
        if (found[i] != 0) {
            fail_msg("needle %zu is in memory %zu times", i, found[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_finds_what_is_there),
        cmocka_unit_test(nothing_of_a_payload_stays_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
