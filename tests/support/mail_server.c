#include "tests/support/mail_server.h"

#include "base/crypto.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mail_server {
    int listener;
    char url[64];
    pthread_t thread;
    atomic_bool is_stopping;
    pthread_mutex_t lock; /* guards all below */
    struct mail_server_options options;
    struct mail_server_mail mails[MAIL_SERVER_MAILS_MAX];
    size_t count, connections;
    char auth[512];
};

struct session {
    struct mail_server *server;
    struct mail_server_options options;
    int fd;
    SSL *ssl; /* NULL: in the clear */
    struct mail_server_mail mail;
    char buffer[MAIL_SERVER_TEXT_MAX];
    size_t len;
};

/* -- bytes -- */

/* Waits for the peer, or the end of the test. */
static bool wait_readable(struct session *session)
{
    if (session->ssl != NULL && SSL_pending(session->ssl) > 0) {
        return true;
    }
    while (!session->server->is_stopping) {
        struct pollfd polled = { .fd = session->fd, .events = POLLIN };
        if (poll(&polled, 1, 20) > 0) {
            return true;
        }
    }
    return false;
}

static void say(struct session *session, const char *text)
{
    char line[1024];
    int len = snprintf(line, sizeof line, "%s\r\n", text);
    if (session->ssl != NULL) {
        SSL_write(session->ssl, line, len);
    } else {
        send(session->fd, line, (size_t)len, MSG_NOSIGNAL);
    }
}

static bool fill(struct session *session)
{
    assert(session->len + 1 < sizeof session->buffer);
    char *at = session->buffer + session->len;
    size_t room = sizeof session->buffer - 1 - session->len;
    if (!wait_readable(session)) {
        return false;
    }
    ssize_t got = session->ssl != NULL ? SSL_read(session->ssl, at, (int)room)
                                       : recv(session->fd, at, room, 0);
    session->len += got > 0 ? (size_t)got : 0;
    session->buffer[session->len] = 0;
    return got > 0;
}

/* The next bytes up to and with `end`. */
static bool take(struct session *session, const char *end, char *out, size_t room)
{
    char *found;
    while ((found = strstr(session->buffer, end)) == NULL) {
        if (!fill(session)) {
            return false;
        }
    }
    size_t len = (size_t)(found - session->buffer) + strlen(end);
    assert(len < room);
    memcpy(out, session->buffer, len);
    out[len] = 0;
    session->len -= len;
    memmove(session->buffer, session->buffer + len, session->len + 1);
    return true;
}

static bool hangs(struct session *session, const char *at)
{
    const char *where = session->options.hangs_at;
    if (where == NULL || strncmp(at, where, strlen(where)) != 0) {
        return false;
    }
    while (!session->server->is_stopping) {
        char c;
        if (recv(session->fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) == 0) {
            break; /* the peer has given up */
        }
        usleep(5000);
    }
    return true;
}

/* -- commands -- */

static bool start_tls(struct session *session)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    int rc = SSL_CTX_use_certificate_file(context, session->options.cert_path, SSL_FILETYPE_PEM);
    assert(rc == 1);
    rc = SSL_CTX_use_PrivateKey_file(context, session->options.key_path, SSL_FILETYPE_PEM);
    assert(rc == 1);
    session->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(session->ssl, session->fd);
    session->len = 0;
    session->buffer[0] = 0;
    return SSL_accept(session->ssl) == 1;
}

static void say_hello(struct session *session)
{
    say(session, "250-mail.test");
    if (session->options.cert_path != NULL && session->ssl == NULL) {
        say(session, "250-STARTTLS");
    }
    if (session->options.offers_auth) {
        say(session, "250-AUTH PLAIN");
    }
    say(session, "250 SIZE 10000000");
}

static void take_auth(struct session *session, const char *text)
{
    struct buf decoded = BUF_INIT(400);
    struct err err;
    size_t len = strcspn(text, "\r\n");
    enum err_code rc = base64_append_decoded(&decoded, span_of(text, len), BASE64_STRICT, &err);
    assert(rc == E_OK);
    pthread_mutex_lock(&session->server->lock);
    for (size_t i = 0; i < decoded.len; i++) {
        char c = (char)decoded.data[i];
        session->server->auth[i] = (char)(c == 0 ? '|' : c);
        session->server->auth[i + 1] = 0;
    }
    pthread_mutex_unlock(&session->server->lock);
    say(session, strstr(session->server->auth, "wrong") != NULL ? "535 wrong password" : "235 ok");
    buf_clear(&decoded);
}

static void undouble_dots(char *data)
{
    char *at = data;
    while ((at = strstr(at, "\r\n..")) != NULL) {
        memmove(at + 2, at + 3, strlen(at + 3) + 1);
        at += 3;
    }
}

