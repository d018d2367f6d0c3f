/* A witness behind a bastion of the test's own: a thread that takes connections, and on each plays the
 * bastion as the case wants it. The loop runs in the test's thread. HTTP/2 itself is shown by
 * test_bastion_session.c. */
#include "net/bastion.h"

#include "base/log.h"
#include "tests/support/bastion_gate.h"
#include "tests/support/files.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    BODY_MAX = 100000,
    LARGE_BYTES = 2000000,
    WAIT_MS = 20 * 1000,
    HELD_MAX = 64,
};

/* ---- the fixture ---- */

struct fixture {
    uv_loop_t loop;
    struct bastion_gate gate;
    struct party ca, other_ca, server, other_name;
    char *directory;
    struct signing_key *key;
    struct bastion *bastion;
    size_t called;
    bool holds; /* the handler keeps the exchanges */
    struct bastion_exchange *held[HELD_MAX];
    size_t held_count;
    bool closes; /* the handler closes the bastion in the middle of a request */
    bool is_closed;
};

static void on_closed(void *ctx)
{
    struct fixture *fixture = ctx;
    fixture->is_closed = true;
}

static void respond(struct bastion_exchange *exchange)
{
    struct span path = bastion_exchange_path(exchange);
    struct buf large = BUF_INIT(LARGE_BYTES);
    struct http_response response = { .status = 200, .text = bastion_exchange_body(exchange) };
    if (span_is_str(path, "/large")) {
        memset(buf_extend(&large, LARGE_BYTES), 'l', LARGE_BYTES);
        response = (struct http_response){ .status = 200, .taken = &large };
    }
    bastion_respond(exchange, &response);
    buf_clear(&large);
}

static void on_request(void *ctx, struct bastion_exchange *exchange)
{
    struct fixture *fixture = ctx;
    fixture->called++;
    if (fixture->closes) {
        bastion_close(fixture->bastion, fixture, on_closed);
    }
    if (fixture->holds) {
        assert_true(fixture->held_count < HELD_MAX);
        fixture->held[fixture->held_count++] = exchange;
    } else {
        respond(exchange);
    }
}

/* The bastion's part is set by the case; then begin() starts both. */
static void start(struct fixture *fixture,
                  void (*play_it)(struct bastion_gate *, SSL *, struct h2_client *))
{
    *fixture = (struct fixture){ .gate = { .alpn = "bastion/0", .play = play_it } };
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    fixture->directory = files_make_temp_dir();
    char *d = fixture->directory;
    fixture->ca = party_make(d, "authority", NULL, NULL);
    fixture->other_ca = party_make(d, "another", NULL, NULL);
    fixture->server = party_make(d, "bastion", "DNS:localhost", &fixture->ca);
    fixture->other_name = party_make(d, "other", "DNS:other.example", &fixture->ca);
    fixture->key = signing_key_generate();
}

