/* Queries and urlencoded forms: what each becomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "decode/query.h"

/* n, m: numbers; b: a truth; j, q: JSON; e: JSON in base64. */
static const struct param_rule list[] = {
    {STR("n"), PARAM_NUMBER, false},     {STR("m"), PARAM_NUMBER, false},
    {STR("b"), PARAM_BOOL, false},       {STR("j"), PARAM_JSON, false},
    {STR("q"), PARAM_JSON, false},       {STR("e"), PARAM_BASE64, false},
    {STR("\\\"n"), PARAM_NUMBER, false}, {STR("ids"), PARAM_NUMBER, true},
    {STR("tags"), PARAM_TEXT, true},     {STR("oks"), PARAM_BOOL, true}};

/* A text and the object, or "@PLACE NAME: why", that it becomes. */
struct row {
    const char *text, *expected;
};

static const struct row rows[] = {
    /* Pairs. */
    {"", "{}"},
    {"a=1", "{\"a\":\"1\"}"},
    {"a=1&b2=2", "{\"a\":\"1\",\"b2\":\"2\"}"},
    {"a", "{\"a\":\"\"}"},
    {"a&c", "{\"a\":\"\",\"c\":\"\"}"},
    {"a=", "{\"a\":\"\"}"},
    {"=", "{\"\":\"\"}"},
    {"=v", "{\"\":\"v\"}"},
    {"==", "{\"\":\"=\"}"},
    {"a==", "{\"a\":\"=\"}"},
    {"a=b=c", "{\"a\":\"b=c\"}"},
    {"a=b==c=", "{\"a\":\"b==c=\"}"},
    {"&", "{}"},
    {"&&", "{}"},
    {"&a=1", "{\"a\":\"1\"}"},
    {"a=1&", "{\"a\":\"1\"}"},
    {"a=1&&b2=2", "{\"a\":\"1\",\"b2\":\"2\"}"},
    {"&&&a=1&&&", "{\"a\":\"1\"}"},
    {"&=&", "{\"\":\"\"}"},
    {"a=1;c=2", "{\"a\":\"1;c=2\"}"},
    {";", "{\";\":\"\"}"},
    {"a;c=1", "{\"a;c\":\"1\"}"},
    {"?a=1", "{\"?a\":\"1\"}"},
    {"a=?", "{\"a\":\"?\"}"},
    {"a[b]=1", "{\"a[b]\":\"1\"}"},
    {"a[]=1&a[]=2", "{\"a[]\":\"1\",\"a[]\":\"2\"}"},
    {"a.b=1", "{\"a.b\":\"1\"}"},
    {"a=1&a=2", "{\"a\":\"1\",\"a\":\"2\"}"},
    {"a=#x", "{\"a\":\"#x\"}"},
    {"a=/p/q?r", "{\"a\":\"/p/q?r\"}"},
    {"a=~-._!*'()", "{\"a\":\"~-._!*'()\"}"},
    {"a=\x7f", "{\"a\":\"\x7f\"}"},
    {"a={\"x\"}", "{\"a\":\"{\\\"x\\\"}\"}"},
    {"a=\\", "{\"a\":\"\\\\\"}"},
    {"\"=1", "{\"\\\"\":\"1\"}"},
    {"a b=c d", "{\"a b\":\"c d\"}"},
    /* + and %. */
    {"a+b=c+d", "{\"a b\":\"c d\"}"},
    {"+=+", "{\" \":\" \"}"},
    {"a=%2B", "{\"a\":\"+\"}"},
    {"a=%20", "{\"a\":\" \"}"},
    {"a=%41%62", "{\"a\":\"Ab\"}"},
    {"%61=1", "{\"a\":\"1\"}"},
    {"a=%26&c=%3D", "{\"a\":\"&\",\"c\":\"=\"}"},
    {"%26=1", "{\"&\":\"1\"}"},
    {"%3D=1", "{\"=\":\"1\"}"},
    {"a%3D1", "{\"a=1\":\"\"}"},
    {"a=%25", "{\"a\":\"%\"}"},
    {"a=%2541", "{\"a\":\"%41\"}"},
    {"a=%", "{\"a\":\"%\"}"},
    {"a=%4", "{\"a\":\"%4\"}"},
    {"a=%4&c=1", "{\"a\":\"%4\",\"c\":\"1\"}"},
    {"a=%zz", "{\"a\":\"%zz\"}"},
    {"a=%4z", "{\"a\":\"%4z\"}"},
    {"a=%z4", "{\"a\":\"%z4\"}"},
    {"a=%%41", "{\"a\":\"%A\"}"},
    {"a=100%", "{\"a\":\"100%\"}"},
    {"a=100%&c=%", "{\"a\":\"100%\",\"c\":\"%\"}"},
    {"%=%", "{\"%\":\"%\"}"},
    {"a=%u0041", "{\"a\":\"%u0041\"}"},
    {"a=%2f%2F", "{\"a\":\"//\"}"},
    {"a=%22%5C", "{\"a\":\"\\\"\\\\\"}"},
    {"a=%0A%0d%09", "{\"a\":\"\\n\\r\\t\"}"},
    {"a=%00", "{\"a\":\"\\u0000\"}"},
    {"a%00=1", "{\"a\\u0000\":\"1\"}"},
    {"a=%01%1f%7F", "{\"a\":\"\\u0001\\u001f\x7f\"}"},
    {"a=x\ty\nz", "{\"a\":\"x\\ty\\nz\"}"},
    {"a=0123456789abcdef%200123456789abcdef0",
     "{\"a\":\"0123456789abcdef 0123456789abcdef0\"}"},
    {"a=0123456789abcde%3D", "{\"a\":\"0123456789abcde=\"}"},
    {"0123456789abcdef0=1&x=2", "{\"0123456789abcdef0\":\"1\",\"x\":\"2\"}"},
    {"0123456789abcdef=0123456789abcdef",
     "{\"0123456789abcdef\":\"0123456789abcdef\"}"},
    /* UTF-8. */
    {"a=%C3%A9", "{\"a\":\"\xC3\xA9\"}"},
    {"a=\xC3\xA9", "{\"a\":\"\xC3\xA9\"}"},
    {"%C3%A9=1", "{\"\xC3\xA9\":\"1\"}"},
    {"a=%E2%82%AC", "{\"a\":\"\xE2\x82\xAC\"}"},
    {"a=%F0%9F%98%80", "{\"a\":\"\xF0\x9F\x98\x80\"}"},
    {"a=\xC3%A9", "{\"a\":\"\xC3\xA9\"}"},
    {"a=%EF%BB%BFx", "{\"a\":\"\xEF\xBB\xBFx\"}"},
    {"\xEF\xBB\xBF"
     "a=1",
     "{\"\xEF\xBB\xBF"
     "a\":\"1\"}"},
    {"a=%ff", "@0 a: its value is not UTF-8"},
    {"a=%C3", "@0 a: its value is not UTF-8"},
    {"a=%C3&c=%A9", "@0 a: its value is not UTF-8"},
    {"a=%A9", "@0 a: its value is not UTF-8"},
    {"a=%C0%80", "@0 a: its value is not UTF-8"},
    {"a=%ED%A0%80", "@0 a: its value is not UTF-8"},
    {"a=%F4%90%80%80", "@0 a: its value is not UTF-8"},
    {"a=caf\xE9", "@0 a: its value is not UTF-8"},
    {"%ff=1", "@0 %ff: its name is not UTF-8"},
    {"x=1&y%E9=2", "@4 y%E9: its name is not UTF-8"},
    {"x=1&&y=%E9", "@5 y: its value is not UTF-8"},
    {"n=%ff", "@0 n: its value is not UTF-8"},
    {"b=%ff", "@0 b: its value is not UTF-8"},
    /* Numbers. */
    {"n=5", "{\"n\":5}"},
    {"n=0", "{\"n\":0}"},
    {"n=-0", "{\"n\":-0}"},
    {"n=-5.25", "{\"n\":-5.25}"},
    {"n=1e5", "{\"n\":1e5}"},
    {"n=1E%2B05", "{\"n\":1E+05}"},
    {"n=1.50e-3", "{\"n\":1.50e-3}"},
    {"n=007", "{\"n\":7}"},
    {"n=000", "{\"n\":0}"},
    {"n=-007.5", "{\"n\":-7.5}"},
    {"n=0.5", "{\"n\":0.5}"},
    {"n=.5", "{\"n\":0.5}"},
    {"n=-.5", "{\"n\":-0.5}"},
    {"n=%2B5", "{\"n\":5}"},
    {"n=%2B.5", "{\"n\":0.5}"},
    {"n=%35", "{\"n\":5}"},
    {"%6E=5", "{\"n\":5}"},
    {"n=12345678901234567890.12345678901234567890",
     "{\"n\":12345678901234567890.12345678901234567890}"},
    {"n=1234567890123456789012345678901234567890123456789012345678901234567890",
     "{\"n\":1234567890123456789012345678901234567890123456789012345678901234567890}"},
    {"n=1&m=2", "{\"n\":1,\"m\":2}"},
    {"m=2&n=1", "{\"m\":2,\"n\":1}"},
    {"n=", "{\"n\":null}"},
    {"n", "{\"n\":null}"},
    {"n=+5", "{\"n\":\" 5\"}"},
    {"n=5+", "{\"n\":\"5 \"}"},
    {"n=5.", "{\"n\":\"5.\"}"},
    {"n=.", "{\"n\":\".\"}"},
    {"n=-", "{\"n\":\"-\"}"},
    {"n=%2B", "{\"n\":\"+\"}"},
    {"n=--5", "{\"n\":\"--5\"}"},
    {"n=-%2B5", "{\"n\":\"-+5\"}"},
    {"n=1e", "{\"n\":\"1e\"}"},
    {"n=1e%2B", "{\"n\":\"1e+\"}"},
    {"n=e5", "{\"n\":\"e5\"}"},
    {"n=.e5", "{\"n\":\".e5\"}"},
    {"n=1.e5", "{\"n\":\"1.e5\"}"},
    {"n=0x10", "{\"n\":\"0x10\"}"},
    {"n=1,5", "{\"n\":\"1,5\"}"},
    {"n=1_000", "{\"n\":\"1_000\"}"},
    {"n=NaN", "{\"n\":\"NaN\"}"},
    {"n=Infinity", "{\"n\":\"Infinity\"}"},
    {"n=1%00", "{\"n\":\"1\\u0000\"}"},
    {"n=\"5\"", "{\"n\":\"\\\"5\\\"\"}"},
    {"n=%D9%A5", "{\"n\":\"\xD9\xA5\"}"},
    {"%22n=5", "{\"\\\"n\":5}"},
    {"N=5", "{\"N\":\"5\"}"},
    {"nn=5", "{\"nn\":\"5\"}"},
    /* Truths. */
    {"b=true", "{\"b\":true}"},
    {"b=false", "{\"b\":false}"},
    {"b=True", "{\"b\":true}"},
    {"b=FALSE", "{\"b\":false}"},
    {"b=1", "{\"b\":true}"},
    {"b=0", "{\"b\":false}"},
    {"b=", "{\"b\":null}"},
    {"b", "{\"b\":null}"},
    {"b=2", "{\"b\":\"2\"}"},
    {"b=yes", "{\"b\":\"yes\"}"},
    {"b=on", "{\"b\":\"on\"}"},
    {"b=true+", "{\"b\":\"true \"}"},
    /* JSON, plain and in base64. */
    {"j={\"a\":[1,{}]}", "{\"j\":{\"a\":[1,{}]}}"},
    {"j=%7B%22a%22%3A1%7D", "{\"j\":{\"a\":1}}"},
    {"j=5&q=\"x\"", "{\"j\":5,\"q\":\"x\"}"},
    {"j=+[+]+&a=1", "{\"j\": [ ] ,\"a\":\"1\"}"},
    {"j=\"%C3%A9\"", "{\"j\":\"\xC3\xA9\"}"},
    {"j=\"\\u00e9\\n\"", "{\"j\":\"\\u00e9\\n\"}"},
    {"j=null", "{\"j\":null}"},
    {"j=", "{\"j\":null}"},
    {"j", "{\"j\":null}"},
    {"j=1,\"x\":2",
     "@0 j: its value is not JSON: expected the end of the body after the JSON value "
     "(at byte 1)"},
    {"j=1}",
     "@0 j: its value is not JSON: expected the end of the body after the JSON value "
     "(at byte 1)"},
    {"a=1&j=tru", "@4 j: its value is not JSON: expected a value (at byte 0)"},
    {"j=\"%ff\"", "@0 j: its value is not JSON: a string is not UTF-8 (at byte 1)"},
    {"j={\"a\":1", "@0 j: its value is not JSON: expected ',' or '}' (at byte 6)"},
    {"j=[[[[[[[[[]]]]]]]]]",
     "@0 j: its value is not JSON: objects and arrays are nested too deep (at byte 8)"},
    {"e=eyJhIjoxfQ==", "{\"e\":{\"a\":1}}"},
    {"e=eyJhIjoxfQ", "{\"e\":{\"a\":1}}"},
    {"e=eyJhIjoxfQ%3D%3D", "{\"e\":{\"a\":1}}"},
    {"e=IsO_IsO-Ig",
     "@0 e: its value is not JSON: expected the end of the body after the "
     "JSON value (at byte 4)"},
    {"e=IsO-Ig&a", "{\"e\":\"\xC3\xBE\",\"a\":\"\"}"},
    {"e=IsO%2BIg&a", "{\"e\":\"\xC3\xBE\",\"a\":\"\"}"},
    {"e=IsO+Ig&a", "{\"e\":\"\xC3\xBE\",\"a\":\"\"}"},
    {"e=NQ", "{\"e\":5}"},
    {"e=", "{\"e\":null}"},
    {"e=N", "@0 e: its value is not base64"},
    {"e=NQ===", "@0 e: its value is not base64"},
    {"e=N.Q", "@0 e: its value is not base64"},
    {"e==", "@0 e: its value is not JSON: expected a value (at byte 0)"},
};

