#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "server/admin/note.h"

static const char *locks; /* in the stead of /proc/locks; NULL: that */

FILE *fopen(const char *path, const char *mode)
{
    static FILE *(*real)(const char *, const char *);

    if (locks != NULL && strcmp(path, "/proc/locks") == 0) {
        return fmemopen((void *)(uintptr_t)locks, strlen(locks), "r");
    }
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "fopen");
    }
    return real(path, mode);
}

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

/* A process that waits for the lock, or has another kind of lock, has not the spool. */
static void only_the_holder_of_the_lock_has_the_spool(void **state)
{
    static const char *const not_holding[] = {
        "1: -> FLOCK  ADVISORY  WRITE 812 fe:01:%llu 0 EOF\n",
        "1: POSIX  ADVISORY  WRITE 812 fe:01:%llu 0 EOF\n",
        "1: FLOCK  ADVISORY  WRITE 812 fe:01:9%llu 0 EOF\n",
        "1: FLOCK  ADVISORY  READ  812 fe:01:%llu 0 EOF\n"};
    char text[128];
    struct note n;
    struct stat st;
    struct err e;

    (void)state;
    (void)close(make_lock());
    assert_int_equal(0, stat(lock, &st));
    write_note("127.0.0.1:9100 812\n");
    for (size_t i = 0; i < sizeof not_holding / sizeof *not_holding; i++) {
        (void)snprintf(text, sizeof text, not_holding[i],
                       (unsigned long long)st.st_ino);
        locks = text;
        assert_false(note_read(&n, dir, &e));
        assert_non_null(strstr(e.text, "no server runs with the spool"));
    }
    (void)snprintf(text, sizeof text,
                   "1: FLOCK  ADVISORY  WRITE 812 00:2f:%llu 0 EOF\n"
                   "1: -> FLOCK  ADVISORY  WRITE 99 00:2f:%llu 0 EOF\n",
                   (unsigned long long)st.st_ino, (unsigned long long)st.st_ino);
    assert_true(note_read(&n, dir, &e));
    write_note("127.0.0.1:9100 99\n");
    assert_false(note_read(&n, dir, &e));
    assert_non_null(strstr(e.text, "process 812 has the spool"));
    locks = NULL;
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
        cmocka_unit_test_setup_teardown(only_the_holder_of_the_lock_has_the_spool,
                                        begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_note_is_told, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
