/* record.c -- `courtroll record`: a command whose first argument is one of several words. */
#include "cli/record.h"

#include "base/file.h"
#include "store/sealed_file.h"

#include <stdlib.h>
#include <sys/stat.h>

static const struct command *const words[] = {
    &record_new_key_command,  &record_seal_command,   &record_show_command,
    &record_disclose_command, &record_verify_command, &record_erase_command,
};

static int run(int argc, char **argv)
{
    return command_run_word(&record_command, words, COMMAND_COUNT(words), argc, argv);
}

void record_wipe(struct buf *buf)
{
    if (buf->data != NULL) {
        crypto_wipe(buf->data, buf->cap);
    }
    buf_clear(buf);
}

enum err_code record_read_payload(struct payload *out, const char *path, const char *key_path,
                                  struct err *err)
{
    struct sealed_key key;
    struct buf json = BUF_INIT(PAYLOAD_BYTES_MAX);
    payload_init(out);
    enum err_code rc = sealed_key_load(&key, key_path, err);
    if (rc == E_OK) {
        rc = sealed_file_read(&json, path, &key, PAYLOAD_BYTES_MAX, err);
    }
    if (rc == E_OK && (rc = payload_parse(out, buf_span(&json), err)) != E_OK) {
        rc = err_wrap(err, "%s", path);
    }
    crypto_wipe(&key, sizeof key);
    record_wipe(&json);
    return rc;
}

enum err_code record_check_absent(const char *path, struct err *err)
{
    struct stat status;
    if (path != NULL && lstat(path, &status) == 0) {
        return err_set(err, E_EXISTS, "%s exists and is left as it is", path);
    }
    return E_OK;
}

char *record_field_text(unsigned number, struct span value)
{
    struct buf text = BUF_INIT(4 * FIELD_VALUE_BYTES_MAX);
    field_put_text(&text, number, value);
    char *clean = output_clean(buf_span(&text));
    record_wipe(&text);
    return clean;
}

struct record_minute record_minute(uint64_t minute)
{
    struct record_minute made;
    struct buf value = BUF_INIT(8), text = BUF_INIT(sizeof made.text - 1);
    buf_put_u64(&value, minute);
    field_put_text(&text, FIELD_MINUTE, buf_span(&value));
    memcpy(made.text, text.data, text.len);
    made.text[text.len] = '\0';
    buf_clear(&value);
    buf_clear(&text);
    return made;
}

const struct command record_command = {
    .name = "record",
    .arguments = "new-key|seal|show|disclose|verify|erase ...",
    .summary = "make, keep, show and disclose operation records",
    .text = "new-key   makes the key under which payloads are kept\n"
            "seal      makes a signed record, and its payload: all that opens it\n"
            "show      prints a payload\n"
            "disclose  makes a disclosure: a record with chosen fields opened\n"
            "verify    says what a disclosure proves, offline\n"
            "erase     destroys a payload or a case key; the log stays as it is\n",
    .examples = "  courtroll record new-key --out payload.key\n"
                "  courtroll record seal --origin log.court.example/2026 --case-key case.key \\\n"
                "      --submitter-key submitter.key --payload-key payload.key --number 0 \\\n"
                "      --out-entry filed.entry --out-payload filed.payload filed.json\n"
                "  courtroll record disclose --payload-key payload.key --fields debtor,amount \\\n"
                "      --proof filed.tlog-proof --out filed.disclosure filed.payload\n"
                "  courtroll record verify --policy court.policy filed.disclosure\n",
    .run = run,
};
