#include "net/http_server.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/http_connection.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    SWEEP_MS_MAX = 1000,
    SWEEP_MS_MIN = 10,
    BACKLOG = 1024
};

struct http_server_options http_server_options_default(void)
{
    return (struct http_server_options){
        .connections_max = HTTP_CONNECTIONS_DEFAULT,
        .pipelined_max = HTTP_PIPELINED_MAX,
        .header_count_max = HTTP_HEADERS_MAX,
        .header_bytes_max = HTTP_HEADER_BYTES_MAX,
        .target_bytes_max = HTTP_TARGET_BYTES_MAX,
        .body_bytes_max = 0,
        .queued_bytes_max = HTTP_QUEUED_BYTES_MAX,
        .header_timeout_ms = HTTP_HEADER_TIMEOUT_MS,
        .body_timeout_ms = HTTP_BODY_TIMEOUT_MS,
        .idle_timeout_ms = HTTP_IDLE_TIMEOUT_MS,
        .write_timeout_ms = HTTP_WRITE_TIMEOUT_MS,
        .bodies_bytes_max = HTTP_BODIES_BYTES_MAX,
        .answers_bytes_max = HTTP_ANSWERS_BYTES_MAX,
    };
}

const char *server_date(struct http_server *server)
{
    static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t now = time(NULL);
    if (now != server->date_of) {
        struct tm tm;
        gmtime_r(&now, &tm);
        snprintf(server->date, sizeof server->date, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                 days[tm.tm_wday % 7], tm.tm_mday % 100, months[tm.tm_mon % 12],
                 (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
        server->date_of = now;
    }
    return server->date;
}

/* A quarter of the shortest timeout: none is late by more than that. */
static uint64_t sweep_period(const struct http_server_options *options)
{
    uint64_t period = SWEEP_MS_MAX;
    const uint32_t timeouts[] = { options->header_timeout_ms, options->body_timeout_ms,
                                  options->idle_timeout_ms, options->write_timeout_ms };
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        if (timeouts[i] / 4 < period) {
            period = timeouts[i] / 4;
        }
    }
    return period < SWEEP_MS_MIN ? SWEEP_MS_MIN : period;
}

static void on_sweep(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    uint64_t now_ms = uv_now(server->loop);
    bool is_cut = server->is_closing && now_ms >= server->cut_at_ms;
    struct http_connection *connection = LIST_FIRST(&server->connections);
    while (connection != NULL) {
        struct http_connection *next = LIST_NEXT(connection, link);
        if (is_cut) {
            connection_cut(connection);
        } else {
            connection_sweep(connection, now_ms);
        }
        connection = next;
    }
}

void server_start_sweep(struct http_server *server)
{
    if (!server->is_finished) {
        uv_timer_start(&server->sweep, on_sweep, server->sweep_ms, server->sweep_ms);
    }
}

/* Leaves descriptors for the rest of the process. */
static uint32_t connections_within_descriptors(uint32_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= (rlim_t)wanted + HTTP_DESCRIPTORS_RESERVED) {
        return wanted;
    }
    rlim_t room = limit.rlim_cur / 2;
    if (limit.rlim_cur > 2 * HTTP_DESCRIPTORS_RESERVED) {
        room = limit.rlim_cur - HTTP_DESCRIPTORS_RESERVED;
    }
    log_event(LOG_LEVEL_WARN, "http_connections_reduced", "wanted=%u connections=%u nofile=%llu",
              wanted, (unsigned)room, (unsigned long long)limit.rlim_cur);
    return (uint32_t)room;
}

/* libuv writes with calls that raise it. A program's own handler stays. */
static void ignore_sigpipe(void)
{
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
        action = (struct sigaction){ .sa_handler = SIG_IGN };
        sigaction(SIGPIPE, &action, NULL);
    }
}

struct http_server *http_server_new(uv_loop_t *loop, const struct http_server_options *options,
                                    void *ctx,
                                    void (*on_request)(void *ctx, struct http_exchange *exchange))
{
    assert(options->pipelined_max > 0);
    assert(options->header_count_max <= HTTP_HEADERS_MAX);
    struct http_server *server = NEW(struct http_server);
    server->loop = loop;
    server->options = *options;
    server->options.connections_max = connections_within_descriptors(options->connections_max);
    server->limits = (struct http_request_limits){
        .header_count_max = options->header_count_max,
        .header_bytes_max = options->header_bytes_max,
        .target_bytes_max = options->target_bytes_max,
        .body_bytes_max = options->body_bytes_max,
    };
    server->ctx = ctx;
    server->on_request = on_request;
    LIST_INIT(&server->connections);
    TAILQ_INIT(&server->spare);
    uv_timer_init(loop, &server->sweep);
    server->sweep.data = server;
    server->sweep_ms = sweep_period(options);
    ignore_sigpipe();
    return server;
}

