#include "record/entry_tag.h"

#include "base/crypto_cipher.h"
#include "record/identifier.h"

#include <assert.h>
#include <stdlib.h>

#define FILE_HEADER "courtroll case key v1"

enum {
    CLOSED_COUNT_BYTES = SUBMITTER_ID_BYTES + 4
};
static_assert(CLOSED_SUBMITTERS_MAX * CLOSED_COUNT_BYTES == CLOSED_COUNTS_BYTES, "operation.proto");

/* -- the key and its file -- */

void case_key_wipe(struct case_key *key)
{
    crypto_wipe(key, sizeof *key);
}

/* The number as everybody writes it, or two keys would be of one case. */
static enum err_code check_number(struct span number, struct err *err)
{
    struct buf canonical = BUF_INIT(IDENTIFIER_BYTES_MAX);
    enum err_code rc = identifier_put_case_number(&canonical, number, err);
    if (rc != E_OK) {
        rc = err_wrap(err, "line 2");
    } else if (number.len > CASE_NUMBER_BYTES_MAX || !span_is_equal(buf_span(&canonical), number)) {
        rc = err_set(err, E_MALFORMED, "line 2: the case number is not in its canonical form");
    }
    crypto_wipe_buf(&canonical);
    return rc;
}

enum err_code case_key_parse(struct case_key *out, struct span text, struct err *err)
{
    struct span header, number, key;
    if (text.len > CASE_KEY_FILE_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "case key: longer than one can be");
    }
    if (!span_take_until(&text, '\n', &header) || !span_is_str(header, FILE_HEADER)) {
        return err_set(err, E_MALFORMED, "line 1: not \"" FILE_HEADER "\"");
    }
    if (!span_take_until(&text, '\n', &number)) {
        return err_set(err, E_MALFORMED, "line 2: no case number");
    }
    enum err_code rc = check_number(number, err);
    if (rc != E_OK) {
        return rc;
    }
    if (!span_take_until(&text, '\n', &key)) {
        return err_set(err, E_MALFORMED, "line 3: no key");
    }
    if (text.len > 0) {
        return err_set(err, E_MALFORMED, "line 4: must not be there");
    }
    struct hash secret;
    static_assert((int)CASE_KEY_BYTES == (int)HASH_BYTES, "base64_decode_hash");
    rc = base64_decode_hash(&secret, key, err);
    if (rc != E_OK) {
        return err_wrap(err, "line 3");
    }
    *out = (struct case_key){ 0 };
    memcpy(out->bytes, secret.bytes, sizeof out->bytes);
    memcpy(out->number, number.data, number.len);
    crypto_wipe(&secret, sizeof secret);
    return E_OK;
}

void case_key_put(struct buf *out, const struct case_key *key)
{
    buf_put_str(out, FILE_HEADER "\n");
    buf_put_str(out, key->number);
    buf_put_str(out, "\n");
    base64_put(out, SPAN_OF_ARRAY(key->bytes));
    buf_put_str(out, "\n");
}

/* -- what is derived -- */

/* HMAC-SHA-256(case key, domain || message). */
static struct hash derive(const struct case_key *key, const char *domain, struct span message)
{
    struct span parts[] = { span_of_str(domain), message };
    return hmac_sha256(SPAN_OF_ARRAY(key->bytes), parts, 2);
}

static void put_u64(uint8_t out[static 8], uint64_t value)
{
    for (size_t i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (56 - 8 * i));
    }
}

struct hash entry_tag_make(const struct case_key *key, const struct submitter_id *submitter,
                           uint64_t number)
{
    uint8_t message[SUBMITTER_ID_BYTES + 8];
    memcpy(message, submitter->bytes, SUBMITTER_ID_BYTES);
    put_u64(message + SUBMITTER_ID_BYTES, number);
    return derive(key, "courtroll/entry-tag/v1", SPAN_OF_ARRAY(message));
}

struct person_tag person_tag_make(const struct case_key *key, const char *purpose, struct span text)
{
    struct span parts[] = { span_of_str("courtroll/"), span_of_str(purpose), span_of_str("-tag/v1"),
                            text };
    struct hash hash = hmac_sha256(SPAN_OF_ARRAY(key->bytes), parts, 4);
    struct person_tag tag;
    memcpy(tag.bytes, hash.bytes, sizeof tag.bytes);
    return tag;
}

