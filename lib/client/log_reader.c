#include "client/log_reader.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "net/http_client.h"
#include "store/tile_source.h"
#include "tlog/bundle.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* -- a directory -- */

struct directory_reader {
    struct log_reader reader;
    char *path; /* owned */
};

static enum err_code directory_get(struct log_reader *reader, const char *path, struct buf *out,
                                   struct err *err)
{
    struct directory_reader *directory = (struct directory_reader *)reader;
    char file[PATH_MAX];
    int len = snprintf(file, sizeof file, "%s/%s", directory->path, path);
    if (len < 0 || (size_t)len >= sizeof file) {
        return err_set(err, E_IO, "the path of %s is too long", path);
    }
    return file_read(out, file, err);
}

static void directory_close(struct log_reader *reader)
{
    struct directory_reader *directory = (struct directory_reader *)reader;
    mem_free(directory->path);
    mem_free(directory);
}

static const struct log_reader_ops directory_ops = { directory_get, directory_close };

static enum err_code directory_open(struct log_reader **out, const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return err_set(err, E_NOT_FOUND, "%s is no directory", path);
    }
    struct directory_reader *directory = NEW(struct directory_reader);
    directory->reader.ops = &directory_ops;
    directory->path = mem_strdup(path);
    *out = &directory->reader;
    return E_OK;
}

/* -- a URL -- */

struct http_reader {
    struct log_reader reader;
    struct http_fetcher *fetcher; /* owned */
    uint32_t timeout_ms;          /* of a try */
    unsigned tries;
    char prefix[LOG_ADDRESS_MAX];
};

enum {
    TRIES = 4,            /* of a request that got no reply, or one that asks to come again */
    FIRST_PAUSE_MS = 200, /* doubled each time */
};

static void pause_ms(unsigned ms)
{
    struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };
    nanosleep(&time, NULL);
}

static enum err_code check_reply(const char *path, struct http_reply *reply, struct buf *out,
                                 struct err *err)
{
    if (reply->status == 200) {
        return buf_append(out, buf_span(&reply->body), err);
    }
    if (reply->status == 404 || reply->status == 410) {
        return err_set(err, E_NOT_FOUND, "the server has no %s (%d)", path, reply->status);
    }
    return err_set(err, E_IO, "the server answered %d for %s", reply->status, path);
}

static bool is_worth_retrying(enum err_code rc, int status)
{
    return rc == E_TIMEOUT ||
           (rc == E_IO && (status == 0 || status == 429 || (status >= 500 && status != 501)));
}

static enum err_code http_get(struct log_reader *reader, const char *path, struct buf *out,
                              struct err *err)
{
    struct http_reader *http = (struct http_reader *)reader;
    char url[LOG_ADDRESS_MAX + 512];
    int len = snprintf(url, sizeof url, "%s/%s", http->prefix, path);
    if (len < 0 || (size_t)len >= sizeof url) {
        return err_set(err, E_MALFORMED, "the URL of %s is too long", path);
    }
    unsigned wait_ms = FIRST_PAUSE_MS;
    for (unsigned try = 1;; try++, wait_ms *= 2) {
        struct http_reply reply = { 0 };
        enum err_code rc =
            http_fetcher_get(http->fetcher, url, buf_room(out), http->timeout_ms, &reply, err);
        int status = rc == E_OK ? reply.status : 0;
        if (rc == E_OK) {
            rc = check_reply(path, &reply, out, err);
            http_reply_clear(&reply);
        } else {
            err_wrap(err, "%s", url);
        }
        if (try >= http->tries || !is_worth_retrying(rc, status)) {
            return rc;
        }
        pause_ms(wait_ms);
    }
}

static void http_close(struct log_reader *reader)
{
    struct http_reader *http = (struct http_reader *)reader;
    http_fetcher_free(http->fetcher);
    mem_free(http);
}

static const struct log_reader_ops http_ops = { http_get, http_close };

