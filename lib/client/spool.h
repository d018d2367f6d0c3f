/* spool.h -- a durable local queue of signed entries on their way into a log: accepts at once, sends until proved.
 *
 * design: "Deduplication"; docs/submitting.md. The signed bytes are stored once (LevelDB, synced in groups) and those
 * very bytes are resent until a receipt for their own leaf hash verifies under the submitter's own policy; only then
 * an item goes. Order within a case: an item is sent only when all earlier ones of its case are acknowledged, or in
 * the same call before it. The next number of each case is in the same batch as the item, so no number is given twice
 * while the store lives; a store that was restored is told so by the log (ALREADY_EXISTS), and stops for good.
 * A refused item stops its case, and is reported; the others go on. It is tried again at the next spool_open, once a
 * person has removed the cause. An item of no case that is refused waits likewise.
 *
 * Threads: spool_put and the rest from any thread; one thread commits, some send. Nothing waits for the network but
 * spool_flush.
 */
#ifndef CLIENT_SPOOL_H
#define CLIENT_SPOOL_H

#include "client/log_address.h"
#include "record/payload.h"
#include "store/sealed_file.h"
#include "tlog/policy.h"

struct spool;
struct spool_receipt;

/* Borrowed for the call, but for what says otherwise. */
struct spool_options {
    const char *dir; /* made if it is not there: 0700. One process at a time: E_BUSY */
    const char *origin;
    struct log_address log;      /* gRPC; its texts are borrowed until the close */
    const struct policy *policy; /* borrowed until the close */
    uint64_t items_max;          /* waiting; 0: 10 million */
    uint64_t bytes_max;          /* likewise; 0: 16 GiB */
    unsigned connections;        /* that send; 0: 4. Sealed records have one more of their own */
    uint32_t
        sealed_delay_max_ms; /* a sealed record waits a random time up to this; 60,000 unless a test says else */
    /* An item is proved, or refused (then `refusal` says why, and its case waits for a person). On a sending
     * thread; must not block for long. May be NULL. */
    void *ctx;
    void (*on_receipt)(void *ctx, const struct spool_receipt *receipt);
};

struct spool_item {
    struct span entry;       /* 1..ENTRY_BYTES_MAX, signed */
    struct span certificate; /* of a sealed record; else empty */
    bool is_sealed;          /* leaves on a connection of its own, after a random delay */
    struct hash case_id;     /* items of one case keep their order; all zero: of no case */
    bool has_number;
    uint64_t number; /* in its case: must be the spool's next one, see spool_next_number */
    struct span id;  /* the caller's own, returned with the receipt; up to 128 bytes */
};

struct spool_receipt {
    uint64_t ticket; /* of the item: rises by one each */
    struct span id;
    struct hash leaf;
    uint64_t index;
    bool is_refused;
    struct span proof;   /* tlog-proof, verified; empty when refused */
    const char *refusal; /* the log's words, escaped; NULL unless refused */
};

/* E_CONFLICT when the directory is of another origin, or has stopped. */
MUST_USE enum err_code spool_open(struct spool **out, const struct spool_options *options,
                                  struct err *err);
/* What is not sent stays for the next open. */
void spool_close(struct spool *spool);

/* The number that the next operation of this case must have: 0 for a case not seen. */
MUST_USE enum err_code spool_next_number(struct spool *spool, const struct hash *case_id,
                                         uint64_t *out, struct err *err);

/* Accepts items, in order, all or none: durable when it returns. E_CONFLICT for a number that is not the next one, and
 * once the spool has stopped; E_BUSY when full. E_IO when the write failed: nothing is accepted, but a crash right after
 * may leave the items there; E_UNAVAILABLE until the store works again. Concurrent calls share a sync. *first_ticket may
 * be NULL. */
MUST_USE enum err_code spool_put(struct spool *spool, const struct spool_item *items, size_t count,
                                 uint64_t *first_ticket, struct err *err);

/* Until everything accepted before the call is proved or refused; E_TIMEOUT. */
MUST_USE enum err_code spool_flush(struct spool *spool, uint32_t timeout_ms, struct err *err);

/* Until one item is proved, or gone since. E_DENIED when it is refused, with the log's words; E_TIMEOUT; E_CONFLICT when
 * the spool has stopped; E_NOT_FOUND for a ticket that was never given. */
MUST_USE enum err_code spool_await(struct spool *spool, uint64_t ticket, uint32_t timeout_ms,
                                   struct err *err);

/* Appends the receipt's tlog-proof of a proved ticket, as long as it is kept (spool_forget). E_NOT_FOUND: waits still,
 * or unknown. */
MUST_USE enum err_code spool_receipt(struct spool *spool, uint64_t ticket, struct buf *proof,
                                     struct err *err);
/* Drops a receipt. Of a ticket that is refused now: gives the item up for good, and what is behind it in its case goes
 * on; its number stays a gap, which everyone who has the case key sees. E_NOT_FOUND. */
MUST_USE enum err_code spool_forget(struct spool *spool, uint64_t ticket, struct err *err);
/* Tells the receipts that are kept, oldest first: those whose on_receipt a crash may have cut off, too. Stops at an
 * error of on_receipt, and returns it. */
MUST_USE enum err_code spool_each_receipt(
    struct spool *spool,
    enum err_code (*on_receipt)(void *ctx, const struct spool_receipt *receipt, struct err *err),
    void *ctx, struct err *err);

struct spool_status {
    uint64_t waiting, waiting_bytes; /* not proved yet */
    uint64_t durable;                /* of those: the log says it has them, no proof yet */
    uint64_t refused_now; /* of those: refused, and wait for a person, with what is behind them */
    uint64_t proved, refused; /* since the store was made */
    uint64_t wrong;           /* answers and receipts that did not verify, likewise */
    uint64_t lag_ms;          /* age of the oldest that waits */
    bool is_stopped;          /* restored, or the log contradicts itself: reason */
    char reason[512];         /* why it stopped, or the last failure; may be empty */
};
void spool_status(struct spool *spool, struct spool_status *out);

/* The status of a spool that may be open in another process: as that one wrote it to DIR/status, at most a few
 * seconds ago, or of a spool that is closed or stopped. E_NOT_FOUND, E_CORRUPT, E_IO. */
MUST_USE enum err_code spool_status_read(struct spool_status *out, const char *dir,
                                         struct err *err);

#endif
