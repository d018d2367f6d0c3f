/* journal.h -- the seam to the log's small, serialisable store: what is committed, in order.
 *
 * design: "The life of an entry", step 4. Two implementations: segment files and memory; one
 * contract test. A distributed store needs compare-and-swap on the head and nothing more.
 * Owner thread: the sequencer thread (recovery before it). Every call may block on the disk.
 *
 * A record is all of one commit. It is either wholly there after a crash, or not at all; once
 * journal_append returns E_OK it stays. Records are contiguous: each begins at the size the one
 * before it ended with. The last record is never trimmed, so the head is always known.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "base/crypto.h"
#include "base/err.h"
#include "base/span.h"

struct journal_record {
    uint64_t first;      /* index of its first entry */
    uint64_t size;       /* of the tree behind it: first + the number of entries, >= 1 of them */
    struct hash root;    /* at that size */
    struct span entries; /* as in an entry bundle: 16-bit length and bytes, each */
};

/* A tree's size and root. */
struct journal_head {
    uint64_t size;
    struct hash root;
};

struct journal {
    const struct journal_ops *ops;
};

struct journal_ops {
    enum err_code (*reserve)(struct journal *journal, size_t entries_bytes, struct err *err);
    enum err_code (*append)(struct journal *journal, const struct journal_record *record,
                            struct err *err);
    enum err_code (*trim)(struct journal *journal, uint64_t size, struct err *err);
    enum err_code (*replay)(struct journal *journal,
                            enum err_code (*on_record)(void *ctx,
                                                       const struct journal_record *record,
                                                       struct err *err),
                            void *ctx, struct err *err);
    struct journal_head (*head)(const struct journal *journal);
    uint64_t (*bytes_written)(const struct journal *journal);
    void (*close)(struct journal *journal);
};

/* Makes room for one record of that many bytes of entries, so that the append cannot meet a full
 * disk. E_UNAVAILABLE, with the reason in words, when there is none: nothing has happened, try
 * again later. E_BUSY when the records not yet trimmed fill the journal's own bound. */
MUST_USE static inline enum err_code journal_reserve(struct journal *journal, size_t entries_bytes,
                                                     struct err *err)
{
    return journal->ops->reserve(journal, entries_bytes, err);
}

/* COMMIT: durable when it returns E_OK. E_CONFLICT unless the record extends the head; then
 * nothing happened. Any other error leaves the result unknown: the caller must exit, and
 * recovery finds out. Requires a reservation of as many bytes. */
MUST_USE static inline enum err_code
journal_append(struct journal *journal, const struct journal_record *record, struct err *err)
{
    return journal->ops->append(journal, record, err);
}

/* Forgets records that end at or below `size`, except the last record of all. May keep more. */
MUST_USE static inline enum err_code journal_trim(struct journal *journal, uint64_t size,
                                                  struct err *err)
{
    return journal->ops->trim(journal, size, err);
}

/* Tells every record still held, oldest first; stops at the first error of `on_record`. Spans are
 * good for the call. */
MUST_USE static inline enum err_code journal_replay(
    struct journal *journal,
    enum err_code (*on_record)(void *ctx, const struct journal_record *record, struct err *err),
    void *ctx, struct err *err)
{
    return journal->ops->replay(journal, on_record, ctx, err);
}

/* Size 0 and the empty root before the first append. */
static inline struct journal_head journal_head(const struct journal *journal)
{
    return journal->ops->head(journal);
}

/* Since open. */
static inline uint64_t journal_bytes_written(const struct journal *journal)
{
    return journal->ops->bytes_written(journal);
}

static inline void journal_close(struct journal *journal)
{
    if (journal != NULL) {
        journal->ops->close(journal);
    }
}

#endif
