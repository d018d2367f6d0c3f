/* The life of an add-checkpoint request over the real ledger, guard and workers: the conversation, what
 * is signed and what is stored, floods, and failing writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/cosigner_fixture.h"

/* -- the conversation -- */

static void conversation_begins(struct cosigner_fixture *f)
{
    struct proof none = { .count = 0 };
    struct hash root3 = tree_log_root(&f->log, 3);
    struct world_answer answer = ask(f, &f->log, 0, 1); /* 1 */
    assert_signed(f, &answer, &f->log, 1);

    buf_reset(&f->body); /* 2: the last byte of the signature is another */
    tree_log_put_request(&f->body, &f->log, 1, 3);
    uint8_t *end = f->body.data + f->body.len - 8;
    *end = *end == 'A' ? 'B' : 'A';
    assert_int_equal(world_submit(&f->world, buf_span(&f->body)).refusal, REFUSED_BAD_SIGNATURE);

    struct tree_log stranger = f->log; /* 3 */
    snprintf(stranger.signer.vkey.name, sizeof stranger.signer.vkey.name, "log.example.org/2");
    assert_int_equal(ask(f, &stranger, 1, 3).refusal, REFUSED_UNKNOWN_LOG);

    assert_int_equal(ask_with(f, 1, &none, 3, &root3).refusal, REFUSED_BAD_PROOF); /* 4 */
    struct proof proof = tree_log_proof(&f->log, 1, 3);
    proof.hashes[1].bytes[9] ^= 1;
    assert_int_equal(ask_with(f, 1, &proof, 3, &root3).refusal, REFUSED_BAD_PROOF); /* 5 */
    answer = ask(f, &f->log, 1, 3);                                                 /* 6 */
    assert_signed(f, &answer, &f->log, 3);
}

static void conversation_goes_on(struct cosigner_fixture *f)
{
    struct proof none = { .count = 0 };
    struct world_answer answer = ask(f, &f->log, 1, 5); /* 7 */
    assert_int_equal(answer.refusal, REFUSED_STALE);
    assert_int_equal(answer.stored_size, 3);
    assert_int_equal(atomic_load(&f->world.conflicts), 1);
    answer = ask(f, &f->log, 3, 5); /* 8 */
    uint64_t first = assert_signed(f, &answer, &f->log, 5);
    answer = ask(f, &f->log, 0, 5); /* 9 */
    assert_int_equal(answer.refusal, REFUSED_STALE);
    assert_int_equal(answer.stored_size, 5);
    atomic_fetch_add(&world_now_s, 1);
    answer = ask(f, &f->log, 5, 5); /* 10 */
    assert_int_equal(assert_signed(f, &answer, &f->log, 5), first + 1);
    struct hash wrong = { { 0x2b } };
    assert_int_equal(ask_with(f, 5, &none, 5, &wrong).refusal, REFUSED_ROOT_MISMATCH); /* 11 */
    struct hash root5 = tree_log_root(&f->log, 5);
    struct proof one = { .count = 1 };
    assert_int_equal(ask_with(f, 5, &one, 5, &root5).refusal, REFUSED_UNEXPECTED_PROOF); /* 12 */
    assert_int_equal(ask(f, &f->log, 5, 3).refusal, REFUSED_OLD_ABOVE_SIZE);             /* 13 */
}

