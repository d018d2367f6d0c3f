/* tls_files.h -- the PEM files of a TLS server, read and found to belong together before anything uses them.
 *
 * Reads files; blocks on the disk. Any thread.
 */
#ifndef NET_TLS_FILES_H
#define NET_TLS_FILES_H

#include "base/buf.h"
#include "base/err.h"

enum {
    TLS_FILE_BYTES_MAX = 1024 * 1024
};

/* The files' bytes, each as a C string too. */
struct tls_files {
    struct buf cert; /* the certificate, and its chain behind it */
    struct buf key;
    struct buf client_ca; /* empty: clients show no certificate */
};

/* E_MALFORMED, naming the file: no certificate, no key or one under a password, a key of another certificate,
 * too weak for TLS 1.2; else as file_read. `client_ca_path` may be NULL. E_OK: call tls_files_clear. */
MUST_USE enum err_code tls_files_read(struct tls_files *out, const char *cert_path,
                                      const char *key_path, const char *client_ca_path,
                                      struct err *err);
void tls_files_clear(struct tls_files *files); /* wipes the key */

#endif
