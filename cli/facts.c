#include "cli/facts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum {
    TIME_TEXT_MAX = 128
};

struct output_table *facts_new(void)
{
    static const char *const headings[] = { "WHAT", "VALUE" };
    return output_table_new(headings, sizeof headings / sizeof headings[0]);
}

void facts_add(struct output_table *facts, const char *name, const char *value)
{
    const char *const cells[] = { name, value };
    output_table_add(facts, cells);
}

void facts_add_text(struct output_table *facts, const char *name, struct span peers_text)
{
    char *text = output_clean(peers_text);
    facts_add(facts, name, text);
    free(text);
}

void facts_add_count(struct output_table *facts, const char *name, uint64_t value)
{
    facts_add(facts, name, output_count(value).text);
}

void facts_add_time(struct output_table *facts, const char *name, uint64_t seconds)
{
    char text[TIME_TEXT_MAX];
    int64_t now = (int64_t)time(NULL);
    if (seconds == 0) {
        facts_add(facts, name, "never");
        return;
    }
    snprintf(text, sizeof text, "%s, %" PRId64 " s ago", output_time(seconds).text,
             now - (int64_t)seconds);
    facts_add(facts, name, text);
}
