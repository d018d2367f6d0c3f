/* Mail: the same message to each recipient in turn. One who is refused for good is told of in our log and does not
 * hold up the others; if all are, nobody was told, and it is tried again. */
#include "base/log.h"
#include "monitor/alert_sink_parts.h"
#include "monitor/alert_text.h"
#include "monitor/clock.h"
#include "net/smtp_client.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum err_code alert_sink_check_mail(const struct alert_sink_options *options, struct err *err)
{
    if (options->mail_from == NULL || !mail_address_is_valid(span_of_str(options->mail_from))) {
        return err_set(err, E_MALFORMED, "the sender is no mail address");
    }
    if (options->mail_to_count == 0 || options->mail_to_count > MAIL_RECIPIENTS_MAX) {
        return err_set(err, E_MALFORMED, "there must be 1 to %d recipients", MAIL_RECIPIENTS_MAX);
    }
    for (size_t i = 0; i < options->mail_to_count; i++) {
        if (!mail_address_is_valid(span_of_str(options->mail_to[i]))) {
            return err_set(err, E_MALFORMED, "recipient %zu is no mail address", i + 1);
        }
    }
    if ((options->smtp_user == NULL) != (options->smtp_password_file == NULL)) {
        return err_set(err, E_MALFORMED, "user and password go together");
    }
    return E_OK;
}

/* The same for a delivery however often it is tried, so that a mailbox which got it twice shows it once. The
 * first of an alert has a name that the later ones can answer to. */
static void put_id(char out[ALERT_SINK_ID_MAX + 1], const struct delivery *delivery)
{
    if (delivery->event == DELIVERY_OPENED) {
        snprintf(out, ALERT_SINK_ID_MAX + 1, "%s.opened", delivery->alert.id);
    } else {
        snprintf(out, ALERT_SINK_ID_MAX + 1, "%s.%s.%" PRIu64, delivery->alert.id,
                 delivery_event_text(delivery->event), delivery->number);
    }
}

static enum err_code put_message(struct buf *out, const struct alert_sink *sink, const char *id,
                                 const struct delivery *delivery, int64_t now_s, struct err *err)
{
    const struct alert_sink_options *options = &sink->options;
    struct buf subject = BUF_INIT(ALERT_TEXT_BYTES_MAX), body = BUF_INIT(ALERT_TEXT_BYTES_MAX);
    char opened[ALERT_SINK_ID_MAX + 1];
    snprintf(opened, sizeof opened, "%s.opened", delivery->alert.id);
    alert_text_put_subject(&subject, delivery, options->monitor_name);
    alert_text_put_body(&body, delivery, options->monitor_name, options->page_url);
    struct mail_message message = {
        .from = options->mail_from,
        .to = options->mail_to,
        .to_count = options->mail_to_count,
        .unix_s = now_s,
        .subject = buf_c_str(&subject),
        .id = id,
        .in_reply_to = delivery->event == DELIVERY_OPENED ? NULL : opened,
        .body = buf_span(&body),
    };
    enum err_code rc = mail_message_put(out, &message, err);
    buf_clear(&subject);
    buf_clear(&body);
    return rc;
}

/* Sends to those who have not got it. E_OK when all have, or were refused; of that *err tells then too. */
static enum err_code send_each(struct alert_sink *sink, struct smtp_client *client,
                               struct span message, uint64_t deadline_ms, struct err *err)
{
    const struct alert_sink_options *options = &sink->options;
    struct alert_sink_mail *mail = &sink->mail;
    enum err_code worst = E_OK;
    for (size_t i = 0; i < options->mail_to_count; i++) {
        uint64_t now = clock_monotonic_ms();
        struct err why;
        if (mail->is_done[i]) {
            continue;
        }
        if (now >= deadline_ms) {
            return worst != E_OK ? worst : err_set(err, E_TIMEOUT, "the mail server is slow");
        }
        enum err_code rc = smtp_client_send(client, options->mail_from, options->mail_to[i],
                                            message, (uint32_t)(deadline_ms - now), &why);
        mail->is_refused[i] = rc == E_DENIED;
        mail->is_done[i] = rc == E_OK || rc == E_DENIED;
        if (rc != E_OK) {
            err_wrap(&why, "%s", options->mail_to[i]);
        }
        if (rc == E_DENIED) {
            log_error(LOG_LEVEL_WARN, "mail_recipient_refused", &why);
        }
        if (rc != E_OK && (worst == E_OK || rc != E_DENIED)) {
            *err = why;
            worst = rc;
        }
    }
    return worst == E_DENIED ? E_OK : worst;
}

/* Everybody was refused: nobody knows of the alert. */
static bool is_lost(const struct alert_sink *sink)
{
    for (size_t i = 0; i < sink->options.mail_to_count; i++) {
        if (!sink->mail.is_refused[i]) {
            return false;
        }
    }
    return true;
}

static enum err_code send_message(struct alert_sink *sink, struct span message, struct err *err)
{
    const struct alert_sink_options *options = &sink->options;
    uint64_t deadline_ms = clock_monotonic_ms() + alert_sink_timeout_ms(sink);
    struct buf password = BUF_INIT(ALERT_SINK_SECRET_MAX + 1);
    enum err_code rc = E_OK;
    if (options->smtp_password_file != NULL) {
        rc = alert_sink_read_secret(&password, options->smtp_password_file, err);
    }
    if (rc == E_OK) {
        struct smtp_client *client = smtp_client_new(&(struct smtp_client_options){
            .url = options->target,
            .user = options->smtp_user,
            .password = options->smtp_user != NULL ? buf_c_str(&password) : NULL,
            .ca_file = options->ca_file,
        });
        rc = send_each(sink, client, message, deadline_ms, err);
        smtp_client_free(client);
    }
    if (password.data != NULL) {
        crypto_wipe(password.data, password.cap);
    }
    buf_clear(&password);
    return rc;
}

enum err_code alert_sink_send_mail(struct alert_sink *sink, const struct delivery *delivery,
                                   int64_t now_s, struct err *err)
{
    struct alert_sink_mail *mail = &sink->mail;
    struct buf message = BUF_INIT(MAIL_MESSAGE_BYTES_MAX);
    char id[ALERT_SINK_ID_MAX + 1];
    put_id(id, delivery);
    if (strcmp(id, mail->id) != 0) {
        *mail = (struct alert_sink_mail){ .id = "" };
        memcpy(mail->id, id, sizeof id);
    }
    enum err_code rc = put_message(&message, sink, id, delivery, now_s, err);
    if (rc == E_OK) {
        rc = send_message(sink, buf_span(&message), err);
    }
    if (rc == E_OK && is_lost(sink)) {
        *mail = (struct alert_sink_mail){ .id = "" };
        err->code = E_IO; /* the words are those of a refusal */
        rc = err_wrap(err, "every recipient is refused");
    }
    buf_clear(&message);
    return rc;
}
