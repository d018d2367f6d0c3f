/* reload.h -- SIGHUP: files are read again.
 *
 * One reading at a time, on a worker: two could end in the wrong order, and an old file would stay in force. A signal
 * that comes meanwhile is not lost, for the files may have changed behind the reader's back: another reading follows.
 * Loop thread.
 */
#ifndef LOGD_RELOAD_H
#define LOGD_RELOAD_H

#include "net/work.h"

#include <stdbool.h>

struct reload;

/* From now on SIGHUP does not end the process. */
struct reload *reload_start(uv_loop_t *loop);

/* What a signal from now on has read; `read_again` runs on a worker. Borrowed until reload_close. */
void reload_serve(struct reload *reload, struct work *work, void *ctx,
                  void (*read_again)(void *ctx));

/* Signals count no more; a reading under way goes on. */
void reload_end(struct reload *reload);
bool reload_is_under_way(const struct reload *reload);

/* After reload_end, with no reading under way; frees itself. */
void reload_close(struct reload *reload, void *ctx, void (*on_closed)(void *ctx));

#endif
