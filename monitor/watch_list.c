#include "monitor/watch_list.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"

enum {
    F_WEAK = 1 /* so many evil witnesses, or fewer, are no protection outside a demonstration */
};

/* -- policies -- */

static enum err_code find_log(struct watch_item *item, const char *path, struct err *err)
{
    size_t count = 0;
    for (size_t i = 0; i < policy_log_count(item->policy); i++) {
        if (!policy_log_is_promise_key(item->policy, i)) {
            item->log = policy_log_at(item->policy, i);
            count++;
        }
    }
    if (count != 1) {
        return err_set(err, E_MALFORMED,
                       "policy %s lists %zu logs: give a file for each log that is to be followed",
                       path, count);
    }
    item->promise_key = policy_promise_key(item->policy, item->log->vkey.name);
    return E_OK;
}

static enum err_code find_address(struct watch_item *item, const char *path, const char *log_url,
                                  struct err *err)
{
    const char *text = log_url != NULL ? log_url : item->log->url;
    if (text == NULL) {
        return err_set(
            err, E_MALFORMED,
            "policy %s: the log %s has no URL: put it at the end of its log line, or set "
            "log-url",
            path, log_quoted_str(item->log->vkey.name).text);
    }
    if (log_address_parse(&item->address, text, err) != E_OK ||
        monitor_settings_check_public(&item->address, err) != E_OK) {
        return err_wrap(err, "policy %s", path);
    }
    if (item->address.kind == LOG_ADDRESS_GRPC) {
        return err_set(err, E_MALFORMED,
                       "policy %s: %s is a gRPC address, and a monitor reads files: give the log's "
                       "http(s):// URL or file:DIR",
                       path, text);
    }
    return E_OK;
}

static enum err_code check_new_origin(const struct watch_list *list, const struct watch_item *item,
                                      const char *path, struct err *err)
{
    const char *origin = item->log->vkey.name;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].log->vkey.name, origin) == 0) {
            return err_set(err, E_MALFORMED, "policy %s: the log %s is in another policy too", path,
                           log_quoted_str(origin).text);
        }
    }
    return E_OK;
}

static void warn_of_weak_policy(const struct watch_item *item)
{
    size_t f = policy_f(item->policy);
    if (f <= F_WEAK) {
        log_event(LOG_LEVEL_WARN, "weak_policy", "origin=%s f=%zu meaning=%s",
                  log_quoted_str(item->log->vkey.name).text, f,
                  log_quoted_str("so many evil witnesses let this log show two histories: for a "
                                 "demonstration only")
                      .text);
    }
}

static enum err_code read_policy(struct watch_list *list, const char *path, const char *log_url,
                                 struct err *err)
{
    struct watch_item *item = &list->items[list->count];
    struct buf bytes = BUF_INIT(POLICY_BYTES_MAX);
    buf_init(&item->trusted, NOTE_BYTES_MAX);
    enum err_code rc = file_read(&bytes, path, err);
    if (rc == E_OK) {
        rc = policy_parse(&item->policy, buf_span(&bytes), err);
    }
    if (rc != E_OK) {
        err_wrap(err, "policy %s", path);
    } else {
        rc = find_log(item, path, err);
    }
    if (rc == E_OK) {
        rc = find_address(item, path, log_url, err);
    }
    if (rc == E_OK) {
        rc = check_new_origin(list, item, path, err);
    }
    if (rc == E_OK) {
        warn_of_weak_policy(item);
        list->count++;
    } else {
        policy_free(item->policy);
    }
    buf_clear(&bytes);
    return rc;
}

/* -- checkpoints to begin at -- */

/* Whose log is it? *err then says why it is nobody's. */
static struct watch_item *find_item(struct watch_list *list, struct span note, struct err *err)
{
    err_set(err, E_NOT_FOUND, "no policy lists its log");
    for (size_t i = 0; i < list->count; i++) {
        struct policy_verdict verdict;
        struct err other;
        enum err_code rc = policy_open_checkpoint(list->items[i].policy, &verdict, note, &other);
        if (rc == E_OK && verdict.log == list->items[i].log) {
            return &list->items[i];
        }
        if (rc != E_OK && rc != E_NOT_FOUND) {
            *err = other;
        }
    }
    return NULL;
}

static enum err_code read_trusted(struct watch_list *list, const char *path, struct err *err)
{
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    enum err_code rc = file_read(&note, path, err);
    if (rc == E_OK) {
        struct watch_item *item = find_item(list, buf_span(&note), err);
        rc = item == NULL ? err->code : E_OK;
        if (item != NULL && item->trusted.len > 0) {
            rc = err_set(err, E_MALFORMED, "another file is for this log already");
        } else if (item != NULL) {
            buf_take(&item->trusted, &note);
        }
    }
    if (rc != E_OK) {
        err_wrap(err, "start-from %s", path);
    }
    buf_clear(&note);
    return rc;
}

/* -- peers -- */

static enum err_code read_peer(struct watch_list *list, const char *text, struct err *err)
{
    struct vkey *peer = &list->peers[list->peer_count];
    enum err_code rc = vkey_parse(peer, span_of_str(text), err);
    if (rc == E_OK) {
        rc = vkey_require_type(peer, SIGNATURE_ED25519, err);
    }
    if (rc != E_OK) {
        return err_wrap(err, "peer");
    }
    for (size_t i = 0; i < list->peer_count; i++) {
        if (vkey_is_equal(&list->peers[i], peer)) {
            return err_set(err, E_MALFORMED, "peer: %s is given twice", text);
        }
    }
    list->peer_count++;
    return E_OK;
}

static enum err_code check_records(const struct watch_list *list,
                                   const struct record_settings *settings, struct err *err)
{
    const char *origins[SETTINGS_POLICIES_MAX];
    for (size_t i = 0; i < list->count; i++) {
        origins[i] = list->items[i].log->vkey.name;
    }
    return record_settings_check_logs(settings, origins, list->count, err);
}

enum err_code watch_list_read(struct watch_list *out, const struct monitor_settings *settings,
                              struct err *err)
{
    struct watch_list list = { .items =
                                   mem_calloc(settings->policy_count + 1, sizeof *list.items) };
    enum err_code rc = E_OK;
    for (size_t i = 0; i < settings->policy_count && rc == E_OK; i++) {
        rc = read_policy(&list, settings->policies[i], settings->log_url, err);
    }
    for (size_t i = 0; i < settings->trusted_count && rc == E_OK; i++) {
        rc = read_trusted(&list, settings->trusted[i], err);
    }
    for (size_t i = 0; i < settings->peer_count && rc == E_OK; i++) {
        rc = read_peer(&list, settings->peers[i], err);
    }
    if (rc == E_OK) {
        rc = check_records(&list, &settings->records, err);
    }
    if (rc == E_OK) {
        *out = list;
    } else {
        watch_list_clear(&list);
    }
    return rc;
}

void watch_list_clear(struct watch_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        policy_free(list->items[i].policy);
        buf_clear(&list->items[i].trusted);
    }
    mem_free(list->items);
    *list = (struct watch_list){ .count = 0 };
}
