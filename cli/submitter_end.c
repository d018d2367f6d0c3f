/* submitter_end.c -- `courtroll submitter end`. */
#include "cli/submitter.h"

#include "base/ascii.h"
#include "store/key_file.h"

struct request {
    struct submitter_call call;
    const char *key_path, *id;
};

/* The key's own id, or the one given. */
static enum err_code find_id(struct submitter_id *out, struct signer *signer,
                             const struct request *request, struct err *err)
{
    if (request->key_path == NULL) {
        enum err_code rc =
            hex_decode(out->bytes, SUBMITTER_ID_BYTES, span_of_str(request->id), err);
        return rc == E_OK ? rc : err_wrap(err, "--id");
    }
    enum err_code rc = key_file_load(signer, request->key_path, err);
    if (rc == E_OK) {
        *out = submitter_id_make(&signer->vkey.key);
    }
    return rc;
}

static int end_key(struct request *request)
{
    struct err err;
    struct signer signer = { 0 };
    struct operation operation = { .kind = kind_find(KIND_SUBMITTER_END),
                                   .minute = submitter_minute(),
                                   .is_vouched = request->key_path == NULL };
    enum err_code rc = find_id(&operation.submitter, &signer, request, &err);
    int code = rc == E_MALFORMED ? OUTPUT_USAGE : OUTPUT_IO;
    if (rc == E_OK) {
        code = submitter_log(&request->call, &operation, signer.key);
    } else {
        output_error(&request->call.output, &err);
    }
    signer_clear(&signer);
    return code;
}

static int run(int argc, char **argv)
{
    struct request request = { 0 };
    const struct command_option options[] = {
        { .name = "key",
          .argument = "FILE",
          .help = "the submitter's key, which signs its own end",
          .text = &request.key_path },
        { .name = "id",
          .argument = "HEX",
          .help = "for the log's operator, with --log unix:PATH: the key's id,\n"
                  "when the key itself is lost or in other hands",
          .text = &request.id },
        SUBMITTER_OPTIONS(&request.call),
    };
    struct command_line line;
    int code = OUTPUT_DONE;
    if (!command_parse(&line, &submitter_end_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    if ((request.key_path == NULL) == (request.id == NULL)) {
        return command_usage_error(&submitter_end_command, "either --key or --id is needed");
    }
    code = submitter_check_log(&request.call, &submitter_end_command);
    return code == OUTPUT_DONE ? end_key(&request) : code;
}

const struct command submitter_end_command = {
    .name = "submitter end",
    .arguments = "--log LOG (--key FILE | --id HEX) [--origin ORIGIN]",
    .summary = "end a submitter's registration",
    .text = "From this entry on the log refuses records by that key. Prints \"index leaf-hash\".\n"
            "Exit code 4 when the log refused.\n",
    .examples = "courtroll submitter end --log localhost:6963 --key court.key\n",
    .run = run,
};
