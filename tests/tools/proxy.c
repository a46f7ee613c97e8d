/*
 * proxy - passes TCP on, and does to HTTP requests what networks and servers do.
 *
 *   proxy PORT UPSTREAM_PORT FIFO [COMMAND]     on 127.0.0.1
 *
 * Obeys COMMAND, then each line of FIFO, and says so. PERCENT of the requests on all connections
 * are hit, evenly spread; those under way are not.
 *
 *   pass                   none
 *   late PERCENT MS        the answer's first byte is held for so long
 *   cut PERCENT BYTES      only so many bytes of the request go on; both ends reset
 *   lose PERCENT           all of it goes on; instead of the answer a reset
 *   status PERCENT CODE    an answer of the proxy's own; nothing goes on
 *
 * A thread a connection. A request begins with the first byte behind an answer, so
 * that other protocols than HTTP can be late, cut or lost too.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum kind { PASS, LATE, CUT, LOSE, STATUS };

struct mode {
    enum kind kind;
    int percent, value;
};

struct conn {
    int client, up;
    bool answering;  /* the next byte of the client begins a request */
    struct mode hit; /* the fate of this request */
    size_t n_request;
    char bytes[65536];
};

static int upstream_port;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mode mode;
static unsigned n_requests;

static void obey(const char *line)
{
    struct mode m = {PASS, 0, 0};

    if (sscanf(line, "late %d %d", &m.percent, &m.value) == 2) {
        m.kind = LATE;
    } else if (sscanf(line, "cut %d %d", &m.percent, &m.value) == 2) {
        m.kind = CUT;
    } else if (sscanf(line, "lose %d", &m.percent) == 1) {
        m.kind = LOSE;
    } else if (sscanf(line, "status %d %d", &m.percent, &m.value) == 2) {
        m.kind = STATUS;
    }
    (void)pthread_mutex_lock(&lock);
    mode = m;
    (void)pthread_mutex_unlock(&lock);
}

static void *listen_to(void *arg)
{
    FILE *in = fdopen(open(arg, O_RDWR), "r"); /* both ways: it never ends */
    char line[128];

    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        obey(line);
        (void)puts("obeyed");
        (void)fflush(stdout);
    }
    return NULL;
}

/* The share is exact: request number n is hit when n × percent passes a hundred. */
static struct mode next_mode(void)
{
    struct mode m;
    unsigned n, share;

    (void)pthread_mutex_lock(&lock);
    m = mode;
    n = n_requests++;
    (void)pthread_mutex_unlock(&lock);
    share = (unsigned)m.percent;
    if ((n * share + 50) / 100 == ((n + 1) * share + 50) / 100) {
        m.kind = PASS;
    }
    return m;
}

static struct sockaddr_in address(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static bool send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, bytes, n, MSG_NOSIGNAL);

        if (k <= 0) {
            return false;
        }
        bytes += k;
        n -= (size_t)k;
    }
    return true;
}

/* The peer reads a reset, not an end. */
static void reset(int fd)
{
    struct linger at_once = {1, 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* Reads the rest of a request of which n bytes have come, and answers it. */
static bool answer(struct conn *c, size_t n)
{
    char text[128], *end, *length;
    size_t whole;
    int k;

    for (;;) {
        c->bytes[n < sizeof c->bytes ? n : sizeof c->bytes - 1] = '\0';
        end = strstr(c->bytes, "\r\n\r\n");
        if (end != NULL) {
            break;
        }
        ssize_t more = read(c->client, c->bytes + n, sizeof c->bytes - 1 - n);

        if (more <= 0) {
            return false;
        }
        n += (size_t)more;
    }
    length = strcasestr(c->bytes, "\r\nContent-Length:");
    whole = (size_t)(end + 4 - c->bytes) +
            (length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0);
    while (n < whole) {
        ssize_t more = read(c->client, c->bytes, sizeof c->bytes);

        if (more <= 0) {
            return false;
        }
        n += (size_t)more;
    }
    k = snprintf(text, sizeof text,
                 "HTTP/1.1 %d Fault\r\nContent-Length: 6\r\n\r\nfault\n", c->hit.value);
    c->answering = true;
    return send_all(c->client, text, (size_t)k);
}

static bool from_client(struct conn *c)
{
    ssize_t n = read(c->client, c->bytes, sizeof c->bytes - 1);
    size_t room;

    if (n <= 0) {
        return false;
    }
    if (c->answering) {
        c->answering = false;
        c->n_request = 0;
        c->hit = next_mode();
    }
    if (c->hit.kind == STATUS) {
        return answer(c, (size_t)n);
    }
    if (c->hit.kind == CUT && c->n_request + (size_t)n > (size_t)c->hit.value) {
        room = (size_t)c->hit.value - c->n_request;
        (void)send_all(c->up, c->bytes, room);
        reset(c->client);
        return false;
    }
    c->n_request += (size_t)n;
    return send_all(c->up, c->bytes, (size_t)n);
}

static bool from_upstream(struct conn *c)
{
    ssize_t n = read(c->up, c->bytes, sizeof c->bytes);

    if (n > 0 && !c->answering) {
        c->answering = true;
        if (c->hit.kind == LOSE) {
            reset(c->client);
            return false;
        }
        if (c->hit.kind == LATE) {
            struct timespec t = {c->hit.value / 1000, c->hit.value % 1000 * 1000000L};

            (void)nanosleep(&t, NULL);
        }
    }
    return n > 0 && send_all(c->client, c->bytes, (size_t)n);
}

static void *serve(void *arg)
{
    struct conn *c = arg;
    struct sockaddr_in a = address(upstream_port);
    int one = 1;
    bool ok;

    c->up = socket(AF_INET, SOCK_STREAM, 0);
    ok = connect(c->up, (void *)&a, sizeof a) == 0;
    (void)setsockopt(c->up, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (ok) {
        struct pollfd p[2] = {{c->client, POLLIN, 0}, {c->up, POLLIN, 0}};

        (void)poll(p, 2, -1);
        if (p[0].revents != 0) {
            ok = from_client(c);
        } else if (p[1].revents != 0) {
            ok = from_upstream(c);
        }
    }
    (void)close(c->up);
    (void)close(c->client);
    free(c);
    return NULL;
}

int main(int argc, char **argv)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in a;
    pthread_t t;

    if (argc < 4) {
        return 2;
    }
    a = address(atoi(argv[1]));
    upstream_port = atoi(argv[2]);
    obey(argc > 4 ? argv[4] : "pass");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&a, sizeof a) != 0 || listen(fd, 128) != 0 ||
        pthread_create(&t, NULL, listen_to, argv[3]) != 0) {
        return 1;
    }
    for (;;) {
        struct conn *c = calloc(1, sizeof *c);

        c->client = accept(fd, NULL, NULL);
        c->answering = true;
        (void)setsockopt(c->client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (c->client >= 0 && pthread_create(&t, NULL, serve, c) == 0) {
            (void)pthread_detach(t);
        } else {
            free(c);
        }
    }
}
