#include "tlog/tile.h"

#include "base/ascii.h"

#include <assert.h>

uint16_t tile_width(struct tile_id id, uint64_t tree_size)
{
    if (id.level >= TILE_LEVELS) {
        return 0;
    }
    uint64_t hashes = tree_size >> (TILE_HEIGHT * id.level);
    uint64_t full_tiles = hashes >> TILE_HEIGHT;
    if (id.index < full_tiles) {
        return TILE_WIDTH;
    }
    return id.index == full_tiles ? (uint16_t)(hashes % TILE_WIDTH) : 0;
}

/* -- paths -- */

/* A path as it is being written, in a place of its own: paths are parsed by writing them again,
 * once for each request, which is no place for an allocation. */
struct path_text {
    size_t len;
    char chars[TILE_PATH_MAX];
};

static void put(struct path_text *text, const char *chars)
{
    size_t len = strlen(chars);
    assert(len <= sizeof text->chars - text->len);
    memcpy(text->chars + text->len, chars, len);
    text->len += len;
}

/* Decimal, with zeros in front up to `digits_min`. */
static void put_decimal(struct path_text *text, uint64_t value, size_t digits_min)
{
    char chars[DECIMAL_MAX + 1];
    size_t at = DECIMAL_MAX;
    chars[at] = '\0';
    while (value > 0 || DECIMAL_MAX - at < digits_min) {
        chars[--at] = (char)('0' + value % 10);
        value /= 10;
    }
    put(text, chars + at);
}

/* Groups of three digits, an x before each but the last: "x001/234". */
static void put_index(struct path_text *text, uint64_t index)
{
    enum {
        GROUPS_MAX = (DECIMAL_MAX + 2) / 3
    };
    uint16_t groups[GROUPS_MAX]; /* the last one first */
    size_t count = 0;
    do {
        groups[count++] = (uint16_t)(index % 1000);
        index /= 1000;
    } while (index > 0);
    while (count > 1) {
        put(text, "x");
        put_decimal(text, groups[--count], 3);
        put(text, "/");
    }
    put_decimal(text, groups[0], 3);
}

static struct path_text path_write(const struct tile_path *path)
{
    assert(path->id.level <= TILE_LEVEL_MAX);
    assert(path->width >= 1);
    assert(path->width <= TILE_WIDTH);
    struct path_text text = { .len = 0 };
    put(&text, "tile/");
    if (path->is_bundle) {
        put(&text, "entries");
    } else {
        put_decimal(&text, path->id.level, 1);
    }
    put(&text, "/");
    put_index(&text, path->id.index);
    if (path->width < TILE_WIDTH) {
        put(&text, ".p/");
        put_decimal(&text, path->width, 1);
    }
    return text;
}

void tile_path_append(struct buf *out, struct tile_id id, uint16_t width)
{
    struct path_text text = path_write(&(struct tile_path){ false, id, width });
    buf_put(out, span_of(text.chars, text.len));
}

void bundle_path_append(struct buf *out, uint64_t index, uint16_t width)
{
    struct path_text text = path_write(&(struct tile_path){ true, { 0, index }, width });
    buf_put(out, span_of(text.chars, text.len));
}

/* Takes "entries/" or a level and its slash. */
static bool take_kind(struct span *in, struct tile_path *path)
{
    struct span text;
    if (!span_take_until(in, '/', &text)) {
        return false;
    }
    path->is_bundle = span_is_str(text, "entries");
    if (path->is_bundle) {
        path->id.level = 0;
        return true;
    }
    uint64_t level = 0;
    struct err ignored; /* one message does for every malformed path */
    if (decimal_parse(&level, text, TILE_LEVEL_MAX, &ignored) != E_OK) {
        return false;
    }
    path->id.level = (uint8_t)level;
    return true;
}

