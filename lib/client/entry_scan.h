/* entry_scan.h -- every entry of a signed tree, in order: for who looks for entries by what is in them.
 *
 * Spec: C2SP tlog-tiles; RFC 6962 section 2.1. The entries are hashed as they are handed on, and only at the end it
 * turns out whether they are those of the signed root: what a caller makes of them counts after E_OK, and not before.
 * Some threads read ahead; memory is the same for every size of log. Blocks.
 */
#ifndef CLIENT_ENTRY_SCAN_H
#define CLIENT_ENTRY_SCAN_H

#include "base/err.h"
#include "client/log_address.h"
#include "tlog/merkle.h"

/* Everything is borrowed for the call; callbacks come on the calling thread. */
struct entry_scan_options {
    const struct log_address *log;
    uint64_t size; /* of a verified checkpoint, as is the root */
    struct hash root;
    void *ctx;
    /* Each entry once, from index 0; good for the call. An error of it ends the scan. */
    enum err_code (*on_entry)(void *ctx, uint64_t index, struct span entry, struct err *err);
    void (*on_progress)(void *ctx, uint64_t entries); /* may be NULL */
};

/* E_CORRUPT: the entries are not those of the root. Errors of the reader name the file. */
MUST_USE enum err_code entry_scan_run(const struct entry_scan_options *options, struct err *err);

#endif
