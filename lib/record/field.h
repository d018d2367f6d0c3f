/* field.h -- the 32 fields of a record: names, types, and one spelling for every value.
 *
 * Spec: docs/record.md, "Fields". A field that a kind does not have is absent, and committed as absent. Values are
 * bytes: integers are u64 big-endian, money is fen, dates are days since 1970, texts are NFC UTF-8, ids upper
 * case. What is not in its one spelling is refused by everyone who reads it.
 * Pure. Any thread.
 */
#ifndef RECORD_FIELD_H
#define RECORD_FIELD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "record/operation.h"

enum field_number {
    FIELD_NUMBER, /* of the operation, in its case, by its submitter: from 0 */
    FIELD_CASE_NUMBER,
    FIELD_OFFICER, /* tag */
    FIELD_KIND,    /* of a sealed record, as the next five */
    FIELD_MINUTE,
    FIELD_COURT, /* court code; of every record of a case */
    FIELD_SUBMITTER,
    FIELD_CERTIFICATE,
    FIELD_REFERENCES,
    FIELD_APPLICANT, /* party: citizen id or unified social credit code */
    FIELD_DEBTOR,
    FIELD_PARTY,       /* a third one, or the one it is about */
    FIELD_INSTITUTION, /* unified social credit code */
    FIELD_AMOUNT,
    FIELD_AMOUNT_DUE,
    FIELD_ASSET,    /* tag */
    FIELD_PAYEE,    /* tag */
    FIELD_START,    /* date */
    FIELD_END,      /* date */
    FIELD_DUE,      /* date */
    FIELD_METHOD,   /* code of the kind: which way */
    FIELD_RESULT,   /* code of the kind: what came of it */
    FIELD_APPROVER, /* tag */
    FIELD_ROLE,     /* code: of the approver */
    FIELD_BASIS,    /* text: number of the paper it rests on */
    FIELD_COUNT,
    FIELD_ASSET_KIND, /* code */
    FIELD_ACCOUNT,    /* text */
    FIELD_PLACE,      /* text */
    FIELD_REASON,     /* text */
    FIELD_DIGEST,     /* 32 bytes: of a manifest, of statistics, of another party's receipt */
    FIELD_RESERVED,   /* always absent */
    FIELDS = 32,
};

enum field_type {
    FIELD_TYPE_COUNT,       /* u64 */
    FIELD_TYPE_MONEY,       /* u64 fen, at most 2^53 */
    FIELD_TYPE_DATE,        /* u64 days since 1970 */
    FIELD_TYPE_MINUTE,      /* u64 minutes since 1970 */
    FIELD_TYPE_CODE,        /* u64, at most 65535 */
    FIELD_TYPE_KIND,        /* u64: a number of kind.h that may be sealed, or DECOY */
    FIELD_TYPE_TEXT,        /* NFC, 1..1024 bytes, no control characters, no blank at either end */
    FIELD_TYPE_CASE_NUMBER, /* identifier.h, canonical */
    FIELD_TYPE_COURT,       /* court code */
    FIELD_TYPE_PARTY,       /* citizen id or credit code */
    FIELD_TYPE_CREDIT_CODE,
    FIELD_TYPE_TAG,         /* 16 bytes */
    FIELD_TYPE_SUBMITTER,   /* 16 bytes */
    FIELD_TYPE_CERTIFICATE, /* 80 bytes */
    FIELD_TYPE_REFERENCES,  /* 0..16 of 64 bytes */
    FIELD_TYPE_DIGEST,      /* 32 bytes */
    FIELD_TYPE_NONE,        /* must be absent */
};

enum {
    FIELD_VALUE_BYTES_MAX = 1024
}; /* 16 references are the longest */

struct field_definition {
    const char *name; /* "case-number": in JSON and on the screen */
    enum field_type type;
};
const struct field_definition *field_definition(unsigned number); /* requires number < FIELDS */
bool field_parse_name(unsigned *number, struct span name);

/* E_OK when `value` is the one spelling of a value of this field; else E_MALFORMED with the reason and position. */
MUST_USE enum err_code field_check(unsigned number, struct span value, struct err *err);

/* From what people and systems write to the one spelling: "1234" (fen), "2026-03-04", "2026-03-04T09:31Z", hex for
 * tags and digests, case numbers with any brackets and digits, ids in any case; texts are normalised to NFC.
 * E_MALFORMED with the exact position ("character 7: ..."); nothing is appended then. */
MUST_USE enum err_code field_put_value(struct buf *out, unsigned number, struct span text,
                                       struct err *err);

/* The other way: what field_put_value reads to the same value. For KIND its name. Requires field_check. */
void field_put_text(struct buf *out, unsigned number, struct span value);

#endif
