/* fuzz_note_check.c -- notes against a policy: what is usable is what policy_open_checkpoint accepts, what is said is
 * bounded and printable. Signatures are made good for half of the inputs, so that what is behind them is reached. */
#include "base/ascii.h"
#include "monitor/note_check.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    NOW = 1800000000
};

static struct signer log_key, witness_key;
static struct policy *policy;
static struct watched_log_options options;

static void set_up(void)
{
    uint8_t seed[ED25519_SEED_BYTES] = { 1 };
    struct buf text = BUF_INIT(4096);
    struct err err;
    log_key.key = signing_key_from_seed(seed);
    seed[0] = 2;
    witness_key.key = signing_key_from_seed(seed);
    struct ed25519_public public = signing_key_public(log_key.key);
    log_key.vkey = vkey_make("log.example", SIGNATURE_ED25519, &public);
    public = signing_key_public(witness_key.key);
    witness_key.vkey = vkey_make("w.example", SIGNATURE_COSIGNATURE, &public);
    buf_put_str(&text, "log ");
    vkey_put(&text, &log_key.vkey);
    buf_put_str(&text, "\nwitness w ");
    vkey_put(&text, &witness_key.vkey);
    buf_put_str(&text, "\nquorum w\n");
    enum err_code rc = policy_parse(&policy, buf_span(&text), &err);
    assert(rc == E_OK);
    (void)rc;
    options.policy = policy;
    options.log = policy_log_at(policy, 0);
    options.thresholds =
        (struct watch_thresholds){ .stalled_after_s = 600, .future_tolerance_s = 60 };
    buf_clear(&text);
}

static void check_text(const char *text, size_t bytes_max)
{
    assert(strlen(text) < bytes_max);
    for (; *text != 0; text++) {
        assert(*text >= 0x20 && *text < 0x7f);
    }
}

static void check(struct span note)
{
    static struct note_check_result result;
    struct note_memory_of_log memory = { .has_note = true, .size = 7, .size_max = 9 };
    struct policy_verdict verdict;
    struct err err;
    note_check(&result, &options, &memory, note, NOW);
    assert(result.count <= NOTE_CHECK_FINDINGS_MAX);
    for (size_t i = 0; i < result.count; i++) {
        check_text(result.findings[i].subject, sizeof result.findings[i].subject);
        check_text(result.findings[i].summary, sizeof result.findings[i].summary);
    }
    bool is_accepted = policy_open_checkpoint(policy, &verdict, note, &err) == E_OK;
    assert(is_accepted || !result.is_usable);
    assert(result.is_usable || result.count > 0);
    if (result.is_usable) {
        assert(checkpoint_is_equal(&verdict.checkpoint, &result.verdict.checkpoint));
        assert(verdict.is_met == result.verdict.is_met);
        note_memory_of_log_take(&memory, &result.verdict);
        assert(memory.size_max >= memory.size);
    }
}

/* Signs the input as if it were a text; the first bytes are the witness's time. */
static void check_signed(struct span in)
{
    uint64_t time;
    struct err err;
    if (!span_take_u64(&in, &time) || in.len == 0 || in.data[in.len - 1] != '\n') {
        return;
    }
    struct buf note = BUF_INIT(in.len + 4096);
    time = 1 + time % SIZE_VALUE_MAX;
    enum err_code rc = note_put_signed(&note, in, &log_key, 0, &err);
    if (rc == E_OK) {
        rc = note_put_signature(&note, in, &witness_key, time, &err);
    }
    assert(rc == E_OK);
    check(buf_span(&note));
    buf_clear(&note);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (policy == NULL) {
        set_up();
    }
    if (size > 0 && data[0] % 2 == 0) {
        check_signed(span_of(data + 1, size - 1));
    } else if (size > 0) {
        check(span_of(data + 1, size - 1));
    }
    return 0;
}
