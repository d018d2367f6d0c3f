#include "cli/append_input.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>

enum {
    ENTRY_OVERHEAD = 4, /* of an entry in a message: its tag, and a length of up to three bytes */
    BATCH_BYTES_MAX = CALL_BYTES_MAX - 64,
};

void append_input_init(struct append_input *input, char *const *paths, size_t path_count,
                       bool is_lines)
{
    *input =
        (struct append_input){ .paths = paths, .path_count = path_count, .is_lines = is_lines };
    buf_init(&input->entry, ENTRY_BYTES_MAX);
    buf_init(&input->bytes, BATCH_BYTES_MAX);
}

void append_input_clear(struct append_input *input)
{
    if (input->lines != NULL && input->lines != stdin) {
        fclose(input->lines);
    }
    buf_clear(&input->entry);
    buf_clear(&input->bytes);
}

static bool is_stdin(const char *path)
{
    return path[0] == '-' && path[1] == 0;
}

static const char *path_name(const struct append_input *input)
{
    const char *path = input->paths[input->next_path];
    return is_stdin(path) ? "standard input" : path;
}

static enum err_code entry_too_large(const struct append_input *input, struct err *err)
{
    if (input->is_lines) {
        return err_set(err, E_TOO_LARGE, "%s:%zu: longer than an entry, %d bytes", path_name(input),
                       input->line_number, ENTRY_BYTES_MAX);
    }
    return err_set(err, E_TOO_LARGE,
                   "%s: larger than an entry, %d bytes; log a record with its digest",
                   path_name(input), ENTRY_BYTES_MAX);
}

/* A whole file is one entry. */
static enum err_code read_file(struct append_input *input, struct err *err)
{
    const char *path = input->paths[input->next_path];
    enum err_code rc = file_read(&input->entry, is_stdin(path) ? "/dev/stdin" : path, err);
    if (rc == E_TOO_LARGE) {
        return entry_too_large(input, err);
    }
    if (rc != E_OK) {
        return err_wrap(err, "%s", path_name(input));
    }
    input->has_entry = true;
    input->next_path++;
    return E_OK;
}

static enum err_code open_lines(struct append_input *input, struct err *err)
{
    const char *path = input->paths[input->next_path];
    input->lines = is_stdin(path) ? stdin : fopen(path, "re");
    input->line_number = 0;
    if (input->lines == NULL) {
        return err_set_errno(err, errno == ENOENT ? E_NOT_FOUND : E_IO, errno, "%s", path);
    }
    return E_OK;
}

static enum err_code close_lines(struct append_input *input, struct err *err)
{
    enum err_code rc = E_OK;
    if (ferror(input->lines)) {
        rc = err_set_errno(err, E_IO, errno, "%s", path_name(input));
    }
    if (input->lines != stdin) {
        fclose(input->lines);
    }
    input->lines = NULL;
    input->next_path++;
    return rc;
}

/* One line without its newline; at the end of the file nothing, and on to the next one. */
static enum err_code read_line(struct append_input *input, struct err *err)
{
    if (input->lines == NULL && open_lines(input, err) != E_OK) {
        return err->code;
    }
    input->line_number++;
    int c = getc_unlocked(input->lines);
    if (c == EOF) {
        return close_lines(input, err);
    }
    while (c != EOF && c != '\n') {
        if (buf_room(&input->entry) == 0) {
            return entry_too_large(input, err);
        }
        buf_put_u8(&input->entry, (uint8_t)c);
        c = getc_unlocked(input->lines);
    }
    input->has_entry = true;
    return E_OK;
}

/* Reads until there is an entry or no input. */
static enum err_code read_entry(struct append_input *input, struct err *err)
{
    enum err_code rc = E_OK;
    while (rc == E_OK && !input->has_entry && input->next_path < input->path_count) {
        buf_reset(&input->entry);
        rc = input->is_lines ? read_line(input, err) : read_file(input, err);
    }
    return rc;
}

enum err_code append_input_next(struct append_input *input, size_t count_max, size_t *count,
                                struct err *err)
{
    size_t n = 0;
    buf_reset(&input->bytes);
    while (n < count_max) {
        if (read_entry(input, err) != E_OK) {
            return err->code;
        }
        size_t with_it = input->bytes.len + input->entry.len + (n + 1) * ENTRY_OVERHEAD;
        if (!input->has_entry || with_it > BATCH_BYTES_MAX) {
            break;
        }
        buf_put(&input->bytes, buf_span(&input->entry));
        input->ends[n++] = input->bytes.len;
        input->has_entry = false;
    }
    for (size_t i = 0; i < n; i++) { /* only now: the bytes have stopped moving */
        size_t from = i == 0 ? 0 : input->ends[i - 1];
        input->entries[i] = span_slice(buf_span(&input->bytes), from, input->ends[i] - from);
    }
    *count = n;
    return E_OK;
}
