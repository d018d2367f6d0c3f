#include "monitor/record_cases.h"

#include "base/alloc.h"
#include "base/log.h"
#include "monitor/record_chain.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    VERSION = 1,
    VALUE_BYTES = 32,
};

struct known_case {
    struct case_key key;
    struct hash id;  /* of the key: names it in the store */
    char *file;      /* name of its file, for our own log; owned */
    bool is_loaded;  /* the two below are what is stored */
    uint64_t judged; /* size of the tree that it was judged in last; 0: never */
    uint64_t gaps;   /* and of the one in which gaps were */
    bool is_due;     /* something is new, or a gap waits for the second look */
    bool is_listed;  /* its file is still there: of a reading */
    bool has_filed;
    uint64_t filed;
};

struct record_cases {
    struct watched_log *log; /* borrowed, as the next two */
    struct record_store *store;
    const struct record_submitters *submitters;
    struct record_key_files files;
    struct record_expected *expected; /* owned */
    size_t count, cap;
    struct known_case **cases; /* by case number, then key; owned, and each of them */
    size_t at;                 /* the next one to be looked at */
};

/* -- the cases -- */

struct record_cases *record_cases_new(struct watched_log *log, struct record_store *store,
                                      const struct record_submitters *submitters,
                                      const char *const *dirs, size_t dir_count)
{
    struct record_cases *cases = NEW(struct record_cases);
    cases->log = log;
    cases->store = store;
    cases->submitters = submitters;
    cases->expected = record_expected_new();
    record_key_files_init(&cases->files, dirs, dir_count);
    return cases;
}

static void free_case(struct known_case *known)
{
    case_key_wipe(&known->key);
    mem_free(known->file);
    mem_free(known);
}

void record_cases_free(struct record_cases *cases)
{
    if (cases == NULL) {
        return;
    }
    for (size_t i = 0; i < cases->count; i++) {
        free_case(cases->cases[i]);
    }
    mem_free(cases->cases);
    record_expected_free(cases->expected);
    mem_free(cases);
}

size_t record_cases_count(const struct record_cases *cases)
{
    return cases->count;
}

static struct hash case_id(const struct case_key *key)
{
    struct span parts[] = { span_of_str("courtroll/monitor/case-key/v1\n"),
                            SPAN_OF_ARRAY(key->bytes) };
    return sha256_parts(parts, 2);
}

static int compare(const char *number, const struct hash *id, const struct known_case *known)
{
    int order = strcmp(number, known->key.number);
    return order != 0 ? order : memcmp(id->bytes, known->id.bytes, HASH_BYTES);
}

/* Where it is, or belongs. */
static size_t place_of(const struct record_cases *cases, const char *number, const struct hash *id,
                       bool *is_there)
{
    size_t low = 0, high = cases->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(number, id, cases->cases[middle]) > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *is_there = low < cases->count && compare(number, id, cases->cases[low]) == 0;
    return low;
}

static struct known_case *make_case(const struct case_key *key, const struct hash *id,
                                    const char *path)
{
    struct known_case *known = NEW(struct known_case);
    const char *slash = strrchr(path, '/');
    known->key = *key;
    known->id = *id;
    known->file = mem_strdup(slash != NULL ? slash + 1 : path);
    known->is_due = known->is_listed = true;
    return known;
}

static void on_key(void *ctx, const char *path, const struct case_key *key)
{
    struct record_cases *cases = ctx;
    struct hash id = case_id(key);
    bool is_there;
    size_t place = place_of(cases, key->number, &id, &is_there);
    if (is_there) {
        cases->cases[place]->is_listed = true;
        return;
    }
    if (cases->count == cases->cap) {
        cases->cap = cases->cap == 0 ? 64 : 2 * cases->cap;
        cases->cases = mem_realloc(cases->cases, cases->cap * sizeof cases->cases[0]);
    }
    memmove(cases->cases + place + 1, cases->cases + place,
            (cases->count - place) * sizeof cases->cases[0]);
    cases->cases[place] = make_case(key, &id, path);
    cases->count++;
}

