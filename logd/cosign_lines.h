/* cosign_lines.h -- cosignature lines that a witness, or anyone, has brought: which of them count.
 *
 * Lines of unknown keys are ignored; those of a witness of the policy are verified over a text that we
 * made ourselves. A time must be between 1 and COSIGN_LINES_FUTURE_S from now.
 * Pure. Any thread. About 100 us for each known key, of which only the first line is tried: whoever
 * writes a hundred bad ones buys no more work with them.
 */
#ifndef LOGD_COSIGN_LINES_H
#define LOGD_COSIGN_LINES_H

#include "tlog/policy.h"

enum {
    COSIGN_LINES_FUTURE_S = 5 * 60,
    COSIGN_LINE_MAX =
        4096, /* bytes: em dash, the longest name, 3244 characters of base64, newline */
};

struct cosign_line {
    size_t witness;     /* position in the policy */
    uint64_t timestamp; /* seconds */
    size_t len;
    char text[COSIGN_LINE_MAX]; /* as we write it, with its newline */
};

struct cosign_lines {
    size_t bad;      /* known keys whose line does not verify */
    size_t bad_time; /* whose line verifies, with a time that is too far ahead */
    size_t count;
    struct cosign_line items[NOTE_SIGNATURES_MAX];
};

/* Reads an answer's body: lines and nothing else. `text` is the checkpoint's. E_MALFORMED. */
MUST_USE enum err_code cosign_lines_read(struct cosign_lines *out, const struct policy *policy,
                                         struct span text, struct span lines, int64_t now_unix_s,
                                         struct err *err);

/* Does the witness's own line stand there? */
bool cosign_lines_has(const struct cosign_lines *lines, size_t witness);

#endif
