#include "net/process.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void process_prepare(unsigned uv_workers)
{
    char text[16];
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    snprintf(text, sizeof text, "%u", uv_workers);
    setenv("UV_THREADPOOL_SIZE", text, 1);
}

unsigned process_cores(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? (unsigned)count : 1;
}
