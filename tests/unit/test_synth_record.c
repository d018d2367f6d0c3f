/* What `courtroll synth --records` writes: records that verify, and a truth that somebody else finds too. */
#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "record/certificate.h"
#include "record/commitment.h"
#include "tests/support/files.h"
#include "tests/support/province.h"
#include "tlog/bundle.h"
#include "tlog/merkle.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ORIGIN "log.court.example/2026"

enum {
    RECORDS_MAX = 20000,
    TEXT_MAX = 128,
};

struct record {
    struct span bytes, certificate;
    bool is_record;
    struct operation operation; /* if it is one; openings kept */
    struct hash leaf;
};

struct records {
    struct buf entries, certificates;
    size_t count;
    struct record *all;
    size_t *by_tag; /* positions of those with a tag, sorted by tag, then index */
    size_t tagged;
};

static const struct record *sorting;

static int compare_tags(const void *a, const void *b)
{
    size_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    int order =
        memcmp(&sorting[x].operation.entry_tag, &sorting[y].operation.entry_tag, HASH_BYTES);
    return order != 0 ? order : x < y ? -1 : 1;
}

static struct records read_records(const char *dir)
{
    struct records records = { .entries = province_read(dir, "entries"),
                               .certificates = province_read(dir, "certificates"),
                               .all = mem_calloc(RECORDS_MAX, sizeof(struct record)),
                               .by_tag = mem_calloc(RECORDS_MAX, sizeof(size_t)) };
    struct span entries = buf_span(&records.entries);
    struct span certificates = buf_span(&records.certificates);
    struct err err;
    for (struct record *record = records.all; bundle_take_entry(&entries, &record->bytes);
         record++) {
        assert_true(records.count < RECORDS_MAX - 1);
        assert_true(bundle_take_entry(&certificates, &record->certificate));
        record->leaf = merkle_leaf_hash(record->bytes);
        record->is_record = operation_decode(&record->operation, record->bytes, &err) == E_OK;
        if (record->is_record && record->operation.has_commitments) {
            records.by_tag[records.tagged++] = records.count;
        }
        records.count++;
    }
    assert_int_equal(entries.len + certificates.len, 0);
    sorting = records.all;
    qsort(records.by_tag, records.tagged, sizeof(size_t), compare_tags);
    return records;
}

static void clear_records(struct records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        operation_clear(&records->all[i].operation);
    }
    mem_free(records->all);
    mem_free(records->by_tag);
    buf_clear(&records->entries);
    buf_clear(&records->certificates);
}

