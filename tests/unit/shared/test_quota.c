/* Quotas by fixed windows: clocks that jump, hostile keys, threads, files. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/err.h"
#include "shared/quota.h"

#define DAY_MS 86400000.0

/* 2026-11-28 is day 20785; noon of it. */
static const double NOON = 20785.5 * DAY_MS;
static const struct quota_conf DAILY = {.window_s = 86400, .max_keys = 1000};

static uint32_t day_take(struct quota *q, double n, double at)
{
    return quota_take(q, STR("a"), n, 10, at);
}

static void a_quota_is_whole_again_at_midnight_utc(void **state)
{
    struct quota *q = quota_new(&DAILY);
    double midnight = 20786 * DAY_MS;
    struct limit_view v;

    (void)state;
    assert_int_equal(day_take(q, 7, NOON), 0);
    assert_int_equal(day_take(q, 4, NOON), DAY_MS / 2); /* all or none */
    assert_int_equal(day_take(q, 3, NOON), 0);
    assert_int_equal(day_take(q, 1, midnight - 1), 1);
    assert_int_equal(quota_take(q, STR("b"), 10, 10, NOON), 0);
    assert_int_equal(day_take(q, 11, NOON), UINT32_MAX);
    assert_int_equal(quota_refused(q), 3);
    quota_look(q, STR("a"), 1, 10, midnight - 500.5, &v);
    assert_true(v.left == 0 && v.limit == 10 && v.wait_ms == 501 &&
                v.window_s == 86400);
    quota_look(q, STR("a"), 11, 10, midnight, &v);
    assert_true(v.left == 10 && v.wait_ms == LIMIT_NEVER && v.reset_ms == DAY_MS);
    assert_int_equal(day_take(q, 10, midnight), 0);
    assert_int_equal(day_take(q, 1, midnight), DAY_MS);
    quota_unref(q);
}

static void numbers_that_overflow_are_more_than_any_quota(void **state)
{
    struct quota *q = quota_new(&DAILY);
    double huge[] = {1e300,     0x1p63,   0x1p64, (double)QUOTA_MAX + 1,
                     1.0 / 0.0, 0.0 / 0.0};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(huge); i++) {
        assert_int_equal(quota_take(q, STR("a"), huge[i], UINT64_MAX, NOON),
                         UINT32_MAX);
    }
    assert_int_equal(quota_take(q, STR("a"), (double)QUOTA_MAX, UINT64_MAX, NOON), 0);
    assert_int_equal(quota_take(q, STR("a"), 1, UINT64_MAX, NOON), DAY_MS / 2);
    assert_int_equal(quota_take(q, STR("b"), 1, 0, NOON), UINT32_MAX);
    quota_unref(q);
}

/* Forward over midnight and back: the next day's quota was begun, and is not given again
 * when that day comes. */
static void a_clock_set_over_midnight_and_back_gives_no_quota_twice(void **state)
{
    struct quota *q = quota_new(&DAILY);
    double total = 0;

    (void)state;
    for (int i = 0; i < 40; i++) {
        double at = NOON + (i % 2) * DAY_MS; /* flaps */

        total += day_take(q, 1, at) == 0;
    }
    assert_true(total == 11); /* one of the first day, then all of the second */
    assert_int_equal(day_take(q, 1, NOON), DAY_MS * 3 / 2);
    assert_int_equal(day_take(q, 1, NOON + DAY_MS), DAY_MS / 2);
    assert_int_equal(day_take(q, 10, NOON + 2 * DAY_MS), 0);
    quota_unref(q);
}

static void a_clock_that_was_wrong_by_years_blocks_no_key_for_years(void **state)
{
    struct quota *q = quota_new(&DAILY);
    struct limit_view v;

    (void)state;
    assert_int_equal(day_take(q, 10, NOON + 5000 * DAY_MS), 0);
    assert_int_equal(day_take(q, 1, NOON), DAY_MS / 2); /* it counts for this day */
    assert_int_equal(day_take(q, 10, NOON + DAY_MS), 0);
    /* Also when requests are only looked at while it is right again. */
    assert_int_equal(day_take(q, 10, NOON + 5000 * DAY_MS), 0);
    quota_look(q, STR("a"), 1, 10, NOON + 2 * DAY_MS, &v);
    assert_true(v.wait_ms == DAY_MS / 2);
    quota_look(q, STR("a"), 1, 10, NOON + 3 * DAY_MS, &v);
    assert_true(v.wait_ms == 0);
    quota_unref(q);
}

