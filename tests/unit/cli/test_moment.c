/* A time as commands print it, also one that no clock has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/moment.h"

static const char *text(int64_t ms, uint32_t step_ms)
{
    static char out[MOMENT_TEXT];

    memset(out, '#', sizeof out);
    return moment_text(out, ms, step_ms);
}

static void is_as_exact_as_its_step(void **state)
{
    (void)state;
    assert_string_equal("2026-11-27T09:00:12.004Z", text(1795770012004, 1));
    assert_string_equal("2026-11-27T09:00:12Z", text(1795770012004, 1000));
    assert_string_equal("1970-01-01T00:00:00.000Z", text(0, 1));
}

static void is_whole_for_any_number(void **state)
{
    (void)state;
    assert_string_equal("1969-12-31T23:59:59.999Z", text(-1, 1));
    assert_string_equal("1969-12-31T23:59:59.000Z", text(-1000, 1));
    assert_string_equal("292278994-08-17T07:12:55.807Z", text(INT64_MAX, 1));
    assert_string_equal("-292275055-05-16T16:47:04.192Z", text(INT64_MIN, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_as_exact_as_its_step),
        cmocka_unit_test(is_whole_for_any_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