/* Cuts ".p/<W>" off the end, if it is there. */
static bool cut_width(struct span *in, uint16_t *width)
{
    struct span mark = span_of_str(".p/");
    size_t at = span_find(*in, mark);
    if (at == SIZE_MAX) {
        *width = TILE_WIDTH;
        return true;
    }
    struct span digits = span_slice(*in, at + mark.len, in->len - at - mark.len);
    uint64_t value = 0;
    struct err ignored;
    if (decimal_parse(&value, digits, TILE_WIDTH - 1, &ignored) != E_OK || value == 0) {
        return false;
    }
    *width = (uint16_t)value;
    *in = span_slice(*in, 0, at);
    return true;
}

/* Adds a group of three digits to the index. False for anything else and for an overflow. */
static bool add_group(uint64_t *index, struct span digits)
{
    if (digits.len != 3) {
        return false;
    }
    uint64_t group = 0;
    for (size_t i = 0; i < digits.len; i++) {
        uint8_t c = digits.data[i];
        if (c < '0' || c > '9') {
            return false;
        }
        group = group * 10 + (uint64_t)(c - '0');
    }
    return !__builtin_mul_overflow(*index, (uint64_t)1000, index) &&
           !__builtin_add_overflow(*index, group, index);
}

/* All of `in`. Takes "x000/" in front, too: writing the path again shows that. */
static bool parse_index(struct span in, uint64_t *index)
{
    *index = 0;
    struct span group;
    while (span_take_until(&in, '/', &group)) {
        if (!span_take_prefix(&group, span_of_str("x")) || !add_group(index, group)) {
            return false;
        }
    }
    return add_group(index, in);
}

static bool parse(struct tile_path *path, struct span text)
{
    struct span rest = text;
    if (text.len > TILE_PATH_MAX || !span_take_prefix(&rest, span_of_str("tile/")) ||
        !take_kind(&rest, path) || !cut_width(&rest, &path->width) ||
        !parse_index(rest, &path->id.index)) {
        return false;
    }
    struct path_text again = path_write(path);
    return span_is_equal(text, span_of(again.chars, again.len));
}

enum err_code tile_path_parse(struct tile_path *out, struct span path, struct err *err)
{
    struct tile_path parsed = { 0 };
    if (!parse(&parsed, path)) {
        return err_set(err, E_MALFORMED, "not a tile or bundle path");
    }
    *out = parsed;
    return E_OK;
}

/* -- hashes in tiles -- */

struct tile_place tile_place_of(struct merkle_node node)
{
    assert(node.level < MERKLE_LEVELS_MAX);
    unsigned height = node.level % TILE_HEIGHT; /* of the node, above the tile's hashes */
    return (struct tile_place){
        .id = { (uint8_t)(node.level / TILE_HEIGHT), node.index >> (TILE_HEIGHT - height) },
        .first = (uint16_t)((node.index << height) % TILE_WIDTH),
        .count = (uint16_t)(1 << height),
    };
}

/* The root over `count` hashes, from tile.data + first: pairs them level by level, an odd one out
 * goes up as it is, which gives the tree of RFC 6962. */
static struct hash fold(struct span tile, size_t first, size_t count)
{
    struct hash hashes[TILE_WIDTH];
    memcpy(hashes, tile.data + first * HASH_BYTES, count * HASH_BYTES);
    for (; count > 1; count = count / 2 + count % 2) {
        for (size_t i = 0; i < count / 2; i++) {
            hashes[i] = merkle_node_hash(&hashes[2 * i], &hashes[2 * i + 1]);
        }
        if (count % 2 == 1) {
            hashes[count / 2] = hashes[count - 1];
        }
    }
    return hashes[0];
}

struct hash tile_node_hash(struct span tile, uint16_t first, uint16_t count)
{
    assert(count >= 1);
    assert(count <= TILE_WIDTH);
    assert((count & (count - 1)) == 0);
    assert((size_t)first + count <= tile.len / HASH_BYTES);
    return fold(tile, first, count);
}

struct hash tile_root(struct span tile)
{
    assert(tile.len >= HASH_BYTES);
    assert(tile.len <= TILE_BYTES);
    assert(tile.len % HASH_BYTES == 0);
    return fold(tile, 0, tile.len / HASH_BYTES);
}
