#include "logd/cosign_service.h"

#include "base/alloc.h"
#include "courtroll/v1/log.pb-c.h"
#include "logd/own_note.h"
#include "net/rpc_answer.h"
#include "store/tile_source.h"
#include "tlog/add_checkpoint.h"
#include "tlog/cosign_file.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

enum {
    NOTE_MAX = ADD_CHECKPOINT_BYTES_MAX,
    CALLS_MAX = 64, /* under way: each holds up to a note and its lines */
};

/* Strangers call: they have a lane of their own, and not more memory than this. */
static bool begin_call(struct parts *parts, struct rpc_call *call)
{
    if (atomic_fetch_add(&parts->cosign_calls, 1) < CALLS_MAX) {
        return true;
    }
    atomic_fetch_sub(&parts->cosign_calls, 1);
    rpc_fail(call, E_BUSY, "too many calls of ExportCheckpoint and AddCosignatures: try again");
    return false;
}

static void end_call(struct parts *parts)
{
    atomic_fetch_sub(&parts->cosign_calls, 1);
}

/* -- ExportCheckpoint -- */

struct export_call {
    struct publisher_job job;
    struct publisher_export export;
    struct parts *parts;
    struct rpc_call *call;
    size_t count;
    uint64_t old_sizes[COSIGN_FILE_PROOFS_MAX]; /* ascending, each once */
    struct published_tree *tree;                /* held */
};

static int compare_sizes(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void set_sizes(struct export_call *export, const uint64_t *sizes, size_t count)
{
    uint64_t sorted[COSIGN_FILE_PROOFS_MAX];
    if (count == 0) { /* and `sizes` NULL */
        return;
    }
    memcpy(sorted, sizes, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], compare_sizes);
    for (size_t i = 0; i < count; i++) {
        if (export->count == 0 || sorted[i] != export->old_sizes[export->count - 1]) {
            export->old_sizes[export->count++] = sorted[i];
        }
    }
}

static void export_free(struct export_call *export)
{
    end_call(export->parts);
    published_tree_release(export->tree);
    mem_free(export);
}

static enum err_code put_proof(struct export_call *export, uint64_t old_size,
                               Courtroll__V1__ConsistencyProof *out, struct arena *arena,
                               struct err *err)
{
    struct tile_nodes nodes = { export->parts->cache, export->tree };
    struct merkle_source source = tile_cache_nodes(&nodes);
    struct proof proof;
    enum err_code rc =
        proof_make_consistency(&proof, &source, old_size, export->tree->checkpoint.size, err);
    if (rc != E_OK) {
        return rc;
    }
    courtroll__v1__consistency_proof__init(out);
    out->old_size = old_size;
    out->n_hashes = proof.count;
    out->hashes = arena_alloc(arena, (proof.count + 1) * sizeof *out->hashes);
    uint8_t *bytes = arena_alloc(arena, (proof.count + 1) * sizeof proof.hashes[0]);
    assert(out->hashes != NULL && bytes != NULL);
    memcpy(bytes, proof.hashes, proof.count * sizeof proof.hashes[0]);
    for (size_t i = 0; i < proof.count; i++) {
        out->hashes[i] = rpc_answer_binary(span_of(bytes + i * HASH_BYTES, HASH_BYTES));
    }
    return E_OK;
}

/* On a worker. */
static void run_export(void *arg)
{
    struct export_call *export = arg;
    struct arena arena;
    arena_init(&arena, 1024 * 1024); /* 64 proofs of 63 hashes: a quarter of that */
    Courtroll__V1__ConsistencyProof proofs[COSIGN_FILE_PROOFS_MAX];
    Courtroll__V1__ConsistencyProof *pointers[COSIGN_FILE_PROOFS_MAX];
    Courtroll__V1__ExportCheckpointReply out = COURTROLL__V1__EXPORT_CHECKPOINT_REPLY__INIT;
    out.note = rpc_answer_binary(http_body_span(export->tree->note));
    out.proofs = pointers;
    struct err err;
    enum err_code rc = E_OK;
    for (size_t i = 0; i < export->count && rc == E_OK; i++) {
        if (export->old_sizes[i] <= export->tree->checkpoint.size) {
            pointers[out.n_proofs] = &proofs[out.n_proofs];
            rc = put_proof(export, export->old_sizes[i], &proofs[out.n_proofs++], &arena, &err);
        }
    }
    if (rc == E_OK) {
        rpc_answer(export->call, &out.base);
    } else {
        rpc_answer_error(export->call, &export->parts->private_paths, &err);
    }
    arena_clear(&arena);
    export_free(export);
}

