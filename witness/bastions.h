/* bastions.h -- the bastions through which this witness is reached without an inbound port, and the key it
 * shows them.
 *
 * Loop thread, but for bastions_open.
 */
#ifndef WITNESS_BASTIONS_H
#define WITNESS_BASTIONS_H

#include "witness/http_service.h"
#include "witness/settings.h"
#include "witness/witness_keys.h"

struct bastions;

/* Loads the key that the settings name, or the one at `own_key`, which it makes when there is none. *out is
 * NULL without a bastion in the settings. Errors as key_file_load; E_DENIED when it is a key of `keys`:
 * what signs must not be what a stranger's TLS speaks with. Before the loop runs. */
MUST_USE enum err_code bastions_open(struct bastions **out, const struct settings *settings,
                                     const char *own_key, const struct witness_keys *keys,
                                     struct err *err);
void bastions_free(struct bastions *bastions); /* NULL is fine; after bastions_close */

/* Begins to connect; requests go to `http`. After an error those that had begun
 * go on. */
MUST_USE enum err_code bastions_start(struct bastions *bastions, uv_loop_t *loop,
                                      struct witness_http *http, struct err *err);

/* Requires at least one that has begun. Takes no more requests; on_closed comes from the loop once those under way are answered. */
void bastions_close(struct bastions *bastions, void *ctx, void (*on_closed)(void *ctx));

size_t bastions_begun(const struct bastions *bastions);     /* 0 for NULL */
size_t bastions_connected(const struct bastions *bastions); /* 0 for NULL */

#endif
