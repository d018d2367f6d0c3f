/* upgraded_receipt.h -- a receipt of a log that has ended, carried to a checkpoint of its successor.
 *
 * The successor's entry 0 is the final checkpoint note of the log before it, byte for byte. So a C2SP tlog-proof of that
 * entry, whose extra data is the old receipt with just that note, shows the old entry under the keys of today. The old
 * note's signatures are not looked at: whoever has retired keys can make any, but not put them into entry 0.
 * docs/formats.md. Pure. Any thread.
 */
#ifndef TLOG_UPGRADED_RECEIPT_H
#define TLOG_UPGRADED_RECEIPT_H

#include "tlog/receipt.h"

enum {
    UPGRADED_RECEIPT_LOGS_MAX = 16 /* the newest and those before it */
};

struct upgraded_receipt {
    size_t count;                                       /* 1: not upgraded */
    struct receipt receipts[UPGRADED_RECEIPT_LOGS_MAX]; /* owned; the newest log's first */
};

/* Any receipt. E_MALFORMED. Free with upgraded_receipt_clear. */
MUST_USE enum err_code upgraded_receipt_parse(struct upgraded_receipt *out, struct span bytes,
                                              struct err *err);
void upgraded_receipt_clear(struct upgraded_receipt *receipt);

/* Is the entry in the oldest log, and that log's final checkpoint at the beginning of the next, up to a checkpoint that
 * the policy accepts? As receipt_verify; *ended is the oldest log's final checkpoint. Requires count > 1. */
MUST_USE enum err_code upgraded_receipt_verify(const struct upgraded_receipt *receipt,
                                               const struct policy *policy, const struct hash *leaf,
                                               struct policy_verdict *out, struct checkpoint *ended,
                                               struct err *err);

/* Appends the extra data: the receipt with `final`, the successor's entry 0, in place of its note. E_MALFORMED;
 * E_BAD_PROOF when they are not of one tree; E_TOO_LARGE. */
MUST_USE enum err_code upgraded_receipt_put_extra(struct buf *out, struct span receipt,
                                                  struct span final, struct err *err);

#endif
