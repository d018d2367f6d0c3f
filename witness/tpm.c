#include "witness/tpm.h"

#include "base/ascii.h"
#include "base/child.h"
#include "base/log.h"

#include <stdio.h>

enum {
    COUNTER_BYTES = 8,
    INDEX_FIRST = 0x01000000,
    INDEX_LAST = 0x01ffffff,
    INDEX_DIGITS_MAX = 8
};

#define KEY "tpm"

static const char stepping[] = " stepping";
static const char unused[] = "unused"; /* it had a counter once, and that was given up */

enum err_code tpm_init(struct tpm *out, const char *index, struct err *err)
{
    struct span digits = span_of_str(index);
    uint32_t value = 0;
    bool is_good = (span_take_prefix(&digits, span_of_str("0x")) ||
                    span_take_prefix(&digits, span_of_str("0X"))) &&
                   digits.len > 0 && digits.len <= INDEX_DIGITS_MAX;
    for (size_t i = 0; i < digits.len && is_good; i++) {
        static const char hex[] = "0123456789abcdef0123456789ABCDEF";
        const char *at = digits.data[i] == '\0' ? NULL : strchr(hex, digits.data[i]);
        is_good = at != NULL;
        value = at == NULL ? 0 : value * 16 + (uint32_t)(at - hex) % 16;
    }
    if (!is_good || value < INDEX_FIRST || value > INDEX_LAST) {
        return err_set(
            err, E_MALFORMED,
            "an NV index is a hexadecimal number from 0x%08x to 0x%08x, such as 0x1500016",
            INDEX_FIRST, INDEX_LAST);
    }
    snprintf(out->index, sizeof out->index, "0x%x", value);
    return E_OK;
}

/* --- The counter. --- */

static enum err_code run_tool(char *const *argv, struct buf *out, struct err *err)
{
    enum err_code rc = child_run(argv, (struct span){ 0 }, TPM_TIMEOUT_MS, out, err);
    if (rc == E_NOT_FOUND) {
        return err_set(err, E_IO, "%s is not installed: it comes with tpm2-tools", argv[0]);
    }
    return rc;
}

static enum err_code read_counter(const struct tpm *tpm, uint64_t *out, struct err *err)
{
    char tool[] = "tpm2_nvread", option[] = "-s", size[] = "8";
    char index[sizeof tpm->index];
    memcpy(index, tpm->index, sizeof index);
    char *argv[] = { tool, index, option, size, NULL };
    struct buf bytes = BUF_INIT(TPM_OUTPUT_BYTES_MAX);
    enum err_code rc = run_tool(argv, &bytes, err);
    struct span in = buf_span(&bytes);
    if (rc == E_OK && (in.len != COUNTER_BYTES || !span_take_u64(&in, out))) {
        rc = err_set(err, E_IO, "%s gave %zu bytes instead of a counter", tool, bytes.len);
    }
    buf_clear(&bytes);
    return rc;
}

static enum err_code increment_counter(const struct tpm *tpm, struct err *err)
{
    char tool[] = "tpm2_nvincrement";
    char index[sizeof tpm->index];
    memcpy(index, tpm->index, sizeof index);
    char *argv[] = { tool, index, NULL };
    struct buf bytes = BUF_INIT(TPM_OUTPUT_BYTES_MAX);
    enum err_code rc = run_tool(argv, &bytes, err);
    buf_clear(&bytes);
    return rc;
}

/* --- What the ledger says of it. --- */

struct expected {
    uint64_t value;
    bool is_stepping; /* value + 1 is as good */
};

static enum err_code read_expected(struct ledger *ledger, struct expected *out, struct err *err)
{
    struct buf bytes = BUF_INIT(64);
    enum err_code rc = ledger_get(ledger, KEY, &bytes, err);
    if (rc == E_OK && span_is_str(buf_span(&bytes), unused)) {
        rc = err_set(err, E_NOT_FOUND, "this store has no counter any more");
    }
    if (rc == E_OK) {
        struct span text = buf_span(&bytes);
        out->is_stepping = span_has_suffix(text, span_of_str(stepping));
        if (out->is_stepping) {
            text.len -= sizeof stepping - 1;
        }
        if (decimal_parse(&out->value, text, UINT64_MAX - 1, err) != E_OK) {
            rc = err_set(err, E_CORRUPT, "the stored counter is not one of ours");
        }
    }
    buf_clear(&bytes);
    return rc;
}

