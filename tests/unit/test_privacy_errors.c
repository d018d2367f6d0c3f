/* An error names the field and the place, never what stands there: error messages go to terminals, logs and tickets.
 * Drafts, payloads and disclosures that are full of secrets are spoilt at every place and in every way that people
 * and programs spoil things; no six characters of a secret may be in what is said about it. */
#include "base/alloc.h"
#include "tests/support/record_world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
    PIECE = 6,
    SECRETS = 8,
    TEXT_MAX = 4096,
};

#define DEBTOR    RECORD_WORLD_DEBTOR
#define APPLICANT "91990000MA00000HKL"
#define NUMBER    "（2026）测0101执7654321号"
#define OFFICER   "Wilhelmina Quux"
#define ACCOUNT   "6200990176543210"
#define REASON    "zanzibar secret motive"
#define AMOUNT    "918273645546"
#define PLACE     "KRYPTON STREET 17"

static const char *const secrets[SECRETS] = { DEBTOR,  APPLICANT, "执7654321号", OFFICER,
                                              ACCOUNT, REASON,    AMOUNT,        PLACE };

static const char draft_text[] =
    "{\"case\":\"" NUMBER "\",\"court\":\"测0101\",\"fields\":{\"account\":\"" ACCOUNT
    "\",\"amount\":" AMOUNT ",\"applicant\":\"" APPLICANT "\",\"asset\":\"account " ACCOUNT
    "\",\"debtor\":\"" DEBTOR "\",\"end\":\"2027-03-03\",\"institution\":\"" APPLICANT
    "\",\"place\":\"" PLACE "\",\"reason\":\"" REASON "\",\"result\":3,\"start\":\"2026-03-04\"},"
    "\"kind\":\"QUERY_RESULT\",\"minute\":\"2026-03-04T09:31Z\",\"officer\":\"" OFFICER
    "\",\"sealed\":true}";

static size_t refused, taken;

static bool has_piece_of(const char *words, const char *secret)
{
    char piece[PIECE + 1] = "";
    for (size_t i = 0; i + PIECE <= strlen(secret); i++) {
        memcpy(piece, secret + i, PIECE);
        if (strstr(words, piece) != NULL) {
            return true;
        }
    }
    return false;
}

static void assert_silent(enum err_code rc, const struct err *err)
{
    if (rc == E_OK) {
        taken++;
        return;
    }
    refused++;
    assert_true(strlen(err->msg) > 0);
    for (size_t i = 0; i < SECRETS; i++) {
        if (has_piece_of(err->msg, secrets[i])) {
            fail_msg("it says \"%s\"", err->msg);
        }
    }
}

/* ---- drafts ---- */

static void try_draft(const char *text, size_t len)
{
    struct err err = { .code = E_OK };
    struct draft draft;
    enum err_code rc = draft_parse(&draft, span_of(text, len), &err);
    assert_silent(rc, &err);
    if (rc == E_OK) {
        draft_clear(&draft);
    }
}

/* One string put in the place of another, wherever that stands. */
static void try_with(const char *from, const char *to)
{
    char text[TEXT_MAX];
    for (const char *at = strstr(draft_text, from); at != NULL; at = strstr(at + 1, from)) {
        int len = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - draft_text), draft_text, to,
                           at + strlen(from));
        assert_true(len > 0 && (size_t)len < sizeof text);
        try_draft(text, (size_t)len);
    }
}

static void the_draft_itself_is_taken(void **state)
{
    (void)state;
    taken = 0;
    try_draft(draft_text, strlen(draft_text));
    assert_int_equal(taken, 1);
}

static void a_draft_that_is_spoilt_at_any_byte_is_not_quoted(void **state)
{
    (void)state;
    static const char spoilers[] = { 'x', '0', '"', '\\', '{', ' ', '\n', '\t', '\x80', '\0' };
    char text[TEXT_MAX];
    size_t len = strlen(draft_text);
    refused = 0;
    for (size_t i = 0; i < len; i++) {
        try_draft(draft_text, i);
        for (size_t k = 0; k < sizeof spoilers; k++) {
            memcpy(text, draft_text, len);
            text[i] = spoilers[k];
            try_draft(text, len);
        }
        memcpy(text, draft_text, i); /* a byte is lost */
        memcpy(text + i, draft_text + i + 1, len - i - 1);
        try_draft(text, len - 1);
        memcpy(text + i, draft_text + i, len - i); /* or doubled */
        memmove(text + i + 1, text + i, len - i);
        try_draft(text, len + 1);
    }
    assert_true(refused > 3 * len);
}

/* A secret under another name, as a name, as another type, twice. */
static void a_secret_in_the_wrong_place_is_not_quoted(void **state)
{
    (void)state;
    static const char *const places[] = { "\"测0101\"",
                                          "\"" ACCOUNT "\"",
                                          AMOUNT,
                                          "\"" APPLICANT "\"",
                                          "\"" DEBTOR "\"",
                                          "\"2027-03-03\"",
                                          "\"QUERY_RESULT\"",
                                          "\"2026-03-04T09:31Z\"",
                                          "\"" OFFICER "\"",
                                          "\"" NUMBER "\"",
                                          "true",
                                          "\"end\"",
                                          "\"case\"",
                                          "\"fields\"",
                                          "\"kind\"",
                                          "\"reason\"",
                                          "\"minute\"" };
    static const char *const shapes[] = { "\"%s\"",         "[\"%s\"]", "{\"%s\":1}",
                                          "{\"a\":\"%s\"}", "\" %s\"",  "\"%s\\u0007\"",
                                          "\"%s",           "\"x%sx\"" };
    char to[512];
    refused = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (size_t k = 0; k < SECRETS; k++) {
            for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
                char *format = mem_strdup(shapes[s]);
                char *mark = strstr(format, "%s");
                *mark = 0;
                snprintf(to, sizeof to, "%s%s%s", format, secrets[k], mark + 2);
                mem_free(format);
                try_with(places[i], to);
            }
        }
    }
    assert_true(refused > 500);
}

