#include "cli/synth_run.h"

#include "base/alloc.h"
#include "base/file.h"
#include "cli/synth_draft.h"
#include "record/identifier.h"
#include "tests/support/files.h"
#include "tests/support/province.h"
#include "tlog/vkey.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#define ORIGIN "log.court.example/2026"

/* Of names and contents of all files, whatever the order of the directory is. */
static struct hash hash_directory(const char *path)
{
    struct dirent **names = NULL;
    int count = scandir(path, &names, NULL, alphasort);
    assert_true(count >= 0);
    struct sha256_stream *stream = sha256_stream_new();
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (name[0] != '.') {
            char *inner = file_join(path, name);
            struct stat st;
            assert_int_equal(stat(inner, &st), 0);
            struct hash hash;
            if (S_ISDIR(st.st_mode)) {
                hash = hash_directory(inner);
            } else {
                struct buf bytes = province_read(path, name);
                hash = sha256(buf_span(&bytes));
                buf_clear(&bytes);
            }
            sha256_stream_add(stream, span_of_str(name));
            sha256_stream_add(stream, hash_span(&hash));
            mem_free(inner);
        }
        free(names[i]);
    }
    free(names);
    struct hash hash = sha256_stream_finish(stream);
    sha256_stream_free(stream);
    return hash;
}

static struct hash hash_made(struct province_options asked)
{
    struct province made = province_make(asked);
    struct hash hash = hash_directory(made.dir);
    files_remove_tree(made.dir);
    return hash;
}

static void the_same_seed_gives_the_same_bytes_and_another_seed_others(void **state)
{
    (void)state;
    const char *origins[] = { NULL, ORIGIN };
    for (size_t i = 0; i < 2; i++) {
        struct province_options asked = {
            .seed = 7, .cases = 12, .fault_rate = 50, .origin = origins[i]
        };
        struct hash one = hash_made(asked);
        struct hash two = hash_made(asked);
        asked.seed = 8;
        struct hash other = hash_made(asked);
        assert_true(hash_is_equal(&one, &two));
        assert_false(hash_is_equal(&one, &other));
    }
}

/* ---- drafts ---- */

/* Calls `look` with each line of each submitter's file. */
static void each_draft(const struct province *made, struct synth_world *world,
                       void (*look)(void *ctx, unsigned submitter, const struct draft *draft,
                                    struct span line),
                       void *ctx)
{
    for (unsigned i = 0; i < SYNTH_EVERYBODY; i++) {
        char name[64];
        snprintf(name, sizeof name, "operations/%s.jsonl", world->submitters[i].file);
        char *path = file_join(made->dir, name);
        struct stat st;
        bool is_there = stat(path, &st) == 0;
        mem_free(path);
        if (!is_there) {
            continue;
        }
        struct buf bytes = province_read(made->dir, name);
        struct span rest = buf_span(&bytes), line;
        while (span_take_until(&rest, '\n', &line)) {
            struct draft draft;
            struct err err;
            assert_int_equal(draft_parse(&draft, line, &err), E_OK);
            look(ctx, i, &draft, line);
            draft_clear(&draft);
        }
        assert_int_equal(rest.len, 0);
        buf_clear(&bytes);
    }
}

struct seen {
    struct synth_world *world;
    uint64_t drafts, persons, companies, accounts, unseals;
    uint64_t measures, sealed_measures; /* FREEZE, SEAL, SEIZE, QUERY */
    uint64_t office, night, weekend;
};

static void look_at_party(struct seen *seen, const struct draft *draft, unsigned field)
{
    struct span id = buf_span(&draft->fields[field]);
    struct err err;
    if (id.len == 0) {
        return;
    }
    assert_int_equal(id.len, SYNTH_ID_CHARS);
    struct buf again = BUF_INIT(IDENTIFIER_BYTES_MAX);
    /* Persons have the region first, companies behind two characters of category. */
    if (identifier_put_citizen_id(&again, id, &err) == E_OK) {
        assert_memory_equal(id.data, "99", 2);
        seen->persons++;
    } else {
        assert_int_equal(identifier_put_credit_code(&again, id, &err), E_OK);
        assert_memory_equal(id.data + 2, "99", 2);
        seen->companies++;
    }
    assert_true(span_is_equal(buf_span(&again), id));
    buf_clear(&again);
}

