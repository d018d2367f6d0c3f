#include "cli/record.h"

#include <stdio.h>
#include <stdlib.h>

static json_t *field_json(const struct payload *payload, unsigned number)
{
    json_t *field = json_object();
    json_object_set_new(field, "name", json_string(field_definition(number)->name));
    if (payload->is_present[number]) {
        char *text = record_field_text(number, buf_span(&payload->values[number]));
        json_object_set_new(field, "value", json_string(text));
        free(text);
    } else {
        json_object_set_new(field, "value", json_null());
    }
    return field;
}

static void print_json(const struct payload *payload, const struct operation *operation)
{
    json_t *object = json_object(), *fields = json_array();
    struct hash leaf = merkle_leaf_hash(buf_span(&payload->record));
    for (unsigned i = 0; i < FIELDS; i++) {
        json_array_append_new(fields, field_json(payload, i));
    }
    json_object_set_new(object, "origin", output_json_text(span_of_str(payload->origin)));
    json_object_set_new(object, "leaf_hash", output_json_hex(hash_span(&leaf)));
    json_object_set_new(object, "entry_tag", output_json_hex(hash_span(&operation->entry_tag)));
    json_object_set_new(object, "kind", json_string(operation->kind->name));
    json_object_set_new(object, "vouched", json_boolean(operation->is_vouched));
    json_object_set_new(object, "document_sha256",
                        payload->has_document ? output_json_hex(hash_span(&payload->document))
                                              : json_null());
    json_object_set_new(object, "fields", fields);
    output_json(object);
}

static void add(struct output_table *table, const char *name, const char *value)
{
    const char *const cells[] = { name, value };
    output_table_add(table, cells);
}

static void add_hex(struct output_table *table, const char *name, struct span bytes)
{
    json_t *hex = output_json_hex(bytes);
    add(table, name, json_string_value(hex));
    json_decref(hex);
}

static void print_people(const struct payload *payload, const struct operation *operation)
{
    static const char *const headings[] = { "WHAT", "VALUE" };
    struct output_table *table = output_table_new(headings, COMMAND_COUNT(headings));
    struct hash leaf = merkle_leaf_hash(buf_span(&payload->record));
    char *origin = output_clean(span_of_str(payload->origin));
    add(table, "log", origin);
    free(origin);
    add(table, "record", operation->kind->name);
    add_hex(table, "leaf hash", hash_span(&leaf));
    add_hex(table, "entry tag", hash_span(&operation->entry_tag));
    if (!operation->is_sealed) {
        add(table, "performed", record_minute(operation->minute).text);
        add_hex(table, "submitter", SPAN_OF_ARRAY(operation->submitter.bytes));
    }
    if (payload->has_document) {
        add_hex(table, "document", hash_span(&payload->document));
    } else {
        add(table, "document", "none");
    }
    for (unsigned i = 0; i < FIELDS; i++) {
        if (payload->is_present[i]) {
            char *text = record_field_text(i, buf_span(&payload->values[i]));
            add(table, field_definition(i)->name, text);
            free(text);
        }
    }
    output_table_print(table);
}

static int run(int argc, char **argv)
{
    struct output output = { 0 };
    const char *key_path = NULL;
    const struct command_option options[] = {
        { .name = "payload-key",
          .argument = "FILE",
          .help = "what the payload is kept under",
          .text = &key_path,
          .is_required = true },
        COMMAND_OPTION_JSON(&output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &record_show_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    struct payload payload;
    struct operation operation = { 0 };
    struct err err;
    enum err_code rc = record_read_payload(&payload, line.operands[0], key_path, &err);
    if (rc == E_OK) {
        rc = operation_decode(&operation, buf_span(&payload.record), &err);
    }
    if (rc == E_OK && output.is_json) {
        print_json(&payload, &operation);
    } else if (rc == E_OK) {
        print_people(&payload, &operation);
    }
    operation_clear(&operation);
    payload_clear(&payload);
    return rc == E_OK ? OUTPUT_DONE : output_failed(&output, &err);
}

const struct command record_show_command = {
    .name = "record show",
    .arguments = "--payload-key FILE PAYLOAD",
    .summary = "print a payload",
    .text = "Decrypts the payload, checks that it opens the record in it, and prints every field\n"
            "that is there. What is printed is no longer protected: mind scrollback and logs.\n",
    .examples = "courtroll record show --payload-key payload.key filed.payload\n",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
