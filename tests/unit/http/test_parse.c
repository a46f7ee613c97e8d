/* Bytes of a connection to requests, whole and byte by byte. */
#include "http/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char seen[4096];
static struct parse *p;
static bool stop;

static void note(const char *format, ...)
{
    size_t n = strlen(seen);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(seen + n, sizeof seen - n, format, args);
    va_end(args);
}

static bool on_head(void *arg, const struct parse_head *h)
{
    struct str_pair headers[PARSE_HEADERS_MAX];
    uint32_t n = parse_headers(p, headers);

    (void)arg;
    note("%.*s %.*s %u.%u %s%s%s[", (int)h->method.n, h->method.p, (int)h->target.n,
         h->target.p, h->major, h->minor, h->framing.keep_alive ? "k" : "c",
         h->sound_host ? "" : " badhost", h->framing.why == NULL ? "" : " bad");
    for (uint32_t i = 0; i < n && n < 8; i++) {
        note("%.*s=%.*s;", (int)headers[i].name.n, headers[i].name.p,
             (int)headers[i].value.n, headers[i].value.p);
    }
    note("]");
    return !stop;
}

static bool on_chunk(void *arg, uint64_t bytes)
{
    (void)arg;
    note("{%lu}", (unsigned long)bytes);
    return true;
}

static bool on_part(void *arg, const char *at, size_t n)
{
    (void)arg;
    note("%.*s", (int)n, at);
    return true;
}

static bool on_whole(void *arg)
{
    (void)arg;
    note("|");
    return true;
}

static const struct parse_ops ops = {on_head, on_chunk, on_part, on_whole};

static enum parse_result feed(const char *text, size_t step)
{
    size_t n = strlen(text), at = 0;
    enum parse_result r = PARSE_OK;

    seen[0] = '\0';
    parse_reset(p, NULL, PARSE_TEXT_MAX);
    while (at < n && r == PARSE_OK) {
        size_t k = n - at < step ? n - at : step;

        at += parse_feed(p, text + at, k, &r);
    }
    return r;
}

static void expect(const char *text, const char *what)
{
    for (size_t step = 1; step < strlen(text) + 5; step += step < 9 ? 1 : 13) {
        assert_int_equal(PARSE_OK, feed(text, step));
        assert_string_equal(what, seen);
        assert_false(parse_in_request(p));
    }
}

static void requests_come_one_by_one(void **state)
{
    (void)state;
    expect("POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
           "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
           "POST /a?b 1.1 k[Host=h;Content-Length=3;]abc|"
           "GET / 1.1 c[Host=h;Connection=close;]|");
    expect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
           "POST / 1.1 k[Host=h;Content-Length=0;]|");
    expect("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 c[]|");
}

static void chunks_are_handed_on_without_their_frame(void **state)
{
    (void)state;
    expect("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
           "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: t\r\n\r\n",
           "POST / 1.1 k[Host=h;Transfer-Encoding=chunked;]"
           "{3}abc{10}0123456789|");
}

static void names_that_are_there_twice_become_a_list(void **state)
{
    (void)state;
    expect("GET / HTTP/1.1\r\nHost: h\r\nA: 1 \r\na:2\r\nCookie: x\r\nB:\r\n"
           "cookie: y\r\nContent-Type: t\r\ncontent-type: t\r\n\r\n",
           "GET / 1.1 k[Host=h;A=1, 2;Cookie=x; y;B=;Content-Type=t;]|");
    expect("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
           "GET / 1.1 k badhost[Host=h, h;]|");
}

static void what_is_no_http_is_refused_and_says_why(void **state)
{
    static const char *const bad[] = {
        "GET / HTTP/x.1\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.1\r\nA : 1\r\n\r\n",
        "GET / HTTP/1.1\r\n A: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (size_t step = 1; step < 100; step += 7) {
            if (feed(bad[i], step) != PARSE_BAD) {
                fail_msg("%s", bad[i]);
            }
            assert_true(parse_why(p)[0] != '\0');
        }
    }
    assert_int_equal(PARSE_METHOD, feed("BREW / HTTP/1.1\r\n\r\n", 100));
    assert_int_equal(PARSE_METHOD, feed("BREW / HTTP/1.1\r\n\r\n", 1));
}

static enum parse_result feed_headers(unsigned n)
{
    static char text[64 * 1024];
    int at = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n");

    for (unsigned i = 0; i < n; i++) {
        at += snprintf(text + at, sizeof text - (size_t)at, "H%u: %u\r\n", i, i);
    }
    (void)snprintf(text + at, sizeof text - (size_t)at, "\r\n");
    return feed(text, sizeof text);
}

static void the_most_headers_are_taken_and_one_more_is_not(void **state)
{
    (void)state;
    assert_int_equal(PARSE_OK, feed_headers(PARSE_HEADERS_MAX));
    assert_int_equal(PARSE_LARGE, feed_headers(PARSE_HEADERS_MAX + 1));
}

/* Counted are the target, and the names and values. */
static void the_texts_of_a_head_fill_their_bound_and_no_more(void **state)
{
    static const char text[] = "GET /a HTTP/1.1\r\nHost: h\r\nA:   bcd\r\n\r\n";
    const uint32_t n = 2 + 4 + 1 + 1 + 3;
    enum parse_result r;

    (void)state;
    parse_reset(p, NULL, n);
    assert_int_equal(sizeof text - 1, parse_feed(p, text, sizeof text - 1, &r));
    assert_int_equal(PARSE_OK, r);
    parse_limit(p, n - 1); /* from the next one on */
    (void)parse_feed(p, text, sizeof text - 1, &r);
    assert_int_equal(PARSE_LARGE, r);
}

static void a_callback_stops_it_behind_the_head(void **state)
{
    static const char text[] =
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    enum parse_result r;
    size_t n;

    (void)state;
    seen[0] = '\0';
    parse_reset(p, NULL, PARSE_TEXT_MAX);
    stop = true;
    n = parse_feed(p, text, sizeof text - 1, &r);
    stop = false;
    assert_int_equal(PARSE_STOPPED, r);
    assert_string_equal("abc", text + n);
    assert_true(parse_in_request(p));
    n += parse_feed(p, text + n, sizeof text - 1 - n, &r);
    assert_int_equal(PARSE_OK, r);
    assert_int_equal(sizeof text - 1, n);
    assert_false(parse_in_request(p));
}

static int set_up(void **state)
{
    (void)state;
    p = parse_new(&ops, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    parse_free(p);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_one_by_one),
        cmocka_unit_test(chunks_are_handed_on_without_their_frame),
        cmocka_unit_test(names_that_are_there_twice_become_a_list),
        cmocka_unit_test(what_is_no_http_is_refused_and_says_why),
        cmocka_unit_test(the_most_headers_are_taken_and_one_more_is_not),
        cmocka_unit_test(the_texts_of_a_head_fill_their_bound_and_no_more),
        cmocka_unit_test(a_callback_stops_it_behind_the_head)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
