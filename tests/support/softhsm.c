#include "tests/support/softhsm.h"

#include "tests/support/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* SoftHSM leaks a few bytes a signature. What LeakSanitizer is to overlook is known by the name of the
 * module on the stack, which is there only when frames are found the slow way. */
const char *__asan_default_options(void);
const char *__lsan_default_options(void);
const char *__lsan_default_suppressions(void);

const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0:malloc_context_size=16";
}

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}

const char *__lsan_default_suppressions(void)
{
    return "leak:libsofthsm2.so\n";
}

const char *softhsm_module(void)
{
    static const char *const places[] = { "/usr/lib/softhsm/libsofthsm2.so",
                                          "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                                          "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so" };
    const char *given = getenv("SOFTHSM2_MODULE");
    if (given != NULL && given[0] != '\0') {
        return given;
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (access(places[i], R_OK) == 0) {
            return places[i];
        }
    }
    return NULL;
}

char *softhsm_start(void)
{
    char text[4096];
    char *dir = files_make_temp_dir();
    char *tokens = files_join(dir, "tokens");
    char *config = files_join(dir, "softhsm2.conf");
    int len = snprintf(text, sizeof text,
                       "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
                       tokens);
    files_write(config, span_of(text, (size_t)len));
    if (mkdir(tokens, 0700) != 0 || setenv("SOFTHSM2_CONF", config, 1) != 0) {
        abort();
    }
    free(config);
    free(tokens);
    return dir;
}

void softhsm_make_token(const char *label)
{
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDOUT_FILENO);
        execlp("softhsm2-util", "softhsm2-util", "--init-token", "--free", "--label", label,
               "--pin", SOFTHSM_PIN, "--so-pin", SOFTHSM_PIN, (char *)NULL);
        _exit(127);
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "test support: softhsm2-util --init-token failed (%d)\n", status);
        abort();
    }
}