/* The same with names that come more than once: first, last, array. */
static const char *const repeated[][4] = {
    {"a=1&a=2", "{\"a\":\"1\"}", "{\"a\":\"2\"}", "{\"a\":[\"1\",\"2\"]}"},
    {"a=1&c=2&a=3&d=4&a=5", "{\"a\":\"1\",\"c\":\"2\",\"d\":\"4\"}",
     "{\"a\":\"5\",\"c\":\"2\",\"d\":\"4\"}",
     "{\"a\":[\"1\",\"3\",\"5\"],\"c\":\"2\",\"d\":\"4\"}"},
    {"a=1&%61=2", "{\"a\":\"1\"}", "{\"a\":\"2\"}", "{\"a\":[\"1\",\"2\"]}"},
    {"a&a&a", "{\"a\":\"\"}", "{\"a\":\"\"}", "{\"a\":[\"\",\"\",\"\"]}"},
    {"n=1&n=x&n=", "{\"n\":1}", "{\"n\":null}", "{\"n\":[1,\"x\",null]}"},
    {"j=[1]&j={}", "{\"j\":[1]}", "{\"j\":{}}", "{\"j\":[[1],{}]}"},
    {"a=1&b2=2", "{\"a\":\"1\",\"b2\":\"2\"}", "{\"a\":\"1\",\"b2\":\"2\"}",
     "{\"a\":\"1\",\"b2\":\"2\"}"},
    {"=1&=2", "{\"\":\"1\"}", "{\"\":\"2\"}", "{\"\":[\"1\",\"2\"]}"},
    {"a[]=1&a[]=2", "{\"a[]\":\"1\"}", "{\"a[]\":\"2\"}", "{\"a[]\":[\"1\",\"2\"]}"},
    {"c=1&a=1&a=2&c=2", "{\"c\":\"1\",\"a\":\"1\"}", "{\"c\":\"2\",\"a\":\"2\"}",
     "{\"c\":[\"1\",\"2\"],\"a\":[\"1\",\"2\"]}"},
    {"", "{}", "{}", "{}"},
    {"ids=1", "{\"ids\":1}", "{\"ids\":1}", "{\"ids\":[1]}"},
    {"a=1&ids=01&ids=x", "{\"a\":\"1\",\"ids\":1}", "{\"a\":\"1\",\"ids\":\"x\"}",
     "{\"a\":\"1\",\"ids\":[1,\"x\"]}"},
    /* An empty text is an item of texts; of other types it is none. */
    {"ids=", "{\"ids\":null}", "{\"ids\":null}", "{\"ids\":[]}"},
    {"ids=&ids=7&ids&ids=8&ids=", "{\"ids\":null}", "{\"ids\":null}",
     "{\"ids\":[7,8]}"},
    {"oks=&a=1&oks=", "{\"oks\":null,\"a\":\"1\"}", "{\"oks\":null,\"a\":\"1\"}",
     "{\"oks\":[],\"a\":\"1\"}"},
    {"tags=", "{\"tags\":\"\"}", "{\"tags\":\"\"}", "{\"tags\":[\"\"]}"},
    {"tags=&tags=x", "{\"tags\":\"\"}", "{\"tags\":\"x\"}", "{\"tags\":[\"\",\"x\"]}"},
    {"a=1&a=%ff", "@4 a: its value is not UTF-8", "@4 a: its value is not UTF-8",
     "@4 a: its value is not UTF-8"}};

