#include "tlog/log_list.h"

#include "base/ascii.h"
#include "tests/support/keys.h"
#include "tests/support/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    KEYS = 4,
    TEXT_MAX = 2 * LOG_LIST_BYTES_MAX
};

/* Logs "log0.example" and so on, and a witness. */
static struct signer log_signers[KEYS], witness_signer;
static char log_vkeys[KEYS][128], witness_vkey[128];

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
    for (size_t i = 0; i < KEYS; i++) {
        char name[16];
        snprintf(name, sizeof name, "log%zu.example", i);
        log_signers[i] = keys_signer(name, SIGNATURE_ED25519, name);
        put_vkey(log_vkeys[i], &log_signers[i].vkey);
    }
    witness_signer = keys_signer("w.example", SIGNATURE_COSIGNATURE, "w");
    put_vkey(witness_vkey, &witness_signer.vkey);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        signer_clear(&log_signers[i]);
    }
    signer_clear(&witness_signer);
    return 0;
}

/* Replaces $0 to $3 by the vkeys of logs, $W by the witness's, $D by the key of $0 named as log 1,
 * $S by another key of log 0, $M by an ML-DSA key, $I by a vkey with another ID. */
static struct buf expand(const char *template)
{
    struct buf out = BUF_INIT(TEXT_MAX);
    struct vkey renamed = vkey_make("log1.example", SIGNATURE_ED25519, &log_signers[0].vkey.key);
    struct vkey second = vkey_make("log0.example", SIGNATURE_ED25519, &witness_signer.vkey.key);
    uint8_t ml_dsa[1 + 1312] = { SIGNATURE_ML_DSA_44 };
    for (const char *c = template; *c != 0; c++) {
        if (*c != '$') {
            buf_put_u8(&out, (uint8_t)*c);
            continue;
        }
        switch (*++c) {
        case 'W':
            buf_put_str(&out, witness_vkey);
            break;
        case 'D':
            vkey_put(&out, &renamed);
            break;
        case 'S':
            vkey_put(&out, &second);
            break;
        case 'M':
            buf_put_str(&out, "ml.example+00000000+");
            base64_put(&out, SPAN_OF_ARRAY(ml_dsa));
            break;
        case 'I':
            buf_putf(&out, "log3.example+00000000+%s", strrchr(log_vkeys[3], '+') + 1);
            break;
        default:
            buf_put_str(&out, log_vkeys[*c - '0']);
        }
    }
    return out;
}

typedef enum err_code parse_function(struct log_list *out, struct span bytes, struct err *err);

static struct log_list parse(parse_function *function, const char *template)
{
    struct buf text = expand(template);
    struct log_list list;
    struct err err = { 0 };
    if (function(&list, buf_span(&text), &err) != E_OK) {
        fail_msg("%s: %s", template, err.msg);
    }
    buf_clear(&text);
    return list;
}

static void assert_rejected(parse_function *function, const char *template, const char *words)
{
    struct buf text = expand(template);
    struct log_list list = { .skipped = 77 };
    struct err err;
    if (function(&list, buf_span(&text), &err) != E_MALFORMED) {
        fail_msg("accepted: %s", template);
    }
    assert_int_equal(list.skipped, 77);
    if (strstr(err.msg, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    }
    buf_clear(&text);
}

static void assert_item(const struct log_list_item *item, const char *origin, size_t key,
                        const char *url, uint64_t requests_per_day)
{
    assert_string_equal(item->origin, origin);
    assert_true(vkey_is_equal(&item->vkey, &log_signers[key].vkey));
    assert_int_equal(item->url == NULL, url == NULL);
    if (url != NULL) {
        assert_string_equal(item->url, url);
    }
    assert_int_equal(item->requests_per_day, requests_per_day);
}

/* -- our own lists -- */

static void a_list_gives_back_what_is_in_it(void **state)
{
    (void)state;
    struct log_list list = parse(log_list_parse, "# Logs we follow\n"
                                                 "\n"
                                                 " \t\n"
                                                 "log $0 https://log0.example/\n"
                                                 "  # indented\n"
                                                 "\tlog \t $1 \t\n"
                                                 "log $2 urn:\xe6\xb3\x95\xff\n");
    assert_int_equal(list.count, 3);
    assert_int_equal(list.skipped, 0);
    assert_item(&list.items[0], "log0.example", 0, "https://log0.example/", 0);
    assert_item(&list.items[1], "log1.example", 1, NULL, 0);
    assert_item(&list.items[2], "log2.example", 2, "urn:\xe6\xb3\x95\xff", 0);
    log_list_clear(&list);
    assert_null(list.items);
}

static void a_list_may_be_empty(void **state)
{
    (void)state;
    static const char *const empty[] = { "", "\n", "# none yet\n" };
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        struct log_list list = parse(log_list_parse, empty[i]);
        assert_int_equal(list.count, 0);
        log_list_clear(&list);
    }
}

