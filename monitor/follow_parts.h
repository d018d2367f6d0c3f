/* follow_parts.h -- the follower of one log, as the files that are it share it: follow.c makes the steps,
 * follow_note.c looks at what the log serves as its checkpoint, follow_hold.c verifies and holds, follow_scan.c
 * hashes, follow_records.c looks at operation records, follow_tiles.c at hash tiles, follow_clock.c at what is due by the time.
 */
#ifndef MONITOR_FOLLOW_PARTS_H
#define MONITOR_FOLLOW_PARTS_H

#include "monitor/follow.h"
#include "monitor/follow_raised.h"
#include "monitor/follow_state.h"

enum {
    FOLLOW_STEP_SCAN_MS =
        30 * 1000,               /* then a step ends, and the next one polls before it goes on */
    FOLLOW_CURSOR_MS = 5 * 1000, /* between two writes of the cursor */
    FOLLOW_CATCH_UP_PAUSE_MS = 30 * 1000, /* when records that were held cannot be read again */
    FOLLOW_RETRY_MS_MAX = 600 * 1000,     /* the longest pause between two scans that fail */
    FOLLOW_GROWTH_WINDOW_S = 3600,
    FOLLOW_CHUNK_FIRST = 1 << 20, /* entries of the first scan_run */
    FOLLOW_MALFORMED_MAX = 64,    /* files that are open alerts, at a time */
    FOLLOW_TEXT_MAX = 256,        /* of an error in a summary */
};

/* Entries: 300 TB of ordinary ones. */
#define FOLLOW_ABSURD_ENTRIES UINT64_C(1000000000000)

/* Files that sources[0] does not serve, though its checkpoint says that they are there. */
struct follow_missing {
    bool is_there;
    uint64_t since_ms; /* monotonic */
    uint64_t size;     /* of that checkpoint */
    bool has_path;
    struct tile_path path;
    char detail[FOLLOW_TEXT_MAX];
};

struct follow {
    struct follow_options options;
    const struct watched_log_options *watch;
    struct follow_state state;
    bool is_changed; /* the state is not stored as it is */
    struct follow_note trusted;
    struct follow_cursor cursor;
    struct follow_raised *raised;   /* owned */
    struct record_watch *records;   /* owned; NULL: not looked at */
    struct log_reader *reader;      /* of sources[0]; owned; NULL: to be opened */
    struct note_check_result check; /* of the last note looked at */
    bool is_note_looked_at;         /* by this process */

    struct monitor_time now;
    bool is_started;       /* a step was made */
    uint64_t step_ms;      /* monotonic: when the step began */
    int64_t step_s;        /* likewise, unix time */
    bool is_poll_good;     /* of this step, so far */
    struct err poll_err;   /* why not */
    uint64_t last_good_ms; /* monotonic: end of the last good poll; of the first step's beginning */
    bool has_more;
    uint64_t prune_ms;    /* monotonic: not before then */
    uint64_t archived_ms; /* likewise: when a note was archived last; 0: not yet */

    bool has_store_failed; /* in the scan under way, by the error below */
    struct err store_err;

    struct follow_missing missing;
    bool is_target_failing;    /* the last scan to it was not merely paused */
    bool is_target_remembered; /* note_memory has it */
    struct hash mismatch_root; /* the signed root that root-mismatch was raised for last */
    uint64_t retry_ms;         /* monotonic: the target is not scanned before */
    uint64_t quiet_ms;         /* likewise a note that waits */
    uint64_t waiting_tried;    /* size of the one that was tried last; 0: begin with the smallest */
    size_t look_at;            /* the next cause to be looked at again */

    uint64_t chunk; /* entries of one scan_run */
    uint64_t cursor_ms;
    struct history recent; /* of the last FOLLOW_GROWTH_WINDOW_S */
    int64_t history_s;     /* when the history was stored */
};

/* "history/<origin hash>": a key of the store. */
void follow_history_key(struct buf *out, const struct watched_log *log);
/* Lets time pass. */
void follow_tick(struct follow *follow);
/* 0 for a time to come. */
static inline uint64_t follow_since_ms(const struct follow *follow, uint64_t since_ms)
{
    return follow->now.monotonic_ms > since_ms ? follow->now.monotonic_ms - since_ms : 0;
}
bool follow_is_stopping(const struct follow *follow);
/* The reader of sources[0]. */
MUST_USE enum err_code follow_reader(struct follow *follow, struct log_reader **out,
                                     struct err *err);
/* After an error of it, other than that a file is not there. */
void follow_reader_failed(struct follow *follow, enum err_code code);
/* The poll did not go well: sources[0] did not answer. */
void follow_poll_failed(struct follow *follow, const struct err *err);