static void a_secret_where_lists_are_expected_is_not_quoted(void **state)
{
    (void)state;
    static const char *const members[] = { "counts", "document", "references", "unseal",
                                           "id",     "sealed",   "salt" };
    char to[512];
    refused = 0;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        for (size_t k = 0; k < SECRETS; k++) {
            snprintf(to, sizeof to, "{\"%s\":\"%s\",\"case\"", members[i], secrets[k]);
            try_with("{\"case\"", to);
            snprintf(to, sizeof to, "{\"%s\":[\"%s\"],\"case\"", members[i], secrets[k]);
            try_with("{\"case\"", to);
            snprintf(to, sizeof to, "{\"%s\":{\"%s\":1},\"case\"", members[i], secrets[k]);
            try_with("{\"case\"", to);
        }
    }
    assert_true(refused > 100);
}

/* ---- payloads and disclosures ---- */

static void make_payload(struct payload *out)
{
    struct draft draft;
    struct err err;
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    struct signer submitter = record_world_submitter();
    struct case_key key = record_world_case_key();
    crypto_random(random, sizeof random);
    assert_int_equal(draft_parse(&draft, span_of_str(draft_text), &err), E_OK);
    memcpy(key.number, draft.case_number, sizeof key.number);
    struct composition how = { .origin = RECORD_WORLD_ORIGIN,
                               .case_key = &key,
                               .submitter_key = submitter.key,
                               .submitter_public = submitter.vkey.key,
                               .number = 4,
                               .random = random };
    assert_int_equal(payload_compose(out, &draft, &how, &err), E_OK);
    draft_clear(&draft);
    signer_clear(&submitter);
}

static enum err_code parse_payload(struct span json, struct err *err)
{
    struct payload payload;
    payload_init(&payload);
    enum err_code rc = payload_parse(&payload, json, err);
    payload_clear(&payload);
    return rc;
}

static enum err_code parse_disclosure(struct span json, struct err *err)
{
    struct disclosure disclosure;
    struct disclosure_verdict verdict;
    disclosure_init(&disclosure);
    enum err_code rc = disclosure_parse(&disclosure, json, err);
    if (rc == E_OK) {
        rc = disclosure_verify(&verdict, &disclosure, err);
        if (rc == E_OK) {
            disclosure_verdict_clear(&verdict);
        }
    }
    disclosure_clear(&disclosure);
    return rc;
}

static void spoil_every_byte(struct buf *json, enum err_code (*parse)(struct span, struct err *))
{
    struct err err;
    assert_int_equal(parse(buf_span(json), &err), E_OK);
    refused = 0;
    for (size_t i = 0; i < json->len; i++) {
        uint8_t before = json->data[i];
        json->data[i] = before == '1' ? '2' : '1';
        assert_silent(parse(buf_span(json), &err), &err);
        json->data[i] = before;
        assert_silent(parse(span_slice(buf_span(json), 0, i), &err), &err);
    }
    assert_int_equal(refused, 2 * json->len);
}

static void a_payload_that_is_spoilt_at_any_byte_is_not_quoted(void **state)
{
    (void)state;
    struct payload payload;
    struct buf json = BUF_INIT(PAYLOAD_BYTES_MAX);
    make_payload(&payload);
    payload_put(&json, &payload);
    assert_true(span_find(buf_span(&json), span_of_str(DEBTOR)) != SIZE_MAX);
    spoil_every_byte(&json, parse_payload);
    crypto_wipe(json.data, json.cap);
    buf_clear(&json);
    payload_clear(&payload);
}

static void a_disclosure_that_is_spoilt_at_any_byte_is_not_quoted(void **state)
{
    (void)state;
    struct payload payload;
    struct disclosure disclosure;
    struct buf json = BUF_INIT(DISCLOSURE_BYTES_MAX);
    make_payload(&payload);
    disclosure_init(&disclosure);
    disclosure_make(&disclosure, &payload, UINT32_MAX, true, span_of(NULL, 0));
    disclosure_put(&json, &disclosure);
    spoil_every_byte(&json, parse_disclosure);
    crypto_wipe(json.data, json.cap);
    buf_clear(&json);
    disclosure_clear(&disclosure);
    payload_clear(&payload);
}

/* ---- so that silence means something ---- */

static void words_that_quote_are_noticed(void **state)
{
    (void)state;
    assert_true(has_piece_of("debtor: 990101198503151239 is no id", DEBTOR));
    assert_true(has_piece_of("near \"8503151\"", DEBTOR));
    assert_false(has_piece_of("debtor: character 18: expected 9", DEBTOR));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_that_quote_are_noticed),
        cmocka_unit_test(the_draft_itself_is_taken),
        cmocka_unit_test(a_draft_that_is_spoilt_at_any_byte_is_not_quoted),
        cmocka_unit_test(a_secret_in_the_wrong_place_is_not_quoted),
        cmocka_unit_test(a_secret_where_lists_are_expected_is_not_quoted),
        cmocka_unit_test(a_payload_that_is_spoilt_at_any_byte_is_not_quoted),
        cmocka_unit_test(a_disclosure_that_is_spoilt_at_any_byte_is_not_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
