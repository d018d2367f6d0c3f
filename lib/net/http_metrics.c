#include "net/http_metrics.h"

struct http_metrics http_metrics_add(struct metrics *m)
{
    return (struct http_metrics){
        .connections =
            metrics_add_gauge(m, "courtroll_http_connections", NULL, "Open HTTP connections."),
        .requests = metrics_add_counter(m, "courtroll_http_requests_total", NULL,
                                        "HTTP requests answered."),
        .rejected = metrics_add_counter(m, "courtroll_http_requests_rejected_total", NULL,
                                        "HTTP requests the server refused."),
        .refused = metrics_add_counter(m, "courtroll_http_connections_refused_total", NULL,
                                       "HTTP connections over the limit."),
        .timeouts = metrics_add_counter(m, "courtroll_http_timeouts_total", NULL,
                                        "HTTP connections closed for being slow."),
        .sent = metrics_add_counter(m, "courtroll_http_sent_bytes_total", NULL,
                                    "Bytes sent over HTTP."),
    };
}

void http_metrics_set(const struct http_metrics *http, const struct http_server_stats *stats)
{
    metrics_set(http->connections, stats->open_connections);
    metrics_count_total(http->requests, stats->requests);
    metrics_count_total(http->rejected, stats->rejected_requests);
    metrics_count_total(http->refused, stats->refused_connections);
    metrics_count_total(http->timeouts, stats->timeouts);
    metrics_count_total(http->sent, stats->sent_bytes);
}
