/* Two servers on one loop: what the first hands over, the second serves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
    char peer[48]; /* of the last request */
};

static struct ev_loop *loop;
static struct side first, second;
static int fd_a, fd_b, n_handed;
static char bound[128];

static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    struct side *side = arg;

    (void)snprintf(side->peer, sizeof side->peer, "%.*s", (int)v->peer.n, v->peer.p);
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
    static char whose[64];
    char text[8192];
    ssize_t n;

    turn();
    n = recv(c, text, sizeof text - 1, 0);
    whose[0] = '\0';
    text[n > 0 ? n : 0] = '\0';
    assert_null(strstr(text, "Connection: close"));
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

/* Cut at each byte. */
static void test_one_in_the_middle_of_a_request_goes_after_its_answer(void **state)
{
    static const char post[] =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n{\"\"}";

    for (size_t cut = 1; cut < strlen(post); cut++) {
        char part[sizeof post];
        int c;

        (void)setup(state);
        c = client();
        (void)snprintf(part, cut + 1, "%s", post);
        say(c, part);
        turn();
        hand_over();
        assert_int_equal(0, n_handed);
        say(c, post + cut);
        assert_string_equal("first", heard(c));
        assert_int_equal(1, n_handed);
        say(c, GET);
        assert_string_equal("second", heard(c));
        (void)close(c);
        (void)teardown(state);
    }
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

static void test_one_that_says_close_stays(void **state)
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
    assert_int_equal(0, n_handed);
    (void)close(c);
    turn();
    assert_int_equal(0, http_server_open(first.s));
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
        cmocka_unit_test(test_one_in_the_middle_of_a_request_goes_after_its_answer),
        T(test_one_whose_answer_is_late_goes_after_it),
        T(test_one_that_says_close_stays),
        T(test_nothing_is_accepted_any_more),
    };

    return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
