#include "monitor/record_view.h"

#include "base/alloc.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/queue.h>

/* -- keys -- */

enum {
    KEYS_MAX = 65536, /* as a log admits */
    BUCKETS = 4096,
};

struct key_node {
    SLIST_ENTRY(key_node) next;
    struct submitter_id id;
    struct ed25519_public key;
};
SLIST_HEAD(key_list, key_node);

struct record_keys {
    pthread_rwlock_t lock; /* of all below */
    struct key_list *buckets;
    size_t count;
};

struct record_keys *record_keys_new(void)
{
    struct record_keys *keys = NEW(struct record_keys);
    pthread_rwlock_init(&keys->lock, NULL);
    keys->buckets = mem_calloc(BUCKETS, sizeof *keys->buckets);
    return keys;
}

void record_keys_free(struct record_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        struct key_node *node;
        while ((node = SLIST_FIRST(&keys->buckets[i])) != NULL) {
            SLIST_REMOVE_HEAD(&keys->buckets[i], next);
            mem_free(node);
        }
    }
    mem_free(keys->buckets);
    pthread_rwlock_destroy(&keys->lock);
    mem_free(keys);
}

/* Ids are hashes: any bits of them will do. */
static struct key_list *bucket_of(struct record_keys *keys, const struct submitter_id *id)
{
    return &keys->buckets[(id->bytes[0] << 8 | id->bytes[1]) % BUCKETS];
}

static const struct key_node *find_locked(struct record_keys *keys, const struct submitter_id *id)
{
    const struct key_node *node;
    SLIST_FOREACH(node, bucket_of(keys, id), next)
    {
        if (submitter_id_is_equal(&node->id, id)) {
            return node;
        }
    }
    return NULL;
}

void record_keys_add(struct record_keys *keys, const struct ed25519_public *key)
{
    struct submitter_id id = submitter_id_make(key);
    pthread_rwlock_wrlock(&keys->lock);
    if (keys->count < KEYS_MAX && find_locked(keys, &id) == NULL) {
        struct key_node *node = NEW(struct key_node);
        node->id = id;
        node->key = *key;
        SLIST_INSERT_HEAD(bucket_of(keys, &id), node, next);
        keys->count++;
    }
    pthread_rwlock_unlock(&keys->lock);
}

bool record_keys_find(struct record_keys *keys, const struct submitter_id *id,
                      struct ed25519_public *out)
{
    pthread_rwlock_rdlock(&keys->lock);
    const struct key_node *node = find_locked(keys, id);
    if (node != NULL) {
        *out = node->key;
    }
    pthread_rwlock_unlock(&keys->lock);
    return node != NULL;
}

/* -- views -- */

static enum record_signature verify(const struct operation *operation, struct span entry,
                                    const struct record_view_options *options)
{
    struct ed25519_public key = { { 0 } };
    struct err err;
    if (operation->is_vouched) {
        return RECORD_SIGNATURE_NONE;
    }
    if (!options->verifies) {
        return RECORD_SIGNATURE_UNSEEN;
    }
    bool has_own_key = operation->is_sealed || operation->kind->number == KIND_SUBMITTER;
    if (!has_own_key && !record_keys_find(options->keys, &operation->submitter, &key)) {
        return RECORD_SIGNATURE_OPEN;
    }
    return operation_verify(operation, entry, options->origin, &key, &err) == E_OK
               ? RECORD_SIGNATURE_GOOD
               : RECORD_SIGNATURE_BAD;
}

static bool is_wanted_whole(const struct record_view *view)
{
    switch (view->kind->number) {
    case KIND_SEALED:
    case KIND_UNSEAL:
    case KIND_SUBMITTER:
    case KIND_SUBMITTER_END:
    case KIND_ANCHOR:
    case KIND_CASE_FILED:
    case KIND_CLOSED:
        return true;
    default:
        return view->signature == RECORD_SIGNATURE_OPEN;
    }
}

static void fill(struct record_view *out, const struct operation *operation, struct span entry,
                 const struct record_view_options *options)
{
    out->kind = operation->kind;
    out->minute = operation->minute;
    out->has_tag = operation->has_commitments;
    out->tag = operation->entry_tag;
    out->court = operation->court;
    out->submitter = operation->submitter;
    if (operation->kind->number == KIND_SUBMITTER) {
        record_keys_add(options->keys, &operation->registration.key);
    }
    out->signature = verify(operation, entry, options);
    if (is_wanted_whole(out)) {
        out->bytes = mem_alloc(entry.len);
        out->bytes_len = entry.len;
        memcpy(out->bytes, entry.data, entry.len);
    }
}

void record_view_read(struct record_view *out, const struct record_view_options *options,
                      const struct hash *leaf, struct span entry)
{
    struct operation operation;
    struct err err;
    *out = (struct record_view){ .leaf = *leaf };
    if (operation_decode(&operation, entry, &err) != E_OK) {
        snprintf(out->flaw, sizeof out->flaw, "%.*s", RECORD_FLAW_MAX - 1, err.msg);
        return;
    }
    fill(out, &operation, entry, options);
    operation_clear(&operation);
}

void record_view_verify(struct record_view *view, const struct record_view_options *options)
{
    struct operation operation;
    struct err err;
    if (view->kind == NULL || view->signature != RECORD_SIGNATURE_OPEN ||
        operation_decode(&operation, record_view_bytes(view), &err) != E_OK) {
        return;
    }
    view->signature = verify(&operation, record_view_bytes(view), options);
    operation_clear(&operation);
}

void record_view_clear(struct record_view *view)
{
    mem_free(view->bytes);
    view->bytes = NULL;
    view->bytes_len = 0;
}
