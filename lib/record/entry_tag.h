/* entry_tag.h -- a case's key, and all that is derived from it: entry tags, tags of persons and things, the
 * commitment to the case number, counts that only the key reads.
 *
 * Spec: docs/record.md, "Case key". A case key is 32 random bytes; whoever has it can tell which entries are
 * of the case, and nobody else can. File: "courtroll case key v1" LF, the case number in its canonical form
 * LF, base64 of the key LF; readable by its owner only.
 * Pure. Any thread.
 */
#ifndef RECORD_ENTRY_TAG_H
#define RECORD_ENTRY_TAG_H

#include "record/operation.h"

enum {
    CASE_KEY_BYTES = 32,
    CASE_NUMBER_BYTES_MAX = 96,
    CASE_KEY_FILE_BYTES_MAX = 512,
    PERSON_TAG_BYTES = 16,
    CLOSED_SUBMITTERS_MAX = 8,
};

struct case_key {
    uint8_t bytes[CASE_KEY_BYTES];
    char number[CASE_NUMBER_BYTES_MAX + 1]; /* canonical case number */
};
void case_key_wipe(struct case_key *key);

/* E_MALFORMED, naming the line: also for a case number that is not canonical. */
MUST_USE enum err_code case_key_parse(struct case_key *out, struct span text, struct err *err);
void case_key_put(struct buf *out, const struct case_key *key); /* the caller wipes `out` */

/* HMAC-SHA-256(case key, "courtroll/entry-tag/v1" || submitter id || u64 number). Numbers count from 0, for each
 * case and submitter. */
struct hash entry_tag_make(const struct case_key *key, const struct submitter_id *submitter,
                           uint64_t number);

/* A pseudonym inside the case: HMAC-SHA-256(case key, "courtroll/" || purpose || "-tag/v1" || text), first 16
 * bytes. `purpose` is "officer", "asset" or "payee". */
struct person_tag {
    uint8_t bytes[PERSON_TAG_BYTES];
};
struct person_tag person_tag_make(const struct case_key *key, const char *purpose,
                                  struct span text);

/* HMAC-SHA-256(case key, "courtroll/case-number/v1" || case number): CASE_FILED's case_commitment. */
struct hash case_commitment_make(const struct case_key *key);

/* How many operations each submitter has logged for the case, its last one included: CLOSED's closed_counts.
 * Plain: up to 8 of submitter id || u32 count, ids ascending, zeros behind; AES-256-CTR, IV zero, under
 * HMAC-SHA-256(case key, "courtroll/closed-counts/v1" || entry tag). */
struct closed_count {
    struct submitter_id submitter;
    uint32_t count;
};
/* Requires count <= CLOSED_SUBMITTERS_MAX, distinct submitters, and counts above 0; sorts. */
void closed_counts_make(uint8_t out[static CLOSED_COUNTS_BYTES], const struct case_key *key,
                        const struct hash *entry_tag, const struct closed_count *counts,
                        size_t count);
/* E_MALFORMED when it does not decipher to such a list. */
MUST_USE enum err_code closed_counts_read(struct closed_count out[static CLOSED_SUBMITTERS_MAX],
                                          size_t *count, const struct case_key *key,
                                          const struct hash *entry_tag,
                                          const uint8_t bytes[static CLOSED_COUNTS_BYTES],
                                          struct err *err);

#endif
