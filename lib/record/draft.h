/* draft.h -- an operation before it is committed: what an enforcement system hands over, in the clear.
 *
 * One JSON object, a line of `courtroll submit`:
 *
 *     {"case":"（2026）测0101执123号","kind":"FREEZE","minute":"2026-03-04T09:31Z","court":"测0101","sealed":true,
 *      "document":"<64 hex digits: SHA-256>","references":["<128 hex digits: origin hash, leaf hash>"],
 *      "officer":"...","fields":{"amount":"1234500","debtor":"9911...","asset":"account 62009901"}}
 *
 * case, kind, minute and court are required. Values are strings, integers for counts, money and codes. Tag fields
 * (officer, asset, payee, approver) are given as the text that the tag is made of. "counts" is for CLOSED: an
 * object of submitter id (hex) to count. "unseal" is for UNSEAL: the path of the sealed payload, which the caller reads,
 * or DRAFT_UNSEAL_ID and the "id" of the sealed draft, where the caller knows that.
 * Unknown names are refused. Pure. Any thread.
 */
#ifndef RECORD_DRAFT_H
#define RECORD_DRAFT_H

#include "record/entry_tag.h"
#include "record/field.h"

enum {
    DRAFT_BYTES_MAX = 64 * 1024,
    DRAFT_ID_MAX = 128, /* of "id", the caller's own name for the line */
    DRAFT_PATH_MAX = 1024,
};

#define DRAFT_UNSEAL_ID "id:"

struct draft {
    char id[DRAFT_ID_MAX + 1]; /* "id": returned with the receipt; may be empty */
    char case_number[CASE_NUMBER_BYTES_MAX + 1];
    const struct kind *kind; /* a KIND_OF_CASE, KIND_OF_UNSEAL, or DECOY */
    bool is_sealed;
    uint64_t minute;
    char court[CASE_NUMBER_BYTES_MAX + 1];
    bool has_document;
    struct hash document; /* SHA-256 of its bytes */
    size_t reference_count;
    struct reference references[OPERATION_REFERENCES_MAX];
    /* By field number; empty: absent. Of tag fields the text, of others the value in its one spelling. Number, case
     * number, kind, minute, court, submitter, certificate and references are filled in when it is composed. */
    struct buf fields[FIELDS];
    char unseal[DRAFT_PATH_MAX + 1]; /* UNSEAL: as given, for the caller; may be empty */
    size_t count_count;              /* CLOSED; ids ascending */
    struct closed_count counts[CLOSED_SUBMITTERS_MAX];
};

/* E_MALFORMED naming what is wrong where: the JSON position, or the field and the character in it; also for a
 * field that the kind does not have, one that it must have and has not, and `sealed` where that makes no sense.
 * E_OK: end with draft_clear, which wipes. */
MUST_USE enum err_code draft_parse(struct draft *out, struct span json, struct err *err);
void draft_clear(struct draft *draft);

/* One line of canonical JSON, with a newline; draft_parse reads it to the same draft. Requires room for
 * DRAFT_BYTES_MAX. */
void draft_put(struct buf *out, const struct draft *draft);

#endif
