/* Whose is a sealed record? Somebody has the whole log, knows of every clear entry of two cases which of them it is
 * of, and when each came; then one of the two has a measure taken under seal, and he guesses. 1,000 rounds, real records,
 * and the real queue of the spool in a time of its own. Each way of guessing must stay at a coin's rate, and each
 * must win once where what it looks at is not protected: then, and only then, is staying at a coin's rate worth
 * anything.
 *
 * The last cases are what the delay does not hide, in numbers: docs/record.md says so, under "What is visible". */
#include "client/spool_queue.h"
#include "tests/support/record_world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
    ROUNDS = 1000,
    /* 5.7 standard deviations of a fair coin: a guess that tells nothing leaves these once in 80 million runs. */
    COIN_LOW = 410,
    COIN_HIGH = 590,
    SHORT = 100, /* rounds that show that a guess works */
    WINS = 90,
    ENTRIES_MAX = 16,
    STEP_MS = 100,
    MINUTE_MS = 60 * 1000,
    DELAY_MS = 60 * 1000, /* the spool's, unless somebody says else */
    ROUND_MS = 20 * MINUTE_MS,
    CALL_MS = 200, /* until the log has answered */
};

/* ---- a round ---- */

struct event {
    uint64_t at_ms; /* handed over to the spool */
    unsigned of;    /* case 0 or 1 */
    bool is_sealed;
};

struct seen {
    uint64_t at_ms; /* on the log: finer than any checkpoint says */
    const struct event *event;
    struct payload payload;
    struct operation operation;
};

struct round {
    struct event events[ENTRIES_MAX]; /* in the order of handing over */
    size_t event_count;
    unsigned owner; /* what is guessed */
    uint32_t delay_ms;
    bool has_bad_key; /* the one-time key is the submitter's own: somebody's mistake */
    struct case_key keys[2];
    struct signer submitters[2];
    struct seen log[ENTRIES_MAX]; /* in its order; one of them is sealed */
    size_t count;
    const struct seen *sealed;
};

static uint32_t random_below(uint32_t bound)
{
    uint32_t random;
    crypto_random((uint8_t *)&random, sizeof random);
    return random % bound;
}

static uint32_t delay(void *ctx)
{
    const struct round *round = ctx;
    return round->delay_ms > 0 ? random_below(round->delay_ms + 1) : 0;
}

static void add_event(struct round *round, uint64_t at_ms, unsigned of, bool is_sealed)
{
    assert_true(round->event_count < ENTRIES_MAX);
    round->events[round->event_count++] = (struct event){ at_ms, of, is_sealed };
}

/* ---- records ---- */

static const char *const sealed_drafts[] = {
    "{\"case\":\"" RECORD_WORLD_CASE "\",\"court\":\"测0101\",\"fields\":{\"asset\":\"a\","
    "\"debtor\":\"" RECORD_WORLD_DEBTOR "\"},\"kind\":\"SEIZE\",\"minute\":\"2026-03-04T09:31Z\","
    "\"officer\":\"o\",\"sealed\":true}",
    RECORD_WORLD_FREEZE("true"),
};

static const char clear_draft[] =
    "{\"case\":\"" RECORD_WORLD_CASE "\",\"court\":\"测0101\",\"kind\":\"RULING\","
    "\"minute\":\"2026-03-04T09:31Z\",\"officer\":\"officer 7\"}";

/* The two cases differ in how much they have to say, too. */
static void compose(struct round *round, struct seen *seen, uint64_t number)
{
    struct err err;
    struct draft draft;
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    const struct event *event = seen->event;
    const struct signer *submitter = &round->submitters[event->of];
    const char *text = event->is_sealed ? sealed_drafts[event->of] : clear_draft;
    crypto_random(random, sizeof random);
    if (event->is_sealed && round->has_bad_key) {
        struct hash seed =
            record_world_secret(event->of == 0 ? "submitter key" : "another submitter");
        memcpy(random + (size_t)(FIELDS + 1) * FIELD_SALT_BYTES, seed.bytes, ED25519_SEED_BYTES);
    }
    assert_int_equal(draft_parse(&draft, span_of_str(text), &err), E_OK);
    draft.minute += event->at_ms / MINUTE_MS;
    struct composition how = { .origin = RECORD_WORLD_ORIGIN,
                               .case_key = &round->keys[event->of],
                               .submitter_key = submitter->key,
                               .submitter_public = submitter->vkey.key,
                               .number = number,
                               .random = random };
    assert_int_equal(payload_compose(&seen->payload, &draft, &how, &err), E_OK);
    assert_int_equal(operation_decode(&seen->operation, buf_span(&seen->payload.record), &err),
                     E_OK);
    draft_clear(&draft);
}

