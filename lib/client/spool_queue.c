/* A case is at one place at a time: on a ready list, in the heap of those that are parked, or on neither, while
 * something of it is in flight, nothing of it waits, or a refused item stands first. reconsider() decides. */
#include "client/spool_queue.h"

#include "base/alloc.h"

#include <assert.h>

enum {
    TABLE_FIRST = 64,
    HEAP_FIRST = 16,
};

enum place {
    PLACE_NONE,
    PLACE_READY,
    PLACE_PARKED,
};

struct spool_case {
    struct hash id;
    struct spool_case *next; /* of its chain */
    TAILQ_ENTRY(spool_case) ready;
    struct spool_entry_list line; /* waiting, or refused; tickets ascend */
    size_t entries;               /* all there are */
    size_t in_flight;             /* sent, not acknowledged */
    uint64_t due_ms;              /* PARKED */
    uint64_t refused_ticket;      /* the first one; UINT64_MAX */
    uint8_t place;
    uint8_t lane;      /* READY */
    bool is_anonymous; /* in no table */
    bool is_loose;     /* its items have no order */
};

/* ---- cases ---- */

static bool is_zero(const struct hash *hash)
{
    static const struct hash zero;
    return hash_is_equal(hash, &zero);
}

static size_t slot_of(const struct hash *id, size_t size)
{
    uint64_t head;
    memcpy(&head, id->bytes, sizeof head);
    return (size_t)(head % size);
}

static struct spool_case *case_new(const struct hash *id)
{
    struct spool_case *one = NEW(struct spool_case);
    one->id = *id;
    one->refused_ticket = UINT64_MAX;
    TAILQ_INIT(&one->line);
    return one;
}

static void table_grow(struct spool_queue *queue)
{
    size_t size = queue->table_size * 2;
    struct spool_case **table = mem_calloc(size, sizeof(struct spool_case *));
    for (size_t i = 0; i < queue->table_size; i++) {
        while (queue->table[i] != NULL) {
            struct spool_case *one = queue->table[i];
            struct spool_case **slot = &table[slot_of(&one->id, size)];
            queue->table[i] = one->next;
            one->next = *slot;
            *slot = one;
        }
    }
    mem_free(queue->table);
    queue->table = table;
    queue->table_size = size;
}

static struct spool_case *case_of(struct spool_queue *queue, const struct hash *id, bool is_sealed)
{
    if (is_zero(id)) {
        struct spool_case *one = queue->loose;
        if (is_sealed) {
            one = case_new(id);
            one->is_anonymous = true;
        }
        return one;
    }
    for (struct spool_case *one = queue->table[slot_of(id, queue->table_size)]; one != NULL;
         one = one->next) {
        if (hash_is_equal(&one->id, id)) {
            return one;
        }
    }
    if (queue->table_count >= queue->table_size) {
        table_grow(queue);
    }
    struct spool_case *one = case_new(id);
    struct spool_case **slot = &queue->table[slot_of(id, queue->table_size)];
    one->next = *slot;
    *slot = one;
    queue->table_count++;
    return one;
}

static void case_drop(struct spool_queue *queue, struct spool_case *one)
{
    assert(one->place == PLACE_NONE && TAILQ_EMPTY(&one->line));
    if (one->is_loose) {
        return;
    }
    if (!one->is_anonymous) {
        struct spool_case **at = &queue->table[slot_of(&one->id, queue->table_size)];
        while (*at != one) {
            at = &(*at)->next;
        }
        *at = one->next;
        queue->table_count--;
    }
    mem_free(one);
}

/* ---- the heap of those that are parked: the earliest is first ---- */

static void heap_swap(struct spool_case **heap, size_t a, size_t b)
{
    struct spool_case *was = heap[a];
    heap[a] = heap[b];
    heap[b] = was;
}

