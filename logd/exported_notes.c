#include "logd/exported_notes.h"

#include "base/log.h"
#include "logd/exported.h"

struct reading {
    struct exported_notes *notes;
    const struct vkey *log;
};

static void clear_item(struct exported_note *item)
{
    buf_clear(&item->note);
    published_tree_release(item->tree);
    *item = (struct exported_note){ .tree = NULL };
}

/* Room for one more: the end, or the place of the smallest when that is smaller. NULL: neither. */
static struct exported_note *place_for(struct exported_notes *notes, uint64_t size)
{
    if (notes->count < ROUND_PINNED) {
        return &notes->items[notes->count++];
    }
    struct exported_note *smallest = &notes->items[0];
    for (size_t i = 1; i < notes->count; i++) {
        if (notes->items[i].checkpoint.size < smallest->checkpoint.size) {
            smallest = &notes->items[i];
        }
    }
    if (smallest->checkpoint.size >= size) {
        return NULL;
    }
    clear_item(smallest);
    return smallest;
}

static enum err_code take_note(void *ctx, uint64_t size, struct span note, struct err *err)
{
    const struct reading *reading = ctx;
    struct checkpoint checkpoint;
    if (checkpoint_open(&checkpoint, note, reading->log, reading->log->name, err) != E_OK ||
        checkpoint.size != size) {
        log_event(LOG_LEVEL_WARN, "exported_left_out", "size=%llu", (unsigned long long)size);
        return E_OK;
    }
    struct exported_note *item = place_for(reading->notes, size);
    if (item != NULL) {
        item->checkpoint = checkpoint;
        buf_init(&item->note, NOTE_BYTES_MAX);
        buf_put(&item->note, note);
    }
    return E_OK;
}

enum err_code exported_notes_read(struct exported_notes *out, const char *data_dir,
                                  const struct vkey *log, struct err *err)
{
    struct reading reading = { out, log };
    *out = (struct exported_notes){ .count = 0 };
    return exported_read(data_dir, take_note, &reading, err);
}

void exported_notes_clear(struct exported_notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        clear_item(&notes->items[i]);
    }
    notes->count = 0;
}

void exported_notes_wanted_sizes(const struct exported_notes *notes, struct recovery_sizes *sizes)
{
    for (size_t i = 0; i < notes->count; i++) {
        recovery_sizes_add(sizes, notes->items[i].checkpoint.size);
    }
}

static enum err_code compare(struct exported_note *item, const struct recovered *recovered,
                             struct journal *journal, struct tiles *tiles, struct err *err)
{
    struct edge edge;
    edge_init(&edge);
    enum err_code rc =
        recovered_edge_at(recovered, &edge, item->checkpoint.size, journal, tiles, err);
    struct hash root = { { 0 } };
    if (rc == E_OK) {
        root = edge_root(&edge);
    }
    if (rc == E_OK && !hash_is_equal(&root, &item->checkpoint.root)) {
        rc = err_set(err, E_CORRUPT, "the tree has another root");
    }
    if (rc == E_OK) {
        struct http_body *body = http_body_take(&item->note);
        item->tree = published_tree_new(&item->checkpoint, body, &edge);
        http_body_release(body);
    }
    edge_clear(&edge);
    return rc;
}

enum err_code exported_notes_compare(struct exported_notes *notes,
                                     const struct recovered *recovered, struct journal *journal,
                                     struct tiles *tiles, struct err *err)
{
    for (size_t i = 0; i < notes->count; i++) {
        if (compare(&notes->items[i], recovered, journal, tiles, err) != E_OK) {
            return err_set(err, E_CORRUPT,
                           "the exported checkpoint of %llu entries is not of this tree: %s",
                           (unsigned long long)notes->items[i].checkpoint.size, err->msg);
        }
    }
    return E_OK;
}
