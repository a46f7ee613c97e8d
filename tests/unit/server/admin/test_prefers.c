/* Which form of the metrics a scraper gets, by its Accept header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http.h"
#include "server/admin/prefers.h"

static bool open(const char *accept)
{
    const struct str_pair headers[] = {{STR("Host"), STR("a")},
                                       {STR("aCCept"), str_of(accept)}};
    const struct http_view v = {.headers = headers, .n_headers = 2};

    return prefers_openmetrics(&v);
}

static void openmetrics_is_for_those_that_ask_for_it(void **state)
{
    (void)state;
    /* Prometheus 2 and 3. */
    assert_true(open("application/openmetrics-text;version=1.0.0,application/"
                     "openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;"
                     "q=0.5,*/*;q=0.1"));
    assert_true(
        open("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;"
             "q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;"
             "version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;"
             "q=0.2,*/*;q=0.1"));
    assert_true(open("Application/OpenMetrics-Text ; Version=1.0.0"));
    assert_true(open("application/openmetrics-text"));
    assert_true(open("text/plain;q=0.5, application/openmetrics-text;q=0.5"));
    assert_false(open(""));
    assert_false(open("*/*"));
    assert_false(open("text/html,application/xhtml+xml,*/*;q=0.8"));
    assert_false(open("text/plain"));
    assert_false(open("application/openmetrics-text;version=0.0.1"));
    assert_false(open("application/openmetrics-text;q=0"));
    assert_false(open("application/openmetrics-text;q=0.4,text/plain"));
    assert_false(open("application/openmetrics-texts"));
    assert_false(open(",;,;=,q=;version="));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openmetrics_is_for_those_that_ask_for_it)};

    return cmocka_run_group_tests_name("prefers", tests, NULL, NULL);
}
