/* The stand-in and the processes that it stands in for, with the link between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "server/upgrade/link.h"
#include "server/upgrade/stand_in.h"

enum { DEADLINE_S = 60 };

/* As link.c has it. */
struct wire {
    uint32_t form, kind;
    int32_t number;
};

static void the_next_one_is_heard_and_nothing_else(void **state)
{
    const struct wire strange = {1, 2, 4711};
    struct err e;
    pid_t pid = 0;
    int ends[2];

    (void)state;
    assert_true(link_pair(ends, &e));
    assert_false(link_hear_next(ends[0], &pid));
    link_signal(ends[1], SIGTERM);
    link_next(ends[1], 4711);
    link_next(ends[1], -1);
    assert_true(link_hear_next(ends[0], &pid));
    assert_int_equal(4711, pid);
    assert_false(link_hear_next(ends[0], &pid));
    assert_int_equal(sizeof strange, send(ends[1], &strange, sizeof strange, 0));
    assert_int_equal(1, send(ends[1], "x", 1, 0));
    (void)close(ends[1]);
    assert_false(link_hear_next(ends[0], &pid));
    assert_false(link_hear_next(ends[0], &pid));
    link_signal(ends[0], SIGTERM); /* nobody hears it */
    assert_int_equal(4711, pid);
    (void)close(ends[0]);
}

static void a_server_that_hears_nothing_blocks_nobody(void **state)
{
    struct err e;
    int ends[2];

    (void)state;
    assert_true(link_pair(ends, &e));
    for (int i = 0; i < 100000; i++) {
        link_signal(ends[0], SIGHUP);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void only_signals_of_a_server_are_passed(void **state)
{
    (void)state;
    assert_true(stand_in_passes(SIGTERM));
    assert_true(stand_in_passes(SIGUSR2));
    assert_false(stand_in_passes(SIGKILL));
    assert_false(stand_in_passes(SIGSEGV));
    assert_false(stand_in_passes(-1));
}

/* ---- a stand-in of its own ---- */

/* As a server: it tells the stand-in who is next, if there is one, and ends. */
static pid_t server(int go, int link, pid_t next)
{
    pid_t pid = fork();
    char byte;

    if (pid == 0) {
        if (next != 0) {
            link_next(link, next);
        }
        _exit(read(go, &byte, 1) == 1 ? 5 : 6);
    }
    return pid;
}

/* Ends with 7 when it hears of SIGTERM. */
static pid_t next_server(int link)
{
    pid_t pid = fork();
    struct wire w;

    if (pid == 0) {
        (void)alarm(DEADLINE_S);
        while (recv(link, &w, sizeof w, 0) < 0) {
            (void)usleep(1000);
        }
        _exit(w.kind == 1 && w.number == SIGTERM ? 7 : 8);
    }
    return pid;
}

/* A process that stands in for a server; pids has the server's number, which ends when go
 * is closed for writing or gets a byte. */
static pid_t stand_in_process(int go[2], int pids[2], bool followed)
{
    struct err e;
    sigset_t set;
    pid_t pid;

    assert_int_equal(0, pipe(go));
    assert_int_equal(0, pipe(pids));
    pid = fork();
    if (pid == 0) {
        int link[2];
        pid_t now;

        (void)alarm(DEADLINE_S);
        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
        (void)close(go[1]);
        if (!link_pair(link, &e)) {
            _exit(9);
        }
        now = server(go[0], link[1], followed ? next_server(link[1]) : 0);
        (void)!write(pids[1], &now, sizeof now);
        _exit(stand_in(now, link[0]));
    }
    (void)close(go[0]);
    return pid;
}

static void await_zombie(pid_t pid)
{
    const struct timespec pause = {0, 1000000};
    char path[64], text[256];
    bool gone = false;

    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    while (!gone) {
        FILE *f = fopen(path, "re");

        gone = f == NULL || fgets(text, sizeof text, f) == NULL ||
               strstr(text, ") Z ") != NULL;
        if (f != NULL) {
            (void)fclose(f);
        }
        (void)nanosleep(&pause, NULL);
    }
}

static int code_of(pid_t pid)
{
    int status;

    assert_int_equal(pid, waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_signal_goes_to_the_next_when_the_first_has_ended(void **state)
{
    int go[2], pids[2], status;
    pid_t pid = stand_in_process(go, pids, true), now;

    (void)state;
    assert_int_equal(sizeof now, read(pids[0], &now, sizeof now));
    assert_int_equal(0, kill(pid, SIGSTOP));
    assert_int_equal(pid, waitpid(pid, &status, WUNTRACED));
    (void)close(go[1]);
    await_zombie(now);
    assert_int_equal(0, kill(pid, SIGTERM)); /* comes before SIGCHLD */
    assert_int_equal(0, kill(pid, SIGCONT));
    assert_int_equal(7, code_of(pid));
}

static void it_ends_as_the_server_does(void **state)
{
    int go[2], pids[2];
    pid_t pid = stand_in_process(go, pids, false), now;

    (void)state;
    assert_int_equal(sizeof now, read(pids[0], &now, sizeof now));
    assert_int_equal(1, write(go[1], "x", 1));
    assert_int_equal(5, code_of(pid));
    (void)close(go[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_one_is_heard_and_nothing_else),
        cmocka_unit_test(a_server_that_hears_nothing_blocks_nobody),
        cmocka_unit_test(only_signals_of_a_server_are_passed),
        cmocka_unit_test(a_signal_goes_to_the_next_when_the_first_has_ended),
        cmocka_unit_test(it_ends_as_the_server_does)};

    return cmocka_run_group_tests_name("stand_in", tests, NULL, NULL);
}
