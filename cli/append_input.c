#include "cli/append_input.h"

#include "base/alloc.h"
#include "base/file.h"
#include "record/certificate.h"

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
    buf_init(&input->certificate, CERTIFICATE_BYTES);
    buf_init(&input->certificate_bytes, ENTRIES_PER_CALL_MAX * CERTIFICATE_BYTES);
}

void append_input_clear(struct append_input *input)
{
    if (input->lines != NULL && input->lines != stdin) {
        fclose(input->lines);
    }
    if (input->certificates_file != NULL) {
        fclose(input->certificates_file);
    }
    buf_clear(&input->entry);
    buf_clear(&input->bytes);
    buf_clear(&input->certificate);
    buf_clear(&input->certificate_bytes);
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

/* One entry with its length before it; at the end of the file nothing, and on to the next one. */
static enum err_code read_framed(struct append_input *input, struct err *err)
{
    if (input->lines == NULL && open_lines(input, err) != E_OK) {
        return err->code;
    }
    uint8_t head[2];
    size_t got = fread(head, 1, sizeof head, input->lines);
    if (got == 0) {
        return close_lines(input, err);
    }
    size_t len = (size_t)head[0] << 8 | head[1];
    input->line_number++;
    if (got == sizeof head && len > 0) {
        got = fread(buf_extend(&input->entry, len), 1, len, input->lines) == len ? sizeof head : 0;
    }
    if (got < sizeof head && ferror(input->lines)) {
        return err_set_errno(err, E_IO, errno, "%s", path_name(input));
    }
    if (got < sizeof head) {
        return err_set(err, E_MALFORMED, "%s: entry %zu: the file ends inside it", path_name(input),
                       input->line_number);
    }
    input->has_entry = true;
    return E_OK;
}

/* ---- certificates ---- */

/* One that is a file: record seal --out-certificate has made it. */
static enum err_code read_certificate_file(struct append_input *input, const char *entry_path,
                                           struct err *err)
{
    const char *slash = strrchr(entry_path, '/');
    const char *name = slash != NULL ? slash + 1 : entry_path;
    struct buf file = BUF_INIT(strlen(name) + 16);
    buf_putf(&file, "%s.certificate", name);
    char *path = file_join(input->certificates_path, buf_c_str(&file));
    enum err_code rc = file_read(&input->certificate, path, err);
    if (rc == E_NOT_FOUND) {
        rc = E_OK;
    } else if (rc == E_TOO_LARGE || (rc == E_OK && input->certificate.len != CERTIFICATE_BYTES)) {
        rc = err_set(err, E_MALFORMED, "%s: a certificate has %d bytes", path, CERTIFICATE_BYTES);
    }
    mem_free(path);
    buf_clear(&file);
    return rc;
}

static enum err_code read_certificate_framed(struct append_input *input, struct err *err)
{
    const char *path = input->certificates_path;
    uint8_t head[2];
    if (input->certificates_file == NULL &&
        (input->certificates_file = fopen(path, "re")) == NULL) {
        return err_set_errno(err, errno == ENOENT ? E_NOT_FOUND : E_IO, errno, "%s", path);
    }
    FILE *file = input->certificates_file;
    size_t number = ++input->certificate_number;
    if (fread(head, 1, sizeof head, file) != sizeof head) {
        return err_set(err, E_MALFORMED, "%s: it ends before certificate %zu, one for each entry",
                       path, number);
    }
    size_t len = (size_t)head[0] << 8 | head[1];
    if (len != 0 && len != CERTIFICATE_BYTES) {
        return err_set(err, E_MALFORMED, "%s: certificate %zu has %zu bytes: it has %d, or none",
                       path, number, len, CERTIFICATE_BYTES);
    }
    if (len > 0 && fread(buf_extend(&input->certificate, len), 1, len, file) != len) {
        return err_set(err, E_MALFORMED, "%s: certificate %zu: the file ends inside it", path,
                       number);
    }
    return E_OK;
}

/* That of the entry which was just read. */
static enum err_code read_certificate(struct append_input *input, struct err *err)
{
    buf_reset(&input->certificate);
    if (input->certificates_path == NULL) {
        return E_OK;
    }
    return input->is_framed ? read_certificate_framed(input, err)
                            : read_certificate_file(input, input->paths[input->next_path - 1], err);
}

/* Reads until there is an entry or no input. */
static enum err_code read_entry(struct append_input *input, struct err *err)
{
    enum err_code rc = E_OK;
    if (input->has_entry) {
        return E_OK;
    }
    while (rc == E_OK && !input->has_entry && input->next_path < input->path_count) {
        buf_reset(&input->entry);
        rc = input->is_framed  ? read_framed(input, err)
             : input->is_lines ? read_line(input, err)
                               : read_file(input, err);
    }
    return rc == E_OK && input->has_entry ? read_certificate(input, err) : rc;
}

/* Of a message with so many entries, and the next. */
static size_t bytes_with(const struct append_input *input, size_t count)
{
    size_t used = input->bytes.len + input->entry.len + (count + 1) * ENTRY_OVERHEAD;
    if (input->certificates_path != NULL) {
        used += (count + 1) * (CERTIFICATE_BYTES + ENTRY_OVERHEAD);
    }
    return used;
}

static void set_spans(struct append_input *input, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t from = i == 0 ? 0 : input->ends[i - 1];
        size_t certificate = i == 0 ? 0 : input->certificate_ends[i - 1];
        input->entries[i] = span_slice(buf_span(&input->bytes), from, input->ends[i] - from);
        input->certificates[i] = span_slice(buf_span(&input->certificate_bytes), certificate,
                                            input->certificate_ends[i] - certificate);
    }
}

enum err_code append_input_next(struct append_input *input, size_t count_max, size_t *count,
                                struct err *err)
{
    size_t n = 0;
    buf_reset(&input->bytes);
    buf_reset(&input->certificate_bytes);
    while (n < count_max) {
        if (read_entry(input, err) != E_OK) {
            return err->code;
        }
        if (!input->has_entry || bytes_with(input, n) > BATCH_BYTES_MAX) {
            break;
        }
        input->has_entry = false;
        if (++input->taken < input->first) {
            continue;
        }
        buf_put(&input->bytes, buf_span(&input->entry));
        buf_put(&input->certificate_bytes, buf_span(&input->certificate));
        input->ends[n] = input->bytes.len;
        input->certificate_ends[n++] = input->certificate_bytes.len;
    }
    set_spans(input, n); /* only now: the bytes have stopped moving */
    *count = n;
    return E_OK;
}
