#include "cli/output.h"

#include "base/alloc.h"
#include "base/ascii.h"

#include <libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int output_exit_code(enum err_code code)
{
    switch (code) {
    case E_OK:
        return OUTPUT_DONE;
    case E_MALFORMED:
    case E_BAD_SIGNATURE:
    case E_BAD_PROOF:
    case E_CORRUPT:
        return OUTPUT_VERDICT;
    case E_EXISTS:
        return OUTPUT_USAGE;
    case E_IO:
    case E_NOT_FOUND:
    case E_TIMEOUT:
        return OUTPUT_IO;
    case E_CONFLICT:
    case E_QUOTA:
    case E_BUSY:
    case E_UNAVAILABLE:
    case E_TOO_LARGE:
    case E_DENIED:
    case E_UNSUPPORTED:
        break;
    }
    return OUTPUT_REFUSED;
}

static const char *code_name(enum err_code code)
{
    static const char *const names[] = { [E_OK] = "ok",
#define NAME(name, text, http, grpc) [E_##name] = #name,
                                         E_CODES(NAME)
#undef NAME
    };
    return names[code];
}

static json_t *code_json(enum err_code code)
{
    char *name = mem_strdup(code_name(code));
    for (char *c = name; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z') {
            *c = (char)(*c - 'A' + 'a');
        }
    }
    json_t *json = json_string(name);
    mem_free(name);
    return json;
}

void output_error(const struct output *output, const struct err *err)
{
    char *message = output_clean(span_of_str(err->msg));
    fprintf(stderr, "courtroll: %s\n", message);
    if (output->is_json) {
        json_t *object = json_object();
        json_object_set_new(object, "error", json_string(message));
        json_object_set_new(object, "code", code_json(err->code));
        output_json(object);
    }
    free(message);
}

int output_failed(const struct output *output, const struct err *err)
{
    output_error(output, err);
    return output_exit_code(err->code);
}

void output_warning(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "courtroll: warning: ");
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
    va_end(args);
}

