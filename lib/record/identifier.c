#include "record/identifier.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/crypto.h"

enum {
    CODE_CHARS = 18,     /* of a credit code and of a citizen id */
    CHARACTERS_MAX = 40, /* of an identifier: the longest case number has 29 */
    SERIAL_DIGITS_MAX = 9,
    TYPE_CODE_MAX = 3, /* Chinese characters */
};

enum {
    BRACKET_OPEN = 0xff08, /* the full-width ones of the canonical form */
    BRACKET_CLOSE = 0xff09,
    SHELL_OPEN = 0x3014, /* those that older papers have */
    SHELL_CLOSE = 0x3015,
    NUMBER_SIGN = 0x53f7, /* behind the serial number */
    OF_CASE = 0x4e4b,     /* before the ordinal of a ruling */
    NUMERAL_ONE = 0x4e00,
    NUMERAL_TEN = 0x5341,
};

/* An identifier's characters, folded: full-width ASCII to ASCII, lower case to upper case, round brackets to
 * full-width ones. A cursor; one 0 behind the last. */
struct characters {
    uint32_t all[CHARACTERS_MAX + 1];
    size_t at;
};

static uint32_t fold(uint32_t c)
{
    if (c >= 0xff01 && c <= 0xff5e) {
        c -= 0xfee0;
    }
    if (c >= 'a' && c <= 'z') {
        c -= 'a' - 'A';
    }
    return c == '(' ? BRACKET_OPEN : c == ')' ? BRACKET_CLOSE : c;
}

static enum err_code fold_all(struct characters *out, struct span text, struct err *err)
{
    *out = (struct characters){ .at = 0 };
    size_t count = 0;
    uint32_t c;
    while (utf8_take(&text, &c)) {
        if (count == CHARACTERS_MAX) {
            return err_set(err, E_MALFORMED, "character %zu: too long", count + 1);
        }
        if (c == 0) {
            return err_set(err, E_MALFORMED, "character %zu: a control character", count + 1);
        }
        out->all[count++] = fold(c);
    }
    if (text.len > 0) {
        return err_set(err, E_MALFORMED, "character %zu: not UTF-8", count + 1);
    }
    return E_OK;
}

static uint32_t next_of(const struct characters *in)
{
    return in->all[in->at];
}

