/* The parts of user agents as a worker asks for them: the same from the cache, in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agents/agent_reader.h"
#include "base/attr.h"
#include "unit/agents/agents_told.h"

/* The memory that was asked for; a sanitizer has its own malloc. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||             \
    __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

#ifndef SANITIZED
static unsigned n_allocations;

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
    n_allocations++;
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    n_allocations++;
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    n_allocations++;
    return __libc_realloc(p, n);
}
#endif

static const char FILE_TEXT[] =
    "user_agent_parsers:\n"
    "- regex: '(Wild)(?:(x+)+$|)'\n"
    "- regex: '(Fox|\xC3\x89t\xC3\xA9)/(\\d+)(?:\\.(\\d+)|)(?:\\.(\\d+)|)'\n"
    "- regex: '(Wi)'\n"
    "os_parsers:\n"
    "- regex: '(Win|Lin) (\\d+)\\.(\\d+)\\.(\\d+)\\.(\\d+)'\n"
    "- regex: '(Mac)'\n"
    "device_parsers:\n"
    "- regex: '; (SM)-(\\w+)'\n"
    "  device_replacement: 'Samsung $1-$2'\n"
    "  brand_replacement: 'Samsung'\n"
    "  model_replacement: '$1-$2'\n";

static struct agents_told told;
static struct agents *agents;
static struct agent_reader *reader;

static enum agent_cost cost;

static const char *part(const char *text, size_t n, enum agent_part which)
{
    static char out[2000];
    struct str v;

    cost = agent_reader_find(reader, (struct str){text, n}, which, &v);
    (void)snprintf(out, sizeof out, "%.*s", v.p == NULL ? 3 : (int)v.n,
                   v.p == NULL ? "nil" : v.p);
    return out;
}

#define PART(text, which) part(text, strlen(text), which)

static const char AGENT[] = "Fox/1.2 (Win 10.9.8.7; SM-G9)";

static void check_agent(void)
{
    static const char *const want[N_AGENT_PARTS] = {
        "Fox", "1", "2", "nil",      "1.2",           "Win",     "10",
        "9",   "8", "7", "10.9.8.7", "Samsung SM-G9", "Samsung", "SM-G9"};

    for (int i = 0; i < N_AGENT_PARTS; i++) {
        assert_string_equal(PART(AGENT, (enum agent_part)i), want[i]);
    }
    for (int i = N_AGENT_PARTS - 1; i >= 0; i--) {
        assert_string_equal(PART(AGENT, (enum agent_part)i), want[i]);
        assert_int_equal(cost, AGENT_HELD);
    }
}

static void test_gives_each_part(void **state)
{
    (void)state;
    check_agent();
    assert_string_equal(PART("Mac", AGENT_OS_FAMILY), "Mac");
    assert_string_equal(PART("Mac", AGENT_OS_VERSION), "nil");
    check_agent();
}

static void test_a_text_that_comes_again_is_not_parsed(void **state)
{
    (void)state;
    assert_string_equal(PART(AGENT, AGENT_OS_FAMILY), "Win");
    assert_int_equal(cost, AGENT_PARSED);
    assert_string_equal(PART("Mac", AGENT_OS_FAMILY), "Mac");
    assert_string_equal(PART(AGENT, AGENT_OS_MAJOR), "10");
    assert_int_equal(cost, AGENT_KNOWN);
    /* A section that was not asked for yet. */
    assert_string_equal(PART(AGENT, AGENT_DEVICE_MODEL), "SM-G9");
    assert_int_equal(cost, AGENT_PARSED);
    assert_string_equal(PART("Mac", AGENT_DEVICE_MODEL), "nil");
    assert_string_equal(PART(AGENT, AGENT_DEVICE_MODEL), "SM-G9");
    assert_int_equal(cost, AGENT_KNOWN);
}

static void test_what_no_parser_knows_is_other(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_string_equal(PART("", AGENT_BROWSER_FAMILY), "Other");
        assert_string_equal(PART("x", AGENT_OS_FAMILY), "Other");
        assert_string_equal(PART("x", AGENT_OS_VERSION), "nil");
        assert_string_equal(PART("x", AGENT_DEVICE_FAMILY), "Other");
        assert_string_equal(PART("x", AGENT_DEVICE_BRAND), "nil");
    }
    assert_string_equal(part(NULL, 0, AGENT_BROWSER_FAMILY), "Other");
}

