/* gate.h -- what a log with schema = operation lets in: form, origin, submitter, signature. Never law.
 *
 * design: "The life of an entry", step 1; docs/gate.md. Entry tags are unique too, but that the
 * sequencer decides, where the order is made. Any thread; gate_check verifies signatures (100 us each): a worker.
 *
 * The normal path is gate_epoch, gate_check of each entry, gate_push, and gate_on_logged when they are durable. A
 * registration that ends between check and push would leave records behind its end, by a key that anybody who reads the
 * log then calls unregistered: so what was checked before that is to be checked again. Likewise of a key that the
 * operator takes out of the submitters file.
 */
#ifndef LOGD_GATE_H
#define LOGD_GATE_H

#include "logd/pool.h"
#include "logd/registry.h"
#include "logd/submission.h"

enum {
    GATE_MINUTES_AHEAD_MAX = 10, /* that the clock of a submitter may be before ours */
};

struct gate_options {
    const char *origin;
    struct registry *registry; /* borrowed */
    /* submitter-signature = channel: records that nothing signs are taken from who shows a client certificate. */
    bool takes_vouched;
};

/* Who sends. */
struct gate_sender {
    /* First DNS name of the client certificate, "" when that has none; NULL: none was asked for, or a Unix socket. */
    const char *name;
    bool is_local; /* Unix socket: the operator */
};

struct gate;
struct gate *gate_new(const struct gate_options *options);
void gate_free(struct gate *gate); /* NULL is fine */

/* Judges entry `position` of a call; `certificate` is empty unless it is sealed. `minute` is now. E_MALFORMED, E_DENIED,
 * E_BAD_SIGNATURE: "entry 3: ...", naming the field and what to do, with no byte of the record in it but ids of
 * keys; E_BUSY while the submitter's registration is being ended. E_OK: *facts is filled in. */
MUST_USE enum err_code gate_check(struct gate *gate, size_t position, struct span entry,
                                  struct span certificate, const struct gate_sender *sender,
                                  uint64_t minute, struct entry_facts *facts, struct err *err);

/* registry_enable, and what was checked before is to be checked again: after this nothing is let in by a key that has gone
 * from the file. */
MUST_USE enum err_code gate_enable(struct gate *gate, struct span file, struct err *err);

/* To be asked before gate_check. */
uint64_t gate_epoch(struct gate *gate);

/* pool_push for what was checked since `epoch`. E_CONFLICT: check it again. E_MALFORMED when registrations and other
 * records are in one submission, where the order of checks is not that of the log. Else as pool_push. */
MUST_USE enum err_code gate_push(struct gate *gate, struct pool *pool,
                                 struct submission *submission, uint64_t epoch, struct err *err);

/* What gate_push took is durable: registrations among its entries count from now on. Before it is answered. */
void gate_on_logged(struct gate *gate, const struct submission *submission);
/* It was refused after all. */
void gate_on_refused(struct gate *gate, const struct submission *submission);

/* Entries that gate_check refused with this code, since the start. */
uint64_t gate_refused(const struct gate *gate, enum err_code code);
struct registry_counts gate_counts(struct gate *gate);

#endif
