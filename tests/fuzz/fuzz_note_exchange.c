/* fuzz_note_exchange.c -- what monitors say to each other: what is taken is made again as it was.
 *
 * The input is the text of a message; "@" and a letter in it stand for a whole checkpoint note with its
 * "note BYTES" line. It is signed here, so that all of the parser is reached; then the input is read as a message
 * that it is not. */
#include "monitor/note_exchange.h"
#include "tlog/checkpoint.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INPUT_MAX = 4096,
    NOTES = 4
};

static struct signer monitor, log_signer;
static struct buf notes[NOTES];

static struct signer make(const char *name, uint8_t first)
{
    uint8_t seed[ED25519_SEED_BYTES] = { first };
    struct signing_key *key = signing_key_from_seed(seed);
    struct ed25519_public public = signing_key_public(key);
    return (struct signer){ .vkey = vkey_make(name, SIGNATURE_ED25519, &public), .key = key };
}

static void sign(struct buf *out, struct span text, const struct signer *signer)
{
    struct err err;
    enum err_code rc = note_put_signed(out, text, signer, 0, &err);
    assert(rc == E_OK);
}

static void set_up(void)
{
    if (monitor.key != NULL) {
        return;
    }
    monitor = make("monitor.example", 1);
    log_signer = make("log.example", 2);
    for (size_t i = 0; i < NOTES; i++) {
        struct checkpoint checkpoint = { .origin = "log.example", .size = i + 1 };
        struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
        buf_init(&notes[i], 4096);
        checkpoint_put(&text, &checkpoint);
        sign(&notes[i], buf_span(&text), &log_signer);
        buf_clear(&text);
    }
}

static void put_text(struct buf *out, struct span in)
{
    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] == '@' && i + 1 < in.len) {
            const struct buf *note = &notes[in.data[++i] % NOTES];
            buf_putf(out, "note %zu\n", note->len);
            buf_put(out, buf_span(note));
        } else {
            buf_put_u8(out, in.data[i]);
        }
    }
}

static void judge(struct span bytes)
{
    static struct note_exchange opened, parsed;
    const struct vkey *keys[] = { &log_signer.vkey, &monitor.vkey };
    struct err err;
    enum err_code form = note_exchange_parse(&parsed, bytes, &err);
    assert(form == E_OK || form == E_MALFORMED);
    int64_t now_s = form == E_OK ? parsed.unix_s : 0;
    enum err_code rc = note_exchange_open(&opened, bytes, keys, 2, now_s, &err);
    assert(rc != E_OK || form == E_OK);
    assert(rc == E_OK || rc == E_MALFORMED || rc == E_BAD_SIGNATURE || rc == E_DENIED);
    if (rc != E_OK) {
        return;
    }
    struct buf again = BUF_INIT(NOTE_EXCHANGE_BYTES_MAX);
    assert(opened.sender == 1);
    assert(opened.count == parsed.count && opened.count <= NOTE_EXCHANGE_MAX);
    rc = note_exchange_put(&again, &monitor, opened.unix_s, opened.notes, opened.count, &err);
    assert(rc == E_OK);
    assert(span_is_equal(buf_span(&again), bytes));
    buf_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > INPUT_MAX) {
        return 0;
    }
    set_up();
    struct buf text = BUF_INIT(SIZE_MAX), message = BUF_INIT(SIZE_MAX);
    judge(span_of(data, size));
    put_text(&text, span_of(data, size));
    buf_put_u8(&text, '\n');
    sign(&message, buf_span(&text), &monitor);
    judge(buf_span(&message));
    buf_truncate(&text, text.len - 1);
    if (text.len > 0 && text.data[text.len - 1] == '\n') {
        buf_reset(&message);
        sign(&message, buf_span(&text), &monitor);
        judge(buf_span(&message));
    }
    buf_clear(&text);
    buf_clear(&message);
    return 0;
}
