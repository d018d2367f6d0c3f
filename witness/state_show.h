/* state_show.h -- `courtroll-witness state show`: prints what the store has of each log. Main thread. */
#ifndef WITNESS_STATE_SHOW_H
#define WITNESS_STATE_SHOW_H

#include "tlog/log_list.h"
#include "witness/ledger.h"

/* Logs with a state; then those of the mark file, and of the list, without one. `mark` and `logs` may be
 * NULL. */
MUST_USE enum err_code state_show(struct ledger *ledger, const struct mark_file *mark,
                                  const struct log_list *logs, bool is_json, struct err *err);

#endif
