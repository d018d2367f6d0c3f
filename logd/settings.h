/* settings.h -- the configuration keys of courtroll-logd, checked and in their types. */
#ifndef LOGD_SETTINGS_H
#define LOGD_SETTINGS_H

#include "base/config.h"
#include "net/address.h"
#include "tlog/policy.h"

enum {
    SETTINGS_LISTEN_MAX = 8
};

extern const struct config_schema settings_schema;

struct settings {
    const char *data_dir; /* all strings are the config's */
    const char *key;
    const char *promise_key; /* or NULL */
    const char *policy_path; /* or NULL */
    const char *mark_path;   /* or NULL */
    size_t http_count;
    struct address http[SETTINGS_LISTEN_MAX];
    size_t grpc_count;
    const char *grpc[SETTINGS_LISTEN_MAX];
    const char *tls_cert, *tls_key, *tls_client_ca; /* or NULL */
    bool has_http_add;
    bool has_dedup;
    bool is_start_unchecked;
    uint64_t checkpoint_interval_ms;
    uint64_t pool_entries_max;
    uint64_t pool_bytes_max;
    uint64_t journal_bytes_max;
};

/* Every error is for exit code 2. */
MUST_USE enum err_code settings_read(struct settings *out, const struct config *config,
                                     struct err *err);

/* The policy file must name our key as its log; a quorum of witnesses is E_UNSUPPORTED in this release.
 * E_OK without a policy file too. */
MUST_USE enum err_code settings_check_policy(const struct settings *settings,
                                             const struct vkey *log, struct err *err);

#endif
