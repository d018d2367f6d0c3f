/* monitor_page_world.h -- a monitor's parts as its page and its metrics see them: logs, witnesses, sinks and
 * vantages with whatever names a test gives them. Nothing is followed or sent. One thread.
 *
 * Stands in for courier.c, vantage.c and follower.c: a program that includes this links none of them.
 */
#ifndef SUPPORT_MONITOR_PAGE_WORLD_H
#define SUPPORT_MONITOR_PAGE_WORLD_H

#include "monitor/parts.h"
#include "tests/support/keys.h"

#include <assert.h>
#include <stdio.h>

enum {
    WORLD_NOW_S = 1790000000,
    WORLD_LOGS_MAX = WATCHED_LOGS_MAX
};

static struct courier_status world_couriers[ALERT_SINKS_MAX];
static struct vantage_status world_vantages[VANTAGES_MAX];
static uint64_t world_silent_ms;

/* What is asked for is the place of the status in the tables above. */
void courier_read_status(struct courier *courier, struct courier_status *out)
{
    *out = *(struct courier_status *)courier;
}

void vantage_read_status(struct vantage *vantage, struct vantage_status *out)
{
    *out = *(struct vantage_status *)vantage;
}

uint64_t follower_silent_ms(struct follower *follower)
{
    (void)follower;
    return world_silent_ms;
}

struct monitor_page_world {
    struct signer key;
    struct state_store *store;
    struct policy *policies[WORLD_LOGS_MAX];
    struct watched_log *logs[WORLD_LOGS_MAX];
    struct note_memory *memories[WORLD_LOGS_MAX];
    struct follower *followers[WORLD_LOGS_MAX];
    struct monitor_parts parts;
};

static inline void world_open(struct monitor_page_world *world, const char *name,
                              const char *const *sinks, size_t sink_count)
{
    struct err err;
    memset(world, 0, sizeof *world);
    world_silent_ms = 0;
    world->key = keys_signer(name, SIGNATURE_ED25519, "monitor");
    world->store = state_store_new(kv_memory_new(), NULL, NULL);
    struct monitor_parts *parts = &world->parts;
    struct alert_book_options options = { .store = world->store,
                                          .key = &world->key,
                                          .sink_count = sink_count };
    for (size_t i = 0; i < sink_count; i++) {
        options.sinks[i] = sinks[i];
        world_couriers[i] = (struct courier_status){ .last_success_s = WORLD_NOW_S - 5 };
        snprintf(world_couriers[i].sink, sizeof world_couriers[i].sink, "%s", sinks[i]);
        parts->couriers[i] = (struct courier *)&world_couriers[i];
    }
    parts->courier_count = sink_count;
    enum err_code rc = alert_book_open(&parts->alerts, &options, &err);
    assert(rc == E_OK);
    parts->key = &world->key;
    parts->vkey = world->key.vkey;
    parts->store = world->store;
    parts->logs = world->logs;
    parts->memories = world->memories;
    parts->followers = world->followers;
    parts->poll_interval_ms = 10000;
    parts->started_s = WORLD_NOW_S - 3600;
}

/* A log with that many witnesses, whose names begin with `witness`. Returns its position. */
static inline size_t world_add_log(struct monitor_page_world *world, const char *origin,
                                   const char *witness, size_t witness_count)
{
    struct err err;
    size_t i = world->parts.log_count++;
    struct signer log = keys_signer(origin, SIGNATURE_ED25519, origin);
    struct buf text = BUF_INIT(POLICY_BYTES_MAX), group = BUF_INIT(POLICY_BYTES_MAX);
    buf_put_str(&text, "log ");
    vkey_put(&text, &log.vkey);
    buf_put_str(&text, " http://x.example\n");
    for (size_t k = 0; k < witness_count; k++) {
        char name[64];
        snprintf(name, sizeof name, "w%zu.example", k);
        struct signer signer = keys_signer(name, SIGNATURE_COSIGNATURE, name);
        buf_putf(&text, "witness %s%zu ", witness, k);
        vkey_put(&text, &signer.vkey);
        buf_put_str(&text, "\n");
        buf_putf(&group, " %s%zu", witness, k);
        signer_clear(&signer);
    }
    if (witness_count > 0) {
        buf_putf(&text, "group g all%s\n", buf_c_str(&group));
    }
    buf_putf(&text, "quorum %s\n", witness_count > 0 ? "g" : "none");
    enum err_code rc = policy_parse(&world->policies[i], buf_span(&text), &err);
    assert(rc == E_OK);
    struct watched_log_options options = { .policy = world->policies[i],
                                           .log = policy_log_at(world->policies[i], 0),
                                           .store = world->store,
                                           .sink = alert_book_sink(world->parts.alerts) };
    world->logs[i] = watched_log_new(&options);
    rc = note_memory_open(&world->memories[i], world->logs[i], &err);
    assert(rc == E_OK);
    signer_clear(&log);
    buf_clear(&text);
    buf_clear(&group);
    return i;
}

static inline void world_add_vantage(struct monitor_page_world *world, const char *text,
                                     const char *error)
{
    size_t i = world->parts.vantage_count++;
    world_vantages[i] = (struct vantage_status){ .notes = 3, .contradictions = 1, .failures = 2 };
    snprintf(world_vantages[i].text, sizeof world_vantages[i].text, "%s", text);
    snprintf(world_vantages[i].last_error, sizeof world_vantages[i].last_error, "%s", error);
    world->parts.vantages[i] = (struct vantage *)&world_vantages[i];
}

static inline void world_raise(struct monitor_page_world *world, enum finding_code code,
                               const char *origin, const char *subject, const char *summary,
                               char id[ALERT_ID_CHARS + 1])
{
    struct err err;
    struct finding finding = { .code = code, .origin = origin };
    snprintf(finding.subject, sizeof finding.subject, "%s", subject);
    snprintf(finding.summary, sizeof finding.summary, "%s", summary);
    enum err_code rc = alert_book_raise(world->parts.alerts, &finding, WORLD_NOW_S - 600, id, &err);
    assert(rc == E_OK);
}

static inline void world_close(struct monitor_page_world *world)
{
    for (size_t i = 0; i < world->parts.log_count; i++) {
        note_memory_free(world->memories[i]);
        watched_log_free(world->logs[i]);
        policy_free(world->policies[i]);
    }
    alert_book_close(world->parts.alerts);
    state_store_free(world->store);
    signer_clear(&world->key);
}

#endif
