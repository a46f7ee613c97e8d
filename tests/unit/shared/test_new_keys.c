/* Keys that several threads meet for the first time at the same moment: each gives what it
 * has, and no more. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "shared/buckets.h"
#include "shared/quota.h"

enum { THREADS = 3, ROUNDS = 100000, KEYS = 4, HAS = 2 };

static const double DAY_MS = 86400000, NOON = 1763899200000;

struct meeting {
    struct buckets *b;
    struct quota *q;
    atomic_uint round, done, next_id;
    atomic_uint of_bucket[KEYS], of_quota[KEYS];
};

static void *run(void *arg)
{
    struct meeting *m = arg;
    unsigned id = atomic_fetch_add(&m->next_id, 1);
    char text[24];

    for (unsigned r = 1; r <= ROUNDS; r++) {
        while (atomic_load(&m->round) != r) {
            (void)sched_yield();
        }
        for (unsigned i = 0; i < KEYS; i++) {
            unsigned k = (i + id) % KEYS;
            struct str key = {text, (size_t)snprintf(text, sizeof text, "%u-%u", r, k)};

            (void)atomic_fetch_add(&m->of_bucket[k],
                                   buckets_take(m->b, key, 1, 1000) == 0);
            (void)atomic_fetch_add(
                &m->of_quota[k], quota_take(m->q, key, 1, HAS, NOON + r * DAY_MS) == 0);
        }
        (void)atomic_fetch_add(&m->done, 1);
    }
    return NULL;
}

static void new_keys_give_what_they_have_to_all_threads_together(void **state)
{
    const struct buckets_conf conf = {.rate = 0.01, .burst = HAS, .max_keys = KEYS};
    struct meeting m = {.q = quota_new(&(struct quota_conf){86400, KEYS})};
    pthread_t threads[THREADS];
    unsigned short_rounds = 0;

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run, &m), 0);
    }
    for (unsigned r = 1; r <= ROUNDS; r++) {
        m.b = buckets_new(&conf); /* of a quota each day's places are free again */
        atomic_store(&m.done, 0);
        atomic_store(&m.round, r);
        while (atomic_load(&m.done) != THREADS) {
            (void)sched_yield();
        }
        unsigned all = 0;

        for (int k = 0; k < KEYS; k++) {
            unsigned gave = atomic_exchange(&m.of_bucket[k], 0);

            assert_true(gave <= HAS);
            all += gave;
            assert_int_equal(atomic_exchange(&m.of_quota[k], 0), HAS);
        }
        /* Two keys of one of two sets are one bucket with a chance of 2^-24: in one run of
         * 50 there is a round with two such keys, which share what one has. */
        assert_true(all == KEYS * HAS || all == (KEYS - 1) * HAS);
        short_rounds += all < KEYS * HAS;
        buckets_unref(m.b);
    }
    assert_true(short_rounds <= 3);
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(quota_forgotten(m.q), 0);
    quota_unref(m.q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_keys_give_what_they_have_to_all_threads_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
