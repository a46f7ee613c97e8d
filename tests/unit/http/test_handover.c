/* Two servers on one loop: what the first hands over, the second serves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "http/handover.h"
#include "net/listener.h"

#include "unit/tools/ask.h"

enum { TURNS = 200 };

static const char GET[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

struct side {
    const char *name; /* what it answers */
    struct http_server *s;
    struct http_request *held; /* its answer is to wait */
    bool hold;
    char peer[48], path[64], body[64]; /* of the last request */
};

static struct ev_loop *loop;
static struct side first, second;
static int fd_a, fd_b, n_handed;
static char bound[128];

static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    struct side *side = arg;

    (void)snprintf(side->peer, sizeof side->peer, "%.*s", (int)v->peer.n, v->peer.p);
    (void)snprintf(side->path, sizeof side->path, "%.*s", (int)v->path.n, v->path.p);
    (void)snprintf(side->body, sizeof side->body, "%.*s", (int)v->body.n, v->body.p);
    if (side->hold) {
        side->held = r;
        return;
    }
    http_answer(r, 200, "", str_of(side->name));
}

static struct http_server *serve(struct side *side, int fd,
                                 const struct http_listener *how)
{
    static struct http_ops ops;
    const struct http_limits limits = ask_limits();

    struct http_server *s;

    ops = ASK_OPS(on_body);
    s = http_server_new(loop, &limits, &ops, side);
    http_server_listen(s, fd, how);
    return s;
}

static int setup(void **state)
{
    char other[128];
    struct err e;

    (void)state;
    loop = ev_loop_new(EVFLAG_AUTO);
    fd_a = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);
    fd_b = listener_open("127.0.0.1:0", false, other, sizeof other, &e);
    assert_true(fd_a >= 0 && fd_b >= 0);
    first = (struct side){.name = "first"};
    second = (struct side){.name = "second"};
    first.s = serve(&first, fd_a, NULL);
    second.s = serve(&second, fd_b, NULL);
    n_handed = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_server_free(first.s);
    http_server_free(second.s);
    (void)close(fd_a);
    (void)close(fd_b);
    ev_loop_destroy(loop);
    return 0;
}

static void turn(void)
{
    for (int i = 0; i < TURNS; i++) {
        (void)ev_run(loop, EVRUN_NOWAIT);
    }
}

static int client(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)atoi(strrchr(bound, ':') + 1));
    assert_int_equal(0, connect(c, (struct sockaddr *)&to, sizeof to));
    assert_int_equal(0, fcntl(c, F_SETFL, O_NONBLOCK));
    return c;
}

static void say(int c, const char *text)
{
    assert_int_equal(strlen(text), send(c, text, strlen(text), MSG_NOSIGNAL));
}

/* Whose answers have come: "first", "second", or both in order with a blank. */
static const char *heard(int c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    static char whose[64];
    char text[8192], *more;
    ssize_t n;

    turn();
    n = recv(c, text, sizeof text - 1, 0);
    whose[0] = '\0';
    text[n > 0 ? n : 0] = '\0';
    assert_null(strstr(text, "Connection: close"));
    more = strstr(text, go_on);
    if (more != NULL) { /* once at most */
        memmove(more, more + sizeof go_on - 1, strlen(more + sizeof go_on - 1) + 1);
        assert_null(strstr(text, go_on));
    }
    for (const char *at = text; (at = strstr(at, "\r\n\r\n")) != NULL;) {
        at += 4;
        (void)strncat(whose, whose[0] != 0 ? " " : "", 2);
        (void)strncat(whose, at, strcspn(at, "H"));
    }
    return whose;
}

static void on_handed(void *arg, const struct http_handed *h)
{
    n_handed++;
    http_server_adopt(arg, h);
}

static void hand_over(void)
{
    http_server_hand_over(first.s, on_handed, second.s);
}

static void test_one_between_two_requests_goes(void **state)
{
    int c = client();

    (void)state;
    say(c, GET);
    assert_string_equal("first", heard(c));
    hand_over();
    assert_int_equal(1, n_handed);
    assert_int_equal(0, http_server_open(first.s));
    say(c, GET);
    assert_string_equal("second", heard(c));
    assert_string_equal("127.0.0.1", second.peer);
    (void)close(c);
}

