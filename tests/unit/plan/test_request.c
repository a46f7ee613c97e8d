/* Parameters, arguments, headers and basic auth of a request's head; paths that have
 * parameters. */
#include "plan/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"

static void paths_match_part_by_part(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool matches;
    } rows[] = {{"/v1/:kind", "/v1/a", true},
                {"/v1/:kind", "/v1/", false},
                {"/v1/:kind", "/v1", false},
                {"/v1/:kind", "/v1/a/", false},
                {"/v1/:kind", "/v1/a/b", false},
                {"/v1/:kind", "/v2/a", false},
                {"/v1/:kind", "/v1/:kind", true},
                {"/:a/:b", "/x/y", true},
                {"/:a/:b", "//y", false},
                {"/:a/x", "/1/x", true},
                {"/:a/x", "/1/xx", false},
                {"/:a/", "/1/", true},
                {"/:a/", "/1", false},
                {"/:a", "", false},
                {"/:a", "*", false}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        assert_int_equal(request_matches(rows[i].pattern, str_of(rows[i].path)),
                         rows[i].matches);
    }
}

static const char *found(const struct policy_request *q, const char *pattern,
                         enum request_part part, const char *name)
{
    static char out[256];
    struct str raw = request_raw(q, pattern, part, str_of(name));
    size_t n;

    if (raw.p == NULL || !request_decode(part, raw, out, &n)) {
        return "none";
    }
    assert_true(n <= raw.n);
    out[n] = '\0';
    return out;
}

static void parts_are_found_and_decoded(void **state)
{
    static const struct str_pair headers[] = {
        {STR("X-Key"), STR("one")},
        {STR("x-key"), STR("two")},
        {STR("X-Empty"), {NULL, 0}},
        {STR("Authorization"), STR("basic  dTpwOnE=")}};
    const struct policy_request q = {.path = STR("/v1/a%2Fb%zz/x"),
                                     .query =
                                         STR("a=1&b=%C3%A9+x%2B&a=2&c&%64=d&=e&f=g=h"),
                                     .peer = STR("10.0.0.7"),
                                     .headers = headers,
                                     .n_headers = 4};

    (void)state;
    assert_string_equal(found(&q, "/v1/:k/:l", REQUEST_PARAM, "k"), "a/b%zz");
    assert_string_equal(found(&q, "/v1/:k/:l", REQUEST_PARAM, "l"), "x");
    assert_string_equal(found(&q, "/v1/:k/:l", REQUEST_PARAM, "m"), "none");
    assert_string_equal(found(&q, "", REQUEST_ARG, "a"), "1");
    assert_string_equal(found(&q, "", REQUEST_ARG, "b"), "\xC3\xA9 x+");
    assert_string_equal(found(&q, "", REQUEST_ARG, "c"), "");
    assert_string_equal(found(&q, "", REQUEST_ARG, "d"), "d");
    assert_string_equal(found(&q, "", REQUEST_ARG, "f"), "g=h");
    assert_string_equal(found(&q, "", REQUEST_ARG, "g"), "none");
    assert_string_equal(found(&q, "", REQUEST_HEADER, "X-KEY"), "one");
    assert_string_equal(found(&q, "", REQUEST_HEADER, "x-empty"), "");
    assert_string_equal(found(&q, "", REQUEST_HEADER, "x"), "none");
    assert_string_equal(found(&q, "", REQUEST_PEER, ""), "10.0.0.7");
    assert_string_equal(found(&q, "", REQUEST_BASIC_USER, ""), "u");
    assert_string_equal(found(&q, "", REQUEST_BASIC_PASSWORD, ""), "p:q");
}

static void what_is_no_basic_auth_is_none(void **state)
{
    static const char *const values[] = {"Bearer dTpw", "Basic",      "Basic ",
                                         "Basic dTpw!", "Basic dXA=", "Basic dTpwq",
                                         "dTpw"};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(values); i++) {
        const struct str_pair h = {STR("Authorization"), str_of(values[i])};
        const struct policy_request q = {.headers = &h, .n_headers = 1};

        assert_string_equal(found(&q, "", REQUEST_BASIC_USER, ""), "none");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(paths_match_part_by_part),
                                       cmocka_unit_test(parts_are_found_and_decoded),
                                       cmocka_unit_test(what_is_no_basic_auth_is_none)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
