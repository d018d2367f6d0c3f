/* record_submitters.h -- who was registered on a log, and when: by the index of the entry.
 *
 * Of one submitter the last SUBMITTER before an entry counts, unless a SUBMITTER_END is behind it. All of them are
 * kept, in memory and in the store (keys "s/<id><index>"), since a sealed record says only later whose it is.
 * One thread.
 */
#ifndef MONITOR_RECORD_SUBMITTERS_H
#define MONITOR_RECORD_SUBMITTERS_H

#include "monitor/record_store.h"
#include "monitor/record_view.h"

enum {
    RECORD_SUBMITTERS_MAX = 65536, /* registrations and ends, all together */
};

struct record_submitter {
    struct ed25519_public key; /* all below: of a registration */
    size_t court_count;
    struct court_tag *courts; /* owned by the table */
    uint32_t roles;
    uint64_t from, to;
    bool is_end;
    struct record_stamp stamp;
};

struct record_submitters;

/* Reads what is stored and valid, and adds the keys to `keys`. E_CORRUPT, E_IO. */
MUST_USE enum err_code record_submitters_open(struct record_submitters **out,
                                              struct record_store *store, struct record_keys *keys,
                                              struct err *err);
void record_submitters_free(struct record_submitters *submitters); /* NULL is fine */

/* A SUBMITTER or SUBMITTER_END at `index`, which is above all that were noted. */
void record_submitters_note(struct record_submitters *submitters, const struct operation *operation,
                            uint64_t index);
/* There were too many: who is not found may be registered all the same. */
bool record_submitters_is_full(const struct record_submitters *submitters);

/* The last one about a submitter below `index`, be it an end. NULL: none. Good until the next note. */
const struct record_submitter *record_submitters_at(const struct record_submitters *submitters,
                                                    const struct submitter_id *id, uint64_t index);
bool record_submitter_has_court(const struct record_submitter *submitter,
                                const struct court_tag *court);

/* Everybody who was ever registered for this court: `tell` for each. */
void record_submitters_of_court(const struct record_submitters *submitters,
                                const struct court_tag *court,
                                void (*tell)(void *ctx, const struct submitter_id *id), void *ctx);

#endif