static void make_keys(struct round *round)
{
    for (unsigned i = 0; i < 2; i++) {
        round->keys[i] = record_world_case_key();
        crypto_random(round->keys[i].bytes, sizeof round->keys[i].bytes);
        round->submitters[i] = keys_signer("court.example", SIGNATURE_ED25519,
                                           i == 0 ? "submitter key" : "another submitter");
    }
}

/* ---- the spool, and the log behind it ---- */

struct flight {
    struct spool_entry *entries[ENTRIES_MAX];
    uint64_t until_ms[ENTRIES_MAX];
    size_t count;
};

static void land(struct flight *flight, struct spool_queue *queue, uint64_t now_ms)
{
    for (size_t i = 0; i < flight->count;) {
        if (flight->until_ms[i] > now_ms) {
            i++;
            continue;
        }
        spool_queue_set_proved(queue, flight->entries[i], now_ms);
        spool_queue_remove(queue, flight->entries[i], now_ms);
        flight->count--;
        flight->entries[i] = flight->entries[flight->count];
        flight->until_ms[i] = flight->until_ms[flight->count];
    }
}

/* What goes is on the log at once, in the order in which it went. */
static void send(struct round *round, struct spool_queue *queue, struct flight *flight,
                 uint64_t now_ms)
{
    unsigned first = random_below(SPOOL_LANES); /* two threads: either may be first */
    for (unsigned i = 0; i < SPOOL_LANES; i++) {
        enum spool_lane lane = (enum spool_lane)((first + i) % SPOOL_LANES);
        size_t count_max = lane == SPOOL_LANE_SEALED ? 1 : ENTRIES_MAX;
        struct spool_entry *picked[ENTRIES_MAX];
        size_t count = spool_queue_pick(queue, lane, now_ms, count_max, 1 << 20, picked);
        for (size_t k = 0; k < count; k++) {
            flight->entries[flight->count] = picked[k];
            flight->until_ms[flight->count++] = now_ms + CALL_MS;
            round->log[round->count++] =
                (struct seen){ .at_ms = now_ms, .event = &round->events[picked[k]->ticket] };
        }
    }
}

static void run_spool(struct round *round)
{
    struct spool_queue queue;
    struct flight flight = { .count = 0 };
    size_t next = 0;
    spool_queue_init(&queue, delay, round);
    for (uint64_t now_ms = 0; now_ms < ROUND_MS && round->count < round->event_count;
         now_ms += STEP_MS) {
        for (; next < round->event_count && round->events[next].at_ms <= now_ms; next++) {
            const struct event *event = &round->events[next];
            struct spool_entry entry = { .ticket = next,
                                         .bytes = 300,
                                         .is_sealed = event->is_sealed };
            struct hash id = { { (uint8_t)(1 + event->of) } };
            spool_queue_add(&queue, &entry, &id, now_ms);
        }
        land(&flight, &queue, now_ms);
        send(round, &queue, &flight, now_ms);
    }
    assert_int_equal(round->count, round->event_count);
    land(&flight, &queue, UINT64_MAX);
    spool_queue_clear(&queue);
}

static void play(struct round *round)
{
    uint64_t numbers[2] = { 0, 0 };
    run_spool(round);
    make_keys(round);
    for (size_t i = 0; i < round->count; i++) {
        compose(round, &round->log[i], numbers[round->log[i].event->of]++);
        if (round->log[i].event->is_sealed) {
            round->sealed = &round->log[i];
        }
    }
    assert_non_null(round->sealed);
}

static void end(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        payload_clear(&round->log[i].payload);
        operation_clear(&round->log[i].operation);
    }
    signer_clear(&round->submitters[0]);
    signer_clear(&round->submitters[1]);
}

/* ---- ways to guess: how much it looks like case `of`, who knows which clear entries are of it ---- */

typedef double (*score_fn)(const struct round *round, unsigned of);

static bool is_clear_of(const struct seen *seen, unsigned of)
{
    return !seen->event->is_sealed && seen->event->of == of;
}

