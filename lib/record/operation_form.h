/* operation_form.h -- the form of a decoded record: exactly the fields that its kind has, each of its size and range.
 *
 * Spec: proto/courtroll/v1/operation.proto. Of operation*.c only. Pure. Any thread.
 */
#ifndef RECORD_OPERATION_FORM_H
#define RECORD_OPERATION_FORM_H

#include "courtroll/v1/operation.pb-c.h"
#include "record/operation.h"

enum {
    /* What the signature takes at the end of a record: two bytes of tag, one of length, and itself. */
    OPERATION_SIGNATURE_FIELD_BYTES = 3 + ED25519_SIGNATURE_BYTES,
};

/* E_MALFORMED naming the field, never its value. */
MUST_USE enum err_code operation_form_check(const Courtroll__V1__Operation *message,
                                            struct err *err);

/* The bytes that a record's signature is over; the caller clears the buffer. `unsigned_bytes` is the record without
 * its signature field. */
struct buf operation_signed_bytes(struct span unsigned_bytes, const char *origin);

#endif
