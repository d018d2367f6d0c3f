/* A witness, a log or a mirror over HTTP.
 *
 * Nobody tells us which of these it is, so the first round asks for all three paths; those that were answered
 * with 200 are asked for from then on, and every RELEARN_ROUNDS all of them again: a witness that knew no log
 * of ours may have been told of one. A round ends at the first request that fails on the way: whoever does not
 * answer about one log is not asked about the others. */
#include "monitor/vantage_parts.h"

#include "base/ascii.h"
#include "net/http_client.h"
#include "tlog/peer_notes.h"

#include <assert.h>

enum {
    RELEARN_ROUNDS = 100,
    URL_BYTES_MAX = LOG_ADDRESS_MAX + 128,
    CONNECTIONS_MAX = 2,
};

enum question {
    QUESTION_LOG,     /* <url>/checkpoint: of whatever log */
    QUESTION_WITNESS, /* <url>/<origin hash>/checkpoint */
    QUESTION_PEERS,   /* <url>/<origin hash>/peers */
    QUESTIONS
};

struct http_state {
    struct vantage *vantage;
    struct http_fetcher *fetcher; /* owned */
    bool is_served[QUESTIONS];    /* as learned */
    unsigned rounds;              /* until all are asked again; 0: now */
};

static void *http_open(struct vantage *vantage)
{
    struct http_state *state = NEW(struct http_state);
    const struct http_client_options options = { .ca_file = vantage->options.address.tls_ca_path,
                                                 .connections_max = CONNECTIONS_MAX };
    state->vantage = vantage;
    state->fetcher = http_fetcher_new(&options);
    return state;
}

static void http_close(void *ctx)
{
    struct http_state *state = ctx;
    http_fetcher_free(state->fetcher);
    mem_free(state);
}

static void put_url(struct buf *url, const struct vantage *vantage, size_t log,
                    enum question question)
{
    buf_put_str(url, vantage->options.address.target);
    if (question != QUESTION_LOG) {
        buf_put_u8(url, '/');
        hex_put(url, hash_span(watched_log_origin_hash(vantage->options.logs[log].log)));
    }
    buf_put_str(url, question == QUESTION_PEERS ? "/peers" : "/checkpoint");
}

static void take_body(struct vantage *vantage, enum question question, struct span body)
{
    struct peer_notes peers;
    struct err err;
    if (question != QUESTION_PEERS) {
        vantage_on_note(vantage, body);
    } else if (peer_notes_parse(&peers, body, &err) == E_OK) {
        for (size_t i = 0; i < peers.count && !vantage->is_stopping; i++) {
            vantage_on_note(vantage, peers.notes[i]);
        }
    } else {
        vantage_on_unusable(vantage);
    }
}

/* What it does not have, or will never have. */
static bool is_absent(int status)
{
    return status == 404 || status == 405 || status == 410 || status == 501;
}

static bool is_overloaded(int status)
{
    return status == 429 || status == 503;
}

/* False: nothing more is asked in this round. */
static bool take_reply(struct http_state *state, enum question question, const char *url,
                       const struct http_reply *reply, bool served[QUESTIONS],
                       struct vantage_round *round)
{
    struct err err;
    if (reply->status == 200) {
        served[question] = true;
        round->is_answered = true;
        take_body(state->vantage, question, buf_span(&reply->body));
    } else if (!is_absent(reply->status)) {
        err_set(&err, E_IO, "%s answers with status %d", url, reply->status);
        vantage_round_fail(round, &err);
    }
    return !is_overloaded(reply->status);
}

static bool ask_one(struct http_state *state, size_t log, enum question question,
                    bool served[QUESTIONS], struct vantage_round *round)
{
    struct buf url = BUF_INIT(URL_BYTES_MAX);
    struct http_reply reply;
    struct err err;
    put_url(&url, state->vantage, log, question);
    size_t bytes_max = question == QUESTION_PEERS ? PEER_NOTES_BYTES_MAX : NOTE_BYTES_MAX;
    bool may_go_on = http_fetcher_get(state->fetcher, buf_c_str(&url), bytes_max,
                                      VANTAGE_TIMEOUT_MS, &reply, &err) == E_OK;
    if (may_go_on) {
        may_go_on = take_reply(state, question, buf_c_str(&url), &reply, served, round);
        http_reply_clear(&reply);
    } else {
        err_wrap(&err, "%s", buf_c_str(&url));
        vantage_round_fail(round, &err);
    }
    buf_clear(&url);
    return may_go_on && !state->vantage->is_stopping;
}

/* False: not all was asked. */
static bool ask_all(struct http_state *state, bool is_learning, bool served[QUESTIONS],
                    struct vantage_round *round)
{
    for (enum question question = 0; question < QUESTIONS; question++) {
        size_t count = question == QUESTION_LOG ? 1 : state->vantage->options.log_count;
        for (size_t log = 0; log < count; log++) {
            if ((is_learning || state->is_served[question]) &&
                !ask_one(state, log, question, served, round)) {
                return false;
            }
        }
    }
    return true;
}

static void http_ask(void *ctx, struct vantage_round *round)
{
    struct http_state *state = ctx;
    bool served[QUESTIONS] = { false };
    struct err err;
    bool is_learning = state->rounds == 0;
    bool is_whole = ask_all(state, is_learning, served, round);
    if (!round->is_answered && round->code == E_OK) {
        err_set(&err, E_NOT_FOUND, "%s serves no checkpoint of a log that is followed here",
                state->vantage->options.address.target);
        vantage_round_fail(round, &err);
    }
    if (is_learning && is_whole && round->is_answered) {
        memcpy(state->is_served, served, sizeof served);
        state->rounds = RELEARN_ROUNDS;
    } else if (!is_learning) {
        state->rounds = round->is_answered ? state->rounds - 1 : 0;
    }
}

const struct vantage_way vantage_http = { http_open, http_ask, http_close };
