#include "bench/operation_records.h"

#include "base/alloc.h"
#include "tlog/merkle.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    THREADS = 2,
};

void operation_fail(const char *words)
{
    fprintf(stderr, "bench: %s\n", words);
    exit(1);
}

/* -- What they are made of -- */

static const char *const kinds[OPERATION_KINDS] = {
    "\"FUND_IN\",\"officer\":\"officer 7\",\"fields\":{\"amount\":\"1234500\",\"method\":2}",
    "\"DISBURSE\",\"officer\":\"officer 7\",\"fields\":{\"amount\":\"99900\",\"payee\":\"account "
    "6\"}",
    "\"AUCTION_RESULT\",\"officer\":\"officer 9\",\"fields\":{\"asset\":\"flat 3\",\"result\":1}",
    "\"FEE\",\"officer\":\"officer 9\",\"fields\":{\"amount\":\"5000\",\"basis\":\"fee order 17\"}",
    "\"HANDOVER\",\"officer\":\"officer 11\",\"fields\":{\"asset\":\"car 5\",\"place\":\"yard 2\"}",
};

static void parse_draft(struct draft *draft, const char *kind)
{
    char json[1024];
    struct err err;
    snprintf(
        json, sizeof json,
        "{\"case\":\"（2026）测0101执1号\",\"minute\":\"2026-03-04T09:31Z\",\"court\":\"测0101\","
        "\"document\":\"%064d\",\"kind\":%s}",
        1, kind);
    if (draft_parse(draft, span_of_str(json), &err) != E_OK) {
        operation_fail(err.msg);
    }
    draft->minute = (uint64_t)time(NULL) / 60;
}

struct operation_source *operation_source_new(void)
{
    struct operation_source *source = NEW(struct operation_source);
    for (size_t i = 0; i < OPERATION_CASES; i++) {
        struct case_key *key = &source->cases[i];
        crypto_random(key->bytes, sizeof key->bytes);
        snprintf(key->number, sizeof key->number, "（2026）测0101执%zu号", i + 1);
    }
    for (size_t i = 0; i < OPERATION_KINDS; i++) {
        parse_draft(&source->drafts[i], kinds[i]);
    }
    return source;
}

void operation_source_free(struct operation_source *source)
{
    for (size_t i = 0; i < OPERATION_KINDS; i++) {
        draft_clear(&source->drafts[i]);
    }
    for (size_t i = 0; i < OPERATION_CASES; i++) {
        case_key_wipe(&source->cases[i]);
    }
    mem_free(source);
}

const struct draft *operation_source_draft(struct operation_source *source, size_t of_case,
                                           uint64_t i)
{
    struct draft *draft = &source->drafts[i % OPERATION_KINDS];
    const struct case_key *key = &source->cases[of_case];
    memcpy(draft->case_number, key->number, sizeof draft->case_number);
    return draft;
}

/* -- Records -- */

struct maker {
    pthread_t thread;
    struct operation_records *records;
    struct operation_source *source; /* its own drafts, the same cases */
    struct composition how;
    size_t first, end;
    struct buf *bytes;
    double cpu_us;
};

static void make_one(struct maker *maker, size_t i)
{
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    struct payload payload;
    struct err err;
    struct composition how = maker->how;
    crypto_random(random, sizeof random);
    how.case_key = &maker->source->cases[i % OPERATION_CASES];
    how.number = i / OPERATION_CASES;
    how.random = random;
    payload_init(&payload);
    if (payload_compose(&payload, operation_source_draft(maker->source, i % OPERATION_CASES, i),
                        &how, &err) != E_OK) {
        operation_fail(err.msg);
    }
    struct span record = buf_span(&payload.record);
    maker->records->leaves[i] = merkle_leaf_hash(record);
    maker->records->entries[i].len = record.len; /* its place is known when `bytes` grows no more */
    buf_put(maker->bytes, record);
    payload_clear(&payload);
}

static void *make_run(void *arg)
{
    struct maker *maker = arg;
    for (size_t i = maker->first; i < maker->end; i++) {
        make_one(maker, i);
    }
    const uint8_t *at = maker->bytes->data;
    for (size_t i = maker->first; i < maker->end; i++) {
        maker->records->entries[i].data = at;
        at += maker->records->entries[i].len;
    }
    struct timespec cpu;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    maker->cpu_us = (double)cpu.tv_sec * 1e6 + (double)cpu.tv_nsec / 1e3;
    return NULL;
}

/* Threads share the cases' keys, as they number the operations of each between them, and have drafts of their own. */
static struct operation_source *source_for(struct maker *makers, size_t t)
{
    struct operation_source *source = operation_source_new();
    if (t > 0) {
        memcpy(source->cases, makers[0].source->cases, sizeof source->cases);
    }
    return source;
}

void operation_records_make(struct operation_records *out, size_t count, const char *origin,
                            const struct signing_key *key, bool is_vouched)
{
    struct maker makers[THREADS] = { 0 };
    *out = (struct operation_records){ .count = count };
    out->entries = mem_calloc(count, sizeof out->entries[0]);
    out->leaves = mem_calloc(count, sizeof out->leaves[0]);
    out->bytes = mem_calloc(THREADS, sizeof out->bytes[0]);
    for (size_t t = 0; t < THREADS; t++) {
        buf_init(&out->bytes[t], SIZE_MAX);
        makers[t] = (struct maker){ .records = out,
                                    .source = source_for(makers, t),
                                    .how = { .origin = origin,
                                             .submitter_key = key,
                                             .submitter_public = signing_key_public(key),
                                             .is_vouched = is_vouched },
                                    .first = count * t / THREADS,
                                    .end = count * (t + 1) / THREADS,
                                    .bytes = &out->bytes[t] };
        if (pthread_create(&makers[t].thread, NULL, make_run, &makers[t]) != 0) {
            operation_fail("no thread could be made");
        }
    }
    for (size_t t = 0; t < THREADS; t++) {
        pthread_join(makers[t].thread, NULL);
        out->bytes_total += makers[t].bytes->len;
        out->make_cpu_us += makers[t].cpu_us / (double)count;
    }
    for (size_t t = 0; t < THREADS; t++) {
        operation_source_free(makers[t].source);
    }
}

void operation_records_clear(struct operation_records *records)
{
    for (size_t t = 0; t < THREADS; t++) {
        buf_clear(&records->bytes[t]);
    }
    mem_free(records->bytes);
    mem_free(records->entries);
    mem_free(records->leaves);
}