/* Bits that two strings have in common. */
static double alike(const uint8_t *a, const uint8_t *b, size_t len)
{
    int common = 0;
    for (size_t i = 0; i < len; i++) {
        common += 8 - __builtin_popcount((unsigned)(a[i] ^ b[i]));
    }
    return common;
}

static double most_alike(const struct round *round, unsigned of,
                         const struct hash *(*part)(const struct seen *))
{
    double best = 0;
    for (size_t i = 0; i < round->count; i++) {
        if (is_clear_of(&round->log[i], of)) {
            double like =
                alike(part(round->sealed)->bytes, part(&round->log[i])->bytes, HASH_BYTES);
            best = like > best ? like : best;
        }
    }
    return best;
}

static const struct hash *tag_of(const struct seen *seen)
{
    return &seen->operation.entry_tag;
}

static const struct hash *root_of(const struct seen *seen)
{
    return &seen->operation.fields_root;
}

static const struct hash *document_of(const struct seen *seen)
{
    return &seen->operation.document;
}

static double by_tag(const struct round *round, unsigned of)
{
    return most_alike(round, of, tag_of);
}

static double by_root(const struct round *round, unsigned of)
{
    return most_alike(round, of, root_of);
}

static double by_document(const struct round *round, unsigned of)
{
    return most_alike(round, of, document_of);
}

/* The longest string that it shares with an entry of the case, past the first bytes, which all have. */
static double by_shared_bytes(const struct round *round, unsigned of)
{
    size_t best = 0;
    struct span sealed = buf_span(&round->sealed->payload.record);
    for (size_t i = 0; i < round->count; i++) {
        struct span clear = buf_span(&round->log[i].payload.record);
        for (size_t a = 4; is_clear_of(&round->log[i], of) && a < sealed.len; a++) {
            for (size_t b = 4; b < clear.len; b++) {
                size_t len = 0;
                while (a + len < sealed.len && b + len < clear.len &&
                       sealed.data[a + len] == clear.data[b + len]) {
                    len++;
                }
                best = len > best ? len : best;
            }
        }
    }
    return (double)best;
}

/* The signer of the case's entries is the signer of this one. */
static double by_key(const struct round *round, unsigned of)
{
    struct submitter_id id = submitter_id_make(&round->sealed->operation.one_time_key);
    double most = 0;
    for (size_t i = 0; i < round->count; i++) {
        if (is_clear_of(&round->log[i], of)) {
            double like =
                alike(id.bytes, round->log[i].operation.submitter.bytes, SUBMITTER_ID_BYTES);
            most = like > most ? like : most;
        }
    }
    return most;
}

static double by_signature(const struct round *round, unsigned of)
{
    double most = 0;
    struct span sealed = buf_span(&round->sealed->payload.record);
    for (size_t i = 0; i < round->count; i++) {
        struct span clear = buf_span(&round->log[i].payload.record);
        if (is_clear_of(&round->log[i], of)) { /* a nonce that is used again is its first half */
            double like = alike(sealed.data + sealed.len - 64, clear.data + clear.len - 64, 32);
            most = like > most ? like : most;
        }
    }
    return most;
}

/* Somebody of the case refers to it. */
static double by_reference(const struct round *round, unsigned of)
{
    struct hash leaf = merkle_leaf_hash(buf_span(&round->sealed->payload.record));
    double count = 0;
    for (size_t i = 0; i < round->count; i++) {
        const struct operation *operation = &round->log[i].operation;
        for (size_t k = 0; is_clear_of(&round->log[i], of) && k < operation->reference_count; k++) {
            count += hash_is_equal(&operation->references[k].leaf, &leaf);
        }
    }
    return count;
}

/* A case that has much to say makes large records, if sizes tell. The second case's are the larger. */
static double by_size(const struct round *round, unsigned of)
{
    double len = (double)round->sealed->payload.record.len;
    return of == 1 ? len : 240;
}

static double gap(uint64_t a, uint64_t b)
{
    return a > b ? (double)(a - b) : (double)(b - a);
}

static double by_nearest_time(const struct round *round, unsigned of)
{
    double best = ROUND_MS;
    for (size_t i = 0; i < round->count; i++) {
        double away = gap(round->log[i].at_ms, round->sealed->at_ms);
        best = is_clear_of(&round->log[i], of) && away < best ? away : best;
    }
    return -best;
}

static double by_place_before(const struct round *round, unsigned of)
{
    double last = -1;
    for (const struct seen *seen = round->log; seen < round->sealed; seen++) {
        last = is_clear_of(seen, of) ? (double)(seen - round->log) : last;
    }
    return last;
}

