/* The normal path of raising: find the alert of the cause; if there is none, make it durable together with its
 * evidence and the deliveries, then take it into memory. If there is one it only counts, which is written now
 * and then. alert_book_parts.h says what happens when a write fails. */
#include "base/alloc.h"
#include "monitor/alert_book_parts.h"
#include "monitor/alert_evidence.h"
#include "monitor/plain_line.h"

#include <assert.h>
#include <stdio.h>

/* -- opening and closing -- */

static enum err_code check_sinks(const struct alert_book *book, struct err *err)
{
    for (size_t i = 0; i < book->options.sink_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (hash_is_equal(&book->sinks[i], &book->sinks[j])) {
                return err_set(err, E_MALFORMED, "two sinks for alerts are the same: %s",
                               book->options.sinks[i]);
            }
        }
    }
    return E_OK;
}

enum err_code alert_book_open(struct alert_book **out, const struct alert_book_options *options,
                              struct err *err)
{
    assert(options->sink_count <= ALERT_SINKS_MAX);
    struct alert_book *book = NEW(struct alert_book);
    book->options = *options;
    for (size_t i = 0; i < options->sink_count; i++) {
        struct span name = span_of_str(options->sinks[i]);
        book->sinks[i] = sha256(name);
        book->is_alertmanager[i] = span_has_prefix(name, span_of_str("alertmanager "));
    }
    pthread_mutex_init(&book->lock, NULL);
    enum err_code rc = check_sinks(book, err);
    if (rc == E_OK) {
        rc = alert_book_load(book, &book->memory, err);
    }
    if (rc != E_OK) {
        alert_book_close(book);
        return rc;
    }
    alert_book_tidy(book);
    *out = book;
    return E_OK;
}

/* Counts, and deliveries that could not be written off when they were made. */
static void write_rest(struct alert_book *book)
{
    struct kv_batch batch;
    struct err err;
    kv_batch_init(&batch);
    if (alert_book_settle(book, &err) == E_OK &&
        alert_book_commit(book, &batch, true, &err) == E_OK) {
        alert_book_write_dirty(book, 0, true);
    }
    kv_batch_clear(&batch);
}

void alert_book_close(struct alert_book *book)
{
    if (book == NULL) {
        return;
    }
    if (book->memory != NULL) {
        write_rest(book);
    }
    alert_memory_free(book->memory);
    pthread_mutex_destroy(&book->lock);
    mem_free(book->told);
    mem_free(book);
}

void alert_book_leave(struct alert_book *book, bool is_changed)
{
    if (is_changed) {
        book->revision++;
    }
    pthread_mutex_unlock(&book->lock);
    if (is_changed && book->options.on_change != NULL) {
        book->options.on_change(book->options.ctx);
    }
}

/* -- causes -- */

/* A finding whose texts are plain lines. */
struct sighting {
    struct finding finding; /* its origin is the one below */
    char origin[ORIGIN_BYTES_MAX + 1];
    struct hash cause;
    int64_t now_s;
};

/* "-" is how evidence writes nothing: they are one cause. */
static void take_text(char *out, size_t room, const char *text)
{
    plain_line(out, room, span_of_str(text));
    if (strcmp(out, "-") == 0) {
        out[0] = 0;
    }
}

static void set_cause(struct sighting *sighting, enum finding_code code, const char *origin,
                      const char *subject)
{
    take_text(sighting->origin, sizeof sighting->origin, origin);
    take_text(sighting->finding.subject, sizeof sighting->finding.subject, subject);
    sighting->finding.code = code;
    sighting->finding.origin = sighting->origin;
    sighting->cause = alert_record_cause(code, sighting->origin, sighting->finding.subject);
}

static void read_finding(struct sighting *out, const struct finding *finding, int64_t now_s)
{
    *out = (struct sighting){ .now_s = now_s };
    set_cause(out, finding->code, finding->origin, finding->subject);
    take_text(out->finding.summary, sizeof out->finding.summary,
              finding->summary[0] != 0 ? finding->summary : finding_kind(finding->code)->meaning);
    out->finding.evidence = finding->evidence;
    out->finding.is_drill = finding->is_drill;
}

