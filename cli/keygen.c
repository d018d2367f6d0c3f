#include "base/file.h"
#include "cli/command.h"
#include "tlog/checkpoint.h"
#include "tlog/vkey.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static const char promise_suffix[] = "/promise";

struct key_type {
    const char *name;
    enum signature_type type;
};

static const struct key_type types[] = {
    { "log", SIGNATURE_ED25519 },         { "promise", SIGNATURE_ED25519 },
    { "witness", SIGNATURE_COSIGNATURE }, { "submitter", SIGNATURE_ED25519 },
    { "monitor", SIGNATURE_ED25519 },
};

static const struct key_type *find_type(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT(types); i++) {
        if (strcmp(types[i].name, name) == 0) {
            return &types[i];
        }
    }
    return NULL;
}

/* NULL when the name is right for the type, else what is wrong. */
static const char *name_problem(const struct key_type *type, const char *name)
{
    struct span span = span_of_str(name);
    bool is_promise = strcmp(type->name, "promise") == 0;
    bool has_suffix =
        span.len > strlen(promise_suffix) && span_has_suffix(span, span_of_str(promise_suffix));
    if (!key_name_is_valid(span)) {
        return "a key's name is 1 to 255 bytes of UTF-8 without blanks, control characters and "
               "'+', such as log.example.org/2026";
    }
    if (is_promise && !has_suffix) {
        return "a promise key is named after its log: ORIGIN/promise";
    }
    if (!is_promise && has_suffix) {
        return "names that end in /promise are for promise keys";
    }
    if (strcmp(type->name, "log") == 0 && !origin_is_valid(span)) {
        return "a log's key has the log's origin as its name, which this cannot be";
    }
    return NULL;
}

static enum err_code write_files(const struct signer *signer, const char *path,
                                 const char *vkey_path, struct err *err)
{
    if (access(path, F_OK) == 0 || access(vkey_path, F_OK) == 0) {
        return err_set(err, E_EXISTS, "%s exists and is left as it is: choose another --out",
                       access(path, F_OK) == 0 ? path : vkey_path);
    }
    struct buf secret = BUF_INIT(1024);
    struct buf vkey = BUF_INIT(1024);
    signer_put(&secret, signer);
    vkey_put(&vkey, &signer->vkey);
    buf_put_str(&vkey, "\n");
    enum err_code rc = file_create(path, 0600, buf_span(&secret), err);
    if (rc == E_OK) {
        rc = file_create(vkey_path, 0644, buf_span(&vkey), err);
    }
    crypto_wipe(secret.data, secret.cap);
    buf_clear(&secret);
    buf_clear(&vkey);
    return rc;
}

static void print(const struct output *output, const struct key_type *type,
                  const struct signer *signer, const char *path, const char *vkey_path)
{
    struct buf vkey = BUF_INIT(1024);
    vkey_put(&vkey, &signer->vkey);
    if (output->is_json) {
        char id[9];
        snprintf(id, sizeof id, "%08x", (unsigned)signer->vkey.id);
        json_t *object = json_object();
        json_object_set_new(object, "type", json_string(type->name));
        json_object_set_new(object, "name", output_json_text(span_of_str(signer->vkey.name)));
        json_object_set_new(object, "key_id", json_string(id));
        json_object_set_new(object, "vkey", output_json_text(buf_span(&vkey)));
        json_object_set_new(object, "file", output_json_text(span_of_str(path)));
        json_object_set_new(object, "vkey_file", output_json_text(span_of_str(vkey_path)));
        output_json(object);
    } else {
        printf("%s\n", buf_c_str(&vkey));
    }
    buf_clear(&vkey);
}

static int run(int argc, char **argv)
{
    struct output output = { 0 };
    const char *type_name = NULL;
    const char *name = NULL;
    const char *path = NULL;
    const struct command_option options[] = {
        { .name = "type",
          .argument = "TYPE",
          .help = "what it signs: log, promise, witness, submitter or monitor",
          .text = &type_name,
          .is_required = true },
        { .name = "name",
          .argument = "NAME",
          .help = "the key's name: for a log its origin, for a promise key ORIGIN/promise",
          .text = &name,
          .is_required = true },
        { .name = "out",
          .argument = "FILE",
          .help = "where the private key goes; FILE.vkey gets the public one",
          .text = &path,
          .is_required = true },
        COMMAND_OPTION_JSON(&output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &keygen_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    const struct key_type *type = find_type(type_name);
    if (type == NULL) {
        return command_usage_error(
            &keygen_command, "--type '%s' is none of log, promise, witness, submitter, monitor",
            type_name);
    }
    const char *problem = name_problem(type, name);
    if (problem != NULL) {
        return command_usage_error(&keygen_command, "--name '%s': %s", name, problem);
    }
    char vkey_path[PATH_MAX];
    if ((size_t)snprintf(vkey_path, sizeof vkey_path, "%s.vkey", path) >= sizeof vkey_path) {
        return command_usage_error(&keygen_command, "--out is too long a path");
    }
    struct signer signer;
    struct err err;
    signer_generate(&signer, name, type->type);
    enum err_code rc = write_files(&signer, path, vkey_path, &err);
    if (rc == E_OK) {
        print(&output, type, &signer, path, vkey_path);
    }
    signer_clear(&signer);
    return rc == E_OK ? OUTPUT_DONE : output_failed(&output, &err);
}

const struct command keygen_command = {
    .name = "keygen",
    .arguments = "--type TYPE --name NAME --out FILE",
    .summary = "make a key pair",
    .text = "Writes a new Ed25519 private key to FILE (mode 0600, never over an existing file)\n"
            "and its public key (vkey) to FILE.vkey, and prints the vkey.\n",
    .examples = "courtroll keygen --type log --name log.court.example/2026 --out log.key\n"
                "courtroll keygen --type promise --name log.court.example/2026/promise "
                "--out promise.key\n"
                "courtroll keygen --type witness --name witness.bar.example --out witness.key\n",
    .operands_max = 0,
    .run = run,
};
