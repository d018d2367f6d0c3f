/* The normal path of gate_check is: decode, see who it is from and what that one may do, and only then the signature,
 * which is what costs. */
#include "logd/gate.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "record/certificate.h"
#include "tlog/bundle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* A key whose SUBMITTER_END is on its way into the log. */
struct ending {
    LIST_ENTRY(ending) next;
    struct submitter_id id;
};

struct gate {
    struct gate_options options;
    _Atomic uint64_t refused[E_CORRUPT + 1];

    /* Guards the two below. Held for reading while what was checked is pushed: so that an end has either changed the
     * epoch before, or comes behind it in the pool. */
    pthread_rwlock_t lock;
    uint64_t epoch;
    LIST_HEAD(, ending) endings;
};

/* One entry under judgement. */
struct judged {
    struct gate *gate;
    const struct operation *operation;
    struct span bytes;
    struct span certificate;
    const struct gate_sender *sender;
    uint64_t now; /* minutes */
};

struct gate *gate_new(const struct gate_options *options)
{
    struct gate *gate = NEW(struct gate);
    gate->options = *options;
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr); /* an end must not wait until nobody sends */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&gate->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    return gate;
}

void gate_free(struct gate *gate)
{
    if (gate == NULL) {
        return;
    }
    while (!LIST_EMPTY(&gate->endings)) {
        struct ending *ending = LIST_FIRST(&gate->endings);
        LIST_REMOVE(ending, next);
        mem_free(ending);
    }
    pthread_rwlock_destroy(&gate->lock);
    mem_free(gate);
}

/* -- Who it is from -- */

struct id_text {
    char text[2 * SUBMITTER_ID_BYTES + 1];
};

static struct id_text id_text(const struct submitter_id *id)
{
    struct id_text out = { "" };
    struct buf hex = BUF_INIT(sizeof out.text);
    hex_put(&hex, SPAN_OF_ARRAY(id->bytes));
    memcpy(out.text, hex.data, hex.len);
    buf_clear(&hex);
    return out;
}

/* Requires the lock. */
static struct ending *find_ending(struct gate *gate, const struct submitter_id *id)
{
    struct ending *ending;
    LIST_FOREACH(ending, &gate->endings, next)
    {
        if (submitter_id_is_equal(&ending->id, id)) {
            return ending;
        }
    }
    return NULL;
}

/* Whoever shows a certificate sends for itself. */
static enum err_code check_sender(const struct judged *j, const char *name, struct err *err)
{
    if (j->sender->name == NULL || strcmp(j->sender->name, name) == 0) {
        return E_OK;
    }
    if (j->sender->name[0] == 0) {
        return err_set(err, E_DENIED, "the client certificate has no DNS name; the key's is %s",
                       name);
    }
    return err_set(err, E_DENIED,
                   "submitter: the key's name is %s, and the client certificate's first DNS name "
                   "is another: send over a connection of the key's own",
                   name);
}

static enum err_code check_known(const struct judged *j, const struct submitter_id *id,
                                 struct registry_entry *out, struct err *err)
{
    if (!registry_find(j->gate->options.registry, id, out)) {
        return err_set(err, E_DENIED,
                       "submitter: key %s is not registered on this log: have it enabled in the "
                       "submitters file, and run courtroll submitter register",
                       id_text(id).text);
    }
    if (!out->is_registered) {
        return err_set(err, E_DENIED,
                       "submitter: key %s is enabled, but not registered on this log: run "
                       "courtroll submitter register",
                       id_text(id).text);
    }
    return E_OK;
}

static enum err_code check_enabled(const struct registry_entry *entry,
                                   const struct submitter_id *id, struct err *err)
{
    if (entry->has_ended) {
        return err_set(err, E_DENIED,
                       "submitter: the registration of key %s has ended: register it again, or "
                       "another key",
                       id_text(id).text);
    }
    if (!entry->is_enabled) {
        return err_set(err, E_DENIED,
                       "submitter: key %s is registered, but not enabled: its vkey belongs in the "
                       "log's submitters file",
                       id_text(id).text);
    }
    if (!registry_entry_is_usable(entry)) {
        return err_set(err, E_DENIED,
                       "submitter: key %s is registered and enabled under different names: "
                       "register it again",
                       id_text(id).text);
    }
    return E_OK;
}

