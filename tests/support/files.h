/* files.h -- temporary directories for tests.
 *
 * Failures end the test program: a test has nothing better to do. Any thread.
 */
#ifndef SUPPORT_FILES_H
#define SUPPORT_FILES_H

#include "base/span.h"

/* A new empty directory below $TMPDIR or /tmp. The caller owns the string and hands it back to
 * files_remove_tree. */
char *files_make_temp_dir(void);

/* Removes the directory with all that is in it, and frees the string. */
void files_remove_tree(char *directory);

/* "directory/name", to be freed by the caller with free(). */
char *files_join(const char *directory, const char *name);

/* Writes a file as it stands, without syncing. */
void files_write(const char *path, struct span bytes);

#endif
