/* witness_client.h -- the conversation with each witness of the policy: one request at a time.
 *
 * Spec: C2SP tlog-witness, as a log. design: "The life of an entry", step 7; "Invariants", Start.
 *
 * Normal path of an ask: a worker proves that the tree extends what the witness is believed to hold,
 * POST add-checkpoint with the log's own line only, 200, a worker verifies the lines. It can fail so:
 * 409 with a size is a hint: asked again once, with a proof from there. Anything else is a refusal,
 * and then the witness is asked for the note that it holds (the monitoring GET): if that bears our
 * own key and our tree contradicts it, this log has another history somewhere.
 * Answers are bounded in size and time, redirects are not followed, and what a peer says goes to our
 * log escaped and cut. No witness waits for another.
 *
 * Loop thread.
 */
#ifndef LOGD_WITNESS_CLIENT_H
#define LOGD_WITNESS_CLIENT_H

#include "logd/cosign_lines.h"
#include "logd/published.h"
#include "logd/tile_cache.h"
#include "net/work.h"

enum {
    WITNESS_CLIENT_WORKERS = 2,
    WITNESS_TIMEOUT_MS = 10 * 1000, /* of one request */
    WITNESS_PROBLEM_MAX = 128,
};

/* X(name, label of the metric): why there is no cosignature. */
#define WITNESS_FAILURES(X)                                                                        \
    X(UNREACHABLE, "unreachable")                                                                  \
    X(TIMEOUT, "timeout")                                                                          \
    X(REFUSED, "refused")             /* a status that is no answer */                             \
    X(MALFORMED, "malformed")         /* too long, or not what the status promises */              \
    X(UNSIGNED, "no_cosignature")     /* 200, and its line is not there */                         \
    X(BAD_SIGNATURE, "bad_signature") /* likewise, and lines that do not verify */                 \
    X(BAD_TIME, "bad_time")           /* likewise, and a time ahead of ours */                     \
    X(CLAIM, "claim")                 /* says that we have another history, and cannot show it */  \
    X(INTERNAL, "internal")           /* our own tiles could not be read */

enum witness_failure {
#define WITNESS_ENUM(name, label) WITNESS_##name,
    WITNESS_FAILURES(WITNESS_ENUM)
#undef WITNESS_ENUM
    WITNESS_FAILURE_KINDS
};
extern const char *const witness_failure_labels[WITNESS_FAILURE_KINDS];

enum witness_outcome {
    WITNESS_COSIGNED,     /* lines, among them its own */
    WITNESS_CONSISTENT,   /* of a look: it holds nothing, or no more than our tree has */
    WITNESS_AHEAD,        /* size: it holds a newer note of ours, or says so, of durable entries */
    WITNESS_CONTRADICTED, /* note: under our key, and our tree contradicts it */
    WITNESS_FAILED,       /* failure, problem */
};

struct witness_result {
    enum witness_outcome outcome;
    const struct cosign_lines
        *lines; /* borrowed for the call, as all; with COSIGNED, and when FAILED
                                         if there are lines of others; else NULL */
    uint64_t size;
    struct span note;
    enum witness_failure failure;
    const char *problem; /* in words that follow the witness's name; ours, for anyone to read */
};

struct witness_client;

struct witness_client_options {
    uv_loop_t *loop;
    const struct policy *policy; /* borrowed, as the two below */
    const struct vkey *log;
    struct tile_cache *cache;
    void *ctx;
    uint64_t (*durable)(void *ctx); /* entries that we have */
    void (*on_done)(void *ctx, size_t witness, const struct witness_result *result);
};

struct witness_client *witness_client_new(const struct witness_client_options *options);

/* Asks for a cosignature on the tree, whose note has the log's line only; it is held meanwhile. Then
 * on_done, never from here. Requires a URL, and that the witness is not busy. */
void witness_client_ask(struct witness_client *client, size_t witness, struct published_tree *tree);

/* What a witness is asked when it is only looked at. */
struct witness_look {
    struct published_tree *tree; /* all that we have: what it holds is compared with it */
    struct published_tree
        *last_signed;  /* the newest note, with the log's line; NULL: there is none */
    bool has_cosigned; /* we hold a cosignature of it, of some entries */
};

/* Asks which note it holds, and compares it with the tree. A 404 says nothing, since not all witnesses
 * have the monitoring GET: such a one is then sent the note signed last as if it held none, which tells
 * whether it holds a larger one. CONSISTENT, AHEAD, CONTRADICTED or FAILED. Likewise. */
void witness_client_look(struct witness_client *client, size_t witness,
                         const struct witness_look *look);

/* What it is known to hold, from elsewhere. */
void witness_client_holds(struct witness_client *client, size_t witness, uint64_t size);

/* Ends what is under way without on_done; on_closed comes from the loop, and the client is freed. */
void witness_client_close(struct witness_client *client, void *ctx, void (*on_closed)(void *ctx));

#endif
