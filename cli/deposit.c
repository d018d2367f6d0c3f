#include "cli/deposit.h"

#include "base/ascii.h"
#include "cli/deposit_about.h"
#include "cli/deposit_code.h"

#define FIRST_LINE "courtroll certificate v1\n"

static const char *const names[DEPOSIT_FIELDS] = {
    [DEPOSIT_TEMPLATE] = "template",
    [DEPOSIT_PROGRAM] = "program",
    [DEPOSIT_EXECUTABLE] = "executable",
    [DEPOSIT_DOCUMENT_SHA256] = "document-sha256",
    [DEPOSIT_DOCUMENT_BYTES] = "document-bytes",
    [DEPOSIT_DOCUMENT_NAME] = "document-name",
    [DEPOSIT_ADDRESS] = "address",
    [DEPOSIT_ABOUT] = "about",
    [DEPOSIT_POLICY] = "policy",
    [DEPOSIT_PROOF] = "proof",
    [DEPOSIT_ANCHOR] = "anchor",
    [DEPOSIT_LEAF_HASH] = "leaf-hash",
    [DEPOSIT_ENTRY] = "entry",
    [DEPOSIT_SALT] = "salt",
    [DEPOSIT_DISCLOSURE] = "disclosure",
};

bool deposit_text_is_plain(struct span text)
{
    uint32_t c = 0;
    if (!utf8_is_valid(text)) {
        return false;
    }
    while (utf8_take(&text, &c)) {
        bool is_control = c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029;
        bool is_direction = c == 0x061c || c == 0x200e || c == 0x200f ||
                            (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
        if (is_control || is_direction || c == 0xfeff) {
            return false;
        }
    }
    return true;
}

enum err_code deposit_put(struct buf *out, const struct deposit *deposit, struct err *err)
{
    struct buf head = BUF_INIT(64);
    enum err_code rc = buf_append(out, span_of_str(FIRST_LINE), err);
    for (size_t i = 0; i < DEPOSIT_FIELDS && rc == E_OK; i++) {
        struct span value = deposit->fields[i];
        if (value.len == 0) {
            continue;
        }
        buf_reset(&head);
        buf_putf(&head, "%s %zu\n", names[i], value.len);
        rc = buf_append(out, buf_span(&head), err);
        rc = rc != E_OK ? rc : buf_append(out, value, err);
        rc = rc != E_OK ? rc : buf_append(out, span_of_str("\n"), err);
    }
    buf_clear(&head);
    return rc;
}

/* Which field has this name, at `least` or behind it. */
static enum err_code find_field(size_t *out, struct span name, size_t least, struct err *err)
{
    for (size_t i = least; i < DEPOSIT_FIELDS; i++) {
        if (span_is_str(name, names[i])) {
            *out = i;
            return E_OK;
        }
    }
    return err_set(err, E_MALFORMED, "a field that is unknown, repeated or out of order");
}

static enum err_code take_fields(struct deposit *out, struct span in, struct err *err)
{
    size_t next = 0;
    while (in.len > 0) {
        struct span name, number, line_end;
        uint64_t len = 0;
        size_t field = 0;
        if (!span_take_until(&in, ' ', &name) || find_field(&field, name, next, err) != E_OK) {
            return err_set(err, E_MALFORMED, "a field that is unknown, repeated or out of order");
        }
        if (!span_take_until(&in, '\n', &number) ||
            decimal_parse(&len, number, DEPOSIT_BYTES_MAX, err) != E_OK || len == 0 ||
            !span_take(&in, len, &out->fields[field]) || !span_take(&in, 1, &line_end) ||
            line_end.data[0] != '\n') {
            return err_set(err, E_MALFORMED, "%s: not of the length it says", names[field]);
        }
        next = field + 1;
    }
    return E_OK;
}

static bool has(const struct deposit *deposit, enum deposit_field field)
{
    return deposit->fields[field].len > 0;
}

static enum err_code check_presence(struct deposit *deposit, struct err *err)
{
    static const enum deposit_field required[] = { DEPOSIT_TEMPLATE,       DEPOSIT_PROGRAM,
                                                   DEPOSIT_EXECUTABLE,     DEPOSIT_DOCUMENT_SHA256,
                                                   DEPOSIT_DOCUMENT_BYTES, DEPOSIT_POLICY,
                                                   DEPOSIT_PROOF };
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if (!has(deposit, required[i])) {
            return err_set(err, E_MALFORMED, "%s: missing", names[required[i]]);
        }
    }
    if (has(deposit, DEPOSIT_ENTRY) != has(deposit, DEPOSIT_SALT)) {
        return err_set(err, E_MALFORMED, "entry and salt: one without the other");
    }
    if (has(deposit, DEPOSIT_LEAF_HASH) + has(deposit, DEPOSIT_ENTRY) +
            has(deposit, DEPOSIT_DISCLOSURE) !=
        1) {
        return err_set(err, E_MALFORMED, "not exactly one of leaf-hash, entry and disclosure");
    }
    deposit->kind = has(deposit, DEPOSIT_LEAF_HASH) ? DEPOSIT_IS_ENTRY
                    : has(deposit, DEPOSIT_ENTRY)   ? DEPOSIT_IN_RECORD
                                                    : DEPOSIT_IN_DISCLOSURE;
    return E_OK;
}

