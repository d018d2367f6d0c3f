/* entry_facts.h -- what the log must know of an operation record to keep order: its tag, and whether it changes who
 * may log. Read from bytes that the gate has let in. Pure. Any thread.
 */
#ifndef LOGD_ENTRY_FACTS_H
#define LOGD_ENTRY_FACTS_H

#include "base/crypto.h"

#include <stdbool.h>

struct entry_facts {
    bool has_tag;
    bool is_registration; /* SUBMITTER or SUBMITTER_END */
    struct hash tag;      /* entry tag: the log holds it once */
};

/* Of an entry of the log: nothing when it is no record (which a gate does not let in). */
struct entry_facts entry_facts_read(struct span entry);

#endif
