/* synth.c -- `courtroll synth`: a fictional province's operations, from a seed. */
#include "base/ascii.h"
#include "cli/command.h"
#include "cli/synth_run.h"
#include "tlog/checkpoint.h"

#include <inttypes.h>

enum {
    YEAR_DAYS = 365,
    LAST_YEAR = 2024, /* cases are filed in this year, or in as many as it takes up to it */
    DAYS_MAX = 100 * YEAR_DAYS,
};

struct synth {
    struct output output;
    const char *scale, *dir, *origin, *start;
    bool is_records, has_no_case_keys, is_prefecture;
    uint64_t cases, seed, days, case_days, fault_rate, sealed;
    uint64_t first_day;
    struct output_progress progress;
};

static void on_progress(void *ctx, uint64_t cases)
{
    output_progress_set(ctx, cases);
}

static void print_json(const struct synth *synth, const struct synth_counts *counts,
                       const struct synth_run_report *report)
{
    json_t *faults = json_object();
    for (int i = SYNTH_FAULT_NONE + 1; i < SYNTH_FAULTS; i++) {
        json_object_set_new(faults, synth_fault_name((enum synth_fault)i),
                            json_integer((json_int_t)counts->faults[i]));
    }
    uint64_t registrations = synth->is_records ? SYNTH_SUBMITTERS : 0;
    json_t *object = json_object();
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        { "seed", synth->seed },
        { "cases", counts->cases },
        { "operations", counts->operations },
        { "sealed", counts->sealed },
        { "unsealed", counts->unsealed },
        { "bank_operations", counts->bank_operations },
        { "registrations", registrations }, /* before them in `entries` */
        { "open_cases_max", report->open_most },
    };
    for (size_t i = 0; i < COMMAND_COUNT(numbers); i++) {
        json_object_set_new(object, numbers[i].name, json_integer((json_int_t)numbers[i].value));
    }
    json_object_set_new(object, "dir", output_json_text(span_of_str(synth->dir)));
    json_object_set_new(object, "first", json_string(output_time(report->first_minute * 60).text));
    json_object_set_new(object, "last", json_string(output_time(report->last_minute * 60).text));
    json_object_set_new(object, "faults", faults);
    json_object_set_new(object, "seconds", json_real(output_progress_seconds(&synth->progress)));
    output_json(object);
}

static void print_people(const struct synth *synth, const struct synth_counts *counts,
                         const struct synth_run_report *report)
{
    printf("%s cases, %s operations (%s sealed, %s of them opened) in %s\n",
           output_count(counts->cases).text, output_count(counts->operations).text,
           output_count(counts->sealed).text, output_count(counts->unsealed).text, synth->dir);
    if (counts->bank_operations > 0) {
        printf("  banks    %s operations of their own\n",
               output_count(counts->bank_operations).text);
    }
    printf("  from     %s\n  to       %s\n", output_time(report->first_minute * 60).text,
           output_time(report->last_minute * 60).text);
    for (int i = SYNTH_FAULT_NONE + 1; i < SYNTH_FAULTS; i++) {
        if (counts->faults[i] > 0) {
            printf("  planted  %s %s\n", output_count(counts->faults[i]).text,
                   synth_fault_name((enum synth_fault)i));
        }
    }
}

static enum err_code generate(struct synth *synth, struct synth_world *world,
                              struct synth_counts *counts, struct synth_run_report *report,
                              struct err *err)
{
    const struct synth_writer_options options = {
        .world = world,
        .dir = synth->dir,
        .origin = synth->is_records ? synth->origin : NULL,
        .has_case_keys = !synth->has_no_case_keys,
        .minute = (synth->first_day - 1) * SYNTH_DAY_MINUTES,
    };
    struct synth_writer *writer = NULL;
    if (synth_writer_open(&writer, &options, err) != E_OK) {
        return err->code;
    }
    const struct synth_run_options run = {
        .writer = writer,
        .world = world,
        .cases = synth->cases,
        .first_day = synth->first_day,
        .days = synth->days,
        .longest_days = (unsigned)synth->case_days,
        .fault_rate = (unsigned)synth->fault_rate,
        .has_records = synth->is_records,
        .ctx = &synth->progress,
        .on_progress = on_progress,
    };
    output_progress_begin(&synth->progress, "filed", "cases", synth->cases);
    enum err_code rc = synth_run(report, &run, err);
    output_progress_end(&synth->progress);
    *counts = *synth_writer_counts(writer);
    struct err lost;
    if (synth_writer_close(writer, &lost) != E_OK && rc == E_OK) {
        *err = lost;
        rc = lost.code;
    }
    return rc;
}

