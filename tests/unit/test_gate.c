#include "logd/gate.h"
#include "record/certificate.h"
#include "tests/support/operations.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NAME "court-0101.example" /* of the registrations of operations.h */
#define NOW  UINT64_C(29542171)   /* the minute of its records */

static struct err err;
static struct signing_key *court, *stranger, *one_time;

/* A log with one submitter, which is registered and enabled. */
struct world {
    struct registry *registry;
    struct gate *gate;
    struct gate_sender sender;
    uint64_t now;
};

static void enable(struct registry *registry, const struct signing_key *key, const char *name)
{
    struct buf file = BUF_INIT(1024);
    struct ed25519_public public = signing_key_public(key);
    struct vkey vkey = vkey_make(name, SIGNATURE_ED25519, &public);
    buf_put_str(&file, "submitter ");
    vkey_put(&file, &vkey);
    buf_put_str(&file, "\n");
    assert_int_equal(registry_enable(registry, buf_span(&file), &err), E_OK);
    buf_clear(&file);
}

static struct operation registration_for(const char *court_code, uint32_t roles)
{
    struct operation operation = operations_make(KIND_SUBMITTER, court);
    operation.registration.court_count = court_code == NULL ? 0 : 1;
    if (court_code != NULL) {
        operation.registration.courts[0] = court_tag_make(span_of_str(court_code));
    }
    operation.registration.roles = roles;
    return operation;
}

static void world_init(struct world *world, bool takes_vouched)
{
    world->registry = registry_new();
    struct gate_options options = { OPERATIONS_ORIGIN, world->registry, takes_vouched };
    world->gate = gate_new(&options);
    world->sender = (struct gate_sender){ .is_local = true };
    world->now = NOW;
    enable(world->registry, court, NAME);
    struct operation operation = registration_for("测0101", 1u << ROLE_ENFORCEMENT);
    registry_on_logged(world->registry, 0, &operation);
}

static void world_clear(struct world *world)
{
    gate_free(world->gate);
    registry_free(world->registry);
}

static enum err_code check_bytes(struct world *world, struct span entry, struct span certificate,
                                 struct entry_facts *facts)
{
    return gate_check(world->gate, 3, entry, certificate, &world->sender, world->now, facts, &err);
}

static enum err_code check_operation(struct world *world, struct operation *operation,
                                     const struct signing_key *key)
{
    struct entry_facts facts;
    struct buf bytes = operations_bytes(operation, key);
    enum err_code rc = check_bytes(world, buf_span(&bytes), (struct span){ 0 }, &facts);
    buf_clear(&bytes);
    operation_clear(operation);
    return rc;
}

static enum err_code check_kind(struct world *world, uint32_t kind)
{
    struct operation operation = operations_make(kind, court);
    return check_operation(world, &operation, court);
}

/* The last check was refused with these words, and with the position. */
static void assert_words(const char *words)
{
    if (strstr(err.msg, words) == NULL || strncmp(err.msg, "entry 3: ", 9) != 0) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    }
}

#define ASSERT_REFUSED(rc, code, words)                                                            \
    do {                                                                                           \
        assert_int_equal(rc, code);                                                                \
        assert_words(words);                                                                       \
    } while (0)

/* The court's record, with a signature by another key in it. */
static enum err_code check_forged(struct world *world, struct operation *operation)
{
    struct entry_facts facts;
    struct buf bytes = operations_bytes(operation, court), message = BUF_INIT(OPERATION_BYTES_MAX);
    size_t end = bytes.len - 3 - ED25519_SIGNATURE_BYTES; /* tag and length of the last field */
    buf_put_str(&message, "courtroll/operation/v1\n");
    buf_put_u8(&message, (uint8_t)strlen(OPERATIONS_ORIGIN));
    buf_put_str(&message, OPERATIONS_ORIGIN);
    buf_put(&message, span_of(bytes.data, end));
    struct ed25519_signature own = keys_sign(court, buf_span(&message));
    uint8_t *at = bytes.data + end + 3;
    assert_memory_equal(at, own.bytes, sizeof own.bytes);
    struct ed25519_signature forged = keys_sign(stranger, buf_span(&message));
    memcpy(at, forged.bytes, sizeof forged.bytes);
    enum err_code rc = check_bytes(world, buf_span(&bytes), (struct span){ 0 }, &facts);
    buf_clear(&bytes);
    buf_clear(&message);
    operation_clear(operation);
    return rc;
}