/* `minute`: when it was performed; for a sealed record, which does not tell, now. */
static enum err_code check_time(const struct registration *registration, uint64_t minute,
                                const char *what, struct err *err)
{
    if (minute < registration->from || (registration->to != 0 && minute >= registration->to)) {
        return err_set(err, E_DENIED, "%s: outside the from and to of the key's registration",
                       what);
    }
    return E_OK;
}

static enum err_code check_role(const struct judged *j, const struct registration *registration,
                                struct err *err)
{
    const struct kind *kind = j->operation->kind;
    if (kind->roles != 0 && (kind->roles & registration->roles) == 0) {
        return err_set(err, E_DENIED, "kind: the key is registered with no role that may log %s",
                       kind->name);
    }
    return E_OK;
}

static enum err_code check_court(const struct judged *j, const struct registration *registration,
                                 struct err *err)
{
    for (size_t i = 0; i < registration->court_count; i++) {
        if (memcmp(registration->courts[i].bytes, j->operation->court.bytes, COURT_TAG_BYTES) ==
            0) {
            return E_OK;
        }
    }
    return registration->court_count == 0
               ? E_OK
               : err_set(err, E_DENIED, "court: the key is registered for other courts");
}

/* -- Who may log at all: its registration in *out -- */

static enum err_code check_submitter(const struct judged *j, const struct submitter_id *id,
                                     struct registry_entry *out, struct err *err)
{
    pthread_rwlock_rdlock(&j->gate->lock);
    bool is_ending = find_ending(j->gate, id) != NULL;
    pthread_rwlock_unlock(&j->gate->lock);
    if (is_ending) {
        return err_set(err, E_BUSY, "submitter: its registration is being ended now: try again");
    }
    enum err_code rc = check_known(j, id, out, err);
    if (rc == E_OK) {
        rc = check_enabled(out, id, err);
    }
    if (rc == E_OK) {
        rc = check_sender(j, out->registration.name, err);
    }
    return rc;
}

static enum err_code check_signature(const struct judged *j, const struct ed25519_public *key,
                                     struct err *err)
{
    return operation_verify(j->operation, j->bytes, j->gate->options.origin, key, err);
}

/* -- By kind -- */

/* Nothing signs it: the certificate of the connection, which check_sender has compared, is all there is. */
static enum err_code check_vouched(const struct judged *j, struct err *err)
{
    if (!j->gate->options.takes_vouched) {
        return err_set(err, E_DENIED,
                       "signature: there is none, and this log wants one: submitter-signature is "
                       "record");
    }
    if (j->sender->name == NULL) {
        return err_set(err, E_DENIED,
                       "signature: there is none, and no client certificate says who sends");
    }
    return E_OK;
}

static enum err_code judge_case(const struct judged *j, struct err *err)
{
    struct registry_entry entry;
    enum err_code rc = check_submitter(j, &j->operation->submitter, &entry, err);
    if (rc == E_OK) {
        rc = check_time(&entry.registration, j->operation->minute, "minute", err);
    }
    if (rc == E_OK) {
        rc = check_role(j, &entry.registration, err);
    }
    if (rc == E_OK) {
        rc = check_court(j, &entry.registration, err);
    }
    if (rc == E_OK) {
        rc = j->operation->is_vouched ? check_vouched(j, err)
                                      : check_signature(j, &entry.registration.key, err);
    }
    return rc;
}

/* Its one-time key signs it, and the certificate says whose that is. Court and kind nobody sees. */
static enum err_code judge_sealed(const struct judged *j, struct err *err)
{
    struct certificate certificate;
    if (j->certificate.len == 0) {
        return err_set(err, E_MALFORMED,
                       "certificates: a sealed record comes with its submitter's certificate for "
                       "the one-time key");
    }
    if (certificate_parse(&certificate, j->certificate, err) != E_OK) {
        return err_wrap(err, "certificates");
    }
    struct registry_entry entry;
    enum err_code rc = check_submitter(j, &certificate.submitter, &entry, err);
    if (rc == E_OK) {
        rc = check_time(&entry.registration, j->now, "certificates", err);
    }
    if (rc == E_OK) {
        rc = check_role(j, &entry.registration, err);
    }
    if (rc == E_OK &&
        certificate_verify(&certificate, j->gate->options.origin, &j->operation->one_time_key,
                           &j->operation->entry_tag, &entry.registration.key, err) != E_OK) {
        rc = err_wrap(err, "certificates");
    }
    if (rc == E_OK) {
        rc = check_signature(j, &j->operation->one_time_key, err);
    }
    return rc;
}

