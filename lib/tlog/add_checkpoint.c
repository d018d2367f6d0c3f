#include "tlog/add_checkpoint.h"

#include "base/ascii.h"

#include <assert.h>
#include <inttypes.h>

static const char old_prefix[] = "old ";

/* The lines before the first empty one are ours to read, what follows is the note: so the body is
 * split at its first "\n\n", though the note has more of these. */
static enum err_code parse(struct add_checkpoint *out, struct span body, struct err *err)
{
    struct span line;
    if (body.len > ADD_CHECKPOINT_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "%zu bytes, at most %d are read", body.len,
                       ADD_CHECKPOINT_BYTES_MAX);
    }
    if (!span_take_until(&body, '\n', &line) || !span_take_prefix(&line, span_of_str(old_prefix))) {
        return err_set(err, E_MALFORMED, "does not start with a line \"old SIZE\"");
    }
    if (decimal_parse(&out->old_size, line, SIZE_VALUE_MAX, err) != E_OK) {
        return err_wrap(err, "old size");
    }
    enum err_code rc = proof_take_lines(&out->proof, &body, err);
    if (rc != E_OK) {
        return rc;
    }
    out->note = body;
    if (!span_take_until(&body, '\n', &out->origin) || out->origin.len == 0) {
        return err_set(err, E_MALFORMED, "the note does not start with an origin line");
    }
    return E_OK;
}

enum err_code add_checkpoint_parse(struct add_checkpoint *out, struct span body, struct err *err)
{
    struct add_checkpoint parsed;
    if (parse(&parsed, body, err) != E_OK) {
        return err_wrap(err, "add-checkpoint");
    }
    *out = parsed;
    return E_OK;
}

void add_checkpoint_put(struct buf *out, uint64_t old_size, const struct proof *proof,
                        struct span note)
{
    assert(old_size <= SIZE_VALUE_MAX);
    assert(proof->count <= PROOF_HASHES_MAX);
    buf_putf(out, "%s%" PRIu64 "\n", old_prefix, old_size);
    proof_put_lines(out, proof);
    buf_put_u8(out, '\n');
    buf_put(out, note);
}

enum err_code add_checkpoint_parse_size(uint64_t *out, struct span body, struct err *err)
{
    struct span line;
    if (!span_take_until(&body, '\n', &line) || body.len > 0) {
        return err_set(err, E_MALFORMED, "the witness's size is not one line");
    }
    if (decimal_parse(out, line, SIZE_VALUE_MAX, err) != E_OK) {
        return err_wrap(err, "the witness's size");
    }
    return E_OK;
}

void add_checkpoint_put_size(struct buf *out, uint64_t size)
{
    assert(size <= SIZE_VALUE_MAX);
    buf_putf(out, "%" PRIu64 "\n", size);
}
