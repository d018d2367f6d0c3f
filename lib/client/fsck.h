/* fsck.h -- re-hashes a whole log: every entry, every bundle, every tile, up to the signed root.
 *
 * Spec: C2SP tlog-tiles; RFC 6962 section 2.1. design: "Failure policy".
 *
 * The normal path is: the partial tiles along the right edge hash to the signed root; from there
 * down every tile of level 1 and above hashes to what its parent holds (one thread, a 256th of the
 * work); workers hash the entries of each bundle, compare them with the level-0 tile, and its root
 * with what level 1 holds. Memory is the same for every size of log.
 * It can find: a tile or bundle that is missing, malformed or wrong. Where the truth is known (a
 * copy that hashes to what the signed tree holds: the file itself, what is below it, the level above,
 * a mirror) the finding names the first wrong entry with both hashes. Repair writes truths only.
 * A log behind gRPC has no files: its entries are hashed to the root, and the first wrong one is found
 * with consistency proofs; the finding's path is then "GetEntries".
 */
#ifndef CLIENT_FSCK_H
#define CLIENT_FSCK_H

#include "base/err.h"
#include "client/log_address.h"
#include "tlog/tile.h"

enum {
    FSCK_FINDINGS_MAX = 1000, /* kept: those of the lowest entries; all are counted */
    FSCK_NOTES_MAX = 100,
    FSCK_DETAIL_MAX = 200,
    FSCK_THREADS_MAX = 64,
};

enum fsck_problem {
    FSCK_MISSING,
    FSCK_MALFORMED,  /* wrong length, or no bundle */
    FSCK_UNREADABLE, /* the disk says no */
    FSCK_WRONG,      /* its hashes are not those of the signed tree */
    FSCK_ROOT,       /* the tree as a whole does not hash to the signed root */
};

/* "missing", "malformed", "unreadable", "wrong", "root" */
const char *fsck_problem_text(enum fsck_problem problem);

struct fsck_finding {
    char path[TILE_PATH_MAX + 1]; /* below the log's root: "tile/0/x001/234.p/5" */
    enum fsck_problem problem;
    bool has_entry;
    uint64_t entry;  /* the first that is wrong, or below a hash that is wrong */
    bool has_hashes; /* of that entry or tile hash; else of nothing */
    struct hash expected, found;
    bool is_repaired;
    char detail[FSCK_DETAIL_MAX]; /* more words, or "" */
    uint64_t order;               /* first entry below the file, for sorting */
};

struct fsck_report {
    uint64_t entries, bundles, tiles, bytes; /* read and hashed */
    bool is_root_reached; /* the tree's edge, as stored or rebuilt, hashes to the signed root */
    uint64_t bad_count, repaired_count;
    struct fsck_finding *findings; /* owned; sorted by entry, at most FSCK_FINDINGS_MAX */
    size_t finding_count;
    uint64_t note_count;
    char *notes[FSCK_NOTES_MAX]; /* owned; files that are not part of the signed tree */
};

struct journal_tail;

/* Everything is borrowed for the call. */
struct fsck_options {
    const struct log_address *log;
    uint64_t size; /* of a verified checkpoint, as is the root */
    struct hash root;
    unsigned threads;                /* 0: one a core, or 8 for http(s) */
    bool is_repair;                  /* replaces bad files of a directory by their truth */
    const struct log_address *from;  /* a mirror to take what is lost from; NULL for none */
    const struct journal_tail *tail; /* entries still in the log's journal; NULL for none */
    /* Called from time to time on the calling thread. */
    void (*on_progress)(void *ctx, uint64_t entries);
    void *ctx;
};

/* E_OK when everything was looked at: what it found is in the report. Else why it could not go on
 * (a mirror or log that cannot be reached). Blocks. *report is to be cleared after E_OK. */
MUST_USE enum err_code fsck_run(struct fsck_report *report, const struct fsck_options *options,
                                struct err *err);
void fsck_report_clear(struct fsck_report *report);

/* Counts a finding of the caller's own, and keeps it in its place. */
void fsck_report_add(struct fsck_report *report, const struct fsck_finding *finding);

#endif
