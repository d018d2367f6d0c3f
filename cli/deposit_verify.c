/* The normal path is: take the data out, judge them with the policy given, make the page of them again and compare,
 * compare the document. The first thing that fails is the verdict. */
#include "cli/deposit_verify.h"

#include "cli/command.h"
#include "cli/deposit_html.h"
#include "cli/deposit_pdf_file.h"
#include "cli/deposit_source.h"
#include "cli/verdict.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    FILE_BYTES_MAX = DEPOSIT_HTML_BYTES_MAX
};

struct question {
    const struct output *output;
    const struct policy *policy; /* the verifier's */
    const char *document_path;   /* may be NULL */
    struct span file;
    bool is_pdf;
    struct span data;
    struct deposit deposit;
    struct deposit_judgement judgement;
    bool is_policy_same;
};

size_t deposit_first_difference(struct span a, struct span b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < least; i++) {
        if (a.data[i] != b.data[i]) {
            return i;
        }
    }
    return a.len == b.len ? SIZE_MAX : least;
}

/* A verdict of certificates alone. */
static int altered(const struct question *question, size_t position, const char *why)
{
    if (question->output->is_json) {
        json_t *object = verdict_json(VERDICT_MALFORMED, question->policy);
        json_object_set_new(object, "verdict", json_string("ALTERED"));
        json_object_set_new(object, "position", json_integer((json_int_t)position));
        json_object_set_new(object, "detail", output_json_text(span_of_str(why)));
        output_json(object);
    } else {
        printf("ALTERED at byte %zu\n  %-14s%s\n", position, "because", why);
    }
    return OUTPUT_VERDICT;
}

/* -- The page again -- */

static enum err_code draw_again(struct buf *html, const struct question *question, struct err *err)
{
    struct policy *policy = NULL;
    struct deposit_judgement own;
    const struct deposit *deposit = &question->deposit;
    enum err_code rc = policy_parse(&policy, deposit->fields[DEPOSIT_POLICY], err);
    if (rc != E_OK) {
        return rc;
    }
    enum verdict verdict = deposit_judge(&own, deposit, policy, err);
    if (verdict != VERDICT_PASS || !policy_has_quorum(policy)) {
        rc = err_set(err, E_MALFORMED, "the data are no PASS under the policy in them");
    } else {
        const struct deposit_page page = { deposit, &own, policy, question->data };
        rc = deposit_html_put(html, &page, err);
    }
    deposit_judgement_clear(&own);
    policy_free(policy);
    return rc;
}

/* 0, or how to leave. */
static int compare_page(const struct question *question)
{
    struct buf html = BUF_INIT(DEPOSIT_HTML_BYTES_MAX);
    struct err err;
    int code = 0;
    if (draw_again(&html, question, &err) != E_OK) {
        code = altered(question, 0, err.msg);
    } else {
        size_t at = deposit_first_difference(buf_span(&html), question->file);
        if (at != SIZE_MAX) {
            code = altered(question, at, "the page is not the one that its data make");
        }
    }
    crypto_wipe_buf(&html);
    return code;
}

static int compare_document(const struct question *question)
{
    struct deposit_document document;
    struct err err;
    const struct deposit *deposit = &question->deposit;
    if (question->document_path == NULL) {
        return 0;
    }
    if (deposit_document_read(&document, question->document_path, &err) != E_OK) {
        return output_failed(question->output, &err);
    }
    bool is_it =
        hash_is_equal(&document.sha256, &deposit->document) &&
        document.bytes == deposit->document_bytes &&
        (deposit->kind != DEPOSIT_IS_ENTRY || hash_is_equal(&document.leaf, &deposit->leaf));
    if (!is_it) {
        err_set(&err, E_BAD_PROOF, "the file is not the document of the certificate");
        return verdict_fail(question->output, VERDICT_MISMATCH, question->policy, &err);
    }
    return 0;
}

/* -- What is printed -- */

static const char *said_of_page(const struct question *question)
{
    return question->is_pdf ? "the page's text is not proved: go by what is printed here"
                            : "every byte of the page is what its data make";
}

static const char *said_of_document(const struct question *question)
{
    return question->document_path == NULL ? "not compared: no file was given"
                                           : "the file given is the document of the certificate";
}

static void print_json(const struct question *question)
{
    const struct deposit_judgement *judgement = &question->judgement;
    struct buf number = BUF_INIT(DEPOSIT_NUMBER_BYTES_MAX + 1);
    json_t *object = verdict_json(VERDICT_PASS, question->policy);
    deposit_code_put_number(&number, &judgement->code);
    json_object_set_new(object, "certificate", json_string(question->is_pdf ? "pdf" : "html"));
    json_object_set_new(object, "page_proved", json_boolean(!question->is_pdf));
    json_object_set_new(object, "deposit_number", json_string(buf_c_str(&number)));
    json_object_set_new(object, "index", json_integer((json_int_t)judgement->receipt.index));
    json_object_set_new(object, "leaf_hash", output_json_hex(hash_span(&judgement->leaf)));
    json_object_set_new(object, "document_sha256",
                        output_json_hex(hash_span(&question->deposit.document)));
    json_object_set_new(object, "document_compared", json_boolean(question->document_path != NULL));
    json_object_set_new(object, "policy_is_the_certificates",
                        json_boolean(question->is_policy_same));
    verdict_put_checkpoint(object, question->policy, &judgement->checkpoint);
    verdict_put_times_of_entry(object, question->policy, &judgement->checkpoint,
                               judgement->has_anchor ? &judgement->anchor : NULL);
    output_json(object);
    buf_clear(&number);
}