static void begin(struct fixture *fixture, const struct party *server, const char *ca_file,
                  int tls_max)
{
    bastion_gate_open(&fixture->gate, server, tls_max);
    const struct bastion_options options = { .address = fixture->gate.address,
                                             .ca_file = ca_file,
                                             .key = fixture->key,
                                             .body_bytes_max = BODY_MAX,
                                             .ctx = fixture,
                                             .on_request = on_request };
    struct err err = { 0 };
    if (bastion_new(&fixture->bastion, &fixture->loop, &options, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
}

static void begin_well(struct fixture *fixture)
{
    begin(fixture, &fixture->server, fixture->ca.cert_path, TLS1_3_VERSION);
}

static void on_beat(uv_timer_t *timer)
{
    (void)timer;
}

static void on_beat_closed(uv_handle_t *handle)
{
    handle->data = NULL;
}

/* Runs the loop until it is so, or until `ms` are over. */
static bool run_for(struct fixture *fixture, uint64_t ms, bool (*is_so)(struct fixture *fixture))
{
    uv_timer_t beat;
    uv_timer_init(&fixture->loop, &beat);
    beat.data = fixture;
    uv_timer_start(&beat, on_beat, 5, 5);
    uint64_t until = uv_hrtime() + ms * 1000000;
    bool is_reached = is_so(fixture);
    while (!is_reached && uv_hrtime() < until) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
        is_reached = is_so(fixture);
    }
    uv_close((uv_handle_t *)&beat, on_beat_closed);
    while (beat.data != NULL) {
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    return is_reached;
}

static void run_until(struct fixture *fixture, bool (*is_so)(struct fixture *fixture))
{
    assert_true(run_for(fixture, WAIT_MS, is_so));
}

static bool is_played(struct fixture *fixture)
{
    return fixture->gate.played > 0;
}

static bool is_connected(struct fixture *fixture)
{
    return bastion_is_connected(fixture->bastion);
}

static bool is_lost(struct fixture *fixture)
{
    return !bastion_is_connected(fixture->bastion);
}

static bool is_called(struct fixture *fixture)
{
    return fixture->called > 0;
}

static bool is_closed(struct fixture *fixture)
{
    return fixture->is_closed;
}

static void stop(struct fixture *fixture)
{
    if (!fixture->closes) {
        bastion_close(fixture->bastion, fixture, on_closed);
    }
    run_until(fixture, is_closed);
    assert_int_equal(uv_loop_close(&fixture->loop), 0); /* nothing is left on it */
    bastion_gate_close(&fixture->gate);
    party_clear(&fixture->ca);
    party_clear(&fixture->other_ca);
    party_clear(&fixture->server);
    party_clear(&fixture->other_name);
    signing_key_free(fixture->key);
    files_remove_tree(fixture->directory);
}

/* ---- serving ---- */

static void play_requests(struct bastion_gate *gate, SSL *ssl, struct h2_client *client)
{
    struct h2_stream *echo = h2_request(client, "POST", "/echo", span_of_str("hello"), NULL);
    CLAIM(gate, gate_complete(ssl, client, echo));
    CLAIM(gate, echo->status == 200 && span_is_str(buf_span(&echo->body), "hello"));
    struct h2_stream *large = h2_request(client, "GET", "/large", span_of(NULL, 0), NULL);
    CLAIM(gate, gate_complete(ssl, client, large));
    CLAIM(gate, large->status == 200 && large->is_ended && large->body.len == LARGE_BYTES);
    static uint8_t body[BODY_MAX + 1];
    struct h2_stream *most = h2_request(client, "POST", "/echo", span_of(body, BODY_MAX), NULL);
    CLAIM(gate, gate_complete(ssl, client, most));
    CLAIM(gate, most->status == 200 && most->body.len == BODY_MAX);
    struct h2_stream *over = h2_request(client, "POST", "/echo", SPAN_OF_ARRAY(body), NULL);
    CLAIM(gate, gate_complete(ssl, client, over));
    CLAIM(gate, over->status == 413);
    CLAIM(gate, gate_ping(ssl, client));
}

static void requests_are_served_under_the_configured_key(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, play_requests);
    begin_well(&fixture);
    struct ed25519_public public = signing_key_public(fixture.key);
    struct hash hash = sha256(SPAN_OF_ARRAY(public.bytes));
    for (size_t i = 0; i < HASH_BYTES; i++) {
        char digits[3];
        snprintf(digits, sizeof digits, "%02x", hash.bytes[i]);
        assert_memory_equal(bastion_key_hash(fixture.bastion) + 2 * i, digits, 2);
    }
    assert_int_equal(strlen(bastion_key_hash(fixture.bastion)), 64);
    assert_false(bastion_is_connected(fixture.bastion));
    run_until(&fixture, is_connected);
    run_until(&fixture, is_played);
    assert_memory_equal(fixture.gate.client_key, public.bytes, sizeof public.bytes);
    assert_true(fixture.gate.is_tls_1_3);
    assert_int_equal(fixture.called, 3);
    stop(&fixture);
}

static void play_until_closed(struct bastion_gate *gate, SSL *ssl, struct h2_client *client)
{
    (void)gate;
    h2_request(client, "POST", "/echo", span_of_str("x"), NULL);
    gate_drain(ssl, client);
}

static void play_and_leave(struct bastion_gate *gate, SSL *ssl, struct h2_client *client)
{
    struct h2_stream *stream = h2_request(client, "POST", "/echo", span_of_str("x"), NULL);
    CLAIM(gate, gate_complete(ssl, client, stream));
    CLAIM(gate, stream->status == 200);
    if (gate->played == 1) { /* in bad order this time: the socket goes without a word of TLS */
        SSL_set_quiet_shutdown(ssl, 1);
    } else {
        SSL_shutdown(ssl);
    }
}

static bool is_called_thrice(struct fixture *fixture)
{
    return fixture->called >= 3;
}

static void lost_connection_is_made_again(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, play_and_leave);
    begin_well(&fixture);
    run_until(&fixture, is_connected);
    run_until(&fixture, is_lost);
    assert_int_equal(fixture.gate.accepted, 1); /* not at once */
    assert_false(run_for(&fixture, 500, is_connected));
    run_until(&fixture, is_connected);
    run_until(&fixture, is_called_thrice);
    stop(&fixture);
}

