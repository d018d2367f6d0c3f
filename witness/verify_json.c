#include "witness/verify_json.h"

#include "base/alloc.h"
#include "client/verify_context.h"
#include "net/verify_page.h"

/* A witness has no policy to offer and no tiles; its latest cosigned checkpoint is at /<origin hash>/checkpoint. */
enum err_code verify_json_put(struct buf *out, struct parts *parts, int64_t now_s, struct err *err)
{
    struct log_status *logs = NULL;
    size_t count = parts_log_statuses(parts, VERIFY_CONTEXT_LOGS_MAX, &logs);
    struct verify_context_log *told = mem_calloc(count + 1, sizeof *told);
    for (size_t i = 0; i < count; i++) {
        told[i] = (struct verify_context_log){
            .origin = logs[i].log->origin,
            .has_size = logs[i].state.timestamp > 0, /* 0: it has cosigned nothing yet */
            .size = logs[i].state.size,
        };
    }
    struct verify_context context = { .server = VERIFY_CONTEXT_WITNESS,
                                      .name = parts->keys[0].vkey.name,
                                      .page_hash = verify_page_hash,
                                      .now_s = now_s,
                                      .log_count = count,
                                      .logs = told };
    enum err_code rc = verify_context_put(out, &context, err);
    mem_free(told);
    mem_free(logs);
    return rc;
}
