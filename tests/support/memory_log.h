/* memory_log.h -- a log in memory: honest, forked, or tampered with file by file; for tests and simulations.
 *
 * Spec: C2SP tlog-tiles. Its files are read through a struct log_reader (client/log_reader.h).
 *
 * Entries are a function of seed and index, so that a log of a million takes 33 MB (its hashes), and a
 * second or less to make; files are put together when they are read. What is served at a path can be
 * replaced, removed, or made to fail, while the tree (memory_log_root) stays what it is: that is the
 * difference between a log that lies and one that serves rubbish.
 *
 * Tree and publication are two things: memory_log_grow appends entries, memory_log_publish makes a
 * size public. The full tiles and bundles of the largest published tree are served, and the partial ones
 * of each published size, as a log does that never deletes them.
 *
 * Any thread: one lock guards all; `on_get` runs without it. Failures end the test program.
 */
#ifndef SUPPORT_MEMORY_LOG_H
#define SUPPORT_MEMORY_LOG_H

#include "client/log_reader.h"
#include "tlog/checkpoint.h"
#include "tlog/proof.h"

enum {
    MEMORY_LOG_ENTRY_BYTES_DEFAULT = 48 /* at most: the leaf is then one block for SHA-256 */
};

/* Zeroes are defaults. */
struct memory_log_options {
    uint64_t seed;
    size_t entry_bytes_max; /* derived entries are 8 to so many bytes; another seed gives others */
    /* Appends entry number `index`, instead of what is derived from the seed. Pure; any thread. */
    void (*put_entry)(void *ctx, uint64_t index, struct buf *out);
    void *ctx;
    /* The log's key; its name is the origin. Borrowed. NULL: memory_log_publish is not used. */
    const struct signer *signer;
};

struct memory_log;

struct memory_log *memory_log_new(const struct memory_log_options *options); /* size 0 */
void memory_log_free(struct memory_log *log); /* after its readers; NULL is fine */

/* A log with the first `size` entries of this one, nothing published and nothing tampered with. What it
 * appends comes from `options`, which may name another seed (or the same: then it is the
 * same log, shorter). Hashes are copied, not made again. */
struct memory_log *memory_log_fork(struct memory_log *log, uint64_t size,
                                   const struct memory_log_options *options);

/* -- the tree -- */

uint64_t memory_log_size(struct memory_log *log);
/* Appends entries up to `size`. */
void memory_log_grow(struct memory_log *log, uint64_t size);
/* Appends one entry of your own; it is kept. */
void memory_log_append(struct memory_log *log, struct span entry);

/* Requires size <= memory_log_size, index < it, and so on: asserted. */
struct hash memory_log_root(struct memory_log *log, uint64_t size);
struct hash memory_log_leaf(struct memory_log *log, uint64_t index);
void memory_log_put_entry(struct memory_log *log, uint64_t index, struct buf *out);
struct compact_range memory_log_range(struct memory_log *log, uint64_t size);
struct proof memory_log_consistency(struct memory_log *log, uint64_t old_size, uint64_t size);
struct proof memory_log_inclusion(struct memory_log *log, uint64_t index, uint64_t size);

/* -- publishing -- */

/* Appends the checkpoint's text (unsigned), or the note with the log's signature. Nothing is published. */
void memory_log_put_text(struct memory_log *log, uint64_t size, struct buf *out);
void memory_log_put_note(struct memory_log *log, uint64_t size, struct buf *out);

/* Makes `size` public, smaller than before too: "checkpoint" is then a note of it, signed by the log. */
void memory_log_publish(struct memory_log *log, uint64_t size);
/* Likewise with a note of your own: with cosignatures, or none of this log at all. */
void memory_log_publish_note(struct memory_log *log, uint64_t size, struct span note);
/* memory_log_grow and memory_log_publish. */
void memory_log_grow_published(struct memory_log *log, uint64_t size);
/* From now on no partial tile or bundle of an older size is there. */
void memory_log_drop_partials(struct memory_log *log);

/* -- tampering: by path below the log's root ("checkpoint", "tile/0/000", "tile/entries/000.p/7"), whether
 *    there is such a file or not; the last one for a path counts -- */

void memory_log_replace(struct memory_log *log, const char *path, struct span bytes);
void memory_log_remove(struct memory_log *log, const char *path);
/* Reading it is an error: E_IO, E_TIMEOUT, ... */
void memory_log_fail(struct memory_log *log, const char *path, enum err_code code);
void memory_log_restore(struct memory_log *log, const char *path); /* honest again */
void memory_log_restore_all(struct memory_log *log);
/* Every file is an error, tampered or not; E_OK: no more. */
void memory_log_fail_all(struct memory_log *log, enum err_code code);

/* -- reading -- */

/* Closed with log_reader_close, before the log is freed. */
struct log_reader *memory_log_open(struct memory_log *log);
/* The same, as scan_source and others want it: `ctx` is the log. */
MUST_USE enum err_code memory_log_open_source(void *ctx, struct log_reader **out, struct err *err);

/* Appends what a reader gets at `path`, but on_get is not called. */
MUST_USE enum err_code memory_log_get(struct memory_log *log, const char *path, struct buf *out,
                                      struct err *err);

/* Called before each read by a reader, on its thread: to count, wait, tamper, or fail (with the error set).
 * NULL: not any more. Set before readers are at work. */
void memory_log_on_get(struct memory_log *log,
                       enum err_code (*on_get)(void *ctx, const char *path, struct err *err),
                       void *ctx);
uint64_t memory_log_get_count(struct memory_log *log); /* reads by readers, failed ones too */

#endif
