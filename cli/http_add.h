/* http_add.h -- POST /add of a log: one entry, answered with its index once durable.
 *
 * design: "Surfaces". Loop thread.
 */
#ifndef CLI_HTTP_ADD_H
#define CLI_HTTP_ADD_H

#include "net/http_client.h"

/* Starts one. `on_done` is called once from the loop, with E_OK and the index, or with what went
 * wrong in `err`, the log's words included. `url` is the log's prefix, without a final '/'. */
struct http_add;
void http_add_start(struct http_client *client, const char *url, struct span entry, void *ctx,
                    void (*on_done)(void *ctx, uint64_t index, const struct err *failure));

#endif
