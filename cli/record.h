/* record.h -- what the words of `courtroll record` share: the files they read, and how fields are shown.
 *
 * Main thread.
 */
#ifndef CLI_RECORD_H
#define CLI_RECORD_H

#include "cli/command.h"
#include "record/payload.h"

extern const struct command record_disclose_command, record_erase_command, record_new_key_command,
    record_seal_command, record_show_command, record_verify_command;

/* A sealed payload, opened with the key in `key_path`, and checked. *out is initialised, and to be cleared in any
 * case. The error names the file. */
MUST_USE enum err_code record_read_payload(struct payload *out, const char *path,
                                           const char *key_path, struct err *err);

/* E_EXISTS when something has the name: what cannot be made again is not written over. NULL is fine. */
MUST_USE enum err_code record_check_absent(const char *path, struct err *err);

/* Wipes all that the buffer has room for, and clears it. */
void record_wipe(struct buf *buf);

/* The words for a field's value, without control characters; free with free. */
char *record_field_text(unsigned number, struct span value);

/* "2026-03-04T09:31Z" */
struct record_minute {
    char text[32];
};
struct record_minute record_minute(uint64_t minute);

#endif
