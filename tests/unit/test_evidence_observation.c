#include "tests/support/evidence_world.h"

#define KIND    "observation"
#define HEADER  "courtroll observation v1\n"
#define CLAIM   "stalled\n" WORLD_ORIGIN "\n-\n1700000000\nnothing for an hour\n"
#define MONITOR (&world_signers[MONITOR_KEY])

static struct evidence_observation plain(void)
{
    return (struct evidence_observation){ .code = span_of_str("stalled"),
                                          .origin = span_of_str(WORLD_ORIGIN),
                                          .subject = span_of_str("http://w.example/"),
                                          .summary = span_of_str("nothing for an hour: \xc3\xa9"),
                                          .unix_s = WORLD_NOW };
}

static struct buf assert_put(const struct evidence_observation *observation)
{
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct err err = { 0 };
    if (evidence_put_observation(&file, observation, MONITOR, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    return file;
}

static void assert_not_put(const struct evidence_observation *observation, enum err_code expected)
{
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct err err;
    assert_int_equal(evidence_put_observation(&file, observation, MONITOR, &err), expected);
    assert_int_equal(file.len, 0);
    buf_clear(&file);
}

static void assert_same(const struct evidence_observation *a, const struct evidence_observation *b)
{
    assert_true(span_is_equal(a->code, b->code));
    assert_true(span_is_equal(a->origin, b->origin));
    assert_true(span_is_equal(a->subject, b->subject));
    assert_true(span_is_equal(a->summary, b->summary));
    assert_true(span_is_equal(a->note, b->note));
    assert_int_equal(a->unix_s, b->unix_s);
}

/* Text signed by the monitor's key, in a file. */
static void assert_text_judged(const char *text, enum err_code expected)
{
    struct buf copy = BUF_INIT(WORLD_TEXT_MAX);
    buf_put_str(&copy, text);
    struct buf note = world_sign(copy, MONITOR, 0);
    world_assert_raw(KIND, &note, NULL, "", expected);
    buf_clear(&note);
}

/* -- what is said -- */

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    struct buf note = world_note(world_honest, 8, LOG_KEY, 0);
    for (int i = 0; i < 16; i++) {
        struct evidence_observation said = plain();
        said.origin.len = i & 1 ? 0 : said.origin.len;
        said.subject.len = i & 2 ? 0 : said.subject.len;
        said.note = i & 4 ? buf_span(&note) : said.note;
        said.unix_s = i & 8 ? 0 : SIZE_VALUE_MAX;
        struct buf file = assert_put(&said), origin = BUF_INIT(ORIGIN_BYTES_MAX);
        struct evidence evidence;
        struct evidence_verdict verdict;
        struct evidence_observation read;
        struct err err;
        assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
        assert_int_equal(evidence.kind, EVIDENCE_OBSERVATION);
        assert_int_equal(evidence_verify(&evidence, world_keys, WORLD_KEYS, &verdict, &err), E_OK);
        assert_int_equal(verdict.keys[0], MONITOR_KEY);
        assert_same(&verdict.observation, &said);
        assert_int_equal(evidence_read_observation(&read, &evidence, &err), E_OK);
        assert_same(&read, &said);
        evidence_put_origin(&origin, &evidence);
        assert_true(span_is_equal(buf_span(&origin), said.origin));
        buf_clear(&origin);
        buf_clear(&file);
    }
    buf_clear(&note);
}

static void a_file_is_written_as_its_header_describes_it(void **state)
{
    (void)state;
    struct evidence_observation said = plain();
    struct buf note = world_note(world_honest, 8, LOG_KEY, 0), text = BUF_INIT(WORLD_TEXT_MAX);
    said.subject.len = 0;
    said.note = buf_span(&note);
    struct buf file = assert_put(&said);
    buf_putf(&text, HEADER "stalled\n" WORLD_ORIGIN "\n-\n%d\n%.*s\nnote %zu\n", WORLD_NOW,
             SPAN_PRINTF(said.summary), note.len);
    buf_put(&text, buf_span(&note));
    struct buf block = world_sign(text, MONITOR, 0);
    struct buf expected = world_raw(KIND, &block, NULL, "");
    assert_true(span_is_equal(buf_span(&file), buf_span(&expected)));
    assert_string_equal(evidence_kind_text(EVIDENCE_OBSERVATION), KIND);
    buf_clear(&file);
    buf_clear(&block);
    buf_clear(&expected);
    buf_clear(&note);
}

static void lines_may_be_as_long_as_their_bounds(void **state)
{
    (void)state;
    static char text[EVIDENCE_SUMMARY_BYTES_MAX + 1];
    memset(text, 'x', sizeof text);
    struct {
        size_t offset, max;
    } lines[] = {
        { offsetof(struct evidence_observation, code), EVIDENCE_CODE_BYTES_MAX },
        { offsetof(struct evidence_observation, origin), ORIGIN_BYTES_MAX },
        { offsetof(struct evidence_observation, subject), EVIDENCE_SUBJECT_BYTES_MAX },
        { offsetof(struct evidence_observation, summary), EVIDENCE_SUMMARY_BYTES_MAX },
    };
    for (size_t i = 0; i < 4; i++) {
        struct evidence_observation said = plain();
        struct span *line = (struct span *)((char *)&said + lines[i].offset);
        *line = span_of(text, lines[i].max);
        struct buf file = assert_put(&said);
        world_assert_judged(buf_span(&file), E_OK);
        buf_clear(&file);
        *line = span_of(text, lines[i].max + 1);
        assert_not_put(&said, E_MALFORMED);
    }
}

static void what_is_no_line_is_not_written(void **state)
{
    (void)state;
    static const char *const bad[] = { "a\nb", "a\n",      "\r",   "a\tb", "\x1b[31m",
                                       "\x7f", "\xc2\x9b", "\xff", "\xc3", "\xed\xa0\x80" };
    static const char *const bad_codes[] = { "",    "-",   "Stalled", "5",
                                             "5-x", "a b", "a_b",     "st\xc3\xa9" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t k = 0; k < 3; k++) {
            struct evidence_observation said = plain();
            *(k == 0 ? &said.origin : k == 1 ? &said.subject : &said.summary) = span_of_str(bad[i]);
            assert_not_put(&said, E_MALFORMED);
        }
    }
    for (size_t i = 0; i < sizeof bad_codes / sizeof bad_codes[0]; i++) {
        struct evidence_observation said = plain();
        said.code = span_of_str(bad_codes[i]);
        assert_not_put(&said, E_MALFORMED);
    }
    struct evidence_observation said = plain();
    said.summary.len = 0;
    assert_not_put(&said, E_MALFORMED);
    said = plain();
    said.unix_s = SIZE_VALUE_MAX + 1;
    assert_not_put(&said, E_MALFORMED);
    said = plain();
    said.note = span_of_str("no note\n");
    assert_not_put(&said, E_MALFORMED);
}

