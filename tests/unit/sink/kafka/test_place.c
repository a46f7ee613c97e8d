/* The words for where a batch's messages are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "sink/kafka/place.h"

static void names_each_partition_with_its_first_and_last_offset(void **state)
{
    const struct message_place at[] = {{20, 3}, {7, 0}, {18, 3}, {0, -1}, {19, 3}};
    char out[100];

    (void)state;
    assert_string_equal("topic=bus p3=18..20 p0=7",
                        place_text("bus", at, 5, out, sizeof out));
    assert_string_equal("topic=by_event p0=7",
                        place_text(NULL, at + 1, 1, out, sizeof out));
}

static void says_that_there_are_more_partitions(void **state)
{
    struct message_place at[40];
    char out[1000], small[20];

    (void)state;
    for (int i = 0; i < 40; i++) {
        at[i] = (struct message_place){i, i};
    }
    (void)place_text("t", at, 40, out, sizeof out);
    assert_non_null(strstr(out, " p15=15 more=1"));
    assert_null(strstr(out, "p16"));
    assert_true(strlen(place_text("t", at, 40, small, sizeof small)) < sizeof small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_each_partition_with_its_first_and_last_offset),
        cmocka_unit_test(says_that_there_are_more_partitions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
