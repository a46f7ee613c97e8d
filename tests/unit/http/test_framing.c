/* Where a body ends, and which texts are a target and a host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "http/framing.h"
#include "http/target.h"

static struct framing framed(const char *name, const char *value, const char *name2,
                             const char *value2)
{
    struct str_pair h[2] = {{str_of(name), str_of(value)}, {{0}, {0}}};

    if (name2 != NULL) {
        h[1] = (struct str_pair){str_of(name2), str_of(value2)};
    }
    return framing_of(h, name2 == NULL ? 1 : 2, false);
}

static void a_length_is_said_once_or_the_same_again(void **state)
{
    struct framing f = framed("Content-Length", "12", "content-length", "012");

    (void)state;
    assert_null(f.why);
    assert_true(f.has_length && f.length == 12);
    assert_non_null(framed("Content-Length", "1", "Content-Length", "2").why);
    assert_non_null(framed("Content-Length", "9223372036854775808", NULL, 0).why);
    assert_non_null(framed("Content-Length", "", NULL, 0).why);
}

static void chunked_stands_alone(void **state)
{
    struct str_pair te = {STR("Transfer-Encoding"), STR("chunked")};

    (void)state;
    assert_true(framed("Transfer-Encoding", "Chunked", NULL, 0).chunked);
    assert_null(framed("Transfer-Encoding", "Chunked", NULL, 0).why);
    assert_non_null(framed("Transfer-Encoding", "gzip, chunked", NULL, 0).why);
    assert_non_null(framed("Transfer-Encoding", "chunked", "Content-Length", "0").why);
    assert_non_null(framing_of(&te, 1, true).why);
}

static void close_once_said_holds(void **state)
{
    (void)state;
    assert_true(framed("X", "y", NULL, 0).keep_alive);
    assert_false(framed("Connection", "x , Close", NULL, 0).keep_alive);
    assert_false(framed("Connection", "close", "Connection", "keep-alive").keep_alive);
    assert_true(framed("Proxy-Connection", "close", NULL, 0).keep_alive);
}

static void targets_are_split(void **state)
{
    struct str path, query;

    (void)state;
    assert_true(target_split(STR("GET"), STR("/a?b?c"), &path, &query));
    assert_true(str_eq(path, STR("/a")) && str_eq(query, STR("b?c")));
    assert_true(target_split(STR("GET"), STR("HTTP://h:1?q"), &path, &query));
    assert_true(str_eq(path, STR("/")) && str_eq(query, STR("q")));
    assert_true(target_split(STR("OPTIONS"), STR("*"), &path, &query));
    assert_false(target_split(STR("GET"), STR("*"), &path, &query));
    assert_false(target_split(STR("GET"), STR("http://u@h/"), &path, &query));
    assert_false(target_split(STR("GET"), STR("a/b"), &path, &query));
    assert_false(target_split(STR("CONNECT"), STR("/"), &path, &query));
}

static void hosts_are_names_or_addresses(void **state)
{
    static const char *const good[] = {
        "", "a", "a.b:80", "[::1]", "[::1]:0", "1.2.3.4:65535", "a:"};
    static const char *const bad[] = {"a b",     "a/b", "u@a", "[::1", "[a]",
                                      "a:65536", "a:b", ":80", "::1",  "a:1:2"};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(good); i++) {
        assert_true(target_host(str_of(good[i])));
    }
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        assert_false(target_host(str_of(bad[i])));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_length_is_said_once_or_the_same_again),
        cmocka_unit_test(chunked_stands_alone), cmocka_unit_test(close_once_said_holds),
        cmocka_unit_test(targets_are_split),
        cmocka_unit_test(hosts_are_names_or_addresses)};

    return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
