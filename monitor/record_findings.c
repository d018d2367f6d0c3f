#include "monitor/record_findings.h"

#include "base/alloc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    VERSION = 1
};

struct more {
    uint64_t count, first;
};

struct record_findings {
    struct record_store *store; /* borrowed */
    size_t count, cap;
    struct record_finding *all; /* owned */
    size_t of_code[FINDING_COUNT];
    struct more more[FINDING_COUNT];
    bool is_changed;
};

static_assert((size_t)RECORD_FINDINGS_MAX * 8 * (RECORD_TEXT_MAX + 64) < RECORD_VALUE_BYTES_MAX,
              "four codes, each found or over, are one value");

static const char key[] = "f";

/* -- the list -- */

static void add(struct record_findings *findings, const struct record_finding *finding)
{
    if (findings->count == findings->cap) {
        findings->cap = findings->cap == 0 ? 16 : 2 * findings->cap;
        findings->all = mem_realloc(findings->all, findings->cap * sizeof *findings->all);
    }
    findings->all[findings->count++] = *finding;
    findings->of_code[finding->code] += finding->is_over ? 0 : 1;
}

void record_findings_add(struct record_findings *findings, enum finding_code code, uint64_t index,
                         uint64_t other, const char *fmt, ...)
{
    struct record_finding finding = { .code = code, .index = index, .other = other };
    va_list args;
    findings->is_changed = true;
    if (findings->of_code[code] == RECORD_FINDINGS_MAX) {
        struct more *more = &findings->more[code];
        more->first = more->count == 0 ? index : more->first;
        more->count++;
        return;
    }
    va_start(args, fmt);
    vsnprintf(finding.text, sizeof finding.text, fmt, args);
    va_end(args);
    add(findings, &finding);
}

/* Too many to be kept stay open until a person looks. */
void record_findings_add_over(struct record_findings *findings, enum finding_code code,
                              uint64_t index)
{
    struct record_finding finding = { .code = code, .is_over = true, .index = index };
    if (findings->count < 2 * RECORD_FINDINGS_MAX) {
        findings->is_changed = true;
        add(findings, &finding);
    }
}

void record_findings_reset(struct record_findings *findings)
{
    if (findings->count > 0 || findings->is_changed) {
        record_store_delete(findings->store, span_of_str(key));
    }
    findings->count = 0;
    findings->is_changed = false;
    memset(findings->of_code, 0, sizeof findings->of_code);
    memset(findings->more, 0, sizeof findings->more);
}

size_t record_findings_count(const struct record_findings *findings)
{
    return findings->count;
}

const struct record_finding *record_findings_at(const struct record_findings *findings, size_t i)
{
    return &findings->all[i];
}

uint64_t record_findings_more(const struct record_findings *findings, enum finding_code code,
                              uint64_t *first)
{
    *first = findings->more[code].first;
    return findings->more[code].count;
}

void record_subject(char out[static FINDING_SUBJECT_MAX], uint64_t index)
{
    snprintf(out, FINDING_SUBJECT_MAX, "entry %" PRIu64, index);
}

/* -- the store -- */

static void put_code(struct buf *out, enum finding_code code)
{
    const char *text = finding_kind(code)->text;
    buf_put_u8(out, (uint8_t)strlen(text));
    buf_put_str(out, text);
}

static bool take_code(struct span *in, enum finding_code *out)
{
    uint8_t len;
    struct span text;
    return span_take_u8(in, &len) && span_take(in, len, &text) && finding_code_parse(out, text);
}

void record_findings_put(struct record_findings *findings)
{
    if (!findings->is_changed) {
        return;
    }
    struct buf value = BUF_INIT(RECORD_VALUE_BYTES_MAX);
    buf_put_u8(&value, VERSION);
    record_stamp_put(&value, record_store_stamp(findings->store, 0));
    for (int code = 0; code < FINDING_COUNT; code++) {
        if (findings->more[code].count > 0) {
            buf_put_u8(&value, 1);
            put_code(&value, (enum finding_code)code);
            buf_put_u64(&value, findings->more[code].count);
            buf_put_u64(&value, findings->more[code].first);
        }
    }
    buf_put_u8(&value, 0);
    for (size_t i = 0; i < findings->count; i++) {
        const struct record_finding *finding = &findings->all[i];
        put_code(&value, finding->code);
        buf_put_u8(&value, finding->is_over);
        buf_put_u64(&value, finding->index);
        buf_put_u64(&value, finding->other);
        buf_put_u8(&value, (uint8_t)strlen(finding->text));
        buf_put_str(&value, finding->text);
    }
    record_store_put(findings->store, span_of_str(key), buf_span(&value));
    findings->is_changed = false;
    buf_clear(&value);
}

static bool take_more(struct record_findings *findings, struct span *in)
{
    uint8_t is_there;
    enum finding_code code;
    while (span_take_u8(in, &is_there)) {
        if (is_there == 0) {
            return true;
        }
        if (!take_code(in, &code) || !span_take_u64(in, &findings->more[code].count) ||
            !span_take_u64(in, &findings->more[code].first)) {
            return false;
        }
    }
    return false;
}

static bool take_finding(struct span *in, struct record_finding *out)
{
    uint8_t is_over, len;
    struct span text;
    *out = (struct record_finding){ .index = 0 };
    if (!take_code(in, &out->code) || !span_take_u8(in, &is_over) || is_over > 1 ||
        !span_take_u64(in, &out->index) || !span_take_u64(in, &out->other) ||
        !span_take_u8(in, &len) || len >= RECORD_TEXT_MAX || !span_take(in, len, &text)) {
        return false;
    }
    out->is_over = is_over == 1;
    if (len > 0) {
        memcpy(out->text, text.data, len);
    }
    return true;
}

/* Those of another generation are of a scan that led nowhere. */
static bool parse(struct record_findings *findings, struct span in)
{
    uint8_t version;
    struct record_stamp stamp;
    if (!span_take_u8(&in, &version) || version != VERSION || !record_stamp_take(&in, &stamp)) {
        return false;
    }
    if (stamp.generation != record_store_stamp(findings->store, 0).generation) {
        return true;
    }
    if (!take_more(findings, &in)) {
        return false;
    }
    while (in.len > 0) {
        struct record_finding finding;
        if (findings->count >= (size_t)FINDING_COUNT * RECORD_FINDINGS_MAX ||
            !take_finding(&in, &finding)) {
            return false;
        }
        add(findings, &finding);
    }
    return true;
}

enum err_code record_findings_open(struct record_findings **out, struct record_store *store,
                                   struct err *err)
{
    struct record_findings *findings = NEW(struct record_findings);
    struct buf value = BUF_INIT(RECORD_VALUE_BYTES_MAX);
    findings->store = store;
    enum err_code rc = record_store_get(store, span_of_str(key), &value, err);
    if (rc == E_NOT_FOUND) {
        rc = E_OK;
    } else if (rc == E_OK && !parse(findings, buf_span(&value))) {
        rc = err_set(err, E_CORRUPT, "the stored findings about records: not ours");
    }
    buf_clear(&value);
    if (rc != E_OK) {
        record_findings_free(findings);
        return rc;
    }
    *out = findings;
    return E_OK;
}

void record_findings_free(struct record_findings *findings)
{
    if (findings != NULL) {
        mem_free(findings->all);
        mem_free(findings);
    }
}
