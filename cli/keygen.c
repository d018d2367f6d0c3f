#include "base/file.h"
#include "cli/command.h"
#include "store/hsm.h"
#include "store/hsm_uri.h"
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

struct request {
    const struct key_type *type;
    const char *type_name;
    const char *name;
    const char *path;
    const char *uri; /* NULL: a key in memory */
    const char *algorithm;
    bool is_ml_dsa;
    char vkey_path[PATH_MAX];
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

static enum err_code check_absent(const struct request *request, struct err *err)
{
    const char *paths[] = { request->path, request->vkey_path };
    for (size_t i = 0; i < COMMAND_COUNT(paths); i++) {
        if (access(paths[i], F_OK) == 0) {
            return err_set(err, E_EXISTS, "%s exists and is left as it is: choose another --out",
                           paths[i]);
        }
    }
    return E_OK;
}

/* The private half of a key in memory is written; of one in a device its vkey and the URI. */
static enum err_code write_files(const struct request *request, const struct signer *signer,
                                 struct err *err)
{
    struct buf secret = BUF_INIT(VKEY_TEXT_MAX + HSM_URI_MAX);
    struct buf vkey = BUF_INIT(VKEY_TEXT_MAX);
    vkey_put(&vkey, &signer->vkey);
    buf_put_str(&vkey, "\n");
    if (request->uri == NULL) {
        signer_put(&secret, signer);
    } else {
        buf_put(&secret, buf_span(&vkey));
        buf_putf(&secret, "%s\n", request->uri);
    }
    enum err_code rc = file_create(request->path, 0600, buf_span(&secret), err);
    if (rc == E_OK) {
        rc = file_create(request->vkey_path, 0644, buf_span(&vkey), err);
    }
    crypto_wipe(secret.data, secret.cap);
    buf_clear(&secret);
    buf_clear(&vkey);
    return rc;
}

static enum err_code generate(const struct request *request, struct signer *out, struct err *err)
{
    struct signing_key *key = NULL;
    if (request->is_ml_dsa) {
        return signer_generate_ml_dsa(out, request->name, err);
    }
    if (request->uri == NULL) {
        signer_generate(out, request->name, request->type->type);
        return E_OK;
    }
    enum err_code rc = hsm_generate_key(&key, span_of_str(request->uri), err);
    if (rc == E_OK) {
        struct ed25519_public public = signing_key_public(key);
        *out = (struct signer){ .vkey = vkey_make(request->name, request->type->type, &public),
                                .key = key };
    }
    return rc;
}

/* The files are looked for first: a key that was made in a device stays there. */
static enum err_code make(const struct request *request, struct signer *out, struct err *err)
{
    enum err_code rc = check_absent(request, err);
    if (rc == E_OK) {
        rc = generate(request, out, err);
    }
    if (rc == E_OK) {
        rc = write_files(request, out, err);
        if (rc != E_OK && request->uri != NULL) {
            err_wrap(err, "the key pair was made in the device and stays there");
        }
    }
    return rc;
}

/* A command line is seen by all users of the machine, and kept in histories. */
static bool check_uri(const char *text, int *code)
{
    struct err err;
    struct hsm_uri *uri = NULL;
    if (hsm_uri_parse(&uri, span_of_str(text), &err) != E_OK) {
        *code = command_usage_error(&keygen_command, "--pkcs11: %s", err.msg);
        return false;
    }
    bool has_pin = hsm_uri_has(uri, HSM_PIN_VALUE);
    hsm_uri_free(uri);
    if (has_pin) {
        *code = command_usage_error(&keygen_command,
                                    "--pkcs11: pin-value: a PIN does not belong on a command "
                                    "line: put it in a file of mode 0600, and give pin-source");
        return false;
    }
    return true;
}

/* Logs and witnesses only: nothing else is signed with it. */
static bool check_algorithm(struct request *request, int *code)
{
    request->is_ml_dsa = strcmp(request->algorithm, "ml-dsa-44") == 0;
    if (!request->is_ml_dsa && strcmp(request->algorithm, "ed25519") != 0) {
        *code = command_usage_error(&keygen_command,
                                    "--algorithm '%s' is neither ed25519 nor ml-dsa-44",
                                    request->algorithm);
        return false;
    }
    bool is_fit =
        strcmp(request->type->name, "log") == 0 || strcmp(request->type->name, "witness") == 0;
    if (request->is_ml_dsa && !is_fit) {
        *code = command_usage_error(&keygen_command,
                                    "--algorithm ml-dsa-44 is for keys of --type log and witness");
        return false;
    }
    if (request->is_ml_dsa && request->uri != NULL) {
        *code =
            command_usage_error(&keygen_command, "--pkcs11 takes keys of --algorithm ed25519 only");
        return false;
    }
    return true;
}

/* False when the command line is wrong; then *code is the exit code. */
static bool check_request(struct request *request, int *code)
{
    request->type = find_type(request->type_name);
    if (request->type == NULL) {
        *code =
            command_usage_error(&keygen_command,
                                "--type '%s' is none of log, promise, witness, submitter, monitor",
                                request->type_name);
        return false;
    }
    const char *problem = name_problem(request->type, request->name);
    if (problem != NULL) {
        *code = command_usage_error(&keygen_command, "--name '%s': %s", request->name, problem);
        return false;
    }
    if ((size_t)snprintf(request->vkey_path, sizeof request->vkey_path, "%s.vkey", request->path) >=
        sizeof request->vkey_path) {
        *code = command_usage_error(&keygen_command, "--out is too long a path");
        return false;
    }
    return check_algorithm(request, code) &&
           (request->uri == NULL || check_uri(request->uri, code));
}

static void print(const struct output *output, const struct request *request,
                  const struct signer *signer)
{
    struct buf vkey = BUF_INIT(VKEY_TEXT_MAX);
    vkey_put(&vkey, &signer->vkey);
    if (output->is_json) {
        char id[9];
        snprintf(id, sizeof id, "%08x", (unsigned)signer->vkey.id);
        json_t *object = json_object();
        json_object_set_new(object, "type", json_string(request->type->name));
        json_object_set_new(object, "name", output_json_text(span_of_str(signer->vkey.name)));
        json_object_set_new(object, "key_id", json_string(id));
        json_object_set_new(object, "vkey", output_json_text(buf_span(&vkey)));
        json_object_set_new(object, "file", output_json_text(span_of_str(request->path)));
        json_object_set_new(object, "vkey_file", output_json_text(span_of_str(request->vkey_path)));
        output_json(object);
    } else {
        printf("%s\n", buf_c_str(&vkey));
    }
    buf_clear(&vkey);
}

static int run(int argc, char **argv)
{
    struct output output = { 0 };
    struct request request = { .algorithm = "ed25519" };
    const struct command_option options[] = {
        { .name = "type",
          .argument = "TYPE",
          .help = "what it signs: log, promise, witness, submitter or monitor",
          .text = &request.type_name,
          .is_required = true },
        { .name = "name",
          .argument = "NAME",
          .help = "the key's name: for a log its origin, for a promise key ORIGIN/promise",
          .text = &request.name,
          .is_required = true },
        { .name = "out",
          .argument = "FILE",
          .help = "where the private key goes; FILE.vkey gets the public one",
          .text = &request.path,
          .is_required = true },
        { .name = "algorithm",
          .argument = "ALGORITHM",
          .help =
              "ed25519 (the default), or ml-dsa-44 for a log or a witness: a second key, beside\n"
              "one of Ed25519 under the same name. Needs OpenSSL 3.5 or later (Debian 13)",
          .text = &request.algorithm },
        { .name = "pkcs11",
          .argument = "URI",
          .help = "make it in this device, which it never leaves: FILE then holds the vkey and\n"
                  "the URI (RFC 7512: token, object, module-path and pin-source)",
          .text = &request.uri },
        COMMAND_OPTION_JSON(&output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &keygen_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    if (!check_request(&request, &code)) {
        return code;
    }
    struct signer signer = { .key = NULL };
    struct err err;
    enum err_code rc = make(&request, &signer, &err);
    if (rc == E_OK) {
        print(&output, &request, &signer);
    }
    signer_clear(&signer);
    return rc == E_OK ? OUTPUT_DONE : output_failed(&output, &err);
}

const struct command keygen_command = {
    .name = "keygen",
    .arguments = "--type TYPE --name NAME --out FILE [--algorithm ALGORITHM] [--pkcs11 URI]",
    .summary = "make a key pair",
    .text = "Writes a new private key to FILE (mode 0600, never over an existing file)\n"
            "and its public key (vkey) to FILE.vkey, and prints the vkey.\n"
            "With --pkcs11 the private key stays in a PKCS#11 token, and FILE only says where.\n",
    .examples = "courtroll keygen --type log --name log.court.example/2026 --out log.key\n"
                "courtroll keygen --type promise --name log.court.example/2026/promise "
                "--out promise.key\n"
                "courtroll keygen --type witness --name witness.bar.example --out witness.key\n"
                "courtroll keygen --type witness --name witness.bar.example --algorithm ml-dsa-44 "
                "--out witness-ml-dsa.key\n"
                "courtroll keygen --type witness --name witness.bar.example --out witness.key "
                "--pkcs11 'pkcs11:token=witness;object=2026"
                "?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/etc/courtroll/pin'\n",
    .operands_max = 0,
    .run = run,
};
