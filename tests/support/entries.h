/* entries.h -- submissions for tests of the log's state machines.
 *
 * One thread.
 */
#ifndef SUPPORT_ENTRIES_H
#define SUPPORT_ENTRIES_H

#include "base/alloc.h"
#include "base/limits.h"
#include "logd/submission.h"
#include "tlog/bundle.h"

#include <assert.h>
#include <stdio.h>

/* One call with one entry for each word of `words`. */
static inline struct submission *entries_submission(const char *words)
{
    struct submission *submission = submission_new(ENTRIES_PER_CALL_MAX, strlen(words));
    while (*words != '\0') {
        size_t len = strcspn(words, " ");
        submission_add(submission, span_of(words, len));
        words += len + (words[len] == ' ' ? 1 : 0);
    }
    return submission;
}

/* One call with the entries "entry <first>", "entry <first + 1>" and so on. */
static inline struct submission *entries_numbered(size_t first, size_t count)
{
    struct submission *submission = submission_new(count, 32 * count);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "entry %zu", first + i);
        submission_add(submission, span_of(text, (size_t)len));
    }
    return submission;
}

/* The numbers of splitmix64, the same for a seed in every run. */
static inline uint64_t entries_next_number(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
