/* Any bytes on a connection, in two pieces: no crash, and every request that was
 * let in is answered or aborted. */
#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "http/http.h"
#include "net/listener.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct ev_loop *loop;
static struct http_server *server;
static struct sockaddr_in address;
static long under_way;

static void on_headers(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    if (v->path.n > 1 && v->path.p[1] == 'n') {
        http_answer(r, 404, "", STR("{}"));
        return;
    }
    under_way++;
}

static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    volatile char sum = 0;

    (void)arg;
    for (size_t i = 0; i < v->body.n + 64; i++) {
        sum = (char)(sum + v->body.p[i]);
    }
    under_way--;
    http_answer(r, 202, "", STR("{}"));
}

static void on_abort(void *arg, struct http_request *r)
{
    (void)arg;
    (void)r;
    under_way--;
}

static void on_refusal(void *arg, struct http_request *r, const struct http_view *v,
                       struct http_refusal *no)
{
    (void)arg;
    (void)r;
    (void)v;
    (void)no;
}

static void start(void)
{
    static const struct http_ops ops = {on_headers, on_body,    NULL,
                                        on_abort,   on_refusal, NULL};
    static const struct http_limits limits = {.max_body = 4096,
                                              .max_headers_bytes = 2048,
                                              .max_connections = 8,
                                              .max_buffered = 1 << 20,
                                              .header_timeout_ms = 1000,
                                              .body_timeout_ms = 1000,
                                              .idle_timeout_ms = 1000,
                                              .need_length = true};
    char bound[80];
    struct err e;
    int fd = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);
    socklen_t n = sizeof address;

    if (fd < 0 || getsockname(fd, (struct sockaddr *)&address, &n) != 0) {
        abort();
    }
    loop = ev_loop_new(EVFLAG_AUTO);
    server = http_server_new(loop, &limits, &ops, NULL);
    http_server_listen(server, fd, NULL);
}

static void turn(void)
{
    for (int i = 0; i < 3; i++) {
        (void)ev_run(loop, EVRUN_NOWAIT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t cut;
    int fd;

    if (loop == NULL) {
        start();
    }
    if (n < 2) {
        return 0;
    }
    cut = data[0] * (n - 1) / 256;
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        abort();
    }
    (void)!send(fd, data + 1, cut, MSG_NOSIGNAL);
    turn();
    (void)!send(fd, data + 1 + cut, n - 1 - cut, MSG_NOSIGNAL);
    turn();
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
                     sizeof(struct linger));
    (void)close(fd);
    for (int i = 0; i < 50 && http_server_open(server) > 0; i++) {
        turn();
    }
    if (http_server_open(server) == 0 && under_way != 0) {
        abort();
    }
    return 0;
}
