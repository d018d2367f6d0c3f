/* verify_json.h -- what the verification page asks of the log that served it: client/verify_context.h. Any thread. */
#ifndef LOGD_VERIFY_JSON_H
#define LOGD_VERIFY_JSON_H

#include "logd/parts.h"

/* Appended; requires VERIFY_CONTEXT_BYTES_MAX bytes of room. */
MUST_USE enum err_code verify_json_put(struct buf *out, struct parts *parts, int64_t now_s,
                                       struct err *err);

#endif