static void http_open(struct log_reader **out, const struct log_address *address,
                      uint32_t timeout_ms, unsigned tries)
{
    struct http_reader *http = NEW(struct http_reader);
    http->reader.ops = &http_ops;
    http->timeout_ms = timeout_ms;
    http->tries = tries;
    struct http_client_options options = { .ca_file = address->tls_ca_path };
    http->fetcher = http_fetcher_new(&options);
    snprintf(http->prefix, sizeof http->prefix, "%s", address->target);
    *out = &http->reader;
}

/* -- either -- */

enum err_code log_reader_open(struct log_reader **out, const struct log_address *address,
                              struct err *err)
{
    return log_reader_open_within(out, address, HTTP_CLIENT_TIMEOUT_MS, TRIES, err);
}

enum err_code log_reader_open_within(struct log_reader **out, const struct log_address *address,
                                     uint32_t timeout_ms, unsigned tries, struct err *err)
{
    switch (address->kind) {
    case LOG_ADDRESS_DIRECTORY:
        return directory_open(out, address->target, err);
    case LOG_ADDRESS_HTTP:
        http_open(out, address, timeout_ms, tries);
        return E_OK;
    case LOG_ADDRESS_GRPC:
        break;
    }
    return err_set(err, E_UNSUPPORTED,
                   "a log's tiles are not served over gRPC: give its http(s):// URL");
}

void log_reader_close(struct log_reader *reader)
{
    if (reader != NULL) {
        reader->ops->close(reader);
    }
}

enum err_code log_reader_checkpoint(struct log_reader *reader, struct buf *out, struct err *err)
{
    return log_reader_get(reader, "checkpoint", out, err);
}

/* Drops what is behind `width` hashes or entries; nothing may be when that is the whole tile. */
static enum err_code cut(struct buf *out, size_t before, const struct tile_path *path,
                         uint16_t width, struct err *err)
{
    struct span all = span_slice(buf_span(out), before, out->len - before);
    struct span kept = span_of(all.data, (size_t)width * HASH_BYTES);
    enum err_code rc = E_OK;
    if (path->is_bundle) {
        rc = bundle_prefix(&kept, all, width, err);
    }
    if (rc == E_OK && (kept.len > all.len || (path->width == width && kept.len < all.len))) {
        rc = err_set(err, E_MALFORMED, "%zu bytes instead of %zu", all.len, kept.len);
    }
    if (rc == E_OK) {
        buf_truncate(out, before + kept.len);
    }
    return rc;
}

/* Appends the first `width` hashes or entries of one file. */
static enum err_code get_width(struct log_reader *reader, const struct tile_path *path,
                               uint16_t width, struct buf *out, struct err *err)
{
    struct tile_path_text text = tile_path_text(path);
    size_t before = out->len;
    enum err_code rc = log_reader_get(reader, text.text, out, err);
    if (rc == E_TOO_LARGE) {
        rc = err_set(err, E_MALFORMED, "too long");
    }
    if (rc == E_OK) {
        rc = cut(out, before, path, width, err);
    }
    if (rc == E_MALFORMED) {
        rc = err_wrap(err, "%s", text.text);
    }
    if (rc != E_OK) {
        buf_truncate(out, before);
    }
    return rc;
}

enum err_code log_reader_get_tile(struct log_reader *reader, const struct tile_path *path,
                                  struct buf *out, struct err *err)
{
    enum err_code rc = get_width(reader, path, path->width, out, err);
    if (rc != E_NOT_FOUND || path->width == TILE_WIDTH) {
        return rc;
    }
    struct tile_path full = *path;
    full.width = TILE_WIDTH;
    struct err full_err;
    enum err_code full_rc = get_width(reader, &full, path->width, out, &full_err);
    if (full_rc == E_NOT_FOUND) {
        return rc; /* it is the partial one that was asked for */
    }
    if (full_rc != E_OK) {
        *err = full_err;
    }
    return full_rc;
}
