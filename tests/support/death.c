#include "tests/support/death.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void be_quiet(void)
{
    struct rlimit no_core = { 0, 0 };
    setrlimit(RLIMIT_CORE, &no_core);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDERR_FILENO) < 0) {
        _exit(0);
    }
}

bool death_of(void (*function)(void))
{
    pid_t child = fork();
    if (child < 0) {
        abort();
    }
    if (child == 0) {
        be_quiet();
        function();
        _exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child) {
        abort();
    }
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
