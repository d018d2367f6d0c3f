/* synth_writer.h -- a made-up province as a directory.
 *
 *     world.jsonl                    who submits: file, name, key id, role, court
 *     keys/FILE.key, FILE.key.vkey   submitters' keys, as `courtroll keygen` writes them
 *     submitters, bank-submitters    the file of that name, for the courts' log and for the banks'
 *     case-keys/HEX.casekey          the case keys; HEX is SHA-256 of the canonical case number
 *     bank-case-keys/FILE/...        each bank's own keys for the cases it was asked about
 *     operations/FILE.jsonl          drafts, in the order of time: lines of `courtroll submit`
 *                                    (of UNSEAL "unseal" has the "id" of what it opens)
 *     order.jsonl                    the order of all lines: {"file","line"}, from 1
 *     entries, certificates          instead of the drafts: records (synth_record.h)
 *     truth.jsonl                    the faults planted
 *
 * One thread.
 */
#ifndef CLI_SYNTH_WRITER_H
#define CLI_SYNTH_WRITER_H

#include "cli/synth_fault.h"

struct synth_writer_options {
    const struct synth_world *world; /* borrowed, as is all here, until the close */
    const char *dir;
    const char *origin; /* NULL: drafts; else records for the log of that origin */
    bool has_case_keys; /* a file a case */
    uint64_t minute;    /* before anything happens */
};

struct synth_counts {
    uint64_t cases, operations, sealed, unsealed, bank_operations;
    uint64_t faults[SYNTH_FAULTS];
};

struct synth_writer;

/* E_EXISTS when the directory has files of ours. */
MUST_USE enum err_code synth_writer_open(struct synth_writer **out,
                                         const struct synth_writer_options *options,
                                         struct err *err);
MUST_USE enum err_code synth_writer_put_case(struct synth_writer *writer,
                                             const struct synth_case *c, struct err *err);
/* Fills in index and leaf. */
MUST_USE enum err_code synth_writer_put(struct synth_writer *writer,
                                        struct synth_operation *operation, struct err *err);
/* A sealed operation that nobody will open. */
MUST_USE enum err_code synth_writer_put_overdue(struct synth_writer *writer,
                                                const struct synth_operation *operation,
                                                struct err *err);
const struct synth_counts *synth_writer_counts(const struct synth_writer *writer);
/* E_IO when anything was not written. NULL is fine. */
MUST_USE enum err_code synth_writer_close(struct synth_writer *writer, struct err *err);

#endif
