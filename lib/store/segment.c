#include "store/segment.h"

#include "base/alloc.h"
#include "store/no_space.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

enum {
    PREWRITE_CHUNK = 1024 * 1024,
    MAGIC_BYTES = 16,
    HEADER_BYTES = MAGIC_BYTES + 8 + SEGMENT_NONCE_BYTES + 8 + 8 + HASH_BYTES + 4 + 4,
    CRC_BYTES = 4
};

static_assert(SEGMENT_ENTRIES_BYTES_MAX % SEGMENT_BLOCK == 0, "a header more is a block more");

static const char magic[MAGIC_BYTES + 1] = "courtroll jrnl 1";
static const uint8_t zeros[SEGMENT_BLOCK];

static uint32_t checksum(struct span bytes)
{
    return (uint32_t)crc32_z(0, bytes.data, bytes.len);
}

uint64_t segment_record_bytes(size_t entries_bytes)
{
    uint64_t bytes = SEGMENT_RECORD_HEADER_BYTES + (uint64_t)entries_bytes;
    return (bytes + SEGMENT_BLOCK - 1) / SEGMENT_BLOCK * SEGMENT_BLOCK;
}

/* Drops the first `done` bytes of the list. */
static void iov_advance(struct iovec **iov, int *count, size_t done)
{
    while (*count > 0 && done >= (*iov)->iov_len) {
        done -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count > 0) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + done;
        (*iov)->iov_len -= done;
    }
}

/* Uses up `iov`. */
static enum err_code write_parts(int fd, uint64_t offset, struct iovec *iov, int count,
                                 struct err *err)
{
    iov_advance(&iov, &count, 0);
    while (count > 0) {
        ssize_t n = pwritev(fd, iov, count, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            int errnum = n < 0 ? errno : EIO;
            return err_set_errno(err, store_write_code(errnum), errnum, "write at %" PRIu64,
                                 offset);
        }
        offset += (uint64_t)n;
        iov_advance(&iov, &count, (size_t)n);
    }
    return E_OK;
}

enum err_code segment_write(int fd, uint64_t offset, struct span bytes, struct err *err)
{
    struct iovec iov = { (void *)bytes.data, bytes.len };
    return write_parts(fd, offset, &iov, 1, err);
}

enum err_code segment_prewrite(int fd, uint64_t from, uint64_t to, struct err *err)
{
    uint8_t *chunk = mem_calloc(1, PREWRITE_CHUNK);
    enum err_code rc = E_OK;
    while (rc == E_OK && from < to) {
        size_t len = to - from < PREWRITE_CHUNK ? (size_t)(to - from) : PREWRITE_CHUNK;
        rc = segment_write(fd, from, span_of(chunk, len), err);
        from += len;
    }
    mem_free(chunk);
    if (rc == E_OK && fsync(fd) != 0) {
        rc = err_set_errno(err, store_write_code(errno), errno, "sync");
    }
    return rc;
}

void segment_forget_cache(int fd)
{
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* only a hint */
}

enum err_code segment_begin(struct segment *segment, uint64_t epoch,
                            const struct segment_chain *chain, struct err *err)
{
    struct buf block = BUF_INIT(SEGMENT_BLOCK);
    segment->epoch = epoch;
    segment->start = *chain;
    segment->end = SEGMENT_BLOCK;
    crypto_random(segment->nonce, sizeof segment->nonce);
    buf_put_str(&block, magic);
    buf_put_u64(&block, epoch);
    buf_put(&block, SPAN_OF_ARRAY(segment->nonce));
    buf_put_u64(&block, chain->sequence);
    buf_put_u64(&block, chain->head.size);
    buf_put(&block, hash_span(&chain->head.root));
    buf_put_u32(&block, chain->checksum);
    buf_put_u32(&block, checksum(buf_span(&block)));
    assert(block.len == HEADER_BYTES);
    buf_put(&block, span_of(zeros, SEGMENT_BLOCK - HEADER_BYTES));
    enum err_code rc = segment_write(segment->fd, 0, buf_span(&block), err);
    if (rc == E_OK && fdatasync(segment->fd) != 0) {
        rc = err_set_errno(err, store_write_code(errno), errno, "sync");
    }
    segment_forget_cache(segment->fd);
    buf_clear(&block);
    return rc;
}

/* Reads `len` bytes; *got is less at the end of the file. */
static enum err_code read_at(int fd, uint64_t offset, uint8_t *into, size_t len, size_t *got,
                             struct err *err)
{
    *got = 0;
    while (*got < len) {
        ssize_t n = pread(fd, into + *got, len - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set_errno(err, E_IO, errno, "read at %" PRIu64, offset + *got);
        }
        if (n == 0) {
            break;
        }
        *got += (size_t)n;
    }
    return E_OK;
}

static bool take_hash(struct span *in, struct hash *out)
{
    struct span bytes;
    if (!span_take(in, HASH_BYTES, &bytes)) {
        return false;
    }
    memcpy(out->bytes, bytes.data, HASH_BYTES);
    return true;
}

