/* A file of user agents: the values of a text, and the mistakes beyond its YAML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agents/agents.h"
#include "base/attr.h"
#include "base/clock.h"
#include "unit/agents/agents_told.h"

static struct agents_told told;
static struct matcher *matcher;

static struct agents *make(const char *text)
{
    told.text[0] = '\0';
    return agents_new(str_of(text), agents_note, &told);
}

/* The values of a text as "family|2|3|" with and without the sieve, which are the same. */
static const char *values(const struct agents *a, enum agent_section section,
                          struct str text)
{
    static char out[2][AGENT_ROOM + 10], room[AGENT_ROOM];
    uint64_t mask[AGENT_RULES_MAX / 64];
    uint32_t skipped, line;

    agents_sieve(a, text, mask);
    for (int i = 0; i < 2; i++) {
        const struct agent_job job = {text, i == 0 ? mask : NULL, matcher, room};
        struct agent_values v;
        size_t n = 0;
        bool found = agents_parse(a, section, &job, &v, &skipped, &line);

        assert_int_equal(skipped, 0);
        assert_true(found == (v.parts[0].p != NULL));
        for (uint32_t k = 0; k < AGENT_PARTS_MAX; k++) {
            n += (size_t)snprintf(out[i] + n, sizeof out[i] - n, "%.*s|",
                                  (int)v.parts[k].n, v.parts[k].p);
        }
        while (n > 0 && out[i][n - 1] == '|') {
            out[i][--n] = '\0';
        }
    }
    assert_string_equal(out[0], out[1]);
    return out[0];
}

#define UA "user_agent_parsers:\n"
#define OS "os_parsers:\n"
#define DEVICE "device_parsers:\n"

static const struct {
    enum agent_section section;
    const char *file, *text, *values;
} cases[] = {
    {AGENT_BROWSER, UA "- regex: '(Fox)/(\\d+)\\.(\\d+)\\.(\\d+)'\n", "x Fox/1.2.3",
     "Fox|1|2|3"},
    {AGENT_BROWSER, UA "- regex: '(Fox)'\n", "x", ""},
    {AGENT_BROWSER, UA "- regex: '(fox)'\n", "Fox", ""},
    {AGENT_BROWSER, UA "- regex: '(fox)'\n  regex_flag: 'i'\n", "Fox", "Fox"},
    /* The first that matches, unless it has no family. */
    {AGENT_BROWSER, UA "- regex: '(a)(1)'\n- regex: '(a)(\\d)'\n- regex: '(a)'\n", "a2",
     "a|2"},
    {AGENT_BROWSER, UA "- regex: '(x?)a'\n- regex: '(a)'\n", "a", "a"},
    {AGENT_BROWSER, UA "- regex: '(a)|b'\n  family_replacement: '$1'\n- regex: '(b)'\n",
     "b", "b"},
    {AGENT_BROWSER,
     UA "- regex: 'a(b)(c)'\n  family_replacement: 'X $1 $2'\n"
        "  v1_replacement: '9'\n  v3_replacement: '$2$1'\n",
     "abc", "X b c|9||cb"},
    {AGENT_BROWSER, UA "- regex: '(a)(b)?(c)'\n", "ac", "a||c"},
    {AGENT_OS, OS "- regex: '(a)(b)(c)(d)(e)'\n", "abcde", "a|b|c|d|e"},
    {AGENT_OS,
     OS "- regex: '(a)(b)'\n  os_replacement: 'Win'\n  os_v1_replacement: '7'\n"
        "  os_v4_replacement: $2\n",
     "ab", "Win|7|||b"},
    {AGENT_DEVICE, DEVICE "- regex: '; *(x\\d)'\n", "; x1", "x1||x1"},
    {AGENT_DEVICE,
     DEVICE "- regex: 'S(GT)(-)(\\d)'\n  device_replacement: 'Sam $1$2$3 '\n"
            "  brand_replacement: 'Sam'\n  model_replacement: ' $1$3'\n",
     "SGT-5", "Sam GT-5|Sam|GT5"},
    {AGENT_DEVICE, DEVICE "- regex: 'phone'\n  device_replacement: 'P'\n", "phone",
     "P"},
    {AGENT_DEVICE, DEVICE "- regex: '(a)'\n  device_replacement: 'US$ $1$'\n", "a",
     "US$ a$||a"},
    {AGENT_DEVICE,
     DEVICE "- regex: '(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)'\n"
            "  device_replacement: '$9$1'\n",
     "abcdefghij", "ia||a"},
    {AGENT_OS, UA "- regex: '(a)'\n", "a", ""},
};

static void test_gives_the_values_of_the_first_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct agents *a = make(cases[i].file);

        assert_string_equal(told.text, "");
        assert_string_equal(values(a, cases[i].section, str_of(cases[i].text)),
                            cases[i].values);
        agents_free(a);
    }
}

