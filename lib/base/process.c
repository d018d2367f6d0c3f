#include "base/process.h"

#include <sys/prctl.h>
#include <sys/resource.h>

void process_forbid_core(void)
{
    /* Of a limit of 0 the kernel takes no notice when it pipes dumps to a program; at 1, too small for a file, it gives
     * up on both (core(5), fs/coredump.c). */
    const struct rlimit least = { .rlim_cur = 1, .rlim_max = 1 };
    const struct rlimit none = { .rlim_cur = 0, .rlim_max = 0 };
    if (setrlimit(RLIMIT_CORE, &least) != 0) { /* it was 0 before, and may not be raised */
        (void)setrlimit(RLIMIT_CORE, &none);
    }
}

void process_hide_memory(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
