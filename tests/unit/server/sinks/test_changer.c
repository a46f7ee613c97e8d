/* Jobs that alter sinks: each is run or, after the end, answered all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "loop/mailbox.h"
#include "server/sinks/changer.h"

static struct changer changer;
static struct mailbox mail;
static struct ev_loop *loop;
static atomic_uint n_run;
static unsigned n_done; /* the loop's */

static void run(void *arg)
{
    (void)arg;
    atomic_fetch_add(&n_run, 1);
}

static void on_done(void *arg)
{
    (void)arg;
    n_done++;
}

static void rest(void)
{
    const struct timespec ms = {0, 1000000};

    (void)nanosleep(&ms, NULL);
}

static void until_done(unsigned n)
{
    for (int i = 0; i < 20000 && n_done < n; i++) {
        (void)ev_run(loop, EVRUN_NOWAIT);
        rest();
    }
    assert_int_equal(n, n_done);
}

static int set_up(void **state)
{
    (void)state;
    loop = ev_loop_new(EVFLAG_AUTO);
    mailbox_init(&mail, loop);
    changer_init(&changer, &mail);
    atomic_store(&n_run, 0);
    n_done = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mailbox_fini(&mail);
    ev_loop_destroy(loop);
    return 0;
}

static void start(void)
{
    struct err e;

    assert_true(changer_start(&changer, &e));
}

static void stop(void)
{
    assert_true(changer_stop(&changer, clock_mono_ns() + 20000000000ull));
}

static void a_job_after_the_queue_ran_empty_is_run(void **state)
{
    (void)state;
    start();
    for (unsigned i = 1; i <= 3; i++) {
        changer_post(&changer, run, on_done, NULL);
        until_done(i);
    }
    assert_int_equal(3, atomic_load(&n_run));
    stop();
}

static void jobs_run_in_the_order_of_their_posting(void **state)
{
    (void)state;
    changer_post(&changer, run, on_done, NULL); /* before the thread is there */
    changer_post(&changer, run, NULL, NULL);
    changer_post(&changer, run, on_done, NULL);
    start();
    until_done(2);
    assert_int_equal(3, atomic_load(&n_run));
    stop();
}

static atomic_bool held, go_on;

static void hold(void *arg)
{
    (void)arg;
    atomic_store(&held, true);
    while (!atomic_load(&go_on)) {
        rest();
    }
}

static void jobs_that_wait_at_the_end_are_answered_and_not_run(void **state)
{
    char sink[96];

    (void)state;
    atomic_store(&held, false);
    atomic_store(&go_on, false);
    start();
    changer_post(&changer, hold, on_done, NULL);
    changer_post(&changer, run, on_done, NULL);
    changer_post(&changer, run, on_done, NULL);
    while (!atomic_load(&held)) {
        rest();
    }
    changer_at(&changer, "bus");
    assert_true(changer_late(&changer, 0, sink, sizeof sink));
    assert_string_equal("bus", sink);
    assert_false(changer_stop(&changer, 0)); /* one does not come back */
    until_done(2);
    atomic_store(&go_on, true);
    stop();
    until_done(3);
    assert_int_equal(0, atomic_load(&n_run));
}

static void a_job_after_the_end_is_answered_and_not_run(void **state)
{
    (void)state;
    start();
    stop();
    changer_post(&changer, run, on_done, NULL);
    until_done(1);
    assert_int_equal(0, atomic_load(&n_run));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_after_the_queue_ran_empty_is_run),
        TEST(jobs_run_in_the_order_of_their_posting),
        TEST(jobs_that_wait_at_the_end_are_answered_and_not_run),
        TEST(a_job_after_the_end_is_answered_and_not_run)};

    return cmocka_run_group_tests_name("changer", tests, NULL, NULL);
}
