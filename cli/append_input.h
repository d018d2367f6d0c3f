/* append_input.h -- the entries a command line names, a batch at a time: one a file, one a line, or each with its
 * length before it.
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
    bool is_framed;     /* set after init: entries as in a bundle, u16 big-endian length first */
    FILE *lines;        /* the file whose lines are being read; NULL between two */
    size_t line_number; /* of the line or framed entry read last */
    struct buf entry;   /* read, and not in a batch yet */
    bool has_entry;
    uint64_t first;   /* set after init: the entries before this one, from 1, are skipped */
    uint64_t taken;   /* entries so far, with those that were skipped */
    struct buf bytes; /* of the batch */
    struct span entries[ENTRIES_PER_CALL_MAX];
    size_t ends[ENTRIES_PER_CALL_MAX]; /* in `bytes` */

    /* Set after init, may be NULL: where the certificates of sealed records are. With is_framed a file of them, one for
     * each entry, framed likewise, empty for a record that is not sealed. Else a directory: that of an entry's file
     * NAME is NAME.certificate there, and one without is not sealed. */
    const char *certificates_path;
    FILE *certificates_file;
    size_t certificate_number; /* of the framed one read last */
    struct buf certificate;    /* of `entry` */
    struct span certificates[ENTRIES_PER_CALL_MAX];
    size_t certificate_ends[ENTRIES_PER_CALL_MAX]; /* in `certificate_bytes` */
    struct buf certificate_bytes;
};

void append_input_init(struct append_input *input, char *const *paths, size_t path_count,
                       bool is_lines);
void append_input_clear(struct append_input *input);

/* The next entries that fit one call, at most `count_max` of them, good until the next call; *count
 * is 0 at the end. E_TOO_LARGE, E_IO and E_MALFORMED (framed, and cut off; no certificate) name the file, and the
 * line. */
MUST_USE enum err_code append_input_next(struct append_input *input, size_t count_max,
                                         size_t *count, struct err *err);

#endif
