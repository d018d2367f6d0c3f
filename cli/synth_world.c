#include "cli/synth_world.h"

#include "base/alloc.h"
#include "cli/synth_time.h"

#include <assert.h>
#include <stdio.h>

static const char province[] = "测";
static const char person_word[] = "测试";

enum {
    PURPOSE_PARTY = 100,
    PURPOSE_INSTITUTION,
};

/* 1000 / rank^0.8, so that no machine rounds it otherwise. Beyond: a straight line in between. */
static const struct {
    unsigned rank, weight;
} zipf[] = {
    { 1, 10000 }, { 2, 5743 }, { 3, 4152 }, { 5, 2759 },  { 8, 1895 },  { 12, 1370 },
    { 20, 910 },  { 40, 523 }, { 80, 300 }, { 130, 204 }, { 180, 157 },
};

static unsigned zipf_weight(unsigned rank)
{
    size_t i = 0;
    while (i + 1 < sizeof zipf / sizeof zipf[0] && zipf[i + 1].rank <= rank) {
        i++;
    }
    if (zipf[i].rank == rank || i + 1 == sizeof zipf / sizeof zipf[0]) {
        return zipf[i].weight;
    }
    unsigned width = zipf[i + 1].rank - zipf[i].rank;
    return zipf[i].weight - (zipf[i].weight - zipf[i + 1].weight) * (rank - zipf[i].rank) / width;
}

/* The high court, the intermediate ones, then nine basic ones to each of those. */
static void make_courts(struct synth_world *world)
{
    uint32_t end = 0;
    for (unsigned i = 0; i < SYNTH_COURTS; i++) {
        struct synth_court *court = &world->courts[i];
        unsigned basic = i - 1 - SYNTH_INTERMEDIATE;
        if (i == 0) {
            snprintf(court->code, sizeof court->code, "%s", province);
            end += 200;
        } else if (i <= SYNTH_INTERMEDIATE) {
            snprintf(court->code, sizeof court->code, "%s%02u", province, i % 100);
            end += zipf_weight(i) / 10;
        } else {
            snprintf(court->code, sizeof court->code, "%s%02u%02u", province,
                     basic % SYNTH_INTERMEDIATE + 1, basic / SYNTH_INTERMEDIATE + 1);
            end += zipf_weight(basic + 1);
        }
        court->weight_end = end;
    }
}

unsigned synth_world_court_level(size_t court)
{
    return court == 0 ? 1 : court <= SYNTH_INTERMEDIATE ? 2 : 3;
}

size_t synth_world_officers(size_t court)
{
    static const size_t officers[] = { 0, 40, 25, 12 };
    return officers[synth_world_court_level(court)];
}

size_t synth_world_banks(const struct synth_world *world)
{
    return world->is_prefecture ? 1 : SYNTH_BANKS;
}

