/* The normal path is connect, shake hands, then pump: what the network brings goes through TLS into
 * the session, and what the session has to say goes back the same way, one write at a time. Whatever
 * fails on the way loses the link, with the reason.
 */
#include "net/bastion_link.h"

#include "base/alloc.h"
#include "base/limits.h"

#include <assert.h>

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000,    /* TCP, TLS and the first bytes of HTTP/2 */
    READ_BYTES = 64 * 1024,            /* a read, and the plain bytes handed on at a time */
    WRITE_BYTES = 64 * 1024,           /* plain bytes of a write, and a bit */
    WRITE_BYTES_MAX = 4 * WRITE_BYTES, /* with TLS around them */
    TICK_MS = 1000,
    HANDLES = 2,
};

struct bastion_link {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t connecting;
    uv_write_t writing;
    struct bastion_link_events events;
    struct bastion_service *service;
    struct bastion_tls *tls;
    struct bastion_session *session; /* NULL until the handshake is over */
    struct buf in;                   /* from the network */
    struct buf plain;                /* for the session */
    struct buf out;                  /* under way while is_writing */
    uint64_t deadline_ms;            /* to be open */
    uint64_t written_ms;             /* the write under way began */
    bool is_writing;
    bool is_open;
    bool is_pumping;
    bool is_closing;
    int handles; /* that are not closed yet */
};

static uint64_t now_ms(const struct bastion_link *link)
{
    return uv_now(link->tcp.loop);
}

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct bastion_link *link = handle->data;
    if (--link->handles > 0) {
        return;
    }
    struct bastion_link_events events = link->events;
    bastion_session_free(link->session);
    bastion_tls_free(link->tls);
    buf_clear(&link->in);
    buf_clear(&link->plain);
    buf_clear(&link->out);
    mem_free(link);
    events.on_closed(events.ctx);
}

static void close_handles(struct bastion_link *link)
{
    link->is_closing = true;
    uv_close((uv_handle_t *)&link->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&link->timer, on_handle_closed);
}

static void lose(struct bastion_link *link, const struct err *why)
{
    if (!link->is_closing) {
        close_handles(link);
        link->events.on_lost(link->events.ctx, why);
    }
}

static void lose_uv(struct bastion_link *link, const char *what, int rc)
{
    struct err err;
    err_set(&err, E_IO, "%s: %s", what, uv_strerror(rc));
    lose(link, &err);
}

/* The last words are said if the kernel takes them at once. */
void bastion_link_close(struct bastion_link *link)
{
    if (link->is_closing) {
        return;
    }
    if (link->session != NULL && !link->is_writing && !link->is_pumping) {
        bastion_tls_end(link->tls);
        buf_reset(&link->out);
        bastion_tls_take(link->tls, &link->out);
        uv_buf_t bytes = uv_buf_init((char *)link->out.data, (unsigned)link->out.len);
        (void)uv_try_write((uv_stream_t *)&link->tcp, &bytes, 1);
    }
    close_handles(link);
}

/* ---- the pump ---- */

static void pump(struct bastion_link *link);

static void on_session_output(void *ctx)
{
    pump(ctx);
}

static enum err_code shake_hands(struct bastion_link *link, struct err *err)
{
    bool is_done = false;
    enum err_code rc = bastion_tls_shake_hands(link->tls, &is_done, err);
    if (is_done) {
        link->session = bastion_session_new(link->service, now_ms(link), link, on_session_output);
    }
    return rc;
}

/* What came goes on to the session, until TLS wants more. */
static enum err_code pump_in(struct bastion_link *link, struct err *err)
{
    enum err_code rc = E_OK;
    bool is_more = true;
    while (rc == E_OK && is_more && !link->is_closing) {
        buf_reset(&link->plain);
        rc = bastion_tls_read(link->tls, &link->plain, err);
        is_more = buf_room(&link->plain) == 0;
        struct err fed;
        if (link->plain.len > 0 && !link->is_closing &&
            bastion_session_feed(link->session, buf_span(&link->plain), now_ms(link), &fed) !=
                E_OK) {
            *err = fed;
            rc = fed.code;
        }
    }
    return rc;
}

static void on_written(uv_write_t *writing, int status)
{
    struct bastion_link *link = writing->data;
    link->is_writing = false;
    if (status < 0) {
        lose_uv(link, "write", status);
    } else if (!link->is_closing) {
        pump(link);
    }
}

static enum err_code write_out(struct bastion_link *link, struct err *err)
{
    uv_buf_t bytes = uv_buf_init((char *)link->out.data, (unsigned)link->out.len);
    int rc = uv_write(&link->writing, (uv_stream_t *)&link->tcp, &bytes, 1, on_written);
    if (rc < 0) {
        return err_set(err, E_IO, "write: %s", uv_strerror(rc));
    }
    link->is_writing = true;
    link->written_ms = now_ms(link);
    return E_OK;
}

