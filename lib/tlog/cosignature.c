#include "tlog/cosignature.h"

#include "base/ascii.h"
#include "tlog/checkpoint.h"

#include <assert.h>
#include <inttypes.h>

/* -- Ed25519 -- */

static const char header[] = "cosignature/v1\ntime ";

enum {
    HEADER_BYTES_MAX = sizeof header + DECIMAL_MAX + 1
};

void cosignature_put_message(struct buf *out, uint64_t timestamp, struct span text)
{
    buf_putf(out, "%s%" PRIu64 "\n", header, timestamp);
    buf_put(out, text);
}

enum err_code cosignature_put(struct buf *out, const struct signing_key *key, uint64_t timestamp,
                              struct span text, struct err *err)
{
    assert(timestamp >= 1);
    assert(timestamp <= SIZE_VALUE_MAX);
    struct buf message = BUF_INIT(text.len + HEADER_BYTES_MAX);
    cosignature_put_message(&message, timestamp, text);
    struct ed25519_signature signature;
    enum err_code rc = signing_key_sign(key, buf_span(&message), &signature, err);
    if (rc == E_OK) {
        buf_put_u64(out, timestamp);
        buf_put(out, SPAN_OF_ARRAY(signature.bytes));
    }
    buf_clear(&message);
    return rc;
}

bool cosignature_is_valid(const struct ed25519_public *key, struct span text, struct span signature,
                          uint64_t *timestamp)
{
    uint64_t time;
    struct ed25519_signature raw;
    if (signature.len != COSIGNATURE_BYTES || !span_take_u64(&signature, &time)) {
        return false;
    }
    if (time == 0 || time > SIZE_VALUE_MAX) {
        return false;
    }
    memcpy(raw.bytes, signature.data, sizeof raw.bytes);
    struct buf message = BUF_INIT(text.len + HEADER_BYTES_MAX);
    cosignature_put_message(&message, time, text);
    bool is_valid = ed25519_verify(key, buf_span(&message), &raw);
    buf_clear(&message);
    if (is_valid) {
        *timestamp = time;
    }
    return is_valid;
}

/* -- ML-DSA-44 -- */

static const char subtree_label[] = "subtree/v1\n"; /* with its NUL */

static void put_short(struct buf *out, struct span bytes)
{
    assert(bytes.len >= 1 && bytes.len <= UINT8_MAX);
    buf_put_u8(out, (uint8_t)bytes.len);
    buf_put(out, bytes);
}

void cosignature_put_subtree_message(struct buf *out, const struct cosigned_subtree *subtree,
                                     uint64_t timestamp)
{
    buf_put(out, SPAN_OF_ARRAY(subtree_label));
    put_short(out, subtree->cosigner);
    buf_put_u64(out, timestamp);
    put_short(out, subtree->origin);
    buf_put_u64(out, subtree->start);
    buf_put_u64(out, subtree->end);
    buf_put(out, hash_span(&subtree->hash));
}

/* `text`, as it is signed at that time by the key of that name. */
static enum err_code put_checkpoint_message(struct buf *out, const char *name, uint64_t timestamp,
                                            struct span text, struct err *err)
{
    struct checkpoint checkpoint;
    enum err_code rc = checkpoint_parse(&checkpoint, text, err);
    if (rc == E_OK && checkpoint.has_extensions) {
        rc = err_set(err, E_MALFORMED,
                     "a checkpoint with extension lines, which ML-DSA-44 signatures do not cover");
    }
    if (rc == E_OK) {
        struct cosigned_subtree subtree = { .cosigner = span_of_str(name),
                                            .origin = span_of_str(checkpoint.origin),
                                            .end = checkpoint.size,
                                            .hash = checkpoint.root };
        cosignature_put_subtree_message(out, &subtree, timestamp);
    }
    return rc;
}

enum err_code cosignature_put_ml_dsa(struct buf *out, const struct ml_dsa_key *key,
                                     const char *name, uint64_t timestamp, struct span text,
                                     struct err *err)
{
    assert(timestamp >= 1);
    assert(timestamp <= SIZE_VALUE_MAX);
    struct buf message = BUF_INIT(COSIGNATURE_SUBTREE_MESSAGE_MAX);
    enum err_code rc = put_checkpoint_message(&message, name, timestamp, text, err);
    if (rc == E_OK) {
        buf_put_u64(out, timestamp);
        ml_dsa_sign(key, buf_span(&message), out);
    }
    buf_clear(&message);
    return rc;
}

/* A text begins with its origin's line. */
static bool is_of_origin(struct span text, const char *name)
{
    struct span origin;
    return span_take_until(&text, '\n', &origin) && span_is_str(origin, name);
}

bool cosignature_ml_dsa_is_valid(const struct ml_dsa_public *key, const char *name,
                                 struct span text, struct span signature, uint64_t *timestamp)
{
    uint64_t time;
    struct err err;
    if (signature.len != COSIGNATURE_ML_DSA_BYTES || !span_take_u64(&signature, &time) ||
        time > SIZE_VALUE_MAX || (time == 0 && !is_of_origin(text, name))) {
        return false;
    }
    struct buf message = BUF_INIT(COSIGNATURE_SUBTREE_MESSAGE_MAX);
    bool is_valid = put_checkpoint_message(&message, name, time, text, &err) == E_OK &&
                    ml_dsa_verify(key, buf_span(&message), signature);
    buf_clear(&message);
    if (is_valid) {
        *timestamp = time;
    }
    return is_valid;
}
