#include "cli/record.h"

#include "base/file.h"
#include "record/disclosure.h"
#include "tlog/receipt.h"

#include <stdio.h>
#include <stdlib.h>

struct request {
    struct output output;
    const char *payload_key, *payload, *fields, *proof, *registration, *registration_proof, *out;
    bool opens_document;
    uint32_t opened;
};

/* "debtor,amount"; false after a usage error. */
static bool parse_fields(struct request *request, int *code)
{
    struct span rest = span_of_str(request->fields), name;
    while (rest.len > 0) {
        unsigned number = 0;
        if (!span_take_until(&rest, ',', &name)) {
            name = rest;
            rest = span_of(NULL, 0);
        }
        if (!field_parse_name(&number, name)) {
            *code = command_usage_error(&record_disclose_command,
                                        "--fields: '%.*s' is no field (docs/record.md)",
                                        SPAN_PRINTF(name));
            return false;
        }
        request->opened |= UINT32_C(1) << number;
    }
    return true;
}

/* A file that cannot be one is refused now, not by whoever gets the disclosure. */
static enum err_code read_proof(struct buf *out, const char *path, struct err *err)
{
    struct receipt receipt;
    if (path == NULL) {
        return E_OK;
    }
    enum err_code rc = command_read_file(out, path, err);
    if (rc == E_OK && (rc = receipt_parse(&receipt, buf_span(out), err)) != E_OK) {
        return err_wrap(err, "%s", path);
    }
    if (rc == E_OK) {
        receipt_clear(&receipt);
    }
    return rc;
}

static enum err_code make(struct disclosure *out, const struct request *request,
                          const struct payload *payload, struct err *err)
{
    struct buf proof = BUF_INIT(PROOF_FILE_BYTES_MAX);
    enum err_code rc = read_proof(&proof, request->proof, err);
    if (rc == E_OK) {
        disclosure_make(out, payload, request->opened, request->opens_document, buf_span(&proof));
        rc = read_proof(&out->registration_proof, request->registration_proof, err);
    }
    if (rc == E_OK && request->registration != NULL) {
        rc = command_read_file(&out->registration, request->registration, err);
    }
    buf_clear(&proof);
    return rc;
}

static enum err_code write_file(const struct disclosure *disclosure, const char *path,
                                struct err *err)
{
    struct buf json = BUF_INIT(DISCLOSURE_BYTES_MAX + DISCLOSURE_BYTES_MAX / 2);
    disclosure_put(&json, disclosure);
    enum err_code rc = json.len > DISCLOSURE_BYTES_MAX
                           ? err_set(err, E_TOO_LARGE, "the proofs make the disclosure too large")
                           : file_create(path, 0600, buf_span(&json), err);
    record_wipe(&json);
    return rc;
}

/* Always said: whoever discloses must know what the other will read. */
static void print(const struct request *request, const struct disclosure *disclosure)
{
    json_t *object = json_object(), *opened = json_array(), *hidden = json_array();
    for (unsigned i = 0; i < FIELDS; i++) {
        bool is_opened = (disclosure->opened >> i & 1) != 0;
        json_array_append_new(is_opened ? opened : hidden, json_string(field_definition(i)->name));
    }
    if (request->output.is_json) {
        json_object_set_new(object, "file", output_json_text(span_of_str(request->out)));
        json_object_set_new(object, "opened", opened);
        json_object_set_new(object, "hidden", hidden);
        json_object_set_new(object, "document", json_boolean(disclosure->has_document));
        json_object_set_new(object, "proof", json_boolean(disclosure->proof.len > 0));
        output_json(object);
        return;
    }
    size_t i;
    json_t *name;
    printf("opened:");
    json_array_foreach(opened, i, name)
    {
        printf(" %s", json_string_value(name));
    }
    printf("%s\n", disclosure->has_document ? ", and the document's digest" : "");
    if (disclosure->proof.len == 0) {
        printf("no tlog-proof in it: it does not show that the record is on a log\n");
    }
    json_decref(opened);
    json_decref(hidden);
    json_decref(object);
}

static int disclose(const struct request *request)
{
    struct payload payload;
    struct disclosure disclosure;
    struct err err;
    disclosure_init(&disclosure);
    enum err_code rc = record_read_payload(&payload, request->payload, request->payload_key, &err);
    if (rc == E_OK) {
        rc = make(&disclosure, request, &payload, &err);
    }
    if (rc == E_OK) {
        rc = write_file(&disclosure, request->out, &err);
    }
    if (rc == E_OK) {
        print(request, &disclosure);
    }
    disclosure_clear(&disclosure);
    payload_clear(&payload);
    return rc == E_OK ? OUTPUT_DONE : output_failed(&request->output, &err);
}

static int run(int argc, char **argv)
{
    struct request request = { .fields = "" };
    const struct command_option options[] = {
        { .name = "payload-key",
          .argument = "FILE",
          .help = "what the payload is kept under",
          .text = &request.payload_key,
          .is_required = true },
        { .name = "fields",
          .argument = "A,B,...",
          .help = "fields to open, beside the material ones of the kind",
          .text = &request.fields },
        { .name = "document",
          .help = "open the commitment to the document too",
          .flag = &request.opens_document },
        { .name = "proof",
          .argument = "FILE",
          .help = "the record's tlog-proof (its receipt, or from courtroll prove)",
          .text = &request.proof },
        { .name = "registration",
          .argument = "ENTRY",
          .help = "the SUBMITTER entry that registered the submitter's key",
          .text = &request.registration },
        { .name = "registration-proof",
          .argument = "FILE",
          .help = "its tlog-proof",
          .text = &request.registration_proof },
        { .name = "out",
          .argument = "FILE",
          .help = "where the disclosure goes; never over an existing file",
          .text = &request.out,
          .is_required = true },
        COMMAND_OPTION_JSON(&request.output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &record_disclose_command, options, COMMAND_COUNT(options), argc, argv,
                       &code) ||
        !parse_fields(&request, &code)) {
        return code;
    }
    if ((request.registration != NULL) != (request.registration_proof != NULL)) {
        return command_usage_error(&record_disclose_command,
                                   "--registration and --registration-proof go together");
    }
    request.payload = line.operands[0];
    return disclose(&request);
}

const struct command record_disclose_command = {
    .name = "record disclose",
    .arguments = "--payload-key FILE [--fields A,B,...] [--document] [--proof FILE]\n"
                 "    [--registration ENTRY --registration-proof FILE] --out FILE PAYLOAD",
    .summary = "make a disclosure: a record with chosen fields opened",
    .text = "Opens the fields that are named, and always the material ones of the record's kind:\n"
            "what is left out stays hidden, and whoever verifies sees that it is. A disclosure\n"
            "cannot be taken back, and can be passed on by whoever has it.\n",
    .examples = "courtroll record disclose --payload-key payload.key --fields account "
                "--proof freeze.tlog-proof --out freeze.disclosure freeze.payload\n",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
