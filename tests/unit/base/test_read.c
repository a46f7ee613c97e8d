#include "base/read.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* In place of libc's: a file of 16 bytes, whose calls fail as a test says. */
static char bytes[16], got[16];
static unsigned calls, interrupts;
static size_t most;

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    (void)fd;
    calls++;
    if (calls <= interrupts && calls < 100000) { /* bounded: a loop ends, and is seen */
        errno = EINTR;
        return -1;
    }
    n = n < most ? n : most;
    n = n < sizeof bytes - (size_t)at ? n : sizeof bytes - (size_t)at;
    memcpy(p, bytes + at, n);
    return (ssize_t)n;
}

static int prepare(void **state)
{
    (void)state;
    memcpy(bytes, "0123456789abcdef", sizeof bytes);
    memset(got, '.', sizeof got);
    calls = interrupts = 0;
    most = sizeof bytes;
    return 0;
}

static void reads_all_bytes_in_short_reads(void **state)
{
    (void)state;
    most = 3;
    assert_int_equal(10, read_at(0, got, 10, 2));
    assert_memory_equal("23456789ab......", got, 16);
    assert_int_equal(4, calls);
}

static void repeats_a_read_that_a_signal_interrupts(void **state)
{
    (void)state;
    interrupts = 3;
    assert_int_equal(2, read_at(0, got, 2, 0));
    assert_memory_equal("01", got, 2);
    assert_int_equal(4, calls);
}

static void gives_up_when_every_read_is_interrupted(void **state)
{
    (void)state;
    interrupts = UINT32_MAX;
    assert_int_equal(-1, read_at(0, got, 2, 0));
    assert_int_equal(EINTR, errno);
    assert_int_equal(READ_INTERRUPTED_MAX, calls);
}

static void returns_what_there_is_when_the_file_ends(void **state)
{
    (void)state;
    assert_int_equal(6, read_at(0, got, 16, 10));
    assert_memory_equal("abcdef", got, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(reads_all_bytes_in_short_reads, prepare),
        cmocka_unit_test_setup(repeats_a_read_that_a_signal_interrupts, prepare),
        cmocka_unit_test_setup(gives_up_when_every_read_is_interrupted, prepare),
        cmocka_unit_test_setup(returns_what_there_is_when_the_file_ends, prepare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
