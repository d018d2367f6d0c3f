#include "tests/support/files.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(bool ok, const char *what, const char *path)
{
    if (!ok) {
        fprintf(stderr, "test support: %s ", what);
        perror(path);
        abort();
    }
}

char *files_join(const char *directory, const char *name)
{
    char *path = NULL;
    must(asprintf(&path, "%s/%s", directory, name) >= 0, "join", directory);
    return path;
}

char *files_make_temp_dir(void)
{
    const char *base = getenv("TMPDIR");
    char *path = files_join(base != NULL && base[0] != '\0' ? base : "/tmp", "courtroll.XXXXXX");
    must(mkdtemp(path) != NULL, "mkdtemp", path);
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

/* Comes before the entries of a directory: tests take rights away on purpose. */
static int make_writable(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)where;
    if (type == FTW_D || type == FTW_DNR) {
        chmod(path, st->st_mode | S_IRWXU);
    }
    return 0;
}

void files_remove_tree(char *directory)
{
    enum {
        DESCRIPTORS_MAX = 16
    };
    nftw(directory, make_writable, DESCRIPTORS_MAX, FTW_PHYS);
    must(nftw(directory, remove_one, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS) == 0, "remove",
         directory);
    free(directory);
}

void files_write(const char *path, struct span bytes)
{
    FILE *file = fopen(path, "w");
    must(file != NULL, "open", path);
    must(fwrite(bytes.data, 1, bytes.len, file) == bytes.len, "write", path);
    must(fclose(file) == 0, "close", path);
}