static void what_is_given_back_can_be_taken_again(void **state)
{
    struct quota *q = quota_new(&DAILY);

    (void)state;
    assert_int_equal(day_take(q, 10, NOON), 0);
    quota_give(q, STR("a"), 4, NOON);
    assert_int_equal(day_take(q, 5, NOON), DAY_MS / 2);
    assert_int_equal(day_take(q, 4, NOON), 0);
    quota_give(q, STR("a"), 100, NOON);
    quota_give(q, STR("unknown"), 100, NOON);
    assert_int_equal(day_take(q, 10, NOON), 0);
    quota_give(q, STR("a"), 10, NOON + DAY_MS); /* of the day before */
    assert_int_equal(day_take(q, 10, NOON + DAY_MS), 0);
    quota_unref(q);
}

/* Keys without end take the places of those that have used least. */
static void hostile_keys_do_not_free_a_key_that_has_used_much(void **state)
{
    const struct quota_conf small = {.window_s = 3600, .max_keys = 100};
    struct quota *q = quota_new(&small);
    char key[24];

    (void)state;
    assert_int_equal(quota_take(q, STR("big"), 1000, 1000, NOON), 0);
    for (int i = 0; i < 200000; i++) {
        int n = snprintf(key, sizeof key, "k%d", i);

        assert_int_equal(quota_take(q, (struct str){key, (size_t)n}, 1, 1000, NOON), 0);
    }
    assert_int_not_equal(quota_take(q, STR("big"), 1, 1000, NOON), 0);
    assert_true(quota_forgotten(q) > 190000);
    quota_unref(q);
}

enum { THREADS = 4, TAKES = 50000 };

static void *take_many(void *arg)
{
    struct quota *q = arg;
    uintptr_t taken = 0;
    char key[8];

    for (int i = 0; i < TAKES; i++) {
        int n = snprintf(key, sizeof key, "k%d", i % 50);

        taken += quota_take(q, (struct str){key, (size_t)n}, 1, 300, NOON) == 0;
    }
    return (void *)taken; /* NOLINT(performance-no-int-to-ptr) */
}

static void threads_share_a_quota_to_the_event(void **state)
{
    struct quota *q = quota_new(&DAILY);
    pthread_t threads[THREADS];
    uintptr_t taken = 0;

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, q), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *n;

        assert_int_equal(pthread_join(threads[i], &n), 0);
        taken += (uintptr_t)n;
    }
    assert_int_equal(taken, 50 * 300);
    quota_unref(q);
}

/* ---- files ---- */

static char folder[] = "/tmp/sluice-quota-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/plan.quota", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

/* Back by days and right again, as after a start without a battery: the day has its quota
 * once, also over a restart meanwhile. Another day that comes in between has its own. */
static void a_clock_that_comes_back_to_a_day_finds_what_was_used(void **state)
{
    struct quota *q = quota_new(&DAILY), *next = quota_new(&DAILY);
    struct err e;

    (void)state;
    assert_int_equal(day_take(q, 10, NOON), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(day_take(q, 1, NOON - 3 * DAY_MS), DAY_MS / 2);
        assert_int_equal(day_take(q, 1, NOON), DAY_MS / 2);
    }
    assert_int_equal(day_take(q, 1, 1000), DAY_MS * 2 - 1000); /* 1970 has no day 0 */
    assert_true(quota_save(q, path, &e));
    assert_int_equal(quota_restore(next, path, &e), QUOTA_READ);
    assert_int_equal(day_take(next, 1, NOON), DAY_MS / 2);
    assert_int_equal(day_take(next, 1, NOON - 3 * DAY_MS), DAY_MS / 2);
    assert_int_equal(day_take(next, 10, NOON - 2 * DAY_MS),
                     0); /* that clock was right */
    assert_int_equal(day_take(next, 10, NOON), 0);
    quota_unref(q);
    quota_unref(next);
    assert_int_equal(unlink(path), 0);
}

