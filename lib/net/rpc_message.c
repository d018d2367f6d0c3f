#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "net/rpc_parts.h"

#include <grpc/support/time.h>

enum {
    PEM_BYTES_MAX = 1024 * 1024
};

/* Debian's Abseil is built with its deadlock detector on, and every lock of gRPC's pays for it: a
 * call costs 12 % more. There is no C name to turn it off by; where this one is absent (another
 * Abseil), nothing is lost but those 12 %. */
extern void absl_set_deadlock_detection(int mode) __asm__(
    "_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE") __attribute__((weak));

/* Peers can cause most of what gRPC logs, at will; what it says before it aborts is for us. */
static void on_library_log(gpr_log_func_args *args)
{
    bool is_fatal = strncmp(args->message, "assertion failed", 16) == 0;
    log_event(is_fatal ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG, "grpc", "message=%s",
              log_quoted_str(args->message).text);
}

void rpc_library_init(void)
{
    gpr_set_log_function(on_library_log);
    if (absl_set_deadlock_detection != NULL) {
        absl_set_deadlock_detection(0 /* OnDeadlockCycle::kIgnore */);
    }
    grpc_init();
}

bool rpc_message_span(grpc_byte_buffer *message, struct buf *scratch, struct span *out)
{
    *out = span_of(NULL, 0);
    if (message == NULL) {
        return true;
    }
    bool is_plain =
        message->type == GRPC_BB_RAW && message->data.raw.compression == GRPC_COMPRESS_NONE;
    if (!is_plain || grpc_byte_buffer_length(message) > scratch->max) {
        return false;
    }
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, message)) {
        return false;
    }
    grpc_slice *slice = NULL;
    buf_reset(scratch);
    while (grpc_byte_buffer_reader_peek(&reader, &slice) != 0) {
        struct span part = span_of(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
        if (part.len == grpc_byte_buffer_length(message)) {
            *out = part; /* in one piece already, as nearly all messages are */
            break;
        }
        buf_put(scratch, part);
        *out = buf_span(scratch);
    }
    grpc_byte_buffer_reader_destroy(&reader);
    return true;
}

static grpc_byte_buffer *message_of_slice(grpc_slice slice)
{
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return message;
}

grpc_byte_buffer *rpc_message_copy(struct span bytes)
{
    return message_of_slice(grpc_slice_from_copied_buffer((const char *)bytes.data, bytes.len));
}

grpc_byte_buffer *rpc_message_take(struct buf *bytes)
{
    if (bytes->len == 0) {
        return rpc_message_copy(span_of("", 0));
    }
    grpc_byte_buffer *message = message_of_slice(grpc_slice_new(bytes->data, bytes->len, mem_free));
    buf_init(bytes, bytes->max);
    return message;
}

enum err_code rpc_pem_read(struct buf *out, const char *path, struct err *err)
{
    buf_init(out, PEM_BYTES_MAX);
    if (file_read(out, path, err) != E_OK) {
        return err_wrap(err, "%s", path);
    }
    if (buf_room(out) == 0) {
        return err_set(err, E_TOO_LARGE, "%s: over %d bytes", path, PEM_BYTES_MAX);
    }
    (void)buf_c_str(out);
    return E_OK;
}

gpr_timespec rpc_deadline_in(uint32_t timeout_ms)
{
    if (timeout_ms == UINT32_MAX) {
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    }
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
}
