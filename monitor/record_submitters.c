#include "monitor/record_submitters.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

enum {
    VERSION = 1,
    BUCKETS = 4096,
    KEY_BYTES = 2 + SUBMITTER_ID_BYTES + 8,
    VALUE_BYTES = 128 + REGISTRATION_COURTS_MAX * COURT_TAG_BYTES,
};

/* All that was logged about one, in the order of indices. */
struct person {
    SLIST_ENTRY(person) next;
    struct submitter_id id;
    size_t count, cap;
    struct record_submitter *all; /* owned */
};
SLIST_HEAD(person_list, person);

struct record_submitters {
    struct record_store *store; /* borrowed */
    struct record_keys *keys;   /* likewise */
    struct person_list *buckets;
    size_t count;
    bool is_full;
};

/* -- the table -- */

static struct person_list *bucket_of(const struct record_submitters *submitters,
                                     const struct submitter_id *id)
{
    return &submitters->buckets[(id->bytes[0] << 8 | id->bytes[1]) % BUCKETS];
}

static struct person *find(const struct record_submitters *submitters,
                           const struct submitter_id *id)
{
    struct person *person;
    SLIST_FOREACH(person, bucket_of(submitters, id), next)
    {
        if (submitter_id_is_equal(&person->id, id)) {
            return person;
        }
    }
    return NULL;
}

/* Takes the courts. */
static void add(struct record_submitters *submitters, const struct submitter_id *id,
                const struct record_submitter *submitter)
{
    struct person *person = find(submitters, id);
    if (person == NULL) {
        person = NEW(struct person);
        person->id = *id;
        SLIST_INSERT_HEAD(bucket_of(submitters, id), person, next);
    }
    if (person->count == person->cap) {
        person->cap = person->cap == 0 ? 1 : 2 * person->cap;
        person->all = mem_realloc(person->all, person->cap * sizeof *person->all);
    }
    person->all[person->count++] = *submitter;
    submitters->count++;
}

/* -- the store -- */

static void put_value(struct buf *out, const struct record_submitter *submitter)
{
    buf_put_u8(out, VERSION);
    buf_put_u32(out, submitter->stamp.generation);
    buf_put_u8(out, submitter->is_end);
    buf_put(out, SPAN_OF_ARRAY(submitter->key.bytes));
    buf_put_u32(out, submitter->roles);
    buf_put_u64(out, submitter->from);
    buf_put_u64(out, submitter->to);
    buf_put_u8(out, (uint8_t)submitter->court_count);
    for (size_t i = 0; i < submitter->court_count; i++) {
        buf_put(out, SPAN_OF_ARRAY(submitter->courts[i].bytes));
    }
}

static bool take_value(struct span in, struct record_submitter *out)
{
    uint8_t version, is_end, courts;
    struct span key, tags;
    if (!span_take_u8(&in, &version) || version != VERSION ||
        !span_take_u32(&in, &out->stamp.generation) || !span_take_u8(&in, &is_end) || is_end > 1 ||
        !span_take(&in, ED25519_PUBLIC_BYTES, &key) || !span_take_u32(&in, &out->roles) ||
        !span_take_u64(&in, &out->from) || !span_take_u64(&in, &out->to) ||
        !span_take_u8(&in, &courts) || courts > REGISTRATION_COURTS_MAX ||
        !span_take(&in, (size_t)courts * COURT_TAG_BYTES, &tags) || in.len > 0) {
        return false;
    }
    memcpy(out->key.bytes, key.data, key.len);
    out->is_end = is_end == 1;
    out->court_count = courts;
    out->courts = courts > 0 ? mem_calloc(courts, sizeof *out->courts) : NULL;
    for (size_t i = 0; i < courts; i++) {
        memcpy(out->courts[i].bytes, tags.data + i * COURT_TAG_BYTES, COURT_TAG_BYTES);
    }
    return true;
}

static enum err_code on_item(void *ctx, struct span key, struct span value, struct err *err)
{
    struct record_submitters *submitters = ctx;
    struct record_submitter submitter = { .key = { { 0 } } };
    struct submitter_id id;
    struct span prefix, name;
    if (!span_take(&key, 2, &prefix) || !span_take(&key, SUBMITTER_ID_BYTES, &name) ||
        !span_take_u64(&key, &submitter.stamp.index) || key.len > 0 ||
        !take_value(value, &submitter)) {
        return err_set(err, E_CORRUPT, "a stored submitter: not one of ours");
    }
    memcpy(id.bytes, name.data, name.len);
    if (!record_store_is_valid(submitters->store, submitter.stamp)) {
        mem_free(submitter.courts);
    } else if (submitters->count == RECORD_SUBMITTERS_MAX) {
        submitters->is_full = true;
        mem_free(submitter.courts);
    } else {
        if (!submitter.is_end) {
            record_keys_add(submitters->keys, &submitter.key);
        }
        add(submitters, &id, &submitter); /* keys of one id are in the order of indices */
    }
    return E_OK;
}