/* 14: 400 for what cannot be read, with a good signature where there is one. */
static void conversation_is_malformed(struct cosigner_fixture *f)
{
    struct buf note = BUF_INIT(4096);
    struct buf body = BUF_INIT(BODY_MAX);
    struct hash root = tree_log_root(&f->log, 8);
    tree_log_put_note(&note, &f->log, 8, &root);
    static const char *const starts[] = { "old 05\n\n", "old +5\n\n", "old 5\n", "old 5\nAAAA\n\n",
                                          "5\n\n",      "\n\n",       "",        "old  5\n\n" };
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        buf_reset(&body);
        buf_put_str(&body, starts[i]);
        buf_put(&body, buf_span(&note));
        assert_int_equal(world_submit(&f->world, buf_span(&body)).refusal, REFUSED_MALFORMED);
    }
    buf_reset(&body);
    buf_put_str(&body, "old 5\n");
    for (int i = 0; i < 64; i++) {
        base64_put_hash(&body, &root);
        buf_put_u8(&body, '\n');
    }
    buf_put_u8(&body, '\n');
    buf_put(&body, buf_span(&note));
    assert_int_equal(world_submit(&f->world, buf_span(&body)).refusal, REFUSED_MALFORMED);
    assert_int_equal(post(f, "old 5\n\nlog.example.org/1\n8\n").refusal, REFUSED_MALFORMED);
    buf_clear(&body);
    buf_clear(&note);
}