/* -- Records of a case -- */

static void gate_lets_in_what_a_submitter_may_log(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct entry_facts facts = { 0 };
    struct buf bytes = operations_signed(KIND_FREEZE, court);
    assert_int_equal(check_bytes(&world, buf_span(&bytes), (struct span){ 0 }, &facts), E_OK);
    struct hash tag = operations_hash("tag");
    assert_true(facts.has_tag);
    assert_false(facts.is_registration);
    assert_true(hash_is_equal(&facts.tag, &tag));
    struct entry_facts read = entry_facts_read(buf_span(&bytes));
    assert_true(read.has_tag && hash_is_equal(&read.tag, &tag));
    assert_int_equal(check_kind(&world, KIND_UNSEAL), E_OK);
    assert_int_equal(check_kind(&world, KIND_CLOSED), E_OK);
    buf_clear(&bytes);
    world_clear(&world);
}

static void gate_refuses_what_is_no_record(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct entry_facts facts;
    struct buf bytes = operations_signed(KIND_FREEZE, court);
    for (size_t len = 0; len < bytes.len; len++) {
        enum err_code rc =
            check_bytes(&world, span_of(bytes.data, len), (struct span){ 0 }, &facts);
        ASSERT_REFUSED(rc, E_MALFORMED, "");
        assert_false(entry_facts_read(span_of(bytes.data, len)).has_tag);
    }
    assert_int_equal(gate_refused(world.gate, E_MALFORMED), bytes.len);
    buf_clear(&bytes);
    world_clear(&world);
}

