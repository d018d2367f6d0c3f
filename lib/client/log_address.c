#include "client/log_address.h"

#include "base/span.h"

#include <ctype.h>
#include <stdlib.h>

static enum err_code set(struct log_address *out, enum log_address_kind kind, struct span target,
                         struct err *err)
{
    if (target.len == 0 || target.len >= LOG_ADDRESS_MAX ||
        memchr(target.data, '\0', target.len) != NULL) {
        return err_set(err, E_MALFORMED, "the log's address is empty or too long");
    }
    out->kind = kind;
    memcpy(out->target, target.data, target.len);
    out->target[target.len] = '\0';
    return E_OK;
}

/* Something, a colon, and a port. */
static bool is_host_and_port(struct span text)
{
    size_t colon = span_find_last(text, span_of_str(":"));
    if (colon == SIZE_MAX || colon == 0 || colon + 1 == text.len || text.len - colon > 6) {
        return false;
    }
    unsigned port = 0;
    for (size_t i = colon + 1; i < text.len; i++) {
        if (!isdigit(text.data[i])) {
            return false;
        }
        port = 10 * port + (unsigned)(text.data[i] - '0');
    }
    return port >= 1 && port <= 65535 && memchr(text.data, '/', text.len) == NULL;
}

enum err_code log_address_parse(struct log_address *out, const char *text, struct err *err)
{
    struct span rest = span_of_str(text);
    if (span_has_prefix(rest, span_of_str("http://")) ||
        span_has_prefix(rest, span_of_str("https://"))) {
        while (rest.len > 0 && rest.data[rest.len - 1] == '/') {
            rest.len--;
        }
        return set(out, LOG_ADDRESS_HTTP, rest, err);
    }
    if (span_take_prefix(&rest, span_of_str("file:"))) {
        return set(out, LOG_ADDRESS_DIRECTORY, rest, err);
    }
    if (span_has_prefix(rest, span_of_str("unix:")) && rest.len > strlen("unix:")) {
        return set(out, LOG_ADDRESS_GRPC, rest, err);
    }
    span_take_prefix(&rest, span_of_str("grpc://"));
    if (is_host_and_port(rest)) {
        return set(out, LOG_ADDRESS_GRPC, rest, err);
    }
    return err_set(err, E_MALFORMED,
                   "'%.200s' is no log: give http(s)://HOST[:PORT][/PATH], HOST:PORT, unix:PATH "
                   "or file:DIR",
                   text);
}
