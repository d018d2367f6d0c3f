#include "cli/synth_draft.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    PURPOSE_FACTS = 2,
    PURPOSE_OPERATION,
    PURPOSE_INSTITUTION_OF_CASE,
    MATERIAL_PER_MILLE = 900,
    OPTIONAL_PER_MILLE = 250,
    DOCUMENT_PER_MILLE = 850,
    PARTIES_MAX = 8, /* of a case, with room: the number of the first is a multiple of it */
    KIND_FREEZE_DEPOSIT = 32,
    KIND_SEAL_LAND = 33,
    KIND_SEIZE_THING = 34,
    KIND_ASSIST_REPLY_OF_BANK = 39,
};

/* Debts in fen: a lognormal with median 6,000,000 and sigma 1.9, by quantiles. */
static const struct synth_quantile debts[] = {
    { 0, 20000 },          { 1000, 72000 },         { 10000, 525000 },   { 25000, 1666000 },
    { 50000, 6000000 },    { 75000, 21600000 },     { 90000, 68500000 }, { 99000, 498000000 },
    { 99900, 2130000000 }, { 100000, 20000000000 },
};

/* What stays the same in a case. */
struct facts {
    uint64_t creditors, debtors; /* how many */
    uint64_t first_party;
    uint64_t debt; /* fen */
    uint64_t officer;
    char account[24];
    char asset[64];
};

static struct facts facts_of(const struct synth_case *c)
{
    struct synth_random random = synth_random_of(c->world->seed, PURPOSE_FACTS, c->id, 0);
    struct facts facts = { .creditors = synth_random_chance(&random, 200) ? 2 : 1,
                           .first_party = c->id * PARTIES_MAX };
    uint64_t share = synth_random_below(&random, 1000);
    facts.debtors = share < 550 ? 1 : share < 870 ? 2 : share < 970 ? 3 : 4;
    facts.debt = synth_random_quantile(&random, debts, sizeof debts / sizeof debts[0]);
    facts.officer = synth_random_below(&random, synth_world_officers(c->court));
    struct buf text = BUF_INIT(sizeof facts.asset);
    synth_world_put_account(&text, &random);
    snprintf(facts.account, sizeof facts.account, "%s", buf_c_str(&text));
    snprintf(facts.asset, sizeof facts.asset, "%s %s",
             synth_random_chance(&random, 700) ? "account" : "building", facts.account);
    buf_clear(&text);
    return facts;
}

void synth_draft_init(struct draft *draft)
{
    *draft = (struct draft){ .kind = NULL };
    for (unsigned i = 0; i < FIELDS; i++) {
        buf_init(&draft->fields[i], FIELD_VALUE_BYTES_MAX);
    }
}

/* ---- values ---- */

struct filling {
    const struct synth_operation *operation;
    const struct synth_case *c;
    const struct kind *kind;
    struct facts facts;
    struct synth_random random;
    uint64_t day;
    uint64_t term_days;
};

static uint64_t term_of(uint32_t kind, struct synth_random *random)
{
    switch (kind) { /* at most one, two and three years: CPI 485 */
    case KIND_FREEZE_DEPOSIT:
        return synth_random_range(random, 300, 365);
    case KIND_SEIZE_THING:
        return synth_random_range(random, 600, 730);
    case KIND_SEAL_LAND:
        return synth_random_range(random, 900, 1095);
    default:
        return synth_random_range(random, 30, 365);
    }
}

static size_t institution_of(const struct synth_operation *operation)
{
    const struct synth_case *c = operation->of;
    /* A case's controls are at one bank or registry for a while. */
    struct synth_random random = synth_random_of(c->world->seed, PURPOSE_INSTITUTION_OF_CASE, c->id,
                                                 operation->ordinal / 16);
    return synth_random_chance(&random, 800)
               ? synth_random_below(&random, synth_world_banks(c->world))
               : SYNTH_BANKS + synth_random_below(&random, SYNTH_REGISTRIES);
}

static void put_party(struct buf *out, const struct filling *f, uint64_t number)
{
    buf_put_str(out, synth_world_party(f->c->world, f->facts.first_party + number).text);
}

static void put_amount(struct buf *out, struct filling *f)
{
    uint64_t share = synth_random_range(&f->random, 1, 1000);
    uint64_t amount = f->facts.debt / 1000 * share;
    buf_put_u64(out, amount > 0 ? amount : 1);
}

static void put_code(struct buf *out, struct filling *f)
{
    buf_put_u64(out, synth_random_range(&f->random, 1, 3));
}

static void put_digest(struct buf *out, struct filling *f)
{
    for (unsigned i = 0; i < 4; i++) {
        buf_put_u64(out, synth_random_next(&f->random));
    }
}

