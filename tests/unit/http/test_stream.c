/* An answer that goes on: in chunks, bounded, and ended for who does not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "http/http.h"
#include "http/stream.h"
#include "net/listener.h"

#include "unit/tools/ask.h"

enum { PART = 64 << 10, MOST = 32 << 20 /* a kernel takes some */ };

static struct ev_loop *loop;
static struct http_server *server;
static struct http_request *held;
static bool began;
static int listener, client;

static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    if (str_eq(v->path, STR("/wait"))) {
        return; /* its answer never comes */
    }
    held = r;
    began = stream_begin(r, "Content-Type: text/plain\r\n");
    if (!began) {
        http_answer(r, 400, "", STR("{}"));
    }
    ev_break(loop, EVBREAK_ALL);
}

static void start(int64_t unread_ms, const char *requests)
{
    static struct http_ops ops;
    struct http_limits limits = ask_limits();
    struct sockaddr_in to = {.sin_family = AF_INET};
    char bound[128];
    struct err e;

    ops = ASK_OPS(on_body);
    limits.body_timeout_ms = unread_ms;
    loop = ev_loop_new(EVFLAG_AUTO);
    listener = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);
    assert_true(listener >= 0);
    server = http_server_new(loop, &limits, &ops, NULL);
    http_server_listen(server, listener, NULL);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)atoi(strrchr(bound, ':') + 1));
    assert_int_equal(0, connect(client, (struct sockaddr *)&to, sizeof to));
    assert_int_equal(strlen(requests), send(client, requests, strlen(requests), 0));
    (void)ev_run(loop, 0);
}

static void stop(void)
{
    http_server_free(server);
    (void)close(client);
    (void)close(listener);
    ev_loop_destroy(loop);
}

/* All that comes until the server closes, or at least `least` bytes. */
static void take(char *out, size_t room, size_t least)
{
    size_t n = 0;

    while (n < least) {
        ssize_t k;

        (void)ev_run(loop, EVRUN_NOWAIT);
        k = recv(client, out + n, room - 1 - n, MSG_DONTWAIT);
        if (k == 0) {
            break;
        }
        n += k > 0 ? (size_t)k : 0;
    }
    out[n] = '\0';
}

static void parts_arrive_as_chunks_and_the_connection_closes(void **state)
{
    char answer[2048];

    (void)state;
    start(60000, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(began);
    assert_true(stream_put(held, STR("hello\n")));
    assert_true(stream_put(held, STR("0123456789abcdefg\n")));
    stream_end(held);
    take(answer, sizeof answer, sizeof answer);
    assert_memory_equal(answer, "HTTP/1.1 200 OK\r\nDate: ", 23);
    assert_non_null(strstr(answer, "\r\nContent-Type: text/plain\r\n"));
    assert_non_null(strstr(answer, "\r\nConnection: close\r\n\r\n6\r\nhello\n\r\n"
                                   "12\r\n0123456789abcdefg\n\r\n0\r\n\r\n"));
    stop();
}

static void a_client_of_http_1_0_gets_the_bytes_alone(void **state)
{
    char answer[2048];

    (void)state;
    start(60000, "GET / HTTP/1.0\r\n\r\n");
    assert_true(stream_put(held, STR("hello\n")));
    stream_end(held);
    take(answer, sizeof answer, sizeof answer);
    assert_null(strstr(answer, "chunked"));
    assert_non_null(strstr(answer, "\r\n\r\nhello\n"));
    stop();
}

static void a_client_that_leaves_is_seen(void **state)
{
    (void)state;
    start(60000, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(stream_open(held));
    (void)shutdown(client, SHUT_WR);
    while (stream_open(held)) {
        (void)ev_run(loop, EVRUN_ONCE);
    }
    assert_false(stream_put(held, STR("x")));
    stream_end(held);
    stop();
}

static void a_client_that_does_not_read_is_bounded_and_ended(void **state)
{
    static char part[PART];
    size_t put = 0;

    (void)state;
    start(50, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    /* What the kernel takes is not the server's. */
    for (int full = 0; full < 3; full++) {
        while (put < MOST && stream_put(held, (struct str){part, PART})) {
            put += PART;
        }
        (void)ev_run(loop, EVRUN_NOWAIT);
    }
    assert_false(stream_takes(held, STREAM_UNSENT));
    assert_true(put < MOST);
    while (put < MOST && stream_open(held)) {
        put += stream_put(held, (struct str){part, PART}) ? PART : 0;
        (void)ev_run(loop, EVRUN_ONCE);
    }
    assert_in_range(put, STREAM_UNSENT - PART, MOST - 1);
    stream_end(held);
    stop();
}

static void a_stream_waits_for_no_other_answer(void **state)
{
    (void)state;
    start(60000,
          "GET /wait HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_false(began);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_arrive_as_chunks_and_the_connection_closes),
        cmocka_unit_test(a_client_of_http_1_0_gets_the_bytes_alone),
        cmocka_unit_test(a_client_that_leaves_is_seen),
        cmocka_unit_test(a_client_that_does_not_read_is_bounded_and_ended),
        cmocka_unit_test(a_stream_waits_for_no_other_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
