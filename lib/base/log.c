#include "base/log.h"

#include "base/ascii.h"
#include "base/limits.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 4096
};

static _Atomic int least_level = LOG_LEVEL_INFO;
static const char *const level_names[] = { "debug", "info", "warn", "error" };

void log_set_level(enum log_level level)
{
    atomic_store(&least_level, level);
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    if ((int)level < atomic_load(&least_level)) {
        return;
    }
    struct timeval now;
    gettimeofday(&now, NULL);
    struct tm utc;
    gmtime_r(&now.tv_sec, &utc);
    char line[LINE_MAX_BYTES];
    size_t len = strftime(line, sizeof line, "time=%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(line + len, sizeof line - len, ".%03ldZ level=%s event=%s ",
                            (long)now.tv_usec / 1000, level_names[level], event);
    va_list args;
    va_start(args, fmt);
    int fields = vsnprintf(line + len, sizeof line - len, fmt, args);
    va_end(args);
    if (fields > 0) {
        size_t room = sizeof line - len - 1; /* one for the newline */
        len += (size_t)fields < room ? (size_t)fields : room - 1;
    } else {
        len--; /* the blank before the fields */
    }
    line[len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* there is nowhere to report a broken stderr */
}

struct log_quoted log_quoted(struct span bytes)
{
    struct log_quoted quoted;
    struct buf out = BUF_INIT(sizeof quoted.text);
    buf_put_u8(&out, '"');
    ascii_put_escaped(&out, bytes, ERROR_TEXT_BYTES_MAX - 8);
    buf_put_str(&out, "\"");
    memcpy(quoted.text, buf_c_str(&out), out.len + 1);
    buf_clear(&out);
    return quoted;
}

struct log_quoted log_quoted_str(const char *text)
{
    return log_quoted(span_of_str(text));
}

void log_error(enum log_level level, const char *event, const struct err *err)
{
    log_event(level, event, "error=%s", log_quoted_str(err->msg).text);
}