/* Whatever bit is another, it is not what the submitter signed: the sender may have no way in. */
static void gate_refuses_every_flipped_bit(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct entry_facts facts;
    struct buf bytes = operations_signed(KIND_FREEZE, court);
    for (size_t i = 0; i < bytes.len * 8; i++) {
        bytes.data[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_not_equal(check_bytes(&world, buf_span(&bytes), (struct span){ 0 }, &facts),
                             E_OK);
        bytes.data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(check_bytes(&world, buf_span(&bytes), (struct span){ 0 }, &facts), E_OK);
    buf_clear(&bytes);
    world_clear(&world);
}

static void gate_refuses_records_of_another_log(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct entry_facts facts;
    struct operation operation = operations_make(KIND_FREEZE, court);
    struct buf bytes = BUF_INIT(OPERATION_BYTES_MAX);
    assert_int_equal(operation_put_signed(&bytes, &operation, "another.example/log", court, &err),
                     E_OK);
    ASSERT_REFUSED(check_bytes(&world, buf_span(&bytes), (struct span){ 0 }, &facts),
                   E_BAD_SIGNATURE, "signature");
    buf_clear(&bytes);
    world_clear(&world);
}

static void gate_refuses_unknown_keys_by_their_id(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct operation operation = operations_make(KIND_FREEZE, stranger);
    struct ed25519_public public = signing_key_public(stranger);
    struct submitter_id id = submitter_id_make(&public);
    struct buf hex = BUF_INIT(64);
    for (size_t i = 0; i < SUBMITTER_ID_BYTES; i++) {
        buf_putf(&hex, "%02x", id.bytes[i]);
    }
    ASSERT_REFUSED(check_operation(&world, &operation, stranger), E_DENIED, buf_c_str(&hex));
    assert_words("not registered on this log");
    assert_words("courtroll submitter register");
    operation = operations_make(KIND_FREEZE, stranger);
    enable(world.registry, stranger, NAME);
    ASSERT_REFUSED(check_operation(&world, &operation, stranger), E_DENIED,
                   "enabled, but not registered");
    /* The other one is no longer enabled. */
    ASSERT_REFUSED(check_kind(&world, KIND_FREEZE), E_DENIED, "registered, but not enabled");
    assert_words("submitters file");
    enable(world.registry, court, "other.example");
    ASSERT_REFUSED(check_kind(&world, KIND_FREEZE), E_DENIED, "different names");
    assert_int_equal(gate_refused(world.gate, E_DENIED), 4);
    buf_clear(&hex);
    world_clear(&world);
}

/* Somebody else's key id in a record is of no help. */
static void gate_refuses_a_record_that_another_key_has_signed(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct operation operation = operations_make(KIND_FREEZE, court);
    ASSERT_REFUSED(check_forged(&world, &operation), E_BAD_SIGNATURE, "signature");
    world_clear(&world);
}

static void gate_refuses_minutes_outside_the_registration(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    static const struct {
        uint64_t minute;
        bool is_inside;
    } cases[] = {
        { 28999999, false }, { 29000000, true }, { 29999999, true }, { 30000000, false }
    };
    world.now = 30000000;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct operation operation = operations_make(KIND_FREEZE, court);
        operation.minute = cases[i].minute;
        enum err_code rc = check_operation(&world, &operation, court);
        assert_int_equal(rc, cases[i].is_inside ? E_OK : E_DENIED);
        if (!cases[i].is_inside) {
            assert_words("minute: outside the from and to");
        }
    }
    world_clear(&world);
}

static void gate_refuses_the_future(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    world.now = NOW - GATE_MINUTES_AHEAD_MAX;
    assert_int_equal(check_kind(&world, KIND_FREEZE), E_OK);
    world.now--;
    ASSERT_REFUSED(check_kind(&world, KIND_FREEZE), E_MALFORMED, "minute: more than 10 minutes");
    ASSERT_REFUSED(check_kind(&world, KIND_SUBMITTER), E_MALFORMED, "minute");
    ASSERT_REFUSED(check_kind(&world, KIND_SUBMITTER_END), E_MALFORMED, "minute");
    world_clear(&world);
}

static void gate_refuses_other_courts_and_roles(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct operation operation = operations_make(KIND_FREEZE, court);
    operation.court = court_tag_make(span_of_str("测0102"));
    ASSERT_REFUSED(check_operation(&world, &operation, court), E_DENIED, "court: ");
    operation = registration_for(NULL, 1u << ROLE_SERVICE);
    registry_on_logged(world.registry, 1, &operation);
    ASSERT_REFUSED(check_kind(&world, KIND_FREEZE), E_DENIED, "kind: ");
    assert_words("FREEZE");
    operation = registration_for(NULL, 1u << ROLE_SERVICE | 1u << ROLE_ENFORCEMENT);
    registry_on_logged(world.registry, 2, &operation);
    operation = operations_make(KIND_FREEZE, court); /* no courts: any */
    operation.court = court_tag_make(span_of_str("测0102"));
    assert_int_equal(check_operation(&world, &operation, court), E_OK);
    world_clear(&world);
}

/* -- Who sends -- */

static void gate_compares_the_client_certificate(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    static const uint32_t kinds[] = { KIND_FREEZE, KIND_SUBMITTER, KIND_SUBMITTER_END };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        world.sender = (struct gate_sender){ .name = NAME };
        assert_int_equal(check_kind(&world, kinds[i]), E_OK);
        world.sender.name = "court-0102.example";
        ASSERT_REFUSED(check_kind(&world, kinds[i]), E_DENIED, "client certificate");
        world.sender.name = "";
        ASSERT_REFUSED(check_kind(&world, kinds[i]), E_DENIED, "has no DNS name");
        world.sender = (struct gate_sender){ .is_local = true }; /* the signature is enough */
        assert_int_equal(check_kind(&world, kinds[i]), E_OK);
        world.sender = (struct gate_sender){ 0 }; /* no certificates are asked for */
        assert_int_equal(check_kind(&world, kinds[i]), E_OK);
    }
    world_clear(&world);
}

static enum err_code check_vouched(struct world *world, uint32_t kind)
{
    struct operation operation = operations_make(kind, court);
    operation.is_vouched = true;
    return check_operation(world, &operation, court);
}

static void gate_takes_vouched_records_by_certificate_only(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    world.sender = (struct gate_sender){ .name = NAME };
    ASSERT_REFUSED(check_vouched(&world, KIND_FREEZE), E_DENIED, "submitter-signature is record");
    world_clear(&world);
    world_init(&world, true);
    world.sender = (struct gate_sender){ .name = NAME };
    assert_int_equal(check_vouched(&world, KIND_FREEZE), E_OK);
    assert_int_equal(check_kind(&world, KIND_FREEZE), E_OK); /* signed ones still */
    world.sender.name = "court-0102.example";
    ASSERT_REFUSED(check_vouched(&world, KIND_FREEZE), E_DENIED, "client certificate");
    world.sender.name = "";
    ASSERT_REFUSED(check_vouched(&world, KIND_FREEZE), E_DENIED, "client certificate");
    world.sender = (struct gate_sender){ .is_local = true };
    ASSERT_REFUSED(check_vouched(&world, KIND_FREEZE), E_DENIED, "no client certificate");
    world.sender = (struct gate_sender){ 0 };
    ASSERT_REFUSED(check_vouched(&world, KIND_FREEZE), E_DENIED, "no client certificate");
    world_clear(&world);
}

