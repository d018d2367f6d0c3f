#include "witness/decision.h"

#include "base/ascii.h"

#include <assert.h>

struct origin_state origin_state_new(void)
{
    return (struct origin_state){ 0, merkle_empty_root(), 0 };
}

const char *refusal_label(enum refusal refusal)
{
    static const char *const labels[] = {
#define REFUSAL_LABEL(name, label, code) [REFUSED_##name] = label,
        REFUSALS(REFUSAL_LABEL)
#undef REFUSAL_LABEL
    };
    assert(refusal < REFUSAL_COUNT);
    return labels[refusal];
}

enum err_code refusal_code(enum refusal refusal)
{
    static const enum err_code codes[] = {
#define REFUSAL_CODE(name, label, code) [REFUSED_##name] = E_##code,
        REFUSALS(REFUSAL_CODE)
#undef REFUSAL_CODE
    };
    assert(refusal < REFUSAL_COUNT);
    return codes[refusal];
}

/* A proof that fails, and yet leads to the checkpoint, shows which root the log says to have had at
 * the size held. When that size is a power of two the proof holds no such root, and nothing is shown. */
static void look_for_other_root(struct decision *out, const struct origin_state *held,
                                const struct checkpoint *checkpoint, const struct proof *proof)
{
    struct hash old_root, new_root;
    struct err err;
    if (proof_consistency_roots(&old_root, &new_root, proof, held->size, checkpoint->size,
                                &held->root, &err) != E_OK) {
        return;
    }
    if (hash_is_equal(&new_root, &checkpoint->root) && !hash_is_equal(&old_root, &held->root)) {
        out->has_other_root = true;
        out->other_root = old_root;
    }
}

/* Rows 10 and 11, with `old_size` the size held and not above the checkpoint's. */
static enum refusal check_growth(struct decision *out, const struct origin_state *held,
                                 const struct checkpoint *checkpoint, const struct proof *proof)
{
    struct err err;
    if (held->size == checkpoint->size) {
        if (!hash_is_equal(&held->root, &checkpoint->root)) {
            return REFUSED_ROOT_MISMATCH;
        }
        return proof->count == 0 ? REFUSED_NONE : REFUSED_UNEXPECTED_PROOF;
    }
    if (held->size == 0) {
        return REFUSED_NONE; /* row 9 has seen to it that there is no proof */
    }
    if (proof_verify_consistency(proof, held->size, checkpoint->size, &held->root,
                                 &checkpoint->root, &err) != E_OK) {
        look_for_other_root(out, held, checkpoint, proof);
        return REFUSED_BAD_PROOF;
    }
    return REFUSED_NONE;
}

static enum refusal check(struct decision *out, const struct origin_state *held, uint64_t old_size,
                          const struct checkpoint *checkpoint, const struct proof *proof)
{
    struct hash empty = merkle_empty_root();
    if (old_size > checkpoint->size) {
        return REFUSED_OLD_ABOVE_SIZE;
    }
    if (old_size != held->size) {
        return REFUSED_STALE;
    }
    if (checkpoint->size == 0 && !hash_is_equal(&checkpoint->root, &empty)) {
        return REFUSED_BAD_EMPTY_ROOT;
    }
    if (old_size == 0 && proof->count != 0) {
        return REFUSED_UNEXPECTED_PROOF;
    }
    return check_growth(out, held, checkpoint, proof);
}

/* Signed times of an origin never go back. A clock that is a little behind signs the last time again;
 * one that is far behind, or that no cosignature can hold, is wrong, and a person has to look. */
static enum refusal choose_time(uint64_t *timestamp, uint64_t last, uint64_t now_s)
{
    if (now_s == 0 || now_s > SIZE_VALUE_MAX ||
        (now_s < last && last - now_s > DECISION_CLOCK_BEHIND_MAX_S)) {
        return REFUSED_CLOCK;
    }
    *timestamp = now_s > last ? now_s : last;
    return REFUSED_NONE;
}

struct decision decide(const struct origin_state *held, uint64_t old_size,
                       const struct checkpoint *checkpoint, const struct proof *proof,
                       uint64_t now_s)
{
    struct decision out = { .refusal = REFUSED_NONE };
    out.has_same_size_fork = checkpoint->size > 0 && checkpoint->size == held->size &&
                             !hash_is_equal(&checkpoint->root, &held->root);
    out.refusal = check(&out, held, old_size, checkpoint, proof);
    if (out.refusal == REFUSED_NONE) {
        out.refusal = choose_time(&out.timestamp, held->timestamp, now_s);
    }
    return out;
}
