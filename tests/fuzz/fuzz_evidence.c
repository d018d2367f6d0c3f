/* fuzz_evidence.c -- evidence: the honest cannot be framed, and what is proved stays proved.
 *
 * An input starting with "courtroll" is a file; a mark and a letter in it stand for a whole note with
 * its "note BYTES" line: "@" a log's checkpoint, a to h being those of an honest log by size, A to H those
 * of a fork; "%" the same cosigned by a witness, each size later than the one before it; "&" a promise for
 * the indices below, of the leaf that is there or of another; "~" what a monitor says about such a
 * checkpoint. Of four operation records: "^" a checkpoint of the log that has them, a to d by size, A to D that of
 * one which has the tag of the first one again in the third; "#" a record of either in base64; "=" its inclusion
 * proof in the four. Any other input is read as choices: of two sizes, of the roots that are signed there, and of a
 * proof; all hashes are from the tree of eight entries, or from nowhere. */
#include "base/ascii.h"
#include "evidence/evidence.h"
#include "record/operation.h"
#include "tlog/promise.h"

#include <assert.h>
#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LEAVES = 8,
    POOL = LEAVES * LEAVES + 4, /* hashes of all ranges, and of none */
    RECORDS = 4,
    INPUT_MAX = 4096,
    TEXT_MAX = 2 * EVIDENCE_BYTES_MAX
};

static const char origin[] = "log.example";
static struct signer log_signer, other_signer, promise_signer, witness_signer, monitor_signer;
static const struct vkey *log_keys[1], *all_keys[5];
static struct hash pool[POOL];
/* Of the honest log, and of the one that repeats a tag; never freed. */
static struct buf records[2][RECORDS];

/* MTH(D[lo:hi]), as RFC 6962 writes it; requires lo < hi. */
static struct hash range_hash(size_t lo, size_t hi)
{
    if (hi - lo == 1) {
        uint8_t entry = (uint8_t)lo;
        return merkle_leaf_hash(span_of(&entry, 1));
    }
    size_t split = 1;
    while (2 * split < hi - lo) {
        split *= 2;
    }
    struct hash left = range_hash(lo, lo + split), right = range_hash(lo + split, hi);
    return merkle_node_hash(&left, &right);
}

static struct hash honest_root(size_t size)
{
    return size == 0 ? merkle_empty_root() : range_hash(0, size);
}

static void make_signer(struct signer *out, const char *name, enum signature_type type,
                        uint8_t secret)
{
    uint8_t seed[ED25519_SEED_BYTES] = { secret };
    struct signing_key *key = signing_key_from_seed(seed);
    struct ed25519_public public = signing_key_public(key);
    *out = (struct signer){ .vkey = vkey_make(name, type, &public), .key = key };
}

static void make_records(void)
{
    for (size_t lie = 0; lie < 2; lie++) {
        for (size_t i = 0; i < RECORDS; i++) {
            struct operation operation = { .kind = kind_find(KIND_FREEZE),
                                           .is_vouched = true,
                                           .minute = 1 + i,
                                           .has_commitments = true };
            struct err err;
            operation.entry_tag.bytes[0] = (uint8_t)(lie == 1 && i == 2 ? 0 : i);
            buf_init(&records[lie][i], OPERATION_BYTES_MAX);
            enum err_code rc = operation_put(&records[lie][i], &operation, &err);
            assert(rc == E_OK);
        }
    }
}

/* As range_hash, of records. */
static struct hash record_range_hash(bool is_lie, size_t lo, size_t hi)
{
    if (hi - lo == 1) {
        return merkle_leaf_hash(buf_span(&records[is_lie][lo]));
    }
    size_t split = hi - lo > 2 ? 2 : 1;
    struct hash left = record_range_hash(is_lie, lo, lo + split),
                right = record_range_hash(is_lie, lo + split, hi);
    return merkle_node_hash(&left, &right);
}

static void set_up(void)
{
    if (log_signer.key != NULL) {
        return;
    }
    make_signer(&log_signer, origin, SIGNATURE_ED25519, 1);
    make_signer(&other_signer, "other", SIGNATURE_ED25519, 2);
    make_signer(&promise_signer, "log.example/promise", SIGNATURE_ED25519, 3);
    make_signer(&witness_signer, "witness", SIGNATURE_COSIGNATURE, 4);
    make_signer(&monitor_signer, "monitor", SIGNATURE_ED25519, 5);
    make_records();
    log_keys[0] = all_keys[0] = &log_signer.vkey;
    all_keys[1] = &other_signer.vkey;
    all_keys[2] = &promise_signer.vkey;
    all_keys[3] = &witness_signer.vkey;
    all_keys[4] = &monitor_signer.vkey;
    for (size_t i = 0; i < POOL; i++) {
        size_t lo = i / LEAVES, hi = lo + 1 + i % LEAVES;
        memset(pool[i].bytes, (int)i, HASH_BYTES);
        if (hi <= LEAVES) {
            pool[i] = range_hash(lo, hi);
        }
    }
}

