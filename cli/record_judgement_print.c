#include "cli/record_judgement.h"

#include "base/ascii.h"

#include <stdlib.h>

static void print_line(const char *label, const char *text)
{
    printf("  %-14s%s\n", label, text);
}

static void print_hex(const char *label, struct span bytes)
{
    json_t *hex = output_json_hex(bytes);
    print_line(label, json_string_value(hex));
    json_decref(hex);
}

static void print_submitter(const struct record_judgement *judgement)
{
    struct submitter_id id = record_judgement_submitter(judgement);
    if (judgement->is_registered) {
        char *name = output_clean(span_of_str(judgement->registration.registration.name));
        printf("  %-14s%s, registered at index %ju; whether that was ended later is not in here\n",
               "submitter", name, (uintmax_t)judgement->registration_index);
        free(name);
        print_hex("", SPAN_OF_ARRAY(id.bytes));
    } else {
        print_hex("submitter", SPAN_OF_ARRAY(id.bytes));
        print_line("", judgement->says.operation.is_sealed
                           ? "nothing here shows that this submitter is registered, or that the "
                             "record is its own"
                           : "the key is not shown to be registered on the log");
    }
    if (judgement->says.is_vouched) {
        print_line("warning", "sender vouched for by the log only");
    }
}

static void print_document(const struct record_judgement *judgement)
{
    const struct disclosure *disclosure = &judgement->disclosure;
    if (!disclosure->has_document) {
        print_line("document", "hidden");
    } else if (!disclosure->is_document_present) {
        print_line("document", "none");
    } else {
        print_hex("document", hash_span(&disclosure->document));
        print_line("", judgement->has_document ? "which is the file" : "no file was compared");
    }
}

static void print_opened(const struct record_judgement *judgement)
{
    const char *label = "opened";
    uint32_t shown = judgement->says.opened & ~judgement->says.absent;
    for (unsigned i = 0; i < FIELDS; i++) {
        if ((shown >> i & 1) != 0) {
            char *text = record_field_text(i, buf_span(&judgement->disclosure.values[i]));
            printf("  %-14s%-14s %s\n", label, field_definition(i)->name, text);
            free(text);
            label = "";
        }
    }
}

static void print_names(const char *label, uint32_t fields)
{
    struct buf names = BUF_INIT(1024);
    for (unsigned i = 0; i < FIELDS; i++) {
        if ((fields >> i & 1) != 0) {
            buf_putf(&names, "%s%s", names.len > 0 ? ", " : "", field_definition(i)->name);
        }
    }
    print_line(label, names.len > 0 ? buf_c_str(&names) : "none");
    buf_clear(&names);
}

void record_judgement_print(const struct record_judgement *judgement, enum verdict verdict,
                            const struct policy *policy, const char *path)
{
    const struct operation *operation = &judgement->says.operation;
    printf("%s\n", verdict_text(verdict, policy));
    char *clean = output_clean(span_of_str(path));
    print_line("file", clean);
    free(clean);
    printf("  %-14s%ju\n", "index", (uintmax_t)judgement->index);
    verdict_print_checkpoint(policy, &judgement->checkpoint);
    if (verdict == VERDICT_PASS) {
        verdict_print_times(policy, &judgement->checkpoint);
    }
    printf("  %-14s%s%s\n", "kind", judgement->says.kind != NULL ? judgement->says.kind->name : "?",
           operation->is_sealed ? ", sealed" : "");
    if (!operation->is_sealed) {
        print_line("performed", record_minute(operation->minute).text);
    }
    print_hex("entry tag", hash_span(&operation->entry_tag));
    print_submitter(judgement);
    print_document(judgement);
    print_opened(judgement);
    print_names("absent", judgement->says.absent);
    print_names("hidden", judgement->says.hidden);
}

/* -- JSON -- */

static json_t *field_json(const struct record_judgement *judgement, unsigned number)
{
    json_t *field = json_object();
    const char *state = "opened";
    json_object_set_new(field, "name", json_string(field_definition(number)->name));
    if ((judgement->says.hidden >> number & 1) != 0) {
        state = "hidden";
    } else if ((judgement->says.absent >> number & 1) != 0) {
        state = "absent";
    } else {
        char *text = record_field_text(number, buf_span(&judgement->disclosure.values[number]));
        json_object_set_new(field, "value", json_string(text));
        free(text);
    }
    json_object_set_new(field, "state", json_string(state));
    return field;
}

static json_t *submitter_json(const struct record_judgement *judgement)
{
    struct submitter_id id = record_judgement_submitter(judgement);
    json_t *submitter = json_object();
    json_object_set_new(submitter, "id", output_json_hex(SPAN_OF_ARRAY(id.bytes)));
    json_object_set_new(submitter, "registered", json_boolean(judgement->is_registered));
    if (judgement->is_registered) {
        json_object_set_new(submitter, "name",
                            output_json_text(
                                span_of_str(judgement->registration.registration.name)));
        json_object_set_new(submitter, "index",
                            json_integer((json_int_t)judgement->registration_index));
    }
    return submitter;
}

static json_t *document_json(const struct record_judgement *judgement)
{
    const struct disclosure *disclosure = &judgement->disclosure;
    json_t *document = json_object();
    json_object_set_new(document, "state",
                        json_string(!disclosure->has_document          ? "hidden"
                                    : !disclosure->is_document_present ? "absent"
                                                                       : "opened"));
    if (disclosure->has_document && disclosure->is_document_present) {
        json_object_set_new(document, "sha256", output_json_hex(hash_span(&disclosure->document)));
    }
    json_object_set_new(document, "compared", json_boolean(judgement->has_document));
    return document;
}

void record_judgement_print_json(const struct record_judgement *judgement, enum verdict verdict,
                                 const struct policy *policy)
{
    const struct operation *operation = &judgement->says.operation;
    json_t *object = verdict_json(verdict, policy), *fields = json_array();
    for (unsigned i = 0; i < FIELDS; i++) {
        json_array_append_new(fields, field_json(judgement, i));
    }
    struct hash leaf = merkle_leaf_hash(buf_span(&judgement->disclosure.record));
    json_object_set_new(object, "index", json_integer((json_int_t)judgement->index));
    json_object_set_new(object, "leaf_hash", output_json_hex(hash_span(&leaf)));
    verdict_put_checkpoint(object, policy, &judgement->checkpoint);
    verdict_put_times(object, policy, &judgement->checkpoint);
    json_object_set_new(object, "kind",
                        judgement->says.kind != NULL ? json_string(judgement->says.kind->name)
                                                     : json_null());
    json_object_set_new(object, "sealed", json_boolean(operation->is_sealed));
    json_object_set_new(object, "performed",
                        operation->is_sealed ? json_null()
                                             : json_string(record_minute(operation->minute).text));
    json_object_set_new(object, "entry_tag", output_json_hex(hash_span(&operation->entry_tag)));
    json_object_set_new(object, "submitter", submitter_json(judgement));
    json_object_set_new(object, "vouched", json_boolean(judgement->says.is_vouched));
    json_object_set_new(object, "document", document_json(judgement));
    json_object_set_new(object, "fields", fields);
    output_json(object);
}
