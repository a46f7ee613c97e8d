/* One answer of /metrics as numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/watch/series.h"

static const char first[] = "# HELP a_total Things.\n"
                            "# TYPE a_total counter\n"
                            "a_total{route=\"POST /a\",code=\"x\"} 3\n"
                            "a_total{route=\"POST /b}\\\"c\",code=\"y z\"} 4\n"
                            "b 1.5\n"
                            "broken{x=\"1\" 7\n"
                            "none{} NaN\n"
                            "t_bucket{le=\"0.1\"} 10\n"
                            "t_bucket{le=\"1\"} 10\n"
                            "t_bucket{le=\"+Inf\"} 10\n";

static const char second[] = "a_total{route=\"POST /a\",code=\"x\"} 9\n"
                             "t_bucket{le=\"0.1\"} 60\n"
                             "t_bucket{le=\"1\"} 109\n"
                             "t_bucket{le=\"+Inf\"} 110\n";

static void an_answer_has_names_labels_and_values(void **state)
{
    struct series_list s;
    char out[64];

    (void)state;
    series_read(&s, first);
    assert_int_equal(s.n, 7);
    assert_true(series_sum(&s, "a_total", NULL) == 7);
    assert_true(series_sum(&s, "a_total", "code=\"x\"") == 3);
    assert_true(series_sum(&s, "b", NULL) == 1.5);
    assert_true(series_sum(&s, "none", NULL) == 0);
    assert_true(series_sum(&s, "broken", NULL) == 0);
    assert_string_equal(series_label(&s.list[1], "route", out, sizeof out),
                        "POST /b}\"c");
    assert_string_equal(series_label(&s.list[1], "code", out, sizeof out), "y z");
    assert_string_equal(series_label(&s.list[1], "ode", out, sizeof out), "");
    assert_string_equal(series_label(&s.list[1], "route", out, 4), "POS");
    assert_ptr_equal(series_find(&s, "a_total", "route=\"POST /a\",code=\"x\"", 24),
                     &s.list[0]);
    assert_ptr_equal(series_find(&s, "b", "x", 0), &s.list[2]); /* no labels */
    assert_null(series_find(&s, "a_total", "route=\"POST /a\",code=\"x\"", 23));
    assert_null(series_find(&s, "a", "route=\"POST /a\",code=\"x\"", 24));
    for (size_t i = 0; i < s.n; i++) {
        assert_non_null(series_find(&s, s.list[i].name, s.list[i].labels,
                                    strlen(s.list[i].labels)));
    }
    series_free(&s);
    series_read(&s, "");
    assert_int_equal(s.n, 0);
    assert_null(series_find(&s, "b", "", 0));
    series_free(&s);
}

static void quantiles_are_of_what_came_between(void **state)
{
    struct series_list a, b;

    (void)state;
    series_read(&a, first);
    series_read(&b, second);
    assert_true(series_quantile(&a, &b, "t", .5) == .1);
    assert_true(series_quantile(&a, &b, "t", .51) == 1);
    assert_true(series_quantile(&a, &b, "t", .999) == 1); /* no bound says more */
    assert_true(series_quantile(&a, &a, "t", .5) == -1);
    assert_true(series_quantile(&a, &b, "u", .5) == -1);
    series_free(&a);
    series_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_names_labels_and_values),
        cmocka_unit_test(quantiles_are_of_what_came_between),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
