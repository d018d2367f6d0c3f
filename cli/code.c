/* The normal path is: parse the proof for its log and index, the salt if there is one, and print. Nothing is verified
 * here: a code says where to look, and whoever looks there verifies. */
#include "base/ascii.h"
#include "cli/command.h"
#include "cli/deposit.h"
#include "cli/deposit_code.h"
#include "cli/deposit_qr.h"
#include "tlog/note.h"
#include "tlog/receipt.h"

#include <stdio.h>

struct request {
    struct output output;
    const char *proof, *salt, *address, *qr;
};

static enum err_code read_origin(char origin[static ORIGIN_BYTES_MAX + 1], uint64_t *index,
                                 struct span proof, struct err *err)
{
    struct receipt receipt;
    struct note note;
    struct checkpoint checkpoint;
    enum err_code rc = receipt_parse(&receipt, proof, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = note_parse(&note, receipt.note, err);
    if (rc == E_OK) {
        rc = checkpoint_parse(&checkpoint, note.text, err);
        note_clear(&note);
    }
    if (rc == E_OK) {
        memcpy(origin, checkpoint.origin, sizeof checkpoint.origin);
        *index = receipt.index;
    }
    receipt_clear(&receipt);
    return rc;
}

static enum err_code read_salt(uint8_t salt[static DEPOSIT_SALT_BYTES], const char *path,
                               struct err *err)
{
    struct buf text = BUF_INIT(64);
    enum err_code rc = command_read_file(&text, path, err);
    struct span hex = buf_span(&text);
    if (rc == E_OK && span_has_suffix(hex, span_of_str("\n"))) {
        hex.len--;
    }
    if (rc == E_OK && hex_decode(salt, DEPOSIT_SALT_BYTES, hex, err) != E_OK) {
        rc = err_set(err, E_MALFORMED, "%s: not 32 hex digits", path);
    }
    crypto_wipe_buf(&text);
    return rc;
}

static enum err_code make(struct deposit_code *out, const struct request *request, struct err *err)
{
    char origin[ORIGIN_BYTES_MAX + 1];
    uint64_t index = 0;
    uint8_t salt[DEPOSIT_SALT_BYTES];
    struct buf proof = BUF_INIT(PROOF_FILE_BYTES_MAX);
    enum err_code rc = command_read_file(&proof, request->proof, err);
    rc = rc != E_OK ? rc : read_origin(origin, &index, buf_span(&proof), err);
    if (rc == E_OK && request->salt != NULL) {
        rc = read_salt(salt, request->salt, err);
    }
    if (rc == E_OK) {
        *out = deposit_code_make(origin, index, request->salt != NULL ? salt : NULL);
    }
    crypto_wipe(salt, sizeof salt);
    buf_clear(&proof);
    return rc;
}

static enum err_code print_qr(const struct request *request, struct span text, struct err *err)
{
    struct deposit_qr qr;
    struct buf out = BUF_INIT(1024 * 1024);
    enum err_code rc = deposit_qr_make(&qr, text, err);
    if (rc == E_OK && strcmp(request->qr, "svg") == 0) {
        deposit_qr_put_svg(&out, &qr, "QR code: the code of the document");
        buf_put_u8(&out, '\n');
    } else if (rc == E_OK) {
        deposit_qr_put_utf8(&out, &qr);
    }
    fwrite(out.data, 1, out.len, stdout);
    crypto_wipe_buf(&out);
    crypto_wipe(&qr, sizeof qr);
    return rc;
}

static int print(const struct request *request, const struct deposit_code *code)
{
    struct err err;
    enum err_code rc = E_OK;
    struct buf text = BUF_INIT(DEPOSIT_LINK_BYTES_MAX + 1);
    struct buf number = BUF_INIT(DEPOSIT_NUMBER_BYTES_MAX + 1);
    if (request->address != NULL) {
        deposit_code_put_link(&text, code, span_of_str(request->address));
    } else {
        deposit_code_put(&text, code);
    }
    deposit_code_put_number(&number, code);
    if (request->qr != NULL) {
        rc = print_qr(request, buf_span(&text), &err);
    } else if (request->output.is_json) {
        json_t *object = json_object();
        json_object_set_new(object, "deposit_number", json_string(buf_c_str(&number)));
        json_object_set_new(object, "code", json_string(buf_c_str(&text)));
        output_json(object);
    } else {
        printf("%s\n", buf_c_str(&text));
    }
    crypto_wipe_buf(&text);
    buf_clear(&number);
    return rc == E_OK ? OUTPUT_DONE : output_failed(&request->output, &err);
}

static int run(int argc, char **argv)
{
    struct request request = { .proof = NULL };
    const struct command_option options[] = {
        { .name = "proof",
          .argument = "FILE.tlog-proof",
          .help = "of the entry",
          .text = &request.proof,
          .is_required = true },
        { .name = "salt-file",
          .argument = "FILE",
          .help = "of a record: 32 hex digits, the salt of its document's commitment",
          .text = &request.salt },
        { .name = "address",
          .argument = "https://HOST",
          .help = "of the verification page: makes a link",
          .text = &request.address },
        { .name = "qr",
          .argument = "svg|utf8",
          .help = "print it as a QR code instead",
          .text = &request.qr },
        COMMAND_OPTION_JSON(&request.output),
    };
    struct command_line line;
    struct deposit_code deposit_code;
    struct err err;
    int code = 0;
    if (!command_parse(&line, &code_command, options, COMMAND_COUNT(options), argc, argv, &code)) {
        return code;
    }
    if (request.address != NULL &&
        deposit_address_check(span_of_str(request.address), &err) != E_OK) {
        return command_usage_error(&code_command, "%s", err.msg);
    }
    if (request.qr != NULL && strcmp(request.qr, "svg") != 0 && strcmp(request.qr, "utf8") != 0) {
        return command_usage_error(&code_command, "--qr is svg or utf8");
    }
    if (make(&deposit_code, &request, &err) != E_OK) {
        return output_failed(&request.output, &err);
    }
    code = print(&request, &deposit_code);
    crypto_wipe(&deposit_code, sizeof deposit_code);
    return code;
}

const struct command code_command = {
    .name = "code",
    .arguments = "--proof FILE.tlog-proof [--salt-file FILE] [--address https://HOST]\n"
                 "    [--qr svg|utf8]",
    .summary = "print the code that goes on a document, as text or QR code",
    .text =
        "The code says which log, which entry, and, of an operation record, the salt that opens\n"
        "its commitment to the document. With --address it is a link to a verification page, in\n"
        "whose fragment the code is: no server is told it. Whoever has it can find the entry:\n"
        "put it on the document, nowhere else. Nothing is verified here.\n",
    .examples =
        "courtroll code --proof order.tlog-proof --address https://verify.court.example --qr svg\n",
    .operands_min = 0,
    .operands_max = 0,
    .run = run,
};
