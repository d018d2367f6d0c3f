/* recover.h -- brings a log's stores up to a checkpoint that others still have: after a lost disk, or from a backup.
 *
 * design: "Invariants", Start; docs/operations.md, "Restoring". Only what is under our own signature and a quorum is
 * taken, each entry checked against that root before it is committed. Normal path: the note is judged, our tree is seen
 * to be a prefix of its tree, then bundle after bundle goes the way of every entry: commit, full tiles, sync, trim. So
 * it may be cut off anywhere and begun again. It can fail so: the other side serves what does not hash to the root
 * (E_CORRUPT), or our tree is no prefix of it (E_CONFLICT): then nothing is changed.
 * Blocks on the disk and the network. Main thread, while no daemon has the directory.
 */
#ifndef LOGD_RECOVER_H
#define LOGD_RECOVER_H

#include "client/log_reader.h"
#include "store/journal.h"
#include "store/tiles.h"
#include "tlog/policy.h"

/* All is borrowed. */
struct recover_from {
    struct journal *journal;
    struct tiles *tiles;
    struct log_reader *reader;   /* a mirror, a reader's copy, a monitor's relay */
    const struct policy *policy; /* with a quorum */
    const struct vkey *log;      /* our key */
    void (*on_progress)(void *ctx, uint64_t entries, uint64_t of);
    void *ctx;
};

struct recover_report {
    uint64_t from, size;          /* of our tree, before and after */
    struct checkpoint checkpoint; /* what the other side has */
    struct buf note;              /* that note; owned */
};

/* E_DENIED: the note is not ours, or too few witnesses signed it. E_CONFLICT: two histories; report->note is the other
 * one's. Errors of the reader and the stores; what was committed before them stays, and is right. Call
 * recover_report_clear in any case. */
MUST_USE enum err_code recover_run(struct recover_report *report, const struct recover_from *from,
                                   struct err *err);
void recover_report_clear(struct recover_report *report);

#endif