/* Whether the last four bytes are the CRC-32 of those before. */
static bool ends_in_checksum(struct span header, uint32_t *out)
{
    struct span tail = span_slice(header, header.len - CRC_BYTES, CRC_BYTES);
    return span_take_u32(&tail, out) &&
           *out == checksum(span_slice(header, 0, header.len - CRC_BYTES));
}

/* Takes apart block 0. */
static bool parse_header(struct segment *out, struct span header)
{
    struct span nonce;
    uint32_t crc;
    if (!ends_in_checksum(header, &crc) || !span_take_prefix(&header, span_of_str(magic)) ||
        !span_take_u64(&header, &out->epoch) || !span_take(&header, sizeof out->nonce, &nonce)) {
        return false;
    }
    memcpy(out->nonce, nonce.data, sizeof out->nonce);
    return span_take_u64(&header, &out->start.sequence) &&
           span_take_u64(&header, &out->start.head.size) &&
           take_hash(&header, &out->start.head.root) &&
           span_take_u32(&header, &out->start.checksum);
}

enum err_code segment_load(struct segment *segment, uint64_t epoch, struct err *err)
{
    uint8_t block[SEGMENT_BLOCK];
    struct segment loaded = *segment;
    size_t got;
    enum err_code rc = read_at(segment->fd, 0, block, sizeof block, &got, err);
    if (rc != E_OK) {
        return rc;
    }
    if (got < sizeof block || !parse_header(&loaded, span_of(block, HEADER_BYTES))) {
        return err_set(err, E_CORRUPT, "offset 0: not a segment header, or a damaged one");
    }
    if (loaded.epoch != epoch) {
        return err_set(err, E_CORRUPT, "offset 0: the header is of epoch %" PRIu64, loaded.epoch);
    }
    loaded.end = SEGMENT_BLOCK;
    *segment = loaded;
    return segment_write(segment->fd, 0, SPAN_OF_ARRAY(block), err);
}

static void put_record_header(struct buf *out, const struct segment *segment,
                              const struct segment_chain *chain,
                              const struct journal_record *record)
{
    buf_put(out, SPAN_OF_ARRAY(segment->nonce));
    buf_put_u64(out, segment->epoch);
    buf_put_u64(out, chain->sequence);
    buf_put_u64(out, record->first);
    buf_put_u64(out, record->size);
    buf_put(out, hash_span(&record->root));
    buf_put_u32(out, chain->checksum);
    buf_put_u32(out, (uint32_t)record->entries.len);
    buf_put_u32(out, checksum(record->entries));
    buf_put_u32(out, checksum(buf_span(out)));
    assert(out->len == SEGMENT_RECORD_HEADER_BYTES);
}

enum err_code segment_append(struct segment *segment, struct segment_chain *chain,
                             const struct journal_record *record, struct err *err)
{
    struct span entries = record->entries;
    uint64_t bytes = segment_record_bytes(entries.len);
    assert(entries.len <= SEGMENT_ENTRIES_BYTES_MAX);
    assert(bytes <= segment->bytes - segment->end);
    struct buf header = BUF_INIT(SEGMENT_RECORD_HEADER_BYTES);
    put_record_header(&header, segment, chain, record);
    struct iovec iov[] = {
        { header.data, header.len },
        { (void *)entries.data, entries.len },
        { (void *)zeros, (size_t)(bytes - header.len - entries.len) },
    };
    struct span tail = span_of(header.data + header.len - CRC_BYTES, CRC_BYTES);
    uint32_t crc = 0;
    (void)span_take_u32(&tail, &crc);
    enum err_code rc = write_parts(segment->fd, segment->end, iov, 3, err);
    if (rc != E_OK) {
        rc = err_set(err, E_IO, "%s", err->msg); /* no room is no excuse: it was prewritten */
    } else if (fdatasync(segment->fd) != 0) {
        rc = err_set_errno(err, E_IO, errno, "sync at %" PRIu64, segment->end);
    } else {
        segment->end += bytes;
        *chain = (struct segment_chain){ chain->sequence + 1, { record->size, record->root }, crc };
    }
    buf_clear(&header);
    return rc;
}

static bool parse_record_header(struct span header, struct segment_record *out,
                                uint32_t *entries_crc)
{
    struct span nonce;
    uint64_t epoch;
    uint32_t entries_len;
    if (!ends_in_checksum(header, &out->checksum) ||
        !span_take(&header, SEGMENT_NONCE_BYTES, &nonce) || !span_take_u64(&header, &epoch) ||
        !span_take_u64(&header, &out->sequence) || !span_take_u64(&header, &out->record.first) ||
        !span_take_u64(&header, &out->record.size) || !take_hash(&header, &out->record.root) ||
        !span_take_u32(&header, &out->previous) || !span_take_u32(&header, &entries_len) ||
        !span_take_u32(&header, entries_crc) || entries_len > SEGMENT_ENTRIES_BYTES_MAX) {
        return false;
    }
    out->record.entries = span_of(NULL, entries_len);
    out->bytes = segment_record_bytes(entries_len);
    return true;
}

