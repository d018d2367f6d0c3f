#include "cli/deposit_pdf.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "cli/deposit_pdf_file.h"
#include "cli/deposit_qr.h"
#include "cli/output.h"

#include <cairo-pdf.h>
#include <pango/pangocairo.h>

#define FONT      "Noto Serif CJK SC"
#define FONT_CODE "Noto Sans Mono CJK SC"

/* Points. */
#define PAGE_WIDTH  595.28
#define PAGE_HEIGHT 841.89
#define MARGIN      51.0
#define WIDTH       (PAGE_WIDTH - 2 * MARGIN)
#define BOTTOM      (PAGE_HEIGHT - 58.0)
#define LABEL_WIDTH 138.0
#define QR_WIDTH    118.0

enum {
    LINES_TOGETHER = 4 /* a text of so many lines is not parted by the end of a page */
};

/* Where the next line goes. */
struct pdf {
    struct buf *out;
    cairo_surface_t *surface;
    cairo_t *cairo;
    double y;
    int page;
    int outline; /* the entry of the title */
    struct span number;
    bool is_row_first;
    struct err *err;
    enum err_code rc;
};

static cairo_status_t on_bytes(void *ctx, const unsigned char *data, unsigned int len)
{
    struct err err;
    return buf_append(ctx, span_of(data, len), &err) == E_OK ? CAIRO_STATUS_SUCCESS
                                                             : CAIRO_STATUS_WRITE_ERROR;
}

static PangoLayout *layout_new(struct pdf *pdf, const char *font, double size, struct span text,
                               double width)
{
    PangoLayout *layout = pango_cairo_create_layout(pdf->cairo);
    PangoFontDescription *description = pango_font_description_from_string(font);
    pango_font_description_set_absolute_size(description, size * PANGO_SCALE);
    pango_layout_set_font_description(layout, description);
    pango_font_description_free(description);
    pango_layout_set_width(layout, (int)(width * PANGO_SCALE));
    pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
    pango_layout_set_line_spacing(layout, 1.12F);
    /* One letter a glyph: a text that is copied out of the file has the letters that it was made of. */
    PangoAttrList *attributes = pango_attr_list_new();
    pango_attr_list_insert(attributes, pango_attr_font_features_new("liga=0, clig=0"));
    pango_layout_set_attributes(layout, attributes);
    pango_attr_list_unref(attributes);
    pango_layout_set_text(layout, (const char *)text.data, (int)text.len);
    if (pango_layout_get_unknown_glyphs_count(layout) > 0 && pdf->rc == E_OK) {
        pdf->rc = err_set(pdf->err, E_NOT_FOUND,
                          "no font has all the letters of the certificate: install the package "
                          "fonts-noto-cjk");
    }
    return layout;
}

static double height_of(PangoLayout *layout)
{
    int height = 0;
    pango_layout_get_size(layout, NULL, &height);
    return (double)height / PANGO_SCALE;
}

static void draw_at(struct pdf *pdf, PangoLayout *layout, double x, double y)
{
    cairo_move_to(pdf->cairo, x, y);
    pango_cairo_show_layout(pdf->cairo, layout);
}

static void draw_rule(struct pdf *pdf, double y, double width, double grey)
{
    cairo_save(pdf->cairo);
    cairo_set_line_width(pdf->cairo, width);
    if (grey < 0) {
        cairo_set_source_rgb(pdf->cairo, 0.56, 0.11, 0.08);
    } else {
        cairo_set_source_rgb(pdf->cairo, grey, grey, grey);
    }
    cairo_move_to(pdf->cairo, MARGIN, y);
    cairo_line_to(pdf->cairo, PAGE_WIDTH - MARGIN, y);
    cairo_stroke(pdf->cairo);
    cairo_restore(pdf->cairo);
}

/* The number of the page, and of the deposit, below everything. */
static void draw_footer(struct pdf *pdf)
{
    struct buf text = BUF_INIT(256);
    buf_putf(&text, "%.*s    第 %d 页 · page %d", SPAN_PRINTF(pdf->number), pdf->page, pdf->page);
    PangoLayout *layout = layout_new(pdf, FONT, 7.5, buf_span(&text), WIDTH);
    pango_layout_set_alignment(layout, PANGO_ALIGN_CENTER);
    draw_rule(pdf, PAGE_HEIGHT - 44, 0.4, 0.7);
    draw_at(pdf, layout, MARGIN, PAGE_HEIGHT - 40);
    g_object_unref(layout);
    buf_clear(&text);
}

