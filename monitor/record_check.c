#include "monitor/record_check.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "record/certificate.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    VERSION = 1,
    FACT_BYTES = 64 + CLOSED_COUNTS_BYTES,
};

/* -- what has a tag -- */

static struct buf fact_key(const struct hash *tag)
{
    struct buf key = BUF_INIT(2 + HASH_BYTES);
    buf_put_str(&key, "t/");
    buf_put(&key, hash_span(tag));
    return key;
}

static void put_fact(struct record_store *store, const struct hash *tag,
                     const struct record_fact *fact)
{
    struct buf key = fact_key(tag), value = BUF_INIT(FACT_BYTES);
    buf_put_u8(&value, VERSION);
    record_stamp_put(&value, fact->stamp);
    buf_put_u64(&value, fact->leaf);
    buf_put_u32(&value, fact->kind);
    buf_put_u64(&value, fact->minute);
    if (fact->kind == KIND_CASE_FILED) {
        buf_put(&value, hash_span(&fact->case_commitment));
    } else if (fact->kind == KIND_CLOSED) {
        buf_put(&value, SPAN_OF_ARRAY(fact->counts));
    }
    record_store_put(store, buf_span(&key), buf_span(&value));
    buf_clear(&key);
    buf_clear(&value);
}

static bool parse_fact(struct span in, struct record_fact *out)
{
    uint8_t version;
    struct span more;
    if (!span_take_u8(&in, &version) || version != VERSION ||
        !record_stamp_take(&in, &out->stamp) || !span_take_u64(&in, &out->leaf) ||
        !span_take_u32(&in, &out->kind) || !span_take_u64(&in, &out->minute)) {
        return false;
    }
    if (out->kind == KIND_CASE_FILED && span_take(&in, HASH_BYTES, &more)) {
        memcpy(out->case_commitment.bytes, more.data, more.len);
    } else if (out->kind == KIND_CLOSED && span_take(&in, CLOSED_COUNTS_BYTES, &more)) {
        memcpy(out->counts, more.data, more.len);
    }
    return in.len == 0;
}

enum err_code record_fact_get(struct record_fact *out, struct record_store *store,
                              const struct hash *tag, struct err *err)
{
    struct buf key = fact_key(tag), value = BUF_INIT(FACT_BYTES);
    *out = (struct record_fact){ .kind = 0 };
    enum err_code rc = record_store_get(store, buf_span(&key), &value, err);
    if (rc == E_OK && !parse_fact(buf_span(&value), out)) {
        rc = err_set(err, E_CORRUPT, "what is stored of an entry tag: not one of ours");
    }
    if (rc == E_OK && !record_store_is_valid(store, out->stamp)) {
        rc = err_set(err, E_NOT_FOUND, "of a scan that led nowhere");
    }
    buf_clear(&key);
    buf_clear(&value);
    return rc;
}

/* -- one entry -- */

struct judged {
    struct record_check *check;
    uint64_t index;
    struct record_view *view;
    struct operation operation; /* of views that have the bytes; else zeroes */
};

static void add_bad(struct judged *j, const char *what)
{
    record_findings_add(j->check->findings, FINDING_BAD_RECORD, j->index, 0, "%s", what);
}

static uint64_t first_bytes(const struct hash *leaf)
{
    struct span in = hash_span(leaf);
    uint64_t out = 0;
    bool is_there = span_take_u64(&in, &out);
    assert(is_there);
    return out;
}

static void note_tag(const struct judged *j)
{
    const struct record_view *view = j->view;
    struct record_fact fact = {
        .stamp = record_store_stamp(j->check->store, j->index),
        .leaf = first_bytes(&view->leaf),
        .kind = view->kind->number,
        .minute = view->minute,
        .case_commitment = j->operation.case_commitment,
    };
    memcpy(fact.counts, j->operation.closed_counts, sizeof fact.counts);
    put_fact(j->check->store, &view->tag, &fact);
}

static enum err_code check_tag(struct judged *j, struct err *err)
{
    struct record_fact known;
    enum err_code rc = record_fact_get(&known, j->check->store, &j->view->tag, err);
    if (rc == E_NOT_FOUND) {
        note_tag(j);
        return E_OK;
    }
    if (rc == E_OK && known.leaf == first_bytes(&j->view->leaf)) {
        record_findings_add(j->check->findings, FINDING_BAD_RECORD, j->index, known.stamp.index,
                            "it is the record of entry %" PRIu64 " once more", known.stamp.index);
    } else if (rc == E_OK) {
        record_findings_add(j->check->findings, FINDING_TAG_REPEATED, j->index, known.stamp.index,
                            "it has the entry tag of entry %" PRIu64 " and is another record",
                            known.stamp.index);
    }
    return rc;
}

/* -- the submitter -- */

/* NULL: all is well. `index` is where it must have been registered before; `minute` 0: the time is not known. */
static const char *find_fault(const struct record_check *check, const struct submitter_id *id,
                              uint64_t index, const struct kind *kind,
                              const struct court_tag *court, uint64_t minute)
{
    const struct record_submitter *known = record_submitters_at(check->submitters, id, index);
    if (known == NULL) {
        bool may_be =
            record_submitters_is_full(check->submitters) || record_store_from(check->store) > 0;
        return may_be ? NULL : "is not registered on the log before it";
    }
    if (known->is_end) {
        return "had its registration ended before it";
    }
    if (minute != 0 && (minute < known->from || (known->to != 0 && minute >= known->to))) {
        return "is registered for another time";
    }
    if (kind->roles != 0 && (kind->roles & known->roles) == 0) {
        return "is registered in no role that logs such a record";
    }
    if (court != NULL && !record_submitter_has_court(known, court)) {
        return "is registered for other courts";
    }
    return NULL;
}

