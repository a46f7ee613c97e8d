/* CloudEvents of binary mode, as those of structured mode. */
#include "plan/cloudevent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/attr.h"

static const char *why;

/* headers: "name: value" texts, NULL behind the last. The room is exactly the bound,
 * for the sanitizers. */
static char *made(const char *const *headers, struct str body)
{
    struct str_pair list[16];
    struct policy_request q = {.headers = list};
    enum cloudevent_data kind;
    size_t bound, n;
    char *out;

    for (; headers[q.n_headers] != NULL; q.n_headers++) {
        const char *h = headers[q.n_headers], *colon = strchr(h, ':');

        list[q.n_headers] =
            (struct str_pair){{h, (size_t)(colon - h)}, str_of(colon + 2)};
    }
    kind = cloudevent_data(&q, body);
    bound = cloudevent_bound(&q, body, kind);
    out = malloc(bound + 1);
    n = cloudevent_write(&q, body, kind, out, &why);
    assert_true(n <= bound);
    out[n] = '\0';
    return out;
}

#define CE "ce-specversion: 1.0", "ce-id: 1"
#define CE_JSON "{\"specversion\":\"1.0\",\"id\":\"1\","

static void attributes_and_data_become_members(void **state)
{
    static const struct {
        const char *headers[5];
        struct str body;
        const char *want;
    } rows[] = {
        {{"Host: x", CE, "Content-Type: application/json"},
         STR("{\"a\":1.50}"),
         CE_JSON "\"datacontenttype\":\"application/json\",\"data\":{\"a\":1.50}}"},
        {{CE}, STR(""), "{\"specversion\":\"1.0\",\"id\":\"1\"}"},
        {{CE}, STR("[1]"), CE_JSON "\"data\":[1]}"},
        {{CE, "content-type: application/vnd.x+JSON; a=b"},
         STR("\"s\""),
         CE_JSON "\"datacontenttype\":\"application/vnd.x+JSON; a=b\","
                 "\"data\":\"s\"}"},
        {{CE, "content-type: application/xml"},
         STR("<a b=\"c\"/>\n"),
         CE_JSON "\"datacontenttype\":\"application/xml\","
                 "\"data\":\"<a b=\\\"c\\\"/>\\n\"}"},
        {{CE, "content-type: text/plain"},
         STR("\xFF"),
         CE_JSON "\"datacontenttype\":\"text/plain\",\"data_base64\":\"/w==\"}"},
        {{CE, "content-type: text/plain; charset=latin1"},
         STR("ab"),
         CE_JSON "\"datacontenttype\":\"text/plain; charset=latin1\","
                 "\"data_base64\":\"YWI=\"}"},
        {{CE, "content-type: application/octet-stream"},
         STR("abc"),
         CE_JSON "\"datacontenttype\":\"application/octet-stream\","
                 "\"data_base64\":\"YWJj\"}"},
        {{"CE-SpecVersion: 1.0", "Ce-Ext1: Euro%20%E2%82%AC%20%f0%9f%98%80"},
         STR(""),
         "{\"specversion\":\"1.0\",\"ext1\":\"Euro \xE2\x82\xAC "
         "\xF0\x9F\x98\x80\"}"},
        {{"ce-a: \"x \\\"y\\\" %25\"", "ce-b: 100%", "ce-c: a\"b"},
         STR(""),
         "{\"a\":\"x \\\"y\\\" %\",\"b\":\"100%\",\"c\":\"a\\\"b\"}"}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        char *out = made(rows[i].headers, rows[i].body);

        assert_string_equal(out, rows[i].want);
        free(out);
    }
}

static void what_is_no_event_is_refused(void **state)
{
    static const struct {
        const char *headers[3], *why;
    } rows[] = {
        {{"content-type: application/json"},
         "expected ce-specversion, ce-id, ce-source and ce-type"},
        {{"ce-data: 1"}, "ce-data is not an attribute; send the data as the body"},
        {{"ce-a_b: 1"}, "the name of an attribute has only a-z and 0-9: ce-NAME"},
        {{"ce-a: %C0%A0"}, "an attribute's value is not UTF-8"}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        char *out = made(rows[i].headers, STR("{}"));

        assert_string_equal(out, "");
        assert_string_equal(why, rows[i].why);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_and_data_become_members),
        cmocka_unit_test(what_is_no_event_is_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
