/* Guessing what a record commits to, by somebody who has all that is public and time to try every value.
 *
 * There are so few citizen ids of one region and year of birth (365 days of 1,000 serials, the check character follows)
 * that a bare hash of one hides nothing. What hides it is the salt: the attack here tries every id under every 16 bytes
 * that a careless implementation could have used for it, and has each attack win once, with the salt, so that
 * nothing here passes because the attack is broken. */
#include "base/ascii.h"
#include "record/identifier.h"
#include "tests/support/record_world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
    ID_BYTES = 18,
    SERIALS = 1000,
    YEAR = 1985,
    DAYS = 365,
    SALTS_MAX = 80,
    CASES = 30000,
};

#define REGION "990101"

/* ---- the dictionary ---- */

static void put_decimal(char *out, unsigned digits, unsigned value)
{
    for (unsigned i = digits; i > 0; i--, value /= 10) {
        out[i - 1] = (char)('0' + value % 10);
    }
}

/* GB 11643-1999: the last one follows from the others. */
static char check_character(const char id[static ID_BYTES - 1])
{
    static const unsigned weights[ID_BYTES - 1] = { 7, 9, 10, 5,  8, 4, 2, 1, 6,
                                                    3, 7, 9,  10, 5, 8, 4, 2 };
    unsigned sum = 0;
    for (size_t i = 0; i < ID_BYTES - 1; i++) {
        sum += (unsigned)(id[i] - '0') * weights[i];
    }
    return "10X98765432"[sum % 11];
}

static void make_id(char out[static ID_BYTES], unsigned month, unsigned day, unsigned serial)
{
    memcpy(out, REGION, 6);
    put_decimal(out + 6, 4, YEAR);
    put_decimal(out + 10, 2, month);
    put_decimal(out + 12, 2, day);
    put_decimal(out + 14, 3, serial);
    out[17] = check_character(out);
}

/* What is tried against one digest. */
struct attack {
    struct hash context, target;
    unsigned field;
    uint8_t salts[SALTS_MAX][FIELD_SALT_BYTES];
    size_t salt_count;
    uint64_t tried;
    char found[ID_BYTES + 1]; /* empty: nothing */
};

static void try_id(struct attack *attack, const char id[static ID_BYTES])
{
    for (size_t i = 0; i < attack->salt_count; i++) {
        struct field_value value = { .is_present = true, .value = span_of(id, ID_BYTES) };
        memcpy(value.salt, attack->salts[i], sizeof value.salt);
        struct hash digest = commitment_digest(&attack->context, attack->field, &value);
        attack->tried++;
        if (hash_is_equal(&digest, &attack->target)) {
            memcpy(attack->found, id, ID_BYTES);
        }
    }
}

/* All of the region and year. */
static void try_all(struct attack *attack)
{
    static const unsigned days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    char id[ID_BYTES];
    attack->tried = 0;
    attack->found[0] = 0;
    for (unsigned month = 1; month <= 12; month++) {
        for (unsigned day = 1; day <= days[month - 1]; day++) {
            for (unsigned serial = 0; serial < SERIALS; serial++) {
                make_id(id, month, day, serial);
                try_id(attack, id);
            }
        }
    }
}

static void add_salt(struct attack *attack, const uint8_t *bytes)
{
    assert_true(attack->salt_count < SALTS_MAX);
    memcpy(attack->salts[attack->salt_count++], bytes, FIELD_SALT_BYTES);
}

static void add_halves(struct attack *attack, const struct hash *hash)
{
    add_salt(attack, hash->bytes);
    add_salt(attack, hash->bytes + HASH_BYTES - FIELD_SALT_BYTES);
}

/* The digest of the debtor, which every disclosure that hides him shows, and all else that is public. */
static void begin(struct attack *attack, const struct payload *payload)
{
    struct operation operation;
    struct hash digests[FIELDS];
    struct err err;
    *attack = (struct attack){ .field = FIELD_DEBTOR };
    assert_int_equal(operation_decode(&operation, buf_span(&payload->record), &err), E_OK);
    attack->context = commitment_context(payload->origin, OPERATION_VERSION, &payload->signing_key,
                                         &operation.entry_tag);
    payload_digests(digests, payload);
    attack->target = digests[FIELD_DEBTOR];
    operation_clear(&operation);
}

