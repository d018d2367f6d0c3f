#include "record/certificate.h"

#include <assert.h>

#define DOMAIN "courtroll/one-time-key/v1\n"

enum err_code certificate_parse(struct certificate *out, struct span bytes, struct err *err)
{
    if (bytes.len != CERTIFICATE_BYTES) {
        return err_set(err, E_MALFORMED, "certificate: must be %d bytes", CERTIFICATE_BYTES);
    }
    memcpy(out->submitter.bytes, bytes.data, SUBMITTER_ID_BYTES);
    memcpy(out->signature.bytes, bytes.data + SUBMITTER_ID_BYTES, ED25519_SIGNATURE_BYTES);
    return E_OK;
}

void certificate_put(struct buf *out, const struct certificate *certificate)
{
    buf_put(out, SPAN_OF_ARRAY(certificate->submitter.bytes));
    buf_put(out, SPAN_OF_ARRAY(certificate->signature.bytes));
}

/* What the submitter signs. */
struct message {
    size_t len;
    uint8_t bytes[sizeof DOMAIN + 1 + ORIGIN_BYTES_MAX + ED25519_PUBLIC_BYTES + HASH_BYTES];
};

static void add(struct message *message, struct span bytes)
{
    assert(bytes.len <= sizeof message->bytes - message->len);
    memcpy(message->bytes + message->len, bytes.data, bytes.len);
    message->len += bytes.len;
}

static struct message make_message(const char *origin, const struct ed25519_public *one_time_key,
                                   const struct hash *entry_tag)
{
    struct message message = { .len = 0 };
    size_t origin_len = strlen(origin);
    assert(origin_len <= ORIGIN_BYTES_MAX);
    uint8_t len = (uint8_t)origin_len;
    add(&message, span_of_str(DOMAIN));
    add(&message, span_of(&len, 1));
    add(&message, span_of(origin, origin_len));
    add(&message, SPAN_OF_ARRAY(one_time_key->bytes));
    add(&message, hash_span(entry_tag));
    return message;
}

enum err_code certificate_make(struct certificate *out, const char *origin,
                               const struct ed25519_public *one_time_key,
                               const struct hash *entry_tag,
                               const struct ed25519_public *submitter_public,
                               const struct signing_key *submitter_key, struct err *err)
{
    struct message message = make_message(origin, one_time_key, entry_tag);
    struct certificate certificate = { .submitter = submitter_id_make(submitter_public) };
    enum err_code rc = signing_key_sign(submitter_key, span_of(message.bytes, message.len),
                                        &certificate.signature, err);
    if (rc == E_OK) {
        *out = certificate;
    }
    return rc;
}

enum err_code certificate_verify(const struct certificate *certificate, const char *origin,
                                 const struct ed25519_public *one_time_key,
                                 const struct hash *entry_tag,
                                 const struct ed25519_public *submitter_key, struct err *err)
{
    struct submitter_id id = submitter_id_make(submitter_key);
    if (!submitter_id_is_equal(&id, &certificate->submitter)) {
        return err_set(err, E_BAD_SIGNATURE, "certificate: of another submitter");
    }
    struct message message = make_message(origin, one_time_key, entry_tag);
    if (!ed25519_verify(submitter_key, span_of(message.bytes, message.len),
                        &certificate->signature)) {
        return err_set(err, E_BAD_SIGNATURE,
                       "certificate: not the submitter's for this one-time key, tag and log");
    }
    return E_OK;
}
