/* mail_server.h -- a mail server for tests: takes mails on loopback, with STARTTLS and AUTH PLAIN if told so, and
 * misbehaves on request. A thread of its own; one connection at a time. */
#ifndef SUPPORT_MAIL_SERVER_H
#define SUPPORT_MAIL_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    MAIL_SERVER_MAILS_MAX = 32,
    MAIL_SERVER_TEXT_MAX = 64 * 1024
};

struct mail_server_options {
    const char *cert_path, *key_path; /* PEM; STARTTLS is offered when they are there */
    bool is_tls_at_once;              /* smtps:// */
    bool offers_auth;
    const char *hangs_at; /* "connect", or the first word of a command, or "." after the data */
    const char *refused;  /* a recipient with this in it ... */
    const char *refusal;  /* ... is answered so: "550 no such user" */
    const char *answer_to_data; /* at the end of the data, instead of 250 */
};

struct mail_server_mail {
    char from[512], to[512];
    char *data; /* with dots undoubled, CRLF ends as they came; owned */
    bool is_tls;
};

struct mail_server;

struct mail_server *mail_server_start(const struct mail_server_options *options);
void mail_server_stop(struct mail_server *server);             /* frees */
const char *mail_server_url(const struct mail_server *server); /* "smtp://127.0.0.1:PORT" */
/* What may be changed while it runs takes effect with the next connection. */
void mail_server_set(struct mail_server *server, const struct mail_server_options *options);

/* Mails that were taken, in order. */
size_t mail_server_count(struct mail_server *server);
const struct mail_server_mail *mail_server_mail(struct mail_server *server, size_t i);
size_t mail_server_connections(struct mail_server *server);
/* The decoded AUTH PLAIN, with '|' for NUL; "": none. */
const char *mail_server_auth(struct mail_server *server);

#endif
