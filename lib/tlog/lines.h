/* lines.h -- files of lines made of items, the first a keyword: policies, and lists of logs.
 *
 * Spec: C2SP tlog-policy: which bytes are allowed, what separates items, which lines are comments.
 * Pure. Any thread.
 */
#ifndef TLOG_LINES_H
#define TLOG_LINES_H

#include "base/err.h"
#include "base/span.h"
#include "tlog/vkey.h"

/* A file's own words for an error message: they may be any bytes. */
struct lines_quoted {
    char text[4 * 64 + 8];
};
struct lines_quoted lines_quote(struct span item);

/* Calls `on_line` for each line but the empty ones and the comments: with its first item, and what
 * is behind that. E_MALFORMED names the line, whatever the code that `on_line` ended with. */
MUST_USE enum err_code lines_parse(struct span bytes,
                                   enum err_code (*on_line)(void *ctx, struct span keyword,
                                                            struct span line, struct err *err),
                                   void *ctx, struct err *err);

/* Takes the next item of a line; false at its end. */
bool lines_take_item(struct span *line, struct span *item);

/* Takes an item that must be there: `what` says in words which. */
MUST_USE enum err_code lines_expect_item(struct span *line, const char *what, struct span *item,
                                         struct err *err);

/* There is no further item. */
MUST_USE enum err_code lines_expect_end(struct span *line, struct err *err);

/* A vkey for the given role, and the URL that may follow it to end the line; empty if none does. */
MUST_USE enum err_code lines_expect_key(struct span *line, enum vkey_role role, struct vkey *vkey,
                                        struct span *url, struct err *err);

#endif