static void play_goaway(struct bastion_gate *gate, SSL *ssl, struct h2_client *client)
{
    struct h2_stream *stream = h2_request(client, "POST", "/echo", span_of_str("x"), NULL);
    gate_send(ssl, client);
    nghttp2_submit_goaway(client->http2, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    CLAIM(gate, gate_complete(ssl, client, stream));
    CLAIM(gate, stream->status == 200);
    gate_drain(ssl, client); /* we close, not the bastion */
}

static bool is_played_twice(struct fixture *fixture)
{
    return fixture->gate.played >= 2;
}

static void goaway_ends_the_connection_after_the_answers(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, play_goaway);
    begin_well(&fixture);
    run_until(&fixture, is_played_twice);
    stop(&fixture);
}

/* ---- who is not served ---- */

static bool is_refused(struct fixture *fixture)
{
    return fixture->gate.refused > 0;
}

/* With no play, the bastion waits for a first byte, and none may come. */
static void expect_refusal(struct fixture *fixture, const struct party *server, const char *ca_file,
                           int tls_max)
{
    begin(fixture, server, ca_file, tls_max);
    run_until(fixture, is_refused);
    assert_false(run_for(fixture, 100, is_connected));
    assert_int_equal(fixture->gate.played, 0);
    assert_int_equal(fixture->called, 0);
    stop(fixture);
}

static void other_alpn_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = { NULL, "h2", "bastion/1", "bastion/" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct fixture fixture;
        start(&fixture, NULL);
        fixture.gate.alpn = names[i];
        expect_refusal(&fixture, &fixture.server, fixture.ca.cert_path, TLS1_3_VERSION);
    }
}

static void tls_1_2_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    expect_refusal(&fixture, &fixture.server, fixture.ca.cert_path, TLS1_2_VERSION);
}

static void untrusted_chain_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    expect_refusal(&fixture, &fixture.server, fixture.other_ca.cert_path, TLS1_3_VERSION);
    start(&fixture, NULL);
    expect_refusal(&fixture, &fixture.server, NULL, TLS1_3_VERSION); /* nor do others know it */
}

static void other_name_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    expect_refusal(&fixture, &fixture.other_name, fixture.ca.cert_path, TLS1_3_VERSION);
}

static void play_garbage(struct bastion_gate *gate, SSL *ssl, struct h2_client *client)
{
    static uint8_t garbage[20000];
    crypto_random(garbage, sizeof garbage);
    if (gate->played % 2 == 0) { /* after a good beginning */
        gate_send(ssl, client);
    }
    (void)SSL_write(ssl, garbage, sizeof garbage);
    gate_drain(ssl, client);
}

static void garbage_ends_the_connection_and_no_more(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, play_garbage);
    begin_well(&fixture);
    run_until(&fixture, is_played_twice);
    assert_int_equal(fixture.called, 0);
    stop(&fixture);
}

static void play_silence(struct bastion_gate *gate, SSL *ssl, struct h2_client *client)
{
    (void)gate;
    while (gate_receive(ssl, client)) {
    }
}

static void bastion_that_says_nothing_is_given_up(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, play_silence);
    begin_well(&fixture);
    assert_false(run_for(&fixture, 3000, is_played));
    assert_false(bastion_is_connected(fixture.bastion));
    run_until(&fixture, is_played);
    stop(&fixture);
}

/* ---- closing ---- */

static void close_waits_for_exchanges(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, play_until_closed);
    fixture.holds = true;
    begin_well(&fixture);
    run_until(&fixture, is_called);
    bastion_close(fixture.bastion, &fixture, on_closed);
    assert_false(run_for(&fixture, 300, is_closed));
    assert_int_equal(fixture.gate.played, 1); /* the connection is gone already */
    assert_true(span_is_str(bastion_exchange_body(fixture.held[0]), "x"));
    respond(fixture.held[0]);
    assert_false(fixture.is_closed); /* only from the loop */
    fixture.closes = true;
    stop(&fixture);
}

static void play_ask_and_leave(struct bastion_gate *gate, SSL *ssl, struct h2_client *client)
{
    h2_request(client, "POST", "/echo", span_of_str("x"), NULL);
    CLAIM(gate, gate_ping(ssl, client)); /* so the request has come too */
    SSL_shutdown(ssl);
}

static bool is_called_twice(struct fixture *fixture)
{
    return fixture->called >= 2;
}

