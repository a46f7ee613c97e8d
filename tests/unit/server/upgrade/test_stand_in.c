/* Who is told about the process that takes the server's place. */
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/upgrade/stand_in.h"

static sigset_t told;

/* The pid that a child tells this process, when it takes stand_in for its own; 0: none. */
static int tells(pid_t stand_in)
{
    const struct timespec at_once = {0, 0};
    siginfo_t got;
    pid_t child = fork();

    if (child == 0) {
        stand_in_tell(stand_in, 4711);
        _exit(0);
    }
    assert_int_equal(child, waitpid(child, NULL, 0));
    return sigtimedwait(&told, &got, &at_once) == SIGRTMIN ? got.si_value.sival_int : 0;
}

static void a_stand_in_hears_who_is_next(void **state)
{
    (void)state;
    assert_int_equal(4711, tells(getpid()));
}

static void a_parent_that_is_no_stand_in_hears_nothing(void **state)
{
    (void)state;
    assert_int_equal(0, tells(getppid()));
}

/* ---- a stand-in of its own ---- */

enum { DEADLINE_S = 60 };

/* As a server: it tells the stand-in who is next, if there is one, and ends. */
static pid_t server(int go, pid_t next)
{
    pid_t pid = fork();
    char byte;

    if (pid == 0) {
        if (next != 0) {
            stand_in_tell(getppid(), next);
        }
        _exit(read(go, &byte, 1) == 1 ? 5 : 6);
    }
    return pid;
}

/* Ends with 7 at SIGTERM, which waits until then. */
static pid_t next_server(void)
{
    pid_t pid = fork();
    sigset_t set;
    int number;

    if (pid == 0) {
        (void)alarm(DEADLINE_S);
        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
        _exit(sigwait(&set, &number) == 0 ? 7 : 8);
    }
    return pid;
}

/* A process that stands in for a server; pids has the server's number, which ends when go
 * is closed for writing or gets a byte. */
static pid_t stand_in_process(int go[2], int pids[2], bool followed)
{
    sigset_t set;
    pid_t pid;

    assert_int_equal(0, pipe(go));
    assert_int_equal(0, pipe(pids));
    pid = fork();
    if (pid == 0) {
        pid_t now;

        (void)alarm(DEADLINE_S);
        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
        (void)close(go[1]);
        now = server(go[0], followed ? next_server() : 0);
        (void)!write(pids[1], &now, sizeof now);
        _exit(stand_in(now));
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

static void a_stranger_does_not_say_who_is_next(void **state)
{
    int go[2], pids[2];
    pid_t pid = stand_in_process(go, pids, false), now;

    (void)state;
    assert_int_equal(sizeof now, read(pids[0], &now, sizeof now));
    assert_int_equal(
        0, sigqueue(pid, SIGRTMIN, (union sigval){.sival_int = (int)getpid()}));
    assert_int_equal(1, write(go[1], "x", 1));
    assert_int_equal(5, code_of(pid));
    (void)close(go[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stand_in_hears_who_is_next),
        cmocka_unit_test(a_parent_that_is_no_stand_in_hears_nothing),
        cmocka_unit_test(a_signal_goes_to_the_next_when_the_first_has_ended),
        cmocka_unit_test(a_stranger_does_not_say_who_is_next)};

    (void)sigemptyset(&told);
    (void)sigaddset(&told, SIGRTMIN);
    (void)sigprocmask(SIG_BLOCK, &told, NULL);
    return cmocka_run_group_tests_name("stand_in", tests, NULL, NULL);
}
