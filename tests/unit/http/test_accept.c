/* Connections that can't be let in: of a process without descriptors, and beyond
 * max_connections, by an accept4 and a recv of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "http/internal.h"
#include "net/listener.h"

#include "unit/tools/ask.h"

enum { CLIENTS = 300, TURNS = 5000 };

static bool exhausted;
static unsigned n_accepts;

int accept4(int fd, struct sockaddr *sa, socklen_t *n, int flags)
{
    n_accepts++;
    if (exhausted) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, sa, n, flags);
}

static struct http_ops ops;
static struct http_limits limits;
static struct ev_loop *loop;
static struct http_server *server;
static int listening, clients[CLIENTS];
static char bound[128];

static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    (void)v;
    http_answer(r, 200, "", STR("{}"));
}

static int set_up(void **state)
{
    struct err e;

    (void)state;
    exhausted = false;
    n_accepts = 0;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = -1;
    }
    loop = ev_loop_new(EVFLAG_AUTO);
    ops = ASK_OPS(on_body);
    limits = ask_limits();
    limits.max_connections = 1;
    limits.max_descriptor = 0;
    server = http_server_new(loop, &limits, &ops, NULL);
    listening = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);
    http_server_listen(server, listening, NULL);
    return listening < 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < CLIENTS; i++) {
        if (clients[i] >= 0) {
            (void)close(clients[i]);
        }
    }
    http_server_free(server);
    (void)close(listening);
    ev_loop_destroy(loop);
    return 0;
}

static void connect_to(int i)
{
    struct sockaddr_in to = {.sin_family = AF_INET};

    clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)atoi(strrchr(bound, ':') + 1));
    assert_int_equal(0, connect(clients[i], (struct sockaddr *)&to, sizeof to));
}

static void on_end(struct ev_loop *l, ev_timer *w, int events)
{
    (void)w;
    (void)events;
    ev_break(l, EVBREAK_ALL);
}

static void run_for(double s)
{
    ev_timer end;

    ev_timer_init(&end, on_end, s, 0.);
    ev_timer_start(loop, &end);
    (void)ev_run(loop, 0);
    ev_timer_stop(loop, &end);
}

/* Else the worker does nothing but ask. */
static void a_listener_without_descriptors_pauses(void **state)
{
    char answer[8];

    (void)state;
    exhausted = true;
    connect_to(0);
    run_for(0.35);
    assert_true(n_accepts >= 2 && n_accepts <= 10); /* two each 0.1 s */
    exhausted = false;
    assert_int_equal(2, send(clients[0], "G\n", 2, MSG_NOSIGNAL));
    for (int i = 0; i < 100 && recv(clients[0], answer, 4, MSG_DONTWAIT) < 4; i++) {
        run_for(0.05);
    }
    assert_memory_equal("HTTP", answer, 4);
}

/* The request is read, because unread bytes would make the close a reset. */
static void a_client_that_is_turned_away_reads_why(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    char answer[512] = "";
    int error = 0;
    ssize_t n;

    (void)state;
    connect_to(0);
    run_for(0.02);
    for (int i = 1; i < CLIENTS; i++) {
        connect_to(i);
        (void)send(clients[i], request, sizeof request - 1, MSG_NOSIGNAL);
    }
    for (int i = 0; i < TURNS && n_accepts < CLIENTS; i++) {
        run_for(0.01);
    }
    run_for(0.05);
    for (int i = 1; i < CLIENTS; i++) {
        n = recv(clients[i], answer, sizeof answer - 1, 0);
        assert_true(n > 12);
        assert_memory_equal("HTTP/1.1 503", answer, 12);
    }
    assert_true(server->n_away <= 256);
    for (int i = 1; i < CLIENTS; i++) {
        socklen_t size = sizeof error;

        assert_int_equal(0, recv(clients[i], answer, sizeof answer, 0));
        assert_int_equal(0,
                         getsockopt(clients[i], SOL_SOCKET, SO_ERROR, &error, &size));
        assert_int_equal(0, error); /* the end, and no reset */
    }
}

/* No descriptor is free until the process is given back its limit. */
static struct rlimit take_all(void)
{
    struct rlimit before, none;
    int lowest = dup(0);

    assert_true(lowest >= 0);
    (void)close(lowest);
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
    none = before;
    none.rlim_cur = (rlim_t)lowest;
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &none));
    return before;
}

/* What comes until the end of the connection. */
static const char *answer_to(int fd)
{
    static char text[2048];
    size_t n = 0;
    ssize_t k = -1;

    for (int i = 0; i < TURNS && k != 0; i++) {
        run_for(0.002);
        k = recv(fd, text + n, sizeof text - 1 - n, MSG_DONTWAIT);
        n += k > 0 ? (size_t)k : 0;
    }
    text[n] = '\0';
    assert_int_equal(0, k);
    return text;
}

static void clients_are_told_that_no_descriptor_is_left(void **state)
{
    struct rlimit before;

    (void)state;
    limits.max_descriptor = 1000;
    limits.max_connections = CLIENTS;
    http_server_limits(server, &limits);
    for (int i = 0; i < 3; i++) {
        connect_to(i);
    }
    before = take_all();
    for (int i = 0; i < 3; i++) {
        assert_memory_equal("HTTP/1.1 503", answer_to(clients[i]), 12);
    }
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
    connect_to(3);
    (void)send(clients[3], "G\n", 2, MSG_NOSIGNAL);
    assert_memory_equal("HTTP/1.1 400", answer_to(clients[3]), 12);
}

/* One connection at a time, so that an operator sees what lacks. */
static void a_listener_without_a_bound_serves_with_its_last_descriptor(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct rlimit before;

    (void)state;
    limits.max_connections = CLIENTS;
    http_server_limits(server, &limits);
    for (int i = 0; i < 3; i++) {
        connect_to(i);
        (void)send(clients[i], request, sizeof request - 1, MSG_NOSIGNAL);
    }
    before = take_all();
    for (int i = 0; i < 3; i++) {
        const char *said = answer_to(clients[i]);

        assert_memory_equal("HTTP/1.1 200", said, 12);
        assert_non_null(strstr(said, "Connection: close"));
    }
    /* Once the last one has gone, a client that comes does not take it. */
    (void)close(clients[2]);
    clients[2] = -1;
    for (int i = 0; i < TURNS && server->n_open > 0; i++) {
        run_for(0.002);
    }
    assert_true(server->spare >= 0);
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_listener_without_descriptors_pauses),
        TEST(a_client_that_is_turned_away_reads_why),
        TEST(clients_are_told_that_no_descriptor_is_left),
        TEST(a_listener_without_a_bound_serves_with_its_last_descriptor)};

    return cmocka_run_group_tests_name("accept", tests, NULL, NULL);
}
