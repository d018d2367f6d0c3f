/* fuzz_cosignatures.c -- what a witness answers, appended to the note that it was asked about and
 * verified: whatever the bytes, the log's text stays signed, and no witness is counted that did not
 * cosign.
 *
 * An input cannot easily hold valid lines, so "@0" to "@9" in it stand for some: of three witnesses
 * on the note's text, at a time each (0 to 2); of them on another text (3 to 5) and at another time
 * (6 to 8); and the log's own line (9). */
#include "base/ascii.h"
#include "tlog/add_checkpoint.h"
#include "tlog/note.h"

#include <assert.h>
#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    WITNESSES = 3,
    LINES = 10,
    LINE_BYTES_MAX = 256
};

static const char text[] = "log.example\n1\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n";
static const char other_text[] = "log.example\n2\nAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n";
static struct signer log_signer, witnesses[WITNESSES];
static struct buf lines[LINES];

static struct signer make_signer(const char *name, enum signature_type type)
{
    uint8_t seed[ED25519_SEED_BYTES] = { (uint8_t)name[0], (uint8_t)name[1] };
    struct signing_key *key = signing_key_from_seed(seed);
    struct ed25519_public public = signing_key_public(key);
    return (struct signer){ .vkey = vkey_make(name, type, &public), .key = key };
}

static uint64_t time_of(size_t witness, bool is_first)
{
    return (is_first ? 1000 : 2000) + witness;
}

static void set_up(void)
{
    if (log_signer.key != NULL) {
        return;
    }
    static const char *const names[WITNESSES] = { "w0", "w1", "w2" };
    log_signer = make_signer("log.example", SIGNATURE_ED25519);
    for (size_t i = 0; i < LINES; i++) {
        struct err err;
        size_t witness = i % WITNESSES;
        buf_init(&lines[i], LINE_BYTES_MAX);
        if (i < WITNESSES) {
            witnesses[i] = make_signer(names[i], SIGNATURE_COSIGNATURE);
        }
        struct span signed_text = span_of_str(i / WITNESSES == 1 ? other_text : text);
        enum err_code rc = i == 9 ? note_put_signature(&lines[i], signed_text, &log_signer, 0, &err)
                                  : note_put_signature(&lines[i], signed_text, &witnesses[witness],
                                                       time_of(witness, i < 6), &err);
        assert(rc == E_OK);
    }
}

/* The lines, each with its newline: an answer that is one stays well-formed. */
static void expand(struct buf *out, struct span in)
{
    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] == '@' && i + 1 < in.len && isdigit(in.data[i + 1])) {
            i++;
            buf_put(out, buf_span(&lines[in.data[i] - '0']));
        } else {
            buf_put_u8(out, in.data[i]);
        }
    }
}

/* Is the line in the answer, but for its end, where base64 has bits to spare? */
static bool is_answered(struct span answer, size_t line)
{
    struct span start = span_slice(buf_span(&lines[line]), 0, lines[line].len - 4);
    return span_find(answer, start) != SIZE_MAX;
}

/* The line as we would keep it says the same. */
static void check_kept(const struct note *note, const struct note_verified *verified,
                       const struct vkey *key)
{
    struct buf kept = BUF_INIT(note->text.len + 1 + note->lines[verified->line].line.len);
    buf_put(&kept, note->text);
    buf_put_u8(&kept, '\n');
    note_put_line(&kept, &note->lines[verified->line]);
    struct note again;
    struct note_verified found;
    size_t count = 0;
    struct err err;
    enum err_code rc = note_parse(&again, buf_span(&kept), &err);
    assert(rc == E_OK);
    rc = note_verify(&again, &key, 1, &found, &count, &err);
    assert(rc == E_OK);
    assert(found.timestamp == verified->timestamp);
    size_t line = verified->timestamp < 2000 ? 0 : 6;
    struct span ours = buf_span(&lines[line + verified->timestamp % 1000]);
    assert(span_is_equal(again.lines[0].line, ours));
    note_clear(&again);
    buf_clear(&kept);
}

static void check_witnesses(const struct note *note, struct span answer)
{
    const struct vkey *keys[WITNESSES];
    struct note_verified verified[WITNESSES];
    size_t count = 0, bad_count = 0;
    for (size_t i = 0; i < WITNESSES; i++) {
        keys[i] = &witnesses[i].vkey;
    }
    note_verify_each(note, keys, WITNESSES, verified, &count, &bad_count);
    for (size_t i = 0; i < count; i++) {
        size_t witness = verified[i].key;
        bool is_first = verified[i].timestamp == time_of(witness, true);
        assert(is_first || verified[i].timestamp == time_of(witness, false));
        assert(is_answered(answer, is_first ? witness : witness + 6));
        assert(verified[i].line >= 1); /* the log's own is before all of the answer */
        for (size_t k = 0; k < i; k++) {
            assert(verified[k].key != witness);
        }
        check_kept(note, &verified[i], keys[witness]);
    }
    assert(count + bad_count < note->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > ADD_CHECKPOINT_LINES_MAX / LINE_BYTES_MAX * 2) {
        return 0;
    }
    set_up();
    struct buf answer = BUF_INIT(ADD_CHECKPOINT_LINES_MAX);
    expand(&answer, span_of(data, size));
    struct buf bytes = BUF_INIT(ADD_CHECKPOINT_LINES_MAX + 1024);
    struct err err;
    enum err_code rc = note_put_signed(&bytes, span_of_str(text), &log_signer, 0, &err);
    assert(rc == E_OK);
    buf_put(&bytes, buf_span(&answer));
    struct note note;
    if (note_parse(&note, buf_span(&bytes), &err) != E_OK) {
        assert(err.code == E_MALFORMED);
    } else if (!span_is_str(note.text,
                            text)) { /* the answer has a blank line: all before it is text */
        assert(span_has_prefix(buf_span(&answer), span_of_str("\n")) ||
               span_find(buf_span(&answer), span_of_str("\n\n")) != SIZE_MAX);
        note_clear(&note);
    } else {
        const struct vkey *key = &log_signer.vkey;
        struct note_verified verified;
        size_t count = 0;
        rc = note_verify(&note, &key, 1, &verified, &count, &err);
        assert(rc == E_OK && verified.line == 0);
        check_witnesses(&note, buf_span(&answer));
        note_clear(&note);
    }
    buf_clear(&bytes);
    buf_clear(&answer);
    return 0;
}
