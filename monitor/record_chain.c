#include "monitor/record_chain.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "monitor/record_cases.h"

/* Who may log for the case. */
struct writers {
    size_t count, cap;
    struct submitter_id *ids; /* owned */
};

struct reading {
    const struct record_chain_options *options;
    struct record_case *out;
    size_t cap; /* of out's entries */
    uint64_t base;
    struct hash commitment; /* what CASE_FILED should have */
    struct writers writers;
    /* Counts are deciphered under the tag of their entry. */
    struct record_fact closed[RECORD_CASE_CLOSED_MAX];
    struct hash closed_tags[RECORD_CASE_CLOSED_MAX];
};

/* -- the court -- */

/* "（2022）京01执123号": behind the second bracket a province character and digits, or 最高法. */
bool record_chain_court(struct court_tag *out, const char *case_number)
{
    static const char bracket[] = "\xef\xbc\x89",
                      supreme[] = "\xe6\x9c\x80\xe9\xab\x98\xe6\xb3\x95";
    struct span rest = span_of_str(case_number);
    size_t at = span_find(rest, span_of_str(bracket));
    uint32_t province;
    if (at == SIZE_MAX) {
        return false;
    }
    rest = span_slice(rest, at + strlen(bracket), rest.len - at - strlen(bracket));
    if (span_has_prefix(rest, span_of_str(supreme))) {
        *out = court_tag_make(span_of_str(supreme));
        return true;
    }
    struct span code = rest;
    if (!utf8_take(&rest, &province)) {
        return false;
    }
    while (rest.len > 0 && rest.data[0] >= '0' && rest.data[0] <= '9') {
        rest = span_slice(rest, 1, rest.len - 1);
    }
    *out = court_tag_make(span_slice(code, 0, code.len - rest.len));
    return true;
}

/* -- who -- */

static void add_writer(void *ctx, const struct submitter_id *id)
{
    struct writers *writers = ctx;
    if (writers->count == writers->cap) {
        writers->cap = writers->cap == 0 ? 16 : 2 * writers->cap;
        writers->ids = mem_realloc(writers->ids, writers->cap * sizeof *writers->ids);
    }
    writers->ids[writers->count++] = *id;
}

static size_t find_writer(const struct writers *writers, const struct submitter_id *id)
{
    size_t i = 0;
    while (i < writers->count && !submitter_id_is_equal(&writers->ids[i], id)) {
        i++;
    }
    return i;
}

/* -- what -- */

static void add_entry(struct reading *reading, size_t writer, uint64_t number,
                      const struct hash *tag, const struct record_fact *fact)
{
    struct record_case *out = reading->out;
    if (out->count == reading->cap) {
        reading->cap = reading->cap == 0 ? 64 : 2 * reading->cap;
        out->entries = mem_realloc(out->entries, reading->cap * sizeof *out->entries);
    }
    out->entries[out->count++] = (struct record_case_entry){
        .submitter = writer,
        .number = number,
        .index = fact->stamp.index,
        .kind = fact->kind,
        .minute = fact->minute,
        .is_of_another_number = fact->kind == KIND_CASE_FILED &&
                                !hash_is_equal(&fact->case_commitment, &reading->commitment),
    };
    if (fact->kind == KIND_CLOSED && out->closed_count < RECORD_CASE_CLOSED_MAX) {
        reading->closed[out->closed_count] = *fact;
        reading->closed_tags[out->closed_count++] = *tag;
    }
}

/* *is_there is false for what is not on the log, or beyond what is held: that is expected then. */
static enum err_code read_number(struct reading *reading, size_t writer, uint64_t number,
                                 bool *is_there, struct err *err)
{
    const struct record_chain_options *options = reading->options;
    struct hash tag = entry_tag_make(options->key, &reading->writers.ids[writer], number);
    struct record_fact fact;
    enum err_code rc = record_fact_get(&fact, options->store, &tag, err);
    *is_there = rc == E_OK && fact.stamp.index < reading->base;
    if (*is_there) {
        add_entry(reading, writer, number, &tag, &fact);
    } else if (rc == E_OK || rc == E_NOT_FOUND) {
        record_expected_add(options->expected, &tag, options->owner);
        rc = E_OK;
    }
    return rc;
}

static enum err_code read_writer(struct reading *reading, size_t writer, struct err *err)
{
    uint64_t ahead = RECORD_AHEAD_AT_FIRST, missing = 0;
    enum err_code rc = E_OK;
    for (uint64_t number = 0;
         rc == E_OK && missing < ahead && reading->out->count < RECORD_CHAIN_MAX; number++) {
        bool is_there;
        rc = read_number(reading, writer, number, &is_there, err);
        missing = is_there ? 0 : missing + 1;
        ahead = is_there ? RECORD_AHEAD : ahead;
    }
    return rc;
}

static enum err_code read_writers(struct reading *reading, size_t from, struct err *err)
{
    enum err_code rc = E_OK;
    for (size_t i = from; rc == E_OK && i < reading->writers.count; i++) {
        rc = read_writer(reading, i, err);
    }
    return rc;
}

/* Whoever is counted is looked for, registered for the court or not. */
static void read_counts(struct reading *reading, size_t i)
{
    struct record_case_closed *closed = &reading->out->closed[i];
    struct closed_count counts[CLOSED_SUBMITTERS_MAX];
    size_t count = 0;
    struct err err;
    *closed = (struct record_case_closed){ .index = reading->closed[i].stamp.index };
    if (closed_counts_read(counts, &count, reading->options->key, &reading->closed_tags[i],
                           reading->closed[i].counts, &err) != E_OK) {
        return;
    }
    closed->is_readable = true;
    closed->count = count;
    for (size_t k = 0; k < count; k++) {
        size_t writer = find_writer(&reading->writers, &counts[k].submitter);
        if (writer == reading->writers.count) {
            add_writer(&reading->writers, &counts[k].submitter);
        }
        closed->counts[k].submitter = writer;
        closed->counts[k].count = counts[k].count;
    }
}

enum err_code record_chain_read(struct record_case *out, const struct record_chain_options *options,
                                struct err *err)
{
    struct reading reading = { .options = options,
                               .out = out,
                               .base = record_store_base(options->store)->size,
                               .commitment = case_commitment_make(options->key) };
    struct court_tag court;
    *out = (struct record_case){ .count = 0 };
    if (record_chain_court(&court, options->key->number)) {
        record_submitters_of_court(options->submitters, &court, add_writer, &reading.writers);
    }
    enum err_code rc = read_writers(&reading, 0, err);
    size_t known = reading.writers.count;
    for (size_t i = 0; rc == E_OK && i < out->closed_count; i++) {
        read_counts(&reading, i);
    }
    if (rc == E_OK) {
        size_t closed = out->closed_count;
        rc = read_writers(&reading, known, err);
        out->closed_count = closed; /* what they have closed is judged by index only */
    }
    mem_free(reading.writers.ids);
    return rc;
}

void record_chain_clear(struct record_case *chain)
{
    mem_free(chain->entries);
    *chain = (struct record_case){ .count = 0 };
}
