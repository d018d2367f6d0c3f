/* record_world.h -- drafts, keys and payloads for tests: the same bytes in every run.
 *
 * Every secret is the SHA-256 of a text that names it. One thread.
 */
#ifndef SUPPORT_RECORD_WORLD_H
#define SUPPORT_RECORD_WORLD_H

#include "record/disclosure.h"
#include "tests/support/keys.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORD_WORLD_ORIGIN "log.court.example/2026"
#define RECORD_WORLD_CASE   "（2026）测0101执123号"

/* Of region 99, which no person has; of an unassigned company. */
#define RECORD_WORLD_DEBTOR    "990101198503151239"
#define RECORD_WORLD_APPLICANT "91990000MA000001A8"

#define RECORD_WORLD_FILED                                                                         \
    "{\"case\":\"" RECORD_WORLD_CASE "\",\"court\":\"测0101\","                                   \
    "\"document\":\"" RECORD_WORLD_DOCUMENT "\",\"fields\":{\"amount-due\":6000000,"               \
    "\"applicant\":\"" RECORD_WORLD_APPLICANT "\",\"basis\":\"（2025）测0101民初77号\","     \
    "\"debtor\":\"" RECORD_WORLD_DEBTOR "\"},\"kind\":\"CASE_FILED\","                             \
    "\"minute\":\"2026-03-02T08:45Z\",\"officer\":\"officer 7\"}"
/* SHA-256 of "the paper\n". */
#define RECORD_WORLD_PAPER    "the paper\n"
#define RECORD_WORLD_DOCUMENT "9d13aa672df9abcbbcfa2d4c29e3d415ad9df13a3fcea4cf733f98b1aa2645bb"

#define RECORD_WORLD_FREEZE(sealed)                                                                \
    "{\"case\":\"" RECORD_WORLD_CASE "\",\"court\":\"测0101\",\"fields\":{"                       \
    "\"account\":\"6200990100000017\",\"amount\":1234500,\"asset\":\"account 6200990100000017\","  \
    "\"debtor\":\"" RECORD_WORLD_DEBTOR "\",\"end\":\"2027-03-03\","                               \
    "\"institution\":\"91990000MA00000HKL\",\"start\":\"2026-03-04\"},"                            \
    "\"kind\":\"FREEZE\",\"minute\":\"2026-03-04T09:31Z\",\"officer\":\"officer 7\","              \
    "\"sealed\":" sealed "}"

#define RECORD_WORLD_UNSEAL                                                                        \
    "{\"case\":\"" RECORD_WORLD_CASE "\",\"court\":\"测0101\",\"kind\":\"UNSEAL\","               \
    "\"minute\":\"2026-03-09T16:00Z\",\"officer\":\"officer 7\"}"

static inline struct hash record_world_secret(const char *name)
{
    return sha256(span_of_str(name));
}

static inline struct case_key record_world_case_key(void)
{
    struct case_key key = { .number = RECORD_WORLD_CASE };
    struct hash secret = record_world_secret("case key");
    memcpy(key.bytes, secret.bytes, sizeof key.bytes);
    return key;
}

static inline struct signer record_world_submitter(void)
{
    return keys_signer("court-0101.example", SIGNATURE_ED25519, "submitter key");
}

/* Byte blocks of SHA-256(name || i), one behind the other. */
static inline void record_world_random(uint8_t out[static PAYLOAD_RANDOM_BYTES], const char *name)
{
    for (size_t at = 0, i = 0; at < PAYLOAD_RANDOM_BYTES; i++) {
        uint8_t number = (uint8_t)i;
        struct span parts[] = { span_of_str(name), span_of(&number, 1) };
        struct hash block = sha256_parts(parts, 2);
        size_t len =
            PAYLOAD_RANDOM_BYTES - at < HASH_BYTES ? PAYLOAD_RANDOM_BYTES - at : (size_t)HASH_BYTES;
        memcpy(out + at, block.bytes, len);
        at += len;
    }
}

struct record_recipe {
    const char *draft;
    uint64_t number;
    bool is_vouched;
    const struct payload *sealed; /* for UNSEAL */
    const char *origin;           /* NULL: RECORD_WORLD_ORIGIN */
};

/* *out need not be initialised; clear it in any case. */
static inline enum err_code
record_world_compose(struct payload *out, const struct record_recipe *recipe, struct err *err)
{
    struct draft draft;
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    struct case_key key = record_world_case_key();
    payload_init(out);
    enum err_code rc = draft_parse(&draft, span_of_str(recipe->draft), err);
    if (rc != E_OK) {
        return rc;
    }
    struct signer submitter = record_world_submitter();
    char name[64];
    snprintf(name, sizeof name, "random of record %ju", (uintmax_t)recipe->number);
    record_world_random(random, name);
    struct composition how = {
        .origin = recipe->origin != NULL ? recipe->origin : RECORD_WORLD_ORIGIN,
        .case_key = &key,
        .submitter_key = submitter.key,
        .submitter_public = submitter.vkey.key,
        .number = recipe->number,
        .is_vouched = recipe->is_vouched,
        .sealed = recipe->sealed,
        .random = random,
    };
    rc = payload_compose(out, &draft, &how, err);
    crypto_wipe(random, sizeof random);
    draft_clear(&draft);
    signer_clear(&submitter);
    return rc;
}

static inline void record_world_make(struct payload *out, const char *draft, uint64_t number)
{
    struct err err;
    struct record_recipe recipe = { .draft = draft, .number = number };
    if (record_world_compose(out, &recipe, &err) != E_OK) {
        fprintf(stderr, "record_world: %s\n", err.msg);
        abort();
    }
}

#endif