static enum err_code expected(const struct characters *in, const char *what, struct err *err)
{
    return err_set(err, E_MALFORMED, "character %zu: expected %s", in->at + 1, what);
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_chinese(uint32_t c)
{
    return c >= 0x4e00 && c <= 0x9fff;
}

static bool contains(const char *set, uint32_t c)
{
    struct span rest = span_of_str(set);
    uint32_t one;
    while (utf8_take(&rest, &one)) {
        if (one == c) {
            return true;
        }
    }
    return false;
}

/* -- case numbers -- */

/* Of the 31 provincial high courts, the military and the Production Corps; the last is fictional, for tests. */
static const char provinces[] =
    "京津冀晋内辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川黔云藏陕甘青宁新军兵测";
static const char supreme_court[] = "最高法";
static const char numerals[] = "一二三四五六七八九";

static size_t take_digits(struct characters *in, size_t max)
{
    size_t count = 0;
    while (count < max && is_digit(next_of(in))) {
        in->at++;
        count++;
    }
    return count;
}

static enum err_code take_year(struct characters *in, struct err *err)
{
    uint32_t open = next_of(in);
    if (open != BRACKET_OPEN && open != SHELL_OPEN) {
        return expected(in, "an opening bracket", err);
    }
    in->at++;
    if (next_of(in) != '1' && next_of(in) != '2') {
        return expected(in, "a year", err);
    }
    if (take_digits(in, 4) != 4) {
        return expected(in, "a year of four digits", err);
    }
    if (next_of(in) != (open == BRACKET_OPEN ? BRACKET_CLOSE : SHELL_CLOSE)) {
        return expected(in, "the closing bracket", err);
    }
    in->at++;
    return E_OK;
}

static enum err_code take_court(struct characters *in, struct err *err)
{
    struct span rest = span_of_str(supreme_court);
    size_t matched = 0;
    uint32_t c;
    while (utf8_take(&rest, &c) && in->all[in->at + matched] == c) {
        matched++;
        if (rest.len == 0) {
            in->at += matched;
            return E_OK;
        }
    }
    if (!contains(provinces, next_of(in))) {
        in->at += matched;
        return expected(in, "a court code", err);
    }
    in->at++;
    size_t digits = take_digits(in, 4);
    if (digits % 2 != 0 || is_digit(next_of(in))) {
        return expected(in, "no, two or four digits of a court code", err);
    }
    return E_OK;
}

static enum err_code take_serial(struct characters *in, struct err *err)
{
    size_t type = 0;
    while (is_chinese(next_of(in)) && next_of(in) != NUMBER_SIGN && type < TYPE_CODE_MAX) {
        in->at++;
        type++;
    }
    if (type == 0) {
        return expected(in, "a type code of Chinese characters", err);
    }
    if (next_of(in) == '0') {
        return expected(in, "a serial number without a leading zero", err);
    }
    if (take_digits(in, SERIAL_DIGITS_MAX) == 0) {
        return expected(in, "a serial number", err);
    }
    if (next_of(in) != NUMBER_SIGN) {
        return expected(in, "the character for number", err);
    }
    in->at++;
    return E_OK;
}

/* The ordinal of a ruling, if there is one: one to ninety-nine. */
static enum err_code take_ordinal(struct characters *in, struct err *err)
{
    if (next_of(in) != OF_CASE) {
        return E_OK;
    }
    in->at++;
    bool is_numeral = contains(numerals, next_of(in));
    bool is_tens = is_numeral && next_of(in) != NUMERAL_ONE && in->all[in->at + 1] == NUMERAL_TEN;
    in->at += is_numeral;
    if (next_of(in) == NUMERAL_TEN && (is_tens || !is_numeral)) {
        in->at++;
        in->at += contains(numerals, next_of(in));
        return E_OK;
    }
    return is_numeral ? E_OK : expected(in, "a Chinese numeral up to ninety-nine", err);
}

static enum err_code take_case_number(struct characters *in, struct err *err)
{
    enum err_code rc = take_year(in, err);
    if (rc == E_OK) {
        rc = take_court(in, err);
    }
    if (rc == E_OK) {
        rc = take_serial(in, err);
    }
    return rc == E_OK ? take_ordinal(in, err) : rc;
}

static void put_character(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_put_u8(out, (uint8_t)c);
        return;
    }
    buf_put_u8(out, (uint8_t)(0xe0 | c >> 12)); /* all that are taken are in the basic plane */
    buf_put_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
    buf_put_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
}

/* All that was taken, which must be all there is, in its canonical form. */
static enum err_code put_taken(struct buf *out, struct characters *in, struct err *err)
{
    if (next_of(in) != 0) {
        return expected(in, "the end", err);
    }
    struct buf text = BUF_INIT(IDENTIFIER_BYTES_MAX);
    (void)buf_extend(&text, IDENTIFIER_BYTES_MAX); /* so that growing leaves no copy behind */
    buf_reset(&text);
    for (size_t i = 0; i < in->at; i++) {
        uint32_t c = in->all[i];
        put_character(&text, c == SHELL_OPEN ? BRACKET_OPEN : c == SHELL_CLOSE ? BRACKET_CLOSE : c);
    }
    enum err_code rc = buf_append(out, buf_span(&text), err);
    crypto_wipe_buf(&text);
    return rc;
}

/* -- codes of 18 characters -- */

/* GB 32100-2015: no I, O, S, V, Z. A character counts by its place here, not by its place among letters. */
static const char credit_alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";

static int credit_value(uint32_t c)
{
    for (int i = 0; credit_alphabet[i] != 0; i++) {
        if (c == (uint32_t)credit_alphabet[i]) {
            return i;
        }
    }
    return -1;
}

static enum err_code take_credit_code(struct characters *in, struct err *err)
{
    enum {
        REGION_FROM = 2, /* six digits: where it is registered */
        REGION_TO = 8,
        MODULUS = 31,
    };
    unsigned sum = 0, weight = 1;
    for (size_t i = 0; i < CODE_CHARS; i++) {
        uint32_t c = next_of(in);
        int value = credit_value(c);
        if (value < 0) {
            return expected(in, "a digit or a letter but I, O, S, V, Z", err);
        }
        if (i >= REGION_FROM && i < REGION_TO && !is_digit(c)) {
            return expected(in, "a digit of the region", err);
        }
        if (i < CODE_CHARS - 1) {
            sum += (unsigned)value * weight;
            weight = weight * 3 % MODULUS;
        } else if ((unsigned)value != (MODULUS - sum % MODULUS) % MODULUS) {
            return expected(in, "another check character", err);
        }
        in->at++;
    }
    return E_OK;
}

