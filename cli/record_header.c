#include "cli/record_header.h"

#include "cli/record.h"
#include "record/operation.h"

#include <stdio.h>

/* A signature whose key is in the record is verified; others need the key, which a disclosure brings. Bytes of an
 * opaque log that happen to decode are no record when their signature is not for this log. */
static bool decode(struct operation *out, struct span entry, const char *origin)
{
    struct err err;
    if (operation_decode(out, entry, &err) != E_OK) {
        return false;
    }
    bool has_key = out->is_sealed || out->kind->number == KIND_SUBMITTER;
    if (has_key && operation_verify(out, entry, origin, &out->one_time_key, &err) != E_OK) {
        operation_clear(out);
        return false;
    }
    return true;
}

static json_t *header_json(const struct operation *operation)
{
    json_t *object = json_object();
    json_object_set_new(object, "kind", json_string(operation->kind->name));
    if (!operation->is_sealed && operation->kind->class != KIND_OF_LOG) {
        json_object_set_new(object, "performed",
                            json_string(record_minute(operation->minute).text));
        json_object_set_new(object, "court_tag",
                            output_json_hex(SPAN_OF_ARRAY(operation->court.bytes)));
        json_object_set_new(object, "submitter",
                            output_json_hex(SPAN_OF_ARRAY(operation->submitter.bytes)));
    }
    if (operation->kind->number == KIND_SUBMITTER) {
        json_object_set_new(object, "registers",
                            output_json_text(span_of_str(operation->registration.name)));
    }
    if (operation->has_commitments) {
        json_object_set_new(object, "entry_tag", output_json_hex(hash_span(&operation->entry_tag)));
    }
    json_object_set_new(object, "vouched", json_boolean(operation->is_vouched));
    return object;
}

json_t *record_header_json(struct span entry, const char *origin)
{
    struct operation operation;
    if (!decode(&operation, entry, origin)) {
        return NULL;
    }
    json_t *object = header_json(&operation);
    operation_clear(&operation);
    return object;
}

static void print_member(const json_t *header, const char *name, const char *label)
{
    const char *text = json_string_value(json_object_get(header, name));
    if (text != NULL) {
        printf("  %-14s%s\n", label, text);
    }
}

void record_header_print(struct span entry, const char *origin)
{
    json_t *header = record_header_json(entry, origin);
    if (header == NULL) {
        return;
    }
    print_member(header, "kind", "operation");
    print_member(header, "performed", "performed");
    print_member(header, "court_tag", "court tag");
    print_member(header, "submitter", "submitter");
    print_member(header, "registers", "registers");
    print_member(header, "entry_tag", "entry tag");
    if (json_is_true(json_object_get(header, "vouched"))) {
        printf("  %-14s%s\n", "warning", "sender vouched for by the log only");
    }
    json_decref(header);
}
