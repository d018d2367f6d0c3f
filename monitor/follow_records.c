/* follow_records.c -- operation records, as a scan comes by them.
 *
 * They are looked at by the scan that hashes them, so every scan begins where records were looked at last. That is
 * what is held, unless the log was followed before anybody asked for its records: then it is read once more first. */
#include "monitor/follow_parts.h"

#include <inttypes.h>

const struct compact_range *follow_records_base(const struct follow *follow)
{
    return follow->records != NULL ? record_watch_base(follow->records) : &follow->state.held.range;
}

bool follow_records_are_behind(const struct follow *follow)
{
    return follow->records != NULL && follow->state.held.is_there &&
           record_watch_base(follow->records)->size < follow->state.held.range.size;
}

bool follow_records_fit_cursor(const struct follow *follow)
{
    return follow->records == NULL ||
           record_watch_position(follow->records) == follow->cursor.range.size;
}

/* -- opening -- */

/* Who was told to begin somewhere has not asked for what is below. */
static enum err_code begin_at_held(struct follow *follow, struct err *err)
{
    const struct compact_range *range = &follow->state.held.range;
    struct kv_batch batch;
    kv_batch_init(&batch);
    record_watch_begin_at(follow->records, range);
    record_watch_put_held(follow->records, range, (uint64_t)follow->state.held.verified_s, &batch);
    enum err_code rc = state_store_write_synced(follow->watch->store, &batch, err);
    if (rc == E_OK) {
        record_watch_on_held(follow->records, range);
    }
    kv_batch_clear(&batch);
    return rc;
}

enum err_code follow_records_open(struct follow *follow, struct err *err)
{
    const struct held_tree *held = &follow->state.held;
    if (follow->options.records == NULL) {
        return E_OK;
    }
    enum err_code rc =
        record_watch_open(&follow->records, follow->options.log, follow->options.records, err);
    if (rc == E_OK && held->is_there && held->has_trusted_start && held->range.size > 0 &&
        record_watch_position(follow->records) == 0) {
        rc = begin_at_held(follow, err);
    }
    return rc;
}

/* -- a scan -- */

static void on_read(void *ctx, uint64_t index, const struct hash *leaf, struct span entry,
                    void *view)
{
    const struct follow *follow = ctx;
    (void)index;
    record_view_read(view, record_watch_view_options(follow->records), leaf, entry);
}

static void on_drop(void *ctx, void *view)
{
    (void)ctx;
    record_view_clear(view);
}

/* Errors of the store are not the log's: they are put aside, where nobody takes them for it. */
static enum err_code on_see(void *ctx, uint64_t first, void *views, size_t count,
                            const struct compact_range *at, struct err *err)
{
    struct follow *follow = ctx;
    enum err_code rc = E_OK;
    if (first != record_watch_position(follow->records)) {
        rc = err_set(err, E_CORRUPT,
                     "records were looked at up to entry %" PRIu64 ", and entry %" PRIu64
                     " comes next",
                     record_watch_position(follow->records), first);
    }
    if (rc == E_OK) {
        rc = record_watch_see(follow->records, views, count, err);
    }
    if (rc == E_OK && record_watch_is_full(follow->records)) {
        follow->cursor.range = *at;
        follow->cursor.is_there = true;
        rc = follow_scan_save(follow, err);
    }
    if (rc != E_OK) {
        follow->has_store_failed = true;
        follow->store_err = *err;
    }
    return rc;
}

void follow_records_visit(struct follow *follow, struct scan_visitor *visitor)
{
    *visitor = (struct scan_visitor){ .ctx = follow,
                                      .view_bytes = sizeof(struct record_view),
                                      .read = on_read,
                                      .see = on_see,
                                      .drop = on_drop };
}

enum err_code follow_records_restart(struct follow *follow, struct err *err)
{
    return follow->records != NULL ? record_watch_restart(follow->records, err) : E_OK;
}

/* -- a tree that is about to be held -- */

enum err_code follow_records_raise(struct follow *follow, struct span note,
                                   const struct checkpoint *checkpoint, struct err *err)
{
    return follow->records != NULL
               ? record_watch_raise(follow->records, note, checkpoint, follow->now.unix_s, err)
               : E_OK;
}

static uint64_t now_s(const struct follow *follow)
{
    return follow->now.unix_s > 0 ? (uint64_t)follow->now.unix_s : 0;
}

