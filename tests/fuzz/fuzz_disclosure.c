/* fuzz_disclosure.c -- disclosures, hostile by nature: one that is read is written to the same bytes, and one that
 * verifies hides nothing material and commits to what it shows. */
#include "record/disclosure.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_verdict(const struct disclosure *disclosure)
{
    struct disclosure_verdict verdict;
    struct err err;
    if (disclosure_verify(&verdict, disclosure, &err) != E_OK) {
        assert(err.code == E_MALFORMED || err.code == E_TOO_LARGE || err.code == E_BAD_PROOF ||
               err.code == E_BAD_SIGNATURE);
        return;
    }
    struct hash root = commitment_root(disclosure->digests);
    assert(hash_is_equal(&root, &verdict.operation.fields_root));
    assert(verdict.kind != NULL && verdict.material_hidden == 0);
    assert((verdict.kind->material & ~verdict.opened) == 0);
    assert((verdict.opened ^ verdict.hidden) == UINT32_MAX);
    assert((verdict.absent & ~verdict.opened) == 0);
    disclosure_verdict_clear(&verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct disclosure disclosure;
    struct err err;
    disclosure_init(&disclosure);
    if (disclosure_parse(&disclosure, span_of(data, size), &err) != E_OK) {
        assert(err.code == E_MALFORMED || err.code == E_TOO_LARGE);
        return 0;
    }
    struct buf again = BUF_INIT(DISCLOSURE_BYTES_MAX);
    disclosure_put(&again, &disclosure);
    assert(span_is_equal(buf_span(&again), span_of(data, size)));
    buf_clear(&again);
    check_verdict(&disclosure);
    disclosure_clear(&disclosure);
    return 0;
}
