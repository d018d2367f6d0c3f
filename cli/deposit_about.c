#include "cli/deposit_about.h"

#include "cli/deposit.h"

static const char *const keys[DEPOSIT_STATEMENTS] = {
    [DEPOSIT_OPERATOR] = "operator",       [DEPOSIT_WITNESSES] = "witnesses",
    [DEPOSIT_ENVIRONMENT] = "environment", [DEPOSIT_TIME_SOURCES] = "time-sources",
    [DEPOSIT_KNOWN_GAPS] = "known-gaps",   [DEPOSIT_CONTACT] = "contact",
};

static struct span *place_of(struct deposit_about *about, struct span key)
{
    struct span stem = key;
    bool is_chinese = span_has_suffix(key, span_of_str(".zh"));
    if (is_chinese) {
        stem.len -= 3;
    }
    for (size_t i = 0; i < DEPOSIT_STATEMENTS; i++) {
        if (span_is_str(stem, keys[i])) {
            return is_chinese ? &about->zh[i] : &about->en[i];
        }
    }
    return NULL;
}

static enum err_code take_line(struct deposit_about *about, struct span line, size_t number,
                               struct err *err)
{
    size_t at = span_find(line, span_of_str(" = "));
    if (at == SIZE_MAX) {
        return err_set(err, E_MALFORMED, "about, line %zu: not 'key = value'", number);
    }
    struct span *place = place_of(about, span_slice(line, 0, at));
    struct span value = span_slice(line, at + 3, line.len - at - 3);
    if (place == NULL) {
        return err_set(err, E_MALFORMED, "about, line %zu: an unknown key", number);
    }
    if (place->len > 0) {
        return err_set(err, E_MALFORMED, "about, line %zu: the key is there twice", number);
    }
    if (value.len == 0 || value.len > DEPOSIT_ABOUT_VALUE_MAX || !deposit_text_is_plain(value)) {
        return err_set(err, E_MALFORMED,
                       "about, line %zu: not 1 to %d bytes of UTF-8 without control characters",
                       number, DEPOSIT_ABOUT_VALUE_MAX);
    }
    *place = value;
    return E_OK;
}

enum err_code deposit_about_parse(struct deposit_about *out, struct span text, struct err *err)
{
    struct deposit_about about = { .en = { { NULL, 0 } } };
    struct span line;
    if (text.len > DEPOSIT_ABOUT_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "about: more than %d bytes", DEPOSIT_ABOUT_BYTES_MAX);
    }
    for (size_t number = 1; text.len > 0; number++) {
        if (!span_take_until(&text, '\n', &line)) {
            return err_set(err, E_MALFORMED, "about, line %zu: it does not end", number);
        }
        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }
        enum err_code rc = take_line(&about, line, number, err);
        if (rc != E_OK) {
            return rc;
        }
    }
    *out = about;
    return E_OK;
}

const char *deposit_about_template(void)
{
    return "# What the issuer of certificates states about the deposit service: 'key = value' "
           "lines, each\n"
           "# key at most once, 'key.zh' for the same in Chinese. Printed as stated, not as "
           "proved.\n"
           "# Say only what you would repeat before a court; leave out what you do not know.\n"
           "\n"
           "# Who operates the log, and whose interests the operator has.\n"
           "operator = The court of Example Town; no party to any case that is logged\n"
           "operator.zh = 示例镇法院；不是任何存证案件的当事人\n"
           "\n"
           "# Who operates each witness, and how they depend on the operator or on each other.\n"
           "witnesses = The procuratorate, the notary office and the audit office of Example Town; "
           "each "
           "on machines and networks of its own\n"
           "witnesses.zh = 示例镇检察院、公证处、审计局分别运行，机器和网络各自独立\n"
           "\n"
           "# Where the software runs: system, updates, protection grade, who has access.\n"
           "environment = Debian 12 on the court's own machines; two administrators, access is "
           "logged\n"
           "environment.zh = 法院自有机器，Debian 12；两名管理员，访问留痕\n"
           "\n"
           "# Where the clocks of log and witnesses get their time.\n"
           "time-sources = Each witness by NTP from a source of its own choice\n"
           "time-sources.zh = 各见证方自行选择时间源，以 NTP 校时\n"
           "\n"
           "# What did not go as it should while this was deposited, and what is not covered.\n"
           "known-gaps = None known\n"
           "known-gaps.zh = 无已知缺口\n"
           "\n"
           "contact = log@court.example\n";
}
