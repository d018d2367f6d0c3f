/* verify_page.h -- the page in which people verify documents: one file, the same bytes at every daemon.
 *
 * Its bytes, their SHA-256 and its Content-Security-Policy come out of the build: cmake/VerifyPage.cmake. They are not
 * in a program that does not serve them. docs/verify-page.md has what it answers, and where its SHA-256 is published.
 * Any thread.
 */
#ifndef NET_VERIFY_PAGE_H
#define NET_VERIFY_PAGE_H

#include "net/http_response.h"

#define VERIFY_PAGE_PATH    "/verify"
#define VERIFY_CONTEXT_PATH "/verify.json" /* client/verify_context.h */

extern const char verify_page_hash[];  /* SHA-256 of the bytes, in hex */
extern const char verify_page_build[]; /* the line of --version that tells it */

struct span verify_page_span(void);

/* For a server: the bytes as a body that its answers share. The caller releases it. */
struct http_body *verify_page_body(void);

/* What GET and HEAD /verify are answered with: 200 with `body`, or 304 to a reader that has these bytes.
 * `if_none_match` is the value of that header, a peer's bytes; empty when there is none. */
struct http_response verify_page_response(struct http_body *body, struct span if_none_match);

#endif
