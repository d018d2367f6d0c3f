/* The evidence of alerts: proofs as they are, the monitor's signed word for all else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "evidence/evidence.h"
#include "tests/support/alert_world.h"

#define ORIGIN "log.example.org/1"

static struct err err;

static int setup(void **state)
{
    *state = alert_world_new(2);
    return 0;
}

static int teardown(void **state)
{
    alert_world_free(*state);
    return 0;
}

static struct finding stalled(const char *subject)
{
    return alert_finding(FINDING_STALLED, ORIGIN, subject, "No checkpoint for 600 s.");
}

static struct finding fork_of(const char *proof)
{
    struct finding finding = alert_finding(FINDING_FORK, ORIGIN, "", "Two roots of size 7.");
    finding.evidence = span_of_str(proof);
    return finding;
}

static struct alert get(struct alert_world *world, const char *id)
{
    struct alert alert;
    assert_int_equal(alert_book_get(world->book, id, &alert, &err), E_OK);
    return alert;
}

static void read_evidence(struct alert_world *world, const struct hash *id, struct buf *out)
{
    buf_init(out, EVIDENCE_BYTES_MAX);
    assert_int_equal(alert_book_evidence(world->book, id, out, &err), E_OK);
    struct hash hash = sha256(buf_span(out));
    assert_true(hash_is_equal(&hash, id));
}

static struct evidence_observation verify(struct alert_world *world, struct span file)
{
    struct evidence evidence;
    struct evidence_verdict verdict;
    const struct vkey *keys[] = { &world->key.vkey };
    assert_int_equal(evidence_parse(&evidence, file, &err), E_OK);
    assert_int_equal(evidence.kind, EVIDENCE_OBSERVATION);
    assert_int_equal(evidence_verify(&evidence, keys, 1, &verdict, &err), E_OK);
    return verdict.observation;
}

static void observations_are_signed(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = stalled("here");
    struct alert alert = alert_raise(world, &finding, 1000);
    struct buf file;
    read_evidence(world, &alert.evidence[0], &file);
    struct evidence_observation said = verify(world, buf_span(&file));
    assert_true(span_is_str(said.code, "stalled"));
    assert_true(span_is_str(said.origin, ORIGIN));
    assert_true(span_is_str(said.subject, "here"));
    assert_true(span_is_str(said.summary, finding.summary));
    assert_int_equal(said.unix_s, 1000);
    assert_int_equal(said.note.len, 0);
    buf_clear(&file);
}

static void observations_show_the_note(void **state)
{
    struct alert_world *world = *state;
    struct buf note = BUF_INIT(4096), file;
    keys_put_signed(&note, span_of_str("some text\n"), &world->key, 0);
    struct finding finding = stalled("");
    finding.evidence = buf_span(&note);
    struct alert alert = alert_raise(world, &finding, 1000);
    read_evidence(world, &alert.evidence[0], &file);
    assert_true(span_is_equal(verify(world, buf_span(&file)).note, buf_span(&note)));
    buf_clear(&file);
    buf_clear(&note);
}

static void what_is_no_note_is_left_out(void **state)
{
    struct alert_world *world = *state;
    uint8_t *large = mem_calloc(1, 2 * EVIDENCE_BYTES_MAX);
    memset(large, 'x', 2 * EVIDENCE_BYTES_MAX);
    struct span bad[] = { span_of_str("no note"), span_of("\0\n\xff", 3), span_of(large, 65536),
                          span_of(large, 2 * EVIDENCE_BYTES_MAX) };
    for (size_t i = 0; i < 4; i++) {
        char subject[8];
        snprintf(subject, sizeof subject, "%zu", i);
        struct finding finding = stalled(subject);
        struct buf file;
        finding.evidence = bad[i];
        struct alert alert = alert_raise(world, &finding, 1000);
        read_evidence(world, &alert.evidence[0], &file);
        assert_int_equal(verify(world, buf_span(&file)).note.len, 0);
        buf_clear(&file);
    }
    mem_free(large);
}

/* A well-formed note that leaves no room for what the monitor says about it. */
static void a_note_that_is_too_long_is_left_out(void **state)
{
    struct alert_world *world = *state;
    struct buf text = BUF_INIT(EVIDENCE_BYTES_MAX), note = BUF_INIT(EVIDENCE_BYTES_MAX), file;
    while (text.len < EVIDENCE_BYTES_MAX - 512) {
        buf_put_str(&text, "a line of a text that goes on and on\n");
    }
    keys_put_signed(&note, buf_span(&text), &world->key, 0);
    struct finding finding = stalled("");
    finding.evidence = buf_span(&note);
    struct alert alert = alert_raise(world, &finding, 1000);
    read_evidence(world, &alert.evidence[0], &file);
    assert_int_equal(verify(world, buf_span(&file)).note.len, 0);
    buf_clear(&file);
    buf_clear(&note);
    buf_clear(&text);
}

static void hostile_texts_become_plain_lines(void **state)
{
    struct alert_world *world = *state;
    struct finding finding =
        alert_finding(FINDING_STALLED, "log\n\x01.example", "a\nb\x7f\xff\xc2", "s\r\nt\x1b[31m");
    size_t len = strlen(finding.summary);
    memset(finding.summary + len, 0xe2, FINDING_SUMMARY_MAX - 1 - len);
    struct alert alert = alert_raise(world, &finding, 1000);
    assert_string_equal(alert.origin, "log??.example");
    assert_string_equal(alert.subject, "a?b???");
    assert_int_equal(strlen(alert.summary), FINDING_SUMMARY_MAX - 1);
    struct buf file;
    read_evidence(world, &alert.evidence[0], &file);
    assert_true(span_is_str(verify(world, buf_span(&file)).subject, "a?b???"));
    buf_clear(&file);
    alert_world_restart(world);
    alert_clear(world, FINDING_STALLED, "log\n\x01.example", "a\nb\x7f\xff\xc2", 1001);
    assert_int_equal(alert_count(world, false), 0);
}

