#include "net/mail_message.h"

#include "base/ascii.h"
#include "base/crypto.h"

#include <assert.h>
#include <ctype.h>
#include <time.h>

enum {
    PLAIN_SUBJECT_MAX = 200, /* a longer one is encoded, since that folds */
    ENCODED_WORD_BYTES = 39, /* "Subject: " and a word of them stay below 76 characters */
    LINE_BYTES_MAX = 900,    /* RFC 5322 2.1.1 has 998 */
    BASE64_LINE_BYTES = 57,  /* 76 characters */
};

#define TIME_S_MAX INT64_C(253402300799) /* the end of the year 9999 */

/* -- what is refused -- */

bool mail_address_is_valid(struct span address)
{
    size_t at = span_find(address, span_of_str("@"));
    if (at == SIZE_MAX || at == 0 || at + 1 == address.len || address.len > MAIL_ADDRESS_MAX ||
        span_find_last(address, span_of_str("@")) != at) {
        return false;
    }
    for (size_t i = 0; i < address.len; i++) {
        uint8_t c = address.data[i];
        if (c <= ' ' || c >= 0x7f || strchr("<>()[],;:\\\"", c) != NULL) {
            return false;
        }
    }
    return true;
}

static bool is_id(const char *id)
{
    size_t len = strlen(id);
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)id[i]) && strchr(".-_", id[i]) == NULL) {
            return false;
        }
    }
    return len > 0 && len <= MAIL_ID_MAX && id[0] != '.' && id[len - 1] != '.' &&
           strstr(id, "..") == NULL;
}

/* UTF-8 without control characters, but for those in `allowed`. */
static bool is_text(struct span text, const char *allowed)
{
    struct span rest = text;
    uint32_t c;
    while (utf8_take(&rest, &c)) {
        bool is_control = c < 0x20 || (c >= 0x7f && c < 0xa0);
        if (is_control && (c == 0 || c >= 0x7f || strchr(allowed, (int)c) == NULL)) {
            return false;
        }
    }
    return rest.len == 0;
}

static enum err_code check_addresses(const struct mail_message *message, struct err *err)
{
    if (!mail_address_is_valid(span_of_str(message->from))) {
        return err_set(err, E_MALFORMED, "the sender is no mail address");
    }
    if (message->to_count == 0 || message->to_count > MAIL_RECIPIENTS_MAX) {
        return err_set(err, E_MALFORMED, "a mail has 1 to %d recipients", MAIL_RECIPIENTS_MAX);
    }
    for (size_t i = 0; i < message->to_count; i++) {
        if (!mail_address_is_valid(span_of_str(message->to[i]))) {
            return err_set(err, E_MALFORMED, "recipient %zu is no mail address", i + 1);
        }
    }
    return E_OK;
}

static enum err_code check(const struct mail_message *message, struct err *err)
{
    if (!is_id(message->id) || (message->in_reply_to != NULL && !is_id(message->in_reply_to))) {
        return err_set(err, E_MALFORMED, "not the ID of a mail");
    }
    if (strlen(message->subject) > MAIL_SUBJECT_MAX || message->body.len > MAIL_BODY_MAX) {
        return err_set(err, E_TOO_LARGE, "the mail is over the size limit");
    }
    if (!is_text(span_of_str(message->subject), "") || !is_text(message->body, "\n\t")) {
        return err_set(err, E_MALFORMED, "the mail has control characters, or is not UTF-8");
    }
    return check_addresses(message, err);
}

/* -- headers -- */

static void put_date(struct buf *out, int64_t unix_s)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t time = unix_s < 0 ? 0 : unix_s > TIME_S_MAX ? TIME_S_MAX : unix_s;
    struct tm tm;
    gmtime_r(&time, &tm);
    buf_putf(out, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d +0000\r\n", days + 3 * tm.tm_wday,
             tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
}