struct hash case_commitment_make(const struct case_key *key)
{
    return derive(key, "courtroll/case-number/v1", span_of_str(key->number));
}

/* -- the counts of CLOSED -- */

static int compare_counts(const void *a, const void *b)
{
    const struct closed_count *left = a, *right = b;
    return memcmp(left->submitter.bytes, right->submitter.bytes, SUBMITTER_ID_BYTES);
}

/* Each closing has a key of its own, so the IV may be zero: an entry tag is used once. */
static void cipher_counts(uint8_t *bytes, const struct case_key *key, const struct hash *entry_tag)
{
    struct hash secret = derive(key, "courtroll/closed-counts/v1", hash_span(entry_tag));
    static_assert((int)CIPHER_KEY_BYTES == (int)HASH_BYTES, "the hash is the key");
    aes256_ctr(secret.bytes, bytes, CLOSED_COUNTS_BYTES);
    crypto_wipe(&secret, sizeof secret);
}

void closed_counts_make(uint8_t out[static CLOSED_COUNTS_BYTES], const struct case_key *key,
                        const struct hash *entry_tag, const struct closed_count *counts,
                        size_t count)
{
    assert(count <= CLOSED_SUBMITTERS_MAX);
    struct closed_count sorted[CLOSED_SUBMITTERS_MAX] = { 0 };
    if (count > 0) {
        memcpy(sorted, counts, count * sizeof *counts);
        qsort(sorted, count, sizeof *sorted, compare_counts);
    }
    memset(out, 0, CLOSED_COUNTS_BYTES);
    for (size_t i = 0; i < count; i++) {
        assert(sorted[i].count > 0);
        assert(i == 0 || compare_counts(&sorted[i - 1], &sorted[i]) < 0);
        uint8_t *at = out + i * CLOSED_COUNT_BYTES;
        memcpy(at, sorted[i].submitter.bytes, SUBMITTER_ID_BYTES);
        for (size_t k = 0; k < 4; k++) {
            at[SUBMITTER_ID_BYTES + k] = (uint8_t)(sorted[i].count >> (24 - 8 * k));
        }
    }
    cipher_counts(out, key, entry_tag);
}

/* Reads the plain form; false when it is none. */
static bool read_counts(struct closed_count *out, size_t *count, struct span plain)
{
    *count = 0;
    bool is_over = false;
    for (size_t i = 0; i < CLOSED_SUBMITTERS_MAX; i++) {
        struct span id;
        struct closed_count *at = &out[i];
        if (!span_take(&plain, SUBMITTER_ID_BYTES, &id) || !span_take_u32(&plain, &at->count)) {
            return false;
        }
        memcpy(at->submitter.bytes, id.data, SUBMITTER_ID_BYTES);
        static const struct submitter_id none;
        if (at->count == 0) {
            if (!submitter_id_is_equal(&at->submitter, &none)) {
                return false;
            }
            is_over = true;
        } else if (is_over || (i > 0 && compare_counts(at - 1, at) >= 0)) {
            return false;
        } else {
            *count = i + 1;
        }
    }
    return true;
}

enum err_code closed_counts_read(struct closed_count out[static CLOSED_SUBMITTERS_MAX],
                                 size_t *count, const struct case_key *key,
                                 const struct hash *entry_tag,
                                 const uint8_t bytes[static CLOSED_COUNTS_BYTES], struct err *err)
{
    uint8_t plain[CLOSED_COUNTS_BYTES];
    struct closed_count counts[CLOSED_SUBMITTERS_MAX];
    size_t n = 0;
    memcpy(plain, bytes, sizeof plain);
    cipher_counts(plain, key, entry_tag);
    bool is_good = read_counts(counts, &n, SPAN_OF_ARRAY(plain));
    crypto_wipe(plain, sizeof plain);
    if (!is_good) {
        return err_set(err, E_MALFORMED, "closed_counts: no list of counts under this case key");
    }
    memcpy(out, counts, sizeof counts);
    *count = n;
    return E_OK;
}
