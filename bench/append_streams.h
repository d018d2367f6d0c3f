/* append_streams.h -- a client of Log.AppendStream for benchmarks: some streams on one mTLS connection, each with one
 * message on its way out while replies come in. One thread; ends the program when anything fails.
 */
#ifndef BENCH_APPEND_STREAMS_H
#define BENCH_APPEND_STREAMS_H

#include "net/rpc_client.h"

struct append_streams_load {
    const struct rpc_client_config *to;
    size_t stream_count;
    void *ctx;
    /* The next message of a stream, good until the next call; *number comes back with its reply. False: there is none. */
    bool (*next)(void *ctx, struct buf *message, size_t *number);
    void (*on_reply)(void *ctx, size_t stream, size_t number, struct span reply);
};

/* Until every stream has ended with OK. */
void append_streams_run(const struct append_streams_load *load);

#endif
