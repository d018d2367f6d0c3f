/* synth_time.h -- when courts work: days of the week and the year, hours of the day.
 *
 * Minutes are since 1970, UTC, as in a record; days are those of UTC+8, since 1970. The figures are assumptions:
 * four fifths in office hours, a tenth in the night's batch, 3 % at weekends, Mondays, ends of months and December
 * above the rest. Pure. Any thread.
 */
#ifndef CLI_SYNTH_TIME_H
#define CLI_SYNTH_TIME_H

#include "cli/synth_random.h"

enum {
    SYNTH_DAY_MINUTES = 24 * 60,
};

struct synth_date {
    unsigned year, month, day; /* month and day from 1 */
};
struct synth_date synth_date_of_day(uint64_t day);
uint64_t synth_day_of_date(struct synth_date date);
uint64_t synth_day_of_minute(uint64_t minute);

/* How busy the day is; an ordinary one has 1000. */
unsigned synth_time_day_weight(uint64_t day);

/* A minute of the day on which a person works, such as 9:37. */
uint64_t synth_time_on_day(struct synth_random *random, uint64_t day);

enum synth_when {
    SYNTH_AT_ONCE, /* minutes later, by the same hand */
    SYNTH_OFFICE,  /* when somebody has time, `gap` minutes later or so */
    SYNTH_NIGHT,   /* in the batch of the next night */
};
/* A minute that is not before `minute`. */
uint64_t synth_time_after(struct synth_random *random, uint64_t minute, enum synth_when when,
                          uint64_t gap);

#endif
