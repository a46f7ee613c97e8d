/* The launcher: what it does for the server, and what a server that was taken over can't
 * get out of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "process/launcher.h"

#define NOTE "TEST_LAUNCHER=3"

/* What the launcher starts is this test once more: it says what it has, and waits. */
static void be_started(void)
{
    char text[256] = "";
    struct dirent *x;
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;
    sigset_t blocked;

    (void)alarm(60);
    while (d != NULL && (x = readdir(d)) != NULL) {
        int fd = atoi(x->d_name);

        n += x->d_name[0] != '.' && fd != dirfd(d);
    }
    (void)sigprocmask(SIG_BLOCK, NULL, &blocked);
    (void)snprintf(text, sizeof text, "fds=%zu term=%d ignored=%d", n,
                   sigismember(&blocked, SIGTERM), signal(SIGHUP, SIG_DFL) == SIG_IGN);
    (void)!send(3, text, strlen(text), 0);
    while (recv(3, text, sizeof text, 0) > 0) {
    }
    _exit(9);
}

static void begin(struct launcher *l)
{
    struct err e;

    launcher_begin(l, NOTE);
    assert_true(l->fd >= 0);
    assert_true(launcher_enter(l, NULL, &e));
}

static bool start_now(struct launcher *l, int fd, pid_t *pid, struct err *e)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};

    if (!launcher_ask(l, fd, e)) {
        return false;
    }
    assert_int_equal(1, poll(&p, 1, 60000));
    return launcher_hear(l, pid, e) == LAUNCHER_STARTED;
}

/* A process that it has started, once it has said what it has. */
static pid_t started(struct launcher *l, int *channel, char text[256])
{
    struct err e = {""};
    pid_t pid = 0;
    int ends[2];
    ssize_t n;

    assert_int_equal(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
    if (!start_now(l, ends[1], &pid, &e)) {
        fail_msg("%s", e.text);
    }
    (void)close(ends[1]);
    n = recv(ends[0], text, 255, 0);
    assert_true(n > 0);
    text[n] = '\0';
    *channel = ends[0];
    return pid;
}

static void ended_by(pid_t pid, int number)
{
    int status;

    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(number, WTERMSIG(status));
}

static void it_starts_a_child_of_this_process_with_one_descriptor(void **state)
{
    struct launcher l;
    char text[256];
    int channel, leaks = open("/dev/null", O_RDONLY); /* without FD_CLOEXEC */
    pid_t pid;

    (void)state;
    (void)signal(SIGHUP, SIG_IGN);
    begin(&l);
    (void)signal(SIGHUP, SIG_DFL);
    pid = started(&l, &channel, text);
    assert_string_equal("fds=4 term=0 ignored=0", text);
    assert_true(launcher_signal(&l, SIGTERM));
    ended_by(pid, SIGTERM);
    assert_false(launcher_signal(&l, SIGTERM)); /* another one may have its number */
    assert_true(l.fd >= 0);
    (void)close(channel);
    (void)close(leaks);
    launcher_end(&l);
    assert_int_equal(-1, waitpid(-1, NULL, WNOHANG));
}

static void it_starts_one_at_a_time_and_as_many_as_wanted(void **state)
{
    struct launcher l;
    struct err e;
    char text[256];
    int channel;
    pid_t pid, other;

    (void)state;
    begin(&l);
    for (int i = 0; i < 3; i++) {
        pid = started(&l, &channel, text);
        assert_false(start_now(&l, channel, &other, &e));
        assert_string_equal("another process is on its way already", e.text);
        assert_true(launcher_signal(&l, SIGKILL));
        ended_by(pid, SIGKILL);
        (void)close(channel);
    }
    launcher_end(&l);
}

static void await_end(struct launcher *l)
{
    const struct timespec pause = {0, 1000000};

    for (int i = 0; i < 20000 && !launcher_ended(l); i++) {
        (void)nanosleep(&pause, NULL);
    }
    assert_true(l->lost);
    launcher_end(l);
    assert_int_equal(-1, l->fd);
}

static void one_that_was_killed_is_lost_and_said_so(void **state)
{
    struct launcher l;
    struct err e;
    pid_t pid;

    (void)state;
    begin(&l);
    assert_false(launcher_ended(&l));
    assert_int_equal(0, kill(l.pid, SIGKILL));
    while (!launcher_ended(&l)) {
    }
    assert_false(start_now(&l, 0, &pid, &e));
    assert_string_equal("the launcher, the process that starts others for one in the "
                        "sandbox: it has ended (killed?)",
                        e.text);
    assert_false(launcher_signal(&l, SIGTERM));
    launcher_end(&l);
}

static void signals_that_end_others_leave_it_alone(void **state)
{
    static const int all[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    struct launcher l;
    char text[256];
    int channel;
    pid_t pid;

    (void)state;
    begin(&l);
    for (size_t i = 0; i < N_ELEMS(all); i++) {
        assert_int_equal(0, kill(l.pid, all[i]));
    }
    pid = started(&l, &channel, text);
    assert_true(launcher_signal(&l, SIGKILL));
    ended_by(pid, SIGKILL);
    (void)close(channel);
    launcher_end(&l);
}

/* ---- a server that was taken over ---- */

static void send_raw(const struct launcher *l, const void *data, size_t n, int n_fds)
{
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(200 * sizeof(int))] = {0};
    struct iovec v = {(void *)(uintptr_t)data, n};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};

    if (n_fds > 0) {
        struct cmsghdr *c;

        h.msg_control = room;
        h.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
        c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
        memset(CMSG_DATA(c), 0, (size_t)n_fds * sizeof(int)); /* standard input */
    }
    (void)sendmsg(l->fd, &h, MSG_NOSIGNAL);
}

