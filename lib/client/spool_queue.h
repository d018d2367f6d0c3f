/* spool_queue.h -- which items of a spool may be sent now: order within a case, and what sealed records add to it.
 *
 * Pure: time and random delays come in. One lock of its owner guards all of it.
 *
 * An item waits, is in flight, is acknowledged, and goes. Items of one case are sent in the order of their tickets: in
 * one call, or when those before are acknowledged. A refused item holds those behind it. A case whose next item is
 * sealed, or behind a sealed one, first waits a random time: what stands next to a sealed record on the log, or in the
 * traffic, must not tell whose it is. Each sealed item of no case is a case of its own; other items of no case have
 * no order.
 */
#ifndef CLIENT_SPOOL_QUEUE_H
#define CLIENT_SPOOL_QUEUE_H

#include "base/crypto.h"

#include <sys/queue.h>

enum spool_lane {
    SPOOL_LANE_CLEAR,
    SPOOL_LANE_SEALED,
    SPOOL_LANES
};

enum spool_entry_state {
    SPOOL_ENTRY_WAITING,
    SPOOL_ENTRY_IN_FLIGHT,
    SPOOL_ENTRY_DURABLE, /* acknowledged; its proof is asked for */
    SPOOL_ENTRY_PROVED,  /* being recorded */
    SPOOL_ENTRY_REFUSED,
};

struct spool_case;

/* An item of which only the bytes are on the disk. */
struct spool_entry {
    TAILQ_ENTRY(spool_entry) all;  /* in the order of tickets */
    TAILQ_ENTRY(spool_entry) line; /* of its case, or of those that are durable */
    struct spool_case *home;
    uint64_t ticket;
    uint64_t accepted_ms; /* since 1970 */
    uint64_t index;       /* DURABLE */
    uint32_t bytes;       /* of entry and certificate */
    uint16_t
        suspects; /* not 0: was in a call that was refused without a position; it goes again among at
                           * most so many */
    uint8_t state;
    bool is_sealed;
    bool is_behind_sealed; /* the one before it in its case is sealed, and may be long gone */
    bool is_given_up;      /* REFUSED, and about to go */
};

TAILQ_HEAD(spool_entry_list, spool_entry);
TAILQ_HEAD(spool_case_list, spool_case);

struct spool_queue {
    /* A new random time, in ms, for a case with a sealed record. */
    uint32_t (*delay)(void *ctx);
    void *ctx;

    struct spool_entry_list all;
    size_t count;
    size_t durable;                  /* of those */
    size_t refused;                  /* of those: stand now */
    size_t ready_count[SPOOL_LANES]; /* cases */
    uint64_t bytes;

    struct spool_case_list ready[SPOOL_LANES];
    struct spool_entry_list durables[SPOOL_LANES]; /* to be proved, oldest first */
    struct spool_case *loose;                      /* clear items of no case */
    struct spool_case **table;                     /* by case id: chains; owned */
    size_t table_size, table_count;
    struct spool_case **parked; /* a heap by time; owned */
    size_t parked_count, parked_room;
};

void spool_queue_init(struct spool_queue *queue, uint32_t (*delay)(void *ctx), void *ctx);
void spool_queue_clear(struct spool_queue *queue);

/* Takes a copy of `entry`; tickets ascend. `case_id` all zero: of no case. */
void spool_queue_add(struct spool_queue *queue, const struct spool_entry *entry,
                     const struct hash *case_id, uint64_t now_ms);

/* Takes what may be sent now into `out`: at most `count_max` and, but for the first, `bytes_max`. They are in
 * flight then. */
size_t spool_queue_pick(struct spool_queue *queue, enum spool_lane lane, uint64_t now_ms,
                        size_t count_max, size_t bytes_max, struct spool_entry **out);
/* As much for those that are durable, which stay acknowledged: they are in flight until
 * spool_queue_set_durable, _retry or _remove. */
size_t spool_queue_pick_durable(struct spool_queue *queue, enum spool_lane lane, size_t count_max,
                                size_t bytes_max, struct spool_entry **out);

/* When something that is parked comes due, in ms from now; UINT64_MAX: nothing is. */
uint64_t spool_queue_next_ms(const struct spool_queue *queue, uint64_t now_ms);

/* What became of an entry in flight. The log has it. */
void spool_queue_set_durable(struct spool_queue *queue, struct spool_entry *entry, uint64_t index,
                             uint64_t now_ms);
/* Proved: others of its case may go; it stays until spool_queue_remove. */
void spool_queue_set_proved(struct spool_queue *queue, struct spool_entry *entry, uint64_t now_ms);
/* To be sent again, before what is behind it. In ascending order of tickets or not. */
void spool_queue_retry(struct spool_queue *queue, struct spool_entry *entry, uint64_t now_ms);
/* Stands, and holds what is behind it. */
void spool_queue_refuse(struct spool_queue *queue, struct spool_entry *entry, uint64_t now_ms);

/* A proved or refused one goes, and is freed. */
void spool_queue_remove(struct spool_queue *queue, struct spool_entry *entry, uint64_t now_ms);

/* Of a ticket; NULL. Walks the list: for refused ones, of which there are few. */
struct spool_entry *spool_queue_find(struct spool_queue *queue, uint64_t ticket);

/* Whether everything below `ticket` is gone, refused, or held. */
bool spool_queue_is_done_below(const struct spool_queue *queue, uint64_t ticket);

#endif
