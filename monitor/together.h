/* together.h -- runs tasks that each may wait for somebody else, all at once, and waits for all. Any thread. */
#ifndef MONITOR_TOGETHER_H
#define MONITOR_TOGETHER_H

#include <stddef.h>

struct together_task {
    void (*run)(void *arg);
    void *arg;
};

/* A thread for each; where none can be had, this one. */
void together_run(const struct together_task *tasks, size_t count);

#endif