static void look_at_ids(struct seen *seen, const struct draft *draft)
{
    static const unsigned parties[] = { FIELD_APPLICANT, FIELD_DEBTOR, FIELD_PARTY,
                                        FIELD_INSTITUTION, FIELD_PAYEE };
    for (size_t i = 0; i < sizeof parties / sizeof parties[0]; i++) {
        look_at_party(seen, draft, parties[i]);
    }
    struct span account = buf_span(&draft->fields[FIELD_ACCOUNT]);
    if (account.len > 0) {
        assert_int_equal(account.len, 19);
        assert_memory_equal(account.data, "6200990", 7);
        seen->accounts++;
    }
    assert_true(span_has_prefix(span_of_str(draft->court), span_of_str("测")));
}

static void look_at_time(struct seen *seen, const struct draft *draft)
{
    uint64_t local = draft->minute + 8 * 60;
    uint64_t of_day = local % 1440;
    bool is_morning = of_day >= 8 * 60 + 30 && of_day < 12 * 60;
    bool is_afternoon = of_day >= 14 * 60 && of_day < 18 * 60;
    seen->office += is_morning || is_afternoon;
    seen->night += of_day < 5 * 60;
    seen->weekend += (local / 1440 + 3) % 7 >= 5;
}

static void look(void *ctx, unsigned submitter, const struct draft *draft, struct span line)
{
    struct seen *seen = ctx;
    const struct synth_submitter *who = &seen->world->submitters[submitter];
    struct buf again = BUF_INIT(2 * DRAFT_BYTES_MAX);
    draft_put(&again, draft);
    assert_int_equal(again.len, line.len + 1);
    assert_memory_equal(again.data, line.data, line.len);
    buf_clear(&again);
    assert_true(draft->kind->roles == 0 || (draft->kind->roles >> who->role & 1) != 0);
    if (submitter < SYNTH_COURTS) {
        assert_string_equal(draft->court, seen->world->courts[submitter].code);
    }
    look_at_ids(seen, draft);
    look_at_time(seen, draft);
    uint32_t kind = draft->kind->number;
    bool is_measure = kind == 21 || (kind >= KIND_FREEZE && kind <= 34);
    seen->drafts++;
    seen->measures += is_measure;
    seen->sealed_measures += is_measure && draft->is_sealed;
    seen->unseals += draft->kind->class == KIND_OF_UNSEAL;
}

static void assert_share(uint64_t part, uint64_t whole, unsigned low, unsigned high)
{
    uint64_t per_mille = 1000 * part / whole;
    if (per_mille < low || per_mille > high) {
        fail_msg("%ju of %ju is not %u..%u per mille", (uintmax_t)part, (uintmax_t)whole, low,
                 high);
    }
}

/* The figures of the data set, with room for chance. */
static void every_draft_parses_and_the_mix_is_as_described(void **state)
{
    (void)state;
    struct province made = province_make((struct province_options){ .seed = 3, .cases = 250 });
    struct seen seen = { .world = synth_world_new(3) };
    each_draft(&made, seen.world, look, &seen);
    assert_int_equal(seen.drafts, made.counts.operations + made.counts.bank_operations);
    assert_int_equal(made.counts.cases, 250);
    assert_in_range(made.counts.operations, 250 * 38, 250 * 65);
    assert_true(made.counts.bank_operations > 0);
    assert_share(seen.persons, seen.persons + seen.companies, 300, 650);
    assert_true(seen.accounts > 0);
    assert_share(seen.sealed_measures, seen.measures, 250, 420);
    assert_int_equal(made.counts.sealed, made.counts.unsealed);
    assert_int_equal(seen.unseals, made.counts.unsealed);
    assert_share(seen.office, seen.drafts, 700, 860);
    assert_share(seen.night, seen.drafts, 50, 150);
    assert_share(seen.weekend, seen.drafts, 10, 90);
    struct buf truth = province_read(made.dir, "truth.jsonl");
    assert_int_equal(truth.len, 0); /* the rate was 0 */
    buf_clear(&truth);
    synth_world_free(seen.world);
    files_remove_tree(made.dir);
}

