#include "cli/receipt_wait.h"

#include "cli/output.h"

#include <stdlib.h>
#include <time.h>

enum {
    CALL_TIMEOUT_MS = 10 * 1000,
    FIRST_PAUSE_MS = 50, /* doubled each time, up to */
    PAUSE_MS_MAX = 1000,
};

static const uint64_t NS_PER_MS = 1000000;

void receipt_wait_put_missing(struct buf *out, const struct policy *policy,
                              const struct policy_verdict *verdict)
{
    const char *lead = "cosigned by ";
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        if (verdict->cosigned.has[i]) {
            char *name = output_clean(span_of_str(policy_witness_at(policy, i)->name));
            buf_putf(out, "%s%s", lead, name);
            free(name);
            lead = ", ";
        }
    }
    struct buf rule = BUF_INIT(4 * POLICY_BYTES_MAX);
    policy_put_rule(&rule, policy);
    char *words = output_clean(buf_span(&rule));
    buf_putf(out, "%s, the policy asks for %s", *lead == ',' ? " only" : "cosigned by no witness",
             words);
    free(words);
    buf_clear(&rule);
}

static void explain_missing(struct err *err, const struct policy *policy,
                            const struct policy_verdict *verdict)
{
    struct buf words = BUF_INIT(8 * POLICY_BYTES_MAX);
    receipt_wait_put_missing(&words, policy, verdict);
    err_set(err, E_TIMEOUT, "%s", buf_c_str(&words));
    buf_clear(&words);
}

/* Not published yet, or out of reach for a moment: the entry is durable, and may be asked for again. */
static bool may_come(enum err_code code)
{
    return code == E_NOT_FOUND || code == E_UNAVAILABLE || code == E_BUSY || code == E_QUOTA ||
           code == E_TIMEOUT || code == E_IO;
}

/* E_TIMEOUT: not yet. */
static enum err_code ask(struct rpc_log *log, struct receipt_check *check, uint64_t index,
                         const struct hash *leaf, struct buf *receipt, struct err *err)
{
    const struct rpc_log_entry entry = { .index = index };
    enum err_code rc = rpc_log_get_receipt(log, entry, CALL_TIMEOUT_MS, receipt, err);
    if (rc != E_OK) {
        err->code = may_come(rc) ? E_TIMEOUT : rc;
        return err->code;
    }
    const struct policy_verdict *verdict = NULL;
    rc = receipt_check(check, buf_span(receipt), index, leaf, &verdict, err);
    if (rc == E_OK && !verdict->is_met) {
        explain_missing(err, check->policy, verdict);
        rc = E_TIMEOUT;
    }
    return rc;
}

static void pause_ns(uint64_t ns)
{
    struct timespec time = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
    nanosleep(&time, NULL);
}

enum err_code receipt_wait(struct rpc_log *log, struct receipt_check *check, uint64_t index,
                           const struct hash *leaf, uint64_t until_ns, struct buf *receipt,
                           struct err *err)
{
    uint64_t pause = FIRST_PAUSE_MS * NS_PER_MS;
    size_t before = receipt->len;
    for (;;) {
        enum err_code rc = ask(log, check, index, leaf, receipt, err);
        if (rc != E_OK) {
            buf_truncate(receipt, before);
        }
        uint64_t now = output_now_ns();
        if (rc != E_TIMEOUT || now >= until_ns) {
            return rc;
        }
        pause_ns(pause < until_ns - now ? pause : until_ns - now);
        pause = 2 * pause < PAUSE_MS_MAX * NS_PER_MS ? 2 * pause : PAUSE_MS_MAX * NS_PER_MS;
    }
}
