#include "net/http_client.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "net/curl_parts.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <strings.h>
#include <sys/queue.h>

LIST_HEAD(transfer_list, http_transfer);

/* What both kinds of client have. */
struct core {
    CURLM *multi;
    char *user_agent; /* owned */
    char *ca_file;    /* owned; NULL: the system's */
    uint32_t connect_timeout_ms;
    struct transfer_list transfers; /* in flight; owned */
    size_t in_flight;
};

struct http_transfer {
    LIST_ENTRY(http_transfer) link;
    struct core *core;
    CURL *easy;
    struct curl_slist *headers; /* owned */
    struct buf body;            /* owned: the request's */
    struct http_reply reply;
    size_t header_bytes;
    bool is_encoded;       /* a Content-Encoding has been seen */
    bool may_cut, is_cut;  /* a long body may be cut; it was */
    enum err_code refusal; /* why we stopped curl; E_OK when we did not */
    const char *refusal_text;
    char error[CURL_ERROR_SIZE];

    struct http_client *client; /* asynchronous: */
    void *ctx;
    void (*on_done)(void *ctx, enum err_code code, struct http_reply *reply, const struct err *err);
    uint64_t tag; /* blocking */
};

void http_reply_clear(struct http_reply *reply)
{
    buf_clear(&reply->body);
}

/* --- One transfer --- */

static size_t stop(struct http_transfer *transfer, enum err_code code, const char *text)
{
    transfer->refusal = code;
    transfer->refusal_text = text;
    return 0; /* fewer bytes than given: curl ends the transfer */
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct http_transfer *transfer = ctx;
    size_t len = size * count; /* size is 1 */
    size_t room = buf_room(&transfer->reply.body);
    if (len > room && transfer->may_cut) {
        buf_put(&transfer->reply.body, span_of(data, room));
        transfer->is_cut = true;
        return 0; /* ends the transfer: the rest need not come */
    }
    if (len > room) {
        return stop(transfer, E_TOO_LARGE, "reply is over the size limit");
    }
    buf_put(&transfer->reply.body, span_of(data, len));
    return len;
}

static bool take_header(struct span *line, const char *name)
{
    size_t len = strlen(name);
    if (line->len < len || strncasecmp((const char *)line->data, name, len) != 0) {
        return false;
    }
    *line = span_slice(*line, len, line->len - len);
    while (line->len > 0 && (line->data[0] == ' ' || line->data[0] == '\t')) {
        *line = span_slice(*line, 1, line->len - 1);
    }
    while (line->len > 0 && strchr(" \t\r\n", line->data[line->len - 1]) != NULL) {
        line->len--;
    }
    return true;
}

static bool is_word(struct span text, const char *word)
{
    return text.len == strlen(word) && strncasecmp((const char *)text.data, word, text.len) == 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    struct http_transfer *transfer = ctx;
    size_t len = size * count;
    struct span line = span_of(data, len);
    if (len > HTTP_CLIENT_HEADER_BYTES_MAX - transfer->header_bytes) {
        return stop(transfer, E_TOO_LARGE, "reply headers are over the size limit");
    }
    transfer->header_bytes += len;
    if (take_header(&line, "Content-Encoding:") && !is_word(line, "identity")) {
        /* curl would undo others too, and several in turn: only one gzip was offered. */
        if (transfer->is_encoded || !(is_word(line, "gzip") || is_word(line, "x-gzip"))) {
            return stop(transfer, E_MALFORMED, "reply has a Content-Encoding other than gzip");
        }
        transfer->is_encoded = true;
    } else if (take_header(&line, "Content-Type:") && line.len <= HTTP_CONTENT_TYPE_MAX &&
               memchr(line.data, 0, line.len) == NULL) {
        memcpy(transfer->reply.content_type, line.data, line.len);
        transfer->reply.content_type[line.len] = 0;
    }
    return len;
}

static void add_header(struct http_transfer *transfer, const char *text)
{
    struct curl_slist *list = curl_slist_append(transfer->headers, text);
    assert(list != NULL); /* out of memory */
    transfer->headers = list;
}

