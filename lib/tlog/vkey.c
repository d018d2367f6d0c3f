#include "tlog/vkey.h"

#include "base/ascii.h"

#include <assert.h>

/* Bytes: more than a key of any type has. ML-DSA-44 takes 1752 characters, its name up to 255. */
enum {
    KEY_TEXT_MAX = 4096
};

static const char signer_prefix[] = "PRIVATE+KEY+";

/* -- types -- */

struct key_type {
    uint8_t type;
    size_t public_bytes; /* 0: not supported */
    size_t seed_bytes;
    const char *words;
};

static const struct key_type key_types[] = {
    { SIGNATURE_ED25519, ED25519_PUBLIC_BYTES, ED25519_SEED_BYTES,
      "Ed25519 over the note, as logs sign" },
    { 0x02, 0, 0, "ECDSA" },
    { SIGNATURE_COSIGNATURE, ED25519_PUBLIC_BYTES, ED25519_SEED_BYTES,
      "Ed25519 cosignature with a time, as witnesses sign" },
    { 0x05, 0, 0, "RFC 6962 tree head" },
    { SIGNATURE_ML_DSA_44, ML_DSA_44_PUBLIC_BYTES, ML_DSA_44_SEED_BYTES, "ML-DSA-44 cosignature" },
};

static const struct key_type *find_type(uint8_t type)
{
    for (size_t i = 0; i < sizeof key_types / sizeof key_types[0]; i++) {
        if (key_types[i].type == type) {
            return &key_types[i];
        }
    }
    return NULL;
}

static const char *type_words(uint8_t type)
{
    const struct key_type *found = find_type(type);
    return found == NULL ? "unknown" : found->words;
}

static bool type_is_ed25519(enum signature_type type)
{
    return type == SIGNATURE_ED25519 || type == SIGNATURE_COSIGNATURE;
}

enum err_code vkey_require_type(const struct vkey *vkey, enum signature_type type, struct err *err)
{
    if (vkey->type == type) {
        return E_OK;
    }
    return err_set(err, E_MALFORMED,
                   "key %s has type 0x%02x (%s), but a key of type 0x%02x (%s) is needed here: "
                   "ask its owner for that one",
                   vkey->name, (unsigned)vkey->type, type_words((uint8_t)vkey->type),
                   (unsigned)type, type_words((uint8_t)type));
}

enum err_code vkey_require_role(const struct vkey *vkey, enum vkey_role role, struct err *err)
{
    if (vkey->type == SIGNATURE_ML_DSA_44 && role != VKEY_NOTES) {
        return E_OK;
    }
    return vkey_require_type(vkey, role == VKEY_WITNESS ? SIGNATURE_COSIGNATURE : SIGNATURE_ED25519,
                             err);
}

/* -- names and key IDs -- */

/* Unicode's White_Space property, as in Go's unicode.IsSpace. */
static bool is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

bool key_name_is_valid(struct span name)
{
    if (name.len == 0 || name.len > KEY_NAME_BYTES_MAX) {
        return false;
    }
    uint32_t c;
    while (utf8_take(&name, &c)) {
        if (is_space(c) || is_control(c) || c == '+') {
            return false;
        }
    }
    return name.len == 0;
}

static uint32_t key_id(struct span name, enum signature_type type, struct span key)
{
    uint8_t separator_and_type[] = { '\n', (uint8_t)type };
    struct span parts[] = { name, SPAN_OF_ARRAY(separator_and_type), key };
    struct hash hash = sha256_parts(parts, 3);
    struct span in = hash_span(&hash);
    uint32_t id = 0;
    bool is_taken = span_take_u32(&in, &id);
    assert(is_taken);
    return id;
}

struct span vkey_public(const struct vkey *vkey)
{
    return vkey->ml_dsa != NULL ? ml_dsa_public_bytes(vkey->ml_dsa)
                                : SPAN_OF_ARRAY(vkey->key.bytes);
}

struct hash vkey_public_id(const struct vkey *vkey)
{
    static_assert((int)HASH_BYTES == (int)ED25519_PUBLIC_BYTES, "such a key is its own ID");
    struct hash id;
    memcpy(id.bytes, vkey->key.bytes, sizeof id.bytes);
    return vkey->ml_dsa != NULL ? sha256(vkey_public(vkey)) : id;
}

static void set_name_and_id(struct vkey *vkey, struct span name)
{
    assert(key_name_is_valid(name));
    memcpy(vkey->name, name.data, name.len);
    vkey->id = key_id(name, vkey->type, vkey_public(vkey));
}

struct vkey vkey_make(const char *name, enum signature_type type, const struct ed25519_public *key)
{
    assert(type_is_ed25519(type));
    struct vkey vkey = { .type = type, .key = *key };
    set_name_and_id(&vkey, span_of_str(name));
    return vkey;
}

struct vkey vkey_make_ml_dsa(const char *name, const struct ml_dsa_public *key)
{
    struct vkey vkey = { .type = SIGNATURE_ML_DSA_44, .ml_dsa = key };
    set_name_and_id(&vkey, span_of_str(name));
    return vkey;
}

