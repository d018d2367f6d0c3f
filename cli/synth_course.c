#include "cli/synth_course.h"

#include <assert.h>

/* Numbers of kinds: operation.proto. kind.h names only those that are met outside tables. */
/* clang-format off */
enum {
    CASE_FILED = 16, ASSIGNED, NOTICE, REPORT_ORDER, CLUE, QUERY, QUERY_RESULT, INVESTIGATE,
    FREEZE = 32, SEAL, SEIZE, WAIT_SEAL, RENEW, RELEASE, ASSIST_NOTICE, ASSIST_REPLY,
    DEDUCT = 48, REF_PRICE, AUCTION_NOTICE, AUCTION_RESULT, SELL_OFF, IN_KIND, TRANSFER_RULING, HANDOVER,
    FUND_IN = 64, FUND_CLAIM, DISTRIBUTION_PLAN, DISBURSE, DISBURSE_DEFER, FEE,
    LIST_DISHONEST = 80, LIMIT_CONSUMPTION, EXIT_BAN, FINE, DETAIN, SUMMON, DELIST, LIFT,
    SUSPEND = 96, POSTPONE, RESUME, SETTLEMENT, GUARANTEE, EXTEND, END_ROUND, TERMINATE, CLOSED,
    OBJECTION = 112, THIRD_PARTY_OBJECTION, REVIEW, PROSECUTOR_ADVICE, ADVICE_REPLY,
    RULING = 128, APPROVAL, DOC, CORRECTION, LATE_ENTRY,
    SERVE_SENT = 144, SERVE_DELIVERED, SERVE_READ, SERVED,
    MANIFEST = 163,
};
/* clang-format on */

#define COURT SYNTH_BY_COURT
#define SERV  SYNTH_BY_SERVICE
#define FILES SYNTH_BY_FILES
#define SUPER SYNTH_BY_SUPERVISION
#define ONCE  SYNTH_AT_ONCE
#define WORK  SYNTH_OFFICE
#define NIGHT SYNTH_NIGHT

/* Papers go out, and come back. */
#define SERVICE_STEPS(flags)                                                                       \
    { SERVE_SENT, SERV, ONCE, STEP_REFERS | (flags), 0 },                                          \
    {                                                                                              \
        SERVE_DELIVERED, SERV, WORK, STEP_REFERS | (flags), 30                                     \
    }

#define CONTROL_BLOCK(label, share, kind)                                                          \
    {                                                                                              \
        .name = label, .weight = share, .needs = COURSE_NOTIFIED, .forbids = COURSE_SUSPENDED,     \
        .gives = COURSE_CONTROLLED, .may_be_sealed = true, .steps = {                              \
            { APPROVAL, COURT, WORK, STEP_CLEAR, 0 },                                              \
            { RULING, COURT, ONCE, STEP_CLEAR | STEP_REFERS, 0 },                                  \
            { kind, COURT, ONCE, STEP_SEALED | STEP_CONTROL, 0 },                                  \
            { ASSIST_NOTICE, COURT, ONCE, STEP_SEALED | STEP_ON_CONTROL | STEP_BANK, 0 },          \
            { ASSIST_REPLY, COURT, ONCE, STEP_SEALED | STEP_REFERS, 0 },                           \
            SERVICE_STEPS(STEP_CLEAR),                                                             \
        }                                                                                          \
    }

#define END_BLOCK(label, ...)                                                                      \
    {                                                                                              \
        .name = label, .needs = COURSE_NOTIFIED, .gives = COURSE_ENDED, .steps = {                 \
            __VA_ARGS__,                                                                           \
            { MANIFEST, FILES, WORK, 0, 20 },                                                      \
            { CLOSED, COURT, WORK, 0, 10 }                                                         \
        }                                                                                          \
    }

