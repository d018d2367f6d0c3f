/* record_key_files.h -- the case keys that a monitor was given: DIR/NAME.casekey, as `courtroll case new-key` makes them.
 *
 * Only regular files that nobody but their owner can read; others are left out, and the log says which. Blocks on
 * the disk. One thread.
 */
#ifndef MONITOR_RECORD_KEY_FILES_H
#define MONITOR_RECORD_KEY_FILES_H

#include "record/entry_tag.h"

enum {
    RECORD_KEY_DIRS_MAX = 16,
    RECORD_KEYS_MAX = 65536, /* files, all directories together */
};

struct record_key_files {
    size_t dir_count;
    const char *dirs[RECORD_KEY_DIRS_MAX]; /* borrowed */
    int64_t read_s;                        /* unix time of the last reading */
    struct {
        int64_t s;
        long ns;
    } changed[RECORD_KEY_DIRS_MAX]; /* of each directory, then */
    size_t left_out;
};

void record_key_files_init(struct record_key_files *files, const char *const *dirs, size_t count);

/* Something may have come or gone since the last reading. */
bool record_key_files_is_new(const struct record_key_files *files);
/* Tells each key with the path of its file; `key` is wiped after the call. */
void record_key_files_read(struct record_key_files *files, int64_t now_s,
                           void (*on_key)(void *ctx, const char *path, const struct case_key *key),
                           void *ctx);

#endif
