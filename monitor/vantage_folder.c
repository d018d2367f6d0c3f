/* A folder of files, such as receipts that people were handed.
 *
 * A poll lists the names in order and compares the list with that of the poll before: what has not changed is
 * not read again, what has vanished is forgotten. A file is what its name, inode, size and times say; one that
 * changed within the clock's grain of being read might change once more unseen, so it is read again until it is
 * older, and handed over only if its bytes differ. A promise that cannot be judged yet is read again once a
 * tree has grown, and anything when the store failed: notes that wait for the tree are the memory's.
 * Only regular files are opened: never a symlink, which could point out of the folder, nor a fifo, which could
 * hold us up. */
#include "monitor/vantage_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    FRESH_S = 2, /* files younger than that are read again */
    NAME_BYTES_MAX = 255,
    GATHERED_MAX = 2 * VANTAGE_FILES_MAX, /* names in memory while the least are looked for */
};

/* When a file is to be read again, though nothing says that it changed. */
enum again {
    AGAIN_NEVER,
    AGAIN_FRESH, /* at the next poll, and handed over if its bytes differ */
    AGAIN_GROWN, /* when a tree has grown */
    AGAIN_NEXT,  /* at the next poll */
};

struct folder_file {
    char *name; /* owned */
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
    struct hash content; /* of what was handed over */
    bool has_content;
    enum again again;
    uint64_t grown_from; /* AGAIN_GROWN: the sizes of all trees when it was read */
};

struct folder_state {
    struct vantage *vantage;
    struct folder_file *files; /* by name; owned */
    size_t count;
    uint64_t grown; /* the sizes of all trees, at this poll */
};

static void *folder_open(struct vantage *vantage)
{
    struct folder_state *state = NEW(struct folder_state);
    state->vantage = vantage;
    return state;
}

static void files_free(struct folder_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mem_free(files[i].name);
    }
    mem_free(files);
}

static void folder_close(void *ctx)
{
    struct folder_state *state = ctx;
    files_free(state->files, state->count);
    mem_free(state);
}

/* -- listing -- */

struct names {
    char **all; /* owned, and each of them */
    size_t count;
    uint64_t left_out;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Keeps the first VANTAGE_FILES_MAX, in order. */
static void names_cut(struct names *names)
{
    qsort(names->all, names->count, sizeof names->all[0], compare_names);
    while (names->count > VANTAGE_FILES_MAX) {
        mem_free(names->all[--names->count]);
        names->left_out++;
    }
}

static void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        mem_free(names->all[i]);
    }
    mem_free(names->all);
}

/* Without those that begin with a dot: files on their way, by many programs' custom. The caller clears *out in
 * any case. */
static enum err_code list_names(struct names *out, DIR *dir, const struct vantage *vantage,
                                struct err *err)
{
    const struct dirent *entry;
    out->all = mem_calloc(GATHERED_MAX, sizeof out->all[0]);
    for (errno = 0; (entry = readdir(dir)) != NULL && !vantage->is_stopping; errno = 0) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (out->count == GATHERED_MAX) {
            names_cut(out);
        }
        out->all[out->count++] = mem_strdup(entry->d_name);
    }
    if (errno != 0) {
        return err_set_errno(err, E_IO, errno, "list %s", vantage->options.address.target);
    }
    names_cut(out);
    return E_OK;
}

/* -- one file -- */

/* E_TOO_LARGE, E_IO. */
static enum err_code read_all(struct buf *out, int fd, struct err *err)
{
    uint8_t chunk[16 * 1024];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got == 0) {
            return E_OK;
        }
        if (got < 0 && errno != EINTR) {
            return err_set_errno(err, E_IO, errno, "read");
        }
        if (got > 0 && buf_append(out, span_of(chunk, (size_t)got), err) != E_OK) {
            return err->code;
        }
    }
}

/* Opens what is a regular file, without waiting for anybody, and tells what it is. */
static int open_file(int dir_fd, const char *name, struct stat *st)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

struct handing {
    struct vantage *vantage;
    enum vantage_taken taken; /* the last of what became of the notes */
};

static void on_note(void *ctx, struct span note)
{
    struct handing *handing = ctx;
    enum vantage_taken taken = vantage_on_note(handing->vantage, note);
    handing->taken = taken > handing->taken ? taken : handing->taken;
}

static void on_promise(void *ctx, struct span note)
{
    struct handing *handing = ctx;
    enum vantage_taken taken = vantage_on_promise(handing->vantage, note);
    handing->taken = taken > handing->taken ? taken : handing->taken;
}

