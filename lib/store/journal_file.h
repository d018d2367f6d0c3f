/* journal_file.h -- the journal in segment files: prewritten, recycled, one fdatasync a commit.
 *
 * Normal path: a commit is one pwrite of the checksummed record into zeroed or recycled space of
 * the current segment, and one fdatasync. When the segment is full the next one is prepared first.
 * It can fail so: no space for a new segment (journal_reserve, harmless); pwrite or fdatasync fails
 * (journal_append: unknown, fatal).
 */
#ifndef STORE_JOURNAL_FILE_H
#define STORE_JOURNAL_FILE_H

#include "store/journal.h"

/* Opens or creates the journal in `dir` (which exists). All that is read back is written and synced
 * again before it counts. A torn tail is cut; a hole, a bad root chain or bytes of another epoch
 * before the tail are E_CORRUPT, naming file and offset. `bytes_max`: of records not trimmed. */
MUST_USE enum err_code journal_file_open(struct journal **out, const char *dir, uint64_t bytes_max,
                                         struct err *err);

#endif
