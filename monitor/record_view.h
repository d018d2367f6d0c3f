/* record_view.h -- one entry as an operation record: decoded and verified on any thread, judged on one.
 *
 * A signature needs the submitter's key, which a SUBMITTER record before it has. Since an id is a hash of the key,
 * it does not matter when the key was read: threads share the keys that any of them has come by, and what could not be
 * verified then is verified by the follower's thread, which has seen all that is before.
 */
#ifndef MONITOR_RECORD_VIEW_H
#define MONITOR_RECORD_VIEW_H

#include "record/operation.h"

/* Public keys by submitter id. Any thread: it has a lock. */
struct record_keys;
struct record_keys *record_keys_new(void);
void record_keys_free(struct record_keys *keys); /* NULL is fine */
/* Of too many the last ones are left out. */
void record_keys_add(struct record_keys *keys, const struct ed25519_public *key);
bool record_keys_find(struct record_keys *keys, const struct submitter_id *id,
                      struct ed25519_public *out);

enum record_signature {
    RECORD_SIGNATURE_GOOD,
    RECORD_SIGNATURE_BAD,
    RECORD_SIGNATURE_OPEN,   /* the key was not known yet */
    RECORD_SIGNATURE_NONE,   /* there is none: vouched for by the log */
    RECORD_SIGNATURE_UNSEEN, /* told not to verify */
};

enum {
    RECORD_FLAW_MAX = 96
};

struct record_view {
    const struct kind *kind; /* NULL: not a record, for the reason below */
    char flaw[RECORD_FLAW_MAX];
    enum record_signature signature;
    uint64_t minute;
    bool has_tag;
    struct hash tag, leaf;
    struct court_tag court;
    struct submitter_id submitter;
    /* The entry itself, where more of it is needed: of all kinds that say more than the above, and of those whose
     * signature is open. Owned; record_view_clear. */
    uint8_t *bytes;
    size_t bytes_len;
};
static inline struct span record_view_bytes(const struct record_view *view)
{
    return span_of(view->bytes, view->bytes_len);
}

struct record_view_options {
    const char *origin;
    struct record_keys *keys; /* what SUBMITTER records bring is added */
    bool verifies;            /* signatures */
};

/* Any thread. */
void record_view_read(struct record_view *out, const struct record_view_options *options,
                      const struct hash *leaf, struct span entry);
/* Verifies what is open, with the keys that are known now. Still open: nobody has registered it. */
void record_view_verify(struct record_view *view, const struct record_view_options *options);
void record_view_clear(struct record_view *view);

#endif
