/* The memory of keys: reserved, settled, undone, expired, full; between threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/siphash.h"
#include "shared/seen.h"

static enum seen_result ask(struct seen *s, const char *key, uint64_t owner, double now,
                            uint32_t *chain)
{
    struct seen_hash h = seen_hash_of(s, str_of(key), SEEN_TEXT);
    uint64_t that;

    return seen_ask(s, &h, owner, (struct seen_when){now, 1000}, chain, &that);
}

static uint64_t other; /* that has the key, of the last ask */

static enum seen_result ask_hash(struct seen *s, const struct seen_hash *h,
                                 uint64_t owner, double now, uint32_t *chain)
{
    return seen_ask(s, h, owner, (struct seen_when){now, 1000}, chain, &other);
}

static void a_key_counts_once_it_is_stored(void **state)
{
    struct seen *s =
        seen_new(&(struct seen_conf){.window_ms = 60000, .max_keys = 1000});
    uint32_t one = 0, two = 0;

    (void)state;
    assert_int_equal(ask(s, "a", 1, 0, &one), SEEN_NEW);
    assert_int_equal(ask(s, "a", 1, 0, &one), SEEN_MINE);
    assert_int_equal(ask(s, "a", 2, 0, &two), SEEN_BUSY);
    assert_int_equal(two, 0);
    seen_finish(s, 1, one, false);
    assert_int_equal(ask(s, "a", 2, 0, &two), SEEN_NEW);
    assert_int_equal(ask(s, "b", 2, 0, &two), SEEN_NEW);
    seen_finish(s, 1, two, true);
    one = 0;
    assert_int_equal(ask(s, "a", 3, 1000, &one), SEEN_BEFORE);
    assert_int_equal(ask(s, "b", 3, 1000, &one), SEEN_BEFORE);
    assert_int_equal(ask(s, "c", 3, 1000, &one), SEEN_NEW);
    seen_finish(s, 1, one, true);
    seen_unref(s);
}

static void a_window_ends(void **state)
{
    struct seen *s =
        seen_new(&(struct seen_conf){.window_ms = 60000, .max_keys = 1000});
    uint32_t chain = 0;

    (void)state;
    assert_int_equal(ask(s, "a", 1, 5000, &chain), SEEN_NEW);
    /* A pending key does not expire. */
    assert_int_equal(ask(s, "a", 2, 900000, &chain), SEEN_BUSY);
    seen_finish(s, 1, chain, true);
    chain = 0;
    assert_int_equal(ask(s, "b", 1, 100000, &chain), SEEN_NEW);
    seen_finish(s, 1, chain, true);
    chain = 0;
    assert_int_equal(ask(s, "b", 1, 159900, &chain), SEEN_BEFORE);
    assert_int_equal(ask(s, "b", 1, 160100, &chain), SEEN_NEW);
    seen_finish(s, 1, chain, true);
    chain = 0;
    assert_int_equal(ask(s, "b", 1, 220000, &chain), SEEN_BEFORE);
    assert_int_equal(ask(s, "a", 1, 220000, &chain), SEEN_NEW);
    seen_finish(s, 1, chain, true);
    seen_unref(s);
}

/* A random life of few keys beside a plain model of the same. */
/* Workers look at the clock once a turn: one whose turn is long is behind the others. */
static void a_worker_whose_clock_is_behind_knows_the_others_keys(void **state)
{
    struct seen *s =
        seen_new(&(struct seen_conf){.window_ms = 60000, .max_keys = 1000});
    uint32_t chain = 0;

    (void)state;
    assert_int_equal(ask(s, "a", 1, 5000, &chain), SEEN_NEW);
    seen_finish(s, 1, chain, true);
    chain = 0;
    assert_int_equal(ask(s, "a", 2, 4990, &chain), SEEN_BEFORE);
    assert_int_equal(ask(s, "a", 2, 0, &chain), SEEN_BEFORE);
    seen_unref(s);
}

