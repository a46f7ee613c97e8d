/* Dead letters on a disk that fails, by a write and fdatasync of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "delivery/dead.h"
#include "unit/tools/folder.h"

enum { TORN = 20 };

static int tear_writes, fail_syncs; /* of the next calls */

ssize_t write(int fd, const void *p, size_t n)
{
    if (tear_writes > 0 && n > TORN) {
        tear_writes--;
        n = TORN; /* the disk is full behind that */
    }
    return (ssize_t)syscall(SYS_write, fd, p, n);
}

int fdatasync(int fd)
{
    if (fail_syncs > 0) {
        fail_syncs--;
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static int fail_folders; /* so many syncs of a folder */
static int folders;      /* those that were well */

int fsync(int fd)
{
    if (fail_folders > 0) {
        fail_folders--;
        errno = EIO;
        return -1;
    }
    folders++;
    return (int)syscall(SYS_fsync, fd);
}

static bool put(struct dead *d, const char *event, struct err *e)
{
    struct dead_letter l = {.event = str_of(event),
                            .sink = STR("olap"),
                            .why = STR("no number"),
                            .at = {STR("u"), STR("events"), 1, 0, 7}};

    return dead_put(d, &l, e);
}

static off_t size_of(const struct dead *d)
{
    struct stat st;

    assert_int_equal(0, stat(d->path, &st));
    return st.st_size;
}

/* Else the next letter would lie behind it on the same line. */
static void a_letter_that_was_written_in_part_is_cut(void **state)
{
    struct err e = {""};
    struct dead d;
    off_t before;
    bool tell;

    (void)state;
    dead_init(&d, dir, "olap");
    assert_true(dead_open(&d, 0, "", &e));
    assert_true(dead_begin(&d, &tell, &e));
    assert_true(put(&d, "{\"a\":1}", &e));
    before = size_of(&d);
    tear_writes = 1;
    assert_false(put(&d, "{\"a\":2}", &e));
    assert_int_equal(0, tear_writes);
    assert_int_equal(before, size_of(&d));
    assert_true(put(&d, "{\"a\":3}", &e));
    assert_int_equal(2 * before, size_of(&d));
    dead_close(&d);
}

/* The spool releases the events in the letters. */
static void letters_that_could_not_be_synced_are_not_kept(void **state)
{
    struct err e = {""};
    struct dead d;
    bool tell;

    (void)state;
    dead_init(&d, dir, "olap");
    assert_true(dead_open(&d, 0, "", &e));
    assert_true(dead_begin(&d, &tell, &e));
    assert_true(put(&d, "{\"a\":1}", &e));
    fail_syncs = 1;
    assert_false(dead_sync(&d, &e));
    assert_non_null(strstr(e.text, "fdatasync"));
    dead_rewind(&d);
    assert_int_equal(0, size_of(&d));
    assert_true(dead_begin(&d, &tell, &e));
    assert_true(put(&d, "{\"a\":1}", &e));
    assert_true(dead_sync(&d, &e));
    dead_keep(&d);
    dead_close(&d);
}

/* A power cut takes a file whose name is not on the disk, with all letters in it. */
static void no_letter_goes_to_a_file_whose_name_was_not_synced(void **state)
{
    struct err e = {""};
    struct dead d;
    bool tell;

    (void)state;
    dead_init(&d, dir, "olap");
    assert_true(dead_open(&d, 0, "", &e));
    folders = 0;
    fail_folders = 2;
    assert_false(dead_begin(&d, &tell, &e));
    assert_false(dead_begin(&d, &tell, &e));
    assert_int_equal(0, folders);
    assert_true(dead_begin(&d, &tell, &e));
    assert_int_equal(1, folders);
    assert_true(put(&d, "{\"a\":1}", &e));
    assert_true(dead_sync(&d, &e));
    dead_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_letter_that_was_written_in_part_is_cut,
                                        folder_set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(letters_that_could_not_be_synced_are_not_kept,
                                        folder_set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(
            no_letter_goes_to_a_file_whose_name_was_not_synced, folder_set_up,
            folder_tear_down)};

    return cmocka_run_group_tests_name("dead faults", tests, NULL, NULL);
}