static void exchange_may_be_answered_after_a_loss(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, play_ask_and_leave);
    fixture.holds = true;
    begin_well(&fixture);
    run_until(&fixture, is_called_twice); /* on two connections */
    run_until(&fixture, is_lost);
    for (size_t i = 0; i < fixture.held_count; i++) {
        respond(fixture.held[i]);
    }
    fixture.holds = false;
    stop(&fixture);
}

static void handler_may_close(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, play_until_closed);
    fixture.closes = true;
    begin_well(&fixture);
    run_until(&fixture, is_called);
    stop(&fixture);
    assert_int_equal(fixture.called, 1);
}

static bool never(struct fixture *fixture)
{
    (void)fixture;
    return false;
}

static void close_is_quick_in_every_state(void **state)
{
    (void)state;
    for (uint64_t ms = 0; ms < 40; ms++) { /* resolving, connecting, shaking hands, serving */
        struct fixture fixture;
        start(&fixture, play_until_closed);
        begin_well(&fixture);
        (void)run_for(&fixture, ms / 4, never);
        bastion_close(fixture.bastion, &fixture, on_closed);
        assert_true(run_for(&fixture, 2000, is_closed));
        fixture.closes = true;
        stop(&fixture);
    }
}

static void nobody_listening_is_tried_again(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, play_requests);
    bastion_gate_open(&fixture.gate, &fixture.server, TLS1_3_VERSION);
    int reserved = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    assert_int_equal(bind(reserved, (struct sockaddr *)&address, len), 0);
    getsockname(reserved, (struct sockaddr *)&address, &len);
    char text[64];
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(address.sin_port));
    const struct bastion_options options = { .address = text,
                                             .ca_file = fixture.ca.cert_path,
                                             .key = fixture.key,
                                             .on_request = on_request };
    struct err err;
    assert_int_equal(bastion_new(&fixture.bastion, &fixture.loop, &options, &err), E_OK);
    assert_false(run_for(&fixture, 500, is_connected));
    stop(&fixture);
    close(reserved);
}

/* ---- what cannot be configured ---- */

static void device_free(void *ctx)
{
    (void)ctx;
}

static enum err_code device_sign(void *ctx, struct span message, struct ed25519_signature *out,
                                 struct err *err)
{
    (void)ctx, (void)message, (void)out;
    return err_set(err, E_IO, "not asked");
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct signing_key *key = signing_key_generate();
    static const char *const addresses[] = {
        "",
        "localhost",
        ":443",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "[::1]",
        "::1:443",
        "[::1:443",
        "[localhost]:443",
        "a b:443",
        "localhost:0443",
        "host/:443",
        "[]:443",
        "unix:/x:443",
        "localhost:-1",
    };
    struct bastion *bastion = NULL;
    struct err err;
    struct bastion_options options = { .key = key, .on_request = on_request };
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        options.address = addresses[i];
        assert_int_equal(bastion_new(&bastion, &loop, &options, &err), E_MALFORMED);
    }
    options.address = "localhost:443";
    options.ca_file = "/nowhere/ca.pem";
    assert_int_not_equal(bastion_new(&bastion, &loop, &options, &err), E_OK);
    assert_non_null(strstr(err.msg, "/nowhere/ca.pem"));

    static const struct signing_device device = { device_sign, device_free };
    struct ed25519_public public = signing_key_public(key);
    struct signing_key *far = signing_key_from_device(&public, &device, NULL);
    options = (struct bastion_options){ .address = "localhost:443",
                                        .key = far,
                                        .on_request = on_request };
    assert_int_equal(bastion_new(&bastion, &loop, &options, &err), E_UNSUPPORTED);
    assert_null(bastion);
    signing_key_free(far);
    signing_key_free(key);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_served_under_the_configured_key),
        cmocka_unit_test(lost_connection_is_made_again),
        cmocka_unit_test(goaway_ends_the_connection_after_the_answers),
        cmocka_unit_test(other_alpn_is_refused),
        cmocka_unit_test(tls_1_2_is_refused),
        cmocka_unit_test(untrusted_chain_is_refused),
        cmocka_unit_test(other_name_is_refused),
        cmocka_unit_test(garbage_ends_the_connection_and_no_more),
        cmocka_unit_test(bastion_that_says_nothing_is_given_up),
        cmocka_unit_test(close_waits_for_exchanges),
        cmocka_unit_test(exchange_may_be_answered_after_a_loss),
        cmocka_unit_test(handler_may_close),
        cmocka_unit_test(close_is_quick_in_every_state),
        cmocka_unit_test(nobody_listening_is_tried_again),
        cmocka_unit_test(bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
