#include "client/case_key_file.h"

#include "base/ascii.h"
#include "base/file.h"
#include "record/identifier.h"
#include "store/key_file.h"

#include <limits.h>

/* At once: growing would leave copies. */
static void reserve(struct buf *buf)
{
    (void)buf_extend(buf, buf->max);
    buf_reset(buf);
}

enum err_code case_key_file_load(struct case_key *out, const char *path, struct err *err)
{
    struct buf text = BUF_INIT(CASE_KEY_FILE_BYTES_MAX);
    reserve(&text);
    enum err_code rc = key_file_check_private(path, err);
    if (rc == E_OK) {
        rc = file_read(&text, path, err);
    }
    if (rc == E_OK && (rc = case_key_parse(out, buf_span(&text), err)) != E_OK) {
        rc = err_wrap(err, "%s", path);
    }
    crypto_wipe_buf(&text);
    return rc;
}

enum err_code case_key_file_create(struct case_key *out, const char *path, const char *case_number,
                                   struct err *err)
{
    struct case_key key = { .number = "" };
    struct buf number = BUF_INIT(CASE_NUMBER_BYTES_MAX);
    struct buf text = BUF_INIT(CASE_KEY_FILE_BYTES_MAX);
    enum err_code rc = identifier_put_case_number(&number, span_of_str(case_number), err);
    if (rc != E_OK) {
        buf_clear(&number);
        return err_wrap(err, "case number");
    }
    memcpy(key.number, number.data, number.len);
    crypto_random(key.bytes, sizeof key.bytes);
    reserve(&text);
    case_key_put(&text, &key);
    rc = file_create(path, 0600, buf_span(&text), err);
    if (rc == E_OK) {
        *out = key;
    }
    case_key_wipe(&key);
    crypto_wipe_buf(&text);
    crypto_wipe_buf(&number);
    return rc;
}

void case_key_file_put_path(struct buf *out, const char *dir, const char *case_number)
{
    struct hash name = sha256(span_of_str(case_number));
    buf_putf(out, "%s/", dir);
    hex_put(out, hash_span(&name));
    buf_put_str(out, ".casekey");
}

enum err_code case_key_file_find(struct case_key *out, const char *dir, const char *case_number,
                                 bool may_create, struct err *err)
{
    struct buf path = BUF_INIT(PATH_MAX);
    if (strlen(dir) + 2 * HASH_BYTES + 16 > PATH_MAX) {
        return err_set(err, E_TOO_LARGE, "the path of the case keys is too long");
    }
    case_key_file_put_path(&path, dir, case_number);
    enum err_code rc = case_key_file_load(out, buf_c_str(&path), err);
    if (rc == E_NOT_FOUND && may_create) {
        rc = case_key_file_create(out, buf_c_str(&path), case_number, err);
        if (rc == E_EXISTS) { /* made by another just now */
            rc = case_key_file_load(out, buf_c_str(&path), err);
        }
    } else if (rc == E_NOT_FOUND) {
        err_set(err, E_NOT_FOUND, "there is no case key %s: a new case needs one",
                buf_c_str(&path));
    }
    if (rc == E_OK && strcmp(out->number, case_number) != 0) {
        case_key_wipe(out);
        rc = err_set(err, E_CORRUPT, "%s: it is of another case", buf_c_str(&path));
    }
    buf_clear(&path);
    return rc;
}
