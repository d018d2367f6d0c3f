/* signing.h -- the log's keys, and what must be on disk before a signature leaves.
 *
 * design: "Invariants". The last signed note is kept in the data directory, and its size and root in
 * the mark: a small file on another disk, outside backups. Both are synced before signing_sign gives
 * the note out. At start the two and the published checkpoint are compared with the tree, so that a
 * restored backup does not sign a second history.
 * Blocks on the disk; one thread at a time. signing_promise: any thread.
 */
#ifndef LOGD_SIGNING_H
#define LOGD_SIGNING_H

#include "logd/published.h"
#include "logd/recovery.h"
#include "store/journal.h"
#include "store/tiles.h"
#include "tlog/vkey.h"

struct signing {
    struct signer log;
    struct signer ml_dsa;  /* likewise under the origin, type 0x06; key NULL: none */
    struct signer promise; /* key NULL: no promises */
    char *signed_path;     /* data-dir/signed; owned */
    char *mark_path;       /* or NULL; owned */
};

struct signing_files {
    const char *data_dir;
    const char *key;
    const char *ml_dsa_key; /* or NULL, as the two below */
    const char *promise_key;
    const char *mark;
};

/* Loads the keys from their files, or from the devices that these name (key_file.h). The log's key is type 0x01 and its
 * name is the origin; a second one of type 0x06 has the same name, and the promise key is "<origin>/promise". E_DENIED when a key file can be read by others than its owner. */
MUST_USE enum err_code signing_open(struct signing *out, const struct signing_files *files,
                                    struct err *err);
void signing_close(struct signing *signing);
const char *signing_origin(const struct signing *signing);

/* Signs the tree, with both keys if there are two, and syncs all records of it first; appends the note. */
MUST_USE enum err_code signing_sign(struct signing *signing, const struct checkpoint *checkpoint,
                                    struct buf *note, struct err *err);

/* A promise for entries [0, count), appended. Requires a promise key. Errors are its device's. */
MUST_USE enum err_code signing_promise(const struct signing *signing, struct buf *note,
                                       const uint64_t *indices, const struct hash *leaves,
                                       size_t count, struct err *err);

/* What the start check found. */
enum signing_check {
    SIGNING_CHECK_PASSED,     /* the mark agrees with the journal */
    SIGNING_CHECK_IMPOSSIBLE, /* no mark configured: a rollback is not detectable */
    SIGNING_CHECK_FAILED,     /* the mark is gone, unreadable or another log's: `err` says how */
    SIGNING_CHECK_LOST, /* it is ours, and shows that the journal has lost what was signed: `err` */
};

/* Adds the sizes whose trees signing_check_start will compare, where it can read them. */
void signing_wanted_sizes(const struct signing *signing, struct recovery_sizes *sizes);

/* Compares last signed note, mark and tree. E_CORRUPT when the note signed last is not of this
 * tree or lies beyond the journal: the journal has lost what was signed. The verdict on the mark is
 * in *check, with words in `err` when it is one of the last two. */
MUST_USE enum err_code signing_check_start(struct signing *signing,
                                           const struct recovered *recovered,
                                           struct journal *journal, struct tiles *tiles,
                                           enum signing_check *check, struct err *err);

/* Makes the mark agree with the journal, whatever it said: for start-unchecked. Requires a mark path. */
MUST_USE enum err_code signing_reset_mark(struct signing *signing, const struct journal_head *head,
                                          struct err *err);

#endif
