/* One expression: its groups, and that no text makes it run for long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agents/pattern.h"

#include "base/attr.h"
#include "base/clock.h"

static struct matcher *matcher;
static struct str groups[AGENT_GROUPS_MAX + 1];

static struct pattern *make(const char *regex, bool caseless)
{
    struct err e;
    struct pattern *p = pattern_new(str_of(regex), caseless, &e);

    if (p == NULL) {
        fail_msg("%s: %s", regex, e.text);
    }
    return p;
}

static enum pattern_result run(const char *regex, bool caseless, struct str text)
{
    struct pattern *p = make(regex, caseless);
    enum pattern_result r = pattern_match(p, matcher, text, groups);

    pattern_free(p);
    return r;
}

static void test_gives_the_groups(void **state)
{
    (void)state;
    assert_int_equal(run("(\\d+)(?:\\.(\\d+)|)(x)?", false, STR("a 12.3b")),
                     PATTERN_OK);
    assert_true(str_eq(groups[0], STR("12.3")));
    assert_true(str_eq(groups[1], STR("12")));
    assert_true(str_eq(groups[2], STR("3")));
    assert_null(groups[3].p);
    assert_null(groups[9].p);
    assert_int_equal(run("(a)", false, STR("A")), PATTERN_NONE);
    assert_int_equal(run("(a)", true, STR("A")), PATTERN_OK);
    assert_int_equal(run("(a)", true, (struct str){NULL, 0}), PATTERN_NONE);
}

static void test_has_room_for_nine_groups(void **state)
{
    (void)state;
    assert_int_equal(
        run("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)", false, STR("abcdefghijk")),
        PATTERN_OK);
    assert_true(str_eq(groups[9], STR("i")));
}

static void test_knows_utf8(void **state)
{
    (void)state;
    assert_int_equal(run("^(.)x", false, STR("\xC3\xA9x")), PATTERN_OK);
    assert_true(str_eq(groups[1], STR("\xC3\xA9")));
    assert_int_equal(run("(\xC3\x89)", true, STR("\xC3\xA9")), PATTERN_OK);
    assert_int_equal(run("(k)", true, STR("\xE2\x84\xAA")), PATTERN_OK);
    assert_int_equal(run("(\\d)", false, STR("\xD9\xA1")), PATTERN_NONE);
}

static void test_names_what_pcre2_refuses(void **state)
{
    struct err e;

    (void)state;
    assert_null(pattern_new(STR("(a"), false, &e));
    assert_string_equal(e.text, "missing closing parenthesis, at character 3");
    assert_null(pattern_new(STR("a\\Cb"), false, &e));
    assert_null(pattern_new(STR("\xff"), false, &e));
    assert_null(pattern_new(STR("(?:(?:ab){1000}){1000}"), false, &e));
    assert_non_null(strstr(e.text, "too large"));
}

/* Each would take from seconds to longer than the universe is old. */
static const char *const wild[] = {"(a+)+$",
                                   "(?:a|aa)+$",
                                   "(a*)*b$|(a*)*c$",
                                   "(?:(?:a{1,40}){1,40}){1,40}[bx]$",
                                   "(?:a?){30}a{1023}z?$",
                                   "(a*?a*?a*?a*?a*?a*?)[xz]",
                                   "(.*.*.*.*.*.*)[xz]$",
                                   "(\\w*\\W*\\w*\\W*\\w*)\\1\\1[xz]",
                                   "(?=((?:a+)+)$)[xz]|(a+a+a+a+)[xz]",
                                   "^(a+)+$",
                                   "^.*.*.*.*.*[xz]$",
                                   "^((a?)*)*[xz]$",
                                   "(?R)?a(?R)?[xz]",
                                   "(?:a.*a.*a.*a.*)[yz]",
                                   "(?:.{0,1000}?a.{0,1000}?a){9}[yz]"};

/* The time is the thread's own, so that a busy machine changes nothing; ten times what the
 * worst takes. */
static void test_bounds_the_work_of_a_match(void **state)
{
    enum { TEXT = 1024, MOST_NS = 50000000 };
    static char texts[4][TEXT];
    unsigned too_far = 0;

    (void)state;
    memset(texts[0], 'a', TEXT);
    memset(texts[1], 'a', TEXT);
    texts[1][TEXT - 1] = '!';
    for (int i = 0; i < TEXT; i++) {
        texts[2][i] = "ab"[i % 2];
        texts[3][i] = i % 32 == 31 ? ' ' : 'a';
    }
    texts[2][TEXT - 2] = 'x';
    for (size_t i = 0; i < N_ELEMS(wild); i++) {
        struct pattern *p = make(wild[i], false);

        for (size_t k = 0; k < N_ELEMS(texts); k++) {
            uint64_t from = clock_thread_ns();

            too_far += pattern_match(p, matcher, (struct str){texts[k], TEXT},
                                     groups) == PATTERN_TOO_FAR;
            assert_in_range(clock_thread_ns() - from, 0, MOST_NS);
        }
        pattern_free(p);
    }
    assert_in_range(too_far, 10, 100);
}

static int set_up(void **state)
{
    (void)state;
    matcher = matcher_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    matcher_free(matcher);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_the_groups),
        cmocka_unit_test(test_has_room_for_nine_groups),
        cmocka_unit_test(test_knows_utf8),
        cmocka_unit_test(test_names_what_pcre2_refuses),
        cmocka_unit_test(test_bounds_the_work_of_a_match)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
