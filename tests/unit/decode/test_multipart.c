/* Bodies of multipart/form-data: what each becomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "decode/multipart.h"

static const struct param_rule list[] = {{STR("n"), PARAM_NUMBER, false},
                                         {STR("j"), PARAM_JSON, false},
                                         {STR("e"), PARAM_BASE64, false}};

/* A part of the name, and the end. */
#define FIELD(name, value)                                                             \
    "--B\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define HEAD(head, value) "--B\r\n" head "\r\n\r\n" value "\r\n"
#define DISPOSED(params) HEAD("Content-Disposition: form-data; " params, "v")
#define END "--B--\r\n"

/* A body with the boundary B, and the object, or "@PLACE NAME: why". */
static const struct row {
    const char *body, *expected;
} rows[] = {
    {END, "{}"},
    {"--B--", "{}"},
    {"\r\n--B--", "{}"},
    {FIELD("a", "1") END, "{\"a\":\"1\"}"},
    {FIELD("a", "1") FIELD("b", "2") END, "{\"a\":\"1\",\"b\":\"2\"}"},
    {FIELD("a", "") END, "{\"a\":\"\"}"},
    {FIELD("", "x") END, "{\"\":\"x\"}"},
    {FIELD("a", "1") "--B--", "{\"a\":\"1\"}"},
    {FIELD("a", "1") "--B--\r\n\r\n  \r\n", "{\"a\":\"1\"}"},
    {FIELD("a", "1") "--B-- \t\r\n", "{\"a\":\"1\"}"},
    {"\r\n" FIELD("a", "1") END, "{\"a\":\"1\"}"},
    {FIELD("a", "x\r\ny\n") END, "{\"a\":\"x\\r\\ny\\n\"}"},
    {FIELD("a", "\r\n") END, "{\"a\":\"\\r\\n\"}"},
    {FIELD("a", "x--B") END, "{\"a\":\"x--B\"}"},
    {FIELD("a", "x\n--B--") END, "{\"a\":\"x\\n--B--\"}"},
    {FIELD("a", "+%20&=;") END, "{\"a\":\"+%20&=;\"}"},
    {FIELD("a", "\"\\") END, "{\"a\":\"\\\"\\\\\"}"},
    {FIELD("a", "\xC3\xA9") END, "{\"a\":\"\xC3\xA9\"}"},
    {FIELD("\xC3\xA9", "1") END, "{\"\xC3\xA9\":\"1\"}"},
    {FIELD("a[b]", "1") END, "{\"a[b]\":\"1\"}"},
    {FIELD("a+b%20c", "1") END, "{\"a+b%20c\":\"1\"}"},
    {FIELD("a%22b%0D%0Ac", "1") END, "{\"a\\\"b\\r\\nc\":\"1\"}"},
    {FIELD("a%22", "1") END, "{\"a\\\"\":\"1\"}"},
    {FIELD("a%2", "1") END, "{\"a%2\":\"1\"}"},
    {FIELD("a\\\"b", "1") END, "{\"a\\\"b\":\"1\"}"},
    {FIELD("a\\\\b", "1") END, "{\"a\\\\b\":\"1\"}"},
    {FIELD("a\\b", "1") END, "{\"a\\\\b\":\"1\"}"},
    {FIELD("a;b", "1") END, "{\"a;b\":\"1\"}"},
    {FIELD("n", "007.5") END, "{\"n\":7.5}"},
    {FIELD("n", "x") END, "{\"n\":\"x\"}"},
    {FIELD("n", "") END, "{\"n\":null}"},
    {FIELD("j", "{\"x\":[1]}") END, "{\"j\":{\"x\":[1]}}"},
    {FIELD("j", "[1,\r\n2]") END, "{\"j\":[1,\r\n2]}"},
    {FIELD("e", "eyJhIjoxfQ==") END, "{\"e\":{\"a\":1}}"},
    {FIELD("a", "1") FIELD("a", "2") END, "{\"a\":\"1\",\"a\":\"2\"}"},
    /* Heads. */
    {DISPOSED("name=a") END, "{\"a\":\"v\"}"},
    {DISPOSED("NAME=\"a\"") END, "{\"a\":\"v\"}"},
    {DISPOSED("name = \"a\"") END, "{\"a\":\"v\"}"},
    {DISPOSED("x=y; name=\"a\"; z=\"w\"") END, "{\"a\":\"v\"}"},
    {DISPOSED("name=\"a\";") END, "{\"a\":\"v\"}"},
    {HEAD("content-disposition:form-data;name=\"a\"", "v") END, "{\"a\":\"v\"}"},
    {HEAD("CONTENT-DISPOSITION: FORM-DATA; name=\"a\"", "v") END, "{\"a\":\"v\"}"},
    {HEAD("Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; "
          "name=\"a\"\r\nX-Other: 1",
          "v") END,
     "{\"a\":\"v\"}"},
    {HEAD("Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: "
          "8bit",
          "v") END,
     "{\"a\":\"v\"}"},
    {"--B  \r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nv\r\n" END,
     "{\"a\":\"v\"}"},
    {HEAD("Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: "
          "base64",
          "v") END,
     "@5 a: Content-Transfer-Encoding is not supported"},
    {DISPOSED("name=\"a\"; filename=\"x.txt\"") END, "@5 a: file"},
    {DISPOSED("filename=\"\"; name=\"a\"") END, "@5 a: file"},
    {DISPOSED("name=\"a\"; filename*=utf-8''x") END, "@5 a: file"},
    {FIELD("b", "1") DISPOSED("name=\"a\"; filename=x") END, "@57 a: file"},
    {DISPOSED("nam=\"a\"") END,
     "@5 : expected Content-Disposition: form-data; name=\"...\""},
    {DISPOSED("name=\"a") END,
     "@5 : expected Content-Disposition: form-data; name=\"...\""},
    {DISPOSED("name=\"a\" x") END,
     "@5 a: expected Content-Disposition: form-data; name=\"...\""},
    {DISPOSED("name") END,
     "@5 : expected Content-Disposition: form-data; name=\"...\""},
    {HEAD("Content-Disposition: attachment; name=\"a\"", "v") END,
     "@5 : expected Content-Disposition: form-data"},
    {HEAD("Content-Type: text/plain", "v") END,
     "@5 : expected Content-Disposition: form-data; name=\"...\""},
    {"--B\r\n\r\nv\r\n" END,
     "@5 : expected Content-Disposition: form-data; name=\"...\""},
    {HEAD("no colon", "v") END, "@5 : a part has no whole head; lines end in CR LF"},
    {HEAD("Content-Disposition: form-data;\r\n name=\"a\"", "v") END,
     "@5 : a part has no whole head; lines end in CR LF"},
    {"--B\r\nContent-Disposition: form-data; name=\"a\"\n\nv\n--B--",
     "@5 : a part has no whole head; lines end in CR LF"},
    {"--B\r\nContent-Disposition: form-da",
     "@5 : a part has no whole head; lines end in CR LF"},
    {"--B\r\nContent-Disposition: form-data; name=\"a\"\r\n",
     "@5 a: a part has no whole head; lines end in CR LF"},
    /* Boundaries. */
    {"", "@0 : expected the boundary of Content-Type"},
    {"\r\n", "@2 : expected the boundary of Content-Type"},
    {"x", "@0 : expected the boundary of Content-Type"},
    {"a=1&b=2", "@0 : expected the boundary of Content-Type"},
    {"--C--", "@0 : expected the boundary of Content-Type"},
    {"--B", "@3 : expected CR LF behind a boundary"},
    {"--B-", "@3 : expected CR LF behind a boundary"},
    {"--B\n", "@3 : expected CR LF behind a boundary"},
    {"--Bx\r\n", "@3 : expected CR LF behind a boundary"},
    {"preamble\r\n" FIELD("a", "1") END, "@0 : expected the boundary of Content-Type"},
    {FIELD("a", "1") "--B--\r\nepilogue",
     "@55 : expected nothing behind the last boundary"},
    {FIELD("a", "1") END FIELD("b", "2"),
     "@55 : expected nothing behind the last boundary"},
    {FIELD("a", "1"), "@5 a: no boundary follows; the body is cut off"},
    {FIELD("a", "1") "--C--", "@5 a: no boundary follows; the body is cut off"},
    {FIELD("a", "1\r\n--Bx") END, "@55 : expected CR LF behind a boundary"},
    {FIELD("a", "\xff") END, "@5 a: its value is not UTF-8"},
    {FIELD("\xff", "1") END, "@5 \xff: its name is not UTF-8"},
    {FIELD("a", "1") FIELD("b", "\xE9") END, "@57 b: its value is not UTF-8"},
    {FIELD("j", "1,2") END,
     "@5 j: its value is not JSON: expected the end of the body after the JSON value "
     "(at byte 1)"},
    {FIELD("e", "eyJh\r\nIjoxfQ==") END, "@5 e: its value is not base64"},
};