/* -- Sealed records -- */

struct sealed {
    struct buf bytes, certificate;
};

static void sealed_make(struct sealed *out, const struct signing_key *submitter, const char *origin)
{
    struct operation operation = operations_make(KIND_SEALED, one_time);
    struct ed25519_public public = signing_key_public(submitter);
    struct certificate certificate;
    out->bytes = operations_bytes(&operation, one_time);
    buf_init(&out->certificate, CERTIFICATE_BYTES);
    assert_int_equal(certificate_make(&certificate, origin, &operation.one_time_key,
                                      &operation.entry_tag, &public, submitter, &err),
                     E_OK);
    certificate_put(&out->certificate, &certificate);
}

static void sealed_clear(struct sealed *sealed)
{
    buf_clear(&sealed->bytes);
    buf_clear(&sealed->certificate);
}

static enum err_code check_sealed(struct world *world, const struct sealed *sealed)
{
    struct entry_facts facts;
    return check_bytes(world, buf_span(&sealed->bytes), buf_span(&sealed->certificate), &facts);
}

static void gate_takes_sealed_records_by_their_submitters_certificate(void **state)
{
    (void)state;
    struct world world;
    struct sealed sealed, foreign, unknown;
    struct entry_facts facts;
    world_init(&world, true);
    sealed_make(&sealed, court, OPERATIONS_ORIGIN);
    sealed_make(&foreign, court, "another.example/log");
    sealed_make(&unknown, stranger, OPERATIONS_ORIGIN);
    assert_int_equal(check_sealed(&world, &sealed), E_OK);
    ASSERT_REFUSED(check_bytes(&world, buf_span(&sealed.bytes), (struct span){ 0 }, &facts),
                   E_MALFORMED, "certificates: a sealed record comes with");
    ASSERT_REFUSED(check_sealed(&world, &foreign), E_BAD_SIGNATURE, "certificate");
    ASSERT_REFUSED(check_sealed(&world, &unknown), E_DENIED, "not registered");
    world.sender = (struct gate_sender){ .name = "court-0102.example" };
    ASSERT_REFUSED(check_sealed(&world, &sealed), E_DENIED, "client certificate");
    world.sender.name = NAME;
    assert_int_equal(check_sealed(&world, &sealed), E_OK);
    world.now = 30000000; /* by now, since it does not tell its own time */
    ASSERT_REFUSED(check_sealed(&world, &sealed), E_DENIED, "outside the from and to");
    world.now = NOW;
    struct operation operation = registration_for(NULL, 1u << ROLE_SERVICE);
    registry_on_logged(world.registry, 1, &operation);
    ASSERT_REFUSED(check_sealed(&world, &sealed), E_DENIED, "kind: ");
    sealed_clear(&sealed);
    sealed_clear(&foreign);
    sealed_clear(&unknown);
    world_clear(&world);
}

static void gate_refuses_every_flipped_bit_of_a_certificate(void **state)
{
    (void)state;
    struct world world;
    struct sealed sealed;
    world_init(&world, false);
    sealed_make(&sealed, court, OPERATIONS_ORIGIN);
    for (size_t i = 0; i < sealed.certificate.len * 8; i++) {
        sealed.certificate.data[i / 8] ^= (uint8_t)(1u << i % 8);
        enum err_code rc = check_sealed(&world, &sealed);
        assert_true(rc == E_BAD_SIGNATURE || rc == E_DENIED);
        sealed.certificate.data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t len = 1; len < sealed.certificate.len; len++) {
        struct entry_facts facts;
        ASSERT_REFUSED(check_bytes(&world, buf_span(&sealed.bytes),
                                   span_of(sealed.certificate.data, len), &facts),
                       E_MALFORMED, "certificate");
    }
    sealed_clear(&sealed);
    world_clear(&world);
}

