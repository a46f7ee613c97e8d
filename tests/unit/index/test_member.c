/* A member that is found without reading all of the object is the one that the scanner
 * finds, whatever stands around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "index/ids.h"
#include "index/member.h"

static enum member_found find(const char *object, char *out)
{
    char buf[256] = "";
    struct str value = {NULL, 0};
    enum member_found f;

    memcpy(buf, object, strlen(object));
    f = member_find((struct str){buf, strlen(object)}, STR("id"), &value);
    (void)sprintf(out, "%.*s", f <= MEMBER_NUMBER ? (int)value.n : 0,
                  f <= MEMBER_NUMBER ? value.p : "");
    return f;
}

static void finds_each_kind(void **state)
{
    static const struct {
        const char *object, *value;
        enum member_found found;
    } cases[] = {
        {"{\"id\":\"e1\"}", "e1", MEMBER_TEXT},
        {" { \"id\" :\t\"e1\" , \"x\":1}", "e1", MEMBER_TEXT},
        {"{\"id\":\"\"}", "", MEMBER_TEXT},
        {"{\"id\":\"a\\\"b\"}", "a\\\"b", MEMBER_ESCAPED},
        {"{\"id\":-17}", "-17", MEMBER_NUMBER},
        {"{\"id\":1.5e3 }", "1.5e3", MEMBER_NUMBER},
        {"{\"id\":null}", "", MEMBER_OTHER},
        {"{\"id\":{\"id\":\"no\"}}", "", MEMBER_OTHER},
        {"{\"a\":{\"id\":\"no\"},\"id\":\"e1\"}", "e1", MEMBER_TEXT},
        {"{\"a\":[\"}\",{\"id\":\"\\\\\"}],\"id\":\"e1\"}", "e1", MEMBER_TEXT},
        {"{\"a\":\"\\\"id\\\":\\\"no\\\"\",\"b\":true,\"id\":\"e1\"}", "e1",
         MEMBER_TEXT},
        {"{\"idx\":\"no\",\"i\":\"no\",\"id\":7}", "7", MEMBER_NUMBER},
        {"{\"a\":{\"id\":\"no\"}}", "", MEMBER_ABSENT},
        {"{}", "", MEMBER_ABSENT},
        {"{\"i\\u0064\":\"e1\"}", "", MEMBER_UNSURE},
        {"[1]", "", MEMBER_UNSURE},
        {"", "", MEMBER_UNSURE},
        {"{\"id\":\"e1", "", MEMBER_UNSURE},
        {"{\"a\":[1,2", "", MEMBER_UNSURE},
        {"{\"a\"", "", MEMBER_UNSURE},
        {"{\"id\":", "", MEMBER_UNSURE},
    };
    char got[256];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        assert_int_equal(cases[i].found, find(cases[i].object, got));
        assert_string_equal(cases[i].value, got);
    }
}

/* Objects made at random, with and without the id. */
static size_t random_value(char *out, int depth)
{
    static const char *const few[] = {
        "1",           "-2.5e9",
        "true",        "null",
        "\"\"",        "\"a,}\"",
        "\"\\\\\"",    "\"x\\\"y\"",
        "{}",          "[]",
        "\"\\u007b\"", "\"{[\"",
        "false",       "\"long text with : and , in it\""};
    size_t n = 0;
    const int kind = rand() % 8;

    if (depth > 2 || kind > 1) {
        return (size_t)sprintf(out, "%s", few[(size_t)rand() % N_ELEMS(few)]);
    }
    out[n++] = kind == 0 ? '{' : '[';
    for (int i = rand() % 4; i > 0; i--) {
        if (kind == 0) {
            n +=
                (size_t)sprintf(out + n, "\"%s%d\": ", rand() % 3 == 0 ? "id" : "k", i);
        }
        n += random_value(out + n, depth + 1);
        out[n] = ',';
        n += i > 1;
    }
    out[n++] = kind == 0 ? '}' : ']';
    out[n] = '\0';
    return n;
}

static size_t random_object(char *out)
{
    const int members = rand() % 6, at = rand() % 8;
    size_t n = (size_t)sprintf(out, "%s{", rand() % 4 == 0 ? " " : "");

    for (int i = 0; i < members; i++) {
        static const char *const keys[] = {"k%d", "%d", "id%d", "i\\u0064%d", "d%d"};
        char key[32];

        (void)snprintf(key, sizeof key, keys[(size_t)rand() % N_ELEMS(keys)], i);
        n += (size_t)sprintf(out + n, "\"%s\"%s:", i == at ? "id" : key,
                             rand() % 5 == 0 ? " " : "");
        n += random_value(out + n, 0);
        n += (size_t)sprintf(out + n, "%s", i + 1 < members ? "," : "");
    }
    return n + (size_t)sprintf(out + n, "}");
}

static void finds_what_the_scanner_finds(void **state)
{
    static char lines[20 * 4096];
    struct err e;
    struct ids *whole = ids_new("id", &e), *quick = ids_new("id", &e);

    (void)state;
    srand(7);
    for (int round = 0; round < 20000; round++) {
        size_t n = 0;
        const uint32_t events = 1 + (uint32_t)rand() % 5;

        for (uint32_t i = 0; i < events; i++) {
            n += random_object(lines + n);
            lines[n++] = '\n';
        }
        memset(lines + n, round % 2 == 0 ? 0 : '"', 64);
        ids_read(whole, (struct str){lines, n}, events);
        ids_read_stored(quick, (struct str){lines, n}, events);
        for (uint32_t i = 0; i < events; i++) {
            const struct str a = ids_get(whole, i), b = ids_get(quick, i);

            assert_int_equal(a.p == NULL, b.p == NULL);
            assert_true(a.p == NULL || str_eq(a, b));
        }
    }
    ids_free(whole);
    ids_free(quick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_each_kind),
        cmocka_unit_test(finds_what_the_scanner_finds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
