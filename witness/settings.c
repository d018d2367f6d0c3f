#include "witness/settings.h"

#include "net/verify_page.h"

#define DEFAULT_HTTP "127.0.0.1:6972"
#define DEFAULT_GRPC "127.0.0.1:6973"

static const struct config_key keys[] = {
    { .name = "data-dir",
      .kind = CONFIG_PATH,
      .group = "Witness",
      .is_required = true,
      .help = "Where the state lives: what was cosigned last, and evidence. Never restore it from "
              "a backup: see docs/witness.md." },
    { .name = "key",
      .kind = CONFIG_PATH,
      .is_required = true,
      .is_repeatable = true,
      .help = "The witness's signer key file, from courtroll keygen --type witness, or one that "
              "names a key in an HSM. Up to 4 of one name: an answer has a line of each." },
    { .name = "logs",
      .kind = CONFIG_PATH,
      .help = "The logs to cosign: lines of `log <vkey> [<url>]`. Read again on SIGHUP; lines are "
              "added, never taken away." },
    { .name = "log-list",
      .kind = CONFIG_STRING,
      .is_repeatable = true,
      .argument = "PATH|URL",
      .help = "A list of the witness network (logs/v0): its logs that are not known yet are added, "
              "up to 16384 by all lists. A copy of each is kept in data-dir." },
    { .name = "log-list-hours",
      .kind = CONFIG_INTEGER,
      .value = "6",
      .least = 1,
      .most = 168,
      .help = "Every so many hours the lists are read again." },
    { .name = "mark-path",
      .kind = CONFIG_PATH,
      .group = "Safety",
      .help = "A small file on another disk, outside backups: the last signed size and root of "
              "each log. Not in data-dir, which would be restored with it. Without it, peers or a "
              "TPM a restored backup is not noticed: rollback not detectable." },
    { .name = "peers",
      .kind = CONFIG_STRING,
      .is_repeatable = true,
      .argument = "URL",
      .help = "Other witnesses or monitors, asked at start and on conflicts for checkpoints under "
              "our own key that are ahead of our state. What they cosigned is remembered for them: "
              "they should have us as their peer too." },
    { .name = "peer-wait-seconds",
      .kind = CONFIG_INTEGER,
      .value = "60",
      .least = 1,
      .most = 3600,
      .help = "At the start, so long after the first peer answered about a log, the others are no "
              "longer waited for. With none answering nothing is signed." },
    { .name = "peer-poll-seconds",
      .kind = CONFIG_INTEGER,
      .value = "60",
      .least = 1,
      .most = 3600,
      .help = "Every so many seconds each peer is asked for its newest checkpoint of each log." },
    { .name = "tpm-nv-index",
      .kind = CONFIG_STRING,
      .argument = "INDEX",
      .help = "An NV counter of this machine's TPM, such as 0x01500001, stepped at each start and "
              "hourly: a restored machine is behind it." },
    { .name = "start-unchecked",
      .kind = CONFIG_SWITCH,
      .value = "off",
      .help = "Sign although the mark file is missing, no peer has answered, or the TPM does not "
              "agree or is not asked any more. Give it once, by hand, when you know why: a witness "
              "that signs two histories "
              "is finished. It never overrides a mark that is ahead of the state, nor a note that "
              "was refused: those end with courtroll-witness state adopt." },
    LISTEN_CONFIG_KEYS(DEFAULT_HTTP, DEFAULT_GRPC),
    { .name = "bastion",
      .kind = CONFIG_STRING,
      .group = "No inbound port",
      .is_repeatable = true,
      .argument = "HOST:PORT",
      .help = "Connect to this https-bastion and serve the requests that come through it." },
    { .name = "bastion-key",
      .kind = CONFIG_PATH,
      .help = "Signer key file for bastions, whose operators allow its hash. Without it one is "
              "made in data-dir. Never the witness's key." },
    { .name = "bastion-ca",
      .kind = CONFIG_PATH,
      .help = "Bastions must show a certificate of this CA, instead of the system's." },
    { .name = "peer-requests-per-minute",
      .kind = CONFIG_INTEGER,
      .group = "Limits",
      .value = "6000",
      .most = 100000000,
      .help = "Requests of one address that did not advance a log: repeated, stale, wrong. 0: no "
              "limit. A Unix socket has none." },
    { .name = "log-requests-per-minute",
      .kind = CONFIG_INTEGER,
      .value = "6000",
      .most = 100000000,
      .help = "Requests that advance one log. 0: no limit. A rate that a log-list announces can "
              "only raise it." },
};

