#include "logd/recover.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "client/tile_reader.h"
#include "logd/recovery.h"
#include "logd/resource.h"
#include "store/tile_source.h"
#include "tlog/bundle.h"

#include <assert.h>
#include <string.h>

/* One commit under way. */
struct batch {
    struct edge *edge;
    struct buf entries; /* as in a bundle; owned */
    uint64_t first;
    struct resource *full; /* tiles that these entries filled, oldest first; owned */
    struct resource **last;
};

static void batch_begin(struct batch *batch, struct edge *edge)
{
    batch->edge = edge;
    batch->first = edge_size(edge);
    batch->full = NULL;
    batch->last = &batch->full;
    buf_reset(&batch->entries);
}

static void keep_full(void *ctx, const struct tile_path *path, struct span bytes)
{
    struct batch *batch = ctx;
    *batch->last = resource_new(path, bytes);
    batch->last = &(*batch->last)->next;
}

static void batch_add(struct batch *batch, struct span entry)
{
    struct hash leaf = merkle_leaf_hash(entry);
    bundle_put_entry(&batch->entries, entry);
    edge_append(batch->edge, entry, &leaf, keep_full, batch);
}

static enum err_code write_full(const struct recover_from *from, const struct batch *batch,
                                struct err *err)
{
    for (const struct resource *one = batch->full; one != NULL; one = one->next) {
        enum err_code rc = tiles_write(from->tiles, tile_path_text(&one->path).text,
                                       span_of(one->bytes, one->len), err);
        if (rc != E_OK) {
            return rc;
        }
    }
    return batch->full == NULL ? E_OK : tiles_sync(from->tiles, err);
}

/* As the sequencer does: COMMIT first, tiles after it, and the journal is trimmed by what is in them. */
static enum err_code batch_commit(const struct recover_from *from, struct batch *batch,
                                  struct err *err)
{
    struct journal_record record = { .first = batch->first,
                                     .size = edge_size(batch->edge),
                                     .root = edge_root(batch->edge),
                                     .entries = buf_span(&batch->entries) };
    enum err_code rc = E_OK;
    if (record.size > record.first) {
        rc = journal_reserve(from->journal, record.entries.len, err);
        rc = rc != E_OK ? rc : journal_append(from->journal, &record, err);
        rc = rc != E_OK ? rc : write_full(from, batch, err);
    }
    if (rc == E_OK && batch->full != NULL) {
        rc = journal_trim(from->journal, record.size / TILE_WIDTH * TILE_WIDTH, err);
    }
    resource_free_all(batch->full);
    batch_begin(batch, batch->edge);
    return rc;
}

static bool is_large(const struct batch *batch, struct span next)
{
    return batch->entries.len + next.len + 2 > COMMIT_BYTES_MAX ||
           edge_size(batch->edge) - batch->first == COMMIT_ENTRIES_MAX;
}

/* The entries of a bundle that we lack, into the batch. */
static enum err_code take_bundle(const struct recover_from *from, struct batch *batch,
                                 struct tile_reader *reader, uint64_t number, struct err *err)
{
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    enum err_code rc = tile_reader_get_bundle(reader, number, &bundle, err);
    struct span rest = buf_span(&bundle), entry;
    for (uint64_t i = number * TILE_WIDTH; rc == E_OK && bundle_take_entry(&rest, &entry); i++) {
        if (i < edge_size(batch->edge)) {
            continue;
        }
        if (is_large(batch, entry)) {
            rc = batch_commit(from, batch, err);
        }
        if (rc == E_OK) {
            batch_add(batch, entry);
        }
    }
    buf_clear(&bundle);
    return rc;
}

static enum err_code copy_entries(const struct recover_from *from, struct edge *edge,
                                  struct tile_reader *reader, uint64_t size, struct err *err)
{
    struct batch batch = { .entries = BUF_INIT(COMMIT_BYTES_MAX) };
    batch_begin(&batch, edge);
    enum err_code rc = E_OK;
    while (rc == E_OK && edge_size(edge) < size) {
        rc = take_bundle(from, &batch, reader, edge_size(edge) / TILE_WIDTH, err);
        if (from->on_progress != NULL) {
            from->on_progress(from->ctx, edge_size(edge), size);
        }
    }
    if (rc == E_OK) {
        rc = batch_commit(from, &batch, err);
    }
    resource_free_all(batch.full);
    buf_clear(&batch.entries);
    return rc;
}

