#include "logd/settings.h"

#include "base/file.h"
#include "base/limits.h"

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
    { .name = "promise-key",
      .kind = CONFIG_PATH,
      .help = "Signer key file for promises, named <origin>/promise. Without it none are made." },
    { .name = "policy",
      .kind = CONFIG_PATH,
      .help =
          "Witness policy; its log line must be our key. Without it, or with quorum none, there "
          "are no witnesses." },
    { .name = "schema",
      .kind = CONFIG_CHOICE,
      .choices = "opaque|operation",
      .value = "opaque",
      .help = "What an entry is. This release takes opaque entries: any bytes." },
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
    { .name = "http-listen",
      .kind = CONFIG_ADDRESS,
      .group = "Surfaces",
      .is_repeatable = true,
      .help = "HTTP address, 127.0.0.1:6962 if none is given. Port 0: any. TLS is for a proxy." },
    { .name = "grpc-listen",
      .kind = CONFIG_ADDRESS,
      .is_repeatable = true,
      .help = "gRPC address or unix:PATH, 127.0.0.1:6963 if none is given." },
    { .name = "http-add",
      .kind = CONFIG_SWITCH,
      .value = "off",
      .help = "POST /add: the raw entry, answered with its index once it is durable." },
    { .name = "tls-cert", .kind = CONFIG_PATH, .help = "Certificate chain of the gRPC listeners." },
    { .name = "tls-key", .kind = CONFIG_PATH, .help = "Private key of tls-cert." },
    { .name = "tls-client-ca",
      .kind = CONFIG_PATH,
      .help = "Callers must show a certificate of this CA." },
    { .name = "mark-path",
      .kind = CONFIG_PATH,
      .group = "Safety",
      .help =
          "A small file on another disk, outside backups: the last signed size and root. Without "
          "it a restored backup is not noticed: rollback not detectable." },
    { .name = "start-unchecked",
      .kind = CONFIG_SWITCH,
      .value = "off",
      .help =
          "Sign although the mark contradicts the journal. Give it once, by hand, when you know "
          "why: a log that forks is finished." },
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
    .notes =
        "Prints `event=ready http=ADDR:PORT grpc=ADDR:PORT` on stderr when it serves. SIGTERM "
        "drains and stops. Exit codes: 0 stopped; 2 configuration; 3 cannot start (lock, key, "
        "disk); 5 fatal, restart it.\nWithout mark-path and without witnesses a rollback of the "
        "data directory is not detectable: rollback not detectable.",
};

static enum err_code read_http(struct settings *out, const struct config *config, struct err *err)
{
    out->http_count = config_count(config, "http-listen");
    if (out->http_count > SETTINGS_LISTEN_MAX) {
        return err_set(err, E_MALFORMED, "http-listen: over %d addresses", SETTINGS_LISTEN_MAX);
    }
    for (size_t i = 0; i < out->http_count; i++) {
        const char *text = config_item(config, "http-listen", i);
        if (address_parse(&out->http[i], span_of_str(text), err) != E_OK) {
            return err_wrap(err, "http-listen");
        }
    }
    if (out->http_count == 0) {
        out->http_count = 1;
        return address_parse(&out->http[0], span_of_str("127.0.0.1:6962"), err);
    }
    return E_OK;
}

/* Plaintext gRPC is for this machine only. */
static enum err_code check_grpc(const struct settings *settings, const char *text, struct err *err)
{
    struct address address;
    if (address_parse(&address, span_of_str(text), err) != E_OK) {
        return err_wrap(err, "grpc-listen");
    }
    if (!address_is_loopback(&address) && settings->tls_cert == NULL) {
        return err_set(err, E_DENIED,
                       "grpc-listen: %s can be reached from other machines without TLS: set "
                       "tls-cert and tls-key, or listen on 127.0.0.1 or unix:PATH",
                       text);
    }
    return E_OK;
}

static enum err_code read_grpc(struct settings *out, const struct config *config, struct err *err)
{
    out->tls_cert = config_string(config, "tls-cert");
    out->tls_key = config_string(config, "tls-key");
    out->tls_client_ca = config_string(config, "tls-client-ca");
    if ((out->tls_cert == NULL) != (out->tls_key == NULL) ||
        (out->tls_client_ca != NULL && out->tls_cert == NULL)) {
        return err_set(err, E_MALFORMED,
                       "tls-cert and tls-key go together, and tls-client-ca needs both");
    }
    out->grpc_count = config_count(config, "grpc-listen");
    if (out->grpc_count > SETTINGS_LISTEN_MAX) {
        return err_set(err, E_MALFORMED, "grpc-listen: over %d addresses", SETTINGS_LISTEN_MAX);
    }
    for (size_t i = 0; i < out->grpc_count; i++) {
        out->grpc[i] = config_item(config, "grpc-listen", i);
        if (check_grpc(out, out->grpc[i], err) != E_OK) {
            return err->code;
        }
    }
    if (out->grpc_count == 0) {
        out->grpc_count = 1;
        out->grpc[0] = "127.0.0.1:6963";
    }
    return E_OK;
}

enum err_code settings_read(struct settings *out, const struct config *config, struct err *err)
{
    struct settings settings = {
        .data_dir = config_string(config, "data-dir"),
        .key = config_string(config, "key"),
        .promise_key = config_string(config, "promise-key"),
        .policy_path = config_string(config, "policy"),
        .mark_path = config_string(config, "mark-path"),
        .has_http_add = config_is_on(config, "http-add"),
        .has_dedup = config_is_on(config, "dedup"),
        .is_start_unchecked = config_is_on(config, "start-unchecked"),
        .checkpoint_interval_ms = config_integer(config, "checkpoint-interval-ms"),
        .pool_entries_max = config_integer(config, "pool-entries-max"),
        .pool_bytes_max = config_integer(config, "pool-bytes-max"),
        .journal_bytes_max = config_integer(config, "journal-bytes-max"),
    };
    if (strcmp(config_string(config, "schema"), "opaque") != 0) {
        return err_set(err, E_UNSUPPORTED,
                       "schema: operation records are not in this release; use schema = opaque");
    }
    enum err_code rc = read_http(&settings, config, err);
    if (rc == E_OK) {
        rc = read_grpc(&settings, config, err);
    }
    if (rc == E_OK) {
        *out = settings;
    }
    return rc;
}

static enum err_code check_policy(const struct policy *policy, const char *path,
                                  const struct vkey *log, struct err *err)
{
    bool is_listed = false;
    for (size_t i = 0; i < policy_log_count(policy); i++) {
        is_listed |= vkey_is_equal(&policy_log_at(policy, i)->vkey, log);
    }
    if (!is_listed) {
        struct buf vkey = BUF_INIT(1024);
        vkey_put(&vkey, log);
        err_set(err, E_DENIED, "policy %s does not list our key: it needs the line: log %.*s", path,
                SPAN_PRINTF(buf_span(&vkey)));
        buf_clear(&vkey);
        return err->code;
    }
    if (policy_has_quorum(policy)) {
        return err_set(err, E_UNSUPPORTED,
                       "policy %s wants a quorum of witnesses, which this release cannot ask: use "
                       "`quorum none`",
                       path);
    }
    return E_OK;
}

enum err_code settings_check_policy(const struct settings *settings, const struct vkey *log,
                                    struct err *err)
{
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
    policy_free(policy);
    buf_clear(&bytes);
    return rc;
}