static bool has_nonce(const struct segment *segment, struct span header)
{
    return span_has_prefix(header, SPAN_OF_ARRAY(segment->nonce));
}

/* Reads the rest of a record whose first block is in `buf`, and checks the entries. */
static enum err_code read_entries(const struct segment *segment, uint64_t offset, struct buf *buf,
                                  uint32_t entries_crc, struct segment_record *record, bool *is_ok,
                                  struct err *err)
{
    size_t rest = (size_t)record->bytes - SEGMENT_BLOCK;
    size_t got;
    *is_ok = false;
    if (record->bytes > segment->bytes - offset) {
        return E_OK;
    }
    enum err_code rc =
        read_at(segment->fd, offset + SEGMENT_BLOCK, buf_extend(buf, rest), rest, &got, err);
    if (rc == E_OK && got == rest) {
        record->record.entries =
            span_slice(buf_span(buf), SEGMENT_RECORD_HEADER_BYTES, record->record.entries.len);
        *is_ok = checksum(record->record.entries) == entries_crc;
    }
    return rc;
}

enum err_code segment_read(const struct segment *segment, uint64_t offset, struct buf *buf,
                           enum segment_found *found, struct segment_record *out, struct err *err)
{
    size_t got = 0;
    uint32_t entries_crc = 0;
    bool is_ok = false;
    *found = SEGMENT_END;
    buf_reset(buf);
    if (offset > segment->bytes || segment->bytes - offset < SEGMENT_BLOCK) {
        return E_OK;
    }
    enum err_code rc =
        read_at(segment->fd, offset, buf_extend(buf, SEGMENT_BLOCK), SEGMENT_BLOCK, &got, err);
    struct span header = span_slice(buf_span(buf), 0, SEGMENT_RECORD_HEADER_BYTES);
    if (rc != E_OK || got < SEGMENT_BLOCK || !has_nonce(segment, header)) {
        return rc;
    }
    *found = SEGMENT_TORN;
    if (parse_record_header(header, out, &entries_crc)) {
        rc = read_entries(segment, offset, buf, entries_crc, out, &is_ok, err);
    }
    if (rc == E_OK && is_ok) {
        *found = SEGMENT_RECORD;
    }
    return rc;
}

enum err_code segment_has_record_behind(const struct segment *segment, uint64_t offset,
                                        uint64_t sequence, bool *out, struct err *err)
{
    uint8_t header[SEGMENT_RECORD_HEADER_BYTES];
    struct segment_record record;
    uint32_t entries_crc;
    size_t got = sizeof header;
    enum err_code rc = E_OK;
    *out = false;
    for (offset += SEGMENT_BLOCK; rc == E_OK && offset < segment->bytes; offset += SEGMENT_BLOCK) {
        rc = read_at(segment->fd, offset, header, sizeof header, &got, err);
        if (rc == E_OK && got == sizeof header && has_nonce(segment, SPAN_OF_ARRAY(header)) &&
            parse_record_header(SPAN_OF_ARRAY(header), &record, &entries_crc) &&
            record.sequence >= sequence) {
            *out = true;
            break;
        }
    }
    return rc;
}

static enum err_code check_chain(const struct segment_record *found,
                                 const struct segment_chain *chain, struct err *err)
{
    if (found->sequence != chain->sequence || found->previous != chain->checksum ||
        found->record.first != chain->head.size || found->record.size <= found->record.first) {
        return err_set(err, E_CORRUPT,
                       "record %" PRIu64 " at size %" PRIu64 " does not continue record %" PRIu64
                       " at size %" PRIu64,
                       found->sequence, found->record.first, chain->sequence, chain->head.size);
    }
    return E_OK;
}

enum err_code
segment_walk_records(struct segment_walk *walk, struct segment *segment,
                     enum err_code (*visit)(void *ctx, struct segment *segment, struct span raw,
                                            const struct segment_record *found, struct err *err),
                     void *ctx, struct err *err)
{
    struct segment_record found;
    walk->offset = SEGMENT_BLOCK;
    for (;;) {
        enum err_code rc =
            segment_read(segment, walk->offset, &walk->buf, &walk->last, &found, err);
        if (rc != E_OK || walk->last != SEGMENT_RECORD) {
            return rc;
        }
        rc = check_chain(&found, &walk->chain, err);
        if (rc != E_OK) {
            return err_wrap(err, "offset %" PRIu64, walk->offset);
        }
        struct span raw = span_slice(buf_span(&walk->buf), 0, (size_t)found.bytes);
        rc = visit(ctx, segment, raw, &found, err);
        if (rc != E_OK) {
            return rc;
        }
        walk->offset += found.bytes;
        walk->chain.sequence = found.sequence + 1;
        walk->chain.head = (struct journal_head){ found.record.size, found.record.root };
        walk->chain.checksum = found.checksum;
    }
}
