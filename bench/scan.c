/*
 * scan - the scanner beside cJSON, on the same bodies (a line each):
 * nanoseconds an event, the median of several rounds.
 *
 *   scan FILE
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "decode/scan.h"

enum { BODIES_MAX = 400, ROUNDS = 9 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    const struct str paths[] = {STR("event_id"), STR("event_type"),
                                STR("user_id"),  STR("timestamp"),
                                STR("value"),    STR("properties.page")};
    const struct scan_limits limits = {10000, 64};
    static char *bodies[BODIES_MAX];
    static size_t sizes[BODIES_MAX];
    double ours[ROUNDS], theirs[ROUNDS];
    struct scan_keys *keys;
    struct event_batch batch;
    struct arena arena;
    struct err e;
    size_t n = 0, space = 0;
    char *line = NULL;
    ssize_t len;
    FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;

    if (f == NULL) {
        return 2;
    }
    while (n < BODIES_MAX && (len = getline(&line, &space, f)) > 0) {
        bodies[n] = calloc(1, (size_t)len + SCAN_PAD);
        memcpy(bodies[n], line, (size_t)len);
        sizes[n++] = (size_t)len;
    }
    arena_init(&arena, 64 << 20);
    event_batch_init(&batch, &arena);
    keys = scan_keys_new(paths, 6, &e);
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t events = 0, t = clock_mono_ns();
        struct scan_error se;

        for (size_t i = 0; i < n; i++) {
            if (scan_body(&batch, keys, SCAN_BATCH, &limits, bodies[i], sizes[i],
                          &se) != SCAN_OK) {
                return 1;
            }
            events += batch.n;
        }
        ours[r] = (double)(clock_mono_ns() - t) / (double)events;
        t = clock_mono_ns();
        for (size_t i = 0; i < n; i++) {
            cJSON_Delete(cJSON_ParseWithLength(bodies[i], sizes[i]));
        }
        theirs[r] = (double)(clock_mono_ns() - t) / (double)events;
    }
    qsort(ours, ROUNDS, sizeof *ours, by_value);
    qsort(theirs, ROUNDS, sizeof *theirs, by_value);
    (void)printf("scanner: %.0f ns an event with 6 slots; cJSON: %.0f; ratio "
                 "%.1f\n",
                 ours[ROUNDS / 2], theirs[ROUNDS / 2],
                 theirs[ROUNDS / 2] / ours[ROUNDS / 2]);
    return 0;
}
