/* Each file is synced by the worker that writes it, so that several workers overlap their waits;
 * names are synced once a directory. Measured on ext4 with 77 kB bundles and 8 kB tiles against one
 * syncfs for all: as fast with four workers, and it waits for nobody else's data. A temporary name
 * in another directory costs a third of that, for the kernel's one lock on such renames: hence
 * O_TMPFILE. */
#include "store/tiles_posix.h"

#include "base/alloc.h"
#include "base/file.h"
#include "store/no_space.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    STORED_PATH_MAX = 1024, /* bytes of a path below the directory, with a NUL */
    DIRECTORY_MODE = 0755,
    FILE_MODE = 0644,
    TEMPORARY_DIRECTORY_MODE = 0700, /* nothing in there is to be served */
    ATTEMPTS_MAX = 8                 /* when directories come and go under our hands */
};

static const char temporary_directory[] = ".tmp";
static const char descriptors[] = "/proc/self/fd"; /* links to what is open */

/* Names of directories below the root, "." for itself; a set, newest last. */
struct name_set {
    char **names; /* owned */
    size_t count;
};

struct tiles_posix {
    struct tiles base;
    char *dir;                 /* owned */
    int dir_fd;                /* owned */
    bool has_nameless;         /* files can be written without a name and linked later */
    pthread_mutex_t sync_lock; /* held for a whole tiles_sync; taken before `lock` */
    pthread_mutex_t lock;      /* guards `changed` */
    struct name_set changed;   /* directories with names that may not be durable */
    _Atomic uint64_t bytes_written;
    _Atomic uint64_t temporary_count; /* makes temporary names */
};

struct short_path {
    char text[STORED_PATH_MAX];
};

/* ---- paths ---- */

/* Our own paths only: relative, no empty component and none that begins with a dot. */
static enum err_code check_path(const char *path, struct err *err)
{
    bool is_start = true;
    bool is_ok = path[0] != '\0' && strlen(path) < STORED_PATH_MAX;
    for (const char *p = path; is_ok && *p != '\0'; p++) {
        is_ok = !is_start || (*p != '/' && *p != '.');
        is_start = *p == '/';
    }
    if (!is_ok || is_start) {
        return err_set(err, E_MALFORMED, "not a path of the log: %.64s", path);
    }
    return E_OK;
}

/* The directory of a path or of a directory; "." is the last. */
static struct short_path parent_of(const char *path)
{
    struct short_path parent = { "." };
    const char *slash = strrchr(path, '/');
    if (slash != NULL) {
        memcpy(parent.text, path, (size_t)(slash - path));
        parent.text[slash - path] = '\0';
    }
    return parent;
}

/* ---- the directories that changed ---- */

/* Newest first: writers stay in the same few directories. */
static void set_add(struct name_set *set, const char *name)
{
    for (size_t i = set->count; i > 0; i--) {
        if (strcmp(set->names[i - 1], name) == 0) {
            return;
        }
    }
    set->names = mem_realloc(set->names, (set->count + 1) * sizeof *set->names);
    set->names[set->count++] = mem_strdup(name);
}

static void set_clear(struct name_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        mem_free(set->names[i]);
    }
    mem_free(set->names);
    *set = (struct name_set){ NULL, 0 };
}

/* All the way up: a directory on it may be new, made by us or by a process that died. */
static void add_changed(struct tiles_posix *tiles, const char *path)
{
    pthread_mutex_lock(&tiles->lock);
    struct short_path parent = parent_of(path);
    for (;;) {
        set_add(&tiles->changed, parent.text);
        if (strcmp(parent.text, ".") == 0) {
            break;
        }
        parent = parent_of(parent.text);
    }
    pthread_mutex_unlock(&tiles->lock);
}

static enum err_code sync_one(const struct tiles_posix *tiles, const char *name, struct err *err)
{
    int fd = openat(tiles->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return E_OK; /* removed since, with all that was in it */
    }
    if (fd < 0) {
        return err_set_errno(err, E_IO, errno, "open %s/%s", tiles->dir, name);
    }
    enum err_code rc = E_OK;
    if (fsync(fd) != 0) {
        rc = err_set_errno(err, store_write_code(errno), errno, "sync %s/%s", tiles->dir, name);
    }
    close(fd);
    return rc;
}