static void turn_page(struct pdf *pdf)
{
    draw_footer(pdf);
    cairo_show_page(pdf->cairo);
    pdf->page++;
    pdf->y = MARGIN;
}

static void need(struct pdf *pdf, double height)
{
    if (pdf->y + height > BOTTOM) {
        turn_page(pdf);
    }
}

/* A text of any length, line by line over the pages. */
static void draw_text(struct pdf *pdf, PangoLayout *layout, double x, const char *tag)
{
    cairo_tag_begin(pdf->cairo, tag, NULL);
    int count = pango_layout_get_line_count(layout);
    double spacing = height_of(layout) / (count > 0 ? count : 1);
    if (count <= LINES_TOGETHER) {
        need(pdf, height_of(layout));
    }
    for (int i = 0; i < count; i++) {
        need(pdf, spacing);
        cairo_move_to(pdf->cairo, x, pdf->y + spacing * 0.78);
        pango_cairo_show_layout_line(pdf->cairo, pango_layout_get_line_readonly(layout, i));
        pdf->y += spacing;
    }
    cairo_tag_end(pdf->cairo, tag);
}

static void draw_string(struct pdf *pdf, const char *font, double size, struct span text, double x,
                        double width, const char *tag)
{
    PangoLayout *layout = layout_new(pdf, font, size, text, width);
    draw_text(pdf, layout, x, tag);
    g_object_unref(layout);
}

static void on_title(void *ctx, struct span number)
{
    struct pdf *pdf = ctx;
    static const char *const lines[] = { DEPOSIT_PAGE_TITLE_ZH, DEPOSIT_PAGE_TITLE_EN };
    draw_rule(pdf, pdf->y, 3, -1);
    pdf->y += 22;
    pdf->outline = cairo_pdf_surface_add_outline(pdf->surface, CAIRO_PDF_OUTLINE_ROOT,
                                                 DEPOSIT_PAGE_TITLE_ZH " " DEPOSIT_PAGE_TITLE_EN,
                                                 "page=1 pos=[0 0]", CAIRO_PDF_OUTLINE_FLAG_OPEN);
    cairo_tag_begin(pdf->cairo, "H1", NULL);
    for (size_t i = 0; i < 2; i++) {
        PangoLayout *layout = layout_new(pdf, i == 0 ? FONT " Bold" : FONT, i == 0 ? 25 : 12,
                                         span_of_str(lines[i]), WIDTH);
        pango_layout_set_alignment(layout, PANGO_ALIGN_CENTER);
        draw_at(pdf, layout, MARGIN, pdf->y);
        pdf->y += height_of(layout) + 1;
        g_object_unref(layout);
    }
    cairo_tag_end(pdf->cairo, "H1");
    pdf->y += 4;
    PangoLayout *layout = layout_new(pdf, FONT_CODE, 9, number, WIDTH);
    pango_layout_set_alignment(layout, PANGO_ALIGN_CENTER);
    draw_at(pdf, layout, MARGIN, pdf->y);
    pdf->y += height_of(layout) + 2;
    g_object_unref(layout);
}

static void put_both(struct buf *out, const char *zh, const char *en)
{
    buf_putf(out, "%s  %s", zh, en);
}

static void on_section(void *ctx, const char *zh, const char *en)
{
    struct pdf *pdf = ctx;
    struct buf text = BUF_INIT(512), place = BUF_INIT(64);
    pdf->y += 12;
    need(pdf, 64);
    put_both(&text, zh, en);
    buf_putf(&place, "page=%d pos=[0 %d]", pdf->page, (int)pdf->y);
    (void)cairo_pdf_surface_add_outline(pdf->surface, pdf->outline, buf_c_str(&text),
                                        buf_c_str(&place), 0);
    draw_string(pdf, FONT " Bold", 11, buf_span(&text), MARGIN, WIDTH, "H2");
    draw_rule(pdf, pdf->y + 2, 1, -1);
    pdf->y += 6;
    pdf->is_row_first = true;
    buf_clear(&text);
    buf_clear(&place);
}

