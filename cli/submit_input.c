#include "cli/submit_input.h"

#include "base/crypto.h"
#include "record/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

enum {
    INPUT_BYTES_MAX = 2 * 1024 * 1024,
    READ_BYTES = 256 * 1024,
};

enum err_code submit_input_open(struct submit_input *out, const char *path, struct err *err)
{
    int fd = STDIN_FILENO;
    if (strcmp(path, "-") != 0 && (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        return err_set_errno(err, errno == ENOENT ? E_NOT_FOUND : E_IO, errno, "%s", path);
    }
    *out = (struct submit_input){ .fd = fd, .bytes = BUF_INIT(INPUT_BYTES_MAX) };
    (void)buf_extend(&out->bytes, INPUT_BYTES_MAX); /* at once: growing would leave copies */
    buf_reset(&out->bytes);
    return E_OK;
}

void submit_input_close(struct submit_input *input)
{
    if (input->bytes.data != NULL) {
        crypto_wipe(input->bytes.data, input->bytes.cap);
    }
    buf_clear(&input->bytes);
    if (input->fd != STDIN_FILENO) {
        close(input->fd);
    }
}

/* What was given out goes, and leaves no copy behind. */
static void drop_taken(struct submit_input *input)
{
    size_t left = input->bytes.len - input->at;
    memmove(input->bytes.data, input->bytes.data + input->at, left);
    crypto_wipe(input->bytes.data + left, input->bytes.len - left);
    buf_truncate(&input->bytes, left);
    input->at = 0;
}

static struct span rest_of(const struct submit_input *input)
{
    return span_slice(buf_span(&input->bytes), input->at, input->bytes.len - input->at);
}

static bool has_line(const struct submit_input *input)
{
    return span_find(rest_of(input), span_of_str("\n")) != SIZE_MAX;
}

static enum err_code read_some(struct submit_input *input, struct err *err)
{
    size_t before = input->bytes.len;
    size_t room = buf_room(&input->bytes);
    size_t len = room < READ_BYTES ? room : READ_BYTES;
    ssize_t got;
    do {
        got = read(input->fd, buf_extend(&input->bytes, len), len);
        buf_truncate(&input->bytes, before);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return err_set_errno(err, E_IO, errno, "reading operations");
    }
    (void)buf_extend(&input->bytes, (size_t)got);
    input->is_eof = got == 0;
    return E_OK;
}

static bool has_more_now(const struct submit_input *input)
{
    struct pollfd fd = { .fd = input->fd, .events = POLLIN };
    return !input->is_eof && poll(&fd, 1, 0) > 0;
}

static enum err_code fill(struct submit_input *input, struct err *err)
{
    enum err_code rc = E_OK;
    drop_taken(input);
    while (rc == E_OK && !input->is_eof && buf_room(&input->bytes) > 0 &&
           (!has_line(input) || has_more_now(input))) {
        rc = read_some(input, err);
    }
    return rc;
}

/* The next one of those that are read; false when there is none yet. */
static bool take_line(struct submit_input *input, struct span *line)
{
    struct span rest = rest_of(input);
    size_t end = span_find(rest, span_of_str("\n"));
    bool is_last = end == SIZE_MAX;
    if (is_last && (!input->is_eof || rest.len == 0)) {
        return false;
    }
    *line = span_slice(rest, 0, is_last ? rest.len : end);
    input->at += line->len + !is_last;
    input->line++;
    return true;
}

enum err_code submit_input_next(struct submit_input *input, struct span *lines, size_t lines_max,
                                size_t *count, struct err *err)
{
    enum err_code rc = has_line(input) ? E_OK : fill(input, err);
    size_t taken = 0;
    while (rc == E_OK && taken < lines_max && take_line(input, &lines[taken])) {
        if (lines[taken].len > DRAFT_BYTES_MAX) {
            rc = err_set(err, E_TOO_LARGE, "line %" PRIu64 ": over %d bytes", input->line,
                         DRAFT_BYTES_MAX);
        }
        taken++;
    }
    if (rc == E_OK && taken == 0 && !input->is_eof) { /* the buffer is full of one */
        rc = err_set(err, E_TOO_LARGE, "line %" PRIu64 ": over %d bytes", input->line + 1,
                     DRAFT_BYTES_MAX);
    }
    *count = rc == E_OK ? taken : 0;
    return rc;
}
