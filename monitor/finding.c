#include "monitor/finding.h"

#include <assert.h>

static const struct finding_kind kinds[FINDING_COUNT] = {
    [FINDING_FORK] = { "fork", FINDING_CRITICAL, true, false,
                       "The log has signed two histories that cannot both be true.",
                       "Download the evidence file, keep copies of it away from this machine, call "
                       "the other "
                       "agencies and let each of them verify it, and trust no receipt of this log "
                       "until it is "
                       "known which history the court stands by." },
    [FINDING_WITNESS_EQUIVOCATION] = { "witness-equivocation", FINDING_CRITICAL, true, false,
                                       "A witness has cosigned two trees that contradict each "
                                       "other, or a smaller tree after a larger one.",
                                       "Keep the evidence file, call the operator of that witness "
                                       "and the agencies that count on it (a "
                                       "restored backup or a stolen key looks like this), and stop "
                                       "counting its cosignatures until its key "
                                       "is replaced." },
    [FINDING_PROMISE_BROKEN] = { "promise-broken", FINDING_CRITICAL, true, false,
                                 "The log promised an entry a place in its tree, and another entry "
                                 "is there.",
                                 "Keep the evidence file and the promise, tell whoever submitted "
                                 "the entry that it may not be logged, "
                                 "and call the court's operator to have it submitted again under "
                                 "witness." },
    [FINDING_TAG_REPEATED] = { "tag-repeated", FINDING_CRITICAL, true, false,
                               "The log holds two different records with one entry tag, and by its "
                               "own rule it may hold each tag once.",
                               "Keep the evidence file, and ask the court's operator which of the "
                               "two records counts and how the other one came past the gate." },
    [FINDING_BAD_SIGNATURE] = { "bad-signature", FINDING_CRITICAL, false, true,
                                "A checkpoint bears a signature that does not verify, or lacks the "
                                "log's own.",
                                "Compare the key in the policy file with the key that the operator "
                                "publishes; if they are the same, "
                                "call the operator: somebody on the way, or the server itself, "
                                "alters what is served." },
    [FINDING_NO_QUORUM] = { "no-quorum", FINDING_CRITICAL, false, true,
                            "The log serves a checkpoint that too few witnesses have cosigned.",
                            "Do not rely on entries that are newer than the last checkpoint with a "
                            "quorum, and ask the court's "
                            "operator which witnesses do not answer." },
    [FINDING_STALE_COSIGNATURE] = { "stale-cosignature", FINDING_WARNING, false, true,
                                    "A checkpoint that is new to us bears a cosignature that is "
                                    "old.",
                                    "Ask the court's operator why the checkpoint was kept back, "
                                    "and look whether the clock of that "
                                    "witness is slow." },
    [FINDING_FUTURE_COSIGNATURE] = { "future-cosignature", FINDING_WARNING, false, true,
                                     "A witness has cosigned with a time that is ahead of our "
                                     "clock.",
                                     "Look at the clock of this machine first (timedatectl); if it "
                                     "is right, tell the operator of the "
                                     "witness that theirs is fast." },
    [FINDING_TIME_BACKWARDS] = { "time-backwards", FINDING_WARNING, false, true,
                                 "A checkpoint is served again with an older cosignature than it "
                                 "had before.",
                                 "Ask the court's operator whether a backup was restored or one of "
                                 "several servers lags behind." },
    [FINDING_WITNESS_MISSING] = { "witness-missing", FINDING_WARNING, false, true,
                                  "A witness of the policy has not cosigned for a long time.",
                                  "Call the operator of that witness, before another one fails and "
                                  "the quorum is lost." },
    [FINDING_STALLED] = { "stalled", FINDING_CRITICAL, false, true,
                          "The log has published no freshly cosigned checkpoint for a long time.",
                          "Call the court's operator and ask whether the log runs and reaches its "
                          "witnesses; what is submitted "
                          "meanwhile is not provably logged." },
    [FINDING_ROLLBACK] = { "rollback", FINDING_CRITICAL, false, true,
                           "The log serves a smaller tree than it has shown before.",
                           "Call the court's operator before they write anything more: a restored "
                           "backup would sign a second "
                           "history over the entries that are missing." },
    [FINDING_ROOT_MISMATCH] = { "root-mismatch", FINDING_CRITICAL, false, true,
                                "The entries that the log serves do not hash to the root that it "
                                "signed.",
                                "Keep this monitor's data directory, ask the other agencies what "
                                "they were served, and have the "
                                "court's operator run courtroll fsck on the log." },
    [FINDING_MALFORMED] = { "malformed", FINDING_CRITICAL, false, true,
                            "The log serves something that is no checkpoint, bundle or tile.",
                            "Open the address of the log in a browser: if an error page or another "
                            "service answers, the address "
                            "or a proxy is wrong; otherwise call the court's operator." },
    [FINDING_TILE_MISMATCH] = { "tile-mismatch", FINDING_WARNING, false, true,
                                "A hash tile is missing or is not what the entries hash to; the "
                                "entries themselves are right.",
                                "Ask the court's operator to run courtroll fsck --repair, since "
                                "proofs made from that tile will fail." },
    [FINDING_GROWTH] = { "growth", FINDING_WARNING, false, true,
                         "The log grows faster than was set as plausible.",
                         "Ask the court's operator who submits so much, and whether the limits of "
                         "that submitter are meant." },
    [FINDING_WITHHELD] = { "withheld", FINDING_CRITICAL, false, true,
                           "Somebody was shown a checkpoint of the log whose entries are not "
                           "served to us.",
                           "Ask whoever runs the place that showed it for a copy of those entries, "
                           "then call the court's "
                           "operator: either the log is failing, or it shows different things to "
                           "different people." },
    [FINDING_UNREACHABLE] = { "unreachable", FINDING_WARNING, false, true,
                              "The log has not answered for a while.",
                              "Try its address from another network, then call the court's "
                              "operator." },
    [FINDING_BAD_RECORD] = { "bad-record", FINDING_CRITICAL, false, false,
                             "The log holds an entry that is no valid operation record.",
                             "Ask the court's operator how it came past the gate: nobody can say "
                             "who made such an entry, or what it means." },
    [FINDING_UNREGISTERED_KEY] = { "unregistered-key", FINDING_CRITICAL, false, false,
                                   "A record is of a submitter that was not registered on the log "
                                   "for it.",
                                   "Ask the court's operator who holds that key and why it is not "
                                   "registered, and do not rely on the record until it is known." },
    [FINDING_SEALED_OVERDUE] = { "sealed-overdue", FINDING_WARNING, false, true,
                                 "A sealed record has not been opened in the time that was set.",
                                 "Ask the court's operator what it is that is still sealed, "
                                 "and who decided so." },
    [FINDING_CASE_GAP] = { "case-gap", FINDING_CRITICAL, false, true,
                           "An operation of a case is missing: later ones of the same submitter "
                           "are on the log.",
                           "Ask the submitter for the missing operation, and whether its spool has "
                           "stopped." },
    [FINDING_CASE_ORDER] = { "case-order", FINDING_WARNING, false, false,
                             "The operations of a case are not on the log in the order of their "
                             "numbers.",
                             "Ask the submitter why an earlier operation was logged after a later "
                             "one." },
    [FINDING_CASE_AFTER_CLOSED] = { "case-after-closed", FINDING_WARNING, false, false,
                                    "An operation was logged for a case that is closed.",
                                    "Ask the court whether the case should have been resumed or a "
                                    "new one filed." },
    [FINDING_CASE_TIME_BACKWARDS] = { "case-time-backwards", FINDING_WARNING, false, false,
                                      "An operation of a case has an earlier time than the one "
                                      "numbered before it.",
                                      "Ask the submitter whether its clock was set back, or the "
                                      "operation was entered late without saying so." },
    [FINDING_CASE_FILED_TWICE] = { "case-filed-twice", FINDING_CRITICAL, false, false,
                                   "One case number was filed twice.",
                                   "Ask the court which of the two is the case, and have the "
                                   "operations of both compared." },
    [FINDING_CASE_COUNT] = { "case-count", FINDING_CRITICAL, false, false,
                             "A case was closed with another number of operations than are on the "
                             "log.",
                             "Ask the court which operations it counted, and the submitters "
                             "whether "
                             "any did not reach the log." },
    [FINDING_DRILL] = { "drill", FINDING_INFO, false, false,
                        "This is a test of the alarm: nothing is wrong.",
                        "Confirm that it has reached you, and do nothing else." },
    [FINDING_HEARTBEAT] = { "heartbeat", FINDING_INFO, false, false,
                            "The monitor is alive and tells how much it has looked at.",
                            "Nothing to do; look at the monitor when these stop coming." },
};

const struct finding_kind *finding_kind(enum finding_code code)
{
    assert((unsigned)code < FINDING_COUNT);
    return &kinds[code];
}

bool finding_code_parse(enum finding_code *out, struct span text)
{
    for (int i = 0; i < FINDING_COUNT; i++) {
        if (span_is_str(text, kinds[i].text)) {
            *out = (enum finding_code)i;
            return true;
        }
    }
    return false;
}

const char *finding_severity_text(enum finding_severity severity)
{
    static const char *const texts[] = { "info", "warning", "critical" };
    assert((unsigned)severity < sizeof texts / sizeof texts[0]);
    return texts[severity];
}
