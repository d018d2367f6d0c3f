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

struct dated {
    size_t witness;
    uint64_t time;
};

static int compare_times(const void *a, const void *b)
{
    const struct dated *left = a;
    const struct dated *right = b;
    return left->time < right->time ? -1 : left->time > right->time;
}

/* Witnesses are added in the order of their times until they are a quorum: the last one's time is
 * the latest in the quorum that has it least. */
bool verdict_time(const struct policy *policy, const struct policy_verdict *checkpoint,
                  uint64_t *seconds)
{
    struct dated dated[POLICY_KEYS_MAX];
    size_t count = 0;
    if (!policy_has_quorum(policy)) {
        return false;
    }
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        if (checkpoint->cosigned.has[i]) {
            dated[count++] = (struct dated){ i, checkpoint->timestamps[i] };
        }
    }
    qsort(dated, count, sizeof dated[0], compare_times);
    struct policy_set present = { { false } };
    for (size_t i = 0; i < count; i++) {
        present.has[dated[i].witness] = true;
        if (policy_is_met(policy, &present)) {
            *seconds = dated[i].time;
            return true;
        }
    }
    return false;
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

void verdict_print_checkpoint(const struct policy *policy, const struct policy_verdict *checkpoint)
{
    struct buf text;
    print_clean("log", span_of_str(checkpoint->checkpoint.origin));
    printf("  %-14s%ju entries\n", "size", (uintmax_t)checkpoint->checkpoint.size);
    buf_init(&text, HASH_BASE64_CHARS + 1);
    base64_put_hash(&text, &checkpoint->checkpoint.root);
    printf("  %-14s%s\n", "root", buf_c_str(&text));
    buf_clear(&text);
    const char *label = "witnesses";
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        if (checkpoint->cosigned.has[i]) {
            char *name = output_clean(span_of_str(policy_witness_at(policy, i)->name));
            printf("  %-14s%s at %s\n", label, name, output_time(checkpoint->timestamps[i]).text);
            free(name);
            label = "";
        }
    }
    if (*label != '\0') {
        printf("  %-14snone\n", label);
    }
    if (checkpoint->bad_signatures > 0) {
        printf("  %-14s%zu cosignature(s) of known witnesses do not verify\n", "warning",
               checkpoint->bad_signatures);
    }
    put_rule(&text, policy);
    print_clean("quorum", buf_span(&text));
    buf_reset(&text);
    hex_put(&text, hash_span(policy_hash(policy)));
    print_clean("policy", buf_span(&text));
    buf_clear(&text);
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
    json_t *witnesses = json_array();
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        if (checkpoint->cosigned.has[i]) {
            const struct policy_witness *witness = policy_witness_at(policy, i);
            json_t *one = json_object();
            json_object_set_new(one, "name", output_json_text(span_of_str(witness->name)));
            json_object_set_new(one, "key_name", output_json_text(span_of_str(witness->vkey.name)));
            json_object_set_new(one, "time", json_integer((json_int_t)checkpoint->timestamps[i]));
            json_object_set_new(one, "time_utc",
                                json_string(output_time(checkpoint->timestamps[i]).text));
            json_array_append_new(witnesses, one);
        }
    }
    json_object_set_new(object, "witnesses", witnesses);
    json_object_set_new(object, "bad_signatures",
                        json_integer((json_int_t)checkpoint->bad_signatures));
    put_rule(&text, policy);
    json_object_set_new(object, "quorum", output_json_text(buf_span(&text)));
    buf_clear(&text);
    json_object_set_new(object, "quorum_met", json_boolean(checkpoint->is_met));
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
