#include "logd/reload.h"

#include "base/alloc.h"

#include <assert.h>
#include <signal.h>

struct reload {
    uv_signal_t sighup;
    struct work *work; /* NULL: nothing is served yet */
    void *read_ctx;
    void (*read_again)(void *ctx);
    bool is_under_way;
    bool is_wanted; /* again, once that is done */
    bool has_ended;
    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

static void run(void *arg)
{
    struct reload *reload = arg;
    reload->read_again(reload->read_ctx);
}

static void begin(struct reload *reload);

static void on_done(void *arg)
{
    struct reload *reload = arg;
    reload->is_under_way = false;
    if (reload->is_wanted && !reload->has_ended) {
        begin(reload);
    }
}

static void begin(struct reload *reload)
{
    reload->is_under_way = true;
    reload->is_wanted = false;
    work_post_then(reload->work, reload, run, on_done);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct reload *reload = handle->data;
    if (reload->work == NULL || reload->has_ended) {
        return;
    }
    if (reload->is_under_way) {
        reload->is_wanted = true;
    } else {
        begin(reload);
    }
}

struct reload *reload_start(uv_loop_t *loop)
{
    struct reload *reload = NEW(struct reload);
    uv_signal_init(loop, &reload->sighup);
    reload->sighup.data = reload;
    uv_signal_start(&reload->sighup, on_signal, SIGHUP);
    return reload;
}

void reload_serve(struct reload *reload, struct work *work, void *ctx,
                  void (*read_again)(void *ctx))
{
    reload->work = work;
    reload->read_ctx = ctx;
    reload->read_again = read_again;
}

void reload_end(struct reload *reload)
{
    reload->has_ended = true;
}

bool reload_is_under_way(const struct reload *reload)
{
    return reload->is_under_way;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct reload *reload = handle->data;
    void *ctx = reload->closed_ctx;
    void (*on_closed)(void *) = reload->on_closed;
    mem_free(reload);
    on_closed(ctx);
}

void reload_close(struct reload *reload, void *ctx, void (*on_closed)(void *ctx))
{
    assert(reload->has_ended);
    assert(!reload->is_under_way);
    reload->closed_ctx = ctx;
    reload->on_closed = on_closed;
    uv_close((uv_handle_t *)&reload->sighup, on_handle_closed);
}
