/* bench.c -- `courtroll bench`: load, with every answer checked, and one JSON object. */
#include "cli/bench_run.h"
#include "cli/command.h"
#include "client/log_address.h"

/* null for what cannot be known. */
static void put_real(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, value >= 0 ? json_real(value) : json_null());
}

static void put_count(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static double per(double value, double count)
{
    return value >= 0 && count > 0 ? value / count : -1;
}

static void print_run(const struct bench_run *run)
{
    const struct bench_options *options = run->options;
    double seconds = (double)(run->end_ns - run->start_ns) / 1e9;
    double entries = (double)run->entry_count;
    json_t *object = json_object();
    put_real(object, "entries_per_s", entries / seconds);
    put_real(object, "p50_ms", latency_ms(&run->latency, 0.5));
    put_real(object, "p99_ms", latency_ms(&run->latency, 0.99));
    put_real(object, "p999_ms", latency_ms(&run->latency, 0.999));
    put_real(object, "max_ms", (double)run->latency.max_ns / 1e6);
    put_count(object, "errors", run->refused + run->wrong + bench_run_unsent(run));
    put_count(object, "wrong_answers", run->wrong);
    put_real(object, "client_cpu_us_per_entry", per((double)run->client_cpu_us, entries));
    put_real(object, "server_cpu_us_per_entry", per(run->server_cpu_us, entries));
    put_real(object, "bytes_written_per_byte", per(run->bytes_written, run->bytes_logged));
    json_object_set_new(object, "server_rss_bytes",
                        run->rss_bytes >= 0 ? json_integer((json_int_t)run->rss_bytes)
                                            : json_null());
    put_count(object, "calls", run->call_count);
    put_count(object, "entries", run->entry_count);
    put_real(object, "seconds", seconds);
    json_object_set_new(object, "in_flight",
                        options->rate > 0 ? json_null()
                                          : json_integer((json_int_t)options->in_flight));
    json_object_set_new(object, "rate",
                        options->rate > 0 ? json_integer((json_int_t)options->rate) : json_null());
    put_count(object, "unsent", bench_run_unsent(run));
    put_count(object, "entries_per_call", options->entries_per_call);
    put_count(object, "entry_bytes", options->entry_bytes);
    json_object_set_new(object, "wait",
                        json_string(options->is_witnessed ? "witnessed" : "durable"));
    put_count(object, "receipts_verified", run->receipt_count);
    put_count(object, "notes_verified", run->receipts.opened);
    output_json(object);
}

static int bench_all(const struct bench_options *options)
{
    struct output output = { 0 }; /* the one JSON object is the result; errors are text */
    struct err err;
    struct bench_run *run = bench_run_new(options);
    enum err_code rc = options->url != NULL ? bench_http(run, &err) : bench_rpc(run, &err);
    int code = OUTPUT_DONE;
    if (rc != E_OK) {
        code = output_failed(&output, &err);
    } else {
        print_run(run);
        if (run->refused + run->wrong > 0) {
            output_error(&output, &run->first_error);
            code = run->wrong > 0 ? OUTPUT_VERDICT : OUTPUT_REFUSED;
        } else if (bench_run_unsent(run) > 0) {
            output_warning("%ju calls were not sent: too many had no answer yet",
                           (uintmax_t)bench_run_unsent(run));
            code = OUTPUT_REFUSED;
        }
    }
    bench_run_free(run);
    return code;
}

static int bench_with_policy(struct bench_options *options, const char *path)
{
    struct output output = { 0 };
    struct policy *policy = NULL;
    struct err err;
    if (path != NULL && command_read_policy(&policy, path, &err) != E_OK) {
        return command_policy_failed(&output, &err);
    }
    options->policy = policy;
    int code = bench_all(options);
    policy_free(policy);
    return code;
}

static int check_usage(struct bench_options *options, const char *log, const char *url,
                       const char *wait, bool has_in_flight, struct log_address *address)
{
    struct err err;
    if (options->rate > 0 && (has_in_flight || url != NULL)) {
        return command_usage_error(&bench_command,
                                   "--rate is for --log, and sets what is in flight by itself");
    }
    if ((log != NULL) == (url != NULL)) {
        return command_usage_error(&bench_command, "one of --log and --http is needed");
    }
    if (log_address_parse(address, log != NULL ? log : url, &err) != E_OK) {
        return command_usage_error(&bench_command, "%s", err.msg);
    }
    if (address->kind != (log != NULL ? LOG_ADDRESS_GRPC : LOG_ADDRESS_HTTP)) {
        return command_usage_error(&bench_command,
                                   "--log takes HOST:PORT or unix:PATH, --http an http(s) URL");
    }
    options->is_witnessed = wait != NULL && strcmp(wait, "witnessed") == 0;
    if (wait != NULL && !options->is_witnessed && strcmp(wait, "durable") != 0) {
        return command_usage_error(&bench_command, "--wait is durable or witnessed, not %s", wait);
    }
    if (url != NULL && (options->is_witnessed || options->entries_per_call != 1)) {
        return command_usage_error(&bench_command, "POST /add takes one entry, durable");
    }
    if (options->entries_per_call * (options->entry_bytes + 4) > CALL_BYTES_MAX) {
        return command_usage_error(&bench_command, "a call holds at most %d bytes", CALL_BYTES_MAX);
    }
    options->to.target = address->target;
    options->url = url != NULL ? address->target : NULL;
    return OUTPUT_DONE;
}

static int run(int argc, char **argv)
{
    const char *log = NULL, *url = NULL, *wait = NULL, *policy_path = NULL;
    bool has_in_flight = false;
    struct output output = { 0 };
    struct bench_options bench = {
        .in_flight = 64, .entries_per_call = 1, .entry_bytes = 300, .seconds = 10
    };
    const struct command_option options[] = {
        { .name = "log",
          .argument = "LOG",
          .help = "append over gRPC: HOST:PORT or unix:PATH",
          .text = &log },
        { .name = "http",
          .argument = "URL",
          .help = "append with POST /add, for a log with http-add on",
          .text = &url },
        { .name = "in-flight",
          .argument = "N",
          .help = "calls in flight [64]",
          .number = &bench.in_flight,
          .number_min = 1,
          .number_max = BENCH_IN_FLIGHT_MAX,
          .is_given = &has_in_flight },
        { .name = "rate",
          .argument = "R",
          .help = "R calls a second, evenly spread, whatever the answers; latencies are\n"
                  "from when a call was due, so that stalls are not hidden",
          .number = &bench.rate,
          .number_min = 1,
          .number_max = BENCH_RATE_MAX },
        { .name = "entries-per-call",
          .argument = "M",
          .help = "entries in a call [1]",
          .number = &bench.entries_per_call,
          .number_min = 1,
          .number_max = ENTRIES_PER_CALL_MAX },
        { .name = "entry-bytes",
          .argument = "B",
          .help = "size of an entry [300]",
          .number = &bench.entry_bytes,
          .number_min = BENCH_ENTRY_BYTES_MIN,
          .number_max = ENTRY_BYTES_MAX },
        { .name = "seconds",
          .argument = "S",
          .help = "how long [10]",
          .number = &bench.seconds,
          .number_min = 1,
          .number_max = 24 * 3600 },
        { .name = "wait",
          .argument = "WHAT",
          .help = "durable (the default) or witnessed",
          .text = &wait },
        { .name = "policy",
          .argument = "P",
          .help = "with --wait witnessed: every receipt is verified, and must meet it",
          .text = &policy_path },
        { .name = "tls-ca",
          .argument = "FILE",
          .help = "use TLS; the authorities to trust, PEM",
          .text = &bench.to.tls_ca_path },
        { .name = "tls-cert",
          .argument = "FILE",
          .help = "our certificate, PEM",
          .text = &bench.to.tls_cert_path },
        { .name = "tls-key",
          .argument = "FILE",
          .help = "and its key",
          .text = &bench.to.tls_key_path },
        COMMAND_OPTION_JSON(&output), /* as everywhere, though it is JSON in any case */
    };
    struct command_line line;
    struct log_address address;
    int code = OUTPUT_DONE;
    if (!command_parse(&line, &bench_command, options, COMMAND_COUNT(options), argc, argv, &code)) {
        return code;
    }
    code = check_usage(&bench, log, url, wait, has_in_flight, &address);
    if (code == OUTPUT_DONE && policy_path != NULL && !bench.is_witnessed) {
        code = command_usage_error(&bench_command, "--policy is for --wait witnessed");
    }
    return code != OUTPUT_DONE ? code : bench_with_policy(&bench, policy_path);
}

const struct command bench_command = {
    .name = "bench",
    .arguments = "(--log LOG | --http URL) [--in-flight N | --rate R] [--entries-per-call M]\n"
                 "[--entry-bytes B] [--seconds S] [--wait witnessed [--policy P]]",
    .summary = "load a log, check every answer, report what it cost",
    .text =
        "Appends unique entries for S seconds, and waits for the answers. Each answer is\n"
        "checked: an index never given before, growing within a call, the leaf hash of the\n"
        "entry sent, not called a duplicate; with --policy a receipt that verifies, witnesses\n"
        "too, and meets the policy. Latencies are those of calls. Prints one JSON object; what\n"
        "cannot be known is null.\n"
        "\n"
        "The entries stay in the log for good: this is not for a log in use.\n",
    .examples = "courtroll bench --log localhost:6963 --in-flight 256 --seconds 30\n"
                "courtroll bench --log localhost:6963 --entries-per-call 100 --in-flight 64\n"
                "courtroll bench --log localhost:6963 --rate 1000 --wait witnessed --policy P\n",
    .run = run,
};
