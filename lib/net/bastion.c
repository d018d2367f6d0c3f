/* A bastion's life: resolve its name, try each address, and serve on the one that answers; after a loss
 * wait, and begin again. There is one link at a time, but links that are closing may still be there.
 */
#include "net/bastion.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/log.h"
#include "net/bastion_link.h"

#include <assert.h>
#include <stdio.h>

enum {
    HOST_MAX = 253, /* characters of a DNS name */
    STREAMS_DEFAULT = 64,
    STREAMS_LIMIT = 1024,
    WAIT_MIN_MS = 1000,
    WAIT_MAX_MS = 60 * 1000,
    DOUBLINGS_MAX = 6,      /* from there on the maximum rules */
    LASTING_MS = 60 * 1000, /* a connection that held so long was a good one */
    PORT_CHARS = 8,
};

struct bastion {
    uv_loop_t *loop;
    uv_timer_t timer; /* the wait; closed last */
    uv_getaddrinfo_t resolving;
    struct bastion_service service;
    struct bastion_identity *identity; /* owned */
    char *address;                     /* owned; as configured, for the log */
    char host[HOST_MAX + 1];
    char port[PORT_CHARS];
    char key_hash[2 * HASH_BYTES + 1];

    struct addrinfo *found;      /* owned; what the name stands for */
    const struct addrinfo *next; /* to be tried when this link is lost */
    struct bastion_link *link;   /* NULL between two */
    unsigned links;              /* with those that are closing */
    bool is_resolving;
    bool is_connected;
    bool is_closing;
    uint64_t connected_ms;
    unsigned failures; /* since a connection that held */

    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

/* ---- where it is ---- */

static bool is_host(struct span host)
{
    bool is_known = host.len > 0 && host.len <= HOST_MAX;
    for (size_t i = 0; is_known && i < host.len; i++) {
        uint8_t c = host.data[i];
        is_known = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                   c == '-' || c == '.' || c == ':';
    }
    return is_known;
}

/* "HOST:PORT", "[IPv6]:PORT". */
static enum err_code parse_address(struct bastion *bastion, struct err *err)
{
    struct span text = span_of_str(bastion->address);
    size_t colon = span_find_last(text, span_of_str(":"));
    if (colon == SIZE_MAX) {
        return err_set(err, E_MALFORMED, "%s: not HOST:PORT", bastion->address);
    }
    struct span host = span_slice(text, 0, colon);
    struct span port = span_slice(text, colon + 1, text.len - colon - 1);
    bool has_brackets =
        span_take_prefix(&host, span_of_str("[")) && span_has_suffix(host, span_of_str("]"));
    if (has_brackets) {
        host.len--;
    }
    uint64_t number = 0;
    bool has_colon = span_find(host, span_of_str(":")) != SIZE_MAX;
    if (!is_host(host) || has_colon != has_brackets ||
        decimal_parse(&number, port, UINT16_MAX, err) != E_OK || number == 0) {
        return err_set(err, E_MALFORMED, "%s: not HOST:PORT", bastion->address);
    }
    memcpy(bastion->host, host.data, host.len);
    snprintf(bastion->port, sizeof bastion->port, "%u", (unsigned)(uint16_t)number);
    return E_OK;
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct bastion *bastion = handle->data;
    void *ctx = bastion->closed_ctx;
    void (*on_closed)(void *ctx) = bastion->on_closed;
    uv_freeaddrinfo(bastion->found);
    bastion_identity_free(bastion->identity);
    mem_free(bastion->address);
    mem_free(bastion);
    on_closed(ctx);
}

static void finish_if_done(struct bastion *bastion)
{
    bool is_done = bastion->is_closing && bastion->links == 0 && !bastion->is_resolving &&
                   bastion->service.held_count == 0;
    if (is_done && !uv_is_closing((uv_handle_t *)&bastion->timer)) {
        uv_close((uv_handle_t *)&bastion->timer, on_timer_closed);
    }
}

static void on_answered(void *owner)
{
    finish_if_done(owner);
}

void bastion_close(struct bastion *bastion, void *ctx, void (*on_closed)(void *ctx))
{
    assert(!bastion->is_closing);
    bastion->is_closing = true;
    bastion->service.is_closed = true;
    bastion->is_connected = false;
    bastion->closed_ctx = ctx;
    bastion->on_closed = on_closed;
    uv_timer_stop(&bastion->timer);
    if (bastion->is_resolving) {
        (void)uv_cancel((uv_req_t *)&bastion->resolving);
    }
    if (bastion->link != NULL) {
        bastion_link_close(bastion->link);
        bastion->link = NULL;
    }
    finish_if_done(bastion);
}

/* ---- connecting ---- */

static void resolve(struct bastion *bastion);

static void on_wait_over(uv_timer_t *timer)
{
    resolve(timer->data);
}

/* Twice as long each time, and by chance anything up to that, so that those who lost a bastion
 * together do not come back together. */
static uint64_t wait_ms(unsigned failures)
{
    uint32_t chance = 0;
    crypto_random((uint8_t *)&chance, sizeof chance);
    uint64_t most = (uint64_t)WAIT_MIN_MS << (failures < DOUBLINGS_MAX ? failures : DOUBLINGS_MAX);
    uint64_t wait = WAIT_MIN_MS + chance % most;
    return wait < WAIT_MAX_MS ? wait : WAIT_MAX_MS;
}

static void wait_and_retry(struct bastion *bastion, const struct err *why)
{
    bool has_lasted =
        bastion->is_connected && uv_now(bastion->loop) - bastion->connected_ms >= LASTING_MS;
    bastion->failures = has_lasted ? 0 : bastion->failures;
    bastion->is_connected = false;
    uint64_t wait = wait_ms(bastion->failures++);
    log_event(LOG_LEVEL_WARN, "bastion_lost", "address=%s retry_ms=%llu error=%s",
              log_quoted_str(bastion->address).text, (unsigned long long)wait,
              log_quoted_str(why->msg).text);
    uv_timer_start(&bastion->timer, on_wait_over, wait, 0);
}

static void on_open(void *ctx)
{
    struct bastion *bastion = ctx;
    bastion->is_connected = true;
    bastion->connected_ms = uv_now(bastion->loop);
    log_event(LOG_LEVEL_INFO, "bastion_connected", "address=%s key_hash=%s",
              log_quoted_str(bastion->address).text, bastion->key_hash);
}

static void try_next(struct bastion *bastion);

static void on_lost(void *ctx, const struct err *why)
{
    struct bastion *bastion = ctx;
    bastion->link = NULL;
    if (!bastion->is_connected && bastion->next != NULL) {
        log_error(LOG_LEVEL_DEBUG, "bastion_address_failed", why);
        try_next(bastion);
    } else {
        wait_and_retry(bastion, why);
    }
}

static void on_link_closed(void *ctx)
{
    struct bastion *bastion = ctx;
    bastion->links--;
    finish_if_done(bastion);
}

static void try_next(struct bastion *bastion)
{
    const struct addrinfo *address = bastion->next;
    bastion->next = address->ai_next;
    const struct bastion_link_events events = { bastion, on_open, on_lost, on_link_closed };
    bastion->links++;
    bastion->link = bastion_link_start(bastion->loop, address->ai_addr, bastion->host,
                                       bastion->identity, &bastion->service, &events);
}

static void on_resolved(uv_getaddrinfo_t *resolving, int status, struct addrinfo *found)
{
    struct bastion *bastion = resolving->data;
    bastion->is_resolving = false;
    if (bastion->is_closing) {
        uv_freeaddrinfo(found);
        finish_if_done(bastion);
        return;
    }
    if (status < 0 || found == NULL) {
        struct err err;
        err_set(&err, E_IO, "%s: %s", bastion->host,
                status < 0 ? uv_strerror(status) : "no address");
        wait_and_retry(bastion, &err);
        return;
    }
    uv_freeaddrinfo(bastion->found);
    bastion->found = found;
    bastion->next = found;
    try_next(bastion);
}

static void resolve(struct bastion *bastion)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    /* As in address.h: this name needs no resolver, which a small system may not have. */
    const char *host = strcmp(bastion->host, "localhost") == 0 ? "127.0.0.1" : bastion->host;
    int rc = uv_getaddrinfo(bastion->loop, &bastion->resolving, on_resolved, host, bastion->port,
                            &hints);
    if (rc < 0) {
        struct err err;
        err_set(&err, E_IO, "%s: %s", bastion->host, uv_strerror(rc));
        wait_and_retry(bastion, &err);
        return;
    }
    bastion->is_resolving = true;
}

