/* alert_text.h -- an alert in words and in JSON: one spelling for page, sinks and API. Pure. Any thread. */
#ifndef MONITOR_ALERT_TEXT_H
#define MONITOR_ALERT_TEXT_H

#include "monitor/alert_book.h"

enum {
    ALERT_TEXT_BYTES_MAX = 64 * 1024 /* room that each of these asks of `out` */
};

/* {"id":..., "code":..., "severity":..., "origin":..., "state":..., "first_seen": seconds, "last_seen":...,
 * "summary":..., "subject":..., "count":..., "drill":bool, "runbook":..., "evidence": "/evidence/<hex>" or null,
 * "evidence_all": [...], "acknowledged"/"comment"...}: an element of GET /alerts. */
void alert_text_put_json(struct buf *out, const struct alert *alert);
/* What webhooks get: {"version":1,"event":"opened","monitor":...,"page":...,"alert":{...}} */
void alert_text_put_webhook(struct buf *out, const struct delivery *delivery, const char *monitor,
                            const char *page_url, int64_t now_s);
/* The array that Alertmanager v2 takes, of one alert: labels alertname, code, severity, origin, subject,
 * monitor, alert_id; annotations summary, runbook, evidence; startsAt, endsAt (RFC 3339). */
void alert_text_put_alertmanager(struct buf *out, const struct delivery *delivery,
                                 const char *monitor, const char *page_url, int64_t now_s);
/* Subject line (no line ends) and body, in plain words. */
void alert_text_put_subject(struct buf *out, const struct delivery *delivery, const char *monitor);
void alert_text_put_body(struct buf *out, const struct delivery *delivery, const char *monitor,
                         const char *page_url);
/* "2026-01-31T23:59:00Z" */
void alert_text_put_time(struct buf *out, int64_t unix_s);

#endif
