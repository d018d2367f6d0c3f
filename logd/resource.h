/* resource.h -- a full tile or bundle on its way to the tiles store.
 *
 * Made when the tree grows over it, by the sequencer or at the start; the integrator writes and frees
 * it. Pure; one owner at a time.
 */
#ifndef LOGD_RESOURCE_H
#define LOGD_RESOURCE_H

#include "tlog/tile.h"

struct resource {
    struct resource *next;
    struct tile_path path;
    size_t len;
    uint8_t bytes[];
};

/* The end of a list. Copies `bytes`. */
struct resource *resource_new(const struct tile_path *path, struct span bytes);

/* Frees a list; NULL is fine. */
void resource_free_all(struct resource *resources);

#endif
