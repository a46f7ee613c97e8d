/* Which words a policy says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/load/literals.h"

static struct literals *of(const char *text)
{
    struct literals *l = literals_new();

    literals_add(l, str_of(text));
    literals_sort(l);
    return l;
}

static void words_in_quotes_are_found(void **state)
{
    struct literals *l = of("return reject(\"too_big\", 'no-id') -- it's \"late\"\n"
                            "local t = [[ \" ]] .. 'b1' .. \"\" .. \"two words\"");

    (void)state;
    assert_true(literals_has(l, "too_big"));
    assert_true(literals_has(l, "no-id"));
    assert_true(literals_has(l, "late"));
    assert_true(literals_has(l, "b1"));
    assert_false(literals_has(l, "too"));
    assert_false(literals_has(l, "too_bigger"));
    assert_false(literals_has(l, "two words"));
    assert_false(literals_has(l, ""));
    assert_false(literals_has(l, "reject"));
    literals_free(l);
}

static void a_word_is_as_long_as_a_code_may_be(void **state)
{
    struct literals *l =
        of("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
           "'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb' 'cut");

    (void)state;
    assert_true(literals_has(
        l, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    assert_false(literals_has(
        l, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"));
    assert_false(literals_has(l, "cut"));
    literals_free(l);
}

static void nothing_is_said_by_no_text(void **state)
{
    struct literals *l = of("");

    (void)state;
    assert_false(literals_has(l, "x"));
    literals_free(l);
    literals_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_in_quotes_are_found),
        cmocka_unit_test(a_word_is_as_long_as_a_code_may_be),
        cmocka_unit_test(nothing_is_said_by_no_text)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
