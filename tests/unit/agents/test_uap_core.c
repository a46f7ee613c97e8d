/* Debian's uap-core: the sieve changes no value, also of changed texts, and no text made of
 * its own words takes long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agents/agents.h"
#include "base/clock.h"
#include "unit/agents/agents_told.h"

#define HOME "/usr/share/uap-core/"

enum { MOST_NS = 50000000 };

static struct agents_told told;
static struct agents *agents;
static struct matcher *matcher;
static uint64_t *mask;

static char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "re");
    char *text = malloc(AGENT_FILE_BYTES_MAX);

    *n = 0;
    if (f != NULL) {
        *n = fread(text, 1, AGENT_FILE_BYTES_MAX, f);
        (void)fclose(f);
    }
    return text;
}

static bool is_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* Both ways give the same, within the time; returns the expressions that were left out. */
static uint32_t compare(struct str text, bool both)
{
    static char rooms[2][AGENT_ROOM];
    uint32_t skipped[2] = {0}, line, sum = 0;
    uint64_t from = clock_thread_ns();

    agents_sieve(agents, text, mask);
    for (int i = 0; i < AGENT_SECTIONS; i++) {
        struct agent_job job = {text, mask, matcher, rooms[0]};
        struct agent_values v[2];

        (void)agents_parse(agents, (enum agent_section)i, &job, &v[0], &skipped[0],
                           &line);
        sum += skipped[0];
        if (!both) {
            continue;
        }
        job.mask = NULL;
        job.room = rooms[1];
        (void)agents_parse(agents, (enum agent_section)i, &job, &v[1], &skipped[1],
                           &line);
        for (uint32_t k = 0; k < AGENT_PARTS_MAX && skipped[0] + skipped[1] == 0; k++) {
            if (!str_eq(v[0].parts[k], v[1].parts[k])) {
                fail_msg("section %d, part %u of \"%.*s\": \"%.*s\" and \"%.*s\"", i, k,
                         (int)text.n, text.p, (int)v[0].parts[k].n, v[0].parts[k].p,
                         (int)v[1].parts[k].n, v[1].parts[k].p);
            }
        }
    }
    if (!both) {
        assert_in_range(clock_thread_ns() - from, 0, MOST_NS);
    }
    return sum;
}

static uint64_t seed = 1;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

/* Changes that keep most of a text: other case, a character less, two places changed. */
static struct str changed(struct str text, char *room)
{
    if (text.n < 2) {
        return text;
    }
    memcpy(room, text.p, text.n);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t at = below((uint32_t)text.n - 1);
        char c = room[at];

        switch (below(3)) {
        case 0:
            room[at] =
                (char)(c ^ ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ? 32 : 0));
            break;
        case 1:
            room[at] = room[at + 1];
            room[at + 1] = c;
            break;
        default:
            memmove(room + at, room + at + 1, text.n - at - 1);
            text.n--;
            if (text.n < 2) {
                return (struct str){room, text.n};
            }
        }
    }
    return (struct str){room, text.n};
}

static void test_the_sieve_changes_no_value(void **state)
{
    static const char *const names[] = {
        HOME "test_resources/pgts_browser_list.txt",
        HOME "test_resources/firefox_user_agent_strings.txt"};
    static char room[AGENT_TEXT_BYTES_MAX];
    uint32_t n_texts = 0, n_lines = 0, skipped = 0;

    (void)state;
    if (agents == NULL) {
        skip();
    }
    for (size_t i = 0; i < 2; i++) {
        size_t n, length;
        char *text = read_file(names[i], &n);

        for (char *p = text; p < text + n; p += length + 1) {
            char *nl = memchr(p, '\n', (size_t)(text + n - p));
            struct str line;

            length = nl == NULL ? (size_t)(text + n - p) : (size_t)(nl - p);
            line = (struct str){p, length};
            if (n_lines++ % 12 != 0 || length > AGENT_TEXT_BYTES_MAX ||
                !is_ascii(line)) {
                continue;
            }
            skipped += compare(line, true);
            (void)compare(changed(line, room), true);
            n_texts++;
        }
        free(text);
    }
    assert_int_equal(skipped, 0);
    assert_in_range(n_texts, 500, 100000);
}

/* Texts as long as they are read, made of pieces of the regexes themselves. */
static void test_no_text_takes_long(void **state)
{
    static char text[AGENT_TEXT_BYTES_MAX];
    struct str file;

    (void)state;
    if (agents == NULL) {
        skip();
    }
    file = agents_file(agents);
    for (uint32_t round = 0; round < 1000; round++) {
        size_t n = 0;

        while (n < sizeof text) {
            uint32_t at = below((uint32_t)file.n - 40), length = 2 + below(20);
            uint32_t times = below(4) == 0 ? 1 + below(60) : 1;

            for (; times > 0 && n < sizeof text; times--) {
                for (uint32_t i = 0; i < length && n < sizeof text; i++) {
                    unsigned char c = (unsigned char)file.p[at + i];

                    text[n++] = c >= ' ' && c < 0x7f ? (char)c : ' ';
                }
            }
        }
        (void)compare((struct str){text, n}, false);
    }
    for (int c = ' '; c < 0x7f; c++) {
        memset(text, c, sizeof text);
        (void)compare((struct str){text, sizeof text}, false);
    }
}

static int set_up(void **state)
{
    size_t n;
    char *text = read_file(HOME "regexes.yaml", &n);

    (void)state;
    matcher = matcher_new();
    if (n > 0) {
        agents = agents_new((struct str){text, n}, agents_note, &told);
        if (agents == NULL) {
            (void)fprintf(stderr, "%s", told.text);
            return 1;
        }
        mask = calloc(agents_words(agents), sizeof *mask);
    } else {
        (void)fprintf(stderr, "Debian's uap-core is not installed\n");
    }
    free(text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(mask);
    agents_free(agents);
    matcher_free(matcher);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sieve_changes_no_value),
        cmocka_unit_test(test_no_text_takes_long)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
