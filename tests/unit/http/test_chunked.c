/* Chunked framing: accepted and refused bodies, whole and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "http/chunked.h"

/* Feeds in pieces of `step`; the body goes to out. Returns the last result, *used the
 * bytes taken. */
static enum chunked_result decode(const char *p, size_t n, size_t step, char *out,
                                  size_t *out_n, size_t *used)
{
    struct chunked d;
    enum chunked_result r = CHUNKED_MORE;
    size_t at = 0;

    chunked_reset(&d);
    *out_n = 0;
    while (at < n && r != CHUNKED_END && r != CHUNKED_BAD && r != CHUNKED_LARGE) {
        struct str part = {NULL, 0};
        size_t k = n - at < step ? n - at : step;

        at += chunked_feed(&d, p + at, k, &part, &r);
        if (r == CHUNKED_PART) {
            memcpy(out + *out_n, part.p, part.n);
            *out_n += part.n;
        }
    }
    if (r == CHUNKED_BAD) {
        assert_true(strlen(chunked_why(&d)) > 10);
    }
    *used = at;
    return r;
}

static void expect(const char *text, enum chunked_result want, const char *body,
                   size_t rest)
{
    char out[4096];
    size_t n = strlen(text);

    for (size_t step = 1; step <= n; step++) {
        size_t out_n, used;

        assert_int_equal(want, decode(text, n, step, out, &out_n, &used));
        if (want == CHUNKED_END) {
            assert_int_equal(strlen(body), out_n);
            assert_memory_equal(body, out, out_n);
            assert_int_equal(rest, n - used);
        }
    }
}

static void whole_bodies_are_decoded(void **state)
{
    (void)state;
    expect("0\r\n\r\n", CHUNKED_END, "", 0);
    expect("5\r\nhello\r\n0\r\n\r\n", CHUNKED_END, "hello", 0);
    expect("2\r\nhe\r\n3\r\nllo\r\n000\r\n\r\nGET /", CHUNKED_END, "hello", 5);
    expect("A;a=b ; c=\"d\\\"\"\r\n0123456789\r\n0\r\nX: y\r\nZ:\r\n\r\n", CHUNKED_END,
           "0123456789", 0);
    expect("2\r\n\r\n\r\n0\r\n\r\n", CHUNKED_END, "\r\n", 0);
}

static void what_is_not_whole_waits(void **state)
{
    char out[64];
    size_t out_n, used;
    static const char text[] = "5\r\nhello\r\n0\r\nX: y\r\n\r\n";

    (void)state;
    for (size_t n = 0; n + 1 < sizeof text - 1; n++) {
        enum chunked_result r = decode(text, n, 64, out, &out_n, &used);

        assert_true(r != CHUNKED_END && r != CHUNKED_BAD && r != CHUNKED_LARGE);
    }
}

static void bad_framing_is_refused(void **state)
{
    static const char *const bad[] = {"\r\n",
                                      "x\r\n",
                                      " 5\r\n",
                                      "5 \r\n",
                                      "5 x\r\n",
                                      "5\n",
                                      "5\r5",
                                      "-5\r\n",
                                      "0x5\r\n",
                                      "5\r\nhelloX",
                                      "5\r\nhello\n",
                                      "5\r\nhello\rX",
                                      "5;\r\n",
                                      "5;a=\r\n",
                                      "5;a=\"b\r\n",
                                      "5;a\n",
                                      "5;\x01\r\n",
                                      "0\r\nX\r\n",
                                      "0\r\n X: y\r\n",
                                      "0\r\nX : y\r\n",
                                      "0\r\nX: y\n",
                                      "0\r\n\rX",
                                      "8000000000000000\r\n",
                                      "10000000000000000\r\n",
                                      "00000000000000001\r\n"};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        expect(bad[i], CHUNKED_BAD, "", 0);
    }
}

static void the_largest_size_is_below_2_to_the_63(void **state)
{
    struct chunked d;
    enum chunked_result r;
    struct str part;

    (void)state;
    chunked_reset(&d);
    (void)chunked_feed(&d, "7fffffffffffffff\r\n", 18, &part, &r);
    assert_int_equal(CHUNKED_SIZE, r);
    assert_true(d.left == INT64_MAX);
}

static void extensions_and_trailers_are_bounded(void **state)
{
    static char text[CHUNKED_TRAILERS_MAX + 64], out[64];
    size_t out_n, used;

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "1;", 2);
    assert_int_equal(CHUNKED_LARGE,
                     decode(text, sizeof text, sizeof text, out, &out_n, &used));
    assert_true(used <= CHUNKED_EXTENSIONS_MAX + 2);
    memcpy(text, "0\r\nX:", 5);
    assert_int_equal(CHUNKED_LARGE, decode(text, sizeof text, 1, out, &out_n, &used));
    assert_true(used >= CHUNKED_TRAILERS_MAX);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_bodies_are_decoded),
        cmocka_unit_test(what_is_not_whole_waits),
        cmocka_unit_test(bad_framing_is_refused),
        cmocka_unit_test(the_largest_size_is_below_2_to_the_63),
        cmocka_unit_test(extensions_and_trailers_are_bounded)};

    return cmocka_run_group_tests_name("chunked", tests, NULL, NULL);
}
