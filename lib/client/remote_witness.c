#include "client/remote_witness.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/limits.h"
#include "client/rpc_witness.h"
#include "net/http_client.h"
#include "tlog/add_checkpoint.h"
#include "tlog/note.h"

#include <stdio.h>

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000,
    TIMEOUT_MS = 30 * 1000,
};

struct remote_witness {
    char prefix[LOG_ADDRESS_MAX];
    struct http_fetcher *http; /* owned; one of the two */
    struct rpc_client *rpc;    /* owned */
};

enum err_code remote_witness_open(struct remote_witness **out, const struct log_address *address,
                                  struct err *err)
{
    if (address->kind == LOG_ADDRESS_DIRECTORY) {
        return err_set(err, E_UNSUPPORTED,
                       "a directory is no witness: give http(s)://..., HOST:PORT or unix:PATH");
    }
    struct rpc_client *rpc = NULL;
    if (address->kind == LOG_ADDRESS_GRPC) {
        struct rpc_client_config config = { .target = address->target,
                                            .tls_ca_path = address->tls_ca_path,
                                            .tls_cert_path = address->tls_cert_path,
                                            .tls_key_path = address->tls_key_path };
        if (rpc_client_open(&rpc, &config, err) != E_OK ||
            rpc_client_connect(rpc, CONNECT_TIMEOUT_MS, err) != E_OK) {
            rpc_client_close(rpc);
            return err->code;
        }
    }
    struct remote_witness *witness = NEW(struct remote_witness);
    witness->rpc = rpc;
    if (rpc == NULL) {
        struct http_client_options options = { .ca_file = address->tls_ca_path };
        witness->http = http_fetcher_new(&options);
    }
    snprintf(witness->prefix, sizeof witness->prefix, "%s", address->target);
    *out = witness;
    return E_OK;
}

void remote_witness_close(struct remote_witness *witness)
{
    if (witness != NULL) {
        http_fetcher_free(witness->http);
        rpc_client_close(witness->rpc);
        mem_free(witness);
    }
}

void remote_witness_reply_clear(struct remote_witness_reply *reply)
{
    buf_clear(&reply->lines);
}

static enum err_code code_of_status(int status)
{
    switch (status) {
    case 400:
    case 405:
        return E_MALFORMED;
    case 403:
        return E_BAD_SIGNATURE;
    case 404:
        return E_NOT_FOUND;
    case 409:
        return E_CONFLICT;
    case 413:
        return E_TOO_LARGE;
    case 422:
        return E_BAD_PROOF;
    case 429:
        return E_QUOTA;
    case 503:
        return E_UNAVAILABLE;
    default:
        return E_DENIED;
    }
}

static void refuse_http(struct remote_witness_reply *reply, const struct http_reply *http)
{
    struct span body = buf_span(&http->body);
    while (body.len > 0 && body.data[body.len - 1] == '\n') {
        body.len--;
    }
    struct buf words = BUF_INIT(8 * ERROR_TEXT_BYTES_MAX);
    ascii_put_escaped(&words, body, ERROR_TEXT_BYTES_MAX);
    reply->answer = REMOTE_WITNESS_REFUSED;
    err_set(&reply->why, code_of_status(http->status), "status %d: %s", http->status,
            words.len > 0 ? buf_c_str(&words) : "without a word");
    buf_clear(&words);
}

/* Only a 409 of exactly this type tells a size; others are what older witnesses say for a root that
 * does not fit. */
static enum err_code read_http(struct remote_witness_reply *reply, const struct http_reply *http,
                               struct err *err)
{
    if (http->status == 200) {
        return buf_append(&reply->lines, buf_span(&http->body), err);
    }
    if (http->status == 409 && strcmp(http->content_type, ADD_CHECKPOINT_SIZE_TYPE) == 0) {
        reply->answer = REMOTE_WITNESS_STALE;
        return add_checkpoint_parse_size(&reply->stored_size, buf_span(&http->body), err);
    }
    refuse_http(reply, http);
    return E_OK;
}

static enum err_code add_http(struct remote_witness *witness, uint64_t old_size,
                              const struct proof *proof, struct span note,
                              struct remote_witness_reply *reply, struct err *err)
{
    char url[LOG_ADDRESS_MAX + 32];
    struct http_reply http;
    struct buf body = BUF_INIT(NOTE_BYTES_MAX + ADD_CHECKPOINT_BYTES_MAX);
    snprintf(url, sizeof url, "%s/add-checkpoint", witness->prefix);
    add_checkpoint_put(&body, old_size, proof, note);
    enum err_code rc = http_fetcher_post(witness->http, url, buf_span(&body),
                                         ADD_CHECKPOINT_LINES_MAX, TIMEOUT_MS, &http, err);
    if (rc == E_OK) {
        rc = read_http(reply, &http, err);
        http_reply_clear(&http);
    } else {
        rc = err_wrap(err, "%s", url);
    }
    buf_clear(&body);
    return rc;
}

static enum err_code add_rpc(struct remote_witness *witness, uint64_t old_size,
                             const struct proof *proof, struct span note,
                             struct remote_witness_reply *reply, struct err *err)
{
    struct rpc_witness_answer answer;
    enum err_code rc = rpc_witness_add_checkpoint(witness->rpc, old_size, proof, note, TIMEOUT_MS,
                                                  &answer, &reply->lines, err);
    if (rc != E_OK) {
        return rc;
    }
    if (answer.is_refused) {
        reply->answer = REMOTE_WITNESS_REFUSED;
        reply->why = answer.why;
    } else if (answer.is_stale) {
        reply->answer = REMOTE_WITNESS_STALE;
        reply->stored_size = answer.stored_size;
    }
    return E_OK;
}

/* Behind the text they must make a note. */
static enum err_code check_lines(struct span note, struct span lines, struct err *err)
{
    size_t split = span_find_last(note, span_of_str("\n\n"));
    if (split == SIZE_MAX) {
        return err_set(err, E_MALFORMED, "the note has no signatures");
    }
    struct buf signed_note = BUF_INIT(note.len + lines.len + 2);
    struct note parsed;
    buf_put(&signed_note, span_slice(note, 0, split + 2));
    buf_put(&signed_note, lines);
    enum err_code rc = note_parse(&parsed, buf_span(&signed_note), err);
    if (rc == E_OK) {
        note_clear(&parsed);
    } else {
        rc = err_wrap(err, "the witness's signature lines");
    }
    buf_clear(&signed_note);
    return rc;
}

enum err_code remote_witness_add(struct remote_witness *witness, uint64_t old_size,
                                 const struct proof *proof, struct span note,
                                 struct remote_witness_reply *reply, struct err *err)
{
    struct remote_witness_reply got = { .answer = REMOTE_WITNESS_SIGNED,
                                        .lines = BUF_INIT(ADD_CHECKPOINT_LINES_MAX) };
    enum err_code rc = witness->rpc != NULL ? add_rpc(witness, old_size, proof, note, &got, err)
                                            : add_http(witness, old_size, proof, note, &got, err);
    if (rc == E_OK && got.answer == REMOTE_WITNESS_SIGNED) {
        rc = check_lines(note, buf_span(&got.lines), err);
    }
    if (rc != E_OK) {
        remote_witness_reply_clear(&got);
        return rc;
    }
    *reply = got;
    return E_OK;
}
