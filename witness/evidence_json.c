#include "witness/evidence_json.h"

#include "base/ascii.h"

#include <assert.h>
#include <jansson.h>

enum {
    ITEM_BYTES_MAX = 1024 + 6 * ORIGIN_BYTES_MAX /* an origin's bytes are "\u0000" at worst */
};

size_t evidence_json_bytes_max(size_t count)
{
    return 64 + count * ITEM_BYTES_MAX;
}

static json_t *item_json(const struct evidence_item *item)
{
    struct buf origin = BUF_INIT(2 * HASH_BYTES + 1), id = BUF_INIT(2 * HASH_BYTES + 1);
    hex_put(&origin, hash_span(&item->origin_hash));
    hex_put(&id, hash_span(&item->id));
    json_t *path = json_sprintf("/evidence/%s/%s", buf_c_str(&origin), buf_c_str(&id));
    json_t *made = json_pack("{s:s, s:s, s:s, s:[I,I], s:I, s:o}", "id", buf_c_str(&id), "origin",
                             item->origin, "kind", evidence_kind_text(item->kind), "sizes",
                             (json_int_t)item->size_a, (json_int_t)item->size_b, "first_seen",
                             (json_int_t)item->first_seen_s, "path", path);
    buf_clear(&origin);
    buf_clear(&id);
    return made;
}

static int put_chunk(const char *bytes, size_t len, void *ctx)
{
    buf_put(ctx, span_of(bytes, len));
    return 0;
}

void evidence_json_put(struct buf *out, const struct evidence_item *items, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(array, item_json(&items[i])); /* origins are valid UTF-8 */
    }
    int rc = json_dump_callback(array, put_chunk, out, JSON_INDENT(1));
    assert(rc == 0);
    buf_put_str(out, "\n");
    json_decref(array);
}