static void cosigner_holds_the_conversation(void **state)
{
    struct cosigner_fixture *f = *state;
    conversation_begins(f);
    conversation_goes_on(f);
    conversation_is_malformed(f);
    assert_int_equal(ask_signed_text(f, 5, /* 15 */
                                     "log.example.org/1\nfive\n"
                                     "KgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
                         .refusal,
                     REFUSED_MALFORMED);
    struct world_answer answer = ask(f, &f->log, 5, 8); /* 16 */
    assert_signed(f, &answer, &f->log, 8);
    assert_stored(f, &f->log, 8);
    assert_int_equal(f->known->counts[REFUSED_NONE], 5);
    assert_int_equal(f->known->state.size, 8);
    assert_int_equal(evidence_count(f), 1); /* step 11 */
    assert_evidence_verifies(f);
}

static void cosigner_begins_with_the_empty_tree(void **state)
{
    struct cosigner_fixture *f = *state; /* 17 */
    struct hash wrong = { { 1 } }, root5 = tree_log_root(&f->log, 5);
    struct proof none = { .count = 0 }, one = { .count = 1 };
    assert_int_equal(ask_with(f, 0, &none, 0, &wrong).refusal, REFUSED_BAD_EMPTY_ROOT);
    struct world_answer answer = ask(f, &f->log, 0, 0);
    assert_signed(f, &answer, &f->log, 0);
    assert_int_equal(ask_with(f, 0, &one, 5, &root5).refusal, REFUSED_UNEXPECTED_PROOF);
    answer = ask(f, &f->log, 0, 5);
    assert_signed(f, &answer, &f->log, 5);
    assert_int_equal(ask_with(f, 0, &none, 0, &wrong).refusal, REFUSED_STALE);
    assert_int_equal(evidence_count(f), 0); /* size 0 accuses nobody */
}

static void cosigner_goes_on_after_a_restart(void **state)
{
    struct cosigner_fixture *f = *state;
    assert_int_equal(ask(f, &f->log, 0, 4).refusal, REFUSED_NONE);
    restart(f, 1);
    assert_int_equal(f->known->state.size, 4);
    assert_int_equal(ask(f, &f->log, 0, 5).stored_size, 4);
    assert_int_equal(ask(f, &f->other, 4, 5).refusal, REFUSED_BAD_PROOF);
    struct world_answer answer = ask(f, &f->log, 4, 5);
    assert_signed(f, &answer, &f->log, 5);
}

static void cosigner_answers_with_a_line_of_each_key(void **state)
{
    struct cosigner_fixture *f = *state;
    restart(f, 3);
    struct world_answer answer = ask(f, &f->log, 0, 4);
    assert_signed(f, &answer, &f->log, 4);
}

/* -- what is signed and stored -- */

static void cosigner_refuses_extension_lines(void **state)
{
    struct cosigner_fixture *f = *state;
    struct buf text = BUF_INIT(1024);
    struct checkpoint checkpoint = { .size = 4, .root = tree_log_root(&f->log, 4) };
    memcpy(checkpoint.origin, fixture_origin, sizeof fixture_origin);
    checkpoint_put(&text, &checkpoint);
    buf_put_str(&text, "extension\n");
    assert_int_equal(ask_signed_text(f, 0, buf_c_str(&text)).refusal, REFUSED_MALFORMED);
    assert_int_equal(f->known->state.size, 0);
    buf_clear(&text);
}

/* Lines under our own name, under the log's with other IDs, and of strangers: they neither harm, nor are
 * they stored, nor do they come back. */
static void cosigner_is_not_poisoned_by_lines_that_it_did_not_verify(void **state)
{
    struct cosigner_fixture *f = *state;
    buf_reset(&f->body);
    tree_log_put_request(&f->body, &f->log, 0, 4);
    struct signer fake = keys_signer("w.example.org", SIGNATURE_COSIGNATURE, "an impostor");
    fake.vkey = f->world.vkeys[0]; /* our name and ID over another's signature */
    struct signer stranger = keys_signer("x.example.org", SIGNATURE_COSIGNATURE, "a stranger");
    size_t text_from = span_find(buf_span(&f->body), span_of_str(fixture_origin));
    struct span note = span_slice(buf_span(&f->body), text_from, f->body.len - text_from);
    struct span text = span_slice(note, 0, span_find(note, span_of_str("\n\n")) + 1);
    struct buf lines = BUF_INIT(4096);
    keys_put_signature(&lines, text, &fake, world_unix_s() + 5);
    keys_put_signature(&lines, text, &stranger, world_unix_s() + 5);
    struct buf honest = BUF_INIT(4096);
    buf_put(&honest, note);
    buf_put(&f->body, buf_span(&lines));

    struct world_answer answer = world_submit(&f->world, buf_span(&f->body));
    assert_signed(f, &answer, &f->log, 4);
    struct buf stored = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct err err;
    assert_int_equal(ledger_note(f->world.ledger, &f->known->origin_hash, &stored, &err), E_OK);
    buf_put(&honest, span_of(answer.lines, answer.lines_len));
    assert_true(span_is_equal(buf_span(&stored), buf_span(&honest)));

    buf_clear(&stored);
    buf_clear(&honest);
    buf_clear(&lines);
    signer_clear(&fake);
    signer_clear(&stranger);
}

static void cosigner_takes_any_of_a_logs_keys_and_no_bad_line_of_them(void **state)
{
    struct cosigner_fixture *f = *state;
    struct signer second = keys_signer(fixture_origin, SIGNATURE_ED25519, "a second key");
    world_add_key(&f->world, fixture_origin, &second.vkey);
    struct tree_log by_second = f->log;
    by_second.signer = second;
    struct world_answer answer = ask(f, &by_second, 0, 3);
    assert_signed(f, &answer, &f->log, 3);

    buf_reset(&f->body); /* good by the first, bad by the second */
    tree_log_put_request(&f->body, &f->log, 3, 4);
    struct buf line = BUF_INIT(1024);
    keys_put_signature(&line, span_of_str("another text\n"), &second, 0);
    buf_put(&f->body, buf_span(&line));
    assert_int_equal(world_submit(&f->world, buf_span(&f->body)).refusal, REFUSED_BAD_SIGNATURE);
    assert_int_equal(f->known->state.size, 3);
    buf_clear(&line);
    signer_clear(&second);
}

static void cosigner_repeats_the_answer_to_the_same_bytes(void **state)
{
    struct cosigner_fixture *f = *state;
    struct world_answer first = ask(f, &f->log, 0, 4);
    assert_signed(f, &first, &f->log, 4);
    atomic_fetch_add(&world_now_s, 1);
    struct world_answer second = ask(f, &f->log, 0, 4);
    assert_int_equal(second.refusal, REFUSED_NONE);
    assert_int_equal(second.lines_len, first.lines_len);
    assert_memory_equal(second.lines, first.lines, first.lines_len);
    assert_int_equal(ledger_stats(f->world.ledger).commits, 1); /* one signature, one sync */
    usleep((COSIGNER_REPEAT_MS + 100) * 1000);
    assert_int_equal(ask(f, &f->log, 0, 4).refusal, REFUSED_STALE);
}

/* A repeated answer is the last one: never of a smaller size than was given meanwhile. */
static void cosigner_repeats_nothing_that_is_outdated(void **state)
{
    struct cosigner_fixture *f = *state;
    assert_int_equal(ask(f, &f->log, 0, 4).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &f->log, 4, 5).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &f->log, 0, 4).refusal, REFUSED_STALE);
}