void output_json(json_t *object)
{
    json_dumpf(object, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(object);
}

int output_finish(int exit_code)
{
    bool is_lost = ferror(stdout) != 0;
    if (fflush(stdout) != 0 || is_lost) {
        perror("courtroll: standard output");
        return OUTPUT_IO;
    }
    return exit_code;
}

/* Control characters, and the marks that make a terminal show text in another order. */
static bool is_harmless(uint32_t c)
{
    return c >= 0x20 && !(c >= 0x7f && c <= 0x9f) && c != 0x200e && c != 0x200f &&
           !(c >= 0x202a && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
}

char *output_clean(struct span bytes)
{
    bool is_clean = utf8_is_valid(bytes);
    struct span rest = bytes;
    uint32_t c = 0;
    while (is_clean && utf8_take(&rest, &c)) {
        is_clean = is_harmless(c);
    }
    struct buf out = BUF_INIT(4 * bytes.len + 16);
    if (is_clean) {
        buf_put(&out, bytes);
    } else {
        ascii_put_escaped(&out, bytes, bytes.len);
    }
    char *text = mem_strdup(buf_c_str(&out));
    buf_clear(&out);
    if (text == NULL) {
        abort();
    }
    return text;
}

json_t *output_json_text(struct span bytes)
{
    char *text = output_clean(bytes);
    json_t *json = json_string(text);
    free(text);
    return json;
}

json_t *output_json_hex(struct span bytes)
{
    struct buf hex = BUF_INIT(2 * bytes.len + 1);
    hex_put(&hex, bytes);
    json_t *json = json_string(buf_c_str(&hex));
    buf_clear(&hex);
    return json;
}

struct output_time output_time(uint64_t seconds)
{
    struct output_time out;
    const uint64_t year_10000 = UINT64_C(253402300800);
    time_t when = (time_t)seconds;
    struct tm tm;
    if (seconds >= year_10000 || gmtime_r(&when, &tm) == NULL ||
        strftime(out.text, sizeof out.text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        snprintf(out.text, sizeof out.text, "%ju", (uintmax_t)seconds);
    }
    return out;
}

struct output_count output_count(uint64_t value)
{
    char digits[DECIMAL_MAX + 1];
    int len = snprintf(digits, sizeof digits, "%ju", (uintmax_t)value);
    struct output_count out;
    char *to = out.text;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            *to++ = ' ';
        }
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

struct output_table {
    struct libscols_table *table; /* owned */
    size_t columns;
};

struct output_table *output_table_new(const char *const *headings, size_t count)
{
    struct output_table *table = NEW(struct output_table);
    table->table = scols_new_table();
    table->columns = count;
    if (table->table == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        if (scols_table_new_column(table->table, headings[i], 0, 0) == NULL) {
            abort();
        }
    }
    return table;
}

void output_table_add(struct output_table *table, const char *const *cells)
{
    struct libscols_line *line = scols_table_new_line(table->table, NULL);
    for (size_t i = 0; i < table->columns; i++) {
        if (line == NULL || scols_line_set_data(line, i, cells[i]) != 0) {
            abort();
        }
    }
}

void output_table_print(struct output_table *table)
{
    scols_print_table(table->table);
    scols_unref_table(table->table);
    mem_free(table);
}

static const uint64_t NS_PER_S = 1000000000;

uint64_t output_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void output_progress_begin(struct output_progress *progress, const char *what, const char *unit,
                           uint64_t total)
{
    uint64_t now = output_now_ns();
    *progress = (struct output_progress){ .what = what,
                                          .unit = unit,
                                          .total = total,
                                          .started_ns = now,
                                          .drawn_ns = now,
                                          .is_tty = isatty(STDERR_FILENO) != 0 };
}

double output_progress_seconds(const struct output_progress *progress)
{
    return (double)(output_now_ns() - progress->started_ns) / (double)NS_PER_S;
}

double output_progress_rate(const struct output_progress *progress)
{
    double seconds = output_progress_seconds(progress);
    return seconds > 0 ? (double)progress->done / seconds : 0;
}

static void draw(const struct output_progress *progress)
{
    enum {
        CELLS = 30
    };
    struct output_count done = output_count(progress->done);
    struct output_count rate = output_count((uint64_t)output_progress_rate(progress));
    if (progress->total == 0) {
        fprintf(stderr, "%s %s %s, %s/s", progress->what, done.text, progress->unit, rate.text);
        return;
    }
    double part = (double)progress->done / (double)progress->total;
    part = part > 1 ? 1 : part;
    if (progress->is_tty) {
        int filled = (int)(part * CELLS);
        fprintf(stderr, "[%.*s%*s] ", filled, "##############################", CELLS - filled, "");
    }
    fprintf(stderr, "%3d%%  %s %s of %s %s, %s/s", (int)(part * 100), progress->what, done.text,
            output_count(progress->total).text, progress->unit, rate.text);
    if (progress->done > 0 && part < 1) {
        double left = output_progress_seconds(progress) * (1 - part) / part;
        fprintf(stderr, ", %ju s left", (uintmax_t)left);
    }
}

void output_progress_set(struct output_progress *progress, uint64_t done)
{
    const uint64_t tty_ns = NS_PER_S / 10;
    const uint64_t line_ns = 5 * NS_PER_S;
    progress->done = done;
    uint64_t now = output_now_ns();
    if (now - progress->drawn_ns < (progress->is_tty ? tty_ns : line_ns)) {
        return;
    }
    progress->drawn_ns = now;
    progress->has_drawn = true;
    if (progress->is_tty) {
        fprintf(stderr, "\r\033[K");
    }
    draw(progress);
    if (!progress->is_tty) {
        fprintf(stderr, "\n");
    }
    fflush(stderr);
}

void output_progress_end(struct output_progress *progress)
{
    if (progress->is_tty && progress->has_drawn) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
    }
}
