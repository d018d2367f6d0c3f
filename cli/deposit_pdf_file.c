/* The update: a stream and a file specification for each attachment, the catalog again with their names, a
 * cross-reference section of these objects, and a trailer with a key of our own, /CourtrollData [offset length]. */
#include "cli/deposit_pdf_file.h"

#include "base/ascii.h"
#include "cli/deposit.h"

#include <assert.h>

enum {
    TAIL_BYTES = 1024, /* the trailer is in the last of these */
    OBJECTS_MAX = 2 * DEPOSIT_ATTACHMENTS_MAX + 1,
};

#define TRAILER "trailer\n"
#define KEY     "/CourtrollData ["

struct update {
    struct buf *pdf;
    uint64_t size, root, previous; /* of the trailer that is there */
    struct span catalog;           /* inside the dictionary's << >>; owned by `copy` */
    struct buf copy;
    size_t numbers[OBJECTS_MAX], offsets[OBJECTS_MAX];
    size_t count;
    size_t data_offset;
};

/* The decimal behind the last `key`. */
static bool number_after(uint64_t *out, struct span text, const char *key)
{
    struct err err;
    size_t at = span_find_last(text, span_of_str(key));
    if (at == SIZE_MAX) {
        return false;
    }
    size_t from = at + strlen(key), end = from;
    while (end < text.len && text.data[end] >= '0' && text.data[end] <= '9') {
        end++;
    }
    return decimal_parse(out, span_slice(text, from, end - from), SIZE_VALUE_MAX, &err) == E_OK;
}

static struct span tail_of(struct span pdf)
{
    size_t len = pdf.len < TAIL_BYTES ? pdf.len : TAIL_BYTES;
    return span_slice(pdf, pdf.len - len, len);
}

/* "N 0 obj\n<< ... >>\nendobj" of the catalog, which has no names of its own. */
static enum err_code read_catalog(struct update *update, struct err *err)
{
    struct buf head = BUF_INIT(64);
    struct span pdf = buf_span(update->pdf);
    buf_putf(&head, "\n%ju 0 obj\n<<", (uintmax_t)update->root);
    size_t at = span_find_last(pdf, buf_span(&head));
    size_t from = at == SIZE_MAX ? 0 : at + head.len;
    buf_clear(&head);
    struct span rest = span_slice(pdf, from, pdf.len - from);
    size_t end = span_find(rest, span_of_str("endobj"));
    if (at == SIZE_MAX || end == SIZE_MAX || end > 4096) {
        return err_set(err, E_CORRUPT, "the PDF has no catalog that we know");
    }
    struct span body = span_slice(rest, 0, end);
    size_t close = span_find_last(body, span_of_str(">>"));
    if (close == SIZE_MAX || span_find(body, span_of_str("/Names")) != SIZE_MAX) {
        return err_set(err, E_CORRUPT, "the PDF's catalog is not one that we can extend");
    }
    buf_init(&update->copy, 8192);
    buf_put(&update->copy, span_slice(body, 0, close));
    update->catalog = buf_span(&update->copy);
    return E_OK;
}

static void begin_object(struct update *update, size_t number)
{
    update->numbers[update->count] = number;
    update->offsets[update->count++] = update->pdf->len;
    buf_putf(update->pdf, "%zu 0 obj\n", number);
}

/* "#2F" for '/', as names spell it. */
static void put_name(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '/') {
            buf_put_str(out, "#2F");
        } else {
            buf_put_u8(out, (uint8_t)*text);
        }
    }
}

static void put_attachment(struct update *update, const struct deposit_attachment *attachment,
                           size_t number)
{
    struct buf *pdf = update->pdf;
    begin_object(update, number);
    buf_put_str(pdf, "<< /Type /EmbeddedFile /Subtype /");
    put_name(pdf, attachment->type);
    buf_putf(pdf, " /Length %zu /Params << /Size %zu >> >>\nstream\n", attachment->bytes.len,
             attachment->bytes.len);
    if (update->data_offset == 0) {
        update->data_offset = pdf->len;
    }
    buf_put(pdf, attachment->bytes);
    buf_put_str(pdf, "\nendstream\nendobj\n");
    begin_object(update, number + 1);
    buf_putf(pdf,
             "<< /Type /Filespec /F (%s) /UF (%s) /AFRelationship /Data /EF << /F %zu 0 R >> "
             ">>\nendobj\n",
             attachment->name, attachment->name, number);
}

