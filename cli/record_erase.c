/* The normal path is: overwrite in place, sync, cut to nothing, sync, unlink, sync the directory. A crash in
 * between leaves a file of the same name that opens nothing. */
#include "cli/record.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHUNK_BYTES = 4096,
    ERASE_BYTES_MAX = 1024 * 1024 /* far above any payload */
};

static enum err_code failed(const char *what, const char *path, struct err *err)
{
    return err_set_errno(err, E_IO, errno, "%s %s", what, path);
}

/* Only what this command is for: a slip of the hand must not cost another file. */
static enum err_code check_kind(int fd, const char *path, off_t *size, struct err *err)
{
    static const char *const heads[] = { "courtroll sealed file v1\n", "courtroll case key v1\n" };
    struct stat status;
    char head[32] = { 0 };
    if (fstat(fd, &status) != 0 || pread(fd, head, sizeof head - 1, 0) < 0) {
        return failed("read", path, err);
    }
    bool is_ours = false;
    for (size_t i = 0; i < COMMAND_COUNT(heads); i++) {
        is_ours = is_ours || strncmp(head, heads[i], strlen(heads[i])) == 0;
    }
    crypto_wipe(head, sizeof head);
    if (!S_ISREG(status.st_mode) || !is_ours || status.st_size > ERASE_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "%s is neither a sealed payload nor a case key", path);
    }
    *size = status.st_size;
    return E_OK;
}

static bool write_zeros(int fd, off_t size)
{
    static const uint8_t zeros[CHUNK_BYTES];
    for (off_t at = 0; at < size;) {
        size_t len = size - at < CHUNK_BYTES ? (size_t)(size - at) : CHUNK_BYTES;
        ssize_t n = pwrite(fd, zeros, len, at);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        at += n > 0 ? n : 0;
    }
    return true;
}

static enum err_code sync_directory_of(const char *path, struct err *err)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return file_sync_directory(".", err);
    }
    size_t len = slash == path ? 1 : (size_t)(slash - path);
    if (len >= sizeof directory) {
        return err_set(err, E_IO, "%s: path too long", path);
    }
    memcpy(directory, path, len);
    directory[len] = '\0';
    return file_sync_directory(directory, err);
}

static enum err_code erase(const char *path, struct err *err)
{
    off_t size = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return err_set_errno(err, errno == ENOENT ? E_NOT_FOUND : E_IO, errno, "open %s", path);
    }
    enum err_code rc = check_kind(fd, path, &size, err);
    if (rc == E_OK && (!write_zeros(fd, size) || fsync(fd) != 0)) {
        rc = failed("overwrite", path, err);
    }
    if (rc == E_OK && (ftruncate(fd, 0) != 0 || fsync(fd) != 0)) {
        rc = failed("cut", path, err);
    }
    if (rc == E_OK && unlink(path) != 0) {
        rc = failed("remove", path, err);
    }
    close(fd);
    return rc == E_OK ? sync_directory_of(path, err) : rc;
}

static int run(int argc, char **argv)
{
    struct output output = { 0 };
    const struct command_option options[] = { COMMAND_OPTION_JSON(&output) };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &record_erase_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    struct err err;
    if (erase(line.operands[0], &err) != E_OK) {
        return output_failed(&output, &err);
    }
    if (output.is_json) {
        json_t *object = json_object();
        json_object_set_new(object, "erased", output_json_text(span_of_str(line.operands[0])));
        output_json(object);
        return OUTPUT_DONE;
    }
    char *clean = output_clean(span_of_str(line.operands[0]));
    printf(
        "erased %s: overwritten, synced, removed.\n"
        "With a payload go the salts: its record stays on the log, and every proof and root with\n"
        "it, but nobody can open its fields any more, nor try values against them. With a case\n"
        "key nobody can tell any more which entries are of the case.\n"
        "This cannot reach copies: backups, snapshots, other disks, disclosures that were\n"
        "handed out, and what an SSD or a copy-on-write file system keeps of old blocks. What\n"
        "they keep of a payload is encrypted: destroying its payload key reaches them all.\n",
        clean);
    free(clean);
    return OUTPUT_DONE;
}

const struct command record_erase_command = {
    .name = "record erase",
    .arguments = "PAYLOAD|CASE-KEY",
    .summary = "destroy a payload or a case key; the log stays as it is",
    .text =
        "Overwrites the file, syncs it and removes it, and says what that means. It does so to\n"
        "sealed payloads and case keys only.\n",
    .examples = "courtroll record erase filed.payload\n",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
