#include "monitor/drill_log.h"

#include "base/alloc.h"
#include "tlog/checkpoint.h"
#include "tlog/edge.h"

#include <assert.h>
#include <stdio.h>

enum {
    FILES_MAX = 32,
    COMMON_ENTRIES = 7, /* with which both histories begin */
    ENTRY_MAX = 64,
};

static_assert((int)DRILL_LOG_ENTRIES_MAX < (int)TILE_WIDTH, "no tile is ever full");

struct file {
    char path[TILE_PATH_MAX + 1];
    struct buf bytes; /* owned */
};

struct drill_log {
    struct signer signer;
    size_t count;
    struct file files[FILES_MAX];
};

static struct file *find(struct drill_log *log, const char *path)
{
    for (size_t i = 0; i < log->count; i++) {
        if (strcmp(log->files[i].path, path) == 0) {
            return &log->files[i];
        }
    }
    return NULL;
}

static void put_file(struct drill_log *log, const char *path, struct span bytes)
{
    assert(log->count < FILES_MAX);
    struct file *file = &log->files[log->count++];
    snprintf(file->path, sizeof file->path, "%s", path);
    buf_init(&file->bytes, NOTE_BYTES_MAX);
    buf_put(&file->bytes, bytes);
}

struct drill_log *drill_log_new(const char *origin)
{
    struct drill_log *log = NEW(struct drill_log);
    signer_generate(&log->signer, origin, SIGNATURE_ED25519);
    return log;
}

void drill_log_free(struct drill_log *log)
{
    if (log == NULL) {
        return;
    }
    for (size_t i = 0; i < log->count; i++) {
        buf_clear(&log->files[i].bytes);
    }
    signer_clear(&log->signer);
    mem_free(log);
}

const struct vkey *drill_log_vkey(const struct drill_log *log)
{
    return &log->signer.vkey;
}

/* -- publishing -- */

static void on_full(void *ctx, const struct tile_path *path, struct span bytes)
{
    (void)ctx;
    (void)path;
    (void)bytes;
    assert(!"no tile is ever full");
}

static void on_partial(void *ctx, const struct tile_path *path, struct span bytes)
{
    struct drill_log *log = ctx;
    struct buf text = BUF_INIT(TILE_PATH_MAX + 1);
    if (path->is_bundle) {
        bundle_path_append(&text, path->id.index, path->width);
    } else {
        tile_path_append(&text, path->id, path->width);
    }
    if (find(log, buf_c_str(&text)) == NULL) {
        put_file(log, buf_c_str(&text), bytes);
    }
    buf_clear(&text);
}

static void add_entries(struct edge *edge, enum drill_history history, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        char text[ENTRY_MAX];
        bool is_other = history == DRILL_FORGED && i >= COMMON_ENTRIES;
        snprintf(text, sizeof text, "drill: entry %u%s", (unsigned)i,
                 is_other ? " of another history" : "");
        struct span entry = span_of_str(text);
        struct hash leaf = merkle_leaf_hash(entry);
        edge_append(edge, entry, &leaf, on_full, NULL);
    }
}

static enum err_code put_checkpoint(struct drill_log *log, uint64_t size, const struct hash *root,
                                    struct err *err)
{
    struct checkpoint checkpoint = { .size = size, .root = *root };
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX), note = BUF_INIT(NOTE_BYTES_MAX);
    struct file *file = find(log, "checkpoint");
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", log->signer.vkey.name);
    checkpoint_put(&text, &checkpoint);
    enum err_code rc = note_put_signed(&note, buf_span(&text), &log->signer, 0, err);
    if (rc == E_OK && file == NULL) {
        put_file(log, "checkpoint", buf_span(&note));
    } else if (rc == E_OK) {
        buf_reset(&file->bytes);
        buf_put(&file->bytes, buf_span(&note));
    }
    buf_clear(&text);
    buf_clear(&note);
    return rc;
}

enum err_code drill_log_publish(struct drill_log *log, enum drill_history history, uint64_t size,
                                struct err *err)
{
    assert(size > 0);
    assert(size <= DRILL_LOG_ENTRIES_MAX);
    struct edge *edge = NEW(struct edge);
    edge_init(edge);
    add_entries(edge, history, size);
    struct hash root = edge_root(edge);
    enum err_code rc = put_checkpoint(log, size, &root, err);
    if (rc == E_OK) {
        edge_put_partials(edge, on_partial, log);
    }
    edge_clear(edge);
    mem_free(edge);
    return rc;
}

/* -- reading -- */

struct reader {
    struct log_reader base;
    struct drill_log *log;
};

static enum err_code get(struct log_reader *base, const char *path, struct buf *out,
                         struct err *err)
{
    const struct file *file = find(((struct reader *)base)->log, path);
    return file != NULL ? buf_append(out, buf_span(&file->bytes), err)
                        : err_set(err, E_NOT_FOUND, "the drill's log has no such file");
}

static void close_reader(struct log_reader *base)
{
    mem_free(base);
}

static const struct log_reader_ops reader_ops = { get, close_reader };

static enum err_code open_reader(void *ctx, struct log_reader **out, struct err *err)
{
    (void)err;
    struct reader *reader = NEW(struct reader);
    reader->base.ops = &reader_ops;
    reader->log = ctx;
    *out = &reader->base;
    return E_OK;
}

struct scan_source drill_log_source(struct drill_log *log)
{
    return (struct scan_source){ log, open_reader };
}
