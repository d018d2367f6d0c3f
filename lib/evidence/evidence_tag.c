/* evidence_tag.c -- a log holds two records with one entry tag.
 *
 * Both inclusion proofs are in one signed tree, so nothing can be blamed on what was shown to whom. The records are
 * decoded, since the tag is a claim of the bytes' form; who signed them is of no account: the log answers for what
 * it holds. */
#include "base/ascii.h"
#include "evidence/evidence_parts.h"
#include "record/operation.h"

#include <assert.h>
#include <inttypes.h>

static const char entry_prefix[] = "entry ";

/* -- the form -- */

static enum err_code take_entry(struct evidence_entry *out, struct span *in, struct err *err)
{
    struct span line, index;
    if (!span_take_prefix(in, span_of_str(entry_prefix)) || !span_take_until(in, '\n', &line) ||
        !span_take_until(&line, ' ', &index)) {
        return err_set(err, E_MALFORMED, "the line \"entry INDEX RECORD\" is missing");
    }
    if (decimal_parse(&out->index, index, SIZE_VALUE_MAX - 1, err) != E_OK) {
        return err_wrap(err, "index of the entry");
    }
    out->record = line;
    return E_OK;
}

/* The proof of the first entry ends where the second one begins. */
static enum err_code take_tail(struct evidence *evidence, struct span in, struct err *err)
{
    for (size_t i = 0; i < 2; i++) {
        struct evidence_entry *entry = &evidence->entries[i];
        if (take_entry(entry, &in, err) != E_OK) {
            return err_wrap(err, "entry %zu of 2", i + 1);
        }
        size_t next = span_find(in, span_of_str(entry_prefix));
        struct span proof = span_slice(in, 0, i == 0 && next != SIZE_MAX ? next : in.len);
        if (evidence_take_proof(&entry->proof, proof, err) != E_OK) {
            return err_wrap(err, "entry %zu of 2", i + 1);
        }
        in = span_slice(in, proof.len, in.len - proof.len);
    }
    return E_OK;
}

static void put_tail(struct buf *out, const struct evidence *evidence)
{
    for (size_t i = 0; i < 2; i++) {
        const struct evidence_entry *entry = &evidence->entries[i];
        buf_putf(out, "%s%" PRIu64 " ", entry_prefix, entry->index);
        buf_put(out, entry->record);
        buf_put_u8(out, '\n');
        proof_put_lines(out, &entry->proof);
    }
}

/* The bytes that the base64 stands for, and their tag. */
static enum err_code open_record(struct buf *bytes, struct hash *tag, struct span text,
                                 struct err *err)
{
    struct operation operation;
    enum err_code rc = base64_append_decoded(bytes, text, BASE64_STRICT, err);
    if (rc == E_OK) {
        rc = operation_decode(&operation, buf_span(bytes), err);
    }
    if (rc != E_OK) {
        return err_set(err, E_MALFORMED, "not a record: %.200s", err->msg);
    }
    bool has_tag = operation.has_commitments;
    *tag = operation.entry_tag;
    operation_clear(&operation);
    return has_tag ? E_OK : err_set(err, E_MALFORMED, "a record without an entry tag");
}

struct records {
    struct buf bytes[2]; /* owned */
    struct hash tags[2];
};

static void clear_records(struct records *records)
{
    buf_clear(&records->bytes[0]);
    buf_clear(&records->bytes[1]);
}

/* To be cleared in any case. */
static enum err_code open_records(struct records *out, const struct evidence *evidence,
                                  struct err *err)
{
    enum err_code rc = E_OK;
    for (size_t i = 0; i < 2; i++) {
        buf_init(&out->bytes[i], EVIDENCE_RECORD_BYTES_MAX);
    }
    for (size_t i = 0; i < 2 && rc == E_OK; i++) {
        rc = open_record(&out->bytes[i], &out->tags[i], evidence->entries[i].record, err);
        if (rc != E_OK) {
            err_wrap(err, "entry %zu of 2", i + 1);
        }
    }
    return rc;
}

