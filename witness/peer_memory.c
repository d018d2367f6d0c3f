#include "witness/peer_memory.h"

#include "base/log.h"
#include "witness/cosign_evidence.h"

#include <assert.h>

static_assert((int)PEER_NOTE_BYTES_MAX == (int)LEDGER_NOTE_BYTES_MAX, "what is kept is served");

/* --- A note that somebody shows. --- */

struct shown {
    struct checkpoint checkpoint;
    size_t lines;
    struct buf note; /* owned: as it is kept */
};

static bool is_of_key(const struct note_line *line, const struct vkey *keys, size_t key_count)
{
    for (size_t i = 0; i < key_count; i++) {
        if (line->key_id == keys[i].id && span_is_str(line->name, keys[i].name)) {
            return true;
        }
    }
    return false;
}

/* The log's lines, then those of others. False when the log did not sign. */
static bool put_kept(struct shown *out, const struct note *note, const struct vkey *keys,
                     size_t key_count)
{
    const struct vkey *pointers[LOG_KEYS_MAX];
    struct note_verified verified[NOTE_SIGNATURES_MAX];
    size_t count = 0, bad_count = 0, others = 0;
    for (size_t i = 0; i < key_count; i++) {
        pointers[i] = &keys[i];
    }
    note_verify_each(note, pointers, key_count, verified, &count, &bad_count);
    if (count == 0) {
        return false;
    }
    buf_put(&out->note, note->text);
    buf_put_u8(&out->note, '\n');
    for (size_t i = 0; i < count; i++) {
        note_put_line(&out->note, &note->lines[verified[i].line]);
    }
    for (size_t i = 0; i < note->count && others < PEER_MEMORY_OTHERS_MAX; i++) {
        if (!is_of_key(&note->lines[i], keys, key_count)) {
            buf_put(&out->note, note->lines[i].line);
            others++;
        }
    }
    out->lines = count + others;
    return true;
}

/* Call buf_clear on its note afterwards, in any case. */
static bool read_shown(struct shown *out, struct known_log *log, struct span bytes)
{
    struct vkey keys[LOG_KEYS_MAX];
    struct note note;
    struct err err;
    buf_init(&out->note, PEER_NOTE_BYTES_MAX);
    if (bytes.len > PEER_NOTE_BYTES_MAX || note_parse(&note, bytes, &err) != E_OK) {
        return false;
    }
    bool is_read = checkpoint_parse(&out->checkpoint, note.text, &err) == E_OK &&
                   strcmp(out->checkpoint.origin, log->origin) == 0 &&
                   put_kept(out, &note, keys, known_log_keys(log, keys));
    note_clear(&note);
    return is_read;
}

/* --- What is kept already. --- */

struct kept {
    struct hash peer;
    uint64_t size;
    struct hash root;
    size_t lines;
};

struct kept_notes {
    const struct checkpoint *shown;
    size_t count;
    struct kept notes[PEER_NOTES_MAX];
    struct buf contradicting; /* owned: the last of the same size and another root, or empty */
};

static bool is_fork(const struct checkpoint *a, const struct checkpoint *b)
{
    return a->size == b->size && !hash_is_equal(&a->root, &b->root);
}

static bool read_stored(struct checkpoint *out, size_t *lines, struct span bytes)
{
    struct note note;
    struct err err;
    if (note_parse(&note, bytes, &err) != E_OK) {
        return false;
    }
    bool is_read = checkpoint_parse(out, note.text, &err) == E_OK;
    *lines = note.count;
    note_clear(&note);
    return is_read;
}

static enum err_code on_kept(void *ctx, const struct hash *peer, struct span bytes, struct err *err)
{
    struct kept_notes *all = ctx;
    struct checkpoint checkpoint = { .size = 0 };
    size_t lines = 0;
    if (all->count == PEER_NOTES_MAX) {
        return err_set(err, E_EXISTS, "enough of them");
    }
    if (bytes.len <= PEER_NOTE_BYTES_MAX && read_stored(&checkpoint, &lines, bytes) &&
        is_fork(&checkpoint, all->shown)) {
        buf_reset(&all->contradicting);
        buf_put(&all->contradicting, bytes);
    }
    all->notes[all->count++] = (struct kept){ *peer, checkpoint.size, checkpoint.root, lines };
    return E_OK;
}

/* E_OK when all of them were read. */
static enum err_code read_kept(struct ledger *ledger, const struct known_log *log,
                               struct kept_notes *all, struct err *err)
{
    all->count = 0;
    buf_reset(&all->contradicting);
    enum err_code rc = ledger_each_peer(ledger, &log->origin_hash, on_kept, all, err);
    return rc == E_EXISTS ? E_OK : rc;
}

/* --- Remembering. --- */

