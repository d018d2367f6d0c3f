/* log_address.h -- how a log is named on a command line or in a configuration file.
 *
 * design: "Commands". One of
 *     http://HOST[:PORT][/PATH] or https://...   its tiles
 *     HOST:PORT, [V6]:PORT or unix:PATH          its gRPC service; grpc://HOST:PORT is the same
 *     file:DIR                                   a copy on disk
 * Pure. Any thread.
 */
#ifndef CLIENT_LOG_ADDRESS_H
#define CLIENT_LOG_ADDRESS_H

#include "base/err.h"

enum log_address_kind {
    LOG_ADDRESS_HTTP,
    LOG_ADDRESS_GRPC,
    LOG_ADDRESS_DIRECTORY,
};

enum {
    LOG_ADDRESS_MAX = 2048
}; /* bytes, with the NUL */

struct log_address {
    enum log_address_kind kind;
    char target[LOG_ADDRESS_MAX]; /* URL without a final '/'; gRPC target; path. NUL-terminated */

    /* PEM files, borrowed; NULL: for https the system's authorities, for gRPC plaintext. */
    const char *tls_ca_path;
    const char *tls_cert_path, *tls_key_path; /* gRPC only */
};

/* Sets kind and target. E_MALFORMED says what would be right. */
MUST_USE enum err_code log_address_parse(struct log_address *out, const char *text,
                                         struct err *err);

#endif
