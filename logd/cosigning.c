#include "logd/cosigning.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

/* What a witness is occupied with. */
struct asked {
    bool is_look;
    uint64_t size; /* else, of the note */
};

struct cosigning {
    struct cosigning_options options;
    struct kept_notes notes;
    struct witness_client *client; /* NULL: no witnesses */
    struct asked *asked;           /* one a witness; owned */
    void *closed_ctx;
    void (*on_closed)(void *ctx);

    pthread_mutex_t mutex;           /* guards what others read; written by the loop thread only */
    struct witness_status *statuses; /* owned */
};

static size_t count_of(const struct cosigning *cosigning)
{
    return cosigning->notes.witness_count;
}

size_t cosigning_witness_count(const struct cosigning *cosigning)
{
    return count_of(cosigning);
}

/* -- Notes -- */

struct kept_note *cosigning_keep(struct cosigning *cosigning, struct published_tree *tree)
{
    return kept_notes_add(&cosigning->notes, tree);
}

void cosigning_sweep(struct cosigning *cosigning, const struct round *round)
{
    kept_notes_sweep(&cosigning->notes, round);
}

struct kept_note *cosigning_note(const struct cosigning *cosigning, uint64_t size)
{
    return kept_notes_find(&cosigning->notes, size);
}

struct kept_note *cosigning_newest(const struct cosigning *cosigning)
{
    return cosigning->notes.largest;
}

void cosigning_put_note(struct cosigning *cosigning, const struct kept_note *note, struct buf *out)
{
    kept_note_put(out, &cosigning->notes, note);
}

struct policy_set cosigning_set(const struct cosigning *cosigning, const struct kept_note *note)
{
    return kept_note_cosigned(&cosigning->notes, note);
}

/* -- Lines -- */

static void count_line(struct cosigning *cosigning, const struct cosign_line *line, uint64_t size)
{
    struct witness_status *status = &cosigning->statuses[line->witness];
    pthread_mutex_lock(&cosigning->mutex);
    status->cosignatures++;
    if (size >= status->size) {
        status->size = size;
        status->timestamp =
            line->timestamp > status->timestamp ? line->timestamp : status->timestamp;
    }
    pthread_mutex_unlock(&cosigning->mutex);
    if (status->is_askable) {
        witness_client_holds(cosigning->client, line->witness, size);
    }
}

struct cosigning_added cosigning_add_lines(struct cosigning *cosigning, uint64_t size,
                                           const struct cosign_lines *lines)
{
    struct cosigning_added added = { 0, 0 };
    struct kept_note *note = kept_notes_find(&cosigning->notes, size);
    for (size_t i = 0; note != NULL && i < lines->count; i++) {
        const struct cosign_line *line = &lines->items[i];
        if (kept_note_add_line(note, line) == KEPT_KNOWN) {
            added.known++;
            continue;
        }
        added.added++;
        count_line(cosigning, line, size);
        cosigning->options.on_cosigned(cosigning->options.ctx, line->witness, size);
    }
    return added;
}

/* -- Conversations -- */

void cosigning_ask(struct cosigning *cosigning, size_t witness, uint64_t size)
{
    struct kept_note *note = kept_notes_find(&cosigning->notes, size);
    assert(note != NULL);
    cosigning->asked[witness] = (struct asked){ .size = size };
    witness_client_ask(cosigning->client, witness, note->tree);
}

/* Is there a cosignature of it? One of the empty tree says of no history that there was one. */
static bool has_cosigned(const struct cosigning *cosigning, size_t witness)
{
    for (const struct kept_note *n = cosigning->notes.largest; n != NULL; n = n->next) {
        if (n->lines[witness].timestamp != 0 && n->tree->checkpoint.size > 0) {
            return true;
        }
    }
    return false;
}

void cosigning_look(struct cosigning *cosigning, size_t witness, struct published_tree *tree,
                    struct published_tree *last_signed)
{
    struct witness_look look = { .tree = tree,
                                 .last_signed = last_signed,
                                 .has_cosigned = has_cosigned(cosigning, witness) };
    cosigning->asked[witness] = (struct asked){ .is_look = true };
    witness_client_look(cosigning->client, witness, &look);
}

/* Whether it is ok, a look does not tell. */
static void set_problem(struct cosigning *cosigning, size_t witness, bool is_look,
                        const struct witness_result *result)
{
    struct witness_status *status = &cosigning->statuses[witness];
    bool was_ok = status->is_ok;
    pthread_mutex_lock(&cosigning->mutex);
    status->is_ok = is_look ? was_ok : result->outcome == WITNESS_COSIGNED;
    status->has_answered = status->has_answered || result->outcome != WITNESS_FAILED;
    status->is_ahead = result->outcome == WITNESS_AHEAD;
    status->problem[0] = 0;
    if (result->outcome == WITNESS_FAILED) {
        status->failures[result->failure]++;
        snprintf(status->problem, sizeof status->problem, "%s", result->problem);
    } else if (result->outcome == WITNESS_CONTRADICTED) {
        snprintf(status->problem, sizeof status->problem, "holds another history of this log");
    }
    if (result->lines != NULL) {
        status->bad_lines += result->lines->bad + result->lines->bad_time;
    }
    pthread_mutex_unlock(&cosigning->mutex);
    if (!was_ok && status->is_ok) {
        log_event(LOG_LEVEL_INFO, "witness_ok", "witness=%s", log_quoted_str(status->name).text);
    }
}

