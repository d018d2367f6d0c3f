#include "cli/evidence_report.h"

#include "base/ascii.h"

#include <assert.h>
#include <stdlib.h>

/* -- the first words -- */

/* Of what is said the words are "monitor NAME says": see print_head. */
static const char *verdict_text(const struct evidence_report *report)
{
    static const char *const proved[] = {
        [EVIDENCE_FORK] = "FORK",
        [EVIDENCE_WITNESS_EQUIVOCATION] = "WITNESS EQUIVOCATION",
        [EVIDENCE_PROMISE_BROKEN] = "PROMISE BROKEN",
        [EVIDENCE_TAG_REPEATED] = "TAG REPEATED",
    };
    static const char *const others[] = {
        [EVIDENCE_OUTCOME_SAID] = "OBSERVATION",
        [EVIDENCE_OUTCOME_NOT_PROVED] = "NOT PROVED",
        [EVIDENCE_OUTCOME_BAD_SIGNATURE] = "BAD SIGNATURE",
        [EVIDENCE_OUTCOME_UNKNOWN_LOG] = "UNKNOWN LOG",
        [EVIDENCE_OUTCOME_MALFORMED] = "MALFORMED",
    };
    return report->outcome == EVIDENCE_OUTCOME_PROVED ? proved[report->evidence.kind]
                                                      : others[report->outcome];
}

/* 1 to 3; of a broken promise 0. */
static int form_of(const struct evidence_report *report)
{
    if (report->evidence.kind == EVIDENCE_PROMISE_BROKEN) {
        return 0;
    }
    if (report->verdict.is_later_smaller) {
        return 3;
    }
    return report->evidence.has_proof ? 2 : 1;
}

/* -- lines -- */

static void print_line(const char *label, const char *text)
{
    printf("  %-14s%s\n", label, text);
}

static void print_clean(const char *label, struct span text)
{
    char *clean = output_clean(text);
    print_line(label, clean);
    free(clean);
}

/* "NAME+12345678", as in the vkey. */
static struct buf key_text(const struct vkey *key)
{
    struct buf text = BUF_INIT(KEY_NAME_BYTES_MAX + 16);
    buf_putf(&text, "%s+%08x", key->name, (unsigned)key->id);
    return text;
}

static void print_key(const char *label, const struct vkey *key)
{
    struct buf text = key_text(key);
    print_clean(label, buf_span(&text));
    buf_clear(&text);
}

static void print_hash(const char *label, const struct hash *hash)
{
    struct buf text = BUF_INIT(HASH_BASE64_CHARS + 1);
    base64_put_hash(&text, hash);
    print_line(label, buf_c_str(&text));
    buf_clear(&text);
}

static void print_checkpoint(const char *label, uint64_t size, const struct hash *root)
{
    struct buf text = BUF_INIT(HASH_BASE64_CHARS + 64);
    buf_putf(&text, "%ju entries, root ", (uintmax_t)size);
    base64_put_hash(&text, root);
    print_line(label, buf_c_str(&text));
    buf_clear(&text);
}

static void print_policy(const struct policy *policy)
{
    struct buf hex = BUF_INIT(2 * HASH_BYTES + 1);
    hex_put(&hex, hash_span(policy_hash(policy)));
    print_line("policy", buf_c_str(&hex));
    buf_clear(&hex);
}

/* Paragraphs of words, each line of which is behind the label. */
static void print_words(const char *label, const char *words)
{
    struct span rest = span_of_str(words), line;
    while (span_take_until(&rest, '\n', &line)) {
        printf("  %-14s%.*s\n", label, SPAN_PRINTF(line));
        label = "";
    }
    assert(rest.len == 0);
}

/* -- the kinds -- */

/* The sentence that a court reads first: who has done it. */
static void print_holder(const struct evidence_report *report, const char *both, const char *each)
{
    struct buf texts[] = { key_text(report->keys[0]), key_text(report->keys[1]) };
    char *first = output_clean(buf_span(&texts[0]));
    char *second = output_clean(buf_span(&texts[1]));
    if (vkey_is_equal(report->keys[0], report->keys[1])) {
        printf("%s  the holder of key %s %s both\n", verdict_text(report), first, both);
    } else {
        printf("%s  the holders of keys %s and %s %s one each\n", verdict_text(report), first,
               second, each);
    }
    free(first);
    free(second);
    buf_clear(&texts[0]);
    buf_clear(&texts[1]);
}

