/* append_input.h -- the entries a command line names, a batch at a time: one a file, or one a line.
 *
 * A file is read when it is its turn, lines as they come, so that a pipe of any length will do.
 * One thread.
 */
#ifndef CLI_APPEND_INPUT_H
#define CLI_APPEND_INPUT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

#include <stdio.h>

struct append_input {
    char *const *paths; /* borrowed */
    size_t path_count;
    size_t next_path;
    bool is_lines;
    FILE *lines;        /* the file whose lines are being read; NULL between two */
    size_t line_number; /* of the line read last */
    struct buf entry;   /* read, and not in a batch yet */
    bool has_entry;
    struct buf bytes; /* of the batch */
    struct span entries[ENTRIES_PER_CALL_MAX];
    size_t ends[ENTRIES_PER_CALL_MAX]; /* in `bytes` */
};

void append_input_init(struct append_input *input, char *const *paths, size_t path_count,
                       bool is_lines);
void append_input_clear(struct append_input *input);

/* The next entries that fit one call, at most `count_max` of them, good until the next call; *count
 * is 0 at the end. E_TOO_LARGE and E_IO name the file, and the line. */
MUST_USE enum err_code append_input_next(struct append_input *input, size_t count_max,
                                         size_t *count, struct err *err);

#endif
