/* operation_world.h -- follow_world.h with a log of operations: submitters, cases, records of every sort.
 *
 * Commitments of records are made up, but for sealed ones, which payload.h makes. One thread. Free with
 * operation_world_free.
 */
#ifndef SUPPORT_OPERATION_WORLD_H
#define SUPPORT_OPERATION_WORLD_H

#include "record/entry_tag.h"
#include "tests/support/files.h"
#include "tests/support/follow_world.h"
#include "tests/support/record_world.h"

#include <sys/stat.h>
#include <time.h>

enum {
    OPERATION_WORLD_SUBMITTERS = 4,
    OPERATION_WORLD_CASES = 3,
    OPERATION_WORLD_MINUTE = COMPARE_WORLD_NOW / 60,
};

#define OPERATION_WORLD_COURT "测0101"

struct operation_world {
    struct follow_world *follow;
    struct memory_log *log;
    struct signer submitters[OPERATION_WORLD_SUBMITTERS];
    struct case_key cases[OPERATION_WORLD_CASES]; /* the last two are of one case number */
    struct record_options options;
    char *key_dir; /* owned */
    const char *key_dirs[1];
    struct payload sealed; /* the last one */
    uint64_t minute;
};

static inline struct operation_world *operation_world_new(void)
{
    static const char *const numbers[OPERATION_WORLD_CASES] = { RECORD_WORLD_CASE,
                                                                "（2026）测0101执77号",
                                                                "（2026）测0101执77号" };
    struct operation_world *world = NEW(struct operation_world);
    world->follow = follow_world_new("group g 2 w0 w1 w2\nquorum g\n");
    struct compare_world *base = world->follow->base;
    memory_log_free(base->honest);
    base->honest = world->log =
        memory_log_new(&(struct memory_log_options){ .signer = &base->log_key });
    base->options.sources[0].ctx = world->log;
    for (size_t i = 0; i < OPERATION_WORLD_SUBMITTERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "submitter-%zu.example", i);
        world->submitters[i] = keys_signer(name, SIGNATURE_ED25519, name);
    }
    for (size_t i = 0; i < OPERATION_WORLD_CASES; i++) {
        struct hash secret = sha256(span_of(&i, 1));
        memcpy(world->cases[i].bytes, secret.bytes, CASE_KEY_BYTES);
        snprintf(world->cases[i].number, sizeof world->cases[i].number, "%s", numbers[i]);
    }
    world->key_dir = files_make_temp_dir();
    world->key_dirs[0] = world->key_dir;
    world->options = (struct record_options){ .verifies_signatures = true,
                                              .unseal_after_s = UINT64_C(30) * 86400,
                                              .key_dir_count = 1,
                                              .key_dirs = world->key_dirs };
    world->follow->records = &world->options;
    payload_init(&world->sealed);
    world->minute = OPERATION_WORLD_MINUTE;
    return world;
}

static inline void operation_world_free(struct operation_world *world)
{
    follow_world_free(world->follow);
    for (size_t i = 0; i < OPERATION_WORLD_SUBMITTERS; i++) {
        signer_clear(&world->submitters[i]);
    }
    payload_clear(&world->sealed);
    files_remove_tree(world->key_dir);
    mem_free(world);
}

/* -- case keys -- */

static inline void operation_world_give_key(struct operation_world *world, size_t c)
{
    struct buf text = BUF_INIT(CASE_KEY_FILE_BYTES_MAX);
    char name[32];
    snprintf(name, sizeof name, "%zu.casekey", c);
    char *path = files_join(world->key_dir, name);
    case_key_put(&text, &world->cases[c]);
    files_write(path, buf_span(&text));
    chmod(path, 0600);
    buf_clear(&text);
    mem_free(path);
}

/* -- records -- */

static inline void operation_world_check(enum err_code rc, const struct err *err)
{
    if (rc != E_OK) {
        fprintf(stderr, "operation_world: %s\n", err->msg);
        abort();
    }
}

/* Signs with the key of `signer`, and appends. Returns the index. */
static inline uint64_t operation_world_append(struct operation_world *world,
                                              struct operation *operation,
                                              const struct signer *signer)
{
    struct buf bytes = BUF_INIT(OPERATION_BYTES_MAX);
    struct err err;
    operation_world_check(operation->is_vouched
                              ? operation_put(&bytes, operation, &err)
                              : operation_put_signed(&bytes, operation, COMPARE_WORLD_ORIGIN,
                                                     signer->key, &err),
                          &err);
    memory_log_append(world->log, buf_span(&bytes));
    buf_clear(&bytes);
    return memory_log_size(world->log) - 1;
}

static inline struct submitter_id operation_world_id(const struct operation_world *world, size_t s)
{
    return submitter_id_make(&world->submitters[s].vkey.key);
}

/* `court` NULL: for every court. */
static inline struct operation operation_world_registration(struct operation_world *world, size_t s,
                                                            const char *court)
{
    struct operation operation = { .kind = kind_find(KIND_SUBMITTER),
                                   .minute = world->minute,
                                   .submitter = operation_world_id(world, s) };
    operation.registration = (struct registration){
        .key = world->submitters[s].vkey.key,
        .roles = 1u << ROLE_ENFORCEMENT,
        .from = 29000000,
    };
    snprintf(operation.registration.name, sizeof operation.registration.name,
             "submitter-%zu.example", s);
    if (court != NULL) {
        operation.registration.court_count = 1;
        operation.registration.courts[0] = court_tag_make(span_of_str(court));
    }
    return operation;
}