/* A paper's number: the case number with 之一, 之二 ... behind it. */
static void put_basis(struct buf *out, struct filling *f)
{
    static const char *const ordinals[] = { "一", "二", "三", "四", "五", "六", "七", "八", "九" };
    synth_case_put_number(out, f->c);
    buf_putf(out, "之%s", ordinals[synth_random_below(&f->random, 9)]);
}

static void put_role_holder(struct buf *out, struct filling *f, uint64_t role)
{
    static const char *const holders[] = { "president", "head", "panel" };
    buf_putf(out, "%s %s", f->c->world->courts[f->c->court].code, holders[role - 1]);
}

static void put_text(struct buf *out, unsigned number, struct filling *f)
{
    const struct facts *facts = &f->facts;
    const char *court = f->c->world->courts[f->c->court].code;
    switch (number) {
    case FIELD_OFFICER:
        buf_putf(out, "%s officer %02u", court, (unsigned)facts->officer + 1);
        break;
    case FIELD_PAYEE:
        put_party(out, f, synth_random_below(&f->random, facts->creditors));
        break;
    case FIELD_ASSET:
        buf_put_str(out, facts->asset);
        break;
    case FIELD_ACCOUNT:
        buf_put_str(out, facts->account);
        break;
    case FIELD_BASIS:
        put_basis(out, f);
        break;
    case FIELD_PLACE:
        buf_putf(out, "测试路%u号", (unsigned)synth_random_range(&f->random, 1, 999));
        break;
    default: /* FIELD_REASON */
        synth_world_put_person(out, &f->random);
        buf_putf(out, " %u", (unsigned)synth_random_range(&f->random, 1, 99));
        break;
    }
}

static void put_value(struct buf *out, unsigned number, struct filling *f)
{
    const struct facts *facts = &f->facts;
    switch (number) {
    case FIELD_APPLICANT:
        put_party(out, f, 0);
        break;
    case FIELD_DEBTOR:
        put_party(out, f, 2 + synth_random_below(&f->random, facts->debtors));
        break;
    case FIELD_PARTY:
        put_party(out, f, synth_random_below(&f->random, 2) == 0 ? 6 : 2);
        break;
    case FIELD_INSTITUTION:
        buf_put_str(out, f->c->world->institutions[institution_of(f->operation)]);
        break;
    case FIELD_AMOUNT:
        put_amount(out, f);
        break;
    case FIELD_AMOUNT_DUE:
        buf_put_u64(out, facts->debt);
        break;
    case FIELD_START:
        buf_put_u64(out, f->day);
        break;
    case FIELD_END:
        buf_put_u64(out, f->day + f->term_days);
        break;
    case FIELD_DUE:
        buf_put_u64(out, f->day + synth_random_range(&f->random, 3, 30));
        break;
    case FIELD_METHOD:
        if (f->kind->number == KIND_CLOSED) {
            buf_put_u64(out, 1 + (uint64_t)f->c->outcome);
            break;
        }
        put_code(out, f);
        break;
    case FIELD_RESULT:
    case FIELD_ASSET_KIND:
    case FIELD_ROLE:
    case FIELD_COUNT:
        put_code(out, f);
        break;
    case FIELD_DIGEST:
        put_digest(out, f);
        break;
    default:
        put_text(out, number, f);
        break;
    }
}

/* Present or not, then what. An approver has the role that stands beside. */
static void put_fields(struct draft *draft, struct filling *f)
{
    const uint32_t composed = UINT32_C(1) << FIELD_NUMBER | UINT32_C(1) << FIELD_CASE_NUMBER |
                              UINT32_C(1) << FIELD_COURT | UINT32_C(1) << FIELD_APPROVER |
                              UINT32_C(1) << FIELD_ROLE;
    const struct kind *kind = f->kind;
    for (unsigned i = 0; i < FIELDS; i++) {
        uint32_t bit = UINT32_C(1) << i;
        unsigned per_mille = (kind->required & bit) != 0   ? 1000
                             : (kind->material & bit) != 0 ? MATERIAL_PER_MILLE
                                                           : OPTIONAL_PER_MILLE;
        if ((kind->allowed & bit & ~composed) != 0 && synth_random_chance(&f->random, per_mille)) {
            put_value(&draft->fields[i], i, f);
        }
    }
    uint32_t pair = UINT32_C(1) << FIELD_APPROVER | UINT32_C(1) << FIELD_ROLE;
    bool is_asked = (kind->required & pair) != 0 || (kind->material & pair) != 0;
    if ((kind->allowed & pair) == pair &&
        synth_random_chance(&f->random, is_asked ? 1000 : OPTIONAL_PER_MILLE)) {
        uint64_t role = synth_random_range(&f->random, 1, 3);
        put_role_holder(&draft->fields[FIELD_APPROVER], f, role);
        buf_put_u64(&draft->fields[FIELD_ROLE], role);
    }
}