/* As much as one write takes; the rest stays with the session, which makes it when it is asked. */
static enum err_code pump_out(struct bastion_link *link, struct err *err)
{
    struct span piece = { NULL, 0 };
    enum err_code rc = E_OK;
    bool is_more = link->session != NULL;
    while (rc == E_OK && is_more && bastion_tls_pending(link->tls) < WRITE_BYTES) {
        rc = bastion_session_take(link->session, &piece, err);
        is_more = rc == E_OK && piece.len > 0;
        if (is_more) {
            rc = bastion_tls_write(link->tls, piece, err);
        }
    }
    buf_reset(&link->out);
    bastion_tls_take(link->tls, &link->out);
    if (link->out.len > 0) { /* an alert goes out in any case, if it can */
        struct err ignored;
        enum err_code written = write_out(link, rc == E_OK ? err : &ignored);
        rc = rc == E_OK ? written : rc;
    }
    return rc;
}

static void notice_open(struct bastion_link *link)
{
    if (!link->is_open && link->session != NULL && bastion_session_is_open(link->session)) {
        link->is_open = true;
        link->events.on_open(link->events.ctx);
    }
}

static void pump(struct bastion_link *link)
{
    if (link->is_pumping || link->is_closing) {
        return;
    }
    link->is_pumping = true;
    struct err err;
    enum err_code rc = link->session == NULL ? shake_hands(link, &err) : E_OK;
    if (rc == E_OK && link->session != NULL) {
        rc = pump_in(link, &err);
    }
    if (!link->is_closing) {
        notice_open(link);
    }
    /* Also when something has failed: the peer is told what, in an alert or a GOAWAY. */
    if (!link->is_closing && !link->is_writing) {
        struct err ignored;
        enum err_code out = pump_out(link, rc == E_OK ? &err : &ignored);
        rc = rc == E_OK ? out : rc;
    }
    link->is_pumping = false;
    if (rc == E_OK && !link->is_closing && !link->is_writing && link->session != NULL &&
        bastion_session_is_over(link->session)) {
        rc = err_set(&err, E_UNAVAILABLE, "ended by HTTP/2");
    }
    if (rc != E_OK) {
        lose(link, &err);
    }
}

/* ---- the network ---- */

static void on_buffer_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct bastion_link *link = handle->data;
    buf_reset(&link->in);
    *out = uv_buf_init((char *)buf_extend(&link->in, READ_BYTES), READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
    (void)bytes;
    struct bastion_link *link = stream->data;
    if (len < 0) {
        lose_uv(link, "read", (int)len);
    } else if (len > 0 && !link->is_closing) {
        bastion_tls_feed(link->tls, span_of(link->in.data, (size_t)len));
        pump(link);
    }
}

static void on_connected(uv_connect_t *connecting, int status)
{
    struct bastion_link *link = connecting->data;
    if (link->is_closing) {
        return;
    }
    int rc = status < 0 ? status : uv_tcp_nodelay(&link->tcp, 1);
    rc = rc < 0 ? rc : uv_read_start((uv_stream_t *)&link->tcp, on_buffer_wanted, on_read);
    if (rc < 0) {
        lose_uv(link, "connect", rc);
    } else {
        pump(link);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct bastion_link *link = timer->data;
    struct err err;
    enum err_code rc = E_OK;
    if (!link->is_open && now_ms(link) >= link->deadline_ms) {
        rc = err_set(&err, E_TIMEOUT, "no connection in %d s", CONNECT_TIMEOUT_MS / 1000);
    } else if (link->is_writing && now_ms(link) - link->written_ms >= HTTP_WRITE_TIMEOUT_MS) {
        rc = err_set(&err, E_TIMEOUT, "the bastion does not read");
    } else if (link->session != NULL) {
        rc = bastion_session_tick(link->session, now_ms(link), &err);
    }
    if (rc != E_OK) {
        lose(link, &err);
    } else {
        pump(link);
    }
}

/* A failure to start is told by the timer. */
static void start(struct bastion_link *link, const struct sockaddr *to)
{
    int rc = uv_tcp_connect(&link->connecting, &link->tcp, to, on_connected);
    link->deadline_ms = rc < 0 ? 0 : now_ms(link) + CONNECT_TIMEOUT_MS;
}

struct bastion_link *bastion_link_start(uv_loop_t *loop, const struct sockaddr *to,
                                        const char *host, const struct bastion_identity *identity,
                                        struct bastion_service *service,
                                        const struct bastion_link_events *events)
{
    struct bastion_link *link = NEW(struct bastion_link);
    link->events = *events;
    link->service = service;
    link->tls = bastion_tls_new(identity, host);
    link->handles = HANDLES;
    link->tcp.data = link->timer.data = link->connecting.data = link->writing.data = link;
    buf_init(&link->in, READ_BYTES);
    buf_init(&link->plain, READ_BYTES);
    buf_init(&link->out, WRITE_BYTES_MAX);
    uv_tcp_init(loop, &link->tcp);
    uv_timer_init(loop, &link->timer);
    uv_timer_start(&link->timer, on_tick, TICK_MS, TICK_MS);
    uv_update_time(loop);
    start(link, to);
    return link;
}
