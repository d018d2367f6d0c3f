/* identifier.h -- case numbers, court codes, unified social credit codes, citizen ids: read, checked, normalised.
 *
 * Spec: ../docs/record.md, "Identifiers"; GB 32100-2015, GB 11643-1999, the 2016 rules on case numbers. Errors
 * give the position in characters, from 1, and what was expected there.
 * Pure. Any thread.
 */
#ifndef RECORD_IDENTIFIER_H
#define RECORD_IDENTIFIER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum {
    IDENTIFIER_BYTES_MAX = 96
};

/* "（2022）京01执123号", perhaps with "之一" behind: any brackets and full-width digits in, full-width brackets and
 * ASCII digits out. */
MUST_USE enum err_code identifier_put_case_number(struct buf *out, struct span text,
                                                  struct err *err);
/* "最高法", a province character, with 2 digits, or with 4. */
MUST_USE enum err_code identifier_put_court_code(struct buf *out, struct span text,
                                                 struct err *err);
/* 18 characters with the right check character; lower case and full-width in, upper-case ASCII out. */
MUST_USE enum err_code identifier_put_credit_code(struct buf *out, struct span text,
                                                  struct err *err);
/* Likewise; the date in it is a date. */
MUST_USE enum err_code identifier_put_citizen_id(struct buf *out, struct span text,
                                                 struct err *err);

/* Whether the text holds what looks like one of them anywhere: for the list of what never goes on a log. */
bool identifier_is_hidden_in(struct span text);

#endif
