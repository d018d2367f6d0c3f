#include "cli/deposit_qr.h"

#include "cli/deposit_code.h"

#include <assert.h>
#include <errno.h>
#include <qrencode.h>

enum err_code deposit_qr_make(struct deposit_qr *out, struct span text, struct err *err)
{
    assert(text.len <= INT32_MAX);
    QRcode *code =
        QRcode_encodeData((int)text.len, text.data, 0, QR_ECLEVEL_M); /* 0: the smallest version */
    if (code == NULL) {
        return err_set(err, E_TOO_LARGE, "no QR code holds it");
    }
    if (code->version > DEPOSIT_QR_VERSION_MAX) {
        QRcode_free(code);
        return err_set(err, E_TOO_LARGE, "it needs a QR code above version %d",
                       DEPOSIT_QR_VERSION_MAX);
    }
    *out = (struct deposit_qr){ .width = (size_t)code->width };
    for (size_t y = 0; y < out->width; y++) {
        for (size_t x = 0; x < out->width; x++) {
            out->is_dark[y][x] = (code->data[y * out->width + x] & 1) != 0;
        }
    }
    QRcode_free(code);
    return E_OK;
}

void deposit_qr_put_svg(struct buf *out, const struct deposit_qr *qr, const char *label)
{
    size_t side = qr->width + 2 * DEPOSIT_QR_QUIET;
    buf_putf(out,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"%s\" "
             "viewBox=\"0 0 %zu %zu\" shape-rendering=\"crispEdges\"><path fill=\"#fff\" "
             "d=\"M0 0h%zuv%zuh-%zuz\"/><path fill=\"#000\" d=\"",
             label, side, side, side, side, side);
    for (size_t y = 0; y < qr->width; y++) {
        for (size_t x = 0; x < qr->width; x++) {
            size_t run = 0;
            while (x + run < qr->width && qr->is_dark[y][x + run]) {
                run++;
            }
            if (run > 0) {
                buf_putf(out, "M%zu %zuh%zuv1h-%zuz", x + DEPOSIT_QR_QUIET, y + DEPOSIT_QR_QUIET,
                         run, run);
                x += run;
            }
        }
    }
    buf_put_str(out, "\"/></svg>");
}

static bool is_dark(const struct deposit_qr *qr, size_t y, size_t x)
{
    size_t q = DEPOSIT_QR_QUIET;
    return y >= q && x >= q && y < q + qr->width && x < q + qr->width && qr->is_dark[y - q][x - q];
}

void deposit_qr_put_utf8(struct buf *out, const struct deposit_qr *qr)
{
    size_t side = qr->width + 2 * DEPOSIT_QR_QUIET;
    for (size_t y = 0; y < side; y += 2) {
        buf_put_str(out, "\033[30;47m");
        for (size_t x = 0; x < side; x++) {
            bool top = is_dark(qr, y, x), bottom = is_dark(qr, y + 1, x);
            buf_put_str(out, top && bottom ? "█" : top ? "▀" : bottom ? "▄" : " ");
        }
        buf_put_str(out, "\033[0m\n");
    }
}