/* ---- the outside ---- */

static void set_key_hash(struct bastion *bastion, const struct signing_key *key)
{
    struct ed25519_public public = signing_key_public(key);
    struct hash hash = sha256(SPAN_OF_ARRAY(public.bytes));
    struct buf text = BUF_INIT(sizeof bastion->key_hash);
    hex_put(&text, hash_span(&hash));
    snprintf(bastion->key_hash, sizeof bastion->key_hash, "%s", buf_c_str(&text));
    buf_clear(&text);
}

enum err_code bastion_new(struct bastion **out, uv_loop_t *loop,
                          const struct bastion_options *options, struct err *err)
{
    assert(options->streams_max <= STREAMS_LIMIT);
    struct bastion *bastion = NEW(struct bastion);
    bastion->loop = loop;
    bastion->address = mem_strdup(options->address);
    bastion->service = (struct bastion_service){
        .body_bytes_max = options->body_bytes_max,
        .streams_max = options->streams_max != 0 ? options->streams_max : STREAMS_DEFAULT,
        .ctx = options->ctx,
        .on_request = options->on_request,
        .owner = bastion,
        .on_answered = on_answered,
    };
    enum err_code rc = parse_address(bastion, err);
    if (rc == E_OK) {
        rc = bastion_identity_new(&bastion->identity, options->key, options->ca_file, err);
    }
    if (rc != E_OK) {
        mem_free(bastion->address);
        mem_free(bastion);
        return rc;
    }
    set_key_hash(bastion, options->key);
    uv_timer_init(loop, &bastion->timer);
    bastion->timer.data = bastion->resolving.data = bastion;
    resolve(bastion);
    *out = bastion;
    return E_OK;
}

bool bastion_is_connected(const struct bastion *bastion)
{
    return bastion->is_connected;
}

const char *bastion_key_hash(const struct bastion *bastion)
{
    return bastion->key_hash;
}
