/* fuzz_policy.c -- policies: whatever the text, what it says of quorums holds together.
 *
 * An input cannot easily hold valid keys, so "@0" to "@9" in it stand for ten of them: even ones of
 * logs, odd ones of witnesses. */
#include "base/ascii.h"
#include "tlog/policy.h"

#include <assert.h>
#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *key_text(size_t i)
{
    static struct buf keys[10];
    if (keys[i].data == NULL) {
        char name[] = { 'k', (char)('0' + i), 0 };
        uint8_t seed[ED25519_SEED_BYTES] = { (uint8_t)i };
        struct signing_key *key = signing_key_from_seed(seed);
        struct ed25519_public public = signing_key_public(key);
        struct vkey vkey =
            vkey_make(name, i % 2 == 0 ? SIGNATURE_ED25519 : SIGNATURE_COSIGNATURE, &public);
        buf_init(&keys[i], 256);
        vkey_put(&keys[i], &vkey);
        buf_c_str(&keys[i]);
        signing_key_free(key);
    }
    return (const char *)keys[i].data;
}

static void expand(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '@' && i + 1 < text.len && isdigit(text.data[i + 1])) {
            i++;
            buf_put_str(out, key_text((size_t)(text.data[i] - '0')));
        } else {
            buf_put_u8(out, text.data[i]);
        }
    }
}

/* Sets of witnesses that differ by one: more never meet less, and blocking is what is left. */
static void check_sets(const struct policy *policy, struct span bytes)
{
    struct policy_set set = { 0 }, others = { 0 };
    size_t count = policy_witness_count(policy), missing = 0;
    for (size_t i = 0; i < count; i++) {
        set.has[i] = bytes.data[i % bytes.len] & 1;
        others.has[i] = !set.has[i];
        missing += others.has[i];
    }
    bool was_met = policy_is_met(policy, &set);
    assert(policy_is_blocking(policy, &others) == !was_met);
    assert(was_met || missing > policy_may_be_down(policy));
    for (size_t i = 0; i < count; i++) {
        set.has[i] = true;
        assert(policy_is_met(policy, &set) >= was_met);
        was_met = policy_is_met(policy, &set);
    }
    assert(was_met); /* by everyone */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum {
        INPUT_MAX = 4096
    };
    if (size > INPUT_MAX) {
        return 0;
    }
    struct buf text = BUF_INIT(POLICY_BYTES_MAX);
    expand(&text, span_of(data, size));
    struct policy *policy;
    struct err err;
    if (policy_parse(&policy, buf_span(&text), &err) != E_OK) {
        assert(err.code == E_MALFORMED);
        buf_clear(&text);
        return 0;
    }
    struct hash hash = sha256(buf_span(&text));
    assert(hash_is_equal(policy_hash(policy), &hash));
    struct policy_set none = { 0 };
    assert(policy_is_met(policy, &none) == !policy_has_quorum(policy));
    assert(policy_f(policy) <= policy_witness_count(policy));
    assert(policy_may_be_down(policy) <= policy_witness_count(policy));
    check_sets(policy, buf_span(&text));
    struct buf rule = BUF_INIT(POLICY_BYTES_MAX);
    policy_put_rule(&rule, policy);
    assert(rule.len > 0);
    struct policy_verdict verdict;
    assert(policy_open_checkpoint(policy, &verdict, buf_span(&text), &err) != E_OK);
    buf_clear(&rule);
    buf_clear(&text);
    policy_free(policy);
    return 0;
}