static void put_text(struct buf *out, size_t size, const struct hash *root)
{
    struct checkpoint checkpoint = { .size = size, .root = *root };
    memcpy(checkpoint.origin, origin, sizeof origin);
    checkpoint_put(out, &checkpoint);
}

static void put_note(struct buf *out, size_t size, const struct hash *root, bool has_extension,
                     bool has_stranger)
{
    struct buf text = BUF_INIT(1024);
    struct err err;
    put_text(&text, size, root);
    buf_put_str(&text, has_extension ? "extension\n" : "");
    enum err_code rc = note_put_signed(out, buf_span(&text), &log_signer, 0, &err);
    assert(rc == E_OK);
    if (has_stranger) {
        rc = note_put_signature(out, buf_span(&text), &other_signer, 0, &err);
        assert(rc == E_OK);
    }
    buf_clear(&text);
}

static enum err_code make_tag_again(struct buf *out, const struct evidence *evidence,
                                    struct err *err)
{
    struct evidence_record made[2];
    struct buf bytes[2] = { BUF_INIT(EVIDENCE_RECORD_BYTES_MAX),
                            BUF_INIT(EVIDENCE_RECORD_BYTES_MAX) };
    for (size_t i = 0; i < 2; i++) {
        const struct evidence_entry *entry = &evidence->entries[i];
        enum err_code rc = base64_append_decoded(&bytes[i], entry->record, BASE64_STRICT, err);
        assert(rc == E_OK);
        made[i] = (struct evidence_record){ entry->index, buf_span(&bytes[i]), &entry->proof };
    }
    enum err_code rc =
        evidence_put_repeated_tag(out, evidence->notes[0], &made[1], &made[0], log_keys, 1, err);
    buf_clear(&bytes[0]);
    buf_clear(&bytes[1]);
    return rc;
}

static enum err_code make_again(struct buf *out, const struct evidence *evidence, struct err *err)
{
    const struct hash *root = evidence->has_proof ? &evidence->root : NULL;
    const struct proof *proof = evidence->has_proof ? &evidence->proof : NULL;
    const struct span *notes = evidence->notes;
    struct evidence_observation said;
    enum err_code rc;
    switch (evidence->kind) {
    case EVIDENCE_FORK:
        return evidence_put_fork(out, notes[1], notes[0], root, proof, log_keys, 1, err);
    case EVIDENCE_WITNESS_EQUIVOCATION:
        return evidence_put_equivocation(out, notes[1], notes[0], root, proof, all_keys[3], err);
    case EVIDENCE_PROMISE_BROKEN:
        return evidence_put_broken_promise(out, notes[0], notes[1], evidence->index, root, proof,
                                           all_keys[2], log_keys, 1, err);
    case EVIDENCE_TAG_REPEATED:
        return make_tag_again(out, evidence, err);
    case EVIDENCE_OBSERVATION:
        break;
    }
    rc = evidence_read_observation(&said, evidence, err);
    assert(rc == E_OK);
    return evidence_put_observation(out, &said, &monitor_signer, err);
}

/* Parses, verifies, and makes the file again from what it says. */
static enum err_code judge(struct span bytes, struct evidence *evidence,
                           struct evidence_verdict *verdict)
{
    struct err err;
    enum err_code rc = evidence_parse(evidence, bytes, &err);
    if (rc != E_OK) {
        assert(rc == E_MALFORMED);
        return rc;
    }
    struct buf again = BUF_INIT(EVIDENCE_BYTES_MAX), about = BUF_INIT(ORIGIN_BYTES_MAX);
    rc = evidence_verify(evidence, all_keys, 5, verdict, &err);
    enum err_code put = make_again(&again, evidence, &err);
    assert(rc != E_OK || put == E_OK || evidence->kind == EVIDENCE_OBSERVATION);
    if (rc == E_OK && (evidence->kind != EVIDENCE_OBSERVATION || verdict->keys[0] == 4)) {
        assert(span_is_equal(buf_span(&again), bytes));
    }
    assert((put == E_OK) == (again.len > 0));
    evidence_put_origin(&about, evidence);
    buf_clear(&again);
    buf_clear(&about);
    return rc;
}

