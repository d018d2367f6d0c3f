/* settings.h -- the configuration keys of courtroll-witness, checked and in their types. */
#ifndef WITNESS_SETTINGS_H
#define WITNESS_SETTINGS_H

#include "base/config.h"
#include "net/listen.h"
#include "witness/cosigner.h"
#include "witness/guard.h"

enum {
    SETTINGS_LOG_LISTS_MAX = 16,
    SETTINGS_BASTIONS_MAX = 8
};

extern const struct config_schema witness_settings_schema;

struct settings {
    const char *data_dir; /* all strings are the config's */
    size_t key_count;
    const char *keys[COSIGNER_KEYS_MAX]; /* key files */
    const char *logs;                    /* or NULL */
    size_t log_list_count;
    const char *log_lists[SETTINGS_LOG_LISTS_MAX]; /* paths or URLs */
    uint64_t log_list_hours;
    size_t peer_count;
    const char *peers[GUARD_PEERS_MAX]; /* URLs */
    uint64_t peer_wait_seconds;
    uint64_t peer_poll_seconds;
    const char *mark_path;    /* or NULL */
    const char *tpm_nv_index; /* or NULL */
    bool is_start_unchecked;
    struct listen_settings listen;
    size_t bastion_count;
    const char *bastions[SETTINGS_BASTIONS_MAX]; /* HOST:PORT */
    const char *bastion_key;                     /* key file, or NULL: one of our own making */
    const char *bastion_ca;                      /* or NULL */
    uint64_t peer_requests_per_minute;           /* 0: no limit */
    uint64_t log_requests_per_minute;
};

/* Every error is for exit code 2. */
MUST_USE enum err_code witness_settings_read(struct settings *out, const struct config *config,
                                             struct err *err);

/* "http://" or "https://" at its beginning. */
bool witness_settings_is_url(const char *text);

#endif
