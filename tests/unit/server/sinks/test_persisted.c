/* The list of sinks that an earlier policy has left: whole on the disk before it counts,
 * and never taken for whole when it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/folder.h"
#include "server/sinks/persisted.h"
#include "unit/tools/folder.h"

#define HASH_OF(c) c c c c c c c c c c c c c c c c
#define A_HASH HASH_OF("abcd")
#define B_HASH HASH_OF("1234")

static unsigned n_syncs; /* of files that are to be renamed */
static bool sync_fails;

int fsync(int fd)
{
    char link[64], path[PATH_MAX];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n > 4 && memcmp(path + n - 4, ".new", 4) == 0) {
        n_syncs++;
        if (sync_fails) {
            errno = EIO;
            return -1;
        }
    }
    return (int)syscall(SYS_fsync, fd);
}

static int set_up(void **state)
{
    n_syncs = 0;
    sync_fails = false;
    return folder_set_up(state);
}

static void write_text(const char *name, const char *text)
{
    char path[PATH_MAX];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/sinks/%s", dir, name);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(0, fclose(f));
}

static int there(const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/sinks/%s", dir, name);
    return path_there(path);
}

static struct persisted two(void)
{
    struct persisted k = {.n = 0};
    const struct persisted_sink bus = {"bus", "kafka", A_HASH, 3};
    const struct persisted_sink olap = {"olap", "clickhouse", B_HASH, 4};

    assert_true(persisted_put(&k, &bus));
    assert_true(persisted_put(&k, &olap));
    return k;
}

static void a_list_is_read_as_it_was_written(void **state)
{
    struct persisted k = two(), read;
    struct err e;

    (void)state;
    assert_true(persisted_read(&read, dir, &e));
    assert_int_equal(0, read.n); /* no file: no lines */
    assert_true(persisted_write(&k, dir, NULL, &e));
    assert_true(persisted_read(&read, dir, &e));
    assert_int_equal(2, read.n);
    assert_string_equal(A_HASH, persisted_find(&read, "bus")->hash);
    assert_int_equal(4, persisted_find(&read, "olap")->generation);
    assert_null(persisted_find(&read, "olap2"));
    persisted_remove(&read, "bus");
    assert_null(persisted_find(&read, "bus"));
    assert_non_null(persisted_find(&read, "olap"));
}

static void a_list_is_on_the_disk_before_it_gets_its_name(void **state)
{
    struct persisted k = two(), read;
    struct err e;

    (void)state;
    assert_true(persisted_write(&k, dir, NULL, &e));
    assert_int_equal(1, n_syncs);
    assert_true(persisted_write(&k, dir, NULL, &e));
    assert_int_equal(1, n_syncs); /* the file says that already */
    persisted_remove(&k, "bus");
    sync_fails = true;
    assert_false(persisted_write(&k, dir, NULL, &e));
    assert_true(persisted_read(&read, dir, &e));
    assert_int_equal(2, read.n);
}

/* The sinks below the damaged line would give up the events that they are owed. */
static void a_list_with_a_damaged_line_is_not_read(void **state)
{
    static const char *const damaged[] = {
        "bus kafka " A_HASH " 3\nolap clickhouse\n", /* all that is there of it */
        "bus kafka " A_HASH " 3\nolap clickhouse " B_HASH " 4", /* of 45? */
        "bus kafka " A_HASH " 3\n\nolap clickhouse " B_HASH " 4\n",
        "bus kafka " A_HASH " 3\nolap clickhouse " B_HASH " x\nlog file " A_HASH
        " 3\n"};
    struct persisted k = two(), read;
    struct err e;

    (void)state;
    assert_true(persisted_write(&k, dir, NULL, &e));
    for (size_t i = 0; i < N_ELEMS(damaged); i++) {
        write_text("KEPT", damaged[i]);
        assert_false(persisted_read(&read, dir, &e));
        assert_non_null(strstr(e.text, "line 2"));
    }
}

static void as_many_sinks_as_can_be_noted_are_read_again(void **state)
{
    struct persisted k = {.n = 0}, read;
    struct persisted_sink x = {"", "file", A_HASH, 1};
    struct err e;

    (void)state;
    for (int i = 0; i < KEPT_MAX; i++) {
        (void)snprintf(x.name, sizeof x.name, "sink%d", i);
        assert_true(persisted_put(&k, &x));
    }
    x.name[0] = 'l';
    assert_false(persisted_put(&k, &x));
    assert_true(persisted_write(&k, dir, NULL, &e));
    assert_true(persisted_read(&read, dir, &e));
    assert_int_equal(KEPT_MAX, read.n);
}

static void the_policies_that_a_line_names_stay(void **state)
{
    struct persisted k = two();
    struct err e;

    (void)state;
    assert_true(persisted_write(&k, dir, NULL, &e));
    write_text(A_HASH ".policy", "");
    write_text(B_HASH ".policy", "");
    write_text(HASH_OF("5678") ".policy", "");
    persisted_sweep(&k, dir);
    assert_int_equal(1, there(A_HASH ".policy"));
    assert_int_equal(1, there(B_HASH ".policy"));
    assert_int_equal(0, there(HASH_OF("5678") ".policy"));
    persisted_remove(&k, "bus");
    assert_true(persisted_write(&k, dir, NULL, &e));
    assert_int_equal(0, there(A_HASH ".policy"));
    assert_int_equal(1, there(B_HASH ".policy"));
}

/* Between a sink's line and its journal, and after the journal, a mark says that none was
 * lost. */
static void a_mark_says_that_no_journal_was_lost(void **state)
{
    struct persisted k = two();
    struct err e;

    (void)state;
    assert_true(persisted_begin(dir, "bus", &e));
    assert_int_equal(1, persisted_without(dir, "bus"));
    assert_true(persisted_write(&k, dir, NULL, &e));
    assert_int_equal(1, persisted_without(dir, "bus"));
    write_text("bus.journal", "x");
    persisted_sweep(&k, dir);
    assert_int_equal(0, persisted_without(dir, "bus"));
    assert_true(persisted_begin(dir, "bus", &e)); /* it has a journal: no mark */
    assert_int_equal(0, persisted_without(dir, "bus"));
    assert_true(persisted_end(dir, "bus", "bus", &e));
    assert_int_equal(0, there("bus.journal"));
    assert_int_equal(1, there("bus.former")); /* what it has sent, no journal says */
    assert_int_equal(1, persisted_without(dir, "bus"));
    persisted_remove(&k, "bus");
    assert_true(persisted_write(&k, dir, NULL, &e));
    assert_int_equal(0, persisted_without(dir, "bus"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, folder_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_is_read_as_it_was_written),
        TEST(a_list_is_on_the_disk_before_it_gets_its_name),
        TEST(a_list_with_a_damaged_line_is_not_read),
        TEST(as_many_sinks_as_can_be_noted_are_read_again),
        TEST(the_policies_that_a_line_names_stay),
        TEST(a_mark_says_that_no_journal_was_lost)};

    return cmocka_run_group_tests_name("persisted", tests, NULL, NULL);
}