/* It ends the launcher, which has started nothing. */
static void refused(const void *data, size_t n, int n_fds)
{
    struct launcher l;

    begin(&l);
    send_raw(&l, data, n, n_fds);
    await_end(&l);
    assert_int_equal(-1, waitpid(-1, NULL, WNOHANG));
    assert_int_equal(ECHILD, errno);
}

static void what_is_no_request_ends_it(void **state)
{
    struct launcher_request r = {.form = LAUNCHER_FORM, .kind = LAUNCHER_START};
    char large[8 * sizeof r] = "";

    (void)state;
    refused(&r, sizeof r, 0);     /* without a descriptor */
    refused(&r, sizeof r, 2);     /* with too many */
    refused(&r, sizeof r, 200);   /* a flood of them */
    refused(&r, sizeof r - 1, 1); /* cut */
    memcpy(large, &r, sizeof r);
    refused(large, sizeof large, 1);
    refused("x", 1, 0);
    refused("/bin/sh\0-c\0id", 13, 1);
    r.form++;
    refused(&r, sizeof r, 1);
    r = (struct launcher_request){.form = LAUNCHER_FORM, .kind = 99};
    refused(&r, sizeof r, 0);
    r.kind = LAUNCHER_ENTER; /* a second time */
    refused(&r, sizeof r, 0);
    r.kind = LAUNCHER_SIGNAL; /* not one of the five */
    for (uint32_t number = 0; number < 70; number++) {
        if (number != SIGHUP && number != SIGINT && number != SIGTERM &&
            number != SIGUSR2 && number != SIGKILL) {
            r.number = number;
            refused(&r, sizeof r, 0);
        }
    }
    r.number = UINT32_MAX;
    refused(&r, sizeof r, 0);
}

static void before_it_has_entered_it_starts_nothing(void **state)
{
    const struct launcher_request r = {.form = LAUNCHER_FORM, .kind = LAUNCHER_START};
    struct launcher l;

    (void)state;
    launcher_begin(&l, NOTE);
    send_raw(&l, &r, sizeof r, 1);
    await_end(&l);
}

