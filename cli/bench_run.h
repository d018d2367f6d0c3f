/* bench_run.h -- one run of `courtroll bench`: the entries, the checks, the counts.
 *
 * Entries are unique: a prefix that is random for the run, a counter, and filling that is random
 * once. Nothing but the counter of a call's first entry is kept while the call is under way; the
 * entries are made again to check their leaf hashes.
 * Main thread.
 */
#ifndef CLI_BENCH_RUN_H
#define CLI_BENCH_RUN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "cli/latency.h"
#include "cli/output.h"
#include "net/rpc_client.h"
#include "tlog/merkle.h"
#include "tlog/receipt_check.h"

enum {
    BENCH_PREFIX_BYTES = 8,
    BENCH_ENTRY_BYTES_MIN = BENCH_PREFIX_BYTES + 8, /* and the counter */
    BENCH_IN_FLIGHT_MAX = 4096,
    BENCH_RATE_MAX = 1000 * 1000,
    BENCH_TIMEOUT_MS = 60 * 1000,
    BENCH_INDICES_MAX = 1 << 30, /* in one run: their bitmap has 128 MiB */
};

struct bench_options {
    struct rpc_client_config to; /* gRPC; target NULL for HTTP */
    const char *url;             /* HTTP, without a final '/'; NULL for gRPC */
    uint64_t in_flight;
    uint64_t entries_per_call;
    uint64_t entry_bytes;
    uint64_t seconds;
    uint64_t rate; /* calls a second, evenly spread; 0: a new one for each answer */
    bool is_witnessed;
    const struct policy
        *policy; /* what receipts must meet; NULL: they are not verified. Borrowed */
};

/* A call under way. */
struct bench_call {
    uint64_t first;    /* counter of its first entry */
    uint64_t start_ns; /* with a rate, when it was due: what is late counts */
    struct bench_call *next_free;
    struct bench_run *run;
};

struct bench_run {
    const struct bench_options *options;
    struct bench_call calls[BENCH_IN_FLIGHT_MAX];
    uint8_t *bytes;       /* entries of the call being made; owned */
    struct span *entries; /* over `bytes`; owned */
    uint8_t *check;       /* the entry being checked; owned */
    uint64_t next;        /* counter */

    uint64_t index_base; /* every index of the run is at or above it */
    bool has_base;
    uint8_t *seen; /* a bit an index, from index_base on; owned */
    size_t seen_bytes;

    struct receipt_check receipts;

    struct bench_call *free_calls; /* with a rate: those not under way */
    uint64_t due_count;            /* calls that were due so far, with a rate */
    uint64_t start_ns, until_ns, end_ns;
    uint64_t call_count, entry_count; /* acknowledged and right */
    uint64_t refused, wrong;          /* calls */
    uint64_t receipt_count;           /* that verify */
    struct err first_error;
    struct latency latency; /* of a call */
    uint64_t client_cpu_us;
    struct output_progress progress;
    void *load; /* of bench_http.c, for its callbacks; borrowed */

    /* From GetStatus; -1 where it cannot be known. */
    double server_cpu_us, bytes_written, bytes_logged, rss_bytes;
};

struct bench_run *bench_run_new(const struct bench_options *options);
void bench_run_free(struct bench_run *run);

void bench_run_begin(struct bench_run *run); /* the clock starts */
bool bench_run_is_over(const struct bench_run *run);
void bench_run_end(struct bench_run *run);

/* Calls that were due, with a rate, and never sent, because too many were under way. */
uint64_t bench_run_unsent(const struct bench_run *run);

/* Makes the entries of the next call into run->entries. */
void bench_call_begin(struct bench_run *run, struct bench_call *call);

/* With a rate: a call that is due by now, its start_ns set to when it was; NULL when none is, or when
 * too many are under way. *wait_ns is then the time to the next one, 0 when there will be none. */
struct bench_call *bench_call_due(struct bench_run *run, uint64_t now_ns, uint64_t *wait_ns);

/* Checks: a fresh index above the one before (*last, UINT64_MAX at first), the right leaf hash
 * (NULL: not told). E_BAD_PROOF. */
MUST_USE enum err_code bench_check(struct bench_run *run, uint64_t counter, uint64_t index,
                                   uint64_t *last, const struct hash *leaf_hash, struct err *err);

/* Checks a receipt: the entry is where the answer says, and the policy is met. E_BAD_PROOF, as for all
 * wrong answers; E_TIMEOUT when the policy is not met. */
MUST_USE enum err_code bench_check_receipt(struct bench_run *run, struct span receipt,
                                           uint64_t index, const struct hash *leaf_hash,
                                           struct err *err);

/* Counts an answer; `failure` is NULL when it was right. */
void bench_call_end(struct bench_run *run, struct bench_call *call, const struct err *failure);

/* bench_rpc.c, bench_http.c: the whole run. */
MUST_USE enum err_code bench_rpc(struct bench_run *run, struct err *err);
MUST_USE enum err_code bench_http(struct bench_run *run, struct err *err);

#endif
