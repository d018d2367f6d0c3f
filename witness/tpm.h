/* tpm.h -- a generation counter in this machine's TPM, against a restored or cloned machine.
 *
 * An NV index of the kind "counter" only ever goes up. It is stepped at each start and hourly, never for
 * a signature: a copy of the store that was made since the last step is not told from the store itself
 * while that does not step the counter. The ledger's key "tpm" has the value it is to have; before a step it has that value and
 * says that a step is under way, so that a crash in between is no alarm. A counter that is anything else
 * means that this store is not the newest: the caller refuses all origins.
 *
 * Runs tpm2_nvread and tpm2_nvincrement of tpm2-tools, without a shell; which TPM is up to the environment
 * variable TPM2TOOLS_TCTI. The operator defines the index once:
 *
 *   tpm2_nvdefine 0x1500016 -C o -s 8 -a "ownerread|ownerwrite|authread|authwrite|nt=counter"
 *   tpm2_nvincrement 0x1500016 -C o
 *
 * Blocks for as long as the TPM takes: not on the loop thread. One thread at a time.
 */
#ifndef WITNESS_TPM_H
#define WITNESS_TPM_H

#include "witness/ledger.h"

enum {
    TPM_TIMEOUT_MS = 20 * 1000,      /* of one run of a tool */
    TPM_STEP_MS = 60 * 60 * 1000,    /* between two steps */
    TPM_OUTPUT_BYTES_MAX = 16 * 1024 /* of one run of a tool, both streams */
};

struct tpm {
    char index[16]; /* "0x1500016" */
};

/* E_MALFORMED unless `index` is hexadecimal and one of the TPM's NV indices, 0x01000000 to 0x01ffffff. */
MUST_USE enum err_code tpm_init(struct tpm *out, const char *index, struct err *err);

/* At a start without an index: E_CONFLICT when this store was used with a counter, which then says nothing
 * any more; no origin may be signed for. With `is_unchecked` the store forgets that it had one, loudly.
 * Other errors: the store cannot be read or written. */
MUST_USE enum err_code tpm_check_unused(struct ledger *ledger, bool is_unchecked, struct err *err);

/* At the start: compares the counter with the ledger, and steps it. The first time it takes the counter as
 * it is. E_CONFLICT: the counter is not what the ledger says; nothing was stepped, and no origin may be
 * signed for. `is_unchecked` takes it as it is all the same, loudly (start-unchecked). Other errors: the
 * counter cannot be read, stepped or stored: do not start. */
MUST_USE enum err_code tpm_start(const struct tpm *tpm, struct ledger *ledger, bool is_unchecked,
                                 struct err *err);

/* Hourly: the same comparison, and a step. E_CONFLICT as above; other errors are for the log, and the next
 * hour tries again. */
MUST_USE enum err_code tpm_step(const struct tpm *tpm, struct ledger *ledger, struct err *err);

#endif
