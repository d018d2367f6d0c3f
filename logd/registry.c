#include "logd/registry.h"

#include "base/alloc.h"
#include "base/log.h"
#include "tlog/lines.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>

enum {
    BUCKETS = 4096 /* ids are hashes of keys, so that buckets fill evenly */
};

struct node {
    LIST_ENTRY(node) next;
    struct submitter_id id;
    struct registry_entry entry; /* has_ended is worked out when it is asked for */
    bool is_end_known;
    uint64_t registered_index, end_index;
};
LIST_HEAD(nodes, node);

struct registry {
    pthread_mutex_t mutex; /* guards all below */
    size_t count;
    struct nodes buckets[BUCKETS];
};

struct registry *registry_new(void)
{
    struct registry *registry = NEW(struct registry);
    pthread_mutex_init(&registry->mutex, NULL);
    return registry;
}

static void node_free(struct registry *registry, struct node *node)
{
    LIST_REMOVE(node, next);
    mem_free(node);
    registry->count--;
}

void registry_free(struct registry *registry)
{
    if (registry == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        while (!LIST_EMPTY(&registry->buckets[i])) {
            node_free(registry, LIST_FIRST(&registry->buckets[i]));
        }
    }
    pthread_mutex_destroy(&registry->mutex);
    mem_free(registry);
}

static struct nodes *bucket_of(struct registry *registry, const struct submitter_id *id)
{
    return &registry->buckets[(id->bytes[0] << 8 | id->bytes[1]) % BUCKETS];
}

/* These two require the mutex. */
static struct node *node_find(struct registry *registry, const struct submitter_id *id)
{
    struct node *node;
    LIST_FOREACH(node, bucket_of(registry, id), next)
    {
        if (submitter_id_is_equal(&node->id, id)) {
            return node;
        }
    }
    return NULL;
}

/* Makes it if it is not there; NULL when there are too many. */
static struct node *node_get(struct registry *registry, const struct submitter_id *id)
{
    struct node *node = node_find(registry, id);
    if (node == NULL && registry->count < 2 * REGISTRY_SUBMITTERS_MAX) {
        node = NEW(struct node);
        node->id = *id;
        LIST_INSERT_HEAD(bucket_of(registry, id), node, next);
        registry->count++;
    }
    return node;
}

/* -- the file -- */

struct enabled {
    struct submitter_id id;
    struct vkey vkey;
};

struct reader {
    struct enabled *items; /* owned */
    size_t count, room;
};

static enum err_code on_line(void *ctx, struct span keyword, struct span line, struct err *err)
{
    struct reader *reader = ctx;
    struct enabled enabled;
    struct span url;
    if (!span_is_str(keyword, "submitter")) {
        return err_set(err, E_MALFORMED, "\"%s\" is not submitter", lines_quote(keyword).text);
    }
    if (lines_expect_key(&line, VKEY_NOTES, &enabled.vkey, &url, err) != E_OK) {
        return err->code;
    }
    if (url.len > 0) {
        return err_set(err, E_MALFORMED, "there is more behind the vkey");
    }
    if (registration_name_check(span_of_str(enabled.vkey.name), err) != E_OK) {
        return err_wrap(err, "the key's name");
    }
    if (reader->count == REGISTRY_SUBMITTERS_MAX) {
        return err_set(err, E_MALFORMED, "over %d submitters", REGISTRY_SUBMITTERS_MAX);
    }
    if (reader->count == reader->room) {
        reader->room = reader->room == 0 ? 64 : 2 * reader->room;
        reader->items = mem_realloc(reader->items, reader->room * sizeof reader->items[0]);
    }
    enabled.id = submitter_id_make(&enabled.vkey.key);
    reader->items[reader->count++] = enabled;
    return E_OK;
}

static int compare_enabled(const void *a, const void *b)
{
    const struct enabled *left = a, *right = b;
    return memcmp(left->id.bytes, right->id.bytes, SUBMITTER_ID_BYTES);
}

/* One key has one name. */
static enum err_code check_repeated(struct reader *reader, struct err *err)
{
    qsort(reader->items, reader->count, sizeof reader->items[0], compare_enabled);
    for (size_t i = 1; i < reader->count; i++) {
        if (compare_enabled(&reader->items[i - 1], &reader->items[i]) == 0) {
            return err_set(err, E_MALFORMED, "the public key of %s is listed twice",
                           reader->items[i].vkey.name);
        }
    }
    return E_OK;
}

