/* hsm_module.h -- a PKCS#11 module in this process, and its errors in our words.
 *
 * For hsm.c. A module is loaded and initialized once and stays to the end: another key, or a library
 * that we do not know of, may be using it. It is asked to do its own locking. Any thread.
 */
#ifndef STORE_HSM_MODULE_H
#define STORE_HSM_MODULE_H

#include "base/err.h"

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

/* PKCS#11 3.0; the header of Debian 12 is of 2.40 and has only some of these. */
#ifndef CKK_EC_EDWARDS
#define CKK_EC_EDWARDS (0x40UL)
#endif
#ifndef CKM_EC_EDWARDS_KEY_PAIR_GEN
#define CKM_EC_EDWARDS_KEY_PAIR_GEN (0x1055UL)
#endif
#ifndef CKM_EDDSA
#define CKM_EDDSA (0x1057UL)
#endif

/* Loads and initializes the module, or finds it. E_NOT_FOUND no such file; E_IO. */
MUST_USE enum err_code hsm_module_open(CK_FUNCTION_LIST **out, const char *path, struct err *err);

/* Initializes it when it is not: a module that lost its device may have to be. E_IO. */
MUST_USE enum err_code hsm_module_initialize(CK_FUNCTION_LIST *module, struct err *err);

/* `what` is what was being done. E_DENIED the PIN; E_NOT_FOUND the token; E_UNSUPPORTED; E_IO. */
enum err_code hsm_module_error(struct err *err, CK_RV rv, const char *what);

/* The session, the login or the device is gone, which a new session may put right. */
bool hsm_module_is_lost(CK_RV rv);

#endif
