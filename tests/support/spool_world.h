/* spool_world.h -- a spool in a temporary directory in front of a fake log, and what it told. One thread. */
#ifndef SUPPORT_SPOOL_WORLD_H
#define SUPPORT_SPOOL_WORLD_H

#include "client/spool.h"
#include "tests/support/fake_log.h"
#include "tests/support/files.h"
#include "tlog/receipt.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    SPOOL_WORLD_TIMEOUT_MS = 30 * 1000
};

struct spool_world {
    char *temp, *dir;
    struct fake_log *log;
    struct spool *spool;
    uint32_t sealed_delay_max_ms;
    pthread_mutex_t lock; /* guards what is told */
    uint64_t proved, refused, bad;
    uint64_t last_ticket;
    char refusal[512];
};

static inline void spool_world_on_receipt(void *ctx, const struct spool_receipt *told)
{
    struct spool_world *world = ctx;
    struct receipt receipt;
    struct policy_verdict verdict;
    struct err err;
    pthread_mutex_lock(&world->lock);
    world->last_ticket = told->ticket;
    if (told->is_refused) {
        world->refused++;
        snprintf(world->refusal, sizeof world->refusal, "%s", told->refusal);
    } else {
        world->proved++;
        bool is_good = receipt_parse(&receipt, told->proof, &err) == E_OK;
        if (is_good) {
            is_good = receipt_verify(&receipt, fake_log_policy(world->log), &told->leaf, &verdict,
                                     &err) == E_OK &&
                      verdict.is_met && receipt.index == told->index;
            receipt_clear(&receipt);
        }
        world->bad += !is_good;
    }
    pthread_mutex_unlock(&world->lock);
}

static inline enum err_code spool_world_try_open(struct spool_world *world, struct err *err)
{
    struct spool_options options = { .dir = world->dir,
                                     .origin = fake_log_origin(world->log),
                                     .policy = fake_log_policy(world->log),
                                     .sealed_delay_max_ms = world->sealed_delay_max_ms,
                                     .ctx = world,
                                     .on_receipt = spool_world_on_receipt };
    assert_int_equal(log_address_parse(&options.log, fake_log_address(world->log), err), E_OK);
    return spool_open(&world->spool, &options, err);
}

static inline void spool_world_open(struct spool_world *world)
{
    struct err err;
    if (spool_world_try_open(world, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
}

static inline void spool_world_close(struct spool_world *world)
{
    spool_close(world->spool);
    world->spool = NULL;
}

static inline void spool_world_start(struct spool_world *world)
{
    *world = (struct spool_world){ .temp = files_make_temp_dir() };
    world->dir = files_join(world->temp, "spool");
    world->log = fake_log_start();
    pthread_mutex_init(&world->lock, NULL);
    spool_world_open(world);
}

static inline void spool_world_stop(struct spool_world *world)
{
    spool_close(world->spool);
    fake_log_stop(world->log);
    pthread_mutex_destroy(&world->lock);
    free(world->dir);
    files_remove_tree(world->temp);
}

static inline struct hash spool_world_case(const char *name)
{
    return name[0] != 0 ? sha256(span_of_str(name)) : (struct hash){ { 0 } };
}

/* The text CASE/NUMBER and `more`; the code. */
static inline enum err_code spool_world_try(struct spool_world *world, const char *name,
                                            uint64_t number, const char *more, bool is_sealed,
                                            uint64_t *ticket, struct err *err)
{
    char text[256];
    snprintf(text, sizeof text, "%s/%ju%s", name, (uintmax_t)number, more);
    struct spool_item item = { .entry = span_of_str(text),
                               .is_sealed = is_sealed,
                               .certificate = span_of_str(is_sealed ? "certificate" : ""),
                               .case_id = spool_world_case(name),
                               .has_number = name[0] != 0,
                               .number = number,
                               .id = span_of_str("line") };
    return spool_put(world->spool, &item, 1, ticket, err);
}

static inline uint64_t spool_world_put(struct spool_world *world, const char *name, uint64_t number,
                                       const char *more)
{
    struct err err;
    uint64_t ticket = 0;
    if (spool_world_try(world, name, number, more, false, &ticket, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    return ticket;
}

static inline void spool_world_flush(struct spool_world *world)
{
    struct err err;
    if (spool_flush(world->spool, SPOOL_WORLD_TIMEOUT_MS, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
}

static inline struct spool_status spool_world_status(struct spool_world *world)
{
    struct spool_status status;
    spool_status(world->spool, &status);
    return status;
}

/* Waits until it holds. */
#define SPOOL_WORLD_UNTIL(condition)                                                               \
    do {                                                                                           \
        for (unsigned tries = 0; !(condition); tries++) {                                          \
            assert_true(tries < SPOOL_WORLD_TIMEOUT_MS / 5);                                       \
            usleep(5000);                                                                          \
        }                                                                                          \
    } while (0)

#endif
