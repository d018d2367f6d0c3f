#include "witness/ledger_origin.h"

#include "base/alloc.h"
#include "witness/ledger.h"

#include <search.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const struct ledger_origin *left = a, *right = b;
    return memcmp(left->origin_hash.bytes, right->origin_hash.bytes, HASH_BYTES);
}

static void free_origin(void *origin)
{
    buf_clear(&((struct ledger_origin *)origin)->note);
    mem_free(origin);
}

void ledger_origins_clear(struct ledger_origins *origins)
{
    tdestroy(origins->root, free_origin);
    origins->root = NULL;
}

struct ledger_origin *ledger_origins_find(const struct ledger_origins *origins,
                                          const struct hash *origin_hash)
{
    struct ledger_origin key = { .origin_hash = *origin_hash };
    struct ledger_origin **found = tfind(&key, &origins->root, compare);
    return found == NULL ? NULL : *found;
}

struct ledger_origin *ledger_origins_get(struct ledger_origins *origins,
                                         const struct hash *origin_hash)
{
    struct ledger_origin *origin = ledger_origins_find(origins, origin_hash);
    if (origin == NULL) {
        origin = NEW(struct ledger_origin);
        origin->origin_hash = *origin_hash;
        buf_init(&origin->note, LEDGER_NOTE_BYTES_MAX);
        if (tsearch(origin, &origins->root, compare) == NULL) {
            abort(); /* out of memory, as in alloc.c */
        }
    }
    return origin;
}
