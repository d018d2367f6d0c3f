/* compare_parts.h -- compare.h for who compares many notes of one log: the tiles stay open in between. */
#ifndef MONITOR_COMPARE_PARTS_H
#define MONITOR_COMPARE_PARTS_H

#include "monitor/compare.h"
#include "monitor/older_tree.h"

/* As compare_note. One thread at a time for a tree. */
MUST_USE enum err_code compare_note_in(struct watched_log *log, struct older_tree *tree,
                                       const char *from, struct span note,
                                       const struct monitor_time *now, struct compare_outcome *out,
                                       struct err *err);

#endif
