#include "record/field.h"

#include "base/ascii.h"
#include "record/certificate.h"
#include "record/entry_tag.h"
#include "record/identifier.h"
#include "record/text.h"

#include <assert.h>
#include <time.h>

enum {
    REFERENCE_BYTES = 2 * HASH_BYTES,
    MINUTES_A_DAY = 24 * 60,
    DAYS_MAX = 2932896, /* 9999-12-31: the last date of four digits a year */
    DATE_CHARS = sizeof "2026-03-04" - 1,
    MINUTE_CHARS = sizeof "2026-03-04T09:31Z" - 1,
};

#define MONEY_MAX   (UINT64_C(1) << 53) /* fen: what a double still holds exactly */
#define CODE_MAX    UINT64_C(65535)
#define MINUTES_MAX ((uint64_t)DAYS_MAX * MINUTES_A_DAY + MINUTES_A_DAY - 1)

static const struct field_definition definitions[] = {
    [FIELD_NUMBER] = { "number", FIELD_TYPE_COUNT },
    [FIELD_CASE_NUMBER] = { "case-number", FIELD_TYPE_CASE_NUMBER },
    [FIELD_OFFICER] = { "officer", FIELD_TYPE_TAG },
    [FIELD_KIND] = { "kind", FIELD_TYPE_KIND },
    [FIELD_MINUTE] = { "minute", FIELD_TYPE_MINUTE },
    [FIELD_COURT] = { "court", FIELD_TYPE_COURT },
    [FIELD_SUBMITTER] = { "submitter", FIELD_TYPE_SUBMITTER },
    [FIELD_CERTIFICATE] = { "certificate", FIELD_TYPE_CERTIFICATE },
    [FIELD_REFERENCES] = { "references", FIELD_TYPE_REFERENCES },
    [FIELD_APPLICANT] = { "applicant", FIELD_TYPE_PARTY },
    [FIELD_DEBTOR] = { "debtor", FIELD_TYPE_PARTY },
    [FIELD_PARTY] = { "party", FIELD_TYPE_PARTY },
    [FIELD_INSTITUTION] = { "institution", FIELD_TYPE_CREDIT_CODE },
    [FIELD_AMOUNT] = { "amount", FIELD_TYPE_MONEY },
    [FIELD_AMOUNT_DUE] = { "amount-due", FIELD_TYPE_MONEY },
    [FIELD_ASSET] = { "asset", FIELD_TYPE_TAG },
    [FIELD_PAYEE] = { "payee", FIELD_TYPE_TAG },
    [FIELD_START] = { "start", FIELD_TYPE_DATE },
    [FIELD_END] = { "end", FIELD_TYPE_DATE },
    [FIELD_DUE] = { "due", FIELD_TYPE_DATE },
    [FIELD_METHOD] = { "method", FIELD_TYPE_CODE },
    [FIELD_RESULT] = { "result", FIELD_TYPE_CODE },
    [FIELD_APPROVER] = { "approver", FIELD_TYPE_TAG },
    [FIELD_ROLE] = { "role", FIELD_TYPE_CODE },
    [FIELD_BASIS] = { "basis", FIELD_TYPE_TEXT },
    [FIELD_COUNT] = { "count", FIELD_TYPE_COUNT },
    [FIELD_ASSET_KIND] = { "asset-kind", FIELD_TYPE_CODE },
    [FIELD_ACCOUNT] = { "account", FIELD_TYPE_TEXT },
    [FIELD_PLACE] = { "place", FIELD_TYPE_TEXT },
    [FIELD_REASON] = { "reason", FIELD_TYPE_TEXT },
    [FIELD_DIGEST] = { "digest", FIELD_TYPE_DIGEST },
    [FIELD_RESERVED] = { "reserved", FIELD_TYPE_NONE },
};
static_assert(sizeof definitions / sizeof definitions[0] == FIELDS, "each number is a field");
static_assert(OPERATION_REFERENCES_MAX * REFERENCE_BYTES <= FIELD_VALUE_BYTES_MAX,
              "references are the longest value");
