/* The YAML of a file of user agents: what is read, and what is told of mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agents/regex_file.h"
#include "base/attr.h"
#include "unit/agents/agents_told.h"

static struct agents_told told;

static bool read_text(struct str text, struct regex_file *f)
{
    told.text[0] = '\0';
    return regex_file_read(text, f, agents_note, &told);
}

static void test_reads_the_sections_in_any_order(void **state)
{
    static const char text[] = "# a comment\n"
                               "device_parsers:\n"
                               "  - regex: 'x(\\d)'\n"
                               "    regex_flag: 'i'\n"
                               "    brand_replacement: \"B$1\"\n"
                               "user_agent_parsers:\n"
                               "  - regex: '(a)'\n"
                               "  - family_replacement: ''\n"
                               "    v2_replacement: 7\n"
                               "    regex: b\n";
    struct regex_file f;
    const struct agent_rules *r;

    (void)state;
    assert_true(read_text(str_of(text), &f));
    r = f.sections;
    assert_int_equal(r[AGENT_BROWSER].n, 2);
    assert_int_equal(r[AGENT_OS].n, 0);
    assert_false(r[AGENT_OS].given);
    assert_int_equal(r[AGENT_DEVICE].n, 1);
    assert_true(str_eq(r[AGENT_DEVICE].list[0].regex, STR("x(\\d)")));
    assert_true(r[AGENT_DEVICE].list[0].caseless);
    assert_int_equal(r[AGENT_DEVICE].list[0].line, 3);
    assert_true(str_eq(r[AGENT_DEVICE].list[0].templates[1], STR("B$1")));
    assert_null(r[AGENT_DEVICE].list[0].templates[0].p);
    assert_false(r[AGENT_BROWSER].list[0].caseless);
    assert_int_equal(r[AGENT_BROWSER].list[1].line, 10);
    assert_int_equal(r[AGENT_BROWSER].list[1].templates[0].n, 0);
    assert_true(str_eq(r[AGENT_BROWSER].list[1].templates[2], STR("7")));
    regex_file_fini(&f);
}

#define UA "user_agent_parsers:\n"
#define SECTIONS "user_agent_parsers, os_parsers or device_parsers"

static const struct {
    const char *text, *told;
} mistakes[] = {
    {"", "0: the file is empty: expected the sections " SECTIONS "\n"},
    {"# only a comment\n",
     "0: the file is empty: expected the sections " SECTIONS "\n"},
    {"a text\n", "1: expected the sections " SECTIONS ", got a text\n"},
    {"\n- 1\n", "2: expected the sections " SECTIONS ", got a list\n"},
    {"{}\n", "0: no section: expected " SECTIONS "\n"},
    {"os_parser: []\n", "1: unknown section \"os_parser\"; expected " SECTIONS "\n"},
    {"? [a]\n: b\n", "1: expected the name of a section, got a list\n"},
    {UA "  a: b\n", "2: user_agent_parsers: expected a list of parsers, got a map\n"},
    {UA UA, "1: user_agent_parsers: expected a list of parsers, got nothing\n"},
    {"os_parsers: []\nos_parsers: []\n", "2: os_parsers is given twice\n"},
    {UA "- x\n", "2: expected a parser, such as - regex: '…', got a text\n"},
    {UA "- [[[[[[[[x]]]]]]]]\n",
     "2: expected a parser, such as - regex: '…', got a list\n"},
    {UA "- family_replacement: x\n", "2: a parser without a regex\n"},
    {UA "- regex: ''\n", "2: regex: expected 1 to 4096 bytes, got 0\n"},
    {UA "- regex: {a: b}\n", "2: regex: expected a text, got a map\n"},
    {UA "- regex: a\n  regex: b\n", "3: regex is given twice\n"},
    {UA "- regex: a\n  v1_replacement: b\n  v1_replacement: b\n",
     "4: v1_replacement is given twice\n"},
    {UA "- regex: a\n  regex_flag: x\n", "3: regex_flag: expected 'i', got \"x\"\n"},
    {UA "- regex: a\n  os_replacement: x\n",
     "3: unknown key \"os_replacement\"; a parser of user_agent_parsers has regex, "
     "regex_flag, family_replacement, v1_replacement, v2_replacement, "
     "v3_replacement\n"},
    {"device_parsers:\n- regex: a\n  b: x\n  c: y\n",
     "3: unknown key \"b\"; a parser of device_parsers has regex, regex_flag, "
     "device_replacement, brand_replacement, model_replacement\n"
     "4: unknown key \"c\"; a parser of device_parsers has regex, regex_flag, "
     "device_replacement, brand_replacement, model_replacement\n"},
    {UA "- &a\n  regex: x\n",
     "2: an anchor (&) or an alias (*): write the text itself\n"},
    {UA "- regex: &a x\n- regex: *a\n",
     "2: an anchor (&) or an alias (*): write the text itself\n"},
    {UA "- regex: *a\n", "2: an anchor (&) or an alias (*): write the text itself\n"},
    {UA "- !!map\n  regex: x\n", "2: a tag (!): write a text without it\n"},
    {UA "- regex: !!str x\n", "2: a tag (!): write a text without it\n"},
    {"os_parsers: []\n---\nos_parsers: []\n", "2: a second document: expected one\n"},
    {UA "- regex: 'a\n", "3: the file is no YAML: found unexpected end of stream\n"},
    {UA "\t- regex: a\n",
     "2: the file is no YAML: found character that cannot start any token\n"},
    {UA "- regex: \"\\d\"\n",
     "2: the file is no YAML: found unknown escape character\n"},
    {UA "- regex: \"\xff\"\n", "0: the file is no YAML: invalid leading UTF-8 octet\n"},
};

static void test_names_each_mistake_and_its_line(void **state)
{
    struct regex_file f;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(mistakes); i++) {
        assert_false(read_text(str_of(mistakes[i].text), &f));
        assert_string_equal(told.text, mistakes[i].told);
        assert_null(f.sections[0].list);
    }
}

static void test_bounds_a_file(void **state)
{
    size_t n = AGENT_FILE_BYTES_MAX + 1;
    char *text = malloc(n);
    struct regex_file f;

    (void)state;
    memset(text, '#', n);
    assert_false(read_text((struct str){text, n}, &f));
    assert_string_equal(told.text,
                        "0: the file has 4194305 bytes; expected at most 4194304\n");
    free(text);
}

/* Nothing nests deeper than a parser's texts: reading ends there, at little cost. */
static void test_does_not_follow_deep_nesting(void **state)
{
    size_t n = AGENT_FILE_BYTES_MAX;
    char *text = malloc(n);
    struct regex_file f;

    (void)state;
    memset(text, '[', n);
    assert_false(read_text((struct str){text, n}, &f));
    assert_string_equal(told.text,
                        "1: expected the sections " SECTIONS ", got a list\n");
    free(text);
}

