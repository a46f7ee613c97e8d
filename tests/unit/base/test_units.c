/* "64MiB" and "200ms" as operators write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/units.h"

static void bytes_have_a_unit(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
        bool ok;
    } rows[] = {
        {"0B", 0, true},
        {"1B", 1, true},
        {"64MiB", 64u << 20, true},
        {"1.5GiB", 1536ull << 20, true},
        {"10MB", 10000000, true},
        {"2KiB", 2048, true},
        {"1TiB", 1ull << 40, true},
        {"64", 0, false},
        {"64 MiB", 0, false},
        {"-1B", 0, false},
        {"MiB", 0, false},
        {"", 0, false},
        {"1XB", 0, false},
        {"99999999999TiB", 0, false},
        {"1e3B", 0, false},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        uint64_t bytes = 0;

        if (units_bytes(str_of(rows[i].text), &bytes) != rows[i].ok) {
            fail_msg("%s", rows[i].text);
        }
        assert_int_equal(rows[i].bytes, rows[i].ok ? bytes : 0);
    }
}

static void times_have_a_unit_unless_they_are_nothing(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
        bool ok;
    } rows[] = {
        {"0", 0, true},       {"200ms", 200, true},  {"1.5s", 1500, true},
        {"5m", 300000, true}, {"1h", 3600000, true}, {"2d", 172800000, true},
        {"10", 0, false},     {"-5s", 0, false},     {"5 parsecs", 0, false},
        {"", 0, false},       {"ms", 0, false},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        int64_t ms = 0;

        if (units_ms(str_of(rows[i].text), &ms) != rows[i].ok) {
            fail_msg("%s", rows[i].text);
        }
        assert_int_equal(rows[i].ms, rows[i].ok ? ms : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_have_a_unit),
        cmocka_unit_test(times_have_a_unit_unless_they_are_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
