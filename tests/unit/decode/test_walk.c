/* The members of an object, and texts put in quotes. */
#include "decode/walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "decode/quote.h"

static void each_member_comes_as_it_was_sent(void **state)
{
    static const char text[] =
        " \n\"a\" : 1 ,\"b\\\"\":\"x\\\\\",\"c\":{\"}\":[\"]\"]} , \"d\":[],"
        "\"e\":true,\"f\":false,\"g\":null,\"\":\"\"}";
    static const struct {
        const char *key, *value;
        enum slot_kind kind;
    } want[] = {{"a", "1", SLOT_NUMBER},
                {"b\\\"", "\"x\\\\\"", SLOT_ESCAPED},
                {"c", "{\"}\":[\"]\"]}", SLOT_OBJECT},
                {"d", "[]", SLOT_ARRAY},
                {"e", "true", SLOT_TRUE},
                {"f", "false", SLOT_FALSE},
                {"g", "null", SLOT_NULL},
                {"", "\"\"", SLOT_STRING}};
    char object[sizeof text + 1] = "{";
    struct member m;
    struct walk w;

    (void)state;
    memcpy(object + 1, text, sizeof text);
    walk_start(&w, str_of(object));
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_true(walk_next(&w, &m));
        assert_true(str_eq(m.key, str_of(want[i].key)));
        assert_true(str_eq(m.value, str_of(want[i].value)));
        assert_int_equal(want[i].kind, m.kind);
        assert_int_equal(i == 1, m.key_escaped);
    }
    assert_false(walk_next(&w, &m));
    assert_false(walk_next(&w, &m));
    walk_start(&w, STR("{}"));
    assert_false(walk_next(&w, &m));
    walk_start(&w, (struct str){NULL, 0});
    assert_false(walk_next(&w, &m));
}

static void an_escaped_key_is_the_name_it_stands_for(void **state)
{
    struct member m;
    struct walk w;

    (void)state;
    walk_start(&w, STR("{\"\\u0061b\":1}"));
    assert_true(walk_next(&w, &m));
    assert_true(m.key_escaped);
    assert_true(walk_is(&m, STR("ab")));
    assert_false(walk_is(&m, STR("a")));
    assert_false(walk_is(&m, STR("\\u0061b")));
}

static void a_key_fills_its_bound_in_escapes(void **state)
{
    enum { MOST = 1024 };
    static char object[6 * MOST + 32], name[MOST];
    struct member m;
    struct walk w;
    char *p = object;

    (void)state;
    memset(name, 'a', MOST);
    memcpy(p, "{\"", 2);
    p += 2;
    for (size_t i = 0; i < MOST; i++, p += 6) {
        memcpy(p, "\\u0061", 6);
    }
    memcpy(p, "\":1}", 4);
    walk_start(&w, (struct str){object, (size_t)(p - object) + 4});
    assert_true(walk_next(&w, &m));
    assert_true(walk_is(&m, (struct str){name, MOST}));
    assert_false(walk_is(&m, (struct str){name, MOST - 1}));
}

static void expect(const char *text, const char *quoted, const char *mended)
{
    char out[256];
    size_t n = strlen(text), k = quote_write(str_of(text), out);

    assert_true(k <= quote_bound(n));
    assert_int_equal(strlen(quoted), k);
    assert_memory_equal(quoted, out, k);
    assert_int_equal(quoted[0] != '\0', quote_is_utf8(str_of(text)));
    k = quote_mended(str_of(text), out);
    assert_true(k <= quote_bound(n));
    assert_int_equal(strlen(mended), k);
    assert_memory_equal(mended, out, k);
}

static void a_text_is_escaped_and_other_bytes_are_refused_or_mended(void **state)
{
    (void)state;
    expect("", "\"\"", "\"\"");
    expect("ab", "\"ab\"", "\"ab\"");
    expect("\"\\", "\"\\\"\\\\\"", "\"\\\"\\\\\"");
    expect("\xC3\xA9\"", "\"\xC3\xA9\\\"\"", "\"\xC3\xA9\\\"\"");
    expect("\xFF", "", "\"\xEF\xBF\xBD\"");
    expect("a\xC3", "", "\"a\xEF\xBF\xBD\"");
    expect("\xED\xA0\x80", "", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

static void control_characters_fill_the_bound(void **state)
{
    static const char text[] = {1, 1, 0, 31};
    char out[6 * sizeof text + 2];

    (void)state;
    assert_int_equal(quote_bound(sizeof text),
                     quote_write((struct str){text, sizeof text}, out));
    assert_memory_equal("\"\\u0001\\u0001\\u0000\\u001f\"", out, sizeof out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_member_comes_as_it_was_sent),
        cmocka_unit_test(an_escaped_key_is_the_name_it_stands_for),
        cmocka_unit_test(a_key_fills_its_bound_in_escapes),
        cmocka_unit_test(a_text_is_escaped_and_other_bytes_are_refused_or_mended),
        cmocka_unit_test(control_characters_fill_the_bound)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
