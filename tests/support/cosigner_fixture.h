/* cosigner_fixture.h -- a witness that knows one log, and that log with two histories: for tests of the
 * cosigner, with cmocka.
 *
 * One thread. The including file has cmocka's headers before it.
 */
#ifndef SUPPORT_COSIGNER_FIXTURE_H
#define SUPPORT_COSIGNER_FIXTURE_H

#include "base/log.h"
#include "tests/support/witness_world.h"

enum {
    BODY_MAX = ADD_CHECKPOINT_BYTES_MAX
};

static const char fixture_origin[] = "log.example.org/1";

struct cosigner_fixture {
    char *dir;
    struct world_store *store;
    struct world world;
    struct tree_log log;   /* ten leaves */
    struct tree_log other; /* the same log with another history from the third leaf on */
    struct known_log *known;
    struct buf body;
};

static inline int cosigner_setup(void **state)
{
    struct cosigner_fixture *f = NEW(struct cosigner_fixture);
    f->dir = files_make_temp_dir();
    f->store = world_store_new();
    buf_init(&f->body, 2 * BODY_MAX);
    f->log = tree_log_make(fixture_origin, "the log");
    for (uint64_t i = 0; i < 10; i++) {
        tree_log_add(&f->log, i);
    }
    f->other = f->log;
    for (size_t i = 2; i < 10; i++) {
        f->other.leaves[i].bytes[0] ^= 1;
    }
    world_start(&f->world, f->store, f->dir, 1);
    f->known = world_add_log(&f->world, &f->log);
    *state = f;
    return 0;
}

static inline int cosigner_teardown(void **state)
{
    struct cosigner_fixture *f = *state;
    world_stop(&f->world);
    world_store_free(f->store);
    signer_clear(&f->log.signer);
    buf_clear(&f->body);
    files_remove_tree(f->dir);
    mem_free(f);
    return 0;
}

static inline void restart(struct cosigner_fixture *f, size_t key_count)
{
    world_stop(&f->world);
    world_start(&f->world, f->store, f->dir, key_count);
    f->known = world_add_log(&f->world, &f->log);
}

static inline struct world_answer post(struct cosigner_fixture *f, const char *text)
{
    return world_submit(&f->world, span_of_str(text));
}

static inline struct world_answer ask(struct cosigner_fixture *f, const struct tree_log *log,
                                      uint64_t old_size, uint64_t size)
{
    buf_reset(&f->body);
    tree_log_put_request(&f->body, log, old_size, size);
    return world_submit(&f->world, buf_span(&f->body));
}

/* With any proof and root, under the log's signature. */
static inline struct world_answer ask_with(struct cosigner_fixture *f, uint64_t old_size,
                                           const struct proof *proof, uint64_t size,
                                           const struct hash *root)
{
    struct buf note = BUF_INIT(4096);
    buf_reset(&f->body);
    tree_log_put_note(&note, &f->log, size, root);
    add_checkpoint_put(&f->body, old_size, proof, buf_span(&note));
    buf_clear(&note);
    return world_submit(&f->world, buf_span(&f->body));
}

static inline uint64_t assert_signed(struct cosigner_fixture *f, const struct world_answer *answer,
                                     const struct tree_log *log, uint64_t size)
{
    struct hash root = tree_log_root(log, size);
    uint64_t timestamp = 0;
    assert_int_equal(answer->refusal, REFUSED_NONE);
    assert_true(world_is_signed(&f->world, span_of(answer->lines, answer->lines_len),
                                fixture_origin, size, &root, &timestamp));
    return timestamp;
}

static inline void assert_stored(struct cosigner_fixture *f, const struct tree_log *log,
                                 uint64_t size)
{
    struct origin_state state;
    struct hash root = tree_log_root(log, size);
    struct err err;
    assert_int_equal(ledger_state(f->world.ledger, &f->known->origin_hash, &state, &err), E_OK);
    assert_int_equal(state.size, size);
    assert_true(hash_is_equal(&state.root, &root));
}

static inline size_t evidence_count(struct cosigner_fixture *f)
{
    struct evidence_item *items;
    size_t count = evidence_keep_list(f->world.evidence, &items);
    mem_free(items);
    return count;
}

/* All that is kept convinces a stranger who knows the log's key. */
static inline void assert_evidence_verifies(struct cosigner_fixture *f)
{
    struct evidence_item *items;
    size_t count = evidence_keep_list(f->world.evidence, &items);
    const struct vkey *key = &f->log.signer.vkey;
    for (size_t i = 0; i < count; i++) {
        struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
        struct evidence evidence;
        struct evidence_verdict verdict;
        struct err err;
        assert_int_equal(evidence_keep_read(f->world.evidence, &items[i].origin_hash, &items[i].id,
                                            &file, &err),
                         E_OK);
        assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
        assert_int_equal(evidence_verify(&evidence, &key, 1, &verdict, &err), E_OK);
        buf_clear(&file);
    }
    mem_free(items);
}

static inline struct world_answer ask_signed_text(struct cosigner_fixture *f, uint64_t old_size,
                                                  const char *text)
{
    struct buf note = BUF_INIT(4096);
    struct proof none = { .count = 0 };
    buf_reset(&f->body);
    keys_put_signed(&note, span_of_str(text), &f->log.signer, 0);
    add_checkpoint_put(&f->body, old_size, &none, buf_span(&note));
    buf_clear(&note);
    return world_submit(&f->world, buf_span(&f->body));
}

#endif
