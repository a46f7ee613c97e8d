/* A log line as JSON: each checked by a JSON reader. */
#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/log.h"
#include "base/log_json.h"

static void gives_each_pair_its_type(void **state)
{
    static const struct {
        const char *line, *json;
    } rows[] = {
        {"ts=2026-01-02T03:04:05.678Z level=info event=ready n=8",
         "{\"ts\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\",\"event\":"
         "\"ready\",\"n\":8}"},
        {"a=-5 b=007 c=1.5 d= e=0 f=1234567890123456",
         "{\"a\":-5,\"b\":\"007\",\"c\":\"1.5\",\"d\":\"\",\"e\":0,"
         "\"f\":\"1234567890123456\"}"},
        {"why=\"a \\\"b\\\" \\\\ \\n c=d\" z=1",
         "{\"why\":\"a \\\"b\\\" \\\\ \\n c=d\",\"z\":1}"},
        {"alone x=1", "{\"alone\":true,\"x\":1}"},
        {"why=\"cut", "{\"why\":\"cut\"}"},
        {"why=\"cut\\", "{\"why\":\"cut\\\\\"}"},
        {"k=caf\xC3\xA9 b=\xC3( w=a\"b",
         "{\"k\":\"caf\xC3\xA9\",\"b\":\"\xEF\xBF\xBD(\","
         "\"w\":\"a\\\"b\"}"},
        {"", "{}"},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct str line = str_of(rows[i].line);
        char *out = malloc(log_json_bound(line.n) + 1);
        size_t n = log_json(line, out);
        cJSON *json;

        assert_true(n <= log_json_bound(line.n));
        out[n] = '\0';
        assert_string_equal(out, rows[i].json);
        json = cJSON_Parse(out);
        assert_non_null(json);
        cJSON_Delete(json);
        free(out);
    }
}

/* Whatever bytes a text has, quoted by log_quote. */
static void takes_any_text(void **state)
{
    (void)state;
    srandom(3);
    for (int i = 0; i < 20000; i++) {
        char text[40], quoted[48], line[80], out[600];
        cJSON *json;
        size_t n;

        for (size_t k = 0; k < sizeof text - 1; k++) {
            text[k] = (char)(random() % 255 + 1);
        }
        text[sizeof text - 1] = '\0';
        n = (size_t)snprintf(line, sizeof line, "a=1 why=%s",
                             log_quote(quoted, sizeof quoted, text));
        n = log_json((struct str){line, n}, out);
        json = cJSON_ParseWithLength(out, n);
        assert_non_null(json);
        assert_true(cJSON_IsString(cJSON_GetObjectItem(json, "why")));
        cJSON_Delete(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_each_pair_its_type),
        cmocka_unit_test(takes_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