/* -- what may be taken -- */

static enum err_code read_note(struct recover_report *report, const struct recover_from *from,
                               struct err *err)
{
    struct policy_verdict verdict;
    enum err_code rc = log_reader_checkpoint(from->reader, &report->note, err);
    if (rc == E_OK) {
        rc = policy_open_checkpoint(from->policy, &verdict, buf_span(&report->note), err);
        if (rc != E_OK) {
            err->code = E_DENIED;
            return err_wrap(err, "its checkpoint");
        }
    }
    if (rc != E_OK) {
        return rc;
    }
    if (strcmp(verdict.checkpoint.origin, from->log->name) != 0 ||
        !vkey_is_equal(&verdict.log->vkey, from->log)) {
        return err_set(err, E_DENIED, "its checkpoint is not under our key");
    }
    if (!verdict.is_met) {
        return err_set(err, E_DENIED,
                       "its checkpoint of %llu entries is under our key, but too few of the "
                       "policy's witnesses signed it: that alone may be anybody's copy",
                       (unsigned long long)verdict.checkpoint.size);
    }
    report->checkpoint = verdict.checkpoint;
    return E_OK;
}

static enum err_code two_histories(uint64_t size, struct err *err)
{
    return err_set(err, E_CONFLICT,
                   "our tree and theirs differ within the first %llu entries: two histories under "
                   "our key. Nothing was changed",
                   (unsigned long long)size);
}

/* Theirs is not larger: it must be a prefix of ours. */
static enum err_code check_smaller(const struct recover_report *report,
                                   const struct recover_from *from, struct err *err)
{
    struct edge edge;
    edge_init(&edge);
    enum err_code rc =
        recovery_edge_at(&edge, report->checkpoint.size, from->journal, from->tiles, err);
    struct hash root = edge_root(&edge);
    if (rc == E_OK && !hash_is_equal(&root, &report->checkpoint.root)) {
        rc = two_histories(report->checkpoint.size, err);
    }
    edge_clear(&edge);
    return rc;
}

/* Theirs is larger: ours must be a prefix of it. */
static enum err_code check_larger(const struct edge *ours, struct tile_reader *theirs,
                                  struct err *err)
{
    struct merkle_source source = tile_reader_source(theirs);
    struct hash root, own = edge_root(ours);
    enum err_code rc = merkle_root(&root, &source, edge_size(ours), err);
    if (rc == E_OK && !hash_is_equal(&root, &own)) {
        rc = two_histories(edge_size(ours), err);
    }
    return rc;
}

static enum err_code extend(const struct recover_report *report, const struct recover_from *from,
                            struct edge *edge, struct err *err)
{
    const struct checkpoint *to = &report->checkpoint;
    struct tile_reader *reader = NULL;
    enum err_code rc = tile_reader_open(&reader, from->reader, to->size, &to->root, err);
    if (rc == E_OK) {
        rc = check_larger(edge, reader, err);
    }
    if (rc == E_OK) {
        rc = copy_entries(from, edge, reader, to->size, err);
    }
    tile_reader_close(reader);
    return rc;
}

enum err_code recover_run(struct recover_report *report, const struct recover_from *from,
                          struct err *err)
{
    *report = (struct recover_report){ .note = BUF_INIT(NOTE_BYTES_MAX) };
    struct recovered recovered;
    enum err_code rc = read_note(report, from, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = recovery_run(&recovered, from->journal, from->tiles, RECOVERY_RECENT_NONE, NULL, err);
    if (rc != E_OK) {
        return rc;
    }
    report->from = edge_size(&recovered.edge);
    if (recovered.unstored != NULL) {
        rc = err_set(err, recovered.unstored_err.code, "%s", recovered.unstored_err.msg);
    } else if (report->checkpoint.size <= report->from) {
        rc = check_smaller(report, from, err);
    } else {
        rc = extend(report, from, &recovered.edge, err);
    }
    report->size = journal_head(from->journal).size;
    recovered_clear(&recovered);
    return rc;
}

void recover_report_clear(struct recover_report *report)
{
    buf_clear(&report->note);
}
