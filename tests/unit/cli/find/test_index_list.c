/* Which events the files of an index cover. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/find/index_list.h"

/* As sorted; two overlap, as after a start that made one again. */
static struct index_run runs[] = {
    {1, 0, 10, 20}, {1, 0, 20, 30}, {1, 0, 40, 50}, {1, 0, 45, 60}, {1, 1, 30, 40}};
static const struct index_list list = {.runs = runs, .n = 5};

static void covers_up_to_the_first_event_that_no_file_has(void **state)
{
    (void)state;
    assert_int_equal(9, index_list_covered(&list, 1, 0, 9));
    assert_int_equal(30, index_list_covered(&list, 1, 0, 10));
    assert_int_equal(30, index_list_covered(&list, 1, 0, 30));
    assert_int_equal(60, index_list_covered(&list, 1, 0, 44));
    assert_int_equal(44, index_list_covered(&list, 1, 1, 44));
    assert_int_equal(44, index_list_covered(&list, 2, 0, 44));
}

static void the_next_covered_event_is_after_the_one_asked_for(void **state)
{
    (void)state;
    assert_int_equal(10, index_list_next(&list, 1, 0, 1));
    assert_int_equal(11, index_list_next(&list, 1, 0, 10));
    assert_int_equal(40, index_list_next(&list, 1, 0, 29));
    assert_int_equal(40, index_list_next(&list, 1, 0, 30));
    assert_int_equal(46, index_list_next(&list, 1, 0, 45));
    assert_int_equal(UINT64_MAX, index_list_next(&list, 1, 0, 59));
    assert_int_equal(30, index_list_next(&list, 1, 1, 1));
    assert_int_equal(UINT64_MAX, index_list_next(&list, 2, 0, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(covers_up_to_the_first_event_that_no_file_has),
        cmocka_unit_test(the_next_covered_event_is_after_the_one_asked_for)};

    return cmocka_run_group_tests_name("index_list", tests, NULL, NULL);
}
