#include "monitor/record_settings.h"

#include "base/log.h"

#include <sys/stat.h>

/* Whoever can read the directory's files can tell whose entries are whose: they are checked one by one. */
static enum err_code check(const struct record_settings *s, struct err *err)
{
    if (!s->is_on && (s->origin_count > 0 || s->key_dir_count > 0)) {
        return err_set(err, E_MALFORMED, "%s is of no use without operations on",
                       s->origin_count > 0 ? "operations-of" : "case-keys");
    }
    for (size_t i = 0; i < s->key_dir_count; i++) {
        struct stat info;
        if (stat(s->key_dirs[i], &info) != 0 || !S_ISDIR(info.st_mode)) {
            return err_set(err, E_MALFORMED, "case-keys: %s is no directory", s->key_dirs[i]);
        }
    }
    return E_OK;
}

enum err_code record_settings_read(struct record_settings *out, const struct config *config,
                                   struct err *err)
{
    *out =
        (struct record_settings){ .is_on = config_is_on(config, "operations"),
                                  .verifies_signatures = config_is_on(config, "verify-signatures"),
                                  .unseal_days = config_integer(config, "unseal-days") };
    enum err_code rc = config_items(out->origins, &out->origin_count, RECORD_SETTINGS_LOGS_MAX,
                                    "operations-of", config, err);
    if (rc == E_OK) {
        rc = config_items(out->key_dirs, &out->key_dir_count, RECORD_KEY_DIRS_MAX, "case-keys",
                          config, err);
    }
    return rc == E_OK ? check(out, err) : rc;
}

bool record_settings_has_log(const struct record_settings *settings, const char *origin)
{
    for (size_t i = 0; i < settings->origin_count; i++) {
        if (strcmp(settings->origins[i], origin) == 0) {
            return settings->is_on;
        }
    }
    return settings->is_on && settings->origin_count == 0;
}

static bool is_among(const char *origin, const char *const *origins, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(origins[i], origin) == 0) {
            return true;
        }
    }
    return false;
}

enum err_code record_settings_check_logs(const struct record_settings *settings,
                                         const char *const *origins, size_t count, struct err *err)
{
    for (size_t i = 0; i < settings->origin_count; i++) {
        if (!is_among(settings->origins[i], origins, count)) {
            return err_set(err, E_MALFORMED, "operations-of: no policy has the log %s",
                           log_quoted_str(settings->origins[i]).text);
        }
    }
    return E_OK;
}
