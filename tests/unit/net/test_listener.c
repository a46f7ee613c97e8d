/* Which addresses are taken, and the errors of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/err.h"
#include "net/listener.h"

static void a_free_port_is_told(void **state)
{
    static const char *const good[] = {"127.0.0.1:0", "localhost:0"};
    char bound[80];
    struct err e;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(good); i++) {
        int fd = listener_open(good[i], false, bound, sizeof bound, &e);

        assert_true(fd >= 0);
        assert_non_null(strrchr(bound, ':'));
        assert_string_not_equal(":0", strrchr(bound, ':'));
        assert_int_equal(FD_CLOEXEC, fcntl(fd, F_GETFD));
        (void)close(fd);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const bad[] = {
        "",        "8080",    "127.0.0.1:", "a:b",   "[::1]", "127.0.0.1:-1",
        "x:99999", "x:65536", "x:000000",   "x:80 ", "x:+80", "x:0x50"};
    char bound[80];
    struct err e;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        assert_int_equal(-1, listener_open(bad[i], false, bound, sizeof bound, &e));
        assert_non_null(strstr(e.text, "is not an address such as"));
    }
}

static void a_port_that_is_taken_is_an_error(void **state)
{
    char bound[80], again[80];
    struct err e;
    int fd = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(-1, listener_open(bound, false, again, sizeof again, &e));
    assert_non_null(strstr(e.text, "can't listen on 127.0.0.1:"));
    (void)close(fd);
}

static bool connects(int family, const char *port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(port))};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = v4.sin_port,
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(family, SOCK_STREAM, 0), rc;

    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    rc = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof v4)
                           : connect(fd, (struct sockaddr *)&v6, sizeof v6);
    (void)close(fd);
    return rc == 0;
}

static void all_addresses_are_those_of_both_families(void **state)
{
    static const char *const all[] = {"*:0", ":0", "[::]:0"};
    int six = socket(AF_INET6, SOCK_STREAM, 0);
    char bound[80];
    struct err e;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(all) && six >= 0; i++) {
        int fd = listener_open(all[i], false, bound, sizeof bound, &e);

        assert_true(fd >= 0);
        assert_true(connects(AF_INET, strrchr(bound, ':') + 1));
        assert_true(connects(AF_INET6, strrchr(bound, ':') + 1));
        (void)close(fd);
    }
    (void)close(six);
}

static void a_port_that_is_shared_is_not_free(void **state)
{
    char bound[80];
    struct err e;
    int fd = listener_open("127.0.0.1:0", true, bound, sizeof bound, &e);

    (void)state;
    assert_true(fd >= 0);
    assert_false(listener_is_free(bound, &e));
    assert_non_null(strstr(e.text, "can't listen on 127.0.0.1:"));
    (void)close(fd);
    assert_true(listener_is_free(bound, &e));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_port_is_told),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_port_that_is_taken_is_an_error),
        cmocka_unit_test(all_addresses_are_those_of_both_families),
        cmocka_unit_test(a_port_that_is_shared_is_not_free)};

    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
