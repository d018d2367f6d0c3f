#include "store/sealed_file.h"

#include "base/file.h"
#include "store/key_file.h"

enum {
    KEY_FILE_BYTES = (CIPHER_KEY_BYTES + 2) / 3 * 4 + 1, /* base64 and a newline */
    HEAD_BYTES_MAX = 64,
};

static const char first_line[] = "courtroll sealed file v1\n";

struct cipher_name {
    enum cipher cipher;
    const char *line;
};
static const struct cipher_name cipher_names[] = {
    { CIPHER_AES_256_GCM, "aes-256-gcm\n" },
    { CIPHER_SM4_GCM, "sm4-gcm\n" },
};

/* -- key files -- */

static enum err_code parse_key(struct sealed_key *out, struct span text, struct err *err)
{
    struct buf key = BUF_INIT(CIPHER_KEY_BYTES + 2); /* the decoder fills whole groups */
    if (text.len != KEY_FILE_BYTES || text.data[text.len - 1] != '\n' ||
        base64_append_decoded(&key, span_slice(text, 0, text.len - 1), BASE64_STRICT, err) !=
            E_OK ||
        key.len != CIPHER_KEY_BYTES) {
        crypto_wipe_buf(&key);
        return err_set(err, E_MALFORMED, "not %d bytes in base64 on one line", CIPHER_KEY_BYTES);
    }
    memcpy(out->bytes, key.data, CIPHER_KEY_BYTES);
    crypto_wipe_buf(&key);
    return E_OK;
}

enum err_code sealed_key_load(struct sealed_key *out, const char *path, struct err *err)
{
    struct buf text = BUF_INIT(KEY_FILE_BYTES);
    enum err_code rc = key_file_check_private(path, err);
    if (rc == E_OK) {
        rc = file_read(&text, path, err);
    }
    if (rc == E_TOO_LARGE) {
        rc = err_set(err, E_MALFORMED, "key file %s: not one line of base64", path);
    } else if (rc == E_OK && parse_key(out, buf_span(&text), err) != E_OK) {
        rc = err_wrap(err, "key file %s", path);
    }
    crypto_wipe_buf(&text);
    return rc;
}

enum err_code sealed_key_create(const char *path, struct err *err)
{
    uint8_t key[CIPHER_KEY_BYTES];
    struct buf text = BUF_INIT(KEY_FILE_BYTES + 1);
    (void)buf_extend(&text, KEY_FILE_BYTES + 1); /* at once: growing would leave a copy */
    buf_reset(&text);
    crypto_random(key, sizeof key);
    base64_put(&text, SPAN_OF_ARRAY(key));
    buf_put_str(&text, "\n");
    enum err_code rc = file_create(path, 0600, buf_span(&text), err);
    crypto_wipe(key, sizeof key);
    crypto_wipe_buf(&text);
    return rc;
}

/* -- sealed files -- */

static const char *line_of(enum cipher cipher)
{
    for (size_t i = 0; i < sizeof cipher_names / sizeof cipher_names[0]; i++) {
        if (cipher_names[i].cipher == cipher) {
            return cipher_names[i].line;
        }
    }
    return NULL;
}

void sealed_file_put(struct buf *out, enum cipher cipher, const struct sealed_key *key,
                     struct span plain)
{
    uint8_t nonce[CIPHER_NONCE_BYTES];
    struct buf head = BUF_INIT(HEAD_BYTES_MAX);
    buf_put_str(&head, first_line);
    buf_put_str(&head, line_of(cipher));
    crypto_random(nonce, sizeof nonce); /* 96 random bits: good for 2^32 files a key */
    buf_put(out, buf_span(&head));
    buf_put(out, SPAN_OF_ARRAY(nonce));
    cipher_seal(out, cipher, key->bytes, nonce, buf_span(&head), plain);
    buf_clear(&head);
}

/* Takes the two lines; *head are their bytes. */
static bool take_head(struct span *in, struct span *head, enum cipher *cipher)
{
    struct span rest = *in;
    if (!span_take_prefix(&rest, span_of_str(first_line))) {
        return false;
    }
    for (size_t i = 0; i < sizeof cipher_names / sizeof cipher_names[0]; i++) {
        if (span_take_prefix(&rest, span_of_str(cipher_names[i].line))) {
            *cipher = cipher_names[i].cipher;
            *head = span_slice(*in, 0, in->len - rest.len);
            *in = rest;
            return true;
        }
    }
    return false;
}

static enum err_code take(struct buf *out, const struct sealed_key *key, struct span bytes,
                          size_t bytes_max, struct err *err)
{
    struct span head, nonce, rest = bytes;
    enum cipher cipher;
    if (!take_head(&rest, &head, &cipher) || !span_take(&rest, CIPHER_NONCE_BYTES, &nonce) ||
        rest.len < CIPHER_TAG_BYTES) {
        return err_set(err, E_MALFORMED, "not a sealed file");
    }
    if (rest.len - CIPHER_TAG_BYTES > bytes_max) {
        return err_set(err, E_TOO_LARGE, "over %zu bytes in it", bytes_max);
    }
    if (!cipher_is_available(cipher)) {
        return err_set(err, E_UNSUPPORTED, "sealed with a cipher that this libcrypto has not");
    }
    enum err_code rc = cipher_open(out, cipher, key->bytes, nonce.data, head, rest, err);
    return rc == E_BAD_SIGNATURE
               ? err_set(err, E_BAD_SIGNATURE, "sealed under another key, or changed since")
               : rc;
}

enum err_code sealed_file_take(struct buf *out, const struct sealed_key *key, struct span bytes,
                               struct err *err)
{
    return take(out, key, bytes, buf_room(out), err);
}

enum err_code sealed_file_write(const char *path, enum cipher cipher, const struct sealed_key *key,
                                struct span plain, struct err *err)
{
    struct buf bytes = BUF_INIT(HEAD_BYTES_MAX + CIPHER_NONCE_BYTES + CIPHER_TAG_BYTES + plain.len);
    if (!cipher_is_available(cipher)) {
        return err_set(err, E_UNSUPPORTED, "this libcrypto has no such cipher");
    }
    sealed_file_put(&bytes, cipher, key, plain);
    enum err_code rc = file_replace(path, 0600, buf_span(&bytes), err);
    buf_clear(&bytes);
    return rc;
}

enum err_code sealed_file_read(struct buf *out, const char *path, const struct sealed_key *key,
                               size_t bytes_max, struct err *err)
{
    struct buf bytes = BUF_INIT(HEAD_BYTES_MAX + CIPHER_NONCE_BYTES + CIPHER_TAG_BYTES + bytes_max);
    enum err_code rc = file_read(&bytes, path, err);
    size_t max = bytes_max < buf_room(out) ? bytes_max : buf_room(out);
    if (rc == E_OK && (rc = take(out, key, buf_span(&bytes), max, err)) != E_OK) {
        rc = err_wrap(err, "%s", path);
    }
    buf_clear(&bytes);
    return rc;
}
