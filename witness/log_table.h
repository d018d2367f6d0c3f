/* log_table.h -- the logs this witness knows, by origin. It only ever grows.
 *
 * design: "Surfaces", `logs`; network lists are kept apart from our own configuration and only add
 * origins that nobody knows yet (protocols 7.5), as many as LOG_TABLE_NETWORK_MAX: what strangers list must
 * not use up the memory, nor the mark file. Our own have no such bound. Never deleted: a log that comes
 * back would start at size 0.
 * Any thread looks up; the loop thread adds. What is looked up stays valid for ever.
 */
#ifndef WITNESS_LOG_TABLE_H
#define WITNESS_LOG_TABLE_H

#include "base/crypto.h"
#include "tlog/log_list.h"
#include "witness/decision.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

enum {
    LOG_KEYS_MAX = 16, /* of one origin */
    LOG_TABLE_NETWORK_MAX =
        16384 /* logs that are in network lists only; a quarter of a mark file */
};

struct cosign_job;    /* cosigner.c */
struct cosign_memory; /* likewise */

/* One log, and what the cosigner keeps of it. */
struct known_log {
    char origin[ORIGIN_BYTES_MAX + 1]; /* these four never change */
    struct hash origin_hash;           /* SHA-256: its name in paths and in the store */
    char *url;                         /* or NULL; owned */
    uint64_t requests_per_day;         /* announced in a network list; 0: not */
    bool is_own;                       /* loop thread: it stands in our own file */
    uint32_t listed_keys; /* loop thread: bits of the keys that the last reading of it had */

    pthread_mutex_t mutex; /* guards all below; taken alone, never while waiting for the disk */
    size_t key_count;
    struct vkey keys[LOG_KEYS_MAX];
    struct origin_state state; /* as last made durable */
    bool is_busy;              /* one request of this log is being decided, signed or stored */
    TAILQ_HEAD(cosign_queue, cosign_job) waiting; /* bounded; cosigner.c */
    size_t waiting_count;
    uint64_t counts[REFUSAL_COUNT]; /* of requests, by how they ended; NONE: cosignatures */
    uint64_t changed_s;             /* unix time of the last cosignature on a larger size */
    struct cosign_memory *memory;   /* of the request that has is_busy; freed by the cosigner */
};

/* A copy of its keys as they are now; returns the count. Any thread. */
size_t known_log_keys(struct known_log *log, struct vkey out[static LOG_KEYS_MAX]);

struct log_table;

struct log_table *log_table_new(void);
void log_table_free(struct log_table *table);

struct log_table_change {
    size_t added_logs, added_keys; /* keys: a new log's first one too */
    size_t missing;  /* keys that are known and no longer listed: they stay, and are logged */
    size_t refused;  /* our own name as an origin, over LOG_KEYS_MAX, another key's name and ID */
    size_t left_out; /* over LOG_TABLE_NETWORK_MAX */
};

/* Adds from our own file (`is_network` false: keys of known origins too), or from a network list
 * (unknown origins only). `on_added` is called for each new log before it can be looked up, so that
 * its state can be filled in. Loop thread. */
struct log_table_change log_table_add(struct log_table *table, const struct log_list *list,
                                      bool is_network, const char *own_name, void *ctx,
                                      void (*on_added)(void *ctx, struct known_log *log));

/* NULL when unknown. */
struct known_log *log_table_find(const struct log_table *table, struct span origin);
struct known_log *log_table_find_hash(const struct log_table *table,
                                      const struct hash *origin_hash);
size_t log_table_count(const struct log_table *table);
struct known_log *log_table_at(const struct log_table *table, size_t i); /* in order of coming */

#endif
