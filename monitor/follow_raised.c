#include "monitor/follow_raised.h"

#include "base/alloc.h"

#include <assert.h>

enum {
    VERSION = 1,
    KEY_BYTES = 128
};

struct cause {
    enum finding_code code;
    bool is_over;
    int64_t told_s; /* when the sink took it last; meaningful with is_told */
    bool is_told;   /* by this process */
    char subject[FINDING_SUBJECT_MAX];
};

struct follow_raised {
    struct watched_log *log; /* borrowed */
    size_t count, cap;
    struct cause *causes; /* owned */
};

static struct cause *find(const struct follow_raised *raised, enum finding_code code,
                          const char *subject)
{
    for (size_t i = 0; i < raised->count; i++) {
        struct cause *cause = &raised->causes[i];
        if (cause->code == code && strcmp(cause->subject, subject) == 0) {
            return cause;
        }
    }
    return NULL;
}

static struct cause *add(struct follow_raised *raised, enum finding_code code, struct span subject)
{
    assert(subject.len < FINDING_SUBJECT_MAX);
    if (raised->count == raised->cap) {
        raised->cap = raised->cap == 0 ? 16 : 2 * raised->cap;
        raised->causes = mem_realloc(raised->causes, raised->cap * sizeof *raised->causes);
    }
    struct cause *cause = &raised->causes[raised->count++];
    *cause = (struct cause){ .code = code };
    if (subject.len > 0) {
        memcpy(cause->subject, subject.data, subject.len);
    }
    return cause;
}

/* -- the store -- */

static void put_key(struct buf *out, const struct follow_raised *raised)
{
    watched_log_put_key(out, raised->log, "follow/raised");
}

static enum err_code save(const struct follow_raised *raised, struct err *err)
{
    struct buf key = BUF_INIT(KEY_BYTES), value = BUF_INIT(KV_VALUE_BYTES_MAX);
    struct kv_batch batch;
    kv_batch_init(&batch);
    put_key(&key, raised);
    buf_put_u8(&value, VERSION);
    buf_put_u16(&value, (uint16_t)raised->count);
    for (size_t i = 0; i < raised->count; i++) {
        const struct cause *cause = &raised->causes[i];
        const char *code = finding_kind(cause->code)->text;
        buf_put_u8(&value, (uint8_t)strlen(code));
        buf_put_str(&value, code);
        buf_put_u16(&value, (uint16_t)strlen(cause->subject));
        buf_put_str(&value, cause->subject);
        buf_put_u8(&value, cause->is_over);
    }
    kv_batch_put(&batch, buf_span(&key), buf_span(&value));
    /* Not synced: what the sink makes durable afterwards is written behind it in the same store. */
    enum err_code rc = state_store_write(watched_log_options(raised->log)->store, &batch, err);
    kv_batch_clear(&batch);
    buf_clear(&value);
    buf_clear(&key);
    return rc;
}

static bool take_cause(struct follow_raised *raised, struct span *in)
{
    uint8_t len, is_over;
    uint16_t subject_len;
    struct span text, subject;
    enum finding_code code;
    if (!span_take_u8(in, &len) || !span_take(in, len, &text) || !finding_code_parse(&code, text) ||
        !span_take_u16(in, &subject_len) || !span_take(in, subject_len, &subject) ||
        subject_len >= FINDING_SUBJECT_MAX || !span_take_u8(in, &is_over) || is_over > 1) {
        return false;
    }
    add(raised, code, subject)->is_over = is_over == 1;
    return true;
}

static bool parse(struct follow_raised *raised, struct span bytes)
{
    uint8_t version;
    uint16_t count;
    if (!span_take_u8(&bytes, &version) || version != VERSION || !span_take_u16(&bytes, &count) ||
        count > FOLLOW_RAISED_MAX) {
        return false;
    }
    while (raised->count < count) {
        if (!take_cause(raised, &bytes)) {
            return false;
        }
    }
    return bytes.len == 0;
}

