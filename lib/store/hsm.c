/* The normal path: one session a key, logged in, in which C_SignInit and C_Sign are called under the
 * key's lock. When the session, the login or the device is lost, it is set up again from the URI, the
 * PIN being read anew, and the signature is tried once more. */
#include "store/hsm.h"

#include "base/alloc.h"
#include "base/file.h"
#include "store/hsm_module.h"
#include "store/hsm_uri.h"
#include "store/key_file.h"

#include <assert.h>
#include <pthread.h>

enum {
    SLOTS_MAX = 1024,
    PIN_BYTES_MAX = 256,
    NEW_ID_BYTES = 16,
    ATTRIBUTE_BYTES_MAX = 256,
};

struct hsm_key {
    struct hsm_uri *uri;      /* owned */
    CK_FUNCTION_LIST *module; /* stays to the end */
    pthread_mutex_t lock;     /* of all below, and of the session itself */
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE object; /* the private key */
    bool is_open;            /* there is a session */
    bool is_denied;          /* the PIN was refused: trying again could lock the token */
};

/* -- token, session, login -- */

/* Fields of a token are padded with blanks. */
static bool is_field(const struct hsm_uri *uri, enum hsm_attribute attribute,
                     const unsigned char *field, size_t len)
{
    while (len > 0 && (field[len - 1] == ' ' || field[len - 1] == '\0')) {
        len--;
    }
    return !hsm_uri_has(uri, attribute) ||
           span_is_equal(uri->values[attribute], span_of(field, len));
}

static bool is_token(const struct hsm_uri *uri, CK_FUNCTION_LIST *module, CK_SLOT_ID slot)
{
    CK_TOKEN_INFO info;
    if (hsm_uri_has(uri, HSM_SLOT_ID) && slot != uri->slot_id) {
        return false;
    }
    return module->C_GetTokenInfo(slot, &info) == CKR_OK &&
           (info.flags & CKF_TOKEN_INITIALIZED) != 0 &&
           is_field(uri, HSM_TOKEN, info.label, sizeof info.label) &&
           is_field(uri, HSM_MANUFACTURER, info.manufacturerID, sizeof info.manufacturerID) &&
           is_field(uri, HSM_MODEL, info.model, sizeof info.model) &&
           is_field(uri, HSM_SERIAL, info.serialNumber, sizeof info.serialNumber);
}

static enum err_code find_slot(CK_SLOT_ID *out, const struct hsm_uri *uri, CK_FUNCTION_LIST *module,
                               struct err *err)
{
    CK_ULONG count = 0;
    CK_RV rv = module->C_GetSlotList(CK_TRUE, NULL, &count); /* makes some modules look again */
    CK_SLOT_ID *slots = mem_calloc(SLOTS_MAX, sizeof *slots);
    if (rv == CKR_OK) {
        count = SLOTS_MAX;
        rv = module->C_GetSlotList(CK_TRUE, slots, &count);
    }
    size_t found = 0;
    CK_SLOT_ID slot = 0;
    for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++) {
        if (is_token(uri, module, slots[i])) {
            slot = slots[i];
            found++;
        }
    }
    mem_free(slots);
    if (rv != CKR_OK) {
        return hsm_module_error(err, rv, "list the slots");
    }
    if (found != 1) {
        return found == 0
                   ? err_set(err, E_NOT_FOUND, "pkcs11: there is no such token")
                   : err_set(err, E_MALFORMED,
                             "pkcs11 URI: token: %zu tokens are named so: add serial", found);
    }
    *out = slot;
    return E_OK;
}

/* Appends the PIN. The caller wipes the buffer, on errors too. */
static enum err_code read_pin(struct buf *pin, const struct hsm_uri *uri, struct err *err)
{
    buf_extend(pin, PIN_BYTES_MAX); /* so that it never moves and leaves a copy */
    buf_reset(pin);
    if (hsm_uri_has(uri, HSM_PIN_VALUE)) {
        return buf_append(pin, uri->values[HSM_PIN_VALUE], err);
    }
    const char *path = hsm_uri_text(uri, HSM_PIN_SOURCE);
    enum err_code rc = key_file_check_private(path, err);
    if (rc == E_OK) {
        rc = file_read(pin, path, err);
    }
    if (rc != E_OK) {
        return err_wrap(err, "pin-source");
    }
    if (pin->len > 0 && pin->data[pin->len - 1] == '\n') {
        pin->len--;
    }
    return pin->len > 0 ? E_OK : err_set(err, E_MALFORMED, "pin-source: %s is empty", path);
}

