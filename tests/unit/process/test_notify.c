/* The service manager gets each message whole, by a path or an abstract name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "process/notify.h"

static int listen_at(const char *name, socklen_t bytes)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    memcpy(a.sun_path, name, bytes);
    assert_int_equal(0,
                     bind(fd, (struct sockaddr *)&a,
                          (socklen_t)offsetof(struct sockaddr_un, sun_path) + bytes));
    return fd;
}

static void assert_gets(int fd, const char *expected)
{
    char text[4096];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

    assert_int_equal(strlen(expected), n);
    text[n] = '\0';
    assert_string_equal(expected, text);
}

static void a_message_comes_by_an_abstract_name(void **state)
{
    struct notify n;
    char name[64];
    int fd, len;

    (void)state;
    len = snprintf(name, sizeof name, "%csluice-test-%ld", '\0', (long)getpid());
    fd = listen_at(name, (socklen_t)len);
    name[0] = '@';
    (void)setenv("NOTIFY_SOCKET", name, 1);
    notify_open(&n);
    assert_true(notify_send(&n, "READY=1\nSTATUS=%s", "x"));
    assert_gets(fd, "READY=1\nSTATUS=x");
    (void)close(n.fd);
    (void)close(fd);
}

static void a_message_comes_by_a_path(void **state)
{
    char dir[] = "/tmp/sluice-test-XXXXXX", path[64], many[3000];
    struct notify n;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/notify", dir);
    fd = listen_at(path, (socklen_t)strlen(path) + 1);
    (void)setenv("NOTIFY_SOCKET", path, 1);
    notify_open(&n);
    assert_true(notify_send(&n, "WATCHDOG=1"));
    assert_gets(fd, "WATCHDOG=1");
    memset(many, 'x', sizeof many);
    many[sizeof many - 1] = '\0';
    assert_true(notify_send(&n, "STATUS=%s", many)); /* cut */
    /* A service manager that is gone, or reads nothing, stops nobody. */
    for (int i = 0; i < 1000; i++) {
        (void)notify_send(&n, "WATCHDOG=1");
    }
    assert_false(notify_send(&n, "WATCHDOG=1"));
    (void)close(fd);
    assert_false(notify_send(&n, "WATCHDOG=1"));
    (void)close(n.fd);
    (void)unlink(path);
    (void)rmdir(dir);
}

static void what_is_no_address_gets_nothing(void **state)
{
    static const char *const bad[] = {"", "@", "/", "relative", "vsock:2:1234"};
    struct notify n;
    char far[300];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        (void)setenv("NOTIFY_SOCKET", bad[i], 1);
        notify_open(&n);
        assert_int_equal(-1, n.fd);
        assert_false(notify_send(&n, "READY=1"));
    }
    memset(far, '/', sizeof far);
    far[sizeof far - 1] = '\0';
    (void)setenv("NOTIFY_SOCKET", far, 1);
    notify_open(&n);
    assert_int_equal(-1, n.fd);
    (void)unsetenv("NOTIFY_SOCKET");
    notify_open(&n);
    assert_int_equal(-1, n.fd);
}

static void a_watchdog_of_another_process_is_not_ours(void **state)
{
    static const struct {
        const char *us, *pid;
        uint64_t expected;
    } rows[] = {{"30000000", NULL, 30000000},
                {"30000000", "1", 0},
                {"0", NULL, 0},
                {"x", NULL, 0},
                {"-5", NULL, 0},
                {"99999999999999999999999", NULL, 0},
                {NULL, NULL, 0}};
    struct notify n;

    (void)state;
    (void)setenv("NOTIFY_SOCKET", "@sluice-test-none", 1);
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        (void)(rows[i].us == NULL ? unsetenv("WATCHDOG_USEC")
                                  : setenv("WATCHDOG_USEC", rows[i].us, 1));
        (void)(rows[i].pid == NULL ? unsetenv("WATCHDOG_PID")
                                   : setenv("WATCHDOG_PID", rows[i].pid, 1));
        notify_open(&n);
        assert_int_equal(rows[i].expected, n.watchdog_us);
        (void)close(n.fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_by_an_abstract_name),
        cmocka_unit_test(a_message_comes_by_a_path),
        cmocka_unit_test(what_is_no_address_gets_nothing),
        cmocka_unit_test(a_watchdog_of_another_process_is_not_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
