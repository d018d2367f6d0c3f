/* death.h -- whether something ends the process, as an assert does. */
#ifndef SUPPORT_DEATH_H
#define SUPPORT_DEATH_H

#include <stdbool.h>

/* Calls `function` in a child process with stderr closed; true when it did not come back. */
bool death_of(void (*function)(void));

#endif
