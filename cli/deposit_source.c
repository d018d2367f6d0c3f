#include "cli/deposit_source.h"

#include <errno.h>
#include <stdio.h>

static void read_all(struct deposit_document *out, FILE *file)
{
    static const uint8_t zero[1];
    uint8_t chunk[64 * 1024];
    struct sha256_stream *plain = sha256_stream_new(), *leaf = sha256_stream_new();
    size_t n;
    sha256_stream_add(leaf, SPAN_OF_ARRAY(zero));
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0) {
        sha256_stream_add(plain, span_of(chunk, n));
        sha256_stream_add(leaf, span_of(chunk, n));
        out->bytes += n;
    }
    out->sha256 = sha256_stream_finish(plain);
    out->leaf = sha256_stream_finish(leaf);
    sha256_stream_free(plain);
    sha256_stream_free(leaf);
    crypto_wipe(chunk, sizeof chunk);
}

enum err_code deposit_document_read(struct deposit_document *out, const char *path, struct err *err)
{
    struct deposit_document document = { .bytes = 0 };
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    if (file == NULL) {
        return err_set_errno(err, errno == ENOENT ? E_NOT_FOUND : E_IO, errno, "read %s", path);
    }
    read_all(&document, file);
    enum err_code rc = E_OK;
    if (ferror(file)) {
        rc = err_set_errno(err, E_IO, errno, "read %s", path);
    }
    if (file != stdin) {
        fclose(file);
    }
    if (rc == E_OK) {
        *out = document;
    }
    return rc;
}
