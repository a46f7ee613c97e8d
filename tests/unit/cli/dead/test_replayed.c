/* The marks of replayed letters: on the disk before they count, and no half ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/dead/replayed.h"
#include "unit/tools/folder.h"

enum { MANY = 3000 };

static char letters[128];
static bool sync_fails;

int fdatasync(int fd)
{
    if (sync_fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static int set_up(void **state)
{
    int rc = folder_set_up(state);

    sync_fails = false;
    (void)snprintf(letters, sizeof letters, "%s/bus.ndjson", dir);
    return rc;
}

static struct replayed *opened(void)
{
    struct err e = {""};
    struct replayed *m = replayed_open(letters, &e);

    if (m == NULL) {
        fail_msg("%s", e.text);
    }
    return m;
}

static struct mark mark(unsigned i)
{
    char at[32];

    (void)snprintf(at, sizeof at, "1.0/%u", i);
    return mark_of(str_of(at), 1700000000000, STR("{\"a\":1}"));
}

static void marks_are_there_after_a_restart(void **state)
{
    struct replayed *m = opened();
    struct err e;

    (void)state;
    for (unsigned i = 0; i < MANY; i += 2) {
        replayed_add(m, mark(i));
    }
    assert_true(replayed_save(m, &e));
    replayed_close(m);
    m = opened();
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(i % 2 == 0, replayed_has(m, mark(i)));
    }
    replayed_close(m);
}

static void a_part_of_a_letters_file_has_the_marks_of_the_whole(void **state)
{
    struct replayed *m = opened();
    struct err e;

    (void)state;
    replayed_add(m, mark(1));
    assert_true(replayed_save(m, &e));
    replayed_close(m);
    (void)strcat(letters, ".part");
    m = opened();
    assert_true(replayed_has(m, mark(1)));
    replayed_close(m);
}

static void append(struct replayed *m, const char *text)
{
    FILE *f = fopen(replayed_path(m), "ae");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(0, fclose(f));
}

/* Its letter is sent again. */
static void a_line_that_a_crash_cut_is_no_mark(void **state)
{
    struct replayed *m = opened();
    struct err e;

    (void)state;
    replayed_add(m, mark(1));
    assert_true(replayed_save(m, &e));
    append(m, "0123456789abcdef0123456789abc");
    replayed_close(m);
    m = opened();
    assert_true(replayed_has(m, mark(1)));
    assert_false(replayed_has(m, (struct mark){{0x0123456789abcdef, 0x0123456789abc}}));
    replayed_close(m);
}

/* A letter whose mark is not read would go out twice, one whose mark is made up never. */
static void marks_with_another_line_are_not_read(void **state)
{
    struct replayed *m = opened();
    struct err e = {""};

    (void)state;
    append(m, "0123456789abcdef0123456789abc\n");
    replayed_close(m);
    assert_null(replayed_open(letters, &e));
    assert_non_null(strstr(e.text, "does not say which letters are replayed"));
}

static void marks_that_are_not_synced_do_not_count(void **state)
{
    struct replayed *m = opened();
    struct err e = {""};

    (void)state;
    replayed_add(m, mark(1));
    sync_fails = true;
    assert_false(replayed_save(m, &e));
    assert_non_null(strstr(e.text, ".replayed"));
    replayed_close(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, folder_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(marks_are_there_after_a_restart),
        TEST(a_part_of_a_letters_file_has_the_marks_of_the_whole),
        TEST(a_line_that_a_crash_cut_is_no_mark),
        TEST(marks_with_another_line_are_not_read),
        TEST(marks_that_are_not_synced_do_not_count)};

    return cmocka_run_group_tests_name("replayed", tests, NULL, NULL);
}