static enum err_code posix_sync(struct tiles *base, struct err *err)
{
    struct tiles_posix *tiles = (struct tiles_posix *)base;
    struct name_set changed;
    enum err_code rc = E_OK;
    /* A second caller waits, or it would count on syncs that the first has yet to do. */
    pthread_mutex_lock(&tiles->sync_lock);
    pthread_mutex_lock(&tiles->lock);
    changed = tiles->changed;
    tiles->changed = (struct name_set){ NULL, 0 };
    pthread_mutex_unlock(&tiles->lock);
    for (size_t i = 0; rc == E_OK && i < changed.count; i++) {
        rc = sync_one(tiles, changed.names[i], err);
    }
    /* All of them again next time, which may be another caller's: names are in the file system's
     * journal, and when that has failed it fails again (unlike data, of which a lost page is told
     * once: each file's are synced, and the error is told, by the write itself). */
    if (rc != E_OK) {
        pthread_mutex_lock(&tiles->lock);
        for (size_t i = 0; i < changed.count; i++) {
            set_add(&tiles->changed, changed.names[i]);
        }
        pthread_mutex_unlock(&tiles->lock);
    }
    pthread_mutex_unlock(&tiles->sync_lock);
    set_clear(&changed);
    return rc;
}

/* Makes the missing directories of `path`. mkdirat obeys the umask, so the mode is set again. */
static enum err_code make_parents(const struct tiles_posix *tiles, const char *path,
                                  struct err *err)
{
    struct short_path partial;
    memcpy(partial.text, path, strlen(path) + 1);
    for (char *p = strchr(partial.text, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdirat(tiles->dir_fd, partial.text, DIRECTORY_MODE) == 0) {
            if (fchmodat(tiles->dir_fd, partial.text, DIRECTORY_MODE, 0) != 0 && errno != ENOENT) {
                return err_set_errno(err, E_IO, errno, "set mode of %s/%s", tiles->dir,
                                     partial.text);
            }
        } else if (errno != EEXIST && errno != ENOENT) {
            return err_set_errno(err, store_write_code(errno), errno, "make directory %s/%s",
                                 tiles->dir, partial.text);
        }
        *p = '/';
    }
    return E_OK;
}

/* ---- writing ---- */

static struct short_path temporary_path(struct tiles_posix *tiles)
{
    struct short_path path;
    snprintf(path.text, sizeof path.text, "%s/%" PRIu64, temporary_directory,
             tiles->temporary_count++);
    return path;
}

/* Opens a new file for `path`: without a name (name->text is then empty), or named in .tmp. -1 with
 * errno. */
static int open_new(struct tiles_posix *tiles, const char *path, struct short_path *name)
{
    struct short_path parent = parent_of(path);
    name->text[0] = '\0';
    int fd = -1;
    if (tiles->has_nameless) {
        fd = openat(tiles->dir_fd, parent.text, O_WRONLY | O_TMPFILE | O_CLOEXEC, FILE_MODE);
    }
    if (fd < 0 &&
        (!tiles->has_nameless || errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        *name = temporary_path(tiles);
        fd = openat(tiles->dir_fd, name->text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    }
    return fd;
}

static bool fill(int fd, struct span bytes)
{
    if (fchmod(fd, FILE_MODE) != 0) { /* whatever the umask */
        return false;
    }
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            bytes = span_slice(bytes, (size_t)n, bytes.len - (size_t)n);
        }
    }
    return fdatasync(fd) == 0;
}

/* Gives a file without a name the name `path`, if that is free. */
static bool link_to(const struct tiles_posix *tiles, int fd, const char *path)
{
    char self[64]; /* AT_EMPTY_PATH would need a privilege */
    snprintf(self, sizeof self, "%s/%d", descriptors, fd);
    return linkat(AT_FDCWD, self, tiles->dir_fd, path, AT_SYMLINK_FOLLOW) == 0;
}

