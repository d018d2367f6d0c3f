#include "monitor/together.h"

#include "base/alloc.h"

#include <pthread.h>
#include <stdbool.h>

struct runner {
    pthread_t thread;
    bool is_started;
};

static void *run(void *arg)
{
    const struct together_task *task = arg;
    task->run(task->arg);
    return NULL;
}

void together_run(const struct together_task *tasks, size_t count)
{
    struct runner *runners = mem_calloc(count + 1, sizeof *runners);
    for (size_t i = 0; i < count; i++) {
        runners[i].is_started =
            pthread_create(&runners[i].thread, NULL, run, (void *)&tasks[i]) == 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (!runners[i].is_started) {
            tasks[i].run(tasks[i].arg);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (runners[i].is_started) {
            pthread_join(runners[i].thread, NULL);
        }
    }
    mem_free(runners);
}
