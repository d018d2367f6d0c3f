/* The normal path is: read everything, write the data down, read them back as a stranger would, judge them, draw the
 * page of what was judged, and only then write files: what is not a PASS leaves none. */
#include "base/ascii.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/deposit_about.h"
#include "cli/deposit_html.h"
#include "cli/deposit_pdf.h"
#include "cli/deposit_source.h"
#include "cli/record.h"

#include <stdio.h>
#include <stdlib.h>

struct request {
    struct output output;
    const char *policy, *proof, *anchor, *disclosure, *entry, *salt, *about;
    const char *address, *name, *html, *pdf, *document;
    bool prints_template;
};

/* What is read of it; owned. */
struct sources {
    struct buf policy, proof, anchor, disclosure, entry, salt, about;
    struct buf data; /* the certificate's */
    char executable[80], digest[80], size[32], leaf[80];
};

static void sources_init(struct sources *sources)
{
    *sources = (struct sources){ .policy = BUF_INIT(POLICY_BYTES_MAX),
                                 .proof = BUF_INIT(PROOF_FILE_BYTES_MAX),
                                 .anchor = BUF_INIT(PROOF_FILE_BYTES_MAX),
                                 .disclosure = BUF_INIT(DISCLOSURE_BYTES_MAX),
                                 .entry = BUF_INIT(ENTRY_BYTES_MAX),
                                 .salt = BUF_INIT(64),
                                 .about = BUF_INIT(DEPOSIT_ABOUT_BYTES_MAX),
                                 .data = BUF_INIT(DEPOSIT_BYTES_MAX) };
}

static void sources_clear(struct sources *sources)
{
    buf_clear(&sources->policy);
    buf_clear(&sources->proof);
    buf_clear(&sources->anchor);
    crypto_wipe_buf(&sources->disclosure);
    crypto_wipe_buf(&sources->entry);
    crypto_wipe_buf(&sources->salt);
    buf_clear(&sources->about);
    crypto_wipe_buf(&sources->data);
}

static void put_hex(char out[static 80], const struct hash *hash)
{
    struct buf text = BUF_INIT(80);
    hex_put(&text, hash_span(hash));
    memcpy(out, buf_c_str(&text), 2 * HASH_BYTES + 1);
    buf_clear(&text);
}

static enum err_code read_optional(struct buf *out, const char *path, struct err *err)
{
    return path == NULL ? E_OK : command_read_file(out, path, err);
}

/* A disclosure brings its own proof, unless another is given. */
static enum err_code read_proof(struct sources *sources, const struct request *request,
                                struct err *err)
{
    struct disclosure disclosure;
    if (request->proof != NULL) {
        return command_read_file(&sources->proof, request->proof, err);
    }
    disclosure_init(&disclosure);
    enum err_code rc = disclosure_parse(&disclosure, buf_span(&sources->disclosure), err);
    if (rc == E_OK) {
        buf_put(&sources->proof, buf_span(&disclosure.proof));
    }
    disclosure_clear(&disclosure);
    return rc == E_OK && sources->proof.len == 0
               ? err_set(err, E_MALFORMED, "the disclosure has no tlog-proof: give --proof")
               : rc;
}

static enum err_code read_sources(struct sources *sources, const struct request *request,
                                  struct deposit_document *document, struct err *err)
{
    struct deposit_document program;
    enum err_code rc = command_read_file(&sources->policy, request->policy, err);
    rc = rc != E_OK ? rc : read_optional(&sources->disclosure, request->disclosure, err);
    rc = rc != E_OK ? rc : read_proof(sources, request, err);
    rc = rc != E_OK ? rc : read_optional(&sources->anchor, request->anchor, err);
    rc = rc != E_OK ? rc : read_optional(&sources->entry, request->entry, err);
    rc = rc != E_OK ? rc : read_optional(&sources->salt, request->salt, err);
    rc = rc != E_OK ? rc : read_optional(&sources->about, request->about, err);
    rc = rc != E_OK ? rc : deposit_document_read(document, request->document, err);
    rc = rc != E_OK ? rc : deposit_document_read(&program, "/proc/self/exe", err);
    if (rc == E_OK) {
        put_hex(sources->executable, &program.sha256);
        put_hex(sources->digest, &document->sha256);
        put_hex(sources->leaf, &document->leaf);
        snprintf(sources->size, sizeof sources->size, "%ju", (uintmax_t)document->bytes);
        if (sources->salt.len > 0 && sources->salt.data[sources->salt.len - 1] == '\n') {
            buf_truncate(&sources->salt, sources->salt.len - 1);
        }
    }
    return rc;
}