static bool take_data(struct session *session)
{
    char *data = malloc(MAIL_SERVER_TEXT_MAX);
    say(session, "354 go on");
    if (!take(session, "\r\n.\r\n", data, MAIL_SERVER_TEXT_MAX)) {
        free(data);
        return false;
    }
    undouble_dots(data);
    data[strlen(data) - 3] = 0;
    if (hangs(session, ".") || session->options.answer_to_data != NULL) {
        say(session,
            session->options.answer_to_data != NULL ? session->options.answer_to_data : "");
        free(data);
        return true;
    }
    struct mail_server *server = session->server;
    session->mail.data = data;
    session->mail.is_tls = session->ssl != NULL;
    pthread_mutex_lock(&server->lock);
    assert(server->count < MAIL_SERVER_MAILS_MAX);
    server->mails[server->count++] = session->mail;
    pthread_mutex_unlock(&server->lock);
    say(session, "250 taken");
    return true;
}

static void answer_rcpt(struct session *session, const char *line)
{
    snprintf(session->mail.to, sizeof session->mail.to, "%.*s", (int)strcspn(line + 8, "\r\n"),
             line + 8);
    bool is_refused = session->options.refused != NULL && strstr(line, session->options.refused);
    say(session, is_refused ? session->options.refusal : "250 ok");
}

static bool answer(struct session *session, const char *line)
{
    if (hangs(session, line) || strncmp(line, "QUIT", 4) == 0) {
        return false;
    }
    if (strncmp(line, "EHLO", 4) == 0) {
        say_hello(session);
    } else if (strncmp(line, "STARTTLS", 8) == 0) {
        say(session, "220 go on");
        return start_tls(session);
    } else if (strncmp(line, "AUTH PLAIN ", 11) == 0) {
        take_auth(session, line + 11);
    } else if (strncmp(line, "AUTH PLAIN", 10) == 0) {
        char text[512];
        say(session, "334 ");
        if (!take(session, "\r\n", text, sizeof text)) {
            return false;
        }
        take_auth(session, text);
    } else if (strncmp(line, "MAIL FROM:", 10) == 0) {
        snprintf(session->mail.from, sizeof session->mail.from, "%.*s",
                 (int)strcspn(line + 10, "\r\n"), line + 10);
        say(session, "250 ok");
    } else if (strncmp(line, "RCPT TO:", 8) == 0) {
        answer_rcpt(session, line);
    } else if (strncmp(line, "DATA", 4) == 0) {
        return take_data(session);
    } else {
        say(session, strncmp(line, "RSET", 4) == 0 ? "250 ok" : "502 no");
    }
    return true;
}

static void serve(struct mail_server *server, int fd)
{
    struct session *session = calloc(1, sizeof *session);
    char line[2048];
    session->server = server;
    session->fd = fd;
    pthread_mutex_lock(&server->lock);
    session->options = server->options;
    server->connections++;
    pthread_mutex_unlock(&server->lock);
    if (!hangs(session, "connect") && (!session->options.is_tls_at_once || start_tls(session))) {
        say(session, "220 mail.test");
        while (take(session, "\r\n", line, sizeof line) && answer(session, line)) {
        }
    }
    SSL_free(session->ssl);
    close(fd);
    free(session);
}

static void *run(void *arg)
{
    struct mail_server *server = arg;
    while (!server->is_stopping) {
        struct pollfd polled = { .fd = server->listener, .events = POLLIN };
        int fd = poll(&polled, 1, 20) > 0 ? accept(server->listener, NULL, NULL) : -1;
        if (fd >= 0) {
            serve(server, fd);
        }
    }
    return NULL;
}

struct mail_server *mail_server_start(const struct mail_server_options *options)
{
    struct mail_server *server = calloc(1, sizeof *server);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    server->options = *options;
    pthread_mutex_init(&server->lock, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = bind(server->listener, (struct sockaddr *)&address, len);
    assert(rc == 0);
    rc = listen(server->listener, 8);
    assert(rc == 0);
    getsockname(server->listener, (struct sockaddr *)&address, &len);
    snprintf(server->url, sizeof server->url, "%s://127.0.0.1:%u",
             options->is_tls_at_once ? "smtps" : "smtp", ntohs(address.sin_port));
    rc = pthread_create(&server->thread, NULL, run, server);
    assert(rc == 0);
    return server;
}

void mail_server_stop(struct mail_server *server)
{
    server->is_stopping = true;
    pthread_join(server->thread, NULL);
    close(server->listener);
    for (size_t i = 0; i < server->count; i++) {
        free(server->mails[i].data);
    }
    pthread_mutex_destroy(&server->lock);
    free(server);
}

void mail_server_set(struct mail_server *server, const struct mail_server_options *options)
{
    pthread_mutex_lock(&server->lock);
    server->options = *options;
    pthread_mutex_unlock(&server->lock);
}

const char *mail_server_url(const struct mail_server *server)
{
    return server->url;
}

size_t mail_server_count(struct mail_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t count = server->count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

const struct mail_server_mail *mail_server_mail(struct mail_server *server, size_t i)
{
    assert(i < mail_server_count(server));
    return &server->mails[i];
}

size_t mail_server_connections(struct mail_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t count = server->connections;
    pthread_mutex_unlock(&server->lock);
    return count;
}

const char *mail_server_auth(struct mail_server *server)
{
    return server->auth;
}
