/* status_chart.c -- the chart of the page: size over time, as a line and in words. */
#include "monitor/page_text.h"
#include "monitor/status_page.h"

enum {
    WIDTH = 640,
    HEIGHT = 160,
    EDGE = 4, /* so that the line's ends are not cut */
    ROWS_MAX = 12,
    HOUR_S = 3600,
};

/* Where `part` of `whole` lies on `length`; the numbers may be as large as they can be. */
static double place(uint64_t part, uint64_t whole, double length)
{
    return whole == 0 ? 0 : (double)part / (double)whole * length;
}

static uint64_t seconds_since(const struct history *history, size_t i)
{
    return (uint64_t)history->samples[i].unix_s - (uint64_t)history->samples[0].unix_s;
}

static void put_line(struct buf *out, const struct history *history)
{
    uint64_t span_s = seconds_since(history, history->count - 1), most = 0;
    for (size_t i = 0; i < history->count; i++) {
        most = history->samples[i].size > most ? history->samples[i].size : most;
    }
    buf_put_str(out, "<polyline class=\"line\" fill=\"none\" points=\"");
    for (size_t i = 0; i < history->count; i++) {
        double x = EDGE + place(seconds_since(history, i), span_s, WIDTH - 2 * EDGE);
        double y = HEIGHT - EDGE - place(history->samples[i].size, most, HEIGHT - 2 * EDGE);
        buf_putf(out, "%s%.1f,%.1f", i == 0 ? "" : " ", x, y);
    }
    buf_put_str(out, "\"/>");
}

static void put_words(struct buf *out, const struct history *history)
{
    const struct history_sample *first = &history->samples[0],
                                *last = &history->samples[history->count - 1];
    uint64_t entries = 0, took_s = 0;
    page_put_count(out, first->size);
    buf_put_str(out, " entries on ");
    page_put_time(out, first->unix_s);
    buf_put_str(out, "; ");
    page_put_count(out, last->size);
    buf_put_str(out, " on ");
    page_put_time(out, last->unix_s);
    if (history_growth(history, HOUR_S, &entries, &took_s) && took_s > 0) {
        buf_put_str(out, "; ");
        page_put_count(out, entries);
        buf_put_str(out, " more in the last ");
        page_put_duration(out, took_s);
    }
    buf_put_str(out, ".");
}

/* Some of the samples, evenly, and the newest. */
static void put_numbers(struct buf *out, const struct history *history)
{
    static const char *const headings[] = { "Time", "Entries" };
    size_t step = (history->count + ROWS_MAX - 1) / ROWS_MAX;
    buf_put_str(out, "<details><summary>The chart in numbers</summary>\n");
    page_begin_table(out, "Size over time", "", headings, 2);
    for (size_t i = (history->count - 1) % step; i < history->count; i += step) {
        buf_put_str(out, "<tr><th scope=\"row\">");
        page_put_time(out, history->samples[i].unix_s);
        buf_put_str(out, "</th><td>");
        page_put_count(out, history->samples[i].size);
        buf_put_str(out, "</td></tr>\n");
    }
    page_end_table(out);
    buf_put_str(out, "</details>\n");
}

void monitor_page_put_chart(struct buf *out, const struct history *history, size_t id)
{
    if (history->count < 2) {
        return;
    }
    buf_putf(out,
             "<figure><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"chart-%zu-title "
             "chart-%zu-words\" preserveAspectRatio=\"none\"><title id=\"chart-%zu-title\">Size "
             "over time</title><desc>A line from the first to the newest size that was seen, from "
             "0 upward; the words and numbers below say the same.</desc>",
             WIDTH, HEIGHT, id, id, id);
    buf_putf(out, "<path class=\"axis\" fill=\"none\" d=\"M%d 0V%dH%d\"/>", EDGE, HEIGHT - EDGE,
             WIDTH);
    put_line(out, history);
    buf_putf(out, "</svg>\n<figcaption id=\"chart-%zu-words\">", id);
    put_words(out, history);
    buf_put_str(out, "</figcaption></figure>\n");
    put_numbers(out, history);
}