bool vkey_is_equal(const struct vkey *a, const struct vkey *b)
{
    return a->id == b->id && a->type == b->type && strcmp(a->name, b->name) == 0 &&
           span_is_equal(vkey_public(a), vkey_public(b));
}

/* -- the encoding that vkeys and signer keys share: name "+" hex8 "+" base64(type || key) -- */

struct key_parts {
    struct span name;
    uint32_t id;
    struct span encoded; /* base64 */
};

static enum err_code split_key(struct key_parts *out, struct span text, struct err *err)
{
    struct key_parts parts;
    struct span id_hex;
    if (text.len > KEY_TEXT_MAX) {
        return err_set(err, E_MALFORMED, "a key of %zu bytes, at most %d are read", text.len,
                       KEY_TEXT_MAX);
    }
    if (!span_take_until(&text, '+', &parts.name) || !span_take_until(&text, '+', &id_hex)) {
        return err_set(err, E_MALFORMED, "a key is written NAME+ID+BASE64: a '+' is missing");
    }
    if (!key_name_is_valid(parts.name)) {
        return err_set(err, E_MALFORMED,
                       "a key's name is 1 to %d bytes of UTF-8 without blanks and control "
                       "characters",
                       KEY_NAME_BYTES_MAX);
    }
    uint8_t id[4];
    if (hex_decode(id, sizeof id, id_hex, err) != E_OK) {
        return err_wrap(err, "key ID");
    }
    struct span in = SPAN_OF_ARRAY(id);
    bool is_taken = span_take_u32(&in, &parts.id);
    assert(is_taken);
    parts.encoded = text;
    *out = parts;
    return E_OK;
}

/* Decodes type and key bytes. `decoded` may hold a secret: the caller wipes it, on errors too. */
static enum err_code decode_key(struct buf *decoded, struct span encoded, bool is_private,
                                struct err *err)
{
    if (base64_append_decoded(decoded, encoded, BASE64_STRICT, err) != E_OK) {
        return err_wrap(err, "key behind the second '+'");
    }
    if (decoded->len == 0) {
        return err_set(err, E_MALFORMED, "the key's bytes are missing behind the second '+'");
    }
    uint8_t type = decoded->data[0];
    const struct key_type *found = find_type(type);
    if (found == NULL || found->public_bytes == 0) {
        return err_set(err, E_UNSUPPORTED, "keys of type 0x%02x (%s) are not supported", type,
                       type_words(type));
    }
    size_t expected = is_private ? found->seed_bytes : found->public_bytes;
    if (decoded->len != 1 + expected) {
        return err_set(err, E_MALFORMED, "a key of type 0x%02x has %zu bytes, this one has %zu",
                       type, expected, decoded->len - 1);
    }
    return E_OK;
}

/* Makes the vkey and checks what can be wrong with a key that is well written. */
static enum err_code check_key(const struct key_parts *parts, enum signature_type type,
                               struct span key, struct err *err)
{
    uint32_t id = key_id(parts->name, type, key);
    if (id != parts->id) {
        return err_set(err, E_BAD_SIGNATURE,
                       "key ID %08x does not belong to this name, type and key, whose ID is %08x: "
                       "the key was changed or mistyped",
                       parts->id, id);
    }
    struct ed25519_public point;
    if (type_is_ed25519(type)) {
        memcpy(point.bytes, key.data, sizeof point.bytes);
        if (ed25519_is_small_order(&point)) {
            return err_set(err, E_DENIED, "a key of small order, under which anyone can sign");
        }
    }
    return E_OK;
}

/* Requires the length that the type has. */
static struct vkey make_vkey(const struct key_parts *parts, enum signature_type type,
                             struct span key)
{
    struct vkey vkey = { .id = parts->id, .type = type };
    memcpy(vkey.name, parts->name.data, parts->name.len);
    if (type == SIGNATURE_ML_DSA_44) {
        vkey.ml_dsa = ml_dsa_public_of(key);
    } else {
        memcpy(vkey.key.bytes, key.data, key.len);
    }
    return vkey;
}

static enum err_code parse_vkey(struct vkey *out, struct span text, bool takes_ml_dsa,
                                struct err *err)
{
    if (span_has_prefix(text, span_of_str(signer_prefix))) {
        return err_set(err, E_MALFORMED, "this is a private key: give its public key (vkey)");
    }
    struct key_parts parts;
    enum err_code rc = split_key(&parts, text, err);
    if (rc != E_OK) {
        return rc;
    }
    struct buf decoded = BUF_INIT(KEY_TEXT_MAX);
    rc = decode_key(&decoded, parts.encoded, false, err);
    if (rc == E_OK && decoded.data[0] == SIGNATURE_ML_DSA_44 && !takes_ml_dsa) {
        rc = err_set(err, E_UNSUPPORTED, "keys of type 0x06 (ML-DSA-44) are not taken here");
    }
    if (rc == E_OK) {
        enum signature_type type = decoded.data[0];
        struct span key = span_slice(buf_span(&decoded), 1, decoded.len - 1);
        rc = check_key(&parts, type, key, err);
        if (rc == E_OK) {
            *out = make_vkey(&parts, type, key);
        }
    }
    buf_clear(&decoded);
    return rc;
}

