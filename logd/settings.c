#include "logd/settings.h"

#include "base/file.h"
#include "base/limits.h"
#include "net/verify_page.h"

#define DEFAULT_HTTP "127.0.0.1:6962"
#define DEFAULT_GRPC "127.0.0.1:6963"

static const struct config_key keys[] = {
    { .name = "data-dir",
      .kind = CONFIG_PATH,
      .group = "Log",
      .is_required = true,
      .help = "Where the log lives: log/ (public, servable as it is), journal/, index/." },
    { .name = "key",
      .kind = CONFIG_PATH,
      .is_required = true,
      .help =
          "The log's signer key file, from courtroll keygen --type log. Its name is the origin." },
    { .name = "ml-dsa-key",
      .kind = CONFIG_PATH,
      .help = "A second signer key file of the same name, from courtroll keygen --type log "
              "--algorithm ml-dsa-44: "
              "checkpoints bear its line too. Needs OpenSSL 3.5 or later." },
    { .name = "promise-key",
      .kind = CONFIG_PATH,
      .help = "Signer key file for promises, named <origin>/promise. Without it none are made." },
    { .name = "policy",
      .kind = CONFIG_PATH,
      .help = "Witness policy; its log line must be our key, and its witnesses are asked at their "
              "URLs. Without it, or with quorum none, there are no witnesses." },
    { .name = "schema",
      .kind = CONFIG_CHOICE,
      .choices = "opaque|operation",
      .value = "opaque",
      .help =
          "What an entry is: opaque, which is any bytes, or an operation record, which is judged "
          "by form, origin, submitter and signature before it is logged." },
    { .name = "submitters",
      .kind = CONFIG_PATH,
      .help = "Who may log operations, once registered on the log: lines of `submitter <vkey>`. "
              "Read again on SIGHUP." },
    { .name = "submitter-signature",
      .kind = CONFIG_CHOICE,
      .choices = "record|channel",
      .value = "record",
      .help = "What shows who sends an operation: the record's own signature, or, for records that "
              "have none, the client certificate alone, which nobody else can check later." },
    { .name = "anchor-seconds",
      .kind = CONFIG_INTEGER,
      .value = "300",
      .least = 0,
      .most = 86400,
      .help = "With operations, the published checkpoint is itself logged so often while there is "
              "news: what comes behind it was logged after its cosignatures. 0: never." },
    { .name = "dedup",
      .kind = CONFIG_SWITCH,
      .value = "on",
      .help = "Answer bytes that are logged already with the index of the first copy." },
    { .name = "checkpoint-interval-ms",
      .kind = CONFIG_INTEGER,
      .value = "1000",
      .least = 10,
      .most = 3600000,
      .help = "At most one new checkpoint in that time; the first news after a rest at once." },
    LISTEN_CONFIG_KEYS(DEFAULT_HTTP, DEFAULT_GRPC),
    { .name = "frozen",
      .kind = CONFIG_SWITCH,
      .value = "off",
      .help = "The log has ended: it takes no more entries, publishes what it has with its quorum, "
              "and serves it." },
    { .name = "http-add",
      .kind = CONFIG_SWITCH,
      .value = "off",
      .help = "POST /add: the raw entry, answered with its index once it is durable." },
    { .name = "mark-path",
      .kind = CONFIG_PATH,
      .group = "Safety",
      .help =
          "A small file on another disk, outside backups: the last signed size and root. Without "
          "it the witnesses are asked at start; without these too a restored backup is not "
          "noticed: rollback not detectable." },
    { .name = "start-unchecked",
      .kind = CONFIG_SWITCH,
      .value = "off",
      .help =
          "Sign although the mark contradicts the journal, the witnesses were not asked, or a "
          "contradiction was met. Give it once, by hand, when you know why, and never leave it in "
          "this file, where it silences the check at every start: a log that forks is finished." },
    { .name = "pool-entries-max",
      .kind = CONFIG_INTEGER,
      .group = "Limits",
      .value = "200000",
      .least = ENTRIES_PER_CALL_MAX,
      .most = 10000000,
      .help = "Entries waiting to be committed; above, callers are told to come back." },
    { .name = "pool-bytes-max",
      .kind = CONFIG_INTEGER,
      .value = "67108864",
      .least = 2 * CALL_BYTES_MAX,
      .most = UINT64_C(1) << 40,
      .help = "Likewise, their bytes." },
    { .name = "journal-bytes-max",
      .kind = CONFIG_INTEGER,
      .value = "67108864",
      .least = JOURNAL_BYTES_MIN,
      .most = UINT64_C(1) << 40,
      .help = "Bytes committed that are not in tiles yet; above, commits wait for the tiles." },
};