/* The same finding as one of many, of this origin or of all. */
static void fold(struct sighting *out, const struct sighting *sighting, const char *origin)
{
    const struct finding *finding = &sighting->finding;
    char summary[sizeof finding->summary + sizeof finding->subject + sizeof sighting->origin + 64];
    *out = *sighting;
    set_cause(out, finding->code, origin, ALERT_SUBJECT_FOLDED);
    snprintf(summary, sizeof summary, "More than can be told one by one; the last was %s%s%s: %s",
             origin[0] == 0 ? sighting->origin : "", origin[0] == 0 ? ", " : "", finding->subject,
             finding->summary);
    take_text(out->finding.summary, sizeof out->finding.summary, summary);
}

static bool is_full(const struct alert_table *table, enum finding_code code)
{
    bool is_provable = finding_kind(code)->is_provable;
    return table->live_count >= (size_t)(is_provable ? ALERT_LIVE_MAX : ALERT_LIVE_ORDINARY);
}

/* Each entry that is wrong is an alert, and there may be many: whoever has logged them is to explain each. */
static size_t subjects_max(enum finding_code code)
{
    bool is_of_record =
        code == FINDING_TAG_REPEATED || (code >= FINDING_BAD_RECORD && code <= FINDING_CASE_COUNT);
    return is_of_record ? ALERT_RECORDS_MAX : ALERT_SUBJECTS_MAX;
}

/* The live alert that this is another sighting of. NULL: there is none, and *sighting is what to raise. */
static struct alert_entry *find_or_fold(const struct alert_table *table, struct sighting *sighting)
{
    const struct finding *finding = &sighting->finding;
    struct alert_entry *entry = alert_table_live(table, &sighting->cause, finding->is_drill);
    if (entry != NULL || finding->code == FINDING_HEARTBEAT) {
        return entry;
    }
    struct sighting folded;
    fold(&folded, sighting, sighting->origin);
    entry = alert_table_live(table, &folded.cause, finding->is_drill);
    bool is_crowded = entry != NULL || alert_table_count(table, finding->code, sighting->origin) >=
                                           subjects_max(finding->code);
    if (!is_crowded && !is_full(table, finding->code)) {
        return NULL;
    }
    if (entry == NULL && is_full(table, finding->code)) {
        fold(&folded, sighting, "");
        entry = alert_table_live(table, &folded.cause, finding->is_drill);
    }
    *sighting = folded;
    sighting->finding.origin = sighting->origin;
    return entry;
}

/* -- raising -- */

static void make_record(struct alert_book *book, const struct sighting *sighting,
                        const struct hash *evidence, struct alert_record *out)
{
    const struct alert_memory *memory = book->memory;
    uint64_t episode = alert_table_episode(&memory->table, &sighting->cause, NULL);
    bool is_heartbeat = sighting->finding.code == FINDING_HEARTBEAT;
    *out = (struct alert_record){
        .alert = { .number = memory->next.alert,
                   .code = sighting->finding.code,
                   .state = is_heartbeat ? ALERT_RESOLVED : ALERT_OPEN,
                   .first_seen_s = sighting->now_s,
                   .last_seen_s = sighting->now_s,
                   .resolved_s = is_heartbeat ? sighting->now_s : 0,
                   .count = 1,
                   .evidence_count = 1,
                   .evidence = { *evidence },
                   .evidence_found = 1,
                   .is_drill = sighting->finding.is_drill },
        .episode = (episode > 0 ? episode : memory->next.episode_floor) + 1,
        .reminded_s = sighting->now_s,
        .refreshed_s = sighting->now_s,
    };
    memcpy(out->alert.origin, sighting->origin, sizeof out->alert.origin);
    memcpy(out->alert.subject, sighting->finding.subject, sizeof out->alert.subject);
    memcpy(out->alert.summary, sighting->finding.summary, sizeof out->alert.summary);
    alert_record_set_id(out);
}

static void put_evidence(struct kv_batch *batch, const struct hash *id, struct span file)
{
    struct alert_key key = alert_key_evidence(id);
    kv_batch_put(batch, alert_key_span(&key), file);
}

static enum err_code write_new(struct alert_book *book, const struct sighting *sighting,
                               struct span file, struct alert_entry **out, struct err *err)
{
    struct alert_memory *memory = book->memory;
    struct alert_entry *last = sighting->finding.code == FINDING_HEARTBEAT
                                   ? alert_table_heartbeat(&memory->table, &sighting->cause)
                                   : NULL;
    struct hash id = sha256(file);
    struct alert_record record;
    struct kv_batch batch;
    struct alert_next unused = memory->next; /* the new one has a later episode of the cause */
    kv_batch_init(&batch);
    make_record(book, sighting, &id, &record);
    if (last != NULL) {
        alert_book_put_forget(book, &batch, last, &unused);
    }
    put_evidence(&batch, &id, file);
    enum err_code rc = alert_book_commit_event(book, &batch, &record, DELIVERY_OPENED, err);
    if (rc == E_OK) {
        if (last != NULL) {
            alert_book_forget(book, last);
        }
        *out = alert_table_add(&memory->table, &record);
        alert_book_push(book, *out, DELIVERY_OPENED);
    }
    kv_batch_clear(&batch);
    return rc;
}

