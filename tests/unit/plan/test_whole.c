/* An integer's text becomes the digits that its column reads, or none. */
#include "plan/whole.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"

static const struct {
    const char *text, *digits; /* NULL: no integer of 64 bits */
} rows[] = {
    {"0", "0"},
    {"-0", "0"},
    {"-0.0", "0"},
    {"0e9", "0"},
    {"0e-9", "0"},
    {"1", "1"},
    {"-1", "-1"},
    {"+1", "1"},
    {"007", "7"},
    {"-007", "-7"},
    {"1.0", "1"},
    {"1.000000000000000000000000000", "1"},
    {"10.0", "10"},
    {"100", "100"},
    {"1e3", "1000"},
    {"1E+3", "1000"},
    {"1.5e1", "15"},
    {"1.50e1", "15"},
    {"1500e-2", "15"},
    {"1.25e2", "125"},
    {"18446744073709551615", "18446744073709551615"},
    {"-18446744073709551615", "-18446744073709551615"},
    {"1.8446744073709551615e19", "18446744073709551615"},
    {"00000000000000000000000000000000000042", "42"},
    {"9007199254740993", "9007199254740993"},
    {"9007199254740993.0", "9007199254740993"},
    {"18446744073709551616", NULL},
    {"1e20", NULL},
    {"1e999999999999999999", NULL},
    {"1.5", NULL},
    {"1e-1", NULL},
    {"1e-999999999999999999", NULL},
    {"1.00000000000000000001", NULL},
    {"", NULL},
    {"-", NULL},
    {"+", NULL},
    {".5", NULL},
    {"5.", NULL},
    {"1.2.3", NULL},
    {"1e", NULL},
    {"1e+", NULL},
    {"e1", NULL},
    {"0x10", NULL},
    {" 1", NULL},
    {"1 ", NULL},
    {"1,000", NULL},
    {"--1", NULL},
    {"NaN", NULL},
};

static void a_text_is_its_digits_or_no_integer(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        char out[WHOLE_BYTES + 1] = {0};
        struct whole w;
        bool ok = whole_read(str_of(rows[i].text), &w) == WHOLE_OK;

        if (ok) {
            out[whole_write(&w, out)] = '\0';
        }
        if (ok != (rows[i].digits != NULL) ||
            (ok && strcmp(out, rows[i].digits) != 0)) {
            fail_msg("\"%s\": %s", rows[i].text, ok ? out : "none");
        }
    }
}

static void each_size_ends_where_its_column_ends(void **state)
{
    static const struct {
        struct whole_range range;
        const char *least, *below, *most, *above;
    } sizes[] = {
        {{8, false}, "-128", "-129", "127", "128"},
        {{8, true}, "0", "-1", "255", "256"},
        {{16, false}, "-32768", "-32769", "32767", "32768"},
        {{16, true}, "-0", "-1", "65535", "65536"},
        {{32, false}, "-2147483648", "-2147483649", "2147483647", "2147483648"},
        {{32, true}, "0", "-1", "4294967295", "4294967296"},
        {{64, false},
         "-9223372036854775808",
         "-9223372036854775809",
         "9223372036854775807",
         "9223372036854775808"},
        {{64, true}, "0", "-1", "18446744073709551615", NULL}};
    struct whole w;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(sizes); i++) {
        assert_int_equal(whole_read(str_of(sizes[i].least), &w), WHOLE_OK);
        assert_int_equal(whole_in(&w, sizes[i].range), WHOLE_OK);
        assert_int_equal(whole_read(str_of(sizes[i].below), &w), WHOLE_OK);
        assert_int_equal(whole_in(&w, sizes[i].range), WHOLE_SMALL);
        assert_int_equal(whole_read(str_of(sizes[i].most), &w), WHOLE_OK);
        assert_int_equal(whole_in(&w, sizes[i].range), WHOLE_OK);
        if (sizes[i].above != NULL) {
            assert_int_equal(whole_read(str_of(sizes[i].above), &w), WHOLE_OK);
            assert_int_equal(whole_in(&w, sizes[i].range), WHOLE_LARGE);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_its_digits_or_no_integer),
        cmocka_unit_test(each_size_ends_where_its_column_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
