/* status.c -- `courtroll status`: what a log says about itself. Nothing here is verified. */
#include "base/limits.h"
#include "cli/command.h"
#include "cli/facts.h"
#include "client/log_address.h"
#include "client/log_reader.h"
#include "client/rpc_log.h"
#include "tlog/note.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    TIMEOUT_MS = 10 * 1000
};

/* "fine", or what the log says is wrong. */
static char *witness_state(const struct rpc_log_witness *witness)
{
    const char *text = witness->is_ok             ? "fine"
                       : witness->problem[0] != 0 ? witness->problem
                                                  : "no cosignature yet";
    return output_clean(span_of_str(text));
}

static void print_witnesses(const struct rpc_log_status *status)
{
    static const char *const headings[] = { "WITNESS",       "STATE",        "SIZE",
                                            "COSIGNED LAST", "COSIGNATURES", "FAILURES" };
    if (status->witness_count == 0) {
        return;
    }
    struct output_table *table = output_table_new(headings, sizeof headings / sizeof headings[0]);
    for (size_t i = 0; i < status->witness_count; i++) {
        const struct rpc_log_witness *witness = &status->witnesses[i];
        char *name = output_clean(span_of_str(witness->name));
        char *state = witness_state(witness);
        struct output_count size = output_count(witness->size);
        struct output_time time = output_time(witness->timestamp);
        struct output_count good = output_count(witness->cosignatures);
        struct output_count bad = output_count(witness->failures);
        const char *const cells[] = {
            name, state, size.text, witness->timestamp > 0 ? time.text : "-", good.text, bad.text,
        };
        output_table_add(table, cells);
        free(name);
        free(state);
    }
    printf("\n");
    output_table_print(table);
}

static void print_status(const struct rpc_log_status *status)
{
    struct output_table *table = facts_new();
    facts_add_text(table, "origin", span_of_str(status->origin));
    facts_add(table, "state",
              !status->is_admitting ? "not accepting writes"
              : status->is_degraded ? "degraded"
                                    : "fine");
    if (status->reason[0] != 0) {
        facts_add_text(table, "reason", span_of_str(status->reason));
    }
    facts_add_count(table, "durable size", status->durable_size);
    facts_add_count(table, "integrated size", status->integrated_size);
    facts_add_count(table, "published size", status->published_size);
    facts_add_count(table, "pool entries", status->pool_entries);
    facts_add_text(table, "rollback check", span_of_str(status->rollback_check));
    facts_add_count(table, "uptime ms", status->uptime_ms);
    facts_add_count(table, "entries logged since start", status->entries_logged);
    facts_add_count(table, "duplicates since start", status->duplicates);
    facts_add_count(table, "bytes logged since start", status->bytes_logged);
    facts_add_count(table, "bytes written since start", status->bytes_written);
    facts_add_count(table, "cpu us since start", status->cpu_us);
    facts_add_count(table, "memory bytes (RssAnon)", status->rss_anon_bytes);
    if (status->schema[0] != 0) {
        facts_add_text(table, "schema", span_of_str(status->schema));
    }
    if (strcmp(status->schema, "operation") == 0) {
        facts_add_count(table, "submitters registered", status->submitters_registered);
        facts_add_count(table, "submitters enabled", status->submitters_enabled);
        facts_add_count(table, "submitters usable", status->submitters_usable);
    }
    facts_add_text(table, "version", span_of_str(status->version));
    output_table_print(table);
    print_witnesses(status);
}

static void json_put_count(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void json_put_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, output_json_text(span_of_str(text)));
}

static json_t *witnesses_json(const struct rpc_log_status *status)
{
    json_t *witnesses = json_array();
    for (size_t i = 0; i < status->witness_count; i++) {
        const struct rpc_log_witness *witness = &status->witnesses[i];
        json_t *one = json_object();
        json_put_text(one, "name", witness->name);
        json_object_set_new(one, "ok", json_boolean(witness->is_ok));
        json_put_text(one, "problem", witness->problem);
        json_put_count(one, "size", witness->size);
        json_put_count(one, "time", witness->timestamp);
        json_put_count(one, "cosignatures", witness->cosignatures);
        json_put_count(one, "failures", witness->failures);
        json_array_append_new(witnesses, one);
    }
    return witnesses;
}