static void cosigner_refuses_when_the_clock_is_behind(void **state)
{
    struct cosigner_fixture *f = *state;
    uint64_t now = atomic_load(&world_now_s);
    struct world_answer answer = ask(f, &f->log, 0, 3);
    uint64_t first = assert_signed(f, &answer, &f->log, 3);
    atomic_store(&world_now_s, now - 60);
    answer = ask(f, &f->log, 3, 4);
    assert_int_equal(assert_signed(f, &answer, &f->log, 4), first);
    atomic_store(&world_now_s, now - 61);
    assert_int_equal(ask(f, &f->log, 4, 5).refusal, REFUSED_CLOCK);
    atomic_store(&world_now_s, now);
    assert_int_equal(ask(f, &f->log, 4, 5).refusal, REFUSED_NONE);
}

/* -- guard and budget -- */

/* A note under our own key that is ahead of the store: it is an old one, and nothing more is signed. */
static void cosigner_signs_nothing_once_a_note_of_ours_is_ahead(void **state)
{
    struct cosigner_fixture *f = *state;
    assert_int_equal(ask(f, &f->log, 0, 3).refusal, REFUSED_NONE);
    buf_reset(&f->body);
    tree_log_put_request(&f->body, &f->log, 3, 5);
    size_t text_from = span_find(buf_span(&f->body), span_of_str(fixture_origin));
    struct span note = span_slice(buf_span(&f->body), text_from, f->body.len - text_from);
    struct buf line = BUF_INIT(1024);
    keys_put_signature(&line, span_slice(note, 0, span_find(note, span_of_str("\n\n")) + 1),
                       &f->world.keys[0], 1600000000);
    buf_put(&f->body, buf_span(&line));
    buf_clear(&line);
    assert_int_equal(world_submit(&f->world, buf_span(&f->body)).refusal, REFUSED_GUARD);
    assert_int_equal(ask(f, &f->log, 3, 4).refusal, REFUSED_GUARD);
    assert_int_equal(ask(f, &f->log, 3, 3).refusal, REFUSED_GUARD); /* of this second, too */
    assert_int_equal(ask(f, &f->other, 2, 3).refusal, REFUSED_STALE);
    assert_int_equal(evidence_count(f), 1); /* though we do not sign, we keep what is proved */
    restart(f, 1);
    assert_int_equal(ask(f, &f->log, 3, 4).refusal, REFUSED_GUARD);
    assert_stored(f, &f->log, 3);
}

/* Bad lines of our name, as many as a note holds, cost two checks each key and change nothing; what is
 * behind the first of them still counts. */
static void cosigner_looks_behind_a_bad_line_of_its_name(void **state)
{
    struct cosigner_fixture *f = *state;
    struct buf line = BUF_INIT(1024);
    assert_int_equal(ask(f, &f->log, 0, 3).refusal, REFUSED_NONE);
    buf_reset(&f->body);
    tree_log_put_request(&f->body, &f->log, 3, 5);
    keys_put_signature(&line, span_of_str("another text\n"), &f->world.keys[0], 1600000000);
    for (int i = 0; i < NOTE_SIGNATURES_MAX - 1; i++) {
        buf_put(&f->body, buf_span(&line));
    }
    struct world_answer answer = world_submit(&f->world, buf_span(&f->body));
    assert_signed(f, &answer, &f->log, 5);

    buf_reset(&f->body);
    tree_log_put_request(&f->body, &f->log, 5, 7);
    size_t text_from = span_find(buf_span(&f->body), span_of_str(fixture_origin));
    struct span note = span_slice(buf_span(&f->body), text_from, f->body.len - text_from);
    size_t text_len = span_find(note, span_of_str("\n\n")) + 1;
    keys_put_signature(&line, span_slice(note, 0, text_len), &f->world.keys[0], 1600000000);
    buf_put(&f->body, buf_span(&line)); /* the bad one, and a good one ahead of the store */
    buf_clear(&line);
    assert_int_equal(world_submit(&f->world, buf_span(&f->body)).refusal, REFUSED_GUARD);
}

