#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/ledger/prints.h"

enum { N = 100000 };

struct found {
    uint64_t last;
    unsigned n;
};

static void on_suspect(void *arg, uint64_t print)
{
    struct found *f = arg;

    f->last = print;
    f->n++;
}

static struct found suspects(const struct prints *p)
{
    struct found f = {0, 0};

    prints_each_suspect(p, on_suspect, &f);
    return f;
}

static uint64_t print_of(uint64_t i)
{
    return i * 0x9E3779B97F4A7C15u >> 8;
}

static void counts_each(void **state)
{
    struct prints *p = prints_new(N);

    (void)state;
    for (uint64_t i = 1; i <= N; i++) {
        assert_true(prints_expect(p, print_of(i), true));
    }
    assert_false(prints_expect(p, print_of(N + 1), true)); /* it is full */
    assert_int_equal(N, suspects(p).n);
    for (uint64_t i = 1; i <= N; i++) {
        assert_true(i == 7 || prints_meet(p, print_of(i)));
    }
    assert_false(prints_meet(p, print_of(N + 2)));
    assert_int_equal(1, suspects(p).n);
    assert_int_equal(print_of(7), suspects(p).last);
    assert_true(prints_meet(p, print_of(7)));
    assert_int_equal(0, suspects(p).n);
    assert_true(prints_meet(p, print_of(9)));
    assert_int_equal(print_of(9), suspects(p).last);
    prints_free(p);
}

static void lets_unconfirmed_ones_be_there_or_not(void **state)
{
    struct prints *p = prints_new(10);

    (void)state;
    assert_true(prints_expect(p, 5, false));
    assert_int_equal(0, suspects(p).n);
    assert_true(prints_meet(p, 5));
    assert_int_equal(0, suspects(p).n);
    assert_true(prints_meet(p, 5));
    assert_int_equal(1, suspects(p).n);
    prints_free(p);
}

static void leaves_what_it_can_not_count_to_a_recount(void **state)
{
    struct prints *p = prints_new(10);

    (void)state;
    for (int i = 0; i < 40; i++) {
        assert_true(prints_expect(p, 5, true));
        assert_true(prints_meet(p, 5));
    }
    assert_true(prints_expect(p, 6, true)); /* beside it, and not touched by it */
    assert_true(prints_meet(p, 6));
    assert_int_equal(1, suspects(p).n);
    assert_int_equal(5, suspects(p).last);
    prints_free(p);
}

/* A place counts to three: that may be any number more. */
static void leaves_full_counters_to_a_recount(void **state)
{
    struct prints *p = prints_new(10);

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(0, suspects(p).n);
        assert_true(prints_expect(p, 5, true));
        assert_true(prints_meet(p, 5));
    }
    assert_int_equal(1, suspects(p).n);
    assert_int_equal(5, suspects(p).last);
    prints_free(p);
    p = prints_new(10);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(0, suspects(p).n);
        assert_true(prints_expect(p, 6, false));
    }
    assert_int_equal(1, suspects(p).n);
    assert_int_equal(6, suspects(p).last);
    prints_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_each),
        cmocka_unit_test(lets_unconfirmed_ones_be_there_or_not),
        cmocka_unit_test(leaves_what_it_can_not_count_to_a_recount),
        cmocka_unit_test(leaves_full_counters_to_a_recount),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