static void gate_refuses_certificates_of_records_in_the_clear(void **state)
{
    (void)state;
    struct world world;
    struct sealed sealed;
    struct entry_facts facts;
    world_init(&world, false);
    sealed_make(&sealed, court, OPERATIONS_ORIGIN);
    struct buf bytes = operations_signed(KIND_FREEZE, court);
    ASSERT_REFUSED(check_bytes(&world, buf_span(&bytes), buf_span(&sealed.certificate), &facts),
                   E_MALFORMED, "certificates: only a sealed record");
    buf_clear(&bytes);
    sealed_clear(&sealed);
    world_clear(&world);
}

/* -- Registrations -- */

static void gate_refuses_anchors_from_callers(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, true);
    ASSERT_REFUSED(check_kind(&world, KIND_ANCHOR), E_DENIED, "ANCHOR");
    world_clear(&world);
}

static void gate_takes_registrations_of_enabled_keys(void **state)
{
    (void)state;
    struct world world;
    struct entry_facts facts;
    world_init(&world, false);
    struct buf bytes = operations_signed(KIND_SUBMITTER, court);
    assert_int_equal(check_bytes(&world, buf_span(&bytes), (struct span){ 0 }, &facts), E_OK);
    assert_true(facts.is_registration);
    assert_false(facts.has_tag);
    assert_true(entry_facts_read(buf_span(&bytes)).is_registration);
    struct operation operation = operations_make(KIND_SUBMITTER, stranger);
    ASSERT_REFUSED(check_operation(&world, &operation, stranger), E_DENIED,
                   "registration.key: key ");
    assert_words("submitters file");
    operation = operations_make(KIND_SUBMITTER, court);
    ASSERT_REFUSED(check_forged(&world, &operation), E_BAD_SIGNATURE, "signature");
    operation = operations_make(KIND_SUBMITTER, court);
    memcpy(operation.registration.name, "court-0109.example", sizeof NAME);
    ASSERT_REFUSED(check_operation(&world, &operation, court), E_DENIED, "registration.name: key ");
    buf_clear(&bytes);
    world_clear(&world);
}

/* domain: what identifies a person is never on a log; a name is the only text that there is. */
static void gate_refuses_names_that_hold_a_citizen_id(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct operation operation = operations_make(KIND_SUBMITTER, court);
    struct buf bytes = operations_bytes(&operation, court);
    struct entry_facts facts;
    static const char id[] = "11010519491231002x"; /* as long as the name */
    size_t at = span_find(buf_span(&bytes), span_of_str(NAME));
    assert_true(at != SIZE_MAX);
    memcpy(bytes.data + at, id, sizeof id - 1);
    ASSERT_REFUSED(check_bytes(&world, buf_span(&bytes), (struct span){ 0 }, &facts), E_MALFORMED,
                   "registration.name");
    assert_null(strstr(err.msg, id));
    buf_clear(&bytes);
    world_clear(&world);
}

static struct operation end_at(uint64_t minute)
{
    struct operation operation = operations_make(KIND_SUBMITTER_END, court);
    operation.minute = minute;
    return operation;
}

static void gate_ends_registrations_for_the_key_and_the_operator(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, true);
    struct operation operation = end_at(NOW);
    ASSERT_REFUSED(check_forged(&world, &operation), E_BAD_SIGNATURE, "signature");
    assert_int_equal(check_vouched(&world, KIND_SUBMITTER_END), E_OK); /* the operator */
    world.sender = (struct gate_sender){ .name = NAME };
    ASSERT_REFUSED(check_vouched(&world, KIND_SUBMITTER_END), E_DENIED, "only the operator");
    assert_int_equal(registry_enable(world.registry, span_of_str(""), &err), E_OK);
    operation = end_at(NOW);
    assert_int_equal(check_operation(&world, &operation, court), E_OK); /* not enabled */
    operation = end_at(NOW);
    registry_on_logged(world.registry, 5, &operation);
    enable(world.registry, court, NAME);
    ASSERT_REFUSED(check_kind(&world, KIND_FREEZE), E_DENIED, "has ended");
    operation = end_at(NOW); /* sent again: the log has it already */
    assert_int_equal(check_operation(&world, &operation, court), E_OK);
    operation = end_at(NOW - 1);
    ASSERT_REFUSED(check_operation(&world, &operation, court), E_DENIED, "has ended already");
    operation = operations_make(KIND_SUBMITTER_END, stranger);
    ASSERT_REFUSED(check_operation(&world, &operation, stranger), E_DENIED, "not registered");
    assert_int_equal(check_kind(&world, KIND_SUBMITTER), E_OK); /* and it may come back */
    world_clear(&world);
}