static struct params_room room;

/* text is copied, so that a sanitizer sees what is read behind it. */
static enum params_result become(const char *text, size_t n, enum params_repeated how,
                                 char *out, size_t out_n)
{
    const struct params_rules rules = {
        .rules = list, .n_rules = N_ELEMS(list), .repeated = how, .key = {1, 2}};
    const struct scan_limits limits = {1, 8};
    char *copy = malloc(n > 0 ? n : 1);
    struct params_error e;
    enum params_result r;
    struct str event;

    memcpy(copy, text, n);
    r = query_write(&rules, &limits, (struct str){copy, n}, 1 << 20, &room, &event, &e);
    if (r == PARAMS_OK) {
        (void)snprintf(out, out_n, "%.*s", (int)event.n, event.p);
    } else {
        (void)snprintf(out, out_n, "@%zu %.*s: %s", e.at, (int)e.name.n, e.name.p,
                       e.detail == NULL ? "" : e.detail);
    }
    free(copy);
    return r;
}

static void each_text_becomes_what_the_table_says(void **state)
{
    char got[1024];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        (void)become(rows[i].text, strlen(rows[i].text), PARAMS_REFUSE, got,
                     sizeof got);
        assert_string_equal(rows[i].expected, got);
    }
}

static void repeated_names_are_kept_as_the_route_says(void **state)
{
    char got[1024];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(repeated); i++) {
        for (int how = PARAMS_FIRST; how <= PARAMS_ARRAY; how++) {
            (void)become(repeated[i][0], strlen(repeated[i][0]),
                         (enum params_repeated)how, got, sizeof got);
            assert_string_equal(repeated[i][how], got);
        }
    }
}

