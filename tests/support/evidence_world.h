/* evidence_world.h -- two histories of one log, all the keys that evidence may be judged by, and ways to
 * tamper with files. For unit tests of evidence*.c. */
#ifndef SUPPORT_EVIDENCE_WORLD_H
#define SUPPORT_EVIDENCE_WORLD_H

#include "base/ascii.h"
#include "evidence/evidence.h"
#include "tests/support/keys.h"
#include "tests/support/reference.h"
#include "tlog/promise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    WORLD_SIZE = 20,
    WORLD_PARTED = 5, /* the first leaf in which the two trees differ */
    WORLD_TEXT_MAX = 4 * EVIDENCE_BYTES_MAX,
    WORLD_NOW = 1700000000,
};

#define WORLD_ORIGIN       "log.example"
#define WORLD_OTHER_ORIGIN "other.example"
#define WORLD_HASH         "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="

static struct reference_tree *world_honest, *world_forked;

/* In the order of world_keys. */
enum {
    LOG_KEY,
    SECOND_LOG_KEY,
    PROMISE_KEY,
    OTHER_LOG_KEY,
    OTHER_PROMISE_KEY,
    WITNESS_KEY,
    OTHER_WITNESS_KEY,
    WITNESS_AS_LOG, /* a cosigner's key under the name of the log */
    MONITOR_KEY,
    WORLD_KEYS,
};
static struct signer world_signers[WORLD_KEYS];
static const struct vkey *world_keys[WORLD_KEYS]; /* the mixed bag of a policy, and a monitor's */
/* Nobody knows these: names of the log, its promise key, the witness and the monitor, other keys. */
static struct signer world_strangers[4];

static int world_set_up(void **state)
{
    static const struct {
        const char *name;
        enum signature_type type;
    } keys[] = {
        [LOG_KEY] = { WORLD_ORIGIN, SIGNATURE_ED25519 },
        [SECOND_LOG_KEY] = { WORLD_ORIGIN, SIGNATURE_ED25519 },
        [PROMISE_KEY] = { WORLD_ORIGIN "/promise", SIGNATURE_ED25519 },
        [OTHER_LOG_KEY] = { WORLD_OTHER_ORIGIN, SIGNATURE_ED25519 },
        [OTHER_PROMISE_KEY] = { WORLD_OTHER_ORIGIN "/promise", SIGNATURE_ED25519 },
        [WITNESS_KEY] = { "w.example", SIGNATURE_COSIGNATURE },
        [OTHER_WITNESS_KEY] = { "v.example", SIGNATURE_COSIGNATURE },
        [WITNESS_AS_LOG] = { WORLD_ORIGIN, SIGNATURE_COSIGNATURE },
        [MONITOR_KEY] = { "m.example", SIGNATURE_ED25519 },
    };
    static const size_t imitated[] = { LOG_KEY, PROMISE_KEY, WITNESS_KEY, MONITOR_KEY };
    (void)state;
    world_honest = reference_of_bytes(WORLD_SIZE);
    world_forked = reference_new();
    for (size_t i = 0; i < WORLD_SIZE; i++) {
        uint8_t byte = (uint8_t)(i == WORLD_PARTED ? 0xff : i);
        reference_add(world_forked, span_of(&byte, 1));
    }
    for (size_t i = 0; i < WORLD_KEYS; i++) {
        char secret[16];
        snprintf(secret, sizeof secret, "key %zu", i);
        world_signers[i] = keys_signer(keys[i].name, keys[i].type, secret);
        world_keys[i] = &world_signers[i].vkey;
    }
    for (size_t i = 0; i < 4; i++) {
        world_strangers[i] =
            keys_signer(keys[imitated[i]].name, keys[imitated[i]].type, "stranger");
    }
    return 0;
}

