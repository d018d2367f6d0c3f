/* A program of the operator's: no shell, arguments that are ours, the alert on its standard input. */
#include "base/child.h"
#include "monitor/alert_sink_parts.h"
#include "monitor/alert_text.h"

enum {
    OUTPUT_MAX = 1024 * 1024 /* of what it says, which nobody reads */
};

enum err_code alert_sink_send_command(struct alert_sink *sink, const struct delivery *delivery,
                                      int64_t now_s, struct err *err)
{
    const struct alert_sink_options *options = &sink->options;
    const struct finding_kind *kind = finding_kind(delivery->alert.code);
    struct buf input = BUF_INIT(ALERT_TEXT_BYTES_MAX + 1), output = BUF_INIT(OUTPUT_MAX);
    char *const argv[] = {
        (char *)options->target,    (char *)delivery_event_text(delivery->event),
        (char *)kind->text,         (char *)finding_severity_text(kind->severity),
        (char *)delivery->alert.id, NULL
    };
    alert_text_put_webhook(&input, delivery, options->monitor_name, options->page_url, now_s);
    buf_put_u8(&input, '\n');
    enum err_code rc = child_run(argv, buf_span(&input), alert_sink_timeout_ms(sink), &output, err);
    buf_clear(&input);
    buf_clear(&output);
    return rc;
}
