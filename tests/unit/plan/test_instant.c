/* Times as libraries and products write them, with the milliseconds that GNU date and
 * Python give; and texts and numbers that are none. */
#include "plan/instant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/attr.h"

enum {
    R = INSTANT_RFC3339,
    I = INSTANT_ISO8601,
    Z = INSTANT_NO_ZONE,
    D = INSTANT_DATE,
    H = INSTANT_HTTP,
    N = INSTANT_NUMBER,
    ALL = 63
};

static const struct {
    const char *text;
    unsigned formats; /* the fewest that take it */
    int64_t ms;
} good[] = {
    /* JavaScript: Date.toISOString, toUTCString, Temporal, Luxon, moment.format() */
    {"2025-11-23T12:13:20.000Z", R, 1763900000000},
    {"2025-11-23T12:13:20.123Z", R, 1763900000123},
    {"Sun, 23 Nov 2025 12:13:20 GMT", H, 1763900000000},
    {"2025-11-23T13:13:20.123+01:00", R, 1763900000123},
    {"2025-11-23T13:13:20+01:00", R, 1763900000000},
    {"2025-11-23T13:13:20+01:00[Europe/Berlin]", I, 1763900000000},
    {"2025-11-23T12:13:20.123456789Z", R, 1763900000123},
    {"20251123T121320Z", I, 1763900000000},
    {"20251123T121320.123Z", I, 1763900000123},
    /* Python: isoformat, str(datetime), strftime("%z"), email.utils */
    {"2025-11-23T12:13:20+00:00", R, 1763900000000},
    {"2025-11-23T12:13:20.123456+00:00", R, 1763900000123},
    {"2025-11-23 12:13:20+00:00", R, 1763900000000},
    {"2025-11-23 12:13:20.123456", Z, 1763900000123},
    {"2025-11-23T12:13:20.123456", Z, 1763900000123},
    {"2025-11-23T12:13:20", Z, 1763900000000},
    {"2025-11-23T12:13:20+0000", I, 1763900000000},
    {"2025-11-23T12:13:20.123+0000", I, 1763900000123},
    {"Sun, 23 Nov 2025 12:13:20 +0000", H, 1763900000000},
    {"Sun, 23 Nov 2025 13:13:20 +0100", H, 1763900000000},
    {"Sun, 23 Nov 2025 12:13:20 -0000", H, 1763900000000},
    /* Java: Instant, OffsetDateTime, ZonedDateTime, LocalDateTime, SimpleDateFormat */
    {"2025-11-23T12:13:20Z", R, 1763900000000},
    {"2025-11-23T12:13Z", I, 1763899980000},
    {"2025-11-23T13:13+01:00", I, 1763899980000},
    {"2025-11-23T13:13:20.123+01:00[Europe/Paris]", I, 1763900000123},
    {"2025-11-23T12:13:20Z[UTC]", I, 1763900000000},
    {"2025-11-23T12:13", Z, 1763899980000},
    {"2025-11-23T12:13:20.5", Z, 1763900000500},
    {"2025-11-23T13:13:20.123+0100", I, 1763900000123},
    {"2025-11-23T13:13:20.123+01", I, 1763900000123},
    {"2025-11-23 12:13:20.123", Z, 1763900000123},
    {"20251123", D, 1763856000000},
    {"20251123T131320+0100", I, 1763900000000},
    /* .NET: the round-trip "o" and "u" */
    {"2025-11-23T12:13:20.1234567Z", R, 1763900000123},
    {"2025-11-23T13:13:20.1234567+01:00", R, 1763900000123},
    {"2025-11-23 12:13:20Z", R, 1763900000000},
    {"2025-11-23T12:13:20.1234567", Z, 1763900000123},
    {"Sun, 23 Nov 2025 12:13:20 GMT", H, 1763900000000},
    /* Go: RFC3339Nano, time.String, RFC1123, RFC1123Z */
    {"2025-11-23T12:13:20.1Z", R, 1763900000100},
    {"2025-11-23 12:13:20.123456789 +0000 UTC", I, 1763900000123},
    {"2025-11-23 12:13:20 +0000 UTC", I, 1763900000000},
    {"Sun, 23 Nov 2025 12:13:20 UTC", H, 1763900000000},
    /* Ruby: Time#to_s, iso8601, httpdate, rfc2822 */
    {"2025-11-23 12:13:20 UTC", I, 1763900000000},
    {"2025-11-23 13:13:20 +0100", I, 1763900000000},
    {"2025-11-23 13:13:20.5 +0100", I, 1763900000500},
    {"Sun, 23 Nov 2025 12:13:20 -0000", H, 1763900000000},
    {"3 Nov 2025 02:03:04 GMT", H, 1762135384000},
    /* PHP: DATE_ATOM, DATE_ISO8601, DATE_COOKIE's sibling RFC 2822 */
    {"2025-11-23T12:13:20+0000", I, 1763900000000},
    {"2025-11-23T13:13:20+0100", I, 1763900000000},
    {"Sun, 23 Nov 2025 13:13:20 +0100", H, 1763900000000},
    /* Swift ISO8601DateFormatter, Android SDKs of analytics */
    {"2025-11-23T12:13:20.123+00:00", R, 1763900000123},
    {"2025-11-23T17:43:20.123+0530", I, 1763900000123},
    {"2025-11-23T17:58:20+0545", I, 1763900000000},
    {"2025-11-23T08:43:20-0330", I, 1763900000000},
    {"2025-11-23t12:13:20z", R, 1763900000000},
    /* PostgreSQL, MySQL, ClickHouse, BigQuery */
    {"2025-11-23 12:13:20+00", I, 1763900000000},
    {"2025-11-23 13:13:20.123456+01", I, 1763900000123},
    {"2025-11-23 12:13:20", Z, 1763900000000},
    {"2025-11-23 12:13:20.123456 UTC", I, 1763900000123},
    {"2025-11-23 12:13:20 UTC", I, 1763900000000},
    /* log4j and logback ("," before the fraction), Python logging, journald */
    {"2025-11-23 12:13:20,123", Z, 1763900000123},
    {"2025-11-23T12:13:20,123Z", I, 1763900000123},
    {"2025-11-23T13:13:20,123+0100", I, 1763900000123},
    {"2025-11-23 12:13:20,123456 +00:00", I, 1763900000123},
    /* GNU date -Iseconds, -Ins, --rfc-3339, -R, -Iminutes, -I */
    {"2025-11-23T12:13:20+00:00", R, 1763900000000},
    {"2025-11-23T12:13:20,123456789+00:00", I, 1763900000123},
    {"2025-11-23 12:13:20.123456789+00:00", R, 1763900000123},
    {"2025-11-23T12:13+00:00", I, 1763899980000},
    {"2025-11-23", D, 1763856000000},
    /* AppsFlyer, Adjust and Kochava postbacks, Amazon, Apple */
    {"2025-11-23 12:13:20.000", Z, 1763900000000},
    {"2025-11-23T12:13:20Z+0000", 0, 0},
    {"2025-11-23T12:13:20.000+0000", I, 1763900000000},
    {"20251123T121320", Z, 1763900000000},
    {"2025-11-23 12:13:20 GMT", I, 1763900000000},
    {"1763900000", N, 1763900000000},
    {"1763900000.123456", N, 1763900000123},
    {"1763900000123", N, 1763900000123},
    {"1763900000123456", N, 1763900000123},
    {"1763900000123456789", N, 1763900000123},
    /* Edges */
    {"1970-01-01T00:00:00Z", R, 0},
    {"1970-01-01T00:00:00+0000", I, 0},
    {"1994-11-06 08:49:37", Z, 784111777000},
    {"Sun, 06 Nov 1994 08:49:37 GMT", H, 784111777000},
    {"2024-02-29T00:00+00", I, 1709164800000},
    {"2024-02-29", D, 1709164800000},
    {"2000-02-29", D, 951782400000},
    {"2100-02-28", D, 4107456000000},
    {"2016-12-31T23:59:60Z", R, 1483228799000},
    {"2016-12-31 23:59:60 UTC", I, 1483228799000},
    {"2024-12-31T23:30:00-0200", I, 1735695000000},
    {"2025-01-01T00:15:00+0530", I, 1735670700000},
    {"2025-06-15T10:00:00-03:30", R, 1749994200000},
    {"2025-06-15T10:00-0330", I, 1749994200000},
    {"2025-06-15T10:00+0545", I, 1749960900000},
    {"2025-03-01T00:00+01", I, 1740783600000},
    {"1999-12-31T23:59:59,999Z", I, 946684799999},
    {"2038-01-19 03:14:07", Z, 2147483647000},
    {"9999-12-31T23:59:59.999Z", R, 253402300799999},
};

