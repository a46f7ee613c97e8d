/* Token buckets: exact against a model, and between threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/attr.h"
#include "shared/buckets.h"

static void a_burst_passes_then_the_rate(void **state)
{
    const struct buckets_conf conf = {.rate = 10, .burst = 5, .max_keys = 100};
    struct buckets *b = buckets_new(&conf);
    const struct str a = STR("a"), z = STR("z");

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(buckets_take(b, a, 1, 1000), 0);
    }
    assert_int_equal(buckets_take(b, a, 1, 1000), 100);
    assert_int_equal(buckets_take(b, a, 2, 1000), 200);
    assert_int_equal(buckets_take(b, z, 1, 1000), 0); /* its own */
    assert_int_equal(buckets_take(b, a, 1, 1099), 1);
    assert_int_equal(buckets_take(b, a, 1, 1100), 0);
    assert_int_equal(buckets_take(b, a, 1, 1100), 100);
    assert_int_equal(buckets_take(b, a, 6, 9000), UINT32_MAX);
    assert_int_equal(buckets_take(b, a, 5, 9000), 0);
    assert_int_equal(buckets_refused(b), 5);
    assert_int_equal(buckets_forgotten(b), 0);
    buckets_unref(b);
}

/* A bucket in doubles, as one would write it down. */
static void agrees_with_a_model(void **state)
{
    static const struct buckets_conf confs[] = {
        {.rate = 3, .burst = 7, .max_keys = 10},
        {.rate = 1000, .burst = 10, .max_keys = 10},
        {.rate = 500000, .burst = 1000, .max_keys = 10},
        {.rate = 1.0 / 3600, .burst = 100, .max_keys = 10}};

    (void)state;
    for (size_t c = 0; c < N_ELEMS(confs); c++) {
        struct buckets *b = buckets_new(&confs[c]);
        double tokens = confs[c].burst, now = 5000, before = now;
        unsigned taken = 0, expected = 0;

        srandom((unsigned)c);
        for (int i = 0; i < 20000; i++) {
            double n = 1 + (double)(random() % 3);

            now += (double)(random() % 1000) / confs[c].rate * 4;
            tokens += (now - before) / 1000 * confs[c].rate;
            tokens = tokens > confs[c].burst ? confs[c].burst : tokens;
            before = now;
            if (tokens >= n) {
                tokens -= n;
                expected++;
            }
            taken += buckets_take(b, STR("k"), n, now) == 0;
        }
        /* The unit of time rounds: one in a hundred. */
        assert_in_range(taken, expected * 99 / 100, expected * 101 / 100 + 2);
        buckets_unref(b);
    }
}

/* Each call gives its key's rate: those of one table may have any. */
static void a_bucket_has_the_rate_of_its_key(void **state)
{
    static const struct {
        double units_per_ms, rate, burst;
    } rows[] = {{64000, 300000, 300000},
                {64000, 0.01, 1},
                {1000, 1.0 / 60, 10},
                {32, 1.0 / 86400, 90},
                {32, 0.01 / 86400, 1}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        const struct buckets_conf conf = {.max_keys = 100,
                                          .units_per_ms = rows[i].units_per_ms};
        const struct bucket_rate r = {rows[i].rate, rows[i].burst};
        struct buckets *b = buckets_new(&conf);
        double wait = 1000 / rows[i].rate;
        struct limit_view v;
        uint32_t ms;

        assert_int_equal(buckets_take_at(b, &r, STR("a"), r.burst, 1e6), 0);
        ms = buckets_take_at(b, &r, STR("a"), 1, 1e6);
        assert_true(ms == UINT32_MAX - 1 || (ms >= wait && ms <= wait * 1.01 + 2));
        buckets_look(b, &r, STR("a"), 1, 1e6, &v);
        assert_true(v.left == 0 && v.limit == r.burst && v.wait_ms == ms);
        buckets_give(b, &r, STR("a"), 1, 1e6);
        assert_int_equal(buckets_take_at(b, &r, STR("a"), 1, 1e6), 0);
        assert_int_equal(buckets_take_at(b, &r, STR("z"), r.burst, 1e6), 0);
        assert_true(buckets_take_at(b, &r, STR("z"), r.burst + 1, 1e6) == UINT32_MAX);
        buckets_unref(b);
    }
}

