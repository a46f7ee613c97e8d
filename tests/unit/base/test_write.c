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

#include "base/err.h"

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

static void replaces_a_file_or_leaves_it(void **state)
{
    char dir[] = "/tmp/sluice-unit-write-XXXXXX", path[64], next[72];
    struct stat st;
    struct err e;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/file", dir);
    (void)snprintf(next, sizeof next, "%s.new", path);
    assert_true(write_replace(path, "one", 3, &e));
    assert_memory_equal("one.", bytes, 4);
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(-1, access(next, F_OK));
    most = 0; /* the disk takes nothing */
    assert_false(write_replace(path, "two", 3, &e));
    assert_non_null(strstr(e.text, path));
    assert_non_null(strstr(e.text, strerror(EIO)));
    assert_int_equal(0, access(path, F_OK));
    assert_int_equal(0, unlink(path));
    assert_int_equal(0, mkdir(path, 0700)); /* the name is taken */
    most = sizeof bytes;
    assert_false(write_replace(path, "two", 3, &e));
    assert_non_null(strstr(e.text, strerror(EISDIR)));
    assert_int_equal(0, rmdir(path));
    assert_int_equal(0, unlink(next));
    assert_int_equal(0, rmdir(dir));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(writes_all_bytes_in_short_writes, prepare),
        cmocka_unit_test_setup(repeats_a_write_that_a_signal_interrupts, prepare),
        cmocka_unit_test_setup(gives_up_when_every_write_is_interrupted, prepare),
        cmocka_unit_test_setup(fails_when_the_disk_takes_no_byte, prepare),
        cmocka_unit_test(makes_no_file_that_others_can_read),
        cmocka_unit_test_setup(replaces_a_file_or_leaves_it, prepare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
