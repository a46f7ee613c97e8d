/* Mail of another thread wakes the loop that waits for nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "loop/mailbox.h"

static struct mailbox box;
static char order[4];
static size_t n_read;
static atomic_bool asleep;

static void on_mail(void *arg)
{
    order[n_read++] = *(const char *)arg;
    if (n_read == 3) {
        ev_break(box.loop, EVBREAK_ALL);
    }
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
    atomic_store(&asleep, true);
}

static void on_late(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void *post(void *arg)
{
    (void)arg;
    while (!atomic_load(&asleep)) {
    }
    mailbox_post(&box, on_mail, "a");
    mailbox_post(&box, on_mail, "b");
    mailbox_post(&box, on_mail, "c");
    return NULL;
}

static void wakes_its_loop_and_keeps_the_order(void **state)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    pthread_t thread;
    ev_prepare prepare;
    ev_timer late;

    (void)state;
    mailbox_init(&box, loop);
    ev_prepare_init(&prepare, on_prepare);
    ev_prepare_start(loop, &prepare);
    ev_timer_init(&late, on_late, 20., 0.);
    ev_timer_start(loop, &late);
    assert_int_equal(0, pthread_create(&thread, NULL, post, NULL));
    (void)ev_run(loop, 0);
    (void)pthread_join(thread, NULL);
    assert_int_equal(3, n_read);
    assert_string_equal("abc", order);
    ev_prepare_stop(loop, &prepare);
    ev_timer_stop(loop, &late);
    mailbox_fini(&box);
    ev_loop_destroy(loop);
}

static void reads_at_its_end_what_is_left(void **state)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

    (void)state;
    n_read = 0;
    mailbox_init(&box, loop);
    mailbox_post(&box, on_mail, "x");
    mailbox_fini(&box);
    assert_int_equal(1, n_read);
    ev_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wakes_its_loop_and_keeps_the_order),
        cmocka_unit_test(reads_at_its_end_what_is_left)};

    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