/* A key whose file is gone is forgotten; what it expected, with it. */
static void forget_unlisted(struct record_cases *cases)
{
    size_t kept = 0;
    for (size_t i = 0; i < cases->count; i++) {
        if (cases->cases[i]->is_listed) {
            cases->cases[kept++] = cases->cases[i];
        } else {
            free_case(cases->cases[i]);
        }
    }
    if (kept < cases->count) {
        record_expected_clear(cases->expected);
        for (size_t i = 0; i < kept; i++) {
            cases->cases[i]->is_due = true;
        }
    }
    cases->count = kept;
    cases->at = 0;
}

void record_cases_read_keys(struct record_cases *cases, int64_t now_s, bool is_forced)
{
    if (!is_forced && !record_key_files_is_new(&cases->files)) {
        return;
    }
    size_t before = cases->count;
    for (size_t i = 0; i < cases->count; i++) {
        cases->cases[i]->is_listed = false;
    }
    record_key_files_read(&cases->files, now_s, on_key, cases);
    forget_unlisted(cases);
    if (cases->count != before) {
        log_event(LOG_LEVEL_INFO, "case_keys_read", "origin=%s keys=%zu",
                  log_quoted_str(watched_log_origin(cases->log)).text, cases->count);
    }
}

void record_cases_use(struct record_cases *cases, const struct record_submitters *submitters)
{
    cases->submitters = submitters;
}

void record_cases_on_tag(struct record_cases *cases, const struct hash *tag)
{
    struct known_case *known = record_expected_find(cases->expected, tag);
    if (known != NULL) {
        known->is_due = true;
    }
}

/* Rare enough that nobody need ask which courts it is for. */
void record_cases_on_submitter(struct record_cases *cases)
{
    for (size_t i = 0; i < cases->count; i++) {
        cases->cases[i]->is_due = true;
    }
}

/* -- how far a case was judged -- */

static struct buf state_key(const struct known_case *known)
{
    struct buf key = BUF_INIT(2 + HASH_BYTES);
    buf_put_str(&key, "c/");
    buf_put(&key, hash_span(&known->id));
    return key;
}

static enum err_code load_case(struct record_cases *cases, struct known_case *known,
                               struct err *err)
{
    struct buf key = state_key(known), value = BUF_INIT(VALUE_BYTES);
    uint8_t version;
    enum err_code rc = record_store_get(cases->store, buf_span(&key), &value, err);
    struct span in = buf_span(&value);
    if (rc == E_OK &&
        (!span_take_u8(&in, &version) || version != VERSION ||
         !span_take_u64(&in, &known->judged) || !span_take_u64(&in, &known->gaps) || in.len > 0)) {
        rc = err_set(err, E_CORRUPT, "what is stored of a case: not one of ours");
    }
    buf_clear(&key);
    buf_clear(&value);
    rc = rc == E_NOT_FOUND ? E_OK : rc;
    known->is_loaded = rc == E_OK;
    return rc;
}

static void put_case(struct record_cases *cases, const struct known_case *known)
{
    struct buf key = state_key(known), value = BUF_INIT(VALUE_BYTES);
    buf_put_u8(&value, VERSION);
    buf_put_u64(&value, known->judged);
    buf_put_u64(&value, known->gaps);
    record_store_put(cases->store, buf_span(&key), buf_span(&value));
    buf_clear(&key);
    buf_clear(&value);
}

/* -- telling -- */

struct judging {
    struct record_cases *cases;
    struct known_case *known;
    int64_t now_s;
    bool has_gap; /* one that is new, and to be looked at once more */
    enum err_code rc;
    struct err err;
};

static void raise_one(struct judging *judging, const struct record_case_finding *found)
{
    const struct finding_sink *sink = &watched_log_options(judging->cases->log)->sink;
    struct finding finding = { .code = found->code,
                               .origin = watched_log_origin(judging->cases->log) };
    record_subject(finding.subject, found->index);
    snprintf(finding.summary, sizeof finding.summary,
             "Entry %" PRIu64 ", as the key of its case shows: %s.", found->index, found->text);
    judging->rc = sink->raise(sink->ctx, &finding, judging->now_s, &judging->err);
    log_event(LOG_LEVEL_WARN, "case_finding", "origin=%s code=%s entry=%" PRIu64 " key=%s",
              log_quoted_str(finding.origin).text, finding_kind(found->code)->text, found->index,
              log_quoted_str(judging->known->file).text);
}