/* Where no witness tells the time, our own clock does. */
static uint64_t time_of(const struct follow *follow, const struct policy_verdict *verdict)
{
    uint64_t time_s = verdict->is_met ? policy_no_later_than(follow->watch->policy, verdict) : 0;
    return time_s > 0 ? time_s : now_s(follow);
}

/* Not of another note of the same tree, nor of one that we were told to hold before its records were seen. */
static bool is_seen(const struct follow *follow, const struct compact_range *range)
{
    return follow->records != NULL && record_watch_position(follow->records) == range->size &&
           record_watch_base(follow->records)->size < range->size;
}

void follow_records_put_held(struct follow *follow, const struct compact_range *range,
                             const struct policy_verdict *verdict, struct kv_batch *batch)
{
    if (follow->records != NULL && follow_is_waiting(follow) &&
        record_watch_position(follow->records) == 0) {
        record_watch_begin_at(follow->records, range);
    }
    if (is_seen(follow, range)) {
        record_watch_put_held(follow->records, range, time_of(follow, verdict), batch);
    }
}

void follow_records_on_held(struct follow *follow, const struct compact_range *range)
{
    if (is_seen(follow, range)) {
        record_watch_on_held(follow->records, range);
    }
}

/* -- catching up -- */

static enum err_code give_up_for_now(struct follow *follow, const struct follow_scan *scan,
                                     struct err *err)
{
    follow->retry_ms = follow->now.monotonic_ms + FOLLOW_CATCH_UP_PAUSE_MS;
    if (scan->code != E_BAD_PROOF && scan->code != E_CORRUPT) {
        follow_poll_failed(follow, &scan->err);
        return E_OK;
    }
    if (follow_raised_is_told(follow->raised, FINDING_ROOT_MISMATCH, "", follow->now.unix_s)) {
        return E_OK;
    }
    return follow_raise(follow, FINDING_ROOT_MISMATCH, "", buf_span(&follow->state.held.note), err,
                        "Entries that were verified before are served otherwise now: %s.",
                        follow_text_of(scan->err.msg).text);
}

static enum err_code settle(struct follow *follow, const struct follow_scan *scan,
                            const struct checkpoint *checkpoint, struct err *err)
{
    struct kv_batch batch;
    enum err_code rc = follow_tiles_raise(follow, err);
    if (rc == E_OK) {
        rc = follow_records_raise(follow, buf_span(&follow->state.held.note), checkpoint, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    kv_batch_init(&batch);
    record_watch_put_held(follow->records, &scan->range,
                          follow->state.note_time_s > 0 ? (uint64_t)follow->state.note_time_s
                                                        : now_s(follow),
                          &batch);
    follow_cursor_put_delete(&batch, follow->options.log);
    rc = state_store_write_synced(follow->watch->store, &batch, err);
    if (rc == E_OK) {
        record_watch_on_held(follow->records, &scan->range);
        follow->cursor = (struct follow_cursor){ .is_there = false };
    }
    kv_batch_clear(&batch);
    return rc;
}

enum err_code follow_records_catch_up(struct follow *follow, struct err *err)
{
    struct checkpoint checkpoint = { .size = follow->state.held.range.size,
                                     .root = follow->state.held.root };
    struct follow_scan scan;
    if (!follow_records_are_behind(follow) || follow_is_stopping(follow) ||
        follow->now.monotonic_ms < follow->retry_ms) {
        return E_OK;
    }
    follow_scan_to(follow, &checkpoint, &scan);
    if (scan.is_failed) {
        *err = scan.err;
        return err->code;
    }
    if (scan.is_paused) {
        follow->has_more = true;
        return follow_scan_save(follow, err);
    }
    return scan.is_reached ? settle(follow, &scan, &checkpoint, err)
                           : give_up_for_now(follow, &scan, err);
}

/* -- each step -- */

enum err_code follow_records_look(struct follow *follow, struct err *err)
{
    bool has_more = false;
    if (follow->records == NULL || follow_is_stopping(follow)) {
        return E_OK;
    }
    follow_tick(follow);
    uint64_t note_s = policy_has_quorum(follow->watch->policy) && follow->state.note_time_s > 0
                          ? (uint64_t)follow->state.note_time_s
                          : now_s(follow);
    enum err_code rc = record_watch_look(follow->records, note_s, &follow->now, &has_more, err);
    follow->has_more = follow->has_more || has_more;
    return rc;
}