/* clang-format off */
static const struct course_block blocks[] = {
    [COURSE_FILING] = { .name = "filing", .gives = COURSE_FILED, .steps = {
        { CASE_FILED, COURT, WORK, 0, 0 },
        { ASSIGNED, COURT, WORK, STEP_REFERS, 4 },
        { APPROVAL, COURT, ONCE, STEP_HALF, 0 } } },
    [COURSE_FIRST_NOTICE] = { .name = "notice", .needs = COURSE_FILED, .gives = COURSE_NOTIFIED,
      .is_prompt = true, .steps = {
        { NOTICE, COURT, WORK, 0, 0 },
        { REPORT_ORDER, COURT, ONCE, STEP_REFERS, 0 },
        SERVICE_STEPS(0) } },
    [COURSE_AFTER_UNSEAL] = { .name = "after unseal", .is_prompt = true, .steps = {
        { RULING, COURT, ONCE, STEP_REFERS, 0 },
        SERVICE_STEPS(0) } },
    [COURSE_END_COMPLETED] = END_BLOCK("completed",
        { APPROVAL, COURT, WORK, 0, 0 }, { FEE, COURT, ONCE, 0, 0 },
        { DISBURSE, COURT, ONCE, STEP_REFERS, 0 }),
    [COURSE_END_ROUND] = END_BLOCK("end of round",
        { APPROVAL, COURT, WORK, 0, 0 }, { RULING, COURT, ONCE, STEP_REFERS, 0 },
        { END_ROUND, COURT, ONCE, STEP_REFERS, 0 }, SERVICE_STEPS(0)),
    [COURSE_END_TERMINATED] = END_BLOCK("terminated",
        { APPROVAL, COURT, WORK, 0, 0 }, { RULING, COURT, ONCE, STEP_REFERS, 0 },
        { TERMINATE, COURT, ONCE, STEP_REFERS, 0 }),
    [COURSE_END_OTHER] = END_BLOCK("other",
        { DOC, COURT, WORK, 0, 0 }, { APPROVAL, COURT, ONCE, 0, 0 }),

    { .name = "query", .weight = 140, .needs = COURSE_NOTIFIED, .may_be_sealed = true, .steps = {
        { QUERY, COURT, WORK, STEP_SEALED, 0 },
        { QUERY_RESULT, COURT, NIGHT, STEP_SEALED | STEP_MANY | STEP_REFERS, 0 } } },
    CONTROL_BLOCK("freeze", 60, FREEZE),
    CONTROL_BLOCK("seal", 25, SEAL),
    CONTROL_BLOCK("seize", 15, SEIZE),
    { .name = "waiting seal", .weight = 6, .needs = COURSE_NOTIFIED, .steps = {
        { RULING, COURT, WORK, 0, 0 }, { WAIT_SEAL, COURT, ONCE, STEP_REFERS, 0 },
        { ASSIST_NOTICE, COURT, ONCE, STEP_REFERS, 0 }, { ASSIST_REPLY, COURT, WORK, STEP_REFERS, 20 } } },
    { .name = "renew", .weight = 15, .needs = COURSE_CONTROLLED, .steps = {
        { RULING, COURT, WORK, STEP_ON_CONTROL, 0 }, { RENEW, COURT, ONCE, STEP_ON_CONTROL, 0 },
        { ASSIST_NOTICE, COURT, ONCE, STEP_REFERS | STEP_BANK, 0 },
        { ASSIST_REPLY, COURT, NIGHT, STEP_REFERS, 0 } } },
    { .name = "release", .weight = 35, .needs = COURSE_CONTROLLED, .takes = COURSE_CONTROLLED, .steps = {
        { RULING, COURT, WORK, STEP_ON_CONTROL, 0 }, { RELEASE, COURT, ONCE, STEP_ON_CONTROL, 0 },
        { ASSIST_NOTICE, COURT, ONCE, STEP_REFERS | STEP_BANK, 0 },
        { ASSIST_REPLY, COURT, NIGHT, STEP_REFERS, 0 } } },
    { .name = "deduct", .weight = 110, .needs = COURSE_CONTROLLED, .forbids = COURSE_SUSPENDED,
      .gives = COURSE_FUNDED, .steps = {
        { RULING, COURT, WORK, STEP_ON_CONTROL, 0 }, { DEDUCT, COURT, ONCE, STEP_ON_CONTROL | STEP_BANK, 0 },
        { FUND_IN, COURT, NIGHT, STEP_REFERS, 0 }, { FUND_CLAIM, COURT, WORK, STEP_REFERS, 4 } } },
    { .name = "paid", .weight = 70, .needs = COURSE_NOTIFIED, .gives = COURSE_FUNDED, .steps = {
        { FUND_IN, COURT, NIGHT, 0, 0 }, { FUND_CLAIM, COURT, WORK, STEP_REFERS, 2 } } },
    { .name = "disburse", .weight = 200, .needs = COURSE_FUNDED, .takes = COURSE_FUNDED, .steps = {
        { APPROVAL, COURT, WORK, 0, 0 }, { DISTRIBUTION_PLAN, COURT, ONCE, STEP_HALF, 0 },
        { DISBURSE, COURT, WORK, STEP_REFERS, 10 }, { FEE, COURT, ONCE, STEP_HALF, 0 } } },
    { .name = "defer", .weight = 6, .needs = COURSE_FUNDED, .steps = {
        { APPROVAL, COURT, WORK, 0, 0 }, { DISBURSE_DEFER, COURT, ONCE, STEP_REFERS, 0 } } },
    { .name = "price", .weight = 14, .needs = COURSE_CONTROLLED, .forbids = COURSE_PRICED,
      .gives = COURSE_PRICED, .steps = {
        { REF_PRICE, COURT, WORK, STEP_ON_CONTROL, 0 }, { APPROVAL, COURT, WORK, 0, 10 },
        { AUCTION_NOTICE, COURT, WORK, STEP_ON_CONTROL, 24 },
        { AUCTION_RESULT, COURT, WORK, STEP_REFERS, 24 * 15 } } },
    { .name = "second auction", .weight = 40, .needs = COURSE_PRICED, .forbids = COURSE_AUCTIONED,
      .gives = COURSE_AUCTIONED, .steps = {
        { AUCTION_NOTICE, COURT, WORK, STEP_ON_CONTROL, 48 },
        { AUCTION_RESULT, COURT, WORK, STEP_REFERS, 24 * 8 },
        { SELL_OFF, COURT, WORK, STEP_HALF, 24 * 10 } } },
    { .name = "transfer", .weight = 60, .needs = COURSE_PRICED, .takes = COURSE_PRICED | COURSE_AUCTIONED,
      .gives = COURSE_FUNDED, .steps = {
        { IN_KIND, COURT, WORK, STEP_HALF, 0 }, { TRANSFER_RULING, COURT, WORK, STEP_ON_CONTROL, 0 },
        { HANDOVER, COURT, WORK, STEP_REFERS, 24 * 3 }, { FUND_IN, COURT, NIGHT, 0, 0 } } },
    { .name = "paper", .weight = 260, .needs = COURSE_NOTIFIED, .steps = {
        { DOC, COURT, WORK, 0, 0 }, { APPROVAL, COURT, WORK, STEP_HALF, 3 } } },
    { .name = "service", .weight = 90, .needs = COURSE_NOTIFIED, .steps = {
        { DOC, COURT, WORK, 0, 0 }, SERVICE_STEPS(0), { SERVE_READ, SERV, WORK, STEP_HALF | STEP_REFERS, 20 },
        { SERVED, SERV, ONCE, STEP_HALF, 0 } } },
    { .name = "another notice", .weight = 40, .needs = COURSE_NOTIFIED, .steps = {
        { NOTICE, COURT, WORK, 0, 0 }, { REPORT_ORDER, COURT, ONCE, STEP_HALF | STEP_REFERS, 0 } } },
    { .name = "clue", .weight = 35, .needs = COURSE_NOTIFIED, .steps = {
        { CLUE, COURT, WORK, 0, 0 }, { INVESTIGATE, COURT, WORK, STEP_REFERS, 48 } } },
    { .name = "pressure", .weight = 45, .needs = COURSE_NOTIFIED, .forbids = COURSE_LISTED,
      .gives = COURSE_LISTED, .steps = {
        { APPROVAL, COURT, WORK, 0, 0 }, { LIMIT_CONSUMPTION, COURT, ONCE, STEP_REFERS, 0 },
        { LIST_DISHONEST, COURT, ONCE, STEP_HALF, 0 } } },
    { .name = "delist", .weight = 25, .needs = COURSE_LISTED, .takes = COURSE_LISTED, .steps = {
        { APPROVAL, COURT, WORK, 0, 0 }, { DELIST, COURT, ONCE, STEP_REFERS, 0 },
        { LIFT, COURT, ONCE, STEP_HALF, 0 } } },
    { .name = "ban", .weight = 4, .needs = COURSE_NOTIFIED, .steps = {
        { APPROVAL, COURT, WORK, 0, 0 }, { EXIT_BAN, COURT, ONCE, STEP_REFERS, 0 } } },
    { .name = "fine", .weight = 4, .needs = COURSE_NOTIFIED, .steps = {
        { SUMMON, COURT, WORK, 0, 0 }, { APPROVAL, COURT, WORK, 0, 24 },
        { FINE, COURT, ONCE, STEP_REFERS, 0 }, { DETAIN, COURT, ONCE, STEP_HALF, 0 } } },
    { .name = "suspend", .weight = 12, .needs = COURSE_NOTIFIED, .forbids = COURSE_SUSPENDED,
      .gives = COURSE_SUSPENDED, .steps = {
        { RULING, COURT, WORK, 0, 0 }, { SUSPEND, COURT, ONCE, STEP_REFERS, 0 } } },
    { .name = "resume", .weight = 150, .needs = COURSE_SUSPENDED, .takes = COURSE_SUSPENDED, .steps = {
        { RESUME, COURT, WORK, 0, 0 } } },
    { .name = "settle", .weight = 14, .needs = COURSE_NOTIFIED, .steps = {
        { SETTLEMENT, COURT, WORK, 0, 0 }, { GUARANTEE, COURT, ONCE, STEP_HALF, 0 } } },
    { .name = "extend", .weight = 14, .needs = COURSE_NOTIFIED, .steps = {
        { APPROVAL, COURT, WORK, 0, 0 }, { EXTEND, COURT, ONCE, STEP_REFERS, 0 } } },
    { .name = "postpone", .weight = 5, .needs = COURSE_NOTIFIED, .steps = {
        { POSTPONE, COURT, WORK, 0, 0 }, { RESUME, COURT, WORK, STEP_REFERS, 240 } } },
    { .name = "correct", .weight = 6, .needs = COURSE_NOTIFIED, .steps = {
        { CORRECTION, COURT, WORK, STEP_REFERS, 0 } } },
    { .name = "late", .weight = 3, .needs = COURSE_NOTIFIED, .steps = {
        { LATE_ENTRY, COURT, WORK, 0, 0 } } },
    { .name = "objection", .weight = 4, .needs = COURSE_NOTIFIED, .steps = {
        { OBJECTION, COURT, WORK, 0, 0 }, { RULING, COURT, WORK, STEP_REFERS, 24 * 10 },
        { REVIEW, COURT, WORK, STEP_HALF | STEP_REFERS, 24 * 10 } } },
    { .name = "third party", .weight = 2, .needs = COURSE_CONTROLLED, .steps = {
        { THIRD_PARTY_OBJECTION, COURT, WORK, STEP_ON_CONTROL, 0 },
        { RULING, COURT, WORK, STEP_REFERS, 24 * 12 } } },
    { .name = "advice", .weight = 2, .needs = COURSE_NOTIFIED, .steps = {
        { PROSECUTOR_ADVICE, SUPER, WORK, 0, 0 }, { ADVICE_REPLY, COURT, WORK, STEP_REFERS, 24 * 20 } } },
};
/* clang-format on */

size_t course_count(void)
{
    return sizeof blocks / sizeof blocks[0];
}

const struct course_block *course_block(size_t i)
{
    assert(i < course_count());
    return &blocks[i];
}
