/* budget.h -- how many requests a log, and an address, may make.
 *
 * A request is charged to the peer's address when it comes; one that advances its log's state is given
 * back and charged to the log instead. So nobody can use up a log's budget but who has its key.
 * Pure: token buckets with the time as an argument. Any thread: it has a lock of its own.
 */
#ifndef WITNESS_BUDGET_H
#define WITNESS_BUDGET_H

#include "base/crypto.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    BUDGET_PEERS_MAX = 4096 /* addresses remembered; the one that came least lately goes first */
};

struct budget;

struct budget_limits {
    uint64_t peer_per_minute; /* 0: no limit */
    uint64_t log_per_minute;  /* likewise; a log's own announced rate can only raise it */
};
struct budget *budget_new(const struct budget_limits *limits);
void budget_free(struct budget *budget);

/* `peer`: an address as text without its port; IPv6 counts by its first 64 bits. A Unix socket, which
 * is text that starts with "unix", is never charged. False: over budget, 429. */
bool budget_take_peer(struct budget *budget, struct span peer, uint64_t now_ms);
void budget_return_peer(struct budget *budget, struct span peer, uint64_t now_ms);
bool budget_take_log(struct budget *budget, const struct hash *origin_hash,
                     uint64_t requests_per_day, uint64_t now_ms);

#endif