/* Salts that are none: nothing, and bytes of what is public. */
static void add_public_salts(struct attack *attack, const struct payload *payload)
{
    struct operation operation;
    struct err err;
    struct hash empty = { { 0 } };
    struct hash leaf = merkle_leaf_hash(buf_span(&payload->record));
    struct hash origin = sha256(span_of_str(payload->origin));
    struct hash key;
    assert_int_equal(operation_decode(&operation, buf_span(&payload->record), &err), E_OK);
    memcpy(key.bytes, payload->signing_key.bytes, sizeof key.bytes);
    add_salt(attack, empty.bytes);
    add_halves(attack, &operation.entry_tag);
    add_halves(attack, &operation.fields_root);
    add_halves(attack, &operation.document);
    add_halves(attack, &attack->context);
    add_halves(attack, &origin);
    add_halves(attack, &leaf);
    add_halves(attack, &key);
    add_salt(attack, operation.submitter.bytes);
    operation_clear(&operation);
}

/* Of a disclosure that hides the debtor alone: are the others' salts any help? */
static void add_disclosed_salts(struct attack *attack, const struct payload *payload)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        if (i != FIELD_DEBTOR) {
            add_salt(attack, payload->salts[i]);
        }
    }
    add_salt(attack, payload->document_salt);
    /* Counted up, or down, from the neighbours. */
    uint8_t next[FIELD_SALT_BYTES];
    memcpy(next, payload->salts[FIELD_DEBTOR - 1], sizeof next);
    next[FIELD_SALT_BYTES - 1]++;
    add_salt(attack, next);
    memcpy(next, payload->salts[FIELD_DEBTOR + 1], sizeof next);
    next[FIELD_SALT_BYTES - 1]--;
    add_salt(attack, next);
}

/* ---- a record of somebody's own randomness ---- */

static void make_record(struct payload *out, bool is_sealed, const uint8_t *random)
{
    struct draft draft;
    struct err err;
    struct case_key key = record_world_case_key();
    struct signer submitter = record_world_submitter();
    assert_int_equal(draft_parse(&draft,
                                 span_of_str(is_sealed ? RECORD_WORLD_FREEZE("true")
                                                       : RECORD_WORLD_FREEZE("false")),
                                 &err),
                     E_OK);
    struct composition how = { .origin = RECORD_WORLD_ORIGIN,
                               .case_key = &key,
                               .submitter_key = submitter.key,
                               .submitter_public = submitter.vkey.key,
                               .number = 3,
                               .random = random };
    assert_int_equal(payload_compose(out, &draft, &how, &err), E_OK);
    draft_clear(&draft);
    signer_clear(&submitter);
}

static void make_honest_record(struct payload *out, bool is_sealed)
{
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    crypto_random(random, sizeof random);
    make_record(out, is_sealed, random);
}

/* ---- what must fail, and what must not ---- */

static void every_citizen_of_a_region_and_year_is_tried_in_vain(void **state)
{
    (void)state;
    for (int is_sealed = 0; is_sealed < 2; is_sealed++) {
        struct payload payload;
        struct attack attack;
        make_honest_record(&payload, is_sealed);
        begin(&attack, &payload);
        add_public_salts(&attack, &payload);
        try_all(&attack);
        assert_int_equal(attack.tried, (uint64_t)DAYS * SERIALS * attack.salt_count);
        assert_string_equal(attack.found, "");

        attack.salt_count = 0; /* whoever is given the salt has it at once */
        add_salt(&attack, payload.salts[FIELD_DEBTOR]);
        try_all(&attack);
        assert_string_equal(attack.found, RECORD_WORLD_DEBTOR);
        payload_clear(&payload);
    }
}

static void what_was_disclosed_of_other_fields_does_not_help(void **state)
{
    (void)state;
    struct payload payload;
    struct attack attack;
    make_honest_record(&payload, false);
    begin(&attack, &payload);
    add_disclosed_salts(&attack, &payload);
    try_all(&attack);
    assert_string_equal(attack.found, "");
    payload_clear(&payload);
}

