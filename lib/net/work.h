/* work.h -- blocking work off the loop: posted by any thread, run by libuv's workers.
 *
 * work_post: any thread. `run` is on a worker, and answers whoever waits by itself. A worker never
 * waits for another worker. The rest: loop thread.
 */
#ifndef NET_WORK_H
#define NET_WORK_H

#include <uv.h>

struct work;

/* At most `running_max` items run at a time, so that others of libuv's workers stay free. */
struct work *work_new(uv_loop_t *loop, unsigned running_max);

void work_post(struct work *work, void (*run)(void *arg), void *arg);

/* Once everything posted has run, calls on_closed from the loop and frees itself. Nothing may be posted
 * any more, other than by what is still running. */
void work_close(struct work *work, void *ctx, void (*on_closed)(void *ctx));

#endif