static enum err_code open_alert(struct alert_book *book, const struct sighting *sighting,
                                struct alert_entry **out, struct err *err)
{
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    enum err_code rc =
        alert_evidence_put(&file, &sighting->finding, book->options.key, sighting->now_s, err);
    if (rc == E_OK) {
        rc = write_new(book, sighting, buf_span(&file), out, err);
    }
    buf_clear(&file);
    if (rc == E_OK && book->repeat_at_s > sighting->now_s) {
        book->repeat_at_s = sighting->now_s; /* when that is due is worked out there */
    }
    return rc;
}

/* -- found again -- */

static bool is_known_evidence(const struct alert *alert, const struct hash *id)
{
    for (size_t i = 0; i < alert->evidence_count; i++) {
        if (hash_is_equal(&alert->evidence[i], id)) {
            return true;
        }
    }
    return false;
}

static void count_again(struct alert *alert, const struct sighting *sighting)
{
    alert->count++;
    if (sighting->now_s > alert->last_seen_s) {
        alert->last_seen_s = sighting->now_s;
    }
    memcpy(alert->summary, sighting->finding.summary, sizeof alert->summary);
}

/* A further proof: durable at once. */
static enum err_code add_evidence(struct alert_book *book, struct alert_entry *entry,
                                  const struct sighting *sighting, const struct hash *id,
                                  struct err *err)
{
    struct alert_record record = entry->record;
    struct alert *alert = &record.alert;
    struct kv_batch batch;
    count_again(alert, sighting);
    alert->evidence_found++;
    alert->evidence[alert->evidence_count++] = *id;
    kv_batch_init(&batch);
    put_evidence(&batch, id, sighting->finding.evidence);
    alert_book_put_record(&batch, &record);
    enum err_code rc = alert_book_commit(book, &batch, true, err);
    if (rc == E_OK) {
        alert_table_set(&book->memory->table, entry, &record);
    }
    kv_batch_clear(&batch);
    return rc;
}

static enum err_code find_again(struct alert_book *book, struct alert_entry *entry,
                                const struct sighting *sighting, bool *is_changed, struct err *err)
{
    struct alert *alert = &entry->record.alert;
    struct span file = sighting->finding.evidence;
    if (finding_kind(alert->code)->is_provable && file.len > 0) {
        struct hash id = sha256(file);
        bool is_new = !is_known_evidence(alert, &id);
        if (is_new && file.len > EVIDENCE_BYTES_MAX) {
            return err_set(err, E_TOO_LARGE, "evidence of %zu bytes", file.len);
        }
        if (is_new && alert->evidence_count < ALERT_EVIDENCE_MAX) {
            *is_changed = true;
            return add_evidence(book, entry, sighting, &id, err);
        }
        alert->evidence_found += is_new ? 1 : 0;
    }
    count_again(alert, sighting);
    alert_table_set_dirty(&book->memory->table, entry, true);
    *is_changed = alert_book_write_entry(book, entry, sighting->now_s);
    return E_OK; /* that it is wrong is durable; how often is written later, if not now */
}

enum err_code alert_book_raise(struct alert_book *book, const struct finding *finding,
                               int64_t now_s, char id[ALERT_ID_CHARS + 1], struct err *err)
{
    struct sighting sighting;
    struct alert_entry *entry = NULL;
    bool is_changed = false;
    read_finding(&sighting, finding, now_s);
    pthread_mutex_lock(&book->lock);
    enum err_code rc = alert_book_settle(book, err);
    if (rc == E_OK) {
        entry = find_or_fold(&book->memory->table, &sighting);
        if (entry != NULL) {
            rc = find_again(book, entry, &sighting, &is_changed, err);
        } else {
            rc = open_alert(book, &sighting, &entry, err);
            is_changed = rc == E_OK;
        }
    }
    if (rc == E_OK) {
        memcpy(id, entry->record.alert.id, ALERT_ID_CHARS + 1);
    }
    if (is_changed && rc == E_OK) {
        alert_book_tidy(book);
    }
    alert_book_leave(book, is_changed && rc == E_OK);
    return rc;
}

