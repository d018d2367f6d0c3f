/* page_text.h -- what the status page is written with: texts of strangers, times, ages and numbers for people.
 *
 * All require the room: PAGE_TEXT_EXPANSION bytes a byte of a text, 256 bytes otherwise. Pure. Any thread.
 */
#ifndef MONITOR_PAGE_TEXT_H
#define MONITOR_PAGE_TEXT_H

#include "base/buf.h"

enum {
    PAGE_TEXT_EXPANSION = 10 /* bytes that one byte of a text becomes, at most */
};

/* Any bytes, as text or inside double quotes: markup is escaped, and so is what cannot be seen or turns the
 * direction of writing; what is not UTF-8 is shown as \xHH. */
void page_put_text(struct buf *out, const char *text);

/* "1,234,567" */
void page_put_count(struct buf *out, uint64_t value);

/* "12 seconds", "3 minutes", "2 hours", "5 days" */
void page_put_duration(struct buf *out, uint64_t seconds);

/* <time>2026-01-31 23:59:00 UTC</time>; "never" for 0. */
void page_put_time(struct buf *out, int64_t unix_s);

/* The same and how long ago that is: "2026-01-31 23:59:00 UTC, 3 minutes ago". */
void page_put_age(struct buf *out, int64_t unix_s, int64_t now_s);

/* A table of `name`, up to the end of its row of headings, ended by page_end_table. `name` is ours; `caption`
 * is a stranger's part of it, or "". On a phone the cells of a table with more than two columns lie below one
 * another, each with its heading: that takes its rows' looks, not their roles, which are told for that. */
void page_begin_table(struct buf *out, const char *name, const char *caption,
                      const char *const *headings, size_t heading_count);
void page_end_table(struct buf *out);

/* A row of such a table, up to the text of its own heading; a cell under `heading`, which is ours. The caller
 * writes </th>, </td> and </tr>. */
void page_begin_row(struct buf *out);
void page_begin_cell(struct buf *out, const char *heading);

/* A term of a description list, up to where what it is begins; and its end. `term` is ours. */
void page_begin_fact(struct buf *out, const char *term);
void page_end_fact(struct buf *out);

#endif
