/* segment.h -- one segment file of the journal: its format, and the records in it.
 *
 * A segment is prewritten with zeros and used again and again, under a new epoch each time:
 *
 *   block 0    magic (16), epoch u64, nonce (16), then what the first record continues:
 *              sequence u64, size u64, root (32), checksum u32; then CRC-32 of all this
 *   records    each at a multiple of SEGMENT_BLOCK: nonce (16), epoch u64, sequence u64,
 *              first u64, size u64, root (32), checksum of the record before u32,
 *              length u32 and CRC-32 u32 of the entries, CRC-32 of all this; the entries; zeros
 *
 * Integers are big-endian. The nonce is random and never leaves the disk: whatever a file held
 * before, and whatever submitters put into entries, cannot pass for a record of this epoch.
 * Whole blocks, so that a torn write cannot reach the record before, and so that the kernel need
 * not read a block to write a part of it.
 * Owner thread: the journal's.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "base/buf.h"
#include "base/limits.h"
#include "store/journal.h"

#include <sys/queue.h>

enum {
    SEGMENT_BLOCK = 4096,
    SEGMENT_NONCE_BYTES = 16,
    SEGMENT_RECORD_HEADER_BYTES = 96,
    /* The entries of one commit, with their lengths. */
    SEGMENT_ENTRIES_BYTES_MAX = COMMIT_BYTES_MAX + 2 * COMMIT_ENTRIES_MAX,
    /* With its header, in whole blocks. */
    SEGMENT_RECORD_BYTES_MAX = (SEGMENT_ENTRIES_BYTES_MAX / SEGMENT_BLOCK + 1) * SEGMENT_BLOCK,
};

/* What the next record must continue. */
struct segment_chain {
    uint64_t sequence; /* of the next record; the first ever is 0 */
    struct journal_head head;
    uint32_t checksum; /* of the record before: its header's CRC-32 */
};

struct segment {
    TAILQ_ENTRY(segment) link;
    int fd; /* owned; -1 while closed */
    uint64_t epoch;
    uint8_t nonce[SEGMENT_NONCE_BYTES];
    struct segment_chain start; /* what its first record continues */
    uint64_t bytes;             /* usable: a multiple of SEGMENT_BLOCK */
    uint64_t end;               /* offset behind its last record */
};
TAILQ_HEAD(segment_list, segment);

/* A record as found in a segment. */
struct segment_record {
    struct journal_record record; /* entries lie in the buffer that was read into */
    uint64_t sequence;
    uint32_t previous; /* checksum of the record before */
    uint32_t checksum;
    uint64_t bytes; /* on the disk */
};

enum segment_found {
    SEGMENT_RECORD, /* a whole record of this epoch */
    SEGMENT_END,    /* zeros, or what another epoch left */
    SEGMENT_TORN,   /* begun in this epoch, but it does not check */
};

/* Bytes that a record takes on the disk. */
uint64_t segment_record_bytes(size_t entries_bytes);

/* Writes real zeros from offset `from` to `to` and syncs all of the file. */
MUST_USE enum err_code segment_prewrite(int fd, uint64_t from, uint64_t to, struct err *err);

/* Drops a synced file from the page cache. Kernels cache a file in pieces as large as it was read
 * or written in, and count (on some file systems write) a whole piece for each block changed in it:
 * a commit of 4 kB into prewritten zeros was 1 MB. Without them a commit makes pieces of its own. */
void segment_forget_cache(int fd);

/* Begins an epoch: a fresh nonce, and block 0 written and synced. */
MUST_USE enum err_code segment_begin(struct segment *segment, uint64_t epoch,
                                     const struct segment_chain *chain, struct err *err);

/* Reads block 0 into `segment` and writes it again, unsynced. E_CORRUPT unless it is of `epoch`. */
MUST_USE enum err_code segment_load(struct segment *segment, uint64_t epoch, struct err *err);

/* Writes and syncs a record at segment->end; moves that and `chain`. Requires room. E_IO leaves the
 * result unknown. */
MUST_USE enum err_code segment_append(struct segment *segment, struct segment_chain *chain,
                                      const struct journal_record *record, struct err *err);

/* Looks for a record at `offset`. `buf` must have room for SEGMENT_RECORD_BYTES_MAX; its first
 * out->bytes are the record as it lies on the disk. E_IO. */
MUST_USE enum err_code segment_read(const struct segment *segment, uint64_t offset, struct buf *buf,
                                    enum segment_found *found, struct segment_record *out,
                                    struct err *err);

/* A walk over records, from segment to segment. */
struct segment_walk {
    struct segment_chain chain; /* what the next record must continue */
    struct buf buf;             /* owned; one record: room for SEGMENT_RECORD_BYTES_MAX */
    uint64_t offset;            /* where the walk of a segment ended */
    enum segment_found last;    /* SEGMENT_END or SEGMENT_TORN: why it ended */
};

/* Visits the records of a segment in order, as far as they check; `raw` is a record as it lies on the
 * disk. E_CORRUPT, with the offset, for one that does not continue the one before; E_IO; or the first
 * error of `visit`. */
MUST_USE enum err_code
segment_walk_records(struct segment_walk *walk, struct segment *segment,
                     enum err_code (*visit)(void *ctx, struct segment *segment, struct span raw,
                                            const struct segment_record *found, struct err *err),
                     void *ctx, struct err *err);

/* Whether a header of this epoch with a sequence of at least `sequence` lies behind `offset`: then
 * what is at `offset` was whole once. E_IO. */
MUST_USE enum err_code segment_has_record_behind(const struct segment *segment, uint64_t offset,
                                                 uint64_t sequence, bool *out, struct err *err);

/* Writes all bytes at `offset`. E_IO. */
MUST_USE enum err_code segment_write(int fd, uint64_t offset, struct span bytes, struct err *err);

#endif