static void agrees_with_a_model(void **state)
{
    enum { KEYS = 3000, WINDOW = 5000 };
    static double since[KEYS]; /* 0: not seen */
    struct seen *s =
        seen_new(&(struct seen_conf){.window_ms = WINDOW, .max_keys = KEYS});
    double now = 1000000;
    unsigned repeats = 0;

    (void)state;
    srandom(7);
    for (uint64_t owner = 1; owner < 100000; owner++) {
        uint32_t chain = 0;
        bool stored = random() % 4 != 0;
        int fresh[3], n = 0;

        now += 10; /* whole ticks, so that the model need not round */
        for (int i = 0; i < 3; i++) {
            int k = (int)(random() % KEYS), known = 0;
            char key[16];
            enum seen_result r, want;

            for (int j = 0; j < n; j++) {
                known |= fresh[j] == k;
            }
            want = known                                            ? SEEN_MINE
                   : since[k] != 0 && now - since[k] <= WINDOW + 10 ? SEEN_BEFORE
                                                                    : SEEN_NEW;
            (void)snprintf(key, sizeof key, "key-%d", k);
            r = ask(s, key, owner, now, &chain);
            assert_int_equal(r, want);
            repeats += r == SEEN_BEFORE;
            if (r == SEEN_NEW) {
                fresh[n++] = k;
            }
        }
        seen_finish(s, 1, chain, stored);
        for (int j = 0; j < n; j++) {
            since[fresh[j]] = stored ? now : 0;
        }
    }
    assert_true(repeats > 10000);
    assert_int_equal(seen_forgotten(s), 0);
    seen_unref(s);
}

static void when_full_the_oldest_is_forgotten_and_nothing_new_is_dropped(void **state)
{
    enum { MAX = 1000 };
    struct seen *s =
        seen_new(&(struct seen_conf){.window_ms = 1000000, .max_keys = MAX});
    uint32_t chain;
    char key[16];
    unsigned repeats = 0;

    (void)state;
    for (int i = 0; i < 20 * MAX; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        chain = 0;
        assert_int_equal(ask(s, key, 1, 1000 + i, &chain), SEEN_NEW);
        seen_finish(s, 1, chain, true);
    }
    assert_true(seen_count(s) >= MAX);
    assert_int_equal(seen_forgotten(s), 20 * MAX - seen_count(s));
    /* The last ones are there. */
    for (int i = 20 * MAX - MAX / 2; i < 20 * MAX; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        chain = 0;
        repeats += ask(s, key, 1, 30000, &chain) == SEEN_BEFORE;
        seen_finish(s, 1, chain, true);
    }
    assert_int_equal(repeats, MAX / 2);
    seen_unref(s);
}

static void what_is_pending_is_never_forgotten(void **state)
{
    struct seen *s = seen_new(&(struct seen_conf){.window_ms = 1000, .max_keys = 64});
    uint32_t chain = 0;
    unsigned full = 0, fresh = 0;
    char key[16];

    (void)state;
    for (int i = 0; i < 10000; i++) {
        enum seen_result r;

        (void)snprintf(key, sizeof key, "k%d", i);
        r = ask(s, key, 1, 1000, &chain);
        full += r == SEEN_FULL;
        fresh += r == SEEN_NEW;
    }
    assert_int_equal(full + fresh, 10000);
    assert_true(full > 0);
    assert_int_equal(seen_forgotten(s), 0);
    seen_finish(s, 1, chain, false);
    chain = 0;
    assert_int_equal(ask(s, "k0", 2, 1000, &chain), SEEN_NEW);
    seen_finish(s, 1, chain, true);
    seen_unref(s);
}

struct job {
    struct seen *s;
    uint64_t worker, stored;
};