static_assert((int)FIELD_VALUE_BYTES_MAX == (int)OPENING_VALUE_BYTES_MAX,
              "any value can be opened on the log");

const struct field_definition *field_definition(unsigned number)
{
    assert(number < FIELDS);
    return &definitions[number];
}

bool field_parse_name(unsigned *number, struct span name)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        if (span_is_str(name, definitions[i].name)) {
            *number = i;
            return true;
        }
    }
    return false;
}

/* -- the shapes of values -- */

/* The largest integer of a type; false when values of the type are no integers. */
static bool integer_max(enum field_type type, uint64_t *max)
{
    switch (type) {
    case FIELD_TYPE_COUNT:
        *max = UINT64_MAX;
        return true;
    case FIELD_TYPE_MONEY:
        *max = MONEY_MAX;
        return true;
    case FIELD_TYPE_DATE:
        *max = DAYS_MAX;
        return true;
    case FIELD_TYPE_MINUTE:
        *max = MINUTES_MAX;
        return true;
    case FIELD_TYPE_CODE:
        *max = CODE_MAX;
        return true;
    case FIELD_TYPE_KIND:
        *max = UINT32_MAX;
        return true;
    default:
        return false;
    }
}

/* Bytes of a type whose values all have one size and any content; 0 for other types. */
static size_t fixed_size(enum field_type type)
{
    switch (type) {
    case FIELD_TYPE_TAG:
        return PERSON_TAG_BYTES;
    case FIELD_TYPE_SUBMITTER:
        return SUBMITTER_ID_BYTES;
    case FIELD_TYPE_CERTIFICATE:
        return CERTIFICATE_BYTES;
    case FIELD_TYPE_DIGEST:
        return HASH_BYTES;
    default:
        return 0;
    }
}

static bool kind_may_be_sealed(const struct kind *kind)
{
    return kind != NULL && (kind->is_control || kind->number == KIND_DECOY);
}

/* -- texts and identifiers: out of what people write -- */

/* An 18-character text of digits is meant as a citizen id; which error is told depends on it. */
static enum err_code put_party(struct buf *out, struct span text, struct err *err)
{
    struct err other;
    if (identifier_put_citizen_id(out, text, err) == E_OK ||
        identifier_put_credit_code(out, text, &other) == E_OK) {
        return E_OK;
    }
    size_t digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        digits += text.data[i] >= '0' && text.data[i] <= '9';
    }
    if (text.len > 0 && digits >= text.len - 1) {
        return err_wrap(err, "as a citizen id");
    }
    *err = other;
    return err_wrap(err, "as a credit code");
}

/* Types whose spelling is that of a text; false for others. */
static bool put_spelling(struct buf *out, enum field_type type, struct span text, enum err_code *rc,
                         struct err *err)
{
    switch (type) {
    case FIELD_TYPE_TEXT:
        *rc = text_put(out, text, FIELD_VALUE_BYTES_MAX, err);
        return true;
    case FIELD_TYPE_CASE_NUMBER:
        *rc = identifier_put_case_number(out, text, err);
        return true;
    case FIELD_TYPE_COURT:
        *rc = identifier_put_court_code(out, text, err);
        return true;
    case FIELD_TYPE_PARTY:
        *rc = put_party(out, text, err);
        return true;
    case FIELD_TYPE_CREDIT_CODE:
        *rc = identifier_put_credit_code(out, text, err);
        return true;
    default:
        return false;
    }
}

/* -- checking -- */

