/* backoff.h -- how long to leave a peer alone that has failed: doubled each time, half of it chance.
 *
 * Pure. Any thread.
 */
#ifndef LOGD_BACKOFF_H
#define LOGD_BACKOFF_H

#include <stdint.h>

/* Between half and all of min(first_ms << failures, most_ms), for the failures before this one.
 * *random is the state of a generator that any number may begin; it moves on. */
uint64_t backoff_ms(uint64_t *random, unsigned failures, uint64_t first_ms, uint64_t most_ms);

#endif
