#include "logd/recover_command.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "logd/contradiction.h"
#include "logd/daemon.h"
#include "logd/data_dir.h"
#include "logd/recover.h"
#include "logd/settings.h"
#include "logd/signing.h"
#include "store/journal_file.h"
#include "store/tiles_posix.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char help[] =
    "usage: courtroll-logd recover --from LOG [--config FILE] [--KEY VALUE]...\n"
    "\n"
    "bring a log's data directory up to a checkpoint that others still have\n"
    "\n"
    "For a log that is stopped, after its disk was lost or an old backup was put back. Takes\n"
    "only what stands under the log's own key and the quorum of its policy, checks each entry\n"
    "against that root, and commits it as the log itself would. What the directory has beyond\n"
    "that is kept. It may be cut off and begun again. When the two differ nothing is changed,\n"
    "and both notes are kept in data-dir/contradiction/.\n"
    "\n"
    "  --from LOG   http(s)://... or file:DIR: a mirror, a copy, the relay of a monitor\n"
    "               (http://MONITOR/logs/SHA-256-of-the-origin)\n"
    "\n"
    "All other options are those of courtroll-logd; data-dir, key and policy are needed. Start\n"
    "the log after it: what is newer than that checkpoint and was only durable is lost, and\n"
    "submitters' spools send it again.\n"
    "\n"
    "Exit status: 0 done, 2 wrong usage or configuration, 3 it could not be done.\n";

/* What is open; the parts that are not stay NULL. */
struct recovering {
    struct settings settings;
    struct signing signing;
    struct policy *policy;
    struct data_dir dir;
    struct log_reader *reader;
    struct journal *journal;
    struct tiles *tiles;
    time_t told_s;
};

static void tell_progress(void *ctx, uint64_t entries, uint64_t of)
{
    struct recovering *r = ctx;
    time_t now = time(NULL);
    if (now != r->told_s) {
        r->told_s = now;
        log_event(LOG_LEVEL_INFO, "recovering", "entries=%" PRIu64 " of=%" PRIu64, entries, of);
    }
}

/* Takes "--from LOG" or "--from=LOG" out of the line; NULL: it is not there. */
static const char *take_from(int *argc, char **argv)
{
    const char *from = NULL;
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--from") == 0 && i + 1 < *argc) {
            from = argv[++i];
        } else if (strncmp(argv[i], "--from=", strlen("--from=")) == 0) {
            from = argv[i] + strlen("--from=");
        } else {
            argv[kept++] = argv[i];
        }
    }
    argv[kept] = NULL;
    *argc = kept;
    return from;
}

static enum err_code open_policy(struct recovering *r, struct err *err)
{
    const struct settings *s = &r->settings;
    if (s->policy_path == NULL) {
        return err_set(err, E_MALFORMED,
                       "policy is not set: without witnesses nobody else can say "
                       "what this log had published");
    }
    enum err_code rc = settings_read_policy(&r->policy, s, &r->signing.log.vkey, err);
    if (rc == E_OK && r->policy == NULL) {
        rc = err_set(err, E_MALFORMED,
                     "the policy asks for no witnesses: nobody else can say what "
                     "this log had published");
    }
    return rc;
}

static enum err_code open_stores(struct recovering *r, struct err *err)
{
    const struct settings *s = &r->settings;
    enum err_code rc = data_dir_open(&r->dir, s->data_dir, &r->signing.log.vkey, err);
    if (rc == E_OK) {
        rc = journal_file_open(&r->journal, r->dir.journal, s->journal_bytes_max, err);
    }
    if (rc == E_OK) {
        rc = tiles_posix_open(&r->tiles, r->dir.log, err);
    }
    if (rc == E_OK) {
        rc = data_dir_bind_schema(s->data_dir, s->is_operation, journal_head(r->journal).size > 0,
                                  err);
    }
    return rc;
}