enum err_code record_submitters_open(struct record_submitters **out, struct record_store *store,
                                     struct record_keys *keys, struct err *err)
{
    struct record_submitters *submitters = NEW(struct record_submitters);
    submitters->store = store;
    submitters->keys = keys;
    submitters->buckets = mem_calloc(BUCKETS, sizeof *submitters->buckets);
    enum err_code rc = record_store_scan(store, span_of_str("s/"), on_item, submitters, err);
    if (rc != E_OK) {
        record_submitters_free(submitters);
        return rc;
    }
    *out = submitters;
    return E_OK;
}

static void free_person(struct person *person)
{
    for (size_t i = 0; i < person->count; i++) {
        mem_free(person->all[i].courts);
    }
    mem_free(person->all);
    mem_free(person);
}

void record_submitters_free(struct record_submitters *submitters)
{
    if (submitters == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        struct person *person;
        while ((person = SLIST_FIRST(&submitters->buckets[i])) != NULL) {
            SLIST_REMOVE_HEAD(&submitters->buckets[i], next);
            free_person(person);
        }
    }
    mem_free(submitters->buckets);
    mem_free(submitters);
}

/* -- noting -- */

static struct record_submitter make(const struct operation *operation, struct record_stamp stamp)
{
    const struct registration *registration = &operation->registration;
    struct record_submitter made = { .is_end = operation->kind->number == KIND_SUBMITTER_END,
                                     .stamp = stamp };
    if (made.is_end) {
        return made;
    }
    made.key = registration->key;
    made.roles = registration->roles;
    made.from = registration->from;
    made.to = registration->to;
    made.court_count = registration->court_count;
    if (made.court_count > 0) {
        made.courts = mem_calloc(made.court_count, sizeof *made.courts);
        memcpy(made.courts, registration->courts, made.court_count * sizeof *made.courts);
    }
    return made;
}

void record_submitters_note(struct record_submitters *submitters, const struct operation *operation,
                            uint64_t index)
{
    assert(operation->kind->number == KIND_SUBMITTER ||
           operation->kind->number == KIND_SUBMITTER_END);
    if (submitters->count == RECORD_SUBMITTERS_MAX) {
        submitters->is_full = true;
        return;
    }
    struct record_submitter made = make(operation, record_store_stamp(submitters->store, index));
    struct buf key = BUF_INIT(KEY_BYTES), value = BUF_INIT(VALUE_BYTES);
    buf_put_str(&key, "s/");
    buf_put(&key, SPAN_OF_ARRAY(operation->submitter.bytes));
    buf_put_u64(&key, index);
    put_value(&value, &made);
    record_store_put(submitters->store, buf_span(&key), buf_span(&value));
    add(submitters, &operation->submitter, &made);
    buf_clear(&key);
    buf_clear(&value);
}

bool record_submitters_is_full(const struct record_submitters *submitters)
{
    return submitters->is_full;
}

/* -- asking -- */

const struct record_submitter *record_submitters_at(const struct record_submitters *submitters,
                                                    const struct submitter_id *id, uint64_t index)
{
    const struct person *person = find(submitters, id);
    for (size_t i = person != NULL ? person->count : 0; i > 0; i--) {
        if (person->all[i - 1].stamp.index < index) {
            return &person->all[i - 1];
        }
    }
    return NULL;
}

bool record_submitter_has_court(const struct record_submitter *submitter,
                                const struct court_tag *court)
{
    for (size_t i = 0; i < submitter->court_count; i++) {
        if (memcmp(submitter->courts[i].bytes, court->bytes, COURT_TAG_BYTES) == 0) {
            return true;
        }
    }
    return submitter->court_count == 0;
}

static bool is_of_court(const struct person *person, const struct court_tag *court)
{
    for (size_t i = 0; i < person->count; i++) {
        if (!person->all[i].is_end && record_submitter_has_court(&person->all[i], court)) {
            return true;
        }
    }
    return false;
}

void record_submitters_of_court(const struct record_submitters *submitters,
                                const struct court_tag *court,
                                void (*tell)(void *ctx, const struct submitter_id *id), void *ctx)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        const struct person *person;
        SLIST_FOREACH(person, &submitters->buckets[i], next)
        {
            if (is_of_court(person, court)) {
                tell(ctx, &person->id);
            }
        }
    }
}