static void test_bounds_texts_and_parsers(void **state)
{
    char *text = malloc(1 << 20), *p = text;
    struct regex_file f;

    (void)state;
    p += sprintf(p, UA "- regex: %05000d\n  family_replacement: %0600d\n", 1, 1);
    assert_false(read_text((struct str){text, (size_t)(p - text)}, &f));
    assert_string_equal(told.text, "2: regex: expected 1 to 4096 bytes, got 5000\n"
                                   "3: family_replacement: expected at most 512 bytes, "
                                   "got 600\n");
    p = text + sprintf(text, UA);
    for (int i = 0; i < AGENT_RULES_MAX + 1; i++) {
        p += sprintf(p, "- regex: x\n");
    }
    assert_false(read_text((struct str){text, (size_t)(p - text)}, &f));
    assert_string_equal(told.text, "8194: more than 8192 parsers in a section\n");
    p = text + sprintf(text, UA "- regex: x\n");
    for (int i = 0; i < 100; i++) {
        p += sprintf(p, "  y%d: z\n", i);
    }
    assert_false(read_text((struct str){text, (size_t)(p - text)}, &f));
    assert_non_null(strstr(told.text, "0: more mistakes are not shown\n"));
    assert_null(strstr(told.text, "\"y50\""));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_the_sections_in_any_order),
        cmocka_unit_test(test_names_each_mistake_and_its_line),
        cmocka_unit_test(test_bounds_a_file),
        cmocka_unit_test(test_does_not_follow_deep_nesting),
        cmocka_unit_test(test_bounds_texts_and_parsers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
