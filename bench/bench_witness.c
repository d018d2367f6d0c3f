/* bench_witness -- how many checkpoints a witness cosigns: requests signed beforehand, each connection
 * with one request under way, every answer verified afterwards.
 *
 *     bench_witness logs [-l LOGS]                           prints the witness's `logs` file
 *     bench_witness run  [-l LOGS] [-c CONNECTIONS] [-n REQUESTS] -a HOST:PORT -k VKEY [-p PID]
 *     bench_witness limit [-d DIR]                           what verify, sign and sync cost alone
 *
 * All logs have one tree that grows by a few entries a checkpoint, so every request carries a proof.
 * With -p the CPU of the witness is told too. One JSON object a run.
 */
#include "base/alloc.h"
#include "base/ascii.h"
#include "net/address.h"
#include "tlog/add_checkpoint.h"
#include "tlog/checkpoint.h"
#include "tlog/note.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LOGS_MAX = 1024,
    CONNECTIONS_MAX = 256,
    STEP_ENTRIES = 7,
    NODE_LEVELS = 24,
    ANSWER_MAX = 4096,
    VERIFIERS = 2,
    LIMIT_ROUNDS = 4000,
    SYNC_ROUNDS = 400,
};

struct tree {
    struct buf levels[NODE_LEVELS]; /* hashes of complete nodes */
    struct compact_range range;
};

struct request {
    struct buf head, body;
    struct span text; /* of the checkpoint, in the body */
    char answer[ANSWER_MAX];
    size_t answer_len;
    uint64_t latency_us;
};

struct connection {
    int fd;
    size_t next; /* position in requests: its own are every `stride` */
    size_t sent;
    uint64_t began_us;
    char in[ANSWER_MAX];
    size_t in_len;
};

struct bench {
    size_t log_count, connection_count, request_count;
    struct signer *logs;
    struct request *requests; /* request i is of log i % log_count, step i / log_count */
    struct connection connections[CONNECTIONS_MAX];
    struct vkey witness;
    _Atomic size_t verified, failed, verify_next;
};

static uint64_t now_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_witness: %s\n", what);
    exit(1);
}

/* -- Requests -- */

static void on_node(void *ctx, struct merkle_node node, const struct hash *hash)
{
    struct tree *tree = ctx;
    buf_put(&tree->levels[node.level], hash_span(hash));
}

static enum err_code get_node(void *ctx, struct merkle_node node, struct hash *out, struct err *err)
{
    struct tree *tree = ctx;
    size_t at = node.index * HASH_BYTES;
    if (node.level >= NODE_LEVELS || at >= tree->levels[node.level].len) {
        return err_set(err, E_NOT_FOUND, "no such node");
    }
    memcpy(out->bytes, tree->levels[node.level].data + at, HASH_BYTES);
    return E_OK;
}

static void grow(struct tree *tree, uint64_t size)
{
    while (tree->range.size < size) {
        uint64_t index = tree->range.size;
        struct hash leaf = merkle_leaf_hash(span_of(&index, sizeof index));
        compact_range_append(&tree->range, &leaf, on_node, tree);
    }
}

static void make_logs(struct bench *bench)
{
    bench->logs = mem_calloc(bench->log_count, sizeof *bench->logs);
    for (size_t i = 0; i < bench->log_count; i++) {
        char name[64];
        snprintf(name, sizeof name, "bench.example/log/%zu", i);
        struct hash seed = sha256(span_of_str(name));
        struct signing_key *key = signing_key_from_seed(seed.bytes);
        struct ed25519_public public = signing_key_public(key);
        bench->logs[i] =
            (struct signer){ .vkey = vkey_make(name, SIGNATURE_ED25519, &public), .key = key };
    }
}

static void make_request(struct request *request, const struct signer *log, uint64_t old_size,
                         const struct proof *proof, uint64_t size, const struct hash *root)
{
    struct checkpoint checkpoint = { .size = size, .root = *root };
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", log->vkey.name);
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    struct buf note = BUF_INIT(ANSWER_MAX);
    struct err err;
    checkpoint_put(&text, &checkpoint);
    if (note_put_signed(&note, buf_span(&text), log, 0, &err) != E_OK) {
        fail(err.msg);
    }
    buf_init(&request->body, ADD_CHECKPOINT_BYTES_MAX);
    buf_init(&request->head, 256);
    add_checkpoint_put(&request->body, old_size, proof, buf_span(&note));
    request->text = span_of(request->body.data + request->body.len - note.len, text.len);
    buf_putf(&request->head,
             "POST /add-checkpoint HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\n\r\n",
             request->body.len);
    buf_clear(&text);
    buf_clear(&note);
}

