/* The service against peers of the test's own, which write down what they are asked. */
#include "base/alloc.h"
#include "base/ascii.h"
#include "base/log.h"
#include "tests/support/files.h"
#include "tests/support/keys.h"
#include "tlog/merkle.h"
#include "witness/guard_service.h"
#include "witness/peer_memory.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    PEERS = 2,
    LOGS_MAX = 40,
    TEXT_MAX = 4096,
    WAIT_MS = 60 * 1000
};

/* --- Peers. --- */

struct peer {
    int listener;
    pthread_t thread;
    char url[64];
    atomic_int requests;        /* of checkpoints */
    atomic_int status;          /* answered to those; 0: closes without an answer */
    atomic_int failures;        /* so many of them get a 500 first */
    atomic_int body_size;       /* not 0: a body of so many bytes instead of `body` */
    atomic_int memory_requests; /* of what it remembers of its peers */
    atomic_int memory_status;
    pthread_mutex_t mutex; /* guards all below once it is started */
    char body[TEXT_MAX], memory_body[TEXT_MAX];
    atomic_bool
        is_script_of_memory; /* so many requests of one kind get these first, the last one first */
    atomic_int script_left;
    int script[LOGS_MAX];
    int path_count;
    char paths[LOGS_MAX * 4][256];
};

static int status_of(struct peer *peer, bool is_memory)
{
    if (peer->script_left > 0 && is_memory == peer->is_script_of_memory) {
        return peer->script[--peer->script_left];
    }
    if (is_memory) {
        return peer->memory_status;
    }
    if (peer->failures > 0) {
        peer->failures--;
        return 500;
    }
    return peer->status;
}

static void answer(struct peer *peer, int fd)
{
    char request[TEXT_MAX] = "", head[256];
    size_t len = 0;
    while (strstr(request, "\r\n\r\n") == NULL) {
        ssize_t got = recv(fd, request + len, sizeof request - 1 - len, 0);
        if (got <= 0) {
            return;
        }
        len += (size_t)got;
        request[len] = '\0';
    }
    char path[256] = "", body[TEXT_MAX];
    sscanf(request, "GET %255s HTTP", path);
    bool is_memory = span_has_suffix(span_of_str(path), span_of_str("/peers"));
    pthread_mutex_lock(&peer->mutex);
    if (peer->path_count < LOGS_MAX * 4) {
        memcpy(peer->paths[peer->path_count++], path, sizeof path);
    }
    memcpy(body, is_memory ? peer->memory_body : peer->body, sizeof body);
    pthread_mutex_unlock(&peer->mutex);
    int status = status_of(peer, is_memory);
    size_t size = !is_memory && peer->body_size != 0 ? (size_t)peer->body_size : strlen(body);
    snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
             status, size);
    if (status != 0) {
        send(fd, head, strlen(head), MSG_NOSIGNAL);
        char *sent = calloc(1, size + 1);
        memcpy(sent, body, size < strlen(body) ? size : strlen(body));
        send(fd, sent, size, MSG_NOSIGNAL);
        free(sent);
    }
    if (is_memory) {
        peer->memory_requests++;
    } else {
        peer->requests++;
    }
}

static void *serve(void *arg)
{
    struct peer *peer = arg;
    int fd;
    while ((fd = accept(peer->listener, NULL, NULL)) >= 0) {
        answer(peer, fd);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    return NULL;
}

static void peer_start(struct peer *peer)
{
    memset(peer, 0, sizeof *peer);
    peer->status = peer->memory_status = 404;
    pthread_mutex_init(&peer->mutex, NULL);
    peer->listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof in;
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(peer->listener, 64), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&in, &len), 0);
    snprintf(peer->url, sizeof peer->url, "http://127.0.0.1:%d", ntohs(in.sin_port));
    assert_int_equal(pthread_create(&peer->thread, NULL, serve, peer), 0);
}

static void peer_stop(struct peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    pthread_mutex_destroy(&peer->mutex);
}

static bool was_asked_for(struct peer *peer, const char *path)
{
    bool is_there = false;
    pthread_mutex_lock(&peer->mutex);
    for (int i = 0; i < LOGS_MAX * 4; i++) {
        is_there = is_there || strcmp(peer->paths[i], path) == 0;
    }
    pthread_mutex_unlock(&peer->mutex);
    return is_there;
}