static void put_to(struct buf *out, const struct mail_message *message)
{
    buf_put_str(out, "To: ");
    for (size_t i = 0; i < message->to_count; i++) {
        buf_putf(out, "%s<%s>", i > 0 ? ",\r\n " : "", message->to[i]);
    }
    buf_put_str(out, "\r\n");
}

static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] >= 0x7f) {
            return false;
        }
    }
    return text.len <= PLAIN_SUBJECT_MAX && span_find(text, span_of_str("=?")) == SIZE_MAX;
}

/* As many whole code points as one encoded word takes. */
static struct span take_word(struct span *in)
{
    struct span rest = *in;
    size_t len = 0;
    uint32_t c;
    while (utf8_take(&rest, &c) && in->len - rest.len <= ENCODED_WORD_BYTES) {
        len = in->len - rest.len;
    }
    struct span word = span_slice(*in, 0, len);
    *in = span_slice(*in, len, in->len - len);
    return word;
}

static void put_subject(struct buf *out, struct span subject)
{
    buf_put_str(out, "Subject: ");
    if (is_plain(subject)) {
        buf_put(out, subject);
        buf_put_str(out, "\r\n");
        return;
    }
    for (bool is_first = true; subject.len > 0; is_first = false) {
        buf_put_str(out, is_first ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?");
        base64_put(out, take_word(&subject));
        buf_put_str(out, "?=");
    }
    buf_put_str(out, "\r\n");
}

static void put_ids(struct buf *out, const struct mail_message *message)
{
    const char *domain = strchr(message->from, '@') + 1;
    buf_putf(out, "Message-ID: <%s@%s>\r\n", message->id, domain);
    if (message->in_reply_to != NULL) {
        buf_putf(out, "In-Reply-To: <%s@%s>\r\n", message->in_reply_to, domain);
        buf_putf(out, "References: <%s@%s>\r\n", message->in_reply_to, domain);
    }
}

/* -- body -- */

static bool is_seven_bit(struct span body)
{
    size_t line_bytes = 0;
    for (size_t i = 0; i < body.len; i++) {
        line_bytes = body.data[i] == '\n' ? 0 : line_bytes + 1;
        if (body.data[i] >= 0x7f || line_bytes > LINE_BYTES_MAX) {
            return false;
        }
    }
    return true;
}

static void put_lines(struct buf *out, struct span body)
{
    struct span line;
    while (span_take_until(&body, '\n', &line)) {
        buf_put(out, line);
        buf_put_str(out, "\r\n");
    }
    if (body.len > 0) {
        buf_put(out, body);
        buf_put_str(out, "\r\n");
    }
}

static void put_base64(struct buf *out, struct span body)
{
    struct buf lines = BUF_INIT(2 * MAIL_BODY_MAX + 2);
    put_lines(&lines, body);
    struct span rest = buf_span(&lines);
    while (rest.len > 0) {
        struct span line;
        size_t len = rest.len < BASE64_LINE_BYTES ? rest.len : (size_t)BASE64_LINE_BYTES;
        bool is_taken = span_take(&rest, len, &line);
        assert(is_taken);
        base64_put(out, line);
        buf_put_str(out, "\r\n");
    }
    buf_clear(&lines);
}

enum err_code mail_message_put(struct buf *out, const struct mail_message *message, struct err *err)
{
    enum err_code rc = check(message, err);
    if (rc != E_OK) {
        return rc;
    }
    bool is_plain_body = is_seven_bit(message->body);
    buf_putf(out, "From: <%s>\r\n", message->from);
    put_to(out, message);
    put_date(out, message->unix_s);
    put_subject(out, span_of_str(message->subject));
    put_ids(out, message);
    buf_put_str(out, "Auto-Submitted: auto-generated\r\n"
                     "MIME-Version: 1.0\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\n");
    buf_putf(out, "Content-Transfer-Encoding: %s\r\n\r\n", is_plain_body ? "7bit" : "base64");
    if (is_plain_body) {
        put_lines(out, message->body);
    } else {
        put_base64(out, message->body);
    }
    return E_OK;
}
