/* A folder's sync fails by an fsync of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"

static bool broken;
static int synced;

int fsync(int fd)
{
    synced++;
    if (broken) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static void a_failed_sync_is_told(void **state)
{
    struct err e = {""};

    (void)state;
    synced = 0;
    assert_true(folder_sync("/tmp", &e));
    assert_true(folder_sync_of("/tmp/a-file", &e));
    assert_int_equal(2, synced);
    broken = true;
    assert_false(folder_sync("/tmp", &e));
    assert_non_null(strstr(e.text, "/tmp: fsync"));
    assert_false(folder_sync_of("/tmp/a-file", &e));
    broken = false;
    assert_false(folder_sync("/tmp/there-is/no-such-folder", &e));
}

static void a_file_in_the_way_is_told(void **state)
{
    char dir[] = "/tmp/sluice-test-XXXXXX", path[sizeof dir + 16];
    struct err e = {""};
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/a/b", dir);
    assert_true(folder_make(path, &e));
    assert_true(folder_make(path, &e)); /* it is there */
    (void)snprintf(path, sizeof path, "%s/a/f", dir);
    f = fopen(path, "we");
    assert_non_null(f);
    (void)fclose(f);
    assert_false(folder_make(path, &e));
    assert_non_null(strstr(e.text, "a file has that name"));
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/a/b", dir);
    (void)rmdir(path);
    (void)snprintf(path, sizeof path, "%s/a", dir);
    (void)rmdir(path);
    (void)rmdir(dir);
}

static void a_path_is_there_or_not_or_can_not_be_told(void **state)
{
    char dir[] = "/tmp/sluice-test-XXXXXX", path[sizeof dir + 16],
         loop[sizeof dir + 16];

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(1, path_there(dir));
    (void)snprintf(path, sizeof path, "%s/none", dir);
    assert_int_equal(0, path_there(path));
    (void)snprintf(loop, sizeof loop, "%s/loop", dir);
    assert_int_equal(0, symlink(loop, loop));
    assert_int_equal(-1, path_there(loop));
    assert_int_equal(0, unlink(loop));
    assert_int_equal(0, rmdir(dir));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_there_or_not_or_can_not_be_told),
        cmocka_unit_test(a_failed_sync_is_told),
        cmocka_unit_test(a_file_in_the_way_is_told)};

    return cmocka_run_group_tests_name("folder", tests, NULL, NULL);
}
