/* spool_store.h -- what a spool keeps on the disk: items, the next number of each case, receipts, its state.
 *
 * LevelDB in DIR/store. Keys, integers big-endian:
 *
 *     "m"               state
 *     "i" u64 ticket    an item: it waits
 *     "n" case id       u64, u8: the next number of the case; 1: the operation before it is sealed
 *     "r" u64 ticket    a receipt: the item is proved
 *     "x" u64 ticket    the log's words when it refused the item, which waits for a person
 *
 * One thread writes (spool_commit.c), any thread reads. After a write that failed the store is closed, since what
 * is in it is unknown, until spool_store_reopen: meanwhile all calls are E_IO.
 */
#ifndef CLIENT_SPOOL_STORE_H
#define CLIENT_SPOOL_STORE_H

#include "client/spool.h"
#include "store/kv.h"

#include <pthread.h>

enum {
    SPOOL_ID_MAX = 128,
    SPOOL_REASON_MAX = 512,
    SPOOL_CERTIFICATE_MAX = 128,
    SPOOL_PROOF_MAX = 512 * 1024, /* of a receipt that is kept: some 1000 cosignatures */
};

struct spool_store {
    char *dir;             /* of LevelDB; owned */
    pthread_rwlock_t lock; /* guards kv against its being replaced */
    struct kv *kv;         /* owned; NULL after a failed write */
};

struct spool_state {
    uint64_t next_ticket;
    uint64_t proved, refused, wrong;
    bool is_stopped;
    char reason[SPOOL_REASON_MAX]; /* why it stopped */
};

/* An item as it is stored. Spans point into what it was read from. */
struct spool_stored {
    bool is_sealed;
    bool is_behind_sealed;
    bool has_number;
    uint64_t number;
    uint64_t accepted_ms; /* since 1970 */
    struct hash case_id;
    struct span id;
    struct span certificate;
    struct span entry;
};

struct spool_stored_receipt {
    struct hash leaf;
    uint64_t index;
    struct span id;
    struct span proof;
};

/* Makes or opens it. E_CONFLICT when it is of another origin; E_BUSY; E_CORRUPT; E_IO. */
MUST_USE enum err_code spool_store_open(struct spool_store *out, struct spool_state *state,
                                        const char *dir, const char *origin, struct err *err);
/* One that must be there, of any origin: E_NOT_FOUND, E_BUSY. `origin` has room for ORIGIN_BYTES_MAX + 1. */
MUST_USE enum err_code spool_store_open_existing(struct spool_store *out, struct spool_state *state,
                                                 char *origin, const char *dir, struct err *err);
void spool_store_close(struct spool_store *store);

/* After a failed write. */
MUST_USE enum err_code spool_store_reopen(struct spool_store *store, struct err *err);
bool spool_store_is_open(struct spool_store *store);

/* The writer's. */
MUST_USE enum err_code spool_store_write(struct spool_store *store, const struct kv_batch *batch,
                                         bool is_synced, struct err *err);

void spool_store_put_state(struct kv_batch *batch, const struct spool_state *state,
                           const char *origin);
void spool_store_put_item(struct kv_batch *batch, uint64_t ticket, uint64_t accepted_ms,
                          const struct spool_item *item, bool is_behind_sealed);
void spool_store_delete_item(struct kv_batch *batch, uint64_t ticket);
/* 0 forgets the case. */
void spool_store_put_number(struct kv_batch *batch, const struct hash *case_id, uint64_t next,
                            bool is_behind_sealed);
void spool_store_put_receipt(struct kv_batch *batch, uint64_t ticket,
                             const struct spool_receipt *receipt);
void spool_store_delete_receipt(struct kv_batch *batch, uint64_t ticket);
void spool_store_put_refusal(struct kv_batch *batch, uint64_t ticket, const char *words);
void spool_store_delete_refusal(struct kv_batch *batch, uint64_t ticket);

/* Append the bytes to `bytes`, into which *out points. E_NOT_FOUND, E_CORRUPT, E_IO. */
MUST_USE enum err_code spool_store_item(struct spool_store *store, uint64_t ticket,
                                        struct buf *bytes, struct spool_stored *out,
                                        struct err *err);
MUST_USE enum err_code spool_store_receipt(struct spool_store *store, uint64_t ticket,
                                           struct buf *bytes, struct spool_stored_receipt *out,
                                           struct err *err);
/* 0 for a case not seen. */
MUST_USE enum err_code spool_store_number(struct spool_store *store, const struct hash *case_id,
                                          uint64_t *out, bool *is_behind_sealed, struct err *err);
bool spool_store_has_refusal(struct spool_store *store, uint64_t ticket);
/* Appends its words. */
MUST_USE enum err_code spool_store_refusal(struct spool_store *store, uint64_t ticket,
                                           struct buf *words, struct err *err);

/* Tells all items, in the order of tickets. */
MUST_USE enum err_code spool_store_scan(struct spool_store *store,
                                        void (*on_item)(void *ctx, uint64_t ticket,
                                                        const struct spool_stored *item),
                                        void *ctx, struct err *err);
/* Tells the receipts that are kept, likewise; stops at an error of on_receipt. */
MUST_USE enum err_code spool_store_scan_receipts(
    struct spool_store *store,
    enum err_code (*on_receipt)(void *ctx, uint64_t ticket,
                                const struct spool_stored_receipt *receipt, struct err *err),
    void *ctx, struct err *err);

#endif