const struct config_schema witness_settings_schema = {
    .program = "courtroll-witness",
    .summary = "cosigns the checkpoints of logs, and never two histories of one log",
    .keys = keys,
    .key_count = sizeof keys / sizeof keys[0],
    .build = verify_page_build,
    .example = "  courtroll keygen --type witness --name witness.example/2026 --out witness.key\n"
               "  echo 'log VKEY-OF-THE-LOG' > logs\n"
               "  courtroll-witness --data-dir state --key witness.key --logs logs \\\n"
               "      --mark-path /srv/other-disk/mark\n"
               "  courtroll-witness state --help\n",
    .notes =
        "Prints `event=ready http=ADDR:PORT grpc=ADDR:PORT` on stderr when it serves. SIGHUP reads "
        "the logs again; SIGTERM drains and stops. Exit codes: 0 stopped; 2 configuration; 3 "
        "cannot start (lock, key, disk); 5 fatal, restart it.\n"
        "Without mark-path, peers and a TPM a rollback of the data directory is not detectable: "
        "rollback not detectable. A restored or cloned witness can sign a second history; then its "
        "key is to be retired.",
};

bool witness_settings_is_url(const char *text)
{
    struct span s = span_of_str(text);
    return span_has_prefix(s, span_of_str("http://")) ||
           span_has_prefix(s, span_of_str("https://"));
}

static enum err_code read_lists(struct settings *s, const struct config *config, struct err *err)
{
    enum err_code rc = config_items(s->keys, &s->key_count, COSIGNER_KEYS_MAX, "key", config, err);
    if (rc == E_OK) {
        rc = config_items(s->log_lists, &s->log_list_count, SETTINGS_LOG_LISTS_MAX, "log-list",
                          config, err);
    }
    if (rc == E_OK) {
        rc = config_items(s->peers, &s->peer_count, GUARD_PEERS_MAX, "peers", config, err);
    }
    if (rc == E_OK) {
        rc = config_items(s->bastions, &s->bastion_count, SETTINGS_BASTIONS_MAX, "bastion", config,
                          err);
    }
    return rc;
}

static enum err_code check(const struct settings *s, struct err *err)
{
    if (s->logs == NULL && s->log_list_count == 0) {
        return err_set(err, E_MALFORMED,
                       "neither logs nor log-list is set: a witness cosigns only the logs that it "
                       "is told of");
    }
    for (size_t i = 0; i < s->peer_count; i++) {
        if (!witness_settings_is_url(s->peers[i])) {
            return err_set(err, E_MALFORMED, "peers: %s is not an http:// or https:// URL",
                           s->peers[i]);
        }
    }
    if (s->bastion_count == 0 && (s->bastion_key != NULL || s->bastion_ca != NULL)) {
        return err_set(err, E_MALFORMED, "bastion-key and bastion-ca need a bastion");
    }
    return E_OK;
}

enum err_code witness_settings_read(struct settings *out, const struct config *config,
                                    struct err *err)
{
    struct settings settings = {
        .data_dir = config_string(config, "data-dir"),
        .logs = config_string(config, "logs"),
        .log_list_hours = config_integer(config, "log-list-hours"),
        .peer_wait_seconds = config_integer(config, "peer-wait-seconds"),
        .peer_poll_seconds = config_integer(config, "peer-poll-seconds"),
        .mark_path = config_string(config, "mark-path"),
        .tpm_nv_index = config_string(config, "tpm-nv-index"),
        .is_start_unchecked = config_is_on(config, "start-unchecked"),
        .bastion_key = config_string(config, "bastion-key"),
        .bastion_ca = config_string(config, "bastion-ca"),
        .peer_requests_per_minute = config_integer(config, "peer-requests-per-minute"),
        .log_requests_per_minute = config_integer(config, "log-requests-per-minute"),
    };
    enum err_code rc = read_lists(&settings, config, err);
    if (rc == E_OK) {
        rc = check(&settings, err);
    }
    if (rc == E_OK) {
        rc = listen_settings_read(&settings.listen, config, DEFAULT_HTTP, DEFAULT_GRPC, err);
    }
    if (rc == E_OK) {
        *out = settings;
    }
    return rc;
}