static void lines_of_one_key_name_are_keys_of_one_log(void **state)
{
    (void)state;
    struct log_list list = parse(log_list_parse, "log $0\nlog $1\nlog $S https://log0.example/\n");
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0].origin, "log0.example");
    assert_string_equal(list.items[2].origin, "log0.example");
    assert_int_not_equal(list.items[0].vkey.id, list.items[2].vkey.id);
    log_list_clear(&list);
}

static void lines_that_break_a_rule_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        { "log $0\nlog $0\n", "line 2: the public key of log0.example is listed already" },
        { "log $0\nlog $D\n", "line 2: the public key of log1.example is listed already" },
        { "log $0 u\nlog $1\nlog $0 v\n", "line 3" },
        { "log\n", "line 1: the vkey is missing" },
        { "log $0 url more\n", "one item too many" },
        { "log $0 # ours\n", "a comment must stand on a line of its own" },
        { "log $0 url # ours\n", "a comment must stand on a line of its own" },
        { "log $0", "no newline at the end" },
        { "log $0\r\n", "end lines with a newline alone" },
        { "log $0\n\x0c\n", "line 2: byte 0x0c" },
        { "log $0\n\n\nlog $1 \x7f\n", "line 4: byte 0x7f" },
        { "witness w $W\n", "\"witness\" is not log" },
        { "quorum none\n", "\"quorum\" is not log" },
        { "$0\n", "is not log" },
        { "LOG $0\n", "\"LOG\" is not log" },
        { "log pineapple\n", "line 1: vkey \"pineapple\"" },
        { "log https://log0.example/ $0\n", "vkey" },
        { "log $I\n", "key ID 00000000 does not belong" },
        { "log $M\n", "does not belong to" },
        { "log PRIVATE+KEY+a+00000000+AAAA\n", "this is a private key" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_rejected(log_list_parse, bad[i].text, bad[i].words);
        assert_rejected(log_list_parse, bad[i].text, "log list: line ");
    }
}

static void a_witness_key_where_a_log_key_belongs_is_said_in_words(void **state)
{
    (void)state;
    assert_rejected(log_list_parse, "log $0\nlog $W https://w.example/\n",
                    "line 2: key w.example has type 0x04");
    assert_rejected(log_list_parse, "log $W\n", "a key of type 0x01");
    assert_rejected(log_list_parse, "log $W\n", "ask its owner for that one");
}

/* Keys without a private half: any 32 bytes will do, but for those of small order. */
static void put_numbered_vkey(struct buf *out, size_t i)
{
    char name[32];
    snprintf(name, sizeof name, "n%zu", i);
    struct hash hash = sha256(span_of_str(name));
    struct ed25519_public public;
    memcpy(public.bytes, hash.bytes, sizeof public.bytes);
    struct vkey vkey = vkey_make(name, SIGNATURE_ED25519, &public);
    vkey_put(out, &vkey);
}