static void notes_as_long_as_fit_are_kept_and_longer_ones_refused(void **state)
{
    (void)state;
    const size_t sizes[] = { 128 * 1024, EVIDENCE_BYTES_MAX };
    for (size_t i = 0; i < 2; i++) {
        struct buf text = world_text(world_honest, 8, WORLD_ORIGIN);
        while (text.len < sizes[i]) {
            buf_put_str(&text, "an extension line of some sixty bytes, that is of no use at all\n");
        }
        struct buf note = world_sign(text, &world_signers[LOG_KEY], 0);
        struct evidence_observation said = plain();
        said.note = buf_span(&note);
        if (i == 0) {
            struct buf file = assert_put(&said);
            world_assert_judged(buf_span(&file), E_OK);
            buf_clear(&file);
        } else {
            assert_not_put(&said, E_TOO_LARGE);
        }
        buf_clear(&note);
    }
}

/* -- who says it -- */

static void only_a_plain_key_signs_observations(void **state)
{
    (void)state;
    struct evidence_observation said = plain();
    struct buf out = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct err err;
    assert_int_equal(evidence_put_observation(&out, &said, &world_signers[WITNESS_KEY], &err),
                     E_MALFORMED);
    assert_int_equal(out.len, 0);
    for (size_t key = 0; key < WORLD_KEYS; key++) {
        struct buf text = BUF_INIT(WORLD_TEXT_MAX);
        buf_put_str(&text, HEADER CLAIM);
        struct buf note = world_sign(text, &world_signers[key], WORLD_NOW);
        bool is_good = world_keys[key]->type == SIGNATURE_ED25519 && key != PROMISE_KEY &&
                       key != OTHER_PROMISE_KEY;
        world_assert_raw(KIND, &note, NULL, "", is_good ? E_OK : E_BAD_SIGNATURE);
        buf_clear(&note);
    }
}

