/*
 * floor - the least that an HTTP server on libev and http-parser can cost: every
 * request is parsed, its body discarded, the answer fixed. One thread. The bars
 * of bench/run.sh are multiples of its CPU time.
 *
 *   floor PORT     ends on SIGTERM
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <http_parser.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char reply[] =
    "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"
    "Content-Length: 34\r\n\r\n{\"status\":\"accepted\",\"accepted\":1}";

struct conn {
    ev_io io;
    http_parser parser;
    unsigned answers;
};

static char scratch[256 << 10];

static int on_body(http_parser *p, const char *at, size_t n)
{
    (void)p;
    (void)at;
    (void)n;
    return 0;
}

static int on_complete(http_parser *p)
{
    ((struct conn *)p->data)->answers++;
    return 0;
}

static const http_parser_settings settings = {.on_body = on_body,
                                              .on_message_complete = on_complete};

static void drop(struct ev_loop *loop, struct conn *c)
{
    ev_io_stop(loop, &c->io);
    (void)close(c->io.fd);
    free(c);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    struct conn *c = (struct conn *)w;
    ssize_t n = read(w->fd, scratch, sizeof scratch);

    (void)events;
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0 ||
        http_parser_execute(&c->parser, &settings, scratch, (size_t)n) != (size_t)n) {
        drop(loop, c);
        return;
    }
    while (c->answers > 0) {
        char out[64 * (sizeof reply - 1)];
        unsigned k = c->answers < 64 ? c->answers : 64;

        for (unsigned i = 0; i < k; i++) {
            memcpy(out + i * (sizeof reply - 1), reply, sizeof reply - 1);
        }
        c->answers -= k;
        if (write(w->fd, out, k * (sizeof reply - 1)) < 0) {
            drop(loop, c);
            return;
        }
    }
}

static void on_accept(struct ev_loop *loop, ev_io *w, int events)
{
    int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK), on = 1;
    struct conn *c;

    (void)events;
    if (fd < 0) {
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c = calloc(1, sizeof *c);
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
    ev_io_init(&c->io, on_readable, fd, EV_READ);
    ev_io_start(loop, &c->io);
}

static void on_term(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = EV_DEFAULT;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ev_io listening;
    ev_signal term;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

    if (argc != 2) {
        return 2;
    }
    a.sin_port = htons((uint16_t)atoi(argv[1]));
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 512) != 0) {
        perror("floor");
        return 1;
    }
    ev_io_init(&listening, on_accept, fd, EV_READ);
    ev_io_start(loop, &listening);
    ev_signal_init(&term, on_term, SIGTERM);
    ev_signal_start(loop, &term);
    (void)ev_run(loop, 0);
    return 0;
}
