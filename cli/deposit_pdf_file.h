/* deposit_pdf_file.h -- files attached to a PDF, by an incremental update behind it; and the data taken out again.
 *
 * Spec: ISO 32000-1, 7.5.6 (incremental updates), 7.11.4 (embedded files); docs/certificate.md, "PDF". Nothing is
 * compressed. Read is only what is written here: the trailer says where the data are. Pure. Any thread.
 */
#ifndef CLI_DEPOSIT_PDF_FILE_H
#define CLI_DEPOSIT_PDF_FILE_H

#include "base/buf.h"
#include "base/err.h"

struct deposit_attachment {
    const char *name; /* printable ASCII without parentheses and backslashes, ascending */
    const char *type; /* "text/plain" */
    struct span bytes;
};

enum {
    DEPOSIT_ATTACHMENTS_MAX = 8
};

/* Appends the update to `pdf`, a whole file with a classic cross-reference table. The first attachment is what
 * deposit_pdf_extract finds. E_CORRUPT: not a file that we know how to extend. */
MUST_USE enum err_code deposit_pdf_attach(struct buf *pdf,
                                          const struct deposit_attachment *attachments,
                                          size_t count, struct err *err);

bool deposit_pdf_is_one(struct span bytes);

/* The first attachment; inside `pdf`. E_MALFORMED. */
MUST_USE enum err_code deposit_pdf_extract(struct span *out, struct span pdf, struct err *err);

#endif
