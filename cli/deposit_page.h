/* deposit_page.h -- the words of a certificate: one text in Chinese and English, for a page on a screen and on paper.
 *
 * Spec: docs/certificate.md. A pure function of the data, what they prove under their own policy, and nothing else.
 * Never a legal conclusion. Any thread.
 */
#ifndef CLI_DEPOSIT_PAGE_H
#define CLI_DEPOSIT_PAGE_H

#include "cli/deposit_judgement.h"

#define DEPOSIT_PAGE_TITLE_ZH "存证证书"
#define DEPOSIT_PAGE_TITLE_EN "Certificate of Deposit"

/* What draws it. Two do: deposit_html.c, deposit_pdf.c. Texts are UTF-8 and borrowed for the call. */
struct deposit_page_sink {
    void *ctx;
    void (*title)(void *ctx, struct span number);
    void (*section)(void *ctx, const char *zh, const char *en);
    /* A label and its value; `zh` of the value empty: `en` serves both. */
    void (*row)(void *ctx, const char *label_zh, const char *label_en, struct span zh,
                struct span en);
    /* Likewise of digits and keys. */
    void (*row_code)(void *ctx, const char *label_zh, const char *label_en, struct span value);
    void (*paragraph)(void *ctx, const char *zh, const char *en);
    /* The link or code, as a QR code, too. */
    void (*link)(void *ctx, struct span link);
    /* A whole file, line by line. */
    void (*block)(void *ctx, const char *zh, const char *en, struct span text);
    void (*data)(void *ctx, const struct hash *digest, struct span data);
};

struct deposit_page {
    const struct deposit *deposit;
    const struct deposit_judgement *judgement; /* PASS under `policy` */
    const struct policy *policy;               /* the data's own */
    struct span data;                          /* what `deposit` was parsed from */
};

void deposit_page_draw(const struct deposit_page *page, const struct deposit_page_sink *sink);

enum {
    DEPOSIT_TIME_BYTES_MAX = 96
};
/* "2026-11-24 18:44:16 北京时间 (UTC+8), 2026-11-24T10:44:16Z" */
struct deposit_time {
    char text[DEPOSIT_TIME_BYTES_MAX];
};
struct deposit_time deposit_time(uint64_t seconds);

#endif