enum err_code vkey_parse(struct vkey *out, struct span text, struct err *err)
{
    return parse_vkey(out, text, true, err);
}

enum err_code vkey_parse_ed25519(struct vkey *out, struct span text, struct err *err)
{
    return parse_vkey(out, text, false, err);
}

void vkey_put(struct buf *out, const struct vkey *vkey)
{
    struct span key = vkey_public(vkey);
    uint8_t bytes[1 + ML_DSA_44_PUBLIC_BYTES] = { (uint8_t)vkey->type };
    memcpy(bytes + 1, key.data, key.len);
    buf_putf(out, "%s+%08x+", vkey->name, vkey->id);
    base64_put(out, span_of(bytes, 1 + key.len));
}

/* -- signers -- */

void signer_generate(struct signer *out, const char *name, enum signature_type type)
{
    struct signing_key *key = signing_key_generate();
    struct ed25519_public public = signing_key_public(key);
    *out = (struct signer){ .vkey = vkey_make(name, type, &public), .key = key };
}

enum err_code signer_generate_ml_dsa(struct signer *out, const char *name, struct err *err)
{
    struct ml_dsa_key *key;
    enum err_code rc = ml_dsa_key_generate(&key, err);
    if (rc == E_OK) {
        *out = (struct signer){ .vkey = vkey_make_ml_dsa(name, ml_dsa_key_public(key)),
                                .ml_dsa = key };
    }
    return rc;
}

/* `out` has no vkey yet. */
static enum err_code key_of_seed(struct signer *out, enum signature_type type, const uint8_t *seed,
                                 struct err *err)
{
    if (type == SIGNATURE_ML_DSA_44) {
        enum err_code rc = ml_dsa_key_from_seed(&out->ml_dsa, seed, err);
        if (rc == E_OK) {
            out->vkey.ml_dsa = ml_dsa_key_public(out->ml_dsa);
        }
        return rc;
    }
    out->key = signing_key_from_seed(seed);
    out->vkey.key = signing_key_public(out->key);
    return E_OK;
}

enum err_code signer_parse(struct signer *out, struct span text, struct err *err)
{
    if (text.len > 0 && text.data[text.len - 1] == '\n') {
        text.len--;
    }
    if (!span_take_prefix(&text, span_of_str(signer_prefix))) {
        return err_set(err, E_MALFORMED,
                       "not a private key, which starts with %s (a vkey is the public half)",
                       signer_prefix);
    }
    struct key_parts parts;
    enum err_code rc = split_key(&parts, text, err);
    if (rc != E_OK) {
        return rc;
    }
    struct signer signer = { .key = NULL };
    struct buf decoded = BUF_INIT(KEY_TEXT_MAX); /* filled in one step: leaves no copies */
    rc = decode_key(&decoded, parts.encoded, true, err);
    if (rc == E_OK) {
        rc = key_of_seed(&signer, decoded.data[0], decoded.data + 1, err);
    }
    if (rc == E_OK) {
        rc = check_key(&parts, decoded.data[0], vkey_public(&signer.vkey), err);
    }
    if (rc == E_OK) {
        signer.vkey = make_vkey(&parts, decoded.data[0], vkey_public(&signer.vkey));
        *out = signer;
    } else {
        signer_clear(&signer);
    }
    if (decoded.data != NULL) {
        crypto_wipe(decoded.data, decoded.cap);
    }
    buf_clear(&decoded);
    return rc;
}

void signer_put(struct buf *out, const struct signer *signer)
{
    enum {
        TEXT_MAX = sizeof signer_prefix + KEY_NAME_BYTES_MAX + 64
    };
    uint8_t bytes[1 + ED25519_SEED_BYTES] = { (uint8_t)signer->vkey.type };
    static_assert((int)ED25519_SEED_BYTES == (int)ML_DSA_44_SEED_BYTES, "one length for both");
    if (signer->ml_dsa != NULL) {
        ml_dsa_key_seed(signer->ml_dsa, bytes + 1);
    } else {
        bool has_seed = signing_key_seed(signer->key, bytes + 1);
        assert(has_seed);
    }
    struct buf encoded = BUF_INIT(sizeof bytes * 2);
    buf_extend(&encoded, sizeof bytes * 2); /* so that it never moves and leaves a copy */
    buf_reset(&encoded);
    base64_put(&encoded, SPAN_OF_ARRAY(bytes));

    buf_putf(out, "%s%s+%08x+", signer_prefix, signer->vkey.name, signer->vkey.id);
    buf_put(out, buf_span(&encoded));
    buf_put_u8(out, '\n');

    crypto_wipe(encoded.data, encoded.cap);
    buf_clear(&encoded);
    crypto_wipe(bytes, sizeof bytes);
}

void signer_clear(struct signer *signer)
{
    signing_key_free(signer->key);
    ml_dsa_key_free(signer->ml_dsa);
    *signer = (struct signer){ 0 };
}
