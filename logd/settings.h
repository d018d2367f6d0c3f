/* settings.h -- the configuration keys of courtroll-logd, checked and in their types. */
#ifndef LOGD_SETTINGS_H
#define LOGD_SETTINGS_H

#include "base/config.h"
#include "net/listen.h"
#include "tlog/policy.h"

extern const struct config_schema settings_schema;

struct settings {
    const char *data_dir; /* all strings are the config's */
    const char *key;
    const char *ml_dsa_key;  /* or NULL */
    const char *promise_key; /* or NULL */
    const char *policy_path; /* or NULL */
    const char *mark_path;   /* or NULL */
    struct listen_settings listen;
    bool is_frozen; /* no entry is taken any more */
    bool has_http_add;
    bool is_operation; /* schema = operation: records, which need has_dedup */
    bool has_dedup;
    bool is_start_unchecked;
    bool takes_vouched;      /* submitter-signature = channel */
    const char *submitters;  /* path; schema = operation only */
    uint64_t anchor_seconds; /* 0: no anchors; schema = operation only */
    uint64_t checkpoint_interval_ms;
    uint64_t pool_entries_max;
    uint64_t pool_bytes_max;
    uint64_t journal_bytes_max;
};

/* Every error is for exit code 2. */
MUST_USE enum err_code settings_read(struct settings *out, const struct config *config,
                                     struct err *err);

/* The policy file, which must name our key as its log; the caller frees it. Its witnesses must have an
 * http:// or https:// URL or none: then their cosignatures come as files. They are at most
 * NOTE_SIGNATURES_MAX - 1. *out is NULL without a policy
 * file, and for `quorum none`. */
MUST_USE enum err_code settings_read_policy(struct policy **out, const struct settings *settings,
                                            const struct vkey *log, struct err *err);

/* Appends the bytes of that file; without one, a policy that lists `log` and asks for no witness. */
MUST_USE enum err_code settings_read_policy_text(struct buf *out, const struct settings *settings,
                                                 const struct vkey *log, struct err *err);

#endif