/* Without names that come twice, all four make the same. */
static void texts_without_repeats_do_not_depend_on_the_route(void **state)
{
    char one[1024], other[1024];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        size_t n = strlen(rows[i].text);

        (void)become(rows[i].text, n, PARAMS_REFUSE, one, sizeof one);
        for (int how = PARAMS_FIRST; how <= PARAMS_ARRAY; how++) {
            (void)become(rows[i].text, n, (enum params_repeated)how, other,
                         sizeof other);
            if (strncmp(rows[i].text, "a=1&a=2", 7) != 0 &&
                strncmp(rows[i].text, "a[]=1&a[]", 9) != 0) {
                assert_string_equal(one, other);
            }
        }
    }
}

static void a_nul_byte_in_a_form_is_kept(void **state)
{
    char got[64];

    (void)state;
    assert_int_equal(PARAMS_OK, become("a\0b=c\0d", 7, PARAMS_REFUSE, got, sizeof got));
    assert_string_equal("{\"a\\u0000b\":\"c\\u0000d\"}", got);
}

static void more_than_1024_parameters_are_refused(void **state)
{
    char text[3 * (PARAMS_MAX + 2)], got[64];
    static char large[16 * PARAMS_MAX];

    (void)state;
    for (size_t i = 0; i <= PARAMS_MAX; i++) {
        memcpy(text + 2 * i, "a&", 2);
    }
    for (int how = PARAMS_REFUSE; how <= PARAMS_ARRAY; how++) {
        assert_int_equal(PARAMS_OK,
                         become(text, 2 * (size_t)PARAMS_MAX, (enum params_repeated)how,
                                large, sizeof large));
        assert_int_equal(PARAMS_TOO_MANY,
                         become(text, 2 * (size_t)PARAMS_MAX + 1,
                                (enum params_repeated)how, got, sizeof got));
        assert_string_equal("@2048 a: ", got);
    }
}

