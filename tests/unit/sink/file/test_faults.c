/* An archive whose sync fails, by an fdatasync of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "sink/file/archive.h"

static int fail_syncs; /* of the next calls */

int fdatasync(int fd)
{
    if (fail_syncs > 0) {
        fail_syncs--;
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static void ignore(void *arg, const struct record *r)
{
    (void)arg;
    (void)r;
}

static bool append(struct archive *a, struct journal *j, const char *text,
                   uint64_t first)
{
    static struct batch b;
    struct err e;

    b.n_ranges = 1;
    b.ranges[0] = (struct batch_range){1, 0, first, 1};
    return archive_append(a, COMPRESS_NONE, str_of(text), &b, true, j, &e);
}

static void expect(const char *dir, const char *name, const char *end,
                   const char *text)
{
    char path[512], got[64] = "";
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s%s", dir, name, end);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, got, sizeof got - 1) >= 0);
    (void)close(fd);
    assert_string_equal(text, got);
}

/* The kernel may have dropped what it could not write, and says so only once. */
static void nothing_more_goes_into_a_file_whose_sync_failed(void **state)
{
    char dir[] = "/tmp/sluice-archive-XXXXXX", path[512], first[256];
    struct archive a;
    struct journal *j;
    struct err e;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/journal", dir);
    j = journal_open(path, ignore, NULL, &e);
    assert_non_null(j);
    archive_init(&a, "events", dir, "00000000-0000-4000-8000-000000000000");
    assert_true(append(&a, j, "{1}\n", 1));
    assert_int_equal(4, a.length);
    (void)snprintf(first, sizeof first, "%s", a.name);
    fail_syncs = 1;
    assert_false(append(&a, j, "{2}\n", 2));
    assert_int_equal(0, fail_syncs);
    assert_int_equal(4, a.length);
    assert_true(append(&a, j, "{2}\n", 2));
    assert_string_not_equal(first, a.name);
    expect(dir, first, "", "{1}\n");
    expect(dir, a.name, ".part", "{2}\n");
    assert_true(archive_seal(&a, j, &e));
    expect(dir, a.last, "", "{2}\n");
    (void)snprintf(path, sizeof path, "%s/%s", dir, a.last);
    (void)unlink(path);
    archive_fini(&a);
    journal_close(j);
    (void)snprintf(path, sizeof path, "%s/%s", dir, first);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/journal", dir);
    (void)unlink(path);
    assert_int_equal(0, rmdir(dir));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_more_goes_into_a_file_whose_sync_failed)};

    return cmocka_run_group_tests_name("archive faults", tests, NULL, NULL);
}