/* --- Listening --- */

static void on_connection(uv_stream_t *stream, int status)
{
    struct http_listener *listener = stream->data;
    /* When there are no descriptors libuv accepts and closes what waits, with a spare one of its
     * own, and does not tell us. */
    if (status == 0) {
        connection_accept(listener);
    } else {
        listener->server->stats.refused_connections++;
    }
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct http_listener *listener = handle->data;
    listener->server->open_listeners--;
    server_finish_if_done(listener->server);
}

/* Removes a socket file that a dead process left; one that answers is in use. */
static void remove_stale_socket(const struct address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    if (connect(fd, &address->any, sizeof address->un) != 0 && errno == ECONNREFUSED) {
        unlink(address->un.sun_path);
    }
    close(fd);
}

static int bind_listener(struct http_listener *listener, const struct address *address)
{
    if (listener->is_unix) {
        remove_stale_socket(address);
        return uv_pipe_bind(&listener->pipe, address->un.sun_path);
    }
    return uv_tcp_bind(&listener->tcp, &address->any, 0);
}

static int read_bound(struct http_listener *listener, const struct address *asked,
                      struct address *bound)
{
    *bound = *asked;
    if (listener->is_unix) {
        return 0;
    }
    struct sockaddr_storage name;
    int len = sizeof name;
    int rc = uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&name, &len);
    if (rc == 0) {
        *bound = address_from_sockaddr((const struct sockaddr *)&name);
    }
    return rc;
}

enum err_code http_server_listen(struct http_server *server, const struct address *address,
                                 struct address *bound, struct err *err)
{
    if (server->listener_count == HTTP_LISTENERS_MAX) {
        return err_set(err, E_TOO_LARGE, "more than %d listeners", (int)HTTP_LISTENERS_MAX);
    }
    struct http_listener *listener = &server->listeners[server->listener_count];
    listener->server = server;
    listener->is_unix = address_is_unix(address);
    int rc = listener->is_unix ? uv_pipe_init(server->loop, &listener->pipe, 0)
                               : uv_tcp_init(server->loop, &listener->tcp);
    if (rc != 0) {
        return err_set(err, E_IO, "socket: %s", uv_strerror(rc));
    }
    listener->handle.data = listener;
    server->listener_count++; /* from here on it is closed with the server, or below */
    server->open_listeners++;
    struct address name;
    rc = bind_listener(listener, address);
    if (rc == 0) {
        rc = uv_listen(&listener->stream, BACKLOG, on_connection);
    }
    if (rc == 0) {
        rc = read_bound(listener, address, &name);
    }
    if (rc != 0) {
        uv_close(&listener->handle, on_listener_closed);
        struct buf text = BUF_INIT(ADDRESS_TEXT_MAX + 1);
        address_put(&text, address);
        enum err_code code =
            err_set(err, E_IO, "listen on %s: %s", buf_c_str(&text), uv_strerror(rc));
        buf_clear(&text);
        return code;
    }
    listener->is_open = true;
    *bound = name;
    return E_OK;
}

/* --- Closing --- */

static void on_sweep_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    void (*on_closed)(void *) = server->on_closed;
    void *ctx = server->closed_ctx;
    struct http_exchange *exchange;
    while ((exchange = TAILQ_FIRST(&server->spare)) != NULL) {
        TAILQ_REMOVE(&server->spare, exchange, link);
        exchange_destroy(exchange);
    }
    mem_free(server);
    on_closed(ctx);
}

void server_finish_if_done(struct http_server *server)
{
    if (!server->is_closing || server->is_finished || server->open_listeners > 0 ||
        server->stats.open_connections > 0 || server->exchanges > 0) {
        return;
    }
    server->is_finished = true;
    uv_close((uv_handle_t *)&server->sweep, on_sweep_closed);
}

void http_server_close(struct http_server *server, uint32_t grace_ms, void *ctx,
                       void (*on_closed)(void *ctx))
{
    assert(!server->is_closing);
    server->is_closing = true;
    server->cut_at_ms = uv_now(server->loop) + grace_ms;
    server->closed_ctx = ctx;
    server->on_closed = on_closed;
    for (uint32_t i = 0; i < server->listener_count; i++) {
        struct http_listener *listener = &server->listeners[i];
        if (listener->is_open) {
            listener->is_open = false;
            uv_close(&listener->handle, on_listener_closed);
        }
    }
    struct http_connection *connection;
    LIST_FOREACH(connection, &server->connections, link)
    {
        connection_drain(connection); /* nothing leaves the list before the loop runs */
    }
    server_finish_if_done(server);
}

struct http_server_stats http_server_stats(const struct http_server *server)
{
    return server->stats;
}