/* Whether its name holds what must never be on a log, the only text there is, its form has told already. */
static enum err_code judge_registration(const struct judged *j, struct err *err)
{
    const struct registration *registration = &j->operation->registration;
    struct submitter_id id = submitter_id_make(&registration->key);
    struct registry_entry entry;
    if (!registry_find(j->gate->options.registry, &id, &entry) || !entry.is_enabled) {
        return err_set(err, E_DENIED,
                       "registration.key: key %s is not enabled: its vkey belongs in the log's "
                       "submitters file",
                       id_text(&id).text);
    }
    if (strcmp(entry.enabled_name, registration->name) != 0) {
        return err_set(err, E_DENIED, "registration.name: key %s is enabled under another name",
                       id_text(&id).text);
    }
    enum err_code rc = check_sender(j, registration->name, err);
    return rc == E_OK ? check_signature(j, &registration->key, err) : rc;
}

/* A key may always end itself, enabled or not; the operator may end any. Sent again, it is on the log already. */
static enum err_code judge_end(const struct judged *j, struct err *err)
{
    const struct submitter_id *id = &j->operation->submitter;
    struct registry_entry entry;
    enum err_code rc = check_known(j, id, &entry, err);
    if (rc == E_OK && entry.has_ended && entry.ended_minute != j->operation->minute) {
        rc = err_set(err, E_DENIED, "submitter: the registration of key %s has ended already",
                     id_text(id).text);
    }
    if (rc != E_OK) {
        return rc;
    }
    if (!j->operation->is_vouched) {
        rc = check_sender(j, entry.registration.name, err);
        return rc == E_OK ? check_signature(j, &entry.registration.key, err) : rc;
    }
    return j->sender->is_local
               ? E_OK
               : err_set(err, E_DENIED,
                         "signature: there is none: only the operator, on the log's Unix socket, "
                         "ends a registration without its key");
}

static enum err_code judge(const struct judged *j, struct err *err)
{
    const struct operation *operation = j->operation;
    if (j->certificate.len > 0 && !operation->is_sealed) {
        return err_set(err, E_MALFORMED, "certificates: only a sealed record comes with one");
    }
    if (!operation->is_sealed && operation->minute > j->now + GATE_MINUTES_AHEAD_MAX) {
        return err_set(err, E_MALFORMED,
                       "minute: more than %d minutes in the future, by the log's clock",
                       GATE_MINUTES_AHEAD_MAX);
    }
    switch (operation->kind->number) {
    case KIND_SEALED:
        return judge_sealed(j, err);
    case KIND_SUBMITTER:
        return judge_registration(j, err);
    case KIND_SUBMITTER_END:
        return judge_end(j, err);
    case KIND_ANCHOR:
        return err_set(err, E_DENIED, "kind: only the log itself appends ANCHOR");
    default:
        return judge_case(j, err);
    }
}

enum err_code gate_check(struct gate *gate, size_t position, struct span entry,
                         struct span certificate, const struct gate_sender *sender, uint64_t minute,
                         struct entry_facts *facts, struct err *err)
{
    struct operation operation = { 0 };
    enum err_code rc = operation_decode(&operation, entry, err);
    if (rc == E_OK) {
        struct judged judged = { gate, &operation, entry, certificate, sender, minute };
        rc = judge(&judged, err);
        *facts = (struct entry_facts){
            .has_tag = operation.has_commitments,
            .is_registration = operation.kind->number == KIND_SUBMITTER ||
                               operation.kind->number == KIND_SUBMITTER_END,
            .tag = operation.entry_tag,
        };
        operation_clear(&operation);
    }
    if (rc != E_OK) {
        atomic_fetch_add(&gate->refused[rc], 1);
        err_wrap(err, "entry %zu", position);
    }
    return rc;
}

/* -- Order -- */

/* Calls `on_registration` for each SUBMITTER and SUBMITTER_END of a submission, with its position. */
static void each_registration(struct gate *gate, const struct submission *submission,
                              void (*on_registration)(struct gate *gate, uint64_t index,
                                                      const struct operation *operation))
{
    struct span rest = span_of(submission->entries, submission->entries_bytes), entry;
    for (size_t i = 0; i < submission->count && bundle_take_entry(&rest, &entry); i++) {
        struct operation operation = { 0 };
        struct err err;
        if (submission->facts[i].is_registration &&
            operation_decode(&operation, entry, &err) == E_OK) {
            on_registration(gate, submission->indices[i], &operation);
            operation_clear(&operation);
        }
    }
}

