/* A file has what readers see and what a power loss leaves. */
#include "store/tiles_memory.h"

#include "base/alloc.h"

#include <assert.h>
#include <pthread.h>

struct content {
    uint8_t *data; /* owned; NULL when there is no file */
    size_t len;
};

struct memory_file {
    char *path; /* owned */
    struct content seen;
    struct content durable;
    bool is_changed; /* `seen` is newer than `durable` */
};

struct tiles_memory_disk {
    pthread_mutex_t lock;      /* guards all below */
    struct memory_file *files; /* owned; sorted by path */
    size_t count;
    enum store_fault fault;
};

struct tiles_memory {
    struct tiles base;
    struct tiles_memory_disk *disk; /* borrowed */
    _Atomic uint64_t bytes_written;
};

static struct content content_copy(struct span bytes)
{
    struct content copy = { mem_alloc(bytes.len + 1), bytes.len };
    if (bytes.len > 0) {
        memcpy(copy.data, bytes.data, bytes.len);
    }
    return copy;
}

static struct content content_clone(const struct content *from)
{
    if (from->data == NULL) {
        return (struct content){ NULL, 0 };
    }
    return content_copy(span_of(from->data, from->len));
}

static void content_clear(struct content *content)
{
    mem_free(content->data);
    *content = (struct content){ NULL, 0 };
}

