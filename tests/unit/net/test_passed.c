/* Sockets that systemd passes: found by name, and only those that are for this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fcntl.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/err.h"
#include "net/listener.h"
#include "net/passed.h"

static char first[80], second[80];

/* As systemd does: from descriptor 3 on. */
static int setup(void **state)
{
    struct err e;
    int a = listener_open("127.0.0.1:0", false, first, sizeof first, &e);
    int b = listener_open("127.0.0.1:0", false, second, sizeof second, &e);
    int none = open("/dev/null", O_RDONLY), silent = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    a = fcntl(a, F_DUPFD, 20);
    b = fcntl(b, F_DUPFD, 20);
    none = fcntl(none, F_DUPFD, 20);
    return dup2(a, 3) != 3 || dup2(b, 4) != 4 || dup2(none, 5) != 5 ||
           dup2(silent, 6) != 6;
}

static void say(const char *pid, const char *fds, const char *names)
{
    char own[16];

    (void)snprintf(own, sizeof own, "%ld", (long)getpid());
    (void)setenv("LISTEN_PID", pid == NULL ? own : pid, 1);
    (void)setenv("LISTEN_FDS", fds, 1);
    if (names == NULL) {
        (void)unsetenv("LISTEN_FDNAMES");
    } else {
        (void)setenv("LISTEN_FDNAMES", names, 1);
    }
}

static void assert_gives(const char *name, const char *address)
{
    char bound[80];
    struct err e;
    int fd = passed_open(name, bound, sizeof bound, &e);

    assert_true(fd > 5);
    assert_string_equal(address, bound);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    (void)close(fd);
}

static void assert_fails(const char *name, const char *why)
{
    char bound[80];
    struct err e;

    assert_int_equal(-1, passed_open(name, bound, sizeof bound, &e));
    assert_string_equal(why, e.text);
}

static void a_socket_is_found_by_its_name(void **state)
{
    (void)state;
    say(NULL, "2", "in:admin");
    assert_gives("in", first);
    assert_gives("in", first); /* again, as after a start that waited */
    assert_gives("admin", second);
    say(NULL, "1", NULL);
    assert_gives("unknown", first);
}

static void a_name_that_was_not_passed_is_an_error(void **state)
{
    (void)state;
    say(NULL, "2", "in:admin");
    assert_fails("i",
                 "can't listen on systemd:i: systemd passed 2 sockets, and none has "
                 "that name (FileDescriptorName=)");
    assert_fails("", "can't listen on systemd:: systemd passed 2 sockets, and none has "
                     "that name (FileDescriptorName=)");
    say(NULL, "2", "in");
    assert_fails("admin",
                 "can't listen on systemd:admin: systemd passed 2 sockets, and "
                 "none has that name (FileDescriptorName=)");
    say(NULL, "2", "in:in");
    assert_fails("in",
                 "can't listen on systemd:in: several sockets have that name; give "
                 "each its own FileDescriptorName=");
}

static void assert_none(const char *pid, const char *fds)
{
    char text[256];

    say(pid, fds, "in:admin");
    (void)snprintf(
        text, sizeof text,
        "can't listen on systemd:in: LISTEN_FDS=\"%s\" and LISTEN_PID=\"%s\" "
        "pass no socket to this process, which is %ld",
        fds, getenv("LISTEN_PID"), (long)getpid());
    assert_fails("in", text);
}

static void what_is_for_another_process_is_not_taken(void **state)
{
    (void)state;
    assert_none("1", "2");
    assert_none("", "2");
    assert_none(NULL, "");
    assert_none(NULL, "-1");
    assert_none(NULL, "2x");
    assert_none(NULL, "abc");
    (void)unsetenv("LISTEN_FDS");
    assert_fails("in", "can't listen on systemd:in: systemd passed 0 sockets, and none "
                       "has that name (FileDescriptorName=)");
}

static void another_kind_of_descriptor_is_refused(void **state)
{
    (void)state;
    say(NULL, "3", "in:admin:file");
    assert_fails("file",
                 "can't listen on systemd:file: it is no listening stream socket "
                 "(ListenStream= with Accept=no)");
    say(NULL, "4", "in:admin:file:silent");
    assert_fails("silent",
                 "can't listen on systemd:silent: it is no listening stream socket "
                 "(ListenStream= with Accept=no)");
}

static void each_socket_that_was_passed_has_its_name(void **state)
{
    char name[16];

    (void)state;
    say(NULL, "2", "in:admin");
    assert_true(passed_name(0, name, sizeof name));
    assert_string_equal("in", name);
    assert_true(passed_name(1, name, sizeof name));
    assert_string_equal("admin", name);
    assert_false(passed_name(2, name, sizeof name));
    say(NULL, "2", "in");
    assert_true(passed_name(1, name, sizeof name));
    assert_string_equal("", name);
    say(NULL, "1", NULL);
    assert_true(passed_name(0, name, sizeof name));
    assert_string_equal("unknown", name);
    say("1", "2", "in:admin"); /* for another process */
    assert_false(passed_name(0, name, sizeof name));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_socket_that_was_passed_has_its_name),
        cmocka_unit_test(a_socket_is_found_by_its_name),
        cmocka_unit_test(a_name_that_was_not_passed_is_an_error),
        cmocka_unit_test(what_is_for_another_process_is_not_taken),
        cmocka_unit_test(another_kind_of_descriptor_is_refused)};

    return cmocka_run_group_tests_name("passed", tests, setup, NULL);
}
