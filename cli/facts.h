/* facts.h -- a table of two columns, WHAT and VALUE: how a command shows the state of one thing. Main thread. */
#ifndef CLI_FACTS_H
#define CLI_FACTS_H

#include "cli/output.h"

struct output_table *facts_new(void); /* output_table_print prints and frees it */
void facts_add(struct output_table *facts, const char *name, const char *value);
void facts_add_text(struct output_table *facts, const char *name, struct span peers_text);
void facts_add_count(struct output_table *facts, const char *name, uint64_t value);
/* "2026-11-23T14:31:26Z, 12 s ago"; "never" for 0. Seconds since 1970. */
void facts_add_time(struct output_table *facts, const char *name, uint64_t seconds);

#endif
