#include "logd/anchor.h"

#include "base/alloc.h"
#include "base/log.h"
#include "record/operation.h"

#include <assert.h>
#include <time.h>

struct anchor {
    struct parts *parts;
    uv_timer_t timer;
    uv_async_t answered;
    /* Past the last ANCHOR: what is published beyond is news. UINT64_MAX: not looked up yet. */
    uint64_t end;
    bool is_under_way;
    atomic_uint_least64_t count;

    bool is_closing;
    int open; /* handles */
    void *ctx;
    void (*on_closed)(void *ctx);

    /* The answer, written before `answered` is sent. */
    uint64_t index;
    struct err err; /* code E_OK: it is logged */
};

/* The sequencer thread has its fate, or the pool. */
static void on_done(struct submission *submission, const struct err *err)
{
    struct anchor *anchor = submission->ctx;
    anchor->index = submission->indices[0];
    anchor->err = err == NULL ? (struct err){ .code = E_OK } : *err;
    submission_free(submission);
    uv_async_send(&anchor->answered);
}

/* Whether the last entry of a tree is an ANCHOR. At the end of a full bundle, which is on the disk only, it is taken
 * for one: then the next entry is the news. */
static bool ends_in_anchor(const struct published_tree *tree)
{
    uint64_t size = tree->checkpoint.size;
    if (size % TILE_WIDTH == 0) {
        return true;
    }
    struct span entry;
    struct err err;
    struct operation operation;
    if (bundle_entry(&entry, buf_span(&tree->edge.bundle), (uint16_t)((size - 1) % TILE_WIDTH),
                     &err) != E_OK ||
        operation_decode(&operation, entry, &err) != E_OK) {
        return false;
    }
    bool is_anchor = operation.kind->number == KIND_ANCHOR;
    operation_clear(&operation);
    return is_anchor;
}

static bool has_news(struct anchor *anchor, const struct published_tree *tree)
{
    if (anchor->end == UINT64_MAX) {
        uint64_t size = tree->checkpoint.size;
        anchor->end = ends_in_anchor(tree) ? size : size - 1;
    }
    return tree->checkpoint.size > anchor->end;
}

static enum err_code make_record(struct buf *out, struct span note, struct err *err)
{
    struct operation operation = { .kind = kind_find(KIND_ANCHOR),
                                   .is_vouched = true,
                                   .minute = (uint64_t)time(NULL) / 60,
                                   .note = note };
    return operation_put(out, &operation, err);
}

static enum err_code push(struct anchor *anchor, struct span record, struct err *err)
{
    struct submission *submission = submission_new_with_facts(1, record.len);
    const struct entry_facts facts = { .has_tag = false };
    submission_add_with_facts(submission, record, &facts);
    submission->on_done = on_done;
    submission->ctx = anchor;
    enum err_code rc = pool_push(anchor->parts->pool, submission, err);
    if (rc != E_OK) {
        submission_free(submission);
    }
    return rc;
}

static void append(struct anchor *anchor, const struct published_tree *tree)
{
    struct buf record = BUF_INIT(OPERATION_BYTES_MAX);
    struct err err;
    enum err_code rc = make_record(&record, http_body_span(tree->note), &err);
    if (rc == E_OK) {
        rc = push(anchor, buf_span(&record), &err);
    }
    anchor->is_under_way = rc == E_OK;
    if (rc != E_OK) {
        log_error(LOG_LEVEL_WARN, "anchor_refused", &err);
    }
    buf_clear(&record);
}

static void on_timer(uv_timer_t *timer)
{
    struct anchor *anchor = timer->data;
    struct published_tree *tree = published_get(anchor->parts->published);
    if (!anchor->is_under_way && tree != NULL && has_news(anchor, tree)) {
        append(anchor, tree);
    }
    published_tree_release(tree);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct anchor *anchor = handle->data;
    if (--anchor->open == 0) {
        anchor->on_closed(anchor->ctx);
        mem_free(anchor);
    }
}

static void close_handles(struct anchor *anchor)
{
    anchor->open = 2;
    uv_close((uv_handle_t *)&anchor->timer, on_handle_closed);
    uv_close((uv_handle_t *)&anchor->answered, on_handle_closed);
}

static void on_answered(uv_async_t *async)
{
    struct anchor *anchor = async->data;
    if (!anchor->is_under_way) {
        return;
    }
    anchor->is_under_way = false;
    if (anchor->err.code != E_OK) {
        log_error(LOG_LEVEL_WARN, "anchor_refused", &anchor->err);
    } else {
        anchor->end = anchor->index + 1;
        atomic_fetch_add(&anchor->count, 1);
    }
    if (anchor->is_closing) {
        close_handles(anchor);
    }
}

struct anchor *anchor_start(uv_loop_t *loop, struct parts *parts, uint64_t interval_s)
{
    struct anchor *anchor = NEW(struct anchor);
    anchor->parts = parts;
    anchor->end = UINT64_MAX;
    anchor->timer.data = anchor;
    anchor->answered.data = anchor;
    uv_timer_init(loop, &anchor->timer);
    uv_async_init(loop, &anchor->answered, on_answered);
    uv_timer_start(&anchor->timer, on_timer, interval_s * 1000, interval_s * 1000);
    return anchor;
}

void anchor_close(struct anchor *anchor, void *ctx, void (*on_closed)(void *ctx))
{
    assert(!anchor->is_closing);
    anchor->is_closing = true;
    anchor->ctx = ctx;
    anchor->on_closed = on_closed;
    uv_timer_stop(&anchor->timer);
    if (!anchor->is_under_way) {
        close_handles(anchor);
    }
}

uint64_t anchor_count(const struct anchor *anchor)
{
    return atomic_load(&anchor->count);
}