/* All lines of all files, each once; the lines of a file in order. */
static void order_names_every_line_once(void **state)
{
    (void)state;
    struct province made = province_make((struct province_options){ .seed = 4, .cases = 20 });
    struct synth_world *world = synth_world_new(4);
    uint64_t next[SYNTH_EVERYBODY] = { 0 }, lines = 0;
    struct buf order = province_read(made.dir, "order.jsonl");
    struct span rest = buf_span(&order), line;
    while (span_take_until(&rest, '\n', &line)) {
        json_error_t error;
        json_t *json = json_loadb((const char *)line.data, line.len, 0, &error);
        const char *file = json_string_value(json_object_get(json, "file"));
        unsigned i = 0;
        while (strcmp(world->submitters[i].file, file) != 0) {
            i++;
            assert_true(i < SYNTH_EVERYBODY);
        }
        assert_int_equal(json_integer_value(json_object_get(json, "line")), ++next[i]);
        lines++;
        json_decref(json);
    }
    assert_int_equal(lines, made.counts.operations + made.counts.bank_operations);
    buf_clear(&order);
    synth_world_free(world);
    files_remove_tree(made.dir);
}

static void keys_are_read_as_keygen_writes_them(void **state)
{
    (void)state;
    struct province made = province_make((struct province_options){ .seed = 5, .cases = 1 });
    struct synth_world *world = synth_world_new(5);
    for (unsigned i = 0; i < SYNTH_EVERYBODY; i += 40) {
        char name[64];
        struct err err;
        struct signer signer;
        snprintf(name, sizeof name, "keys/%s.key", world->submitters[i].file);
        struct buf text = province_read(made.dir, name);
        assert_int_equal(signer_parse(&signer, buf_span(&text), &err), E_OK);
        assert_string_equal(signer.vkey.name, world->submitters[i].name);
        assert_memory_equal(&signer.vkey.key, &world->submitters[i].public, sizeof signer.vkey.key);
        signer_clear(&signer);
        buf_clear(&text);
    }
    synth_world_free(world);
    files_remove_tree(made.dir);
}

/* ---- rates ---- */

static void faults_come_at_the_rate_that_was_asked_for(void **state)
{
    (void)state;
    struct synth_world *world = synth_world_new(6);
    uint64_t counts[SYNTH_FAULTS] = { 0 };
    for (uint64_t id = 0; id < 100000; id++) {
        struct synth_case c = { .world = world, .id = id };
        synth_fault_assign(&c, 5, true);
        counts[c.fault]++;
        synth_fault_assign(&c, 5, false);
        assert_true(c.fault == 0 || !synth_fault_needs_records((enum synth_fault)c.fault));
    }
    for (int i = 1; i < SYNTH_FAULTS; i++) {
        assert_in_range(counts[i], 400, 600);
    }
    synth_world_free(world);
}

/* Cases that are open at a time do not grow with how long it goes on. */
static void memory_is_bounded_by_the_rate_of_filing(void **state)
{
    (void)state;
    struct province_options asked = {
        .seed = 9, .cases = 120, .days = 180, .has_no_case_keys = true
    };
    struct province one = province_make(asked);
    asked.cases *= 4;
    asked.days *= 4;
    struct province four = province_make(asked);
    assert_true(four.report.open_most < one.report.open_most * 2);
    files_remove_tree(one.dir);
    files_remove_tree(four.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_bytes_and_another_seed_others),
        cmocka_unit_test(every_draft_parses_and_the_mix_is_as_described),
        cmocka_unit_test(order_names_every_line_once),
        cmocka_unit_test(keys_are_read_as_keygen_writes_them),
        cmocka_unit_test(faults_come_at_the_rate_that_was_asked_for),
        cmocka_unit_test(memory_is_bounded_by_the_rate_of_filing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
