#include "record/kind.h"

#include "base/buf.h"
#include "record/field.h"

#include <assert.h>

#define F(name) (UINT32_C(1) << FIELD_##name)

static_assert(KIND_SEALED_FIELDS ==
                  (F(KIND) | F(MINUTE) | F(SUBMITTER) | F(CERTIFICATE) | F(REFERENCES)),
              "the header's literal");

/* What every record of a case may and must have. */
#define EVERY                                                                                      \
    (F(NUMBER) | F(CASE_NUMBER) | F(OFFICER) | F(COURT) | F(APPROVER) | F(ROLE) | F(BASIS) |       \
     F(REASON))
#define ALWAYS (F(NUMBER) | F(COURT))

/* Groups of fields, so that a row says what a kind is about. */
#define PARTIES (F(APPLICANT) | F(DEBTOR) | F(PARTY) | F(INSTITUTION))
#define THING   (F(ASSET) | F(ASSET_KIND) | F(ACCOUNT) | F(PLACE) | F(COUNT))
#define FUNDS   (F(AMOUNT) | F(AMOUNT_DUE) | F(PAYEE) | F(ACCOUNT))
#define TERM    (F(START) | F(END) | F(DUE))
#define WAY     (F(METHOD) | F(RESULT))
#define APPROVE (F(APPROVER) | F(ROLE))
#define ALL     (EVERY | PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST))

#define R(role) (UINT32_C(1) << ROLE_##role)
#define ENF     R(ENFORCEMENT)
#define CAS     R(CASE_MANAGEMENT)
#define SER     R(SERVICE)
#define EVI     R(EVIDENCE)
#define INS     R(INSTITUTION)
#define MED     R(MEDIATION)
#define SUP     R(SUPERVISION)
#define ANYONE  (ENF | CAS | SER | EVI | INS | MED | SUP)

#define ROW(number, name, class, is_control, roles, allowed, required, material)                   \
    {                                                                                              \
        number, #name, class, is_control, roles, (allowed) | (required) | (material), (required),  \
            (required) | (material)                                                                \
    }
/* Of a case: `required` behind ALWAYS; `material` beyond what is required; `allowed` beyond both and EVERY. */
#define CASE(number, name, roles, required, material, allowed)                                     \
    ROW(number, name, KIND_OF_CASE, false, roles, EVERY | (allowed), ALWAYS | (required), material)
#define CONTROL(number, name, roles, required, material, allowed)                                  \
    ROW(number, name, KIND_OF_CASE, true, roles, EVERY | (allowed), ALWAYS | (required), material)
#define LOG(number, name) ROW(number, name, KIND_OF_LOG, false, 0, 0, 0, 0)

