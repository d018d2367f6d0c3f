/* kind.h -- the kinds of operations, and what a record of each has.
 *
 * Spec: docs/record.md, "Kinds"; proto/courtroll/v1/operation.proto has the numbers. One table: form, never
 * law. Which role may log a kind, which fields it may and must have, which of them every disclosure opens.
 * The fields that take the place of a sealed record's header (KIND_SEALED_FIELDS) are in no kind's masks: a
 * sealed record has all of them in addition to its kind's, and a record in the clear none.
 * Pure. Any thread.
 */
#ifndef RECORD_KIND_H
#define RECORD_KIND_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum kind_class {
    KIND_OF_CASE,   /* has an entry tag, a number, fields: one of a case */
    KIND_OF_SEALED, /* SEALED itself */
    KIND_OF_UNSEAL, /* UNSEAL: of a case, with openings */
    KIND_OF_LOG,    /* SUBMITTER, SUBMITTER_END, ANCHOR: no tag, no commitments */
    KIND_INSIDE,    /* DECOY: only as the kind field of a sealed record */
};

struct kind {
    uint32_t number;  /* as in operation.proto */
    const char *name; /* "CASE_FILED" */
    enum kind_class class;
    bool is_control; /* a control measure or query: may be sealed */
    uint32_t roles;  /* bit 1 << role: of these a submitter must have one; 0: not by role */
    /* Bit i is field i (field.h). required and material are in allowed; required fields are material. */
    uint32_t allowed, required, material;
};

/* NULL for an unknown number. */
const struct kind *kind_find(uint32_t number);
const struct kind *kind_by_name(struct span name);
/* Every kind, in the order of numbers. */
const struct kind *kind_at(size_t i); /* NULL past the end */

enum role {
    ROLE_ENFORCEMENT = 1,
    ROLE_CASE_MANAGEMENT,
    ROLE_SERVICE,
    ROLE_EVIDENCE,
    ROLE_INSTITUTION,
    ROLE_MEDIATION,
    ROLE_SUPERVISION,
    ROLE_LAST = ROLE_SUPERVISION
};
const char *role_name(unsigned role); /* "enforcement"; NULL for none */
bool role_parse(unsigned *role, struct span name);

/* kind, minute, submitter, certificate, references: fields 3, 4, 6, 7, 8 of field.h. */
#define KIND_SEALED_FIELDS UINT32_C(0x1d8)

/* Kinds that are met by number outside the table. */
enum {
    KIND_SEALED = 1,
    KIND_UNSEAL = 2,
    KIND_SUBMITTER = 3,
    KIND_SUBMITTER_END = 4,
    KIND_ANCHOR = 5,
    KIND_DECOY = 6,
    KIND_CASE_FILED = 16,
    KIND_FREEZE = 32,
    KIND_CLOSED = 104,
};

#endif
