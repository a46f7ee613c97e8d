/* The sieve: an expression whose texts are in a text is never left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agents/sieve.h"

#include "base/attr.h"

/* The expressions that the sieve leaves for a text, as "0 2". */
static const char *left(const struct sieve *f, const char *text, uint32_t n)
{
    static char out[200];
    uint64_t mask[2] = {0};
    size_t k = 0;

    sieve_scan(f, str_of(text), mask);
    out[0] = '\0';
    for (uint32_t i = 0; i < n; i++) {
        if ((mask[i / 64] >> i % 64 & 1) != 0) {
            k += (size_t)snprintf(out + k, sizeof out - k, "%s%u", k > 0 ? " " : "", i);
        }
    }
    return out;
}

static struct sieve *make(const char *const *list, uint32_t n)
{
    static struct literal_sets sets;
    struct sieve *f = sieve_new(n);

    for (uint32_t i = 0; i < n; i++) {
        literals_of(str_of(list[i]), false, &sets);
        sieve_add(f, i, &sets);
    }
    sieve_build(f);
    return f;
}

static void test_leaves_those_whose_texts_are_there(void **state)
{
    static const char *const list[] = {"firefox", "fox", "(?:ab|cd)\\d", "\\d+",
                                       "refo",    "fo",  "xyz",          "ire"};
    struct sieve *f = make(list, N_ELEMS(list));

    (void)state;
    assert_int_equal(sieve_n_always(f), 1);
    assert_string_equal(left(f, "", 8), "3");
    assert_string_equal(left(f, "firefox", 8), "0 1 3 4 5 7");
    assert_string_equal(left(f, "firefo", 8), "3 4 5 7");
    assert_string_equal(left(f, "fofox", 8), "1 3 5");
    assert_string_equal(left(f, "xxyzz", 8), "3 6");
    assert_string_equal(left(f, "accd", 8), "2 3");
    assert_string_equal(left(f, "ab", 8), "2 3");
    sieve_free(f);
}

/* Of two sets the one that few others have. */
static void test_uses_the_rarest_set(void **state)
{
    static const char *const list[] = {"alpha.build", "beta.build", "gamma.build",
                                       "build"};
    struct sieve *f = make(list, N_ELEMS(list));

    (void)state;
    assert_string_equal(left(f, "build", 4), "3");
    assert_string_equal(left(f, "beta build", 4), "1 3");
    sieve_free(f);
}

static void test_runs_what_has_no_room_always(void **state)
{
    enum { N = 8192, EACH = 24 };
    static struct literal_sets sets = {.n = 1};
    struct sieve *f = sieve_new(N);
    uint64_t mask[N / 64];

    (void)state;
    sets.list[0].n = 1;
    sets.list[0].list[0].n = EACH;
    for (uint32_t i = 0; i < N; i++) {
        memset(sets.list[0].list[0].text, 'x', EACH);
        (void)snprintf(sets.list[0].list[0].text, EACH, "%u", i * 7919 % 100003);
        sets.list[0].list[0].text[9] = (char)('a' + i % 26);
        sieve_add(f, i, &sets);
    }
    sieve_build(f);
    assert_in_range(sieve_n_always(f), N / 2, N - 1000);
    assert_in_range(sieve_bytes(f), 0, 8 << 20);
    sieve_scan(f, STR("nothing of it"), mask);
    assert_int_equal(mask[0] & 1, 0);
    assert_int_equal(mask[N / 64 - 1] >> 63, 1);
    sieve_free(f);
}

static void test_an_empty_one_leaves_nothing(void **state)
{
    struct sieve *f = sieve_new(0);
    uint64_t mask = 7;

    (void)state;
    sieve_build(f);
    sieve_scan(f, STR("x"), &mask);
    assert_int_equal(sieve_n_always(f), 0);
    sieve_free(f);
    sieve_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves_those_whose_texts_are_there),
        cmocka_unit_test(test_uses_the_rarest_set),
        cmocka_unit_test(test_runs_what_has_no_room_always),
        cmocka_unit_test(test_an_empty_one_leaves_nothing)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