static void cosigner_charges_peers_for_what_does_not_advance(void **state)
{
    struct cosigner_fixture *f = *state;
    f->world.limits = (struct budget_limits){ 4, 2 };
    restart(f, 1);
    assert_int_equal(ask(f, &f->log, 0, 1).refusal, REFUSED_NONE); /* the log pays */
    assert_int_equal(ask(f, &f->log, 1, 2).refusal, REFUSED_NONE);
    assert_int_equal(ask(f, &f->log, 2, 3).refusal, REFUSED_QUOTA); /* its budget is used up */
    assert_int_equal(ask(f, &f->log, 2, 2).refusal, REFUSED_NONE);  /* a refresh */
    assert_int_equal(ask(f, &f->log, 0, 3).refusal, REFUSED_STALE);
    assert_int_equal(post(f, "nonsense").refusal, REFUSED_MALFORMED);
    assert_int_equal(post(f, "nonsense").refusal, REFUSED_QUOTA);
    assert_int_equal(f->known->state.size, 2);
}

/* -- refreshes -- */

/* The same request as ask's, with a stranger's line: the bytes are others each time. */
static struct world_answer ask_padded(struct cosigner_fixture *f, uint64_t old_size, uint64_t size,
                                      uint64_t seed)
{
    char secret[32];
    snprintf(secret, sizeof secret, "stranger %u", (unsigned)seed);
    struct signer stranger = keys_signer("x.example.org", SIGNATURE_COSIGNATURE, secret);
    buf_reset(&f->body);
    tree_log_put_request(&f->body, &f->log, old_size, size);
    keys_put_signature(&f->body, span_of_str("anything\n"), &stranger, 1 + seed);
    signer_clear(&stranger);
    return world_submit(&f->world, buf_span(&f->body));
}

static void assert_same_lines(const struct world_answer *a, const struct world_answer *b)
{
    assert_int_equal(a->refusal, REFUSED_NONE);
    assert_int_equal(b->refusal, REFUSED_NONE);
    assert_int_equal(a->lines_len, b->lines_len);
    assert_memory_equal(a->lines, b->lines, a->lines_len);
}

static void cosigner_commits_one_refresh_a_second(void **state)
{
    struct cosigner_fixture *f = *state;
    struct world_answer first = ask(f, &f->log, 0, 4), again;
    for (uint64_t second = 0; second < 3; second++) {
        uint64_t time = assert_signed(f, &first, &f->log, 4);
        assert_int_equal(time, world_unix_s());
        for (uint64_t i = 0; i < 20; i++) {
            again = ask_padded(f, 4, 4, i);
            assert_same_lines(&first, &again);
        }
        assert_int_equal(ledger_stats(f->world.ledger).commits, second + 1);
        assert_int_equal(f->known->state.timestamp, time);
        atomic_fetch_add(&world_now_s, 1);
        first = ask_padded(f, 4, 4, 1000 + second);
    }
    assert_int_equal(ask_padded(f, 0, 4, 1).refusal, REFUSED_STALE); /* that is no refresh */
    assert_int_equal(ask(f, &f->other, 4, 4).refusal, REFUSED_ROOT_MISMATCH);
    assert_int_equal(ask(f, &f->log, 4, 5).refusal, REFUSED_NONE);
    assert_int_equal(ask_padded(f, 4, 4, 2).refusal, REFUSED_STALE);
    again = ask_padded(f, 5, 5, 3);
    assert_signed(f, &again, &f->log, 5);
}