static double by_place_behind(const struct round *round, unsigned of)
{
    for (const struct seen *seen = round->sealed; seen < round->log + round->count; seen++) {
        if (is_clear_of(seen, of)) {
            return -(double)(seen - round->log);
        }
    }
    return -ENTRIES_MAX;
}

/* Which case has the entry that came latest after its own time? Something stood in front of it. */
static double by_lateness(const struct round *round, unsigned of)
{
    double latest = 0;
    for (size_t i = 0; i < round->count; i++) {
        const struct seen *seen = &round->log[i];
        double minute = (double)(seen->event->at_ms / MINUTE_MS * MINUTE_MS);
        double late = (double)seen->at_ms - minute;
        latest = is_clear_of(seen, of) && late > latest ? late : latest;
    }
    return latest;
}

/* Which case paused, around it? */
static double by_pause(const struct round *round, unsigned of)
{
    uint64_t before = 0, behind = ROUND_MS;
    for (size_t i = 0; i < round->count; i++) {
        if (is_clear_of(&round->log[i], of) && &round->log[i] < round->sealed) {
            before = round->log[i].at_ms;
        } else if (is_clear_of(&round->log[i], of) && behind == ROUND_MS) {
            behind = round->log[i].at_ms;
        }
    }
    return (double)(behind - before);
}

/* With the case's key there is nothing to guess. */
static double by_case_key(const struct round *round, unsigned of)
{
    struct submitter_id id = submitter_id_make(&round->submitters[of].vkey.key);
    for (uint64_t number = 0; number < ENTRIES_MAX; number++) {
        struct hash tag = entry_tag_make(&round->keys[of], &id, number);
        if (hash_is_equal(&tag, &round->sealed->operation.entry_tag)) {
            return 1;
        }
    }
    return 0;
}

enum way {
    BY_TAG,
    BY_ROOT,
    BY_DOCUMENT,
    BY_SHARED_BYTES,
    BY_KEY,
    BY_SIGNATURE,
    BY_REFERENCE,
    BY_SIZE,
    BY_NEAREST_TIME,
    BY_PLACE_BEFORE,
    BY_PLACE_BEHIND,
    BY_LATENESS,
    BY_PAUSE,
    BY_CASE_KEY, /* no part of the vote */
    BY_VOTE,
    WAYS
};

static const struct {
    const char *name;
    score_fn score;
} ways[WAYS] = {
    [BY_TAG] = { "tag", by_tag },
    [BY_ROOT] = { "fields' root", by_root },
    [BY_DOCUMENT] = { "document", by_document },
    [BY_SHARED_BYTES] = { "shared bytes", by_shared_bytes },
    [BY_KEY] = { "key", by_key },
    [BY_SIGNATURE] = { "signature", by_signature },
    [BY_REFERENCE] = { "reference", by_reference },
    [BY_SIZE] = { "size", by_size },
    [BY_NEAREST_TIME] = { "nearest in time", by_nearest_time },
    [BY_PLACE_BEFORE] = { "last before it", by_place_before },
    [BY_PLACE_BEHIND] = { "first behind it", by_place_behind },
    [BY_LATENESS] = { "lateness", by_lateness },
    [BY_PAUSE] = { "pause", by_pause },
    [BY_CASE_KEY] = { "case key", by_case_key },
    [BY_VOTE] = { "vote of all", NULL },
};

/* Who cannot tell throws a coin. */
static unsigned decide(double first, double second)
{
    return first == second ? random_below(2) : second > first;
}

static void guess(const struct round *round, size_t right[static WAYS])
{
    double votes = 0;
    for (unsigned i = 0; i < BY_VOTE; i++) {
        double first = ways[i].score(round, 0), second = ways[i].score(round, 1);
        right[i] += decide(first, second) == round->owner;
        if (i != BY_CASE_KEY && first != second) {
            votes += second > first ? 1 : -1;
        }
    }
    right[BY_VOTE] += decide(0, votes) == round->owner;
}

/* ---- games ---- */

typedef void (*game_fn)(struct round *round);

static void play_game(game_fn game, int rounds, size_t right[static WAYS])
{
    memset(right, 0, WAYS * sizeof right[0]);
    for (int i = 0; i < rounds; i++) {
        struct round round = { .owner = random_below(2), .delay_ms = DELAY_MS };
        game(&round);
        play(&round);
        guess(&round, right);
        end(&round);
    }
}

