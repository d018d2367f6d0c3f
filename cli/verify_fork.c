/* verify_fork.c -- `courtroll verify-fork`: is this file proof that a log showed two histories?
 *
 * Only signatures and hashes are believed, and only keys of the policy: whoever holds the policy comes
 * to the same verdict, without any network. */
#include "base/alloc.h"
#include "base/ascii.h"
#include "cli/command.h"
#include "tlog/evidence.h"

#include <stdio.h>
#include <stdlib.h>

enum outcome {
    OUTCOME_FORK,
    OUTCOME_NOT_PROVED,
    OUTCOME_BAD_SIGNATURE,
    OUTCOME_UNKNOWN_LOG,
    OUTCOME_MALFORMED,
};

static const char *outcome_text(enum outcome outcome)
{
    static const char *const texts[] = {
        [OUTCOME_FORK] = "FORK",
        [OUTCOME_NOT_PROVED] = "NOT PROVED",
        [OUTCOME_BAD_SIGNATURE] = "BAD SIGNATURE",
        [OUTCOME_UNKNOWN_LOG] = "UNKNOWN LOG",
        [OUTCOME_MALFORMED] = "MALFORMED",
    };
    return texts[outcome];
}

static enum outcome outcome_of(enum err_code code)
{
    switch (code) {
    case E_OK:
        return OUTCOME_FORK;
    case E_BAD_PROOF:
        return OUTCOME_NOT_PROVED;
    case E_BAD_SIGNATURE:
        return OUTCOME_BAD_SIGNATURE;
    case E_NOT_FOUND:
        return OUTCOME_UNKNOWN_LOG;
    default:
        return OUTCOME_MALFORMED;
    }
}

/* The policy's keys of one origin: a log may have several. */
struct log_keys {
    const struct vkey *keys[POLICY_KEYS_MAX];
    size_t count;
};

/* What the first note says it is about; nothing of it is believed before it is verified. */
static enum err_code find_keys(struct log_keys *out, const struct policy *policy, struct span bytes,
                               struct err *err)
{
    struct note note;
    struct checkpoint checkpoint;
    if (note_parse(&note, bytes, err) != E_OK) {
        return err->code;
    }
    enum err_code rc = checkpoint_parse(&checkpoint, note.text, err);
    note_clear(&note);
    if (rc != E_OK) {
        return rc;
    }
    for (size_t i = 0; i < policy_log_count(policy); i++) {
        const struct vkey *key = &policy_log_at(policy, i)->vkey;
        if (strcmp(key->name, checkpoint.origin) == 0) {
            out->keys[out->count++] = key;
        }
    }
    return out->count > 0 ? E_OK
                          : err_set(err, E_NOT_FOUND, "no log of the policy has the origin \"%s\"",
                                    checkpoint.origin);
}

/* "NAME+12345678", as in the vkey. */
static struct buf key_text(const struct vkey *key)
{
    struct buf text = BUF_INIT(KEY_NAME_BYTES_MAX + 16);
    buf_putf(&text, "%s+%08x", key->name, (unsigned)key->id);
    return text;
}

static json_t *checkpoint_json(const struct checkpoint *checkpoint, const struct vkey *key)
{
    json_t *object = json_object();
    struct buf root = BUF_INIT(HASH_BASE64_CHARS);
    struct buf text = key_text(key);
    base64_put_hash(&root, &checkpoint->root);
    json_object_set_new(object, "size", json_integer((json_int_t)checkpoint->size));
    json_object_set_new(object, "root", output_json_text(buf_span(&root)));
    json_object_set_new(object, "key", output_json_text(buf_span(&text)));
    buf_clear(&root);
    buf_clear(&text);
    return object;
}

static json_t *start_json(enum outcome outcome, const struct policy *policy)
{
    json_t *object = json_object();
    json_object_set_new(object, "verdict", json_string(outcome_text(outcome)));
    json_object_set_new(object, "ok", json_boolean(outcome == OUTCOME_FORK));
    json_object_set_new(object, "policy_sha256", output_json_hex(hash_span(policy_hash(policy))));
    return object;
}

static void print_fork_json(const struct evidence *evidence, const struct evidence_verdict *verdict,
                            const struct log_keys *keys, const struct policy *policy)
{
    json_t *object = start_json(OUTCOME_FORK, policy);
    struct buf root = BUF_INIT(HASH_BASE64_CHARS);
    base64_put_hash(&root, &verdict->contradicted);
    json_object_set_new(object, "kind", json_string(evidence_kind_text(evidence->kind)));
    json_object_set_new(object, "form", json_integer(evidence->has_proof ? 2 : 1));
    json_object_set_new(object, "origin",
                        output_json_text(span_of_str(verdict->checkpoints[0].origin)));
    json_object_set_new(
        object, "notes",
        json_pack("[o, o]", checkpoint_json(&verdict->checkpoints[0], keys->keys[verdict->keys[0]]),
                  checkpoint_json(&verdict->checkpoints[1], keys->keys[verdict->keys[1]])));
    json_object_set_new(object, "contradicting_root", output_json_text(buf_span(&root)));
    output_json(object);
    buf_clear(&root);
}

static void print_checkpoint(const char *label, const struct checkpoint *checkpoint)
{
    struct buf root = BUF_INIT(HASH_BASE64_CHARS + 1);
    base64_put_hash(&root, &checkpoint->root);
    printf("  %-14s%ju entries, root %s\n", label, (uintmax_t)checkpoint->size, buf_c_str(&root));
    buf_clear(&root);
}

