/* The meaning of an escaped text, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/attr.h"
#include "decode/scan.h"

static const struct {
    const char *source, *text;
} rows[] = {
    {"plain", "plain"},
    {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
    {"a\\u0041b", "aAb"},
    /* The first and the last character of each length. */
    {"\\u007F\\u0080", "\x7F\xC2\x80"},
    {"\\u07FF\\u0800", "\xDF\xBF\xE0\xA0\x80"},
    {"\\uD7FF\\uE000\\uFFFF", "\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"},
    {"\\uD800\\uDC00", "\xF0\x90\x80\x80"},
    {"\\uD83D\\uDE00", "\xF0\x9F\x98\x80"},
    {"\\uDBFF\\uDFFF", "\xF4\x8F\xBF\xBF"},
    {"\\ud83d\\ude00\\ud83d\\ude01", "\xF0\x9F\x98\x80\xF0\x9F\x98\x81"},
};

static void each_escape_is_its_character(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        char out[64];
        size_t n = scan_unescape(rows[i].source, strlen(rows[i].source), out);

        out[n] = '\0';
        assert_string_equal(rows[i].text, out);
        assert_int_equal(strlen(rows[i].text), n);
    }
}

static void a_character_of_zeros_does_not_end_the_text(void **state)
{
    static const char source[] = "a\\u0000b";
    char out[16];

    (void)state;
    assert_int_equal(3, scan_unescape(source, sizeof source - 1, out));
    assert_memory_equal("a\0b", out, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_escape_is_its_character),
        cmocka_unit_test(a_character_of_zeros_does_not_end_the_text)};

    return cmocka_run_group_tests_name("unescape", tests, NULL, NULL);
}