static enum err_code write_expected(struct ledger *ledger, uint64_t value, bool is_stepping,
                                    struct err *err)
{
    struct buf text = BUF_INIT(64);
    buf_putf(&text, "%llu%s", (unsigned long long)value, is_stepping ? stepping : "");
    enum err_code rc = ledger_put(ledger, KEY, buf_span(&text), err);
    buf_clear(&text);
    return rc;
}

/* --- Steps. --- */

/* From a counter that is known to be `value`. */
static enum err_code step_from(const struct tpm *tpm, struct ledger *ledger, uint64_t value,
                               struct err *err)
{
    uint64_t now = 0;
    enum err_code rc = write_expected(ledger, value, true, err);
    rc = rc == E_OK ? increment_counter(tpm, err) : rc;
    rc = rc == E_OK ? read_counter(tpm, &now, err) : rc;
    if (rc != E_OK) {
        return rc;
    }
    if (now != value + 1) {
        return err_set(err, E_CONFLICT,
                       "the TPM's counter went from %llu to %llu: somebody else steps it",
                       (unsigned long long)value, (unsigned long long)now);
    }
    return write_expected(ledger, now, false, err);
}

/* The counter is new to this store, and may never have been stepped: it cannot be read before. */
static enum err_code begin(const struct tpm *tpm, struct ledger *ledger, struct err *err)
{
    uint64_t now = 0;
    enum err_code rc = increment_counter(tpm, err);
    rc = rc == E_OK ? read_counter(tpm, &now, err) : rc;
    rc = rc == E_OK ? write_expected(ledger, now, false, err) : rc;
    if (rc == E_OK) {
        log_event(LOG_LEVEL_INFO, "tpm_counter_taken", "index=%s value=%llu", tpm->index,
                  (unsigned long long)now);
    }
    return rc;
}

static enum err_code check_and_step(const struct tpm *tpm, struct ledger *ledger, bool is_unchecked,
                                    struct err *err)
{
    struct expected expected;
    uint64_t now = 0;
    enum err_code rc = read_expected(ledger, &expected, err);
    if (rc == E_NOT_FOUND) {
        return begin(tpm, ledger, err);
    }
    rc = rc == E_OK ? read_counter(tpm, &now, err) : rc;
    if (rc != E_OK) {
        return rc;
    }
    if (now != expected.value && !(expected.is_stepping && now == expected.value + 1)) {
        err_set(err, E_CONFLICT,
                "the TPM's counter is at %llu, the store at %llu: the store is an old one, or of "
                "another machine",
                (unsigned long long)now, (unsigned long long)expected.value);
        if (!is_unchecked) {
            return E_CONFLICT;
        }
        log_error(LOG_LEVEL_ERROR, "start_unchecked", err);
    }
    return step_from(tpm, ledger, now, err);
}

enum err_code tpm_check_unused(struct ledger *ledger, bool is_unchecked, struct err *err)
{
    struct expected expected;
    enum err_code rc = read_expected(ledger, &expected, err);
    if (rc == E_NOT_FOUND) {
        return E_OK;
    }
    if (rc != E_OK && rc != E_CORRUPT) {
        return rc;
    }
    if (!is_unchecked) {
        return err_set(err, E_CONFLICT,
                       "this store was used with a TPM counter, and tpm-nv-index is not set: set "
                       "it again, or, when you know that the store is the newest, start once with "
                       "--start-unchecked on");
    }
    log_event(LOG_LEVEL_ERROR, "start_unchecked",
              "tpm=\"this store was used with a TPM counter, and is used without from now on\"");
    return ledger_put(ledger, KEY, span_of_str(unused), err);
}

enum err_code tpm_start(const struct tpm *tpm, struct ledger *ledger, bool is_unchecked,
                        struct err *err)
{
    enum err_code rc = check_and_step(tpm, ledger, is_unchecked, err);
    return rc == E_OK ? E_OK : err_wrap(err, "tpm-nv-index %s", tpm->index);
}

enum err_code tpm_step(const struct tpm *tpm, struct ledger *ledger, struct err *err)
{
    return tpm_start(tpm, ledger, false, err);
}
