/*
 * load - posts numbered events and writes down which were acknowledged.
 *
 *   load --port P [--path /v1/events/batch] [--connections C] [--batch B]
 *        [--rate R] [--seconds S] [--first N] [--acks FILE] [--patient]
 *        [--poison N] [--poison-bytes B] [--envelope] [--events N] [--small]
 *
 * rate 0: closed loop; else R requests a second, sent when they are due whatever
 * became of the others, and timed from then (no coordinated omission). FILE gets a
 * line "first n" for every 2xx. --patient: a lost
 * connection is opened again until the end; without it, that is an error.
 * SIGTERM ends it at once; after SIGINT it sends no more, and waits for the answers.
 * --poison: every Nth event is one that a table refuses (event.h).
 * --events: ends after N events; B divides N. --small: events of 100 bytes.
 * --envelope: batches are {"sentAt":…,"batch":[…]}, not arrays.
 * Prints one line of key=value pairs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "event.h"

enum { CONNS_MAX = 512, IN_BYTES = 65536, LATENCIES_MAX = 8 << 20 };

struct conn {
    int fd;
    bool busy, connecting;
    uint64_t first, due_ns;
    char *out;
    size_t out_n, out_sent;
    char in[IN_BYTES];
    size_t in_n;
};

static struct {
    uint16_t port;
    const char *path, *acks;
    unsigned n_conns, batch;
    double rate, seconds;
    uint64_t next, end; /* end 0: none */
    bool patient, envelope, small;
} conf = {
    .path = "/v1/events/batch", .n_conns = 8, .batch = 20, .seconds = 5, .next = 1};

static struct conn conns[CONNS_MAX];
static FILE *acks; /* buffered: this process is not the one that is killed */
static int epoll_fd;
static volatile sig_atomic_t stopping, ending;
static uint32_t *latencies; /* microseconds */
static size_t n_latencies;
static uint64_t n_sent, n_2xx, n_503, n_other, n_broken, n_acked;
static int last_status;

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_signal(int s)
{
    if (s == SIGINT) {
        ending = 1;
    } else {
        stopping = 1;
    }
}

static void watch(struct conn *c, uint32_t events, int op)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};

    if (epoll_ctl(epoll_fd, op, c->fd, &ev) != 0) {
        perror("epoll_ctl");
        exit(2);
    }
}

static void dial(struct conn *c)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(conf.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->busy = false;
    c->in_n = 0;
    c->connecting = connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0;
    if (c->connecting && errno != EINPROGRESS) {
        (void)close(c->fd);
        c->fd = -1;
        return;
    }
    watch(c, c->connecting ? EPOLLOUT : EPOLLIN, EPOLL_CTL_ADD);
}

static void broke(struct conn *c)
{
    if (c->busy || c->connecting) {
        n_broken++;
    }
    (void)close(c->fd);
    c->fd = -1;
    c->busy = false;
}

