#include "witness/budget.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/queue.h>

enum {
    LOGS_MAX = 65536,
    CHAINS = 4096, /* of each table; a power of two */
    MINUTE_MS = 60 * 1000,
    DAY_MINUTES = 24 * 60,
};

/* Above, a rate would not fit the arithmetic below, and is no limit in practice. */
static const uint64_t per_minute_max = 1000 * 1000 * 1000;

/* One token is MINUTE_MS units, so that a rate a minute fills whole units each millisecond. */
struct bucket {
    TAILQ_ENTRY(bucket) by_use;
    LIST_ENTRY(bucket) chain;
    struct hash key;
    uint64_t units;
    uint64_t filled_ms; /* when `units` was right */
};

LIST_HEAD(bucket_chain, bucket);

struct bucket_table {
    TAILQ_HEAD(bucket_list, bucket) by_use; /* the one used least lately first */
    struct bucket_chain chains[CHAINS];
    size_t count;
    size_t max;
};

struct budget {
    struct budget_limits limits;
    pthread_mutex_t mutex; /* guards the tables */
    struct bucket_table peers;
    struct bucket_table logs;
};

static void table_init(struct bucket_table *table, size_t max)
{
    TAILQ_INIT(&table->by_use);
    for (size_t i = 0; i < CHAINS; i++) {
        LIST_INIT(&table->chains[i]);
    }
    table->max = max;
}

static void table_remove(struct bucket_table *table, struct bucket *bucket)
{
    TAILQ_REMOVE(&table->by_use, bucket, by_use);
    LIST_REMOVE(bucket, chain);
    table->count--;
    mem_free(bucket);
}

static void table_clear(struct bucket_table *table)
{
    while (!TAILQ_EMPTY(&table->by_use)) {
        table_remove(table, TAILQ_FIRST(&table->by_use));
    }
}

static struct bucket_chain *chain_of(struct bucket_table *table, const struct hash *key)
{
    return &table->chains[(key->bytes[0] | (size_t)key->bytes[1] << 8) % CHAINS];
}

/* NULL when the table does not remember it, so that its bucket would be full. */
static struct bucket *table_find(struct bucket_table *table, const struct hash *key)
{
    struct bucket *bucket;
    LIST_FOREACH(bucket, chain_of(table, key), chain)
    {
        if (hash_is_equal(&bucket->key, key)) {
            return bucket;
        }
    }
    return NULL;
}

static struct bucket *table_add(struct bucket_table *table, const struct hash *key)
{
    if (table->count == table->max) {
        table_remove(table, TAILQ_FIRST(&table->by_use));
    }
    struct bucket *bucket = NEW(struct bucket);
    bucket->key = *key;
    LIST_INSERT_HEAD(chain_of(table, key), bucket, chain);
    TAILQ_INSERT_TAIL(&table->by_use, bucket, by_use);
    table->count++;
    return bucket;
}

static uint64_t clamp_rate(uint64_t per_minute)
{
    return per_minute < per_minute_max ? per_minute : per_minute_max;
}

/* A bucket holds a minute's worth. A clock that goes back fills nothing. */
static void fill(struct bucket *bucket, uint64_t per_minute, uint64_t now_ms)
{
    uint64_t full = per_minute * MINUTE_MS;
    uint64_t elapsed = now_ms > bucket->filled_ms ? now_ms - bucket->filled_ms : 0;
    if (elapsed >= MINUTE_MS || bucket->units > full ||
        elapsed * per_minute >= full - bucket->units) {
        bucket->units = full;
    } else {
        bucket->units += elapsed * per_minute;
    }
    bucket->filled_ms = now_ms;
}

/* Takes a token. Requires the mutex and a rate. */
static bool take(struct bucket_table *table, const struct hash *key, uint64_t per_minute,
                 uint64_t now_ms)
{
    struct bucket *bucket = table_find(table, key);
    if (bucket == NULL) {
        bucket = table_add(table, key);
        bucket->units = per_minute * MINUTE_MS;
        bucket->filled_ms = now_ms;
    }
    fill(bucket, per_minute, now_ms);
    TAILQ_REMOVE(&table->by_use, bucket, by_use);
    TAILQ_INSERT_TAIL(&table->by_use, bucket, by_use);
    if (bucket->units < MINUTE_MS) {
        return false;
    }
    bucket->units -= MINUTE_MS;
    return true;
}

