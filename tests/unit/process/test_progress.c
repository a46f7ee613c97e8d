/* A child that works, and one that was stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process/progress.h"

#define S 1000000000ull

static pid_t child(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        for (;;) {
        }
    }
    assert_true(pid > 0);
    return pid;
}

static void end(pid_t pid)
{
    assert_int_equal(0, kill(pid, SIGKILL));
    assert_int_equal(pid, waitpid(pid, NULL, 0));
}

static void test_one_that_was_stopped_stands(void **state)
{
    struct progress p;
    pid_t pid = child();
    int status;

    (void)state;
    assert_int_equal(0, kill(pid, SIGSTOP));
    assert_int_equal(pid, waitpid(pid, &status, WUNTRACED));
    progress_begin(&p, pid, 10 * S);
    assert_int_equal(S, progress_stands(&p, 11 * S));
    assert_int_equal(5 * S, progress_stands(&p, 15 * S));
    end(pid);
}

static void test_one_that_works_does_not(void **state)
{
    const struct timespec pause = {0, 1000000};
    struct progress p;
    pid_t pid = child();
    uint64_t now = 10 * S;

    (void)state;
    progress_begin(&p, pid, now);
    do {
        (void)nanosleep(&pause, NULL);
        now += S;
    } while (progress_stands(&p, now) > 0);
    assert_int_equal(0, kill(pid, SIGSTOP));
    assert_int_equal(pid, waitpid(pid, NULL, WUNTRACED));
    (void)progress_stands(&p, now); /* what it has used since */
    assert_int_equal(3 * S, progress_stands(&p, now + 3 * S));
    end(pid);
}

static void test_one_that_can_not_be_seen_is_taken_to_work(void **state)
{
    struct progress p;
    pid_t pid = child();

    (void)state;
    progress_begin(&p, pid, 10 * S);
    end(pid);
    assert_int_equal(0, progress_stands(&p, 20 * S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_was_stopped_stands),
        cmocka_unit_test(test_one_that_works_does_not),
        cmocka_unit_test(test_one_that_can_not_be_seen_is_taken_to_work),
    };

    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
