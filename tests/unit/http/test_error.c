/* The answers that http gives itself. */
#include "http/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void a_text_names_what_is_wrong(void **state)
{
    char out[256];
    size_t n = http_error_text(413, "too_large", "why", 7, out, sizeof out);

    (void)state;
    assert_string_equal("{\"error\":\"Content Too Large\",\"code\":\"too_large\","
                        "\"limit\":7,\"detail\":\"why\"}",
                        out);
    assert_int_equal(strlen(out), n);
    (void)http_error_text(404, "a", "b", -1, out, sizeof out);
    assert_string_equal("{\"error\":\"Not Found\",\"code\":\"a\",\"detail\":\"b\"}",
                        out);
    (void)http_error_text(404, "a", "b", 0, out, sizeof out);
    assert_non_null(strstr(out, "\"limit\":0"));
    assert_string_equal("Other", http_phrase(299));
}

static void a_text_is_cut_at_its_room(void **state)
{
    char out[64];
    size_t whole = http_error_text(404, "a", "b", -1, out, sizeof out);

    (void)state;
    assert_int_equal(whole, http_error_text(404, "a", "b", -1, out, whole + 1));
    assert_int_equal(whole - 1, http_error_text(404, "a", "b", -1, out, whole));
    assert_int_equal(whole - 1, strlen(out));
}

static void each_refusal_has_its_status_and_bound(void **state)
{
    struct http_error e = http_error_large(5);

    (void)state;
    assert_int_equal(413, e.status);
    assert_int_equal(5, e.limit);
    e = http_error_inflate(ENCODING_LARGE, 5);
    assert_int_equal(413, e.status);
    assert_int_equal(5, e.limit);
    e = http_error_inflate(ENCODING_BAD, 5);
    assert_int_equal(400, e.status);
    assert_string_equal("bad_encoding", e.code);
    assert_int_equal(-1, e.limit);
    e = http_error_encoding();
    assert_int_equal(415, e.status);
    e = http_error_large(UINT64_MAX);
    assert_non_null(memchr(e.detail, '\0', sizeof e.detail));
    assert_string_equal("Retry-After: 2\r\n", http_error_lines(503));
    assert_non_null(strstr(http_error_lines(415), "gzip"));
    assert_string_equal("", http_error_lines(400));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_names_what_is_wrong),
        cmocka_unit_test(a_text_is_cut_at_its_room),
        cmocka_unit_test(each_refusal_has_its_status_and_bound)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
