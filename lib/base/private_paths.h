/* private_paths.h -- keeps the paths of this machine out of words that peers read.
 *
 * Errors name files with the paths of the configuration, for our log and whoever runs us. A peer
 * reads "journal/0001: No space left on device", and not where that is. Pure; any thread may hide
 * once all are added.
 */
#ifndef BASE_PRIVATE_PATHS_H
#define BASE_PRIVATE_PATHS_H

#include <stddef.h>

enum {
    PRIVATE_PATHS_MAX = 4
};

struct private_paths {
    size_t count;
    const char *paths[PRIVATE_PATHS_MAX]; /* borrowed, as the names */
    const char *names[PRIVATE_PATHS_MAX];
};

/* Files below `path` lose it in front; `path` itself, and its directory, become `name`, which is the
 * setting's. NULL is no path. */
void private_paths_add(struct private_paths *paths, const char *path, const char *name);

/* In place; what no longer fits in `text_max` bytes with the NUL is cut. */
void private_paths_hide(const struct private_paths *paths, char *text, size_t text_max);

#endif
