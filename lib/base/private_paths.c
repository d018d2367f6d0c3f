#include "base/private_paths.h"

#include "base/buf.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void private_paths_add(struct private_paths *paths, const char *path, const char *name)
{
    assert(paths->count < PRIVATE_PATHS_MAX);
    if (path != NULL && path[0] != 0) {
        paths->paths[paths->count] = path;
        paths->names[paths->count] = name;
        paths->count++;
    }
}

static bool is_of_path(char c)
{
    return isalnum((unsigned char)c) || strchr("/._-", c) != NULL;
}

/* `rest` begins with `path`, and not with one that is longer. */
static bool is_path(struct span rest, struct span path)
{
    return span_has_prefix(rest, path) &&
           (rest.len == path.len || !is_of_path((char)rest.data[path.len]));
}

/* How many bytes at the front of `rest` are one of our paths; *name is what stands for them. */
static size_t match(struct span path, const char **name, struct span rest)
{
    if (rest.data[0] == '/' && span_has_prefix(path, rest)) {
        return rest.len; /* a message that was too long was cut there */
    }
    size_t slash = span_find_last(path, span_of_str("/"));
    struct span directory = span_slice(path, 0, slash == SIZE_MAX ? 0 : slash);
    if (is_path(rest, path)) {
        return path.len;
    }
    if (directory.len > 1 && is_path(rest, directory)) {
        return directory.len; /* errors name it when a file in it is replaced */
    }
    size_t len = path.len;
    if (!span_has_prefix(rest, path) || (path.data[len - 1] != '/' && rest.data[len] != '/')) {
        return 0;
    }
    while (len < rest.len && rest.data[len] == '/') {
        len++;
    }
    *name = "";
    return len;
}

static size_t match_any(const struct private_paths *paths, struct span rest, const char **name)
{
    for (size_t i = 0; i < paths->count; i++) {
        *name = paths->names[i];
        size_t len = match(span_of_str(paths->paths[i]), name, rest);
        if (len > 0) {
            return len;
        }
    }
    return 0;
}

void private_paths_hide(const struct private_paths *paths, char *text, size_t text_max)
{
    struct span rest = span_of_str(text);
    struct buf out = BUF_INIT(SIZE_MAX); /* some times as long as the text */
    bool is_inside = false;              /* a word that began before */
    while (rest.len > 0) {
        const char *name = NULL;
        size_t used = is_inside ? 0 : match_any(paths, rest, &name);
        if (used > 0) {
            buf_put_str(&out, name);
        } else {
            used = 1;
            buf_put_u8(&out, rest.data[0]);
        }
        is_inside = is_of_path((char)rest.data[used - 1]);
        rest = span_slice(rest, used, rest.len - used);
    }
    snprintf(text, text_max, "%s", buf_c_str(&out));
    buf_clear(&out);
}