static void a_key_of_the_same_name_is_another_monitor(void **state)
{
    (void)state;
    struct evidence_observation said = plain();
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct err err;
    assert_int_equal(evidence_put_observation(&file, &said, &world_strangers[3], &err), E_OK);
    world_assert_judged(buf_span(&file), E_BAD_SIGNATURE);
    struct evidence evidence;
    struct evidence_verdict verdict;
    assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
    assert_int_equal(evidence_verify(&evidence, NULL, 0, &verdict, &err), E_BAD_SIGNATURE);
    buf_clear(&file);
}

static void a_second_line_is_malformed(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(WORLD_TEXT_MAX), note = BUF_INIT(WORLD_TEXT_MAX);
    buf_put_str(&text, HEADER CLAIM);
    keys_put_signed(&note, buf_span(&text), &world_signers[LOG_KEY], 0);
    keys_put_signature(&note, buf_span(&text), MONITOR, 0);
    world_assert_raw(KIND, &note, NULL, "", E_MALFORMED);
    buf_clear(&text);
    buf_clear(&note);
}

/* -- what it is not -- */

/* A monitor's signature must not make a checkpoint, nor a checkpoint an observation. */
static void no_text_is_an_observation_and_a_checkpoint(void **state)
{
    (void)state;
    struct buf checkpoint = world_note(world_honest, 8, MONITOR_KEY, 0);
    world_assert_raw(KIND, &checkpoint, NULL, "", E_MALFORMED);
    buf_clear(&checkpoint);
    assert_text_judged(HEADER "5\n" WORLD_HASH "\n-\n1700000000\nsummary\n", E_MALFORMED);
    assert_text_judged(HEADER CLAIM, E_OK);
    struct checkpoint read;
    struct err err;
    assert_int_equal(checkpoint_parse(&read, span_of_str(HEADER CLAIM), &err), E_MALFORMED);
    assert_int_equal(checkpoint_parse(&read, span_of_str(HEADER "a\n" WORLD_HASH "\n-\n5\nx\n"),
                                      &err),
                     E_MALFORMED);
}

/* The block that a monitor signed, taken apart: the note inside has a line of its own. */
static void the_note_inside_is_not_the_observation(void **state)
{
    (void)state;
    struct buf note = world_note(world_honest, 8, MONITOR_KEY, 0);
    struct evidence_observation said = plain();
    said.note = buf_span(&note);
    struct buf file = assert_put(&said);
    struct evidence evidence;
    struct err err;
    assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
    struct span block = evidence.notes[0];
    struct buf stripped = BUF_INIT(WORLD_TEXT_MAX);
    buf_put(&stripped, span_slice(block, 0, span_find_last(block, span_of_str("\n\n")) + 1));
    world_assert_raw(KIND, &stripped, NULL, "", E_MALFORMED);
    world_assert_raw(KIND, &note, NULL, "", E_MALFORMED);
    buf_clear(&stripped);
    buf_clear(&file);
    buf_clear(&note);
}

