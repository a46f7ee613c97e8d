/* Up to when an index has removed events: the time comes back, and a damaged one is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "index/names.h"
#include "index/removed.h"

static char dir[] = "/tmp/sluice-removed-XXXXXX", path[PATH_MAX];

static int set_up(void **state)
{
    (void)state;
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/" INDEX_REMOVED_FILE, dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static void the_time_that_was_written_comes_back(void **state)
{
    struct err e;
    int64_t ms = 7;

    (void)state;
    assert_int_equal(INDEX_REMOVED_NONE, index_removed_read(dir, &ms));
    assert_int_equal(0, ms);
    assert_true(index_removed_write(dir, 1795834211613, &e));
    assert_int_equal(INDEX_REMOVED_READ, index_removed_read(dir, &ms));
    assert_int_equal(1795834211613, ms);
    assert_true(index_removed_write(dir, 1795834211614, &e));
    assert_int_equal(INDEX_REMOVED_READ, index_removed_read(dir, &ms));
    assert_int_equal(1795834211614, ms);
}

static void no_byte_of_it_may_be_another(void **state)
{
    struct err e;
    char text[128];
    int64_t ms;
    ssize_t n;
    int fd;

    (void)state;
    assert_true(index_removed_write(dir, 1795834211613, &e));
    fd = open(path, O_RDWR | O_CLOEXEC);
    n = read(fd, text, sizeof text);
    assert_true(n > 0);
    for (ssize_t i = 0; i < n; i++) {
        const char other = (char)(text[i] ^ 1);

        assert_int_equal(1, pwrite(fd, &other, 1, i));
        assert_int_equal(INDEX_REMOVED_BAD, index_removed_read(dir, &ms));
        assert_int_equal(0, ms);
        assert_int_equal(1, pwrite(fd, text + i, 1, i));
    }
    for (ssize_t i = n - 1; i >= 0; i--) {
        assert_int_equal(0, ftruncate(fd, i));
        assert_int_equal(INDEX_REMOVED_BAD, index_removed_read(dir, &ms));
    }
    (void)close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(the_time_that_was_written_comes_back),
                                       TEST(no_byte_of_it_may_be_another)};

    return cmocka_run_group_tests_name("removed", tests, NULL, NULL);
}
