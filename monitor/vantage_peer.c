/* Another monitor: our newest notes for theirs.
 *
 * The answer's notes stand for themselves, each signed by its log, so it does not matter who sends them: of the
 * answer only the form is checked. A message has room for so many notes; each round begins with another log, so
 * that none is left out for ever. */
#include "monitor/clock.h"
#include "monitor/vantage_parts.h"

#include "client/rpc_monitor.h"
#include "monitor/known_note.h"
#include "monitor/note_exchange.h"

enum {
    REPLY_BYTES_MAX = NOTE_EXCHANGE_BYTES_MAX + 64 * 1024,
};

struct peer_state {
    struct vantage *vantage;
    struct rpc_monitor *monitor; /* owned; NULL: not connected */
    size_t first;                /* the log that a message begins with */
};

static void *peer_open(struct vantage *vantage)
{
    struct peer_state *state = NEW(struct peer_state);
    state->vantage = vantage;
    return state;
}

static void peer_close(void *ctx)
{
    struct peer_state *state = ctx;
    rpc_monitor_close(state->monitor);
    mem_free(state);
}

/* -- ours -- */

struct own_notes {
    size_t count;
    struct buf notes[NOTE_EXCHANGE_MAX]; /* owned */
};

/* What contradicts our tree comes first: whoever was not shown it is to know. */
static void add_notes_of(struct own_notes *own, const struct vantage_log *log)
{
    struct held_tree held;
    if (own->count + 2 > NOTE_EXCHANGE_MAX) {
        return;
    }
    struct buf *note = &own->notes[own->count];
    buf_init(note, KNOWN_NOTE_BYTES_MAX);
    if (note_memory_contradiction(log->memory, note)) {
        own->count++;
    } else {
        buf_clear(note);
    }
    watched_log_held(log->log, &held);
    if (held.is_there && held.note.len > 0) {
        own->notes[own->count++] = held.note;
    } else {
        held_tree_clear(&held);
    }
}

static enum err_code put_message(struct peer_state *state, struct buf *out, struct err *err)
{
    const struct vantage_options *options = &state->vantage->options;
    struct own_notes own = { .count = 0 };
    struct span notes[NOTE_EXCHANGE_MAX];
    for (size_t i = 0; i < options->log_count; i++) {
        add_notes_of(&own, &options->logs[(state->first + i) % options->log_count]);
    }
    for (size_t i = 0; i < own.count; i++) {
        notes[i] = buf_span(&own.notes[i]);
    }
    state->first = options->log_count > 0 ? (state->first + 1) % options->log_count : 0;
    enum err_code rc =
        note_exchange_put(out, options->key, clock_now().unix_s, notes, own.count, err);
    for (size_t i = 0; i < own.count; i++) {
        buf_clear(&own.notes[i]);
    }
    return rc;
}

/* -- theirs -- */

static enum err_code take_message(struct vantage *vantage, struct span bytes, struct err *err)
{
    struct note_exchange *theirs = NEW(struct note_exchange);
    enum err_code rc = note_exchange_parse(theirs, bytes, err);
    for (size_t i = 0; rc == E_OK && i < theirs->count && !vantage->is_stopping; i++) {
        vantage_on_note(vantage, theirs->notes[i]);
    }
    mem_free(theirs);
    return rc;
}

static enum err_code connect_to(struct peer_state *state, struct err *err)
{
    const struct log_address *address = &state->vantage->options.address;
    const struct rpc_client_config config = {
        .target = address->target,
        .tls_ca_path = address->tls_ca_path,
        .tls_cert_path = address->tls_cert_path,
        .tls_key_path = address->tls_key_path,
        .message_bytes_max = REPLY_BYTES_MAX,
    };
    return state->monitor != NULL
               ? E_OK
               : rpc_monitor_open(&state->monitor, &config, VANTAGE_TIMEOUT_MS / 2, err);
}

static enum err_code exchange(struct peer_state *state, struct buf *message, struct buf *reply,
                              struct err *err)
{
    enum err_code rc = connect_to(state, err);
    if (rc == E_OK) {
        rc = put_message(state, message, err);
    }
    if (rc == E_OK) {
        rc = rpc_monitor_exchange_notes(state->monitor, buf_span(message), VANTAGE_TIMEOUT_MS / 2,
                                        reply, err);
    }
    return rc;
}

static void peer_ask(void *ctx, struct vantage_round *round)
{
    struct peer_state *state = ctx;
    struct buf message = BUF_INIT(NOTE_EXCHANGE_BYTES_MAX);
    struct buf reply = BUF_INIT(NOTE_EXCHANGE_BYTES_MAX);
    struct err err;
    enum err_code rc = exchange(state, &message, &reply, &err);
    if (rc == E_OK) {
        round->is_answered = true;
        rc = take_message(state->vantage, buf_span(&reply), &err);
        if (rc != E_OK) {
            vantage_on_unusable(state->vantage);
        }
    } else if (rc == E_IO || rc == E_TIMEOUT || rc == E_UNAVAILABLE) {
        rpc_monitor_close(state->monitor);
        state->monitor = NULL;
    }
    if (rc != E_OK) {
        vantage_round_fail(round, &err);
    }
    buf_clear(&message);
    buf_clear(&reply);
}

const struct vantage_way vantage_peer = { peer_open, peer_ask, peer_close };
