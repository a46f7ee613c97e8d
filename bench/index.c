/*
 * The index of ids: the cost of an event, and of an id that is looked up among many.
 *
 *   build/bench/index [EVENTS [DIR]]    100000000 /tmp/sluice-index: 1.2 GB
 *
 * Makes a spool without segments whose stream has EVENTS ids in files as the server
 * writes them, and looks ids up as `sluice find` does: some that are there, some not.
 * DIR stays, so that a second run, or sluice find, meets it again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/find/sightings.h"
#include "index/builder.h"
#include "index/names.h"

enum { PER_FILE = 1 << 18, PER_BLOCK = 200, LOOKUPS = 20 };

static double now(clockid_t which)
{
    struct timespec t;

    (void)clock_gettime(which, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t id_of(char out[40], unsigned long i)
{
    return (size_t)snprintf(out, 40, "%08lx-e29b-41d4-a716-%012lx",
                            i * 2654435761u % 4294967296u, i);
}

static struct index_builder *fill(unsigned long first, unsigned long n, double *cpu)
{
    struct index_builder *b = index_builder_new(first + 1);
    static char ids[PER_FILE][40];
    double began;

    for (unsigned long i = 0; i < n; i++) {
        (void)id_of(ids[i], first + i);
    }
    began = now(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned long i = 0; i < n; i++) {
        if (i % PER_BLOCK == 0) {
            index_block(b, 1700000000000 + (long)(first + i) / 1000, 1);
        }
        index_add(b, ids[i], 36);
    }
    *cpu += now(CLOCK_PROCESS_CPUTIME_ID) - began;
    return b;
}

static void make(const char *dir, unsigned long n_events)
{
    const struct index_place place = {
        .uuid = "u", .stream = "events", .field = "event_id", .epoch = 1};
    double add = 0, write = 0;
    uint64_t total = 0;
    char path[600];
    struct err e;

    for (unsigned long first = 0; first < n_events; first += PER_FILE) {
        unsigned long n = n_events - first < PER_FILE ? n_events - first : PER_FILE;
        struct index_builder *b = fill(first, n, &add);
        double began = now(CLOCK_PROCESS_CPUTIME_ID);
        uint64_t bytes;

        (void)index_path(path, sizeof path, dir, 1, 0, first + 1);
        if (!index_write(b, &place, path, &bytes, &e)) {
            (void)fprintf(stderr, "%s\n", e.text);
            exit(1);
        }
        write += now(CLOCK_PROCESS_CPUTIME_ID) - began;
        total += bytes;
        index_builder_free(b);
    }
    (void)printf("%lu ids: %.2f bytes each; CPU an id: %.1f ns hash and note, %.1f ns "
                 "sort and write\n",
                 n_events, (double)total / (double)n_events,
                 add / (double)n_events * 1e9, write / (double)n_events * 1e9);
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[600];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "we");
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

static double look(const char *dir, const char *id, uint32_t expected)
{
    const struct sightings_wanted want = {.dir = dir, .id = str_of(id)};
    struct sightings found = {.list = NULL};
    double began = now(CLOCK_MONOTONIC);
    struct err e;

    if (!sightings_find(&want, &found, &e) || found.n != expected) {
        (void)fprintf(stderr, "%s: %u sightings\n", id, found.n);
        exit(1);
    }
    sightings_free(&found);
    return (now(CLOCK_MONOTONIC) - began) * 1e3;
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000000;
    const char *dir = argc > 2 ? argv[2] : "/tmp/sluice-index";
    char index[500], id[40];

    (void)snprintf(index, sizeof index, "%s/events", dir);
    (void)mkdir(dir, 0755);
    (void)mkdir(index, 0755);
    (void)snprintf(index, sizeof index, "%s/events/" INDEX_FOLDER, dir);
    if (mkdir(index, 0755) == 0) {
        put(dir, "EPOCH", "1\n");
        put(index, INDEX_FIELD_FILE, "event_id");
        make(index, n);
    }
    for (int there = 1; there >= 0; there--) {
        double worst = 0, sum = 0, first = 0;

        for (int i = 0; i < LOOKUPS; i++) {
            double ms;

            (void)id_of(id, (there ? 0 : n) + (unsigned long)i * (n / LOOKUPS) + 17);
            ms = look(dir, id, (uint32_t)there);
            first = i == 0 ? ms : first;
            worst = ms > worst ? ms : worst;
            sum += ms;
        }
        (void)printf("%s: first %.1f ms, mean %.1f ms, worst %.1f ms of %d\n",
                     there ? "ids that are there" : "ids that are not", first,
                     sum / LOOKUPS, worst, LOOKUPS);
    }
    return 0;
}
