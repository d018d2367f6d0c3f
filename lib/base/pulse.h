/* pulse.h -- whether a thread makes headway: how long the step lasts that it is in.
 *
 * The thread itself says when a step begins and when it rests, which is whenever it waits for work. Anybody may ask.
 * A daemon that is stuck for PULSE_STUCK_MS says nothing to the service manager's watchdog any more, and is started
 * again: what it has acknowledged is on the disk.
 */
#ifndef BASE_PULSE_H
#define BASE_PULSE_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    PULSE_STUCK_MS = 60000
}; /* far above one synced write on a slow disk, or one proof */

/* All zero is at rest. */
struct pulse {
    atomic_uint_least64_t since_ms; /* monotonic; 0: at rest */
};

/* A step begins, and ends the one before it. */
void pulse_step(struct pulse *pulse);
void pulse_rest(struct pulse *pulse);

/* So long it has been in its step; 0 at rest. Any thread. */
uint64_t pulse_stuck_ms(struct pulse *pulse);

#endif
