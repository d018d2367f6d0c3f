/* shared.h -- test vectors that are not ours to copy, read from protocols.md where that is present.
 *
 * The file is looked for in the directory that the environment variable COURTROLL_SHARED names,
 * else in `../shared` beside the source tree. Each function ends the calling test as skipped, and
 * says why, when the file or the text is not there.
 */
#ifndef SUPPORT_SHARED_H
#define SUPPORT_SHARED_H

#include "base/span.h"

/* `count` lines from the first one that starts with `prefix`, with their newlines. Good until the
 * program ends, as all spans from here. */
struct span shared_lines(const char *prefix, size_t count);

/* The first run of non-blank bytes that starts with `prefix`, which may itself hold blanks: it
 * stands at the start of a line or behind a blank. */
struct span shared_word(const char *prefix);

/* The word behind `prefix`, found as shared_word finds it, and the blanks after it. */
struct span shared_value(const char *prefix);

#endif
