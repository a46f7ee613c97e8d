/* Answers as bytes on the connection: their order, and the parts that depend on the
 * request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "http/internal.h"
#include "net/listener.h"

#include "unit/tools/ask.h"

enum { TURNS = 2000, LATER_MAX = 4 };

static int64_t ahead_s; /* of the wall clock */

int clock_gettime(clockid_t id, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, id, t);

    t->tv_sec += id == CLOCK_REALTIME ? ahead_s : 0;
    return rc;
}

static struct http_ops ops;
static struct ev_loop *loop;
static struct http_server *server;
static int listening, client;
static char got[16384];
static size_t n_got;
static struct http_request *later[LATER_MAX]; /* still to be answered */
static uint32_t n_later, n_heads, n_aborted;

static void on_headers(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    (void)r;
    (void)v;
    n_heads++;
}

static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    if (str_eq(v->path, STR("/later"))) {
        later[n_later++] = r;
    } else if (str_eq(v->path, STR("/none"))) {
        http_answer(r, 204, "", (struct str){NULL, 0});
    } else {
        http_answer(r, 200, "", v->path);
    }
}

static void on_abort(void *arg, struct http_request *r)
{
    (void)arg;
    (void)r;
    n_aborted++;
}

static void forget(void)
{
    n_got = 0;
    got[0] = '\0';
}

static int set_up(void **state)
{
    const struct http_limits limits = ask_limits();
    struct sockaddr_in to = {.sin_family = AF_INET};
    char bound[128];
    struct err e;

    (void)state;
    ahead_s = 0;
    forget();
    n_later = n_heads = n_aborted = 0;
    loop = ev_loop_new(EVFLAG_AUTO);
    ops = ASK_OPS(on_body);
    ops.on_headers = on_headers;
    ops.on_abort = on_abort;
    server = http_server_new(loop, &limits, &ops, NULL);
    listening = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);
    assert_true(listening >= 0);
    http_server_listen(server, listening, NULL);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)atoi(strrchr(bound, ':') + 1));
    return connect(client, (struct sockaddr *)&to, sizeof to);
}

static int tear_down(void **state)
{
    (void)state;
    if (client >= 0) {
        (void)close(client);
    }
    http_server_free(server);
    (void)close(listening);
    ev_loop_destroy(loop);
    return 0;
}

static void turn(void)
{
    const struct timespec ms = {0, 1000000};
    ssize_t n;

    (void)ev_run(loop, EVRUN_NOWAIT);
    n = recv(client, got + n_got, sizeof got - 1 - n_got, MSG_DONTWAIT);
    n_got += n > 0 ? (size_t)n : 0;
    got[n_got] = '\0';
    (void)nanosleep(&ms, NULL);
}

static void say(const char *text)
{
    assert_int_equal(strlen(text), send(client, text, strlen(text), MSG_NOSIGNAL));
}

/* What was received up to text, and with it. */
static void until(const char *text)
{
    for (int i = 0; i < TURNS && strstr(got, text) == NULL; i++) {
        turn();
    }
    assert_non_null(strstr(got, text));
}

static void until_heads(uint32_t n)
{
    for (int i = 0; i < TURNS && n_heads < n; i++) {
        turn();
    }
    assert_int_equal(n, n_heads);
}

static void until_later(uint32_t n)
{
    for (int i = 0; i < TURNS && n_later < n; i++) {
        turn();
    }
    assert_int_equal(n, n_later);
}

/* Its body would be taken for the next answer. */
static void the_answer_to_head_has_no_body(void **state)
{
    const char *end;

    (void)state;
    say("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    until("\r\n\r\n/b");
    end = strstr(got, "\r\n\r\n");
    assert_non_null(strstr(got, "Content-Length: 2\r\n")); /* that of GET */
    assert_memory_equal("HTTP/1.1 200", end + 4, 12);
}

static void an_answer_without_content_has_no_length(void **state)
{
    (void)state;
    say("GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    until("\r\n\r\n");
    assert_memory_equal("HTTP/1.1 204", got, 12);
    assert_null(strstr(got, "Content-"));
}

static void each_answer_has_the_date_of_its_own_second(void **state)
{
    char first[40];

    (void)state;
    say("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    until("\r\n\r\n/a");
    assert_non_null(strstr(got, "Date: "));
    (void)snprintf(first, sizeof first, "%.37s", strstr(got, "Date: "));
    forget();
    ahead_s = 3600;
    say("GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    until("\r\n\r\n/b");
    assert_non_null(strstr(got, "Date: "));
    assert_null(strstr(got, first));
}

/* ---- pipelined ---- */

static void answers_come_in_the_order_of_their_requests(void **state)
{
    const struct conn *c;

    (void)state;
    say("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n"
        "GET /c HTTP/1.1\r\nHost: a\r\n\r\n");
    until_heads(3);
    until_later(2);
    c = later[0]->c;
    http_answer(later[1], 200, "", STR("/second"));
    assert_true(c->stashed > 0);
    turn();
    assert_int_equal(0, n_got);
    http_answer(later[0], 200, "", STR("/first"));
    assert_int_equal(0, c->stashed); /* else it is evicted before others */
    until("/c");
    assert_true(strstr(got, "/first") < strstr(got, "/second"));
    assert_true(strstr(got, "/second") < strstr(got, "/c"));
}

static void continue_waits_for_the_answers_ahead_of_it(void **state)
{
    (void)state;
    say("GET /later HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\n"
        "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    until_heads(2);
    for (int i = 0; i < 5; i++) {
        turn();
    }
    assert_int_equal(0, n_got);
    http_answer(later[0], 200, "", STR("/first"));
    until("/firstHTTP/1.1 100 Continue\r\n\r\n");
    say("{}");
    until("\r\n\r\n/b");
}

static void a_client_of_http_1_0_hears_of_no_continue(void **state)
{
    (void)state;
    say("POST /b HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    until_heads(1);
    for (int i = 0; i < 5; i++) {
        turn();
    }
    assert_int_equal(0, n_got);
    say("{}");
    until("\r\n\r\n/b");
    assert_memory_equal("HTTP/1.0 200", got, 12);
}

static void the_owner_hears_of_a_client_that_goes_within_a_body(void **state)
{
    (void)state;
    say("POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n{");
    until_heads(1);
    (void)close(client);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (int i = 0; i < TURNS && n_aborted == 0; i++) {
        turn();
    }
    assert_int_equal(1, n_aborted);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_answer_to_head_has_no_body),
        TEST(an_answer_without_content_has_no_length),
        TEST(each_answer_has_the_date_of_its_own_second),
        TEST(answers_come_in_the_order_of_their_requests),
        TEST(continue_waits_for_the_answers_ahead_of_it),
        TEST(a_client_of_http_1_0_hears_of_no_continue),
        TEST(the_owner_hears_of_a_client_that_goes_within_a_body)};

    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