/* Puts the file at `path`, over what is there. False with errno; name->text is then the temporary
 * name to remove, if any. */
static bool place(struct tiles_posix *tiles, int fd, struct short_path *name, const char *path)
{
    if (name->text[0] == '\0') {
        if (link_to(tiles, fd, path)) {
            return true;
        }
        if (errno != EEXIST) {
            return false;
        }
        struct short_path temporary = temporary_path(tiles);
        if (!link_to(tiles, fd, temporary.text)) {
            return false;
        }
        *name = temporary;
    }
    return renameat(tiles->dir_fd, name->text, tiles->dir_fd, path) == 0;
}

/* One attempt. False with errno, and nothing left behind. */
static bool write_file(struct tiles_posix *tiles, const char *path, struct span bytes)
{
    struct short_path name;
    int fd = open_new(tiles, path, &name);
    if (fd < 0) {
        return false;
    }
    bool is_done = fill(fd, bytes) && place(tiles, fd, &name, path);
    int errnum = errno;
    close(fd);
    if (!is_done && name.text[0] != '\0') {
        unlinkat(tiles->dir_fd, name.text, 0);
    }
    errno = errnum;
    return is_done;
}

static enum err_code posix_write(struct tiles *base, const char *path, struct span bytes,
                                 struct err *err)
{
    struct tiles_posix *tiles = (struct tiles_posix *)base;
    enum err_code rc = check_path(path, err);
    if (rc != E_OK) {
        return rc;
    }
    bool is_done = write_file(tiles, path, bytes);
    for (int i = 0; !is_done && errno == ENOENT && i < ATTEMPTS_MAX; i++) {
        rc = make_parents(tiles, path, err);
        if (rc != E_OK) {
            return rc;
        }
        is_done = write_file(tiles, path, bytes);
    }
    if (!is_done) {
        return err_set_errno(err, store_write_code(errno), errno, "write %s/%s", tiles->dir, path);
    }
    tiles->bytes_written += bytes.len;
    add_changed(tiles, path);
    return E_OK;
}

static enum err_code posix_replace(struct tiles *base, const char *path, struct span bytes,
                                   struct err *err)
{
    const struct tiles_posix *tiles = (const struct tiles_posix *)base;
    enum err_code rc = posix_write(base, path, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    struct short_path parent = parent_of(path);
    rc = sync_one(tiles, parent.text, err);
    while (rc == E_OK && strcmp(parent.text, ".") != 0) {
        parent = parent_of(parent.text);
        rc = sync_one(tiles, parent.text, err);
    }
    return rc;
}

/* ---- the rest ---- */

static enum err_code posix_read(struct tiles *base, const char *path, struct buf *out,
                                struct err *err)
{
    const struct tiles_posix *tiles = (const struct tiles_posix *)base;
    char full[PATH_MAX];
    enum err_code rc = check_path(path, err);
    if (rc != E_OK) {
        return rc;
    }
    int len = snprintf(full, sizeof full, "%s/%s", tiles->dir, path);
    if (len < 0 || (size_t)len >= sizeof full) {
        return err_set(err, E_IO, "%s/%s: path too long", tiles->dir, path);
    }
    return file_read(out, full, err);
}

static enum err_code posix_remove(struct tiles *base, const char *path, struct err *err)
{
    const struct tiles_posix *tiles = (const struct tiles_posix *)base;
    enum err_code rc = check_path(path, err);
    if (rc != E_OK) {
        return rc;
    }
    if (unlinkat(tiles->dir_fd, path, 0) != 0 && errno != ENOENT && errno != ENOTDIR) {
        return err_set_errno(err, E_IO, errno, "remove %s/%s", tiles->dir, path);
    }
    /* The seam knows no directories: an empty one goes, such as that of a tile's partial widths. */
    struct short_path parent = parent_of(path);
    if (strcmp(parent.text, ".") != 0) {
        (void)unlinkat(tiles->dir_fd, parent.text, AT_REMOVEDIR);
    }
    return E_OK;
}

/* A name's kind, by a look at the file where the file system does not tell. */
static bool is_directory(int dir_fd, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type == DT_DIR;
    }
    return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Opens a directory; NULL with errno. */
static DIR *open_directory(int dir_fd, const char *path)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL && fd >= 0) {
        close(fd);
    }
    return stream;
}

