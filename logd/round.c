#include "logd/round.h"

#include "tlog/tile.h"

#include <assert.h>

void round_init(struct round *round, uint64_t interval_ms, bool has_published, uint64_t published,
                uint64_t stored)
{
    *round = (struct round){
        .interval_ms = interval_ms,
        .is_first = !has_published,
        .durable = published,
        .stored = stored,
        .published = published,
    };
}

void round_pause(struct round *round, bool is_paused)
{
    round->is_paused = is_paused;
}

static struct round_action *add_action(struct round_actions *out, enum round_action_type type)
{
    assert(out->count < ROUND_ACTIONS_MAX);
    struct round_action *action = &out->items[out->count++];
    *action = (struct round_action){ .type = type };
    return action;
}

static uint64_t due_at(const struct round *round)
{
    if (round->retry_ms != 0 || round->is_draining) {
        return round->retry_ms;
    }
    return round->next_ms;
}

static void begin(struct round *round, uint64_t now_ms, struct round_actions *out)
{
    bool has_news = round->durable > round->published || round->is_first;
    if (round->phase != ROUND_RESTING || round->is_paused || !has_news) {
        return;
    }
    uint64_t due_ms = due_at(round);
    if (now_ms < due_ms) {
        add_action(out, ROUND_WAIT)->at_ms = due_ms;
        return;
    }
    round->phase = ROUND_SNAPPING;
    round->next_ms = now_ms + round->interval_ms;
    round->retry_ms = 0;
    add_action(out, ROUND_TAKE_SNAPSHOT);
}

/* A partial tile may be made, and a size signed, only on top of full tiles that are durable. */
static void prepare(struct round *round, struct round_actions *out)
{
    if (round->phase == ROUND_STORING && round->stored >= round->size / TILE_WIDTH * TILE_WIDTH) {
        round->phase = ROUND_PREPARING;
        add_action(out, ROUND_PREPARE);
    }
}

static void end(struct round *round, uint64_t now_ms, bool is_ok, struct round_actions *out)
{
    round->phase = ROUND_RESTING;
    round->retry_ms = is_ok ? 0 : now_ms + ROUND_RETRY_MS;
    begin(round, now_ms, out);
}

static void on_prepared(struct round *round, const struct round_event *event,
                        struct round_actions *out)
{
    assert(round->phase == ROUND_PREPARING);
    if (!event->is_ok) {
        end(round, event->now_ms, false, out);
        return;
    }
    round->phase = ROUND_PUBLISHING;
    add_action(out, ROUND_PUBLISH);
}

static void on_published(struct round *round, const struct round_event *event,
                         struct round_actions *out)
{
    assert(round->phase == ROUND_PUBLISHING);
    if (event->is_ok) {
        round->published = round->size;
        round->is_first = false;
    }
    end(round, event->now_ms, event->is_ok, out);
}

void round_step(struct round *round, const struct round_event *event, struct round_actions *out)
{
    assert(out->count == 0);
    switch (event->type) {
    case ROUND_NEWS:
        round->durable = event->size > round->durable ? event->size : round->durable;
        begin(round, event->now_ms, out);
        break;
    case ROUND_STORED:
        round->stored = event->size > round->stored ? event->size : round->stored;
        prepare(round, out);
        break;
    case ROUND_SNAPSHOT:
        assert(round->phase == ROUND_SNAPPING);
        assert(event->size >= round->published);
        round->size = event->size;
        round->phase = ROUND_STORING;
        prepare(round, out);
        break;
    case ROUND_PREPARED:
        on_prepared(round, event, out);
        break;
    case ROUND_PUBLISHED:
        on_published(round, event, out);
        break;
    case ROUND_DRAIN:
        round->is_draining = true;
        begin(round, event->now_ms, out);
        break;
    case ROUND_TICK:
        begin(round, event->now_ms, out);
        break;
    }
}
