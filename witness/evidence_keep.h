/* evidence_keep.h -- the evidence this witness holds: files, deduplicated, capped for each origin.
 *
 * Files `<dir>/<origin hash>/<id>`, id being the SHA-256 of the file (lib/evidence/evidence.h). Durable when
 * added. Blocks on the disk; any thread: it has a lock of its own.
 */
#ifndef WITNESS_EVIDENCE_KEEP_H
#define WITNESS_EVIDENCE_KEEP_H

#include "evidence/evidence.h"

enum {
    EVIDENCE_KEEP_MAX = 16 /* files of one origin: further ones are counted, not kept */
};

struct evidence_keep;

MUST_USE enum err_code evidence_keep_open(struct evidence_keep **out, const char *dir,
                                          struct err *err);
void evidence_keep_close(struct evidence_keep *keep);

/* Keeps a file that evidence_verify has accepted, and logs it loudly. *is_new: it was not there, and
 * was kept. */
MUST_USE enum err_code evidence_keep_add(struct evidence_keep *keep, const char *origin,
                                         struct span file, bool *is_new, struct err *err);

struct evidence_item {
    char origin[ORIGIN_BYTES_MAX + 1];
    struct hash origin_hash;
    struct hash id;
    enum evidence_kind kind;
    uint64_t size_a, size_b; /* of the two notes */
    uint64_t first_seen_s;   /* the file's own time */
};
/* A copy, oldest first; the caller frees *out with mem_free. Returns the count. */
size_t evidence_keep_list(struct evidence_keep *keep, struct evidence_item **out);
MUST_USE enum err_code evidence_keep_read(struct evidence_keep *keep,
                                          const struct hash *origin_hash, const struct hash *id,
                                          struct buf *out, struct err *err);
/* True when an origin has EVIDENCE_KEEP_MAX files, which stays so. Who asks before making a file, and
 * then makes none, tells with evidence_keep_add_found that there was something to find. */
bool evidence_keep_is_full(struct evidence_keep *keep, const struct hash *origin_hash);
void evidence_keep_add_found(struct evidence_keep *keep);
/* Pieces found since the start, also those over the cap; those that could not be written are not in it. */
uint64_t evidence_keep_count(const struct evidence_keep *keep);

#endif