static unsigned number_at(const struct characters *in, size_t at, size_t count)
{
    unsigned value = 0;
    for (size_t i = at; i < at + count; i++) {
        value = value * 10 + (in->all[i] - '0');
    }
    return value;
}

static unsigned days_of_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

/* The date of birth at `from`. */
static enum err_code check_birth(struct characters *in, size_t from, struct err *err)
{
    enum {
        YEAR_MIN = 1800,
        YEAR_MAX = 2199
    };
    unsigned year = number_at(in, from, 4), month = number_at(in, from + 4, 2),
             day = number_at(in, from + 6, 2);
    if (year < YEAR_MIN || year > YEAR_MAX) {
        in->at = from;
        return expected(in, "a year of birth", err);
    }
    if (month < 1 || month > 12) {
        in->at = from + 4;
        return expected(in, "a month of birth", err);
    }
    if (day < 1 || day > days_of_month(year, month)) {
        in->at = from + 6;
        return expected(in, "a day of that month", err);
    }
    return E_OK;
}

static enum err_code take_citizen_id(struct characters *in, struct err *err)
{
    enum {
        BIRTH = 6
    };
    static const uint8_t weights[] = { 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2 };
    static const char checks[] = "10X98765432";
    size_t from = in->at;
    if (next_of(in) == '0') {
        return expected(in, "a region, which does not begin with 0", err);
    }
    if (take_digits(in, CODE_CHARS - 1) != CODE_CHARS - 1) {
        return expected(in, "a digit", err);
    }
    if (!is_digit(next_of(in)) && next_of(in) != 'X') {
        return expected(in, "a digit or X", err);
    }
    enum err_code rc = check_birth(in, from + BIRTH, err);
    if (rc != E_OK) {
        return rc;
    }
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof weights; i++) {
        sum += weights[i] * (in->all[from + i] - '0');
    }
    if (next_of(in) != (uint32_t)checks[sum % 11]) {
        return expected(in, "another check character", err);
    }
    in->at++;
    return E_OK;
}

/* -- one identifier, and nothing else -- */

static enum err_code put_identifier(struct buf *out, struct span text,
                                    enum err_code (*take)(struct characters *in, struct err *err),
                                    struct err *err)
{
    struct characters in;
    enum err_code rc = fold_all(&in, text, err);
    if (rc == E_OK) {
        rc = take(&in, err);
    }
    if (rc == E_OK) {
        rc = put_taken(out, &in, err);
    }
    crypto_wipe(&in, sizeof in);
    return rc;
}

enum err_code identifier_put_case_number(struct buf *out, struct span text, struct err *err)
{
    return put_identifier(out, text, take_case_number, err);
}

enum err_code identifier_put_court_code(struct buf *out, struct span text, struct err *err)
{
    return put_identifier(out, text, take_court, err);
}

enum err_code identifier_put_credit_code(struct buf *out, struct span text, struct err *err)
{
    return put_identifier(out, text, take_credit_code, err);
}

enum err_code identifier_put_citizen_id(struct buf *out, struct span text, struct err *err)
{
    return put_identifier(out, text, take_citizen_id, err);
}

/* -- inside other texts -- */

enum {
    BREAK = 0xfffd, /* where no identifier goes on */
    DIGEST_MIN =
        32, /* hexadecimal digits: as many as a tag has; some digits among them mean nothing */
    ACCOUNT_MIN = 15,
    ACCOUNT_MAX = 19,
    MOBILE_DIGITS = 11,
};

struct folded {
    uint32_t *all; /* owned; wiped */
    size_t count;
};

static bool is_letter(uint32_t c)
{
    return c >= 'A' && c <= 'Z';
}