static size_t pick_anywhere(const struct synth_world *world, struct synth_random *random)
{
    uint64_t at = synth_random_below(random, world->courts[SYNTH_COURTS - 1].weight_end);
    size_t low = 0, high = SYNTH_COURTS - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (world->courts[middle].weight_end > at) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static bool is_in_prefecture(size_t court)
{
    return court == 1 || (court > SYNTH_INTERMEDIATE && court % SYNTH_INTERMEDIATE == 1);
}

size_t synth_world_pick_court(const struct synth_world *world, struct synth_random *random)
{
    size_t court = pick_anywhere(world, random);
    while (world->is_prefecture && !is_in_prefecture(court)) {
        court = pick_anywhere(world, random);
    }
    return court;
}

struct hash synth_world_secret(const struct synth_world *world, const char *purpose, uint64_t a,
                               uint64_t b)
{
    uint8_t numbers[24];
    const uint64_t values[] = { world->seed, a, b };
    for (size_t i = 0; i < sizeof numbers; i++) {
        numbers[i] = (uint8_t)(values[i / 8] >> (56 - 8 * (i % 8)));
    }
    const struct span parts[] = { span_of_str("courtroll/synth/v1\n"), SPAN_OF_ARRAY(numbers),
                                  span_of_str(purpose) };
    struct hash secret = sha256_parts(parts, 3);
    crypto_wipe(numbers, sizeof numbers);
    return secret;
}

static void name_submitter(struct synth_world *world, unsigned i)
{
    struct synth_submitter *submitter = &world->submitters[i];
    const char *domain = "court.example";
    submitter->role = ROLE_ENFORCEMENT;
    if (i < SYNTH_COURTS) {
        snprintf(submitter->file, sizeof submitter->file, "ce%s",
                 world->courts[i].code + sizeof province - 1);
    } else if (i == SYNTH_SERVICE) {
        snprintf(submitter->file, sizeof submitter->file, "service");
        submitter->role = ROLE_SERVICE;
    } else if (i == SYNTH_FILES) {
        snprintf(submitter->file, sizeof submitter->file, "files");
        submitter->role = ROLE_CASE_MANAGEMENT;
    } else if (i == SYNTH_SUPERVISION) {
        snprintf(submitter->file, sizeof submitter->file, "supervision");
        submitter->role = ROLE_SUPERVISION;
        domain = "procuratorate.example";
    } else {
        snprintf(submitter->file, sizeof submitter->file, "bank%02u",
                 (i - SYNTH_BANK_FIRST + 1) % 100);
        submitter->role = ROLE_INSTITUTION;
        domain = "bank.example";
    }
    snprintf(submitter->name, sizeof submitter->name, "%s.%s", submitter->file, domain);
}

static void make_submitters(struct synth_world *world)
{
    for (unsigned i = 0; i < SYNTH_EVERYBODY; i++) {
        struct synth_submitter *submitter = &world->submitters[i];
        name_submitter(world, i);
        struct hash seed = synth_world_secret(world, "submitter key", i, 0);
        submitter->key = signing_key_from_seed(seed.bytes);
        submitter->public = signing_key_public(submitter->key);
        submitter->id = submitter_id_make(&submitter->public);
        crypto_wipe(&seed, sizeof seed);
    }
}

struct synth_world *synth_world_new(uint64_t seed)
{
    struct synth_world *world = NEW(struct synth_world);
    world->seed = seed;
    world->sealed_per_mille = SYNTH_SEALED_PER_MILLE;
    make_courts(world);
    make_submitters(world);
    for (unsigned i = 0; i < SYNTH_INSTITUTIONS; i++) {
        struct synth_random random = synth_random_of(seed, PURPOSE_INSTITUTION, i, 0);
        struct synth_id id = synth_world_company(&random, i < SYNTH_BANKS ? "91" : "12");
        memcpy(world->institutions[i], id.text, sizeof id.text);
    }
    return world;
}

void synth_world_free(struct synth_world *world)
{
    if (world == NULL) {
        return;
    }
    for (unsigned i = 0; i < SYNTH_EVERYBODY; i++) {
        signing_key_free(world->submitters[i].key);
    }
    crypto_wipe(world, sizeof *world);
    mem_free(world);
}

/* GB 11643: six digits of region, date of birth, three of sequence, check. */
struct synth_id synth_world_citizen(struct synth_random *random)
{
    static const unsigned weights[] = { 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2 };
    struct synth_id id;
    struct synth_date born = { (unsigned)synth_random_range(random, 1950, 2004),
                               (unsigned)synth_random_range(random, 1, 12),
                               (unsigned)synth_random_range(random, 1, 28) };
    snprintf(id.text, sizeof id.text, "99%04u%04u%02u%02u%03u", //
             (unsigned)synth_random_below(random, 10000), born.year % 10000, born.month % 100,
             born.day % 100, (unsigned)synth_random_range(random, 1, 999));
    unsigned sum = 0;
    for (unsigned i = 0; i < SYNTH_ID_CHARS - 1; i++) {
        sum += weights[i] * (unsigned)(id.text[i] - '0');
    }
    id.text[SYNTH_ID_CHARS - 1] = "10X98765432"[sum % 11];
    id.text[SYNTH_ID_CHARS] = 0;
    return id;
}

/* GB 32100: two characters of category, six digits of region, nine of the body, check. */
struct synth_id synth_world_company(struct synth_random *random, const char *category)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    struct synth_id id;
    snprintf(id.text, sizeof id.text, "%.2s99%04uMA", category,
             (unsigned)synth_random_below(random, 10000));
    for (unsigned i = 10; i < SYNTH_ID_CHARS - 1; i++) {
        id.text[i] = alphabet[synth_random_below(random, sizeof alphabet - 1)];
    }
    unsigned sum = 0, weight = 1;
    for (unsigned i = 0; i < SYNTH_ID_CHARS - 1; i++, weight = weight * 3 % 31) {
        const char *found = strchr(alphabet, id.text[i]);
        assert(found != NULL);
        sum += weight * (unsigned)(found - alphabet);
    }
    id.text[SYNTH_ID_CHARS - 1] = alphabet[(31 - sum % 31) % 31];
    id.text[SYNTH_ID_CHARS] = 0;
    return id;
}

bool synth_world_party_is_person(const struct synth_world *world, uint64_t number)
{
    struct synth_random random = synth_random_of(world->seed, PURPOSE_PARTY, number, 0);
    return synth_random_chance(&random, 580);
}

struct synth_id synth_world_party(const struct synth_world *world, uint64_t number)
{
    struct synth_random random = synth_random_of(world->seed, PURPOSE_PARTY, number, 0);
    return synth_random_chance(&random, 580) ? synth_world_citizen(&random)
                                             : synth_world_company(&random, "91");
}

void synth_world_put_person(struct buf *out, struct synth_random *random)
{
    static const char *const syllables[] = { "甲", "乙", "丙", "丁", "戊", "己",
                                             "庚", "辛", "壬", "癸", "子", "丑" };
    buf_put_str(out, person_word);
    for (unsigned i = 0; i < 2; i++) {
        buf_put_str(out, syllables[synth_random_below(random, 12)]);
    }
}

void synth_world_put_account(struct buf *out, struct synth_random *random)
{
    buf_putf(out, "6200990%012llu",
             (unsigned long long)synth_random_below(random, UINT64_C(1000000000000)));
}