/* Requires the mutex. What nothing is known of any more goes. */
static void disable_all(struct registry *registry)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct node *node = LIST_FIRST(&registry->buckets[i]);
        while (node != NULL) {
            struct node *next = LIST_NEXT(node, next);
            node->entry.is_enabled = false;
            node->entry.enabled_name[0] = 0;
            if (!node->entry.is_registered && !node->is_end_known) {
                node_free(registry, node);
            }
            node = next;
        }
    }
}

/* Requires the mutex. */
static void enable(struct registry *registry, const struct enabled *enabled)
{
    struct node *node = node_get(registry, &enabled->id);
    if (node == NULL) {
        log_event(LOG_LEVEL_ERROR, "registry_full", "max=%d", 2 * REGISTRY_SUBMITTERS_MAX);
        return;
    }
    struct registry_entry *entry = &node->entry;
    size_t length = strlen(enabled->vkey.name);
    entry->is_enabled = true;
    memcpy(entry->enabled_name, enabled->vkey.name, length + 1);
    if (!entry->is_registered) {
        entry->registration.key = enabled->vkey.key;
        memcpy(entry->registration.name, enabled->vkey.name, length + 1);
    }
}

enum err_code registry_enable(struct registry *registry, struct span file, struct err *err)
{
    struct reader reader = { 0 };
    enum err_code rc = lines_parse(file, on_line, &reader, err);
    if (rc == E_OK && reader.count > 0) {
        rc = check_repeated(&reader, err);
    }
    if (rc == E_OK) {
        pthread_mutex_lock(&registry->mutex);
        disable_all(registry);
        for (size_t i = 0; i < reader.count; i++) {
            enable(registry, &reader.items[i]);
        }
        pthread_mutex_unlock(&registry->mutex);
    }
    mem_free(reader.items);
    return rc;
}

/* -- the log -- */

/* Requires the mutex. */
static void take_registration(struct node *node, uint64_t index,
                              const struct registration *registration)
{
    if (!node->entry.is_registered || index >= node->registered_index) {
        node->entry.is_registered = true;
        node->entry.registration = *registration;
        node->registered_index = index;
    }
}

static void take_end(struct node *node, uint64_t index, uint64_t minute)
{
    if (!node->is_end_known || index >= node->end_index) {
        node->is_end_known = true;
        node->end_index = index;
        node->entry.ended_minute = minute;
    }
}

void registry_on_logged(struct registry *registry, uint64_t index,
                        const struct operation *operation)
{
    bool is_start = operation->kind->number == KIND_SUBMITTER;
    if (!is_start && operation->kind->number != KIND_SUBMITTER_END) {
        return;
    }
    struct submitter_id id =
        is_start ? submitter_id_make(&operation->registration.key) : operation->submitter;
    pthread_mutex_lock(&registry->mutex);
    struct node *node = node_get(registry, &id);
    if (node != NULL && is_start) {
        take_registration(node, index, &operation->registration);
    } else if (node != NULL) {
        take_end(node, index, operation->minute);
    }
    pthread_mutex_unlock(&registry->mutex);
    if (node == NULL) {
        log_event(LOG_LEVEL_ERROR, "registry_full", "index=%llu max=%d", (unsigned long long)index,
                  2 * REGISTRY_SUBMITTERS_MAX);
    }
}

/* -- asking -- */

static bool has_ended(const struct node *node)
{
    return node->entry.is_registered && node->is_end_known &&
           node->end_index > node->registered_index;
}

bool registry_entry_is_usable(const struct registry_entry *entry)
{
    return entry->is_registered && !entry->has_ended && entry->is_enabled &&
           strcmp(entry->registration.name, entry->enabled_name) == 0;
}

bool registry_find(struct registry *registry, const struct submitter_id *id,
                   struct registry_entry *out)
{
    pthread_mutex_lock(&registry->mutex);
    const struct node *node = node_find(registry, id);
    bool is_known = node != NULL && (node->entry.is_registered || node->entry.is_enabled);
    if (is_known) {
        *out = node->entry;
        out->has_ended = has_ended(node);
    }
    pthread_mutex_unlock(&registry->mutex);
    return is_known;
}

struct registry_counts registry_counts(struct registry *registry)
{
    struct registry_counts counts = { 0 };
    pthread_mutex_lock(&registry->mutex);
    for (size_t i = 0; i < BUCKETS; i++) {
        const struct node *node;
        LIST_FOREACH(node, &registry->buckets[i], next)
        {
            struct registry_entry entry = node->entry;
            entry.has_ended = has_ended(node);
            counts.registered += entry.is_registered && !entry.has_ended;
            counts.enabled += entry.is_enabled;
            counts.usable += registry_entry_is_usable(&entry);
        }
    }
    pthread_mutex_unlock(&registry->mutex);
    return counts;
}