static void clear_one(struct judging *judging, const struct record_case_finding *found)
{
    const struct finding_sink *sink = &watched_log_options(judging->cases->log)->sink;
    char subject[FINDING_SUBJECT_MAX];
    record_subject(subject, found->index);
    judging->rc = sink->clear(sink->ctx, found->code, watched_log_origin(judging->cases->log),
                              subject, judging->now_s, &judging->err);
}

/* What is not new was told. A gap is told once it was there in the tree before, and still is. */
static void on_finding(void *ctx, const struct record_case_finding *found)
{
    struct judging *judging = ctx;
    const struct known_case *known = judging->known;
    bool is_new = found->trigger >= known->judged;
    if (judging->rc != E_OK) {
        return;
    }
    if (found->is_over) {
        if (is_new) {
            clear_one(judging, found);
        }
    } else if (found->code == FINDING_CASE_GAP) {
        judging->has_gap = judging->has_gap || is_new;
        if (!is_new && found->trigger >= known->gaps) {
            raise_one(judging, found);
        }
    } else if (is_new) {
        raise_one(judging, found);
    }
}

/* -- two keys of one number -- */

/* The later one is told, whichever key came first. */
static void compare_filed(struct judging *judging, const struct known_case *other)
{
    const struct known_case *known = judging->known;
    uint64_t filed = known->filed > other->filed ? known->filed : other->filed;
    struct record_case_finding found = { .code = FINDING_CASE_FILED_TWICE,
                                         .index = filed,
                                         .trigger = filed };
    if (judging->rc != E_OK || !known->has_filed || !other->has_filed) {
        return;
    }
    snprintf(found.text, sizeof found.text,
             "it files a case number that was filed before it under another key");
    if (known->judged == 0 || filed >= known->judged) {
        raise_one(judging, &found);
    }
}

static void compare_keys(struct judging *judging)
{
    const struct record_cases *cases = judging->cases;
    struct known_case *known = judging->known;
    bool is_there;
    size_t place = place_of(cases, known->key.number, &known->id, &is_there);
    assert(is_there);
    for (size_t i = place;
         i-- > 0 && strcmp(cases->cases[i]->key.number, known->key.number) == 0;) {
        compare_filed(judging, cases->cases[i]);
    }
    for (size_t i = place + 1;
         i < cases->count && strcmp(cases->cases[i]->key.number, known->key.number) == 0; i++) {
        compare_filed(judging, cases->cases[i]);
    }
}

/* -- judging -- */

static enum err_code judge(struct record_cases *cases, struct known_case *known, int64_t now_s,
                           struct err *err)
{
    struct judging judging = { .cases = cases, .known = known, .now_s = now_s, .rc = E_OK };
    struct record_chain_options options = { cases->store, cases->submitters, &known->key,
                                            cases->expected, known };
    struct record_case chain;
    enum err_code rc = known->is_loaded ? E_OK : load_case(cases, known, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = record_chain_read(&chain, &options, err);
    if (rc == E_OK) {
        known->has_filed = record_case_filed(&chain, &known->filed);
        record_case_judge(&chain, on_finding, &judging);
        compare_keys(&judging);
        rc = judging.rc;
        *err = judging.rc != E_OK ? judging.err : *err;
    }
    record_chain_clear(&chain);
    if (rc == E_OK) {
        known->gaps = known->judged;
        known->judged = record_store_base(cases->store)->size;
        known->is_due = judging.has_gap;
        put_case(cases, known);
    }
    return rc;
}

enum err_code record_cases_look(struct record_cases *cases, int64_t now_s, size_t max,
                                bool *has_more, struct err *err)
{
    enum err_code rc = E_OK;
    *has_more = false;
    for (; rc == E_OK && cases->at < cases->count; cases->at++) {
        struct known_case *known = cases->cases[cases->at];
        if (!known->is_due) {
            continue;
        }
        if (max-- == 0 || record_store_is_full(cases->store)) {
            *has_more = true;
            return E_OK;
        }
        rc = judge(cases, known, now_s, err);
        if (rc != E_OK) {
            return rc;
        }
    }
    cases->at = 0;
    return rc;
}