static void print_contradiction(const struct evidence_report *report)
{
    const struct checkpoint *first = &report->verdict.checkpoints[0];
    const struct checkpoint *second = &report->verdict.checkpoints[1];
    print_clean("log", span_of_str(first->origin));
    print_checkpoint("first", first->size, &first->root);
    print_checkpoint("second", second->size, &second->root);
    if (report->evidence.kind == EVIDENCE_WITNESS_EQUIVOCATION) {
        for (size_t i = 0; i < 2; i++) {
            uint64_t time = report->verdict.timestamps[i];
            printf("  %-14s%s (unix time %ju)\n", i == 0 ? "first at" : "second at",
                   output_time(time).text, (uintmax_t)time);
        }
    }
    switch (form_of(report)) {
    case 1:
        print_line("proof", "form 1: one size, two roots");
        break;
    case 2:
        print_checkpoint("but", first->size, &report->verdict.contradicted);
        printf("  %-14sform 2: the second's first %ju entries are not those of the first\n",
               "proof", (uintmax_t)first->size);
        break;
    default:
        print_line("proof", "form 3: the smaller tree has the later time");
        break;
    }
}

static void print_fork(const struct evidence_report *report)
{
    print_holder(report, "signed", "signed");
    print_contradiction(report);
    print_words("it proves", "that the log has two histories: no tree that only ever grows\n"
                             "has both of these checkpoints.\n");
    print_words("but not", "which of them is right, who was shown which, or whether the key\n"
                           "was its owner's alone.\n");
}

static void print_equivocation(const struct evidence_report *report)
{
    print_holder(report, "cosigned", "cosigned");
    print_contradiction(report);
    if (report->verdict.is_later_smaller) {
        print_words("it proves", "that the witness said the smaller tree was the largest it knew,\n"
                                 "though by its own clock it had cosigned the larger one before:\n"
                                 "it forgot what it signed, or its clock is wrong.\n");
    } else {
        print_words("it proves", "that the witness vouched for two histories of one log: its\n"
                                 "cosignatures do not keep that log from showing both.\n");
    }
    print_words("but not", "anything about the log, whose signature is not looked at here, nor\n"
                           "whether the key was its owner's alone.\n");
}

static void print_broken_promise(const struct evidence_report *report)
{
    const struct checkpoint *checkpoint = &report->verdict.checkpoints[1];
    char *origin = output_clean(span_of_str(checkpoint->origin));
    printf("%s  the entry at index %ju of %s is not the promised one\n", verdict_text(report),
           (uintmax_t)report->evidence.index, origin);
    free(origin);
    print_clean("log", span_of_str(checkpoint->origin));
    printf("  %-14s%ju\n", "index", (uintmax_t)report->evidence.index);
    print_hash("promised leaf", &report->verdict.promised);
    print_key("promised by", report->keys[0]);
    print_hash("leaf there", &report->verdict.found);
    print_checkpoint("in a tree of", checkpoint->size, &checkpoint->root);
    print_key("signed by", report->keys[1]);
    print_words("it proves", "that the log gave its word for one entry at this index, and that\n"
                             "another one is there in a tree that it signed.\n");
    print_words("but not", "whether the promised entry is elsewhere in the log, why it is not\n"
                           "there, or whether the keys were their owner's alone.\n");
}

static void print_repeated_tag(const struct evidence_report *report)
{
    const struct checkpoint *checkpoint = &report->verdict.checkpoints[1];
    const struct evidence_entry *entries = report->evidence.entries;
    char *origin = output_clean(span_of_str(checkpoint->origin));
    printf("%s  two records of %s have one entry tag\n", verdict_text(report), origin);
    free(origin);
    print_clean("log", span_of_str(checkpoint->origin));
    print_hash("entry tag", &report->verdict.tag);
    for (size_t i = 0; i < 2; i++) {
        printf("  %-14s%ju\n", i == 0 ? "first index" : "second index",
               (uintmax_t)entries[i].index);
        print_hash("  leaf", &report->verdict.leaves[i]);
    }
    print_checkpoint("in a tree of", checkpoint->size, &checkpoint->root);
    print_key("signed by", report->keys[1]);
    print_words("it proves", "that the log holds two different records under one entry tag, of\n"
                             "which an operation log may hold each once.\n");
    print_words("but not", "which of them counts, who made them (their signatures are not looked\n"
                           "at here), or whether the key was its owner's alone.\n");
}

