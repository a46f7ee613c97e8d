/* Bodies at the limit and one byte beyond it, over a connection to the server itself. */
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
#include "net/listener.h"

#include "unit/tools/ask.h"

enum { MAX_BODY = ASK_MAX_BODY };

static size_t got; /* bytes of the last body */

static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    got = v->body.n;
    http_answer(r, 202, "", STR("{}"));
}

/* The status of the answer to one request on a connection of its own. */
static int status_of(const char *head, const char *body, size_t n)
{
    const struct http_ops ops = ASK_OPS(on_body);
    const struct http_limits limits = ask_limits();
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    char bound[128], answer[4096];
    struct http_server *s;
    struct err e;
    int status, fd = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);

    assert_true(fd >= 0);
    s = http_server_new(loop, &limits, &ops, NULL);
    http_server_listen(s, fd, NULL);
    got = SIZE_MAX;
    status = ask(loop, bound, head, body, n, answer, sizeof answer);
    http_server_free(s);
    (void)close(fd);
    ev_loop_destroy(loop);
    return status;
}

static int with_length(size_t n)
{
    static const char body[MAX_BODY + 1];
    char head[128];

    (void)snprintf(head, sizeof head,
                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", n);
    return status_of(head, body, n);
}

/* In chunks of 500 bytes and one of the rest. */
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