/* ---- the draft ---- */

static void put_reference(struct draft *draft, const struct hash *origin, const struct hash *leaf)
{
    draft->references[draft->reference_count++] =
        (struct reference){ .origin = *origin, .leaf = *leaf };
}

/* Sealed operations refer to nothing here: they are made again when they are opened, and by then the case's memory
 * of its last entry is another. */
static void put_references(struct draft *draft, const struct synth_operation *operation,
                           const struct hash *origin)
{
    const struct synth_case *c = operation->of;
    if (origin == NULL || operation->is_sealed) {
        return;
    }
    if ((operation->flags & STEP_ON_CONTROL) != 0 && c->has_control) {
        put_reference(draft, origin, &c->control_leaf);
    } else if ((operation->flags & STEP_REFERS) != 0 && c->has_last) {
        put_reference(draft, origin, &c->last_leaf);
    }
}

/* CLOSED counts itself; what comes after it has numbers by now, perhaps. */
static void put_counts(struct draft *draft, const struct synth_operation *operation)
{
    const struct synth_case *c = operation->of;
    if (operation->kind != KIND_CLOSED) {
        return;
    }
    for (unsigned by = 0; by < SYNTH_BY_COUNT; by++) {
        uint32_t count = by == operation->by ? operation->number + 1 : c->numbers[by];
        if (count > 0) {
            draft->counts[draft->count_count++] = (struct closed_count){
                .submitter = c->world->submitters[synth_case_submitter(c, by)].id,
                .count = count + (by == operation->by && operation->is_miscounted ? 1U : 0U),
            };
        }
    }
}

static void copy_text(char *out, size_t size, struct buf *text)
{
    assert(text->len < size);
    memcpy(out, text->data, text->len);
    out[text->len] = 0;
    buf_clear(text);
}

static void begin(struct draft *draft, const struct synth_operation *operation, uint32_t kind,
                  struct filling *f)
{
    const struct synth_case *c = operation->of;
    struct buf number = BUF_INIT(sizeof draft->case_number);
    for (unsigned i = 0; i < FIELDS; i++) {
        buf_reset(&draft->fields[i]);
    }
    draft->kind = kind_find(kind);
    assert(draft->kind != NULL);
    draft->is_sealed = operation->is_sealed;
    draft->minute = operation->minute;
    draft->reference_count = draft->count_count = 0;
    draft->unseal[0] = 0;
    synth_case_put_number(&number, c);
    copy_text(draft->case_number, sizeof draft->case_number, &number);
    snprintf(draft->court, sizeof draft->court, "%s", c->world->courts[c->court].code);
    snprintf(draft->id, sizeof draft->id, "%08llu-%05u", (unsigned long long)c->id,
             (unsigned)operation->ordinal);
    *f = (struct filling){ .operation = operation,
                           .c = c,
                           .kind = draft->kind,
                           .facts = facts_of(c),
                           .random = synth_random_of(c->world->seed, PURPOSE_OPERATION, c->id,
                                                     (uint64_t)operation->ordinal << 8 |
                                                         (uint64_t)operation->fault),
                           .day = synth_day_of_minute(operation->minute) };
    f->term_days = term_of(kind, &f->random);
    draft->has_document = synth_random_chance(&f->random, DOCUMENT_PER_MILLE);
    struct buf digest = BUF_INIT(HASH_BYTES);
    put_digest(&digest, f);
    memcpy(draft->document.bytes, digest.data, HASH_BYTES);
    buf_clear(&digest);
}

void synth_draft_make(struct draft *draft, const struct synth_operation *operation,
                      const struct hash *origin)
{
    struct filling f;
    begin(draft, operation, operation->kind, &f);
    put_fields(draft, &f);
    put_references(draft, operation, origin);
    put_counts(draft, operation);
    if (operation->is_unseal) {
        snprintf(draft->unseal, sizeof draft->unseal, DRAFT_UNSEAL_ID "%08llu-%05u",
                 (unsigned long long)operation->of->id, (unsigned)operation->unseals.ordinal);
    }
}

unsigned synth_draft_bank(const struct synth_operation *operation)
{
    size_t institution = institution_of(operation);
    return institution < SYNTH_BANKS ? SYNTH_BANK_FIRST + (unsigned)institution : SYNTH_EVERYBODY;
}

void synth_draft_make_reply(struct draft *draft, const struct synth_operation *operation)
{
    struct filling f;
    begin(draft, operation, KIND_ASSIST_REPLY_OF_BANK, &f);
    put_fields(draft, &f);
    struct buf *institution = &draft->fields[FIELD_INSTITUTION];
    buf_reset(institution);
    buf_put_str(institution, f.c->world->institutions[institution_of(operation)]);
}
