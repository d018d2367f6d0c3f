#include "monitor/note_check.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "monitor/known_note.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct checking {
    struct note_check_result *out;
    const struct watched_log_options *options;
    const struct note_memory_of_log *memory;
    uint64_t now_s;
};

/* `subject` is a name of the policy, which may be any bytes. A finding for which there is no room is left out:
 * there are 128 of them by then. */
static void add(struct checking *checking, enum finding_code code, const char *subject,
                const char *fmt, ...) PRINTF_LIKE(4, 5);

static void add(struct checking *checking, enum finding_code code, const char *subject,
                const char *fmt, ...)
{
    struct note_check_result *out = checking->out;
    if (out->count == NOTE_CHECK_FINDINGS_MAX) {
        return;
    }
    size_t i = out->count++;
    struct buf escaped = BUF_INIT(4 * FINDING_SUBJECT_MAX + 8);
    ascii_put_escaped(&escaped, span_of_str(subject), FINDING_SUBJECT_MAX);
    out->findings[i].code = code;
    snprintf(out->findings[i].subject, sizeof out->findings[i].subject, "%s", buf_c_str(&escaped));
    buf_clear(&escaped);
    va_list args;
    va_start(args, fmt);
    vsnprintf(out->findings[i].summary, sizeof out->findings[i].summary, fmt, args);
    va_end(args);
}

/* Words that may hold bytes of the note, for a summary. */
struct words {
    char text[4 * ERR_MSG_MAX + 8];
};

static struct words escape(const char *text)
{
    struct words words;
    struct buf escaped = BUF_INIT(sizeof words.text);
    ascii_put_escaped(&escaped, span_of_str(text), ERR_MSG_MAX);
    snprintf(words.text, sizeof words.text, "%s", buf_c_str(&escaped));
    buf_clear(&escaped);
    return words;
}

static const char *witness_name(const struct checking *checking, size_t witness)
{
    return policy_witness_at(checking->options->policy, witness)->name;
}

/* -- the rules -- */

static void check_signatures(struct checking *checking, const struct known_note *note)
{
    for (size_t i = 0; i < policy_witness_count(checking->options->policy); i++) {
        if (note->bad_witnesses.has[i]) {
            add(checking, FINDING_BAD_SIGNATURE, witness_name(checking, i),
                "The cosignature of this witness on the checkpoint of size %" PRIu64
                " does not verify under its key in the policy.",
                note->verdict.checkpoint.size);
        }
    }
}

static void check_quorum(struct checking *checking, const struct policy_verdict *verdict)
{
    const struct policy *policy = checking->options->policy;
    if (!policy_has_quorum(policy) || verdict->is_met) {
        return;
    }
    size_t present = 0;
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        present += verdict->cosigned.has[i] ? 1 : 0;
    }
    struct buf rule = BUF_INIT(POLICY_BYTES_MAX + 1);
    policy_put_rule(&rule, policy);
    add(checking, FINDING_NO_QUORUM, "",
        "The checkpoint of size %" PRIu64 " bears valid cosignatures of %zu of %zu witnesses; the "
        "policy asks for %s.",
        verdict->checkpoint.size, present, policy_witness_count(policy),
        escape(buf_c_str(&rule)).text);
    buf_clear(&rule);
}

static void check_future(struct checking *checking, const struct policy_verdict *verdict)
{
    uint64_t tolerance = checking->options->thresholds.future_tolerance_s;
    for (size_t i = 0; i < policy_witness_count(checking->options->policy); i++) {
        uint64_t time = verdict->timestamps[i];
        if (verdict->cosigned.has[i] && time > checking->now_s &&
            time - checking->now_s > tolerance) {
            add(checking, FINDING_FUTURE_COSIGNATURE, witness_name(checking, i),
                "Its cosignature on the checkpoint of size %" PRIu64 " has the time %" PRIu64
                ", %" PRIu64 " s ahead of our clock.",
                verdict->checkpoint.size, time, time - checking->now_s);
        }
    }
}

