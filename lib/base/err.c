#include "base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* "Not found" is an everyday answer: words without a '%' are only copied. */
PRINTF_LIKE(3, 0)
static void set_message(struct err *err, enum err_code code, const char *fmt, va_list args)
{
    assert(code != E_OK);
    char text[ERR_MSG_MAX]; /* an argument may point into err->msg */
    const char *message = fmt;
    if (strchr(fmt, '%') != NULL) {
        vsnprintf(text, sizeof text, fmt, args);
        message = text;
    }
    size_t len = strnlen(message, ERR_MSG_MAX - 1);
    err->code = code;
    memmove(err->msg, message, len);
    err->msg[len] = 0;
}

enum err_code err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    set_message(err, code, fmt, args);
    va_end(args);
    return code;
}

enum err_code err_set_errno(struct err *err, enum err_code code, int errnum, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    set_message(err, code, fmt, args);
    va_end(args);
    size_t used = strlen(err->msg);
    snprintf(err->msg + used, sizeof err->msg - used, ": %s", strerrordesc_np(errnum));
    return code;
}

enum err_code err_wrap(struct err *err, const char *fmt, ...)
{
    char context[ERR_MSG_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(context, sizeof context, fmt, args);
    va_end(args);
    return err_set(err, err->code, "%s: %s", context, err->msg);
}

struct err_row {
    const char *text;
    int http;
    int grpc;
};

static const struct err_row rows[] = { [E_OK] = { "ok", 200, 0 },
#define E_ROW(name, text, http, grpc) [E_##name] = { text, http, grpc },
                                       E_CODES(E_ROW)
#undef E_ROW
};

const char *err_text(enum err_code code)
{
    return rows[code].text;
}

int err_http_status(enum err_code code)
{
    return rows[code].http;
}

int err_grpc_status(enum err_code code)
{
    return rows[code].grpc;
}
