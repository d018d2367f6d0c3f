/* fuzz_evidence.c -- evidence: an honest log cannot be framed, and what is proved stays proved.
 *
 * An input starting with "courtroll" is a file; "@" and a letter in it stand for a whole note with
 * its "note BYTES" line: a to h are those of an honest log by size, A to H those of a fork. Any other
 * input is read as choices: of two sizes, of the roots that are signed there, and of a proof; all
 * hashes are from the tree of eight entries, or from nowhere. */
#include "base/ascii.h"
#include "tlog/evidence.h"

#include <assert.h>
#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LEAVES = 8,
    POOL = LEAVES * LEAVES + 4, /* hashes of all ranges, and of none */
    INPUT_MAX = 4096,
    TEXT_MAX = 2 * EVIDENCE_BYTES_MAX
};

static const char origin[] = "log.example";
static struct signer log_signer, other_signer;
static const struct vkey *log_keys[1];
static struct hash pool[POOL];

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

static void set_up(void)
{
    if (log_signer.key != NULL) {
        return;
    }
    uint8_t seed[ED25519_SEED_BYTES] = { 1 };
    struct signing_key *key = signing_key_from_seed(seed);
    struct ed25519_public public = signing_key_public(key);
    log_signer = (struct signer){ vkey_make(origin, SIGNATURE_ED25519, &public), key };
    seed[0] = 2;
    key = signing_key_from_seed(seed);
    public = signing_key_public(key);
    other_signer = (struct signer){ vkey_make("other", SIGNATURE_ED25519, &public), key };
    log_keys[0] = &log_signer.vkey;
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

/* Parses, verifies, and makes the file again from what it says. */
static enum err_code judge(struct span bytes, struct evidence_verdict *verdict)
{
    struct evidence evidence;
    struct err err;
    enum err_code rc = evidence_parse(&evidence, bytes, &err);
    if (rc != E_OK) {
        assert(rc == E_MALFORMED);
        return rc;
    }
    rc = evidence_verify(&evidence, log_keys, 1, verdict, &err);
    struct buf again = BUF_INIT(EVIDENCE_BYTES_MAX);
    enum err_code put =
        evidence_put_fork(&again, evidence.notes[1], evidence.notes[0],
                          evidence.has_proof ? &evidence.root : NULL,
                          evidence.has_proof ? &evidence.proof : NULL, log_keys, 1, &err);
    assert(rc != E_OK || put == E_OK);
    assert(rc != E_OK || span_is_equal(buf_span(&again), bytes));
    assert((put == E_OK) == (again.len > 0));
    buf_clear(&again);
    return rc;
}

/* -- a file -- */

static void fuzz_file(struct span in)
{
    struct buf file = BUF_INIT(TEXT_MAX), note = BUF_INIT(TEXT_MAX);
    bool has_fork = false;
    for (size_t i = 0; i < in.len; i++) {
        int letter = i + 1 < in.len ? tolower(in.data[i + 1]) : 0;
        if (in.data[i] != '@' || letter < 'a' || letter >= 'a' + LEAVES) {
            buf_put_u8(&file, in.data[i]);
            continue;
        }
        size_t size = (size_t)(letter - 'a') + 1;
        bool is_fork = in.data[++i] < 'a';
        struct hash root = is_fork ? pool[POOL - 1] : honest_root(size);
        has_fork |= is_fork;
        buf_reset(&note);
        put_note(&note, size, &root, false, false);
        buf_putf(&file, "note %zu\n", note.len);
        buf_put(&file, buf_span(&note));
    }
    struct evidence_verdict verdict;
    enum err_code rc = judge(buf_span(&file), &verdict);
    assert(rc != E_OK || has_fork);
    buf_clear(&file);
    buf_clear(&note);
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
        struct evidence_verdict verdict;
        enum err_code judged = judge(buf_span(&file), &verdict);
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