/* Lines that were never let out are none to repeat. */
static void cosigner_repeats_no_lines_of_a_failed_refresh(void **state)
{
    struct cosigner_fixture *f = *state;
    assert_int_equal(ask(f, &f->log, 0, 4).refusal, REFUSED_NONE);
    atomic_fetch_add(&world_now_s, 1);
    world_store_fault(f->store, 0, WORLD_FAIL_AFTER);
    assert_int_equal(ask_padded(f, 4, 4, 1).refusal, REFUSED_STORAGE);
    world_settle(&f->world);
    uint64_t commits = ledger_stats(f->world.ledger).commits;
    struct world_answer answer = ask_padded(f, 4, 4, 2);
    assert_signed(f, &answer, &f->log, 4);
    assert_int_equal(ledger_stats(f->world.ledger).commits, commits + 1);
}

/* -- floods -- */

struct tally {
    atomic_size_t counts[REFUSAL_COUNT];
    atomic_size_t all;
};

static void on_tallied(void *ctx, const struct cosigner_answer *answer)
{
    struct tally *tally = ctx;
    atomic_fetch_add(&tally->counts[answer->refusal], 1);
    atomic_fetch_add(&tally->all, 1);
}

enum {
    STEP_US = 200,
    WAIT_S = 120
};

static void wait_for(const atomic_size_t *count, size_t value)
{
    for (size_t i = 0; atomic_load(count) < value; i++) {
        assert_true(i < (size_t)WAIT_S * 1000000 / STEP_US);
        usleep(STEP_US);
    }
}

/* Workers take requests in any order: what is sent after this comes after the one that has the turn. */
static void wait_for_turn(struct known_log *log)
{
    bool is_busy = false;
    for (size_t i = 0; !is_busy; i++) {
        assert_true(i < (size_t)WAIT_S * 1000000 / STEP_US);
        usleep(STEP_US);
        pthread_mutex_lock(&log->mutex);
        is_busy = log->is_busy;
        pthread_mutex_unlock(&log->mutex);
    }
}

/* One of each log's requests is signed. The others repeat that, or come too late for it. */
static void assert_signed_once_each(const struct tally *tally, size_t logs, size_t requests)
{
    size_t signed_count = atomic_load(&tally->counts[REFUSED_NONE]);
    assert_true(signed_count >= logs);
    assert_int_equal(signed_count + atomic_load(&tally->counts[REFUSED_STALE]), requests);
}

static void cosigner_keeps_a_bounded_number_waiting(void **state)
{
    struct cosigner_fixture *f = *state;
    struct tally tally = { .all = 0 };
    world_store_hold(f->store, true);
    buf_reset(&f->body);
    tree_log_put_request(&f->body, &f->log, 0, 4);
    for (int i = 0; i < COSIGNER_WAITING_MAX + 11; i++) {
        cosigner_submit(f->world.cosigner, buf_span(&f->body), span_of_str("::1"), &tally,
                        on_tallied);
    }
    wait_for(&tally.counts[REFUSED_BUSY], 10); /* one is being written, 256 wait */
    assert_int_equal(atomic_load(&tally.all), 10);
    assert_int_equal(cosigner_count(f->world.cosigner), COSIGNER_WAITING_MAX + 1);
    world_store_hold(f->store, false);
    wait_for(&tally.all, COSIGNER_WAITING_MAX + 11);
    assert_int_equal(atomic_load(&tally.counts[REFUSED_BUSY]), 10);
    assert_signed_once_each(&tally, 1, COSIGNER_WAITING_MAX + 1);
    assert_int_equal(ledger_stats(f->world.ledger).commits, 1);
}