/* The sentence that a court reads first: who has done it. */
static void print_holder(const struct vkey *first, const struct vkey *second)
{
    struct buf one = key_text(first);
    struct buf other = key_text(second);
    char *clean_one = output_clean(buf_span(&one));
    char *clean_other = output_clean(buf_span(&other));
    if (vkey_is_equal(first, second)) {
        printf("FORK  the holder of key %s signed both\n", clean_one);
    } else {
        printf("FORK  the holders of keys %s and %s signed one each\n", clean_one, clean_other);
    }
    free(clean_one);
    free(clean_other);
    buf_clear(&one);
    buf_clear(&other);
}

static void print_policy(const struct policy *policy)
{
    struct buf hex = BUF_INIT(2 * HASH_BYTES + 1);
    hex_put(&hex, hash_span(policy_hash(policy)));
    printf("  %-14s%s\n", "policy", buf_c_str(&hex));
    buf_clear(&hex);
}

static void print_fork(const struct evidence *evidence, const struct evidence_verdict *verdict,
                       const struct log_keys *keys, const struct policy *policy)
{
    const struct checkpoint *first = &verdict->checkpoints[0];
    const struct checkpoint *second = &verdict->checkpoints[1];
    char *origin = output_clean(span_of_str(first->origin));
    print_holder(keys->keys[verdict->keys[0]], keys->keys[verdict->keys[1]]);
    printf("  %-14s%s\n", "log", origin);
    print_checkpoint("first", first);
    print_checkpoint("second", second);
    if (evidence->has_proof) {
        struct checkpoint prefix = { .size = first->size, .root = verdict->contradicted };
        print_checkpoint("but", &prefix);
        printf("  %-14sform 2: the second's first %ju entries are not those of the first\n",
               "proof", (uintmax_t)first->size);
    } else {
        printf("  %-14sform 1: one size, two roots\n", "proof");
    }
    print_policy(policy);
    free(origin);
}

static int print_failure(const struct output *output, const struct policy *policy,
                         const struct err *err)
{
    enum outcome outcome = outcome_of(err->code);
    if (output->is_json) {
        json_t *object = start_json(outcome, policy);
        json_object_set_new(object, "detail", output_json_text(span_of_str(err->msg)));
        output_json(object);
    } else {
        char *why = output_clean(span_of_str(err->msg));
        printf("%s\n  %-14s%s\n", outcome_text(outcome), "because", why);
        print_policy(policy);
        free(why);
    }
    return OUTPUT_VERDICT;
}

static int judge(const struct output *output, const struct policy *policy, struct span bytes)
{
    struct err err;
    struct log_keys keys = { .count = 0 };
    struct evidence *evidence = NEW(struct evidence);
    struct evidence_verdict *verdict = NEW(struct evidence_verdict);
    enum err_code rc = evidence_parse(evidence, bytes, &err);
    if (rc == E_OK) {
        rc = find_keys(&keys, policy, evidence->notes[0], &err);
    }
    if (rc == E_OK) {
        rc = evidence_verify(evidence, keys.keys, keys.count, verdict, &err);
    }
    int code = OUTPUT_DONE;
    if (rc != E_OK) {
        code = print_failure(output, policy, &err);
    } else if (output->is_json) {
        print_fork_json(evidence, verdict, &keys, policy);
    } else {
        print_fork(evidence, verdict, &keys, policy);
    }
    mem_free(evidence);
    mem_free(verdict);
    return code;
}

static int run(int argc, char **argv)
{
    struct output output = { 0 };
    const char *policy_path = NULL;
    const struct command_option options[] = {
        { .name = "policy",
          .argument = "P",
          .help = "the policy: the keys of the log",
          .text = &policy_path,
          .is_required = true },
        COMMAND_OPTION_JSON(&output),
    };
    struct command_line line;
    int code = OUTPUT_DONE;
    if (!command_parse(&line, &verify_fork_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    struct policy *policy = NULL;
    struct err err;
    if (command_read_policy(&policy, policy_path, &err) != E_OK) {
        return command_policy_failed(&output, &err);
    }
    struct buf bytes = BUF_INIT(EVIDENCE_BYTES_MAX);
    enum err_code rc = command_read_file(&bytes, line.operands[0], &err);
    if (rc == E_OK) {
        code = judge(&output, policy, buf_span(&bytes));
    } else {
        code =
            rc == E_TOO_LARGE ? print_failure(&output, policy, &err) : output_failed(&output, &err);
    }
    buf_clear(&bytes);
    policy_free(policy);
    return code;
}

const struct command verify_fork_command = {
    .name = "verify-fork",
    .arguments = "FILE --policy P",
    .summary = "verify proof that a log showed two histories, offline",
    .text =
        "FILE is evidence that a witness or a monitor kept: two checkpoints that contradict each\n"
        "other, both signed by keys of one log. No network is used, and nothing is believed but\n"
        "the keys of the policy. The first words are\n"
        "  FORK            proved; then who signed, and what (exit status 0)\n"
        "  NOT PROVED      both are signed, but they do not contradict each other\n"
        "  BAD SIGNATURE   a note is not signed by a key of that log alone\n"
        "  UNKNOWN LOG     the policy does not list the log\n"
        "  MALFORMED       the file is no evidence\n"
        "\n"
        "It proves that the holder of the key signed both. It does not prove who shows only\n"
        "one of the two, nor which is the right one.\n",
    .examples = "courtroll verify-fork fork.evidence --policy court.policy\n",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
