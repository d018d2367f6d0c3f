#include "tests/support/shared.h"

#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct span protocols; /* read once, kept to the end */

static void load(void)
{
    if (protocols.data != NULL) {
        return;
    }
    const char *directory = getenv("COURTROLL_SHARED");
    char *path = files_join(directory == NULL ? COURTROLL_SOURCE_DIR "/../shared" : directory,
                            "protocols.md");
    FILE *file = fopen(path, "rb");
    free(path);
    if (file == NULL) {
        print_message(
            "skipped: protocols.md is not there (set COURTROLL_SHARED to its directory)\n");
        skip();
    }
    enum {
        FILE_MAX = 1 << 20
    };
    static uint8_t bytes[FILE_MAX];
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    protocols = span_of(bytes, len);
}

/* Also the punctuation that the document puts around a word; neither is in base64 or in a name. */
static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '`' || c == ',';
}

/* What starts with the first `prefix` at the start of a line or, if that need not be, of a word. */
static struct span find(const char *prefix, bool at_line_start)
{
    load();
    struct span needle = span_of_str(prefix);
    for (size_t from = 0; from < protocols.len;) {
        struct span rest = span_slice(protocols, from, protocols.len - from);
        size_t at = span_find(rest, needle);
        if (at == SIZE_MAX) {
            break;
        }
        at += from;
        uint8_t before = at == 0 ? '\n' : protocols.data[at - 1];
        if (before == '\n' || (!at_line_start && is_blank(before))) {
            return span_slice(protocols, at, protocols.len - at);
        }
        from = at + 1;
    }
    print_message("skipped: protocols.md has no \"%s\"\n", prefix);
    skip();
    return span_of(NULL, 0);
}

struct span shared_lines(const char *prefix, size_t count)
{
    struct span rest = find(prefix, true);
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        while (len < rest.len && rest.data[len] != '\n') {
            len++;
        }
        len += len < rest.len;
    }
    return span_slice(rest, 0, len);
}

static struct span word_at(struct span rest, size_t from)
{
    size_t len = from;
    while (len < rest.len && !is_blank(rest.data[len])) {
        len++;
    }
    return span_slice(rest, 0, len);
}

struct span shared_word(const char *prefix)
{
    return word_at(find(prefix, false), strlen(prefix));
}

struct span shared_value(const char *prefix)
{
    struct span rest = find(prefix, false);
    size_t at = strlen(prefix);
    while (at < rest.len && is_blank(rest.data[at])) {
        at++;
    }
    return word_at(span_slice(rest, at, rest.len - at), 0);
}