static enum err_code check_note(struct span bytes, struct err *err)
{
    struct note note;
    struct checkpoint checkpoint;
    enum err_code rc = note_parse(&note, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = checkpoint_parse(&checkpoint, note.text, err);
    if (rc == E_OK) {
        rc = evidence_note_check_spelling(&note, bytes, err);
    }
    note_clear(&note);
    return rc;
}

static enum err_code check(const struct evidence *evidence, struct err *err)
{
    struct records records;
    if (check_note(evidence->notes[0], err) != E_OK) {
        return evidence_note_wrap(err, 1);
    }
    enum err_code rc = open_records(&records, evidence, err);
    clear_records(&records);
    if (rc == E_OK && evidence->entries[0].index > evidence->entries[1].index) {
        rc = err_set(err, E_MALFORMED, "the entries are in the wrong order");
    }
    return rc;
}

/* -- verifying -- */

/* The same bytes twice are one record that was logged twice: no log should, but nothing contradicts anything. */
static enum err_code check_repeated(const struct evidence *evidence, const struct records *records,
                                    struct err *err)
{
    if (evidence->entries[0].index == evidence->entries[1].index) {
        return err_set(err, E_BAD_PROOF, "both entries are one");
    }
    if (!hash_is_equal(&records->tags[0], &records->tags[1])) {
        return err_set(err, E_BAD_PROOF, "the records have two entry tags");
    }
    if (span_is_equal(buf_span(&records->bytes[0]), buf_span(&records->bytes[1]))) {
        return err_set(err, E_BAD_PROOF, "both entries are the same record");
    }
    return E_OK;
}

static enum err_code check_included(const struct evidence *evidence, const struct records *records,
                                    struct evidence_verdict *out, struct err *err)
{
    const struct checkpoint *b = &out->checkpoints[1];
    enum err_code rc = check_repeated(evidence, records, err);
    for (size_t i = 0; i < 2 && rc == E_OK; i++) {
        const struct evidence_entry *entry = &evidence->entries[i];
        out->leaves[i] = merkle_leaf_hash(buf_span(&records->bytes[i]));
        rc = proof_verify_inclusion(&entry->proof, entry->index, b->size, &out->leaves[i], &b->root,
                                    err);
        if (rc != E_OK) {
            err_wrap(err, "entry %zu of 2", i + 1);
        }
    }
    out->tag = records->tags[0];
    return rc;
}

static enum err_code verify(const struct evidence *evidence, const struct evidence_signers *signers,
                            struct evidence_verdict *out, struct err *err)
{
    struct evidence_note note;
    struct records records;
    if (evidence_note_open_pure(&note, evidence->notes[0], EVIDENCE_ROLE_LOG, signers, err) !=
        E_OK) {
        return evidence_note_wrap(err, 1);
    }
    out->checkpoints[1] = note.checkpoint;
    out->keys[0] = out->keys[1] = note.verified[0].key;
    evidence_note_clear(&note);
    enum err_code rc = open_records(&records, evidence, err);
    if (rc == E_OK) {
        rc = check_included(evidence, &records, out, err);
    }
    clear_records(&records);
    return rc;
}

const struct evidence_format evidence_format_tag = {
    "tag-repeated", 1, take_tail, put_tail, check, verify,
};

/* -- making -- */

enum err_code evidence_put_repeated_tag(struct buf *out, struct span note,
                                        const struct evidence_record *record_1,
                                        const struct evidence_record *record_2,
                                        const struct vkey *const *log_keys, size_t key_count,
                                        struct err *err)
{
    bool is_swapped = record_1->index > record_2->index;
    const struct evidence_record *records[] = { is_swapped ? record_2 : record_1,
                                                is_swapped ? record_1 : record_2 };
    struct evidence_signers signers = { log_keys, key_count, true };
    struct evidence evidence = { .kind = EVIDENCE_TAG_REPEATED };
    struct buf cleaned = { 0 }, texts[2] = { { 0 }, { 0 } };
    enum err_code rc = evidence_note_clean(&cleaned, note, EVIDENCE_ROLE_LOG, &signers, err);
    evidence.notes[0] = buf_span(&cleaned);
    for (size_t i = 0; i < 2 && rc == E_OK; i++) {
        assert(records[i]->proof->count <= PROOF_HASHES_MAX);
        assert(records[i]->index < SIZE_VALUE_MAX);
        if (records[i]->bytes.len > EVIDENCE_RECORD_BYTES_MAX) {
            rc = err_set(err, E_MALFORMED, "a record with a tag has at most %d bytes",
                         EVIDENCE_RECORD_BYTES_MAX);
            break;
        }
        buf_init(&texts[i], 4 * (EVIDENCE_RECORD_BYTES_MAX / 3 + 1));
        base64_put(&texts[i], records[i]->bytes);
        evidence.entries[i] =
            (struct evidence_entry){ records[i]->index, buf_span(&texts[i]), *records[i]->proof };
    }
    if (rc == E_OK) {
        rc = evidence_put(out, &evidence, &signers, err);
    }
    buf_clear(&texts[0]);
    buf_clear(&texts[1]);
    buf_clear(&cleaned);
    return rc;
}