/* `evidence` may be empty. Raises in any case. */
MUST_USE enum err_code follow_raise(struct follow *follow, enum finding_code code,
                                    const char *subject, struct span evidence, struct err *err,
                                    const char *fmt, ...) PRINTF_LIKE(6, 7);
/* An error's words for a summary: escaped, and cut. */
struct follow_text {
    char text[FOLLOW_TEXT_MAX];
};
struct follow_text follow_text_of(const char *text);

/* -- follow_note.c -- */

/* Checks what the log serves as its checkpoint, and decides what becomes of it. */
MUST_USE enum err_code follow_note_look(struct follow *follow, struct span bytes, struct err *err);
/* A note of at most the held size: is it of the held tree? */
MUST_USE enum err_code follow_note_settle(struct follow *follow, struct span bytes,
                                          const struct policy_verdict *verdict, struct err *err);

/* -- follow_hold.c -- */

/* Told where to begin, and not begun yet: nothing is hashed from size 0 then. */
bool follow_is_waiting(const struct follow *follow);
MUST_USE enum err_code follow_hold_trusted(struct follow *follow, struct err *err);
/* Verifies the notes of the log that are larger than what is held. */
MUST_USE enum err_code follow_hold_target(struct follow *follow, struct err *err);
/* Tries whether the data of a note that waits is served, though the log's own checkpoint is smaller. */
MUST_USE enum err_code follow_hold_waiting(struct follow *follow, struct err *err);
/* A note of the held size and root. */
MUST_USE enum err_code follow_hold_same(struct follow *follow, struct span bytes,
                                        const struct policy_verdict *verdict, struct err *err);
/* Shows everybody what is held. */
void follow_hold_show(struct follow *follow);
/* The log shows the held size: a sample of its growth. */
void follow_hold_sample(struct follow *follow, int64_t unix_s, uint64_t size);

/* -- follow_scan.c -- */

struct follow_scan {
    bool is_reached;            /* the entries hash to the root */
    struct compact_range range; /* then */
    bool is_paused;             /* neither reached nor wrong: stopped, or time for another poll */
    bool is_failed;             /* our own store, with `err`: it says nothing about the log */
    size_t source;              /* who served the end of it */
    enum err_code code;         /* what was wrong with sources[0]: E_BAD_PROOF is another root */
    struct err err;
    uint64_t took_ms;
    size_t bad_count; /* tiles of sources[0], where the root was not right either */
    struct tile_path bad_first;
};
/* Hashes from what is held, or the cursor, to the checkpoint. Raises nothing. Moves the cursor. */
void follow_scan_to(struct follow *follow, const struct checkpoint *to, struct follow_scan *out);
/* The cursor onto the store. */
MUST_USE enum err_code follow_scan_save(struct follow *follow, struct err *err);

/* -- follow_records.c -- */

/* From where all scans begin: what is held, or as far below as records were not looked at yet. */
const struct compact_range *follow_records_base(const struct follow *follow);
/* Records of the held tree were not looked at: that comes before anything new. */
bool follow_records_are_behind(const struct follow *follow);
/* Whether a scan can go on from the cursor. */
bool follow_records_fit_cursor(const struct follow *follow);
MUST_USE enum err_code follow_records_open(struct follow *follow, struct err *err);
MUST_USE enum err_code follow_records_catch_up(struct follow *follow, struct err *err);
/* What is due at every step: cases, sealed records. */
MUST_USE enum err_code follow_records_look(struct follow *follow, struct err *err);
/* Of a scan: for its options; nothing when records are not looked at. */
void follow_records_visit(struct follow *follow, struct scan_visitor *visitor);
MUST_USE enum err_code follow_records_restart(struct follow *follow, struct err *err);
/* A tree is about to be held, and is. All do nothing when records are not looked at. */
MUST_USE enum err_code follow_records_raise(struct follow *follow, struct span note,
                                            const struct checkpoint *checkpoint, struct err *err);
void follow_records_put_held(struct follow *follow, const struct compact_range *range,
                             const struct policy_verdict *verdict, struct kv_batch *batch);
void follow_records_on_held(struct follow *follow, const struct compact_range *range);

/* -- follow_tiles.c -- */

/* Raises the bad tiles that the cursor holds; the root was right. */
MUST_USE enum err_code follow_tiles_raise(struct follow *follow, struct err *err);
/* Compares the partial tiles of sources[0] with what its entries hash to. */
MUST_USE enum err_code follow_tiles_check_edge(struct follow *follow,
                                               const struct compact_range *range, struct err *err);
/* Files that were wrong or missing: are they right by now? */
void follow_tiles_look_again(struct follow *follow);

/* -- follow_clock.c -- */

/* Before anything is read on the word of a size. */
MUST_USE enum err_code follow_clock_look_at_claim(struct follow *follow, struct err *err);
MUST_USE enum err_code follow_clock_look(struct follow *follow, struct err *err);

#endif