const struct config_schema settings_schema = {
    .program = "courtroll-logd",
    .summary = "keeps a transparency log: a Merkle tree of entries that only grows",
    .keys = keys,
    .key_count = sizeof keys / sizeof keys[0],
    .build = verify_page_build,
    .notes =
        "Prints `event=ready http=ADDR:PORT grpc=ADDR:PORT` on stderr when it serves. SIGTERM "
        "drains and stops. Exit codes: 0 stopped; 2 configuration; 3 cannot start (lock, key, "
        "disk); 5 fatal, restart it.\nSIGHUP reads the submitters file and the TLS files "
        "again.\nA directory that was lost or is an old backup is brought up to what others still "
        "have by:\n  courtroll-logd recover --from LOG (see courtroll-logd recover --help)\n"
        "Without mark-path and without witnesses a rollback of the "
        "data directory is not detectable: rollback not detectable.",
};

/* What only operations have is an error elsewhere: whoever sets it believes that records are judged. */
static enum err_code check_schema(const struct settings *settings, const struct config *config,
                                  struct err *err)
{
    static const char *const keys_of_operation[] = { "submitters", "submitter-signature",
                                                     "anchor-seconds" };
    if (!settings->is_operation) {
        for (size_t i = 0; i < sizeof keys_of_operation / sizeof keys_of_operation[0]; i++) {
            if (config_is_set(config, keys_of_operation[i])) {
                return err_set(err, E_MALFORMED, "%s is for schema = operation only",
                               keys_of_operation[i]);
            }
        }
        return E_OK;
    }
    if (!settings->has_dedup) {
        return err_set(err, E_MALFORMED,
                       "schema = operation needs dedup = on: the index that finds duplicates also "
                       "finds entry tags");
    }
    if (settings->has_http_add) {
        return err_set(err, E_MALFORMED,
                       "schema = operation refuses http-add = on: over HTTP nobody is known");
    }
    if (settings->submitters == NULL) {
        return err_set(err, E_MALFORMED,
                       "schema = operation needs submitters: the file of those who may log");
    }
    if (settings->takes_vouched && settings->listen.tls_client_ca == NULL) {
        return err_set(err, E_MALFORMED,
                       "submitter-signature = channel needs tls-client-ca: client certificates are "
                       "all that shows who sends");
    }
    return E_OK;
}

enum err_code settings_read(struct settings *out, const struct config *config, struct err *err)
{
    struct settings settings = {
        .data_dir = config_string(config, "data-dir"),
        .key = config_string(config, "key"),
        .ml_dsa_key = config_string(config, "ml-dsa-key"),
        .promise_key = config_string(config, "promise-key"),
        .policy_path = config_string(config, "policy"),
        .mark_path = config_string(config, "mark-path"),
        .is_frozen = config_is_on(config, "frozen"),
        .has_http_add = config_is_on(config, "http-add"),
        .is_operation = strcmp(config_string(config, "schema"), "operation") == 0,
        .takes_vouched = strcmp(config_string(config, "submitter-signature"), "channel") == 0,
        .submitters = config_string(config, "submitters"),
        .anchor_seconds = config_integer(config, "anchor-seconds"),
        .has_dedup = config_is_on(config, "dedup"),
        .is_start_unchecked = config_is_on(config, "start-unchecked"),
        .checkpoint_interval_ms = config_integer(config, "checkpoint-interval-ms"),
        .pool_entries_max = config_integer(config, "pool-entries-max"),
        .pool_bytes_max = config_integer(config, "pool-bytes-max"),
        .journal_bytes_max = config_integer(config, "journal-bytes-max"),
    };
    enum err_code rc =
        listen_settings_read(&settings.listen, config, DEFAULT_HTTP, DEFAULT_GRPC, err);
    if (rc == E_OK) {
        rc = check_schema(&settings, config, err);
    }
    if (rc == E_OK) {
        *out = settings;
    }
    return rc;
}

