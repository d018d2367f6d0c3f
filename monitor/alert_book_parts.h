/* alert_book_parts.h -- the alert book's inside, shared by its files: alert_book.c raises, clears and answers;
 * alert_book_load.c reads what is stored; alert_book_write.c writes and keeps within bounds;
 * alert_deliveries.c has the queues.
 *
 * What is in memory is what is in the store, but for counts that wait to be written (dirty entries) and
 * deliveries made that could not be written off yet (told). A change is written first and made in memory
 * when that has succeeded. After a failed write nobody knows what is there: before the next change all is
 * read again (alert_book_settle), so that what was written after all is not made twice.
 */
#ifndef MONITOR_ALERT_BOOK_PARTS_H
#define MONITOR_ALERT_BOOK_PARTS_H

#include "monitor/alert_queue.h"

#include <pthread.h>

enum {
    ALERT_LIVE_MAX = 4096,      /* open or acknowledged; the rest is folded */
    ALERT_LIVE_ORDINARY = 3072, /* of these for codes that prove nothing: forks find room */
    ALERT_SUBJECTS_MAX = 64,    /* live ones of one code and origin */
    ALERT_RECORDS_MAX = 256,    /* likewise, of codes about single records */
    ALERT_REFRESH_S = 3600,     /* Alertmanager is told again what it would forget */
};

#define ALERT_SUBJECT_FOLDED "others"

struct alert_memory {
    struct alert_table table;
    struct alert_queue queues[ALERT_SINKS_MAX];
    struct alert_next next;
};

/* A delivery that was made and is to leave the store. */
struct alert_told {
    size_t sink;
    uint64_t number;
};

struct alert_book {
    struct alert_book_options options;
    struct hash sinks[ALERT_SINKS_MAX]; /* SHA-256 of their names */
    bool is_alertmanager[ALERT_SINKS_MAX];

    pthread_mutex_t lock;        /* of all below */
    struct alert_memory *memory; /* owned */
    bool is_unsure;              /* a write failed: see above */
    struct alert_told *told;     /* owned */
    size_t told_count, told_cap;
    int64_t repeat_at_s; /* no reminder is due before */
    uint64_t revision;
};

/* Unlocks, and tells of a change. */
void alert_book_leave(struct alert_book *book, bool is_changed);

/* -- alert_book_load.c -- */

/* Reads everything. Deliveries to sinks that are no more are dropped, new sinks are told what is open. */
MUST_USE enum err_code alert_book_load(struct alert_book *book, struct alert_memory **out,
                                       struct err *err);
void alert_memory_free(struct alert_memory *memory); /* NULL is fine */
/* Before every change: E_OK when memory is what is stored. */
MUST_USE enum err_code alert_book_settle(struct alert_book *book, struct err *err);

/* -- alert_book_write.c: all under the lock -- */

void alert_book_put_record(struct kv_batch *batch, const struct alert_record *record);
void alert_book_put_next(struct kv_batch *batch, const struct alert_next *next);
/* One delivery, in the batch only. */
void alert_book_put_waiting(struct alert_book *book, struct kv_batch *batch, size_t sink,
                            uint64_t number, enum delivery_event event, uint64_t alert);

/* Writes the batch, and what was told. After an error the book is unsure. */
MUST_USE enum err_code alert_book_commit(struct alert_book *book, struct kv_batch *batch,
                                         bool is_synced, struct err *err);
/* Writes a new state of an alert and a delivery of `event` to each sink, synced. *number is the delivery's:
 * the caller makes the change in memory with alert_book_push. */
MUST_USE enum err_code alert_book_commit_event(struct alert_book *book, struct kv_batch *batch,
                                               const struct alert_record *record,
                                               enum delivery_event event, struct err *err);
/* The delivery that alert_book_commit_event wrote last. */
void alert_book_push(struct alert_book *book, struct alert_entry *entry, enum delivery_event event);

/* Writes the entry when it is dirty and was not written for a second. True: it was written. */
bool alert_book_write_entry(struct alert_book *book, struct alert_entry *entry, int64_t now_s);
/* Likewise all; with `is_all` whenever they were written last. */
bool alert_book_write_dirty(struct alert_book *book, int64_t now_s, bool is_all);

/* Puts the deletion of an alert and of all that belongs to it into the batch; then, once that is written,
 * drops it from memory. `next` takes its episode. */
void alert_book_put_forget(struct alert_book *book, struct kv_batch *batch,
                           const struct alert_entry *entry, struct alert_next *next);
void alert_book_forget(struct alert_book *book, struct alert_entry *entry);
/* Forgets and drops what is over the bounds. What cannot be written stays. */
void alert_book_tidy(struct alert_book *book);

/* Deliveries are made: they leave the queue at once, and the store with this or a later write. */
void alert_book_add_told(struct alert_book *book, size_t sink, uint64_t number);

#endif
