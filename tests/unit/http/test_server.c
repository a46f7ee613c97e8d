/* Bodies at the limit and one byte beyond it, over a connection to the server itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "http/http.h"
#include "net/listener.h"

enum { MAX_BODY = 1000, FOR_EVER_S = 20 };

static size_t got; /* bytes of the last body */

static void on_headers(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    (void)r;
    (void)v;
}

static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    got = v->body.n;
    http_answer(r, 202, "", STR("{}"));
}

static void on_abort(void *arg, struct http_request *r)
{
    (void)arg;
    (void)r;
}

static void on_refusal(void *arg, const struct http_view *v, int status,
                       const char *code, char *lines)
{
    (void)arg;
    (void)v;
    (void)status;
    (void)code;
    (void)lines;
}

static void on_answer(struct ev_loop *loop, ev_io *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void on_late(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
    fail_msg("no answer");
}

/* The status of the answer to one request on a connection of its own. */
static int status_of(const char *head, const char *body, size_t n)
{
    static const struct http_ops ops = {on_headers, on_body, NULL, on_abort,
                                        on_refusal};
    static const struct http_limits limits = {.max_body = MAX_BODY,
                                              .max_headers_bytes = 4096,
                                              .max_connections = 4,
                                              .max_buffered = 1 << 20,
                                              .header_timeout_ms = 60000,
                                              .body_timeout_ms = 60000,
                                              .idle_timeout_ms = 60000};
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    char bound[128], answer[4096] = "";
    struct err e;
    int fd = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct http_server *s;
    ev_io io;
    ev_timer late;

    assert_true(fd >= 0 && client >= 0);
    s = http_server_new(loop, fd, &limits, &ops, NULL);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)atoi(strrchr(bound, ':') + 1));
    assert_int_equal(0, connect(client, (struct sockaddr *)&to, sizeof to));
    assert_int_equal(strlen(head), send(client, head, strlen(head), MSG_NOSIGNAL));
    assert_int_equal(n, send(client, body, n, MSG_NOSIGNAL));
    got = SIZE_MAX;
    ev_io_init(&io, on_answer, client, EV_READ);
    ev_io_start(loop, &io);
    ev_timer_init(&late, on_late, FOR_EVER_S, 0.);
    ev_timer_start(loop, &late);
    (void)ev_run(loop, 0);
    assert_true(recv(client, answer, sizeof answer - 1, 0) > 12);
    http_server_free(s);
    (void)close(client);
    (void)close(fd);
    ev_loop_destroy(loop);
    return atoi(answer + strlen("HTTP/1.1 "));
}

static int with_length(size_t n)
{
    static const char body[MAX_BODY + 1];
    char head[128];

    (void)snprintf(head, sizeof head,
                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", n);
    return status_of(head, body, n);
}

/* In chunks of 500 bytes and what is left. */
static int in_chunks(size_t n)
{
    char body[2 * MAX_BODY] = "";
    size_t at = 0;

    for (size_t left = n; left > 0;) {
        size_t some = left < 500 ? left : 500;

        at += (size_t)snprintf(body + at, sizeof body - at, "%zx\r\n", some);
        memset(body + at, ' ', some);
        at += some;
        at += (size_t)snprintf(body + at, sizeof body - at, "\r\n");
        left -= some;
    }
    at += (size_t)snprintf(body + at, sizeof body - at, "0\r\n\r\n");
    return status_of("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                     body, at);
}

static void a_body_of_max_body_is_taken_and_one_byte_more_is_not(void **state)
{
    (void)state;
    assert_int_equal(202, with_length(MAX_BODY));
    assert_int_equal(MAX_BODY, got);
    assert_int_equal(413, with_length(MAX_BODY + 1));
    assert_int_equal(SIZE_MAX, got);
}

static void chunks_of_max_body_are_taken_and_one_byte_more_is_not(void **state)
{
    (void)state;
    assert_int_equal(202, in_chunks(MAX_BODY));
    assert_int_equal(MAX_BODY, got);
    assert_int_equal(413, in_chunks(MAX_BODY + 1));
    assert_int_equal(SIZE_MAX, got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_of_max_body_is_taken_and_one_byte_more_is_not),
        cmocka_unit_test(chunks_of_max_body_are_taken_and_one_byte_more_is_not)};

    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