static void test_reads_the_first_kibibyte(void **state)
{
    char text[1100];

    (void)state;
    memset(text, ' ', sizeof text);
    memcpy(text + 1019, "Fox/12", 6);
    assert_string_equal(part(text, sizeof text, AGENT_BROWSER_VERSION), "1");
    assert_int_equal(cost, AGENT_PARSED);
    assert_string_equal(PART("x", AGENT_BROWSER_FAMILY), "Other");
    /* It is too long to be kept. */
    assert_string_equal(part(text, sizeof text, AGENT_BROWSER_VERSION), "1");
    assert_int_equal(cost, AGENT_PARSED);
    assert_string_equal(part(text, sizeof text, AGENT_BROWSER_FAMILY), "Fox");
    assert_int_equal(cost, AGENT_HELD);
    memcpy(text + 1018, "Fox/1\xC3\xA9", 7);
    assert_string_equal(part(text, sizeof text, AGENT_BROWSER_FAMILY), "Fox");
}

static void test_mends_what_is_not_utf8(void **state)
{
    char text[1024];

    (void)state;
    assert_string_equal(PART("\xff\xC3\x89t\xC3\xA9/7\xC3", AGENT_BROWSER_FAMILY),
                        "\xC3\x89t\xC3\xA9");
    assert_string_equal(PART("; SM-\xff", AGENT_DEVICE_FAMILY), "Other");
    assert_string_equal(PART("a\xC0\x80\xED\xA0\x80 Fox/3", AGENT_BROWSER_VERSION),
                        "3");
    /* Each of these becomes three bytes. */
    memset(text, 0xff, sizeof text);
    memcpy(text + 300, "Fox/3", 5);
    memcpy(text + 400, "Mac", 3);
    assert_string_equal(part(text, sizeof text, AGENT_BROWSER_VERSION), "3");
    assert_string_equal(part(text, sizeof text, AGENT_OS_FAMILY), "Other");
}

static void test_counts_what_is_left_out(void **state)
{
    char text[1000];
    uint32_t line;

    (void)state;
    assert_int_equal(agent_reader_skipped(reader, &line), 0);
    assert_int_equal(line, 0);
    memset(text, 'x', sizeof text);
    memcpy(text, "Wild", 4);
    text[999] = '!';
    assert_string_equal(part(text, sizeof text, AGENT_BROWSER_FAMILY), "Wi");
    assert_int_equal(agent_reader_skipped(reader, &line), 1);
    assert_int_equal(line, 2);
    assert_string_equal(PART("Wild", AGENT_BROWSER_FAMILY), "Wild");
    assert_int_equal(agent_reader_skipped(reader, &line), 1);
}

/* Known and new ones, long ones, wild ones, and those that are not UTF-8. */
static void test_allocates_nothing_for_a_text(void **state)
{
    (void)state;
#ifdef SANITIZED
    skip();
#else
    static char text[1100];
    unsigned before = n_allocations;

    free(malloc(1));
    assert_int_equal(n_allocations, before + 1);
    before = n_allocations;
    for (unsigned i = 0; i < 5000; i++) {
        struct str v, s = {text, 40 + i % 1000};

        memset(text, i % 3 == 0 ? 'x' : i % 3 == 1 ? 0xff : ' ', sizeof text);
        (void)snprintf(text, 40, "%s/%u Win 1.2.3.4; SM-x", i % 2 == 0 ? "Wild" : "Fox",
                       i % 4000);
        text[strlen(text)] = ' ';
        for (int k = 0; k < N_AGENT_PARTS; k++) {
            (void)agent_reader_find(reader, s, (enum agent_part)k, &v);
        }
    }
    assert_int_equal(n_allocations, before);
#endif
}

static int set_up(void **state)
{
    (void)state;
    agents = agents_new(str_of(FILE_TEXT), agents_note, &told);
    if (agents == NULL) {
        return 1;
    }
    reader = agent_reader_new(agents);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    agent_reader_free(reader);
    agents_free(agents);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_gives_each_part),
                                       TEST(test_a_text_that_comes_again_is_not_parsed),
                                       TEST(test_what_no_parser_knows_is_other),
                                       TEST(test_reads_the_first_kibibyte),
                                       TEST(test_mends_what_is_not_utf8),
                                       TEST(test_counts_what_is_left_out),
                                       TEST(test_allocates_nothing_for_a_text)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
