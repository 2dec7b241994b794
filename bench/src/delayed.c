/*
 * delayed.c - an HTTP/1.1 origin that takes its time, for measuring what a balancing policy does to latency.
 *
 * Serves up to `slots` requests at once, each for an exponentially distributed time; the others wait, first come first
 * served. That is what a server with a pool of threads does: the closer to its capacity, the longer its queue.
 *
 * usage: delayed -p port [-m mean service time in microseconds (5000)] [-s slots (8)] [-r seed (1)] [-e status (200)]
 *                [-t seconds (3600)]
 *
 * Not a general server: GET only, one request at a time on each connection, a 128-byte body.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct conn {
    int fd;
    uint64_t due;        /* nanoseconds; while it is served */
    struct conn *next;   /* in the queue */
    int busy, gone;
};

#define MOST 256
static struct conn *served[MOST];
static int serving, slots = 8;
static struct conn *first, **last = &first;
static double mean = 5000;
static char answer[512];
static size_t answer_size;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void serve_next(void)
{
    while (serving < slots && first) {
        struct conn *c = first;
        first = c->next;
        if (!first)
            last = &first;
        if (c->gone) {
            close(c->fd);
            free(c);
            continue;
        }
        c->due = now() + (uint64_t)(-log(1 - drand48()) * mean * 1000);
        served[serving++] = c;
    }
}

static void finish_due(void)
{
    uint64_t t = now();
    for (int i = 0; i < serving;) {
        struct conn *c = served[i];
        if (c->due > t) {
            i++;
            continue;
        }
        served[i] = served[--serving];
        c->busy = 0;
        if (c->gone || send(c->fd, answer, answer_size, MSG_NOSIGNAL) != (ssize_t)answer_size) {
            close(c->fd);
            free(c);
        }
    }
    serve_next();
}

int main(int argc, char **argv)
{
    int port = 0, limit = 3600, status = 200, o;
    long seed = 1;

    while ((o = getopt(argc, argv, "p:m:s:r:e:t:")) != -1) {
        switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'm': mean = atof(optarg); break;
        case 's': slots = atoi(optarg); break;
        case 'r': seed = atol(optarg); break;
        case 'e': status = atoi(optarg); break;
        case 't': limit = atoi(optarg); break;
        default: port = 0;
        }
    }
    if (port <= 0 || slots <= 0 || slots > MOST) {
        fprintf(stderr, "usage: delayed -p port [-m microseconds] [-s slots, up to %d] [-r seed] [-e status] [-t seconds]\n", MOST);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    alarm((unsigned)limit);
    srand48(seed);
    char body[129];
    memset(body, 'x', 128);
    body[128] = 0;
    answer_size = (size_t)snprintf(answer, sizeof answer, "HTTP/1.1 %d Status\r\nContent-Length: 128\r\n\r\n%s", status, body);
    int ep = epoll_create1(EPOLL_CLOEXEC), one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&sa, sizeof sa) || listen(listener, 4096)) {
        perror("delayed: listen");
        return 1;
    }
    struct epoll_event e = { EPOLLIN, { .ptr = NULL } };
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        struct timespec wait = { 0, 0 }, *patience = NULL;
        if (serving) {
            uint64_t soonest = served[0]->due, t = now();
            for (int i = 1; i < serving; i++)
                if (served[i]->due < soonest)
                    soonest = served[i]->due;
            uint64_t left = soonest > t ? soonest - t : 0;
            wait.tv_sec = (time_t)(left / 1000000000u);
            wait.tv_nsec = (long)(left % 1000000000u);
            patience = &wait;
        }
        struct epoll_event ev[256];
        int n = epoll_pwait2(ep, ev, 256, patience, NULL);
        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            if (!c) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0)
                    continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                c = calloc(1, sizeof *c);
                c->fd = fd;
                struct epoll_event mine = { EPOLLIN, { .ptr = c } };
                epoll_ctl(ep, EPOLL_CTL_ADD, fd, &mine);
                continue;
            }
            char in[4096];
            ssize_t got = recv(c->fd, in, sizeof in, 0);
            if (got <= 0) {
                epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
                if (c->busy) {
                    c->gone = 1;
                } else {
                    close(c->fd);
                    free(c);
                }
                continue;
            }
            if (c->busy || got < 4 || memcmp(in + got - 4, "\r\n\r\n", 4))
                continue;
            c->busy = 1;
            c->next = NULL;
            *last = c;
            last = &c->next;
        }
        finish_due();
    }
}