static void a_text_of_a_real_client_is_its_time(void **state)
{
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(good); i++) {
        struct str s = str_of(good[i].text);
        unsigned others = ALL & ~good[i].formats;
        int64_t ms = -1;

        if (good[i].formats == 0) {
            assert_false(instant_text(s, ALL, INSTANT_AUTO, &ms));
            continue;
        }
        n++;
        if (!instant_text(s, good[i].formats, INSTANT_AUTO, &ms) || ms != good[i].ms) {
            fail_msg("%s: %ld, expected %ld", good[i].text, (long)ms, (long)good[i].ms);
        }
        assert_true(instant_text(s, ALL, INSTANT_AUTO, &ms));
        assert_int_equal(ms, good[i].ms);
        /* What is RFC 3339 is ISO 8601 as well. */
        others &= good[i].formats == R ? ~(unsigned)I : ~0u;
        if (instant_text(s, others, INSTANT_AUTO, &ms)) {
            fail_msg("%s: taken by a format that does not say so", good[i].text);
        }
    }
    assert_true(n >= 80);
}

static const char *const bad[] = {"",
                                  " ",
                                  "T",
                                  "2025",
                                  "2025-11",
                                  "2025-11-",
                                  "2025-11-2",
                                  "2025-13-01",
                                  "2025-00-01",
                                  "2025-11-00",
                                  "2025-11-31",
                                  "2025-02-29",
                                  "2025-1-1",
                                  "25-11-23",
                                  "2025/11/23",
                                  "23.11.2025",
                                  "11/23/2025",
                                  "2025-1123",
                                  "202511-23",
                                  "2025-W47-7",
                                  "2025-327",
                                  "2025-11-23T",
                                  "2025-11-23T12",
                                  "2025-11-23T12:",
                                  "2025-11-23T12:1",
                                  "2025-11-23T24:00",
                                  "2025-11-23T12:60",
                                  "2025-11-23T12:13:",
                                  "2025-11-23T12:13:61",
                                  "2025-11-23T12:13:20.",
                                  "2025-11-23T12:13:20,",
                                  "2025-11-23T12:13:20.Z",
                                  "2025-11-23T12:13:20.1.2Z",
                                  "2025-11-23T12:13:20ZZ",
                                  "2025-11-23T12:13:20 Z ",
                                  " 2025-11-23T12:13:20Z",
                                  "2025-11-23  12:13:20",
                                  "2025-11-23_12:13:20",
                                  "2025-11-23T12:13:20+",
                                  "2025-11-23T12:13:20+1",
                                  "2025-11-23T12:13:20+1:00",
                                  "2025-11-23T12:13:20+24:00",
                                  "2025-11-23T12:13:20+01:60",
                                  "2025-11-23T12:13:20+01:0",
                                  "2025-11-23T12:13:20+010",
                                  "2025-11-23T12:13:20+01000",
                                  "2025-11-23T12:13:20 CET",
                                  "2025-11-23T12:13:20 PST",
                                  "2025-11-23T12:13:20+01:00[Europe/Berlin",
                                  "2025-11-23T12:13:20[Europe/Berlin]",
                                  "2025-11-23T1213:20Z",
                                  "20251123T12:13:20Z",
                                  "20251123T1",
                                  "+2025-11-23",
                                  "-2025-11-23",
                                  "2025-11-23T-2:13:20Z",
                                  "2025-11-23 12:13:20 PM",
                                  "Sun 23 Nov 2025 12:13:20 GMT",
                                  "Sun, 23 Nov 2025 12:13:20",
                                  "Sun, 23 nov 2025 12:13:20 GMT",
                                  "Sun, 31 Nov 2025 12:13:20 GMT",
                                  "Sun, 23 Nov 25 12:13:20 GMT",
                                  "Xyz, 23 Nov 2025 12:13:20 GMT",
                                  "Sun, 23 Nov 2025 12:13:20 CET",
                                  "Sun, 23 Foo 2025 12:13:20 GMT",
                                  "Nov 23, 2025",
                                  "now",
                                  "yesterday",
                                  "null",
                                  "NaN",
                                  "Infinity",
                                  "0",
                                  "1",
                                  "-1",
                                  "99999999",
                                  "100000000000000000001",
                                  "1e",
                                  "1e+",
                                  "0x5f5e100",
                                  "1763900000 ",
                                  "1,763,900,000",
                                  "1763900000.",
                                  ".5",
                                  "1.2.3",
                                  "-1763900000",
                                  "+1763900000",
                                  "1e400",
                                  "1763900000000000000000"};

