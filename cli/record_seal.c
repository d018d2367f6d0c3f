/* The normal path is: read keys and draft, compose, then write the payload first, synced: a record that is on a log
 * without its payload could never be opened. */
#include "cli/record.h"

#include "base/file.h"
#include "client/case_key_file.h"
#include "store/key_file.h"
#include "store/sealed_file.h"
#include "tlog/checkpoint.h"

#include <stdio.h>

struct request {
    struct output output;
    const char *origin, *case_key, *submitter_key, *payload_key, *unseal, *draft;
    const char *out_entry, *out_payload, *out_certificate;
    const char *cipher_name;
    enum cipher cipher;
    uint64_t number;
    bool is_vouched;
};

/* What is read, all of it to be wiped. */
struct inputs {
    struct case_key case_key;
    struct signer submitter;
    struct sealed_key payload_key;
    struct draft draft;
    bool has_sealed;
    struct payload sealed; /* what UNSEAL opens */
};

static enum err_code read_draft(struct draft *out, const char *path, struct err *err)
{
    struct buf json = BUF_INIT(DRAFT_BYTES_MAX);
    (void)buf_extend(&json, DRAFT_BYTES_MAX); /* at once: growing would leave copies */
    buf_reset(&json);
    enum err_code rc = command_read_file(&json, path, err);
    if (rc == E_OK && (rc = draft_parse(out, buf_span(&json), err)) != E_OK) {
        rc = err_wrap(err, "draft");
    }
    record_wipe(&json);
    return rc;
}

static enum err_code read_inputs(struct inputs *in, const struct request *request, struct err *err)
{
    enum err_code rc = case_key_file_load(&in->case_key, request->case_key, err);
    if (rc == E_OK) {
        rc = key_file_load(&in->submitter, request->submitter_key, err);
    }
    if (rc == E_OK) {
        rc = vkey_require_type(&in->submitter.vkey, SIGNATURE_ED25519, err);
    }
    if (rc == E_OK) {
        rc = sealed_key_load(&in->payload_key, request->payload_key, err);
    }
    if (rc == E_OK) {
        rc = read_draft(&in->draft, request->draft, err);
    }
    const char *unseal = request->unseal != NULL ? request->unseal : in->draft.unseal;
    if (rc == E_OK && *unseal != '\0') {
        rc = record_read_payload(&in->sealed, unseal, request->payload_key, err);
        in->has_sealed = rc == E_OK;
    }
    return rc;
}

static void clear_inputs(struct inputs *in)
{
    case_key_wipe(&in->case_key);
    signer_clear(&in->submitter);
    crypto_wipe(&in->payload_key, sizeof in->payload_key);
    draft_clear(&in->draft);
    payload_clear(&in->sealed);
}

static enum err_code compose(struct payload *out, const struct inputs *in,
                             const struct request *request, struct err *err)
{
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    crypto_random(random, sizeof random);
    const struct composition how = {
        .origin = request->origin,
        .case_key = &in->case_key,
        .submitter_key = in->submitter.key,
        .submitter_public = in->submitter.vkey.key,
        .number = request->number,
        .is_vouched = request->is_vouched,
        .sealed = in->has_sealed ? &in->sealed : NULL,
        .random = random,
    };
    enum err_code rc = payload_compose(out, &in->draft, &how, err);
    crypto_wipe(random, sizeof random);
    return rc;
}

static enum err_code write_payload(const struct payload *payload, const struct inputs *in,
                                   const struct request *request, struct err *err)
{
    struct buf json = BUF_INIT(PAYLOAD_BYTES_MAX);
    payload_put(&json, payload);
    enum err_code rc = sealed_file_write(request->out_payload, request->cipher, &in->payload_key,
                                         buf_span(&json), err);
    record_wipe(&json);
    return rc;
}

static enum err_code write_outputs(const struct payload *payload, const struct inputs *in,
                                   const struct request *request, struct err *err)
{
    enum err_code rc = write_payload(payload, in, request, err);
    if (rc == E_OK && payload->has_certificate && request->out_certificate != NULL) {
        struct buf certificate = BUF_INIT(CERTIFICATE_BYTES);
        certificate_put(&certificate, &payload->certificate);
        rc = file_create(request->out_certificate, 0600, buf_span(&certificate), err);
        record_wipe(&certificate);
    }
    return rc == E_OK ? file_create(request->out_entry, 0600, buf_span(&payload->record), err) : rc;
}

static enum err_code check_outputs(const struct request *request, struct err *err)
{
    enum err_code rc = record_check_absent(request->out_payload, err);
    if (rc == E_OK) {
        rc = record_check_absent(request->out_entry, err);
    }
    return rc == E_OK ? record_check_absent(request->out_certificate, err) : rc;
}

static void print(const struct request *request, const struct payload *payload,
                  const struct kind *kind)
{
    struct hash leaf = merkle_leaf_hash(buf_span(&payload->record));
    struct hash tag = { { 0 } };
    (void)operation_peek_tag(&tag, buf_span(&payload->record)); /* it is of a case */
    json_t *object = json_object();
    json_object_set_new(object, "leaf_hash", output_json_hex(hash_span(&leaf)));
    json_object_set_new(object, "entry_tag", output_json_hex(hash_span(&tag)));
    json_object_set_new(object, "number", json_integer((json_int_t)request->number));
    json_object_set_new(object, "kind", json_string(kind->name));
    json_object_set_new(object, "sealed", json_boolean(payload->has_certificate));
    json_object_set_new(object, "bytes", json_integer((json_int_t)payload->record.len));
    if (request->output.is_json) {
        output_json(object);
        return;
    }
    printf("%s\n", json_string_value(json_object_get(object, "leaf_hash")));
    json_decref(object);
}