static void park(struct spool_queue *queue, struct spool_case *one)
{
    if (queue->parked_count == queue->parked_room) {
        queue->parked_room *= 2;
        queue->parked = mem_realloc(queue->parked, queue->parked_room * sizeof queue->parked[0]);
    }
    struct spool_case **heap = queue->parked;
    size_t at = queue->parked_count++;
    heap[at] = one;
    one->place = PLACE_PARKED;
    while (at > 0 && heap[(at - 1) / 2]->due_ms > heap[at]->due_ms) {
        heap_swap(heap, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static struct spool_case *unpark(struct spool_queue *queue)
{
    struct spool_case **heap = queue->parked;
    struct spool_case *first = heap[0];
    size_t count = --queue->parked_count;
    heap[0] = heap[count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            least = heap[child]->due_ms < heap[least]->due_ms ? child : least;
        }
        if (least == at) {
            break;
        }
        heap_swap(heap, at, least);
        at = least;
    }
    first->place = PLACE_NONE;
    return first;
}

/* ---- where a case belongs ---- */

static void make_ready(struct spool_queue *queue, struct spool_case *one)
{
    const struct spool_entry *head = TAILQ_FIRST(&one->line);
    one->lane = head->is_sealed ? SPOOL_LANE_SEALED : SPOOL_LANE_CLEAR;
    one->place = PLACE_READY;
    queue->ready_count[one->lane]++;
    if (head->suspects > 0) {
        TAILQ_INSERT_HEAD(&queue->ready[one->lane], one, ready);
    } else {
        TAILQ_INSERT_TAIL(&queue->ready[one->lane], one, ready);
    }
}

static void make_unready(struct spool_queue *queue, struct spool_case *one)
{
    TAILQ_REMOVE(&queue->ready[one->lane], one, ready);
    queue->ready_count[one->lane]--;
    one->place = PLACE_NONE;
}

static bool is_stuck(const struct spool_case *one)
{
    const struct spool_entry *head = TAILQ_FIRST(&one->line);
    return head == NULL || head->state == SPOOL_ENTRY_REFUSED ||
           (one->in_flight > 0 && !one->is_loose);
}

/* Frees a case of which nothing is left. */
static void reconsider(struct spool_queue *queue, struct spool_case *one, uint64_t now_ms)
{
    if (one->entries == 0 && one->place == PLACE_NONE) {
        case_drop(queue, one);
        return;
    }
    if (one->place == PLACE_READY && is_stuck(one)) {
        make_unready(queue, one);
    }
    if (one->place != PLACE_NONE || is_stuck(one)) {
        return;
    }
    const struct spool_entry *head = TAILQ_FIRST(&one->line);
    uint32_t delay_ms = 0;
    if (head->is_sealed || head->is_behind_sealed) {
        delay_ms = queue->delay(queue->ctx);
    }
    if (delay_ms > 0) {
        one->due_ms = now_ms + delay_ms;
        park(queue, one);
    } else {
        make_ready(queue, one);
    }
}

static void unpark_due(struct spool_queue *queue, uint64_t now_ms)
{
    while (queue->parked_count > 0 && queue->parked[0]->due_ms <= now_ms) {
        struct spool_case *one = unpark(queue);
        if (!is_stuck(one)) {
            make_ready(queue, one);
        } else if (one->entries == 0) {
            case_drop(queue, one);
        }
    }
}

uint64_t spool_queue_next_ms(const struct spool_queue *queue, uint64_t now_ms)
{
    if (queue->parked_count == 0) {
        return UINT64_MAX;
    }
    uint64_t due_ms = queue->parked[0]->due_ms;
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

/* ---- the queue ---- */

void spool_queue_init(struct spool_queue *queue, uint32_t (*delay)(void *ctx), void *ctx)
{
    static const struct hash none;
    *queue = (struct spool_queue){
        .delay = delay, .ctx = ctx, .table_size = TABLE_FIRST, .parked_room = HEAP_FIRST
    };
    TAILQ_INIT(&queue->all);
    for (int i = 0; i < SPOOL_LANES; i++) {
        TAILQ_INIT(&queue->ready[i]);
        TAILQ_INIT(&queue->durables[i]);
    }
    queue->table = mem_calloc(queue->table_size, sizeof(struct spool_case *));
    queue->parked = mem_calloc(queue->parked_room, sizeof(struct spool_case *));
    queue->loose = case_new(&none);
    queue->loose->is_loose = true;
}

void spool_queue_clear(struct spool_queue *queue)
{
    struct spool_entry *entry;
    while ((entry = TAILQ_FIRST(&queue->all)) != NULL) {
        struct spool_case *home = entry->home;
        TAILQ_REMOVE(&queue->all, entry, all);
        mem_free(entry);
        home->entries--;
        if (home->entries == 0 && home->is_anonymous) {
            mem_free(home);
        }
    }
    for (size_t i = 0; i < queue->table_size; i++) {
        while (queue->table[i] != NULL) {
            struct spool_case *one = queue->table[i];
            queue->table[i] = one->next;
            mem_free(one);
        }
    }
    mem_free(queue->loose);
    mem_free(queue->table);
    mem_free(queue->parked);
}

void spool_queue_add(struct spool_queue *queue, const struct spool_entry *from,
                     const struct hash *case_id, uint64_t now_ms)
{
    struct spool_entry *entry = NEW(struct spool_entry);
    *entry = *from;
    entry->state = SPOOL_ENTRY_WAITING;
    entry->home = case_of(queue, case_id, from->is_sealed);
    entry->home->entries++;
    TAILQ_INSERT_TAIL(&queue->all, entry, all);
    TAILQ_INSERT_TAIL(&entry->home->line, entry, line);
    queue->count++;
    queue->bytes += entry->bytes;
    reconsider(queue, entry->home, now_ms);
}

/* ---- picking ---- */

struct picking {
    struct spool_entry **out;
    size_t count, count_max, bytes, bytes_max;
    bool is_of_suspects;
};

static bool pick_one(struct picking *picking, struct spool_entry *entry)
{
    bool is_first = picking->count == 0;
    if (is_first && entry->suspects > 0) {
        picking->is_of_suspects = true;
        picking->count_max =
            entry->suspects < picking->count_max ? entry->suspects : picking->count_max;
    }
    if (picking->count >= picking->count_max || (entry->suspects > 0) != picking->is_of_suspects ||
        (!is_first && entry->bytes > picking->bytes_max - picking->bytes)) {
        return false;
    }
    picking->out[picking->count++] = entry;
    picking->bytes += entry->bytes;
    if (picking->bytes > picking->bytes_max) {
        picking->bytes = picking->bytes_max; /* a first one that is larger goes alone */
    }
    return true;
}

/* Takes from the front of a case. False when there is no more room. */
static bool pick_from(struct picking *picking, struct spool_case *one)
{
    struct spool_entry *entry;
    while ((entry = TAILQ_FIRST(&one->line)) != NULL && entry->state == SPOOL_ENTRY_WAITING &&
           entry->is_sealed == (one->lane == SPOOL_LANE_SEALED)) {
        if (!pick_one(picking, entry)) {
            return false;
        }
        TAILQ_REMOVE(&one->line, entry, line);
        entry->state = SPOOL_ENTRY_IN_FLIGHT;
        one->in_flight++;
        entry->is_behind_sealed = false; /* it has waited */
        if (entry->is_sealed) {
            break; /* one at a time, in its own time */
        }
    }
    return true;
}

size_t spool_queue_pick(struct spool_queue *queue, enum spool_lane lane, uint64_t now_ms,
                        size_t count_max, size_t bytes_max, struct spool_entry **out)
{
    struct picking picking = { .out = out, .count_max = count_max, .bytes_max = bytes_max };
    struct spool_case *one;
    bool has_room = true;
    unpark_due(queue, now_ms);
    while (has_room && picking.count < picking.count_max &&
           (one = TAILQ_FIRST(&queue->ready[lane])) != NULL) {
        size_t before = picking.count;
        has_room = pick_from(&picking, one);
        if (picking.count > before || is_stuck(one)) {
            make_unready(queue, one);
            reconsider(queue, one, now_ms); /* loose items that are left are ready again */
        }
    }
    return picking.count;
}

size_t spool_queue_pick_durable(struct spool_queue *queue, enum spool_lane lane, size_t count_max,
                                size_t bytes_max, struct spool_entry **out)
{
    struct picking picking = { .out = out, .count_max = count_max, .bytes_max = bytes_max };
    struct spool_entry *entry;
    while ((entry = TAILQ_FIRST(&queue->durables[lane])) != NULL && pick_one(&picking, entry)) {
        TAILQ_REMOVE(&queue->durables[lane], entry, line);
    }
    return picking.count;
}

/* ---- what became of them ---- */

static enum spool_lane lane_of(const struct spool_entry *entry)
{
    return entry->is_sealed ? SPOOL_LANE_SEALED : SPOOL_LANE_CLEAR;
}

/* Leaves what it was, which is in nobody's line. */
static void leave(struct spool_queue *queue, struct spool_entry *entry)
{
    if (entry->state == SPOOL_ENTRY_IN_FLIGHT) {
        assert(entry->home->in_flight > 0);
        entry->home->in_flight--;
    } else {
        assert(entry->state == SPOOL_ENTRY_DURABLE);
        queue->durable--;
    }
}

void spool_queue_set_durable(struct spool_queue *queue, struct spool_entry *entry, uint64_t index,
                             uint64_t now_ms)
{
    leave(queue, entry);
    entry->state = SPOOL_ENTRY_DURABLE;
    entry->index = index;
    entry->suspects = 0;
    queue->durable++;
    TAILQ_INSERT_TAIL(&queue->durables[lane_of(entry)], entry, line);
    reconsider(queue, entry->home, now_ms);
}

void spool_queue_set_proved(struct spool_queue *queue, struct spool_entry *entry, uint64_t now_ms)
{
    leave(queue, entry);
    entry->state = SPOOL_ENTRY_PROVED;
    reconsider(queue, entry->home, now_ms);
}

static void insert_in_order(struct spool_case *home, struct spool_entry *entry)
{
    struct spool_entry *at;
    TAILQ_FOREACH(at, &home->line, line)
    {
        if (at->ticket > entry->ticket) {
            TAILQ_INSERT_BEFORE(at, entry, line);
            return;
        }
    }
    TAILQ_INSERT_TAIL(&home->line, entry, line);
}

void spool_queue_retry(struct spool_queue *queue, struct spool_entry *entry, uint64_t now_ms)
{
    leave(queue, entry);
    entry->state = SPOOL_ENTRY_WAITING;
    insert_in_order(entry->home, entry);
    reconsider(queue, entry->home, now_ms);
}

void spool_queue_refuse(struct spool_queue *queue, struct spool_entry *entry, uint64_t now_ms)
{
    struct spool_case *home = entry->home;
    leave(queue, entry);
    entry->state = SPOOL_ENTRY_REFUSED;
    entry->suspects = 0;
    queue->refused++;
    if (!home->is_loose) {
        insert_in_order(home, entry);
        home->refused_ticket =
            entry->ticket < home->refused_ticket ? entry->ticket : home->refused_ticket;
    }
    reconsider(queue, home, now_ms);
}

static void unrefuse(struct spool_queue *queue, struct spool_entry *entry)
{
    struct spool_case *home = entry->home;
    struct spool_entry *at;
    queue->refused--;
    if (home->is_loose) {
        return;
    }
    TAILQ_REMOVE(&home->line, entry, line);
    home->refused_ticket = UINT64_MAX;
    TAILQ_FOREACH(at, &home->line, line)
    {
        if (at->state == SPOOL_ENTRY_REFUSED) {
            home->refused_ticket = at->ticket;
            return;
        }
    }
}

void spool_queue_remove(struct spool_queue *queue, struct spool_entry *entry, uint64_t now_ms)
{
    struct spool_case *home = entry->home;
    assert(entry->state == SPOOL_ENTRY_PROVED || entry->state == SPOOL_ENTRY_REFUSED);
    if (entry->state == SPOOL_ENTRY_REFUSED) {
        unrefuse(queue, entry);
    }
    TAILQ_REMOVE(&queue->all, entry, all);
    queue->count--;
    queue->bytes -= entry->bytes;
    home->entries--;
    mem_free(entry);
    reconsider(queue, home, now_ms);
}

struct spool_entry *spool_queue_find(struct spool_queue *queue, uint64_t ticket)
{
    struct spool_entry *entry;
    TAILQ_FOREACH(entry, &queue->all, all)
    {
        if (entry->ticket >= ticket) {
            return entry->ticket == ticket ? entry : NULL;
        }
    }
    return NULL;
}

bool spool_queue_is_done_below(const struct spool_queue *queue, uint64_t ticket)
{
    const struct spool_entry *entry;
    TAILQ_FOREACH(entry, &queue->all, all)
    {
        if (entry->ticket >= ticket) {
            return true;
        }
        bool is_held =
            entry->state == SPOOL_ENTRY_REFUSED ||
            (entry->state == SPOOL_ENTRY_WAITING && entry->home->refused_ticket < entry->ticket);
        if (!is_held) {
            return false;
        }
    }
    return true;
}
