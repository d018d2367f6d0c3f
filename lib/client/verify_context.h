/* verify_context.h -- what the verification page asks of the daemon that served it: GET /verify.json.
 *
 * Compact JSON with its members in this order, of ASCII only:
 *   {"page_sha256","server","name","version","time",
 *    "logs":[{"origin","log_id","policy_sha256","policy","policy_from","tiles","size","alerts","alerts_checked"}]}
 * docs/verify-page.md says what each is. Nothing in it is believed: the page says whose word it is.
 * Pure. Any thread.
 */
#ifndef CLIENT_VERIFY_CONTEXT_H
#define CLIENT_VERIFY_CONTEXT_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/span.h"

enum {
    VERIFY_CONTEXT_BYTES_MAX = 8 * 1024 * 1024,
    VERIFY_CONTEXT_LOGS_MAX = 1000,
    VERIFY_CONTEXT_ALERTS_MAX = 32, /* told of a log, the newest */
    VERIFY_CONTEXT_POLICIES_MAX =
        1024 * 1024 /* bytes of policies; a further one is told by its hash alone */
};

/* The words of the server's role, and of whose word a policy is. */
#define VERIFY_CONTEXT_LOG     "log"
#define VERIFY_CONTEXT_WITNESS "witness"
#define VERIFY_CONTEXT_MONITOR "monitor"

struct verify_context_alert {
    const char *id, *code, *severity, *state, *summary;
};

/* All is borrowed. */
struct verify_context_log {
    const char *origin;
    const struct hash *policy_hash; /* NULL: it has no policy to offer */
    struct span policy;
    bool
        has_tiles; /* its checkpoint and tiles are served here: at "/" by the log, below /logs/ by a monitor */
    bool has_size;
    uint64_t size;
    bool knows_alerts; /* false: "alerts" is null */
    bool is_checked;   /* a monitor whose look at the log is recent: "no alert" means something */
    size_t alert_count;
    const struct verify_context_alert *alerts; /* VERIFY_CONTEXT_ALERTS_MAX at most are told */
};

struct verify_context {
    const char *server; /* VERIFY_CONTEXT_LOG, ... */
    const char *name;   /* of the server's key */
    const char *page_hash;
    int64_t now_s;
    size_t log_count; /* VERIFY_CONTEXT_LOGS_MAX at most are told */
    const struct verify_context_log *logs;
};

/* Appended. E_TOO_LARGE over the maximum of `out`, which may have taken some of it. */
MUST_USE enum err_code verify_context_put(struct buf *out, const struct verify_context *context,
                                          struct err *err);

/* base64url of the first 16 bytes of SHA-256(origin), 22 characters: how codes and deposit numbers name a log. */
void verify_context_put_log_id(struct buf *out, const char *origin);

#endif
