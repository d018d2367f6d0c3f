#include "witness/bastions.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "store/key_file.h"

enum {
    KEY_MODE = 0600,
    KEY_FILE_BYTES_MAX = 1024
};

struct bastions {
    const struct settings *settings;
    struct signer key; /* owned */
    size_t count;      /* of those that have begun */
    struct bastion *each[SETTINGS_BASTIONS_MAX];
    size_t open; /* of those being closed */
    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

/* -- The key -- */

static enum err_code make_key(const char *path, struct err *err)
{
    struct signer signer;
    struct buf text = BUF_INIT(KEY_FILE_BYTES_MAX);
    signer_generate(&signer, "bastion", SIGNATURE_ED25519);
    signer_put(&text, &signer);
    enum err_code rc = file_create(path, KEY_MODE, buf_span(&text), err);
    crypto_wipe(text.data, text.len);
    buf_clear(&text);
    signer_clear(&signer);
    return rc;
}

static enum err_code load_key(struct signer *out, const struct settings *settings,
                              const char *own_key, struct err *err)
{
    if (settings->bastion_key != NULL) {
        return key_file_load(out, settings->bastion_key, err);
    }
    enum err_code rc = key_file_load(out, own_key, err);
    if (rc == E_NOT_FOUND) {
        rc = make_key(own_key, err);
        if (rc == E_OK) {
            rc = key_file_load(out, own_key, err);
        }
    }
    return rc;
}

static bool is_cosigning_key(const struct signer *key, const struct witness_keys *keys)
{
    struct ed25519_public public = signing_key_public(key->key);
    bool is_ours = false;
    for (size_t i = 0; i < keys->count; i++) {
        is_ours |= memcmp(public.bytes, keys->vkeys[i].key.bytes, sizeof public.bytes) == 0;
    }
    return is_ours;
}

enum err_code bastions_open(struct bastions **out, const struct settings *settings,
                            const char *own_key, const struct witness_keys *keys, struct err *err)
{
    struct signer key;
    if (settings->bastion_count == 0) {
        *out = NULL;
        return E_OK;
    }
    if (load_key(&key, settings, own_key, err) != E_OK) {
        return err_wrap(err, "bastion-key");
    }
    if (is_cosigning_key(&key, keys)) {
        signer_clear(&key);
        return err_set(
            err, E_DENIED,
            "bastion-key: it is the witness's own key: give bastions a key of their own, "
            "or none, and one is made");
    }
    struct bastions *bastions = NEW(struct bastions);
    bastions->settings = settings;
    bastions->key = key;
    *out = bastions;
    return E_OK;
}

void bastions_free(struct bastions *bastions)
{
    if (bastions != NULL) {
        signer_clear(&bastions->key);
        mem_free(bastions);
    }
}

/* -- On the loop -- */

enum err_code bastions_start(struct bastions *bastions, uv_loop_t *loop, struct witness_http *http,
                             struct err *err)
{
    const struct settings *settings = bastions->settings;
    for (size_t i = 0; i < settings->bastion_count; i++) {
        struct bastion_options options = {
            .address = settings->bastions[i],
            .ca_file = settings->bastion_ca,
            .key = bastions->key.key,
            .body_bytes_max = ADD_CHECKPOINT_BYTES_MAX,
            .ctx = http,
            .on_request = witness_http_on_bastion,
        };
        if (bastion_new(&bastions->each[i], loop, &options, err) != E_OK) {
            return err_wrap(err, "bastion %s", settings->bastions[i]);
        }
        bastions->count++;
        log_event(LOG_LEVEL_INFO, "bastion", "address=%s key_hash=%s",
                  log_quoted_str(settings->bastions[i]).text, bastion_key_hash(bastions->each[i]));
    }
    return E_OK;
}

static void on_one_closed(void *ctx)
{
    struct bastions *bastions = ctx;
    if (--bastions->open == 0) {
        bastions->on_closed(bastions->closed_ctx);
    }
}

void bastions_close(struct bastions *bastions, void *ctx, void (*on_closed)(void *ctx))
{
    size_t count = bastions->count;
    bastions->closed_ctx = ctx;
    bastions->on_closed = on_closed;
    bastions->open = count;
    bastions->count = 0;
    for (size_t i = 0; i < count; i++) {
        bastion_close(bastions->each[i], bastions, on_one_closed);
    }
}

size_t bastions_begun(const struct bastions *bastions)
{
    return bastions == NULL ? 0 : bastions->count;
}

size_t bastions_connected(const struct bastions *bastions)
{
    size_t connected = 0;
    for (size_t i = 0; bastions != NULL && i < bastions->count; i++) {
        connected += bastion_is_connected(bastions->each[i]) ? 1 : 0;
    }
    return connected;
}