/* In lower case, so that there is one spelling. */
static enum err_code read_hex(uint8_t *out, size_t len, const struct deposit *deposit,
                              enum deposit_field field, struct err *err)
{
    struct span text = deposit->fields[field];
    bool is_lower = true;
    for (size_t i = 0; i < text.len; i++) {
        is_lower = is_lower && !(text.data[i] >= 'A' && text.data[i] <= 'F');
    }
    if (!is_lower || hex_decode(out, len, text, err) != E_OK) {
        return err_set(err, E_MALFORMED, "%s: not %zu bytes in lower-case hex", names[field], len);
    }
    return E_OK;
}

static enum err_code read_numbers(struct deposit *out, struct err *err)
{
    enum err_code rc = read_hex(out->executable.bytes, HASH_BYTES, out, DEPOSIT_EXECUTABLE, err);
    rc = rc != E_OK ? rc
                    : read_hex(out->document.bytes, HASH_BYTES, out, DEPOSIT_DOCUMENT_SHA256, err);
    if (rc == E_OK && out->kind == DEPOSIT_IS_ENTRY) {
        rc = read_hex(out->leaf.bytes, HASH_BYTES, out, DEPOSIT_LEAF_HASH, err);
    }
    if (rc == E_OK && out->kind == DEPOSIT_IN_RECORD) {
        rc = read_hex(out->salt, sizeof out->salt, out, DEPOSIT_SALT, err);
    }
    if (rc == E_OK && decimal_parse(&out->document_bytes, out->fields[DEPOSIT_DOCUMENT_BYTES],
                                    INT64_MAX, err) != E_OK) {
        rc = err_set(err, E_MALFORMED, "document-bytes: not a decimal");
    }
    return rc;
}

static enum err_code check_text(const struct deposit *deposit, enum deposit_field field,
                                size_t bytes_max, struct err *err)
{
    struct span text = deposit->fields[field];
    if (text.len > bytes_max || !deposit_text_is_plain(text)) {
        return err_set(err, E_MALFORMED,
                       "%s: not UTF-8 of at most %zu bytes without control characters",
                       names[field], bytes_max);
    }
    return E_OK;
}

static enum err_code check_texts(const struct deposit *deposit, struct err *err)
{
    struct deposit_about about;
    if (!span_is_str(deposit->fields[DEPOSIT_TEMPLATE], DEPOSIT_TEMPLATE_VERSION)) {
        return err_set(err, E_MALFORMED, "template: a version that this program does not know");
    }
    if (!span_has_prefix(deposit->fields[DEPOSIT_PROGRAM], span_of_str("courtroll "))) {
        return err_set(err, E_MALFORMED, "program: not courtroll");
    }
    enum err_code rc = check_text(deposit, DEPOSIT_PROGRAM, DEPOSIT_PROGRAM_BYTES_MAX, err);
    rc = rc != E_OK ? rc : check_text(deposit, DEPOSIT_DOCUMENT_NAME, DEPOSIT_NAME_BYTES_MAX, err);
    if (rc == E_OK && has(deposit, DEPOSIT_ADDRESS)) {
        rc = deposit_address_check(deposit->fields[DEPOSIT_ADDRESS], err);
    }
    return rc != E_OK ? rc : deposit_about_parse(&about, deposit->fields[DEPOSIT_ABOUT], err);
}

enum err_code deposit_parse(struct deposit *out, struct span bytes, struct err *err)
{
    struct deposit deposit = { .kind = DEPOSIT_IS_ENTRY };
    if (bytes.len > DEPOSIT_BYTES_MAX) {
        return err_set(err, E_TOO_LARGE, "the data: more than %d bytes", DEPOSIT_BYTES_MAX);
    }
    if (!span_take_prefix(&bytes, span_of_str(FIRST_LINE))) {
        return err_set(err, E_MALFORMED, "the data: not courtroll certificate v1");
    }
    enum err_code rc = take_fields(&deposit, bytes, err);
    rc = rc != E_OK ? rc : check_presence(&deposit, err);
    rc = rc != E_OK ? rc : read_numbers(&deposit, err);
    rc = rc != E_OK ? rc : check_texts(&deposit, err);
    if (rc == E_OK) {
        *out = deposit;
    }
    return rc;
}