static void print_status_json(const struct rpc_log_status *status)
{
    json_t *object = json_object();
    json_put_text(object, "origin", status->origin);
    json_object_set_new(object, "admitting", json_boolean(status->is_admitting));
    json_object_set_new(object, "degraded", json_boolean(status->is_degraded));
    json_put_text(object, "reason", status->reason);
    json_put_count(object, "durable_size", status->durable_size);
    json_put_count(object, "integrated_size", status->integrated_size);
    json_put_count(object, "published_size", status->published_size);
    json_put_count(object, "pool_entries", status->pool_entries);
    json_put_text(object, "rollback_check", status->rollback_check);
    json_put_count(object, "uptime_ms", status->uptime_ms);
    json_put_count(object, "entries_logged", status->entries_logged);
    json_put_count(object, "duplicates", status->duplicates);
    json_put_count(object, "bytes_logged", status->bytes_logged);
    json_put_count(object, "bytes_written", status->bytes_written);
    json_put_count(object, "cpu_us", status->cpu_us);
    json_put_count(object, "rss_anon_bytes", status->rss_anon_bytes);
    json_put_text(object, "schema", status->schema);
    json_put_count(object, "submitters_registered", status->submitters_registered);
    json_put_count(object, "submitters_enabled", status->submitters_enabled);
    json_put_count(object, "submitters_usable", status->submitters_usable);
    json_put_text(object, "version", status->version);
    json_object_set_new(object, "witnesses", witnesses_json(status));
    output_json(object);
}

static int status_rpc(const struct output *output, const struct rpc_client_config *to)
{
    struct rpc_log *log = NULL;
    struct err err;
    struct rpc_log_status status;
    enum err_code rc = rpc_log_open(&log, to, TIMEOUT_MS, &err);
    if (rc == E_OK) {
        rc = rpc_log_get_status(log, TIMEOUT_MS, &status, &err);
    }
    rpc_log_close(log);
    if (rc != E_OK) {
        return output_failed(output, &err);
    }
    if (output->is_json) {
        print_status_json(&status);
    } else {
        print_status(&status);
    }
    return OUTPUT_DONE;
}

/* ---- a log's public files tell its published size only ---- */

static enum err_code read_checkpoint(const struct log_address *address,
                                     struct checkpoint *checkpoint, struct err *err)
{
    struct log_reader *reader = NULL;
    struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
    struct note note;
    enum err_code rc = log_reader_open(&reader, address, err);
    if (rc == E_OK) {
        rc = log_reader_checkpoint(reader, &bytes, err);
    }
    if (rc == E_OK) {
        rc = note_parse(&note, buf_span(&bytes), err);
    }
    if (rc == E_OK) {
        rc = checkpoint_parse(checkpoint, note.text, err);
        note_clear(&note);
    }
    log_reader_close(reader);
    buf_clear(&bytes);
    return rc;
}

static int status_files(const struct output *output, const struct log_address *address)
{
    struct checkpoint checkpoint;
    struct err err;
    if (read_checkpoint(address, &checkpoint, &err) != E_OK) {
        return output_failed(output, &err);
    }
    if (output->is_json) {
        json_t *object = json_object();
        json_put_text(object, "origin", checkpoint.origin);
        json_put_count(object, "published_size", checkpoint.size);
        output_json(object);
    } else {
        struct output_table *table = facts_new();
        facts_add_text(table, "origin", span_of_str(checkpoint.origin));
        facts_add_count(table, "published size", checkpoint.size);
        output_table_print(table);
    }
    return OUTPUT_DONE;
}

static int run(int argc, char **argv)
{
    struct output output = { 0 };
    const char *log = NULL;
    struct rpc_client_config to = { 0 };
    const struct command_option options[] = {
        { .name = "log",
          .argument = "LOG",
          .help = "HOST:PORT or unix:PATH for all of it; http(s)://... or file:DIR for the\n"
                  "published size",
          .text = &log,
          .is_required = true },
        { .name = "tls-ca",
          .argument = "FILE",
          .help = "use TLS; the authorities to trust, PEM",
          .text = &to.tls_ca_path },
        { .name = "tls-cert",
          .argument = "FILE",
          .help = "our certificate, PEM",
          .text = &to.tls_cert_path },
        { .name = "tls-key", .argument = "FILE", .help = "and its key", .text = &to.tls_key_path },
        COMMAND_OPTION_JSON(&output),
    };
    struct command_line line;
    int code = OUTPUT_DONE;
    if (!command_parse(&line, &status_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    struct log_address address;
    struct err err;
    if (log_address_parse(&address, log, &err) != E_OK) {
        return command_usage_error(&status_command, "--log: %s", err.msg);
    }
    if ((to.tls_cert_path != NULL) != (to.tls_key_path != NULL)) {
        return command_usage_error(&status_command, "--tls-cert and --tls-key go together");
    }
    to.target = address.target;
    return address.kind == LOG_ADDRESS_GRPC ? status_rpc(&output, &to)
                                            : status_files(&output, &address);
}

const struct command status_command = {
    .name = "status",
    .arguments = "--log LOG",
    .summary = "what a log says about itself",
    .text = "Sizes, health and cost, as the log reports them: nothing is verified. For that use\n"
            "'courtroll checkpoint' or 'courtroll fsck'.\n",
    .examples = "courtroll status --log localhost:6963\n",
    .run = run,
};
