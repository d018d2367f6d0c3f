#include "net/smtp_client.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/limits.h"
#include "net/curl_parts.h"
#include "net/mail_message.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <sys/socket.h>

enum {
    REPLY_SHOWN = 160, /* bytes of the server's words */
};

struct smtp_client {
    CURL *easy;
    struct span rest;            /* of the message: not given to curl yet */
    bool is_given;               /* all of it was */
    char reply[REPLY_SHOWN + 1]; /* the server's last line */
    char error[CURL_ERROR_SIZE];
};

static size_t on_read(char *room, size_t size, size_t count, void *ctx)
{
    struct smtp_client *client = ctx;
    size_t len = size * count < client->rest.len ? size * count : client->rest.len;
    memcpy(room, client->rest.data, len);
    client->rest = span_slice(client->rest, len, client->rest.len - len);
    client->is_given = client->rest.len == 0;
    return len;
}

/* Lines of the server. */
static size_t on_reply(char *data, size_t size, size_t count, void *ctx)
{
    struct smtp_client *client = ctx;
    size_t len = size * count;
    size_t kept = len < REPLY_SHOWN ? len : REPLY_SHOWN;
    while (kept > 0 && strchr("\r\n", data[kept - 1]) != NULL) {
        kept--;
    }
    memcpy(client->reply, data, kept);
    client->reply[kept] = 0;
    return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}

static void set_security(CURL *easy, const struct smtp_client_options *options)
{
    bool is_loopback = curl_parts_is_loopback(options->url);
    bool must_be_safe = options->password != NULL && !is_loopback;
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)(must_be_safe ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (options->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
    }
    if (is_loopback) {
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    }
    if (options->user != NULL) {
        curl_easy_setopt(easy, CURLOPT_USERNAME, options->user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, options->password);
    }
}

struct smtp_client *smtp_client_new(const struct smtp_client_options *options)
{
    assert((options->user == NULL) == (options->password == NULL));
    curl_parts_init();
    struct smtp_client *client = NEW(struct smtp_client);
    client->easy = curl_easy_init();
    assert(client->easy != NULL); /* out of memory */
    CURL *easy = client->easy;
    curl_easy_setopt(easy, CURLOPT_URL, options->url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, client);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_reply);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, client);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->error);
    set_security(easy, options);
    return client;
}

/* curl ends a connection with QUIT, and would wait two minutes for the answer to that. */
static void shut(struct smtp_client *client, int how)
{
    curl_socket_t socket = CURL_SOCKET_BAD;
    if (curl_easy_getinfo(client->easy, CURLINFO_ACTIVESOCKET, &socket) == CURLE_OK &&
        socket != CURL_SOCKET_BAD) {
        shutdown(socket, how);
    }
}

void smtp_client_free(struct smtp_client *client)
{
    if (client != NULL) {
        shut(client, SHUT_RD); /* the QUIT is sent, its answer not waited for */
        curl_easy_cleanup(client->easy);
        mem_free(client);
    }
}

/* The server refuses the sender, the recipient or the message: not the connection, and not the user. */
static bool is_refused(struct smtp_client *client, CURLcode result)
{
    long status = 0;
    curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
    return status / 100 == 5 && (result == CURLE_SEND_ERROR || client->is_given);
}

static enum err_code code_of(struct smtp_client *client, CURLcode result)
{
    switch (result) {
    case CURLE_OPERATION_TIMEDOUT:
        return E_TIMEOUT;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return E_MALFORMED;
    default:
        return is_refused(client, result) ? E_DENIED : E_IO;
    }
}

static enum err_code tell(struct smtp_client *client, CURLcode result, struct err *err)
{
    const char *text = client->error[0] != 0 ? client->error : curl_easy_strerror(result);
    enum err_code code = code_of(client, result);
    if (client->reply[0] == 0) {
        return err_set(err, code, "%s", text);
    }
    struct buf reply = BUF_INIT(8 * REPLY_SHOWN);
    ascii_put_escaped(&reply, span_of_str(client->reply), REPLY_SHOWN);
    err_set(err, code, "%s: the server said \"%s\"", text, buf_c_str(&reply));
    buf_clear(&reply);
    return code;
}

static void set_envelope(CURL *easy, const char *from, struct curl_slist *to)
{
    char sender[MAIL_ADDRESS_MAX + 3];
    snprintf(sender, sizeof sender, "<%s>", from);
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, sender);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, to);
}

enum err_code smtp_client_send(struct smtp_client *client, const char *from, const char *to,
                               struct span message, uint32_t timeout_ms, struct err *err)
{
    assert(mail_address_is_valid(span_of_str(from)));
    assert(mail_address_is_valid(span_of_str(to)));
    assert(timeout_ms > 0);
    CURL *easy = client->easy;
    uint32_t connect_ms = HTTP_CLIENT_CONNECT_TIMEOUT_MS;
    char recipient[MAIL_ADDRESS_MAX + 3];
    snprintf(recipient, sizeof recipient, "<%s>", to);
    struct curl_slist *recipients = curl_slist_append(NULL, recipient);
    assert(recipients != NULL); /* out of memory */
    client->rest = message;
    client->is_given = false;
    client->reply[0] = client->error[0] = 0;
    set_envelope(easy, from, recipients);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)message.len);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(timeout_ms < connect_ms ? timeout_ms : connect_ms));
    CURLcode result = curl_easy_perform(easy);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, NULL);
    curl_slist_free_all(recipients);
    if (result == CURLE_OK) {
        return E_OK;
    }
    enum err_code rc = tell(client, result, err);
    if (rc != E_DENIED) {
        shut(client, SHUT_RDWR); /* or a late answer would be taken for that to the next mail */
    }
    return rc;
}