static void print_text(const char *label, struct span text)
{
    char *clean = output_clean(text);
    printf("  %-14s%s\n", label, clean);
    free(clean);
}

static void print_people(const struct question *question)
{
    const struct deposit_judgement *judgement = &question->judgement;
    struct buf number = BUF_INIT(DEPOSIT_NUMBER_BYTES_MAX + 1);
    printf("%s\n  %-14s%s\n", verdict_text(VERDICT_PASS, question->policy), "page",
           said_of_page(question));
    deposit_code_put_number(&number, &judgement->code);
    print_text("deposit", buf_span(&number));
    print_text("sha256", question->deposit.fields[DEPOSIT_DOCUMENT_SHA256]);
    printf("  %-14s%s\n", "document", said_of_document(question));
    if (question->deposit.kind == DEPOSIT_IS_ENTRY && question->document_path == NULL) {
        printf("  %-14sonly the leaf hash is proved until it is compared\n", "");
    }
    printf("  %-14s%ju\n", "index", (uintmax_t)judgement->receipt.index);
    verdict_print_checkpoint(question->policy, &judgement->checkpoint);
    verdict_print_times_of_entry(question->policy, &judgement->checkpoint,
                                 judgement->has_anchor ? &judgement->anchor : NULL);
    if (!question->is_policy_same) {
        printf("  %-14sthe certificate was made under another policy than yours\n", "warning");
    }
    printf("  %-14snothing about the document before it was deposited\n", "says");
    buf_clear(&number);
}

static int judge(struct question *question)
{
    struct err err = { .msg = "too few of the policy's witnesses have signed" };
    struct hash own = sha256(question->deposit.fields[DEPOSIT_POLICY]);
    question->is_policy_same = hash_is_equal(&own, policy_hash(question->policy));
    enum verdict verdict =
        deposit_judge(&question->judgement, &question->deposit, question->policy, &err);
    int code = 0;
    if (verdict != VERDICT_PASS) {
        code = verdict_fail(question->output, verdict, question->policy, &err);
    }
    code = code != 0 || question->is_pdf ? code : compare_page(question);
    code = code != 0 ? code : compare_document(question);
    if (code == 0 && question->output->is_json) {
        print_json(question);
    } else if (code == 0) {
        print_people(question);
    }
    deposit_judgement_clear(&question->judgement);
    return code;
}

static int take_out_and_judge(struct question *question, struct buf *data)
{
    struct err err;
    size_t position = 0;
    question->is_pdf = deposit_pdf_is_one(question->file);
    if (!question->is_pdf && !deposit_html_is_one(question->file)) {
        err_set(&err, E_MALFORMED, "the file is no certificate; of a document give --proof too");
        return verdict_fail(question->output, VERDICT_MALFORMED, question->policy, &err);
    }
    enum err_code rc = E_OK;
    if (question->is_pdf) {
        rc = deposit_pdf_extract(&question->data, question->file, &err);
    } else {
        rc = deposit_html_extract(data, &position, question->file, &err);
        question->data = buf_span(data);
    }
    rc = rc != E_OK ? rc : deposit_parse(&question->deposit, question->data, &err);
    if (rc != E_OK && !question->is_pdf) {
        return altered(question, position, err.msg);
    }
    return rc != E_OK ? verdict_fail(question->output, VERDICT_MALFORMED, question->policy, &err)
                      : judge(question);
}

int deposit_verify(const struct output *output, const struct policy *policy, const char *path,
                   const char *document_path)
{
    struct question question = { .output = output,
                                 .policy = policy,
                                 .document_path = document_path };
    struct buf file = BUF_INIT(FILE_BYTES_MAX), data = BUF_INIT(DEPOSIT_BYTES_MAX);
    struct err err;
    int code = 0;
    enum err_code rc = command_read_file(&file, path, &err);
    if (rc == E_TOO_LARGE) {
        code = verdict_fail(output, VERDICT_MALFORMED, policy, &err);
    } else if (rc != E_OK) {
        code = output_failed(output, &err);
    } else {
        question.file = buf_span(&file);
        code = take_out_and_judge(&question, &data);
    }
    crypto_wipe(&question.deposit, sizeof question.deposit);
    crypto_wipe_buf(&data);
    crypto_wipe_buf(&file);
    return code;
}
