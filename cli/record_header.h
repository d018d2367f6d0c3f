/* record_header.h -- the clear header of an operation record, for who holds the entry and nothing else.
 *
 * Main thread.
 */
#ifndef CLI_RECORD_HEADER_H
#define CLI_RECORD_HEADER_H

#include "base/span.h"

#include <jansson.h>

/* Lines on stdout when `entry` is an operation record that may be on the log of this origin; else nothing. */
void record_header_print(struct span entry, const char *origin);

/* The same as an object; NULL when it is none. */
json_t *record_header_json(struct span entry, const char *origin);

#endif