static enum err_code posix_list(struct tiles *base, const char *dir,
                                enum err_code (*on_name)(void *ctx, const char *name, bool is_dir,
                                                         struct err *err),
                                void *ctx, struct err *err)
{
    const struct tiles_posix *tiles = (const struct tiles_posix *)base;
    enum err_code rc = dir[0] == '\0' ? E_OK : check_path(dir, err);
    if (rc != E_OK) {
        return rc;
    }
    DIR *stream = open_directory(tiles->dir_fd, dir[0] == '\0' ? "." : dir);
    if (stream == NULL) {
        enum err_code code = errno == ENOENT || errno == ENOTDIR ? E_NOT_FOUND : E_IO;
        return err_set_errno(err, code, errno, "list %s/%s", tiles->dir, dir);
    }
    while (rc == E_OK) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL && errno != 0) {
            rc = err_set_errno(err, E_IO, errno, "list %s/%s", tiles->dir, dir);
        }
        if (entry == NULL) {
            break;
        }
        if (entry->d_name[0] != '.') {
            rc = on_name(ctx, entry->d_name, is_directory(dirfd(stream), entry), err);
        }
    }
    closedir(stream);
    return rc;
}

static uint64_t posix_bytes_written(const struct tiles *base)
{
    return ((const struct tiles_posix *)base)->bytes_written;
}

static void posix_close(struct tiles *base)
{
    struct tiles_posix *tiles = (struct tiles_posix *)base;
    set_clear(&tiles->changed);
    pthread_mutex_destroy(&tiles->lock);
    pthread_mutex_destroy(&tiles->sync_lock);
    close(tiles->dir_fd);
    mem_free(tiles->dir);
    mem_free(tiles);
}

static const struct tiles_ops posix_ops = {
    .write = posix_write,
    .sync = posix_sync,
    .replace = posix_replace,
    .read = posix_read,
    .remove = posix_remove,
    .list = posix_list,
    .bytes_written = posix_bytes_written,
    .close = posix_close,
};

/* Makes .tmp, and removes what a crash left in it. */
static enum err_code prepare_temporary(const struct tiles_posix *tiles, struct err *err)
{
    if (mkdirat(tiles->dir_fd, temporary_directory, TEMPORARY_DIRECTORY_MODE) != 0 &&
        errno != EEXIST && store_write_code(errno) != E_UNAVAILABLE) {
        return err_set_errno(err, E_IO, errno, "make directory %s/%s", tiles->dir,
                             temporary_directory);
    }
    DIR *stream = open_directory(tiles->dir_fd, temporary_directory);
    if (stream == NULL) {
        return E_OK; /* a full disk: reads work, and writes will say so */
    }
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (entry->d_name[0] != '.') {
            (void)unlinkat(dirfd(stream), entry->d_name, 0);
        }
    }
    closedir(stream);
    return E_OK;
}

enum err_code tiles_posix_open(struct tiles **out, const char *dir, struct err *err)
{
    enum err_code rc = file_make_directory(dir, DIRECTORY_MODE, err);
    if (rc != E_OK) {
        return rc;
    }
    struct tiles_posix *tiles = NEW(struct tiles_posix);
    tiles->base.ops = &posix_ops;
    tiles->dir = mem_strdup(dir);
    tiles->has_nameless = access(descriptors, X_OK) == 0; /* a chroot may have no /proc */
    tiles->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tiles->dir_fd < 0) {
        rc = err_set_errno(err, E_IO, errno, "open %s", dir);
        mem_free(tiles->dir);
        mem_free(tiles);
        return rc;
    }
    pthread_mutex_init(&tiles->lock, NULL);
    pthread_mutex_init(&tiles->sync_lock, NULL);
    rc = prepare_temporary(tiles, err);
    if (rc != E_OK) {
        posix_close(&tiles->base);
        return rc;
    }
    *out = &tiles->base;
    return E_OK;
}
