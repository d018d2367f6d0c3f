/* kept_notes.h -- the signed notes that cosignatures still count for, each with its tree and the
 * cosignatures that there are.
 *
 * Which of them are kept is for round.h to say. A tree is the right edge, about 70 KB; the newest also
 * has the entries of its partial bundle, up to 16 MB, since it is likely to be published as it is.
 * Loop thread; trees are held by workers.
 */
#ifndef LOGD_KEPT_NOTES_H
#define LOGD_KEPT_NOTES_H

#include "logd/cosign_lines.h"
#include "logd/published.h"
#include "logd/round.h"

struct kept_line {
    uint64_t timestamp; /* seconds; 0: none */
    char *text;         /* owned */
};

struct kept_note {
    struct kept_note *next;      /* smaller */
    struct published_tree *tree; /* held; its note has the log's line only */
    struct kept_line *lines;     /* one a witness of the policy; owned */
    bool is_unsaved;             /* a file of it would not have all its lines */
};

struct kept_notes {
    size_t witness_count;
    struct kept_note *largest; /* owned, as those behind it */
};

void kept_notes_init(struct kept_notes *notes, size_t witness_count);
void kept_notes_clear(struct kept_notes *notes);

/* Takes the caller's reference over, and returns the note of that size: the one that was there, if any. */
struct kept_note *kept_notes_add(struct kept_notes *notes, struct published_tree *tree);
struct kept_note *kept_notes_find(const struct kept_notes *notes, uint64_t size); /* or NULL */

/* Lets go of what the rounds do not have any more. */
void kept_notes_sweep(struct kept_notes *notes, const struct round *round);

enum kept_news {
    KEPT_NEW,   /* its first cosignature */
    KEPT_NEWER, /* one with a later time */
    KEPT_KNOWN
};
enum kept_news kept_note_add_line(struct kept_note *note, const struct cosign_line *line);

struct policy_set kept_note_cosigned(const struct kept_notes *notes, const struct kept_note *note);

/* Appends the note with all its cosignatures, in the policy's order. */
void kept_note_put(struct buf *out, const struct kept_notes *notes, const struct kept_note *note);

#endif
