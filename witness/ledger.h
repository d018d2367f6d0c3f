/* ledger.h -- what this witness has cosigned: durable before any answer leaves, in groups.
 *
 * design: "Invariants": no signature leaves a process before the state it vouches for is synced. One
 * thread (the ledger thread) writes: it takes all commits that wait, makes one synced batch of the
 * store of them, then one synced group of marks, then tells each. The store before the mark: a crash
 * between them leaves the mark behind, which is harmless; a mark ahead means a restored store.
 *
 * Keys of the store (kv.h): "state/<origin hash>" size, root, timestamp; "note/<origin hash>" the note
 * with verified lines and our cosignatures; "seen/<origin hash><size>" the log's notes cosigned
 * before, the newest LEDGER_SEEN_MAX; "refused/<origin hash>" a note that shows our state to be old,
 * "contradiction/<origin hash>" one that contradicts what we signed (guard.h); "peer/<origin hash><peer>" the newest note that a peer has shown (peer_memory.h); "mark"
 * that a mark file is in use, "tpm" the TPM's counter.
 *
 * After a failed write the ledger closes the store and opens it again until that works; commits fail
 * meanwhile, with E_UNAVAILABLE. What is told of an origin is what was released: a note that is in the
 * store but not in the mark yet is not shown to anybody.
 *
 * The ledger is the last to look: a commit that goes back, that gives a size a second root, or that is
 * for an origin whose note was refused or whose mark is ahead of the store, fails without a write.
 * Calls that wait for the disk (refuse, adopt, put) are not for on_done.
 */
#ifndef WITNESS_LEDGER_H
#define WITNESS_LEDGER_H

#include "store/kv.h"
#include "store/mark_file.h"
#include "witness/decision.h"

enum {
    LEDGER_SEEN_MAX = 1024, /* notes of one origin kept to find two of one size */
    LEDGER_NOTE_BYTES_MAX = 128 * 1024,
};

struct ledger;

/* Opens the mark file that goes with a store, before ledger_start takes both, and notes in the store that
 * it has one. `path` may be NULL. *out is NULL when there is no path, and also when the store was used
 * with a mark file that is missing now: the guard then refuses everything (guard.h). With
 * `is_unchecked` a missing file is made anew, and without a path the store forgets that it had one:
 * loudly. E_CORRUPT for a damaged file. Whenever the file is made, also by `state trust-mark`, the value
 * of "mark" is "new" until guard.h trusts the file: made from the store, it cannot vouch for it. */
MUST_USE enum err_code ledger_open_mark(struct kv *kv, const char *path, bool is_unchecked,
                                        struct mark_file **out, struct err *err);

struct ledger_options {
    struct kv *kv;          /* owned by the ledger from now on */
    struct mark_file *mark; /* likewise; NULL: none */
    /* Opens the store again after a failed write; NULL: such an error is for good. */
    enum err_code (*reopen)(void *ctx, struct kv **out, struct err *err);
    void *ctx;
};

/* Brings up marks that are behind the store: a crash came between the two. */
struct ledger *ledger_start(const struct ledger_options *options);
/* Finishes what waits. */
void ledger_stop(struct ledger *ledger);

/* So long the ledger thread has been busy with one group, or with opening the store again; 0 while it waits. Any
 * thread. */
uint64_t ledger_stuck_ms(struct ledger *ledger);

/* The state of an origin; origin_state_new's when it has none. Any thread. */
MUST_USE enum err_code ledger_state(struct ledger *ledger, const struct hash *origin_hash,
                                    struct origin_state *out, struct err *err);
/* The last cosigned note, as served; E_NOT_FOUND. Any thread. */
MUST_USE enum err_code ledger_note(struct ledger *ledger, const struct hash *origin_hash,
                                   struct buf *out, struct err *err);
