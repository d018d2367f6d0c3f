/* work.h -- a lane for blocking work off the loop: posted by any thread, run by libuv's workers.
 *
 * libuv's workers take from one queue, first come, first served. A lane puts no more than
 * `running_max` items into it and keeps the others, so that lanes do not starve each other: together
 * they need as many workers as the sum of their maxima (UV_THREADPOOL_SIZE). Items start in the
 * order of posting. A worker never waits for another worker.
 *
 * work_post, work_post_then: any thread. The rest: loop thread.
 */
#ifndef NET_WORK_H
#define NET_WORK_H

#include <stdint.h>
#include <uv.h>

struct work;

/* running_max: of its items, at a time; not 0. */
struct work *work_new(uv_loop_t *loop, unsigned running_max);

/* `run` is on a worker, and answers whoever waits by itself. */
void work_post(struct work *work, void (*run)(void *arg), void *arg);

/* `run` is on a worker, and then on_done on the loop thread. */
void work_post_then(struct work *work, void *arg, void (*run)(void *arg),
                    void (*on_done)(void *arg));

/* Milliseconds for which items have waited without one being taken; 0 when none waits. A lane whose workers all hang
 * is noticed by it, and one that is merely long is not. Any thread. */
uint64_t work_stuck_ms(struct work *work);

/* Once everything posted has run and is done, calls on_closed from the loop and frees itself. Nothing
 * may be posted any more, other than by what is still running or in its on_done. */
void work_close(struct work *work, void *ctx, void (*on_closed)(void *ctx));

#endif