enum err_code follow_raised_open(struct follow_raised **out, struct watched_log *log,
                                 struct err *err)
{
    struct buf key = BUF_INIT(KEY_BYTES), value = BUF_INIT(KV_VALUE_BYTES_MAX);
    struct follow_raised *raised = NEW(struct follow_raised);
    raised->log = log;
    put_key(&key, raised);
    enum err_code rc =
        state_store_get(watched_log_options(log)->store, buf_span(&key), &value, err);
    if (rc == E_OK && !parse(raised, buf_span(&value))) {
        rc = err_set(err, E_CORRUPT, "the stored list of what was raised is not one of version %d",
                     VERSION);
    }
    if (rc == E_NOT_FOUND) {
        rc = E_OK;
    }
    buf_clear(&value);
    buf_clear(&key);
    if (rc != E_OK) {
        follow_raised_free(raised);
        return rc;
    }
    *out = raised;
    return E_OK;
}

void follow_raised_free(struct follow_raised *raised)
{
    if (raised != NULL) {
        mem_free(raised->causes);
        mem_free(raised);
    }
}

/* -- raising -- */

/* The cause of a finding, on the store; NULL for one that is not kept. */
static enum err_code note_down(struct follow_raised *raised, const struct finding *finding,
                               struct cause **out, struct err *err)
{
    struct cause *cause = find(raised, finding->code, finding->subject);
    *out = cause;
    if (cause != NULL && !cause->is_over) {
        return E_OK;
    }
    if (cause == NULL) {
        if (!finding_kind(finding->code)->is_transient || raised->count == FOLLOW_RAISED_MAX) {
            return E_OK;
        }
        cause = add(raised, finding->code, span_of_str(finding->subject));
    }
    cause->is_over = false;
    *out = cause;
    return save(raised, err);
}

enum err_code follow_raised_raise(struct follow_raised *raised, const struct finding *finding,
                                  int64_t now_s, struct err *err)
{
    const struct finding_sink *sink = &watched_log_options(raised->log)->sink;
    struct cause *cause = NULL;
    enum err_code rc = note_down(raised, finding, &cause, err);
    if (rc == E_OK) {
        rc = sink->raise(sink->ctx, finding, now_s, err);
    }
    if (rc == E_OK && cause != NULL) {
        cause->is_told = true;
        cause->told_s = now_s;
    }
    return rc;
}

bool follow_raised_is_told(const struct follow_raised *raised, enum finding_code code,
                           const char *subject, int64_t now_s)
{
    const struct cause *cause = find(raised, code, subject);
    return cause != NULL && !cause->is_over && cause->is_told && now_s >= cause->told_s &&
           now_s - cause->told_s < FOLLOW_RAISED_AGAIN_S;
}

bool follow_raised_next(const struct follow_raised *raised, size_t *at, enum finding_code *code,
                        const char **subject)
{
    while (*at < raised->count) {
        const struct cause *cause = &raised->causes[(*at)++];
        if (!cause->is_over) {
            *code = cause->code;
            *subject = cause->subject;
            return true;
        }
    }
    return false;
}

size_t follow_raised_count(const struct follow_raised *raised, enum finding_code code)
{
    size_t at = 0, count = 0;
    enum finding_code found;
    const char *subject;
    while (follow_raised_next(raised, &at, &found, &subject)) {
        count += found == code ? 1 : 0;
    }
    return count;
}

/* -- clearing -- */

void follow_raised_over(struct follow_raised *raised, enum finding_code code, const char *subject)
{
    struct cause *cause = find(raised, code, subject);
    if (cause != NULL) {
        cause->is_over = true;
    }
}

static bool is_any_over(const struct follow_raised *raised)
{
    for (size_t i = 0; i < raised->count; i++) {
        if (raised->causes[i].is_over) {
            return true;
        }
    }
    return false;
}

/* That something is over is written down before it is told, since the reason to say so may not come again. */
enum err_code follow_raised_flush(struct follow_raised *raised, int64_t now_s, struct err *err)
{
    const struct finding_sink *sink = &watched_log_options(raised->log)->sink;
    if (!is_any_over(raised)) {
        return E_OK;
    }
    enum err_code rc = save(raised, err);
    size_t kept = 0;
    for (size_t i = 0; i < raised->count; i++) {
        struct cause *cause = &raised->causes[i];
        if (rc == E_OK && cause->is_over) {
            rc = sink->clear(sink->ctx, cause->code, watched_log_origin(raised->log),
                             cause->subject, now_s, err);
            if (rc == E_OK) {
                continue;
            }
        }
        if (kept != i) {
            raised->causes[kept] = *cause;
        }
        kept++;
    }
    raised->count = kept;
    return rc == E_OK ? save(raised, err) : rc;
}
