/* Which form of the metrics a scraper gets, by its Accept header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
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
    /* VictoriaMetrics, Netdata. */
    assert_false(open("text/plain;version=0.0.4;q=1,*/*;q=0.1"));
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
    assert_true(open("application/openmetrics-text;version=\"1.0.0\""));
    assert_false(open("application/openmetrics-text;version=\"1.0.0"));
    assert_false(open("application/openmetrics-text;q=0.5, */*;q=0.9"));
    assert_false(open("application/openmetrics-text;q=0.5, text/*"));
    assert_true(open("application/openmetrics-text;q=0.5, text/plain;q=0.1, */*"));
    assert_true(open("application/openmetrics-text, */*"));
    assert_false(open("application/openmetrics-text;q=0.00000000, text/plain;q=0.1"));
    assert_false(open(",;,;=,q=;version="));
}

static bool proto(const char *accept)
{
    const struct str_pair headers[] = {{STR("Accept"), str_of(accept)}};
    const struct http_view v = {.headers = headers, .n_headers = 1};

    return prefers_protobuf(&v);
}

static void protobuf_is_for_those_that_prefer_it(void **state)
{
    (void)state;
    /* Prometheus 2 and 3 with native histograms, and a collector that takes them. */
    assert_true(proto("application/vnd.google.protobuf;proto=io.prometheus.client."
                      "MetricFamily;encoding=delimited,application/openmetrics-text;"
                      "version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;"
                      "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
    assert_true(
        proto("application/vnd.google.protobuf;proto=io.prometheus.client."
              "MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;"
              "version=1.0.0;escaping=allow-utf-8;q=0.5,application/"
              "openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;"
              "escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"));
    assert_false(proto("application/vnd.google.protobuf"));
    assert_false(proto("application/vnd.google.protobuf;proto=io.prometheus.client."
                       "MetricFamily"));
    assert_false(proto("application/vnd.google.protobuf;encoding=delimited;encoding="
                       "delimited"));
    assert_false(proto("application/vnd.google.protobuf;proto=io.prometheus.client."
                       "MetricFamily;encoding=text"));
    assert_false(
        proto("application/vnd.google.protobuf;proto=other;encoding=delimited"));
    assert_false(proto("application/vnd.google.protobuf;proto=io.prometheus.client."
                       "MetricFamily;encoding=delimited;q=0.4,text/plain"));
    assert_false(proto("application/openmetrics-text;version=1.0.0,*/*"));
    assert_false(proto(""));
}

static enum prefers_coding coding(const char *accept)
{
    const struct str_pair headers[] = {{STR("Host"), STR("a")},
                                       {STR("Accept-encoding"), str_of(accept)}};
    const struct http_view v = {.headers = headers, .n_headers = 2};

    return prefers_coding(&v);
}

static void gzip_is_for_those_that_take_it(void **state)
{
    static const struct {
        const char *accept;
        enum prefers_coding coding;
    } rows[] = {
        {"gzip", PREFERS_GZIP}, /* Prometheus, VictoriaMetrics, Alloy, the collector */
        {"GZip", PREFERS_GZIP},
        {"x-gzip", PREFERS_GZIP},
        {"gzip, deflate, br, zstd", PREFERS_GZIP}, /* browsers */
        {"zstd;q=1.0, gzip;q=0.8", PREFERS_GZIP},
        {"*", PREFERS_GZIP},
        {"gzip;q=0.001", PREFERS_GZIP},
        {"identity;q=0.5, gzip;q=1.0", PREFERS_GZIP},
        {"identity;q=0, gzip", PREFERS_GZIP},
        {"*;q=0, gzip;q=0.1", PREFERS_GZIP},
        {"identity;q=0", PREFERS_NONE},
        {"identity ; q=0 , *", PREFERS_GZIP},
        {"", PREFERS_IDENTITY},
        {"identity", PREFERS_IDENTITY},
        {"deflate, br", PREFERS_IDENTITY},
        {"gzip;q=0", PREFERS_IDENTITY},
        {"gzip;q=0.000", PREFERS_IDENTITY},
        {"gzip;Q=0", PREFERS_IDENTITY},
        {"gzip;q=0.00000", PREFERS_IDENTITY},
        {"gzip;q=0.000000", PREFERS_IDENTITY},
        {"gzip;q=0.000000000000000000000000000000", PREFERS_IDENTITY},
        {"gzip;q=0.9000000000000000000000000000000, identity;q=0.8", PREFERS_GZIP},
        {"gzip;q=0, *", PREFERS_IDENTITY},
        {"gzip;q=0.5, identity", PREFERS_IDENTITY},
        {"gzips", PREFERS_IDENTITY},
        {"*;q=0, identity", PREFERS_IDENTITY},
        {"gzip;q=0, identity;q=0", PREFERS_NONE},
        {"*;q=0", PREFERS_NONE},
        {"br, *;q=0", PREFERS_NONE},
        {"identity;q=nan, gzip", PREFERS_GZIP},
        {"gzip;q=nan, identity", PREFERS_IDENTITY},
        {"gzip;q=9, identity;q=1", PREFERS_GZIP},
        {"gzip;q=1, identity;q=9", PREFERS_GZIP},
        {"gzip;q=-1, *", PREFERS_IDENTITY},
        {",;,;=,q=;q", PREFERS_IDENTITY}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        if (coding(rows[i].accept) != rows[i].coding) {
            fail_msg("%s: %d", rows[i].accept, (int)coding(rows[i].accept));
        }
    }
    assert_int_equal(PREFERS_IDENTITY,
                     prefers_coding(&(struct http_view){.n_headers = 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openmetrics_is_for_those_that_ask_for_it),
        cmocka_unit_test(protobuf_is_for_those_that_prefer_it),
        cmocka_unit_test(gzip_is_for_those_that_take_it)};

    return cmocka_run_group_tests_name("prefers", tests, NULL, NULL);
}