static enum round_answer answer_of(const struct witness_result *result)
{
    switch (result->outcome) {
    case WITNESS_COSIGNED:
        return ROUND_ANSWER_COSIGNED;
    case WITNESS_AHEAD:
        return ROUND_ANSWER_AHEAD;
    default:
        return result->failure == WITNESS_CLAIM ? ROUND_ANSWER_ACCUSED : ROUND_ANSWER_FAILED;
    }
}

static uint64_t durable(void *ctx)
{
    const struct cosigning *cosigning = ctx;
    return cosigning->options.durable(cosigning->options.ctx);
}

static void on_done(void *ctx, size_t witness, const struct witness_result *result)
{
    struct cosigning *cosigning = ctx;
    const struct cosigning_options *options = &cosigning->options;
    struct asked asked = cosigning->asked[witness];
    set_problem(cosigning, witness, asked.is_look, result);
    if (result->outcome == WITNESS_CONTRADICTED) {
        options->on_contradiction(options->ctx, witness, result->note);
        return;
    }
    if (asked.is_look) {
        options->on_looked(options->ctx, witness, result->outcome == WITNESS_CONSISTENT);
        return;
    }
    if (result->lines != NULL) {
        cosigning_add_lines(cosigning, asked.size, result->lines);
    }
    options->on_answered(options->ctx, witness, answer_of(result), result->size);
}

/* -- What others read -- */

void cosigning_statuses(struct cosigning *cosigning, struct witness_status *out)
{
    pthread_mutex_lock(&cosigning->mutex);
    memcpy(out, cosigning->statuses, count_of(cosigning) * sizeof *out);
    pthread_mutex_unlock(&cosigning->mutex);
}

struct policy_set cosigning_failing(const struct cosigning *cosigning)
{
    struct policy_set set = { .has = { false } };
    for (size_t i = 0; i < count_of(cosigning); i++) {
        const struct witness_status *status = &cosigning->statuses[i];
        set.has[i] = status->is_askable && !status->is_ok && status->problem[0] != 0;
    }
    return set;
}

void cosigning_put_missing(const struct cosigning *cosigning, struct buf *out)
{
    const struct kept_note *newest = cosigning->notes.largest;
    const char *separator = "";
    for (size_t i = 0; i < count_of(cosigning); i++) {
        const struct witness_status *status = &cosigning->statuses[i];
        bool has_line = newest != NULL && newest->lines[i].timestamp != 0;
        if (has_line && (status->is_ok || status->problem[0] == 0)) {
            continue;
        }
        const char *problem = witness_status_problem(status);
        if (strlen(status->name) + strlen(problem) + 8 > buf_room(out)) {
            return;
        }
        buf_putf(out, "%s%s %s", separator, status->name, problem);
        separator = ", ";
    }
}

/* -- Life -- */

struct cosigning *cosigning_new(const struct cosigning_options *options)
{
    struct cosigning *cosigning = NEW(struct cosigning);
    size_t count = options->policy == NULL ? 0 : policy_witness_count(options->policy);
    cosigning->options = *options;
    kept_notes_init(&cosigning->notes, count);
    cosigning->asked = mem_calloc(count + 1, sizeof *cosigning->asked);
    cosigning->statuses = mem_calloc(count + 1, sizeof *cosigning->statuses);
    pthread_mutex_init(&cosigning->mutex, NULL);
    for (size_t i = 0; i < count; i++) {
        const struct policy_witness *witness = policy_witness_at(options->policy, i);
        cosigning->statuses[i].name = witness->name;
        cosigning->statuses[i].is_askable = witness->url != NULL;
    }
    if (count > 0) {
        struct witness_client_options client = {
            .loop = options->loop,
            .policy = options->policy,
            .log = options->log,
            .cache = options->cache,
            .ctx = cosigning,
            .durable = durable,
            .on_done = on_done,
        };
        cosigning->client = witness_client_new(&client);
    }
    return cosigning;
}

static void on_client_closed(void *ctx)
{
    struct cosigning *cosigning = ctx;
    void *closed_ctx = cosigning->closed_ctx;
    void (*on_closed)(void *) = cosigning->on_closed;
    kept_notes_clear(&cosigning->notes);
    mem_free(cosigning->asked);
    mem_free(cosigning->statuses);
    pthread_mutex_destroy(&cosigning->mutex);
    mem_free(cosigning);
    on_closed(closed_ctx);
}

void cosigning_close(struct cosigning *cosigning, void *ctx, void (*on_closed)(void *ctx))
{
    cosigning->closed_ctx = ctx;
    cosigning->on_closed = on_closed;
    if (cosigning->client != NULL) {
        witness_client_close(cosigning->client, cosigning, on_client_closed);
    } else {
        on_client_closed(cosigning);
    }
}