static void make_requests(struct bench *bench)
{
    struct tree tree = { 0 };
    compact_range_init(&tree.range);
    for (size_t i = 0; i < NODE_LEVELS; i++) {
        buf_init(&tree.levels[i], SIZE_MAX / 2);
    }
    struct merkle_source source = { get_node, &tree };
    bench->requests = mem_calloc(bench->request_count, sizeof *bench->requests);
    uint64_t old_size = 0;
    for (size_t i = 0; i < bench->request_count; i += bench->log_count) {
        struct proof proof;
        struct err err;
        uint64_t size = old_size + STEP_ENTRIES;
        grow(&tree, size);
        struct hash root = compact_range_root(&tree.range);
        if (proof_make_consistency(&proof, &source, old_size, size, &err) != E_OK) {
            fail(err.msg);
        }
        for (size_t log = 0; log < bench->log_count && i + log < bench->request_count; log++) {
            make_request(&bench->requests[i + log], &bench->logs[log], old_size, &proof, size,
                         &root);
        }
        old_size = size;
    }
    for (size_t i = 0; i < NODE_LEVELS; i++) {
        buf_clear(&tree.levels[i]);
    }
}

/* -- Sending -- */

static int connect_to(const char *text)
{
    struct address address;
    struct err err;
    if (address_parse(&address, span_of_str(text), &err) != E_OK) {
        fail(err.msg);
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = address.any.sa_family == AF_INET6 ? sizeof address.in6 : sizeof address.in;
    if (fd < 0 || connect(fd, &address.any, len) != 0) {
        fail("cannot connect");
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Starts or goes on sending; requests are small, so a socket takes them at once or nearly so. */
static void send_more(struct bench *bench, struct connection *connection)
{
    struct request *request = &bench->requests[connection->next];
    size_t total = request->head.len + request->body.len;
    if (connection->sent == 0) {
        connection->began_us = now_us(CLOCK_MONOTONIC);
    }
    while (connection->sent < total) {
        bool is_head = connection->sent < request->head.len;
        const struct buf *part = is_head ? &request->head : &request->body;
        size_t at = is_head ? connection->sent : connection->sent - request->head.len;
        ssize_t n = send(connection->fd, part->data + at, part->len - at,
                         MSG_NOSIGNAL | (is_head ? MSG_MORE : 0));
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n <= 0) {
            fail("the witness closed a connection");
        }
        connection->sent += (size_t)n;
    }
}

/* True when a whole answer with status 200 is there; its body is copied to the request. */
static bool take_answer(struct bench *bench, struct connection *connection)
{
    connection->in[connection->in_len] = 0;
    char *end = strstr(connection->in, "\r\n\r\n");
    if (end == NULL) {
        return false;
    }
    const char *field = strcasestr(connection->in, "\r\ncontent-length:");
    size_t body = field == NULL ? 0 : strtoul(field + strlen("\r\ncontent-length:"), NULL, 10);
    size_t head = (size_t)(end + 4 - connection->in);
    if (connection->in_len < head + body) {
        return false;
    }
    if (strncmp(connection->in, "HTTP/1.1 200 ", 13) != 0) {
        fprintf(stderr, "%.*s\n", (int)connection->in_len, connection->in);
        fail("the witness did not cosign");
    }
    struct request *request = &bench->requests[connection->next];
    memcpy(request->answer, connection->in + head, body);
    request->answer_len = body;
    request->latency_us = now_us(CLOCK_MONOTONIC) - connection->began_us;
    connection->in_len = 0;
    return true;
}

/* A connection has the logs whose number is its own modulo the number of connections, and goes through
 * their requests in order. */
static size_t next_request(const struct bench *bench, size_t connection, size_t i)
{
    do {
        i++;
    } while (i < bench->request_count &&
             (i % bench->log_count) % bench->connection_count != connection);
    return i;
}

static void receive(struct bench *bench, size_t number, size_t *open)
{
    struct connection *connection = &bench->connections[number];
    ssize_t n = recv(connection->fd, connection->in + connection->in_len,
                     sizeof connection->in - 1 - connection->in_len, 0);
    if (n <= 0) {
        fail("the witness closed a connection");
    }
    connection->in_len += (size_t)n;
    if (!take_answer(bench, connection)) {
        return;
    }
    connection->next = next_request(bench, number, connection->next);
    connection->sent = 0;
    if (connection->next >= bench->request_count) {
        close(connection->fd);
        connection->fd = -1;
        (*open)--;
    } else {
        send_more(bench, connection);
    }
}

static void run_connections(struct bench *bench, const char *address)
{
    struct pollfd polls[CONNECTIONS_MAX];
    size_t open = bench->connection_count;
    for (size_t i = 0; i < bench->connection_count; i++) {
        bench->connections[i].fd = connect_to(address);
        bench->connections[i].next = i;
        send_more(bench, &bench->connections[i]);
    }
    while (open > 0) {
        for (size_t i = 0; i < bench->connection_count; i++) {
            polls[i] = (struct pollfd){ bench->connections[i].fd, POLLIN, 0 };
        }
        if (poll(polls, bench->connection_count, 10000) <= 0) {
            fail("the witness is silent");
        }
        for (size_t i = 0; i < bench->connection_count; i++) {
            if (polls[i].revents != 0) {
                receive(bench, i, &open);
            }
        }
    }
}

/* -- Afterwards -- */

static bool is_cosigned(const struct bench *bench, const struct request *request)
{
    struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
    struct note note;
    struct err err;
    const struct vkey *key = &bench->witness;
    struct note_verified verified[1];
    size_t count = 0;
    buf_put(&bytes, request->text);
    buf_put_u8(&bytes, '\n');
    buf_put(&bytes, span_of(request->answer, request->answer_len));
    bool is_valid = note_parse(&note, buf_span(&bytes), &err) == E_OK;
    if (is_valid) {
        is_valid = note_verify(&note, &key, 1, verified, &count, &err) == E_OK && count == 1;
        note_clear(&note);
    }
    buf_clear(&bytes);
    return is_valid;
}

static void *verify_run(void *arg)
{
    struct bench *bench = arg;
    size_t i;
    while ((i = bench->verify_next++) < bench->request_count) {
        if (is_cosigned(bench, &bench->requests[i])) {
            bench->verified++;
        } else {
            bench->failed++;
        }
    }
    return NULL;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* User and system time of another process. */
static uint64_t cpu_us_of(const char *pid)
{
    char path[64], text[1024];
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        size_t len = fread(text, 1, sizeof text - 1, file);
        text[len] = 0;
        fclose(file);
        const char *after = strrchr(text, ')');
        if (after == NULL || sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                                    &user, &kernel) != 2) {
            fail("cannot read the witness's CPU time");
        }
    }
    return (user + kernel) * (uint64_t)(1000000 / sysconf(_SC_CLK_TCK));
}

static int run(struct bench *bench, const char *address, const char *pid)
{
    make_logs(bench);
    make_requests(bench);
    uint64_t server = pid == NULL ? 0 : cpu_us_of(pid);
    uint64_t client = now_us(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t began = now_us(CLOCK_MONOTONIC);
    run_connections(bench, address);
    double seconds = (double)(now_us(CLOCK_MONOTONIC) - began) / 1e6;
    client = now_us(CLOCK_PROCESS_CPUTIME_ID) - client;
    server = pid == NULL ? 0 : cpu_us_of(pid) - server;

    pthread_t threads[VERIFIERS];
    for (size_t i = 0; i < VERIFIERS; i++) {
        pthread_create(&threads[i], NULL, verify_run, bench);
    }
    for (size_t i = 0; i < VERIFIERS; i++) {
        pthread_join(threads[i], NULL);
    }
    uint64_t *latencies = mem_calloc(bench->request_count, sizeof *latencies);
    for (size_t i = 0; i < bench->request_count; i++) {
        latencies[i] = bench->requests[i].latency_us;
    }
    qsort(latencies, bench->request_count, sizeof *latencies, compare_u64);
    double n = (double)bench->request_count;
    printf("{\"logs\": %zu, \"connections\": %zu, \"requests\": %zu, \"requests_per_s\": %.0f, "
           "\"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f, \"verified\": %zu, "
           "\"failed\": %zu, \"client_cpu_us_per_request\": %.1f, "
           "\"server_cpu_us_per_request\": %.1f}\n",
           bench->log_count, bench->connection_count, bench->request_count, n / seconds,
           (double)latencies[bench->request_count / 2] / 1e3,
           (double)latencies[bench->request_count * 99 / 100] / 1e3,
           (double)latencies[bench->request_count - 1] / 1e3, bench->verified, bench->failed,
           (double)client / n, (double)server / n);
    return bench->failed == 0 ? 0 : 1;
}

/* What nobody can do without: one verification and one signature a request, one sync a group. */
static int limit(struct bench *bench, const char *dir)
{
    bench->log_count = 1;
    make_logs(bench);
    struct ed25519_public public = signing_key_public(bench->logs[0].key);
    struct ed25519_signature signature;
    struct err err;
    const char *text = "bench.example/log/0\n12345\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    uint64_t began = now_us(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < LIMIT_ROUNDS; i++) {
        if (signing_key_sign(bench->logs[0].key, span_of_str(text), &signature, &err) != E_OK ||
            !ed25519_verify(&public, span_of_str(text), &signature)) {
            fail("a signature does not verify");
        }
    }
    double cpu_us = (double)(now_us(CLOCK_THREAD_CPUTIME_ID) - began) / LIMIT_ROUNDS;
    char path[4096];
    snprintf(path, sizeof path, "%s/sync.tmp", dir);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail("cannot write the file to be synced");
    }
    static const char group[16 * 700];
    began = now_us(CLOCK_MONOTONIC);
    for (size_t i = 0; i < SYNC_ROUNDS; i++) {
        if (write(fd, group, sizeof group) < 0 || fdatasync(fd) != 0) {
            fail("cannot sync");
        }
    }
    double sync_us = (double)(now_us(CLOCK_MONOTONIC) - began) / SYNC_ROUNDS;
    close(fd);
    unlink(path);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    printf("{\"verify_and_sign_us\": %.1f, \"sync_us\": %.1f, \"cores\": %ld, "
           "\"limit_cpu_per_s\": %.0f, \"limit_sync_in_groups_of_16_per_s\": %.0f}\n",
           cpu_us, sync_us, cores, (double)cores * 1e6 / cpu_us, 16e6 / sync_us);
    return 0;
}