/* The same attack on an implementation that takes one salt for all fields, or none. */
static void a_salt_that_is_none_or_is_used_twice_would_be_found(void **state)
{
    (void)state;
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    for (int is_reused = 0; is_reused < 2; is_reused++) {
        struct payload payload;
        struct attack attack;
        crypto_random(random, sizeof random);
        for (size_t i = 0; i < FIELDS + 1; i++) {
            uint8_t *salt = random + i * FIELD_SALT_BYTES;
            if (is_reused) {
                memcpy(salt, random, FIELD_SALT_BYTES);
            } else {
                memset(salt, 0, FIELD_SALT_BYTES);
            }
        }
        make_record(&payload, false, random);
        begin(&attack, &payload);
        if (is_reused) {
            add_disclosed_salts(&attack, &payload);
            attack.salt_count = 1;
        } else {
            add_salt(&attack, (const uint8_t[FIELD_SALT_BYTES]){ 0 });
        }
        try_all(&attack);
        assert_string_equal(attack.found, RECORD_WORLD_DEBTOR);
        payload_clear(&payload);
    }
}

static void one_id_in_two_records_has_two_digests(void **state)
{
    (void)state;
    struct hash first[FIELDS], second[FIELDS];
    struct payload payload;
    make_honest_record(&payload, false);
    payload_digests(first, &payload);
    payload_clear(&payload);
    make_honest_record(&payload, false);
    payload_digests(second, &payload);
    payload_clear(&payload);
    for (size_t i = 0; i < FIELDS; i++) {
        for (size_t k = 0; k < FIELDS; k++) {
            assert_false(hash_is_equal(&first[i], &second[k]));
        }
    }
}

/* Of every case number that a court gives out in a year: is it this one? The commitment of CASE_FILED is under the
 * case's key, and so are the tags; without it nothing fits, with it the number is found. */
static size_t guess_case(const struct hash *commitment, const struct case_key *key)
{
    size_t found = 0;
    for (unsigned serial = 1; serial <= CASES; serial++) {
        struct case_key guess = *key;
        snprintf(guess.number, sizeof guess.number, "（2026）测0101执%u号", serial);
        struct hash made = case_commitment_make(&guess);
        found = hash_is_equal(&made, commitment) ? serial : found;
        if (key->bytes[0] == 0) { /* no key: a bare hash, too */
            made = sha256(span_of_str(guess.number));
            found = hash_is_equal(&made, commitment) ? serial : found;
        }
    }
    return found;
}

static void no_case_number_of_a_court_and_year_fits_without_the_key(void **state)
{
    (void)state;
    struct payload payload;
    struct operation operation;
    struct err err;
    record_world_make(&payload, RECORD_WORLD_FILED, 0);
    assert_int_equal(operation_decode(&operation, buf_span(&payload.record), &err), E_OK);
    struct case_key key = { .number = "" };
    assert_int_equal(guess_case(&operation.case_commitment, &key), 0);
    memcpy(key.bytes, payload.signing_key.bytes, sizeof key.bytes);
    assert_int_equal(guess_case(&operation.case_commitment, &key), 0);
    key = record_world_case_key();
    assert_int_equal(guess_case(&operation.case_commitment, &key), 123);
    operation_clear(&operation);
    payload_clear(&payload);
}

static void the_dictionary_is_of_ids_that_we_take(void **state)
{
    (void)state;
    struct buf canonical = BUF_INIT(IDENTIFIER_BYTES_MAX);
    struct err err;
    char id[ID_BYTES];
    for (unsigned serial = 0; serial < SERIALS; serial++) {
        make_id(id, 1 + serial % 12, 1 + serial % 28, serial);
        buf_reset(&canonical);
        assert_int_equal(identifier_put_citizen_id(&canonical, span_of(id, sizeof id), &err), E_OK);
        assert_memory_equal(canonical.data, id, sizeof id);
    }
    buf_clear(&canonical);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_dictionary_is_of_ids_that_we_take),
        cmocka_unit_test(every_citizen_of_a_region_and_year_is_tried_in_vain),
        cmocka_unit_test(what_was_disclosed_of_other_fields_does_not_help),
        cmocka_unit_test(a_salt_that_is_none_or_is_used_twice_would_be_found),
        cmocka_unit_test(one_id_in_two_records_has_two_digests),
        cmocka_unit_test(no_case_number_of_a_court_and_year_fits_without_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