static int world_tear_down(void **state)
{
    (void)state;
    mem_free(world_honest);
    mem_free(world_forked);
    for (size_t i = 0; i < WORLD_KEYS; i++) {
        signer_clear(&world_signers[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        signer_clear(&world_strangers[i]);
    }
    return 0;
}

/* -- notes and proofs -- */

static inline struct buf world_text(struct reference_tree *tree, size_t size, const char *origin)
{
    struct buf text = BUF_INIT(WORLD_TEXT_MAX);
    struct checkpoint checkpoint = { .size = size, .root = reference_mth(tree, 0, size) };
    memcpy(checkpoint.origin, origin, strlen(origin) + 1);
    checkpoint_put(&text, &checkpoint);
    return text;
}

/* Takes the text. */
static inline struct buf world_sign(struct buf text, const struct signer *signer, uint64_t time)
{
    struct buf note = BUF_INIT(WORLD_TEXT_MAX);
    keys_put_signed(&note, buf_span(&text), signer,
                    signer->vkey.type == SIGNATURE_COSIGNATURE ? time : 0);
    buf_clear(&text);
    return note;
}

static inline struct buf world_note(struct reference_tree *tree, size_t size, size_t key,
                                    uint64_t time)
{
    return world_sign(world_text(tree, size, WORLD_ORIGIN), &world_signers[key], time);
}

static inline struct proof world_consistency(struct reference_tree *tree, size_t from, size_t to)
{
    struct reference_source state = { tree, to, 0, SIZE_MAX };
    struct merkle_source source = reference_source(&state);
    struct proof proof;
    struct err err;
    assert_int_equal(proof_make_consistency(&proof, &source, from, to, &err), E_OK);
    return proof;
}

static inline struct proof world_inclusion(struct reference_tree *tree, size_t index, size_t size)
{
    struct reference_source state = { tree, size, 0, SIZE_MAX };
    struct merkle_source source = reference_source(&state);
    struct proof proof;
    struct err err;
    assert_int_equal(proof_make_inclusion(&proof, &source, index, size, &err), E_OK);
    return proof;
}

/* -- files -- */

/* Writes a file without asking whether it is evidence. `b` may be NULL. */
static inline struct buf world_raw(const char *kind, const struct buf *a, const struct buf *b,
                                   const char *tail)
{
    struct buf file = BUF_INIT(WORLD_TEXT_MAX);
    buf_putf(&file, "courtroll evidence v1\n%s\nnote %zu\n", kind, a->len);
    buf_put(&file, buf_span(a));
    if (b != NULL) {
        buf_putf(&file, "note %zu\n", b->len);
        buf_put(&file, buf_span(b));
    }
    buf_put_str(&file, tail);
    return file;
}

static inline enum err_code world_judge(struct span bytes, struct evidence_verdict *verdict)
{
    struct evidence evidence;
    struct err err;
    enum err_code rc = evidence_parse(&evidence, bytes, &err);
    return rc == E_OK ? evidence_verify(&evidence, world_keys, WORLD_KEYS, verdict, &err) : rc;
}

static inline void world_assert_judged(struct span bytes, enum err_code expected)
{
    struct evidence_verdict verdict = { .keys = { 77 } };
    enum err_code rc = world_judge(bytes, &verdict);
    if (rc != expected) {
        fail_msg("%d instead of %d: %.*s", (int)rc, (int)expected, SPAN_PRINTF(bytes));
    }
    if (rc != E_OK) {
        assert_int_equal(verdict.keys[0], 77);
    }
}

static inline void world_assert_raw(const char *kind, const struct buf *a, const struct buf *b,
                                    const char *tail, enum err_code expected)
{
    struct buf file = world_raw(kind, a, b, tail);
    world_assert_judged(buf_span(&file), expected);
    buf_clear(&file);
}

/* -- tampering -- */

static inline void world_flip_every_bit(struct buf *file)
{
    struct evidence_verdict verdict;
    assert_int_equal(world_judge(buf_span(file), &verdict), E_OK);
    for (size_t i = 0; i < 8 * file->len; i++) {
        file->data[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_not_equal(world_judge(buf_span(file), &verdict), E_OK);
        file->data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

/* A line of a proof that is missing leaves a file that is well-formed and proves nothing. */
static inline void world_truncate_everywhere(struct buf *file, size_t proof_lines)
{
    size_t well_formed = 0;
    for (size_t len = 0; len < file->len; len++) {
        struct evidence_verdict verdict;
        enum err_code rc = world_judge(span_of(file->data, len), &verdict);
        if (rc != E_MALFORMED) {
            assert_int_equal(rc, E_BAD_PROOF);
            assert_int_equal(file->data[len - 1], '\n');
            well_formed++;
        }
    }
    assert_int_equal(well_formed, proof_lines);
}

static inline void world_extend(struct buf *file)
{
    static const char *const tails[] = {
        "\n", " ", "x\n", "note 0\n", "root " WORLD_HASH "\n", "entry 1 " WORLD_HASH "\n"
    };
    size_t len = file->len;
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        buf_put_str(file, tails[i]);
        struct evidence_verdict verdict;
        assert_int_not_equal(world_judge(buf_span(file), &verdict), E_OK);
        buf_truncate(file, len);
    }
    buf_put_u8(file, 0);
    world_assert_judged(buf_span(file), E_MALFORMED);
    buf_truncate(file, len);
}

/* The same bytes as another kind: a line may not change what a file is. */
static inline void world_relabel(const struct buf *file)
{
    static const char *const kinds[] = { "fork", "witness-equivocation", "promise-broken",
                                         "tag-repeated", "observation" };
    struct span rest = buf_span(file), line;
    assert_true(span_take_until(&rest, '\n', &line));
    assert_true(span_take_until(&rest, '\n', &line));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct buf other = BUF_INIT(WORLD_TEXT_MAX);
        struct evidence_verdict verdict;
        buf_putf(&other, "courtroll evidence v1\n%s\n", kinds[i]);
        buf_put(&other, rest);
        assert_true((world_judge(buf_span(&other), &verdict) == E_OK) ==
                    span_is_str(line, kinds[i]));
        buf_clear(&other);
    }
}

#endif