static void add_headers(struct http_transfer *transfer, const struct http_client_request *request)
{
    add_header(transfer, "Expect:"); /* without it curl waits a second for a 100 Continue */
    bool has_type = false;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        assert(strpbrk(header->name, "\r\n: ") == NULL);
        assert(strpbrk(header->value, "\r\n") == NULL);
        struct buf line = BUF_INIT(SIZE_MAX);
        buf_put_str(&line, header->name);
        buf_put_str(&line, ": ");
        buf_put_str(&line, header->value);
        add_header(transfer, buf_c_str(&line));
        buf_clear(&line);
        has_type |= strcasecmp(header->name, "Content-Type") == 0;
    }
    if (!has_type) {
        add_header(transfer, "Content-Type:"); /* curl's own would be a web form's */
    }
}

static void set_method(struct http_transfer *transfer, const struct http_client_request *request)
{
    if (strcmp(request->method, "POST") != 0) {
        assert(strcmp(request->method, "GET") == 0);
        return;
    }
    buf_init(&transfer->body, request->body.len);
    buf_put(&transfer->body, request->body);
    curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS,
                     request->body.len > 0 ? (const char *)transfer->body.data : "");
}

static void set_limits(struct http_transfer *transfer, const struct http_client_request *request)
{
    uint32_t timeout_ms =
        request->timeout_ms != 0 ? request->timeout_ms : (uint32_t)HTTP_CLIENT_TIMEOUT_MS;
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)transfer->core->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    /* A cancelled transfer must not wait for getaddrinfo: that can take many seconds. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    if (transfer->core->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, transfer->core->ca_file);
    }
    if (curl_parts_is_loopback(request->url)) { /* no proxy for what runs here */
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    }
}

static struct http_transfer *transfer_start(struct core *core,
                                            const struct http_client_request *request)
{
    struct http_transfer *transfer = NEW(struct http_transfer);
    transfer->core = core;
    transfer->easy = curl_easy_init();
    assert(transfer->easy != NULL); /* out of memory */
    CURL *easy = transfer->easy;
    buf_init(&transfer->reply.body, request->reply_bytes_max);
    transfer->may_cut = request->is_reply_cut;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, core->user_agent);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, identity");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    set_limits(transfer, request);
    set_method(transfer, request);
    add_headers(transfer, request);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    CURLMcode rc = curl_multi_add_handle(core->multi, easy);
    assert(rc == CURLM_OK);
    LIST_INSERT_HEAD(&core->transfers, transfer, link);
    core->in_flight++;
    return transfer;
}

static void transfer_free(struct http_transfer *transfer)
{
    curl_multi_remove_handle(transfer->core->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    LIST_REMOVE(transfer, link);
    transfer->core->in_flight--;
    buf_clear(&transfer->body);
    http_reply_clear(&transfer->reply);
    mem_free(transfer);
}

static enum err_code code_of(CURLcode result)
{
    switch (result) {
    case CURLE_OPERATION_TIMEDOUT:
        return E_TIMEOUT;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return E_MALFORMED;
    default:
        return E_IO;
    }
}

static enum err_code transfer_result(struct http_transfer *transfer, CURLcode result,
                                     struct err *err)
{
    if (transfer->refusal != E_OK) {
        return err_set(err, transfer->refusal, "%s", transfer->refusal_text);
    }
    if (result != CURLE_OK && !transfer->is_cut) {
        const char *text = transfer->error[0] != 0 ? transfer->error : curl_easy_strerror(result);
        return err_set(err, code_of(result), "%s", text);
    }
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    transfer->reply.status = (int)status;
    return E_OK;
}

/* The next transfer that has ended, or NULL. */
static struct http_transfer *core_next_done(struct core *core, CURLcode *result)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(core->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            struct http_transfer *transfer = NULL;
            *result = message->data.result;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
            return transfer;
        }
    }
    return NULL;
}