static struct params_room room;

static void become(const char *body, const char *boundary, enum params_repeated how,
                   char *out, size_t out_n)
{
    const struct params_rules rules = {
        .rules = list, .n_rules = N_ELEMS(list), .repeated = how, .key = {1, 2}};
    const struct scan_limits limits = {1, 8};
    size_t n = strlen(body);
    char *copy = malloc(n > 0 ? n : 1);
    struct params_error e;
    enum params_result r;
    struct str event;

    memcpy(copy, body, n);
    r = multipart_write(&rules, &limits, str_of(boundary), (struct str){copy, n},
                        1 << 20, &room, &event, &e);
    if (r == PARAMS_OK) {
        (void)snprintf(out, out_n, "%.*s", (int)event.n, event.p);
    } else {
        (void)snprintf(out, out_n, "@%zu %.*s: %s", e.at, (int)e.name.n, e.name.p,
                       r == PARAMS_FILE   ? "file"
                       : e.detail == NULL ? ""
                                          : e.detail);
    }
    free(copy);
}

static void each_body_becomes_what_the_table_says(void **state)
{
    char got[1024];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        become(rows[i].body, "B", PARAMS_REFUSE, got, sizeof got);
        assert_string_equal(rows[i].expected, got);
    }
}

static void repeated_fields_are_kept_as_the_route_says(void **state)
{
    static const char body[] = FIELD("a", "1") FIELD("b", "x") FIELD("a", "2") END;
    char got[256];

    (void)state;
    become(body, "B", PARAMS_FIRST, got, sizeof got);
    assert_string_equal("{\"a\":\"1\",\"b\":\"x\"}", got);
    become(body, "B", PARAMS_LAST, got, sizeof got);
    assert_string_equal("{\"a\":\"2\",\"b\":\"x\"}", got);
    become(body, "B", PARAMS_ARRAY, got, sizeof got);
    assert_string_equal("{\"a\":[\"1\",\"2\"],\"b\":\"x\"}", got);
}