static int synth_all(struct synth *synth)
{
    struct synth_counts counts = { 0 };
    struct synth_run_report report = { 0 };
    struct err err;
    struct synth_world *world = synth_world_new(synth->seed);
    world->sealed_per_mille = (unsigned)synth->sealed;
    world->is_prefecture = synth->is_prefecture;
    enum err_code rc = generate(synth, world, &counts, &report, &err);
    synth_world_free(world);
    if (rc != E_OK) {
        return output_failed(&synth->output, &err);
    }
    if (synth->output.is_json) {
        print_json(synth, &counts, &report);
    } else {
        print_people(synth, &counts, &report);
    }
    return OUTPUT_DONE;
}

/* "2024-01-01"; not before 2000, so that there are days before it. */
static bool parse_start(struct synth *synth)
{
    struct span text = span_of_str(synth->start);
    struct span year, month;
    uint64_t y = 0, m = 0, d = 0;
    struct err err;
    bool is_date = text.len == 10 && span_take_until(&text, '-', &year) &&
                   span_take_until(&text, '-', &month) && year.len == 4 && month.len == 2 &&
                   decimal_parse(&y, year, 2099, &err) == E_OK && y >= 2000;
    if (!is_date) {
        return false;
    }
    struct span digits[] = { month, text };
    uint64_t *out[] = { &m, &d };
    for (size_t i = 0; i < 2; i++) {
        if (digits[i].data[0] == '0') {
            digits[i] = span_slice(digits[i], 1, 1);
        }
        if (decimal_parse(out[i], digits[i], 31, &err) != E_OK) {
            return false;
        }
    }
    struct synth_date date = { (unsigned)y, (unsigned)m, (unsigned)d };
    synth->first_day = m >= 1 && m <= 12 && d >= 1 ? synth_day_of_date(date) : 0;
    struct synth_date back = synth_date_of_day(synth->first_day);
    return back.year == y && back.month == m && back.day == d;
}

static int check_usage(struct synth *synth)
{
    static const uint64_t cases[] = { 10000, 300000, 3000000 };
    const char *letters = "SML";
    const char *letter =
        synth->scale != NULL && strlen(synth->scale) == 1 ? strchr(letters, synth->scale[0]) : NULL;
    if (synth->scale != NULL && letter == NULL) {
        return command_usage_error(&synth_command, "--scale is S, M or L, not %s", synth->scale);
    }
    if (synth->cases == 0 && letter == NULL) {
        return command_usage_error(&synth_command, "say how much: --scale S, M or L, or --cases N");
    }
    if (synth->cases == 0) {
        synth->cases = cases[letter - letters];
    }
    if (synth->is_records != (synth->origin != NULL)) {
        return command_usage_error(&synth_command, "--records and --origin go together: a record "
                                                   "is made for one log");
    }
    if (synth->is_records && !origin_is_valid(span_of_str(synth->origin))) {
        return command_usage_error(&synth_command, "--origin '%s' is none", synth->origin);
    }
    uint64_t years = (synth->cases + SYNTH_CASES_A_YEAR - 1) / SYNTH_CASES_A_YEAR;
    if (synth->days == 0) {
        synth->days = years * YEAR_DAYS;
    }
    if (synth->start == NULL) {
        uint64_t back = years < LAST_YEAR - 2000 ? years - 1 : 0;
        synth->first_day =
            synth_day_of_date((struct synth_date){ LAST_YEAR - (unsigned)back, 1, 1 });
    } else if (!parse_start(synth)) {
        return command_usage_error(&synth_command, "--start '%s' is no date from 2000-01-01 on",
                                   synth->start);
    }
    return OUTPUT_DONE;
}

