#include "net/address.h"

#include "base/ascii.h"

#include <arpa/inet.h>
#include <assert.h>

static enum err_code parse_unix(struct address *out, struct span path, struct err *err)
{
    if (path.len == 0 || path.len > ADDRESS_PATH_MAX) {
        return err_set(err, E_MALFORMED, "unix: a path is 1 to %d bytes", (int)ADDRESS_PATH_MAX);
    }
    if (memchr(path.data, 0, path.len) != NULL) {
        return err_set(err, E_MALFORMED, "unix: NUL in the path");
    }
    struct address address;
    memset(&address, 0, sizeof address);
    address.un.sun_family = AF_UNIX;
    memcpy(address.un.sun_path, path.data, path.len);
    *out = address;
    return E_OK;
}

/* `host` without brackets. */
static enum err_code parse_host(struct address *out, struct span host, bool is_bracketed,
                                struct err *err)
{
    char text[INET6_ADDRSTRLEN];
    if (host.len >= sizeof text || memchr(host.data, 0, host.len) != NULL) {
        return err_set(err, E_MALFORMED, "not an IP address");
    }
    memcpy(text, host.data, host.len);
    text[host.len] = 0;
    if (is_bracketed) {
        out->in6.sin6_family = AF_INET6;
        if (inet_pton(AF_INET6, text, &out->in6.sin6_addr) != 1) {
            return err_set(err, E_MALFORMED, "not an IPv6 address");
        }
        return E_OK;
    }
    out->in.sin_family = AF_INET;
    const char *numeric = span_is_str(host, "localhost") ? "127.0.0.1" : text;
    if (inet_pton(AF_INET, numeric, &out->in.sin_addr) != 1) {
        return err_set(err, E_MALFORMED,
                       "not an IPv4 address, [IPv6 address], localhost or unix:PATH");
    }
    return E_OK;
}

enum err_code address_parse(struct address *out, struct span text, struct err *err)
{
    struct span rest = text;
    if (span_take_prefix(&rest, span_of_str("unix:"))) {
        return parse_unix(out, rest, err);
    }
    size_t colon = span_find_last(text, span_of_str(":"));
    if (colon == SIZE_MAX) {
        return err_set(err, E_MALFORMED, "no port: want HOST:PORT or unix:PATH");
    }
    struct span host = span_slice(text, 0, colon);
    struct span port_text = span_slice(text, colon + 1, text.len - colon - 1);
    bool is_bracketed = host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
    if (is_bracketed) {
        host = span_slice(host, 1, host.len - 2);
    }
    struct address address;
    memset(&address, 0, sizeof address);
    enum err_code rc = parse_host(&address, host, is_bracketed, err);
    if (rc != E_OK) {
        return rc;
    }
    uint64_t port = 0;
    if (decimal_parse(&port, port_text, UINT16_MAX, err) != E_OK) {
        return err_wrap(err, "port");
    }
    if (is_bracketed) {
        address.in6.sin6_port = htons((uint16_t)port);
    } else {
        address.in.sin_port = htons((uint16_t)port);
    }
    *out = address;
    return E_OK;
}

struct address address_from_sockaddr(const struct sockaddr *from)
{
    struct address address;
    memset(&address, 0, sizeof address);
    if (from->sa_family == AF_INET) {
        memcpy(&address.in, from, sizeof address.in);
    } else if (from->sa_family == AF_INET6) {
        memcpy(&address.in6, from, sizeof address.in6);
    } else {
        address.un.sun_family = AF_UNIX;
    }
    return address;
}

void address_put(struct buf *out, const struct address *address)
{
    char text[INET6_ADDRSTRLEN];
    const char *done = NULL;
    if (address->any.sa_family == AF_UNIX) {
        buf_put_str(out, "unix:");
        buf_put_str(out, address->un.sun_path);
        return;
    }
    if (address->any.sa_family == AF_INET6) {
        done = inet_ntop(AF_INET6, &address->in6.sin6_addr, text, sizeof text);
        buf_putf(out, "[%s]:%u", text, address_port(address));
    } else {
        done = inet_ntop(AF_INET, &address->in.sin_addr, text, sizeof text);
        buf_putf(out, "%s:%u", text, address_port(address));
    }
    assert(done != NULL);
}

void address_put_host(struct buf *out, const struct address *address)
{
    char text[INET6_ADDRSTRLEN] = "unix";
    if (address->any.sa_family != AF_UNIX) {
        const void *bytes = address->any.sa_family == AF_INET6
                                ? (const void *)&address->in6.sin6_addr
                                : (const void *)&address->in.sin_addr;
        const char *done = inet_ntop(address->any.sa_family, bytes, text, sizeof text);
        assert(done != NULL);
    }
    buf_put_str(out, text);
}

static bool is_loopback_v4(uint32_t host_order)
{
    return host_order >> 24 == 127;
}

bool address_is_loopback(const struct address *address)
{
    if (address->any.sa_family == AF_UNIX) {
        return true;
    }
    if (address->any.sa_family == AF_INET) {
        return is_loopback_v4(ntohl(address->in.sin_addr.s_addr));
    }
    const struct in6_addr *in6 = &address->in6.sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(in6)) {
        uint32_t mapped;
        memcpy(&mapped, in6->s6_addr + 12, sizeof mapped);
        return is_loopback_v4(ntohl(mapped));
    }
    return IN6_IS_ADDR_LOOPBACK(in6);
}

bool address_is_unix(const struct address *address)
{
    return address->any.sa_family == AF_UNIX;
}

uint16_t address_port(const struct address *address)
{
    switch (address->any.sa_family) {
    case AF_INET:
        return ntohs(address->in.sin_port);
    case AF_INET6:
        return ntohs(address->in6.sin6_port);
    default:
        return 0;
    }
}
