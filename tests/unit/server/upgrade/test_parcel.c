#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "server/upgrade/parcel.h"

static void test_what_was_packed_is_opened(void **state)
{
    static char bytes[300000];
    size_t n = 1;
    struct err e;
    char *p;
    int fd;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i * 7);
    }
    fd = parcel_pack(bytes, sizeof bytes, &e);
    assert_true(fd >= 0);
    p = parcel_open(fd, &n);
    assert_int_equal(sizeof bytes, n);
    assert_memory_equal(bytes, p, sizeof bytes);
    free(p);
    (void)close(fd);
}

static void test_what_is_empty_or_no_file_is_nothing(void **state)
{
    size_t n = 1;
    struct err e;
    int fd = parcel_pack("", 0, &e);

    (void)state;
    assert_null(parcel_open(fd, &n));
    assert_int_equal(0, n);
    (void)close(fd);
    n = 1;
    assert_null(parcel_open(-1, &n));
    assert_int_equal(0, n);
}

static void test_no_descriptor_is_an_error(void **state)
{
    struct rlimit was, none;
    struct err e;

    (void)state;
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &was));
    none = (struct rlimit){3, was.rlim_max};
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &none));
    assert_int_equal(-1, parcel_pack("a", 1, &e));
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &was));
    assert_non_null(strstr(e.text, "can't pass on"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_packed_is_opened),
        cmocka_unit_test(test_what_is_empty_or_no_file_is_nothing),
        cmocka_unit_test(test_no_descriptor_is_an_error),
    };

    return cmocka_run_group_tests_name("parcel", tests, NULL, NULL);
}