static int print_logs(struct bench *bench)
{
    make_logs(bench);
    for (size_t i = 0; i < bench->log_count; i++) {
        struct buf vkey = BUF_INIT(1024);
        vkey_put(&vkey, &bench->logs[i].vkey);
        printf("log %s\n", buf_c_str(&vkey));
        buf_clear(&vkey);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct bench *bench = NEW(struct bench);
    const char *address = NULL, *vkey = NULL, *pid = NULL, *dir = ".";
    const char *what = argc > 1 ? argv[1] : "";
    bench->log_count = 64;
    bench->connection_count = 16;
    bench->request_count = 50000;
    int option;
    while (argc > 1 && (option = getopt(argc - 1, argv + 1, "l:c:n:a:k:p:d:")) != -1) {
        switch (option) {
        case 'l':
            bench->log_count = strtoul(optarg, NULL, 10);
            break;
        case 'c':
            bench->connection_count = strtoul(optarg, NULL, 10);
            break;
        case 'n':
            bench->request_count = strtoul(optarg, NULL, 10);
            break;
        case 'a':
            address = optarg;
            break;
        case 'k':
            vkey = optarg;
            break;
        case 'p':
            pid = optarg;
            break;
        case 'd':
            dir = optarg;
            break;
        default:
            return 2;
        }
    }
    if (bench->log_count == 0 || bench->log_count > LOGS_MAX || bench->connection_count == 0 ||
        bench->connection_count > CONNECTIONS_MAX || bench->connection_count > bench->log_count ||
        bench->request_count < bench->log_count) {
        fail("1 to 1024 logs, 1 to 256 connections, no more of them than logs");
    }
    if (strcmp(what, "logs") == 0) {
        return print_logs(bench);
    }
    if (strcmp(what, "limit") == 0) {
        return limit(bench, dir);
    }
    if (strcmp(what, "run") != 0 || address == NULL || vkey == NULL) {
        fail("usage: bench_witness logs | limit | run -a HOST:PORT -k VKEY");
    }
    struct err err;
    if (vkey_parse(&bench->witness, span_of_str(vkey), &err) != E_OK) {
        fail(err.msg);
    }
    return run(bench, address, pid);
}
