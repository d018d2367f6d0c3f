#include "base/log.h"
#include "witness/ledger.h"
#include "witness/ledger_value.h"

#define MARK_KEY "mark"

static enum err_code write_use(struct kv *kv, const char *text, struct err *err)
{
    struct ledger_key key = ledger_key_named(MARK_KEY);
    struct kv_batch batch;
    kv_batch_init(&batch);
    if (text == NULL) {
        kv_batch_delete(&batch, ledger_key_span(&key));
    } else {
        struct buf value = BUF_INIT(64);
        ledger_value_put_bytes(&value, span_of_str(text));
        kv_batch_put(&batch, ledger_key_span(&key), buf_span(&value));
        buf_clear(&value);
    }
    enum err_code rc = kv_write_synced(kv, &batch, err);
    kv_batch_clear(&batch);
    return rc;
}

static enum err_code has_use(struct kv *kv, bool *out, struct err *err)
{
    struct ledger_key key = ledger_key_named(MARK_KEY);
    struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
    enum err_code rc = kv_get(kv, ledger_key_span(&key), &value, err);
    buf_clear(&value);
    if (rc == E_OK || rc == E_NOT_FOUND) {
        *out = rc == E_OK;
        return E_OK;
    }
    return rc;
}

static enum err_code give_up_mark(struct kv *kv, struct err *err)
{
    log_event(LOG_LEVEL_ERROR, "start_unchecked",
              "mark=\"this store was used with a mark file, and is used without from now on\"");
    return write_use(kv, NULL, err);
}

/* The store is told first: a file that a crash leaves behind in between must not vouch for anything. */
static enum err_code make_again(struct kv *kv, const char *path, struct mark_file **out,
                                struct err *err)
{
    enum err_code rc = write_use(kv, "new", err);
    rc = rc == E_OK ? mark_file_open(out, path, true, err) : rc;
    if (rc == E_OK) {
        log_event(LOG_LEVEL_ERROR, "start_unchecked",
                  "mark=\"the mark file was missing, and is made anew from the store\"");
    }
    return rc;
}

/* The store is told last: after a crash in between the file is there, and not one that is missing. */
static enum err_code make_first(struct kv *kv, const char *path, struct mark_file **out,
                                struct err *err)
{
    enum err_code rc = mark_file_open(out, path, true, err);
    rc = rc == E_OK ? write_use(kv, "new", err) : rc;
    if (rc != E_OK) {
        mark_file_close(*out);
        *out = NULL;
    }
    return rc;
}

enum err_code ledger_open_mark(struct kv *kv, const char *path, bool is_unchecked,
                               struct mark_file **out, struct err *err)
{
    bool was_used;
    enum err_code rc = has_use(kv, &was_used, err);
    *out = NULL;
    if (rc != E_OK) {
        return rc;
    }
    if (path == NULL) {
        return was_used && is_unchecked ? give_up_mark(kv, err) : E_OK;
    }
    if (!was_used) {
        return make_first(kv, path, out, err);
    }
    rc = mark_file_open(out, path, false, err);
    if (rc == E_NOT_FOUND && is_unchecked) {
        return make_again(kv, path, out, err);
    }
    if (rc == E_NOT_FOUND) {
        log_error(LOG_LEVEL_ERROR, "mark_missing", err);
        return E_OK;
    }
    return rc;
}