/* --- A witness. --- */

static uv_loop_t loop;
static struct work *work;
static struct ledger *ledger;
static struct guard *guard;
static struct log_table *table;
static struct guard_service *service;
static struct peer peers[PEERS], log_site;
static struct signer log_key, witness_key;
static struct vkey own;
static struct evidence_keep *evidence;
static char *evidence_dir;
static uint64_t poll_ms;
static struct err err;
static int closed;

static void on_added(void *ctx, struct known_log *log)
{
    (void)ctx;
    guard_add(guard, log);
}

static void add_log(const char *origin, const char *url)
{
    struct signer key = keys_signer(origin, SIGNATURE_ED25519, origin);
    struct buf text = BUF_INIT(TEXT_MAX);
    struct log_list list;
    buf_put_str(&text, "log ");
    vkey_put(&text, &key.vkey);
    buf_putf(&text, "%s%s\n", url == NULL ? "" : " ", url == NULL ? "" : url);
    assert_int_equal(log_list_parse(&list, buf_span(&text), &err), E_OK);
    log_table_add(table, &list, false, "witness.example", NULL, on_added);
    log_list_clear(&list);
    buf_clear(&text);
    signer_clear(&key);
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    work = work_new(&loop, 2);
    ledger = ledger_start(&(struct ledger_options){ .kv = kv_memory_new() });
    log_key = keys_signer("log.example", SIGNATURE_ED25519, "log.example");
    witness_key = keys_signer("witness.example", SIGNATURE_COSIGNATURE, "w");
    own = witness_key.vkey;
    guard = guard_new(ledger, &own, 1, PEERS);
    table = log_table_new();
    evidence_dir = files_make_temp_dir();
    assert_int_equal(evidence_keep_open(&evidence, evidence_dir, &err), E_OK);
    poll_ms = 3600 * 1000;
    for (int i = 0; i < PEERS; i++) {
        peer_start(&peers[i]);
    }
    peer_start(&log_site);
    service = NULL;
    closed = 0;
    return 0;
}

static void on_closed(void *ctx)
{
    (void)ctx;
    closed++;
}

