/* fuzz_bastion_session.c -- what a bastion may say: after the preface, which no fuzzer finds by itself,
 * the input is frames. The handler answers at once, later, or when the session is gone, as a byte of
 * the request says; it never has more exchanges than it may. */
#include "net/bastion_session.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    BODY_MAX = 64,
    STREAMS_MAX = 4,
    PIECE = 97, /* bytes fed at a time */
    STEP_MS = 700,
};

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

struct handler {
    struct bastion_exchange *held[STREAMS_MAX];
    size_t count;
};

static void respond(struct bastion_exchange *exchange)
{
    const struct http_response response = { .status = 200,
                                            .text = bastion_exchange_path(exchange) };
    bastion_respond(exchange, &response);
}

static void on_request(void *ctx, struct bastion_exchange *exchange)
{
    struct handler *handler = ctx;
    struct span path = bastion_exchange_path(exchange);
    assert(path.len > 0 && path.data[0] == '/');
    assert(bastion_exchange_body(exchange).len <= BODY_MAX);
    if (path.data[path.len - 1] % 2 == 0) {
        respond(exchange);
    } else {
        assert(handler->count < STREAMS_MAX);
        handler->held[handler->count++] = exchange;
    }
}

static void on_answered(void *owner)
{
    (void)owner;
}

static void on_output(void *ctx)
{
    (void)ctx;
}

static bool take_all(struct bastion_session *session)
{
    struct span piece = { NULL, 0 };
    struct err err;
    enum err_code rc = E_OK;
    do {
        rc = bastion_session_take(session, &piece, &err);
    } while (rc == E_OK && piece.len > 0);
    return rc == E_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct handler handler = { .count = 0 };
    struct bastion_service service = { .body_bytes_max = BODY_MAX,
                                       .streams_max = STREAMS_MAX,
                                       .ctx = &handler,
                                       .on_request = on_request,
                                       .on_answered = on_answered };
    uint64_t now_ms = 0;
    struct bastion_session *session = bastion_session_new(&service, now_ms, NULL, on_output);
    struct span in = span_of(data, size), piece;
    struct err err;
    bool is_alive =
        bastion_session_feed(session, span_of(PREFACE, sizeof PREFACE - 1), 0, &err) == E_OK;
    while (is_alive && span_take(&in, in.len < PIECE ? in.len : PIECE, &piece) && piece.len > 0) {
        is_alive = bastion_session_feed(session, piece, now_ms, &err) == E_OK &&
                   take_all(session) &&
                   bastion_session_tick(session, now_ms += STEP_MS, &err) == E_OK;
        if (handler.count > STREAMS_MAX / 2) {
            respond(handler.held[--handler.count]);
        }
    }
    bastion_session_free(session);
    assert(service.held_count == handler.count);
    while (handler.count > 0) {
        respond(handler.held[--handler.count]);
    }
    assert(service.held_count == 0);
    return 0;
}