/* Position in by_tag of the first record with the tag, or SIZE_MAX. */
static size_t find_tag(const struct records *records, const struct hash *tag)
{
    size_t low = 0, high = records->tagged;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct hash *at = &records->all[records->by_tag[middle]].operation.entry_tag;
        if (memcmp(at, tag, HASH_BYTES) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_found = low < records->tagged &&
                    hash_is_equal(&records->all[records->by_tag[low]].operation.entry_tag, tag);
    return is_found ? low : SIZE_MAX;
}

static const struct record *find_registered(const struct records *records,
                                            const struct submitter_id *id)
{
    for (size_t i = 0; i < SYNTH_SUBMITTERS; i++) {
        if (submitter_id_is_equal(&records->all[i].operation.submitter, id)) {
            return &records->all[i];
        }
    }
    return NULL;
}

static const struct record *find_leaf(const struct records *records, const struct hash *leaf)
{
    for (size_t i = 0; i < records->count; i++) {
        if (hash_is_equal(&records->all[i].leaf, leaf)) {
            return &records->all[i];
        }
    }
    return NULL;
}

static void check_sealed(const struct records *records, const struct record *record)
{
    struct err err;
    struct certificate certificate;
    assert_int_equal(operation_verify(&record->operation, record->bytes, ORIGIN,
                                      &record->operation.one_time_key, &err),
                     E_OK);
    assert_int_equal(certificate_parse(&certificate, record->certificate, &err), E_OK);
    const struct record *who = find_registered(records, &certificate.submitter);
    assert_non_null(who);
    assert_int_equal(certificate_verify(&certificate, ORIGIN, &record->operation.one_time_key,
                                        &record->operation.entry_tag,
                                        &who->operation.registration.key, &err),
                     E_OK);
}

static void check_unseal(const struct records *records, const struct record *record)
{
    const struct operation *operation = &record->operation;
    struct err err;
    struct hash origin = sha256(span_of_str(ORIGIN));
    assert_true(hash_is_equal(&origin, &operation->references[0].origin));
    const struct record *sealed = find_leaf(records, &operation->references[0].leaf);
    assert_non_null(sealed);
    assert_true(sealed < record && sealed->is_record && sealed->operation.is_sealed);
    struct hash context =
        commitment_context(ORIGIN, OPERATION_VERSION, &sealed->operation.one_time_key,
                           &sealed->operation.entry_tag);
    for (size_t i = 0; i < OPERATION_OPENINGS; i++) {
        const struct opening *opening = &operation->openings[i];
        struct field_value value = { .is_present = true,
                                     .value = span_of(opening->value, opening->value_len) };
        memcpy(value.salt, opening->salt, sizeof value.salt);
        struct hash digest = commitment_digest(&context, opening->number, &value);
        assert_int_equal(commitment_verify(&sealed->operation.fields_root, &digest, opening->number,
                                           opening->hashes, &err),
                         E_OK);
    }
}

static void every_record_verifies_and_every_sealed_one_is_opened(void **state)
{
    (void)state;
    struct province made =
        province_make((struct province_options){ .seed = 10, .cases = 25, .origin = ORIGIN });
    struct records records = read_records(made.dir);
    size_t sealed = 0, unsealed = 0;
    struct err err;
    assert_int_equal(records.count, SYNTH_SUBMITTERS + made.counts.operations);
    for (size_t i = 0; i < records.count; i++) {
        const struct record *record = &records.all[i];
        assert_true(record->is_record);
        assert_int_equal(record->operation.kind->number == KIND_SUBMITTER, i < SYNTH_SUBMITTERS);
        if (record->operation.is_sealed) {
            check_sealed(&records, record);
            sealed++;
            continue;
        }
        assert_int_equal(record->certificate.len, 0);
        const struct record *who = find_registered(&records, &record->operation.submitter);
        assert_non_null(who);
        assert_int_equal(operation_verify(&record->operation, record->bytes, ORIGIN,
                                          &who->operation.registration.key, &err),
                         E_OK);
        if (record->operation.kind->class == KIND_OF_UNSEAL) {
            check_unseal(&records, record);
            unsealed++;
        }
    }
    assert_true(sealed > 0);
    assert_int_equal(sealed, unsealed);
    clear_records(&records);
    files_remove_tree(made.dir);
}

/* ---- truth: an independent checker, which is slow and looks at everything ---- */

struct found {
    char lines[4096][TEXT_MAX]; /* "code index" */
    size_t count;
};

static void add(struct found *found, const char *code, size_t index)
{
    assert_true(found->count < 4096);
    snprintf(found->lines[found->count++], TEXT_MAX, "%s %zu", code, index);
}

static void check_form(const struct records *records, struct found *found)
{
    for (size_t i = 0; i < records->count; i++) {
        const struct record *record = &records->all[i];
        if (!record->is_record) {
            add(found, "bad-record", i);
        } else if (!record->operation.is_sealed &&
                   find_registered(records, &record->operation.submitter) == NULL) {
            add(found, "unregistered-key", i);
        }
        bool is_opened = !record->is_record || !record->operation.is_sealed;
        for (size_t k = i + 1; k < records->count && !is_opened; k++) {
            const struct operation *other = &records->all[k].operation;
            is_opened = records->all[k].is_record && other->kind->class == KIND_OF_UNSEAL &&
                        hash_is_equal(&other->references[0].leaf, &record->leaf);
        }
        if (!is_opened) {
            add(found, "sealed-overdue", i);
        }
    }
    for (size_t i = 1; i < records->tagged; i++) {
        const struct record *one = &records->all[records->by_tag[i - 1]];
        const struct record *two = &records->all[records->by_tag[i]];
        if (hash_is_equal(&one->operation.entry_tag, &two->operation.entry_tag)) {
            add(found, "tag-repeated", records->by_tag[i]);
        }
    }
}

/* One submitter's operations of a case, by number: the index, or SIZE_MAX. */
struct chain {
    struct submitter_id id;
    size_t index[6000];
    size_t count; /* one above the highest number */
};

static void find_chain(struct chain *chain, const struct records *records,
                       const struct case_key *key)
{
    chain->count = 0;
    for (size_t number = 0; number < 6000 && number < chain->count + 40; number++) {
        struct hash tag = entry_tag_make(key, &chain->id, number);
        size_t at = find_tag(records, &tag);
        chain->index[number] = at == SIZE_MAX ? SIZE_MAX : records->by_tag[at];
        if (at != SIZE_MAX) {
            chain->count = number + 1;
        }
    }
}

static void check_chain(const struct chain *chain, const struct records *records,
                        struct found *found)
{
    uint64_t minute = 0;
    for (size_t n = 0; n < chain->count; n++) {
        size_t index = chain->index[n];
        if (index == SIZE_MAX) {
            if (chain->index[n + 1] != SIZE_MAX) {
                add(found, "case-gap", chain->index[n + 1]);
            }
            continue;
        }
        bool is_late = false;
        for (size_t k = n + 1; k < chain->count; k++) {
            is_late = is_late || (chain->index[k] != SIZE_MAX && chain->index[k] < index);
        }
        if (is_late) {
            add(found, "case-order", index);
        }
        const struct operation *operation = &records->all[index].operation;
        if (operation->is_sealed || operation->kind->number == 132) {
            continue; /* its time is not known, or it says that it is late */
        }
        if (operation->minute < minute) {
            add(found, "case-time-backwards", index);
        } else {
            minute = operation->minute;
        }
    }
}

static size_t numbered_before(const struct chain *chain, size_t index)
{
    size_t count = 0;
    for (size_t n = 0; n < chain->count; n++) {
        if (chain->index[n] != SIZE_MAX && chain->index[n] <= index) {
            count = n + 1;
        }
    }
    return count;
}

static void check_closed(const struct chain *chains, size_t chain_count,
                         const struct records *records, const struct case_key *key, size_t closed,
                         struct found *found)
{
    struct closed_count counts[CLOSED_SUBMITTERS_MAX];
    size_t count = 0, matched = 0, active = 0;
    struct err err;
    const struct operation *operation = &records->all[closed].operation;
    assert_int_equal(closed_counts_read(counts, &count, key, &operation->entry_tag,
                                        operation->closed_counts, &err),
                     E_OK);
    for (size_t c = 0; c < chain_count; c++) {
        size_t numbered = numbered_before(&chains[c], closed);
        active += numbered > 0;
        for (size_t i = 0; i < count; i++) {
            matched += submitter_id_is_equal(&counts[i].submitter, &chains[c].id) &&
                       counts[i].count == numbered;
        }
        for (size_t n = 0; n < chains[c].count; n++) {
            if (chains[c].index[n] != SIZE_MAX && chains[c].index[n] > closed) {
                add(found, "case-after-closed", chains[c].index[n]);
            }
        }
    }
    if (matched != count || matched != active) {
        add(found, "case-count", closed);
    }
}

static void check_case(const struct records *records, const struct case_key *key,
                       struct synth_world *world, struct found *found)
{
    static struct chain chains[4];
    size_t court = 0;
    struct buf name = BUF_INIT(CASE_NUMBER_BYTES_MAX);
    /* The longest court code that stands behind the year is the court's. */
    for (size_t i = 0; i < SYNTH_COURTS; i++) {
        buf_reset(&name);
        buf_putf(&name, "）%s", world->courts[i].code);
        if (span_find(span_of_str(key->number), buf_span(&name)) != SIZE_MAX &&
            strlen(world->courts[i].code) >= strlen(world->courts[court].code)) {
            court = i;
        }
    }
    buf_clear(&name);
    const size_t who[] = { court, SYNTH_SERVICE, SYNTH_FILES, SYNTH_SUPERVISION };
    for (size_t c = 0; c < 4; c++) {
        chains[c].id = world->submitters[who[c]].id;
        find_chain(&chains[c], records, key);
        check_chain(&chains[c], records, found);
    }
    size_t closed = SIZE_MAX, filed = 0;
    assert_true(chains[0].count > 0);
    for (size_t n = 0; n < chains[0].count; n++) {
        size_t index = chains[0].index[n];
        uint32_t kind = index != SIZE_MAX ? records->all[index].operation.kind->number : 0;
        closed = kind == KIND_CLOSED ? index : closed;
        if (kind == KIND_CASE_FILED && filed++ > 0) {
            add(found, "case-filed-twice", index);
        }
    }
    assert_int_not_equal(closed, SIZE_MAX);
    check_closed(chains, 4, records, key, closed, found);
}

static void check_cases(const char *dir, const struct records *records, struct synth_world *world,
                        struct found *found)
{
    char *path = file_join(dir, "case-keys");
    DIR *keys = opendir(path);
    struct dirent *entry;
    assert_non_null(keys);
    while ((entry = readdir(keys)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        struct buf text = province_read(path, entry->d_name);
        struct case_key key;
        struct err err;
        assert_int_equal(case_key_parse(&key, buf_span(&text), &err), E_OK);
        struct hash hash = sha256(span_of_str(key.number));
        struct buf name = BUF_INIT(128);
        hex_put(&name, hash_span(&hash));
        buf_put_str(&name, ".casekey");
        assert_string_equal(entry->d_name, buf_c_str(&name));
        check_case(records, &key, world, found);
        buf_clear(&name);
        buf_clear(&text);
    }
    closedir(keys);
    mem_free(path);
}

static void read_truth(const char *dir, struct found *truth)
{
    struct buf bytes = province_read(dir, "truth.jsonl");
    struct span rest = buf_span(&bytes), line;
    while (span_take_until(&rest, '\n', &line)) {
        json_error_t error;
        json_t *json = json_loadb((const char *)line.data, line.len, 0, &error);
        assert_non_null(json);
        const char *code = json_string_value(json_object_get(json, "code"));
        bool needs_key = json_is_true(json_object_get(json, "needs_key"));
        assert_int_equal(needs_key, strncmp(code, "case-", 5) == 0);
        assert_int_equal(needs_key, json_is_string(json_object_get(json, "case")));
        add(truth, code, (size_t)json_integer_value(json_object_get(json, "index")));
        json_decref(json);
    }
    buf_clear(&bytes);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void truth_is_what_an_independent_checker_finds(void **state)
{
    (void)state;
    static struct found truth, found;
    struct province_options asked = { .seed = 1, .cases = 70, .fault_rate = 95, .origin = ORIGIN };
    struct province made = province_make(asked);
    struct synth_world *world = synth_world_new(asked.seed);
    struct records records = read_records(made.dir);
    check_form(&records, &found);
    check_cases(made.dir, &records, world, &found);
    read_truth(made.dir, &truth);
    qsort(truth.lines, truth.count, TEXT_MAX, compare_lines);
    qsort(found.lines, found.count, TEXT_MAX, compare_lines);
    for (size_t i = 0; i < truth.count && i < found.count; i++) {
        assert_string_equal(found.lines[i], truth.lines[i]);
    }
    assert_int_equal(found.count, truth.count);
    for (int i = 1; i < SYNTH_FAULTS; i++) {
        assert_true(made.counts.faults[i] > 0);
    }
    clear_records(&records);
    synth_world_free(world);
    files_remove_tree(made.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_verifies_and_every_sealed_one_is_opened),
        cmocka_unit_test(truth_is_what_an_independent_checker_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
