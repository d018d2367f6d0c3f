#include "store/key_file.h"

#include "base/file.h"
#include "store/hsm.h"

#include <errno.h>
#include <sys/stat.h>

enum {
    KEY_FILE_MAX = 2048 /* bytes: a vkey, or a signer key, and a URI, with their newlines */
};

enum err_code key_file_check_private(const char *path, struct err *err)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return err_set_errno(err, errno == ENOENT ? E_NOT_FOUND : E_IO, errno, "key file %s", path);
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return err_set(err, E_DENIED, "key file %s can be read by others: chmod 600 %s", path,
                       path);
    }
    return E_OK;
}

/* The device must have the very key that the vkey tells: the URI may name another by mistake. */
static enum err_code open_device(struct signer *out, struct span vkey_text, struct span uri,
                                 struct err *err)
{
    struct vkey vkey;
    struct signing_key *key;
    enum err_code rc = vkey_parse(&vkey, vkey_text, err);
    if (rc == E_OK) {
        rc = vkey.ml_dsa != NULL
                 ? err_set(err, E_UNSUPPORTED,
                           "%s: keys of type 0x06 (ML-DSA-44) cannot be in a device", vkey.name)
                 : hsm_open_key(&key, uri, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    struct ed25519_public public = signing_key_public(key);
    if (memcmp(public.bytes, vkey.key.bytes, sizeof public.bytes) != 0) {
        signing_key_free(key);
        return err_set(err, E_BAD_SIGNATURE, "the device's key is not the one of the vkey %s",
                       vkey.name);
    }
    *out = (struct signer){ .vkey = vkey, .key = key };
    return E_OK;
}

static enum err_code parse(struct signer *out, struct span text, struct err *err)
{
    struct span uri = text, vkey;
    if (!span_take_until(&uri, '\n', &vkey) || uri.len == 0) {
        return signer_parse(out, text, err);
    }
    if (uri.data[uri.len - 1] == '\n') {
        uri.len--;
    }
    if (!span_has_prefix(uri, span_of_str("pkcs11:"))) {
        return err_set(err, E_MALFORMED,
                       "a key file is one line, or a vkey and a line pkcs11:... below it");
    }
    return open_device(out, vkey, uri, err);
}

enum err_code key_file_load_any(struct signer *out, const char *path, struct err *err)
{
    struct buf text = BUF_INIT(KEY_FILE_MAX);
    enum err_code rc = key_file_check_private(path, err);
    if (rc == E_OK) {
        rc = file_read(&text, path, err);
    }
    if (rc == E_OK && (rc = parse(out, buf_span(&text), err)) != E_OK) {
        err_wrap(err, "key file %s", path);
    }
    crypto_wipe_buf(&text);
    return rc;
}

enum err_code key_file_load(struct signer *out, const char *path, struct err *err)
{
    struct signer signer;
    enum err_code rc = key_file_load_any(&signer, path, err);
    if (rc == E_OK && signer.key == NULL) {
        signer_clear(&signer);
        rc = err_set(
            err, E_UNSUPPORTED,
            "key file %s holds a key of type 0x06 (ML-DSA-44), which signs checkpoints only: "
            "a key of Ed25519 is needed here",
            path);
    }
    if (rc == E_OK) {
        *out = signer;
    }
    return rc;
}