static void an_object_beyond_its_bound_is_refused(void **state)
{
    const struct params_rules rules = {.repeated = PARAMS_REFUSE};
    const struct scan_limits limits = {1, 8};
    static char text[200000];
    struct params_error e;
    struct str event;

    (void)state;
    memset(text, 1, sizeof text); /* six bytes each, as JSON */
    assert_int_equal(PARAMS_TOO_LARGE,
                     query_write(&rules, &limits, (struct str){text, sizeof text},
                                 1 << 20, &room, &event, &e));
    memset(text, 'x', sizeof text);
    assert_int_equal(PARAMS_OK,
                     query_write(&rules, &limits, (struct str){text, sizeof text},
                                 1 << 18, &room, &event, &e));
    assert_int_equal(sizeof text + 7, event.n);
    /* What is percent-encoded counts for what it stands for. */
    for (size_t i = 0; i + 3 <= sizeof text; i += 3) {
        memcpy(text + i, "%41", 3);
    }
    assert_int_equal(PARAMS_OK,
                     query_write(&rules, &limits, (struct str){text, sizeof text - 2},
                                 1 << 17, &room, &event, &e));
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
        cmocka_unit_test(each_text_becomes_what_the_table_says),
        cmocka_unit_test(repeated_names_are_kept_as_the_route_says),
        cmocka_unit_test(texts_without_repeats_do_not_depend_on_the_route),
        cmocka_unit_test(a_nul_byte_in_a_form_is_kept),
        cmocka_unit_test(more_than_1024_parameters_are_refused),
        cmocka_unit_test(an_object_beyond_its_bound_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
