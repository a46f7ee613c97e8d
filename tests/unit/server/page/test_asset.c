/* The page's files as a browser gets them: nothing of another server runs in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "net/listener.h"
#include "server/page/asset.h"

#include "unit/tools/ask.h"

static char answer[8192];

static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    asset_answer(r, v);
}

static int asks(const char *line, const char *headers)
{
    const struct http_ops ops = ASK_OPS(on_body);
    const struct http_limits limits = ask_limits();
    const struct http_listener options = {0};
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    char bound[128], head[512];
    struct http_server *s;
    struct err e;
    int status, fd = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);

    assert_true(fd >= 0);
    s = http_server_new(loop, &limits, &ops, NULL);
    http_server_listen(s, fd, &options);
    (void)snprintf(head, sizeof head, "%s HTTP/1.1\r\nHost: a\r\n%s\r\n", line,
                   headers);
    status = ask(loop, bound, head, "", 0, answer, sizeof answer);
    http_server_free(s);
    (void)close(fd);
    ev_loop_destroy(loop);
    return status;
}

static const char *const paths[] = {"/",
                                    "/page/page.css",
                                    "/page/detail.js",
                                    "/page/page.js",
                                    "/page/parts.js",
                                    "/page/plot.js",
                                    "/page/server.js",
                                    "/page/words.js",
                                    "/page/uplot.js",
                                    "/page/uplot.css"};

static void each_file_comes_with_strict_rules(void **state)
{
    static const char *const rules[] = {
        "\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; ",
        "; frame-ancestors 'none'\r\n", "\r\nX-Content-Type-Options: nosniff\r\n",
        "\r\nX-Frame-Options: DENY\r\n", "\r\nReferrer-Policy: no-referrer\r\n"};
    char line[64];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(paths); i++) {
        assert_true(asset_is(str_of(paths[i])));
        (void)snprintf(line, sizeof line, "HEAD %s", paths[i]);
        assert_int_equal(200, asks(line, ""));
        for (size_t k = 0; k < N_ELEMS(rules); k++) {
            assert_non_null(strstr(answer, rules[k]));
        }
        assert_null(strstr(answer, "Content-Encoding"));
    }
    assert_false(asset_is(STR("/page/")));
    assert_false(asset_is(STR("/page/index.html")));
}

static void a_file_that_the_browser_has_is_not_sent_again(void **state)
{
    char line[96];
    const char *at;

    (void)state;
    assert_int_equal(200, asks("HEAD /page/page.js", "Accept-Encoding: gzip\r\n"));
    assert_non_null(strstr(answer, "\r\nContent-Encoding: gzip\r\n"));
    at = strstr(answer, "\r\nETag: ");
    assert_non_null(at);
    (void)snprintf(line, sizeof line, "If-None-Match: %.18s\r\n", at + 8);
    assert_int_equal(304, asks("HEAD /page/page.js", line));
    assert_int_equal(200, asks("HEAD /page/parts.js", line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_comes_with_strict_rules),
        cmocka_unit_test(a_file_that_the_browser_has_is_not_sent_again)};

    return cmocka_run_group_tests_name("asset", tests, NULL, NULL);
}
