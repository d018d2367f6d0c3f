/* fuzz_vantage_notes.c -- whatever a file is: the notes in it lie inside it and are notes, and a file that is
 * refused has none.
 *
 * "@" and a letter stand for a whole note: a to d checkpoints, e a promise; with a capital letter the line
 * "note BYTES" is before it. */
#include "monitor/vantage.h"
#include "tlog/promise.h"

#include <assert.h>
#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INPUT_MAX = 4096,
    NOTES = 5,
    NOTES_MAX = 64
};

static const char origin[] = "log.example";
static struct signer signer;
static struct buf notes[NOTES];

static void set_up(void)
{
    if (signer.key != NULL) {
        return;
    }
    uint8_t seed[ED25519_SEED_BYTES] = { 1 };
    struct signing_key *key = signing_key_from_seed(seed);
    struct ed25519_public public = signing_key_public(key);
    signer = (struct signer){ .vkey = vkey_make(origin, SIGNATURE_ED25519, &public), .key = key };
    for (size_t i = 0; i < NOTES; i++) {
        struct checkpoint checkpoint = { .size = i / 2 + 1, .root = { { (uint8_t)i } } };
        const struct promise_item item = { .index = 1 };
        struct buf text = BUF_INIT(PROMISE_TEXT_MAX);
        struct err err;
        memcpy(checkpoint.origin, origin, sizeof origin);
        if (i < NOTES - 1) {
            checkpoint_put(&text, &checkpoint);
        } else {
            promise_put_text(&text, origin, &item, 1);
        }
        buf_init(&notes[i], PROMISE_NOTE_MAX);
        enum err_code rc = note_put_signed(&notes[i], buf_span(&text), &signer, 0, &err);
        assert(rc == E_OK);
        buf_clear(&text);
    }
}

struct seen {
    struct span file;
    size_t count;
};

static void check(struct seen *seen, struct span note, bool is_promise)
{
    struct note parsed;
    struct checkpoint checkpoint;
    struct err err;
    assert(++seen->count <= NOTES_MAX);
    assert(note.data >= seen->file.data);
    assert(note.len <= seen->file.len);
    assert(note.data + note.len <= seen->file.data + seen->file.len);
    enum err_code rc = note_parse(&parsed, note, &err);
    assert(rc == E_OK);
    rc = checkpoint_parse(&checkpoint, parsed.text, &err);
    assert((rc != E_OK) == is_promise);
    note_clear(&parsed);
}

static void on_note(void *ctx, struct span note)
{
    check(ctx, note, false);
}

static void on_promise(void *ctx, struct span note)
{
    check(ctx, note, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf file = BUF_INIT(SIZE_MAX);
    struct err err;
    if (size > INPUT_MAX) {
        return 0;
    }
    set_up();
    for (size_t i = 0; i < size; i++) {
        int letter = data[i] == '@' && i + 1 < size ? data[i + 1] : 0;
        int number = tolower(letter) - 'a';
        if (number < 0 || number >= NOTES) {
            buf_put_u8(&file, data[i]);
            continue;
        }
        if (letter < 'a') {
            buf_putf(&file, "note %zu\n", notes[number].len);
        }
        buf_put(&file, buf_span(&notes[number]));
        i++;
    }
    struct seen seen = { .file = buf_span(&file) };
    enum err_code rc = vantage_take_notes(buf_span(&file), &seen, on_note, on_promise, &err);
    assert(rc == E_OK || rc == E_MALFORMED);
    assert(rc == E_OK || seen.count == 0);
    buf_clear(&file);
    return 0;
}