/* Requires the lock, for writing. */
static void begin_end(struct gate *gate, uint64_t index, const struct operation *operation)
{
    (void)index;
    if (operation->kind->number == KIND_SUBMITTER_END) {
        struct ending *ending = NEW(struct ending);
        ending->id = operation->submitter;
        LIST_INSERT_HEAD(&gate->endings, ending, next);
        gate->epoch++;
    }
}

static void finish_end(struct gate *gate, uint64_t index, const struct operation *operation)
{
    (void)index;
    if (operation->kind->number != KIND_SUBMITTER_END) {
        return;
    }
    pthread_rwlock_wrlock(&gate->lock);
    struct ending *ending = find_ending(gate, &operation->submitter);
    if (ending != NULL) {
        LIST_REMOVE(ending, next);
        mem_free(ending);
    }
    pthread_rwlock_unlock(&gate->lock);
}

static void take_logged(struct gate *gate, uint64_t index, const struct operation *operation)
{
    registry_on_logged(gate->options.registry, index, operation);
    finish_end(gate, index, operation);
}

static size_t count_registrations(const struct submission *submission)
{
    size_t count = 0;
    for (size_t i = 0; i < submission->count; i++) {
        count += submission->facts[i].is_registration;
    }
    return count;
}

uint64_t gate_epoch(struct gate *gate)
{
    pthread_rwlock_rdlock(&gate->lock);
    uint64_t epoch = gate->epoch;
    pthread_rwlock_unlock(&gate->lock);
    return epoch;
}

enum err_code gate_enable(struct gate *gate, struct span file, struct err *err)
{
    enum err_code rc = registry_enable(gate->options.registry, file, err);
    if (rc == E_OK) { /* in this order: whoever asks for the epoch from now on finds the new file */
        pthread_rwlock_wrlock(&gate->lock);
        gate->epoch++;
        pthread_rwlock_unlock(&gate->lock);
    }
    return rc;
}

/* Requires the lock. */
static enum err_code check_epoch(const struct gate *gate, uint64_t epoch, struct err *err)
{
    return epoch == gate->epoch ? E_OK
                                : err_set(err, E_CONFLICT, "who may log has changed meanwhile");
}

static enum err_code push_records(struct gate *gate, struct pool *pool,
                                  struct submission *submission, uint64_t epoch, struct err *err)
{
    pthread_rwlock_rdlock(&gate->lock);
    enum err_code rc = check_epoch(gate, epoch, err);
    if (rc == E_OK) {
        rc = pool_push(pool, submission, err);
    }
    pthread_rwlock_unlock(&gate->lock);
    return rc;
}

/* Two ends of one key may both be pushed, one behind the other: the second changes nothing. */
static enum err_code push_registrations(struct gate *gate, struct pool *pool,
                                        struct submission *submission, uint64_t epoch,
                                        struct err *err)
{
    pthread_rwlock_wrlock(&gate->lock);
    enum err_code rc = check_epoch(gate, epoch, err);
    bool has_begun = rc == E_OK;
    if (has_begun) {
        each_registration(gate, submission, begin_end);
        rc = pool_push(pool, submission, err);
    }
    pthread_rwlock_unlock(&gate->lock);
    if (has_begun && rc != E_OK) {
        gate_on_refused(gate, submission);
    }
    return rc;
}

enum err_code gate_push(struct gate *gate, struct pool *pool, struct submission *submission,
                        uint64_t epoch, struct err *err)
{
    size_t registrations = count_registrations(submission);
    if (registrations == 0) {
        return push_records(gate, pool, submission, epoch, err);
    }
    if (registrations < submission->count) {
        return err_set(err, E_MALFORMED,
                       "kind: SUBMITTER and SUBMITTER_END go in a call of their own");
    }
    return push_registrations(gate, pool, submission, epoch, err);
}

void gate_on_logged(struct gate *gate, const struct submission *submission)
{
    if (count_registrations(submission) > 0) {
        each_registration(gate, submission, take_logged);
    }
}

void gate_on_refused(struct gate *gate, const struct submission *submission)
{
    if (count_registrations(submission) > 0) {
        each_registration(gate, submission, finish_end);
    }
}

/* -- Numbers -- */

uint64_t gate_refused(const struct gate *gate, enum err_code code)
{
    return atomic_load(&gate->refused[code]);
}

struct registry_counts gate_counts(struct gate *gate)
{
    return registry_counts(gate->options.registry);
}