/* -- a file -- */

/* A witness that lies about the tree lies about the time as well: the smaller, the later. */
static void put_cosigned(struct buf *out, size_t size, const struct hash *root, bool is_lie)
{
    struct buf text = BUF_INIT(1024);
    struct err err;
    put_text(&text, size, root);
    uint64_t time = 1700000000 + (is_lie ? 2 * LEAVES - size : size);
    enum err_code rc = note_put_signed(out, buf_span(&text), &witness_signer, time, &err);
    assert(rc == E_OK);
    buf_clear(&text);
}

/* For each index below `size`, in a tree of LEAVES. */
static void put_promise(struct buf *out, size_t size, bool is_lie)
{
    struct promise_item items[LEAVES];
    struct buf text = BUF_INIT(PROMISE_TEXT_MAX);
    struct err err;
    for (size_t i = 0; i < size; i++) {
        items[i] = (struct promise_item){ i, is_lie ? pool[POOL - 1] : range_hash(i, i + 1) };
    }
    promise_put_text(&text, origin, items, size);
    enum err_code rc = note_put_signed(out, buf_span(&text), &promise_signer, 0, &err);
    assert(rc == E_OK);
    buf_clear(&text);
}

static void put_said(struct buf *out, size_t size, const struct hash *root)
{
    struct buf text = BUF_INIT(4096), note = BUF_INIT(2048);
    struct err err;
    put_note(&note, size, root, false, false);
    buf_putf(&text, "courtroll observation v1\nno-quorum\n%s\n-\n%zu\nseen\nnote %zu\n", origin,
             size, note.len);
    buf_put(&text, buf_span(&note));
    enum err_code rc = note_put_signed(out, buf_span(&text), &monitor_signer, 0, &err);
    assert(rc == E_OK);
    buf_clear(&text);
    buf_clear(&note);
}

/* False when the two bytes do not stand for anything of a record. */
static bool put_of_record(struct buf *file, uint8_t mark, uint8_t letter)
{
    size_t i = (size_t)(tolower(letter) - 'a');
    bool is_lie = letter < 'a';
    if (memchr("^#=", mark, 3) == NULL || tolower(letter) < 'a' || i >= RECORDS) {
        return false;
    }
    if (mark == '^') {
        struct buf note = BUF_INIT(TEXT_MAX);
        struct hash root = record_range_hash(is_lie, 0, i + 1);
        put_note(&note, i + 1, &root, false, false);
        buf_putf(file, "note %zu\n", note.len);
        buf_put(file, buf_span(&note));
        buf_clear(&note);
    } else if (mark == '#') {
        base64_put(file, buf_span(&records[is_lie][i]));
    } else {
        size_t pair = 2 - i / 2 * 2; /* of the other two */
        struct proof proof = { .count = 2 };
        proof.hashes[0] = record_range_hash(is_lie, i ^ 1, (i ^ 1) + 1);
        proof.hashes[1] = record_range_hash(is_lie, pair, pair + 2);
        proof_put_lines(file, &proof);
    }
    return true;
}

/* False when the two bytes do not stand for a note. */
static bool put_marked(struct buf *file, uint8_t mark, uint8_t letter)
{
    struct buf note = BUF_INIT(TEXT_MAX);
    size_t size = (size_t)(tolower(letter) - 'a') + 1;
    if (memchr("@%&~", mark, 4) == NULL || tolower(letter) < 'a' ||
        tolower(letter) >= 'a' + LEAVES) {
        return false;
    }
    bool is_lie = letter < 'a';
    struct hash root = is_lie ? pool[POOL - 1] : honest_root(size);
    switch (mark) {
    case '@':
        put_note(&note, size, &root, false, false);
        break;
    case '%':
        put_cosigned(&note, size, &root, is_lie);
        break;
    case '&':
        put_promise(&note, size, is_lie);
        break;
    default:
        put_said(&note, size, &root);
        break;
    }
    buf_putf(file, "note %zu\n", note.len);
    buf_put(file, buf_span(&note));
    buf_clear(&note);
    return true;
}