static void a_list_is_read_up_to_its_maxima_and_no_further(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(TEXT_MAX);
    struct log_list list;
    struct err err = { 0 };
    for (size_t i = 0; i < LOG_LIST_LINES_MAX; i++) {
        buf_put_str(&text, "log ");
        put_numbered_vkey(&text, i);
        buf_put_str(&text, " u\n");
    }
    if (log_list_parse(&list, buf_span(&text), &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(list.count, LOG_LIST_LINES_MAX);
    assert_string_equal(list.items[LOG_LIST_LINES_MAX - 1].origin, "n16383");
    log_list_clear(&list);
    size_t full = text.len;
    buf_put_str(&text, "log ");
    put_numbered_vkey(&text, LOG_LIST_LINES_MAX);
    buf_put_str(&text, " u\n");
    assert_int_equal(log_list_parse(&list, buf_span(&text), &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "line 16385: over 16384 keys"));
    buf_truncate(&text, full);
    buf_put_str(&text, "log ");
    put_numbered_vkey(&text, 0);
    buf_put_str(&text, " u\n");
    assert_int_equal(log_list_parse(&list, buf_span(&text), &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "line 16385: the public key of n0 is listed already"));
    while (text.len <= LOG_LIST_BYTES_MAX) {
        buf_put_u8(&text, '\n');
    }
    assert_int_equal(log_list_parse(&list, buf_span(&text), &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "at most"));
    buf_clear(&text);
}

/* -- lists of the witness network -- */

#define ENTRY(vkey) "vkey " vkey "\nqpd 86400\ncontact someone@example\n"

static void a_network_list_gives_back_what_is_in_it(void **state)
{
    (void)state;
    struct log_list list = parse(log_list_parse_network, "# A list\n"
                                                         "\n"
                                                         "  logs/v0\r\n"
                                                         "\n"
                                                         "vkey $0\n"
                                                         "qpd 1\n"
                                                         "contact a\n"
                                                         "\tvkey $1  \n"
                                                         "  # inside an entry\n"
                                                         "  origin some legacy origin line\n"
                                                         "  qpd 2147483647\n"
                                                         "  contact b c # d\n"
                                                         "vkey $2\nqpd 86400\ncontact e");
    assert_int_equal(list.count, 3);
    assert_int_equal(list.skipped, 0);
    assert_item(&list.items[0], "log0.example", 0, NULL, 1);
    assert_item(&list.items[1], "some legacy origin line", 1, NULL, 2147483647);
    assert_item(&list.items[2], "log2.example", 2, NULL, 86400);
    log_list_clear(&list);
}

/* protocols.md 8.7: what the validator of the network takes and refuses, but for a vkey that is none, which
 * a reader skips. */
static void the_accept_and_reject_table_of_the_network_holds(void **state)
{
    (void)state;
    static const char *const good[] = {
        "logs/v0\n",
        "logs/v0",
        "  logs/v0\n# end\n\n",
        "logs/v0\n" ENTRY("$0"),
        "logs/v0\nvkey $0\norigin some legacy origin line\nqpd 86400\ncontact a b\n",
    };
    static const struct {
        const char *text, *words;
    } bad[] = {
        { "", "does not begin with logs/v0" },
        { "\n# logs/v0\n", "does not begin with logs/v0" },
        { ENTRY("$0"), "line 1: the list does not begin with logs/v0" },
        { "logs/v1\n", "line 1: the list does not begin with logs/v0" },
        { "logs/v0 beta\n", "does not begin with logs/v0" },
        { "logs/v0\nqpd 86400\ncontact a\n", "line 2: qpd: out of order" },
        { "logs/v0\norigin o\nqpd 86400\ncontact a\n", "line 2: origin: out of order" },
        { "logs/v0\nvkey\nqpd 86400\ncontact a\n", "line 2: vkey: no value" },
        { "logs/v0\nvkey $0 more\nqpd 86400\ncontact a\n", "line 2: vkey: more than one value" },
        { "logs/v0\nvkey $0\norigin\nqpd 86400\ncontact a\n", "line 3: origin: no value" },
        { "logs/v0\nvkey $0\norigin \nqpd 86400\ncontact a\n", "line 3: origin: no value" },
        { "logs/v0\nvkey $0\nqpd\ncontact a\n", "line 3: qpd: no value" },
        { "logs/v0\nvkey $0\nqpd 1 2\ncontact a\n", "line 3: qpd: more than one value" },
        { "logs/v0\nvkey $0\nqpd pineapple\ncontact a\n", "line 3: qpd: " },
        { "logs/v0\nvkey $0\nqpd 2147483648\ncontact a\n", "line 3: qpd: " },
        { "logs/v0\nvkey $0\nqpd 0\ncontact a\n", "line 3: qpd: not above 0" },
        { "logs/v0\nvkey $0\nqpd 01\ncontact a\n", "line 3: qpd: " },
        { "logs/v0\nvkey $0\nqpd -1\ncontact a\n", "line 3: qpd: " },
        { "logs/v0\nvkey $0\nqpd 1\ncontact\n", "line 4: contact: no value" },
        { "logs/v0\nvkey $0\nqpd 1\norigin o\ncontact a\n", "line 4: origin: out of order" },
        { "logs/v0\nvkey $0\norigin o\norigin p\nqpd 1\ncontact a\n", "line 4: origin" },
        { "logs/v0\nvkey $0\nqpd 1\nqpd 1\ncontact a\n", "line 4: qpd: out of order" },
        { "logs/v0\nvkey $0\ncontact a\nqpd 1\n", "line 3: contact: out of order" },
        { "logs/v0\nvkey $0\nvkey $1\nqpd 1\ncontact a\n", "line 3: vkey: out of order" },
        { "logs/v0\n" ENTRY("$0") "contact a\n", "line 5: contact: out of order" },
        { "logs/v0\nvkey $0\n", "the last entry is not complete" },
        { "logs/v0\n" ENTRY("$0") "vkey $1\nqpd 1\n", "the last entry is not complete" },
        { "logs/v0\n" ENTRY("$0") "vkey $1\norigin o\n", "the last entry is not complete" },
        { "logs/v0\nvkey\t$0\nqpd 1\ncontact a\n", "line 3: qpd: out of order" },
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct log_list list = parse(log_list_parse_network, good[i]);
        assert_int_equal(list.skipped, 0);
        log_list_clear(&list);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_rejected(log_list_parse_network, bad[i].text, bad[i].words);
        assert_rejected(log_list_parse_network, bad[i].text, "network log list: ");
    }
}

static void keywords_that_are_not_known_are_ignored(void **state)
{
    (void)state;
    struct log_list list =
        parse(log_list_parse_network, "logs/v0\nexpires 2030\nlogs/v0\nvkey $0\nvkeys a b\nqpd 5\n"
                                      "mirror\ncontact a\nQPD 7\n");
    assert_int_equal(list.count, 1);
    assert_item(&list.items[0], "log0.example", 0, NULL, 5);
    log_list_clear(&list);
    assert_rejected(log_list_parse_network, "expires 2030\nlogs/v0\n", "begin with logs/v0");
}

static void entries_that_are_of_no_use_are_skipped_and_counted(void **state)
{
    (void)state;
    struct log_list list =
        parse(log_list_parse_network, "logs/v0\n" ENTRY("$W") ENTRY("$M") ENTRY("$I") ENTRY("$0"));
    assert_int_equal(list.count, 1);
    assert_int_equal(list.skipped, 3);
    assert_item(&list.items[0], "log0.example", 0, NULL, 86400);
    log_list_clear(&list);
    list =
        parse(log_list_parse_network,
              "logs/v0\n" ENTRY("pineapple") ENTRY("log1.example+00000000") ENTRY("$0")
                  ENTRY("PRIVATE+KEY+a+00000000+AAAA") ENTRY("\xff") ENTRY(
                      "$1") "vkey pineapple\norigin log2.example\nqpd 1\ncontact a\n" ENTRY("$2"));
    assert_int_equal(list.count, 3); /* nor is an origin taken by an entry that is skipped */
    assert_int_equal(list.skipped, 5);
    assert_item(&list.items[0], "log0.example", 0, NULL, 86400);
    assert_item(&list.items[1], "log1.example", 1, NULL, 86400);
    assert_item(&list.items[2], "log2.example", 2, NULL, 86400);
    log_list_clear(&list);
    /* Such an entry is held to the rules all the same. */
    assert_rejected(log_list_parse_network, "logs/v0\nvkey pineapple\ncontact a\n", "line 3");
    assert_rejected(log_list_parse_network, "logs/v0\nvkey $W\nqpd 0\ncontact a\n", "line 3: qpd");
    assert_rejected(log_list_parse_network, "logs/v0\nvkey $M\nqpd 1\n", "not complete");
}

/* Nobody can add a key to a log that is there, or take its place. */
static void the_first_entry_of_an_origin_counts(void **state)
{
    (void)state;
    struct log_list list = parse(log_list_parse_network,
                                 "logs/v0\n" ENTRY("$0") ENTRY("$S")
                                     ENTRY("$0") "vkey $1\norigin log0.example\nqpd 1\ncontact a\n"
                                                 "vkey $1\nqpd 1\ncontact a\n");
    assert_int_equal(list.count, 2);
    assert_int_equal(list.skipped, 3);
    assert_item(&list.items[0], "log0.example", 0, NULL, 86400);
    assert_item(&list.items[1], "log1.example", 1, NULL, 1);
    log_list_clear(&list);
}

/* The origin is part of what is signed, so one key may sign for several logs. */
static void one_key_may_be_that_of_two_origins(void **state)
{
    (void)state;
    struct log_list list =
        parse(log_list_parse_network, "logs/v0\nvkey $0\norigin a\nqpd 1\ncontact c\n"
                                      "vkey $0\norigin b\nqpd 2\ncontact c\n");
    assert_int_equal(list.count, 2);
    assert_item(&list.items[0], "a", 0, NULL, 1);
    assert_item(&list.items[1], "b", 0, NULL, 2);
    log_list_clear(&list);
}

static void an_origin_that_cannot_be_one_makes_the_entry_useless(void **state)
{
    (void)state;
    char text[1000], origin[ORIGIN_BYTES_MAX + 2];
    memset(origin, 'o', sizeof origin);
    origin[ORIGIN_BYTES_MAX + 1] = 0;
    snprintf(text, sizeof text,
             "logs/v0\nvkey $0\norigin %s\nqpd 1\ncontact a\n"
             "vkey $1\norigin %s\nqpd 1\ncontact a\n"
             "vkey $2\norigin a\x01z\nqpd 1\ncontact a\n"
             "vkey $2\norigin \xff\nqpd 1\ncontact a\n",
             origin, origin + 1);
    struct log_list list = parse(log_list_parse_network, text);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.skipped, 3);
    assert_item(&list.items[0], origin + 1, 1, NULL, 1);
    log_list_clear(&list);
}

static void a_network_list_is_read_up_to_its_maxima_and_no_further(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(TEXT_MAX);
    struct log_list list;
    struct err err = { 0 };
    buf_put_str(&text, "logs/v0\n");
    for (size_t i = 0; i <= LOG_LIST_LINES_MAX; i++) {
        if (i == LOG_LIST_LINES_MAX) { /* all that may be, and one more */
            assert_int_equal(log_list_parse_network(&list, buf_span(&text), &err), E_OK);
            assert_int_equal(list.count, LOG_LIST_LINES_MAX);
            assert_int_equal(list.skipped, 0);
            log_list_clear(&list);
        }
        buf_put_str(&text, "vkey ");
        put_numbered_vkey(&text, i);
        buf_put_str(&text, "\nqpd 1\ncontact a\n");
    }
    assert_int_equal(log_list_parse_network(&list, buf_span(&text), &err), E_MALFORMED);
    while (text.len <= LOG_LIST_BYTES_MAX) {
        buf_put_u8(&text, '\n');
    }
    assert_int_equal(log_list_parse_network(&list, buf_span(&text), &err), E_MALFORMED);
    buf_clear(&text);
}

static void the_vkeys_of_the_validator_are_usable(void **state)
{
    (void)state;
    struct span first = shared_word("log.staging.ct.example.com+3af057ed+");
    struct span second = shared_word("log.example.com/v1/tree/4e89cc51");
    struct buf text = BUF_INIT(2000);
    buf_putf(&text, "logs/v0\nvkey %.*s\nqpd 86400\ncontact a\n", SPAN_PRINTF(first));
    buf_putf(&text, "vkey %.*s\nqpd 1\ncontact a\n", SPAN_PRINTF(second));
    struct log_list list;
    struct err err = { 0 };
    if (log_list_parse_network(&list, buf_span(&text), &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].origin, "log.staging.ct.example.com");
    log_list_clear(&list);
    buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_gives_back_what_is_in_it),
        cmocka_unit_test(a_list_may_be_empty),
        cmocka_unit_test(lines_of_one_key_name_are_keys_of_one_log),
        cmocka_unit_test(lines_that_break_a_rule_are_named),
        cmocka_unit_test(a_witness_key_where_a_log_key_belongs_is_said_in_words),
        cmocka_unit_test(a_list_is_read_up_to_its_maxima_and_no_further),
        cmocka_unit_test(a_network_list_gives_back_what_is_in_it),
        cmocka_unit_test(the_accept_and_reject_table_of_the_network_holds),
        cmocka_unit_test(keywords_that_are_not_known_are_ignored),
        cmocka_unit_test(entries_that_are_of_no_use_are_skipped_and_counted),
        cmocka_unit_test(the_first_entry_of_an_origin_counts),
        cmocka_unit_test(one_key_may_be_that_of_two_origins),
        cmocka_unit_test(an_origin_that_cannot_be_one_makes_the_entry_useless),
        cmocka_unit_test(a_network_list_is_read_up_to_its_maxima_and_no_further),
        cmocka_unit_test(the_vkeys_of_the_validator_are_usable),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
