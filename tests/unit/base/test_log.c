/* Values of a log line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"

static void a_word_stands_as_it_is_and_all_else_in_quotes(void **state)
{
    char room[64];

    (void)state;
    assert_string_equal(log_word(room, sizeof room, "/var/lib/sluice"),
                        "/var/lib/sluice");
    assert_string_equal(log_word(room, sizeof room, "[::1]:8080"), "[::1]:8080");
    assert_string_equal(log_word(room, sizeof room, "/a b"), "\"/a b\"");
    assert_string_equal(log_word(room, sizeof room, ""), "\"\"");
    assert_string_equal(log_word(room, sizeof room, "a\nb\"c"), "\"a\\nb\\\"c\"");
    assert_string_equal(log_word(room, 12, "/a long folder's name"), "\"/a long f\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_stands_as_it_is_and_all_else_in_quotes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