/* Whether what takes an identifier takes one at `at`. */
static bool takes_at(const struct folded *text, size_t at,
                     enum err_code (*take)(struct characters *in, struct err *err))
{
    struct characters in = { .at = 0 };
    struct err err;
    size_t rest = text->count - at;
    size_t count = rest < CHARACTERS_MAX ? rest : CHARACTERS_MAX;
    memcpy(in.all, text->all + at, count * sizeof in.all[0]);
    bool is_taken = take(&in, &err) == E_OK;
    crypto_wipe(&in, sizeof in);
    return is_taken;
}

/* A case number is told from its court code on: its year may be written in many ways. */
static enum err_code take_court_and_serial(struct characters *in, struct err *err)
{
    enum err_code rc = take_court(in, err);
    return rc == E_OK ? take_serial(in, err) : rc;
}

/* Any 18 of the right form would also be found in random letters: the first is an authority, the second one of
 * its categories. */
static bool begins_credit_code(const struct folded *text, size_t at)
{
    return text->count - at >= CODE_CHARS && contains("123456789ANY", text->all[at]) &&
           contains("123456789", text->all[at + 1]);
}

/* Digits from `at` on, which begin there. */
static bool is_account_or_mobile(const struct folded *text, size_t at)
{
    size_t count = 0;
    while (at + count < text->count && is_digit(text->all[at + count])) {
        count++;
    }
    bool has_country =
        count == MOBILE_DIGITS + 2 && text->all[at] == '8' && text->all[at + 1] == '6';
    if (has_country) {
        at += 2;
        count -= 2;
    }
    return (count >= ACCOUNT_MIN && count <= ACCOUNT_MAX) ||
           (count == MOBILE_DIGITS && text->all[at] == '1' && text->all[at + 1] >= '3');
}

static bool holds_one(const struct folded *text)
{
    bool was_digit = false;
    for (size_t i = 0; i < text->count; i++) {
        uint32_t c = text->all[i];
        if (is_digit(c) &&
            ((!was_digit && is_account_or_mobile(text, i)) || takes_at(text, i, take_citizen_id))) {
            return true;
        }
        was_digit = is_digit(c);
        if ((begins_credit_code(text, i) && takes_at(text, i, take_credit_code)) ||
            (is_chinese(c) && takes_at(text, i, take_court_and_serial))) {
            return true;
        }
    }
    return false;
}

/* Breaks the runs of letters and digits that are digests in hex. */
static void break_digests(struct folded *text)
{
    size_t from = 0;
    bool is_hex = true, has_letter = false;
    for (size_t i = 0; i <= text->count; i++) {
        uint32_t c = i < text->count ? text->all[i] : BREAK;
        if (is_digit(c) || is_letter(c)) {
            is_hex = is_hex && (is_digit(c) || c <= 'F');
            has_letter = has_letter || is_letter(c);
            continue;
        }
        for (size_t k = from; is_hex && has_letter && i - from >= DIGEST_MIN && k < i; k++) {
            text->all[k] = BREAK;
        }
        from = i + 1;
        is_hex = true;
        has_letter = false;
    }
}

/* Folded; what is not UTF-8 breaks it. */
static struct folded fold_text(struct span text)
{
    struct folded out = { mem_calloc(text.len + 1, sizeof(uint32_t)), 0 };
    while (text.len > 0) {
        uint32_t c = BREAK;
        if (!utf8_take(&text, &c)) {
            text = span_slice(text, 1, text.len - 1);
        }
        out.all[out.count++] = c == 0 ? BREAK : fold(c);
    }
    break_digests(&out);
    return out;
}

/* Numbers are often written in groups. */
static void close_gaps(struct folded *text)
{
    size_t count = 0;
    for (size_t i = 0; i < text->count; i++) {
        uint32_t c = text->all[i];
        if (c != ' ' && c != '-' && c != 0xa0 && c != 0x3000) {
            text->all[count++] = c;
        }
    }
    text->count = count;
}

bool identifier_is_hidden_in(struct span text)
{
    struct folded folded = fold_text(text);
    size_t count = folded.count;
    bool is_hidden = holds_one(&folded);
    if (!is_hidden) {
        close_gaps(&folded);
        break_digests(&folded); /* a digest in groups */
        is_hidden = holds_one(&folded);
    }
    crypto_wipe(folded.all, count * sizeof folded.all[0]);
    mem_free(folded.all);
    return is_hidden;
}