/* A label in two lines, and `value` beside it. */
static void draw_row(struct pdf *pdf, const char *zh, const char *en, PangoLayout *value)
{
    PangoLayout *of_zh = layout_new(pdf, FONT, 9, span_of_str(zh), LABEL_WIDTH - 8);
    PangoLayout *of_en = layout_new(pdf, FONT, 7.5, span_of_str(en), LABEL_WIDTH - 8);
    double label = height_of(of_zh) + height_of(of_en);
    double height = height_of(value);
    need(pdf, label + 6 < 200 && height < 300 ? (height > label ? height : label) + 6 : label + 6);
    if (!pdf->is_row_first) {
        draw_rule(pdf, pdf->y, 0.4, 0.82);
    }
    pdf->is_row_first = false;
    pdf->y += 2.5;
    double top = pdf->y;
    int page = pdf->page;
    cairo_tag_begin(pdf->cairo, "P", NULL);
    draw_at(pdf, of_zh, MARGIN, top);
    cairo_set_source_rgb(pdf->cairo, 0.3, 0.3, 0.3);
    draw_at(pdf, of_en, MARGIN, top + height_of(of_zh));
    cairo_set_source_rgb(pdf->cairo, 0, 0, 0);
    cairo_tag_end(pdf->cairo, "P");
    draw_text(pdf, value, MARGIN + LABEL_WIDTH, "P");
    if (pdf->page == page && pdf->y < top + label) {
        pdf->y = top + label;
    }
    pdf->y += 3;
    g_object_unref(of_zh);
    g_object_unref(of_en);
}

static void on_row(void *ctx, const char *label_zh, const char *label_en, struct span zh,
                   struct span en)
{
    struct pdf *pdf = ctx;
    struct buf text = BUF_INIT(zh.len + en.len + 1);
    if (zh.len > 0) {
        buf_put(&text, zh);
        buf_put_u8(&text, '\n');
    }
    buf_put(&text, en);
    PangoLayout *value = layout_new(pdf, FONT, 9, buf_span(&text), WIDTH - LABEL_WIDTH);
    draw_row(pdf, label_zh, label_en, value);
    g_object_unref(value);
    buf_clear(&text);
}

static void on_row_code(void *ctx, const char *label_zh, const char *label_en, struct span value)
{
    struct pdf *pdf = ctx;
    PangoLayout *layout = layout_new(pdf, FONT_CODE, 8, value, WIDTH - LABEL_WIDTH);
    draw_row(pdf, label_zh, label_en, layout);
    g_object_unref(layout);
}

static void on_paragraph(void *ctx, const char *zh, const char *en)
{
    struct pdf *pdf = ctx;
    pdf->y += 3;
    draw_string(pdf, FONT, 9, span_of_str(zh), MARGIN, WIDTH, "P");
    cairo_set_source_rgb(pdf->cairo, 0.22, 0.22, 0.22);
    draw_string(pdf, FONT, 8, span_of_str(en), MARGIN, WIDTH, "P");
    cairo_set_source_rgb(pdf->cairo, 0, 0, 0);
    pdf->y += 2;
}

static void on_link(void *ctx, struct span link)
{
    struct pdf *pdf = ctx;
    struct deposit_qr qr;
    if (pdf->rc != E_OK || (pdf->rc = deposit_qr_make(&qr, link, pdf->err)) != E_OK) {
        return;
    }
    need(pdf, QR_WIDTH + 8);
    double module = QR_WIDTH / (double)qr.width;
    double left = (PAGE_WIDTH - QR_WIDTH) / 2;
    pdf->y += 8;
    for (size_t y = 0; y < qr.width; y++) {
        for (size_t x = 0; x < qr.width; x++) {
            if (qr.is_dark[y][x]) {
                cairo_rectangle(pdf->cairo, left + (double)x * module, pdf->y + (double)y * module,
                                module, module);
            }
        }
    }
    cairo_fill(pdf->cairo);
    pdf->y += QR_WIDTH + 8;
    crypto_wipe(&qr, sizeof qr);
}

