/* err.h -- one error type: a code that says what the caller can do next, and words for a person.
 *
 * What can fail returns MUST_USE enum err_code (E_OK is 0) and takes a non-NULL struct err * last.
 * A failed call leaves its outputs as they were. Peers are told the code's fixed text only; the
 * message is for the log and for the person at the terminal.
 * Pure. Any thread.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define MUST_USE          __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* X(name, text, HTTP status, gRPC status): the one table from which the edge answers.
 * E_, because OpenSSL owns ERR_. */
#define E_CODES(X)                                                                                 \
    X(MALFORMED, "malformed input", 400, 3)                                                        \
    X(NOT_FOUND, "not found", 404, 5)                                                              \
    X(EXISTS, "already exists", 409, 6)                                                            \
    X(BAD_SIGNATURE, "no valid trusted signature", 403, 7)                                         \
    X(CONFLICT, "state has moved on", 409, 10)                                                     \
    X(BAD_PROOF, "proof does not verify", 422, 9)                                                  \
    X(QUOTA, "too many requests, try later", 429, 8)                                               \
    X(BUSY, "over capacity, try later", 503, 8)                                                    \
    X(UNAVAILABLE, "not accepting writes now", 503, 14)                                            \
    X(TOO_LARGE, "over a size limit", 413, 8)                                                      \
    X(DENIED, "not allowed", 403, 7)                                                               \
    X(TIMEOUT, "took too long", 504, 4)                                                            \
    X(UNSUPPORTED, "not supported", 501, 12)                                                       \
    X(IO, "storage or network failure", 500, 13)                                                   \
    X(CORRUPT, "our stored state is invalid", 500, 15)

enum err_code {
    E_OK = 0,
#define E_ENUM(name, text, http, grpc) E_##name,
    E_CODES(E_ENUM)
#undef E_ENUM
};

enum {
    ERR_MSG_MAX = 512
}; /* bytes, with the NUL; a longer message is cut */

struct err {
    enum err_code code;
    char msg[ERR_MSG_MAX]; /* NUL-terminated, outermost context first */
};

/* Sets code and message; returns `code`, so that `return err_set(...)` is a whole failure path.
 * Requires code != E_OK. */
enum err_code err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set, with ": " and the text of `errnum` (an errno value) at the end. */
enum err_code err_set_errno(struct err *err, enum err_code code, int errnum, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* Prefixes the message with "context: "; returns err->code. */
enum err_code err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The fixed words for peers, and the statuses the edges answer with. E_OK: "ok", 200, 0. */
const char *err_text(enum err_code code);
int err_http_status(enum err_code code);
int err_grpc_status(enum err_code code);

#endif