/* The data, as bytes, and read back from them. */
static enum err_code make_data(struct deposit *out, struct sources *sources,
                               const struct request *request, struct err *err)
{
    const struct deposit deposit = { .fields = {
                                         [DEPOSIT_TEMPLATE] = span_of_str(DEPOSIT_TEMPLATE_VERSION),
                                         [DEPOSIT_PROGRAM] =
                                             span_of_str("courtroll " COURTROLL_VERSION),
                                         [DEPOSIT_EXECUTABLE] = span_of_str(sources->executable),
                                         [DEPOSIT_DOCUMENT_SHA256] = span_of_str(sources->digest),
                                         [DEPOSIT_DOCUMENT_BYTES] = span_of_str(sources->size),
                                         [DEPOSIT_DOCUMENT_NAME] = span_of_str(
                                             request->name != NULL ? request->name : ""),
                                         [DEPOSIT_ADDRESS] = span_of_str(
                                             request->address != NULL ? request->address : ""),
                                         [DEPOSIT_ABOUT] = buf_span(&sources->about),
                                         [DEPOSIT_POLICY] = buf_span(&sources->policy),
                                         [DEPOSIT_PROOF] = buf_span(&sources->proof),
                                         [DEPOSIT_ANCHOR] = buf_span(&sources->anchor),
                                         [DEPOSIT_LEAF_HASH] = span_of_str(
                                             request->entry == NULL && request->disclosure == NULL
                                                 ? sources->leaf
                                                 : ""),
                                         [DEPOSIT_ENTRY] = buf_span(&sources->entry),
                                         [DEPOSIT_SALT] = buf_span(&sources->salt),
                                         [DEPOSIT_DISCLOSURE] = buf_span(&sources->disclosure),
                                     } };
    enum err_code rc = deposit_put(&sources->data, &deposit, err);
    return rc != E_OK ? rc : deposit_parse(out, buf_span(&sources->data), err);
}

static enum err_code write_files(const struct request *request, const struct buf *html,
                                 const struct buf *pdf, struct err *err)
{
    enum err_code rc = E_OK;
    if (request->html != NULL) {
        rc = file_create(request->html, 0600, buf_span(html), err);
    }
    if (rc == E_OK && request->pdf != NULL) {
        rc = file_create(request->pdf, 0600, buf_span(pdf), err);
    }
    return rc;
}

static void print_done(const struct request *request, const struct deposit_page *page)
{
    struct buf number = BUF_INIT(DEPOSIT_NUMBER_BYTES_MAX + 1);
    deposit_code_put_number(&number, &page->judgement->code);
    if (request->output.is_json) {
        json_t *object = verdict_json(VERDICT_PASS, page->policy);
        json_object_set_new(object, "deposit_number", json_string(buf_c_str(&number)));
        struct hash digest = sha256(page->data);
        json_object_set_new(object, "data_sha256", output_json_hex(hash_span(&digest)));
        output_json(object);
    } else {
        printf("%s\n", buf_c_str(&number));
    }
    buf_clear(&number);
}

static int draw(const struct request *request, const struct deposit_page *page)
{
    struct buf html = BUF_INIT(DEPOSIT_HTML_BYTES_MAX), pdf = BUF_INIT(DEPOSIT_PDF_BYTES_MAX);
    struct err err;
    enum err_code rc = E_OK;
    if (request->html != NULL) {
        rc = deposit_html_put(&html, page, &err);
    }
    if (rc == E_OK && request->pdf != NULL) {
        rc = deposit_pdf_put(&pdf, page, &err);
    }
    rc = rc != E_OK ? rc : write_files(request, &html, &pdf, &err);
    if (rc == E_OK) {
        print_done(request, page);
    }
    crypto_wipe_buf(&html);
    crypto_wipe_buf(&pdf);
    return rc == E_OK ? OUTPUT_DONE : output_failed(&request->output, &err);
}

/* Nothing but a PASS of witnesses goes on paper. */
static int judge_and_draw(const struct request *request, const struct deposit *deposit,
                          const struct policy *policy, struct span data)
{
    struct deposit_judgement judgement;
    struct err err = { .msg = "too few of the policy's witnesses have signed" };
    int code = OUTPUT_VERDICT;
    enum verdict verdict = deposit_judge(&judgement, deposit, policy, &err);
    if (verdict != VERDICT_PASS) {
        code = verdict_fail(&request->output, verdict, policy, &err);
    } else if (!policy_has_quorum(policy)) {
        err_set(&err, E_MALFORMED, "no certificate is made of the log's word alone");
        (void)verdict_fail(&request->output, verdict, policy, &err);
    } else {
        const struct deposit_page page = { deposit, &judgement, policy, data };
        code = draw(request, &page);
    }
    deposit_judgement_clear(&judgement);
    return code;
}

static int make(const struct request *request)
{
    struct sources sources;
    struct deposit_document document;
    struct deposit deposit;
    struct policy *policy = NULL;
    struct err err;
    int code = 0;
    sources_init(&sources);
    if (read_sources(&sources, request, &document, &err) != E_OK) {
        code = output_failed(&request->output, &err);
        goto out;
    }
    if (policy_parse(&policy, buf_span(&sources.policy), &err) != E_OK) {
        err_wrap(&err, "%s", request->policy);
        code = command_policy_failed(&request->output, &err);
        goto out;
    }
    if (make_data(&deposit, &sources, request, &err) != E_OK) {
        code = verdict_fail(&request->output, VERDICT_MALFORMED, policy, &err);
        goto out;
    }
    code = judge_and_draw(request, &deposit, policy, buf_span(&sources.data));
    crypto_wipe(&deposit, sizeof deposit);
out:
    policy_free(policy);
    sources_clear(&sources);
    return code;
}

