/* What a power cut finds: the calls that put keys on stable storage, in their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit/keys/store.h"

static char calls[1024];

static void note(const char *call, const char *path)
{
    const char *name = strrchr(path, '/');
    size_t n = strlen(calls);

    (void)snprintf(calls + n, sizeof calls - n, "%s %s, ", call,
                   strcmp(path, folder) == 0 ? "folder" : name + 1);
}

static void note_fd(const char *call, int fd)
{
    char link[64], path[512];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    note(call, path);
}

int fdatasync(int fd)
{
    note_fd("sync", fd);
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    note_fd("sync", fd);
    return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    note("rename", from);
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
    note("unlink", path);
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static void keys_are_on_stable_storage_before_they_are_listed(void **state)
{
    struct keystore *ks = opened();

    (void)state;
    calls[0] = '\0';
    add(ks, 0, 1000, 1500);
    assert_string_equal("sync 1.keys, sync folder, sync MANIFEST.new, "
                        "rename MANIFEST.new, sync folder, ",
                        calls);
    keystore_close(ks);
}

static void merged_files_go_once_the_list_without_them_is_stored(void **state)
{
    struct keystore *ks = opened();

    (void)state;
    add(ks, 0, 1000, 1500);
    add(ks, 1000, 2000, 1500);
    calls[0] = '\0';
    assert_int_equal(KEYSTORE_MERGED, keystore_merge(ks, 1500, &stop, &e));
    assert_string_equal("sync 3.keys, sync folder, sync MANIFEST.new, "
                        "rename MANIFEST.new, sync folder, unlink 2.keys, "
                        "unlink 1.keys, ",
                        calls);
    keystore_close(ks);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(keys_are_on_stable_storage_before_they_are_listed),
        TEST(merged_files_go_once_the_list_without_them_is_stored)};

    return cmocka_run_group_tests_name("power", tests, NULL, NULL);
}
