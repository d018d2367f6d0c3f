#include "cli/cosign_history.h"

#include "base/ascii.h"

#include <inttypes.h>

static const char header[] = "courtroll cosign-history v1\n";

static enum err_code parse_item(struct cosign_history *history, struct span line, struct err *err)
{
    struct span size;
    struct cosign_exported item;
    if (!span_take_until(&line, ' ', &size)) {
        return err_set(err, E_MALFORMED, "a line that is not \"SIZE ROOT\"");
    }
    if (decimal_parse(&item.size, size, SIZE_VALUE_MAX, err) != E_OK ||
        base64_decode_hash(&item.root, line, err) != E_OK) {
        return err->code;
    }
    if (history->count == COSIGN_HISTORY_MAX) {
        return err_set(err, E_MALFORMED, "over %d sizes", COSIGN_HISTORY_MAX);
    }
    if (history->count > 0 && item.size <= history->items[history->count - 1].size) {
        return err_set(err, E_MALFORMED, "size %" PRIu64 " is not above the one before it",
                       item.size);
    }
    history->items[history->count++] = item;
    return E_OK;
}

static enum err_code parse(struct cosign_history *out, struct span in, struct err *err)
{
    struct span line;
    if (!span_take_prefix(&in, span_of_str(header))) {
        return err_set(err, E_MALFORMED, "the first line is not courtroll cosign-history v1");
    }
    if (!span_take_until(&in, '\n', &line) || !origin_is_valid(line)) {
        return err_set(err, E_MALFORMED, "the second line is no origin");
    }
    memcpy(out->origin, line.data, line.len);
    while (in.len > 0) {
        if (!span_take_until(&in, '\n', &line)) {
            return err_set(err, E_MALFORMED, "no newline at the end");
        }
        if (parse_item(out, line, err) != E_OK) {
            return err->code;
        }
    }
    return E_OK;
}

enum err_code cosign_history_parse(struct cosign_history *out, struct span bytes, struct err *err)
{
    struct cosign_history parsed = { .count = 0 };
    if (parse(&parsed, bytes, err) != E_OK) {
        return err_wrap(err, "history of exports");
    }
    *out = parsed;
    return E_OK;
}

void cosign_history_put(struct buf *out, const struct cosign_history *history)
{
    buf_putf(out, "%s%s\n", header, history->origin);
    for (size_t i = 0; i < history->count; i++) {
        buf_putf(out, "%" PRIu64 " ", history->items[i].size);
        base64_put_hash(out, &history->items[i].root);
        buf_put_u8(out, '\n');
    }
}

/* The one whose neighbours are the closest for their age, in entries: what stays is at ages that grow by
 * about the same factor. */
static void forget_one(struct cosign_history *history, uint64_t newest)
{
    const struct cosign_exported *items = history->items;
    size_t least = 1;
    double least_gap = 2;
    for (size_t i = 1; i <= history->count - COSIGN_HISTORY_NEWEST; i++) {
        double gap =
            (double)(items[i + 1].size - items[i - 1].size) / (double)(newest - items[i - 1].size);
        if (gap < least_gap) {
            least = i;
            least_gap = gap;
        }
    }
    history->count--;
    memmove(history->items + least, history->items + least + 1,
            (history->count - least) * sizeof history->items[0]);
}

enum err_code cosign_history_add(struct cosign_history *history,
                                 const struct checkpoint *checkpoint, struct err *err)
{
    if (history->count > 0) {
        const struct cosign_exported *last = &history->items[history->count - 1];
        if (strcmp(history->origin, checkpoint->origin) != 0) {
            return err_set(err, E_DENIED, "the history is of %s, not of %s", history->origin,
                           checkpoint->origin);
        }
        if (checkpoint->size < last->size) {
            return err_set(err, E_BAD_PROOF,
                           "the log exported %" PRIu64 " entries before and has %" PRIu64
                           " now: it has gone back",
                           last->size, checkpoint->size);
        }
        if (checkpoint->size == last->size) {
            return hash_is_equal(&checkpoint->root, &last->root)
                       ? E_OK
                       : err_set(err, E_BAD_PROOF,
                                 "the log exported another root for %" PRIu64 " entries before",
                                 last->size);
        }
    }
    if (history->count == COSIGN_HISTORY_MAX) {
        forget_one(history, checkpoint->size);
    }
    memcpy(history->origin, checkpoint->origin, sizeof history->origin);
    history->items[history->count++] =
        (struct cosign_exported){ checkpoint->size, checkpoint->root };
    return E_OK;
}
