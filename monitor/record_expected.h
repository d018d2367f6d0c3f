/* record_expected.h -- entry tags that the next operations of known cases would have: so an entry is known to be of
 * one without trying every key.
 *
 * Only the first 8 bytes of a tag are kept: who looks again at a case for nothing has lost little. One thread.
 */
#ifndef MONITOR_RECORD_EXPECTED_H
#define MONITOR_RECORD_EXPECTED_H

#include "base/crypto.h"

struct record_expected;

struct record_expected *record_expected_new(void);
void record_expected_free(struct record_expected *expected); /* NULL is fine */
void record_expected_clear(struct record_expected *expected);

/* `owner` is not NULL. The first one that expects a tag has it. */
void record_expected_add(struct record_expected *expected, const struct hash *tag, void *owner);
/* NULL: nobody expects it. */
void *record_expected_find(const struct record_expected *expected, const struct hash *tag);

#endif
