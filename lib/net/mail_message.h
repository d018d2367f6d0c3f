/* mail_message.h -- a mail of plain text, as it goes to a mail server.
 *
 * Spec: RFC 5322; RFC 2045 and 2047 (MIME); RFC 3834 (nobody's holiday answers it).
 * Pure. Any thread.
 */
#ifndef NET_MAIL_MESSAGE_H
#define NET_MAIL_MESSAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum {
    MAIL_ADDRESS_MAX = 254, /* bytes: RFC 5321 4.5.3.1.3 */
    MAIL_RECIPIENTS_MAX = 64,
    MAIL_SUBJECT_MAX = 1024, /* bytes of UTF-8 */
    MAIL_ID_MAX = 128,
    MAIL_BODY_MAX = 256 * 1024,
    MAIL_MESSAGE_BYTES_MAX = 768 * 1024 /* of the whole: base64, CRLF, headers */
};

/* Texts are borrowed. */
struct mail_message {
    const char *from;
    const char *const *to;
    size_t to_count;
    int64_t unix_s;
    const char *subject; /* UTF-8, one line */
    const char *id;      /* letters, digits, '.', '-' and '_': before the '@' of the Message-ID */
    const char *in_reply_to; /* likewise of another one, of the same sender; NULL: none */
    struct span body;        /* UTF-8, lines end with "\n" */
};

/* LOCAL@DOMAIN in plain ASCII, without anything that could be another header, another address or another
 * command of SMTP. */
bool mail_address_is_valid(struct span address);

/* Appends it with CRLF line ends; dots are not doubled, which is SMTP's. Requires room for
 * MAIL_MESSAGE_BYTES_MAX. E_MALFORMED for texts with control characters (of the body other than "\n" and tab), that
 * are not UTF-8, or are no address or ID; E_TOO_LARGE. Nothing is appended then. */
MUST_USE enum err_code mail_message_put(struct buf *out, const struct mail_message *message,
                                        struct err *err);

#endif
