#include "cli/cosign_plan.h"

#include <assert.h>

/* The best chain from a size on. */
struct chain {
    uint64_t end; /* size of its last checkpoint */
    size_t files;
    size_t first; /* request; SIZE_MAX for the empty chain */
};

static bool is_better(const struct chain *a, const struct chain *b)
{
    return a->end != b->end ? a->end > b->end : a->files > b->files;
}

/* The best chain from `held` on, given those from the size of each request on. */
static struct chain chain_from(uint64_t held, const struct cosign_request *requests, size_t count,
                               const struct chain *chains)
{
    struct chain best = { .end = held, .files = 0, .first = SIZE_MAX };
    for (size_t i = 0; i < count; i++) {
        if (requests[i].is_settled || requests[i].size <= held ||
            cosign_file_proof_from(requests[i].file, held) == NULL) {
            continue;
        }
        struct chain chain = { chains[i].end, chains[i].files + 1, i };
        if (is_better(&chain, &best)) {
            best = chain;
        }
    }
    return best;
}

size_t cosign_plan_next(uint64_t held, const struct cosign_request *requests, size_t count)
{
    assert(count <= COSIGN_PLAN_FILES_MAX);
    struct chain chains[COSIGN_PLAN_FILES_MAX];
    for (size_t i = count; i-- > 0;) {
        assert(i + 1 == count || requests[i].size <= requests[i + 1].size);
        if (requests[i].size == held && !requests[i].is_settled) {
            return i;
        }
        /* Only larger ones follow, and their chains are known by now. */
        chains[i] = chain_from(requests[i].size, requests, count, chains);
    }
    return chain_from(held, requests, count, chains).first;
}
