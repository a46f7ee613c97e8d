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

static void goes_there_and_back(void **state)
{
    char text[MOMENT_BYTES];

    (void)state;
    /* Each day of eight centuries, at a different millisecond. */
    for (int64_t day = -146097; day < 146097; day++) {
        int64_t ms = day * 86400000 + (day & 0xFFFFF) * 81, back;

        assert_true(moment_text((double)ms, text));
        assert_true(moment_ms((struct str){text, MOMENT_BYTES}, &back));
        assert_int_equal(back, ms);
    }
    assert_true(moment_text(253402300799999.0, text));
    assert_memory_equal(text, "9999-12-31T23:59:59.999Z", MOMENT_BYTES);
    assert_false(moment_text(253402300800000.0, text));
    assert_true(moment_text(-62167219200000.0, text));
    assert_memory_equal(text, "0000-01-01T00:00:00.000Z", MOMENT_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_is_its_moment_or_none),
        cmocka_unit_test(goes_there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
