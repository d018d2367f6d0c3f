/* deposit_verify.h -- `courtroll verify` of a certificate: an HTML page or a PDF that courtroll certificate made.
 *
 * Spec: docs/certificate.md, "Verifying". Main thread.
 */
#ifndef CLI_DEPOSIT_VERIFY_H
#define CLI_DEPOSIT_VERIFY_H

#include "cli/output.h"
#include "tlog/policy.h"

/* Prints a verdict and returns its exit code. `document_path` may be NULL: then it is said that nothing was compared. */
int deposit_verify(const struct output *output, const struct policy *policy, const char *path,
                   const char *document_path);

/* The first byte in which the two differ, the shorter one's end at the latest; SIZE_MAX: they are equal. */
size_t deposit_first_difference(struct span a, struct span b);

#endif