static void cosigner_bounds_all_requests_together(void **state)
{
    struct cosigner_fixture *f = *state;
    enum {
        LOGS = 20
    };
    struct tally tally = { .all = 0 };
    struct buf bodies[LOGS];
    for (int i = 0; i < LOGS; i++) {
        char name[32];
        snprintf(name, sizeof name, "log/%d", i);
        struct tree_log log = f->log;
        log.signer.vkey = vkey_make(name, SIGNATURE_ED25519, &log.signer.vkey.key);
        world_add_log(&f->world, &log);
        buf_init(&bodies[i], BODY_MAX);
        tree_log_put_request(&bodies[i], &log, 0, 4);
    }
    world_store_hold(f->store, true);
    for (int i = 0; i < COSIGNER_JOBS_MAX + 100; i++) {
        cosigner_submit(f->world.cosigner, buf_span(&bodies[i % LOGS]), span_of_str("::1"), &tally,
                        on_tallied);
        assert_true(cosigner_count(f->world.cosigner) <= COSIGNER_JOBS_MAX);
    }
    wait_for(&tally.counts[REFUSED_BUSY], 100);
    world_store_hold(f->store, false);
    wait_for(&tally.all, COSIGNER_JOBS_MAX + 100);
    assert_signed_once_each(&tally, LOGS,
                            COSIGNER_JOBS_MAX + 100 - atomic_load(&tally.counts[REFUSED_BUSY]));
    assert_int_equal(ledger_stats(f->world.ledger).commits, LOGS);
    for (int i = 0; i < LOGS; i++) {
        buf_clear(&bodies[i]);
    }
}

/* With the log's own long texts, which are kept until the log's turn comes. */
static void cosigner_bounds_the_bytes_of_all_requests(void **state)
{
    struct cosigner_fixture *f = *state;
    enum {
        LOGS = 4,
        EACH = 200,
        LONG_BYTES = BODY_MAX - 512
    };
    struct tally tally = { .all = 0 };
    struct buf text = BUF_INIT(BODY_MAX), note = BUF_INIT(BODY_MAX);
    struct proof none = { .count = 0 };
    world_store_hold(f->store, true);
    for (int i = 0; i < LOGS; i++) {
        char name[32];
        snprintf(name, sizeof name, "log/%d", i);
        struct tree_log log = f->log;
        log.signer.vkey = vkey_make(name, SIGNATURE_ED25519, &log.signer.vkey.key);
        struct known_log *known = world_add_log(&f->world, &log);
        buf_reset(&f->body);
        tree_log_put_request(&f->body, &log, 0, 4); /* has the log's turn until the store works */
        cosigner_submit(f->world.cosigner, buf_span(&f->body), span_of_str("::1"), &tally,
                        on_tallied);
        wait_for_turn(known);
        buf_reset(&text);
        buf_putf(&text, "%s\n7\nKgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", name);
        memset(buf_extend(&text, LONG_BYTES), 'x', LONG_BYTES);
        buf_put_u8(&text, '\n');
        buf_reset(&note);
        keys_put_signed(&note, buf_span(&text), &log.signer, 0);
        buf_reset(&f->body);
        add_checkpoint_put(&f->body, 0, &none, buf_span(&note));
        for (int k = 0; k < EACH; k++) {
            cosigner_submit(f->world.cosigner, buf_span(&f->body), span_of_str("::1"), &tally,
                            on_tallied);
        }
    }
    size_t room = COSIGNER_BYTES_MAX / f->body.len;
    wait_for(&tally.counts[REFUSED_BUSY], LOGS * EACH - room);
    assert_in_range(cosigner_count(f->world.cosigner), 1, room + LOGS);
    world_store_hold(f->store, false);
    wait_for(&tally.all, LOGS * (EACH + 1));
    assert_int_equal(atomic_load(&tally.counts[REFUSED_NONE]), LOGS);
    struct world_answer answer = ask(f, &f->log, 0, 4); /* and there is room again */
    assert_signed(f, &answer, &f->log, 4);
    buf_clear(&note);
    buf_clear(&text);
}

/* -- failing writes -- */

