#include "logd/contradiction.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/crypto.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>

enum {
    DIR_MODE = 0700,
    FILE_MODE = 0600,
    ID_BYTES = 8
};

static const char theirs_suffix[] = ".theirs";

static enum err_code write_note(const char *dir, const char *id, const char *suffix,
                                struct span note, struct err *err)
{
    struct buf name = BUF_INIT(2 * ID_BYTES + 16);
    buf_putf(&name, "%s%s", id, suffix);
    char *path = file_join(dir, buf_c_str(&name));
    enum err_code rc = file_replace(path, FILE_MODE, note, err);
    mem_free(path);
    buf_clear(&name);
    return rc;
}

/* Theirs last: where it is, ours is too. */
enum err_code contradiction_keep(const char *data_dir, struct span theirs, struct span ours,
                                 struct err *err)
{
    struct hash hash = sha256(theirs);
    struct buf id = BUF_INIT(2 * ID_BYTES + 1);
    hex_put(&id, span_of(hash.bytes, ID_BYTES));
    char *dir = file_join(data_dir, "contradiction");
    enum err_code rc = file_make_directory(dir, DIR_MODE, err);
    if (rc == E_OK) {
        rc = write_note(dir, buf_c_str(&id), ".ours", ours, err);
    }
    if (rc == E_OK) {
        rc = write_note(dir, buf_c_str(&id), theirs_suffix, theirs, err);
    }
    mem_free(dir);
    buf_clear(&id);
    return rc;
}

enum err_code contradiction_exists(const char *data_dir, bool *out, struct err *err)
{
    enum err_code rc = E_OK;
    char *dir = file_join(data_dir, "contradiction");
    DIR *stream = opendir(dir);
    bool is_found = false;
    if (stream == NULL) {
        rc = errno == ENOENT ? E_OK : err_set_errno(err, E_IO, errno, "%s", dir);
    } else {
        struct dirent *entry;
        while (!is_found && (entry = readdir(stream)) != NULL) {
            is_found = span_has_suffix(span_of_str(entry->d_name), span_of_str(theirs_suffix));
        }
        closedir(stream);
    }
    mem_free(dir);
    if (rc == E_OK) {
        *out = is_found;
    }
    return rc;
}