/* -- one spelling -- */

static struct buf with_note(void)
{
    struct buf note = world_note(world_honest, 8, LOG_KEY, 0);
    struct evidence_observation said = plain();
    said.note = buf_span(&note);
    struct buf file = assert_put(&said);
    buf_clear(&note);
    return file;
}

static void every_changed_bit_is_refused(void **state)
{
    (void)state;
    struct evidence_observation said = plain();
    struct buf files[] = { assert_put(&said), with_note() };
    for (size_t i = 0; i < 2; i++) {
        world_flip_every_bit(&files[i]);
        buf_clear(&files[i]);
    }
}

static void every_truncation_and_extension_is_refused(void **state)
{
    (void)state;
    struct evidence_observation said = plain();
    struct buf files[] = { assert_put(&said), with_note() };
    for (size_t i = 0; i < 2; i++) {
        world_truncate_everywhere(&files[i], 0);
        world_extend(&files[i]);
        world_relabel(&files[i]);
        buf_clear(&files[i]);
    }
}

static void malformed_texts_are_rejected_though_they_are_signed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        HEADER,
        "courtroll observation v2\n" CLAIM,
        HEADER "stalled\n",
        HEADER "stalled\n-\n-\n5\n",
        HEADER "stalled\n-\n-\n5\n\n",
        HEADER "stalled\n\n-\n5\nx\n",
        HEADER "stalled\n-\n\n5\nx\n",
        HEADER "\n-\n-\n5\nx\n",
        HEADER "-\n-\n-\n5\nx\n",
        HEADER "Stalled\n-\n-\n5\nx\n",
        HEADER "stalled\n-\n-\n05\nx\n",
        HEADER "stalled\n-\n-\n\nx\n",
        HEADER "stalled\n-\n-\n9223372036854775808\nx\n",
        HEADER "stalled\n-\n-\n5\nx\n\n",
        HEADER "stalled\n-\n-\n5\nx\nnote\n",
        HEADER "stalled\n-\n-\n5\nx\nnote 0\n",
        HEADER "stalled\n-\n-\n5\nx\nnote 5\nabc\n\n",
        HEADER "stalled\n-\n-\n5\nx\nnote 4\nabc\n",
        HEADER "stalled\n-\n-\n5\nx\nmore\n",
        HEADER "stalled\n-\n-\n5\n\x7f\n",
        HEADER "stalled\n-\n-\n5\n\xc2\x80\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_text_judged(bad[i], E_MALFORMED);
    }
    assert_text_judged(HEADER "stalled\n-\n-\n5\n-\n", E_OK);
}

static void nothing_is_appended_where_there_is_no_room(void **state)
{
    (void)state;
    struct evidence_observation said = plain();
    struct buf out = BUF_INIT(100);
    struct err err;
    buf_put_str(&out, "xx");
    assert_int_equal(evidence_put_observation(&out, &said, MONITOR, &err), E_TOO_LARGE);
    assert_true(span_is_str(buf_span(&out), "xx"));
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_file_is_written_as_its_header_describes_it),
        cmocka_unit_test(lines_may_be_as_long_as_their_bounds),
        cmocka_unit_test(what_is_no_line_is_not_written),
        cmocka_unit_test(notes_as_long_as_fit_are_kept_and_longer_ones_refused),
        cmocka_unit_test(only_a_plain_key_signs_observations),
        cmocka_unit_test(a_key_of_the_same_name_is_another_monitor),
        cmocka_unit_test(a_second_line_is_malformed),
        cmocka_unit_test(no_text_is_an_observation_and_a_checkpoint),
        cmocka_unit_test(the_note_inside_is_not_the_observation),
        cmocka_unit_test(every_changed_bit_is_refused),
        cmocka_unit_test(every_truncation_and_extension_is_refused),
        cmocka_unit_test(malformed_texts_are_rejected_though_they_are_signed),
        cmocka_unit_test(nothing_is_appended_where_there_is_no_room),
    };
    return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
