/* fuzz_draft.c -- drafts of operations: what is understood, written and read again, is the same draft. */
#include "base/crypto.h"
#include "record/draft.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_fields(const struct draft *draft)
{
    struct err err;
    for (unsigned i = 0; i < FIELDS; i++) {
        struct span value = buf_span(&draft->fields[i]);
        if (value.len == 0) {
            assert(i != FIELD_OFFICER || (draft->kind->required >> i & 1) == 0);
            continue;
        }
        assert((draft->kind->allowed >> i & 1) != 0);
        if (field_definition(i)->type != FIELD_TYPE_TAG) {
            assert(field_check(i, value, &err) == E_OK);
        }
    }
    assert(field_check(FIELD_CASE_NUMBER, span_of_str(draft->case_number), &err) == E_OK);
    assert(field_check(FIELD_COURT, span_of_str(draft->court), &err) == E_OK);
}

static void check_same(const struct draft *a, const struct draft *b)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        assert(span_is_equal(buf_span(&a->fields[i]), buf_span(&b->fields[i])));
    }
    assert(strcmp(a->id, b->id) == 0);
    assert(strcmp(a->case_number, b->case_number) == 0);
    assert(strcmp(a->court, b->court) == 0);
    assert(strcmp(a->unseal, b->unseal) == 0);
    assert(a->kind == b->kind && a->is_sealed == b->is_sealed && a->minute == b->minute);
    assert(a->has_document == b->has_document && hash_is_equal(&a->document, &b->document));
    assert(a->reference_count == b->reference_count);
    assert(memcmp(a->references, b->references, sizeof a->references) == 0);
    assert(a->count_count == b->count_count);
    assert(memcmp(a->counts, b->counts, sizeof a->counts) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct draft draft, again;
    struct err err;
    if (draft_parse(&draft, span_of(data, size), &err) != E_OK) {
        assert(err.code == E_MALFORMED);
        return 0;
    }
    check_fields(&draft);
    struct buf line = BUF_INIT(DRAFT_BYTES_MAX), second = BUF_INIT(DRAFT_BYTES_MAX);
    draft_put(&line, &draft);
    enum err_code rc = draft_parse(&again, buf_span(&line), &err);
    assert(rc == E_OK);
    check_same(&draft, &again);
    draft_put(&second, &again);
    assert(span_is_equal(buf_span(&line), buf_span(&second)));
    buf_clear(&line);
    buf_clear(&second);
    draft_clear(&draft);
    draft_clear(&again);
    return 0;
}
