#include "logd/recovery.h"

#include "base/alloc.h"
#include "logd/entry_facts.h"
#include "store/tile_source.h"

#include <assert.h>

/* Rolls an edge forward over the journal's records. */
struct replay {
    struct edge *edge;
    struct recent *recent; /* NULL: not wanted */
    bool has_tags;         /* in `recent` */
    struct tiles *tiles;   /* where full tiles go; NULL: nowhere */
    uint64_t until;        /* stop at this size */
    enum err_code rc;      /* of the first failed write */
    struct err *err;
    struct recovered *out; /* where what is found on the way goes; NULL: nowhere */
    const struct recovery_sizes *wanted;
    struct resource **unstored_last;
};

void recovery_sizes_add(struct recovery_sizes *sizes, uint64_t size)
{
    assert(sizes->count < RECOVERY_SIZES_MAX);
    sizes->sizes[sizes->count++] = size;
}

/* Entries before this one are in full tiles. */
static uint64_t first_to_replay(uint64_t first_in_journal)
{
    return (first_in_journal + TILE_WIDTH - 1) / TILE_WIDTH * TILE_WIDTH;
}

struct oldest {
    uint64_t first;
    bool is_found;
};

/* Stops at the oldest record, which comes first: the journal may be large, and not in memory. */
static enum err_code keep_oldest(void *ctx, const struct journal_record *record, struct err *err)
{
    struct oldest *oldest = ctx;
    *oldest = (struct oldest){ record->first, true };
    return err_set(err, E_EXISTS, "found");
}

/* The size from which the journal has every entry; its head when it has none. */
static enum err_code find_replay_start(uint64_t *out, struct journal *journal, struct err *err)
{
    struct oldest oldest = { .first = journal_head(journal).size };
    enum err_code rc = journal_replay(journal, keep_oldest, &oldest, err);
    if (oldest.is_found) {
        rc = E_OK;
    }
    if (rc == E_OK) {
        *out = first_to_replay(oldest.first);
    }
    return rc;
}

/* From the first file on that finds no room none is written any more: what is stored is a tree. */
static void write_resource(void *ctx, const struct tile_path *path, struct span bytes)
{
    struct replay *replay = ctx;
    if (replay->tiles == NULL || replay->rc != E_OK) {
        return;
    }
    struct recovered *out = replay->out;
    if (out->unstored_err.code == E_OK) {
        enum err_code rc =
            tiles_write(replay->tiles, tile_path_text(path).text, bytes, replay->err);
        if (rc != E_UNAVAILABLE) {
            replay->rc = rc;
            return;
        }
        out->unstored_err = *replay->err;
    }
    *replay->unstored_last = resource_new(path, bytes);
    replay->unstored_last = &(*replay->unstored_last)->next;
}

static void keep_wanted(struct replay *replay)
{
    for (size_t i = 0; replay->wanted != NULL && i < replay->wanted->count; i++) {
        if (replay->wanted->sizes[i] == edge_size(replay->edge)) {
            edge_copy(&replay->out->known[i], replay->edge);
        }
    }
}

/* The first copy of a leaf counts, and so does the first entry with a tag. */
static void remember(const struct replay *replay, struct span entry, const struct hash *leaf)
{
    uint64_t size = edge_size(replay->edge), index;
    if (!recent_find(replay->recent, leaf, &index)) {
        recent_add(replay->recent, leaf, size);
    }
    if (!replay->has_tags) {
        return;
    }
    struct entry_facts facts = entry_facts_read(entry);
    if (facts.has_tag && !recent_find_tag(replay->recent, &facts.tag, &index)) {
        recent_add_tag(replay->recent, &facts.tag, size);
    }
}

static void replay_entry(struct replay *replay, struct span entry)
{
    struct hash leaf = merkle_leaf_hash(entry);
    if (replay->recent != NULL) {
        remember(replay, entry, &leaf);
    }
    edge_append(replay->edge, entry, &leaf, write_resource, replay);
    keep_wanted(replay);
    if (replay->out != NULL && replay->out->unstored_err.code == E_OK) {
        replay->out->stored = edge_size(replay->edge) / TILE_WIDTH * TILE_WIDTH;
    }
}

static enum err_code replay_record(void *ctx, const struct journal_record *record, struct err *err)
{
    struct replay *replay = ctx;
    replay->err = err;
    struct span rest = record->entries, entry;
    for (uint64_t index = record->first; bundle_take_entry(&rest, &entry); index++) {
        if (index == edge_size(replay->edge) && index < replay->until) {
            replay_entry(replay, entry);
        }
    }
    if (replay->rc != E_OK || edge_size(replay->edge) != record->size) {
        return replay->rc; /* the record lies before, or goes on behind, what is replayed */
    }
    struct hash root = edge_root(replay->edge);
    if (!hash_is_equal(&root, &record->root)) {
        return err_set(err, E_CORRUPT,
                       "the tree of %llu entries does not hash to the root that was committed: "
                       "a tile below %llu is damaged; see courtroll fsck --dir DIR --repair",
                       (unsigned long long)record->size,
                       (unsigned long long)first_to_replay(record->first));
    }
    return E_OK;
}

