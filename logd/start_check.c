#include "logd/start_check.h"

#include "logd/backoff.h"

#include <assert.h>

void start_check_init(struct start_check *check, const struct policy *policy, uint64_t seed)
{
    *check = (struct start_check){ .policy = policy, .random = seed };
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        check->witnesses[i].is_askable = policy_witness_at(policy, i)->url != NULL;
    }
}

static bool is_wanted(const struct start_check *check, size_t i)
{
    const struct start_check_witness *witness = &check->witnesses[i];
    return witness->is_askable && !witness->is_busy && !check->consistent.has[i];
}

bool start_check_next(struct start_check *check, uint64_t now_ms, size_t *witness)
{
    for (size_t i = 0; i < policy_witness_count(check->policy); i++) {
        if (is_wanted(check, i) && now_ms >= check->witnesses[i].retry_ms) {
            check->witnesses[i].is_busy = true;
            *witness = i;
            return true;
        }
    }
    return false;
}

void start_check_on_answer(struct start_check *check, size_t witness, bool is_consistent,
                           uint64_t now_ms)
{
    assert(witness < policy_witness_count(check->policy));
    struct start_check_witness *asked = &check->witnesses[witness];
    assert(asked->is_busy);
    asked->is_busy = false;
    if (is_consistent) {
        check->consistent.has[witness] = true;
        return;
    }
    asked->retry_ms = now_ms + backoff_ms(&check->random, asked->failures++, START_CHECK_BACKOFF_MS,
                                          START_CHECK_BACKOFF_MAX_MS);
}

bool start_check_is_passed(const struct start_check *check)
{
    return policy_is_blocking(check->policy, &check->consistent);
}

bool start_check_is_possible(const struct start_check *check)
{
    struct policy_set askable = { .has = { false } };
    for (size_t i = 0; i < policy_witness_count(check->policy); i++) {
        askable.has[i] = check->witnesses[i].is_askable;
    }
    return policy_is_blocking(check->policy, &askable);
}

uint64_t start_check_wake_at(const struct start_check *check)
{
    uint64_t wake_ms = 0;
    for (size_t i = 0; i < policy_witness_count(check->policy); i++) {
        uint64_t retry_ms = check->witnesses[i].retry_ms;
        if (is_wanted(check, i) && (wake_ms == 0 || retry_ms < wake_ms)) {
            wake_ms = retry_ms;
        }
    }
    return wake_ms;
}

void start_check_put_missing(struct buf *out, const struct start_check *check)
{
    const char *separator = "";
    for (size_t i = 0; i < policy_witness_count(check->policy); i++) {
        if (!check->consistent.has[i]) {
            buf_putf(out, "%s%s", separator, policy_witness_at(check->policy, i)->name);
            separator = ", ";
        }
    }
}