static void any_other_text_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        int64_t ms = 0;

        if (instant_text(str_of(bad[i]), ALL, INSTANT_AUTO, &ms)) {
            fail_msg("%s: %ld", bad[i], (long)ms);
        }
    }
}

static const struct {
    const char *text;
    enum instant_unit unit;
    enum instant_result result;
    int64_t ms;
} numbers[] = {
    {"1763900000", INSTANT_S, INSTANT_OK, 1763900000000},
    {"1763900000.1239", INSTANT_S, INSTANT_OK, 1763900000123},
    {"1.7639e9", INSTANT_S, INSTANT_OK, 1763900000000},
    {"1.763900000123E+9", INSTANT_S, INSTANT_OK, 1763900000123},
    {"17639000001239e-4", INSTANT_S, INSTANT_OK, 1763900000123},
    {"100000000", INSTANT_S, INSTANT_OK, 100000000000},
    {"99999999.999", INSTANT_S, INSTANT_TOO_SMALL, 0},
    {"99999999999", INSTANT_S, INSTANT_OK, 99999999999000},
    {"100000000000", INSTANT_S, INSTANT_TOO_LARGE, 0},
    {"1763900000123", INSTANT_MS, INSTANT_OK, 1763900000123},
    {"1763900000123.9", INSTANT_MS, INSTANT_OK, 1763900000123},
    {"1763900000", INSTANT_MS, INSTANT_TOO_SMALL, 0},
    {"99999999999", INSTANT_MS, INSTANT_TOO_SMALL, 0},
    {"100000000000", INSTANT_MS, INSTANT_OK, 100000000000},
    {"99999999999999", INSTANT_MS, INSTANT_OK, 99999999999999},
    {"100000000000000", INSTANT_MS, INSTANT_TOO_LARGE, 0},
    {"1763900000123456", INSTANT_US, INSTANT_OK, 1763900000123},
    {"1763900000123", INSTANT_US, INSTANT_TOO_SMALL, 0},
    {"1763900000123456789", INSTANT_NS, INSTANT_OK, 1763900000123},
    {"1763900000000000000", INSTANT_NS, INSTANT_OK, 1763900000000},
    {"1763900000123999999", INSTANT_NS, INSTANT_OK, 1763900000123},
    {"99999999999999999999", INSTANT_NS, INSTANT_OK, 99999999999999},
    {"100000000000000000000", INSTANT_NS, INSTANT_TOO_LARGE, 0},
    {"1763900000", INSTANT_AUTO, INSTANT_OK, 1763900000000},
    {"1763900000.5", INSTANT_AUTO, INSTANT_OK, 1763900000500},
    {"1763900000123", INSTANT_AUTO, INSTANT_OK, 1763900000123},
    {"1763900000123456", INSTANT_AUTO, INSTANT_OK, 1763900000123},
    {"1763900000123456789", INSTANT_AUTO, INSTANT_OK, 1763900000123},
    {"100000000", INSTANT_AUTO, INSTANT_OK, 100000000000},
    {"99999999", INSTANT_AUTO, INSTANT_TOO_SMALL, 0},
    {"99999999999", INSTANT_AUTO, INSTANT_OK, 99999999999000},
    {"100000000000", INSTANT_AUTO, INSTANT_OK, 100000000000},
    {"0", INSTANT_AUTO, INSTANT_NO_TIME, 0},
    {"-0", INSTANT_AUTO, INSTANT_NO_TIME, 0},
    {"-1763900000", INSTANT_AUTO, INSTANT_NO_TIME, 0},
    {"1e-999999999999999999999", INSTANT_AUTO, INSTANT_TOO_SMALL, 0},
    {"1e999999999999999999999", INSTANT_AUTO, INSTANT_TOO_LARGE, 0},
    {"0.0000000000000000000000000000001e40", INSTANT_AUTO, INSTANT_OK, 1000000000000},
};

