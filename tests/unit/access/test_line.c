/* A line of the access log, whatever a client sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "access/line.h"

static char out[ACCESS_LINE_BYTES + 1];

static struct access_entry entry(const char *path, size_t n)
{
    struct access_entry e = {.client = "10.0.0.7", .method = "POST", .bytes_in = 12};

    memcpy(e.path, path, n);
    e.path_n = (uint16_t)n;
    return e;
}

static const char *format(bool json, const struct access_entry *e)
{
    const struct access_result r = {.time_ms = 1767323045678,
                                    .route = "POST /v1/events",
                                    .status = 202,
                                    .code = "no_id",
                                    .accepted = 3,
                                    .refused = 1,
                                    .bytes_out = 34,
                                    .took_ns = 1234567};
    size_t n = access_format(json, e, &r, out);

    assert_true(n <= ACCESS_LINE_BYTES);
    out[n] = '\0';
    return out;
}

static void a_line_names_each_fact(void **state)
{
    struct access_entry e = entry("/v1/events?a=1", 14);

    (void)state;
    access_copy(e.key, sizeof e.key, STR("acme"));
    assert_string_equal(
        format(false, &e),
        "time=\"2026-01-02T03:04:05.678Z\" client=\"10.0.0.7\" method=\"POST\" "
        "path=\"/v1/events?a=1\" route=\"POST /v1/events\" status=202 code=\"no_id\" "
        "accepted=3 refused=1 bytes_in=12 bytes_out=34 seconds=0.001235 trace=\"\" "
        "key=\"acme\"\n");
    assert_string_equal(
        format(true, &e),
        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"client\":\"10.0.0.7\",\"method\":"
        "\"POST\",\"path\":\"/v1/events?a=1\",\"route\":\"POST /v1/events\",\"status\":"
        "202,\"code\":\"no_id\",\"accepted\":3,\"refused\":1,\"bytes_in\":12,"
        "\"bytes_out\":34,\"seconds\":0.001235,\"trace\":\"\",\"key\":\"acme\"}\n");
}

/* Each byte that there is, in the path and in the key. */
static void no_byte_of_a_client_forges_a_line(void **state)
{
    char all[256];
    struct access_entry e;

    (void)state;
    for (int i = 0; i < 256; i++) {
        all[i] = (char)i;
    }
    e = entry(all, sizeof all);
    access_copy(e.key, sizeof e.key, (struct str){all, sizeof all});
    access_copy(e.client, sizeof e.client, STR("\"\r\nforged=1"));
    for (int json = 0; json < 2; json++) {
        const char *line = format(json == 1, &e);
        size_t n = strlen(line);

        assert_ptr_equal(strchr(line, '\n'), line + n - 1);
        for (size_t i = 0; i < n - 1; i++) {
            assert_true((unsigned char)line[i] >= 0x20);
        }
        assert_null(strstr(line, "\"\"\r"));
        assert_non_null(strstr(line, "\\\""));
    }
}

static void the_longest_line_fits(void **state)
{
    static char path[ACCESS_PATH_BYTES], route[4096];
    struct access_entry e;
    struct access_result r = {.time_ms = INT64_MAX / 2000,
                              .route = route,
                              .status = 503,
                              .code = route,
                              .accepted = UINT32_MAX,
                              .refused = UINT32_MAX,
                              .bytes_out = UINT64_MAX,
                              .took_ns = UINT64_MAX};
    size_t n;

    (void)state;
    memset(path, 1, sizeof path);
    memset(route, 1, sizeof route - 1);
    e = entry(path, sizeof path);
    e.bytes_in = UINT64_MAX;
    memset(e.key, 1, sizeof e.key - 1);
    memset(e.client, 1, sizeof e.client - 1);
    memset(e.method, 1, sizeof e.method - 1);
    n = access_format(true, &e, &r, out);
    assert_true(n < ACCESS_LINE_BYTES);
    assert_memory_equal("\"}\n", out + n - 3, 3);
}

static void check_trace(const char *text, const char *wanted)
{
    char id[33];

    access_trace(str_of(text), id);
    assert_string_equal(wanted, id);
}

static void only_a_valid_traceparent_has_a_trace_id(void **state)
{
    static const char id[] = "4bf92f3577b34da6a3ce929d0e0e4736";

    (void)state;
    check_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", id);
    check_trace("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", id);
    check_trace("", "");
    check_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", "");
    check_trace("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "");
    check_trace("00-00000000000000000000000000000000-00f067aa0ba902b7-01", "");
    check_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "");
    check_trace("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "");
    check_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", "");
    check_trace("00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_names_each_fact),
        cmocka_unit_test(no_byte_of_a_client_forges_a_line),
        cmocka_unit_test(the_longest_line_fits),
        cmocka_unit_test(only_a_valid_traceparent_has_a_trace_id)};

    return cmocka_run_group_tests_name("line", tests, NULL, NULL);
}