static int teardown(void **state)
{
    (void)state;
    if (service != NULL) {
        guard_service_close(service, NULL, on_closed);
        while (closed == 0) {
            uv_run(&loop, UV_RUN_ONCE);
        }
    }
    work_close(work, NULL, on_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    guard_free(guard);
    ledger_stop(ledger);
    log_table_free(table);
    evidence_keep_close(evidence);
    files_remove_tree(evidence_dir);
    for (int i = 0; i < PEERS; i++) {
        peer_stop(&peers[i]);
    }
    peer_stop(&log_site);
    signer_clear(&log_key);
    signer_clear(&witness_key);
    return 0;
}

static void add_logs(void)
{
    for (int i = 0; i < LOGS_MAX; i++) {
        char origin[64];
        snprintf(origin, sizeof origin, "log.example/%d", i);
        add_log(origin, NULL);
    }
}

static void start_with(const char *first_url)
{
    static const char *urls[PEERS];
    urls[0] = first_url;
    urls[1] = peers[1].url;
    service = guard_service_start(&(struct guard_service_options){
        &loop, work, table, guard, ledger, evidence, urls, PEERS, poll_ms });
}

static void start(void)
{
    start_with(peers[0].url);
}

static void turn(int ms)
{
    uint64_t end = uv_hrtime() + (uint64_t)ms * 1000000;
    while (uv_hrtime() < end) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

static struct known_log *log_at(size_t i)
{
    return log_table_at(table, i);
}

static enum guard_verdict verdict(size_t i)
{
    char reason[256];
    return guard_verdict(guard, log_at(i), reason, sizeof reason);
}

static void wait_verdict(size_t i, enum guard_verdict expected)
{
    for (int ms = 0; ms < WAIT_MS && verdict(i) != expected; ms += 5) {
        turn(5);
    }
    assert_int_equal(verdict(i), expected);
}

/* Of that size and history, cosigned by somebody. */
static void put_note(char *out, uint64_t size, const char *history, const struct signer *witness)
{
    struct buf note = BUF_INIT(TEXT_MAX), text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    struct checkpoint checkpoint = { .origin = "log.example", .size = size };
    checkpoint.root = sha256(span_of_str(history));
    checkpoint_put(&text, &checkpoint);
    buf_put(&note, buf_span(&text));
    buf_put_str(&note, "\n");
    keys_put_signature(&note, buf_span(&text), &log_key, 0);
    keys_put_signature(&note, buf_span(&text), witness, 1000);
    memcpy(out, buf_c_str(&note), note.len + 1);
    buf_clear(&note);
    buf_clear(&text);
}

static void put_own_note(char *out, uint64_t size)
{
    put_note(out, size, "x", &witness_key);
}

/* The peer's own checkpoint from now on. */
static void set_note(struct peer *peer, uint64_t size, const char *history)
{
    struct signer key = keys_signer("peer.example", SIGNATURE_COSIGNATURE, "peer");
    pthread_mutex_lock(&peer->mutex);
    put_note(peer->body, size, history, &key);
    pthread_mutex_unlock(&peer->mutex);
    peer->status = 200;
    signer_clear(&key);
}

/* What is remembered of the first log: the largest size, 0 for none. */
static uint64_t remembered(size_t *count)
{
    struct buf body = BUF_INIT(PEER_NOTES_BYTES_MAX);
    struct peer_notes notes = { 0 };
    uint64_t size = 0;
    if (peer_memory_put(ledger, &log_at(0)->origin_hash, &body, &err) == E_OK) {
        assert_int_equal(peer_notes_parse(&notes, buf_span(&body), &err), E_OK);
    }
    for (size_t i = 0; i < notes.count; i++) {
        struct note note;
        struct checkpoint checkpoint;
        assert_int_equal(note_parse(&note, notes.notes[i], &err), E_OK);
        assert_int_equal(checkpoint_parse(&checkpoint, note.text, &err), E_OK);
        size = checkpoint.size > size ? checkpoint.size : size;
        note_clear(&note);
    }
    buf_clear(&body);
    *count = notes.count;
    return size;
}

static void wait_remembered(size_t expected, uint64_t size)
{
    size_t count = 0;
    uint64_t found = 0;
    for (int ms = 0; ms < WAIT_MS && (found != size || count != expected); ms += 20) {
        turn(20);
        found = remembered(&count);
    }
    assert_int_equal(found, size);
    assert_int_equal(count, expected);
}

static void put_path(char *out, const char *before)
{
    struct buf path = BUF_INIT(256);
    buf_put_str(&path, before);
    hex_put(&path, hash_span(&log_at(0)->origin_hash));
    buf_put_str(&path, "/checkpoint");
    memcpy(out, buf_c_str(&path), path.len + 1);
    buf_clear(&path);
}

/* --- Cases. --- */

static void peers_and_the_log_are_asked_at_the_start(void **state)
{
    (void)state;
    char path[256], slashed[128], url[128];
    snprintf(url, sizeof url, "%s/logs/one/", log_site.url);
    add_log("log.example", url);
    snprintf(slashed, sizeof slashed, "%s/monitor//", peers[0].url);
    start_with(slashed);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    wait_verdict(0, GUARD_OPEN);
    put_path(path, "/monitor/");
    assert_true(was_asked_for(&peers[0], path));
    memcpy(strrchr(path, '/'), "/peers", sizeof "/peers");
    assert_true(was_asked_for(&peers[0], path));
    put_path(path, "/");
    assert_true(was_asked_for(&peers[1], path));
    for (int ms = 0; ms < WAIT_MS && log_site.requests == 0; ms += 5) {
        turn(5);
    }
    assert_true(was_asked_for(&log_site, "/logs/one/checkpoint"));
    assert_int_equal(peers[0].requests, 1);
    assert_int_equal(peers[1].requests, 1);
    assert_int_equal(peers[0].memory_requests, 1);
    assert_int_equal(log_site.memory_requests, 0);
}

static void newer_note_of_a_peer_refuses(void **state)
{
    (void)state;
    add_log("log.example", NULL);
    put_own_note(peers[1].body, 9);
    peers[1].status = 200;
    start();
    wait_verdict(0, GUARD_REFUSED);
}

static void newer_note_of_the_log_itself_refuses(void **state)
{
    (void)state;
    add_log("log.example", log_site.url);
    put_own_note(log_site.body, 9);
    log_site.status = 200;
    start();
    wait_verdict(0, GUARD_REFUSED);
}

static void put_memory(struct peer *peer, const char *note)
{
    struct buf body = BUF_INIT(TEXT_MAX);
    peer_notes_put(&body, span_of_str("some other note\n"));
    peer_notes_put(&body, span_of_str(note));
    memcpy(peer->memory_body, buf_c_str(&body), body.len + 1);
    peer->memory_status = 200;
    buf_clear(&body);
}

/* Another witness never shows our cosignature as its own checkpoint, but it remembers what we showed. */
static void newer_note_that_a_peer_remembers_refuses(void **state)
{
    (void)state;
    char note[TEXT_MAX];
    size_t count;
    add_log("log.example", NULL);
    put_own_note(note, 9);
    put_memory(&peers[1], note);
    start();
    wait_verdict(0, GUARD_REFUSED);
    turn(50);
    assert_int_equal(remembered(&count), 0); /* not the peer's own: not passed on */
}

static void peer_has_answered_when_both_questions_are(void **state)
{
    (void)state;
    add_log("log.example", NULL);
    peers[0].memory_status = 503;
    peers[1].memory_status = 0;
    start();
    for (int ms = 0; ms < WAIT_MS && peers[0].memory_requests + peers[1].memory_requests < 2;
         ms += 5) {
        turn(5);
    }
    turn(100);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    assert_int_equal(peers[0].requests, 1);
    assert_int_equal(peers[1].requests, 1);
    peers[0].memory_status = 405; /* foreign ones need not have it */
    peers[1].memory_status = 501;
    wait_verdict(0, GUARD_OPEN);
    assert_int_equal(peers[0].requests, 1);
}

static void wait_requests(atomic_int *requests, int count)
{
    for (int ms = 0; ms < WAIT_MS && *requests < count; ms += 5) {
        turn(5);
    }
    assert_true(*requests >= count);
    turn(20); /* what was answered last is judged */
}

/* What a proxy, a login page or a peer in trouble says is asked again, and says nothing: each for a log of
 * its own, and then 404. */
static void assert_no_answers(bool is_memory, const int *statuses, int count)
{
    for (int i = 0; i < count; i++) {
        char origin[64];
        snprintf(origin, sizeof origin, "log.example/%d", i);
        add_log(origin, NULL);
        peers[0].script[i] = statuses[i];
    }
    snprintf(peers[0].body, sizeof peers[0].body, "<html>please log in</html>");
    snprintf(peers[0].memory_body, sizeof peers[0].memory_body, "<html>please log in</html>");
    atomic_int *status = is_memory ? &peers[0].memory_status : &peers[0].status;
    *status = 503;
    peers[0].is_script_of_memory = is_memory;
    peers[0].script_left = count;
    start();
    for (int ms = 0; ms < WAIT_MS && peers[0].script_left > 0; ms += 5) {
        turn(5);
    }
    turn(200);
    for (int i = 0; i < count; i++) {
        assert_int_equal(verdict((size_t)i), GUARD_CHECKING);
    }
    *status = 404;
    for (int i = 0; i < count; i++) {
        wait_verdict((size_t)i, GUARD_OPEN);
    }
}

static void checkpoint_is_answered_by_404_and_a_note_of_the_log_only(void **state)
{
    (void)state;
    static const int statuses[] = { 200, 204, 401, 403, 405, 429, 500, 501 };
    assert_no_answers(false, statuses, sizeof statuses / sizeof statuses[0]);
}

static void memory_is_answered_by_few_statuses_only(void **state)
{
    (void)state;
    static const int statuses[] = { 200, 204, 400, 401, 403, 429, 500, 502 };
    assert_no_answers(true, statuses, sizeof statuses / sizeof statuses[0]);
}

/* Under a key that is not the log's, or of another log, all is well formed. */
static void note_of_somebody_else_is_no_answer(void **state)
{
    (void)state;
    add_log("log.example", NULL);
    add_log("log.example/2", NULL);
    set_note(&peers[0], 5, "x"); /* of the first log, whichever is asked about */
    start();
    wait_verdict(0, GUARD_OPEN);
    wait_requests(&peers[0].requests, 3);
    assert_int_equal(verdict(1), GUARD_CHECKING);
}

/* The honest one may be the slow one. */
static void peer_that_is_late_is_asked_until_it_has_answered(void **state)
{
    (void)state;
    char note[TEXT_MAX];
    add_log("log.example", NULL);
    guard_set_peers(guard, NULL, 1);
    peers[1].status = 0;
    peers[1].memory_status = 503;
    start();
    wait_verdict(0, GUARD_OPEN);
    int requests = peers[1].requests;
    peers[1].status = 404;
    wait_requests(&peers[1].requests, requests + 1);
    assert_int_equal(verdict(0), GUARD_OPEN); /* the other question is still open too */
    put_own_note(note, 9);
    put_memory(&peers[1], note);
    wait_verdict(0, GUARD_REFUSED);
    requests = peers[1].memory_requests;
    turn(1500);
    assert_int_equal(peers[1].memory_requests, requests);
}

/* It takes some of the places, and then next to none. */
static void peer_that_hangs_does_not_hold_up_the_other(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char url[64];
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof in;
    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(in.sin_port));
    add_logs();
    uint64_t begin = uv_hrtime();
    start_with(url);
    wait_requests(&peers[1].requests, LOGS_MAX);
    wait_requests(&peers[1].memory_requests, LOGS_MAX);
    assert_true((uv_hrtime() - begin) / 1000000 < GUARD_SERVICE_TIMEOUT_MS);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    close(fd);
}

static void memory_that_is_garbage_is_no_answer(void **state)
{
    (void)state;
    add_log("log.example", NULL);
    snprintf(peers[0].memory_body, sizeof peers[0].memory_body, "note 5\nx");
    peers[0].memory_status = 200;
    start();
    wait_requests(&peers[0].memory_requests, 2);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    peers[0].memory_status = 404;
    wait_verdict(0, GUARD_OPEN);
}

static void notes_of_peers_are_remembered_from_the_start(void **state)
{
    (void)state;
    add_log("log.example", NULL);
    set_note(&peers[0], 5, "x");
    set_note(&peers[1], 7, "y");
    start();
    wait_remembered(2, 7);
    wait_verdict(0, GUARD_OPEN);
    assert_int_equal(evidence_keep_count(evidence), 0);
}

static void peers_are_polled_and_the_newest_note_stays(void **state)
{
    (void)state;
    add_log("log.example", NULL);
    poll_ms = 1000;
    start();
    wait_verdict(0, GUARD_OPEN);
    set_note(&peers[0], 5, "x");
    wait_remembered(1, 5);
    set_note(&peers[0], 9, "y");
    wait_remembered(1, 9);
    set_note(&peers[0], 6, "z"); /* restored from a backup */
    int requests = peers[0].requests;
    for (int ms = 0; ms < WAIT_MS && peers[0].requests < requests + 2; ms += 20) {
        turn(20);
    }
    wait_remembered(1, 9);
    assert_int_equal(peers[0].memory_requests, 1); /* asked at the start only */
}

static void two_histories_shown_by_peers_become_evidence(void **state)
{
    (void)state;
    add_log("log.example", NULL);
    set_note(&peers[0], 5, "x");
    set_note(&peers[1], 5, "y");
    start();
    for (int ms = 0; ms < WAIT_MS && evidence_keep_count(evidence) == 0; ms += 20) {
        turn(20);
    }
    turn(100);
    assert_int_equal(evidence_keep_count(evidence), 1);
}

static void polls_are_limited_and_leave_out_who_does_not_answer(void **state)
{
    (void)state;
    add_logs();
    poll_ms = 1000;
    start();
    for (size_t i = 0; i < LOGS_MAX; i++) {
        wait_verdict(i, GUARD_OPEN);
    }
    peers[0].status = 0;
    int first = peers[0].requests, second = peers[1].requests;
    turn(4000);
    first = peers[0].requests - first;
    second = peers[1].requests - second;
    assert_in_range(second, 20, 5 * GUARD_SERVICE_POLLS_PER_SECOND_MAX);
    assert_true(first < second);
}

/* Without waiting for the next tick by the clock. */
static void look_reads_what_was_added(void **state)
{
    (void)state;
    char reason[64];
    start();
    turn(50);
    add_log("log.example", NULL);
    guard_verdict(guard, log_at(0), reason, sizeof reason);
    assert_non_null(strstr(reason, "not been read"));
    uint64_t begin = uv_hrtime();
    guard_service_look(service);
    while (strstr(reason, "not been read") != NULL && uv_hrtime() - begin < 500000000) {
        turn(1);
        guard_verdict(guard, log_at(0), reason, sizeof reason);
    }
    assert_null(strstr(reason, "not been read"));
}

static void log_that_is_added_later_is_asked_about(void **state)
{
    (void)state;
    start();
    turn(20);
    add_log("log.example", NULL);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    wait_verdict(0, GUARD_OPEN);
}

static void peer_that_fails_is_asked_again_while_it_is_waited_for(void **state)
{
    (void)state;
    add_log("log.example", NULL);
    peers[0].status = 0;
    peers[1].failures = 1;
    start();
    turn(100);
    assert_int_equal(verdict(0), GUARD_CHECKING); /* neither has answered */
    peers[0].status = 404;
    wait_verdict(0, GUARD_OPEN);
    assert_int_equal(peers[1].requests, 2);
    int requests = peers[0].requests;
    turn(1500);
    assert_int_equal(peers[0].requests, requests); /* and then no more */
}

/* Nothing comes of it but that the others open the log in time. */
static void answer_that_is_too_large_is_none(void **state)
{
    (void)state;
    add_log("log.example", NULL);
    peers[0].status = 200;
    peers[0].body_size = LEDGER_NOTE_BYTES_MAX + 1;
    start();
    for (int ms = 0; ms < WAIT_MS && peers[0].requests + peers[1].requests < 2; ms += 5) {
        turn(5);
    }
    turn(100);
    assert_int_equal(verdict(0), GUARD_CHECKING);
}

static void conflict_asks_again_but_not_at_once(void **state)
{
    (void)state;
    add_log("log.example", NULL);
    start();
    wait_verdict(0, GUARD_OPEN);
    int requests = peers[0].requests + peers[1].requests;
    for (int i = 0; i < 50; i++) {
        guard_service_ask(service, log_at(0)); /* within GUARD_ASK_AGAIN_MS of the start */
    }
    turn(200);
    assert_int_equal(peers[0].requests + peers[1].requests, requests);
}

static void many_logs_are_all_asked_about(void **state)
{
    (void)state;
    add_logs();
    start();
    for (size_t i = 0; i < LOGS_MAX; i++) {
        wait_verdict(i, GUARD_OPEN);
    }
    assert_int_equal(peers[0].requests, LOGS_MAX);
    assert_int_equal(peers[1].requests, LOGS_MAX);
    assert_int_equal(peers[0].memory_requests, LOGS_MAX);
}

static void closing_does_not_wait_for_answers(void **state)
{
    (void)state;
    add_logs();
    start();
    turn(3); /* questions are on their way: teardown closes the service */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(peers_and_the_log_are_asked_at_the_start),
        TEST(newer_note_of_a_peer_refuses),
        TEST(newer_note_of_the_log_itself_refuses),
        TEST(newer_note_that_a_peer_remembers_refuses),
        TEST(peer_has_answered_when_both_questions_are),
        TEST(memory_that_is_garbage_is_no_answer),
        TEST(checkpoint_is_answered_by_404_and_a_note_of_the_log_only),
        TEST(memory_is_answered_by_few_statuses_only),
        TEST(note_of_somebody_else_is_no_answer),
        TEST(peer_that_is_late_is_asked_until_it_has_answered),
        TEST(peer_that_hangs_does_not_hold_up_the_other),
        TEST(look_reads_what_was_added),
        TEST(notes_of_peers_are_remembered_from_the_start),
        TEST(peers_are_polled_and_the_newest_note_stays),
        TEST(two_histories_shown_by_peers_become_evidence),
        TEST(polls_are_limited_and_leave_out_who_does_not_answer),
        TEST(log_that_is_added_later_is_asked_about),
        TEST(peer_that_fails_is_asked_again_while_it_is_waited_for),
        TEST(answer_that_is_too_large_is_none),
        TEST(conflict_asks_again_but_not_at_once),
        TEST(many_logs_are_all_asked_about),
        TEST(closing_does_not_wait_for_answers),
    };
    log_set_level(LOG_LEVEL_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