/* -- resolving and acknowledging -- */

static enum err_code resolve(struct alert_book *book, struct alert_entry *entry,
                             const char *comment, int64_t now_s, struct err *err)
{
    struct alert_record record = entry->record;
    struct kv_batch batch;
    record.alert.state = ALERT_RESOLVED;
    record.alert.resolved_s = now_s;
    plain_line(record.alert.comment, sizeof record.alert.comment, span_of_str(comment));
    kv_batch_init(&batch);
    enum err_code rc = alert_book_commit_event(book, &batch, &record, DELIVERY_RESOLVED, err);
    if (rc == E_OK) {
        alert_table_set(&book->memory->table, entry, &record);
        alert_book_push(book, entry, DELIVERY_RESOLVED);
    }
    kv_batch_clear(&batch);
    return rc;
}

static enum err_code acknowledge(struct alert_book *book, struct alert_entry *entry,
                                 const char *comment, struct err *err)
{
    struct alert_record record = entry->record;
    struct kv_batch batch;
    record.alert.state = ALERT_ACKNOWLEDGED;
    plain_line(record.alert.comment, sizeof record.alert.comment, span_of_str(comment));
    kv_batch_init(&batch);
    alert_book_put_record(&batch, &record);
    enum err_code rc = alert_book_commit(book, &batch, true, err);
    if (rc == E_OK) {
        alert_table_set(&book->memory->table, entry, &record);
    }
    kv_batch_clear(&batch);
    return rc;
}

static enum err_code find_unresolved(const struct alert_book *book, const char *id,
                                     struct alert_entry **out, struct err *err)
{
    struct alert_entry *entry = alert_table_by_id(&book->memory->table, id);
    if (entry == NULL) {
        return err_set(err, E_NOT_FOUND, "no such alert");
    }
    if (!alert_entry_is_live(entry)) {
        return err_set(err, E_CONFLICT, "the alert is resolved already");
    }
    *out = entry;
    return E_OK;
}

enum err_code alert_book_acknowledge(struct alert_book *book, const char *id, const char *comment,
                                     int64_t now_s, struct err *err)
{
    (void)now_s;
    struct alert_entry *entry = NULL;
    pthread_mutex_lock(&book->lock);
    enum err_code rc = alert_book_settle(book, err);
    if (rc == E_OK) {
        rc = find_unresolved(book, id, &entry, err);
    }
    if (rc == E_OK) {
        rc = acknowledge(book, entry, comment, err);
    }
    alert_book_leave(book, rc == E_OK);
    return rc;
}

enum err_code alert_book_resolve(struct alert_book *book, const char *id, const char *comment,
                                 int64_t now_s, struct err *err)
{
    struct alert_entry *entry = NULL;
    pthread_mutex_lock(&book->lock);
    enum err_code rc = alert_book_settle(book, err);
    if (rc == E_OK) {
        rc = find_unresolved(book, id, &entry, err);
    }
    if (rc == E_OK) {
        rc = resolve(book, entry, comment, now_s, err);
    }
    if (rc == E_OK) {
        alert_book_tidy(book);
    }
    alert_book_leave(book, rc == E_OK);
    return rc;
}

/* -- clearing -- */

static enum err_code clear_cause(struct alert_book *book, const struct hash *cause, int64_t now_s,
                                 bool *is_changed, struct err *err)
{
    enum err_code rc = E_OK;
    for (int is_drill = 0; is_drill < 2 && rc == E_OK; is_drill++) {
        struct alert_entry *entry = alert_table_live(&book->memory->table, cause, is_drill == 1);
        if (entry != NULL) {
            rc = resolve(book, entry, "over: resolved by the monitor", now_s, err);
            *is_changed = *is_changed || rc == E_OK;
        }
    }
    return rc;
}

static bool has_live(const struct alert_table *table, const struct hash *cause)
{
    return alert_table_live(table, cause, false) != NULL ||
           alert_table_live(table, cause, true) != NULL;
}

/* Which of the folded ones are over nobody has remembered. When there is room again for each by itself, the
 * alert for all of them ends: what is still wrong is found again, and raised by itself. */
