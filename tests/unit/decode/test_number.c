#include "decode/number.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void a_number_is_written_as_people_write_it(void **state)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {{0, "0"},
                {-0.0, "0"},
                {1, "1"},
                {-12, "-12"},
                {19.99, "19.99"},
                {0.1, "0.1"},
                {-0.5, "-0.5"},
                {1e15, "1000000000000000"},
                {9007199254740993., "9007199254740992"},
                {9007199254740994., "9007199254740994"},
                {1234567890123456789., "1234567890123456800"},
                {1e20, "100000000000000000000"},
                {1e21, "1e21"},
                {-1.5e300, "-1.5e300"},
                {1e-7, "0.0000001"},
                {1e-8, "1e-8"},
                {1.5e-9, "1.5e-9"},
                {5e-324, "5e-324"},
                {2.5e-310, "2.5e-310"},
                {123456.789, "123456.789"},
                {1.7976931348623157e308, "1.7976931348623157e308"},
                {0.30000000000000004, "0.30000000000000004"}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        char out[NUMBER_BYTES + 1];

        out[number_write(rows[i].v, out)] = '\0';
        assert_string_equal(rows[i].text, out);
    }
}

static void every_number_comes_back_and_no_shorter_one_does(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        char out[NUMBER_BYTES + 1], least[40];
        size_t n;
        double v;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        memcpy(&v, &seed, sizeof v);
        if (i % 3 == 0) {
            v = (double)(seed >> 40) / 1000;
        } else if (i % 3 == 1) {
            v = (double)(seed >> (i % 64));
        }
        if (!isfinite(v)) {
            continue;
        }
        n = number_write(v, out);
        assert_true(n < NUMBER_BYTES);
        assert_true(number_value(out, n) == v);
        out[n] = '\0';
        assert_true(strtod(out, NULL) == v);
        for (int k = 0; k < 17; k++) {
            (void)snprintf(least, sizeof least, "%.*e", k, v);
            if (strtod(least, NULL) == v) {
                size_t digits = 0;

                for (size_t j = 0; j < n && out[j] != 'e'; j++) {
                    digits +=
                        out[j] >= '0' && out[j] <= '9' && (digits > 0 || out[j] != '0');
                }
                if (fabs(v) < 1e15 && v != 0 && v != floor(v)) {
                    assert_int_equal(k + 1, digits);
                }
                break;
            }
        }
    }
}

static void numbers_are_the_same_to_the_last_digit_or_not(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } pairs[] = {{"1.50", "15e-1", true},
                 {"9007199254740993", "9007199254740992", false},
                 {"9007199254740993", "9007199254740993.000", true},
                 {"9007199254740993", "9.007199254740993E+15", true},
                 {"9007199254740993", "-9007199254740993", false},
                 {"1e301", "10.0e300", true},
                 {"1e301", "1e302", false},
                 {"0.000", "0e5", true},
                 {"0", "-0", false},
                 {"0.00012", "12e-5", true},
                 {"100", "1e2", true},
                 {"100", "1000", false},
                 {"1000000000000000000001", "1000000000000000000000", false},
                 {"1e99999999999999999999", "1e99999999999999999998", true},
                 {"1e-99999999999999999999", "1e99999999999999999999", false}};

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const char *a = pairs[i].a, *b = pairs[i].b;

        if (number_same(a, strlen(a), b, strlen(b)) != pairs[i].same) {
            print_error("%s and %s\n", a, b);
        }
        assert_int_equal(pairs[i].same, number_same(a, strlen(a), b, strlen(b)));
        assert_int_equal(pairs[i].same, number_same(b, strlen(b), a, strlen(a)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_written_as_people_write_it),
        cmocka_unit_test(numbers_are_the_same_to_the_last_digit_or_not),
        cmocka_unit_test(every_number_comes_back_and_no_shorter_one_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