static void texts_are_cut_between_characters(void **state)
{
    struct finding finding = stalled("");
    for (size_t i = 0; i + 3 < sizeof finding.subject; i += 3) {
        memcpy(finding.subject + i, "\xe2\x82\xac", 4); /* the sign of the euro: 3 bytes */
    }
    char origin[400];
    memset(origin, 'o', sizeof origin - 1);
    memcpy(origin + 254, "\xe2\x82\xac", 3);
    origin[sizeof origin - 1] = 0;
    finding.origin = origin;
    struct alert alert = alert_raise(*state, &finding, 1000);
    assert_int_equal(strlen(alert.origin), 254);
    assert_int_equal(strlen(alert.subject), 381);
    assert_true(utf8_is_valid(span_of_str(alert.subject)));
}

/* In evidence "-" is how nothing is written. */
static void a_dash_is_no_subject(void **state)
{
    struct finding dash = stalled("-"), none = stalled("");
    struct alert alert = alert_raise(*state, &dash, 1000);
    assert_string_equal(alert.subject, "");
    assert_string_equal(alert_raise(*state, &none, 1000).id, alert.id);
}

static void proofs_are_kept_as_they_are(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = fork_of("a proof");
    struct alert alert = alert_raise(world, &finding, 1000);
    struct buf file;
    read_evidence(world, &alert.evidence[0], &file);
    assert_true(span_is_str(buf_span(&file), "a proof"));
    buf_clear(&file);
    struct hash other = { { 0 } };
    buf_init(&file, 100);
    assert_int_equal(alert_book_evidence(world->book, &other, &file, &err), E_NOT_FOUND);
    buf_init(&file, 3);
    assert_int_equal(alert_book_evidence(world->book, &alert.evidence[0], &file, &err),
                     E_TOO_LARGE);
}

static void a_provable_code_without_proof_is_an_observation(void **state)
{
    struct alert_world *world = *state;
    struct finding finding = fork_of("");
    struct alert alert = alert_raise(world, &finding, 1000);
    struct buf file;
    read_evidence(world, &alert.evidence[0], &file);
    assert_true(span_is_str(verify(world, buf_span(&file)).code, "fork"));
    buf_clear(&file);
}

static void further_proofs_are_added_at_once(void **state)
{
    struct alert_world *world = *state;
    struct finding first = fork_of("first"), second = fork_of("second");
    alert_raise(world, &first, 1000);
    size_t synced = world->disk.synced;
    alert_raise(world, &first, 1001); /* known */
    assert_int_equal(world->disk.synced, synced);
    struct alert alert = alert_raise(world, &second, 1001);
    assert_int_equal(world->disk.synced, synced + 1);
    assert_int_equal(alert.evidence_count, 2);
    assert_int_equal(alert.evidence_found, 2);
    assert_int_equal(alert.count, 3);
    alert_world_crash(world);
    struct buf file;
    read_evidence(world, &get(world, alert.id).evidence[1], &file);
    assert_true(span_is_str(buf_span(&file), "second"));
    buf_clear(&file);
}

/* A log that signs 10,000 heads. */
static void proofs_of_one_alert_are_bounded(void **state)
{
    struct alert_world *world = *state;
    struct alert alert = { .count = 0 };
    for (int i = 0; i < 10000; i++) {
        char proof[32];
        snprintf(proof, sizeof proof, "proof %d", i);
        struct finding finding = fork_of(proof);
        alert = alert_raise(world, &finding, 1000);
    }
    assert_int_equal(alert.evidence_count, ALERT_EVIDENCE_MAX);
    assert_int_equal(alert.evidence_found, 10000);
    assert_int_equal(alert_keys(world, "alert/evidence/"), ALERT_EVIDENCE_MAX);
    assert_int_equal(alert_count(world, true), 1);
    assert_true(world->disk.synced < 100);
    alert_world_restart(world);
    assert_int_equal(get(world, alert.id).evidence_found, 10000);
}

static void evidence_that_is_too_large_is_refused(void **state)
{
    struct alert_world *world = *state;
    char id[ALERT_ID_CHARS + 1];
    uint8_t *large = mem_calloc(1, EVIDENCE_BYTES_MAX + 1);
    struct finding finding = fork_of("");
    finding.evidence = span_of(large, EVIDENCE_BYTES_MAX + 1);
    assert_int_equal(alert_book_raise(world->book, &finding, 1000, id, &err), E_TOO_LARGE);
    assert_int_equal(alert_count(world, true), 0);
    finding.evidence.len = EVIDENCE_BYTES_MAX;
    alert_raise(world, &finding, 1000);
    finding.evidence.len = EVIDENCE_BYTES_MAX + 1;
    assert_int_equal(alert_book_raise(world->book, &finding, 1000, id, &err), E_TOO_LARGE);
    mem_free(large);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(observations_are_signed),
        CASE(observations_show_the_note),
        CASE(what_is_no_note_is_left_out),
        CASE(a_note_that_is_too_long_is_left_out),
        CASE(hostile_texts_become_plain_lines),
        CASE(texts_are_cut_between_characters),
        CASE(a_dash_is_no_subject),
        CASE(proofs_are_kept_as_they_are),
        CASE(a_provable_code_without_proof_is_an_observation),
        CASE(further_proofs_are_added_at_once),
        CASE(proofs_of_one_alert_are_bounded),
        CASE(evidence_that_is_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
