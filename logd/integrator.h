/* integrator.h -- writes full tiles and bundles to the tiles store, in the background.
 *
 * design: "The life of an entry", step 6. A few workers write the files of all commits that have come
 * in, then one sync makes them durable, then `on_stored` is told. A failed write is tried again
 * once a second, after `on_failed`, until it works.
 * integrator_add: sequencer thread. Callbacks: integrator thread.
 */
#ifndef LOGD_INTEGRATOR_H
#define LOGD_INTEGRATOR_H

#include "logd/sequencer.h"
#include "store/tiles.h"

struct integrator;

struct integrator_callbacks {
    void *ctx;
    /* Every full tile and bundle of the tree of `size` is durable. */
    void (*on_stored)(void *ctx, uint64_t size);
    void (*on_failed)(void *ctx, const struct err *err);
};

/* `stored`: what is durable already. Borrows `tiles`. */
struct integrator *integrator_start(struct tiles *tiles, uint64_t stored, size_t workers,
                                    const struct integrator_callbacks *callbacks);

/* Takes the resources that a commit up to `size` has filled, or that the start found no room for. NULL:
 * all are written, and may have to be synced. */
void integrator_add(struct integrator *integrator, struct resource *resources, uint64_t size);

/* The tree whose full tiles are durable. Any thread. */
uint64_t integrator_stored(const struct integrator *integrator);

/* Finishes what was added, unless writing fails, and stops; NULL is fine. */
void integrator_stop(struct integrator *integrator);

#endif
