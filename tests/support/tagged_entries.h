/* tagged_entries.h -- small operation records, by tag and by what else is in them, for tests of what logs them.
 *
 * Nothing signs them, and their commitments are made up: what reads them looks at their form. One thread.
 */
#ifndef SUPPORT_TAGGED_ENTRIES_H
#define SUPPORT_TAGGED_ENTRIES_H

#include "logd/entry_facts.h"
#include "logd/submission.h"
#include "tests/support/operations.h"

static inline struct hash tagged_entries_tag(uint64_t number)
{
    const struct span parts[] = { span_of_str("tag of a test"), span_of(&number, sizeof number) };
    return sha256_parts(parts, 2);
}

/* Appends a record with the tag of that number; each variant has other bytes. */
static inline void tagged_entries_put(struct buf *out, uint64_t number, uint64_t variant)
{
    static struct operation operation;
    struct err err;
    if (operation.kind == NULL) {
        struct signing_key *key = operations_key("tagged");
        operation = operations_make(KIND_FREEZE, key);
        operation.is_vouched = true;
        operation.reference_count = 0;
        signing_key_free(key);
    }
    operation.entry_tag = tagged_entries_tag(number);
    operation.document = sha256(span_of(&variant, sizeof variant));
    enum err_code rc = operation_put(out, &operation, &err);
    assert(rc == E_OK);
}

/* Appends a record without a tag: the registration of a submitter, which is another one for each number. */
static inline void tagged_entries_put_registration(struct buf *out, uint64_t number)
{
    char secret[32];
    struct err err;
    snprintf(secret, sizeof secret, "%llu", (unsigned long long)number);
    struct signing_key *key = operations_key(secret);
    struct operation operation = operations_make(KIND_SUBMITTER, key);
    enum err_code rc = operation_put_signed(out, &operation, OPERATIONS_ORIGIN, key, &err);
    assert(rc == E_OK);
    signing_key_free(key);
}

/* One call of `count` records; `numbers` and `variants` are of each. */
static inline struct submission *tagged_entries_submission(const uint64_t *numbers,
                                                           const uint64_t *variants, size_t count)
{
    struct submission *submission = submission_new_with_facts(count, count * 512);
    struct buf entry = BUF_INIT(512);
    for (size_t i = 0; i < count; i++) {
        buf_reset(&entry);
        tagged_entries_put(&entry, numbers[i], variants[i]);
        struct entry_facts facts = entry_facts_read(buf_span(&entry));
        assert(facts.has_tag);
        submission_add_with_facts(submission, buf_span(&entry), &facts);
    }
    buf_clear(&entry);
    return submission;
}

#endif