static enum err_code check_urls(const struct policy *policy, const char *path, struct err *err)
{
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        const struct policy_witness *witness = policy_witness_at(policy, i);
        struct span url = span_of_str(witness->url == NULL ? "" : witness->url);
        if (url.len > 0 && !span_has_prefix(url, span_of_str("http://")) &&
            !span_has_prefix(url, span_of_str("https://"))) {
            return err_set(err, E_MALFORMED,
                           "policy %s: the URL of witness %s is neither http:// nor https://", path,
                           witness->name);
        }
    }
    return E_OK;
}

static enum err_code check_policy(const struct policy *policy, const char *path,
                                  const struct vkey *log, struct err *err)
{
    bool is_listed = false;
    for (size_t i = 0; i < policy_log_count(policy); i++) {
        is_listed |= vkey_is_equal(&policy_log_at(policy, i)->vkey, log);
    }
    if (!is_listed) {
        struct buf vkey = BUF_INIT(VKEY_TEXT_MAX);
        vkey_put(&vkey, log);
        err_set(err, E_DENIED, "policy %s does not list our key: it needs the line: log %.*s", path,
                SPAN_PRINTF(buf_span(&vkey)));
        buf_clear(&vkey);
        return err->code;
    }
    return check_urls(policy, path, err);
}

/* All of them sign one note, below our own line. */
static enum err_code check_count(const struct policy *policy, const char *path, struct err *err)
{
    size_t count = policy_witness_count(policy);
    return count <= NOTE_SIGNATURES_MAX - 1
               ? E_OK
               : err_set(err, E_TOO_LARGE,
                         "policy %s: %zu witnesses, over the %d whose lines fit under a checkpoint",
                         path, count, NOTE_SIGNATURES_MAX - 1);
}

enum err_code settings_read_policy(struct policy **out, const struct settings *settings,
                                   const struct vkey *log, struct err *err)
{
    *out = NULL;
    if (settings->policy_path == NULL) {
        return E_OK;
    }
    struct buf bytes = BUF_INIT(POLICY_BYTES_MAX);
    struct policy *policy = NULL;
    enum err_code rc = file_read(&bytes, settings->policy_path, err);
    if (rc == E_OK) {
        rc = policy_parse(&policy, buf_span(&bytes), err);
    }
    if (rc != E_OK) {
        err_wrap(err, "policy %s", settings->policy_path);
    } else {
        rc = check_policy(policy, settings->policy_path, log, err);
    }
    if (rc == E_OK && policy_has_quorum(policy)) {
        rc = check_count(policy, settings->policy_path, err);
    }
    if (rc == E_OK && policy_has_quorum(policy)) {
        *out = policy;
    } else {
        policy_free(policy);
    }
    buf_clear(&bytes);
    return rc;
}

enum err_code settings_read_policy_text(struct buf *out, const struct settings *settings,
                                        const struct vkey *log, struct err *err)
{
    if (settings->policy_path != NULL) {
        return file_read(out, settings->policy_path, err);
    }
    buf_put_str(out, "log ");
    vkey_put(out, log);
    buf_put_str(out, "\nquorum none\n");
    return E_OK;
}