static enum err_code check_integer(enum field_type type, uint64_t max, struct span value,
                                   struct err *err)
{
    uint64_t integer = 0;
    if (!span_take_u64(&value, &integer) || value.len > 0) {
        return err_set(err, E_MALFORMED, "an integer has 8 bytes");
    }
    if (integer > max) {
        return err_set(err, E_MALFORMED, "over %llu", (unsigned long long)max);
    }
    if (type == FIELD_TYPE_KIND && !kind_may_be_sealed(kind_find((uint32_t)integer))) {
        return err_set(err, E_MALFORMED, "no kind that may be sealed");
    }
    return E_OK;
}

/* Where a text differs from its one spelling, in characters from 1. */
static size_t first_difference(struct span text, struct span spelling)
{
    size_t position = 1;
    uint32_t a, b;
    while (utf8_take(&text, &a) && utf8_take(&spelling, &b) && a == b) {
        position++;
    }
    return position;
}

static enum err_code check_spelling(enum field_type type, struct span value, struct err *err)
{
    if (type == FIELD_TYPE_TEXT) {
        return text_check(value, err); /* with better words */
    }
    struct buf spelling = BUF_INIT(FIELD_VALUE_BYTES_MAX);
    enum err_code rc = E_OK;
    bool is_spelled = put_spelling(&spelling, type, value, &rc, err);
    assert(is_spelled);
    if (rc == E_OK && !span_is_equal(buf_span(&spelling), value)) {
        rc = err_set(err, E_MALFORMED, "character %zu: not the one spelling",
                     first_difference(value, buf_span(&spelling)));
    }
    crypto_wipe_buf(&spelling);
    return rc;
}

static enum err_code check_value(enum field_type type, struct span value, struct err *err)
{
    uint64_t max = 0;
    size_t size = fixed_size(type);
    if (type == FIELD_TYPE_NONE) {
        return err_set(err, E_MALFORMED, "is reserved: always absent");
    }
    if (value.len > FIELD_VALUE_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "over %d bytes", FIELD_VALUE_BYTES_MAX);
    }
    if (integer_max(type, &max)) {
        return check_integer(type, max, value, err);
    }
    if (type == FIELD_TYPE_REFERENCES) {
        return value.len % REFERENCE_BYTES == 0
                   ? E_OK
                   : err_set(err, E_MALFORMED, "references have 64 bytes each");
    }
    if (size != 0) {
        return value.len == size
                   ? E_OK
                   : err_set(err, E_MALFORMED, "has %zu bytes, not %zu", size, value.len);
    }
    return check_spelling(type, value, err);
}

enum err_code field_check(unsigned number, struct span value, struct err *err)
{
    const struct field_definition *field = field_definition(number);
    if (check_value(field->type, value, err) != E_OK) {
        err->code = E_MALFORMED; /* too large a text is none either */
        return err_wrap(err, "%s", field->name);
    }
    return E_OK;
}

/* -- reading what people and systems write -- */

static enum err_code take_integer(uint64_t *out, struct span text, uint64_t max, struct err *err)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return err_set(err, E_MALFORMED, "character %zu: expected a digit", i + 1);
        }
    }
    if (text.len > 1 && text.data[0] == '0') {
        return err_set(err, E_MALFORMED, "character 1: a leading zero");
    }
    if (decimal_parse(out, text, max, err) != E_OK) {
        return text.len == 0 ? err_set(err, E_MALFORMED, "character 1: expected a digit")
                             : err_set(err, E_MALFORMED, "character %zu: over %llu", text.len,
                                       (unsigned long long)max);
    }
    return E_OK;
}

/* Against a pattern in which '0' is any digit and all others are themselves. */
static enum err_code check_pattern(struct span text, const char *pattern, struct err *err)
{
    size_t len = strlen(pattern);
    for (size_t i = 0; i < len; i++) {
        bool is_digit = i < text.len && text.data[i] >= '0' && text.data[i] <= '9';
        if (pattern[i] == '0' ? !is_digit : i >= text.len || text.data[i] != pattern[i]) {
            return err_set(err, E_MALFORMED, "character %zu: expected the form %s", i + 1, pattern);
        }
    }
    if (text.len > len) {
        return err_set(err, E_MALFORMED, "character %zu: expected the form %s", len + 1, pattern);
    }
    return E_OK;
}

