/* h2_client.h -- an HTTP/2 client in memory: bytes in, bytes out, and the replies it got. */
#ifndef SUPPORT_H2_CLIENT_H
#define SUPPORT_H2_CLIENT_H

#include "base/buf.h"
#include "base/span.h"

#include <nghttp2/nghttp2.h>

enum {
    H2_STREAMS_MAX = 256
};

struct h2_stream {
    int32_t id;
    struct span rest;   /* of the request's body; borrowed */
    bool is_endless;    /* there is more of the body, but it never comes */
    int status;         /* 0: no answer yet */
    struct buf headers; /* of the answer: "name: value\n" each */
    struct buf body;
    bool is_ended; /* the answer was all there */
    bool is_closed;
    uint32_t error_code; /* once closed */
};

struct h2_client {
    nghttp2_session *http2;
    struct h2_stream streams[H2_STREAMS_MAX];
    size_t count;
    size_t pongs;
    size_t pings; /* the server's */
    bool has_goaway;
    bool is_slow; /* opens no window when it gets a body */
};

void h2_client_init(struct h2_client *client, bool is_slow);
void h2_client_clear(struct h2_client *client);

struct h2_header {
    const char *name;
    const char *value;
};

/* `headers` ends with a NULL name, or is NULL. `body` stays where it is until the stream is over. */
struct h2_stream *h2_request(struct h2_client *client, const char *method, const char *path,
                             struct span body, const struct h2_header *headers);
/* The same with a body that never ends. */
struct h2_stream *h2_request_endless(struct h2_client *client, const char *path, struct span body);

/* Appends what there is to send. */
void h2_client_take(struct h2_client *client, struct buf *out);
/* False when the server does not speak HTTP/2. */
bool h2_client_feed(struct h2_client *client, struct span bytes);

bool h2_has_header(const struct h2_stream *stream, const char *line);

#endif
