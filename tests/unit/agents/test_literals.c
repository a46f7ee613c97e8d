/* Texts that an expression needs: never one that a match can lack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agents/literals.h"
#include "base/attr.h"

/* The sets as "a|b c|d": each set with | between its texts. */
static const char *shown(const char *regex, bool caseless)
{
    static char text[4000];
    static struct literal_sets sets;
    size_t n = 0;

    literals_of(str_of(regex), caseless, &sets);
    text[0] = '\0';
    for (uint32_t i = 0; i < sets.n; i++) {
        for (uint32_t k = 0; k < sets.list[i].n; k++) {
            const struct literal *x = &sets.list[i].list[k];

            n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s",
                                  k > 0   ? "|"
                                  : n > 0 ? ","
                                          : "",
                                  (int)x->n, x->text);
        }
    }
    return text;
}

static const struct {
    const char *regex, *sets;
} cases[] = {
    {"Firefox", "firefox"},
    {"(Firefox)/(\\d+)\\.(\\d+)", "firefox/"},
    {"(Fire|Water)fox", "firefox|waterfox"},
    {"[Ff]ire", "fire"},
    {"a[bcd]e", "abe|ace|ade"},
    {"ab[c-e]fg", "ab,fg"},
    {"ab[^c]fg", "ab,fg"},
    {"ab[cdefg]hi", "ab,hi"},
    {"ab.cd", "ab,cd"},
    {"ab\\.cd", "ab.cd"},
    {"ab?cd", "abcd|acd"},
    {"ab*cd", "cd"},
    {"ab+cd", "cd"},
    {"(?:xyz)+cd", "xyz,cd"},
    {"(?:xyz){0,3}cd", "cd"},
    {"(?:xyz){2}cd", "xyz,cd"},
    {"(?:xyz){2,}?cd", "xyz,cd"},
    {"(?:xyz)*cd", "cd"},
    {"(?:xyz|)cd", "xyzcd|cd"},
    {"(?:x.yz|ab\\d|cde)", "yz|ab|cde"},
    {"(?:x.yz|\\d)cd", "cd"},
    {"^abc$", "abc"},
    {"\\babc\\b", "abc"},
    {"ab(?=xyz)cd", "abcd"},
    {"ab(?!xyz)cd", "abcd"},
    {"(?<=xyz)cd", "cd"},
    {"(?<!xyz)cd", "cd"},
    {"abc]d}", "abc]d}"},
    {"[]a]bc", "]bc|abc"},
    {"\xC3\x89t\xC3\xA9", "\xC3\x89t\xC3\xA9"},
    {"abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwx,yz"},
    /* Nothing is known, or is read. */
    {"", ""},
    {"a", ""},
    {"\\d+", ""},
    {"abc|", ""},
    {"(?:abc)?", ""},
    {"abc|\\d", ""},
    {"(?i)abc", ""},
    {"(?x)a b c", ""},
    {"(?#abc)def", ""},
    {"(?|abc)", ""},
    {"(?P<n>abc)", ""},
    {"(?1)abc(d)", ""},
    {"(?(1)abc|d)", ""},
    {"abc(*ACCEPT)def", ""},
    {"\\Qabc\\E", ""},
    {"(abc)\\1", ""},
    {"abc\\x41", ""},
    {"abc\\Kdef", ""},
    {"[[:alpha:]]bc", ""},
    {"abc{,3}", ""},
    {"abc{def", ""},
    {"abc)", ""},
    {"(abc", ""},
    {"[abc", ""},
    {"*abc", ""},
    {"abc\\", ""},
    {"ab\xff", ""},
};

static void test_finds_the_texts_that_each_match_has(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        assert_string_equal(shown(cases[i].regex, false), cases[i].sets);
    }
}

static void test_without_case_a_character_beyond_ascii_is_not_one_text(void **state)
{
    (void)state;
    assert_string_equal(shown("NOKIA", true), "nokia");
    assert_string_equal(shown("ab\xC3\x89zd", true), "ab,zd");
    /* The Kelvin sign and the long s are k and s then. */
    assert_string_equal(shown("lin\xE2\x84\xAA\xC5\xBF", false), "links");
}

static void test_gives_up_on_deep_nesting(void **state)
{
    char text[300];

    (void)state;
    memset(text, '(', 100);
    memcpy(text + 100, "abc", 3);
    memset(text + 103, ')', 100);
    text[203] = '\0';
    assert_string_equal(shown(text, false), "");
    assert_string_equal(shown(text + 80, false), "");
    text[183] = '\0';
    assert_string_equal(shown(text + 80, false), "");
    text[123] = '\0';
    assert_string_equal(shown(text + 80, false), "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_texts_that_each_match_has),
        cmocka_unit_test(test_without_case_a_character_beyond_ascii_is_not_one_text),
        cmocka_unit_test(test_gives_up_on_deep_nesting)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
