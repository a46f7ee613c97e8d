/* RFC 3339 as clients write it. The values are those of GNU date. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "plan/moment.h"

static const struct {
    const char *text;
    int64_t ms;
    bool ok;
} rows[] = {
    {"2025-11-23T12:13:20Z", 1763900000000, true},
    {"2025-11-23 12:13:20Z", 1763900000000, true},
    {"2025-11-23t12:13:20z", 1763900000000, true},
    {"2025-11-23T12:13:20.123456Z", 1763900000123, true},
    {"2025-11-23T13:13:20+01:00", 1763900000000, true},
    {"2025-11-23T06:43:20-05:30", 1763900000000, true},
    {"1970-01-01T00:00:00Z", 0, true},
    {"2024-02-29T00:00:00Z", 1709164800000, true},
    {"2025-02-29T00:00:00Z", 0, false},
    {"2016-12-31T23:59:60Z", 1483228799000, true},
    {"2025-11-23T12:13:20", 0, false},
    {"2025-11-23", 0, false},
    {"2025-13-01T00:00:00Z", 0, false},
    {"2025-11-31T00:00:00Z", 0, false},
    {"2025-11-23T24:00:00Z", 0, false},
    {"2025-11-23T12:60:00Z", 0, false},
    {"2025-11-23T12:13:20.Z", 0, false},
    {"2025-11-23T12:13:20+0100", 0, false},
    {"2025-11-23T12:13:20Zx", 0, false},
    {"", 0, false},
};

static void each_text_is_its_moment_or_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        int64_t ms = 0;

        if (moment_ms(str_of(rows[i].text), &ms) != rows[i].ok ||
            (rows[i].ok && ms != rows[i].ms)) {
            fail_msg("%s: %ld", rows[i].text, (long)ms);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_is_its_moment_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