static void fuzz_file(struct span in)
{
    struct buf file = BUF_INIT(8 * TEXT_MAX);
    bool has_lie = false;
    for (size_t i = 0; i < in.len; i++) {
        if (i + 1 < in.len && put_marked(&file, in.data[i], in.data[i + 1])) {
            has_lie |= in.data[++i] < 'a';
        } else if (i + 1 < in.len && put_of_record(&file, in.data[i], in.data[i + 1])) {
            has_lie |= in.data[i] == '^' && in.data[i + 1] < 'a';
            i++;
        } else {
            buf_put_u8(&file, in.data[i]);
        }
    }
    struct evidence evidence;
    struct evidence_verdict verdict;
    enum err_code rc = judge(buf_span(&file), &evidence, &verdict);
    assert(rc != E_OK || has_lie || evidence.kind == EVIDENCE_OBSERVATION);
    buf_clear(&file);
}

/* -- choices -- */

struct choices {
    size_t sizes[2];
    struct hash signed_roots[2];
    bool has_proof;
    struct hash root;
    struct proof proof;
    uint8_t flags;
};

static struct choices choose(struct span in)
{
    struct choices choices = { 0 };
    uint8_t value = 0;
    bool more = span_take_u8(&in, &choices.flags);
    for (size_t i = 0; i < 2; i++) {
        more = more && span_take_u8(&in, &value);
        choices.sizes[i] = value % (LEAVES + 1);
        choices.signed_roots[i] = honest_root(choices.sizes[i]);
        if ((choices.flags >> i & 1) && choices.sizes[i] > 0) { /* the log lies */
            choices.signed_roots[i] = pool[value / (LEAVES + 1) % POOL];
        }
    }
    choices.has_proof = more && span_take_u8(&in, &value);
    choices.root = pool[value % POOL];
    while (choices.proof.count < 6 && span_take_u8(&in, &value)) {
        choices.proof.hashes[choices.proof.count++] = pool[value % POOL];
    }
    return choices;
}

/* Is there a contradiction? Said once more, without evidence.c. */
static bool is_fork(const struct choices *choices)
{
    size_t a = choices->sizes[0] <= choices->sizes[1] ? 0 : 1, b = 1 - a;
    struct hash old_root, new_root;
    struct err err;
    if (choices->sizes[0] == choices->sizes[1]) {
        return !hash_is_equal(&choices->signed_roots[0], &choices->signed_roots[1]);
    }
    return choices->has_proof &&
           proof_consistency_roots(&old_root, &new_root, &choices->proof, choices->sizes[a],
                                   choices->sizes[b], &choices->root, &err) == E_OK &&
           hash_is_equal(&old_root, &choices->root) &&
           hash_is_equal(&new_root, &choices->signed_roots[b]) &&
           !hash_is_equal(&old_root, &choices->signed_roots[a]);
}

static void fuzz_choices(struct span in)
{
    struct choices choices = choose(in);
    struct buf notes[2], file = BUF_INIT(EVIDENCE_BYTES_MAX);
    for (size_t i = 0; i < 2; i++) {
        buf_init(&notes[i], TEXT_MAX);
        put_note(&notes[i], choices.sizes[i], &choices.signed_roots[i],
                 choices.flags >> (2 + i) & 1, choices.flags >> (4 + i) & 1);
    }
    struct err err;
    enum err_code rc =
        evidence_put_fork(&file, buf_span(&notes[0]), buf_span(&notes[1]),
                          choices.has_proof ? &choices.root : NULL,
                          choices.has_proof ? &choices.proof : NULL, log_keys, 1, &err);
    bool is_honest = true;
    for (size_t i = 0; i < 2; i++) {
        struct hash root = honest_root(choices.sizes[i]);
        is_honest = is_honest && hash_is_equal(&root, &choices.signed_roots[i]);
    }
    assert(rc == (is_fork(&choices) ? E_OK : E_BAD_PROOF));
    assert(!is_honest || rc == E_BAD_PROOF);
    if (rc == E_OK) {
        struct evidence evidence;
        struct evidence_verdict verdict;
        enum err_code judged = judge(buf_span(&file), &evidence, &verdict);
        assert(judged == E_OK);
        assert(!hash_is_equal(&verdict.contradicted, &verdict.checkpoints[0].root));
    }
    assert((rc == E_OK) == (file.len > 0));
    buf_clear(&file);
    buf_clear(&notes[0]);
    buf_clear(&notes[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    if (size > INPUT_MAX) {
        return 0;
    }
    set_up();
    if (span_has_prefix(in, span_of_str("courtroll"))) {
        fuzz_file(in);
    } else {
        fuzz_choices(in);
    }
    return 0;
}