static void test_one_that_was_plain_does_not_come_to_a_listener_with_tls(void **state)
{
    static char door; /* never opened: nobody shakes hands */
    const struct http_listener secure = {.tls.door = (struct tls_door *)&door};
    int c = client();
    char byte;

    (void)state;
    http_server_free(second.s);
    second.s = serve(&second, fd_b, &secure);
    say(c, GET);
    assert_string_equal("first", heard(c));
    hand_over();
    assert_int_equal(1, n_handed);
    assert_int_equal(0, http_server_open(second.s));
    assert_int_equal(0, recv(c, &byte, 1, 0));
    (void)close(c);
}

static void test_one_that_has_never_asked_goes(void **state)
{
    int c = client();

    (void)state;
    turn();
    hand_over();
    assert_int_equal(1, n_handed);
    say(c, GET);
    assert_string_equal("second", heard(c));
    (void)close(c);
}

static void test_a_request_that_has_arrived_unread_goes_too(void **state)
{
    int c = client();

    (void)state;
    turn();
    say(c, GET);
    hand_over();
    assert_string_equal("second", heard(c));
    (void)close(c);
}

/* Cut at each byte: the second server goes on from there. */
static void cut_everywhere(void **state, const char *text, const char *path)
{
    size_t n = strlen(text);

    for (size_t cut = 1; cut < n; cut++) {
        int c;

        (void)setup(state);
        c = client();
        assert_int_equal(cut, send(c, text, cut, MSG_NOSIGNAL));
        turn();
        hand_over();
        assert_int_equal(1, n_handed);
        assert_int_equal(0, http_server_open(first.s));
        assert_int_equal(n - cut, send(c, text + cut, n - cut, MSG_NOSIGNAL));
        turn();
        assert_string_equal("second", heard(c));
        assert_string_equal("{\"a\": 1}", second.body);
        assert_string_equal(path, second.path);
        say(c, GET);
        assert_string_equal("second", heard(c));
        (void)close(c);
        (void)teardown(state);
    }
}

static void test_one_in_the_middle_of_a_request_goes_with_what_has_come(void **state)
{
    static const char post[] =
        "POST /a?b=c HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-one:  2\r\n"
        "Expect: 100-continue\r\nContent-Length: 8\r\n\r\n{\"a\": 1}";

    cut_everywhere(state, post, "/a");
}

static void test_one_in_the_middle_of_a_chunked_body_goes_too(void **state)
{
    static const char post[] =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "003\r\n{\"a\r\n0003 ; x = \"y\\z\";v=w\r\n\": \r\n2;q\r\n1}\r\n0\r\n"
        "Trailer: x\r\n\r\n";

    cut_everywhere(state, post, "/");
}

