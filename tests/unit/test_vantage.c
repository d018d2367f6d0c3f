/* Witnesses, logs and mirrors as vantages, played by a peer of the test's own, which answers with the bytes it was
 * told to: a real server would never send most of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "tests/support/vantage_world.h"
#include "tlog/peer_notes.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <zlib.h>

enum {
    POLL_MS = 20,
    ROUTES_MAX = 16,
};

/* -- the peer: what is asked for -> the bytes of the answer -- */

struct route {
    char path[160];
    struct buf answer; /* as sent, head and all; owned */
    atomic_int asked;
};

struct peer {
    int listener;
    pthread_t thread;
    char url[64];
    pthread_mutex_t lock; /* guards the routes */
    size_t route_count;
    struct route routes[ROUTES_MAX];
    atomic_int asked;     /* requests, of any path */
    atomic_int open;      /* conversations */
    atomic_bool is_mute;  /* takes a request and says nothing */
    atomic_bool is_deaf;  /* closes connections at once */
    atomic_bool is_brief; /* one answer a connection */
    atomic_bool is_empty; /* 404, whatever the routes say */
};

struct conversation {
    struct peer *peer;
    int fd;
};

static bool send_all(int fd, struct span rest)
{
    while (rest.len > 0) {
        ssize_t sent = send(fd, rest.data, rest.len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        rest = span_slice(rest, (size_t)sent, rest.len - (size_t)sent);
    }
    return true;
}

/* The answer to a path, copied: a route may be changed meanwhile. */
static struct buf answer_to(struct peer *peer, struct span path)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    pthread_mutex_lock(&peer->lock);
    for (size_t i = 0; i < peer->route_count; i++) {
        struct route *route = &peer->routes[i];
        if (span_is_str(path, route->path)) {
            route->asked++;
            if (!peer->is_empty) {
                buf_put(&out, buf_span(&route->answer));
            }
        }
    }
    pthread_mutex_unlock(&peer->lock);
    if (out.len == 0) {
        buf_put_str(&out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    }
    return out;
}

static bool answer_one(struct peer *peer, int fd)
{
    char text[4096];
    size_t len = 0;
    while (len < 4 || memmem(text, len, "\r\n\r\n", 4) == NULL) {
        ssize_t got = recv(fd, text + len, sizeof text - len, 0);
        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
    }
    peer->asked++;
    if (peer->is_mute) {
        return recv(fd, text, sizeof text, 0) > 0; /* until the other side has had enough */
    }
    struct span request = span_of(text, len), path = { 0 };
    assert_true(span_take_prefix(&request, span_of_str("GET ")));
    assert_true(span_take_until(&request, ' ', &path));
    struct buf answer = answer_to(peer, path);
    bool is_sent = send_all(fd, buf_span(&answer));
    buf_clear(&answer);
    return is_sent;
}

static void *converse(void *arg)
{
    struct conversation conversation = *(struct conversation *)arg;
    mem_free(arg);
    while (!conversation.peer->is_deaf && answer_one(conversation.peer, conversation.fd) &&
           !conversation.peer->is_brief) {
    }
    close(conversation.fd);
    conversation.peer->open--;
    return NULL;
}

static void *listen_on(void *arg)
{
    struct peer *peer = arg;
    int fd;
    while ((fd = accept(peer->listener, NULL, NULL)) >= 0) {
        struct conversation *conversation = NEW(struct conversation);
        *conversation = (struct conversation){ peer, fd };
        pthread_t thread;
        peer->open++;
        assert_int_equal(pthread_create(&thread, NULL, converse, conversation), 0);
        pthread_detach(thread);
    }
    return NULL;
}

static void peer_start(struct peer *peer)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof in;
    pthread_mutex_init(&peer->lock, NULL);
    peer->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(peer->listener, 16), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&in, &len), 0);
    snprintf(peer->url, sizeof peer->url, "http://127.0.0.1:%u/base", ntohs(in.sin_port));
    assert_int_equal(pthread_create(&peer->thread, NULL, listen_on, peer), 0);
}

