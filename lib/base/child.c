#include "base/child.h"

#include "base/ascii.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    WORDS_MAX = 16 * 1024, /* of standard error */
    WORDS_SHOWN = 160,
    CHUNK = 4096,
    WAIT_MS = 5 /* between two looks whether it has ended */
};

struct child {
    pid_t pid;
    int fds[2]; /* what it says on standard output and error; -1: at its end */
    struct buf *texts[2];
    int input_fd;      /* its standard input; -1: closed */
    struct span input; /* what it is still to get there */
    uint64_t deadline_ms;
};

static uint64_t now_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000 + (uint64_t)at.tv_nsec / 1000000;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* Its own process group, so that what it starts can be ended with it; no signal blocked or ignored. */
static int spawn(struct child *child, char *const *argv, int reader, const int *writers)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, reader, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, writers[0], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, writers[1], STDERR_FILENO);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    int rc = posix_spawnp(&child->pid, argv[0], &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* Both ends of its standard input; ours does not block, and is closed at once when there is nothing to say. */
static enum err_code open_input(struct child *child, int *reader, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_set_errno(err, E_IO, errno, "pipe");
    }
    *reader = ends[0];
    child->input_fd = ends[1];
    fcntl(child->input_fd, F_SETFL, O_NONBLOCK);
    if (child->input.len == 0) {
        close_fd(&child->input_fd);
    }
    return E_OK;
}

static enum err_code start(struct child *child, char *const *argv, struct err *err)
{
    int writers[2] = { -1, -1 };
    int reader = -1;
    enum err_code rc = open_input(child, &reader, err);
    for (int i = 0; i < 2 && rc == E_OK; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) {
            rc = err_set_errno(err, E_IO, errno, "pipe");
        } else {
            child->fds[i] = ends[0];
            writers[i] = ends[1];
        }
    }
    int errnum = rc == E_OK ? spawn(child, argv, reader, writers) : 0;
    if (errnum != 0) {
        rc = err_set_errno(err, errnum == ENOENT ? E_NOT_FOUND : E_IO, errnum, "%s", argv[0]);
    }
    close_fd(&reader);
    close_fd(&writers[0]);
    close_fd(&writers[1]);
    return rc;
}

/* Takes what one pipe has. */
static enum err_code take(struct child *child, int i, struct err *err)
{
    uint8_t chunk[CHUNK];
    ssize_t n = read(child->fds[i], chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) {
        return E_OK;
    }
    if (n <= 0) {
        close_fd(&child->fds[i]);
        return E_OK;
    }
    return buf_append(child->texts[i], span_of(chunk, (size_t)n), err);
}

/* Writes what the pipe has room for. A tool that does not read to the end has not failed by that. */
static void give(struct child *child)
{
    ssize_t n = write(child->input_fd, child->input.data, child->input.len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n < 0 || (size_t)n == child->input.len) {
        close_fd(&child->input_fd);
        return;
    }
    child->input = span_slice(child->input, (size_t)n, child->input.len - (size_t)n);
}

static enum err_code listen_to(struct child *child, struct err *err)
{
    enum err_code rc = E_OK;
    while (rc == E_OK && (child->fds[0] >= 0 || child->fds[1] >= 0)) {
        uint64_t now = now_ms();
        if (now >= child->deadline_ms) {
            return err_set(err, E_TIMEOUT, "no answer in time");
        }
        struct pollfd polled[3] = { { .fd = child->fds[0], .events = POLLIN },
                                    { .fd = child->fds[1], .events = POLLIN },
                                    { .fd = child->input_fd, .events = POLLOUT } };
        int count = poll(polled, 3, (int)(child->deadline_ms - now));
        if (count > 0 && polled[2].revents != 0) {
            give(child);
        }
        for (int i = 0; i < 2 && count > 0 && rc == E_OK; i++) {
            rc = polled[i].revents != 0 ? take(child, i, err) : E_OK;
        }
    }
    return rc;
}

/* Ends it when its time is over. */
static int wait_for(struct child *child, bool is_to_end)
{
    int status = 0;
    while (!is_to_end && now_ms() < child->deadline_ms) {
        pid_t rc = waitpid(child->pid, &status, WNOHANG);
        if (rc == child->pid) {
            return status;
        }
        nanosleep(&(struct timespec){ .tv_nsec = WAIT_MS * 1000000L }, NULL);
    }
    kill(-child->pid, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static enum err_code put_failure(const char *name, int status, const struct buf *words,
                                 struct err *err)
{
    struct buf shown = BUF_INIT(8 * WORDS_SHOWN);
    struct span end = buf_span(words);
    while (end.len > 0 && end.data[end.len - 1] == '\n') {
        end.len--;
    }
    if (end.len > WORDS_SHOWN) {
        end = span_slice(end, end.len - WORDS_SHOWN, WORDS_SHOWN);
    }
    ascii_put_escaped(&shown, end, WORDS_SHOWN);
    enum err_code rc = WIFEXITED(status)
                           ? err_set(err, E_IO, "%s: exit code %d: %s", name, WEXITSTATUS(status),
                                     buf_c_str(&shown))
                           : err_set(err, E_IO, "%s: ended by signal %d", name, WTERMSIG(status));
    buf_clear(&shown);
    return rc;
}

enum err_code child_run(char *const *argv, struct span input, uint32_t timeout_ms, struct buf *out,
                        struct err *err)
{
    struct buf words = BUF_INIT(WORDS_MAX);
    struct child child = { .fds = { -1, -1 },
                           .texts = { out, &words },
                           .input_fd = -1,
                           .input = input,
                           .deadline_ms = now_ms() + timeout_ms };
    enum err_code rc = start(&child, argv, err);
    if (rc == E_OK) {
        rc = listen_to(&child, err);
        close_fd(&child.input_fd);
        if (rc != E_OK) {
            err_wrap(err, "%s", argv[0]);
        }
        bool is_late = rc == E_OK && now_ms() >= child.deadline_ms;
        int status = wait_for(&child, rc != E_OK);
        if (is_late || (rc == E_OK && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
            rc = err_set(err, E_TIMEOUT, "%s: no end in time", argv[0]);
        } else if (rc == E_OK && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
            rc = put_failure(argv[0], status, &words, err);
        }
    }
    close_fd(&child.input_fd);
    close_fd(&child.fds[0]);
    close_fd(&child.fds[1]);
    buf_clear(&words);
    return rc;
}