static inline uint64_t operation_world_register(struct operation_world *world, size_t s,
                                                const char *court)
{
    struct operation operation = operation_world_registration(world, s, court);
    return operation_world_append(world, &operation, &world->submitters[s]);
}

static inline uint64_t operation_world_end(struct operation_world *world, size_t s)
{
    struct operation operation = { .kind = kind_find(KIND_SUBMITTER_END),
                                   .minute = world->minute,
                                   .submitter = operation_world_id(world, s) };
    return operation_world_append(world, &operation, &world->submitters[s]);
}

/* A record of a kind, of case `c`, by submitter `s`, a minute after the one before it. */
static inline struct operation operation_world_make(struct operation_world *world, size_t s,
                                                    size_t c, uint64_t number, uint32_t kind)
{
    struct submitter_id id = operation_world_id(world, s);
    struct operation operation = { .kind = kind_find(kind),
                                   .minute = ++world->minute,
                                   .court = court_tag_make(span_of_str(OPERATION_WORLD_COURT)),
                                   .has_commitments = true,
                                   .entry_tag = entry_tag_make(&world->cases[c], &id, number),
                                   .submitter = id };
    operation.document = sha256(span_of_str("document"));
    operation.fields_root = sha256(span_of(&world->minute, sizeof world->minute));
    if (kind == KIND_CASE_FILED) {
        operation.case_commitment = case_commitment_make(&world->cases[c]);
    }
    return operation;
}

static inline uint64_t operation_world_log(struct operation_world *world, size_t s, size_t c,
                                           uint64_t number, uint32_t kind)
{
    struct operation operation = operation_world_make(world, s, c, number, kind);
    return operation_world_append(world, &operation, &world->submitters[s]);
}

/* CLOSED, with these counts of submitters 0, 1, ... */
static inline uint64_t operation_world_close(struct operation_world *world, size_t s, size_t c,
                                             uint64_t number, const uint32_t *counts, size_t count)
{
    struct closed_count all[CLOSED_SUBMITTERS_MAX];
    struct operation operation = operation_world_make(world, s, c, number, KIND_CLOSED);
    for (size_t i = 0; i < count; i++) {
        all[i] = (struct closed_count){ operation_world_id(world, i), counts[i] };
    }
    closed_counts_make(operation.closed_counts, &world->cases[c], &operation.entry_tag, all, count);
    return operation_world_append(world, &operation, &world->submitters[s]);
}

static inline void operation_world_compose(struct operation_world *world, struct payload *out,
                                           size_t s, uint64_t number, const char *json,
                                           const struct payload *sealed)
{
    struct draft draft;
    struct err err;
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    char name[32];
    snprintf(name, sizeof name, "random %zu %ju", s, (uintmax_t)number);
    record_world_random(random, name);
    operation_world_check(draft_parse(&draft, span_of_str(json), &err), &err);
    struct composition how = { .origin = COMPARE_WORLD_ORIGIN,
                               .case_key = &world->cases[0],
                               .submitter_key = world->submitters[s].key,
                               .submitter_public = world->submitters[s].vkey.key,
                               .number = number,
                               .sealed = sealed,
                               .random = random };
    operation_world_check(payload_compose(out, &draft, &how, &err), &err);
    draft_clear(&draft);
}

/* A sealed FREEZE of case 0: *sealed is what the next UNSEAL opens. */
static inline uint64_t operation_world_seal(struct operation_world *world, size_t s,
                                            uint64_t number)
{
    payload_clear(&world->sealed);
    payload_init(&world->sealed);
    operation_world_compose(world, &world->sealed, s, number, RECORD_WORLD_FREEZE("true"), NULL);
    memory_log_append(world->log, buf_span(&world->sealed.record));
    return memory_log_size(world->log) - 1;
}

static inline struct buf operation_world_unsealing(struct operation_world *world, size_t s,
                                                   uint64_t number)
{
    struct payload payload;
    struct buf record;
    char json[256], minute[32];
    time_t unix_s = (time_t)++world->minute * 60;
    struct tm utc;
    strftime(minute, sizeof minute, "%Y-%m-%dT%H:%MZ", gmtime_r(&unix_s, &utc));
    snprintf(json, sizeof json,
             "{\"case\":\"" RECORD_WORLD_CASE "\",\"court\":\"" OPERATION_WORLD_COURT
             "\",\"kind\":\"UNSEAL\",\"minute\":\"%s\",\"officer\":\"officer 7\"}",
             minute);
    payload_init(&payload);
    operation_world_compose(world, &payload, s, number, json, &world->sealed);
    buf_init(&record, OPERATION_BYTES_MAX);
    buf_put(&record, buf_span(&payload.record));
    payload_clear(&payload);
    return record;
}

static inline uint64_t operation_world_unseal(struct operation_world *world, size_t s,
                                              uint64_t number)
{
    struct buf record = operation_world_unsealing(world, s, number);
    memory_log_append(world->log, buf_span(&record));
    buf_clear(&record);
    return memory_log_size(world->log) - 1;
}

/* -- steps -- */

/* Publishes all, and lets the monitor look twice. */
static inline void operation_world_look(struct operation_world *world)
{
    follow_world_serve(world->follow, memory_log_size(world->log));
    for (int i = 0; i < 2; i++) {
        follow_world_step_after(world->follow, 10);
    }
}

static inline bool operation_world_has(const struct operation_world *world, enum finding_code code,
                                       uint64_t index)
{
    char subject[FINDING_SUBJECT_MAX];
    snprintf(subject, sizeof subject, "entry %ju", (uintmax_t)index);
    return follow_world_is_open(world->follow, code, subject);
}

#endif