/* After the vantage, which closes its connections. */
static void peer_stop(struct peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    while (peer->open > 0) {
        usleep(1000);
    }
    for (size_t i = 0; i < peer->route_count; i++) {
        buf_clear(&peer->routes[i].answer);
    }
    pthread_mutex_destroy(&peer->lock);
}

/* -- the fixture -- */

struct fixture {
    struct vantage_world world;
    struct peer peer;
    struct vantage *vantage;
    struct buf note; /* scratch */
};

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    world_open(&f->world);
    peer_start(&f->peer);
    buf_init(&f->note, SIZE_MAX);
    *state = f;
    return 0;
}

static void stop(struct fixture *f)
{
    if (f->vantage != NULL) {
        vantage_stop(f->vantage);
        f->vantage = NULL;
    }
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    stop(f);
    peer_stop(&f->peer);
    world_close(&f->world);
    buf_clear(&f->note);
    mem_free(f);
    return 0;
}

/* Of log number `log`, or of none: "/base/checkpoint". */
static struct route *route_of(struct fixture *f, int log, const char *end)
{
    struct buf path = BUF_INIT(160);
    buf_put_str(&path, "/base/");
    if (log >= 0) {
        hex_put(&path, hash_span(watched_log_origin_hash(f->world.watched[log].log)));
        buf_put_u8(&path, '/');
    }
    buf_put_str(&path, end);
    struct route *route = NULL;
    for (size_t i = 0; i < f->peer.route_count; i++) {
        if (span_is_str(buf_span(&path), f->peer.routes[i].path)) {
            route = &f->peer.routes[i];
        }
    }
    if (route == NULL) {
        assert_true(f->peer.route_count < ROUTES_MAX);
        route = &f->peer.routes[f->peer.route_count++];
        memcpy(route->path, buf_c_str(&path), path.len + 1);
        buf_init(&route->answer, SIZE_MAX);
    }
    buf_clear(&path);
    return route;
}

/* The whole answer, head and all. */
static struct route *serve_raw(struct fixture *f, int log, const char *end, struct span answer)
{
    pthread_mutex_lock(&f->peer.lock);
    struct route *route = route_of(f, log, end);
    buf_reset(&route->answer);
    buf_put(&route->answer, answer);
    pthread_mutex_unlock(&f->peer.lock);
    return route;
}