/* -- Order -- */

static struct submission *submission_of(const uint32_t *kinds, size_t count)
{
    struct submission *submission = submission_new_with_facts(count, count * 4096);
    for (size_t i = 0; i < count; i++) {
        struct buf bytes = operations_signed(kinds[i], court);
        struct entry_facts facts = entry_facts_read(buf_span(&bytes));
        submission_add_with_facts(submission, buf_span(&bytes), &facts);
        submission->indices[i] = 100 + i;
        buf_clear(&bytes);
    }
    return submission;
}

static struct pool *pool_of_gate(void)
{
    return pool_new(1000, 1000000);
}

static struct submission *take(struct pool *pool)
{
    struct submission *submission = pool_take(pool);
    assert_non_null(submission);
    pool_release(pool, submission->count, submission->entries_bytes);
    return submission;
}

static void gate_counts_registrations_from_when_they_are_durable(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct pool *pool = pool_of_gate();
    static const uint32_t kinds[] = { KIND_SUBMITTER };
    struct operation operation = end_at(NOW);
    registry_on_logged(world.registry, 5, &operation);
    struct submission *submission = submission_of(kinds, 1);
    assert_int_equal(gate_push(world.gate, pool, submission, gate_epoch(world.gate), &err), E_OK);
    ASSERT_REFUSED(check_kind(&world, KIND_FREEZE), E_DENIED, "has ended");
    gate_on_logged(world.gate, take(pool));
    assert_int_equal(gate_counts(world.gate).usable, 1);
    submission_free(submission);
    pool_free(pool);
    world_clear(&world);
}

/* A record that was checked before the end is pushed may not stand behind it. */
static void gate_pushes_nothing_behind_an_end_that_was_checked_before(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct pool *pool = pool_of_gate();
    static const uint32_t records[] = { KIND_FREEZE }, ends[] = { KIND_SUBMITTER_END };
    struct submission *record = submission_of(records, 1), *end = submission_of(ends, 1);
    uint64_t before = gate_epoch(world.gate);
    assert_int_equal(gate_push(world.gate, pool, end, before, &err), E_OK);
    assert_int_equal(gate_push(world.gate, pool, record, before, &err), E_CONFLICT);
    uint64_t after = gate_epoch(world.gate);
    ASSERT_REFUSED(check_kind(&world, KIND_FREEZE), E_BUSY, "being ended");
    gate_on_logged(world.gate, take(pool));
    ASSERT_REFUSED(check_kind(&world, KIND_FREEZE), E_DENIED, "has ended");
    assert_int_equal(gate_epoch(world.gate), after);
    submission_free(record);
    submission_free(end);
    pool_free(pool);
    world_clear(&world);
}

/* The operator takes a key out of the file while its records are under way. */
static void gate_lets_in_nothing_of_a_key_that_was_enabled_when_it_was_checked(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct pool *pool = pool_of_gate();
    static const uint32_t kinds[] = { KIND_FREEZE, KIND_SUBMITTER };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct submission *submission = submission_of(&kinds[i], 1);
        uint64_t before = gate_epoch(world.gate);
        assert_int_equal(check_kind(&world, kinds[i]), E_OK);
        assert_int_equal(gate_enable(world.gate, span_of_str("nonsense\n"), &err), E_MALFORMED);
        assert_int_equal(gate_epoch(world.gate), before); /* a wrong file changes nothing */
        assert_int_equal(gate_enable(world.gate, span_of_str("# nobody\n"), &err), E_OK);
        assert_int_equal(gate_push(world.gate, pool, submission, before, &err), E_CONFLICT);
        assert_null(pool_take(pool));
        ASSERT_REFUSED(check_kind(&world, kinds[i]), E_DENIED, "not enabled");
        enable(world.registry, court, NAME);
        submission_free(submission);
    }
    pool_free(pool);
    world_clear(&world);
}

