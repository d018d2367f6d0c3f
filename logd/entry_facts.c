#include "logd/entry_facts.h"

#include "record/operation.h"

struct entry_facts entry_facts_read(struct span entry)
{
    struct entry_facts facts = { 0 };
    struct operation operation = { 0 };
    struct err err;
    if (operation_decode(&operation, entry, &err) != E_OK) {
        return facts;
    }
    facts.has_tag = operation.has_commitments;
    facts.tag = operation.entry_tag;
    facts.is_registration =
        operation.kind->number == KIND_SUBMITTER || operation.kind->number == KIND_SUBMITTER_END;
    operation_clear(&operation);
    return facts;
}