/* All send the same keys; half of the requests fail and are sent again. */
static void *send_all(void *arg)
{
    struct job *j = arg;
    unsigned seed = (unsigned)j->worker;

    for (int i = 0; i < 50000; i++) {
        char key[16];
        bool done = false;

        (void)snprintf(key, sizeof key, "k%d", i);
        while (!done) {
            uint32_t chain = 0;
            enum seen_result r = ask(j->s, key, j->worker, 1000, &chain);
            bool stored = rand_r(&seed) % 2 == 0;

            done = r == SEEN_BEFORE || (r == SEEN_NEW && stored);
            j->stored += r == SEEN_NEW && stored;
            seen_finish(j->s, 1, chain, stored);
        }
    }
    return NULL;
}

static void threads_store_each_key_once(void **state)
{
    struct seen *s =
        seen_new(&(struct seen_conf){.window_ms = 1000000, .max_keys = 120000});
    struct job jobs[3] = {{s, 1, 0}, {s, 2, 0}, {s, 3, 0}};
    pthread_t threads[3];
    uint64_t stored = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &jobs[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        (void)pthread_join(threads[i], NULL);
        stored += jobs[i].stored;
    }
    assert_int_equal(stored, 50000);
    assert_int_equal(seen_forgotten(s), 0);
    seen_unref(s);
}

static void requests_that_fail_push_nothing_out(void **state)
{
    struct seen *s =
        seen_new(&(struct seen_conf){.window_ms = 1000000, .max_keys = 1000});
    char key[16];

    (void)state;
    for (int i = 0; i < 50000; i++) {
        uint32_t chain = 0;

        (void)snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(ask(s, key, 1, 1000, &chain), SEEN_NEW);
        seen_finish(s, 1, chain, i < 500);
    }
    assert_int_equal(seen_count(s), 500);
    assert_int_equal(seen_forgotten(s), 0);
    seen_unref(s);
}

static void an_owner_tells_those_that_wait_for_it(void **state)
{
    struct seen *s =
        seen_new(&(struct seen_conf){.window_ms = 60000, .max_keys = 1000});
    struct seen_hash a = seen_hash_of(s, STR("a"), SEEN_TEXT);
    uint64_t first = seen_begin(s), second = seen_begin(s);
    uint32_t chain = 0, none = 0;

    (void)state;
    assert_true(first != second);
    assert_int_equal(ask_hash(s, &a, first, 0, &chain), SEEN_NEW);
    assert_int_equal(ask_hash(s, &a, second, 0, &none), SEEN_BUSY);
    assert_int_equal(other, first);
    assert_int_equal(seen_fate(s, first), SEEN_PENDING);
    seen_finish(s, first, chain, true);
    assert_int_equal(seen_fate(s, first), SEEN_STORED);
    assert_int_equal(seen_fate(s, second), SEEN_PENDING);
    seen_finish(s, second, 0, false);
    assert_int_equal(seen_fate(s, second), SEEN_LOST);
    /* Its place comes round again, but for one that is still pending. */
    first = seen_begin(s);
    for (int i = 0; i < 100000; i++) {
        uint64_t owner = seen_begin(s);

        assert_int_equal(seen_fate(s, owner), SEEN_PENDING);
        seen_finish(s, owner, 0, true);
        assert_int_equal(seen_fate(s, first), SEEN_PENDING);
    }
    assert_int_equal(seen_fate(s, second), SEEN_LOST);
    seen_finish(s, first, 0, true);
    assert_int_equal(seen_fate(s, first), SEEN_STORED);
    seen_unref(s);
}

/* ---- persist ---- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_counts_once_it_is_stored),
        cmocka_unit_test(a_window_ends),
        cmocka_unit_test(a_worker_whose_clock_is_behind_knows_the_others_keys),
        cmocka_unit_test(agrees_with_a_model),
        cmocka_unit_test(when_full_the_oldest_is_forgotten_and_nothing_new_is_dropped),
        cmocka_unit_test(what_is_pending_is_never_forgotten),
        cmocka_unit_test(requests_that_fail_push_nothing_out),
        cmocka_unit_test(an_owner_tells_those_that_wait_for_it),
        cmocka_unit_test(threads_store_each_key_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