/* The time of a word comes round: one that was full for long looked empty. */
static void a_key_that_was_idle_for_long_finds_a_full_bucket(void **state)
{
    const struct buckets_conf conf = {.rate = 1.0 / 3600, .burst = 100, .max_keys = 10};
    struct buckets *b = buckets_new(&conf);
    double step = buckets_sweep_ms(b), now = 1e6;

    (void)state;
    for (int i = 0; i < 40; i++) {
        assert_int_equal(buckets_take(b, STR("a"), 100, now), 0);
        assert_int_not_equal(buckets_take(b, STR("a"), 1, now), 0);
        for (double until = now + 360e6 + i * 20e6; now < until; now += step) {
            buckets_sweep(b, now);
        }
    }
    buckets_unref(b);
}

/* A bucket that has no room for its burst is less deep, and says so. */
static void a_burst_that_does_not_fit_is_cut(void **state)
{
    const struct buckets_conf conf = {.max_keys = 100, .units_per_ms = 64000};
    const struct bucket_rate r = {0.01, 1000000};
    struct buckets *b = buckets_new(&conf);
    struct limit_view v;

    (void)state;
    buckets_look(b, &r, STR("a"), 1, 1e6, &v);
    assert_true(v.limit > 50 && v.limit < 100 && v.left == v.limit);
    assert_int_equal(buckets_take_at(b, &r, STR("a"), v.limit, 1e6), 0);
    assert_int_not_equal(buckets_take_at(b, &r, STR("a"), 1, 1e6), 0);
    buckets_unref(b);
}

static void many_keys_find_their_places(void **state)
{
    const struct buckets_conf conf = {.rate = 1, .burst = 1, .max_keys = 10000};
    struct buckets *b = buckets_new(&conf);
    char key[16];

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 10000; i++) {
            int n = snprintf(key, sizeof key, "k%d", i);
            uint32_t wait =
                buckets_take(b, (struct str){key, (size_t)n}, 1, 1000 + round);

            if (round == 0) {
                assert_int_equal(wait, 0);
            }
        }
    }
    assert_in_range(buckets_forgotten(b), 0, 50);
    assert_in_range(buckets_refused(b), 9900, 10000);
    buckets_unref(b);
}

struct job {
    struct buckets *b;
    uint64_t taken;
};

static void *take_many(void *arg)
{
    struct job *j = arg;
    char key[8];

    for (int i = 0; i < 200000; i++) {
        int n = snprintf(key, sizeof key, "k%d", i % 10);

        j->taken +=
            buckets_take(j->b, (struct str){key, (size_t)n}, 1, 1000 + i / 200) == 0;
    }
    return NULL;
}

static void threads_share_one_bucket(void **state)
{
    const struct buckets_conf conf = {.rate = 1000, .burst = 100, .max_keys = 100};
    struct buckets *b = buckets_new(&conf);
    struct job jobs[4] = {{b, 0}, {b, 0}, {b, 0}, {b, 0}};
    pthread_t threads[4];
    uint64_t taken = 0;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
        taken += jobs[i].taken;
    }
    /* 10 keys: a burst of 100 and 1 a millisecond for 1,000 ms; the threads' clocks
     * differ, and one ahead gives no more than its own millisecond's tokens. */
    assert_in_range(taken, 10 * 1090, 10 * 1100);
    buckets_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_then_the_rate),
        cmocka_unit_test(agrees_with_a_model),
        cmocka_unit_test(a_bucket_has_the_rate_of_its_key),
        cmocka_unit_test(a_key_that_was_idle_for_long_finds_a_full_bucket),
        cmocka_unit_test(a_burst_that_does_not_fit_is_cut),
        cmocka_unit_test(many_keys_find_their_places),
        cmocka_unit_test(threads_share_one_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