static void flush_out(struct conn *c)
{
    while (c->out_sent < c->out_n) {
        ssize_t n =
            send(c->fd, c->out + c->out_sent, c->out_n - c->out_sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return;
        }
        if (n <= 0) {
            broke(c);
            return;
        }
        c->out_sent += (size_t)n;
    }
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

static void post(struct conn *c, uint64_t due)
{
    static char body[16 << 20];
    size_t n = 0;
    int head;

    c->first = conf.next;
    c->due_ns = due;
    if (conf.envelope) {
        n = (size_t)sprintf(body, "{\"sentAt\":\"2025-11-23T12:13:20Z\",\"batch\":");
    }
    if (conf.batch > 1) {
        body[n++] = '[';
    }
    for (unsigned i = 0; i < conf.batch; i++) {
        if (i > 0) {
            body[n++] = ',';
        }
        n += conf.small ? event_write_small(body + n, conf.next++)
                        : event_write(body + n, conf.next++);
    }
    if (conf.batch > 1) {
        body[n++] = ']';
    }
    if (conf.envelope) {
        body[n++] = '}';
    }
    c->out = realloc(c->out, n + 512);
    head = sprintf(c->out,
                   "POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: "
                   "application/json\r\nContent-Length: %zu\r\n\r\n",
                   conf.path, n);
    memcpy(c->out + head, body, n);
    c->out_n = (size_t)head + n;
    c->out_sent = 0;
    c->busy = true;
    n_sent++;
    flush_out(c);
}

static void count(struct conn *c, int status)
{
    last_status = status;
    if (n_latencies < LATENCIES_MAX) {
        latencies[n_latencies++] = (uint32_t)((now_ns() - c->due_ns) / 1000);
    }
    if (status < 200 || status > 299) {
        n_503 += status == 503;
        n_other += status != 503;
        return;
    }
    n_2xx++;
    n_acked += conf.batch;
    if (acks != NULL) {
        (void)fprintf(acks, "%lu %u\n", (unsigned long)c->first, conf.batch);
    }
}

/* A whole answer is in c->in: its length, else 0. */
static size_t answer(struct conn *c, int *status, bool *closes)
{
    char *end, *length;

    c->in[c->in_n] = '\0';
    end = strstr(c->in, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }
    *status = atoi(c->in + 9);
    length = strcasestr(c->in, "content-length:");
    *closes = strcasestr(c->in, "connection: close") != NULL;
    if (length == NULL || length > end) {
        return 0;
    }
    return (size_t)(end + 4 - c->in) + strtoul(length + 15, NULL, 10);
}

static void readable(struct conn *c)
{
    ssize_t n = read(c->fd, c->in + c->in_n, IN_BYTES - 1 - c->in_n);
    bool closes;
    int status;
    size_t size;

    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        broke(c);
        return;
    }
    c->in_n += (size_t)n;
    size = answer(c, &status, &closes);
    if (size == 0 || c->in_n < size) {
        return;
    }
    count(c, status);
    c->busy = false;
    c->in_n = 0;
    if (closes) {
        (void)close(c->fd);
        c->fd = -1;
    }
}

