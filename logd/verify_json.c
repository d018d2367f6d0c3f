#include "logd/verify_json.h"

#include "client/verify_context.h"
#include "net/verify_page.h"

/* A log does not know of its own faults: whether there are alerts is for a monitor to say. */
enum err_code verify_json_put(struct buf *out, struct parts *parts, int64_t now_s, struct err *err)
{
    struct published_tree *tree = published_get(parts->published);
    struct hash policy_hash = sha256(buf_span(&parts->policy_text));
    struct verify_context_log log = {
        .origin = signing_origin(&parts->signing),
        .policy_hash = &policy_hash,
        .policy = buf_span(&parts->policy_text),
        .has_tiles = true,
        .has_size = tree != NULL,
        .size = tree != NULL ? tree->checkpoint.size : 0,
    };
    struct verify_context context = { .server = VERIFY_CONTEXT_LOG,
                                      .name = log.origin,
                                      .page_hash = verify_page_hash,
                                      .now_s = now_s,
                                      .log_count = 1,
                                      .logs = &log };
    published_tree_release(tree);
    return verify_context_put(out, &context, err);
}
