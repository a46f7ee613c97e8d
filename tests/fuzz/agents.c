/* Any bytes as a file of user agents, and any text as one: refused with its lines, or the
 * sieve changes no value, the cache changes none, and values are UTF-8. The text stands
 * after the last NUL; the regexes of an input without one are asked with the file itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agents/agent_reader.h"
#include "base/clock.h"
#include "decode/quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MOST_NS = 1000000000 }; /* a fuzzer's code is slow */

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static void note(void *arg, uint32_t line, const char *text)
{
    check(line <= 5000 && text[0] != '\0');
    ++*(unsigned *)arg;
}

static struct matcher *matcher;

static bool same(const struct agent_values *a, const struct agent_values *b)
{
    for (uint32_t i = 0; i < AGENT_PARTS_MAX; i++) {
        if (!str_eq(a->parts[i], b->parts[i])) {
            return false;
        }
    }
    return true;
}

/* A text's values with and without the sieve, unless an expression was left out. */
static void compare(const struct agents *a, struct str text)
{
    static char rooms[2][AGENT_ROOM];
    uint64_t *mask = calloc(agents_words(a), sizeof *mask);

    agents_sieve(a, text, mask);
    for (int i = 0; i < AGENT_SECTIONS; i++) {
        struct agent_job with = {text, mask, matcher, rooms[0]};
        struct agent_job without = {text, NULL, matcher, rooms[1]};
        uint32_t skipped[2], line;
        struct agent_values v[2];
        bool found =
            agents_parse(a, (enum agent_section)i, &with, &v[0], &skipped[0], &line);
        bool all =
            agents_parse(a, (enum agent_section)i, &without, &v[1], &skipped[1], &line);

        if (skipped[0] + skipped[1] == 0) {
            check(found == all && same(&v[0], &v[1]));
        }
    }
    free(mask);
}

static void ask(const struct agents *a, struct str text)
{
    struct agent_reader *r = agent_reader_new(a);

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N_AGENT_PARTS; i++) {
            struct str v;

            (void)agent_reader_find(r, text, (enum agent_part)i, &v);
            check(v.p == NULL || (v.n > 0 && quote_is_utf8(v)));
        }
        (void)agent_reader_find(r, STR("x"), AGENT_OS_FAMILY, &(struct str){NULL, 0});
    }
    agent_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *nul = n > 0 ? memrchr(data, 0, n) : NULL;
    struct str file = {(const char *)data, nul == NULL ? n : (size_t)(nul - data)};
    struct str text = file;
    unsigned told = 0;
    struct agents *a;
    uint64_t from;

    if (matcher == NULL) {
        matcher = matcher_new();
    }
    if (nul != NULL) {
        text = (struct str){(const char *)nul + 1, n - file.n - 1};
    }
    a = agents_new(file, note, &told);
    check((a == NULL) == (told > 0));
    if (a == NULL) {
        return 0;
    }
    from = clock_thread_ns();
    ask(a, text);
    if (text.n <= AGENT_TEXT_BYTES_MAX && quote_is_utf8(text)) {
        compare(a, text);
    }
    check(clock_thread_ns() - from < MOST_NS);
    agents_free(a);
    return 0;
}
