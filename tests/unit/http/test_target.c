/* Targets and hosts, as RFC 9112 has them and nearly. */
#include "http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"

static void a_target_is_a_path_an_address_or_a_star(void **state)
{
    static const struct {
        const char *method, *target, *path, *query; /* path NULL: refused */
    } rows[] = {{"POST", "/", "/", NULL},
                {"POST", "/a?b", "/a", "b"},
                {"POST", "/a?", "/a", ""},
                {"POST", "/a?b?c", "/a", "b?c"},
                {"POST", "http://h/a?b", "/a", "b"},
                {"POST", "HTTPS://h:1/a", "/a", NULL},
                {"POST", "http://h", "/", NULL},
                {"POST", "http://h?b", "/", "b"},
                {"POST", "http://", NULL, NULL},
                {"POST", "http:///a", NULL, NULL},
                {"POST", "http://h:65536/a", NULL, NULL},
                {"POST", "ftp://h/a", NULL, NULL},
                {"POST", "a", NULL, NULL},
                {"POST", "", NULL, NULL},
                {"OPTIONS", "*", "*", NULL},
                {"POST", "*", NULL, NULL},
                {"OPTIONS", "**", NULL, NULL},
                {"CONNECT", "h:1", NULL, NULL},
                {"CONNECT", "/a", NULL, NULL}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct str path, query;
        bool ok =
            target_split(str_of(rows[i].method), str_of(rows[i].target), &path, &query);

        assert_int_equal(rows[i].path != NULL, ok);
        if (ok) {
            assert_true(str_eq(path, str_of(rows[i].path)));
            assert_int_equal(rows[i].query == NULL, query.p == NULL);
            assert_true(query.p == NULL || str_eq(query, str_of(rows[i].query)));
        }
    }
}

static void a_host_is_a_name_or_an_address_and_a_port(void **state)
{
    static const struct {
        const char *host;
        bool ok;
    } rows[] = {{"", true},
                {"h", true},
                {"h:", true},
                {"h:0", true},
                {"h:65535", true},
                {"h:65536", false},
                {"h:99999999999999999999", false},
                {"h:1a", false},
                {"h:-1", false},
                {"h:1:2", false},
                {":80", false},
                {"10.0.0.7:8", true},
                {"a%20b", true},
                {"a%2", false},
                {"a%2g", false},
                {"a b", false},
                {"a/b", false},
                {"a@b", false},
                {"a,b", true},
                {"[::1]", true},
                {"[::1]:80", true},
                {"[::1]:65536", false},
                {"[::1]8", false},
                {"[::1", false},
                {"[]", false},
                {"[h]", false},
                {"[::1%0]", false},
                {"[1111:2222:3333:4444:5555:6666:255.255.255.255]", true},
                {"[1111:2222:3333:4444:5555:6666:255.255.255.2555]", false}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        if (target_host(str_of(rows[i].host)) != rows[i].ok) {
            fail_msg("%s", rows[i].host);
        }
    }
    assert_false(target_host((struct str){"a\0b", 3}));
    assert_false(target_host((struct str){"[::1\0]", 6}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_a_path_an_address_or_a_star),
        cmocka_unit_test(a_host_is_a_name_or_an_address_and_a_port)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
