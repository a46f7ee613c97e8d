/*
 * keys - what dedup with persist costs: a lookup of a new key and of a repeat as
 * dedup_mark makes them (all keys of a request prefetched, then found), memory a key,
 * bytes written a key by merging, and the start.
 *
 *   keys DIR MILLIONS
 *
 * Times are of this thread's CPU, so that other work on the machine does not count.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/err.h"
#include "keys/keystore.h"

enum { ADD = 1 << 18, BATCH = 100, LOOKUPS = 2000000, WINDOW_S = 30 * 86400 };

static double cpu_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double wall_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* As murmur3 finishes a hash. */
static struct key nth(uint64_t i)
{
    uint64_t x = i + 1;

    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    x ^= x >> 33;
    return (struct key){x, (uint32_t)(x * 0x9E3779B97F4A7C15u >> 32), 1000};
}

static void die(const struct err *e)
{
    (void)fprintf(stderr, "keys: %s\n", e->text);
    exit(1);
}

static struct keystore *opened(const char *dir)
{
    struct err e;
    struct keystore *ks =
        keystore_open(&(struct keystore_conf){.dir = dir, .window_s = WINDOW_S}, &e);

    if (ks == NULL) {
        die(&e);
    }
    return ks;
}

static uint64_t written(void)
{
    uint64_t n = 0;
    char line[128];
    FILE *f = fopen("/proc/self/io", "r");

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        (void)sscanf(line, "wchar: %lu", &n);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return n;
}

static void fill(struct keystore *ks, uint64_t n)
{
    static struct key keys[ADD];
    const atomic_bool stop = false;
    uint64_t before = written();
    double cpu = cpu_s(), add_s = 0;
    struct err e;

    for (uint64_t at = 0; at < n;) {
        uint32_t k = 0;
        double began = cpu_s();

        while (k < ADD && at < n) {
            keys[k++] = nth(at++);
        }
        if (!keystore_add(ks, keys, k, NULL, 0, &e)) {
            die(&e);
        }
        add_s += cpu_s() - began;
        while (keystore_merge(ks, 1000, &stop, &e) == KEYSTORE_MERGED) {
        }
    }
    (void)printf("filling: %.2f us of CPU a key (adding %.2f), %.1f times its 16 bytes "
                 "written\n",
                 (cpu_s() - cpu) / (double)n * 1e6, add_s / (double)n * 1e6,
                 (double)(written() - before) / (double)n / 16);
}

static void look(struct keystore *ks, const char *what, uint64_t from, uint64_t n)
{
    uint64_t x = 1, found = 0;
    double cpu = cpu_s(), hashing;

    for (int i = 0; i < LOOKUPS; i++) { /* the same without the looks */
        x = x * 6364136223846793005u + 1442695040888963407u;
        found += nth(from + (x >> 20) % n).b & 1;
    }
    hashing = cpu_s() - cpu;
    found = 0;
    cpu = cpu_s();
    for (int i = 0; i < LOOKUPS; i += BATCH) {
        struct keyview *v = keystore_view(ks);
        struct key keys[BATCH];

        for (int k = 0; k < BATCH; k++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            keys[k] = nth(from + (x >> 20) % n);
            keyview_prefetch(v, &keys[k]);
        }
        for (int k = 0; k < BATCH; k++) {
            found += keyview_find(v, keys[k], 1000, WINDOW_S) == KEYS_FOUND;
        }
        keyview_release(v);
    }
    (void)printf("%s: %.0f ns of CPU a key, %.2f %% found\n", what,
                 (cpu_s() - cpu - hashing) / LOOKUPS * 1e9,
                 (double)found * 100 / LOOKUPS);
}

int main(int argc, char **argv)
{
    uint64_t n = argc == 3 ? strtoull(argv[2], NULL, 10) * 1000000 : 0;
    struct keystore_figures f;
    struct keystore *ks;
    double cpu, wall;

    if (n == 0) {
        (void)fprintf(stderr, "usage: keys DIR MILLIONS\n");
        return 2;
    }
    ks = opened(argv[1]);
    fill(ks, n);
    f = keystore_figures(ks);
    (void)printf("%lu keys in %u runs: %.2f bytes of memory, %.2f of disk a key\n",
                 f.n_keys, f.n_runs, (double)f.memory_bytes / (double)n,
                 (double)f.disk_bytes / (double)n);
    look(ks, "new", n, n);
    look(ks, "repeat", 0, n);
    keystore_close(ks);
    cpu = cpu_s();
    wall = wall_s();
    ks = opened(argv[1]);
    (void)printf("start: %.2f s, %.2f of CPU\n", wall_s() - wall, cpu_s() - cpu);
    keystore_close(ks);
    return 0;
}