/* The part behind a body that was cut after any byte is never taken for a whole one. */
static void a_body_that_is_cut_off_is_refused(void **state)
{
    static const char body[] = FIELD("a", "1") FIELD("b", "2") "--B--";
    char got[256];

    (void)state;
    for (size_t n = 0; n < sizeof body - 1; n++) {
        char cut[sizeof body];

        memcpy(cut, body, n);
        cut[n] = '\0';
        become(cut, "B", PARAMS_REFUSE, got, sizeof got);
        assert_int_equal('@', got[0]);
    }
    become(body, "B", PARAMS_REFUSE, got, sizeof got);
    assert_string_equal("{\"a\":\"1\",\"b\":\"2\"}", got);
}

static void the_boundary_of_a_content_type_is_found(void **state)
{
    static const char *const types[][2] = {
        {"multipart/form-data; boundary=B", "B"},
        {"multipart/form-data;boundary=B", "B"},
        {"Multipart/Form-Data; BOUNDARY=\"B c\"", "B c"},
        {"multipart/form-data; charset=utf-8; boundary=----WebKitFormBoundaryAbC123",
         "----WebKitFormBoundaryAbC123"},
        {"multipart/form-data; boundary=B; charset=utf-8", "B"},
        {"multipart/form-data; boundary=\"\\B\"", "B"},
        {"multipart/form-data; boundary='()+_,-./:=?", "'()+_,-./:=?"},
        {"multipart/form-data", ""},
        {"multipart/form-data; boundary", ""},
        {"multipart/form-data; boundary=", ""},
        {"multipart/form-data; boundary=\"\"", ""},
        {"multipart/form-data; boundary=\"B", ""},
        {"multipart/form-data; boundary=\"B \"", ""},
        {"multipart/form-data; boundary=\"B\t\"", ""},
        {"multipart/form-data; boundary=B%", ""},
        {"multipart/form-data; boundary=0123456789012345678901234567890123456789012345"
         "678901234567890123456789",
         "0123456789012345678901234567890123456789012345678901234567890123456789"},
        {"multipart/form-data; boundary=0123456789012345678901234567890123456789012345"
         "6789012345678901234567890",
         ""},
        {"", ""}};
    char out[BOUNDARY_MAX];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(types); i++) {
        struct str b = multipart_boundary(str_of(types[i][0]), out);

        assert_int_equal(strlen(types[i][1]), b.n);
        assert_memory_equal(types[i][1], b.p == NULL ? "" : b.p, b.n);
    }
}

static int end(void **state)
{
    (void)state;
    free(room.p);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_body_becomes_what_the_table_says),
        cmocka_unit_test(repeated_fields_are_kept_as_the_route_says),
        cmocka_unit_test(a_body_that_is_cut_off_is_refused),
        cmocka_unit_test(the_boundary_of_a_content_type_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
