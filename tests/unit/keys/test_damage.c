/* Files of a store that are damaged, or not its own: the rest is found, what is lost is
 * counted, and nothing is removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit/keys/store.h"

static bool silent; /* the disk does not say what is there */

int access(const char *path, int mode)
{
    if (silent) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

static void a_run_that_was_read_is_not_missed(void **state)
{
    struct keystore *ks = opened();

    (void)state;
    add(ks, 0, 100, 1500);
    keystore_close(ks);
    silent = true;
    ks = opened();
    silent = false;
    assert_int_equal(0, keystore_figures(ks).n_damaged);
    assert_keys(ks, 0, 100, KEYS_FOUND);
    keystore_close(ks);
}

static void a_damaged_run_is_set_aside_and_counted(void **state)
{
    struct keystore *ks = opened();
    char command[256];

    (void)state;
    add(ks, 0, 100, 1500);
    add(ks, 100, 200, 1500);
    keystore_close(ks);
    (void)snprintf(command, sizeof command, "truncate -s 3000 '%s/1.keys'", folder);
    assert_int_equal(0, system(command));
    ks = opened();
    assert_int_equal(1, keystore_figures(ks).n_damaged);
    assert_int_equal(1, n_files(".damaged"));
    assert_keys(ks, 0, 100, KEYS_ABSENT);
    assert_keys(ks, 100, 200, KEYS_FOUND);
    keystore_close(ks);
    (void)snprintf(command, sizeof command, "rm '%s/2.keys'", folder);
    assert_int_equal(0, system(command));
    ks = opened();
    assert_int_equal(1, keystore_figures(ks).n_damaged);
    keystore_close(ks);
}

/* Whatever looks at it, and however often. */
static void a_damaged_page_is_counted_once(void **state)
{
    struct keystore *ks = opened();
    char path[128], next[128];
    int fd;

    (void)state;
    add(ks, 0, 2000, 1500);
    add(ks, 2000, 4000, 1500);
    (void)snprintf(path, sizeof path, "%s/1.keys", folder);
    fd = open(path, O_WRONLY);
    assert_int_equal(5, pwrite(fd, "sweet", 5, 3 * 4096 + 100));
    assert_int_equal(0, close(fd));
    for (int i = 0; i < 3; i++) {
        uint32_t absent = 0;

        for (uint64_t k = 0; k < 2000; k++) {
            absent += find(ks, k, 2000) == KEYS_ABSENT;
        }
        assert_int_equal(255, absent);
    }
    assert_int_equal(1, keystore_figures(ks).n_damaged);
    fd = open(path, O_WRONLY);
    assert_int_equal(5, pwrite(fd, "sweet", 5, 5 * 4096 + 100));
    assert_int_equal(0, close(fd));
    (void)snprintf(next, sizeof next, "%s/MANIFEST.new", folder);
    assert_int_equal(0, mkdir(next, 0700));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(KEYSTORE_FAILED, keystore_merge(ks, 1500, &stop, &e));
    }
    assert_int_equal(0, rmdir(next));
    merge_all(ks, 1500);
    assert_int_equal(2, keystore_figures(ks).n_damaged);
    assert_int_equal(4000 - 2 * 255, keystore_figures(ks).n_keys);
    keystore_close(ks);
}

/* The list is lost, and a run of another store lies there, as after a wrong restore. */
static void a_run_of_another_key_is_set_aside(void **state)
{
    struct keystore *ks = opened();
    char command[512];

    (void)state;
    add(ks, 0, 10, 1500);
    keystore_close(ks);
    (void)snprintf(command, sizeof command, "mv %s/1.keys %s.other; rm %s/MANIFEST",
                   folder, folder, folder);
    assert_int_equal(0, system(command));
    for (int i = 0; i < 2; i++) { /* with a list, and without one */
        ks = opened();
        add(ks, 100, 200, 1500);
        keystore_close(ks);
        (void)snprintf(command, sizeof command,
                       i == 0 ? "cp %s.other %s/9.keys; rm %s/MANIFEST"
                              : "cp %s.other %s/1.keys; : %s",
                       folder, folder, folder);
        assert_int_equal(0, system(command));
        ks = opened();
        assert_int_equal(1, n_files(".damaged"));
        assert_int_equal(1, keystore_figures(ks).n_damaged);
        assert_keys(ks, 0, 10, KEYS_ABSENT);
        assert_keys(ks, 100, 200, KEYS_FOUND);
        keystore_close(ks);
        (void)snprintf(command, sizeof command, "rm %s/*.damaged", folder);
        assert_int_equal(0, system(command));
    }
    (void)snprintf(command, sizeof command, "rm %s.other", folder);
    assert_int_equal(0, system(command));
}

static void more_runs_than_there_is_room_for_are_set_aside(void **state)
{
    struct keystore *ks = opened();
    char command[256];

    (void)state;
    add(ks, 0, 10, 1500);
    add(ks, 10, 30, 1500);
    keystore_close(ks);
    (void)snprintf(
        command, sizeof command,
        "cd %s && rm MANIFEST && for i in $(seq 3 261); do cp 1.keys $i.keys; "
        "done",
        folder);
    assert_int_equal(0, system(command));
    ks = opened();
    assert_int_equal(256, n_files(".keys"));
    assert_int_equal(5, n_files(".damaged"));
    assert_int_equal(5, keystore_figures(ks).n_damaged);
    assert_keys(ks, 0, 30, KEYS_FOUND);
    merge_all(ks, 1500);
    keystore_close(ks);
    ks = opened();
    assert_keys(ks, 0, 30, KEYS_FOUND);
    assert_int_equal(5, n_files(".damaged"));
    keystore_close(ks);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(a_run_that_was_read_is_not_missed),
        TEST(a_damaged_run_is_set_aside_and_counted),
        TEST(a_damaged_page_is_counted_once), TEST(a_run_of_another_key_is_set_aside),
        TEST(more_runs_than_there_is_room_for_are_set_aside)};

    return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
