#include "cli/synth_writer.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "cli/synth_draft.h"
#include "cli/synth_record.h"
#include "tlog/vkey.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

struct synth_writer {
    struct synth_writer_options options;
    struct synth_counts counts;
    FILE *truth, *order;             /* owned; no order of records */
    FILE *drafts[SYNTH_EVERYBODY];   /* owned; NULL until the first */
    uint64_t lines[SYNTH_EVERYBODY]; /* in each */
    bool has_bank_keys[SYNTH_EVERYBODY];
    struct synth_recorder *recorder; /* owned; NULL: drafts */
    struct draft draft;
    struct buf line;
};

/* ---- files ---- */

static enum err_code make_path(char out[static PATH_MAX], const char *dir, const char *name,
                               struct err *err)
{
    int len = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return len > 0 && len < PATH_MAX ? E_OK : err_set(err, E_IO, "%s: too long a path", dir);
}

static enum err_code open_file(FILE **out, const struct synth_writer *writer, const char *name,
                               struct err *err)
{
    char path[PATH_MAX];
    enum err_code rc = make_path(path, writer->options.dir, name, err);
    if (rc == E_OK) {
        *out = fopen(path, "wxe");
        if (*out == NULL) {
            rc = err_set_errno(err, errno == EEXIST ? E_EXISTS : E_IO, errno, "%s", path);
        }
    }
    return rc;
}

static enum err_code make_directory(const struct synth_writer *writer, const char *name,
                                    mode_t mode, struct err *err)
{
    char path[PATH_MAX];
    enum err_code rc = make_path(path, writer->options.dir, name, err);
    return rc == E_OK ? file_make_directory(path, mode, err) : rc;
}