static enum err_code clear_folded(struct alert_book *book, enum finding_code code,
                                  const char *origin, int64_t now_s, bool *is_changed,
                                  struct err *err)
{
    const struct alert_table *table = &book->memory->table;
    struct hash cause = alert_record_cause(code, origin, ALERT_SUBJECT_FOLDED);
    bool is_of_all = origin[0] == 0;
    if (!has_live(table, &cause) || alert_table_count(table, code, is_of_all ? NULL : origin) > 1 ||
        (is_of_all && table->live_count > ALERT_LIVE_ORDINARY / 2)) {
        return E_OK;
    }
    return clear_cause(book, &cause, now_s, is_changed, err);
}

static enum err_code clear(void *ctx, enum finding_code code, const char *origin,
                           const char *subject, int64_t now_s, struct err *err)
{
    struct alert_book *book = ctx;
    struct sighting sighting;
    bool is_changed = false;
    if (!finding_kind(code)->is_transient) {
        return E_OK; /* a person's business */
    }
    set_cause(&sighting, code, origin, subject);
    pthread_mutex_lock(&book->lock);
    enum err_code rc = alert_book_settle(book, err);
    if (rc == E_OK) {
        rc = clear_cause(book, &sighting.cause, now_s, &is_changed, err);
    }
    if (rc == E_OK) {
        rc = clear_folded(book, code, sighting.origin, now_s, &is_changed, err);
    }
    if (rc == E_OK) {
        rc = clear_folded(book, code, "", now_s, &is_changed, err);
    }
    if (is_changed) {
        alert_book_tidy(book);
    }
    alert_book_leave(book, is_changed);
    return rc;
}

static enum err_code raise_finding(void *ctx, const struct finding *finding, int64_t now_s,
                                   struct err *err)
{
    char id[ALERT_ID_CHARS + 1];
    return alert_book_raise(ctx, finding, now_s, id, err);
}

struct finding_sink alert_book_sink(struct alert_book *book)
{
    return (struct finding_sink){ book, raise_finding, clear };
}

/* -- answers -- */

size_t alert_book_list(struct alert_book *book, bool with_resolved, size_t max, struct alert **out)
{
    size_t count = 0;
    const struct alert_entry *entry = NULL;
    pthread_mutex_lock(&book->lock);
    const struct alert_table *table = &book->memory->table;
    size_t all = table->live_count;
    all += with_resolved ? table->resolved_count[0] + table->resolved_count[1] : 0;
    max = max < all ? max : all;
    struct alert *alerts = max > 0 ? mem_calloc(max, sizeof *alerts) : NULL;
    TAILQ_FOREACH_REVERSE(entry, &table->all, alert_list, in_all)
    {
        if (count == max) {
            break;
        }
        if (with_resolved || alert_entry_is_live(entry)) {
            alerts[count++] = entry->record.alert;
        }
    }
    pthread_mutex_unlock(&book->lock);
    *out = alerts;
    return count;
}

enum err_code alert_book_get(struct alert_book *book, const char *id, struct alert *out,
                             struct err *err)
{
    pthread_mutex_lock(&book->lock);
    const struct alert_entry *entry = alert_table_by_id(&book->memory->table, id);
    if (entry != NULL) {
        *out = entry->record.alert;
    }
    pthread_mutex_unlock(&book->lock);
    return entry != NULL ? E_OK : err_set(err, E_NOT_FOUND, "no such alert");
}

uint64_t alert_book_revision(struct alert_book *book)
{
    pthread_mutex_lock(&book->lock);
    uint64_t revision = book->revision;
    pthread_mutex_unlock(&book->lock);
    return revision;
}

void alert_book_count(struct alert_book *book, size_t open[3])
{
    const struct alert_entry *entry = NULL;
    open[0] = open[1] = open[2] = 0;
    pthread_mutex_lock(&book->lock);
    TAILQ_FOREACH(entry, &book->memory->table.live, in_state)
    {
        open[finding_kind(entry->record.alert.code)->severity]++;
    }
    pthread_mutex_unlock(&book->lock);
}

enum err_code alert_book_evidence(struct alert_book *book, const struct hash *id, struct buf *out,
                                  struct err *err)
{
    struct alert_key key = alert_key_evidence(id);
    size_t from = out->len;
    enum err_code rc = state_store_get(book->options.store, alert_key_span(&key), out, err);
    if (rc != E_OK) {
        return rc == E_NOT_FOUND ? err_set(err, rc, "no such evidence") : rc;
    }
    struct hash found = sha256(span_slice(buf_span(out), from, out->len - from));
    if (!hash_is_equal(&found, id)) {
        buf_truncate(out, from);
        return err_set(err, E_CORRUPT, "stored evidence is not what its name says");
    }
    return E_OK;
}