static void cosigner_lets_no_signature_out_when_the_write_did_nothing(void **state)
{
    struct cosigner_fixture *f = *state;
    assert_int_equal(ask(f, &f->log, 0, 3).refusal, REFUSED_NONE);
    world_store_fault(f->store, 0, WORLD_FAIL_BEFORE);
    assert_int_equal(ask(f, &f->log, 3, 4).refusal, REFUSED_STORAGE);
    assert_int_equal(f->known->state.size, 3);
    assert_int_equal(ask(f, &f->log, 3, 4).refusal, REFUSED_STORAGE); /* it is being recovered */
    world_settle(&f->world);
    assert_stored(f, &f->log, 3);
    struct world_answer answer = ask(f, &f->other, 3, 4); /* from another root at 3 */
    assert_int_equal(answer.refusal, REFUSED_BAD_PROOF);
    answer = ask(f, &f->log, 3, 4);
    assert_signed(f, &answer, &f->log, 4);
    assert_stored(f, &f->log, 4);
}

/* Nobody got the signature, but the state is there: the size has its root. */
static void cosigner_abides_by_a_write_that_took_effect_though_it_failed(void **state)
{
    struct cosigner_fixture *f = *state;
    assert_int_equal(ask(f, &f->log, 0, 2).refusal, REFUSED_NONE);
    world_store_fault(f->store, 0, WORLD_FAIL_AFTER);
    assert_int_equal(ask(f, &f->log, 2, 4).refusal, REFUSED_STORAGE);
    world_settle(&f->world);
    assert_stored(f, &f->log, 4);
    assert_int_equal(ask(f, &f->log, 0, 2).refusal, REFUSED_STALE); /* no repeat of before */
    struct world_answer answer = ask(f, &f->other, 2, 4);
    assert_int_equal(answer.refusal, REFUSED_STALE);
    assert_int_equal(answer.stored_size, 4);
    assert_int_equal(ask(f, &f->other, 4, 4).refusal, REFUSED_ROOT_MISMATCH);
    assert_int_equal(evidence_count(f), 1);
    assert_evidence_verifies(f);
    answer = ask(f, &f->log, 4, 4);
    assert_signed(f, &answer, &f->log, 4);
}

static void cosigner_repeats_no_answer_that_was_not_given(void **state)
{
    struct cosigner_fixture *f = *state;
    world_store_fault(f->store, 0, WORLD_FAIL_AFTER);
    assert_int_equal(ask(f, &f->log, 0, 4).refusal, REFUSED_STORAGE);
    world_settle(&f->world);
    assert_int_equal(ask(f, &f->log, 0, 4).refusal, REFUSED_STALE);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, cosigner_setup, cosigner_teardown)
    const struct CMUnitTest tests[] = {
        CASE(cosigner_holds_the_conversation),
        CASE(cosigner_begins_with_the_empty_tree),
        CASE(cosigner_goes_on_after_a_restart),
        CASE(cosigner_answers_with_a_line_of_each_key),
        CASE(cosigner_refuses_extension_lines),
        CASE(cosigner_is_not_poisoned_by_lines_that_it_did_not_verify),
        CASE(cosigner_takes_any_of_a_logs_keys_and_no_bad_line_of_them),
        CASE(cosigner_repeats_the_answer_to_the_same_bytes),
        CASE(cosigner_repeats_nothing_that_is_outdated),
        CASE(cosigner_refuses_when_the_clock_is_behind),
        CASE(cosigner_signs_nothing_once_a_note_of_ours_is_ahead),
        CASE(cosigner_looks_behind_a_bad_line_of_its_name),
        CASE(cosigner_commits_one_refresh_a_second),
        CASE(cosigner_repeats_no_lines_of_a_failed_refresh),
        CASE(cosigner_bounds_the_bytes_of_all_requests),
        CASE(cosigner_charges_peers_for_what_does_not_advance),
        CASE(cosigner_keeps_a_bounded_number_waiting),
        CASE(cosigner_bounds_all_requests_together),
        CASE(cosigner_lets_no_signature_out_when_the_write_did_nothing),
        CASE(cosigner_abides_by_a_write_that_took_effect_though_it_failed),
        CASE(cosigner_repeats_no_answer_that_was_not_given),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
