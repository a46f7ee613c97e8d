/* Which policies are loaded: what the series say of the last load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/policies/versions.h"

static struct generations all;

static int set_up(void **state)
{
    (void)state;
    generations_init(&all, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    generations_fini(&all);
    return 0;
}

static struct generation *load(enum generation_status status)
{
    struct generation *g = generation_new(&all, "POST");

    assert_non_null(g);
    generation_set(&all, g, status, NULL);
    return g;
}

static uint64_t refused(void)
{
    return *all.refused;
}

static void a_refused_load_is_told_of_until_the_next_one_is_accepted(void **state)
{
    struct generation *next;

    (void)state;
    (void)load(GEN_LIVE);
    assert_int_equal(0, refused());
    (void)load(GEN_REFUSED);
    assert_int_equal(1, refused());
    next = generation_new(&all, "POST");
    assert_int_equal(1, refused()); /* it has not said yet */
    assert_int_equal(1, *all.gauges[GEN_LOADING]);
    generation_set(&all, next, GEN_REFUSED, NULL);
    assert_int_equal(1, refused());
    (void)load(GEN_LIVE);
    assert_int_equal(0, refused());
    (void)generation_new(&all, "POST");
    assert_int_equal(0, refused());
}

/* The ones before may end while one is under way. */
static void an_end_of_another_says_nothing_of_the_load_under_way(void **state)
{
    struct generation *first, *next;

    (void)state;
    first = load(GEN_LIVE);
    (void)load(GEN_REFUSED);
    next = generation_new(&all, "POST");
    generation_set(&all, first, GEN_RETIRED, NULL);
    assert_int_equal(1, refused());
    generation_set(&all, next, GEN_LIVE, NULL);
    assert_int_equal(0, refused());
}

static void a_load_without_a_place_is_refused_until_one_is_accepted(void **state)
{
    struct generation *first = NULL, *next;

    (void)state;
    for (int i = 0; i < GENERATIONS_HELD; i++) {
        struct generation *g = load(GEN_LIVE);

        first = first == NULL ? g : first;
    }
    assert_null(generation_new(&all, "POST"));
    assert_int_equal(1, refused());
    generation_set(&all, first, GEN_RETIRED, NULL);
    assert_int_equal(1, refused());
    next = generation_new(&all, "POST");
    assert_non_null(next);
    assert_int_equal(1, refused());
    generation_set(&all, next, GEN_LIVE, NULL);
    assert_int_equal(0, refused());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_refused_load_is_told_of_until_the_next_one_is_accepted, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            an_end_of_another_says_nothing_of_the_load_under_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_load_without_a_place_is_refused_until_one_is_accepted, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
