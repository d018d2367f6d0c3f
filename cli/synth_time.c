#include "cli/synth_time.h"

enum {
    LOCAL_MINUTES = 8 * 60, /* UTC+8 */
    DAYS_OFF_IN_400_YEARS = 146097,
    MORNING = 8 * 60 + 30,
    EVENING = 18 * 60,
    AT_ONCE_MAX = 12,
    NIGHT_BEGIN = 60,
    NIGHT_END = 5 * 60,
};

/* Days to civil dates and back: the usual sums over eras of 400 years, years beginning in March. */
struct synth_date synth_date_of_day(uint64_t day)
{
    uint64_t z = day + 719468;
    uint64_t era = z / DAYS_OFF_IN_400_YEARS;
    uint64_t doe = z % DAYS_OFF_IN_400_YEARS;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    uint64_t month = (5 * doy + 2) / 153;
    struct synth_date date = { .day = (unsigned)(doy - (153 * month + 2) / 5 + 1),
                               .month = (unsigned)(month < 10 ? month + 3 : month - 9) };
    date.year = (unsigned)(yoe + era * 400 + (date.month <= 2 ? 1 : 0));
    return date;
}

uint64_t synth_day_of_date(struct synth_date date)
{
    uint64_t year = date.month <= 2 ? date.year - 1 : date.year;
    uint64_t yoe = year % 400;
    uint64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
    uint64_t doy = (153 * month + 2) / 5 + date.day - 1;
    return year / 400 * DAYS_OFF_IN_400_YEARS + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

uint64_t synth_day_of_minute(uint64_t minute)
{
    return (minute + LOCAL_MINUTES) / SYNTH_DAY_MINUTES;
}

static uint64_t minute_of(uint64_t day, uint64_t minute_of_day)
{
    return day * SYNTH_DAY_MINUTES + minute_of_day - LOCAL_MINUTES;
}

static unsigned weekday(uint64_t day) /* Monday is 0; 1970 began on a Thursday */
{
    return (unsigned)((day + 3) % 7);
}

unsigned synth_time_day_weight(uint64_t day)
{
    if (weekday(day) >= 5) {
        return 80;
    }
    struct synth_date date = synth_date_of_day(day);
    struct synth_date soon = synth_date_of_day(day + 3);
    unsigned weight = weekday(day) == 0 ? 1200 : 1000;
    if (soon.month != date.month) {
        weight = weight * 3 / 2;
    }
    return date.month == 12 ? weight * 8 / 5 : weight;
}

/* Shares of the day's stretches. */
static const struct {
    unsigned share, from, to;
} stretches[] = {
    { 70, MORNING, 9 * 60 },      { 160, 9 * 60, 10 * 60 }, { 150, 10 * 60, 11 * 60 },
    { 100, 11 * 60, 12 * 60 },    { 30, 12 * 60, 14 * 60 }, { 150, 14 * 60, 15 * 60 },
    { 140, 15 * 60, 16 * 60 },    { 90, 16 * 60, 17 * 60 }, { 60, 17 * 60, EVENING },
    { 30, EVENING, 22 * 60 - 1 }, { 20, 7 * 60, MORNING },
};

uint64_t synth_time_on_day(struct synth_random *random, uint64_t day)
{
    uint64_t share = synth_random_below(random, 1000);
    size_t i = 0;
    while (share >= stretches[i].share) {
        share -= stretches[i++].share;
    }
    return minute_of(day, synth_random_range(random, stretches[i].from, stretches[i].to - 1));
}

/* The first day from `day` on that is taken: as likely as it is busy. */
static uint64_t working_day(struct synth_random *random, uint64_t day)
{
    for (unsigned tries = 0; tries < 10; tries++, day++) {
        if (synth_random_below(random, 1200) < synth_time_day_weight(day)) {
            break;
        }
    }
    return day;
}

static uint64_t in_office(struct synth_random *random, uint64_t minute, uint64_t gap)
{
    uint64_t day = working_day(random, synth_day_of_minute(minute + gap));
    for (;; day = working_day(random, day + 1)) {
        uint64_t at = synth_time_on_day(random, day);
        if (at >= minute) {
            return at;
        }
    }
}

static uint64_t at_night(struct synth_random *random, uint64_t minute)
{
    uint64_t day = synth_day_of_minute(minute);
    uint64_t at = minute_of(day, synth_random_range(random, NIGHT_BEGIN, NIGHT_END - 1));
    uint64_t end = minute_of(day, NIGHT_END);
    if (minute < end) { /* this night still */
        return at >= minute ? at : synth_random_range(random, minute, end);
    }
    return at + SYNTH_DAY_MINUTES;
}

uint64_t synth_time_after(struct synth_random *random, uint64_t minute, enum synth_when when,
                          uint64_t gap)
{
    switch (when) {
    case SYNTH_OFFICE:
        return in_office(random, minute, gap);
    case SYNTH_NIGHT:
        return at_night(random, minute);
    case SYNTH_AT_ONCE:
    default:
        return minute + synth_random_below(random, AT_ONCE_MAX);
    }
}