static enum err_code log_in(struct hsm_key *key, struct err *err)
{
    struct buf pin = BUF_INIT(PIN_BYTES_MAX);
    enum err_code rc = read_pin(&pin, key->uri, err);
    if (rc == E_OK) {
        CK_RV rv = key->module->C_Login(key->session, CKU_USER, pin.data, pin.len);
        /* All sessions of a process with a token share one login: another key may have it. */
        if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN) {
            rc = hsm_module_error(err, rv, "log in");
            key->is_denied = rc == E_DENIED;
        }
    }
    crypto_wipe(pin.data, pin.cap);
    buf_clear(&pin);
    return rc;
}

static void close_session(struct hsm_key *key)
{
    if (key->is_open) {
        key->module->C_CloseSession(key->session); /* may be gone */
        key->is_open = false;
    }
}

static enum err_code open_session(struct hsm_key *key, CK_FLAGS flags, struct err *err)
{
    CK_SLOT_ID slot = 0;
    if (key->is_denied) {
        return err_set(err, E_DENIED, "pkcs11: the PIN was refused and is not tried again");
    }
    enum err_code rc = hsm_module_initialize(key->module, err);
    if (rc == E_OK) {
        rc = find_slot(&slot, key->uri, key->module, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    CK_RV rv =
        key->module->C_OpenSession(slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &key->session);
    if (rv != CKR_OK) {
        return hsm_module_error(err, rv, "open a session");
    }
    key->is_open = true;
    rc = log_in(key, err);
    if (rc != E_OK) {
        close_session(key);
    }
    return rc;
}

/* -- objects -- */

/* Number of objects that match, up to two; *out is the first. */
static enum err_code find_objects(const struct hsm_key *key, CK_ATTRIBUTE *template, size_t count,
                                  CK_OBJECT_HANDLE *out, size_t *found, struct err *err)
{
    CK_OBJECT_HANDLE objects[2];
    CK_ULONG n = 0;
    CK_RV rv = key->module->C_FindObjectsInit(key->session, template, count);
    if (rv == CKR_OK) {
        rv = key->module->C_FindObjects(key->session, objects, 2, &n);
        CK_RV final = key->module->C_FindObjectsFinal(key->session);
        rv = rv == CKR_OK ? final : rv;
    }
    if (rv != CKR_OK) {
        return hsm_module_error(err, rv, "look for the key");
    }
    if (n > 0) {
        *out = objects[0];
    }
    *found = n;
    return E_OK;
}

/* Appends the URI's object and id to a template that has room for two. */
static size_t put_names(const struct hsm_uri *uri, CK_ATTRIBUTE *template)
{
    static const struct {
        enum hsm_attribute from;
        CK_ATTRIBUTE_TYPE to;
    } names[] = { { HSM_OBJECT, CKA_LABEL }, { HSM_ID, CKA_ID } };
    size_t count = 0;
    for (size_t i = 0; i < 2; i++) {
        struct span value = uri->values[names[i].from];
        if (value.data != NULL) {
            template[count++] = (CK_ATTRIBUTE){ names[i].to, (void *)value.data, value.len };
        }
    }
    return count;
}

static enum err_code find_key(const struct hsm_key *key, CK_OBJECT_CLASS class,
                              CK_OBJECT_HANDLE *out, struct err *err)
{
    const char *which = class == CKO_PRIVATE_KEY ? "private" : "public";
    CK_ATTRIBUTE template[3] = { { CKA_CLASS, &class, sizeof class } };
    size_t found = 0;
    enum err_code rc =
        find_objects(key, template, 1 + put_names(key->uri, template + 1), out, &found, err);
    if (rc != E_OK || found == 1) {
        return rc;
    }
    return found == 0 ? err_set(err, E_NOT_FOUND, "pkcs11: the token has no such %s key", which)
                      : err_set(err, E_MALFORMED,
                                "pkcs11 URI: object: several %s keys are named so: add id", which);
}

struct value {
    uint8_t bytes[ATTRIBUTE_BYTES_MAX];
    size_t len;
};

static enum err_code get_value(const struct hsm_key *key, CK_OBJECT_HANDLE object,
                               CK_ATTRIBUTE_TYPE type, struct value *out, struct err *err)
{
    CK_ATTRIBUTE attribute = { type, out->bytes, sizeof out->bytes };
    CK_RV rv = key->module->C_GetAttributeValue(key->session, object, &attribute, 1);
    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_BUFFER_TOO_SMALL ||
        (rv == CKR_OK && attribute.ulValueLen > sizeof out->bytes)) {
        return err_set(err, E_UNSUPPORTED, "pkcs11: not an Ed25519 key");
    }
    if (rv != CKR_OK) {
        return hsm_module_error(err, rv, "read the key's attributes");
    }
    out->len = attribute.ulValueLen;
    return E_OK;
}

/* edwards25519 as an object identifier, as a name, and as the identifier that modules used before
 * there was a standard. */
static const uint8_t curve_oid[] = { 0x06, 0x03, 0x2b, 0x65, 0x70 };
static const uint8_t curve_name[] = { 0x13, 0x0c, 'e', 'd', 'w', 'a', 'r',
                                      'd',  's',  '2', '5', '5', '1', '9' };
static const uint8_t curve_old_oid[] = { 0x06, 0x09, 0x2b, 0x06, 0x01, 0x04,
                                         0x01, 0xda, 0x47, 0x0f, 0x01 };

static bool is_curve(struct span params)
{
    return span_is_equal(params, SPAN_OF_ARRAY(curve_oid)) ||
           span_is_equal(params, SPAN_OF_ARRAY(curve_name)) ||
           span_is_equal(params, SPAN_OF_ARRAY(curve_old_oid));
}

/* The 32 bytes, as they are or in a DER OCTET STRING or BIT STRING. */
static bool take_point(struct ed25519_public *out, struct span point)
{
    static const uint8_t octets[] = { 0x04, 0x20 }, bits[] = { 0x03, 0x21, 0x00 };
    if (point.len == sizeof octets + ED25519_PUBLIC_BYTES) {
        span_take_prefix(&point, SPAN_OF_ARRAY(octets));
    } else if (point.len == sizeof bits + ED25519_PUBLIC_BYTES) {
        span_take_prefix(&point, SPAN_OF_ARRAY(bits));
    }
    if (point.len != ED25519_PUBLIC_BYTES) {
        return false;
    }
    memcpy(out->bytes, point.data, ED25519_PUBLIC_BYTES);
    return true;
}

static enum err_code check_type(const struct hsm_key *key, CK_OBJECT_HANDLE object, struct err *err)
{
    struct value value;
    CK_KEY_TYPE type = CKK_EC_EDWARDS;
    enum err_code rc = get_value(key, object, CKA_KEY_TYPE, &value, err);
    if (rc == E_OK &&
        !span_is_equal(span_of(value.bytes, value.len), span_of(&type, sizeof type))) {
        rc = err_set(err, E_UNSUPPORTED, "pkcs11: not an Ed25519 key");
    }
    return rc;
}

static enum err_code read_public(const struct hsm_key *key, struct ed25519_public *out,
                                 struct err *err)
{
    struct value params, point;
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    enum err_code rc = find_key(key, CKO_PUBLIC_KEY, &object, err);
    if (rc == E_OK) {
        rc = check_type(key, object, err);
    }
    if (rc == E_OK) {
        rc = get_value(key, object, CKA_EC_PARAMS, &params, err);
    }
    if (rc == E_OK) {
        rc = get_value(key, object, CKA_EC_POINT, &point, err);
    }
    if (rc == E_OK && (!is_curve(span_of(params.bytes, params.len)) ||
                       !take_point(out, span_of(point.bytes, point.len)))) {
        rc = err_set(err, E_UNSUPPORTED, "pkcs11: not an Ed25519 key, or not in a form we know");
    }
    return rc;
}

/* -- signing -- */

/* Sets up session, login and private key; after an error there is no session. */
static enum err_code open_object(struct hsm_key *key, struct err *err)
{
    enum err_code rc = open_session(key, 0, err);
    if (rc == E_OK) {
        rc = find_key(key, CKO_PRIVATE_KEY, &key->object, err);
    }
    if (rc == E_OK) {
        rc = check_type(key, key->object, err);
    }
    if (rc != E_OK) {
        close_session(key);
    }
    return rc;
}

static CK_RV sign_once(const struct hsm_key *key, struct span message,
                       struct ed25519_signature *out)
{
    CK_MECHANISM mechanism = { CKM_EDDSA, NULL, 0 };
    CK_ULONG len = sizeof out->bytes;
    if (!key->is_open) {
        return CKR_SESSION_CLOSED;
    }
    CK_RV rv = key->module->C_SignInit(key->session, &mechanism, key->object);
    if (rv == CKR_OK) {
        rv = key->module->C_Sign(key->session, (CK_BYTE *)message.data, message.len, out->bytes,
                                 &len);
    }
    return rv == CKR_OK && len != sizeof out->bytes ? CKR_FUNCTION_FAILED : rv;
}

static enum err_code sign_locked(struct hsm_key *key, struct span message,
                                 struct ed25519_signature *out, struct err *err)
{
    CK_RV rv = sign_once(key, message, out);
    if (rv != CKR_OK && hsm_module_is_lost(rv)) {
        close_session(key);
        enum err_code rc = open_object(key, err);
        if (rc != E_OK) {
            return rc;
        }
        rv = sign_once(key, message, out);
    }
    return rv == CKR_OK ? E_OK : hsm_module_error(err, rv, "sign");
}

/* What the caller can do about a device that is gone, and one that is broken. */
static enum err_code sign(void *ctx, struct span message, struct ed25519_signature *out,
                          struct err *err)
{
    struct hsm_key *key = ctx;
    struct ed25519_signature signature;
    pthread_mutex_lock(&key->lock);
    enum err_code rc = sign_locked(key, message, &signature, err);
    pthread_mutex_unlock(&key->lock);
    if (rc != E_OK) {
        err->code = rc == E_NOT_FOUND ? E_UNAVAILABLE : E_IO;
        return err->code;
    }
    *out = signature;
    return E_OK;
}

static void key_free(void *ctx)
{
    struct hsm_key *key = ctx;
    if (key != NULL) {
        close_session(key);
        pthread_mutex_destroy(&key->lock);
        hsm_uri_free(key->uri);
        mem_free(key);
    }
}

static const struct signing_device device = { sign, key_free };

/* -- opening -- */

static enum err_code key_new(struct hsm_key **out, struct span uri_text, struct err *err)
{
    struct hsm_uri *uri;
    CK_FUNCTION_LIST *module;
    enum err_code rc = hsm_uri_parse(&uri, uri_text, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = hsm_module_open(&module, hsm_uri_text(uri, HSM_MODULE_PATH), err);
    if (rc != E_OK) {
        hsm_uri_free(uri);
        return rc;
    }
    struct hsm_key *key = NEW(struct hsm_key);
    key->uri = uri;
    key->module = module;
    pthread_mutex_init(&key->lock, NULL);
    *out = key;
    return E_OK;
}

/* A wrong pair, or a token that cannot sign, is to be found out now. The text is none that a log or a
 * witness signs. */
static enum err_code try_signing(struct hsm_key *key, const struct ed25519_public *public,
                                 struct err *err)
{
    struct span message = span_of_str("courtroll: can this key sign?");
    struct ed25519_signature signature;
    enum err_code rc = sign_locked(key, message, &signature, err);
    if (rc == E_OK && !ed25519_verify(public, message, &signature)) {
        rc = err_set(err, E_CORRUPT, "pkcs11: the private key is not that of the public key");
    }
    return rc;
}

/* Takes the key, on errors too. */
static enum err_code finish(struct signing_key **out, struct hsm_key *key, struct err *err)
{
    struct ed25519_public public;
    enum err_code rc = open_object(key, err);
    if (rc == E_OK) {
        rc = read_public(key, &public, err);
    }
    if (rc == E_OK) {
        rc = try_signing(key, &public, err);
    }
    if (rc != E_OK) {
        key_free(key);
        return rc;
    }
    *out = signing_key_from_device(&public, &device, key);
    return E_OK;
}

enum err_code hsm_open_key(struct signing_key **out, struct span uri, struct err *err)
{
    struct hsm_key *key = NULL;
    enum err_code rc = key_new(&key, uri, err);
    return rc == E_OK ? finish(out, key, err) : rc;
}

/* -- generating -- */

/* Any object counts, whatever its class: two keys of one name could not be told apart later. */
static enum err_code check_unused(const struct hsm_key *key, struct err *err)
{
    CK_ATTRIBUTE names[2];
    size_t count = put_names(key->uri, names);
    for (size_t i = 0; i < count; i++) {
        CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
        size_t found = 0;
        enum err_code rc = find_objects(key, &names[i], 1, &object, &found, err);
        if (rc != E_OK) {
            return rc;
        }
        if (found > 0) {
            return err_set(err, E_EXISTS, "pkcs11: the token has an object of that %s",
                           names[i].type == CKA_ID ? "id" : "name");
        }
    }
    return E_OK;
}

static CK_RV generate_on_curve(const struct hsm_key *key, struct span curve, CK_ATTRIBUTE *names,
                               size_t name_count)
{
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_MECHANISM mechanism = { CKM_EC_EDWARDS_KEY_PAIR_GEN, NULL, 0 };
    CK_ATTRIBUTE public[6] = { { CKA_TOKEN, &yes, sizeof yes },
                               { CKA_PRIVATE, &no, sizeof no },
                               { CKA_VERIFY, &yes, sizeof yes },
                               { CKA_EC_PARAMS, (void *)curve.data, curve.len } };
    CK_ATTRIBUTE private[7] = { { CKA_TOKEN, &yes, sizeof yes },
                                { CKA_PRIVATE, &yes, sizeof yes },
                                { CKA_SIGN, &yes, sizeof yes },
                                { CKA_SENSITIVE, &yes, sizeof yes },
                                { CKA_EXTRACTABLE, &no, sizeof no } };
    CK_OBJECT_HANDLE public_object, private_object;
    memcpy(public + 4, names, name_count * sizeof *names);
    memcpy(private + 5, names, name_count * sizeof *names);
    return key->module->C_GenerateKeyPair(key->session, &mechanism, public, 4 + name_count, private,
                                          5 + name_count, &public_object, &private_object);
}

/* A pair gets an id in any case: other tools need one to keep its halves together. */
static enum err_code generate(const struct hsm_key *key, struct err *err)
{
    uint8_t id[NEW_ID_BYTES];
    CK_ATTRIBUTE names[3];
    size_t count = put_names(key->uri, names);
    if (!hsm_uri_has(key->uri, HSM_ID)) {
        crypto_random(id, sizeof id);
        names[count++] = (CK_ATTRIBUTE){ CKA_ID, id, sizeof id };
    }
    CK_RV rv = generate_on_curve(key, SPAN_OF_ARRAY(curve_oid), names, count);
    if (rv != CKR_OK) { /* some modules know the curve by its name only */
        CK_RV again = generate_on_curve(key, SPAN_OF_ARRAY(curve_name), names, count);
        rv = again == CKR_OK ? CKR_OK : rv;
    }
    return rv == CKR_OK ? E_OK : hsm_module_error(err, rv, "generate the key pair");
}

enum err_code hsm_generate_key(struct signing_key **out, struct span uri, struct err *err)
{
    struct hsm_key *key = NULL;
    enum err_code rc = key_new(&key, uri, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = open_session(key, CKF_RW_SESSION, err);
    if (rc == E_OK) {
        rc = check_unused(key, err);
    }
    if (rc == E_OK) {
        rc = generate(key, err);
    }
    close_session(key);
    if (rc != E_OK) {
        key_free(key);
        return rc;
    }
    return finish(out, key, err);
}