static void a_number_is_a_time_in_one_unit_at_most(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(numbers); i++) {
        int64_t ms = 0, other;
        enum instant_result r =
            instant_number(str_of(numbers[i].text), numbers[i].unit, &ms);
        int takes = 0;

        if (r != numbers[i].result || (r == INSTANT_OK && ms != numbers[i].ms)) {
            fail_msg("%s: %d, %ld", numbers[i].text, (int)r, (long)ms);
        }
        for (enum instant_unit u = INSTANT_S; u < INSTANT_AUTO; u++) {
            takes += instant_number(str_of(numbers[i].text), u, &other) == INSTANT_OK;
        }
        assert_true(takes <= 1);
    }
}

static void words_are_the_policy_s(void **state)
{
    (void)state;
    assert_int_equal(instant_format(STR("iso8601")), INSTANT_ISO8601);
    assert_int_equal(instant_format(STR("http")), INSTANT_HTTP);
    assert_int_equal(instant_format(STR("iso")), 0);
    assert_int_equal(instant_unit(STR("auto")), INSTANT_AUTO);
    assert_int_equal(instant_unit(STR("m")), INSTANT_SENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_of_a_real_client_is_its_time),
        cmocka_unit_test(any_other_text_is_none),
        cmocka_unit_test(a_number_is_a_time_in_one_unit_at_most),
        cmocka_unit_test(words_are_the_policy_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
