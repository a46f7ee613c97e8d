/* The values of the texts before: kept by the whole text, not lost to a flood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agents/agent_cache.h"

static struct str text_of(unsigned i)
{
    static char text[40];

    return (struct str){text, (size_t)snprintf(text, sizeof text, "agent/%u", i)};
}

static bool ask(struct agent_cache *c, unsigned i)
{
    struct str text = text_of(i);
    uint64_t hash = agent_cache_hash(c, text);

    if (agent_cache_find(c, text, hash) != NULL) {
        return true;
    }
    assert_non_null(agent_cache_keep(c, text, hash));
    return false;
}

static void test_finds_the_same_text_only(void **state)
{
    struct agent_cache *c = agent_cache_new();
    uint64_t hash = agent_cache_hash(c, STR("a"));
    struct agent_entry *x = agent_cache_keep(c, STR("a"), hash);

    (void)state;
    x->done = 1;
    assert_ptr_equal(agent_cache_find(c, STR("a"), hash), x);
    /* Another text of the same hash. */
    assert_null(agent_cache_find(c, STR("b"), hash));
    assert_null(agent_cache_find(c, STR("ab"), hash));
    assert_null(agent_cache_find(c, STR(""), hash));
    assert_ptr_not_equal(agent_cache_keep(c, STR("b"), hash), x);
    assert_int_equal(agent_cache_find(c, STR("b"), hash)->done, 0);
    assert_int_equal(agent_cache_find(c, STR("a"), hash)->done, 1);
    agent_cache_free(c);
}

static void test_knows_the_empty_text_when_it_was_kept(void **state)
{
    struct agent_cache *c = agent_cache_new();
    struct str none = {NULL, 0};
    uint64_t hash = agent_cache_hash(c, none);

    (void)state;
    assert_null(agent_cache_find(c, none, hash));
    assert_null(agent_cache_find(c, none, 0));
    assert_non_null(agent_cache_keep(c, none, hash));
    assert_non_null(agent_cache_find(c, none, hash));
    agent_cache_free(c);
}

static void test_keeps_no_long_text(void **state)
{
    static char text[AGENT_TEXT_BYTES_MAX];
    struct agent_cache *c = agent_cache_new();

    (void)state;
    assert_null(agent_cache_keep(c, (struct str){text, sizeof text}, 1));
    assert_non_null(agent_cache_keep(c, (struct str){text, 600}, 1));
    agent_cache_free(c);
}

/* 300 texts that come again and again, between 100,000 that come once. */
static void test_a_flood_of_new_texts_leaves_those_that_come_again(void **state)
{
    enum { HOT = 300, FLOOD = 100000 };
    struct agent_cache *c = agent_cache_new();
    unsigned hits = 0, asked = 0;

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < HOT; i++) {
            (void)ask(c, i);
        }
    }
    for (unsigned i = 0; i < FLOOD; i++) {
        (void)ask(c, 1000000 + i);
        if (i % 10 == 0) {
            asked++;
            hits += ask(c, i / 10 % HOT);
        }
    }
    assert_in_range(hits, asked * 9 / 10, asked);
    agent_cache_free(c);
}

/* Those that came again once, but no more, give way. */
static void test_old_texts_give_way(void **state)
{
    enum { OLD = AGENT_CACHE_WAYS * AGENT_CACHE_SETS };
    struct agent_cache *c = agent_cache_new();
    unsigned left = 0;

    (void)state;
    for (unsigned i = 0; i < 2 * OLD; i++) {
        (void)ask(c, i % OLD);
    }
    for (unsigned i = 0; i < 400 * OLD; i++) {
        (void)ask(c, 1000000 + i);
    }
    for (unsigned i = 0; i < OLD; i++) {
        struct str text = text_of(i);

        left += agent_cache_find(c, text, agent_cache_hash(c, text)) != NULL;
    }
    assert_in_range(left, 0, OLD / 10);
    agent_cache_free(c);
}

static void test_two_caches_have_two_keys(void **state)
{
    struct agent_cache *a = agent_cache_new(), *b = agent_cache_new();

    (void)state;
    assert_int_not_equal(agent_cache_hash(a, STR("x")), agent_cache_hash(b, STR("x")));
    agent_cache_free(a);
    agent_cache_free(b);
    agent_cache_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_same_text_only),
        cmocka_unit_test(test_knows_the_empty_text_when_it_was_kept),
        cmocka_unit_test(test_keeps_no_long_text),
        cmocka_unit_test(test_a_flood_of_new_texts_leaves_those_that_come_again),
        cmocka_unit_test(test_old_texts_give_way),
        cmocka_unit_test(test_two_caches_have_two_keys)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