/* Both notes, if we ever signed one. */
static void keep_both(const struct recovering *r, const struct recover_report *report)
{
    struct err err;
    struct buf ours = BUF_INIT(NOTE_BYTES_MAX);
    if (file_read(&ours, r->signing.signed_path, &err) == E_OK &&
        contradiction_keep(r->settings.data_dir, buf_span(&report->note), buf_span(&ours), &err) !=
            E_OK) {
        log_error(LOG_LEVEL_ERROR, "contradiction_not_kept", &err);
    }
    buf_clear(&ours);
}

static void tell(const struct recover_report *report)
{
    uint64_t theirs = report->checkpoint.size;
    if (report->size == report->from) {
        printf("nothing to take: %" PRIu64 " entries are here, %" PRIu64 " in the checkpoint\n",
               report->from, theirs);
    } else {
        printf("recovered %" PRIu64 " entries, to %" PRIu64 " in all\n",
               report->size - report->from, report->size);
    }
    printf("start courtroll-logd now; what was newer and only durable is to be submitted again\n");
}

static enum err_code recover(struct recovering *r, const char *from, struct err *err)
{
    struct log_address address = { 0 };
    struct recover_report report = { 0 };
    enum err_code rc = log_address_parse(&address, from, err);
    if (rc == E_OK) {
        rc = log_reader_open(&r->reader, &address, err);
    }
    if (rc == E_OK) {
        rc = open_stores(r, err);
    }
    if (rc == E_OK) {
        struct recover_from what = { .journal = r->journal,
                                     .tiles = r->tiles,
                                     .reader = r->reader,
                                     .policy = r->policy,
                                     .log = &r->signing.log.vkey,
                                     .on_progress = tell_progress,
                                     .ctx = r };
        rc = recover_run(&report, &what, err);
        if (rc == E_OK) {
            tell(&report);
        } else if (rc == E_CONFLICT) {
            keep_both(r, &report);
        }
        recover_report_clear(&report);
    }
    return rc;
}

static void close_all(struct recovering *r)
{
    tiles_close(r->tiles);
    journal_close(r->journal);
    log_reader_close(r->reader);
    if (r->dir.log != NULL) {
        data_dir_close(&r->dir);
    }
    policy_free(r->policy);
}

static int run(const struct config *config, const char *from)
{
    struct recovering r = { 0 };
    struct err err;
    if (settings_read(&r.settings, config, &err) != E_OK) {
        fprintf(stderr, "courtroll-logd: %s\n", err.msg);
        return DAEMON_CONFIGURATION;
    }
    const struct settings *s = &r.settings;
    struct signing_files files = { .data_dir = s->data_dir, .key = s->key, .mark = s->mark_path };
    if (signing_open(&r.signing, &files, &err) != E_OK) {
        fprintf(stderr, "courtroll-logd: %s\n", err.msg);
        return DAEMON_CANNOT_START;
    }
    int code = DAEMON_STOPPED;
    if (open_policy(&r, &err) != E_OK) {
        code = DAEMON_CONFIGURATION;
    } else if (recover(&r, from, &err) != E_OK) {
        code = DAEMON_CANNOT_START;
    }
    if (code != DAEMON_STOPPED) {
        fprintf(stderr, "courtroll-logd: recover: %s\n", err.msg);
    }
    close_all(&r);
    signing_close(&r.signing);
    return code;
}

int recover_command_run(int argc, char **argv)
{
    struct config *config = NULL;
    enum config_outcome outcome;
    struct err err;
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return DAEMON_STOPPED;
    }
    const char *from = take_from(&argc, argv);
    if (from == NULL) {
        fprintf(stderr, "courtroll-logd: recover: --from LOG is missing; see --help\n");
        return DAEMON_CONFIGURATION;
    }
    if (config_load(&config, &outcome, &settings_schema, argc, argv, &err) != E_OK) {
        fprintf(stderr, "courtroll-logd: %s\n", err.msg);
        return DAEMON_CONFIGURATION;
    }
    if (outcome == CONFIG_STOP) {
        return DAEMON_STOPPED;
    }
    int code = run(config, from);
    config_free(config);
    return code;
}