static const struct {
    const char *file, *told;
} mistakes[] = {
    {UA "- regex: '(a'\n- regex: '(b)'\n- regex: 'c)'\n",
     "2: regex \"(a\": missing closing parenthesis, at character 3\n"
     "4: regex \"c)\": unmatched closing parenthesis, at character 2\n"},
    {UA "- regex: 'a'\n",
     "2: the regex has no group and its parser no family_replacement: "
     "no family\n"},
    {OS "- regex: 'a'\n",
     "2: the regex has no group and its parser no os_replacement: no "
     "family\n"},
    {DEVICE "- regex: '(a){,3}'\n",
     "2: regex \"(a){,3}\": {,n} is not clear, write {0,n}\n"},
    {UA "- regex: '(a)'\n  family_replacement: 'x $2'\n",
     "2: family_replacement: $2: the regex has 1 group; expected $1 to $9 of its "
     "groups\n"},
    {DEVICE "- regex: '(a)(b)'\n  model_replacement: 'x $0'\n",
     "2: model_replacement: $0: the regex has 2 groups; expected $1 to $9 of its "
     "groups\n"},
    {"x: []\n", "1: unknown section \"x\"; expected user_agent_parsers, os_parsers or "
                "device_parsers\n"},
};

static void test_names_each_mistake_and_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(mistakes); i++) {
        assert_null(make(mistakes[i].file));
        assert_string_equal(told.text, mistakes[i].told);
    }
}

static void test_bounds_the_memory_of_a_file(void **state)
{
    enum { RULES = 4000 };
    char *text = malloc(200 * RULES), *p = text;
    struct agents *a;

    (void)state;
    p += sprintf(p, UA);
    for (int i = 0; i < RULES; i++) {
        p += sprintf(p, "- regex: '(?:[a-c]?|x){900}(q%d)'\n", i);
    }
    told.text[0] = '\0';
    a = agents_new((struct str){text, (size_t)(p - text)}, agents_note, &told);
    assert_null(a);
    assert_non_null(strstr(told.text, ": the regexes so far need more than 64 MiB of "
                                      "memory: expected shorter repetitions\n"));
    free(text);
}

static void test_cuts_a_value_at_a_character(void **state)
{
    struct agents *a = make(UA "- regex: '^(.*)$'\n  v1_replacement: 'x$1$1'\n");
    char text[601], want[2000];
    const char *got;

    (void)state;
    for (int i = 0; i < 300; i++) {
        memcpy(text + 2 * i, "\xC3\xA9", 2);
    }
    text[600] = '\0';
    got = values(a, AGENT_BROWSER, STR("ab"));
    assert_string_equal(got, "ab|xabab");
    got = values(a, AGENT_BROWSER, str_of(text));
    (void)snprintf(want, sizeof want, "%.256s|x%.254s", text, text);
    assert_string_equal(got, want);
    agents_free(a);
}

static void test_leaves_out_what_runs_wild_and_goes_on(void **state)
{
    struct agents *a = make(UA "- regex: '(a+)+$'\n- regex: '(a)'\n");
    static char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
                room[AGENT_ROOM];
    const struct agent_job job = {str_of(text), NULL, matcher, room};
    uint32_t skipped, line;
    struct agent_values v;

    (void)state;
    assert_true(agents_parse(a, AGENT_BROWSER, &job, &v, &skipped, &line));
    assert_int_equal(skipped, 1);
    assert_int_equal(line, 2);
    assert_true(str_eq(v.parts[0], STR("a")));
    agents_free(a);
}

/* Thousands that take some time each: the rest is left out when the text's time is over. */
static void test_bounds_the_time_of_a_text(void **state)
{
    enum { RULES = 3000, TEXT = 1024, MOST_NS = 50000000 };
    char *file = malloc(100 * RULES), *p = file;
    static char text[TEXT], room[AGENT_ROOM];
    struct agent_job job = {{text, TEXT}, NULL, matcher, room};
    uint32_t skipped, line;
    struct agent_values v;
    struct agents *a;
    uint64_t from;

    (void)state;
    memset(text, 'a', TEXT);
    p += sprintf(p, UA);
    for (int i = 0; i < RULES; i++) {
        p += sprintf(p, "- regex: '((?:a{1,30}){1,2}[b%c])'\n", 'c' + i % 20);
    }
    told.text[0] = '\0';
    a = agents_new((struct str){file, (size_t)(p - file)}, agents_note, &told);
    assert_non_null(a);
    from = clock_thread_ns();
    assert_false(agents_parse(a, AGENT_BROWSER, &job, &v, &skipped, &line));
    assert_in_range(clock_thread_ns() - from, 0, MOST_NS);
    assert_in_range(skipped, 1, RULES);
    assert_null(v.parts[0].p);
    agents_free(a);
    free(file);
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
        cmocka_unit_test(test_gives_the_values_of_the_first_match),
        cmocka_unit_test(test_names_each_mistake_and_its_line),
        cmocka_unit_test(test_bounds_the_memory_of_a_file),
        cmocka_unit_test(test_cuts_a_value_at_a_character),
        cmocka_unit_test(test_leaves_out_what_runs_wild_and_goes_on),
        cmocka_unit_test(test_bounds_the_time_of_a_text)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
