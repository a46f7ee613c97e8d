/* A pattern takes what string.find of Lua takes, in one pass. Texts and patterns that
 * a seed makes are compared with Lua's own matcher in tests/spec/values_spec.lua. */
#include "plan/text_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/clock.h"

static const struct {
    const char *pattern, *text;
    bool fits;
} rows[] = {
    {"abc", "xabcx", true},
    {"abc", "abx", false},
    {"abc", "ababc", true},
    {"^abc", "xabc", false},
    {"^abc", "abcx", true},
    {"abc$", "xabc", true},
    {"abc$", "abcx", false},
    {"^abc$", "abc", true},
    {"^$", "", true},
    {"^$", "x", false},
    {"^", "anything", true},
    {"$", "anything", true},
    {"^%d+$", "0123456789", true},
    {"^%d+$", "", false},
    {"^%d+$", "12a", false},
    {"^%d*$", "", true},
    {"^%u+%-%d+$", "SKU-12", true},
    {"^%u+%-%d+$", "sku-12", false},
    {"^%u+%-%d+$", "SKU-", false},
    {"^a?b?c?$", "", true},
    {"^a?b?c?$", "ac", true},
    {"^a?b?c?$", "ca", false},
    {"^a*a*a*a*b$", "aaaab", true},
    {"^a-b$", "aaab", true},
    {"^.-$", "x\ny", true},
    {"^.$", "x", true},
    {"^.$", "xy", false},
    {"[abc]+", "xxb", true},
    {"^[a-f%d]+$", "0af9", true},
    {"^[a-f%d]+$", "0ag9", false},
    {"^[^%s]+$", "a b", false},
    {"^[^%s]+$", "ab", true},
    {"^[]]$", "]", true},
    {"^[^]]$", "]", false},
    {"^[a-]$", "-", true},
    {"^[%-x]$", "-", true},
    {"%.", "a.b", true},
    {"%.", "ab", false},
    {"^%a%A$", "a1", true},
    {"^%w+@%w+%.%w%w+$", "ann@shop.example", true},
    {"a$b", "a$b", true},
    {"a^b", "a^b", true},
    {"^*$", "*", true},
    {"\xC3\xA9", "caf\xC3\xA9", true},
    {"ab*", "xa", true},
};

static void a_pattern_fits_as_in_lua(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct text_pattern p;

        assert_null(text_pattern_read(str_of(rows[i].pattern), &p));
        if (text_pattern_fits(&p, str_of(rows[i].text)) != rows[i].fits) {
            fail_msg("%s on \"%s\"", rows[i].pattern, rows[i].text);
        }
    }
}

static void what_it_does_not_know_it_refuses(void **state)
{
    static const char *const bad[] = {"(a)", "a)", "%b()", "%f[a]", "%1", "a%", "[a",
                                      "[",   "[^", "[]",   "",      "[%", "%z"};
    char longest[TEXT_PATTERN_ITEMS + 2];
    struct text_pattern p;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        if (text_pattern_read(str_of(bad[i]), &p) == NULL) {
            fail_msg("%s", bad[i]);
        }
    }
    memset(longest, 'a', sizeof longest);
    longest[TEXT_PATTERN_ITEMS] = '\0';
    assert_null(text_pattern_read(str_of(longest), &p));
    assert_true(text_pattern_fits(&p, str_of(longest)));
    longest[TEXT_PATTERN_ITEMS] = 'a';
    longest[TEXT_PATTERN_ITEMS + 1] = '\0';
    assert_non_null(text_pattern_read(str_of(longest), &p));
}

/* Backtracking takes years for these: n to the power of the stars. */
static void no_text_makes_it_slow(void **state)
{
    static char text[1 << 20];
    struct text_pattern p;
    uint64_t began;

    (void)state;
    memset(text, 'a', sizeof text);
    assert_null(text_pattern_read(STR("^a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b$"), &p));
    began = clock_mono_ns();
    assert_false(text_pattern_fits(&p, (struct str){text, sizeof text}));
    assert_null(text_pattern_read(STR("a?a?a?a?a?a?a?a?a?a?.*.*.*.*.*x"), &p));
    assert_false(text_pattern_fits(&p, (struct str){text, sizeof text}));
    assert_true(clock_mono_ns() - began < 10ull * 1000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_fits_as_in_lua),
        cmocka_unit_test(what_it_does_not_know_it_refuses),
        cmocka_unit_test(no_text_makes_it_slow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