/* -- what a monitor says -- */

static void print_noted(struct span bytes)
{
    struct note note;
    struct checkpoint checkpoint;
    struct err err;
    printf("  %-14sa note of %zu bytes, whose signatures are not looked at here\n", "about",
           bytes.len);
    if (note_parse(&note, bytes, &err) != E_OK) {
        return;
    }
    if (checkpoint_parse(&checkpoint, note.text, &err) == E_OK) {
        print_clean("  origin", span_of_str(checkpoint.origin));
        print_checkpoint("  checkpoint", checkpoint.size, &checkpoint.root);
    }
    note_clear(&note);
}

static void print_observation(const struct evidence_report *report)
{
    const struct evidence_observation *said = &report->verdict.observation;
    struct span key = span_of_str(report->monitor), name = key;
    name.len = span_find_last(key, span_of_str("+"));
    char *clean = output_clean(name);
    printf("monitor %s says %.*s%s\n", clean, SPAN_PRINTF(said->code),
           report->is_checked ? "" : "  (SIGNATURE NOT CHECKED)");
    free(clean);
    print_clean("log", said->origin.len > 0 ? said->origin : span_of_str("-"));
    print_clean("subject", said->subject.len > 0 ? said->subject : span_of_str("-"));
    printf("  %-14s%s (unix time %ju)\n", "at", output_time(said->unix_s).text,
           (uintmax_t)said->unix_s);
    print_clean("summary", said->summary);
    if (said->note.len > 0) {
        print_noted(said->note);
    }
    print_clean(report->is_checked ? "signed by" : "claims key", key);
    if (!report->is_checked) {
        print_words("not checked", "anybody can have written this: give the monitor's key with\n"
                                   "--monitor, and see that it is the one named above.\n");
    }
    print_words("it proves",
                report->is_checked
                    ? "that the holder of this key said so, and nothing about the log.\n"
                    : "nothing.\n");
}

/* -- for people -- */

void evidence_report_print(const struct evidence_report *report, const char *file)
{
    if (report->outcome == EVIDENCE_OUTCOME_SAID) {
        print_observation(report);
    } else if (report->outcome != EVIDENCE_OUTCOME_PROVED) {
        printf("%s\n", verdict_text(report));
        print_clean("because", span_of_str(report->why.msg));
    } else if (report->evidence.kind == EVIDENCE_FORK) {
        print_fork(report);
    } else if (report->evidence.kind == EVIDENCE_WITNESS_EQUIVOCATION) {
        print_equivocation(report);
    } else if (report->evidence.kind == EVIDENCE_TAG_REPEATED) {
        print_repeated_tag(report);
    } else {
        print_broken_promise(report);
    }
    print_policy(report->policy);
    if (file != NULL) {
        print_clean("file", span_of_str(file));
    }
}

/* -- for programs -- */

static json_t *key_json(const struct vkey *key)
{
    struct buf text = key_text(key);
    json_t *json = output_json_text(buf_span(&text));
    buf_clear(&text);
    return json;
}

static json_t *hash_json(const struct hash *hash)
{
    struct buf text = BUF_INIT(HASH_BASE64_CHARS);
    base64_put_hash(&text, hash);
    json_t *json = output_json_text(buf_span(&text));
    buf_clear(&text);
    return json;
}

static json_t *checkpoint_json(const struct evidence_report *report, size_t i)
{
    const struct checkpoint *checkpoint = &report->verdict.checkpoints[i];
    json_t *object = json_object();
    json_object_set_new(object, "size", json_integer((json_int_t)checkpoint->size));
    json_object_set_new(object, "root", hash_json(&checkpoint->root));
    json_object_set_new(object, "key", key_json(report->keys[i]));
    if (report->evidence.kind == EVIDENCE_WITNESS_EQUIVOCATION) {
        json_object_set_new(object, "timestamp",
                            json_integer((json_int_t)report->verdict.timestamps[i]));
        json_object_set_new(object, "time",
                            json_string(output_time(report->verdict.timestamps[i]).text));
    }
    return object;
}

