/*
 * agents - what a user agent costs: one that comes again, one that was never seen, with the
 * sieve and without; the time to load a file, and its memory. First deciles of many rounds.
 *
 *   build/bench/agents [regexes.yaml [TEXTS]]
 *
 * By default those of Debian's uap-core; TEXTS has a user agent a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/agent_reader.h"
#include "base/clock.h"

#define HOME "/usr/share/uap-core/"

enum { TEXTS_MAX = 4000, ROUNDS = 9, HOT = 500, HOT_ROUNDS = 200 };

static struct str texts[TEXTS_MAX];
static uint32_t n_texts;
static volatile size_t sum; /* keeps the compiler from leaving a look-up out */

static void fails(void *arg, uint32_t line, const char *text)
{
    (void)arg;
    (void)fprintf(stderr, "%u: %s\n", line, text);
    exit(1);
}

static struct str read_file(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = malloc(AGENT_FILE_BYTES_MAX);
    struct str s = {text, 0};

    if (f == NULL) {
        (void)fprintf(stderr, "agents: %s can't be read; apt-get install uap-core\n",
                      path);
        exit(1);
    }
    s.n = fread(text, 1, AGENT_FILE_BYTES_MAX, f);
    (void)fclose(f);
    return s;
}

/* Different lines, spread over the file. */
static void take_texts(struct str file)
{
    const char *p = file.p, *end = file.p + file.n;
    uint32_t n_lines = 0, every;

    for (size_t i = 0; i < file.n; i++) {
        n_lines += file.p[i] == '\n';
    }
    every = n_lines / TEXTS_MAX + 1;
    for (uint32_t i = 0; p < end && n_texts < TEXTS_MAX; i++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t n = nl == NULL ? (size_t)(end - p) : (size_t)(nl - p);

        if (i % every == 0 && n > 0 && n <= AGENT_TEXT_BYTES_MAX) {
            texts[n_texts++] = (struct str){p, n};
        }
        p += n + 1;
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double decile(uint64_t *ns, uint32_t n)
{
    qsort(ns, n, sizeof *ns, by_value);
    return (double)ns[n / 10];
}

static void ask(struct agent_reader *r, struct str text, enum agent_part part)
{
    struct str v;

    (void)agent_reader_find(r, text, part, &v);
    sum += v.n;
}

static void measure_hot(const struct agents *a, uint32_t n_hot)
{
    struct agent_reader *r = agent_reader_new(a);
    static uint64_t one[HOT_ROUNDS], five[HOT_ROUNDS];

    for (uint32_t round = 0; round < HOT_ROUNDS; round++) {
        uint64_t from = clock_thread_ns();

        for (uint32_t i = 0; i < n_hot; i++) {
            ask(r, texts[i], AGENT_BROWSER_FAMILY);
        }
        one[round] = clock_thread_ns() - from;
        from = clock_thread_ns();
        for (uint32_t i = 0; i < n_hot; i++) {
            ask(r, texts[i], AGENT_BROWSER_FAMILY);
            ask(r, texts[i], AGENT_BROWSER_VERSION);
            ask(r, texts[i], AGENT_OS_FAMILY);
            ask(r, texts[i], AGENT_DEVICE_BRAND);
            ask(r, texts[i], AGENT_DEVICE_MODEL);
        }
        five[round] = clock_thread_ns() - from;
    }
    (void)printf("# agents: hot, %u texts: one part %.0f ns, five parts %.0f ns\n",
                 n_hot, decile(one, HOT_ROUNDS) / n_hot,
                 decile(five, HOT_ROUNDS) / n_hot);
    agent_reader_free(r);
}

/* Each text is new to its reader. */
static void measure_cold(const struct agents *a, const char *what, bool all)
{
    uint64_t ns[ROUNDS];

    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct agent_reader *r = agent_reader_new(a);
        uint64_t from = clock_thread_ns();

        for (uint32_t i = 0; i < n_texts; i++) {
            ask(r, texts[i], AGENT_BROWSER_FAMILY);
            if (all) {
                ask(r, texts[i], AGENT_OS_FAMILY);
                ask(r, texts[i], AGENT_DEVICE_FAMILY);
            }
        }
        ns[round] = clock_thread_ns() - from;
        agent_reader_free(r);
    }
    (void)printf("# agents: never seen, %s: %.0f ns\n", what,
                 decile(ns, ROUNDS) / n_texts);
}

/* All expressions in their order, as the format's description has it. */
static void measure_without_sieve(const struct agents *a)
{
    struct matcher *m = matcher_new();
    static char room[AGENT_ROOM];
    uint64_t from = clock_thread_ns();

    for (uint32_t i = 0; i < n_texts; i++) {
        const struct agent_job job = {texts[i], NULL, m, room};

        for (int s = 0; s < AGENT_SECTIONS; s++) {
            uint32_t skipped, line;
            struct agent_values v;

            sum += agents_parse(a, (enum agent_section)s, &job, &v, &skipped, &line);
        }
    }
    (void)printf("# agents: never seen, all sections, without the sieve: %.0f ns\n",
                 (double)(clock_thread_ns() - from) / n_texts);
    matcher_free(m);
}

/* A text after each hot one that comes once only. */
static void measure_flood(const struct agents *a)
{
    struct agent_reader *r = agent_reader_new(a);
    uint32_t known = 0, asked = 0;

    for (uint32_t i = 0; i < 200000; i++) {
        char text[400];
        struct str hot = texts[i % 200], v;
        int n = snprintf(text, sizeof text, "%u %.*s", i,
                         (int)(hot.n < 300 ? hot.n : 300), hot.p);

        (void)agent_reader_find(r, (struct str){text, (size_t)n}, AGENT_OS_FAMILY, &v);
        if (i % 4 == 0) {
            known += agent_reader_find(r, texts[i / 4 % 200], AGENT_OS_FAMILY, &v) ==
                     AGENT_KNOWN;
            asked++;
        }
    }
    (void)printf(
        "# agents: 200 hot texts among 4 times as many new ones: %.1f %% are kept\n",
        100.0 * known / asked);
    agent_reader_free(r);
}

int main(int argc, char **argv)
{
    struct str file = read_file(argc > 1 ? argv[1] : HOME "regexes.yaml");
    struct str list =
        read_file(argc > 2 ? argv[2] : HOME "test_resources/pgts_browser_list.txt");
    uint64_t from = clock_thread_ns();
    struct agents *a = agents_new(file, fails, NULL);

    (void)printf(
        "# agents: %u parsers made in %.0f ms, %zu KiB; %u without a needed text\n",
        agents_n_rules(a), (double)(clock_thread_ns() - from) / 1e6,
        agents_bytes(a) / 1024, agents_n_unfiltered(a));
    take_texts(list);
    if (n_texts < HOT) {
        (void)fprintf(stderr, "agents: expected %d user agents, got %u\n", (int)HOT,
                      n_texts);
        return 1;
    }
    measure_hot(a, 20);
    measure_hot(a, HOT);
    measure_cold(a, "browser", false);
    measure_cold(a, "all sections", true);
    measure_without_sieve(a);
    measure_flood(a);
    agents_free(a);
    free((char *)list.p);
    free((char *)file.p);
    return 0;
}
