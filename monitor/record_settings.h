/* record_settings.h -- the configuration keys about operation records. Part of settings.c. */
#ifndef MONITOR_RECORD_SETTINGS_H
#define MONITOR_RECORD_SETTINGS_H

#include "base/config.h"
#include "monitor/record_key_files.h"
#include "monitor/record_watch.h"

enum {
    RECORD_SETTINGS_LOGS_MAX = WATCHED_LOGS_MAX,
    RECORD_SETTINGS_DAYS_MAX = 36500,
};

/* clang-format off */
#define RECORD_CONFIG_KEYS                                                                         \
    { .name = "operations",                                                                        \
      .kind = CONFIG_SWITCH,                                                                       \
      .group = "Operation records",                                                                \
      .value = "off",                                                                              \
      .help = "The logs are of judicial operations (schema = operation): look at every record. A " \
              "log that was followed without is read once more from the start." },                 \
    { .name = "operations-of",                                                                     \
      .kind = CONFIG_STRING,                                                                       \
      .is_repeatable = true,                                                                       \
      .argument = "ORIGIN",                                                                        \
      .help = "With operations on: only the log of this origin is one of operations. Without any, " \
              "all are." },                                                                        \
    { .name = "verify-signatures",                                                                 \
      .kind = CONFIG_SWITCH,                                                                       \
      .value = "on",                                                                               \
      .help = "Verify the signature of every record: 0.1 ms each, on the scan threads." },         \
    { .name = "case-keys",                                                                         \
      .kind = CONFIG_PATH,                                                                         \
      .is_repeatable = true,                                                                       \
      .help = "A directory of *.casekey files, for this user only (chmod 600): the operations of " \
              "these cases are checked for gaps, order, times and counts. Read again every minute, " \
              "and on SIGHUP." },                                                                  \
    { .name = "unseal-days",                                                                       \
      .kind = CONFIG_INTEGER,                                                                      \
      .value = "30",                                                                               \
      .most = RECORD_SETTINGS_DAYS_MAX,                                                            \
      .help = "A sealed record that nothing has opened for so long is overdue, by the times of the " \
              "log's notes. 0: at once, for a log that is finished." }
/* clang-format on */

/* All strings are the config's. */
struct record_settings {
    bool is_on;
    size_t origin_count;
    const char *origins[RECORD_SETTINGS_LOGS_MAX];
    bool verifies_signatures;
    uint64_t unseal_days;
    size_t key_dir_count;
    const char *key_dirs[RECORD_KEY_DIRS_MAX];
};

/* Errors are for exit code 2. */
MUST_USE enum err_code record_settings_read(struct record_settings *out,
                                            const struct config *config, struct err *err);
bool record_settings_has_log(const struct record_settings *settings, const char *origin);
/* Every origin that is named must be one of `origins`: E_MALFORMED. */
MUST_USE enum err_code record_settings_check_logs(const struct record_settings *settings,
                                                  const char *const *origins, size_t count,
                                                  struct err *err);

#endif