struct budget *budget_new(const struct budget_limits *limits)
{
    struct budget *budget = NEW(struct budget);
    budget->limits.peer_per_minute = clamp_rate(limits->peer_per_minute);
    budget->limits.log_per_minute = clamp_rate(limits->log_per_minute);
    pthread_mutex_init(&budget->mutex, NULL);
    table_init(&budget->peers, BUDGET_PEERS_MAX);
    table_init(&budget->logs, LOGS_MAX);
    return budget;
}

void budget_free(struct budget *budget)
{
    if (budget == NULL) {
        return;
    }
    table_clear(&budget->peers);
    table_clear(&budget->logs);
    pthread_mutex_destroy(&budget->mutex);
    mem_free(budget);
}

/* -- peers -- */

/* Reads "ADDRESS", also in brackets or with a zone behind '%'. False when it is none. */
static bool parse_ip(struct span peer, struct in6_addr *v6, struct in_addr *v4, bool *is_v6)
{
    char text[INET6_ADDRSTRLEN];
    size_t zone = span_find(peer, span_of_str("%"));
    if (peer.len >= 2 && peer.data[0] == '[' && peer.data[peer.len - 1] == ']') {
        peer = span_slice(peer, 1, peer.len - 2);
    } else if (zone != SIZE_MAX) {
        peer = span_slice(peer, 0, zone);
    }
    if (peer.len == 0 || peer.len >= sizeof text || memchr(peer.data, 0, peer.len) != NULL) {
        return false;
    }
    memcpy(text, peer.data, peer.len);
    text[peer.len] = '\0';
    *is_v6 = inet_pton(AF_INET6, text, v6) == 1;
    return *is_v6 || inet_pton(AF_INET, text, v4) == 1;
}

/* Who pays: an IPv4 address, also one that is mapped into IPv6, which all clients of a listener for
 * both are; the first 64 bits of an IPv6 address; else the text as it is. */
static struct hash peer_key(struct span peer)
{
    struct in6_addr v6;
    struct in_addr v4;
    bool is_v6;
    struct span parts[] = { span_of_str("text"), peer };
    if (parse_ip(peer, &v6, &v4, &is_v6)) {
        if (is_v6 && IN6_IS_ADDR_V4MAPPED(&v6)) {
            memcpy(&v4, v6.s6_addr + 12, sizeof v4);
            is_v6 = false;
        }
        parts[0] = span_of_str(is_v6 ? "v6" : "v4");
        parts[1] = is_v6 ? span_of(v6.s6_addr, 8) : span_of(&v4, sizeof v4);
    }
    return sha256_parts(parts, 2);
}

static bool is_charged(const struct budget *budget, struct span peer)
{
    return budget->limits.peer_per_minute > 0 && !span_has_prefix(peer, span_of_str("unix"));
}

bool budget_take_peer(struct budget *budget, struct span peer, uint64_t now_ms)
{
    if (!is_charged(budget, peer)) {
        return true;
    }
    struct hash key = peer_key(peer);
    pthread_mutex_lock(&budget->mutex);
    bool is_taken = take(&budget->peers, &key, budget->limits.peer_per_minute, now_ms);
    pthread_mutex_unlock(&budget->mutex);
    return is_taken;
}

void budget_return_peer(struct budget *budget, struct span peer, uint64_t now_ms)
{
    if (!is_charged(budget, peer)) {
        return;
    }
    struct hash key = peer_key(peer);
    pthread_mutex_lock(&budget->mutex);
    struct bucket *bucket = table_find(&budget->peers, &key);
    if (bucket != NULL) {
        bucket->units += MINUTE_MS; /* fill cuts it at a full bucket */
        fill(bucket, budget->limits.peer_per_minute, now_ms);
    }
    pthread_mutex_unlock(&budget->mutex);
}

/* -- logs -- */

bool budget_take_log(struct budget *budget, const struct hash *origin_hash,
                     uint64_t requests_per_day, uint64_t now_ms)
{
    uint64_t per_minute = budget->limits.log_per_minute;
    if (per_minute == 0) {
        return true;
    }
    uint64_t announced = requests_per_day / DAY_MINUTES + (requests_per_day % DAY_MINUTES != 0);
    if (announced > per_minute) {
        per_minute = clamp_rate(announced);
    }
    pthread_mutex_lock(&budget->mutex);
    bool is_taken = take(&budget->logs, origin_hash, per_minute, now_ms);
    pthread_mutex_unlock(&budget->mutex);
    return is_taken;
}