static void put_catalog(struct update *update, const struct deposit_attachment *attachments,
                        size_t count)
{
    struct buf *pdf = update->pdf;
    begin_object(update, update->root);
    buf_put_str(pdf, "<<");
    buf_put(pdf, update->catalog);
    buf_put_str(pdf, "   /Names << /EmbeddedFiles << /Names [");
    for (size_t i = 0; i < count; i++) {
        buf_putf(pdf, " (%s) %ju 0 R", attachments[i].name, (uintmax_t)update->size + 2 * i + 1);
    }
    buf_put_str(pdf, " ] >> >>\n   /AF [");
    for (size_t i = 0; i < count; i++) {
        buf_putf(pdf, " %ju 0 R", (uintmax_t)update->size + 2 * i + 1);
    }
    buf_put_str(pdf, " ]\n>>\nendobj\n");
}

static void put_trailer(struct update *update, uint64_t info, size_t attachments, size_t data_len)
{
    struct buf *pdf = update->pdf;
    size_t at = pdf->len;
    buf_put_str(pdf, "xref\n");
    for (size_t i = 0; i < update->count; i++) {
        buf_putf(pdf, "%zu 1\n%010zu 00000 n \n", update->numbers[i], update->offsets[i]);
    }
    buf_putf(pdf,
             TRAILER "<< /Size %ju /Root %ju 0 R /Info %ju 0 R /Prev %ju " KEY
                     "%zu %zu] >>\nstartxref\n%zu\n%%%%EOF\n",
             (uintmax_t)update->size + 2 * attachments, (uintmax_t)update->root, (uintmax_t)info,
             (uintmax_t)update->previous, update->data_offset, data_len, at);
}

enum err_code deposit_pdf_attach(struct buf *pdf, const struct deposit_attachment *attachments,
                                 size_t count, struct err *err)
{
    struct update update = { .pdf = pdf, .count = 0 };
    uint64_t info = 0;
    assert(count > 0 && count <= DEPOSIT_ATTACHMENTS_MAX);
    struct span tail = tail_of(buf_span(pdf));
    if (!number_after(&update.size, tail, "/Size ") ||
        !number_after(&update.root, tail, "/Root ") || !number_after(&info, tail, "/Info ") ||
        !number_after(&update.previous, tail, "startxref\n") || update.previous >= pdf->len ||
        update.size > UINT32_MAX) {
        return err_set(err, E_CORRUPT, "the PDF has no trailer that we know");
    }
    size_t room = 4096 * (count + 2);
    for (size_t i = 0; i < count; i++) {
        if (attachments[i].bytes.len > buf_room(pdf)) {
            return err_set(err, E_TOO_LARGE, "the PDF's attachments");
        }
        room += attachments[i].bytes.len;
    }
    if (room > buf_room(pdf)) {
        return err_set(err, E_TOO_LARGE, "the PDF's attachments");
    }
    enum err_code rc = read_catalog(&update, err);
    if (rc == E_OK) {
        for (size_t i = 0; i < count; i++) {
            put_attachment(&update, &attachments[i], update.size + 2 * i);
        }
        put_catalog(&update, attachments, count);
        put_trailer(&update, info, count, attachments[0].bytes.len);
        buf_clear(&update.copy);
    }
    return rc;
}

bool deposit_pdf_is_one(struct span bytes)
{
    return span_has_prefix(bytes, span_of_str("%PDF-"));
}

enum err_code deposit_pdf_extract(struct span *out, struct span pdf, struct err *err)
{
    static const char begin[] = "\nstream\n", end[] = "\nendstream\nendobj\n";
    struct span tail = tail_of(pdf), offset_text, len_text, before, rest;
    uint64_t offset = 0, len = 0;
    size_t trailer = span_find_last(tail, span_of_str(TRAILER));
    size_t key = span_find_last(tail, span_of_str(KEY));
    if (!deposit_pdf_is_one(pdf) || !span_has_suffix(pdf, span_of_str("\n%%EOF\n")) ||
        trailer == SIZE_MAX || key == SIZE_MAX || key < trailer) {
        return err_set(err, E_MALFORMED, "the PDF holds no data of a certificate");
    }
    rest = span_slice(tail, key + strlen(KEY), tail.len - key - strlen(KEY));
    if (!span_take_until(&rest, ' ', &offset_text) || !span_take_until(&rest, ']', &len_text) ||
        decimal_parse(&offset, offset_text, pdf.len, err) != E_OK ||
        decimal_parse(&len, len_text, DEPOSIT_BYTES_MAX, err) != E_OK || len > pdf.len - offset ||
        offset < strlen(begin)) {
        return err_set(err, E_MALFORMED, "the PDF does not say where its data are");
    }
    before = span_slice(pdf, offset - strlen(begin), strlen(begin));
    rest = span_slice(pdf, offset + len, pdf.len - offset - len);
    if (!span_is_str(before, begin) || !span_has_prefix(rest, span_of_str(end))) {
        return err_set(err, E_MALFORMED, "the PDF's data are not an attachment");
    }
    *out = span_slice(pdf, offset, len);
    return E_OK;
}