static void check_stale(struct checking *checking, const struct policy_verdict *verdict)
{
    uint64_t age_max_s = checking->options->thresholds.stalled_after_s;
    if (age_max_s == 0 || !checking->memory->has_note || checking->memory->is_after_pause ||
        verdict->checkpoint.size <= checking->memory->size_max) {
        return;
    }
    for (size_t i = 0; i < policy_witness_count(checking->options->policy); i++) {
        uint64_t time = verdict->timestamps[i];
        if (verdict->cosigned.has[i] && time < checking->now_s &&
            checking->now_s - time > age_max_s) {
            add(checking, FINDING_STALE_COSIGNATURE, witness_name(checking, i),
                "The checkpoint of size %" PRIu64
                " is new, but its cosignature has the time %" PRIu64 ", %" PRIu64 " s ago.",
                verdict->checkpoint.size, time, checking->now_s - time);
        }
    }
}

static void check_backwards(struct checking *checking, const struct policy_verdict *verdict)
{
    const struct note_memory_of_log *memory = checking->memory;
    if (!memory->has_note || memory->size != verdict->checkpoint.size ||
        !hash_is_equal(&memory->root, &verdict->checkpoint.root)) {
        return;
    }
    for (size_t i = 0; i < policy_witness_count(checking->options->policy); i++) {
        uint64_t before = memory->timestamps[i], time = verdict->timestamps[i];
        if (verdict->cosigned.has[i] && time < before) {
            add(checking, FINDING_TIME_BACKWARDS, witness_name(checking, i),
                "The checkpoint of size %" PRIu64 " had its cosignature of %" PRIu64
                " and now has one of %" PRIu64 ".",
                verdict->checkpoint.size, before, time);
        }
    }
}

/* -- a note, rule by rule -- */

static void check_verified(struct checking *checking, const struct known_note *note)
{
    checking->out->is_usable = true;
    checking->out->verdict = note->verdict;
    check_signatures(checking, note);
    check_quorum(checking, &note->verdict);
    check_future(checking, &note->verdict);
    check_stale(checking, &note->verdict);
    check_backwards(checking, &note->verdict);
}

static void check_parsed(struct checking *checking, struct known_note *note)
{
    struct err err;
    if (known_note_verify(note, checking->options, &err) == E_OK) {
        check_verified(checking, note);
        return;
    }
    add(checking, FINDING_BAD_SIGNATURE, "",
        "A checkpoint of size %" PRIu64 " is served that the log has not signed: %s.",
        note->verdict.checkpoint.size, escape(err.msg).text);
    check_signatures(checking, note);
}

void note_check(struct note_check_result *out, const struct watched_log_options *options,
                const struct note_memory_of_log *memory, struct span bytes, int64_t now_s)
{
    struct checking checking = { out, options, memory, now_s > 0 ? (uint64_t)now_s : 0 };
    struct known_note *note = NEW(struct known_note); /* 20 KB: not for every stack */
    struct err err;
    out->is_usable = false;
    out->verdict = (struct policy_verdict){ 0 };
    out->count = 0;
    enum err_code rc = known_note_parse(note, options, bytes, &err);
    if (rc == E_OK) {
        check_parsed(&checking, note);
        known_note_clear(note);
    } else if (rc == E_NOT_FOUND) {
        add(&checking, FINDING_MALFORMED, "checkpoint",
            "Under the address of this log %s is served.", escape(err.msg).text);
    } else {
        add(&checking, FINDING_MALFORMED, "checkpoint",
            "What is served as the checkpoint (%zu bytes) is none: %s.", bytes.len,
            escape(err.msg).text);
    }
    mem_free(note);
}

void note_memory_of_log_take(struct note_memory_of_log *memory,
                             const struct policy_verdict *verdict)
{
    const struct checkpoint *checkpoint = &verdict->checkpoint;
    memory->has_note = true;
    memory->size = checkpoint->size;
    memory->root = checkpoint->root;
    if (checkpoint->size > memory->size_max) {
        memory->size_max = checkpoint->size;
    }
    for (size_t i = 0; i < POLICY_KEYS_MAX; i++) {
        memory->timestamps[i] = verdict->cosigned.has[i] ? verdict->timestamps[i] : 0;
    }
}
