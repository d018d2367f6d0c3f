/* opening.h -- a log's start up to its threads: stores, then the tree, then what was signed.
 *
 * design: "Invariants", Start: a restored backup must not sign a second history. When there is no mark
 * that can be read the witnesses are to be asked; without witnesses nothing is signed. Nor is it,
 * whatever witnesses say, when the mark proves that the journal has lost what was signed, or when a
 * contradiction was met before.
 * Blocks on the disk. Main thread. (A record of operations has a struct opening too: hence the name.)
 */
#ifndef LOGD_OPENING_H
#define LOGD_OPENING_H

#include "logd/data_dir.h"
#include "logd/exported_notes.h"
#include "logd/parts.h"
#include "logd/recovery.h"
#include "logd/settings.h"

struct log_opening {
    const struct settings *settings; /* borrowed, as the parts */
    struct parts *parts;             /* signing, tiles, indexer, published and policy are opened */
    struct data_dir dir;
    struct journal *journal;
    struct recovered recovered;     /* until the sequencer has it */
    struct exported_notes exported; /* until the publisher has them */
    bool is_misconfigured;          /* what kept it from starting was the policy */
    bool has_published;
    bool has_signed;      /* there is a note of ours: published, or exported */
    bool is_paused;       /* nothing is to be signed or admitted */
    bool is_checking;     /* nor is it until enough witnesses have been asked */
    struct err pause_err; /* why, in either case */
};

/* Requires that all is zero but for settings, parts, and dir.lock_fd, which is -1. The caller calls
 * opening_clear in any case. */
MUST_USE enum err_code opening_run(struct log_opening *o, struct err *err);
void opening_clear(struct log_opening *o);

#endif
