#include "tlog/cosign_file.h"

#include "base/alloc.h"
#include "base/ascii.h"

#include <assert.h>
#include <inttypes.h>

static const char header[] = "courtroll cosign-request v1\n";
static const char old_prefix[] = "old ";

/* -- parsing -- */

/* Begins a section, whose size must be above the one before it. `text` is behind "old ". */
static enum err_code add_section(struct cosign_file *file, struct span text, struct err *err)
{
    uint64_t old_size;
    if (decimal_parse(&old_size, text, SIZE_VALUE_MAX, err) != E_OK) {
        return err_wrap(err, "old size");
    }
    if (file->count == COSIGN_FILE_PROOFS_MAX) {
        return err_set(err, E_MALFORMED, "proofs from over %d sizes", COSIGN_FILE_PROOFS_MAX);
    }
    if (file->count > 0 && old_size <= file->proofs[file->count - 1].old_size) {
        return err_set(err, E_MALFORMED, "old %" PRIu64 " is not above the size before it",
                       old_size);
    }
    struct cosign_file_proof *section = &file->proofs[file->count++];
    section->old_size = old_size;
    section->proof.count = 0;
    return E_OK;
}

static enum err_code add_line(struct cosign_file *file, struct span line, struct err *err)
{
    if (span_take_prefix(&line, span_of_str(old_prefix))) {
        return add_section(file, line, err);
    }
    if (file->count == 0) {
        return err_set(err, E_MALFORMED, "the second line is not \"old SIZE\"");
    }
    struct cosign_file_proof *section = &file->proofs[file->count - 1];
    if (proof_add_line(&section->proof, line, err) != E_OK) {
        return err_wrap(err, "old %" PRIu64, section->old_size);
    }
    return E_OK;
}

/* Requires file->proofs to have room for the maximum. */
static enum err_code parse(struct cosign_file *file, struct span in, struct err *err)
{
    struct span line;
    if (in.len > COSIGN_FILE_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "%zu bytes, at most %d are read", in.len,
                       COSIGN_FILE_BYTES_MAX);
    }
    if (!span_take_prefix(&in, span_of_str(header))) {
        return err_set(err, E_MALFORMED, "the first line is not courtroll cosign-request v1");
    }
    for (;;) {
        if (!span_take_until(&in, '\n', &line)) {
            return err_set(err, E_MALFORMED, "no empty line before the checkpoint");
        }
        if (line.len == 0) {
            break;
        }
        enum err_code rc = add_line(file, line, err);
        if (rc != E_OK) {
            return rc;
        }
    }
    if (file->count == 0) {
        return err_set(err, E_MALFORMED, "the second line is not \"old SIZE\"");
    }
    if (in.len == 0) {
        return err_set(err, E_MALFORMED, "the checkpoint is missing");
    }
    file->note = in;
    return E_OK;
}

enum err_code cosign_file_parse(struct cosign_file *out, struct span bytes, struct err *err)
{
    struct cosign_file file = {
        .proofs = mem_calloc(COSIGN_FILE_PROOFS_MAX, sizeof(struct cosign_file_proof)),
    };
    if (parse(&file, bytes, err) != E_OK) {
        cosign_file_clear(&file);
        return err_wrap(err, "cosign request");
    }
    *out = file;
    return E_OK;
}

void cosign_file_clear(struct cosign_file *file)
{
    mem_free(file->proofs);
    *file = (struct cosign_file){ 0 };
}

/* -- writing, and reading what is there -- */

void cosign_file_put(struct buf *out, const struct cosign_file_proof *proofs, size_t count,
                     struct span note)
{
    assert(count >= 1);
    assert(count <= COSIGN_FILE_PROOFS_MAX);
    assert(note.len > 0);
    buf_put_str(out, header);
    for (size_t i = 0; i < count; i++) {
        assert(i == 0 || proofs[i - 1].old_size < proofs[i].old_size);
        assert(proofs[i].old_size <= SIZE_VALUE_MAX);
        buf_putf(out, "%s%" PRIu64 "\n", old_prefix, proofs[i].old_size);
        proof_put_lines(out, &proofs[i].proof);
    }
    buf_put_u8(out, '\n');
    buf_put(out, note);
}

const struct proof *cosign_file_proof_from(const struct cosign_file *file, uint64_t old_size)
{
    for (size_t i = 0; i < file->count; i++) {
        if (file->proofs[i].old_size == old_size) {
            return &file->proofs[i].proof;
        }
    }
    return NULL;
}