static void on_block(void *ctx, const char *zh, const char *en, struct span text)
{
    struct pdf *pdf = ctx;
    struct buf heading = BUF_INIT(512);
    pdf->y += 5;
    need(pdf, 40);
    put_both(&heading, zh, en);
    draw_string(pdf, FONT " Bold", 9, buf_span(&heading), MARGIN, WIDTH, "H3");
    pdf->y += 2;
    draw_string(pdf, FONT_CODE, 7, text, MARGIN, WIDTH, "P");
    buf_clear(&heading);
}

static void on_data(void *ctx, const struct hash *digest, struct span data)
{
    struct pdf *pdf = ctx;
    struct buf text = BUF_INIT(2 * HASH_BYTES);
    (void)data; /* attached */
    pdf->y += 6;
    pdf->is_row_first = true;
    hex_put(&text, hash_span(digest));
    on_row_code(pdf, "所附数据的 SHA-256", "SHA-256 of the data attached", buf_span(&text));
    on_paragraph(
        pdf,
        "本文件附有 certificate-data.txt、policy.txt 和 "
        "proof.tlog-proof。核验的是所附数据；版面文字不在证明之内，"
        "请以 courtroll verify 打印的内容为准。",
        "Attached to this file: certificate-data.txt, policy.txt and proof.tlog-proof. These are "
        "what is "
        "verified; the text of the pages is not proved: go by what courtroll verify prints.");
    buf_clear(&text);
}

static void draw_pages(struct pdf *pdf, const struct deposit_page *page)
{
    const struct deposit_page_sink sink = { .ctx = pdf,
                                            .title = on_title,
                                            .section = on_section,
                                            .row = on_row,
                                            .row_code = on_row_code,
                                            .paragraph = on_paragraph,
                                            .link = on_link,
                                            .block = on_block,
                                            .data = on_data };
    struct buf number = BUF_INIT(DEPOSIT_NUMBER_BYTES_MAX);
    deposit_code_put_number(&number, &page->judgement->code);
    pdf->number = buf_span(&number);
    cairo_tag_begin(pdf->cairo, "Document", NULL);
    deposit_page_draw(page, &sink);
    cairo_tag_end(pdf->cairo, "Document");
    draw_footer(pdf);
    buf_clear(&number);
}

/* Times of the data, never of the clock: the same data are the same file. */
static void put_metadata(struct pdf *pdf, const struct deposit_page *page)
{
    struct output_time time = output_time(page->judgement->no_later_than);
    cairo_surface_t *surface = pdf->surface;
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE,
                                   DEPOSIT_PAGE_TITLE_ZH " " DEPOSIT_PAGE_TITLE_EN);
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATOR, "courtroll certificate");
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, time.text);
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_MOD_DATE, time.text);
}

static enum err_code attach(struct buf *out, const struct deposit_page *page, struct err *err)
{
    const struct deposit_attachment files[] = {
        { "certificate-data.txt", "text/plain", page->data },
        { "policy.txt", "text/plain", page->deposit->fields[DEPOSIT_POLICY] },
        { "proof.tlog-proof", "text/plain", page->deposit->fields[DEPOSIT_PROOF] },
    };
    return deposit_pdf_attach(out, files, sizeof files / sizeof files[0], err);
}

enum err_code deposit_pdf_put(struct buf *out, const struct deposit_page *page, struct err *err)
{
    struct pdf pdf = { .out = out, .y = MARGIN, .page = 1, .err = err, .rc = E_OK };
    pdf.surface = cairo_pdf_surface_create_for_stream(on_bytes, out, PAGE_WIDTH, PAGE_HEIGHT);
    /* Later versions put the cross-reference table into a compressed stream. */
    cairo_pdf_surface_restrict_to_version(pdf.surface, CAIRO_PDF_VERSION_1_4);
    put_metadata(&pdf, page);
    pdf.cairo = cairo_create(pdf.surface);
    draw_pages(&pdf, page);
    cairo_show_page(pdf.cairo);
    cairo_destroy(pdf.cairo);
    cairo_surface_finish(pdf.surface);
    cairo_status_t status = cairo_surface_status(pdf.surface);
    cairo_surface_destroy(pdf.surface);
    if (pdf.rc == E_OK && status != CAIRO_STATUS_SUCCESS) {
        pdf.rc = err_set(err, E_IO, "the PDF: %s", cairo_status_to_string(status));
    }
    return pdf.rc != E_OK ? pdf.rc : attach(out, page, err);
}
