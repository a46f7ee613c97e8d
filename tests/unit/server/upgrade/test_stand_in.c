/* Who is told about the process that takes the server's place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stand_in_hears_who_is_next),
        cmocka_unit_test(a_parent_that_is_no_stand_in_hears_nothing)};

    (void)sigemptyset(&told);
    (void)sigaddset(&told, SIGRTMIN);
    (void)sigprocmask(SIG_BLOCK, &told, NULL);
    return cmocka_run_group_tests_name("stand_in", tests, NULL, NULL);
}
