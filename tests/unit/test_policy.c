#include "tlog/policy.h"

#include "base/ascii.h"
#include "tests/support/keys.h"
#include "tests/support/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    WITNESSES = 8,
    TEXT_MAX = 2 * POLICY_BYTES_MAX
};

#define ROOT "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="

/* A log "log.example", witnesses "w0.example" to "w7.example", and their vkeys as text. */
static struct signer log_signer, witness_signers[WITNESSES];
static char log_vkey[128], witness_vkeys[WITNESSES][128];

static void put_vkey(char out[static 128], const struct vkey *vkey)
{
    struct buf text = BUF_INIT(128);
    vkey_put(&text, vkey);
    memcpy(out, buf_c_str(&text), text.len + 1);
    buf_clear(&text);
}

static int set_up(void **state)
{
    (void)state;
    log_signer = keys_signer("log.example", SIGNATURE_ED25519, "log");
    put_vkey(log_vkey, &log_signer.vkey);
    for (size_t i = 0; i < WITNESSES; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%zu.example", i);
        witness_signers[i] = keys_signer(name, SIGNATURE_COSIGNATURE, name);
        put_vkey(witness_vkeys[i], &witness_signers[i].vkey);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    signer_clear(&log_signer);
    for (size_t i = 0; i < WITNESSES; i++) {
        signer_clear(&witness_signers[i]);
    }
    return 0;
}

/* Replaces each $L by the log's vkey and each $0..$7 by a witness's. */
static struct buf expand(const char *template)
{
    struct buf out = BUF_INIT(TEXT_MAX);
    for (const char *c = template; *c != 0; c++) {
        if (*c != '$') {
            buf_put_u8(&out, (uint8_t)*c);
        } else if (*++c == 'L') {
            buf_put_str(&out, log_vkey);
        } else {
            buf_put_str(&out, witness_vkeys[*c - '0']);
        }
    }
    return out;
}

static struct policy *parse(const char *template)
{
    struct buf text = expand(template);
    struct policy *policy = NULL;
    struct err err = { 0 };
    if (policy_parse(&policy, buf_span(&text), &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    buf_clear(&text);
    return policy;
}

static void assert_rejected(const char *template, const char *words)
{
    struct buf text = expand(template);
    struct policy *policy = NULL;
    struct err err;
    if (policy_parse(&policy, buf_span(&text), &err) != E_MALFORMED) {
        fail_msg("accepted: %s", template);
    }
    assert_null(policy);
    if (strstr(err.msg, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    }
    buf_clear(&text);
}

static struct policy_set set_of(unsigned bits)
{
    struct policy_set set = { 0 };
    for (size_t i = 0; i < WITNESSES; i++) {
        set.has[i] = bits >> i & 1;
    }
    return set;
}

static bool is_met(const struct policy *policy, unsigned bits)
{
    struct policy_set set = set_of(bits);
    return policy_is_met(policy, &set);
}

static void assert_rule(const char *template, const char *rule)
{
    struct policy *policy = parse(template);
    struct buf text = BUF_INIT(POLICY_BYTES_MAX);
    policy_put_rule(&text, policy);
    assert_string_equal(buf_c_str(&text), rule);
    buf_clear(&text);
    policy_free(policy);
}

/* -- parsing -- */

#define WITNESS_3 "witness a $0\nwitness b $1\nwitness c $2\n"

static void a_policy_gives_back_what_is_in_it(void **state)
{
    (void)state;
    struct policy *policy = parse("# A comment\n"
                                  "\n"
                                  " \t \n"
                                  "  # indented\n"
                                  "log $L https://log.example/\n"
                                  "witness a $0 https://w.example/1\n"
                                  "\twitness \t b  $1 \n"
                                  "witness \xe6\xb3\x95\xff $2\n"
                                  "group all 2 a b \xe6\xb3\x95\xff\n"
                                  "quorum all\n");
    assert_int_equal(policy_log_count(policy), 1);
    assert_true(vkey_is_equal(&policy_log_at(policy, 0)->vkey, &log_signer.vkey));
    assert_string_equal(policy_log_at(policy, 0)->url, "https://log.example/");
    assert_ptr_equal(policy_log_by_origin(policy, "log.example"), policy_log_at(policy, 0));
    assert_null(policy_log_by_origin(policy, "log.exampl"));
    assert_int_equal(policy_witness_count(policy), 3);
    assert_string_equal(policy_witness_at(policy, 0)->name, "a");
    assert_string_equal(policy_witness_at(policy, 0)->url, "https://w.example/1");
    assert_true(vkey_is_equal(&policy_witness_at(policy, 1)->vkey, &witness_signers[1].vkey));
    assert_null(policy_witness_at(policy, 1)->url);
    assert_string_equal(policy_witness_at(policy, 2)->name, "\xe6\xb3\x95\xff");
    assert_true(policy_has_quorum(policy));
    policy_free(policy);
    policy_free(NULL);
}

static void a_policy_is_named_by_the_hash_of_its_bytes(void **state)
{
    (void)state;
    struct policy *policy;
    struct err err;
    assert_int_equal(policy_parse(&policy, span_of_str("quorum none\n"), &err), E_OK);
    struct hash hash = sha256(span_of_str("quorum none\n"));
    assert_true(hash_is_equal(policy_hash(policy), &hash));
    policy_free(policy);
}

static void names_may_be_keywords_and_numbers(void **state)
{
    (void)state;
    assert_rule("witness log $0\nwitness any $1\nwitness 3 $2\nwitness #x $3\n"
                "group quorum 2 log any 3 #x\nquorum quorum\n",
                "2 of (log, any, 3, #x)");
}

static void policy_parse_rejects_lines_that_break_a_rule(void **state)
{
    (void)state;
    static const struct {
        const char *template, *words;
    } cases[] = {
        /* the file */
        { "", "no quorum line" },
        { "\n", "no quorum line" },
        { "log $L\n", "no quorum line" },
        { "quorum none", "line 1: no newline at the end" },
        { "quorum none\nquorum none\n", "line 2: quorum: a second" },
        { "quorum none\n\x0c\n", "line 2: byte 0x0c" },
        { "quorum none\x7f\n", "byte 0x7f" },
        { "# \x7f\nquorum none\n", "byte 0x7f" },
        { "quorum none\r\n", "byte 0x0d is not allowed: end lines" },
        { "# \x01\nquorum none\n", "byte 0x01" },
        { "# \x1b\nquorum none\n", "byte 0x1b" },
        { "quorum none # words\n", "a line of its own" },
        { "quorum none #\n", "a line of its own" },
        { "quorum none none\n", "one item too many" },
        { "quorum\n", "the name is missing" },
        { "Quorum none\n", "not log, witness, group or quorum" },
        { "quorumnone\n", "not log, witness, group or quorum" },
        { "policy x\nquorum none\n", "line 1: \"policy\" is not" },
        /* keys */
        { "log\nquorum none\n", "log: the vkey is missing" },
        { "log x\nquorum none\n", "log: vkey \"x\": " },
        { "log $L u v\nquorum none\n", "one item too many" },
        { "log $L #c\nquorum none\n", "a line of its own" },
        { "log $L u #c\nquorum none\n", "a line of its own" },
        { "log $L\nlog $L\nquorum none\n", "line 2: log: the public key of log.example" },
        { "log $0\nquorum none\n", "w0.example has type 0x04" },
        { "log $0\nquorum none\n", "a key of type 0x01" },
        { "witness a $L\nquorum none\n", "log.example has type 0x01" },
        { "witness a $L\nquorum none\n", "a key of type 0x04" },
        { "witness\nquorum none\n", "the name is missing" },
        { "witness a\nquorum none\n", "the vkey is missing" },
        { "witness $0\nquorum none\n", "the vkey is missing" },
        { "witness a $0 u v\nquorum none\n", "one item too many" },
        { "witness a $0 #c\nquorum none\n", "a line of its own" },
        { "witness a $0\nwitness b $0\nquorum none\n", "listed already" },
        { "witness a $0\nwitness a $1\nquorum none\n", "\"a\" is defined already" },
        { "witness none $0\nquorum none\n", "a meaning of its own" },
        { "witness a b+00000000+BgAA\nquorum none\n", "has 1312 bytes" },
        { "witness a b+00000000+AgAA\nquorum none\n", "0x02 (ECDSA" },
        /* groups */
        { WITNESS_3 "group\nquorum none\n", "the name is missing" },
        { WITNESS_3 "group g\nquorum none\n", "all, any or a number is missing" },
        { WITNESS_3 "group g any\nquorum none\n", "at least one member" },
        { WITNESS_3 "group g a b\nquorum none\n", "is not all, any or a number" },
        { WITNESS_3 "group g 0 a b\nquorum none\n", "the number needed is 1 to 2, not 0" },
        { WITNESS_3 "group g 3 a b\nquorum none\n", "the number needed is 1 to 2, not 3" },
        { WITNESS_3 "group g 01 a b\nquorum none\n", "leading zero" },
        { WITNESS_3 "group g +1 a b\nquorum none\n", "not all, any or a number" },
        { WITNESS_3 "group g -1 a b\nquorum none\n", "not all, any or a number" },
        { WITNESS_3 "group g 99999999999999999999 a b\nquorum none\n", "not all, any" },
        { WITNESS_3 "group g All a b\nquorum none\n", "not all, any or a number" },
        { WITNESS_3 "group g all a x\nquorum none\n", "\"x\" is not defined on an earlier" },
        { WITNESS_3 "group g all a g\nquorum none\n", "\"g\" is not defined on an earlier" },
        { WITNESS_3 "group g all a h\ngroup h all b c\nquorum g\n", "\"h\" is not defined" },
        { WITNESS_3 "group g all a none\nquorum none\n", "\"none\" cannot be a member" },
        { WITNESS_3 "group g all a a\nquorum none\n", "\"a\" is a member already" },
        { WITNESS_3 "group g all a b\ngroup h all a c\nquorum g\n", "\"a\" is a member already" },
        { WITNESS_3 "group g all a b\ngroup h all g c\ngroup i any g\nquorum h\n",
          "\"g\" is a member already" },
        { WITNESS_3 "group a all b c\nquorum none\n", "\"a\" is defined already" },
        { WITNESS_3 "group g all a\ngroup g all b\nquorum none\n", "\"g\" is defined already" },
        { WITNESS_3 "group none all a b\nquorum none\n", "a meaning of its own" },
        { WITNESS_3 "group g all a b # words\nquorum g\n", "a line of its own" },
        { WITNESS_3 "group g all a b #\nquorum g\n", "a line of its own" },
        /* quorum */
        { WITNESS_3 "quorum x\n", "neither none nor a name" },
        { "quorum a\n" WITNESS_3, "line 1: quorum: \"a\" is neither" },
        { WITNESS_3 "quorum a b\n", "one item too many" },
        { WITNESS_3 "quorum a\nquorum b\n", "a second quorum line" },
        { WITNESS_3 "quorum A\n", "neither none nor a name" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_rejected(cases[i].template, cases[i].words);
    }
    struct policy *policy = NULL;
    struct err err;
    static const char with_nul[] = "quorum none\0\n";
    assert_int_equal(policy_parse(&policy, span_of(with_nul, sizeof with_nul - 1), &err),
                     E_MALFORMED);
}

static void every_byte_outside_the_allowed_set_is_rejected(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char text[] = "# x\nquorum none\n";
        text[2] = (char)c;
        struct policy *policy = NULL;
        struct err err;
        enum err_code rc = policy_parse(&policy, span_of(text, sizeof text - 1), &err);
        bool is_allowed = c == 0x09 || (c >= 0x20 && c <= 0x7e) || c >= 0x80;
        /* A newline is allowed too: it ends the comment, and the rest is an empty line. */
        assert_int_equal(rc, is_allowed || c == 0x0a ? E_OK : E_MALFORMED);
        policy_free(policy);
    }
}

/* The same public key under other names is the same key; a log's and a witness's may be the same. */
static void keys_are_compared_and_not_their_names(void **state)
{
    (void)state;
    char other[128], as_log[128];
    struct vkey vkey =
        vkey_make("other.example", SIGNATURE_COSIGNATURE, &witness_signers[0].vkey.key);
    put_vkey(other, &vkey);
    vkey = vkey_make("log.example", SIGNATURE_ED25519, &witness_signers[0].vkey.key);
    put_vkey(as_log, &vkey);
    char text[1024];
    snprintf(text, sizeof text, "witness a $0\nwitness b %s\nquorum none\n", other);
    assert_rejected(text, "the public key of other.example is listed already, for w0.example");
    snprintf(text, sizeof text, "log %s\nwitness a $0\nquorum a\n", as_log);
    policy_free(parse(text));
}

static void a_policy_is_read_up_to_its_maxima_and_no_further(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(TEXT_MAX);
    struct policy *policy = NULL;
    struct err err;
    char name[16];
    for (size_t i = 0; i < POLICY_KEYS_MAX; i++) {
        snprintf(name, sizeof name, "w%zu", i);
        struct signer signer = keys_signer(name, SIGNATURE_COSIGNATURE, name);
        buf_putf(&text, "witness %s ", name);
        vkey_put(&text, &signer.vkey);
        buf_putf(&text, "\n");
        signer_clear(&signer);
    }
    /* The deepest nesting: each group holds the one before it and a witness. */
    buf_put_str(&text, "group g0 1 w0\n");
    for (size_t i = 1; i < POLICY_KEYS_MAX; i++) {
        buf_putf(&text, "group g%zu 2 g%zu w%zu\n", i, i - 1, i);
    }
    buf_put_str(&text, "quorum g255\n");
    assert_int_equal(policy_parse(&policy, buf_span(&text), &err), E_OK);
    struct policy_set all = { 0 };
    memset(all.has, 1, sizeof all.has);
    assert_true(policy_is_met(policy, &all));
    all.has[17] = false;
    assert_false(policy_is_met(policy, &all));
    assert_int_equal(policy_f(policy), POLICY_KEYS_MAX);
    assert_int_equal(policy_may_be_down(policy), 0);
    struct buf rule = BUF_INIT(POLICY_BYTES_MAX);
    policy_put_rule(&rule, policy);
    assert_true(span_has_suffix(buf_span(&rule), span_of_str(", w254), w255)")));
    assert_true(span_find(buf_span(&rule), span_of_str("2 of (1 of (w0), w1), w2), ")) < rule.len);
    buf_clear(&rule);
    policy_free(policy);
    policy = NULL;

    size_t len = text.len;
    buf_putf(&text, "witness extra %s\n", witness_vkeys[0]);
    assert_int_equal(policy_parse(&policy, buf_span(&text), &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "over 256 witnesses"));
    buf_truncate(&text, len);
    buf_put_str(&text, "group extra any g255\n");
    assert_int_equal(policy_parse(&policy, buf_span(&text), &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "over 256 groups"));
    buf_reset(&text);
    while (text.len <= POLICY_BYTES_MAX) {
        buf_put_str(&text, "# filler\n");
    }
    assert_int_equal(policy_parse(&policy, buf_span(&text), &err), E_MALFORMED);
    buf_clear(&text);
}

static void a_name_has_a_maximum(void **state)
{
    (void)state;
    for (size_t len = 255; len <= 256; len++) {
        char name[257] = { 0 }, text[1024];
        memset(name, 'n', len);
        snprintf(text, sizeof text, "witness %s $0\nquorum %s\n", name, name);
        if (len == 255) {
            policy_free(parse(text));
        } else {
            assert_rejected(text, "at most 255");
        }
    }
}

/* -- quorums -- */

static void truth_table_of_nested_groups(void **state)
{
    (void)state;
    struct policy *policy =
        parse("log $L\nwitness W1 $1\nwitness W2 $2\nwitness W3 $3\nwitness W4 $4\nwitness W5 $5\n"
              "group G1 any W1 W2\ngroup G2 2 W3 W4 W5\ngroup G3 all G1 G2\nquorum G3\n");
    static const struct {
        unsigned bits; /* W1 is bit 0 */
        bool is_met;
    } cases[] = {
        { 0, false },    { 0x01, false }, { 0x04, false }, { 0x1c, false }, { 0x03, false },
        { 0x05, false }, { 0x0d, true },  { 0x16, true },  { 0x1f, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(is_met(policy, cases[i].bits), cases[i].is_met);
    }
    policy_free(policy);
    policy = parse("witness A1 $0\nwitness A2 $1\nwitness A3 $2\nwitness B1 $3\nwitness B2 $4\n"
                   "witness B3 $5\ngroup A 1 A1 A2 A3\ngroup B 2 B1 B2 B3\ngroup G any A B\n"
                   "quorum G\n");
    for (unsigned bits = 0; bits < 64; bits++) {
        bool has_a = bits & 7, has_b = __builtin_popcount(bits >> 3) >= 2;
        assert_int_equal(is_met(policy, bits), has_a || has_b);
    }
    policy_free(policy);
}

static void quorum_none_is_always_met(void **state)
{
    (void)state;
    struct policy *policy = parse(WITNESS_3 "quorum none\n");
    struct policy_set all = set_of(0xff);
    assert_false(policy_has_quorum(policy));
    assert_true(is_met(policy, 0));
    assert_false(policy_is_blocking(policy, &all));
    assert_int_equal(policy_f(policy), 0);
    assert_int_equal(policy_may_be_down(policy), 3);
    policy_free(policy);
}

static void f_and_may_be_down_of_the_policies_in_the_documents(void **state)
{
    (void)state;
    static const struct {
        const char *template;
        size_t f, may_be_down;
    } cases[] = {
        { "witness a $0\nquorum a\n", 1, 0 },
        { WITNESS_3 "quorum b\n", 1, 0 },
        { WITNESS_3 "group g any a b c\nquorum g\n", 0, 2 },
        { WITNESS_3 "group g 2 a b c\nquorum g\n", 1, 1 },
        { WITNESS_3 "group g all a b c\nquorum g\n", 3, 0 },
        { WITNESS_3 "witness d $3\ngroup g 3 a b c d\nquorum g\n", 2, 1 },
        { WITNESS_3 "witness d $3\nwitness e $4\ngroup g 4 a b c d e\nquorum g\n", 3, 1 },
        { WITNESS_3 "witness d $3\ngroup g any a b\ngroup h all c d\ngroup q all g h\nquorum q\n",
          2, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct policy *policy = parse(cases[i].template);
        assert_int_equal(policy_f(policy), cases[i].f);
        assert_int_equal(policy_may_be_down(policy), cases[i].may_be_down);
        policy_free(policy);
    }
}

static void the_rule_is_told_in_words(void **state)
{
    (void)state;
    assert_rule("quorum none\n", "none");
    assert_rule(WITNESS_3 "quorum b\n", "b");
    assert_rule(WITNESS_3 "group g 2 a b c\nquorum g\n", "2 of (a, b, c)");
    assert_rule(WITNESS_3 "group g all a c\ngroup h any g b\nquorum h\n", "1 of (2 of (a, c), b)");
    assert_rule(WITNESS_3 "group g 2 c a b\ngroup h all g\nquorum h\n", "1 of (2 of (c, a, b))");
    assert_rule(WITNESS_3 "group g 1 c a\ngroup h all g b\nquorum g\n", "1 of (c, a)");
    assert_rule("witness \xe6\xb3\x95 $0\nquorum \xe6\xb3\x95\n", "\xe6\xb3\x95");
    assert_rule("witness \xff\x9b $0\nquorum \xff\x9b\n", "\\xff\\x9b");
}

/* -- against brute force -- */

/* A quorum rule that knows nothing of policy.c: nodes from the leaves upward. */
struct model {
    size_t witnesses;
    size_t nodes;
    bool is_child[32];
    size_t k[32], n[32], members[32][32]; /* n is 0 for a witness, whose number is the node's */
    size_t quorum;
};

static bool model_is_met(const struct model *model, size_t node, unsigned bits)
{
    if (model->n[node] == 0) {
        return bits >> node & 1;
    }
    size_t met = 0;
    for (size_t i = 0; i < model->n[node]; i++) {
        met += model_is_met(model, model->members[node][i], bits);
    }
    return met >= model->k[node];
}

static uint32_t random_below(uint64_t *seed, uint32_t bound)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % bound;
}

/* Groups nodes that have no group yet until the quorum is one node; some may be left out. */
static struct model random_model(uint64_t *seed, struct buf *text)
{
    struct model model = { .witnesses = 1 + random_below(seed, WITNESSES) };
    for (; model.nodes < model.witnesses; model.nodes++) {
        buf_putf(text, "witness n%zu %s\n", model.nodes, witness_vkeys[model.nodes]);
    }
    size_t groups = random_below(seed, 7);
    model.quorum = random_below(seed, (uint32_t)model.witnesses);
    for (size_t i = 0; i < groups; i++) {
        size_t node = model.nodes, count = 0;
        for (size_t member = 0; member < node; member++) {
            if (!model.is_child[member] && random_below(seed, 3) > 0) {
                model.members[node][count++] = member;
            }
        }
        if (count == 0) {
            continue;
        }
        model.n[node] = count;
        model.k[node] = 1 + random_below(seed, (uint32_t)count);
        buf_putf(text, "group n%zu %zu", node, model.k[node]);
        for (size_t m = 0; m < count; m++) {
            model.is_child[model.members[node][m]] = true;
            buf_putf(text, " n%zu", model.members[node][m]);
        }
        buf_put_str(text, "\n");
        model.quorum = node;
        model.nodes++;
    }
    if (random_below(seed, 8) == 0) { /* any name can be the quorum, a member too */
        model.quorum = random_below(seed, (uint32_t)model.nodes);
    }
    buf_putf(text, "quorum n%zu\n", model.quorum);
    return model;
}

static void assert_agrees(const struct model *model, const struct policy *policy)
{
    unsigned sets = 1u << model->witnesses, everyone = sets - 1;
    bool met[1 << WITNESSES];
    for (unsigned bits = 0; bits < sets; bits++) {
        met[bits] = model_is_met(model, model->quorum, bits);
        assert_int_equal(is_met(policy, bits), met[bits]);
    }
    size_t f = WITNESSES, smallest_blocking = WITNESSES;
    for (unsigned a = 0; a < sets; a++) {
        for (unsigned b = a; met[a] && b < sets; b++) {
            size_t shared = (size_t)__builtin_popcount(a & b);
            f = met[b] && shared < f ? shared : f;
        }
        struct policy_set set = set_of(a);
        assert_int_equal(policy_is_blocking(policy, &set), !met[everyone & ~a]);
        size_t size = (size_t)__builtin_popcount(a);
        if (!met[everyone & ~a] && size < smallest_blocking) {
            smallest_blocking = size;
        }
    }
    assert_int_equal(policy_f(policy), f);
    assert_int_equal(policy_may_be_down(policy), smallest_blocking - 1);
}

/* Some witnesses cosigned, at times of which several may be the same. */
static void assert_agrees_on_time(const struct model *model, const struct policy *policy,
                                  uint64_t *seed)
{
    struct policy_verdict verdict = { 0 };
    unsigned cosigned = 0;
    for (size_t i = 0; i < model->witnesses; i++) {
        verdict.timestamps[i] = random_below(seed, 2) ? 1 + random_below(seed, 5) : 0;
        verdict.cosigned.has[i] = verdict.timestamps[i] > 0;
        cosigned |= (unsigned)verdict.cosigned.has[i] << i;
        verdict.timestamps[i] += verdict.cosigned.has[i] ? 0 : random_below(seed, 3); /* unused */
    }
    uint64_t least = 0;
    for (unsigned bits = 1; bits < 1u << model->witnesses; bits++) {
        uint64_t latest = 0;
        if ((bits & ~cosigned) != 0 || !model_is_met(model, model->quorum, bits)) {
            continue;
        }
        for (size_t i = 0; i < model->witnesses; i++) {
            if ((bits >> i & 1) && verdict.timestamps[i] > latest) {
                latest = verdict.timestamps[i];
            }
        }
        least = least == 0 || latest < least ? latest : least;
    }
    assert_int_equal(policy_no_later_than(policy, &verdict), least);
    assert_int_equal(least > 0, is_met(policy, cosigned));
}

/* 600 random policies: quorum, blocking sets, f, may-be-down and the time of quorums by trying every
 * set of witnesses. */
static void random_policies_agree_with_brute_force(void **state)
{
    (void)state;
    uint64_t seed = 20260923;
    size_t nested = 0;
    for (size_t i = 0; i < 600; i++) {
        struct buf text = BUF_INIT(TEXT_MAX);
        struct model model = random_model(&seed, &text);
        struct policy *policy = NULL;
        struct err err = { 0 };
        if (policy_parse(&policy, buf_span(&text), &err) != E_OK) {
            fail_msg("policy %zu: %s", i, err.msg);
        }
        assert_agrees(&model, policy);
        for (size_t k = 0; k < 20; k++) {
            assert_agrees_on_time(&model, policy, &seed);
        }
        nested += model.nodes > model.witnesses + 1;
        policy_free(policy);
        buf_clear(&text);
    }
    assert_true(nested > 200);
}

/* -- checkpoints -- */

static const char checkpoint_text[] = "log.example\n5\n" ROOT "\n";

static void a_checkpoint_is_judged_line_by_line(void **state)
{
    (void)state;
    struct policy *policy = parse("log $L\nwitness a $0\nwitness b $1\nwitness c $2\n"
                                  "witness d $3\ngroup g 2 a b c d\nquorum g\n");
    struct span text = span_of_str(checkpoint_text);
    struct buf note = BUF_INIT(TEXT_MAX);
    keys_put_signed(&note, text, &log_signer, 0);
    struct policy_verdict verdict;
    struct err err;
    assert_int_equal(policy_open_checkpoint(policy, &verdict, buf_span(&note), &err), E_OK);
    assert_false(verdict.is_met);
    assert_ptr_equal(verdict.log, policy_log_at(policy, 0));
    assert_int_equal(verdict.checkpoint.size, 5);

    keys_put_signature(&note, text, &witness_signers[0], 100);
    assert_int_equal(policy_open_checkpoint(policy, &verdict, buf_span(&note), &err), E_OK);
    assert_false(verdict.is_met);
    assert_true(verdict.cosigned.has[0]);
    assert_int_equal(verdict.timestamps[0], 100);

    /* A bad line and an unknown witness: neither helps, neither harms. */
    keys_put_signature(&note, span_of_str("x\n"), &witness_signers[1], 200);
    keys_put_signature(&note, text, &witness_signers[7], 300);
    assert_int_equal(policy_open_checkpoint(policy, &verdict, buf_span(&note), &err), E_OK);
    assert_false(verdict.is_met);
    assert_false(verdict.cosigned.has[1]);
    assert_int_equal(verdict.bad_signatures, 1);

    keys_put_signature(&note, text, &witness_signers[2], 400);
    assert_int_equal(policy_open_checkpoint(policy, &verdict, buf_span(&note), &err), E_OK);
    assert_true(verdict.is_met);
    assert_true(verdict.cosigned.has[2]);
    assert_int_equal(verdict.timestamps[2], 400);
    assert_int_equal(verdict.timestamps[1], 0);
    assert_int_equal(verdict.bad_signatures, 1);
    buf_clear(&note);
    policy_free(policy);
}

static void a_checkpoint_bounds_time_by_its_quorums(void **state)
{
    (void)state;
    static const struct {
        const char *quorum;
        uint64_t no_later_than, after;
    } cases[] = {
        { "quorum a\n", 400, 400 },
        { "group g any a b c\nquorum g\n", 100, 400 },
        { "group g 2 a b c\nquorum g\n", 300, 300 },
        { "group g all a b c\nquorum g\n", 400, 100 },
        { "group g any b c\ngroup h all a g\nquorum h\n", 400, 300 },
        { "group g all a b\ngroup h any g c\nquorum h\n", 300, 300 },
        { "quorum d\n", 0, 0 }, /* it did not cosign */
        { "group g 4 a b c d\nquorum g\n", 0, 0 },
        { "quorum none\n", 0, 0 }, /* asks for no time */
    };
    struct span text = span_of_str(checkpoint_text);
    struct buf note = BUF_INIT(TEXT_MAX);
    keys_put_signed(&note, text, &log_signer, 0);
    keys_put_signature(&note, text, &witness_signers[0], 400);
    keys_put_signature(&note, text, &witness_signers[1], 100);
    keys_put_signature(&note, text, &witness_signers[2], 300);
    keys_put_signature(&note, span_of_str("x\n"), &witness_signers[3], 50);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char policy_text[512];
        snprintf(policy_text, sizeof policy_text,
                 "log $L\nwitness a $0\nwitness b $1\nwitness c $2\nwitness d $3\n%s",
                 cases[i].quorum);
        struct policy *policy = parse(policy_text);
        struct policy_verdict verdict;
        struct err err;
        assert_int_equal(policy_open_checkpoint(policy, &verdict, buf_span(&note), &err), E_OK);
        assert_int_equal(policy_no_later_than(policy, &verdict), cases[i].no_later_than);
        assert_int_equal(policy_sequenced_after(policy, &verdict), cases[i].after);
        policy_free(policy);
    }
    buf_clear(&note);
}

static void assert_opens(const struct policy *policy, const struct signer *signer, const char *text,
                         uint64_t timestamp, enum err_code expected)
{
    struct buf note = BUF_INIT(TEXT_MAX);
    keys_put_signed(&note, span_of_str(text), signer, timestamp);
    struct policy_verdict verdict = { .bad_signatures = 77 };
    struct err err;
    assert_int_equal(policy_open_checkpoint(policy, &verdict, buf_span(&note), &err), expected);
    assert_int_equal(verdict.bad_signatures, expected == E_OK ? 0 : 77);
    buf_clear(&note);
}

static void a_checkpoint_without_its_log_is_refused(void **state)
{
    (void)state;
    struct policy *policy = parse("log $L\nwitness a $0\nquorum none\n");
    struct signer impostor = keys_signer("log.example", SIGNATURE_ED25519, "impostor");
    assert_opens(policy, &log_signer, checkpoint_text, 0, E_OK);
    assert_opens(policy, &impostor, checkpoint_text, 0, E_BAD_SIGNATURE);
    assert_opens(policy, &witness_signers[0], checkpoint_text, 5, E_BAD_SIGNATURE);
    assert_opens(policy, &log_signer, "log.example2\n5\n" ROOT "\n", 0, E_NOT_FOUND);
    assert_opens(policy, &log_signer, "log.example\n05\n" ROOT "\n", 0, E_MALFORMED);
    assert_opens(policy, &log_signer, "log.example\n0\n" ROOT "\n", 0, E_MALFORMED);
    struct policy_verdict verdict;
    struct err err;
    assert_int_equal(policy_open_checkpoint(policy, &verdict, span_of_str(checkpoint_text), &err),
                     E_MALFORMED);
    signer_clear(&impostor);
    policy_free(policy);
}

/* A bad line under the log's key is never excused by a good one further down. */
static void a_bad_line_of_the_log_refuses_the_checkpoint(void **state)
{
    (void)state;
    struct policy *policy = parse("log $L\nquorum none\n");
    struct buf note = BUF_INIT(TEXT_MAX);
    buf_put_str(&note, checkpoint_text);
    buf_put_u8(&note, '\n');
    keys_put_signature(&note, span_of_str("x\n"), &log_signer, 0);
    keys_put_signature(&note, span_of_str(checkpoint_text), &log_signer, 0);
    struct policy_verdict verdict;
    struct err err;
    assert_int_equal(policy_open_checkpoint(policy, &verdict, buf_span(&note), &err),
                     E_BAD_SIGNATURE);
    buf_clear(&note);
    policy_free(policy);
}

static void any_of_two_logs_with_one_origin_will_do(void **state)
{
    (void)state;
    struct signer second = keys_signer("log.example", SIGNATURE_ED25519, "second");
    char vkey[128], template[512];
    put_vkey(vkey, &second.vkey);
    snprintf(template, sizeof template, "log $L\nlog %s\nquorum none\n", vkey);
    struct policy *policy = parse(template);
    assert_opens(policy, &log_signer, checkpoint_text, 0, E_OK);
    assert_opens(policy, &second, checkpoint_text, 0, E_OK);
    policy_free(policy);
    signer_clear(&second);
}

static void the_log_cannot_cosign_for_a_witness_of_the_same_key(void **state)
{
    (void)state;
    struct vkey both = vkey_make("log.example", SIGNATURE_COSIGNATURE, &log_signer.vkey.key);
    char vkey[128], template[512];
    put_vkey(vkey, &both);
    snprintf(template, sizeof template, "log $L\nwitness a %s\nquorum a\n", vkey);
    struct policy *policy = parse(template);
    struct buf note = BUF_INIT(TEXT_MAX);
    keys_put_signed(&note, span_of_str(checkpoint_text), &log_signer, 0);
    struct policy_verdict verdict;
    struct err err;
    assert_int_equal(policy_open_checkpoint(policy, &verdict, buf_span(&note), &err), E_OK);
    assert_false(verdict.is_met);
    buf_clear(&note);
    policy_free(policy);
}

/* -- vectors -- */

static void vkeys_of_the_witness_network_list_can_be_logs(void **state)
{
    (void)state;
    struct span a = shared_word("log.staging.ct.example.com+3af057ed+");
    struct span b = shared_word("log.example.com/v1/tree/4e89cc51");
    struct span c = shared_word("example.org/key+57bfe580+");
    struct span d = shared_word("remora.n621.de+da77ade7+");
    char template[2048];
    snprintf(template, sizeof template,
             "log %.*s\nlog %.*s https://log.example.com/\nwitness sigsum %.*s\n"
             "witness remora %.*s\ngroup g any sigsum remora\nquorum g\n",
             SPAN_PRINTF(a), SPAN_PRINTF(b), SPAN_PRINTF(c), SPAN_PRINTF(d));
    struct policy *policy = parse(template);
    assert_int_equal(policy_log_count(policy), 2);
    assert_int_equal(policy_witness_count(policy), 2);
    policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_gives_back_what_is_in_it),
        cmocka_unit_test(a_policy_is_named_by_the_hash_of_its_bytes),
        cmocka_unit_test(names_may_be_keywords_and_numbers),
        cmocka_unit_test(policy_parse_rejects_lines_that_break_a_rule),
        cmocka_unit_test(every_byte_outside_the_allowed_set_is_rejected),
        cmocka_unit_test(keys_are_compared_and_not_their_names),
        cmocka_unit_test(a_policy_is_read_up_to_its_maxima_and_no_further),
        cmocka_unit_test(a_name_has_a_maximum),
        cmocka_unit_test(truth_table_of_nested_groups),
        cmocka_unit_test(quorum_none_is_always_met),
        cmocka_unit_test(f_and_may_be_down_of_the_policies_in_the_documents),
        cmocka_unit_test(the_rule_is_told_in_words),
        cmocka_unit_test(random_policies_agree_with_brute_force),
        cmocka_unit_test(a_checkpoint_is_judged_line_by_line),
        cmocka_unit_test(a_checkpoint_bounds_time_by_its_quorums),
        cmocka_unit_test(a_checkpoint_without_its_log_is_refused),
        cmocka_unit_test(a_bad_line_of_the_log_refuses_the_checkpoint),
        cmocka_unit_test(any_of_two_logs_with_one_origin_will_do),
        cmocka_unit_test(the_log_cannot_cosign_for_a_witness_of_the_same_key),
        cmocka_unit_test(vkeys_of_the_witness_network_list_can_be_logs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