/* The position of `path`, or where it belongs. */
static size_t find_position(const struct tiles_memory_disk *disk, const char *path)
{
    size_t low = 0;
    size_t high = disk->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(disk->files[middle].path, path) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct memory_file *find_file(struct tiles_memory_disk *disk, const char *path)
{
    size_t at = find_position(disk, path);
    bool is_there = at < disk->count && strcmp(disk->files[at].path, path) == 0;
    return is_there ? &disk->files[at] : NULL;
}

static struct memory_file *find_or_add_file(struct tiles_memory_disk *disk, const char *path)
{
    struct memory_file *file = find_file(disk, path);
    if (file != NULL) {
        return file;
    }
    size_t at = find_position(disk, path);
    disk->files = mem_realloc(disk->files, (disk->count + 1) * sizeof *disk->files);
    file = &disk->files[at];
    memmove(file + 1, file, (disk->count - at) * sizeof *file);
    disk->count++;
    *file = (struct memory_file){ .path = mem_strdup(path) };
    return file;
}

static void file_make_durable(struct memory_file *file)
{
    content_clear(&file->durable);
    file->durable = content_clone(&file->seen);
    file->is_changed = false;
}

struct tiles_memory_disk *tiles_memory_disk_new(void)
{
    struct tiles_memory_disk *disk = NEW(struct tiles_memory_disk);
    pthread_mutex_init(&disk->lock, NULL);
    return disk;
}

struct tiles_memory_disk *tiles_memory_disk_copy(const struct tiles_memory_disk *disk)
{
    struct tiles_memory_disk *copy = tiles_memory_disk_new();
    copy->files = mem_calloc(disk->count + 1, sizeof *copy->files);
    copy->count = disk->count;
    copy->fault = disk->fault;
    for (size_t i = 0; i < disk->count; i++) {
        copy->files[i] = disk->files[i];
        copy->files[i].path = mem_strdup(disk->files[i].path);
        copy->files[i].seen = content_clone(&disk->files[i].seen);
        copy->files[i].durable = content_clone(&disk->files[i].durable);
    }
    return copy;
}

void tiles_memory_disk_free(struct tiles_memory_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    for (size_t i = 0; i < disk->count; i++) {
        mem_free(disk->files[i].path);
        content_clear(&disk->files[i].seen);
        content_clear(&disk->files[i].durable);
    }
    mem_free(disk->files);
    pthread_mutex_destroy(&disk->lock);
    mem_free(disk);
}

void tiles_memory_disk_fault(struct tiles_memory_disk *disk, enum store_fault fault)
{
    pthread_mutex_lock(&disk->lock);
    disk->fault = fault;
    pthread_mutex_unlock(&disk->lock);
}

/* The next bit of a stream that `state` seeds (splitmix64). */
static bool next_bit(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((z ^ (z >> 31)) & 1) != 0;
}

void tiles_memory_disk_crash(struct tiles_memory_disk *disk, uint64_t seed)
{
    for (size_t i = 0; i < disk->count; i++) {
        struct memory_file *file = &disk->files[i];
        if (file->is_changed && !next_bit(&seed)) {
            content_clear(&file->seen);
            file->seen = content_clone(&file->durable);
        }
        file_make_durable(file);
    }
    disk->fault = STORE_FAULT_NONE;
}

/* The fault that hits this write, which uses it up. */
static enum store_fault take_fault(struct tiles_memory_disk *disk)
{
    enum store_fault fault = disk->fault;
    if (fault == STORE_FAULT_BEFORE || fault == STORE_FAULT_AFTER) {
        disk->fault = STORE_FAULT_NONE;
    }
    return fault;
}

static enum err_code fault_error(enum store_fault fault, const char *what, struct err *err)
{
    switch (fault) {
    case STORE_FAULT_FULL:
        return err_set(err, E_UNAVAILABLE, "%s: no space left (asked for by a test)", what);
    case STORE_FAULT_BEFORE:
    case STORE_FAULT_AFTER:
        return err_set(err, E_IO, "%s: failed (asked for by a test)", what);
    case STORE_FAULT_NONE:
        break;
    }
    return E_OK;
}

static void put_file(struct tiles_memory *tiles, const char *path, struct span bytes)
{
    struct memory_file *file = find_or_add_file(tiles->disk, path);
    content_clear(&file->seen);
    file->seen = content_copy(bytes);
    file->is_changed = true;
    tiles->bytes_written += bytes.len;
}

static enum err_code memory_write(struct tiles *base, const char *path, struct span bytes,
                                  struct err *err)
{
    struct tiles_memory *tiles = (struct tiles_memory *)base;
    pthread_mutex_lock(&tiles->disk->lock);
    enum store_fault fault = take_fault(tiles->disk);
    if (fault == STORE_FAULT_NONE || fault == STORE_FAULT_AFTER) {
        const struct memory_file *old = find_file(tiles->disk, path);
        if (old != NULL && old->seen.data != NULL) { /* the seam's rule: files are immutable */
            assert(span_is_equal(span_of(old->seen.data, old->seen.len), bytes));
        }
        put_file(tiles, path, bytes);
    }
    pthread_mutex_unlock(&tiles->disk->lock);
    return fault_error(fault, path, err);
}

static enum err_code memory_sync(struct tiles *base, struct err *err)
{
    struct tiles_memory_disk *disk = ((struct tiles_memory *)base)->disk;
    pthread_mutex_lock(&disk->lock);
    enum store_fault fault = take_fault(disk);
    if (fault == STORE_FAULT_FULL) {
        fault = STORE_FAULT_NONE; /* what was written has its space */
    }
    for (size_t i = 0; i < disk->count; i++) {
        if (disk->files[i].is_changed && fault != STORE_FAULT_BEFORE) {
            file_make_durable(&disk->files[i]);
        }
    }
    pthread_mutex_unlock(&disk->lock);
    return fault_error(fault, "sync", err);
}

static enum err_code memory_replace(struct tiles *base, const char *path, struct span bytes,
                                    struct err *err)
{
    struct tiles_memory *tiles = (struct tiles_memory *)base;
    pthread_mutex_lock(&tiles->disk->lock);
    enum store_fault fault = take_fault(tiles->disk);
    if (fault == STORE_FAULT_NONE || fault == STORE_FAULT_AFTER) {
        put_file(tiles, path, bytes);
        file_make_durable(find_file(tiles->disk, path));
    }
    pthread_mutex_unlock(&tiles->disk->lock);
    return fault_error(fault, path, err);
}

static enum err_code memory_read(struct tiles *base, const char *path, struct buf *out,
                                 struct err *err)
{
    struct tiles_memory *tiles = (struct tiles_memory *)base;
    enum err_code rc;
    pthread_mutex_lock(&tiles->disk->lock);
    const struct memory_file *file = find_file(tiles->disk, path);
    if (file == NULL || file->seen.data == NULL) {
        rc = err_set(err, E_NOT_FOUND, "read %s: no such file", path);
    } else {
        rc = buf_append(out, span_of(file->seen.data, file->seen.len), err);
    }
    pthread_mutex_unlock(&tiles->disk->lock);
    return rc;
}

static enum err_code memory_remove(struct tiles *base, const char *path, struct err *err)
{
    struct tiles_memory *tiles = (struct tiles_memory *)base;
    pthread_mutex_lock(&tiles->disk->lock);
    enum store_fault fault = take_fault(tiles->disk);
    if (fault == STORE_FAULT_FULL) {
        fault = STORE_FAULT_NONE; /* removing needs no space */
    }
    struct memory_file *file = find_file(tiles->disk, path);
    if (file != NULL && fault != STORE_FAULT_BEFORE) {
        content_clear(&file->seen);
        file->is_changed = true;
    }
    pthread_mutex_unlock(&tiles->disk->lock);
    return fault_error(fault, path, err);
}

/* Collects the names directly below `dir` ("" is the root), each once: files are sorted, so equal
 * first components follow one another. A trailing '/' marks a directory. */
static char **collect_names(struct tiles_memory_disk *disk, const char *dir, size_t *count)
{
    char **names = mem_calloc(disk->count + 1, sizeof *names);
    size_t prefix = strlen(dir);
    *count = 0;
    for (size_t i = 0; i < disk->count; i++) {
        const char *path = disk->files[i].path;
        if (disk->files[i].seen.data == NULL || strncmp(path, dir, prefix) != 0 ||
            (prefix > 0 && path[prefix] != '/')) {
            continue;
        }
        const char *name = path + prefix + (prefix > 0 ? 1 : 0);
        size_t len = strcspn(name, "/");
        len += name[len] == '/' ? 1 : 0;
        const char *last = *count > 0 ? names[*count - 1] : "";
        if (strlen(last) != len || strncmp(last, name, len) != 0) {
            names[*count] = mem_calloc(len + 1, 1);
            memcpy(names[(*count)++], name, len);
        }
    }
    return names;
}

static enum err_code memory_list(struct tiles *base, const char *dir,
                                 enum err_code (*on_name)(void *ctx, const char *name, bool is_dir,
                                                          struct err *err),
                                 void *ctx, struct err *err)
{
    struct tiles_memory *tiles = (struct tiles_memory *)base;
    size_t count;
    pthread_mutex_lock(&tiles->disk->lock);
    char **names = collect_names(tiles->disk, dir, &count);
    pthread_mutex_unlock(&tiles->disk->lock); /* on_name may call the store again */
    enum err_code rc = E_OK;
    if (count == 0 && dir[0] != '\0') {
        rc = err_set(err, E_NOT_FOUND, "list %s: no such directory", dir);
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(names[i]);
        bool is_dir = names[i][len - 1] == '/';
        names[i][is_dir ? len - 1 : len] = '\0';
        if (rc == E_OK) {
            rc = on_name(ctx, names[i], is_dir, err);
        }
        mem_free(names[i]);
    }
    mem_free(names);
    return rc;
}

static uint64_t memory_bytes_written(const struct tiles *base)
{
    return ((const struct tiles_memory *)base)->bytes_written;
}

static void memory_close(struct tiles *base)
{
    mem_free(base);
}

static const struct tiles_ops memory_ops = {
    .write = memory_write,
    .sync = memory_sync,
    .replace = memory_replace,
    .read = memory_read,
    .remove = memory_remove,
    .list = memory_list,
    .bytes_written = memory_bytes_written,
    .close = memory_close,
};

struct tiles *tiles_memory_open(struct tiles_memory_disk *disk)
{
    struct tiles_memory *tiles = NEW(struct tiles_memory);
    tiles->base.ops = &memory_ops;
    tiles->disk = disk;
    return &tiles->base;
}