static struct route *serve_with(struct fixture *f, int log, const char *end, const char *headers,
                                struct span body)
{
    struct buf answer = BUF_INIT(SIZE_MAX);
    buf_putf(&answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n", body.len, headers);
    buf_put(&answer, body);
    struct route *route = serve_raw(f, log, end, buf_span(&answer));
    buf_clear(&answer);
    return route;
}

static struct route *serve(struct fixture *f, int log, const char *end, struct span body)
{
    return serve_with(f, log, end, "", body);
}

/* A note of log number `of`. */
static struct route *serve_note(struct fixture *f, int log, const char *end, size_t of,
                                uint64_t size)
{
    buf_reset(&f->note);
    world_put_note(&f->note, &f->world, of, size);
    return serve(f, log, end, buf_span(&f->note));
}

static void start(struct fixture *f)
{
    f->vantage = world_start(&f->world, f->peer.url, POLL_MS);
}

/* Until so many requests more have been answered. */
static void let_requests_pass(struct fixture *f, int count)
{
    int from = f->peer.asked;
    WAIT_FOR(f->peer.asked >= from + count);
}

/* -- HTTP: who serves what -- */

static void a_witness_is_asked_about_every_log(void **state)
{
    struct fixture *f = *state;
    struct buf peers = BUF_INIT(PEER_NOTES_BYTES_MAX);
    serve_note(f, 0, "checkpoint", 0, 4);
    serve_note(f, 1, "checkpoint", 1, 5);
    for (size_t log = 0; log < 2; log++) { /* what is of another log finds its own */
        buf_reset(&f->note);
        world_put_note(&f->note, &f->world, log + 1, 6);
        peer_notes_put(&peers, buf_span(&f->note));
    }
    serve(f, 1, "peers", buf_span(&peers));
    f->world.memories[1].result = COMPARE_AHEAD;
    start(f);
    WAIT_FOR(f->world.memories[0].calls >= 1 && f->world.memories[1].calls >= 2 &&
             f->world.memories[2].calls >= 1);
    WAIT_FOR(world_status(f->vantage).last_answer_s > 0);
    struct vantage_status status = world_status(f->vantage);
    assert_string_equal(status.last_error, "");
    assert_int_equal(status.unusable, 0);
    assert_true(status.notes >= 4);
    assert_int_equal(f->world.memories[0].last_size, 4);
    assert_string_equal(f->world.memories[0].vantage, f->peer.url);
    buf_clear(&peers);
}

static void a_log_at_another_address_is_found_by_its_notes_origin(void **state)
{
    struct fixture *f = *state;
    serve_note(f, -1, "checkpoint", 2, 7);
    start(f);
    WAIT_FOR(f->world.memories[2].calls == 1);
    assert_int_equal(f->world.memories[2].last_size, 7);
    assert_int_equal(f->world.memories[0].calls + f->world.memories[0].strange, 0);
}

static void what_is_not_served_is_not_asked_for_again(void **state)
{
    struct fixture *f = *state;
    struct route *log = serve_note(f, -1, "checkpoint", 0, 7);
    struct route *witness =
        serve_raw(f, 0, "checkpoint",
                  span_of_str("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
    struct route *peers =
        serve_raw(f, 0, "peers",
                  span_of_str("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"));
    start(f);
    WAIT_FOR(log->asked >= 10);
    assert_int_equal(witness->asked, 1);
    assert_int_equal(peers->asked, 1);
    assert_int_equal(world_status(f->vantage).failures, 0);
}

static void who_serves_nothing_is_asked_for_all_until_it_does(void **state)
{
    struct fixture *f = *state;
    start(f);
    WAIT_FOR(world_status(f->vantage).failures >= 3);
    struct vantage_status status = world_status(f->vantage);
    assert_non_null(strstr(status.last_error, "serves no checkpoint"));
    assert_int_equal(status.last_answer_s, 0);
    serve_note(f, 1, "checkpoint", 1, 7);
    WAIT_FOR(f->world.memories[1].calls == 1);
    WAIT_FOR(world_status(f->vantage).last_error[0] == '\0');
    f->peer.is_empty = true; /* and stops: then all is asked again */
    WAIT_FOR(world_status(f->vantage).last_error[0] != '\0');
    f->peer.is_empty = false;
    serve_note(f, -1, "checkpoint", 2, 7);
    WAIT_FOR(f->world.memories[2].calls >= 1);
}

/* -- HTTP: what comes -- */

static void a_note_that_agrees_is_not_compared_again(void **state)
{
    struct fixture *f = *state;
    f->world.memories[0].result = COMPARE_CONSISTENT;
    serve_note(f, -1, "checkpoint", 0, 7);
    start(f);
    let_requests_pass(f, 20);
    assert_int_equal(f->world.memories[0].calls, 1);
    serve_note(f, -1, "checkpoint", 0, 8);
    WAIT_FOR(f->world.memories[0].calls == 2);
    let_requests_pass(f, 10);
    assert_int_equal(f->world.memories[0].calls, 2);
}

static void a_note_that_contradicts_or_waits_is_compared_at_every_poll(void **state)
{
    struct fixture *f = *state;
    f->world.memories[0].result = COMPARE_CONTRADICTION;
    f->world.memories[1].result = COMPARE_AHEAD;
    serve_note(f, 0, "checkpoint", 0, 7);
    serve_note(f, 1, "checkpoint", 1, 7);
    start(f);
    WAIT_FOR(f->world.memories[0].calls >= 5 && f->world.memories[1].calls >= 5);
    assert_int_equal(world_status(f->vantage).contradictions, 1);
}

static void a_note_that_the_store_refused_comes_again(void **state)
{
    struct fixture *f = *state;
    f->world.memories[0].failure = E_IO;
    serve_note(f, -1, "checkpoint", 0, 7);
    start(f);
    WAIT_FOR(f->world.memories[0].calls >= 3);
    assert_string_equal(world_status(f->vantage).last_error,
                        ""); /* it is not the vantage's fault */
}

static void notes_under_other_keys_are_counted_and_passed_over(void **state)
{
    struct fixture *f = *state;
    struct tree_log forger = tree_log_make("log0.example", "another secret");
    struct tree_log stranger = tree_log_make("stranger.example", "a secret");
    struct hash root = tree_log_root(&f->world.logs[0], 4);
    tree_log_put_note(&f->note, &forger, 9, &root);
    serve(f, 0, "checkpoint", buf_span(&f->note));
    buf_reset(&f->note);
    tree_log_put_note(&f->note, &stranger, 9, &root);
    serve(f, 1, "checkpoint", buf_span(&f->note));
    start(f);
    WAIT_FOR(world_status(f->vantage).unusable >= 4);
    struct vantage_status status = world_status(f->vantage);
    assert_int_equal(status.notes, 0);
    assert_int_equal(status.contradictions, 0);
    assert_int_equal(f->world.memories[0].calls, 0);
    signer_clear(&forger.signer);
    signer_clear(&stranger.signer);
}

static void hostile_bodies_are_nothing_and_do_not_hide_the_others(void **state)
{
    struct fixture *f = *state;
    static const uint8_t noise[] = { 0, 0xff, 0xfe, '\n', 0x1b, '[', '2', 'J', '\n', '\n' };
    serve(f, 0, "checkpoint", SPAN_OF_ARRAY(noise));
    serve(f, 1, "checkpoint", span_of(NULL, 0));
    serve(f, 0, "peers", span_of_str("note 99999999999999999999\n"));
    serve(f, 1, "peers", span_of_str("note 5\nhello"));
    serve_note(f, 2, "checkpoint", 2, 7);
    start(f);
    WAIT_FOR(f->world.memories[2].calls == 1);
    WAIT_FOR(world_status(f->vantage).unusable >= 8);
    assert_string_equal(world_status(f->vantage).last_error, "");
    assert_int_equal(f->world.memories[0].calls + f->world.memories[1].calls, 0);
}

/* -- HTTP: how it comes -- */

static void a_redirect_is_not_followed(void **state)
{
    struct fixture *f = *state;
    struct buf answer = BUF_INIT(4096);
    struct route *elsewhere = serve_note(f, -1, "elsewhere", 0, 7);
    buf_putf(&answer, "HTTP/1.1 302 Found\r\nLocation: %s/elsewhere\r\nContent-Length: 0\r\n\r\n",
             f->peer.url);
    serve_raw(f, -1, "checkpoint", buf_span(&answer));
    start(f);
    WAIT_FOR(world_status(f->vantage).failures >= 2);
    assert_non_null(strstr(world_status(f->vantage).last_error, "302"));
    assert_int_equal(elsewhere->asked, 0);
    assert_int_equal(f->world.memories[0].calls, 0);
    buf_clear(&answer);
}

static void put_gzipped(struct buf *out, size_t bytes)
{
    static uint8_t zeroes[64 * 1024];
    z_stream z = { 0 };
    memset(zeroes, '\n', sizeof zeroes);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    for (size_t done = 0; done <= bytes; done += sizeof zeroes) {
        int flush = done + sizeof zeroes > bytes ? Z_FINISH : Z_NO_FLUSH;
        z.next_in = zeroes;
        z.avail_in = sizeof zeroes;
        do {
            uint8_t chunk[4096];
            z.next_out = chunk;
            z.avail_out = sizeof chunk;
            deflate(&z, flush);
            buf_put(out, span_of(chunk, sizeof chunk - z.avail_out));
        } while (z.avail_out == 0);
    }
    deflateEnd(&z);
}

static void a_gzip_bomb_is_too_large_and_a_zipped_note_is_a_note(void **state)
{
    struct fixture *f = *state;
    struct buf bomb = BUF_INIT(SIZE_MAX);
    put_gzipped(&bomb, 256 * 1024 * 1024);
    assert_true(bomb.len < 1024 * 1024);
    serve_with(f, -1, "checkpoint", "Content-Encoding: gzip\r\n", buf_span(&bomb));
    start(f);
    WAIT_FOR(world_status(f->vantage).failures >= 1);
    assert_int_equal(world_status(f->vantage).last_answer_s, 0);
    assert_non_null(strstr(world_status(f->vantage).last_error, "/base/checkpoint"));
    serve_note(f, -1, "checkpoint", 0, 7);
    WAIT_FOR(f->world.memories[0].calls == 1);
    buf_clear(&bomb);
}

static void a_body_that_is_cut_or_not_http_is_a_failure(void **state)
{
    struct fixture *f = *state;
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nlog0.example\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
    };
    f->peer.is_brief = true;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        serve_raw(f, -1, "checkpoint", span_of_str(answers[i]));
        start(f);
        WAIT_FOR(world_status(f->vantage).failures >= 1);
        assert_int_equal(world_status(f->vantage).last_answer_s, 0);
        stop(f);
    }
    assert_int_equal(f->world.memories[0].calls, 0);
}

static void who_is_overloaded_is_asked_nothing_more_in_that_round(void **state)
{
    struct fixture *f = *state;
    struct route *log =
        serve_raw(f, -1, "checkpoint",
                  span_of_str("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"));
    struct route *witness = serve_note(f, 0, "checkpoint", 0, 7);
    start(f);
    WAIT_FOR(log->asked >= 5);
    assert_int_equal(witness->asked, 0);
    assert_non_null(strstr(world_status(f->vantage).last_error, "503"));
}

static void who_is_silent_is_asked_once_a_round_and_does_not_hold_up_the_stop(void **state)
{
    struct fixture *f = *state;
    time_t before = time(NULL);
    serve_note(f, 0, "checkpoint", 0, 7);
    f->peer.is_mute = true;
    f->vantage = world_start(&f->world, f->peer.url, 3600 * 1000);
    WAIT_FOR(f->peer.asked == 1);
    stop(f); /* while it waits */
    time_t took = time(NULL) - before;
    assert_true(took <= VANTAGE_TIMEOUT_MS / 1000 + 2);
    assert_int_equal(f->peer.asked, 1);
}

static void who_hangs_up_has_failed_and_is_asked_again(void **state)
{
    struct fixture *f = *state;
    serve_note(f, -1, "checkpoint", 0, 7);
    f->peer.is_deaf = true;
    start(f);
    WAIT_FOR(world_status(f->vantage).failures >= 2);
    assert_true(world_status(f->vantage).last_error[0] != '\0');
    f->peer.is_deaf = false;
    WAIT_FOR(f->world.memories[0].calls == 1);
    WAIT_FOR(world_status(f->vantage).last_error[0] == '\0');
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_witness_is_asked_about_every_log),
        CASE(a_log_at_another_address_is_found_by_its_notes_origin),
        CASE(what_is_not_served_is_not_asked_for_again),
        CASE(who_serves_nothing_is_asked_for_all_until_it_does),
        CASE(a_note_that_agrees_is_not_compared_again),
        CASE(a_note_that_contradicts_or_waits_is_compared_at_every_poll),
        CASE(a_note_that_the_store_refused_comes_again),
        CASE(notes_under_other_keys_are_counted_and_passed_over),
        CASE(hostile_bodies_are_nothing_and_do_not_hide_the_others),
        CASE(a_redirect_is_not_followed),
        CASE(a_gzip_bomb_is_too_large_and_a_zipped_note_is_a_note),
        CASE(a_body_that_is_cut_or_not_http_is_a_failure),
        CASE(who_is_overloaded_is_asked_nothing_more_in_that_round),
        CASE(who_is_silent_is_asked_once_a_round_and_does_not_hold_up_the_stop),
        CASE(who_hangs_up_has_failed_and_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
