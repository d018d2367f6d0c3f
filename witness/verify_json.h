/* verify_json.h -- what the verification page asks of the witness that served it: client/verify_context.h. Any thread;
 * may wait for the disk. */
#ifndef WITNESS_VERIFY_JSON_H
#define WITNESS_VERIFY_JSON_H

#include "witness/parts.h"

/* Appended; requires VERIFY_CONTEXT_BYTES_MAX bytes of room. */
MUST_USE enum err_code verify_json_put(struct buf *out, struct parts *parts, int64_t now_s,
                                       struct err *err);

#endif