static void a_user_of_nonsense_ends_it(void **state)
{
    static const int n_groups[] = {-1, USER_GROUPS_MAX + 1};
    struct launcher_request r = {
        .form = LAUNCHER_FORM, .kind = LAUNCHER_ENTER, .number = 1};
    struct launcher l;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(n_groups); i++) {
        r.user.n_groups = n_groups[i];
        launcher_begin(&l, NOTE);
        send_raw(&l, &r, sizeof r, 0);
        await_end(&l);
    }
}

static void without_a_process_there_is_nobody_to_signal(void **state)
{
    struct launcher l;

    (void)state;
    begin(&l);
    for (int i = 0; i < 10000; i++) {
        assert_false(launcher_signal(&l, SIGKILL));
    }
    assert_true(l.fd >= 0);
    launcher_end(&l);
}

/* ---- its end ---- */

static void await_gone(pid_t pid)
{
    const struct timespec pause = {0, 1000000};
    char path[64], text[256];
    bool gone = false;

    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    for (int i = 0; i < 20000 && !gone; i++) {
        FILE *f = fopen(path, "re");

        gone = f == NULL || fgets(text, sizeof text, f) == NULL ||
               strstr(text, ") Z ") != NULL;
        if (f != NULL) {
            (void)fclose(f);
        }
        (void)nanosleep(&pause, NULL);
    }
    assert_true(gone);
}

static void it_ends_with_a_server_that_is_killed(void **state)
{
    int ends[2];
    pid_t server, launcher = 0;

    (void)state;
    for (int stopped = 0; stopped < 2; stopped++) {
        assert_int_equal(0, pipe(ends));
        server = fork();
        if (server == 0) {
            struct launcher l;

            begin(&l);
            if (stopped != 0) {
                (void)kill(l.pid, SIGSTOP); /* it reads no end of its sockets */
            }
            (void)!write(ends[1], &l.pid, sizeof l.pid);
            for (;;) {
                (void)pause();
            }
        }
        (void)close(ends[1]);
        assert_int_equal(sizeof launcher, read(ends[0], &launcher, sizeof launcher));
        assert_int_equal(0, kill(server, SIGKILL));
        assert_int_equal(server, waitpid(server, NULL, 0));
        await_gone(launcher);
        (void)close(ends[0]);
    }
}

static void it_ends_also_when_standard_input_was_closed(void **state)
{
    int ends[2];
    pid_t server, launcher = 0;

    (void)state;
    assert_int_equal(0, pipe(ends));
    server = fork();
    if (server == 0) {
        struct launcher l;

        for (int i = 0; i < 3; i++) {
            (void)close(i); /* so that the sockets get these numbers */
        }
        begin(&l);
        (void)!write(ends[1], &l.pid, sizeof l.pid);
        (void)close(l.fd);
        for (;;) {
            (void)pause();
        }
    }
    (void)close(ends[1]);
    assert_int_equal(sizeof launcher, read(ends[0], &launcher, sizeof launcher));
    await_gone(launcher);
    assert_int_equal(0, kill(server, SIGKILL));
    assert_int_equal(server, waitpid(server, NULL, 0));
    (void)close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_a_child_of_this_process_with_one_descriptor),
        cmocka_unit_test(it_starts_one_at_a_time_and_as_many_as_wanted),
        cmocka_unit_test(one_that_was_killed_is_lost_and_said_so),
        cmocka_unit_test(signals_that_end_others_leave_it_alone),
        cmocka_unit_test(what_is_no_request_ends_it),
        cmocka_unit_test(before_it_has_entered_it_starts_nothing),
        cmocka_unit_test(a_user_of_nonsense_ends_it),
        cmocka_unit_test(without_a_process_there_is_nobody_to_signal),
        cmocka_unit_test(it_ends_with_a_server_that_is_killed),
        cmocka_unit_test(it_ends_also_when_standard_input_was_closed)};

    if (getenv("TEST_LAUNCHER") != NULL) {
        be_started();
    }
    return cmocka_run_group_tests_name("launcher", tests, NULL, NULL);
}