static void handle(const struct epoll_event *ev)
{
    struct conn *c = ev->data.ptr;
    int why = 0;
    socklen_t n = sizeof why;

    if (c->fd < 0) {
        return;
    }
    if (c->connecting) {
        (void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &why, &n);
        if (why != 0) {
            broke(c);
            return;
        }
        c->connecting = false;
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
        return;
    }
    if (ev->events & EPOLLOUT) {
        flush_out(c);
    }
    if (c->fd >= 0 && (ev->events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        readable(c);
    }
}

static struct conn *free_conn(void)
{
    static unsigned turn;

    for (unsigned i = 0; i < conf.n_conns; i++) {
        struct conn *c = &conns[(turn + i) % conf.n_conns];

        if (c->fd < 0) {
            dial(c);
        }
        if (c->fd >= 0 && !c->connecting && !c->busy) {
            turn = (turn + i + 1) % conf.n_conns;
            return c;
        }
    }
    return NULL;
}

static bool any_busy(void)
{
    for (unsigned i = 0; i < conf.n_conns; i++) {
        if (conns[i].fd >= 0 && conns[i].busy) {
            return true;
        }
    }
    return false;
}

/* Until due, or an answer comes; only an answer counts when none can be sent. Sleeps
 * but for the last moment, which a timer would miss. */
static int wait_until(uint64_t due, bool none, struct epoll_event *events, int room)
{
    static const uint64_t moment = 200000, most = 5000000;
    uint64_t now = now_ns(), left = none ? most : due > now ? due - now : 0;
    struct timespec t = {0, 0};

    if (left > moment) {
        t.tv_nsec = (long)(left < most ? left - moment : most);
    }
    return epoll_pwait2(epoll_fd, events, room, &t, NULL);
}

static void run(void)
{
    uint64_t start = now_ns(), end = start + (uint64_t)(conf.seconds * 1e9);
    uint64_t due = start, grace = end + 5000000000u;
    uint64_t step = conf.rate > 0 ? (uint64_t)(1e9 / conf.rate) : 0;
    struct epoll_event events[256];

    for (;;) {
        uint64_t now = now_ns();
        bool over = stopping || now >= end || (conf.end != 0 && conf.next >= conf.end);
        struct conn *c = NULL;
        int n;

        if (ending && now < end) {
            end = now;
            grace = end + 5000000000u;
            over = true;
        }
        if (over && (!any_busy() || now > grace || stopping)) {
            return;
        }
        while (!over && (step == 0 || due <= now) && (c = free_conn()) != NULL) {
            over = conf.end != 0 && conf.next + conf.batch >= conf.end;
            post(c, step == 0 ? now_ns() : due);
            due += step;
        }
        /* Asked by the clock of the loop: requests that are due by now are sent
         * immediately. */
        n = wait_until(due, step == 0 || over || (due <= now && c == NULL), events,
                       256);
        for (int i = 0; i < n; i++) {
            handle(&events[i]);
        }
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double at(double share)
{
    size_t i = (size_t)(share * (double)n_latencies);

    return n_latencies == 0 ? 0
                            : latencies[i < n_latencies ? i : n_latencies - 1] / 1000.0;
}

static void options(int argc, char **argv)
{
    static const struct option known[] = {{"port", 1, NULL, 'p'},
                                          {"path", 1, NULL, 'u'},
                                          {"connections", 1, NULL, 'c'},
                                          {"batch", 1, NULL, 'b'},
                                          {"rate", 1, NULL, 'r'},
                                          {"seconds", 1, NULL, 's'},
                                          {"first", 1, NULL, 'f'},
                                          {"acks", 1, NULL, 'a'},
                                          {"patient", 0, NULL, 'w'},
                                          {"poison", 1, NULL, 'x'},
                                          {"poison-bytes", 1, NULL, 'y'},
                                          {"envelope", 0, NULL, 'e'},
                                          {"events", 1, NULL, 'n'},
                                          {"small", 0, NULL, 'l'},
                                          {NULL, 0, NULL, 0}};
    int o;

    while ((o = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (o) {
        case 'p':
            conf.port = (uint16_t)atoi(optarg);
            break;
        case 'u':
            conf.path = optarg;
            break;
        case 'c':
            conf.n_conns = (unsigned)atoi(optarg);
            break;
        case 'b':
            conf.batch = (unsigned)atoi(optarg);
            break;
        case 'r':
            conf.rate = atof(optarg);
            break;
        case 's':
            conf.seconds = atof(optarg);
            break;
        case 'f':
            conf.next = strtoull(optarg, NULL, 10);
            break;
        case 'a':
            conf.acks = optarg;
            break;
        case 'e':
            conf.envelope = true;
            break;
        case 'n':
            conf.end = strtoull(optarg, NULL, 10);
            break;
        case 'l':
            conf.small = true;
            break;
        case 'w':
            conf.patient = true;
            break;
        case 'x':
            event_poison_every = strtoull(optarg, NULL, 10);
            break;
        case 'y':
            event_poison_bytes = strtoul(optarg, NULL, 10);
            break;
        default:
            exit(2);
        }
    }
    if (conf.port == 0 || conf.n_conns > CONNS_MAX || conf.batch == 0) {
        (void)fprintf(stderr, "load: --port, at most %d connections\n", CONNS_MAX);
        exit(2);
    }
    conf.end += conf.end > 0 ? conf.next : 0;
}

int main(int argc, char **argv)
{
    uint64_t began;

    options(argc, argv);
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    latencies = malloc(LATENCIES_MAX * sizeof *latencies);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (conf.acks != NULL) {
        acks = fopen(conf.acks, "ae");
        if (acks == NULL) {
            perror(conf.acks);
            return 2;
        }
    }
    for (unsigned i = 0; i < conf.n_conns; i++) {
        conns[i].fd = -1;
    }
    began = now_ns();
    run();
    if (acks != NULL && fclose(acks) != 0) {
        perror(conf.acks);
        return 2;
    }
    qsort(latencies, n_latencies, sizeof *latencies, by_value);
    (void)printf("sent=%lu ok=%lu full=%lu other=%lu broken=%lu acked=%lu "
                 "seconds=%.2f p50_ms=%.3f p99_ms=%.3f max_ms=%.3f next=%lu "
                 "last_status=%d\n",
                 (unsigned long)n_sent, (unsigned long)n_2xx, (unsigned long)n_503,
                 (unsigned long)n_other, (unsigned long)n_broken,
                 (unsigned long)n_acked, (double)(now_ns() - began) / 1e9, at(0.5),
                 at(0.99), at(1.0), (unsigned long)conf.next, last_status);
    return n_broken > 0 && !conf.patient ? 1 : 0;
}
