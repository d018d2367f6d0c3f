#include "monitor/history.h"

#include "base/ascii.h"

enum {
    VERSION = 1,
    SAMPLE_BYTES = 16
};

void history_init(struct history *history)
{
    history->spacing_s = HISTORY_SPACING_S;
    history->count = 0;
}

static uint64_t seconds_between(int64_t from, int64_t to)
{
    return (uint64_t)to - (uint64_t)from; /* right for any two times with from <= to */
}

/* The newest sample may be too near to the one before it: then it is only there to be exact, and the next
 * one takes its place. */
static bool is_newest_provisional(const struct history *history)
{
    size_t n = history->count;
    return n >= 2 && seconds_between(history->samples[n - 2].unix_s,
                                     history->samples[n - 1].unix_s) < history->spacing_s;
}

static void drop_every_second(struct history *history)
{
    size_t kept = 0;
    for (size_t i = 0; i < history->count; i += 2) {
        history->samples[kept++] = history->samples[i];
    }
    history->count = kept;
    if (history->spacing_s <= UINT64_MAX / 2) {
        history->spacing_s *= 2;
    }
}

void history_add(struct history *history, int64_t unix_s, uint64_t size)
{
    /* A clock that was set back takes the samples of the future with it, or the order would be lost. */
    while (history->count > 0 && history->samples[history->count - 1].unix_s >= unix_s) {
        history->count--;
    }
    if (is_newest_provisional(history)) {
        history->count--;
    }
    if (history->count == HISTORY_MAX) {
        drop_every_second(history);
    }
    history->samples[history->count++] = (struct history_sample){ unix_s, size };
}

void history_forget(struct history *history, int64_t before_s)
{
    size_t gone = 0;
    while (gone + 1 < history->count && history->samples[gone + 1].unix_s <= before_s) {
        gone++;
    }
    history->count -= gone;
    memmove(history->samples, history->samples + gone, history->count * sizeof *history->samples);
}

void history_put(struct buf *out, const struct history *history)
{
    buf_put_u8(out, VERSION);
    buf_put_u64(out, history->spacing_s);
    buf_put_u16(out, (uint16_t)history->count);
    for (size_t i = 0; i < history->count; i++) {
        buf_put_u64(out, (uint64_t)history->samples[i].unix_s);
        buf_put_u64(out, history->samples[i].size);
    }
}

enum err_code history_parse(struct history *out, struct span bytes, struct err *err)
{
    struct history history = { .count = 0 };
    uint8_t version;
    uint16_t count;
    if (!span_take_u8(&bytes, &version) || version != VERSION ||
        !span_take_u64(&bytes, &history.spacing_s) || !span_take_u16(&bytes, &count) ||
        history.spacing_s == 0 || count > HISTORY_MAX ||
        bytes.len != (size_t)count * SAMPLE_BYTES) {
        return err_set(err, E_MALFORMED, "a history is not of version %d", VERSION);
    }
    for (; history.count < count; history.count++) {
        struct history_sample *sample = &history.samples[history.count];
        uint64_t unix_s = 0;
        (void)span_take_u64(&bytes, &unix_s);
        (void)span_take_u64(&bytes, &sample->size);
        sample->unix_s = (int64_t)unix_s;
        if (sample->size > SIZE_VALUE_MAX ||
            (history.count > 0 && sample[-1].unix_s >= sample->unix_s)) {
            return err_set(err, E_MALFORMED, "sample %zu of a history is out of bounds or of order",
                           history.count);
        }
    }
    *out = history;
    return E_OK;
}

bool history_growth(const struct history *history, uint64_t seconds, uint64_t *entries,
                    uint64_t *took_s)
{
    if (history->count < 2) {
        return false;
    }
    const struct history_sample *newest = &history->samples[history->count - 1];
    const struct history_sample *from = newest - 1;
    while (from > history->samples && seconds_between(from[-1].unix_s, newest->unix_s) <= seconds) {
        from--;
    }
    *entries = newest->size > from->size ? newest->size - from->size : 0;
    *took_s = seconds_between(from->unix_s, newest->unix_s);
    return true;
}