/* What the client has had already does not come again. */
static void test_one_behind_an_answered_request_goes_with_what_has_come(void **state)
{
    static const char both[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
                               "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n"
                               "{\"a\": 1}";
    size_t n = sizeof GET - 1;

    for (size_t cut = n + 1; cut < strlen(both); cut++) {
        int c;

        (void)setup(state);
        c = client();
        assert_int_equal(cut, send(c, both, cut, MSG_NOSIGNAL));
        assert_string_equal("first", heard(c));
        hand_over();
        assert_int_equal(1, n_handed);
        say(c, both + cut);
        assert_string_equal("second", heard(c));
        assert_string_equal("{\"a\": 1}", second.body);
        (void)close(c);
        (void)teardown(state);
    }
}

static void test_of_two_heads_that_came_in_part_only_the_second_goes(void **state)
{
    int c = client();

    (void)state;
    say(c, "GET /first HTTP/1.1\r\nHo");
    turn();
    say(c, "st: a\r\n\r\nGET /second HTTP/1.1\r\nHo");
    assert_string_equal("first", heard(c));
    hand_over();
    assert_int_equal(1, n_handed);
    say(c, "st: a\r\n\r\n");
    assert_string_equal("second", heard(c));
    assert_string_equal("/second", second.path);
    (void)close(c);
}

static void test_a_proxy_in_the_middle_of_its_header_goes_too(void **state)
{
    static const char text[] = "PROXY TCP4 10.1.2.3 10.0.0.1 1000 80\r\n"
                               "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct subnet loopback;
    struct http_listener how = {
        .proxy_protocol = true, .trusted = &loopback, .n_trusted = 1};

    assert_null(
        address_read_network(STR("127.0.0.0/8"), &loopback.address, &loopback.prefix));
    for (size_t cut = 0; cut < strlen(text); cut++) {
        int c;

        (void)setup(state);
        http_server_free(first.s);
        http_server_free(second.s);
        first.s = serve(&first, fd_a, &how);
        second.s = serve(&second, fd_b, &how);
        c = client();
        if (cut > 0) {
            assert_int_equal(cut, send(c, text, cut, MSG_NOSIGNAL));
        }
        turn();
        hand_over();
        assert_int_equal(1, n_handed);
        say(c, text + cut);
        assert_string_equal("second", heard(c));
        assert_string_equal("10.1.2.3", second.peer);
        (void)close(c);
        (void)teardown(state);
    }
}

/* Answers that its client has not read go along. */
static void test_one_that_does_not_read_its_answers_goes_with_them(void **state)
{
    static char big[800000], got[sizeof big + 4096];
    const int small = 8192; /* of what the kernel keeps */
    size_t come = 0;
    ssize_t n;
    int c;

    (void)state;
    assert_int_equal(0, setsockopt(fd_a, SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    c = client();
    first.hold = true;
    say(c, GET);
    turn();
    hand_over();
    assert_int_equal(0, n_handed);
    for (size_t i = 0; i < sizeof big; i++) {
        big[i] = (char)('a' + i % 23);
    }
    http_answer(first.held, 200, "", (struct str){big, sizeof big});
    turn();
    assert_int_equal(1, n_handed);
    assert_int_equal(0, http_server_open(first.s));
    while (come < sizeof big) {
        turn();
        n = recv(c, got + come, sizeof got - come, 0);
        assert_true(n > 0 || errno == EAGAIN);
        come += n > 0 ? (size_t)n : 0;
    }
    turn();
    n = recv(c, got + come, sizeof got - come, 0);
    come += n > 0 ? (size_t)n : 0;
    assert_memory_equal("HTTP/1.1 200 ", got, 13);
    assert_memory_equal(big, got + come - sizeof big, sizeof big);
    say(c, GET);
    assert_string_equal("second", heard(c));
    (void)close(c);
}

static void test_one_whose_answer_is_late_goes_after_it(void **state)
{
    int c = client();

    (void)state;
    first.hold = true;
    say(c, GET);
    turn();
    hand_over();
    assert_int_equal(0, n_handed);
    say(c, GET); /* pipelined: a request of the first server's, as it reads it */
    first.hold = false;
    turn();
    http_answer(first.held, 200, "", STR("first"));
    assert_string_equal("first first", heard(c));
    assert_int_equal(1, n_handed);
    say(c, GET);
    assert_string_equal("second", heard(c));
    (void)close(c);
}

static void test_one_that_says_close_ends_with_the_second(void **state)
{
    int c = client();
    char text[1024];
    ssize_t n;

    (void)state;
    first.hold = true;
    say(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    turn();
    hand_over();
    http_answer(first.held, 200, "", STR("first"));
    turn();
    n = recv(c, text, sizeof text - 1, 0);
    assert_true(n > 0);
    assert_int_equal(0, recv(c, text, sizeof text - 1, 0));
    assert_int_equal(1, n_handed);
    assert_int_equal(0, http_server_open(first.s));
    assert_int_equal(1, http_server_open(second.s)); /* until its client closes, too */
    (void)close(c);
    turn();
    assert_int_equal(0, http_server_open(second.s));
}

static void test_nothing_is_accepted_any_more(void **state)
{
    int c;

    (void)state;
    hand_over();
    c = client(); /* in the queue of the listening socket, for the other process */
    say(c, GET);
    assert_string_equal("", heard(c));
    assert_int_equal(0, http_server_open(first.s));
    (void)close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_one_between_two_requests_goes),
        T(test_one_that_has_never_asked_goes),
        T(test_one_that_was_plain_does_not_come_to_a_listener_with_tls),
        T(test_a_request_that_has_arrived_unread_goes_too),
        cmocka_unit_test(test_one_in_the_middle_of_a_request_goes_with_what_has_come),
        cmocka_unit_test(test_one_in_the_middle_of_a_chunked_body_goes_too),
        cmocka_unit_test(test_one_behind_an_answered_request_goes_with_what_has_come),
        cmocka_unit_test(test_a_proxy_in_the_middle_of_its_header_goes_too),
        T(test_of_two_heads_that_came_in_part_only_the_second_goes),
        T(test_one_that_does_not_read_its_answers_goes_with_them),
        T(test_one_whose_answer_is_late_goes_after_it),
        T(test_one_that_says_close_ends_with_the_second),
        T(test_nothing_is_accepted_any_more),
    };

    return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