static void gate_forgets_an_end_that_was_refused(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct pool *pool = pool_of_gate();
    static const uint32_t records[] = { KIND_FREEZE }, ends[] = { KIND_SUBMITTER_END };
    struct submission *record = submission_of(records, 1), *end = submission_of(ends, 1);
    assert_int_equal(gate_push(world.gate, pool, end, gate_epoch(world.gate), &err), E_OK);
    gate_on_refused(world.gate, take(pool));
    assert_int_equal(check_kind(&world, KIND_FREEZE), E_OK);
    pool_close(pool, POOL_CLOSED_STORE, "full");
    assert_int_equal(gate_push(world.gate, pool, end, gate_epoch(world.gate), &err), E_UNAVAILABLE);
    assert_int_equal(check_kind(&world, KIND_FREEZE), E_OK); /* by the pool: nobody need tell */
    pool_open(pool, POOL_CLOSED_STORE);
    assert_int_equal(gate_push(world.gate, pool, record, gate_epoch(world.gate), &err), E_OK);
    take(pool);
    submission_free(record);
    submission_free(end);
    pool_free(pool);
    world_clear(&world);
}

static void gate_keeps_registrations_and_records_apart(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct pool *pool = pool_of_gate();
    static const uint32_t mixed[][2] = { { KIND_FREEZE, KIND_SUBMITTER_END },
                                         { KIND_SUBMITTER, KIND_FREEZE } };
    for (size_t i = 0; i < 2; i++) {
        struct submission *submission = submission_of(mixed[i], 2);
        assert_int_equal(gate_push(world.gate, pool, submission, gate_epoch(world.gate), &err),
                         E_MALFORMED);
        assert_non_null(strstr(err.msg, "a call of their own"));
        assert_null(pool_take(pool));
        submission_free(submission);
    }
    static const uint32_t both[] = { KIND_SUBMITTER_END, KIND_SUBMITTER };
    struct submission *submission = submission_of(both, 2);
    assert_int_equal(gate_push(world.gate, pool, submission, gate_epoch(world.gate), &err), E_OK);
    gate_on_logged(world.gate, take(pool));
    assert_int_equal(gate_counts(world.gate).usable, 1); /* the later one counts */
    submission_free(submission);
    pool_free(pool);
    world_clear(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate_lets_in_what_a_submitter_may_log),
        cmocka_unit_test(gate_refuses_what_is_no_record),
        cmocka_unit_test(gate_refuses_every_flipped_bit),
        cmocka_unit_test(gate_refuses_records_of_another_log),
        cmocka_unit_test(gate_refuses_unknown_keys_by_their_id),
        cmocka_unit_test(gate_refuses_a_record_that_another_key_has_signed),
        cmocka_unit_test(gate_refuses_minutes_outside_the_registration),
        cmocka_unit_test(gate_refuses_the_future),
        cmocka_unit_test(gate_refuses_other_courts_and_roles),
        cmocka_unit_test(gate_compares_the_client_certificate),
        cmocka_unit_test(gate_takes_vouched_records_by_certificate_only),
        cmocka_unit_test(gate_takes_sealed_records_by_their_submitters_certificate),
        cmocka_unit_test(gate_refuses_every_flipped_bit_of_a_certificate),
        cmocka_unit_test(gate_refuses_certificates_of_records_in_the_clear),
        cmocka_unit_test(gate_refuses_anchors_from_callers),
        cmocka_unit_test(gate_takes_registrations_of_enabled_keys),
        cmocka_unit_test(gate_refuses_names_that_hold_a_citizen_id),
        cmocka_unit_test(gate_ends_registrations_for_the_key_and_the_operator),
        cmocka_unit_test(gate_counts_registrations_from_when_they_are_durable),
        cmocka_unit_test(gate_pushes_nothing_behind_an_end_that_was_checked_before),
        cmocka_unit_test(gate_lets_in_nothing_of_a_key_that_was_enabled_when_it_was_checked),
        cmocka_unit_test(gate_forgets_an_end_that_was_refused),
        cmocka_unit_test(gate_keeps_registrations_and_records_apart),
    };
    court = operations_key("court");
    stranger = operations_key("stranger");
    one_time = operations_key("one time");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    signing_key_free(court);
    signing_key_free(stranger);
    signing_key_free(one_time);
    return failed;
}
