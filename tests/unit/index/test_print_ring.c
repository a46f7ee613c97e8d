/* Blocks come out of the ring as they went in, whole, in their order and once; what does
 * not fit is left out, and nobody waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "index/print_ring.h"

enum { HEAD_WORDS = sizeof(struct print_block) / 8, BLOCKS = 200000 };

static struct print_rings *all;
static struct print_ring *ring;

static int set_up(void **state)
{
    (void)state;
    all = print_rings_new(2);
    ring = print_rings_open(all, 3, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    print_rings_free(all);
    return 0;
}

static bool put(uint64_t first, uint32_t n)
{
    struct print_block *b = print_ring_room(ring, n);

    if (b == NULL) {
        return false;
    }
    b->at = (struct spool_written){.first = first, .n = n};
    b->field = first + 1;
    for (uint32_t i = 0; i < n; i++) {
        b->prints[i] = first * 1000003 + i;
    }
    print_ring_put(ring);
    return true;
}

/* The oldest block's first sequence; 0: there is none. */
static uint64_t take(void)
{
    const struct print_block *b = print_ring_head(ring);
    uint64_t first;

    if (b == NULL) {
        return 0;
    }
    first = b->at.first;
    assert_true(b->field == first + 1);
    for (uint32_t i = 0; i < b->at.n; i++) {
        assert_true(b->prints[i] == first * 1000003 + i);
    }
    print_ring_take(ring);
    return first;
}

static void each_stream_and_worker_has_one(void **state)
{
    (void)state;
    assert_true(print_rings_open(all, 3, 1) == ring);
    assert_true(print_rings_get(all, 3, 1) == ring);
    assert_null(print_rings_get(all, 3, 0));
    assert_null(print_rings_get(all, 1, 1));
    assert_null(print_rings_get(all, 3, 2)); /* a worker that there is not */
}

static void a_block_that_is_not_put_is_not_there(void **state)
{
    (void)state;
    assert_non_null(print_ring_room(ring, 5));
    assert_int_equal(0, take());
    assert_true(put(7, 2));
    assert_int_equal(7, take());
    assert_int_equal(0, take());
}

static void a_full_ring_takes_no_more_until_it_has_room(void **state)
{
    const uint32_t n = 1000;
    uint64_t next = 1;

    (void)state;
    while (put(next, n)) {
        next++;
    }
    assert_int_equal(PRINT_RING_WORDS / (HEAD_WORDS + n), next - 1);
    assert_false(put(next, n));
    for (uint64_t i = 1; i < 5; i++) {
        assert_int_equal(i, take());
    }
    assert_true(put(next, n));
    assert_false(put(0xFFFF, PRINT_RING_WORDS / 2));
    for (uint64_t i = 5; i <= next; i++) {
        assert_int_equal(i, take());
    }
    assert_int_equal(0, take());
}

static void the_largest_block_fits_and_a_larger_one_never_does(void **state)
{
    (void)state;
    assert_false(put(1, PRINT_RING_WORDS - HEAD_WORDS + 1));
    assert_true(put(1, PRINT_RING_WORDS - HEAD_WORDS));
    assert_false(put(2, 1));
    assert_int_equal(1, take());
    assert_true(put(3, 1));
    assert_int_equal(3, take());
}

static void blocks_of_all_sizes_pass_its_end(void **state)
{
    uint64_t put_next = 1, take_next = 1;

    (void)state;
    for (uint32_t i = 0; i < 300000; i++) {
        if (put(put_next, i * 7919 % 1500)) {
            put_next++;
        }
        if (i % 3 != 0 || put_next - take_next > 100) {
            const uint64_t first = take();

            assert_true(first == (take_next < put_next ? take_next : 0));
            take_next += first != 0;
        }
    }
}

static atomic_bool done;

static void *worker(void *arg)
{
    uint64_t *n_put = arg;

    for (uint64_t i = 1; i <= BLOCKS; i++) {
        *n_put += put(i, (uint32_t)(i * 31 % 400));
    }
    atomic_store(&done, true);
    return NULL;
}

static void two_threads_see_whole_blocks_in_their_order(void **state)
{
    uint64_t n_put = 0, n_taken = 0, last = 0;
    pthread_t t;

    (void)state;
    atomic_store(&done, false);
    assert_int_equal(0, pthread_create(&t, NULL, worker, &n_put));
    for (;;) {
        const bool ended = atomic_load(&done);
        const uint64_t first = take();

        if (first == 0 && ended) {
            break;
        }
        if (first == 0) {
            (void)sched_yield();
            continue;
        }
        assert_true(first > last);
        last = first;
        n_taken++;
    }
    (void)pthread_join(t, NULL);
    assert_int_equal(n_put, n_taken);
    assert_true(n_put > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_stream_and_worker_has_one),
        TEST(a_block_that_is_not_put_is_not_there),
        TEST(a_full_ring_takes_no_more_until_it_has_room),
        TEST(the_largest_block_fits_and_a_larger_one_never_does),
        TEST(blocks_of_all_sizes_pass_its_end),
        TEST(two_threads_see_whole_blocks_in_their_order),
    };

    return cmocka_run_group_tests_name("print_ring", tests, NULL, NULL);
}
