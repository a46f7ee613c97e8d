/* The second listener's answers that need no policy and no sink. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "server/admin/tap.h"
#include "server/internal.h"
#include "spool/internal.h"

#include "unit/tools/ask.h"

static struct server server;
static struct spool spool;
static struct stream stream;
static struct shard shard;
static struct admin_plan admin;
static char answer[4096];

/* The status; the text after the head is in answer. */
static int admin_says(const char *line, const char *header)
{
    char head[512];

    (void)snprintf(head, sizeof head,
                   "%s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n%s\r\n", line,
                   header);
    return ask(server.loop, server.admin_listener.bound, head, "", 0, answer,
               sizeof answer);
}

static int set_up(void **state)
{
    struct err e;

    (void)state;
    memset(&spool, 0, sizeof spool);
    memset(&stream, 0, sizeof stream);
    memset(&shard, 0, sizeof shard);
    spool.conf.segment_bytes = 1;
    spool.conf.n_workers = 1;
    atomic_store(&stream.live[0], &shard);
    atomic_store(&stream.max_bytes, 1000);
    spool.streams[0] = &stream;
    atomic_store(&spool.n_streams, 1);
    server = (struct server){.loop = ev_loop_new(EVFLAG_AUTO), .spool = &spool};
    server.admin_plan = &admin;
    listening_of(&server.admin_listener, &(struct listener_plan){0}, "127.0.0.1:0");
    return !admin_start(&server, &e);
}

static int tear_down(void **state)
{
    (void)state;
    taps_stop(server.taps);
    http_server_free(server.admin);
    taps_free(server.taps);
    listening_close(&server.admin_listener);
    ev_loop_destroy(server.loop);
    return 0;
}

static void a_page_may_read_but_change_nothing(void **state)
{
    static const char origin[] = "Origin: https://page.example\r\n";
    static const char *const changes[] = {
        "POST /reload",         "POST /reload?rollback",
        "POST /sinks/a/drop",   "POST /sinks/a/breaker?open",
        "POST /sinks/a/replay", "DELETE /sinks/a/replay"};

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        assert_int_equal(403, admin_says(changes[i], origin));
        assert_non_null(strstr(answer, "\"code\":\"origin\""));
        assert_int_equal(403, admin_says(changes[i], "oRiGiN: null\r\n"));
    }
    assert_int_equal(200, admin_says("GET /healthz", origin));
    assert_int_equal(400, admin_says("POST /reload?sideways", "")); /* of no page */
}

static void it_is_ready_while_events_can_be_stored(void **state)
{
    (void)state;
    assert_int_equal(200, admin_says("GET /readyz", ""));
    atomic_store(&stream.used, 890);
    assert_int_equal(200, admin_says("GET /readyz", ""));
    atomic_store(&stream.used, 900);
    assert_int_equal(503, admin_says("GET /readyz", ""));
    assert_non_null(strstr(answer, "the spool is nearly full"));
    /* Room in the worker's segment is no sign of a disk that works. */
    atomic_store(&shard.left, 1000);
    atomic_store(&spool.unwritable, true);
    assert_int_equal(503, admin_says("GET /readyz", ""));
    assert_non_null(strstr(answer, "the spool can't be written"));
    atomic_store(&spool.unwritable, false);
    server.draining = true;
    assert_int_equal(503, admin_says("GET /readyz", ""));
    assert_non_null(strstr(answer, "draining"));
    assert_int_equal(200, admin_says("GET /healthz", ""));
}

static void another_method_or_path_is_told_what_there_is(void **state)
{
    (void)state;
    assert_int_equal(405, admin_says("GET /reload", ""));
    assert_non_null(strstr(answer, "\r\nAllow: POST\r\n"));
    assert_int_equal(405, admin_says("POST /metrics", ""));
    assert_non_null(strstr(answer, "\r\nAllow: GET\r\n"));
    assert_int_equal(405, admin_says("GET /sinks/a/drop", ""));
    assert_int_equal(405, admin_says("PUT /sinks/a/replay", ""));
    assert_int_equal(404, admin_says("GET /sinks//drop", ""));
    assert_int_equal(404, admin_says("GET /page/", ""));
}

static void the_page_comes_with_strict_rules_and_a_tag(void **state)
{
    static const char *const paths[] = {"/",
                                        "/page/page.css",
                                        "/page/page.js",
                                        "/page/parts.js",
                                        "/page/plot.js",
                                        "/page/words.js",
                                        "/page/uplot.js",
                                        "/page/uplot.css"};
    char line[160], tag[80] = "If-None-Match: ";
    const char *at;

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        (void)snprintf(line, sizeof line, "HEAD %s", paths[i]);
        assert_int_equal(200, admin_says(line, ""));
        assert_non_null(strstr(answer, "Content-Security-Policy: default-src 'none';"));
        assert_non_null(strstr(answer, "frame-ancestors 'none'"));
        assert_non_null(strstr(answer, "X-Content-Type-Options: nosniff"));
        assert_int_equal(405, admin_says("POST /", ""));
        assert_int_equal(403, admin_says(line, "Origin: https://page.example\r\n"));
        assert_int_equal(403, admin_says(line, "Origin: https://page.example\r\n"
                                               "Sec-Fetch-Site: same-site\r\n"));
        /* through a proxy that sends a Host of its own */
        assert_int_equal(200, admin_says(line, "Origin: https://page.example\r\n"
                                               "Sec-Fetch-Site: same-origin\r\n"));
    }
    assert_int_equal(
        200, admin_says("HEAD /page/page.js", "Accept-Encoding: gzip, deflate\r\n"));
    assert_non_null(strstr(answer, "Content-Encoding: gzip\r\n"));
    at = strstr(answer, "ETag: ");
    assert_non_null(at);
    strncat(tag, at + 6, 20);
    assert_int_equal(304, admin_says("HEAD /page/page.js", tag));
    assert_int_equal(404, admin_says("GET /page/../page.js", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_page_may_read_but_change_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(it_is_ready_while_events_can_be_stored, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_method_or_path_is_told_what_there_is,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_page_comes_with_strict_rules_and_a_tag,
                                        set_up, tear_down)};

    return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}
