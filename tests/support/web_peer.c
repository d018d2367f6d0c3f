#include "tests/support/web_peer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct web_peer {
    int listener;
    char url[64];
    pthread_t thread;
    atomic_bool is_stopping;
    atomic_int conversations;
    pthread_mutex_t lock; /* guards all below */
    char *answer;         /* owned; NULL: none ever */
    unsigned delay_ms;
    bool is_endless;
    size_t count;
    char *last; /* owned */
};

struct conversation {
    struct web_peer *peer;
    int fd;
    char text[WEB_PEER_REQUEST_MAX];
};

static bool wait_readable(struct conversation *conversation)
{
    while (!conversation->peer->is_stopping) {
        struct pollfd polled = { .fd = conversation->fd, .events = POLLIN };
        if (poll(&polled, 1, 20) > 0) {
            return true;
        }
    }
    return false;
}

/* A request with its body by Content-Length. */
static bool read_request(struct conversation *conversation)
{
    size_t len = 0, want = SIZE_MAX;
    char *text = conversation->text;
    while (len < want) {
        assert(len + 1 < WEB_PEER_REQUEST_MAX);
        if (!wait_readable(conversation)) {
            return false;
        }
        ssize_t got = recv(conversation->fd, text + len, WEB_PEER_REQUEST_MAX - 1 - len, 0);
        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
        text[len] = 0;
        const char *end = strstr(text, "\r\n\r\n");
        if (end != NULL && want == SIZE_MAX) {
            const char *length = strstr(text, "Content-Length: ");
            want = (size_t)(end - text) + 4 + (length != NULL ? strtoul(length + 16, NULL, 10) : 0);
        }
    }
    return true;
}

static bool send_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        text += sent;
        len -= (size_t)sent;
    }
    return true;
}

static bool answer(struct conversation *conversation)
{
    struct web_peer *peer = conversation->peer;
    pthread_mutex_lock(&peer->lock);
    char *text = peer->answer != NULL ? strdup(peer->answer) : NULL;
    unsigned delay_ms = peer->delay_ms;
    bool is_endless = peer->is_endless;
    pthread_mutex_unlock(&peer->lock);
    for (unsigned ms = 0; (text == NULL || ms < delay_ms) && !peer->is_stopping; ms += 5) {
        usleep(5000);
    }
    bool is_sent = text != NULL && send_all(conversation->fd, text, strlen(text));
    free(text);
    if (!is_sent) {
        return false;
    }
    while (is_endless && !peer->is_stopping) {
        char more[4096];
        memset(more, 'x', sizeof more);
        if (!send_all(conversation->fd, more, sizeof more)) {
            return false;
        }
    }
    return true;
}

static void *converse(void *arg)
{
    struct conversation *conversation = arg;
    struct web_peer *peer = conversation->peer;
    bool goes_on = true;
    while (goes_on && read_request(conversation)) {
        pthread_mutex_lock(&peer->lock);
        free(peer->last);
        peer->last = strdup(conversation->text);
        peer->count++;
        pthread_mutex_unlock(&peer->lock);
        goes_on = answer(conversation);
    }
    close(conversation->fd);
    free(conversation);
    peer->conversations--;
    return NULL;
}

static void *run(void *arg)
{
    struct web_peer *peer = arg;
    while (!peer->is_stopping) {
        struct pollfd polled = { .fd = peer->listener, .events = POLLIN };
        int fd = poll(&polled, 1, 20) > 0 ? accept(peer->listener, NULL, NULL) : -1;
        if (fd >= 0) {
            struct conversation *conversation = calloc(1, sizeof *conversation);
            pthread_t thread;
            conversation->peer = peer;
            conversation->fd = fd;
            peer->conversations++;
            int rc = pthread_create(&thread, NULL, converse, conversation);
            assert(rc == 0);
            pthread_detach(thread);
        }
    }
    return NULL;
}

struct web_peer *web_peer_start(const char *text)
{
    struct web_peer *peer = calloc(1, sizeof *peer);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    peer->answer = text != NULL ? strdup(text) : NULL;
    pthread_mutex_init(&peer->lock, NULL);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = bind(peer->listener, (struct sockaddr *)&address, len);
    assert(rc == 0);
    rc = listen(peer->listener, 8);
    assert(rc == 0);
    getsockname(peer->listener, (struct sockaddr *)&address, &len);
    snprintf(peer->url, sizeof peer->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    rc = pthread_create(&peer->thread, NULL, run, peer);
    assert(rc == 0);
    return peer;
}

void web_peer_stop(struct web_peer *peer)
{
    peer->is_stopping = true;
    pthread_join(peer->thread, NULL);
    while (peer->conversations > 0) {
        usleep(1000);
    }
    close(peer->listener);
    pthread_mutex_destroy(&peer->lock);
    free(peer->answer);
    free(peer->last);
    free(peer);
}

void web_peer_set(struct web_peer *peer, const char *text, unsigned delay_ms)
{
    pthread_mutex_lock(&peer->lock);
    free(peer->answer);
    peer->answer = text != NULL ? strdup(text) : NULL;
    peer->delay_ms = delay_ms;
    pthread_mutex_unlock(&peer->lock);
}

void web_peer_set_endless(struct web_peer *peer, bool is_endless)
{
    pthread_mutex_lock(&peer->lock);
    peer->is_endless = is_endless;
    pthread_mutex_unlock(&peer->lock);
}

const char *web_peer_url(const struct web_peer *peer)
{
    return peer->url;
}

size_t web_peer_count(struct web_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    size_t count = peer->count;
    pthread_mutex_unlock(&peer->lock);
    return count;
}

char *web_peer_last(struct web_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    char *last = strdup(peer->last != NULL ? peer->last : "");
    pthread_mutex_unlock(&peer->lock);
    return last;
}