/* The publisher's answer. Loop thread. */
static void on_exported(struct publisher_export *publisher_export, struct published_tree *tree,
                        const struct err *err)
{
    struct export_call *export =
        (struct export_call *)((char *)publisher_export - offsetof(struct export_call, export));
    if (tree == NULL) {
        rpc_answer_error(export->call, &export->parts->private_paths, err);
        export_free(export);
        return;
    }
    export->tree = tree;
    work_post(export->parts->cosign_work, run_export, export);
}

static void export_on_loop(struct publisher_job *job)
{
    struct export_call *export =
        (struct export_call *)((char *)job - offsetof(struct export_call, job));
    publisher_export(export->parts->publisher, &export->export);
}

static void export_checkpoint(void *ctx, struct rpc_call *call, struct span message)
{
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    Courtroll__V1__ExportCheckpointRequest *in =
        courtroll__v1__export_checkpoint_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not an ExportCheckpointRequest");
        return;
    }
    if (in->n_old_sizes > COSIGN_FILE_PROOFS_MAX) {
        rpc_fail(call, E_MALFORMED, "over 64 old sizes");
    } else if (begin_call(ctx, call)) {
        struct export_call *export = NEW(struct export_call);
        export->parts = ctx;
        export->call = call;
        export->job.run = export_on_loop;
        export->export.on_exported = on_exported;
        set_sizes(export, in->old_sizes, in->n_old_sizes);
        publisher_post(export->parts->publisher, &export->job);
    }
    courtroll__v1__export_checkpoint_request__free_unpacked(in, NULL);
}

/* -- AddCosignatures -- */

struct add_call {
    struct publisher_job job;
    struct parts *parts;
    struct rpc_call *call;
    struct buf bytes;             /* the note as it came */
    struct checkpoint checkpoint; /* what it says */
    struct published_tree *tree;  /* ours, of that size or the newest; held */
    struct published_tree *late;  /* ours, of that size, when it is not kept any more; held */
    uint64_t durable;
    struct cosign_lines *lines; /* owned */
    bool is_contradiction;
    enum err_code rc;
    struct err err;
};

static void add_free(struct add_call *add)
{
    end_call(add->parts);
    buf_clear(&add->bytes);
    published_tree_release(add->tree);
    published_tree_release(add->late);
    mem_free(add->lines);
    mem_free(add);
}

static enum err_code refuse_unknown(struct add_call *add)
{
    uint64_t size = add->checkpoint.size, newest = add->tree->checkpoint.size;
    if (size > newest) {
        return err_set(&add->err, E_NOT_FOUND, "size %llu is not signed here: the newest is %llu",
                       (unsigned long long)size, (unsigned long long)newest);
    }
    return err_set(
        &add->err, E_NOT_FOUND,
        "the checkpoint of %llu entries is not kept any more, and the note has no line of "
        "this log: export a newer one",
        (unsigned long long)size);
}

static enum err_code refuse_root(struct add_call *add)
{
    return err_set(&add->err, E_BAD_PROOF, "the tree of %llu entries has another root",
                   (unsigned long long)add->checkpoint.size);
}

/* A note with the log's own line may tell more than its cosignatures. Without that line nothing is
 * hashed: the tree of a size that is kept has its root, and others are not looked for. */
static enum err_code check_root(struct add_call *add)
{
    struct tile_nodes nodes = { add->parts->cache, add->tree };
    struct own_tree tree = { .log = &add->parts->signing.log.vkey,
                             .source = tile_cache_nodes(&nodes),
                             .size = add->tree->checkpoint.size,
                             .durable = add->durable };
    struct checkpoint checkpoint;
    enum own_note_verdict verdict;
    enum err_code rc =
        own_note_compare(&verdict, &checkpoint, &tree, buf_span(&add->bytes), &add->err);
    if (rc != E_OK) {
        return rc;
    }
    add->is_contradiction = verdict == OWN_NOTE_CONTRADICTS;
    if (verdict == OWN_NOTE_AGREES) {
        return E_OK;
    }
    if (add->checkpoint.size > tree.size) {
        return refuse_unknown(add);
    }
    if (verdict == OWN_NOTE_CONTRADICTS) {
        return refuse_root(add);
    }
    if (add->checkpoint.size != tree.size) {
        return refuse_unknown(add);
    }
    bool is_same = hash_is_equal(&add->tree->checkpoint.root, &add->checkpoint.root);
    return is_same ? E_OK : refuse_root(add);
}