static int run(int argc, char **argv)
{
    struct synth synth = { .case_days = SYNTH_CASE_DAYS,
                           .fault_rate = 5,
                           .sealed = SYNTH_SEALED_PER_MILLE };
    const struct command_option options[] = {
        { .name = "scale",
          .argument = "S|M|L",
          .help = "10 000, 300 000 or 3 000 000 cases, of some 50 operations each",
          .text = &synth.scale },
        { .name = "cases",
          .argument = "N",
          .help = "as many cases instead",
          .number = &synth.cases,
          .number_min = 1,
          .number_max = SYNTH_CASES_MAX },
        { .name = "seed",
          .argument = "N",
          .help = "the same seed gives the same bytes",
          .number = &synth.seed,
          .is_required = true },
        { .name = "out",
          .argument = "DIR",
          .help = "where it goes; made if it is not there",
          .text = &synth.dir,
          .is_required = true },
        { .name = "records",
          .help = "signed records instead of drafts: DIR/entries",
          .flag = &synth.is_records },
        { .name = "origin",
          .argument = "ORIGIN",
          .help = "the log that they are made for",
          .text = &synth.origin },
        { .name = "fault-rate",
          .argument = "N",
          .help = "plant each fault in N of 1000 cases [5]",
          .number = &synth.fault_rate,
          .number_max = SYNTH_FAULT_RATE_MAX },
        { .name = "sealed",
          .argument = "N",
          .help = "seal N of 1000 control measures and queries [330]",
          .number = &synth.sealed,
          .number_max = 1000 },
        { .name = "start",
          .argument = "DATE",
          .help = "the first day [2024-01-01, or earlier for more than a year]",
          .text = &synth.start },
        { .name = "days",
          .argument = "N",
          .help = "cases are filed on so many days [365 for each 300 000]",
          .number = &synth.days,
          .number_min = 1,
          .number_max = DAYS_MAX },
        { .name = "case-days",
          .argument = "N",
          .help = "how long the longest cases last [365]; below 10 nobody sleeps, and a case\n"
                  "is over in hours",
          .number = &synth.case_days,
          .number_min = 1,
          .number_max = SYNTH_CASE_DAYS },
        { .name = "prefecture",
          .help = "all cases in one prefecture, of ten courts, and one bank",
          .flag = &synth.is_prefecture },
        { .name = "no-case-keys",
          .help = "leave out the file for each case",
          .flag = &synth.has_no_case_keys },
        COMMAND_OPTION_JSON(&synth.output),
    };
    struct command_line line;
    int code = OUTPUT_DONE;
    if (!command_parse(&line, &synth_command, options, COMMAND_COUNT(options), argc, argv, &code)) {
        return code;
    }
    code = check_usage(&synth);
    return code != OUTPUT_DONE ? code : synth_all(&synth);
}

const struct command synth_command = {
    .name = "synth",
    .arguments = "--scale S|M|L --seed N --out DIR [--cases N] [--fault-rate N]\n"
                 "[--sealed N] [--records --origin ORIGIN] [--start DATE] [--days N]\n"
                 "[--case-days N] [--prefecture] [--no-case-keys]",
    .summary = "make up a province's operations, for tests",
    .text = "Writes what the courts and banks of a province that does not exist would log: drafts\n"
            "in the order of time, a file for each submitter (DIR/operations), or with --records\n"
            "signed records (DIR/entries, for 'courtroll append --framed'), registrations first,\n"
            "and the certificates of sealed ones (DIR/certificates). A log of operations takes no\n"
            "record before its submitter is on the log, and registrations in calls of their own:\n"
            "append DIR/registrations, then DIR/entries from the --first-entry behind them.\n"
            "Beside them the submitters' keys and the case keys, which follow from the seed and\n"
            "protect nothing, and DIR/truth.jsonl: the faults that were planted.\n"
            "No person, court, company or account in it exists: all ids are of a region that is\n"
            "not assigned.\n",
    .examples =
        "courtroll synth --scale S --seed 1 --out province\n"
        "courtroll synth --cases 2000 --seed 1 --out province --records "
        "--origin log.court.example/2026\n"
        "courtroll synth --cases 40 --days 1 --case-days 1 --prefecture --seed 7 --out day\n",
    .operands_max = 0,
    .run = run,
};
