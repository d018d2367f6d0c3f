#include "cli/verdict.h"

#include "base/ascii.h"

#include <stdlib.h>

const char *verdict_text(enum verdict verdict, const struct policy *policy)
{
    static const char *const texts[] = {
        [VERDICT_PASS] = "PASS",
        [VERDICT_MISMATCH] = "MISMATCH",
        [VERDICT_NO_QUORUM] = "NO QUORUM",
        [VERDICT_BAD_SIGNATURE] = "BAD SIGNATURE",
        [VERDICT_UNKNOWN_LOG] = "UNKNOWN LOG",
        [VERDICT_MALFORMED] = "MALFORMED",
        [VERDICT_SUPERSEDED] = "SUPERSEDED",
    };
    if (verdict == VERDICT_PASS && !policy_has_quorum(policy)) {
        return "PASS on the log's word alone";
    }
    return texts[verdict];
}

enum verdict verdict_of(enum err_code code, const struct policy_verdict *checkpoint)
{
    switch (code) {
    case E_OK:
        return checkpoint->is_met ? VERDICT_PASS : VERDICT_NO_QUORUM;
    case E_NOT_FOUND:
        return VERDICT_UNKNOWN_LOG;
    case E_BAD_SIGNATURE:
        return VERDICT_BAD_SIGNATURE;
    case E_BAD_PROOF:
        return VERDICT_MISMATCH;
    default:
        return VERDICT_MALFORMED;
    }
}

int verdict_exit_code(enum verdict verdict)
{
    return verdict == VERDICT_PASS ? OUTPUT_DONE : OUTPUT_VERDICT;
}

static void put_rule(struct buf *out, const struct policy *policy)
{
    buf_init(out, 4 * POLICY_BYTES_MAX);
    policy_put_rule(out, policy);
}

static void print_clean(const char *label, struct span text)
{
    char *clean = output_clean(text);
    printf("  %-14s%s\n", label, clean);
    free(clean);
}

static void print_witnesses(const struct policy *policy, const struct policy_verdict *checkpoint)
{
    const char *label = "witnesses";
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        char *name = output_clean(span_of_str(policy_witness_at(policy, i)->name));
        if (checkpoint->cosigned.has[i]) {
            printf("  %-14s%s at %s\n", label, name, output_time(checkpoint->timestamps[i]).text);
        } else if (checkpoint->unchecked.has[i]) {
            printf("  %-14s%s: ML-DSA-44, which %s cannot check: not counted (OpenSSL 3.5 can)\n",
                   label, name, crypto_library());
        } else {
            printf("  %-14s%s: no cosignature\n", label, name);
        }
        free(name);
        label = "";
    }
    if (*label != '\0') {
        printf("  %-14snone in the policy\n", label);
    }
}

static void print_quorum(const struct policy *policy, const struct policy_verdict *checkpoint)
{
    struct buf text;
    put_rule(&text, policy);
    if (policy_has_quorum(policy)) {
        buf_put_str(&text, checkpoint->is_met ? ": reached" : ": not reached");
    }
    print_clean("quorum", buf_span(&text));
    buf_clear(&text);
    printf("  %-14s%zu: so many evil witnesses an evil log needs to show two histories\n", "f",
           policy_f(policy));
}

void verdict_print_checkpoint(const struct policy *policy, const struct policy_verdict *checkpoint)
{
    struct buf text;
    print_clean("log", span_of_str(checkpoint->checkpoint.origin));
    printf("  %-14s%ju entries\n", "size", (uintmax_t)checkpoint->checkpoint.size);
    buf_init(&text, HASH_BASE64_CHARS + 1);
    base64_put_hash(&text, &checkpoint->checkpoint.root);
    printf("  %-14s%s\n", "root", buf_c_str(&text));
    buf_clear(&text);
    print_witnesses(policy, checkpoint);
    if (checkpoint->bad_signatures > 0) {
        printf("  %-14s%zu cosignature(s) of known witnesses do not verify\n", "warning",
               checkpoint->bad_signatures);
    }
    print_quorum(policy, checkpoint);
    buf_init(&text, 2 * HASH_BYTES);
    hex_put(&text, hash_span(policy_hash(policy)));
    print_clean("policy", buf_span(&text));
    buf_clear(&text);
}

