/* output.h -- what a command prints and how it leaves: results on stdout, for people or as one JSON
 * object; errors and progress on stderr; exit codes.
 *
 * design: "Commands". Main thread.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/err.h"
#include "base/span.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit codes, the same in every command. */
enum {
    OUTPUT_DONE = 0,    /* done; PASS */
    OUTPUT_VERDICT = 1, /* any other verdict */
    OUTPUT_USAGE = 2,   /* wrong usage; an existing key file too */
    OUTPUT_IO = 3,      /* could not reach, read or write something */
    OUTPUT_REFUSED = 4, /* refused by the server, or no quorum in time */
};

struct output {
    bool is_json;
};

/* What an error code means as an exit code when the command knows nothing better: bad signatures,
 * proofs and formats are a verdict, EXISTS is usage, IO, NOT_FOUND and TIMEOUT are OUTPUT_IO, all
 * else was refused. */
int output_exit_code(enum err_code code);

/* Prints "courtroll: MESSAGE" to stderr, and with --json the object {"error": MESSAGE, "code":
 * "io", ...} to stdout, whose code is the lower-case name of the error code. */
void output_error(const struct output *output, const struct err *err);

/* output_error, then the code's exit code: `return output_failed(&output, &err);`. */
int output_failed(const struct output *output, const struct err *err);

/* A remark on stderr, "courtroll: warning: ...". */
void output_warning(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Prints the object and a newline to stdout, and drops the reference. */
void output_json(json_t *object);

/* Flushes stdout: OUTPUT_IO, with a message, if anything written to it was lost; else `exit_code`.
 * main does it for every command. */
int output_finish(int exit_code);

/* Bytes of a peer or a file on the terminal or in JSON: valid UTF-8 without control characters as
 * it is, the rest escaped. Free the string with free. */
char *output_clean(struct span bytes);

/* As a JSON string, cleaned. */
json_t *output_json_text(struct span bytes);

/* Lower-case hex as a JSON string. */
json_t *output_json_hex(struct span bytes);

/* Seconds since 1970 as "2026-11-23T14:31:26Z", with a NUL; times no calendar reaches as a number. */
enum {
    OUTPUT_TIME_MAX = 32
};
struct output_time {
    char text[OUTPUT_TIME_MAX];
};
struct output_time output_time(uint64_t seconds);

/* 1234567 as "1 234 567". */
struct output_count {
    char text[32];
};
struct output_count output_count(uint64_t value);

/* The monotonic clock. */
uint64_t output_now_ns(void);

/* A table for people, on stdout. */
struct output_table;
struct output_table *output_table_new(const char *const *headings, size_t count);
void output_table_add(struct output_table *table, const char *const *cells); /* copied */
void output_table_print(struct output_table *table);                         /* and frees it */

/* Progress on stderr: a bar that is redrawn on a terminal, else a plain line every few seconds. A
 * command that is over at once prints nothing. */
struct output_progress {
    const char *what; /* "checked"; borrowed */
    const char *unit; /* "entries"; borrowed */
    uint64_t total;   /* 0 when unknown */
    uint64_t done;
    uint64_t started_ns, drawn_ns;
    bool is_tty, has_drawn;
};
void output_progress_begin(struct output_progress *progress, const char *what, const char *unit,
                           uint64_t total);
/* Cheap: draws at most ten times a second. */
void output_progress_set(struct output_progress *progress, uint64_t done);
/* Wipes the bar (a plain line stays). */
void output_progress_end(struct output_progress *progress);
/* Units a second since the beginning, and seconds. */
double output_progress_rate(const struct output_progress *progress);
double output_progress_seconds(const struct output_progress *progress);

#endif