static void core_init(struct core *core, const struct http_client_options *options)
{
    curl_parts_init();
    core->multi = curl_multi_init();
    assert(core->multi != NULL); /* out of memory */
    const char *agent = options->user_agent;
    core->user_agent = mem_strdup(agent != NULL ? agent : "courtroll/" COURTROLL_VERSION);
    core->ca_file = options->ca_file != NULL ? mem_strdup(options->ca_file) : NULL;
    core->connect_timeout_ms = options->connect_timeout_ms != 0
                                   ? options->connect_timeout_ms
                                   : (uint32_t)HTTP_CLIENT_CONNECT_TIMEOUT_MS;
    long connections = options->connections_max != 0 ? (long)options->connections_max
                                                     : (long)HTTP_CLIENT_CONNECTIONS_DEFAULT;
    curl_multi_setopt(core->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
    curl_multi_setopt(core->multi, CURLMOPT_MAXCONNECTS, connections); /* kept alive */
    LIST_INIT(&core->transfers);
}

static void core_clear(struct core *core)
{
    while (!LIST_EMPTY(&core->transfers)) {
        transfer_free(LIST_FIRST(&core->transfers));
    }
    curl_multi_cleanup(core->multi);
    mem_free(core->user_agent);
    mem_free(core->ca_file);
}

/* --- Asynchronous: curl says which sockets and which time to wait for, libuv waits --- */

struct http_client {
    struct core core;
    uv_loop_t *loop;
    uv_timer_t timer;
    uint32_t open_handles;         /* the timer and a poll for each socket */
    struct http_transfer *in_done; /* whose on_done is running; NULL else */
    void *closed_ctx;
    void (*on_closed)(void *ctx); /* set when closing */
};

struct watch {
    uv_poll_t poll;
    curl_socket_t socket;
    struct http_client *client;
};

static void on_handle_closed(struct http_client *client)
{
    if (--client->open_handles == 0) { /* the timer is among them: the client is closing */
        void (*on_closed)(void *) = client->on_closed;
        void *ctx = client->closed_ctx;
        mem_free(client);
        on_closed(ctx);
    }
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    struct http_client *client = watch->client;
    mem_free(watch);
    on_handle_closed(client);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

static void finish_done(struct http_client *client)
{
    struct http_transfer *transfer;
    CURLcode result;
    while ((transfer = core_next_done(&client->core, &result)) != NULL) {
        struct err err = { .code = E_OK };
        enum err_code code = transfer_result(transfer, result, &err);
        client->in_done = transfer;
        transfer->on_done(transfer->ctx, code, code == E_OK ? &transfer->reply : NULL, &err);
        client->in_done = NULL;
        transfer_free(transfer);
    }
}

static void on_socket_event(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    struct http_client *client = watch->client;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    flags |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    flags |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    int running;
    curl_multi_socket_action(client->core.multi, watch->socket, flags, &running);
    finish_done(client); /* `watch` may be closing by now */
}

static void on_timeout(uv_timer_t *timer)
{
    struct http_client *client = timer->data;
    int running;
    curl_multi_socket_action(client->core.multi, CURL_SOCKET_TIMEOUT, 0, &running);
    finish_done(client);
}

/* curl wants to be called after timeout_ms. 0 is left 0: rounded up it would cost every request of
 * a series a millisecond. Not called from here: curl forbids that. */
static int on_timer_wanted(CURLM *multi, long timeout_ms, void *ctx)
{
    (void)multi;
    struct http_client *client = ctx;
    if (timeout_ms < 0) {
        uv_timer_stop(&client->timer);
    } else {
        uv_timer_start(&client->timer, on_timeout, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

static struct watch *watch_new(struct http_client *client, curl_socket_t socket)
{
    struct watch *watch = NEW(struct watch);
    watch->socket = socket;
    watch->client = client;
    if (uv_poll_init_socket(client->loop, &watch->poll, socket) != 0) {
        mem_free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    client->open_handles++;
    curl_multi_assign(client->core.multi, socket, watch);
    return watch;
}

static int on_socket_wanted(CURL *easy, curl_socket_t socket, int what, void *ctx, void *assigned)
{
    (void)easy;
    struct http_client *client = ctx;
    struct watch *watch = assigned;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            uv_poll_stop(&watch->poll);
            uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
            curl_multi_assign(client->core.multi, socket, NULL);
        }
        return 0;
    }
    if (watch == NULL) {
        watch = watch_new(client, socket);
    }
    int events = 0;
    events |= what != CURL_POLL_OUT ? UV_READABLE : 0;
    events |= what != CURL_POLL_IN ? UV_WRITABLE : 0;
    return watch != NULL && uv_poll_start(&watch->poll, events, on_socket_event) == 0 ? 0 : -1;
}

struct http_client *http_client_new(uv_loop_t *loop, const struct http_client_options *options)
{
    struct http_client *client = NEW(struct http_client);
    core_init(&client->core, options);
    client->loop = loop;
    uv_timer_init(loop, &client->timer);
    client->timer.data = client;
    client->open_handles = 1;
    curl_multi_setopt(client->core.multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(client->core.multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->core.multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(client->core.multi, CURLMOPT_TIMERDATA, client);
    return client;
}

struct http_transfer *http_client_start(
    struct http_client *client, const struct http_client_request *request, void *ctx,
    void (*on_done)(void *ctx, enum err_code code, struct http_reply *reply, const struct err *err))
{
    assert(client->on_closed == NULL);
    struct http_transfer *transfer = transfer_start(&client->core, request);
    transfer->client = client;
    transfer->ctx = ctx;
    transfer->on_done = on_done;
    return transfer;
}

void http_client_cancel(struct http_transfer *transfer)
{
    assert(transfer != transfer->client->in_done);
    transfer_free(transfer);
}

void http_client_close(struct http_client *client, void *ctx, void (*on_closed)(void *ctx))
{
    assert(client->on_closed == NULL);
    assert(client->in_done == NULL);
    client->closed_ctx = ctx;
    client->on_closed = on_closed;
    core_clear(&client->core);
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}

/* --- Blocking --- */

enum {
    WAIT_MS = 1000 /* curl's own timeouts end a wait earlier */
};

struct http_fetcher {
    struct core core;
};

struct http_fetcher *http_fetcher_new(const struct http_client_options *options)
{
    struct http_fetcher *fetcher = NEW(struct http_fetcher);
    core_init(&fetcher->core, options);
    return fetcher;
}

void http_fetcher_free(struct http_fetcher *fetcher)
{
    if (fetcher != NULL) {
        core_clear(&fetcher->core);
        mem_free(fetcher);
    }
}

void http_fetcher_start(struct http_fetcher *fetcher, const char *url, size_t reply_bytes_max,
                        uint32_t timeout_ms, uint64_t tag)
{
    struct http_client_request request = {
        .method = "GET",
        .url = url,
        .reply_bytes_max = reply_bytes_max,
        .timeout_ms = timeout_ms,
    };
    transfer_start(&fetcher->core, &request)->tag = tag;
}

static void take_result(struct http_transfer *transfer, CURLcode result, struct http_fetched *out)
{
    memset(out, 0, sizeof *out);
    out->tag = transfer->tag;
    out->code = transfer_result(transfer, result, &out->err);
    if (out->code == E_OK) {
        out->reply = transfer->reply;
        buf_init(&transfer->reply.body, 0); /* moved */
    }
    transfer_free(transfer);
}

bool http_fetcher_next(struct http_fetcher *fetcher, struct http_fetched *out)
{
    while (fetcher->core.in_flight > 0) {
        CURLcode result;
        struct http_transfer *transfer = core_next_done(&fetcher->core, &result);
        if (transfer != NULL) {
            take_result(transfer, result, out);
            return true;
        }
        int running;
        curl_multi_perform(fetcher->core.multi, &running);
        if (running == (int)fetcher->core.in_flight) {
            curl_multi_poll(fetcher->core.multi, NULL, 0, WAIT_MS, NULL);
        }
    }
    return false;
}

/* Waits for the only transfer in flight. */
static enum err_code fetch_one(struct http_fetcher *fetcher, struct http_reply *reply,
                               struct err *err)
{
    struct http_fetched fetched;
    bool is_fetched = http_fetcher_next(fetcher, &fetched);
    assert(is_fetched);
    if (fetched.code != E_OK) {
        *err = fetched.err;
        return fetched.code;
    }
    *reply = fetched.reply;
    return E_OK;
}

enum err_code http_fetcher_get(struct http_fetcher *fetcher, const char *url,
                               size_t reply_bytes_max, uint32_t timeout_ms,
                               struct http_reply *reply, struct err *err)
{
    assert(fetcher->core.in_flight == 0);
    http_fetcher_start(fetcher, url, reply_bytes_max, timeout_ms, 0);
    return fetch_one(fetcher, reply, err);
}

enum err_code http_fetcher_send(struct http_fetcher *fetcher,
                                const struct http_client_request *request, struct http_reply *reply,
                                struct err *err)
{
    assert(fetcher->core.in_flight == 0);
    transfer_start(&fetcher->core, request);
    return fetch_one(fetcher, reply, err);
}

enum err_code http_fetcher_post(struct http_fetcher *fetcher, const char *url, struct span body,
                                size_t reply_bytes_max, uint32_t timeout_ms,
                                struct http_reply *reply, struct err *err)
{
    const struct http_client_request request = {
        .method = "POST",
        .url = url,
        .body = body,
        .reply_bytes_max = reply_bytes_max,
        .timeout_ms = timeout_ms,
    };
    return http_fetcher_send(fetcher, &request, reply, err);
}

size_t http_fetcher_in_flight(const struct http_fetcher *fetcher)
{
    return fetcher->core.in_flight;
}
