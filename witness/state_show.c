#include "witness/state_show.h"

#include "base/ascii.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

enum {
    TEXT_MAX = 64
};

struct show {
    struct ledger *ledger;
    const struct mark_file *mark;
    const struct log_list *logs;
    json_t *rows;
};

/* NULL when nobody tells. */
static const char *origin_of(const struct show *show, const struct hash *origin_hash,
                             struct checkpoint *scratch)
{
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct err err;
    bool is_told = ledger_note(show->ledger, origin_hash, &note, &err) == E_OK &&
                   checkpoint_parse_note(scratch, buf_span(&note), &err) == E_OK;
    buf_clear(&note);
    for (size_t i = 0; !is_told && show->logs != NULL && i < show->logs->count; i++) {
        struct hash hash = sha256(span_of_str(show->logs->items[i].origin));
        if (hash_is_equal(&hash, origin_hash)) {
            return show->logs->items[i].origin;
        }
    }
    return is_told ? scratch->origin : NULL;
}

static const char *mark_words(const struct mark *mark, const struct origin_state *state)
{
    if (mark->size > state->size) {
        return "ahead";
    }
    if (mark->size < state->size) {
        return "behind";
    }
    return hash_is_equal(&mark->root, &state->root) ? "agrees" : "contradicts";
}

static json_t *base64_text(const struct hash *hash)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    base64_put(&text, hash_span(hash));
    json_t *json = json_stringn((const char *)text.data, text.len);
    buf_clear(&text);
    return json;
}

static json_t *hex_text(const struct hash *hash)
{
    struct buf text = BUF_INIT(2 * HASH_BYTES);
    hex_put(&text, hash_span(hash));
    json_t *json = json_stringn((const char *)text.data, text.len);
    buf_clear(&text);
    return json;
}

static void put_mark(const struct show *show, const struct hash *origin_hash,
                     const struct origin_state *state, json_t *row)
{
    struct mark mark;
    struct err err;
    if (show->mark == NULL) {
        json_object_set_new(row, "mark", json_string("not looked at"));
    } else if (mark_file_get(show->mark, origin_hash, &mark, &err) != E_OK) {
        json_object_set_new(row, "mark", json_string("none"));
    } else {
        json_object_set_new(row, "mark", json_string(mark_words(&mark, state)));
        json_object_set_new(row, "mark_size", json_integer((json_int_t)mark.size));
    }
}

static void put_refused(const struct show *show, const struct hash *origin_hash, json_t *row)
{
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct checkpoint checkpoint;
    struct err err;
    enum err_code rc = ledger_refused(show->ledger, origin_hash, &note, &err);
    json_object_set_new(row, "refused", json_boolean(rc != E_NOT_FOUND));
    if (rc == E_OK && checkpoint_parse_note(&checkpoint, buf_span(&note), &err) == E_OK) {
        json_object_set_new(row, "refused_size", json_integer((json_int_t)checkpoint.size));
        json_object_set_new(row, "refused_root", base64_text(&checkpoint.root));
    }
    buf_clear(&note);
}

static enum err_code add_row(void *ctx, const struct hash *origin_hash,
                             const struct origin_state *state, struct err *err)
{
    struct show *show = ctx;
    struct checkpoint scratch;
    const char *origin = origin_of(show, origin_hash, &scratch);
    (void)err;
    json_t *row = json_object();
    json_object_set_new(row, "origin", origin == NULL ? json_null() : json_string(origin));
    json_object_set_new(row, "origin_hash", hex_text(origin_hash));
    json_object_set_new(row, "size", json_integer((json_int_t)state->size));
    json_object_set_new(row, "root", base64_text(&state->root));
    json_object_set_new(row, "timestamp", json_integer((json_int_t)state->timestamp));
    put_mark(show, origin_hash, state, row);
    put_refused(show, origin_hash, row);
    json_array_append_new(show->rows, row);
    return E_OK;
}

/* One that has no state: or E_OK at once. */
static enum err_code add_other(struct show *show, const struct hash *origin_hash, struct err *err)
{
    struct origin_state state;
    enum err_code rc = ledger_state(show->ledger, origin_hash, &state, err);
    return rc != E_OK || state.timestamp != 0 ? rc : add_row(show, origin_hash, &state, err);
}

static enum err_code add_others(struct show *show, struct err *err)
{
    enum err_code rc = E_OK;
    size_t marks = show->mark == NULL ? 0 : mark_file_count(show->mark);
    for (size_t i = 0; i < marks && rc == E_OK; i++) {
        struct mark mark = mark_file_at(show->mark, i);
        rc = add_other(show, &mark.origin, err);
    }
    size_t logs = show->logs == NULL ? 0 : show->logs->count;
    for (size_t i = 0; i < logs && rc == E_OK; i++) {
        const char *origin = show->logs->items[i].origin;
        struct hash hash = sha256(span_of_str(origin));
        struct mark mark;
        struct err ignored;
        bool is_again = i > 0 && strcmp(show->logs->items[i - 1].origin, origin) == 0;
        bool has_mark =
            show->mark != NULL && mark_file_get(show->mark, &hash, &mark, &ignored) == E_OK;
        rc = is_again || has_mark ? E_OK : add_other(show, &hash, err);
    }
    return rc;
}

static const char *text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text == NULL ? "" : text;
}

static void print_row(const json_t *row)
{
    struct buf origin = BUF_INIT(8 * ORIGIN_BYTES_MAX);
    char when[TEXT_MAX] = "never";
    time_t timestamp = (time_t)json_integer_value(json_object_get(row, "timestamp"));
    struct tm parts;
    if (timestamp != 0 && gmtime_r(&timestamp, &parts) != NULL) {
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    const char *name = text_of(row, "origin");
    ascii_put_escaped(&origin, span_of_str(name[0] == '\0' ? "(origin unknown)" : name),
                      ORIGIN_BYTES_MAX);
    printf("%s\n  hash      %s\n", buf_c_str(&origin), text_of(row, "origin_hash"));
    printf("  size      %lld\n  root      %s\n  cosigned  %s\n",
           (long long)json_integer_value(json_object_get(row, "size")), text_of(row, "root"), when);
    const json_t *mark_size = json_object_get(row, "mark_size");
    printf("  mark      %s", text_of(row, "mark"));
    if (mark_size != NULL) {
        printf(", at size %lld", (long long)json_integer_value(mark_size));
    }
    if (json_is_true(json_object_get(row, "refused"))) {
        printf("\n  refused   a note of ours at size %lld shows this state to be old",
               (long long)json_integer_value(json_object_get(row, "refused_size")));
    }
    printf("\n");
    buf_clear(&origin);
}

enum err_code state_show(struct ledger *ledger, const struct mark_file *mark,
                         const struct log_list *logs, bool is_json, struct err *err)
{
    struct show show = { ledger, mark, logs, json_array() };
    enum err_code rc = ledger_each(ledger, add_row, &show, err);
    rc = rc == E_OK ? add_others(&show, err) : rc;
    if (rc == E_OK && is_json) {
        json_dumpf(show.rows, stdout, JSON_INDENT(2));
        printf("\n");
    } else if (rc == E_OK) {
        size_t i;
        const json_t *row;
        json_array_foreach(show.rows, i, row)
        {
            print_row(row);
        }
    }
    json_decref(show.rows);
    return rc;
}
