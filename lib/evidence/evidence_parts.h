/* evidence_parts.h -- what the kinds of evidence share: notes in one spelling, and who may sign what.
 *
 * For evidence*.c only; the files are described in evidence.h. Pure. Any thread.
 */
#ifndef EVIDENCE_EVIDENCE_PARTS_H
#define EVIDENCE_EVIDENCE_PARTS_H

#include "evidence/evidence.h"
#include "tlog/promise.h"

/* -- who may sign what (evidence_note.c) -- */

/* A key's type and name say what it may sign as: no key counts in the role of another. */
enum evidence_role {
    EVIDENCE_ROLE_LOG,     /* a checkpoint of the origin that is its name */
    EVIDENCE_ROLE_WITNESS, /* a checkpoint of any origin, with a time */
    EVIDENCE_ROLE_PROMISE, /* a promise of the origin that it is named for */
    EVIDENCE_ROLE_MONITOR, /* an observation */
};

struct evidence_signers {
    const struct vkey *const *keys;
    size_t count;
    bool are_of_log; /* the caller vouches that plain keys are of the log, whatever their names */
};

/* A note whose text fits the role, with its verified lines. */
struct evidence_note {
    struct note note;                                   /* owned */
    struct checkpoint checkpoint;                       /* roles log and witness */
    struct promise *promise;                            /* owned; role promise, else NULL */
    struct note_verified verified[NOTE_SIGNATURES_MAX]; /* `key` is a position in the signers */
    size_t count;
};

/* E_MALFORMED; E_BAD_SIGNATURE and E_CONFLICT as note_verify. Call evidence_note_clear after success. */
MUST_USE enum err_code evidence_note_open(struct evidence_note *out, struct span bytes,
                                          enum evidence_role role,
                                          const struct evidence_signers *signers, struct err *err);
/* Likewise, and E_BAD_SIGNATURE unless every line is one that was verified. */
MUST_USE enum err_code evidence_note_open_pure(struct evidence_note *out, struct span bytes,
                                               enum evidence_role role,
                                               const struct evidence_signers *signers,
                                               struct err *err);
void evidence_note_clear(struct evidence_note *note);

/* Appends the note in the spelling of a file, with its verified lines only. */
void evidence_note_put(struct buf *out, const struct evidence_note *note);

/* E_MALFORMED unless `bytes` are the note in the spelling of a file: lines sorted, base64 as we write it. */
MUST_USE enum err_code evidence_note_check_spelling(const struct note *note, struct span bytes,
                                                    struct err *err);
/* Prefixes "note A: " or "note B: ". */
enum err_code evidence_note_wrap(struct err *err, size_t i);

/* -- a kind is a row of these (the table is in evidence.c) -- */

struct evidence_format {
    const char *text;
    size_t note_count;
    /* What is behind the notes. Takes all of `in`, which may be empty. */
    enum err_code (*take_tail)(struct evidence *evidence, struct span in, struct err *err);
    void (*put_tail)(struct buf *out, const struct evidence *evidence);
    /* The form of the notes and their order. */
    enum err_code (*check)(const struct evidence *evidence, struct err *err);
    enum err_code (*verify)(const struct evidence *evidence, const struct evidence_signers *signers,
                            struct evidence_verdict *out, struct err *err);
};

extern const struct evidence_format evidence_format_fork, evidence_format_equivocation,
    evidence_format_promise, evidence_format_tag, evidence_format_observation;

/* Appends the note in the spelling of a file, into a buffer of its own that the caller clears, if its text fits the
 * role and a key of the signers has signed it. Errors as evidence_note_open: *out is untouched then. */
MUST_USE enum err_code evidence_note_clean(struct buf *out, struct span bytes,
                                           enum evidence_role role,
                                           const struct evidence_signers *signers, struct err *err);

/* Takes lines of a proof up to the end. */
MUST_USE enum err_code evidence_take_proof(struct proof *out, struct span in, struct err *err);

/* Appends the file, if a stranger with these keys would accept it: it is read and judged as he would. */
MUST_USE enum err_code evidence_put(struct buf *out, const struct evidence *evidence,
                                    const struct evidence_signers *signers, struct err *err);

#endif