static int make(const struct request *request)
{
    struct inputs in = { .submitter = { .key = NULL } };
    struct payload payload;
    struct err err;
    payload_init(&in.sealed);
    payload_init(&payload);
    enum err_code rc = check_outputs(request, &err);
    if (rc == E_OK) {
        rc = read_inputs(&in, request, &err);
    }
    if (rc == E_OK && in.draft.is_sealed && request->out_certificate == NULL) {
        rc = err_set(&err, E_MALFORMED,
                     "a sealed record needs its certificate at the gate: give --out-certificate");
    }
    if (rc == E_OK) {
        rc = compose(&payload, &in, request, &err);
    }
    if (rc == E_OK) {
        rc = write_outputs(&payload, &in, request, &err);
    }
    if (rc == E_OK) {
        print(request, &payload, in.draft.kind);
    }
    payload_clear(&payload);
    clear_inputs(&in);
    return rc == E_OK ? OUTPUT_DONE : output_failed(&request->output, &err);
}

/* False after a usage error. */
static bool check_request(struct request *request, int *code)
{
    request->cipher = CIPHER_AES_256_GCM;
    if (request->cipher_name != NULL && strcmp(request->cipher_name, "sm4-gcm") == 0) {
        request->cipher = CIPHER_SM4_GCM;
    } else if (request->cipher_name != NULL && strcmp(request->cipher_name, "aes-256-gcm") != 0) {
        *code = command_usage_error(&record_seal_command,
                                    "--cipher '%s' is neither aes-256-gcm nor sm4-gcm",
                                    request->cipher_name);
        return false;
    }
    if (!origin_is_valid(span_of_str(request->origin))) {
        *code = command_usage_error(&record_seal_command, "--origin '%s' is no log's origin",
                                    request->origin);
        return false;
    }
    return true;
}

static int run(int argc, char **argv)
{
    struct request request = { .origin = NULL };
    const struct command_option options[] = {
        { .name = "origin",
          .argument = "ORIGIN",
          .help = "of the log that it is for; no other log takes it",
          .text = &request.origin,
          .is_required = true },
        { .name = "case-key",
          .argument = "FILE",
          .help = "the key of the case (courtroll case new-key)",
          .text = &request.case_key,
          .is_required = true },
        { .name = "submitter-key",
          .argument = "FILE",
          .help = "who signs (courtroll keygen --type submitter)",
          .text = &request.submitter_key,
          .is_required = true },
        { .name = "payload-key",
          .argument = "FILE",
          .help = "what the payload is kept under (courtroll record new-key)",
          .text = &request.payload_key,
          .is_required = true },
        { .name = "number",
          .argument = "N",
          .help = "of the operation in its case, by this submitter: from 0, without gaps",
          .number = &request.number,
          .is_required = true },
        { .name = "unseal",
          .argument = "PAYLOAD",
          .help = "for UNSEAL: the payload of the sealed record, under the same key\n[the draft's "
                  "\"unseal\"]",
          .text = &request.unseal },
        { .name = "vouched",
          .help = "do not sign: the log vouches for the sender (submitter-signature = channel)",
          .flag = &request.is_vouched },
        { .name = "cipher",
          .argument = "NAME",
          .help = "aes-256-gcm or, where OpenSSL has it, sm4-gcm [aes-256-gcm]",
          .text = &request.cipher_name },
        { .name = "out-entry",
          .argument = "FILE",
          .help = "where the record goes: the entry to be logged",
          .text = &request.out_entry,
          .is_required = true },
        { .name = "out-payload",
          .argument = "FILE",
          .help = "where the sealed payload goes: keep it",
          .text = &request.out_payload,
          .is_required = true },
        { .name = "out-certificate",
          .argument = "FILE",
          .help = "of a sealed record: where its certificate goes, which the gate asks for",
          .text = &request.out_certificate },
        COMMAND_OPTION_JSON(&request.output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &record_seal_command, options, COMMAND_COUNT(options), argc, argv,
                       &code) ||
        !check_request(&request, &code)) {
        return code;
    }
    request.draft = line.operands[0];
    return make(&request);
}

const struct command record_seal_command = {
    .name = "record seal",
    .arguments = "--origin ORIGIN --case-key FILE --submitter-key FILE --payload-key FILE\n"
                 "    --number N [--unseal PAYLOAD] [--vouched] [--cipher NAME] --out-entry FILE\n"
                 "    --out-payload FILE [--out-certificate FILE] DRAFT.json",
    .summary = "make a signed record and its payload",
    .text = "Reads an operation as JSON (docs/record.md, \"Draft\"; - is stdin), commits to its\n"
            "fields under fresh salts, signs the record, and writes it with its payload, which is\n"
            "encrypted. Prints the leaf hash. Nothing is sent, and no file is written over.\n"
            "Give every operation of a case the next number, whatever becomes of it: two records\n"
            "of one number are two records of one entry tag, of which a log takes the first.\n",
    .examples = "courtroll record seal --origin log.court.example/2026 --case-key case.key "
                "--submitter-key submitter.key --payload-key payload.key --number 0 "
                "--out-entry filed.entry --out-payload filed.payload filed.json\n",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