/* What publishing that size would need beside its hashes: the entries of its partial bundle. */
static enum err_code check_bundle(struct add_call *add)
{
    uint64_t size = add->checkpoint.size;
    if (size % TILE_WIDTH == 0 || size <= published_size(add->parts->published)) {
        return E_OK;
    }
    struct tile_path path = { .is_bundle = true,
                              .id = { 0, size / TILE_WIDTH },
                              .width = (uint16_t)(size % TILE_WIDTH) };
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    enum err_code rc =
        tiles_read(add->parts->tiles, tile_path_text(&path).text, &bundle, &add->err);
    if (rc == E_NOT_FOUND) {
        path.width = TILE_WIDTH;
        rc = tiles_read(add->parts->tiles, tile_path_text(&path).text, &bundle, &add->err);
    }
    buf_clear(&bundle);
    return rc;
}

/* The log's line alone, which was verified: what a kept note is. */
static struct http_body *bare_note(struct add_call *add)
{
    const struct vkey *log = &add->parts->signing.log.vkey;
    struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
    struct note note;
    struct err err;
    enum err_code rc = note_parse(&note, buf_span(&add->bytes), &err);
    assert(rc == E_OK); /* it was parsed before */
    buf_put(&bytes, note.text);
    buf_put_str(&bytes, "\n");
    for (size_t i = 0; i < note.count; i++) {
        const struct note_line *line = &note.lines[i];
        if (line->key_id == log->id && span_is_str(line->name, log->name)) {
            note_put_line(&bytes, line);
            break;
        }
    }
    note_clear(&note);
    return http_body_take(&bytes);
}

/* The tree of a note that is ours and not kept any more: its file came late. */
static enum err_code make_late(struct add_call *add)
{
    struct tile_nodes nodes = { add->parts->cache, add->tree };
    struct merkle_source source = tile_cache_nodes(&nodes);
    struct edge *edge = NEW(struct edge); /* too big for a stack */
    edge_init(edge);
    enum err_code rc = check_bundle(add);
    if (rc == E_OK) {
        rc = edge_load(edge, &source, add->checkpoint.size, &add->err);
    }
    if (rc == E_OK) {
        struct http_body *body = bare_note(add);
        add->late = published_tree_new(&add->checkpoint, body, edge);
        http_body_release(body);
    }
    edge_clear(edge);
    mem_free(edge);
    return rc;
}

/* On a worker: the text is made anew, without whatever else stood in theirs. */
static void run_add(void *arg)
{
    struct add_call *add = arg;
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    struct span bytes = buf_span(&add->bytes);
    size_t split = span_find_last(bytes, span_of_str("\n\n")) + 2;
    add->rc = check_root(add);
    if (add->rc == E_OK) {
        checkpoint_put(&text, &add->checkpoint);
        add->lines = NEW(struct cosign_lines);
        add->rc = cosign_lines_read(add->lines, add->parts->policy, buf_span(&text),
                                    span_slice(bytes, split, bytes.len - split),
                                    (int64_t)time(NULL), &add->err);
    }
    if (add->rc == E_OK && add->lines->count == 0) {
        add->rc = err_set(&add->err, E_BAD_SIGNATURE,
                          "no cosignature of a witness of this log's policy verifies");
    }
    if (add->rc == E_OK && add->checkpoint.size != add->tree->checkpoint.size) {
        add->rc = make_late(add);
    }
    buf_clear(&text);
}

static void reply_add(struct add_call *add, struct cosigning_added added)
{
    struct parts *parts = add->parts;
    ProtobufCBinaryData names[NOTE_SIGNATURES_MAX];
    Courtroll__V1__AddCosignaturesReply out = COURTROLL__V1__ADD_COSIGNATURES_REPLY__INIT;
    out.size = add->checkpoint.size;
    out.added = added.added;
    out.known = added.known;
    out.published_size = published_size(parts->published);
    out.names = names;
    for (size_t i = 0; i < add->lines->count; i++) {
        size_t witness = add->lines->items[i].witness;
        names[out.n_names++] =
            rpc_answer_binary(span_of_str(policy_witness_at(parts->policy, witness)->name));
    }
    rpc_answer(add->call, &out.base);
}

