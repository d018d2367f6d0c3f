/* synth_record.h -- signed records of made-up cases, as a file of entries.
 *
 * `entries`: each with its length before it, u16 big-endian, as in an entry bundle (`courtroll append --framed`);
 * first the registrations of the submitters, which are in `registrations` by themselves, too: a gate must have them
 * before it takes the rest. `certificates`: likewise one for each entry, what goes to the gate beside
 * a sealed record, else empty. Salts and one-time keys are hashes of the seed, so a sealed record can be made again
 * when it is opened, and nothing need be kept. One thread.
 */
#ifndef CLI_SYNTH_RECORD_H
#define CLI_SYNTH_RECORD_H

#include "cli/synth_case.h"

struct synth_recorder;

/* Makes the files in `dir`, and writes the registrations: in force from `minute`. `origin` and `world` are
 * borrowed. */
MUST_USE enum err_code synth_recorder_open(struct synth_recorder **out,
                                           const struct synth_world *world, const char *dir,
                                           const char *origin, uint64_t minute, struct err *err);
/* Composes, signs and writes one operation; fills in its index and leaf. */
MUST_USE enum err_code synth_recorder_put(struct synth_recorder *recorder,
                                          struct synth_operation *operation, struct err *err);
uint64_t synth_recorder_count(const struct synth_recorder *recorder); /* entries so far */
/* E_IO when anything was not written. NULL is fine. */
MUST_USE enum err_code synth_recorder_close(struct synth_recorder *recorder, struct err *err);

#endif
