/* alert_evidence.h -- the evidence file of a finding: its proof, or the monitor's signed word. Pure. Any thread. */
#ifndef MONITOR_ALERT_EVIDENCE_H
#define MONITOR_ALERT_EVIDENCE_H

#include "evidence/evidence.h"
#include "monitor/finding.h"

/* Appends the file: of a provable code what the finding brings, else, and when it brings none, an observation
 * signed with `key`, with the note it is about if that is one and fits. The texts are plain lines
 * (plain_line.h). `out` has room for EVIDENCE_BYTES_MAX. E_TOO_LARGE; signing_key_sign's. */
MUST_USE enum err_code alert_evidence_put(struct buf *out, const struct finding *finding,
                                          const struct signer *key, int64_t now_s, struct err *err);

#endif