/* Newer, or of the same tree with more signatures. */
static bool is_better(const struct shown *shown, const struct kept *kept)
{
    return shown->checkpoint.size > kept->size ||
           (shown->checkpoint.size == kept->size &&
            hash_is_equal(&shown->checkpoint.root, &kept->root) && shown->lines > kept->lines);
}

static void put_peer(struct ledger *ledger, const struct hash *origin_hash, const struct hash *peer,
                     struct span note)
{
    struct err err;
    enum err_code rc = ledger_put_peer(ledger, origin_hash, peer, note, &err);
    if (rc != E_OK && rc != E_UNAVAILABLE) { /* of that the ledger has told */
        log_error(LOG_LEVEL_WARN, "peer_note_not_kept", &err);
    }
}

/* True when it was written. */
static bool remember(struct ledger *ledger, const struct hash *origin_hash, const char *url,
                     const struct shown *shown, const struct kept_notes *all)
{
    struct hash peer = sha256(span_of_str(url));
    const struct kept *least = NULL, *same = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const struct kept *kept = &all->notes[i];
        same = hash_is_equal(&kept->peer, &peer) ? kept : same;
        least = least == NULL || kept->size < least->size ? kept : least;
    }
    if (same != NULL && !is_better(shown, same)) {
        return false;
    }
    if (same == NULL && all->count == PEER_NOTES_MAX) {
        put_peer(ledger, origin_hash, &least->peer, span_of(NULL, 0));
    }
    put_peer(ledger, origin_hash, &peer, buf_span(&shown->note));
    return true;
}

/* With the note of that size that we cosigned, and with one that a peer has shown. */
static void look_for_fork(struct ledger *ledger, struct evidence_keep *evidence,
                          struct known_log *log, const struct shown *shown, struct span remembered)
{
    struct buf seen = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct checkpoint checkpoint;
    size_t lines;
    struct err err;
    if (ledger_seen(ledger, &log->origin_hash, shown->checkpoint.size, &seen, &err) == E_OK &&
        read_stored(&checkpoint, &lines, buf_span(&seen)) &&
        is_fork(&checkpoint, &shown->checkpoint)) {
        cosign_evidence_keep(evidence, log, buf_span(&shown->note), buf_span(&seen));
    }
    if (remembered.len > 0) {
        cosign_evidence_keep(evidence, log, buf_span(&shown->note), remembered);
    }
    buf_clear(&seen);
}

bool peer_memory_on_note(struct ledger *ledger, struct evidence_keep *evidence,
                         struct known_log *log, const char *peer, struct span note)
{
    struct shown shown;
    struct err err;
    bool is_logs = read_shown(&shown, log, note);
    /* All trees begin alike: a note of size 0 says nothing. */
    if (is_logs && shown.checkpoint.size > 0) {
        struct kept_notes all = { .shown = &shown.checkpoint,
                                  .contradicting = BUF_INIT(PEER_NOTE_BYTES_MAX) };
        enum err_code rc = read_kept(ledger, log, &all, &err);
        /* Once more after it was written: of two that come at once, one then sees the other. */
        if (rc == E_OK && peer != NULL && remember(ledger, &log->origin_hash, peer, &shown, &all)) {
            rc = read_kept(ledger, log, &all, &err);
        }
        if (rc != E_OK && rc != E_UNAVAILABLE) {
            log_error(LOG_LEVEL_WARN, "peer_notes_unread", &err);
        }
        look_for_fork(ledger, evidence, log, &shown, buf_span(&all.contradicting));
        buf_clear(&all.contradicting);
    }
    buf_clear(&shown.note);
    return is_logs;
}

/* --- Serving. --- */

struct putting {
    struct buf *out;
    size_t count;
};

static enum err_code put_note(void *ctx, const struct hash *peer, struct span note, struct err *err)
{
    struct putting *putting = ctx;
    (void)peer;
    if (note.len == 0 || note.len > PEER_NOTE_BYTES_MAX) {
        return err_set(err, E_CORRUPT, "a stored note of a peer has %zu bytes", note.len);
    }
    if (putting->count == PEER_NOTES_MAX) {
        return err_set(err, E_EXISTS, "enough of them");
    }
    peer_notes_put(putting->out, note);
    putting->count++;
    return E_OK;
}

enum err_code peer_memory_put(struct ledger *ledger, const struct hash *origin_hash,
                              struct buf *out, struct err *err)
{
    struct putting putting = { out, 0 };
    enum err_code rc = ledger_each_peer(ledger, origin_hash, put_note, &putting, err);
    if (rc != E_OK && rc != E_EXISTS) {
        return rc;
    }
    return putting.count > 0 ? E_OK : err_set(err, E_NOT_FOUND, "no peer has shown a note");
}
