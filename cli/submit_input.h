/* submit_input.h -- lines of JSON, as many as are there: `courtroll submit` answers a system that writes one line and
 * waits, and keeps up with one that writes a million.
 *
 * Blocks on its descriptor. What it held is wiped. One thread.
 */
#ifndef CLI_SUBMIT_INPUT_H
#define CLI_SUBMIT_INPUT_H

#include "base/buf.h"
#include "base/err.h"

struct submit_input {
    int fd; /* owned, unless it is 0 */
    bool is_eof;
    struct buf bytes; /* read, from `at` on not given out */
    size_t at;
    uint64_t line; /* lines given out */
};

/* "-": stdin. E_NOT_FOUND, E_IO. */
MUST_USE enum err_code submit_input_open(struct submit_input *out, const char *path,
                                         struct err *err);
void submit_input_close(struct submit_input *input);

/* Waits for a line, then takes those that are there, at most `lines_max`: without their ends, empty ones too. 0: there
 * are no more. They are good until the next call. E_TOO_LARGE for a line over DRAFT_BYTES_MAX, with its number. */
MUST_USE enum err_code submit_input_next(struct submit_input *input, struct span *lines,
                                         size_t lines_max, size_t *count, struct err *err);

#endif