static void assert_coin(const size_t right[static WAYS])
{
    for (unsigned i = 0; i < WAYS; i++) {
        if (i != BY_CASE_KEY && (right[i] < COIN_LOW || right[i] > COIN_HIGH)) {
            fail_msg("%s: %zu of %d", ways[i].name, right[i], ROUNDS);
        }
    }
    assert_int_equal(right[BY_CASE_KEY], ROUNDS);
}

/* A minute in which a court works at both cases: an order in each, and in one of them a measure goes with it. More is
 * done in both some minutes later. */
static void both_at_work(struct round *round)
{
    unsigned first = random_below(2);
    for (unsigned i = 0; i < 2; i++) {
        unsigned of = (first + i) % 2;
        add_event(round, 30000 + 1000 * i, of, false);
        if (of == round->owner) {
            add_event(round, 30000 + 1000 * i, of, true);
        }
    }
    first = random_below(2);
    for (unsigned i = 0; i < 2; i++) {
        add_event(round, 4 * MINUTE_MS + 1000 * i + random_below(1000), (first + i) % 2, false);
    }
}

/* Days on which the cases' entries and the measure have nothing to do with each other. */
static void quiet_days(struct round *round)
{
    uint32_t before[2] = { random_below(4 * MINUTE_MS), random_below(4 * MINUTE_MS) };
    unsigned first = before[1] < before[0];
    add_event(round, before[first], first, false);
    add_event(round, before[1 - first], 1 - first, false);
    add_event(round, 8 * MINUTE_MS + random_below(MINUTE_MS), round->owner, true);
    uint32_t behind[2] = { random_below(4 * MINUTE_MS), random_below(4 * MINUTE_MS) };
    first = behind[1] < behind[0];
    add_event(round, 12 * MINUTE_MS + behind[first], first, false);
    add_event(round, 12 * MINUTE_MS + behind[1 - first], 1 - first, false);
}

static void without_delay(struct round *round)
{
    both_at_work(round);
    round->delay_ms = 0;
}

static void with_bad_key(struct round *round)
{
    both_at_work(round);
    round->has_bad_key = true;
}

/* A clear operation of the case right behind the measure: it has to wait for it. */
static void clear_behind(struct round *round)
{
    both_at_work(round);
    round->events[4].at_ms = round->events[3].at_ms = 32000;
}

/* Only the case that has the measure did anything in the minutes around it. */
static void alone(struct round *round)
{
    add_event(round, 1000, 1 - round->owner, false);
    add_event(round, 5 * MINUTE_MS, round->owner, false);
    add_event(round, 5 * MINUTE_MS, round->owner, true);
}

/* ---- claims ---- */

static void nobody_tells_whose_it_is_while_a_court_works_at_both(void **state)
{
    (void)state;
    size_t right[WAYS];
    play_game(both_at_work, ROUNDS, right);
    assert_coin(right);
}

static void nobody_tells_whose_it_is_on_quiet_days(void **state)
{
    (void)state;
    size_t right[WAYS];
    play_game(quiet_days, ROUNDS, right);
    assert_coin(right);
}

static void without_the_delay_its_neighbour_on_the_log_tells(void **state)
{
    (void)state;
    size_t right[WAYS];
    play_game(without_delay, SHORT, right);
    assert_true(right[BY_PLACE_BEFORE] >= WINS);
}

static void a_one_time_key_that_is_none_tells(void **state)
{
    (void)state;
    size_t right[WAYS];
    play_game(with_bad_key, SHORT, right);
    assert_int_equal(right[BY_KEY], SHORT);
}

static void a_clear_operation_right_behind_it_tells_by_being_late(void **state)
{
    (void)state;
    size_t right[WAYS];
    play_game(clear_behind, SHORT, right);
    assert_true(right[BY_LATENESS] >= WINS);
}

static void a_case_that_was_alone_at_that_time_tells(void **state)
{
    (void)state;
    size_t right[WAYS];
    play_game(alone, SHORT, right);
    assert_int_equal(right[BY_NEAREST_TIME], SHORT);
}

/* ---- sizes ---- */

