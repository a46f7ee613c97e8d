/* hostile --port P [--host A] --mode MODE --count N [--again]: clients that no server
 * wants, until SIGTERM. "ready open=N" comes when each has done its first harm.
 *
 *   silent    says nothing              length    a head with Content-Length, no body
 *   chunk     one byte of a body        pipeline  requests without end, reads nothing
 *   drip      one byte every 20 ms      half      half a request, then shutdown
 *   reset     half a request, then RST  mix       all of them, in turn
 *
 * --again: who is thrown out comes back 100 ms later. One thread; figures at the end. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum mode { SILENT, LENGTH, CHUNK, PIPELINE, DRIP, HALF, RESET, N_MODES };
enum { EVENTS = 512, DRIP_MS = 20, ADDRESSES = 200, BACK_MS = 100 };

static const char *const names[] = {"silent", "length", "chunk", "pipeline",
                                    "drip",   "half",   "reset"};

static const char LENGTH_TEXT[] =
    "POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
    "Content-Length: 4194304\r\n\r\n";
static const char CHUNK_TEXT[] =
    "POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
    "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n";
static const char GET_TEXT[] = "GET /v1/events HTTP/1.1\r\nHost: t\r\n\r\n";

struct client {
    int fd;
    enum mode mode;
    bool harmed;      /* has done its first harm */
    bool acted;       /* on this connection */
    uint64_t back_ms; /* when it comes back */
    size_t at;        /* of the text to drip */
};

static volatile sig_atomic_t stopping;
static struct sockaddr_in address;
static int poll_fd;
static bool again;
static char *flood;
static size_t flood_n;
static unsigned long opened, closed, harmed, sent;

static void on_signal(int n)
{
    (void)n;
    stopping = 1;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static void give(struct client *c, const char *text, size_t n)
{
    ssize_t k = send(c->fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);

    sent += k > 0 ? (unsigned long)k : 0;
}

static void done_harm(struct client *c)
{
    harmed += !c->harmed;
    c->harmed = true;
}

static void leave(struct client *c, bool reset)
{
    struct linger now = {1, 0};

    if (reset) {
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    (void)close(c->fd);
    c->fd = -1;
    c->back_ms = now_ms() + BACK_MS;
    closed++;
}

/* From one of many addresses: one has too few ports for all. */
static void enter(struct client *c, unsigned number)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct epoll_event e = {.events = EPOLLOUT | EPOLLIN | EPOLLRDHUP | EPOLLET,
                            .data.ptr = c};
    int on = 1;

    c->at = 0;
    c->acted = false;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        return;
    }
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number % ADDRESSES);
    (void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0 &&
         errno != EINPROGRESS) ||
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &e) != 0) {
        leave(c, false);
        return;
    }
    opened++;
}

/* Its connection is there and takes bytes. */
static void act(struct client *c)
{
    switch (c->mode) {
    case LENGTH:
        if (!c->acted) {
            give(c, LENGTH_TEXT, sizeof LENGTH_TEXT - 1);
        }
        break;
    case CHUNK:
        if (!c->acted) {
            give(c, CHUNK_TEXT, sizeof CHUNK_TEXT - 1);
        }
        break;
    case PIPELINE:
        for (int i = 0; i < 64; i++) {
            unsigned long before = sent;

            give(c, flood, flood_n);
            if (sent - before < flood_n) {
                break; /* a cut request makes the next one bad: harm as well */
            }
        }
        break;
    case HALF:
        if (!c->acted) {
            give(c, CHUNK_TEXT, sizeof CHUNK_TEXT - 8);
            (void)shutdown(c->fd, SHUT_WR);
        }
        break;
    case RESET:
        give(c, LENGTH_TEXT, sizeof LENGTH_TEXT - 20);
        done_harm(c);
        leave(c, true);
        return;
    case SILENT:
    case DRIP:
    case N_MODES:
        break;
    }
    c->acted = true;
    done_harm(c);
}

static void turn(struct client *clients, unsigned n)
{
    static struct epoll_event events[EVENTS];
    int k = epoll_wait(poll_fd, events, EVENTS, DRIP_MS);
    uint64_t now = now_ms();

    for (int i = 0; i < k; i++) {
        struct client *c = events[i].data.ptr;

        if (c->fd < 0) {
            continue;
        }
        if (events[i].events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
            done_harm(c);
            leave(c, false);
        } else if (events[i].events & EPOLLOUT) {
            act(c);
        }
    }
    for (unsigned i = 0; i < n && again; i++) {
        if (clients[i].fd < 0 && now >= clients[i].back_ms) {
            enter(&clients[i], i);
        }
    }
}

static void drip(struct client *clients, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct client *c = &clients[i];

        if (c->mode == DRIP && c->fd >= 0 && c->harmed) {
            give(c, GET_TEXT + c->at, 1);
            c->at = (c->at + 1) % (sizeof GET_TEXT - 1);
        }
    }
}

static enum mode mode_of(const char *name, unsigned number)
{
    for (int m = 0; m < N_MODES; m++) {
        if (strcmp(name, names[m]) == 0) {
            return (enum mode)m;
        }
    }
    return (enum mode)(number % N_MODES);
}

static void run(struct client *clients, unsigned n)
{
    uint64_t next = 0;
    bool told = false;

    while (!stopping) {
        turn(clients, n);
        if (now_ms() >= next) {
            drip(clients, n);
            next = now_ms() + DRIP_MS;
        }
        if (!told && harmed == n) {
            told = true;
            (void)printf("ready open=%lu\n", opened - closed);
            (void)fflush(stdout);
        }
    }
    (void)printf("opened=%lu closed=%lu sent=%lu\n", opened, closed, sent);
}

int main(int argc, char **argv)
{
    const char *mode = "mix";
    unsigned n = 1000;
    struct client *clients;
    struct rlimit l;

    address = (struct sockaddr_in){.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--again") == 0) {
            again = true;
        } else if (i + 1 < argc && strcmp(argv[i], "--port") == 0) {
            address.sin_port = htons((uint16_t)atoi(argv[++i]));
        } else if (i + 1 < argc && strcmp(argv[i], "--mode") == 0) {
            mode = argv[++i];
        } else if (i + 1 < argc && strcmp(argv[i], "--count") == 0) {
            n = (unsigned)atoi(argv[++i]);
        }
    }
    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
    flood_n = 400 * (sizeof GET_TEXT - 1);
    flood = malloc(flood_n);
    clients = calloc(n, sizeof *clients);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (flood == NULL || clients == NULL || poll_fd < 0) {
        return 1;
    }
    for (size_t i = 0; i < 400; i++) {
        memcpy(flood + i * (sizeof GET_TEXT - 1), GET_TEXT, sizeof GET_TEXT - 1);
    }
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    for (unsigned i = 0; i < n; i++) {
        clients[i].mode = mode_of(mode, i);
        enter(&clients[i], i);
        if (i % 64 == 63) {
            turn(clients, 0);
        }
    }
    run(clients, n);
    free(clients);
    free(flood);
    return 0;
}