/* In the order of numbers. Whoever adds a kind adds it to operation.proto and to docs/record.md. */
/* clang-format off */
static const struct kind kinds[] = {
    ROW(KIND_SEALED, SEALED, KIND_OF_SEALED, false, ENF | INS, 0, 0, 0),
    ROW(KIND_UNSEAL, UNSEAL, KIND_OF_UNSEAL, false, ENF | INS, EVERY, ALWAYS, 0),
    LOG(KIND_SUBMITTER, SUBMITTER),
    LOG(KIND_SUBMITTER_END, SUBMITTER_END),
    LOG(KIND_ANCHOR, ANCHOR),
    ROW(KIND_DECOY, DECOY, KIND_INSIDE, false, ENF | INS, 0, ALWAYS, 0),

    /* Filing and search. */
    CASE(KIND_CASE_FILED, CASE_FILED, ENF | CAS | MED, F(CASE_NUMBER),
         F(APPLICANT) | F(DEBTOR) | F(AMOUNT_DUE) | F(BASIS), F(PARTY) | TERM | WAY | F(COUNT)),
    CASE(17, ASSIGNED, ENF | CAS, F(OFFICER), 0, WAY | F(COUNT)),
    CASE(18, NOTICE, ENF, F(DEBTOR), F(DUE), F(PARTY) | F(AMOUNT_DUE) | WAY),
    CASE(19, REPORT_ORDER, ENF, F(DEBTOR), F(DUE), F(PARTY) | WAY),
    CONTROL(20, CLUE, ENF | CAS, 0, F(DEBTOR) | F(ASSET),
            PARTIES | THING | F(AMOUNT) | F(DUE) | WAY),
    CONTROL(21, QUERY, ENF, F(DEBTOR), F(INSTITUTION) | F(METHOD), PARTIES | THING | TERM | WAY),
    CONTROL(22, QUERY_RESULT, ENF | INS, F(RESULT),
            F(DEBTOR) | F(INSTITUTION) | F(AMOUNT) | F(COUNT),
            PARTIES | THING | TERM | WAY | F(DIGEST)),
    CONTROL(23, INVESTIGATE, ENF, 0, F(PLACE) | F(RESULT),
            PARTIES | THING | TERM | WAY | F(DIGEST)),

    /* Control. */
    CONTROL(32, FREEZE, ENF, F(OFFICER) | F(DEBTOR) | F(ASSET),
            F(AMOUNT) | F(INSTITUTION) | F(START) | F(END), F(PARTY) | THING | WAY | F(DIGEST)),
    CONTROL(33, SEAL, ENF, F(OFFICER) | F(DEBTOR) | F(ASSET),
            F(INSTITUTION) | F(START) | F(END), F(PARTY) | THING | F(AMOUNT) | WAY | F(DIGEST)),
    CONTROL(34, SEIZE, ENF, F(OFFICER) | F(DEBTOR) | F(ASSET),
            F(START) | F(END), F(PARTY) | F(INSTITUTION) | THING | F(AMOUNT) | WAY | F(DIGEST)),
    CONTROL(35, WAIT_SEAL, ENF, F(OFFICER) | F(DEBTOR) | F(ASSET),
            F(INSTITUTION) | F(START), F(PARTY) | THING | F(AMOUNT) | TERM | WAY | F(DIGEST)),
    CONTROL(36, RENEW, ENF, F(OFFICER) | F(ASSET),
            F(DEBTOR) | F(INSTITUTION) | F(AMOUNT) | F(START) | F(END), F(PARTY) | THING | WAY),
    CONTROL(37, RELEASE, ENF, F(OFFICER) | F(ASSET),
            F(DEBTOR) | F(INSTITUTION) | F(AMOUNT), F(PARTY) | THING | TERM | WAY),
    CONTROL(38, ASSIST_NOTICE, ENF, F(OFFICER) | F(INSTITUTION),
            F(METHOD) | F(ASSET) | F(AMOUNT), F(DEBTOR) | F(PARTY) | THING | TERM | WAY),
    CONTROL(39, ASSIST_REPLY, ENF | INS, F(INSTITUTION) | F(RESULT),
            F(ASSET) | F(AMOUNT), F(DEBTOR) | F(PARTY) | THING | TERM | WAY | F(DIGEST)),

    /* Value. A ruling to deduct is itself a freeze, so it may be sealed as one. */
    CONTROL(48, DEDUCT, ENF, F(OFFICER) | F(AMOUNT),
            F(DEBTOR) | F(INSTITUTION) | F(ASSET), F(PARTY) | THING | F(PAYEE) | WAY),
    CASE(49, REF_PRICE, ENF, F(OFFICER) | F(ASSET), F(METHOD) | F(AMOUNT) | F(START) | F(END),
         PARTIES | THING | TERM | WAY | F(DIGEST)),
    CASE(50, AUCTION_NOTICE, ENF, F(OFFICER) | F(ASSET), F(AMOUNT) | F(START) | F(END) | F(COUNT),
         PARTIES | THING | F(AMOUNT_DUE) | TERM | WAY | F(DIGEST)),
    CASE(51, AUCTION_RESULT, ENF, F(OFFICER) | F(ASSET) | F(RESULT),
         F(AMOUNT) | F(PARTY) | F(COUNT), PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(52, SELL_OFF, ENF, F(OFFICER) | F(ASSET), F(AMOUNT) | F(PARTY) | F(RESULT),
         PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(53, IN_KIND, ENF, F(OFFICER) | F(ASSET), F(AMOUNT) | F(APPLICANT) | F(PARTY),
         PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(54, TRANSFER_RULING, ENF, F(OFFICER) | F(ASSET), F(AMOUNT) | F(PARTY),
         PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(55, HANDOVER, ENF, F(OFFICER) | F(ASSET), F(PARTY) | F(RESULT),
         PARTIES | THING | TERM | WAY | F(DIGEST)),

    /* Money. */
    CASE(64, FUND_IN, ENF | INS, F(AMOUNT), F(PARTY),
         PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(65, FUND_CLAIM, ENF, F(AMOUNT), F(PAYEE), PARTIES | THING | FUNDS | TERM | WAY),
    CASE(66, DISTRIBUTION_PLAN, ENF, 0, F(AMOUNT) | F(COUNT) | F(DUE),
         PARTIES | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(67, DISBURSE, ENF, F(AMOUNT) | F(PAYEE), F(APPLICANT) | APPROVE,
         PARTIES | FUNDS | TERM | WAY | F(COUNT) | F(DIGEST)),
    CASE(68, DISBURSE_DEFER, ENF, 0, F(AMOUNT) | F(DUE) | F(REASON) | APPROVE,
         PARTIES | FUNDS | TERM | WAY),
    CASE(69, FEE, ENF, F(AMOUNT), F(PARTY), PARTIES | FUNDS | TERM | WAY),

    /* Pressure. Who is about to be banned from leaving must not read it first. */
    CASE(80, LIST_DISHONEST, ENF, F(DEBTOR), F(METHOD) | F(START) | F(END) | APPROVE,
         PARTIES | TERM | WAY),
    CASE(81, LIMIT_CONSUMPTION, ENF, F(DEBTOR), F(PARTY) | F(START) | F(END) | APPROVE,
         PARTIES | TERM | WAY),
    CONTROL(82, EXIT_BAN, ENF, F(DEBTOR), F(PARTY) | F(START) | F(END) | APPROVE,
            PARTIES | TERM | WAY),
    CASE(83, FINE, ENF, F(AMOUNT), F(DEBTOR) | F(PARTY) | APPROVE, PARTIES | FUNDS | TERM | WAY),
    CASE(84, DETAIN, ENF, 0, F(DEBTOR) | F(PARTY) | F(COUNT) | F(START) | F(END) | APPROVE,
         PARTIES | F(PLACE) | TERM | WAY),
    CASE(85, SUMMON, ENF, 0, F(DEBTOR) | F(PARTY) | F(DUE) | APPROVE,
         PARTIES | F(PLACE) | TERM | WAY),
    CASE(86, DELIST, ENF, F(DEBTOR), F(METHOD) | F(START), PARTIES | TERM | WAY),
    CASE(87, LIFT, ENF, 0, F(DEBTOR) | F(PARTY) | F(METHOD), PARTIES | TERM | WAY),

    /* Flow. */
    CASE(96, SUSPEND, ENF, 0, F(METHOD) | F(START) | F(END) | APPROVE, PARTIES | TERM | WAY),
    CASE(97, POSTPONE, ENF, 0, F(METHOD) | F(START) | F(END) | APPROVE, PARTIES | TERM | WAY),
    CASE(98, RESUME, ENF, 0, F(METHOD) | F(START), PARTIES | TERM | WAY),
    CASE(99, SETTLEMENT, ENF | MED, 0, F(APPLICANT) | F(DEBTOR) | F(AMOUNT) | F(DUE),
         PARTIES | FUNDS | TERM | WAY | F(COUNT) | F(DIGEST)),
    CASE(100, GUARANTEE, ENF, 0, F(PARTY) | F(AMOUNT) | F(DUE),
         PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(101, EXTEND, ENF | CAS, 0, F(METHOD) | F(DUE) | APPROVE, TERM | WAY | F(COUNT)),
    CASE(102, END_ROUND, ENF, 0, F(AMOUNT) | F(AMOUNT_DUE) | F(RESULT) | APPROVE,
         PARTIES | FUNDS | TERM | WAY | F(COUNT) | F(DIGEST)),
    CASE(103, TERMINATE, ENF, 0, F(METHOD) | F(AMOUNT) | APPROVE,
         PARTIES | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(KIND_CLOSED, CLOSED, ENF | CAS | MED, F(METHOD),
         F(AMOUNT) | F(AMOUNT_DUE) | F(RESULT) | APPROVE,
         PARTIES | FUNDS | TERM | WAY | F(COUNT) | F(DIGEST)),
    CASE(105, REVERSAL, ENF, 0, F(APPLICANT) | F(DEBTOR) | F(AMOUNT) | F(ASSET),
         PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(106, ARCHIVED, ENF | CAS, 0, F(DIGEST) | F(COUNT), TERM | WAY | F(PLACE)),

    /* Remedies. */
    CASE(112, OBJECTION, ENF | CAS, 0, F(PARTY) | F(METHOD) | F(RESULT),
         PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(113, THIRD_PARTY_OBJECTION, ENF | CAS, 0, F(PARTY) | F(ASSET) | F(RESULT),
         PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(114, REVIEW, ENF | CAS | SUP, 0, F(PARTY) | F(METHOD) | F(RESULT),
         PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(115, PROSECUTOR_ADVICE, ENF | CAS | SUP, 0, F(METHOD) | F(DUE),
         PARTIES | TERM | WAY | F(COUNT) | F(DIGEST)),
    CASE(116, ADVICE_REPLY, ENF | CAS | SUP, 0, F(RESULT),
         PARTIES | TERM | WAY | F(COUNT) | F(DIGEST)),

    /* Support. */
    CASE(128, RULING, ENF | CAS | SUP, 0, F(METHOD) | F(RESULT),
         PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(129, APPROVAL, ENF | CAS | SUP, APPROVE, F(METHOD) | F(RESULT),
         PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(130, DOC, ANYONE, 0, F(METHOD), PARTIES | THING | FUNDS | TERM | WAY | F(DIGEST)),
    CASE(131, CORRECTION, ANYONE, 0, F(REASON), ALL),
    CASE(132, LATE_ENTRY, ANYONE, 0, F(REASON), ALL),
    CASE(133, OPENED, ANYONE, F(REASON), F(PARTY) | F(INSTITUTION) | F(START) | F(END) | APPROVE,
         TERM | WAY | F(COUNT)),

    /* Service of documents. */
    CASE(144, SERVE_SENT, ENF | SER, 0, F(PARTY) | F(METHOD),
         PARTIES | THING | TERM | WAY | F(DIGEST)),
    CASE(145, SERVE_DELIVERED, ENF | SER, 0, F(PARTY) | F(METHOD) | F(RESULT),
         PARTIES | THING | TERM | WAY | F(DIGEST)),
    CASE(146, SERVE_READ, ENF | SER, 0, F(PARTY) | F(METHOD) | F(RESULT),
         PARTIES | THING | TERM | WAY | F(DIGEST)),
    CASE(147, SERVED, ENF | SER, 0, F(PARTY) | F(METHOD) | F(RESULT),
         PARTIES | THING | TERM | WAY | F(DIGEST)),

    /* Deposits. */
    CASE(160, EVIDENCE_CREATED, EVI | ENF | CAS, 0, F(PARTY) | F(METHOD) | F(DIGEST),
         PARTIES | THING | TERM | WAY),
    CASE(161, EVIDENCE_COLLECTED, EVI | ENF | CAS, 0, F(PARTY) | F(METHOD) | F(DIGEST),
         PARTIES | THING | TERM | WAY),
    CASE(162, EVIDENCE_SUBMITTED, EVI | ENF | CAS, 0, F(PARTY) | F(METHOD) | F(DIGEST),
         PARTIES | THING | TERM | WAY),
    CASE(163, MANIFEST, ENF | CAS | EVI, F(DIGEST), F(COUNT) | F(METHOD), TERM | WAY),
    CASE(164, STATISTICS, ENF | CAS | SUP, F(DIGEST), F(COUNT) | F(START) | F(END), TERM | WAY),
    CASE(165, AGREEMENT, MED | CAS | ENF, 0, F(APPLICANT) | F(DEBTOR) | F(AMOUNT) | F(DUE),
         PARTIES | FUNDS | TERM | WAY | F(COUNT) | F(DIGEST)),
    CASE(166, PERFORMED, MED | CAS | ENF, F(RESULT), F(AMOUNT) | F(DUE) | F(PARTY),
         PARTIES | FUNDS | TERM | WAY | F(COUNT) | F(DIGEST)),
};
/* clang-format on */

enum {
    KINDS = sizeof kinds / sizeof kinds[0]
};

const struct kind *kind_find(uint32_t number)
{
    size_t low = 0, high = KINDS;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kinds[middle].number == number) {
            return &kinds[middle];
        }
        if (kinds[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct kind *kind_by_name(struct span name)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (span_is_str(name, kinds[i].name)) {
            return &kinds[i];
        }
    }
    return NULL;
}

const struct kind *kind_at(size_t i)
{
    return i < KINDS ? &kinds[i] : NULL;
}

static const char *const role_names[] = {
    [ROLE_ENFORCEMENT] = "enforcement", [ROLE_CASE_MANAGEMENT] = "case-management",
    [ROLE_SERVICE] = "service",         [ROLE_EVIDENCE] = "evidence",
    [ROLE_INSTITUTION] = "institution", [ROLE_MEDIATION] = "mediation",
    [ROLE_SUPERVISION] = "supervision",
};

const char *role_name(unsigned role)
{
    return role <= ROLE_LAST ? role_names[role] : NULL;
}

bool role_parse(unsigned *role, struct span name)
{
    for (unsigned i = 1; i <= ROLE_LAST; i++) {
        if (span_is_str(name, role_names[i])) {
            *role = i;
            return true;
        }
    }
    return false;
}