/* The log's note of that size that was cosigned once; E_NOT_FOUND. Any thread. */
MUST_USE enum err_code ledger_seen(struct ledger *ledger, const struct hash *origin_hash,
                                   uint64_t size, struct buf *out, struct err *err);

/* One change to be made durable. All is copied but ctx. */
struct ledger_commit {
    struct hash origin_hash;
    struct origin_state state;
    struct span note;
    void *ctx;
    /* On the ledger thread, once it is durable, in the store and in the mark, or is known to have
     * failed: then nothing may leave. */
    void (*on_done)(void *ctx, enum err_code rc, const struct err *err);
};
/* Any thread. The caller sees to it that one commit an origin is under way. */
void ledger_commit(struct ledger *ledger, const struct ledger_commit *commit);

/* Keeps the note that shows our state of an origin to be old; durable when it returns E_OK. */
MUST_USE enum err_code ledger_refuse(struct ledger *ledger, const struct hash *origin_hash,
                                     struct span note, struct err *err);
/* E_NOT_FOUND: nothing refused. */
MUST_USE enum err_code ledger_refused(struct ledger *ledger, const struct hash *origin_hash,
                                      struct buf *out, struct err *err);

/* Keeps for good a note under our key that contradicts another one; durable when it returns E_OK. The
 * caller refuses the origin too. */
MUST_USE enum err_code ledger_contradict(struct ledger *ledger, const struct hash *origin_hash,
                                         struct span note, struct err *err);
/* E_NOT_FOUND: none. */
MUST_USE enum err_code ledger_contradiction(struct ledger *ledger, const struct hash *origin_hash,
                                            struct buf *out, struct err *err);

/* The mark of an origin; E_NOT_FOUND; E_UNSUPPORTED without a mark file. */
MUST_USE enum err_code ledger_mark(struct ledger *ledger, const struct hash *origin_hash,
                                   struct mark *out, struct err *err);

/* For `courtroll-witness state adopt`: sets the state forward, clears a refusal, and moves the mark.
 * E_CONFLICT unless `state` is larger than what is held, when the mark is ahead of it or
 * contradicts it, and for ever after ledger_contradict. Whether `state` extends what is held is for the caller to know. */
MUST_USE enum err_code ledger_adopt(struct ledger *ledger, const struct hash *origin_hash,
                                    const struct origin_state *state, struct span note,
                                    struct err *err);

/* Small values under a key of the caller's, such as "tpm"; synced. */
MUST_USE enum err_code ledger_get(struct ledger *ledger, const char *key, struct buf *out,
                                  struct err *err);
MUST_USE enum err_code ledger_put(struct ledger *ledger, const char *key, struct span value,
                                  struct err *err);

/* The newest note of an origin that a peer has shown; `peer` is its name here. An empty note forgets it.
 * Survives the process, not a power failure. */
MUST_USE enum err_code ledger_put_peer(struct ledger *ledger, const struct hash *origin_hash,
                                       const struct hash *peer, struct span note, struct err *err);
/* Tells each of an origin; on_note may not call the ledger. */
MUST_USE enum err_code ledger_each_peer(struct ledger *ledger, const struct hash *origin_hash,
                                        enum err_code (*on_note)(void *ctx, const struct hash *peer,
                                                                 struct span note, struct err *err),
                                        void *ctx, struct err *err);

/* Tells every origin hash that has a state. */
MUST_USE enum err_code
ledger_each(struct ledger *ledger,
            enum err_code (*on_origin)(void *ctx, const struct hash *origin_hash,
                                       const struct origin_state *state, struct err *err),
            void *ctx, struct err *err);

/* True while the store cannot be written, with the reason. Any thread. */
bool ledger_is_failing(struct ledger *ledger, char *reason, size_t reason_max);

struct ledger_stats {
    uint64_t commits; /* cosignatures made durable */
    uint64_t groups;  /* syncs they took */
    uint64_t bytes_written;
};
struct ledger_stats ledger_stats(const struct ledger *ledger);

#endif
