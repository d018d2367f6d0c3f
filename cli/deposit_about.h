/* deposit_about.h -- the about file: what the issuer of a certificate states, which nothing proves.
 *
 * Spec: docs/certificate.md, "The about file". "key = value" lines, UTF-8; "key.zh" is the same in Chinese.
 * Pure. Any thread.
 */
#ifndef CLI_DEPOSIT_ABOUT_H
#define CLI_DEPOSIT_ABOUT_H

#include "base/err.h"
#include "base/span.h"

enum {
    DEPOSIT_ABOUT_VALUE_MAX = 2000, /* bytes */
};

enum deposit_statement {
    DEPOSIT_OPERATOR,
    DEPOSIT_WITNESSES, /* who runs them, and how independent they are */
    DEPOSIT_ENVIRONMENT,
    DEPOSIT_TIME_SOURCES,
    DEPOSIT_KNOWN_GAPS,
    DEPOSIT_CONTACT,
    DEPOSIT_STATEMENTS,
};

struct deposit_about {
    struct span en[DEPOSIT_STATEMENTS], zh[DEPOSIT_STATEMENTS]; /* empty: not stated */
};

/* Empty `text`: nothing is stated. E_MALFORMED names the line. The spans are inside `text`. */
MUST_USE enum err_code deposit_about_parse(struct deposit_about *out, struct span text,
                                           struct err *err);

/* A file to start from, with comments. */
const char *deposit_about_template(void);

#endif
