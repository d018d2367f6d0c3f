/* case_key_file.h -- a case key in its file: read, made, found by its case number.
 *
 * In a directory of case keys the file of a case is SHA-256(canonical case number) in hex and ".casekey". Blocks on
 * the disk. Any thread.
 */
#ifndef CLIENT_CASE_KEY_FILE_H
#define CLIENT_CASE_KEY_FILE_H

#include "record/entry_tag.h"

/* E_NOT_FOUND, E_DENIED when others can read it, E_MALFORMED. Wipe with case_key_wipe. */
MUST_USE enum err_code case_key_file_load(struct case_key *out, const char *path, struct err *err);

/* A new key, 0600, for a case number in any spelling. E_EXISTS; E_MALFORMED with the position. */
MUST_USE enum err_code case_key_file_create(struct case_key *out, const char *path,
                                            const char *case_number, struct err *err);

/* Appends the path for a canonical case number. */
void case_key_file_put_path(struct buf *out, const char *dir, const char *case_number);

/* That of the case in `dir`. E_NOT_FOUND unless it `may_create` one; E_CORRUPT when the file is of another case. */
MUST_USE enum err_code case_key_file_find(struct case_key *out, const char *dir,
                                          const char *case_number, bool may_create,
                                          struct err *err);

#endif