/* Loop thread. */
static void on_added(void *arg)
{
    struct add_call *add = arg;
    if (add->is_contradiction) {
        publisher_halt(add->parts->publisher, "a caller of AddCosignatures", buf_span(&add->bytes));
    }
    struct cosigning_added added = { 0, 0 };
    bool is_kept = add->late == NULL || publisher_pin(add->parts->publisher, add->late);
    if (add->rc == E_OK && is_kept) {
        added = publisher_add_lines(add->parts->publisher, add->checkpoint.size, add->lines);
    }
    if (add->rc == E_OK && added.added + added.known == 0) {
        add->rc = err_set(&add->err, E_NOT_FOUND,
                          "the checkpoint of %llu entries is not kept any more: export a newer one",
                          (unsigned long long)add->checkpoint.size);
    }
    if (add->rc == E_OK) {
        reply_add(add, added);
    } else {
        rpc_answer_error(add->call, &add->parts->private_paths, &add->err);
    }
    add_free(add);
}

static void add_on_loop(struct publisher_job *job)
{
    struct add_call *add = (struct add_call *)((char *)job - offsetof(struct add_call, job));
    struct publisher *publisher = add->parts->publisher;
    add->tree = publisher_signed(publisher, add->checkpoint.size);
    if (add->tree == NULL) {
        add->tree = publisher_newest(publisher);
    }
    if (add->tree == NULL) {
        rpc_fail(add->call, E_UNAVAILABLE, "nothing is signed yet");
        add_free(add);
        return;
    }
    add->durable = sequencer_thread_stats(add->parts->sequencer).durable_size;
    work_post_then(add->parts->cosign_work, add, run_add, on_added);
}

/* What the note says, as far as it can be told without our tree. */
static enum err_code read_note(struct add_call *add, struct err *err)
{
    struct note note;
    enum err_code rc = note_parse(&note, buf_span(&add->bytes), err);
    if (rc != E_OK) {
        return rc;
    }
    rc = checkpoint_parse(&add->checkpoint, note.text, err);
    note_clear(&note);
    const char *origin = signing_origin(&add->parts->signing);
    if (rc == E_OK && strcmp(add->checkpoint.origin, origin) != 0) {
        rc = err_set(err, E_DENIED, "the note is of another log");
    }
    if (rc == E_OK && add->checkpoint.has_extensions) {
        rc = err_set(err, E_MALFORMED, "the note has extension lines, which ours never have");
    }
    return rc;
}

static enum err_code begin_add(struct add_call *add, struct span message, struct err *err)
{
    if (add->parts->policy == NULL) {
        return err_set(err, E_UNSUPPORTED, "this log's policy has no witnesses");
    }
    if (message.len > NOTE_MAX) {
        return err_set(err, E_TOO_LARGE, "over %d bytes", NOTE_MAX);
    }
    Courtroll__V1__AddCosignaturesRequest *in =
        courtroll__v1__add_cosignatures_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        return err_set(err, E_MALFORMED, "not an AddCosignaturesRequest");
    }
    buf_put(&add->bytes, span_of(in->note.data, in->note.len));
    courtroll__v1__add_cosignatures_request__free_unpacked(in, NULL);
    return read_note(add, err);
}

static void add_cosignatures(void *ctx, struct rpc_call *call, struct span message)
{
    if (!begin_call(ctx, call)) {
        return;
    }
    struct add_call *add = NEW(struct add_call);
    struct err err;
    add->parts = ctx;
    add->call = call;
    add->job.run = add_on_loop;
    buf_init(&add->bytes, NOTE_MAX);
    if (begin_add(add, message, &err) == E_OK) {
        publisher_post(add->parts->publisher, &add->job);
    } else {
        rpc_fail(call, err.code, err.msg);
        add_free(add);
    }
}

/* -- The table -- */

void cosign_service_methods(struct parts *parts, struct rpc_method out[COSIGN_METHODS])
{
    out[0] = (struct rpc_method){ .path = "/courtroll.v1.Log/ExportCheckpoint",
                                  .ctx = parts,
                                  .on_call = export_checkpoint };
    out[1] = (struct rpc_method){ .path = "/courtroll.v1.Log/AddCosignatures",
                                  .ctx = parts,
                                  .on_call = add_cosignatures };
}
