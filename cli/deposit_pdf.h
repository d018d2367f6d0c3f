/* deposit_pdf.h -- a certificate as a PDF on A4, with its data attached.
 *
 * Spec: docs/certificate.md, "PDF". Drawn by pango and cairo; the attachments are an update behind cairo's file
 * (deposit_pdf_file.h). Fonts are embedded. Main thread.
 */
#ifndef CLI_DEPOSIT_PDF_H
#define CLI_DEPOSIT_PDF_H

#include "cli/deposit_page.h"

enum {
    DEPOSIT_PDF_BYTES_MAX = 64 * 1024 * 1024,
};

/* Appends the file. E_NOT_FOUND when no font has the letters, naming the package to install; E_TOO_LARGE; E_IO when
 * cairo fails. Requires an empty buffer of DEPOSIT_PDF_BYTES_MAX. */
MUST_USE enum err_code deposit_pdf_put(struct buf *out, const struct deposit_page *page,
                                       struct err *err);

#endif
