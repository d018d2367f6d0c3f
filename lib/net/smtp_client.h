/* smtp_client.h -- hands mails to a mail server.
 *
 * Spec: RFC 5321; STARTTLS (RFC 3207) and AUTH (RFC 4954) as libcurl does them. Certificates are checked
 * whenever there is TLS. Over smtp:// TLS begins when the server offers it; a password goes to a server on
 * another machine over TLS only. Proxies come from the environment, but never for loopback hosts.
 * Blocks. One thread at a time.
 */
#ifndef NET_SMTP_CLIENT_H
#define NET_SMTP_CLIENT_H

#include "base/err.h"
#include "base/span.h"

struct smtp_client_options {     /* texts are copied */
    const char *url;             /* smtp://HOST[:PORT] or smtps://HOST[:PORT] */
    const char *user, *password; /* both, or both NULL */
    const char *ca_file;         /* PEM, instead of the system's authorities; NULL: those */
};

struct smtp_client;

/* No connection is made yet. */
struct smtp_client *smtp_client_new(const struct smtp_client_options *options);
void smtp_client_free(struct smtp_client *client); /* NULL is fine */

/* Hands over a message for one recipient; the connection is kept for the next. The addresses are valid
 * (mail_message.h); the message is borrowed, with CRLF line ends. E_OK: the server has taken it. E_DENIED: it
 * refuses this mail for good (5xx), so trying again is no use; E_TIMEOUT; E_MALFORMED (the URL, or not SMTP);
 * E_IO: all else, also 4xx and what is wrong with user or certificate. The error ends with the server's words,
 * escaped. */
MUST_USE enum err_code smtp_client_send(struct smtp_client *client, const char *from,
                                        const char *to, struct span message, uint32_t timeout_ms,
                                        struct err *err);

#endif
