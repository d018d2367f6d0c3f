#include "store/hsm_module.h"

#include "base/alloc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

struct module {
    struct module *next;
    char *path;
    CK_FUNCTION_LIST *functions;
};

static pthread_mutex_t modules_lock = PTHREAD_MUTEX_INITIALIZER; /* of the list; of C_Initialize */
static struct module *modules;

struct words {
    CK_RV rv;
    enum err_code code;
    bool is_lost;
    const char *words;
};

static const struct words words[] = {
    { CKR_PIN_INCORRECT, E_DENIED, false, "the PIN is wrong" },
    { CKR_PIN_INVALID, E_DENIED, false, "the PIN is wrong" },
    { CKR_PIN_LEN_RANGE, E_DENIED, false, "the PIN is too short or too long" },
    { CKR_PIN_EXPIRED, E_DENIED, false, "the PIN has expired" },
    { CKR_PIN_LOCKED, E_DENIED, false, "the PIN is locked" },
    { CKR_USER_PIN_NOT_INITIALIZED, E_DENIED, false, "the token has no user PIN yet" },
    { CKR_USER_TYPE_INVALID, E_DENIED, false, "the token has no user" },
    { CKR_MECHANISM_INVALID, E_UNSUPPORTED, false, "the token cannot do Ed25519" },
    { CKR_KEY_TYPE_INCONSISTENT, E_UNSUPPORTED, false, "not an Ed25519 key" },
    { CKR_KEY_FUNCTION_NOT_PERMITTED, E_UNSUPPORTED, false, "the key may not sign" },
    { CKR_CURVE_NOT_SUPPORTED, E_UNSUPPORTED, false, "the token does not know the curve" },
    { CKR_TOKEN_WRITE_PROTECTED, E_UNSUPPORTED, false, "the token is write-protected" },
    { CKR_TOKEN_NOT_PRESENT, E_NOT_FOUND, true, "the token is gone" },
    { CKR_TOKEN_NOT_RECOGNIZED, E_NOT_FOUND, true, "the token is not recognized" },
    { CKR_SLOT_ID_INVALID, E_NOT_FOUND, true, "the slot is gone" },
    { CKR_DEVICE_REMOVED, E_NOT_FOUND, true, "the device is gone" },
    { CKR_DEVICE_ERROR, E_IO, true, "the device has failed" },
    { CKR_GENERAL_ERROR, E_IO, true, "the module has failed" },
    { CKR_FUNCTION_FAILED, E_IO, true, "the module has failed" },
    { CKR_SESSION_CLOSED, E_IO, true, "the session was closed" },
    { CKR_SESSION_HANDLE_INVALID, E_IO, true, "the session is gone" },
    { CKR_USER_NOT_LOGGED_IN, E_IO, true, "the login is gone" },
    { CKR_KEY_HANDLE_INVALID, E_IO, true, "the key is gone" },
    { CKR_OBJECT_HANDLE_INVALID, E_IO, true, "the object is gone" },
    { CKR_OPERATION_ACTIVE, E_IO, true, "the session is busy" },
    { CKR_OPERATION_NOT_INITIALIZED, E_IO, true, "the session forgot what it was doing" },
    { CKR_CRYPTOKI_NOT_INITIALIZED, E_IO, true, "the module is not initialized" },
    { CKR_SESSION_COUNT, E_IO, false, "the token has no more sessions" },
    { CKR_DEVICE_MEMORY, E_IO, false, "the device has no room" },
    { CKR_CANT_LOCK, E_UNSUPPORTED, false, "the module cannot be used by threads" },
};

static const struct words *find_words(CK_RV rv)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (words[i].rv == rv) {
            return &words[i];
        }
    }
    return NULL;
}

enum err_code hsm_module_error(struct err *err, CK_RV rv, const char *what)
{
    const struct words *found = find_words(rv);
    if (found == NULL) {
        return err_set(err, E_IO, "pkcs11: %s: CKR 0x%lx", what, (unsigned long)rv);
    }
    return err_set(err, found->code, "pkcs11: %s: %s (CKR 0x%lx)", what, found->words,
                   (unsigned long)rv);
}

bool hsm_module_is_lost(CK_RV rv)
{
    const struct words *found = find_words(rv);
    return found != NULL && found->is_lost;
}

static enum err_code initialize(CK_FUNCTION_LIST *functions, struct err *err)
{
    CK_C_INITIALIZE_ARGS arguments = { .flags = CKF_OS_LOCKING_OK };
    CK_RV rv = functions->C_Initialize(&arguments);
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) {
        return hsm_module_error(err, rv, "initialize the module");
    }
    return E_OK;
}

enum err_code hsm_module_initialize(CK_FUNCTION_LIST *module, struct err *err)
{
    pthread_mutex_lock(&modules_lock);
    enum err_code rc = initialize(module, err);
    pthread_mutex_unlock(&modules_lock);
    return rc;
}

/* Never closed again, not on failure either: modules start threads, and leave them in their code. */
static enum err_code load(CK_FUNCTION_LIST **out, const char *path, struct err *err)
{
    if (access(path, F_OK) != 0) {
        return err_set(err, E_NOT_FOUND, "pkcs11: there is no module %s", path);
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        return err_set(err, E_IO, "pkcs11: load the module: %s", dlerror());
    }
    CK_RV (*get_functions)(CK_FUNCTION_LIST **) = NULL;
    void *symbol = dlsym(library, "C_GetFunctionList");
    if (symbol == NULL) {
        return err_set(err, E_IO, "pkcs11: %s is not a PKCS#11 module", path);
    }
    memcpy(&get_functions, &symbol, sizeof get_functions);
    CK_FUNCTION_LIST *functions = NULL;
    CK_RV rv = get_functions(&functions);
    if (rv != CKR_OK || functions == NULL) {
        return hsm_module_error(err, rv, "ask the module for its functions");
    }
    enum err_code rc = initialize(functions, err);
    if (rc == E_OK) {
        *out = functions;
    }
    return rc;
}

enum err_code hsm_module_open(CK_FUNCTION_LIST **out, const char *path, struct err *err)
{
    enum err_code rc = E_OK;
    pthread_mutex_lock(&modules_lock);
    struct module *module = modules;
    while (module != NULL && strcmp(module->path, path) != 0) {
        module = module->next;
    }
    if (module == NULL) {
        CK_FUNCTION_LIST *functions = NULL;
        rc = load(&functions, path, err);
        if (rc == E_OK) {
            module = NEW(struct module);
            *module = (struct module){ modules, mem_strdup(path), functions };
            modules = module;
        }
    }
    if (rc == E_OK) {
        *out = module->functions;
    }
    pthread_mutex_unlock(&modules_lock);
    return rc;
}
