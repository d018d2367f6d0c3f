/* evidence_json.h -- the array at /evidence: what this witness holds, each with a path to the file. */
#ifndef WITNESS_EVIDENCE_JSON_H
#define WITNESS_EVIDENCE_JSON_H

#include "witness/evidence_keep.h"

/* Room for so many items. */
size_t evidence_json_bytes_max(size_t count);

/* [{"id": hex, "origin", "kind", "sizes": [a, b], "first_seen": unix seconds, "path"}, ...] */
void evidence_json_put(struct buf *out, const struct evidence_item *items, size_t count);

#endif