static void add_unregistered(struct record_check *check, uint64_t index,
                             const struct submitter_id *id, const char *fault)
{
    struct buf hex = BUF_INIT(2 * SUBMITTER_ID_BYTES + 1);
    hex_put(&hex, SPAN_OF_ARRAY(id->bytes));
    record_findings_add(check->findings, FINDING_UNREGISTERED_KEY, index, 0,
                        "its submitter, key %s, %s", buf_c_str(&hex), fault);
    buf_clear(&hex);
}

static void check_submitter(struct judged *j, const struct court_tag *court, uint64_t minute)
{
    const char *fault =
        find_fault(j->check, &j->view->submitter, j->index, j->view->kind, court, minute);
    if (fault != NULL) {
        add_unregistered(j->check, j->index, &j->view->submitter, fault);
    }
}

/* -- UNSEAL -- */

static void check_unsealed(struct judged *j, const struct record_unsealed *unsealed)
{
    struct record_check *check = j->check;
    struct ed25519_public key;
    struct certificate certificate;
    struct err err;
    const char *fault = find_fault(check, &unsealed->submitter, unsealed->index, unsealed->kind,
                                   &unsealed->court, 0);
    if (fault != NULL) {
        add_unregistered(check, unsealed->index, &unsealed->submitter, fault);
    }
    if (!check->view_options.verifies ||
        !record_keys_find(check->view_options.keys, &unsealed->submitter, &key)) {
        return;
    }
    if (certificate_parse(&certificate, unsealed->certificate, &err) != E_OK ||
        certificate_verify(&certificate, check->origin, &unsealed->one_time_key, &unsealed->tag,
                           &key, &err) != E_OK) {
        add_bad(j, "the certificate that it opens is not its submitter's for that sealed record");
    }
}

static enum err_code check_unseal(struct judged *j, struct err *err)
{
    struct record_unsealed unsealed;
    enum err_code rc = record_seals_unseal(j->check->seals, j->check->origin, &j->operation,
                                           j->index, &unsealed, err);
    if (rc == E_OK) {
        check_unsealed(j, &unsealed);
        if (unsealed.was_late) {
            record_findings_add_over(j->check->findings, FINDING_SEALED_OVERDUE, unsealed.index);
        }
    } else if (rc == E_BAD_PROOF || rc == E_MALFORMED) {
        add_bad(j, err->msg);
        rc = E_OK;
    } else if (rc == E_NOT_FOUND) {
        if (record_store_from(j->check->store) == 0) {
            add_bad(j, err->msg);
        }
        rc = E_OK;
    }
    return rc;
}

/* -- ANCHOR -- */

static void check_anchor(struct judged *j)
{
    const struct record_check *check = j->check;
    struct policy_verdict *verdict = NEW(struct policy_verdict);
    struct err err;
    if (policy_open_checkpoint(check->policy, verdict, j->operation.note, &err) != E_OK ||
        strcmp(verdict->checkpoint.origin, check->origin) != 0) {
        add_bad(j, "it is an ANCHOR with a note that the log has not signed");
    } else if (verdict->checkpoint.size > j->index) {
        add_bad(j, "it is an ANCHOR with a note of a tree that has the entry in it");
    } else if (verdict->is_met) {
        uint64_t time_s = policy_no_later_than(check->policy, verdict);
        if (time_s > 0) {
            record_seals_note_time(check->seals, verdict->checkpoint.size, time_s);
        }
    }
    mem_free(verdict);
}

/* -- by kind -- */

/* Of records whose signature is not to be relied on only the tag counts, which the log holds whoever made it. */
static enum err_code check_kind(struct judged *j, struct err *err)
{
    const struct operation *operation = &j->operation;
    switch (j->view->kind->number) {
    case KIND_SUBMITTER:
        record_submitters_note(j->check->submitters, operation, j->index);
        return E_OK;
    case KIND_SUBMITTER_END:
        check_submitter(j, NULL, 0);
        record_submitters_note(j->check->submitters, operation, j->index);
        return E_OK;
    case KIND_ANCHOR:
        check_anchor(j);
        return E_OK;
    case KIND_SEALED:
        record_seals_note(j->check->seals, operation, &j->view->leaf, j->index);
        return E_OK;
    case KIND_UNSEAL:
        check_submitter(j, &j->view->court, j->view->minute);
        return check_unseal(j, err);
    default:
        check_submitter(j, &j->view->court, j->view->minute);
        return E_OK;
    }
}

static enum err_code check_record(struct judged *j, struct err *err)
{
    enum err_code rc = j->view->has_tag ? check_tag(j, err) : E_OK;
    if (rc != E_OK) {
        return rc;
    }
    if (j->view->signature == RECORD_SIGNATURE_BAD) {
        add_bad(j, "its signature does not verify");
        return E_OK;
    }
    return check_kind(j, err);
}

enum err_code record_check_entry(struct record_check *check, uint64_t index,
                                 struct record_view *view, struct err *err)
{
    struct judged judged = { .check = check, .index = index, .view = view };
    if (view->kind == NULL) {
        record_findings_add(check->findings, FINDING_BAD_RECORD, index, 0, "%s", view->flaw);
        return E_OK;
    }
    record_view_verify(view, &check->view_options);
    bool has_bytes = view->bytes_len > 0;
    if (has_bytes && operation_decode(&judged.operation, record_view_bytes(view), err) != E_OK) {
        return err_set(err, E_CORRUPT, "a record that decodes only once");
    }
    enum err_code rc = check_record(&judged, err);
    if (has_bytes) {
        operation_clear(&judged.operation);
    }
    return rc;
}
