/* operations.h -- operation records for tests: one of every kind, whole and well-formed.
 *
 * Commitments are made up: nothing opens them. One thread.
 */
#ifndef SUPPORT_OPERATIONS_H
#define SUPPORT_OPERATIONS_H

#include "base/alloc.h"
#include "record/field.h"
#include "record/operation.h"
#include "tests/support/keys.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define OPERATIONS_ORIGIN "log.example/operations"
#define OPERATIONS_NOTE                                                                            \
    "log.example/operations\n7\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n\n— log.example/"  \
    "operations AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n"

static inline struct hash operations_hash(const char *text)
{
    return sha256(span_of_str(text));
}

static inline struct signing_key *operations_key(const char *secret)
{
    struct hash seed = operations_hash(secret);
    return signing_key_from_seed(seed.bytes);
}

/* What UNSEAL opens, each value in its one spelling: a freeze. */
static inline struct opening *operations_openings(void)
{
    struct opening *openings = mem_calloc(OPERATION_OPENINGS, sizeof *openings);
    static const uint8_t numbers[] = { FIELD_KIND, FIELD_MINUTE, FIELD_COURT, FIELD_SUBMITTER,
                                       FIELD_CERTIFICATE };
    static const size_t lens[] = { 8, 8, 7, SUBMITTER_ID_BYTES, 80 };
    for (size_t i = 0; i < OPERATION_OPENINGS; i++) {
        openings[i].number = numbers[i];
        openings[i].value_len = lens[i];
        memset(openings[i].salt, 0x50 + (int)i, FIELD_SALT_BYTES);
        memset(openings[i].value, i < 2 ? 0 : 0x61, lens[i]);
        memset(openings[i].hashes, 0x70 + (int)i, sizeof openings[i].hashes);
    }
    openings[0].value[7] = KIND_FREEZE;
    openings[1].value[4] = 1;
    memcpy(openings[2].value, "测0101", 7);
    return openings;
}

static inline struct registration operations_registration(const struct ed25519_public *key)
{
    struct registration registration = { .key = *key, .name = "court-0101.example" };
    registration.court_count = 2;
    memset(registration.courts[0].bytes, 1, COURT_TAG_BYTES);
    memset(registration.courts[1].bytes, 2, COURT_TAG_BYTES);
    registration.roles = 1u << ROLE_ENFORCEMENT | 1u << ROLE_SUPERVISION;
    registration.from = 29000000;
    registration.to = 30000000;
    return registration;
}

/* A record of kind `number` that `key` will sign. To be cleared. */
static inline struct operation operations_make(uint32_t number, const struct signing_key *key)
{
    struct ed25519_public public = signing_key_public(key);
    struct operation operation = { .kind = kind_find(number) };
    assert(operation.kind != NULL);
    bool is_of_log = operation.kind->class == KIND_OF_LOG;
    operation.has_commitments = !is_of_log;
    if (!is_of_log) {
        operation.entry_tag = operations_hash("tag");
        operation.document = operations_hash("document");
        operation.fields_root = operations_hash("fields");
    }
    if (number == KIND_SEALED) {
        operation.is_sealed = true;
        operation.one_time_key = public;
        return operation;
    }
    operation.minute = 29542171;
    if (number == KIND_ANCHOR) {
        operation.is_vouched = true;
        operation.note = span_of_str(OPERATIONS_NOTE);
        return operation;
    }
    operation.submitter = submitter_id_make(&public);
    operation.reference_count = 1;
    operation.references[0] =
        (struct reference){ operations_hash("origin"), operations_hash("leaf") };
    if (!is_of_log) {
        operation.court = court_tag_make(span_of_str("测0101"));
    }
    if (number == KIND_SUBMITTER) {
        operation.registration = operations_registration(&public);
    } else if (number == KIND_CASE_FILED) {
        operation.case_commitment = operations_hash("case");
    } else if (number == KIND_CLOSED) {
        memset(operation.closed_counts, 9, sizeof operation.closed_counts);
    } else if (number == KIND_UNSEAL) {
        operation.openings = operations_openings();
    }
    return operation;
}

/* Its bytes, signed unless it is vouched. */
static inline struct buf operations_bytes(struct operation *operation,
                                          const struct signing_key *key)
{
    struct buf bytes = BUF_INIT(OPERATION_BYTES_MAX);
    struct err err;
    enum err_code rc = operation->is_vouched
                           ? operation_put(&bytes, operation, &err)
                           : operation_put_signed(&bytes, operation, OPERATIONS_ORIGIN, key, &err);
    if (rc != E_OK) {
        fprintf(stderr, "%s: %s\n", operation->kind->name, err.msg);
        abort();
    }
    return bytes;
}

static inline struct buf operations_signed(uint32_t number, const struct signing_key *key)
{
    struct operation operation = operations_make(number, key);
    struct buf bytes = operations_bytes(&operation, key);
    operation_clear(&operation);
    return bytes;
}

#endif
