#include "witness/witness_keys.h"

#include "store/key_file.h"

static enum err_code check(const struct witness_keys *keys, size_t last, const char *path,
                           struct err *err)
{
    const struct vkey *vkey = &keys->vkeys[last];
    if (vkey->type == SIGNATURE_ML_DSA_44 && last == 0) {
        return err_set(err, E_MALFORMED,
                       "%s holds a key of type 0x06 (ML-DSA-44): give one of type 0x04 before it, "
                       "which every log "
                       "can check",
                       path);
    }
    if (vkey->type != SIGNATURE_COSIGNATURE && vkey->type != SIGNATURE_ML_DSA_44) {
        return err_set(
            err, E_MALFORMED,
            "%s holds a key of type 0x%02x, which signs for a log; a witness needs one of "
            "type 0x04: make it with courtroll keygen --type witness --name NAME --out "
            "FILE",
            path, (unsigned)vkey->type);
    }
    if (strcmp(vkey->name, keys->vkeys[0].name) != 0) {
        return err_set(
            err, E_MALFORMED,
            "%s is named %s, the first key %s: the keys of one witness have one name, and "
            "another witness has a data directory of its own",
            path, vkey->name, keys->vkeys[0].name);
    }
    for (size_t i = 0; i < last; i++) {
        if (vkey_is_equal(vkey, &keys->vkeys[i])) {
            return err_set(err, E_MALFORMED, "%s holds a key that was given already", path);
        }
    }
    return E_OK;
}

enum err_code witness_keys_load(struct witness_keys *out, const char *const *paths, size_t count,
                                struct err *err)
{
    struct witness_keys keys = { .count = 0 };
    enum err_code rc = E_OK;
    for (size_t i = 0; i < count && rc == E_OK; i++) {
        rc = key_file_load_any(&keys.signers[i], paths[i], err);
        if (rc == E_OK) {
            keys.count++;
            keys.vkeys[i] = keys.signers[i].vkey;
            rc = check(&keys, i, paths[i], err);
        }
    }
    if (rc == E_OK) {
        *out = keys;
    } else {
        witness_keys_clear(&keys);
    }
    return rc;
}

void witness_keys_clear(struct witness_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        signer_clear(&keys->signers[i]);
    }
    keys->count = 0;
}
