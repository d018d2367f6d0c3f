#include "tlog/policy.h"

#include "base/ascii.h"
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>

static const char *warning_of(const struct policy *policy)
{
    if (!policy_has_quorum(policy)) {
        return "no witness is asked for: everything rests on the log's word alone";
    }
    if (policy_f(policy) == 0) {
        return "two quorums may share no witness: an evil log can show two histories without the "
               "help of any witness";
    }
    if (policy_f(policy) == 1) {
        return "one evil witness is enough for an evil log to show two histories";
    }
    return NULL;
}

static json_t *text_or_null(const char *text)
{
    return text != NULL ? output_json_text(span_of_str(text)) : json_null();
}

static json_t *vkey_json(const struct vkey *vkey)
{
    struct buf text = BUF_INIT(VKEY_TEXT_MAX);
    vkey_put(&text, vkey);
    json_t *json = output_json_text(buf_span(&text));
    buf_clear(&text);
    return json;
}

static void print_json(const struct policy *policy, struct span rule)
{
    json_t *object = json_object();
    json_t *logs = json_array();
    json_t *witnesses = json_array();
    for (size_t i = 0; i < policy_log_count(policy); i++) {
        const struct policy_log *log = policy_log_at(policy, i);
        json_t *one = json_object();
        json_object_set_new(one, "origin", output_json_text(span_of_str(log->vkey.name)));
        json_object_set_new(one, "vkey", vkey_json(&log->vkey));
        json_object_set_new(one, "url", text_or_null(log->url));
        json_array_append_new(logs, one);
    }
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        const struct policy_witness *witness = policy_witness_at(policy, i);
        json_t *one = json_object();
        json_object_set_new(one, "name", output_json_text(span_of_str(witness->name)));
        json_object_set_new(one, "vkey", vkey_json(&witness->vkey));
        json_object_set_new(one, "url", text_or_null(witness->url));
        json_array_append_new(witnesses, one);
    }
    json_object_set_new(object, "sha256", output_json_hex(hash_span(policy_hash(policy))));
    json_object_set_new(object, "logs", logs);
    json_object_set_new(object, "witnesses", witnesses);
    json_object_set_new(object, "quorum", output_json_text(rule));
    json_object_set_new(object, "has_quorum", json_boolean(policy_has_quorum(policy)));
    json_object_set_new(object, "f", json_integer((json_int_t)policy_f(policy)));
    json_object_set_new(object, "may_be_down",
                        json_integer((json_int_t)policy_may_be_down(policy)));
    json_object_set_new(object, "warning", text_or_null(warning_of(policy)));
    output_json(object);
}

static void add_row(struct output_table *table, const char *kind, const char *name,
                    const struct vkey *vkey, const char *url)
{
    char id[9];
    snprintf(id, sizeof id, "%08x", (unsigned)vkey->id);
    char *cells[] = { output_clean(span_of_str(kind)), output_clean(span_of_str(name)),
                      output_clean(span_of_str(vkey->name)), output_clean(span_of_str(id)),
                      output_clean(span_of_str(url != NULL ? url : "-")) };
    output_table_add(table, (const char *const *)cells);
    for (size_t i = 0; i < COMMAND_COUNT(cells); i++) {
        free(cells[i]);
    }
}

static void print_people(const struct policy *policy, struct span rule)
{
    static const char *const headings[] = { "WHAT", "NAME", "KEY NAME", "KEY ID", "URL" };
    struct output_table *table = output_table_new(headings, COMMAND_COUNT(headings));
    for (size_t i = 0; i < policy_log_count(policy); i++) {
        const struct policy_log *log = policy_log_at(policy, i);
        add_row(table, "log", "-", &log->vkey, log->url);
    }
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        const struct policy_witness *witness = policy_witness_at(policy, i);
        add_row(table, "witness", witness->name, &witness->vkey, witness->url);
    }
    output_table_print(table);
    char *words = output_clean(rule);
    struct buf hex = BUF_INIT(2 * HASH_BYTES + 1);
    hex_put(&hex, hash_span(policy_hash(policy)));
    size_t f = policy_f(policy);
    printf("\nquorum       %s\n", words);
    printf("f            %zu: with fewer than %zu evil witnesses, any two quorums share an honest "
           "one\n",
           f, f);
    printf("may be down  %zu witness(es), whichever they are\n", policy_may_be_down(policy));
    printf("SHA-256      %s\n", buf_c_str(&hex));
    if (warning_of(policy) != NULL) {
        printf("warning      %s\n", warning_of(policy));
    }
    buf_clear(&hex);
    free(words);
}

static int run(int argc, char **argv)
{
    struct output output = { 0 };
    const struct command_option options[] = { COMMAND_OPTION_JSON(&output) };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &policy_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    struct policy *policy = NULL;
    struct err err;
    if (command_read_policy(&policy, line.operands[0], &err) != E_OK) {
        return command_policy_failed(&output, &err);
    }
    struct buf rule = BUF_INIT(4 * POLICY_BYTES_MAX);
    policy_put_rule(&rule, policy);
    if (output.is_json) {
        print_json(policy, buf_span(&rule));
    } else {
        print_people(policy, buf_span(&rule));
    }
    buf_clear(&rule);
    policy_free(policy);
    return OUTPUT_DONE;
}

const struct command policy_command = {
    .name = "policy",
    .arguments = "FILE",
    .summary = "explain a policy: who must have signed",
    .text = "Prints the logs and witnesses of a policy, its quorum in words, how many evil "
            "witnesses\nit withstands (fewer than f), how many may be down, and its SHA-256.\n",
    .examples = "courtroll policy court.policy\n"
                "courtroll policy --json court.policy\n",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
