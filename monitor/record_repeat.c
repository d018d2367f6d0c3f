#include "monitor/record_repeat.h"

#include "base/alloc.h"
#include "client/tile_reader.h"
#include "evidence/evidence.h"
#include "monitor/known_note.h"
#include "tlog/bundle.h"

struct record_repeat {
    struct watched_log *log; /* borrowed, as all here */
    struct span note;
    const struct checkpoint *checkpoint;
    size_t source;             /* the one that is open, or to be opened next */
    struct log_reader *reader; /* owned; NULL: not open */
    struct tile_reader *tiles; /* likewise */
};

struct record_repeat *record_repeat_new(struct watched_log *log, struct span note,
                                        const struct checkpoint *checkpoint)
{
    struct record_repeat *repeat = NEW(struct record_repeat);
    repeat->log = log;
    repeat->note = note;
    repeat->checkpoint = checkpoint;
    return repeat;
}

static void close_source(struct record_repeat *repeat)
{
    tile_reader_close(repeat->tiles);
    log_reader_close(repeat->reader);
    repeat->tiles = NULL;
    repeat->reader = NULL;
}

void record_repeat_free(struct record_repeat *repeat)
{
    if (repeat != NULL) {
        close_source(repeat);
        mem_free(repeat);
    }
}

/* -- fetching -- */

static enum err_code open_source(struct record_repeat *repeat, struct err *err)
{
    const struct scan_source *source = &watched_log_options(repeat->log)->sources[repeat->source];
    enum err_code rc = E_OK;
    if (repeat->tiles != NULL) {
        return E_OK;
    }
    if (repeat->reader == NULL) {
        rc = source->open(source->ctx, &repeat->reader, err);
    }
    if (rc == E_OK) {
        rc = tile_reader_open(&repeat->tiles, repeat->reader, repeat->checkpoint->size,
                              &repeat->checkpoint->root, err);
    }
    return rc;
}

struct fetched {
    struct buf bytes; /* owned */
    struct proof proof;
};

static enum err_code fetch(struct record_repeat *repeat, uint64_t index, struct fetched *out,
                           struct err *err)
{
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    struct span entry;
    buf_reset(&out->bytes);
    enum err_code rc = open_source(repeat, err);
    if (rc == E_OK) {
        rc = tile_reader_get_bundle(repeat->tiles, index / TILE_WIDTH, &bundle, err);
    }
    if (rc == E_OK) {
        rc = bundle_entry(&entry, buf_span(&bundle), (uint16_t)(index % TILE_WIDTH), err);
    }
    if (rc == E_OK) {
        buf_put(&out->bytes, entry);
        struct merkle_source nodes = tile_reader_source(repeat->tiles);
        rc = proof_make_inclusion(&out->proof, &nodes, index, repeat->checkpoint->size, err);
    }
    buf_clear(&bundle);
    return rc;
}

/* From one source, then the next. */
static enum err_code fetch_both(struct record_repeat *repeat, const uint64_t indices[static 2],
                                struct fetched out[static 2], struct err *err)
{
    size_t count = watched_log_options(repeat->log)->source_count;
    for (size_t tries = 0; tries < count; tries++) {
        if (fetch(repeat, indices[0], &out[0], err) == E_OK &&
            fetch(repeat, indices[1], &out[1], err) == E_OK) {
            return E_OK;
        }
        close_source(repeat);
        repeat->source = (repeat->source + 1) % count;
    }
    err->code = E_NOT_FOUND;
    return E_NOT_FOUND;
}

/* -- the file -- */

static enum err_code judge(struct span file, const struct vkey *const *keys, size_t key_count,
                           struct err *err)
{
    struct evidence *evidence = NEW(struct evidence);
    struct evidence_verdict *verdict = NEW(struct evidence_verdict);
    enum err_code rc = evidence_parse(evidence, file, err);
    if (rc == E_OK) {
        rc = evidence_verify(evidence, keys, key_count, verdict, err);
    }
    mem_free(evidence);
    mem_free(verdict);
    return rc;
}

enum err_code record_repeat_put(struct buf *out, struct record_repeat *repeat, uint64_t first,
                                uint64_t second, struct err *err)
{
    const struct vkey *keys[POLICY_KEYS_MAX];
    size_t key_count = known_note_log_keys(watched_log_options(repeat->log), keys);
    struct fetched fetched[2] = { { BUF_INIT(ENTRY_BYTES_MAX), { 0 } },
                                  { BUF_INIT(ENTRY_BYTES_MAX), { 0 } } };
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    enum err_code rc = fetch_both(repeat, (uint64_t[]){ first, second }, fetched, err);
    if (rc == E_OK) {
        struct evidence_record records[2] = {
            { first, buf_span(&fetched[0].bytes), &fetched[0].proof },
            { second, buf_span(&fetched[1].bytes), &fetched[1].proof },
        };
        rc = evidence_put_repeated_tag(&file, repeat->note, &records[0], &records[1], keys,
                                       key_count, err);
    }
    if (rc == E_OK) {
        rc = judge(buf_span(&file), keys, key_count, err);
    }
    if (rc == E_OK) {
        rc = buf_append(out, buf_span(&file), err);
    }
    buf_clear(&fetched[0].bytes);
    buf_clear(&fetched[1].bytes);
    buf_clear(&file);
    return rc;
}
