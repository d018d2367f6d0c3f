/* follow_state.h -- what the follower of one log stores: what is held, which notes of the log are not verified
 * yet, what it remembers of the log; and, apart from that, how far a scan has come.
 *
 * Keys below "log/<origin hash>/follow/": "state", "note/held", "note/target", "note/newest", "cursor". Every value
 * begins with the version of its format; one that we would not have written is E_CORRUPT. What belongs to a
 * witness is stored under the hash of its key, so that the policy may change.
 * Blocks on the store. One thread.
 */
#ifndef MONITOR_FOLLOW_STATE_H
#define MONITOR_FOLLOW_STATE_H

#include "monitor/note_check.h"

enum {
    FOLLOW_NOTE_BYTES_MAX = NOTE_BYTES_MAX - 1, /* a value of the store has a version too */
    FOLLOW_BAD_TILES_MAX = 16,                  /* kept of one scan; further ones are counted */
};

/* A note that the log itself showed, its signature verified. */
struct follow_note {
    bool is_there;
    struct buf bytes; /* owned */
    int64_t seen_s;   /* when it was first served */
    struct policy_verdict verdict;
};

struct follow_state {
    struct note_memory_of_log memory;
    bool has_checked;
    struct hash checked; /* SHA-256 of the bytes of the note that was checked last */
    int64_t first_looked_s;
    int64_t note_time_s; /* latest time of a quorum on a note of the log; 0: none */
    int64_t witness_seen_s[POLICY_KEYS_MAX];
    struct held_tree held;
    /* Larger than what is held: the one that is being verified, and the newest, if that is another. */
    struct follow_note target, newest;
};

/* How far a scan has come beyond what is held. Its hashes are of bytes that nobody has vouched for yet. */
struct follow_cursor {
    bool is_there;
    struct compact_range range;
    size_t bad_count;
    struct scan_bad_tile bad_tiles[FOLLOW_BAD_TILES_MAX]; /* to be raised if the root is right */
    uint64_t bad_more;
};

void follow_note_clear(struct follow_note *note);
/* Copies the bytes. */
void follow_note_set(struct follow_note *note, struct span bytes,
                     const struct policy_verdict *verdict, int64_t seen_s);
/* Moves one over another. */
void follow_note_take(struct follow_note *to, struct follow_note *from);

void follow_state_init(struct follow_state *state);
void follow_state_clear(struct follow_state *state);

/* *is_new: nothing is stored, and *out is as follow_state_init leaves it. E_CORRUPT; E_CONFLICT: it is of another
 * key of the origin; E_IO. Requires an initialised *out. */
MUST_USE enum err_code follow_state_load(struct follow_state *out, bool *is_new,
                                         const struct watched_log_options *options,
                                         const struct watched_log *log, struct err *err);
/* All of the state, with `also` (NULL: none) first, in one batch. */
MUST_USE enum err_code follow_state_save(const struct follow_state *state,
                                         const struct watched_log_options *options,
                                         const struct watched_log *log, struct kv_batch *also,
                                         bool is_synced, struct err *err);

/* Nothing stored is no cursor. */
MUST_USE enum err_code follow_cursor_load(struct follow_cursor *out,
                                          const struct watched_log_options *options,
                                          const struct watched_log *log, struct err *err);
/* Adds the cursor, or its deletion, to a batch. */
void follow_cursor_put(struct kv_batch *batch, const struct follow_cursor *cursor,
                       const struct watched_log *log);
/* Not synced: a lost cursor costs time only. */
MUST_USE enum err_code follow_cursor_save(const struct follow_cursor *cursor,
                                          const struct watched_log_options *options,
                                          const struct watched_log *log, struct err *err);
void follow_cursor_put_delete(struct kv_batch *batch, const struct watched_log *log);

#endif
