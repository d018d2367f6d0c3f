/* exported_notes.h -- the notes in data-dir/exported at start: read, and compared with the tree.
 *
 * What is there is of this tree or the log has lost what was signed, as with the note signed last.
 * Blocks on the disk. Main thread, before the loop.
 */
#ifndef LOGD_EXPORTED_NOTES_H
#define LOGD_EXPORTED_NOTES_H

#include "logd/published.h"
#include "logd/recovery.h"
#include "logd/round.h"
#include "tlog/vkey.h"

struct exported_notes {
    size_t count;
    struct exported_note {
        struct checkpoint checkpoint;
        struct buf note;             /* owned */
        struct published_tree *tree; /* once it was compared; owned */
    } items[ROUND_PINNED];
};

/* Files that hold no note of ours are logged and left out; of more than ROUND_PINNED the largest count.
 * E_IO. The caller clears it in any case. */
MUST_USE enum err_code exported_notes_read(struct exported_notes *out, const char *data_dir,
                                           const struct vkey *log, struct err *err);
void exported_notes_clear(struct exported_notes *notes);

/* Adds the sizes whose trees exported_notes_compare will ask for. */
void exported_notes_wanted_sizes(const struct exported_notes *notes, struct recovery_sizes *sizes);

/* E_CORRUPT when one is not of this tree. */
MUST_USE enum err_code exported_notes_compare(struct exported_notes *notes,
                                              const struct recovered *recovered,
                                              struct journal *journal, struct tiles *tiles,
                                              struct err *err);

#endif
