/* softhsm.h -- a PKCS#11 module for tests: SoftHSM, with its tokens in a temporary directory.
 *
 * One a process, because a module is initialized once: it is gone when the process is.
 */
#ifndef SUPPORT_SOFTHSM_H
#define SUPPORT_SOFTHSM_H

#include <stdbool.h>

#define SOFTHSM_PIN "4711"

/* Where Debian has it, or what the environment variable SOFTHSM2_MODULE says; NULL: it is not there. */
const char *softhsm_module(void);

/* Makes the directory and points SoftHSM at it. Returns the directory, to be handed to
 * files_remove_tree at the end. */
char *softhsm_start(void);

/* Makes a token whose user has SOFTHSM_PIN as its PIN. */
void softhsm_make_token(const char *label);

#endif