static int digits_at(struct span text, size_t at, size_t count)
{
    int value = 0;
    for (size_t i = at; i < at + count; i++) {
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

/* The date at the beginning of a text of the right form. */
static enum err_code take_date(uint64_t *days, struct span text, struct err *err)
{
    struct tm tm = { .tm_year = digits_at(text, 0, 4) - 1900,
                     .tm_mon = digits_at(text, 5, 2) - 1,
                     .tm_mday = digits_at(text, 8, 2) };
    struct tm same = tm;
    time_t when = timegm(&same);
    if (same.tm_mon != tm.tm_mon || same.tm_mday != tm.tm_mday) {
        return err_set(err, E_MALFORMED, "character %d: no such date",
                       tm.tm_mon < 0 || tm.tm_mon > 11 ? 6 : 9);
    }
    if (when < 0) {
        return err_set(err, E_MALFORMED, "character 1: before 1970");
    }
    *days = (uint64_t)when / (60 * MINUTES_A_DAY);
    return E_OK;
}

static enum err_code take_day(uint64_t *out, struct span text, struct err *err)
{
    enum err_code rc = check_pattern(text, "0000-00-00", err);
    return rc == E_OK ? take_date(out, text, err) : rc;
}

static enum err_code take_minute(uint64_t *out, struct span text, struct err *err)
{
    uint64_t days = 0;
    enum err_code rc = check_pattern(text, "0000-00-00T00:00Z", err);
    if (rc == E_OK) {
        rc = take_date(&days, text, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    int hours = digits_at(text, DATE_CHARS + 1, 2), minutes = digits_at(text, DATE_CHARS + 4, 2);
    if (hours > 23 || minutes > 59) {
        return err_set(err, E_MALFORMED, "character %d: no such time",
                       (int)DATE_CHARS + (hours > 23 ? 2 : 5));
    }
    *out = days * MINUTES_A_DAY + (uint64_t)(hours * 60 + minutes);
    return E_OK;
}

static enum err_code take_kind(uint64_t *out, struct span text, struct err *err)
{
    const struct kind *kind = kind_by_name(text);
    if (!kind_may_be_sealed(kind)) {
        return err_set(err, E_MALFORMED, "character 1: no kind that may be sealed");
    }
    *out = kind->number;
    return E_OK;
}

static enum err_code put_integer(struct buf *out, enum field_type type, uint64_t max,
                                 struct span text, struct err *err)
{
    uint64_t integer = 0;
    enum err_code rc = E_OK;
    switch (type) {
    case FIELD_TYPE_DATE:
        rc = take_day(&integer, text, err);
        break;
    case FIELD_TYPE_MINUTE:
        rc = take_minute(&integer, text, err);
        break;
    case FIELD_TYPE_KIND:
        rc = take_kind(&integer, text, err);
        break;
    default:
        rc = take_integer(&integer, text, max, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(integer >> (56 - 8 * i));
    }
    return buf_append(out, SPAN_OF_ARRAY(bytes), err);
}

/* `len` bytes in hex; `first` is the position of the first digit. */
static enum err_code put_hex(struct buf *out, size_t len, struct span text, size_t first,
                             struct err *err)
{
    uint8_t bytes[CERTIFICATE_BYTES];
    assert(len <= sizeof bytes);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t ignored;
        uint8_t pair[2] = { text.data[i], '0' };
        if (i >= 2 * len || hex_decode(&ignored, 1, SPAN_OF_ARRAY(pair), err) != E_OK) {
            return err_set(err, E_MALFORMED, "character %zu: expected %s", first + i,
                           i >= 2 * len ? "the end" : "a hexadecimal digit");
        }
    }
    if (hex_decode(bytes, len, text, err) != E_OK) {
        return err_set(err, E_MALFORMED, "character %zu: expected %zu hexadecimal digits",
                       first + text.len, 2 * len);
    }
    return buf_append(out, span_of(bytes, len), err);
}

/* Each reference in hex, with a comma between two; nothing at all for none. */
static enum err_code put_references(struct buf *out, struct span text, struct err *err)
{
    struct buf value = BUF_INIT(FIELD_VALUE_BYTES_MAX);
    enum err_code rc = E_OK;
    struct span rest = text;
    while (rc == E_OK && text.len > 0) {
        struct span one;
        size_t first = text.len - rest.len + 1;
        bool is_last = !span_take_until(&rest, ',', &one);
        one = is_last ? rest : one;
        rc = put_hex(&value, REFERENCE_BYTES, one, first, err);
        if (is_last) {
            break;
        }
    }
    if (rc == E_OK) {
        rc = buf_append(out, buf_span(&value), err);
    }
    buf_clear(&value);
    return rc;
}

static enum err_code put_value(struct buf *out, enum field_type type, struct span text,
                               struct err *err)
{
    uint64_t max = 0;
    enum err_code rc = E_OK;
    if (type == FIELD_TYPE_NONE) {
        return err_set(err, E_MALFORMED, "is reserved: always absent");
    }
    if (integer_max(type, &max)) {
        return put_integer(out, type, max, text, err);
    }
    if (type == FIELD_TYPE_REFERENCES) {
        return put_references(out, text, err);
    }
    if (fixed_size(type) != 0) {
        return put_hex(out, fixed_size(type), text, 1, err);
    }
    bool is_spelled = put_spelling(out, type, text, &rc, err);
    assert(is_spelled);
    return rc;
}

enum err_code field_put_value(struct buf *out, unsigned number, struct span text, struct err *err)
{
    const struct field_definition *field = field_definition(number);
    if (put_value(out, field->type, text, err) != E_OK) {
        err->code = E_MALFORMED;
        return err_wrap(err, "%s", field->name);
    }
    return E_OK;
}

/* -- writing -- */

/* The first `chars` characters of the minute: all of them, or the date alone. */
static void put_time(struct buf *out, uint64_t minutes, size_t chars)
{
    time_t when = (time_t)(minutes * 60);
    struct tm tm;
    char text[MINUTE_CHARS + 1];
    struct tm *found = gmtime_r(&when, &tm);
    assert(found != NULL);
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%MZ", &tm);
    assert(len == MINUTE_CHARS);
    buf_put(out, span_of(text, chars));
}

static void put_integer_text(struct buf *out, enum field_type type, uint64_t integer)
{
    switch (type) {
    case FIELD_TYPE_DATE:
        put_time(out, integer * MINUTES_A_DAY, DATE_CHARS);
        return;
    case FIELD_TYPE_MINUTE:
        put_time(out, integer, MINUTE_CHARS);
        return;
    case FIELD_TYPE_KIND:
        buf_put_str(out, kind_find((uint32_t)integer)->name);
        return;
    default:
        buf_putf(out, "%llu", (unsigned long long)integer);
    }
}

void field_put_text(struct buf *out, unsigned number, struct span value)
{
    enum field_type type = field_definition(number)->type;
    uint64_t integer = 0, max = 0;
    struct span one;
    if (integer_max(type, &max)) {
        bool is_integer = span_take_u64(&value, &integer);
        assert(is_integer);
        put_integer_text(out, type, integer);
    } else if (type == FIELD_TYPE_REFERENCES) {
        for (const char *comma = ""; span_take(&value, REFERENCE_BYTES, &one); comma = ",") {
            buf_put_str(out, comma);
            hex_put(out, one);
        }
    } else if (fixed_size(type) != 0) {
        hex_put(out, value);
    } else {
        buf_put(out, value);
    }
}
