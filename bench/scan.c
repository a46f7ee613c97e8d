/*
 * scan - the scanner beside cJSON, on the same bodies (a line each): nanoseconds an
 * event of each file.
 *
 *   scan FILE...
 *
 * Of each body the quickest of several rounds counts, so that other work on the machine
 * does not.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "decode/scan.h"

enum { BODIES_MAX = 20000, ROUNDS = 25, ROUNDS_CJSON = 5 };

struct bodies {
    char *text[BODIES_MAX];
    size_t size[BODIES_MAX];
    size_t n;
};

struct scanner {
    struct scan_keys *keys;
    struct event_batch batch;
    struct arena arena;
};

static struct bodies bodies;
static struct scanner scanner;

/* Whether there are any. */
static int read_bodies(const char *path)
{
    char *line = NULL;
    size_t space = 0;
    ssize_t len;
    FILE *f = fopen(path, "r");

    if (f == NULL) {
        perror(path);
        return 0;
    }
    for (size_t i = 0; i < bodies.n; i++) {
        free(bodies.text[i]);
    }
    bodies.n = 0;
    while (bodies.n < BODIES_MAX && (len = getline(&line, &space, f)) > 0) {
        char *text = calloc(1, (size_t)len + SCAN_PAD);

        memcpy(text, line, (size_t)len);
        bodies.text[bodies.n] = text;
        bodies.size[bodies.n++] = (size_t)len;
    }
    free(line);
    (void)fclose(f);
    return bodies.n > 0;
}

/* The events of body i; 0: it is no JSON. */
static uint32_t with_scanner(size_t i)
{
    const struct scan_limits limits = {1000000, 64};
    struct scan_error se;

    return scan_body(&scanner.batch, scanner.keys, SCAN_BATCH, &limits, bodies.text[i],
                     bodies.size[i], &se) == SCAN_OK
               ? scanner.batch.n
               : 0;
}

static uint32_t with_cjson(size_t i)
{
    cJSON *o = cJSON_ParseWithLength(bodies.text[i], bodies.size[i]);
    uint32_t n = (uint32_t)cJSON_GetArraySize(o);

    cJSON_Delete(o);
    return n;
}

/* Nanoseconds of all bodies. */
static double measure(uint32_t (*parse)(size_t i), int rounds, uint64_t *events)
{
    static uint64_t best[BODIES_MAX];
    double all = 0;

    for (int r = 0; r < rounds; r++) {
        *events = 0;
        for (size_t i = 0; i < bodies.n; i++) {
            uint64_t t = clock_mono_ns();

            *events += parse(i);
            t = clock_mono_ns() - t;
            best[i] = r == 0 || t < best[i] ? t : best[i];
        }
    }
    for (size_t i = 0; i < bodies.n; i++) {
        all += (double)best[i];
    }
    return all;
}

int main(int argc, char **argv)
{
    const struct str paths[] = {STR("event_id"), STR("event_type"),
                                STR("user_id"),  STR("timestamp"),
                                STR("value"),    STR("properties.page")};
    struct err e;

    if (argc < 2) {
        return 2;
    }
    arena_init(&scanner.arena, 64 << 20);
    event_batch_init(&scanner.batch, &scanner.arena);
    scanner.keys = scan_keys_new(paths, 6, &e);
    for (int i = 1; i < argc; i++) {
        const char *name = strrchr(argv[i], '/');
        uint64_t events, others;
        double ours, theirs;

        if (!read_bodies(argv[i])) {
            return 1;
        }
        ours = measure(with_scanner, ROUNDS, &events) / (double)events;
        theirs = measure(with_cjson, ROUNDS_CJSON, &others) / (double)events;
        (void)printf("%s: scanner %.0f ns an event with 6 slots; cJSON %.0f; ratio "
                     "%.1f\n",
                     name == NULL ? argv[i] : name + 1, ours, theirs, theirs / ours);
    }
    return 0;
}
