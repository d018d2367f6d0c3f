#include "logd/round.h"

#include "logd/backoff.h"
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

void round_set_witnesses(struct round *round, const struct policy *policy, uint64_t seed)
{
    round->policy = policy;
    round->random = seed;
    round->witness_count = policy_witness_count(policy);
    for (size_t i = 0; i < round->witness_count; i++) {
        round->witnesses[i].is_askable = policy_witness_at(policy, i)->url != NULL;
    }
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

/* -- Notes -- */

static struct round_note *find_note(const struct round *round, uint64_t size)
{
    for (size_t i = round->note_count; i-- > 0;) {
        if (round->notes[i].size == size) {
            return (struct round_note *)&round->notes[i];
        }
    }
    return NULL;
}

static void remove_note(struct round *round, size_t i)
{
    round->note_count--;
    memmove(&round->notes[i], &round->notes[i + 1],
            (round->note_count - i) * sizeof round->notes[0]);
}

static bool is_published(const struct round *round, uint64_t size)
{
    return !round->is_first && size == round->published;
}

/* Notes that nothing holds but that they were made: the oldest goes when there are too many. Those that
 * are smaller than what is published are kept too, since a witness that is slower than the rounds still
 * counts in receipts; nobody will cosign them when there are no witnesses. */
static bool is_loose(const struct round *round, const struct round_note *note)
{
    return !note->is_pinned && !is_published(round, note->size) &&
           !(round->is_publishing && note->size == round->publishing);
}

static void trim(struct round *round)
{
    size_t loose = 0;
    for (size_t i = round->note_count; i-- > 0;) {
        if (is_loose(round, &round->notes[i])) {
            bool is_old = !round->is_first && round->notes[i].size < round->published;
            if ((is_old && round->policy == NULL) || ++loose > ROUND_KEPT) {
                remove_note(round, i);
            }
        }
    }
}

static struct round_note *add_note(struct round *round, uint64_t size)
{
    struct round_note *known = find_note(round, size);
    if (known != NULL) {
        return known;
    }
    assert(round->note_count < ROUND_NOTES_MAX);
    size_t at = round->note_count;
    while (at > 0 && round->notes[at - 1].size > size) {
        at--;
    }
    memmove(&round->notes[at + 1], &round->notes[at],
            (round->note_count - at) * sizeof round->notes[0]);
    round->note_count++;
    round->notes[at] = (struct round_note){ .size = size };
    return &round->notes[at];
}

void round_add_note(struct round *round, uint64_t size, const struct policy_set *cosigned)
{
    add_note(round, size)->cosigned = *cosigned;
}

void round_pin(struct round *round, uint64_t size)
{
    struct round_note *note = find_note(round, size);
    assert(note != NULL);
    size_t pinned = 0;
    note->is_pinned = true;
    for (size_t i = round->note_count; i-- > 0;) {
        if (round->notes[i].is_pinned && ++pinned > ROUND_PINNED) {
            round->notes[i].is_pinned = false;
        }
    }
    trim(round);
}

bool round_newest(const struct round *round, uint64_t *size)
{
    bool has_note = round->note_count > 0;
    if (!has_note && round->is_first) {
        return false;
    }
    uint64_t newest = has_note ? round->notes[round->note_count - 1].size : 0;
    *size = newest > round->published ? newest : round->published;
    return true;
}

bool round_has_note(const struct round *round, uint64_t size)
{
    return find_note(round, size) != NULL;
}

bool round_is_pinned(const struct round *round, uint64_t size)
{
    const struct round_note *note = find_note(round, size);
    return note != NULL && note->is_pinned;
}

/* The tree has entries that no signed note has. */
static bool has_news(const struct round *round)
{
    uint64_t newest;
    return !round_newest(round, &newest) || round->durable > newest;
}

bool round_wants_news(const struct round *round)
{
    return round->phase == ROUND_RESTING && !has_news(round);
}

/* The largest size that has a quorum and is above the published one, or as large when that is to be
 * published again: what is served never becomes smaller. */
static const struct round_note *publishable(const struct round *round)
{
    for (size_t i = round->note_count; i-- > 0;) {
        const struct round_note *note = &round->notes[i];
        if (note->size < round->published || is_published(round, note->size)) {
            return NULL;
        }
        if (round->policy == NULL || policy_is_met(round->policy, &note->cosigned)) {
            return note;
        }
    }
    return NULL;
}

/* -- The course of a round -- */

static uint64_t due_at(const struct round *round)
{
    if (round->retry_ms != 0 || round->is_draining) {
        return round->retry_ms;
    }
    bool is_sooner = round->is_hurried && round->hurry_ms < round->next_ms;
    return is_sooner ? round->hurry_ms : round->next_ms;
}

static void begin(struct round *round, uint64_t now_ms, struct round_actions *out)
{
    if (round->phase != ROUND_RESTING || round->is_paused || !has_news(round) ||
        now_ms < due_at(round)) {
        return;
    }
    round->phase = ROUND_SNAPPING;
    round->next_ms = now_ms + round->interval_ms;
    round->retry_ms = 0;
    if (round->is_hurried) {
        round->is_hurried = false;
        round->hurry_ms = now_ms + ROUND_HURRY_MS;
    }
    add_action(out, ROUND_TAKE_SNAPSHOT);
}

/* A partial tile may be made, and a size signed, only on top of full tiles that are durable. A pause that
 * comes after the round has begun holds it here: what follows is the signature. */
static void prepare(struct round *round, struct round_actions *out)
{
    if (!round->is_paused && round->phase == ROUND_STORING &&
        round->stored >= round->size / TILE_WIDTH * TILE_WIDTH) {
        round->phase = ROUND_PREPARING;
        add_action(out, ROUND_PREPARE);
    }
}

static void end(struct round *round, uint64_t now_ms, bool is_ok)
{
    round->phase = ROUND_RESTING;
    round->retry_ms = is_ok ? 0 : now_ms + ROUND_RETRY_MS;
}

static void on_prepared(struct round *round, const struct round_event *event)
{
    assert(round->phase == ROUND_PREPARING);
    if (!event->is_ok) {
        end(round, event->now_ms, false);
        return;
    }
    add_note(round, round->size);
    trim(round);
    round->phase = ROUND_ASKING;
    round->deadline_ms = event->now_ms + ROUND_QUORUM_MS;
}

/* Otherwise all cosignatures come as files, which no round waits for. */
static bool has_askable(const struct round *round)
{
    for (size_t i = 0; i < round->witness_count; i++) {
        if (round->witnesses[i].is_askable) {
            return true;
        }
    }
    return false;
}

/* Publishes what has a quorum, one at a time, and ends a round that has waited long enough. */
static void publish(struct round *round, uint64_t now_ms, struct round_actions *out)
{
    const struct round_note *note = publishable(round);
    if (note != NULL && !round->is_publishing && !round->is_merging && !round->is_paused &&
        now_ms >= round->retry_ms) {
        round->is_publishing = true;
        round->publishing = note->size;
        round->wants_merge = false;
        add_action(out, ROUND_PUBLISH)->size = note->size;
    }
    if (round->phase != ROUND_ASKING) {
        return;
    }
    if (round->is_publishing && round->publishing >= round->size) {
        round->phase = ROUND_PUBLISHING;
    } else if (now_ms >= round->deadline_ms || (round->policy != NULL && !has_askable(round))) {
        round->is_below_quorum = true;
        end(round, now_ms, true);
    }
}

/* Without witnesses the note that could not be published is forgotten: a newer one is made. */
static void on_published(struct round *round, const struct round_event *event)
{
    assert(round->is_publishing);
    round->is_publishing = false;
    if (event->is_ok) {
        round->published = round->publishing;
        round->is_first = false;
        round->retry_ms = 0;
        round->is_below_quorum = round->is_below_quorum && round->published < round->size;
        round->refresh_ms = event->now_ms + ROUND_REFRESH_MS;
        trim(round);
    } else {
        round->retry_ms = event->now_ms + ROUND_RETRY_MS;
        if (round->policy == NULL) {
            remove_note(round, (size_t)(find_note(round, round->publishing) - round->notes));
        }
    }
    if (round->phase == ROUND_PUBLISHING) {
        end(round, event->now_ms, event->is_ok);
    }
}

/* -- Witnesses -- */

static void back_off(struct round *round, struct round_witness *witness, uint64_t now_ms,
                     bool is_accused)
{
    uint64_t first_ms = is_accused ? ROUND_BACKOFF_MAX_MS : ROUND_BACKOFF_MS;
    witness->retry_ms =
        now_ms + backoff_ms(&round->random, witness->failures++, first_ms, ROUND_BACKOFF_MAX_MS);
}

static void on_cosigned(struct round *round, size_t witness, uint64_t size, uint64_t now_ms)
{
    assert(witness < round->witness_count);
    struct round_note *note = find_note(round, size);
    if (note == NULL) {
        return;
    }
    note->cosigned.has[witness] = true;
    bool is_late = is_published(round, size) || (round->is_publishing && size == round->publishing);
    if (is_late && !round->wants_merge) {
        round->wants_merge = true;
        round->merge_ms = now_ms + ROUND_MERGE_MS;
    }
}

void round_occupy(struct round *round, size_t witness)
{
    assert(witness < round->witness_count && !round->witnesses[witness].is_busy);
    round->witnesses[witness].is_busy = true;
}

static void on_answered(struct round *round, const struct round_event *event)
{
    assert(event->witness < round->witness_count);
    struct round_witness *witness = &round->witnesses[event->witness];
    assert(witness->is_busy);
    witness->is_busy = false;
    const struct round_note *note = find_note(round, witness->asked);
    bool is_there = note == NULL || note->cosigned.has[event->witness];
    switch (event->answer) {
    case ROUND_ANSWER_COSIGNED:
        if (is_there) {
            witness->failures = 0;
            witness->retry_ms = 0;
            witness->wants_refresh = false;
            return;
        }
        break; /* so it has not, and is not to be asked again at once */
    case ROUND_ANSWER_AHEAD:
        if (event->size > witness->asked) {
            witness->least = event->size;
            return;
        }
        break;
    case ROUND_ANSWER_NOTHING:
        return;
    case ROUND_ANSWER_FAILED:
    case ROUND_ANSWER_ACCUSED:
        break;
    }
    back_off(round, witness, event->now_ms, event->answer == ROUND_ANSWER_ACCUSED);
}

/* The newest note is what witnesses are asked about. */
static bool is_wanted(const struct round *round, size_t i, const struct round_note *newest)
{
    const struct round_witness *witness = &round->witnesses[i];
    return witness->is_askable && !witness->is_busy && newest->size >= witness->least &&
           (!newest->cosigned.has[i] || witness->wants_refresh);
}

static const struct round_note *note_to_ask_about(const struct round *round)
{
    bool has_note = round->note_count > 0 && !round->is_paused;
    return has_note ? &round->notes[round->note_count - 1] : NULL;
}

/* An idle log has its published note cosigned again, for a fresh time. */
static void refresh(struct round *round, uint64_t now_ms)
{
    if (round->refresh_ms == 0) {
        round->refresh_ms = now_ms + ROUND_REFRESH_MS;
    }
    if (now_ms < round->refresh_ms) {
        return;
    }
    round->refresh_ms = now_ms + ROUND_REFRESH_MS;
    const struct round_note *newest = note_to_ask_about(round);
    if (newest != NULL && is_published(round, newest->size)) {
        for (size_t i = 0; i < round->witness_count; i++) {
            round->witnesses[i].wants_refresh = true;
        }
    }
}

static void ask(struct round *round, uint64_t now_ms, struct round_actions *out)
{
    const struct round_note *newest = note_to_ask_about(round);
    for (size_t i = 0; newest != NULL && i < round->witness_count; i++) {
        struct round_witness *witness = &round->witnesses[i];
        if (is_wanted(round, i, newest) && now_ms >= witness->retry_ms) {
            witness->is_busy = true;
            witness->asked = newest->size;
            struct round_action *action = add_action(out, ROUND_ASK);
            action->witness = i;
            action->size = newest->size;
        }
    }
}

static void merge(struct round *round, uint64_t now_ms, struct round_actions *out)
{
    if (round->wants_merge && !round->is_merging && !round->is_publishing && !round->is_paused &&
        now_ms >= round->merge_ms) {
        round->wants_merge = false;
        round->is_merging = true;
        add_action(out, ROUND_MERGE);
    }
}

static void on_merged(struct round *round, const struct round_event *event)
{
    assert(round->is_merging);
    round->is_merging = false;
    if (!event->is_ok) {
        round->wants_merge = true;
        round->merge_ms = event->now_ms + ROUND_RETRY_MS;
    }
}

/* -- All of it -- */

static void wake_by(uint64_t *wake_ms, uint64_t at_ms)
{
    if (*wake_ms == 0 || at_ms < *wake_ms) {
        *wake_ms = at_ms;
    }
}

/* When time alone changes something: 0 for never. */
static uint64_t wake_at(const struct round *round)
{
    uint64_t wake_ms = 0;
    if (round->is_paused) {
        return 0;
    }
    if (round->phase == ROUND_RESTING && has_news(round)) {
        wake_by(&wake_ms, due_at(round));
    }
    if (round->phase == ROUND_ASKING) {
        wake_by(&wake_ms, round->deadline_ms);
    }
    if (round->retry_ms != 0 && !round->is_publishing && publishable(round) != NULL) {
        wake_by(&wake_ms, round->retry_ms);
    }
    if (round->wants_merge && !round->is_merging && !round->is_publishing) {
        wake_by(&wake_ms, round->merge_ms);
    }
    const struct round_note *newest = note_to_ask_about(round);
    for (size_t i = 0; newest != NULL && i < round->witness_count; i++) {
        if (is_wanted(round, i, newest)) {
            wake_by(&wake_ms, round->witnesses[i].retry_ms);
        }
    }
    if (round->policy != NULL) {
        wake_by(&wake_ms, round->refresh_ms);
    }
    return wake_ms;
}

/* What is due now, whatever it was that happened. */
static void go_on(struct round *round, uint64_t now_ms, struct round_actions *out)
{
    publish(round, now_ms, out);
    prepare(round, out);
    begin(round, now_ms, out);
    if (round->policy != NULL) {
        refresh(round, now_ms);
        ask(round, now_ms, out);
        merge(round, now_ms, out);
    }
    uint64_t wake_ms = wake_at(round);
    if (wake_ms != 0) {
        add_action(out, ROUND_WAIT)->at_ms = wake_ms;
    }
}

void round_step(struct round *round, const struct round_event *event, struct round_actions *out)
{
    assert(out->count == 0);
    switch (event->type) {
    case ROUND_NEWS:
        round->durable = event->size > round->durable ? event->size : round->durable;
        break;
    case ROUND_STORED:
        round->stored = event->size > round->stored ? event->size : round->stored;
        break;
    case ROUND_SNAPSHOT:
        assert(round->phase == ROUND_SNAPPING);
        assert(event->size >= round->published);
        round->size = event->size;
        round->phase = ROUND_STORING;
        break;
    case ROUND_PREPARED:
        on_prepared(round, event);
        break;
    case ROUND_PUBLISHED:
        on_published(round, event);
        break;
    case ROUND_COSIGNED:
        on_cosigned(round, event->witness, event->size, event->now_ms);
        break;
    case ROUND_ANSWERED:
        on_answered(round, event);
        break;
    case ROUND_MERGED:
        on_merged(round, event);
        break;
    case ROUND_DRAIN:
        round->is_draining = true;
        break;
    case ROUND_HURRY:
        round->is_hurried = has_news(round);
        break;
    case ROUND_TICK:
        break;
    }
    go_on(round, event->now_ms, out);
}