static void what_was_used_is_there_after_a_restart(void **state)
{
    struct quota *q = quota_new(&DAILY), *next = quota_new(&DAILY);
    struct quota *late = quota_new(&DAILY);
    struct err e;

    (void)state;
    assert_int_equal(quota_restore(q, path, &e), QUOTA_NONE);
    assert_false(quota_unsaved(q));
    for (int i = 0; i < 9000; i++) { /* more than a chunk; of max_keys some go */
        char key[16];
        int n = snprintf(key, sizeof key, "k%d", i);

        assert_int_equal(quota_take(q, (struct str){key, (size_t)n}, 1, 10, NOON), 0);
    }
    assert_int_equal(day_take(q, 7, NOON), 0);
    assert_true(quota_unsaved(q));
    assert_true(quota_save(q, path, &e));
    assert_false(quota_unsaved(q));
    assert_int_equal(quota_restore(next, path, &e), QUOTA_READ);
    assert_int_equal(day_take(next, 4, NOON + 1000), DAY_MS / 2 - 1000);
    assert_int_equal(day_take(next, 3, NOON), 0);
    /* A clock that is some hours back over midnight after the restart. */
    assert_int_equal(day_take(next, 1, NOON - DAY_MS), DAY_MS * 3 / 2);
    assert_int_equal(quota_restore(late, path, &e), QUOTA_READ);
    assert_int_equal(day_take(late, 10, NOON + DAY_MS), 0);
    quota_unref(q);
    quota_unref(next);
    quota_unref(late);
}

static void a_disk_that_takes_nothing_leaves_it_unsaved(void **state)
{
    struct quota *q = quota_new(&DAILY);
    struct err e;

    (void)state;
    assert_int_equal(day_take(q, 7, NOON), 0);
    assert_false(quota_save(q, "/dev/null/plan.quota", &e));
    assert_true(quota_unsaved(q));
    quota_unref(q);
}

static void flip(off_t at)
{
    int fd = open(path, O_RDWR);
    char c = 0;

    assert_int_equal(pread(fd, &c, 1, at), 1);
    c = (char)(c ^ 1);
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    assert_int_equal(close(fd), 0);
}

static void a_damaged_file_is_told(void **state)
{
    const struct quota_conf hourly = {.window_s = 3600, .max_keys = 10};
    struct quota *q = quota_new(&DAILY), *h = quota_new(&hourly);
    struct err e;
    off_t size;

    (void)state;
    assert_int_equal(day_take(q, 7, NOON), 0);
    assert_true(quota_save(q, path, &e));
    assert_int_equal(quota_restore(h, path, &e), QUOTA_DAMAGED);
    size = 56 + 16;
    for (off_t at = 0; at < size; at++) {
        struct quota *x = quota_new(&DAILY);

        flip(at);
        assert_int_equal(quota_restore(x, path, &e), QUOTA_DAMAGED);
        assert_int_equal(day_take(x, 10, NOON), 0); /* nothing of it was taken */
        flip(at);
        quota_unref(x);
    }
    for (off_t n = 0; n < size; n++) {
        assert_true(quota_save(q, path, &e));
        assert_int_equal(truncate(path, n), 0);
        assert_int_equal(quota_restore(q, path, &e), QUOTA_DAMAGED);
    }
    quota_unref(q);
    quota_unref(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quota_is_whole_again_at_midnight_utc),
        cmocka_unit_test(numbers_that_overflow_are_more_than_any_quota),
        cmocka_unit_test(a_clock_set_over_midnight_and_back_gives_no_quota_twice),
        cmocka_unit_test(a_clock_that_was_wrong_by_years_blocks_no_key_for_years),
        cmocka_unit_test(a_clock_that_comes_back_to_a_day_finds_what_was_used),
        cmocka_unit_test(what_is_given_back_can_be_taken_again),
        cmocka_unit_test(hostile_keys_do_not_free_a_key_that_has_used_much),
        cmocka_unit_test(threads_share_a_quota_to_the_event),
        cmocka_unit_test(what_was_used_is_there_after_a_restart),
        cmocka_unit_test(a_disk_that_takes_nothing_leaves_it_unsaved),
        cmocka_unit_test(a_damaged_file_is_told),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
