#include "monitor/alert_evidence.h"

static bool is_note(struct span bytes)
{
    struct note note;
    struct err err;
    if (bytes.len > EVIDENCE_BYTES_MAX || note_parse(&note, bytes, &err) != E_OK) {
        return false;
    }
    note_clear(&note);
    return true;
}

static enum err_code put_observation(struct buf *out, const struct finding *finding,
                                     const struct signer *key, int64_t now_s, struct err *err)
{
    struct evidence_observation observation = {
        .code = span_of_str(finding_kind(finding->code)->text),
        .origin = span_of_str(finding->origin),
        .subject = span_of_str(finding->subject),
        .summary = span_of_str(finding->summary),
        .unix_s = now_s > 0 ? (uint64_t)now_s : 0,
    };
    if (is_note(finding->evidence)) {
        observation.note = finding->evidence;
        enum err_code rc = evidence_put_observation(out, &observation, key, err);
        if (rc != E_TOO_LARGE && rc != E_MALFORMED) {
            return rc;
        }
        observation.note = span_of(NULL, 0); /* what was seen is told, though it cannot be shown */
    }
    return evidence_put_observation(out, &observation, key, err);
}

enum err_code alert_evidence_put(struct buf *out, const struct finding *finding,
                                 const struct signer *key, int64_t now_s, struct err *err)
{
    if (finding_kind(finding->code)->is_provable && finding->evidence.len > 0) {
        if (finding->evidence.len > EVIDENCE_BYTES_MAX) {
            return err_set(err, E_TOO_LARGE, "evidence of %zu bytes", finding->evidence.len);
        }
        return buf_append(out, finding->evidence, err);
    }
    return put_observation(out, finding, key, now_s, err);
}