static void hand_over(struct folder_state *state, struct folder_file *file, struct span bytes)
{
    struct handing handing = { .vantage = state->vantage, .taken = VANTAGE_UNUSABLE };
    struct hash content = sha256(bytes);
    struct err err;
    if (file->again == AGAIN_FRESH && file->has_content &&
        hash_is_equal(&file->content, &content)) {
        file->again = AGAIN_NEVER;
        return;
    }
    file->content = content;
    file->has_content = true;
    file->again = AGAIN_NEVER;
    if (vantage_take_notes(bytes, &handing, on_note, on_promise, &err) != E_OK) {
        vantage_on_unusable(state->vantage);
    }
    if (handing.taken == VANTAGE_LATER) {
        file->again = AGAIN_GROWN;
        file->grown_from = state->grown;
    } else if (handing.taken == VANTAGE_FAILED) {
        file->again = AGAIN_NEXT;
    }
}

/* By the time that nobody can set: a file that says it is of next year is not read at every poll. */
static bool is_fresh(const struct stat *st)
{
    int64_t age_s = (int64_t)time(NULL) - st->st_ctim.tv_sec;
    return age_s > -FRESH_S && age_s < FRESH_S;
}

static void read_file(struct folder_state *state, int dir_fd, struct folder_file *file)
{
    struct stat st;
    struct err err;
    struct buf bytes = BUF_INIT(VANTAGE_FILE_BYTES_MAX);
    int fd = open_file(dir_fd, file->name, &st);
    if (fd >= 0 && st.st_size <= VANTAGE_FILE_BYTES_MAX && read_all(&bytes, fd, &err) == E_OK) {
        hand_over(state, file, buf_span(&bytes));
        if (file->again == AGAIN_NEVER && is_fresh(&st)) {
            file->again = AGAIN_FRESH;
        }
    } else {
        file->again = AGAIN_NEVER;
        vantage_on_unusable(state->vantage);
    }
    if (fd >= 0) {
        close(fd);
    }
    buf_clear(&bytes);
}

/* -- a poll -- */

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_unchanged(const struct folder_file *file, const struct stat *st)
{
    return file->inode == st->st_ino && file->size == st->st_size &&
           is_same_time(file->modified, st->st_mtim) && is_same_time(file->changed, st->st_ctim);
}

static bool is_due(const struct folder_state *state, const struct folder_file *file)
{
    return file->again == AGAIN_NEXT || file->again == AGAIN_FRESH ||
           (file->again == AGAIN_GROWN && file->grown_from != state->grown);
}

/* `before` is what was known of that name, or NULL; its memory stays its own. */
static void look_at(struct folder_state *state, int dir_fd, struct folder_file *file,
                    const struct folder_file *before)
{
    struct stat st;
    char *name = file->name;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return; /* it has gone: without a size or times it is read when it is back */
    }
    bool is_known = before != NULL && is_unchanged(before, &st);
    if (is_known) {
        *file = *before;
        file->name = name;
    }
    file->inode = st.st_ino;
    file->size = st.st_size;
    file->modified = st.st_mtim;
    file->changed = st.st_ctim;
    if (!is_known || is_due(state, file)) {
        read_file(state, dir_fd, file);
    }
}

static uint64_t sizes_held(const struct vantage *vantage)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < vantage->options.log_count; i++) {
        struct watched_status status;
        watched_log_status(vantage->options.logs[i].log, &status);
        sum += status.held_size + status.is_verified;
    }
    return sum;
}

/* Both lists are in order. Takes the names. */
static void look_at_all(struct folder_state *state, int dir_fd, struct names *names)
{
    struct folder_file *files = mem_calloc(names->count + 1, sizeof *files);
    size_t before = 0, count = 0;
    state->grown = sizes_held(state->vantage);
    for (; count < names->count && !state->vantage->is_stopping; count++) {
        files[count].name = names->all[count];
        names->all[count] = NULL;
        int order = 1;
        while (before < state->count &&
               (order = strcmp(state->files[before].name, files[count].name)) < 0) {
            before++;
        }
        bool is_known = before < state->count && order == 0;
        look_at(state, dir_fd, &files[count], is_known ? &state->files[before] : NULL);
    }
    files_free(state->files, state->count);
    state->files = files;
    state->count = count;
}

static void folder_ask(void *ctx, struct vantage_round *round)
{
    struct folder_state *state = ctx;
    const char *path = state->vantage->options.address.target;
    struct names names = { 0 };
    struct err err;
    DIR *dir = opendir(path);
    if (dir == NULL) {
        err_set_errno(&err, errno == ENOENT ? E_NOT_FOUND : E_IO, errno, "folder %s", path);
        vantage_round_fail(round, &err);
        return;
    }
    if (list_names(&names, dir, state->vantage, &err) == E_OK) {
        round->is_answered = true;
        look_at_all(state, dirfd(dir), &names);
    } else {
        vantage_round_fail(round, &err);
    }
    if (names.left_out > 0) {
        err_set(&err, E_TOO_LARGE, "%llu files of %s are left out: the first %d are read",
                (unsigned long long)names.left_out, path, VANTAGE_FILES_MAX);
        vantage_round_fail(round, &err);
    }
    names_clear(&names);
    closedir(dir);
}

const struct vantage_way vantage_folder = { folder_open, folder_ask, folder_close };