/* As short, or as long, as a value can be. */
static void fill_field(struct draft *draft, unsigned number, bool is_long)
{
    struct buf *value = &draft->fields[number];
    static const char *const ids[] = { "91990000MA00000HKL", RECORD_WORLD_DEBTOR };
    switch (field_definition(number)->type) {
    case FIELD_TYPE_PARTY:
        buf_put_str(value, ids[is_long]);
        break;
    case FIELD_TYPE_CREDIT_CODE:
        buf_put_str(value, ids[0]);
        break;
    case FIELD_TYPE_DIGEST:
        (void)buf_extend(value, HASH_BYTES);
        memset(value->data, 7, HASH_BYTES);
        break;
    case FIELD_TYPE_TEXT:
    case FIELD_TYPE_TAG:
        for (size_t i = 0; i < (is_long ? FIELD_VALUE_BYTES_MAX : 1); i++) {
            buf_put_str(value, "x");
        }
        break;
    default:
        buf_put_u64(value, is_long ? 65535 : 1);
    }
}

static void compose_sealed(struct payload *out, const struct kind *kind, bool is_long)
{
    const uint32_t filled_in = 1U << FIELD_NUMBER | 1U << FIELD_CASE_NUMBER | 1U << FIELD_KIND |
                               1U << FIELD_MINUTE | 1U << FIELD_COURT | 1U << FIELD_SUBMITTER |
                               1U << FIELD_CERTIFICATE | 1U << FIELD_REFERENCES;
    struct draft draft;
    struct err err;
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    struct case_key key = record_world_case_key();
    struct signer submitter = record_world_submitter();
    assert_int_equal(draft_parse(&draft, span_of_str(RECORD_WORLD_FREEZE("true")), &err), E_OK);
    draft.kind = kind;
    draft.has_document = is_long;
    draft.minute = is_long ? UINT64_C(4223371679) : 1;
    draft.reference_count = is_long ? OPERATION_REFERENCES_MAX : 0;
    for (unsigned i = 0; i < FIELDS; i++) {
        uint32_t wanted = (is_long ? kind->allowed : kind->required) & ~filled_in;
        buf_reset(&draft.fields[i]);
        if ((wanted >> i & 1) != 0) {
            fill_field(&draft, i, is_long);
        }
    }
    crypto_random(random, sizeof random);
    struct composition how = { .origin = RECORD_WORLD_ORIGIN,
                               .case_key = &key,
                               .submitter_key = submitter.key,
                               .submitter_public = submitter.vkey.key,
                               .number = is_long ? UINT32_MAX : 0,
                               .random = random };
    if (payload_compose(out, &draft, &how, &err) != E_OK) {
        fail_msg("%s: %s", kind->name, err.msg);
    }
    draft_clear(&draft);
    signer_clear(&submitter);
}

static void sealed_records_of_all_kinds_and_lengths_have_one_size(void **state)
{
    (void)state;
    size_t size = 0, kinds = 0;
    uint8_t head[8] = { 0 };
    const struct kind *kind;
    for (size_t i = 0; (kind = kind_at(i)) != NULL; i++) {
        if (!kind->is_control && kind->number != KIND_DECOY) {
            continue;
        }
        kinds++;
        for (int is_long = 0; is_long < 2; is_long++) {
            struct payload payload;
            struct buf json = BUF_INIT(PAYLOAD_BYTES_MAX);
            compose_sealed(&payload, kind, is_long);
            size = size == 0 ? payload.record.len : size;
            assert_int_equal(payload.record.len, size);
            assert_true(payload.has_certificate);
            /* Version, kind, and the head of the entry tag, whose bytes are random. */
            if (kinds == 1 && !is_long) {
                memcpy(head, payload.record.data, 6);
            }
            assert_memory_equal(payload.record.data, head, 6);
            payload_put(&json, &payload);
            assert_true(!is_long || kind->number == KIND_DECOY || json.len > 4 * size);
            crypto_wipe(json.data, json.cap);
            buf_clear(&json);
            payload_clear(&payload);
        }
    }
    assert_true(kinds >= 15);
    assert_in_range(size, 200, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_records_of_all_kinds_and_lengths_have_one_size),
        cmocka_unit_test(nobody_tells_whose_it_is_while_a_court_works_at_both),
        cmocka_unit_test(nobody_tells_whose_it_is_on_quiet_days),
        cmocka_unit_test(without_the_delay_its_neighbour_on_the_log_tells),
        cmocka_unit_test(a_one_time_key_that_is_none_tells),
        cmocka_unit_test(a_clear_operation_right_behind_it_tells_by_being_late),
        cmocka_unit_test(a_case_that_was_alone_at_that_time_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
