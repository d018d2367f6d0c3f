/* plain_line.h -- one line of text, whatever came: valid UTF-8 without control characters, cut to its room.
 *
 * Texts of findings arrive escaped already; this is what their readers may rely upon. Pure. Any thread.
 */
#ifndef MONITOR_PLAIN_LINE_H
#define MONITOR_PLAIN_LINE_H

#include "base/span.h"

/* Copies `text` with each control character (C0, DEL, C1) and each byte that is not UTF-8 as '?', cut at a
 * code point so that it fits into `room` bytes with its NUL. Requires room > 0. */
void plain_line(char *out, size_t room, struct span text);

#endif
