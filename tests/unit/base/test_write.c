#include "base/write.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* In place of libc's: a file of 16 bytes, whose calls fail as a test says. */
static char bytes[16];
static unsigned calls, interrupts;
static size_t most;

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    (void)fd;
    calls++;
    if (calls <= interrupts && calls < 100000) { /* bounded: a loop ends, and is seen */
        errno = EINTR;
        return -1;
    }
    n = n < most ? n : most;
    memcpy(bytes + at, p, n);
    return (ssize_t)n;
}

static int prepare(void **state)
{
    (void)state;
    memset(bytes, '.', sizeof bytes);
    calls = interrupts = 0;
    most = sizeof bytes;
    return 0;
}

static void writes_all_bytes_in_short_writes(void **state)
{
    (void)state;
    most = 3;
    assert_true(write_at(0, "0123456789", 10, 2));
    assert_memory_equal("..0123456789....", bytes, 16);
    assert_int_equal(4, calls);
}

static void repeats_a_write_that_a_signal_interrupts(void **state)
{
    (void)state;
    interrupts = 3;
    assert_true(write_at(0, "ab", 2, 0));
    assert_memory_equal("ab", bytes, 2);
    assert_int_equal(4, calls);
}

static void gives_up_when_every_write_is_interrupted(void **state)
{
    (void)state;
    interrupts = UINT32_MAX;
    assert_false(write_at(0, "ab", 2, 0));
    assert_int_equal(EINTR, errno);
    assert_int_equal(WRITE_INTERRUPTED_MAX, calls);
}

static void fails_when_the_disk_takes_no_byte(void **state)
{
    (void)state;
    most = 0;
    assert_false(write_at(0, "ab", 2, 0));
    assert_int_equal(EIO, errno);
    assert_int_equal(1, calls);
}

static void makes_no_file_that_others_can_read(void **state)
{
    char path[] = "/tmp/sluice-unit-write-XXXXXX";
    int fd = mkstemp(path);
    mode_t before = umask(0);
    struct stat st;
    FILE *f;

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    assert_null(write_stream(path, "wx"));
    assert_int_equal(EEXIST, errno);
    assert_int_equal(0, unlink(path));
    f = write_stream(path, "a");
    assert_non_null(f);
    assert_true(fprintf(f, "one") == 3 && fclose(f) == 0);
    f = write_stream(path, "a");
    assert_non_null(f);
    assert_true(fprintf(f, "two") == 3 && fclose(f) == 0);
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(0640, st.st_mode & 0777);
    assert_int_equal(6, st.st_size);
    f = write_stream(path, "w");
    assert_non_null(f);
    assert_int_equal(0, fclose(f));
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(0, st.st_size);
    (void)umask(before);
    assert_int_equal(0, unlink(path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(writes_all_bytes_in_short_writes, prepare),
        cmocka_unit_test_setup(repeats_a_write_that_a_signal_interrupts, prepare),
        cmocka_unit_test_setup(gives_up_when_every_write_is_interrupted, prepare),
        cmocka_unit_test_setup(fails_when_the_disk_takes_no_byte, prepare),
        cmocka_unit_test(makes_no_file_that_others_can_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
