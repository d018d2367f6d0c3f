#include "logd/witness_status.h"

uint64_t witness_status_failures(const struct witness_status *status)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < WITNESS_FAILURE_KINDS; i++) {
        sum += status->failures[i];
    }
    return sum;
}

const char *witness_status_problem(const struct witness_status *status)
{
    if (status->is_ok) {
        return "";
    }
    if (status->problem[0] != 0) {
        return status->problem;
    }
    if (!status->is_askable) {
        return status->timestamp == 0 ? "by file, has brought nothing yet" : "by file";
    }
    if (status->is_ahead) {
        return "holds a newer checkpoint";
    }
    return status->has_answered ? "has not cosigned yet" : "has not answered yet";
}

int64_t witness_status_age_s(const struct witness_status *status, int64_t now_unix_s)
{
    if (status->timestamp == 0) {
        return -1;
    }
    int64_t age = now_unix_s - (int64_t)status->timestamp;
    return age < 0 ? 0 : age;
}

void witness_status_put(struct buf *out, const struct witness_status *status, int64_t now_unix_s)
{
    buf_put_str(out, status->is_ok ? "ok" : witness_status_problem(status));
    if (status->timestamp != 0) {
        buf_putf(out, "%s cosigned size %llu, %lld s ago", status->is_askable ? ";" : ", last",
                 (unsigned long long)status->size,
                 (long long)witness_status_age_s(status, now_unix_s));
    }
}
