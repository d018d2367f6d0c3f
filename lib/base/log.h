/* log.h -- one event a line on stderr, in logfmt: time, level, event, then the event's own fields.
 *
 * Field values that come from a peer go through log_quoted, or they could forge lines.
 * Any thread: a line is one write.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"
#include "base/span.h"

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR
};

/* Lines below `level` are dropped. The default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* `fmt` gives the fields, "key=value key=value", without a newline; "" for none. */
void log_event(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);

enum {
    LOG_QUOTED_MAX = 4 * 256 + 8
};
struct log_quoted {
    char text[LOG_QUOTED_MAX]; /* in double quotes, escaped, cut at 256 input bytes */
};

/* For "%s" with .text in the same expression. */
struct log_quoted log_quoted(struct span bytes);
struct log_quoted log_quoted_str(const char *text);

/* An error as fields: error="..." with the event. */
void log_error(enum log_level level, const char *event, const struct err *err);

#endif