static bool check_request(const struct request *request, int *code)
{
    struct err err;
    const char *said = NULL;
    if (request->policy == NULL) {
        said = "--policy is missing: whose word the certificate goes by";
    } else if (request->document == NULL) {
        said = "the DOCUMENT is missing";
    } else if (request->html == NULL && request->pdf == NULL) {
        said = "nothing to write: give --html, --pdf or both";
    } else if (request->disclosure != NULL && request->entry != NULL) {
        said = "--disclosure and --entry exclude each other";
    } else if ((request->entry != NULL) != (request->salt != NULL)) {
        said = "--entry and --salt-file go together: the salt opens the record's commitment";
    } else if (request->proof == NULL && request->disclosure == NULL) {
        said = "--proof is missing";
    } else if (request->address != NULL &&
               deposit_address_check(span_of_str(request->address), &err) != E_OK) {
        said = err.msg;
    }
    if (said != NULL) {
        *code = command_usage_error(&certificate_command, "%s", said);
        return false;
    }
    const char *const made[] = { request->html, request->pdf };
    for (size_t i = 0; i < COMMAND_COUNT(made); i++) {
        if (record_check_absent(made[i], &err) != E_OK) {
            *code = output_failed(&request->output, &err);
            return false;
        }
    }
    return true;
}

static bool parse(struct request *request, int argc, char **argv, int *code)
{
    const struct command_option options[] = {
        { .name = "policy",
          .argument = "P",
          .help = "which log, and which witnesses are enough",
          .text = &request->policy },
        { .name = "proof",
          .argument = "FILE.tlog-proof",
          .help = "the proof of the entry",
          .text = &request->proof },
        { .name = "anchor",
          .argument = "FILE",
          .help = "the ANCHOR before it, from courtroll prove --anchor-out",
          .text = &request->anchor },
        { .name = "disclosure",
          .argument = "FILE",
          .help = "of the record that commits to DOCUMENT, with the document opened",
          .text = &request->disclosure },
        { .name = "entry",
          .argument = "FILE",
          .help = "or the record itself, with --salt-file",
          .text = &request->entry },
        { .name = "salt-file",
          .argument = "FILE",
          .help = "32 hex digits: the salt of the document's commitment",
          .text = &request->salt },
        { .name = "about",
          .argument = "FILE",
          .help = "what you state about the service: see --about-template",
          .text = &request->about },
        { .name = "address",
          .argument = "https://HOST",
          .help = "of the verification page, for the QR code",
          .text = &request->address },
        { .name = "name",
          .argument = "NAME",
          .help = "what the holder calls the document",
          .text = &request->name },
        { .name = "html",
          .argument = "FILE",
          .help = "where the page goes",
          .text = &request->html },
        { .name = "pdf", .argument = "FILE", .help = "where the PDF goes", .text = &request->pdf },
        { .name = "about-template",
          .help = "print a file for --about to start from, and stop",
          .flag = &request->prints_template },
        COMMAND_OPTION_JSON(&request->output),
    };
    struct command_line line;
    if (!command_parse(&line, &certificate_command, options, COMMAND_COUNT(options), argc, argv,
                       code)) {
        return false;
    }
    request->document = line.operand_count > 0 ? line.operands[0] : NULL;
    return true;
}

static int run(int argc, char **argv)
{
    struct request request = { .policy = NULL };
    int code = 0;
    if (!parse(&request, argc, argv, &code)) {
        return code;
    }
    if (request.prints_template) {
        fputs(deposit_about_template(), stdout);
        return OUTPUT_DONE;
    }
    return check_request(&request, &code) ? make(&request) : code;
}

const struct command certificate_command = {
    .name = "certificate",
    .arguments = "--policy P [--proof FILE.tlog-proof] [--anchor FILE]\n"
                 "    [--disclosure FILE | --entry FILE --salt-file FILE] [--about FILE]\n"
                 "    [--address https://HOST] [--name NAME] [--html FILE] [--pdf FILE] DOCUMENT",
    .summary = "put on paper what a proof shows, as HTML and PDF",
    .text =
        "Verifies first, as courtroll verify does: only what is a PASS of witnesses gets a\n"
        "certificate. It holds document digest, deposit number, times, witnesses, policy, proof,\n"
        "what you state about the service (marked as stated), and the code of the document as a\n"
        "QR code: keep it as you keep the document. In Chinese and English; never a legal\n"
        "conclusion. Check one with: courtroll verify --policy P CERTIFICATE DOCUMENT\n"
        "Prints the deposit number. No file is written over. Exit 1 with the verdict, and no\n"
        "file, when it is no PASS. The PDF needs the fonts of the package fonts-noto-cjk.\n",
    .examples =
        "courtroll certificate --about-template > about.txt\n"
        "courtroll certificate --policy court.policy --proof order.tlog-proof --about about.txt "
        "--address https://verify.court.example --html order.html --pdf order-cert.pdf "
        "order.pdf\n",
    .operands_min = 0,
    .operands_max = 1,
    .run = run,
};