void verdict_print_times_of_entry(const struct policy *policy,
                                  const struct policy_verdict *checkpoint,
                                  const struct anchor_proof *anchor)
{
    uint64_t seconds = policy_no_later_than(policy, checkpoint);
    if (seconds == 0) {
        printf("  %-14sno time evidence\n", "time");
        return;
    }
    struct output_time time = output_time(seconds);
    printf("  %-14sin the log no later than %s, by the clocks of a quorum of witnesses\n", "time",
           time.text);
    if (anchor == NULL) {
        printf("  %-14ssequenced after: no time evidence in this receipt\n", "");
        return;
    }
    time = output_time(anchor->time_s);
    printf("  %-14ssequenced after %s, by the clocks of a quorum in entry %ju\n", "", time.text,
           (uintmax_t)anchor->index);
}

void verdict_print_times(const struct policy *policy, const struct policy_verdict *checkpoint)
{
    verdict_print_times_of_entry(policy, checkpoint, NULL);
}

/* Seconds and, for people, the date; null for 0. */
static void put_time(json_t *object, const char *key, const char *key_utc, uint64_t seconds)
{
    struct output_time time = output_time(seconds);
    json_object_set_new(object, key, seconds > 0 ? json_integer((json_int_t)seconds) : json_null());
    json_object_set_new(object, key_utc, seconds > 0 ? json_string(time.text) : json_null());
}

void verdict_put_times_of_entry(json_t *object, const struct policy *policy,
                                const struct policy_verdict *checkpoint,
                                const struct anchor_proof *anchor)
{
    put_time(object, "no_later_than", "no_later_than_utc",
             policy_no_later_than(policy, checkpoint));
    put_time(object, "sequenced_after", "sequenced_after_utc", anchor == NULL ? 0 : anchor->time_s);
    if (anchor != NULL) {
        json_object_set_new(object, "anchor_index", json_integer((json_int_t)anchor->index));
    }
}

void verdict_put_times(json_t *object, const struct policy *policy,
                       const struct policy_verdict *checkpoint)
{
    verdict_put_times_of_entry(object, policy, checkpoint, NULL);
}

static json_t *witnesses_json(const struct policy *policy, const struct policy_verdict *checkpoint)
{
    json_t *witnesses = json_array();
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        const struct policy_witness *witness = policy_witness_at(policy, i);
        bool has_cosigned = checkpoint->cosigned.has[i];
        json_t *one = json_object();
        json_object_set_new(one, "name", output_json_text(span_of_str(witness->name)));
        json_object_set_new(one, "key_name", output_json_text(span_of_str(witness->vkey.name)));
        json_object_set_new(one, "cosigned", json_boolean(has_cosigned));
        json_object_set_new(one, "unchecked", json_boolean(checkpoint->unchecked.has[i]));
        put_time(one, "time", "time_utc", has_cosigned ? checkpoint->timestamps[i] : 0);
        json_array_append_new(witnesses, one);
    }
    return witnesses;
}

void verdict_put_checkpoint(json_t *object, const struct policy *policy,
                            const struct policy_verdict *checkpoint)
{
    struct buf text = BUF_INIT(HASH_BASE64_CHARS + 1);
    base64_put_hash(&text, &checkpoint->checkpoint.root);
    json_object_set_new(object, "origin",
                        output_json_text(span_of_str(checkpoint->checkpoint.origin)));
    json_object_set_new(object, "size", json_integer((json_int_t)checkpoint->checkpoint.size));
    json_object_set_new(object, "root", output_json_text(buf_span(&text)));
    buf_clear(&text);
    json_object_set_new(object, "witnesses", witnesses_json(policy, checkpoint));
    json_object_set_new(object, "bad_signatures",
                        json_integer((json_int_t)checkpoint->bad_signatures));
    put_rule(&text, policy);
    json_object_set_new(object, "quorum", output_json_text(buf_span(&text)));
    buf_clear(&text);
    json_object_set_new(object, "quorum_met", json_boolean(checkpoint->is_met));
    json_object_set_new(object, "f", json_integer((json_int_t)policy_f(policy)));
}

json_t *verdict_json(enum verdict verdict, const struct policy *policy)
{
    json_t *object = json_object();
    json_object_set_new(object, "verdict", json_string(verdict_text(verdict, policy)));
    json_object_set_new(object, "ok", json_boolean(verdict == VERDICT_PASS));
    json_object_set_new(object, "policy_sha256", output_json_hex(hash_span(policy_hash(policy))));
    return object;
}

int verdict_fail(const struct output *output, enum verdict verdict, const struct policy *policy,
                 const struct err *why)
{
    if (output->is_json) {
        json_t *object = verdict_json(verdict, policy);
        json_object_set_new(object, "detail", output_json_text(span_of_str(why->msg)));
        output_json(object);
    } else {
        printf("%s\n", verdict_text(verdict, policy));
        print_clean("because", span_of_str(why->msg));
    }
    return verdict_exit_code(verdict);
}