/* Fills `edge` at `size`, for which every entry lies in full tiles. */
static enum err_code load_from_tiles(struct edge *edge, uint64_t size, struct tiles *tiles,
                                     struct err *err)
{
    uint64_t aligned = size / TILE_WIDTH * TILE_WIDTH;
    struct tile_source *source = NEW(struct tile_source);
    tile_source_init(source, tiles, aligned);
    struct merkle_source nodes = tile_source_nodes(source);
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    enum err_code rc = edge_load(edge, &nodes, aligned, err);
    if (rc == E_OK && aligned < size) {
        struct tile_path path = { true, { 0, aligned / TILE_WIDTH }, TILE_WIDTH };
        rc = tile_source_read(tiles, &path, &bundle, err);
    }
    struct span rest = buf_span(&bundle), entry;
    struct replay replay = { .edge = edge, .until = size, .err = err };
    while (rc == E_OK && edge_size(edge) < size) {
        if (!bundle_take_entry(&rest, &entry)) {
            rc = err_set(err, E_CORRUPT, "the bundle of entry %llu is too short",
                         (unsigned long long)edge_size(edge));
            break;
        }
        replay_entry(&replay, entry);
    }
    buf_clear(&bundle);
    mem_free(source);
    return rc;
}

static void recovered_init(struct recovered *out)
{
    *out = (struct recovered){ .stored = 0 };
    edge_init(&out->edge);
    recent_init(&out->recent);
    for (size_t i = 0; i < RECOVERY_SIZES_MAX; i++) {
        edge_init(&out->known[i]);
    }
}

/* What was replayed becomes durable, and the journal shorter, as far as there is room. */
static enum err_code store_replayed(struct recovered *out, struct journal *journal,
                                    struct tiles *tiles, struct err *err)
{
    enum err_code rc = tiles_sync(tiles, err);
    uint64_t before = out->replayed_from / TILE_WIDTH * TILE_WIDTH;
    if (rc == E_UNAVAILABLE &&
        edge_size(&out->edge) > before) { /* another sync will do all of it */
        out->stored = before;
        out->unstored_err = *err;
    } else if (rc != E_OK) {
        return rc;
    }
    rc = journal_trim(journal, out->stored, err);
    return rc == E_UNAVAILABLE ? E_OK : rc; /* the next trim does both */
}

enum err_code recovery_run(struct recovered *out, struct journal *journal, struct tiles *tiles,
                           enum recovery_recent recent, const struct recovery_sizes *wanted,
                           struct err *err)
{
    recovered_init(out);
    enum err_code rc = find_replay_start(&out->replayed_from, journal, err);
    if (rc != E_OK) {
        goto out;
    }
    uint64_t head = journal_head(journal).size;
    uint64_t from = out->replayed_from < head ? out->replayed_from : head;
    rc = load_from_tiles(&out->edge, from, tiles, err);
    if (rc == E_CORRUPT) {
        err_wrap(err, "the log has damaged tiles, see courtroll fsck --dir DIR --repair");
    }
    if (rc != E_OK) {
        goto out;
    }
    struct replay replay = {
        .edge = &out->edge,
        .recent = recent == RECOVERY_RECENT_NONE ? NULL : &out->recent,
        .has_tags = recent == RECOVERY_RECENT_LEAVES_AND_TAGS,
        .tiles = tiles,
        .until = UINT64_MAX,
        .err = err,
        .out = out,
        .wanted = wanted,
        .unstored_last = &out->unstored,
    };
    out->replayed_from = from;
    out->stored = from / TILE_WIDTH * TILE_WIDTH;
    rc = journal_replay(journal, replay_record, &replay, err);
    if (rc == E_OK) {
        rc = store_replayed(out, journal, tiles, err);
    }
out:
    if (rc != E_OK) {
        recovered_clear(out);
    }
    return rc;
}

void recovered_clear(struct recovered *recovered)
{
    edge_clear(&recovered->edge);
    recent_clear(&recovered->recent);
    resource_free_all(recovered->unstored);
    recovered->unstored = NULL;
    recovered_forget_known(recovered);
}

void recovered_forget_known(struct recovered *recovered)
{
    for (size_t i = 0; i < RECOVERY_SIZES_MAX; i++) {
        edge_clear(&recovered->known[i]);
    }
}

enum err_code recovered_edge_at(const struct recovered *recovered, struct edge *edge, uint64_t size,
                                struct journal *journal, struct tiles *tiles, struct err *err)
{
    if (edge_size(&recovered->edge) == size) {
        edge_copy(edge, &recovered->edge);
        return E_OK;
    }
    for (size_t i = 0; i < RECOVERY_SIZES_MAX; i++) {
        if (edge_size(&recovered->known[i]) == size) {
            edge_copy(edge, &recovered->known[i]);
            return E_OK;
        }
    }
    return recovery_edge_at(edge, size, journal, tiles, err);
}

enum err_code recovery_edge_at(struct edge *edge, uint64_t size, struct journal *journal,
                               struct tiles *tiles, struct err *err)
{
    uint64_t head = journal_head(journal).size;
    if (size > head) {
        return err_set(err, E_CORRUPT,
                       "the journal ends at %llu entries, before %llu, which were signed: put back "
                       "the latest data directory",
                       (unsigned long long)head, (unsigned long long)size);
    }
    uint64_t start;
    enum err_code rc = find_replay_start(&start, journal, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = load_from_tiles(edge, size < start ? size : start, tiles, err);
    if (rc != E_OK || size <= start) {
        return rc;
    }
    struct replay replay = { .edge = edge, .until = size, .err = err };
    return journal_replay(journal, replay_record, &replay, err);
}
