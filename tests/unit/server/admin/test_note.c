#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/err.h"
#include "server/admin/note.h"

static char dir[64], lock[96], note[96];

static int begin(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/sluice-note-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    (void)snprintf(lock, sizeof lock, "%s/LOCK", dir);
    (void)snprintf(note, sizeof note, "%s/ADMIN", dir);
    return 0;
}

static int end(void **state)
{
    (void)state;
    (void)unlink(lock);
    (void)unlink(note);
    return rmdir(dir);
}

static int make_lock(void)
{
    return open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
}

static void write_note(const char *text)
{
    FILE *f = fopen(note, "w");

    assert_non_null(f);
    (void)fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void a_note_is_believed_while_its_server_has_the_lock(void **state)
{
    struct note n;
    struct err e;
    int fd = make_lock();

    (void)state;
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_true(note_write(dir, "127.0.0.1:9100", false, &e));
    assert_true(note_there(dir));
    assert_true(note_read(&n, dir, &e));
    assert_string_equal(n.address, "127.0.0.1:9100");
    assert_int_equal(n.pid, getpid());
    assert_true(note_write(dir, "[::1]:9100", true, &e));
    assert_true(note_read(&n, dir, &e));
    assert_string_equal(n.address, "https://[::1]:9100");
    (void)close(fd);
}

static void a_note_of_a_server_that_has_ended_is_told_and_not_believed(void **state)
{
    struct note n;
    struct err e;

    (void)state;
    assert_true(note_write(dir, "127.0.0.1:9100", false, &e));
    (void)close(make_lock());
    assert_false(note_read(&n, dir, &e));
    assert_non_null(strstr(e.text, "no server runs with the spool"));
    assert_non_null(strstr(e.text, "127.0.0.1:9100"));
}

/* Its port may be another server's by now. */
static void a_note_of_another_process_than_the_locks_is_not_believed(void **state)
{
    struct note n;
    struct err e;
    int fd = make_lock();

    (void)state;
    assert_int_equal(flock(fd, LOCK_EX), 0);
    write_note("127.0.0.1:9100 1\n");
    assert_false(note_read(&n, dir, &e));
    assert_non_null(strstr(e.text, "has not noted its address yet"));
    (void)close(fd);
}

static void what_is_no_note_is_told(void **state)
{
    struct note n;
    struct err e;

    (void)state;
    assert_false(note_there(dir));
    assert_false(note_read(&n, dir, &e));
    assert_non_null(strstr(e.text, "no server has noted its address"));
    write_note("");
    assert_false(note_read(&n, dir, &e));
    assert_non_null(strstr(e.text, "does not read as ADDRESS PID"));
    write_note("127.0.0.1:9100\n");
    assert_false(note_read(&n, dir, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_note_is_believed_while_its_server_has_the_lock, begin, end),
        cmocka_unit_test_setup_teardown(
            a_note_of_a_server_that_has_ended_is_told_and_not_believed, begin, end),
        cmocka_unit_test_setup_teardown(
            a_note_of_another_process_than_the_locks_is_not_believed, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_note_is_told, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