/* Without a sync: there may be millions, and all can be made again. */
static enum err_code write_small(const struct synth_writer *writer, const char *name, mode_t mode,
                                 struct span bytes, struct err *err)
{
    char path[PATH_MAX];
    if (make_path(path, writer->options.dir, name, err) != E_OK) {
        return err->code;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    bool is_written = fd >= 0 && write(fd, bytes.data, bytes.len) == (ssize_t)bytes.len;
    int problem = errno;
    if (fd >= 0 && close(fd) != 0) {
        is_written = false;
        problem = errno;
    }
    return is_written ? E_OK : err_set_errno(err, E_IO, problem, "%s", path);
}

static enum err_code put_line(FILE *file, const struct buf *line, struct err *err)
{
    if (fwrite(line->data, line->len, 1, file) != 1) {
        return err_set_errno(err, E_IO, errno, "the output");
    }
    return E_OK;
}

/* ---- who submits ---- */

static enum err_code write_key(struct synth_writer *writer, const struct synth_submitter *submitter,
                               struct err *err)
{
    char name[SYNTH_NAME_MAX + 16];
    struct signer signer = { .vkey =
                                 vkey_make(submitter->name, SIGNATURE_ED25519, &submitter->public),
                             .key = submitter->key };
    struct buf secret = BUF_INIT(1024);
    (void)buf_extend(&secret, 1024); /* all at once: growing would leave copies */
    buf_reset(&secret);
    signer_put(&secret, &signer);
    snprintf(name, sizeof name, "keys/%s.key", submitter->file);
    enum err_code rc = write_small(writer, name, 0600, buf_span(&secret), err);
    crypto_wipe(secret.data, secret.cap);
    if (rc == E_OK) {
        buf_reset(&secret);
        vkey_put(&secret, &signer.vkey);
        buf_put_str(&secret, "\n");
        snprintf(name, sizeof name, "keys/%s.key.vkey", submitter->file);
        rc = write_small(writer, name, 0644, buf_span(&secret), err);
    }
    buf_clear(&secret);
    return rc;
}

static void put_world_line(struct buf *out, const struct synth_world *world, unsigned i)
{
    const struct synth_submitter *submitter = &world->submitters[i];
    buf_putf(out, "{\"file\":\"%s\",\"name\":\"%s\",\"role\":\"%s\",\"submitter\":\"",
             submitter->file, submitter->name, role_name(submitter->role));
    hex_put(out, SPAN_OF_ARRAY(submitter->id.bytes));
    if (i < SYNTH_COURTS) {
        buf_putf(out, "\",\"court\":\"%s\"}\n", world->courts[i].code);
    } else if (i >= SYNTH_BANK_FIRST) {
        buf_putf(out, "\",\"institution\":\"%s\"}\n", world->institutions[i - SYNTH_BANK_FIRST]);
    } else {
        buf_put_str(out, "\"}\n");
    }
}

static enum err_code write_submitters(struct synth_writer *writer, struct err *err)
{
    const struct synth_world *world = writer->options.world;
    struct buf files[3] = { BUF_INIT(256 * 1024), BUF_INIT(256 * 1024), BUF_INIT(256 * 1024) };
    static const char *const names[] = { "submitters", "bank-submitters", "world.jsonl" };
    enum err_code rc = E_OK;
    for (unsigned i = 0; rc == E_OK && i < SYNTH_EVERYBODY; i++) {
        const struct synth_submitter *submitter = &world->submitters[i];
        struct buf *list = &files[i < SYNTH_SUBMITTERS ? 0 : 1];
        struct vkey vkey = vkey_make(submitter->name, SIGNATURE_ED25519, &submitter->public);
        buf_put_str(list, "submitter ");
        vkey_put(list, &vkey);
        buf_put_str(list, "\n");
        put_world_line(&files[2], world, i);
        rc = write_key(writer, submitter, err);
    }
    for (size_t i = 0; i < 3; i++) {
        if (rc == E_OK) {
            rc = write_small(writer, names[i], 0644, buf_span(&files[i]), err);
        }
        buf_clear(&files[i]);
    }
    return rc;
}

static enum err_code open_all(struct synth_writer *writer, struct err *err)
{
    const struct synth_writer_options *options = &writer->options;
    enum err_code rc = file_make_directory(options->dir, 0700, err);
    if (rc == E_OK) {
        rc = open_file(&writer->truth, writer, "truth.jsonl", err);
    }
    if (rc == E_OK) {
        rc = make_directory(writer, "keys", 0700, err);
    }
    if (rc == E_OK) {
        rc = make_directory(writer, "case-keys", 0700, err);
    }
    if (rc == E_OK) {
        rc = write_submitters(writer, err);
    }
    if (rc == E_OK && options->origin != NULL) {
        return synth_recorder_open(&writer->recorder, options->world, options->dir, options->origin,
                                   options->minute, err);
    }
    if (rc == E_OK) {
        rc = make_directory(writer, "operations", 0700, err);
    }
    return rc == E_OK ? open_file(&writer->order, writer, "order.jsonl", err) : rc;
}

enum err_code synth_writer_open(struct synth_writer **out,
                                const struct synth_writer_options *options, struct err *err)
{
    struct synth_writer *writer = NEW(struct synth_writer);
    writer->options = *options;
    synth_draft_init(&writer->draft);
    buf_init(&writer->line, 2 * DRAFT_BYTES_MAX);
    enum err_code rc = open_all(writer, err);
    if (rc != E_OK) {
        struct err ignored; /* the first one is told */
        (void)!synth_writer_close(writer, &ignored);
        return rc;
    }
    *out = writer;
    return E_OK;
}

/* ---- case keys ---- */

static enum err_code write_case_key(const struct synth_writer *writer, const char *dir,
                                    const struct case_key *key, struct err *err)
{
    struct hash hash = sha256(span_of_str(key->number));
    struct buf name = BUF_INIT(256);
    struct buf text = BUF_INIT(CASE_KEY_FILE_BYTES_MAX);
    (void)buf_extend(&text, CASE_KEY_FILE_BYTES_MAX);
    buf_reset(&text);
    buf_putf(&name, "%s/", dir);
    hex_put(&name, hash_span(&hash));
    buf_put_str(&name, ".casekey");
    case_key_put(&text, key);
    enum err_code rc = write_small(writer, buf_c_str(&name), 0600, buf_span(&text), err);
    crypto_wipe(text.data, text.cap);
    buf_clear(&text);
    buf_clear(&name);
    return rc;
}

enum err_code synth_writer_put_case(struct synth_writer *writer, const struct synth_case *c,
                                    struct err *err)
{
    enum err_code rc = E_OK;
    writer->counts.cases++;
    if (writer->options.has_case_keys) {
        struct case_key key = synth_case_key(c);
        rc = write_case_key(writer, "case-keys", &key, err);
        case_key_wipe(&key);
    }
    return rc;
}

/* A bank has no key of the court's: its entries about the case are linked for nobody but itself. */
static enum err_code write_bank_key(struct synth_writer *writer, const struct synth_case *c,
                                    unsigned bank, struct err *err)
{
    char dir[SYNTH_NAME_MAX + 32];
    enum err_code rc = E_OK;
    snprintf(dir, sizeof dir, "bank-case-keys/%s", c->world->submitters[bank].file);
    if (!writer->has_bank_keys[bank]) {
        rc = make_directory(writer, dir, 0700, err);
        writer->has_bank_keys[bank] = rc == E_OK;
    }
    if (rc == E_OK) {
        struct case_key key = synth_case_key(c);
        struct hash secret = synth_world_secret(c->world, "bank case key", bank, c->id);
        memcpy(key.bytes, secret.bytes, sizeof key.bytes);
        rc = write_case_key(writer, dir, &key, err);
        crypto_wipe(&secret, sizeof secret);
        case_key_wipe(&key);
    }
    return rc;
}

/* ---- truth ---- */

static void put_case_name(struct buf *out, const struct synth_case *c)
{
    struct buf number = BUF_INIT(CASE_NUMBER_BYTES_MAX);
    synth_case_put_number(&number, c);
    struct hash hash = sha256(buf_span(&number));
    buf_put_str(out, "\"case\":\"");
    buf_put(out, buf_span(&number));
    buf_put_str(out, "\",\"case_key\":\"");
    hex_put(out, hash_span(&hash));
    buf_put_str(out, ".casekey\"");
    buf_clear(&number);
}

/* With `index`, from 0, in entries; or with file and line, from 1, of drafts. */
static enum err_code put_truth(struct synth_writer *writer, const struct synth_case *c,
                               enum synth_fault fault, unsigned by, uint64_t index, struct err *err)
{
    bool needs_key = synth_fault_needs_key(fault);
    struct buf *line = &writer->line;
    buf_reset(line);
    buf_putf(line, "{\"code\":\"%s\",", synth_fault_name(fault));
    if (needs_key) {
        put_case_name(line, c);
    } else {
        buf_put_str(line, "\"case\":null");
    }
    if (writer->recorder != NULL) {
        buf_putf(line, ",\"index\":%ju", (uintmax_t)index);
    } else {
        buf_putf(line, ",\"file\":\"%s\",\"line\":%ju",
                 c->world->submitters[synth_case_submitter(c, by)].file, (uintmax_t)index);
    }
    buf_putf(line, ",\"needs_key\":%s}\n", needs_key ? "true" : "false");
    writer->counts.faults[fault]++;
    return put_line(writer->truth, line, err);
}

enum err_code synth_writer_put_overdue(struct synth_writer *writer,
                                       const struct synth_operation *operation, struct err *err)
{
    return put_truth(writer, operation->of, SYNTH_SEALED_OVERDUE, SYNTH_BY_COURT,
                     operation->unseals.index, err);
}

/* ---- operations ---- */

/* The draft, as a line of its submitter's file; *number is the line's. */
static enum err_code put_draft(struct synth_writer *writer, unsigned submitter, uint64_t *number,
                               struct err *err)
{
    const char *file = writer->options.world->submitters[submitter].file;
    char name[SYNTH_NAME_MAX + 32];
    enum err_code rc = E_OK;
    if (writer->drafts[submitter] == NULL) {
        snprintf(name, sizeof name, "operations/%s.jsonl", file);
        rc = open_file(&writer->drafts[submitter], writer, name, err);
    }
    if (rc == E_OK) {
        buf_reset(&writer->line);
        draft_put(&writer->line, &writer->draft);
        rc = put_line(writer->drafts[submitter], &writer->line, err);
    }
    if (rc == E_OK) {
        *number = ++writer->lines[submitter];
        buf_reset(&writer->line);
        buf_putf(&writer->line, "{\"file\":\"%s\",\"line\":%ju}\n", file, (uintmax_t)*number);
        rc = put_line(writer->order, &writer->line, err);
    }
    return rc;
}

static enum err_code put_reply(struct synth_writer *writer, const struct synth_operation *operation,
                               struct err *err)
{
    unsigned bank = synth_draft_bank(operation);
    uint64_t line = 0;
    if (bank == SYNTH_EVERYBODY || operation->fault != SYNTH_FAULT_NONE) {
        return E_OK;
    }
    synth_draft_make_reply(&writer->draft, operation);
    enum err_code rc = put_draft(writer, bank, &line, err);
    if (rc == E_OK && writer->options.has_case_keys) {
        rc = write_bank_key(writer, operation->of, bank, err);
    }
    writer->counts.bank_operations++;
    return rc;
}

static enum err_code put_drafts(struct synth_writer *writer, struct synth_operation *operation,
                                struct err *err)
{
    unsigned submitter = synth_case_submitter(operation->of, operation->by);
    synth_draft_make(&writer->draft, operation, NULL);
    enum err_code rc = put_draft(writer, submitter, &operation->index, err);
    if (rc == E_OK && (operation->flags & STEP_BANK) != 0) {
        rc = put_reply(writer, operation, err);
    }
    return rc;
}

enum err_code synth_writer_put(struct synth_writer *writer, struct synth_operation *operation,
                               struct err *err)
{
    enum err_code rc = writer->recorder != NULL
                           ? synth_recorder_put(writer->recorder, operation, err)
                           : put_drafts(writer, operation, err);
    writer->counts.operations++;
    writer->counts.sealed += operation->is_sealed;
    writer->counts.unsealed += operation->is_unseal;
    if (rc == E_OK && operation->fault != SYNTH_FAULT_NONE) {
        rc = put_truth(writer, operation->of, operation->fault, operation->by, operation->index,
                       err);
    }
    return rc;
}

const struct synth_counts *synth_writer_counts(const struct synth_writer *writer)
{
    return &writer->counts;
}

static enum err_code close_file(FILE *file, struct err *err)
{
    if (file != NULL && fclose(file) != 0) {
        return err_set_errno(err, E_IO, errno, "the output");
    }
    return E_OK;
}

enum err_code synth_writer_close(struct synth_writer *writer, struct err *err)
{
    if (writer == NULL) {
        return E_OK;
    }
    struct err problem;
    enum err_code rc = close_file(writer->truth, err);
    if (close_file(writer->order, &problem) != E_OK) {
        *err = problem;
        rc = problem.code;
    }
    for (unsigned i = 0; i < SYNTH_EVERYBODY; i++) {
        if (close_file(writer->drafts[i], &problem) != E_OK) {
            *err = problem;
            rc = problem.code;
        }
    }
    if (synth_recorder_close(writer->recorder, &problem) != E_OK) {
        *err = problem;
        rc = problem.code;
    }
    draft_clear(&writer->draft);
    buf_clear(&writer->line);
    mem_free(writer);
    return rc;
}