static void put_contradiction(json_t *object, const struct evidence_report *report)
{
    json_t *notes = json_array();
    json_object_set_new(object, "form", json_integer(form_of(report)));
    json_object_set_new(object, "origin",
                        output_json_text(span_of_str(report->verdict.checkpoints[0].origin)));
    json_array_append_new(notes, checkpoint_json(report, 0));
    json_array_append_new(notes, checkpoint_json(report, 1));
    json_object_set_new(object, "notes", notes);
    if (!report->verdict.is_later_smaller) {
        json_object_set_new(object, "contradicting_root", hash_json(&report->verdict.contradicted));
    }
}

static void put_broken_promise(json_t *object, const struct evidence_report *report)
{
    json_object_set_new(object, "origin",
                        output_json_text(span_of_str(report->verdict.checkpoints[1].origin)));
    json_object_set_new(object, "index", json_integer((json_int_t)report->evidence.index));
    json_object_set_new(object, "promised", hash_json(&report->verdict.promised));
    json_object_set_new(object, "found", hash_json(&report->verdict.found));
    json_object_set_new(object, "promise_key", key_json(report->keys[0]));
    json_object_set_new(object, "note", checkpoint_json(report, 1));
}

static void put_repeated_tag(json_t *object, const struct evidence_report *report)
{
    json_t *entries = json_array();
    json_object_set_new(object, "origin",
                        output_json_text(span_of_str(report->verdict.checkpoints[1].origin)));
    json_object_set_new(object, "entry_tag", hash_json(&report->verdict.tag));
    for (size_t i = 0; i < 2; i++) {
        json_t *entry = json_object();
        json_object_set_new(entry, "index",
                            json_integer((json_int_t)report->evidence.entries[i].index));
        json_object_set_new(entry, "leaf", hash_json(&report->verdict.leaves[i]));
        json_array_append_new(entries, entry);
    }
    json_object_set_new(object, "entries", entries);
    json_object_set_new(object, "note", checkpoint_json(report, 1));
}

static json_t *text_or_null(struct span text)
{
    return text.len > 0 ? output_json_text(text) : json_null();
}

static void put_observation(json_t *object, const struct evidence_report *report)
{
    const struct evidence_observation *said = &report->verdict.observation;
    json_object_set_new(object, "monitor_key", output_json_text(span_of_str(report->monitor)));
    json_object_set_new(object, "signature",
                        json_string(report->is_checked ? "verified" : "not checked"));
    json_object_set_new(object, "code", output_json_text(said->code));
    json_object_set_new(object, "origin", text_or_null(said->origin));
    json_object_set_new(object, "subject", text_or_null(said->subject));
    json_object_set_new(object, "timestamp", json_integer((json_int_t)said->unix_s));
    json_object_set_new(object, "time", json_string(output_time(said->unix_s).text));
    json_object_set_new(object, "summary", output_json_text(said->summary));
    json_object_set_new(object, "about_note", json_boolean(said->note.len > 0));
}

json_t *evidence_report_json(const struct evidence_report *report)
{
    json_t *object = json_object();
    json_object_set_new(object, "verdict", json_string(verdict_text(report)));
    json_object_set_new(object, "ok", json_boolean(report->outcome == EVIDENCE_OUTCOME_PROVED));
    json_object_set_new(object, "policy_sha256",
                        output_json_hex(hash_span(policy_hash(report->policy))));
    if (report->outcome > EVIDENCE_OUTCOME_SAID) {
        json_object_set_new(object, "detail", output_json_text(span_of_str(report->why.msg)));
        return object;
    }
    json_object_set_new(object, "kind", json_string(evidence_kind_text(report->evidence.kind)));
    if (report->evidence.kind == EVIDENCE_OBSERVATION) {
        put_observation(object, report);
    } else if (report->evidence.kind == EVIDENCE_PROMISE_BROKEN) {
        put_broken_promise(object, report);
    } else if (report->evidence.kind == EVIDENCE_TAG_REPEATED) {
        put_repeated_tag(object, report);
    } else {
        put_contradiction(object, report);
    }
    return object;
}
