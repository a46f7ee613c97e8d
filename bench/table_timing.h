/* table_timing.h: what the benches of tables share: an open that is timed, and the middle
 * of some rounds. One thread; an error ends the process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "tables/open.h"

enum { TIMING_ROUNDS = 5 };

static inline void timing_tell(void *arg, uint32_t line, const char *text)
{
    (void)arg;
    (void)fprintf(stderr, "%u: %s\n", line, text);
}

static inline struct csv_table *timing_open(const char *what,
                                            const struct table_source *source)
{
    uint64_t t = clock_mono_ns();
    struct err e = {""};
    struct stat st;
    struct csv_table *l = table_open(source, timing_tell, NULL, &st, &e);

    if (l == NULL) {
        (void)fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    (void)printf("%-28s %9.1f ms\n", what, (double)(clock_mono_ns() - t) / 1e6);
    return l;
}

/* Marsaglia's xorshift64 (2003): the same keys in each run. */
static inline uint64_t timing_next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static inline int timing_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* ns: TIMING_ROUNDS figures; found: in all of them together. */
static inline void timing_show(const char *what, double *ns, uint64_t found)
{
    qsort(ns, TIMING_ROUNDS, sizeof *ns, timing_by_value);
    (void)printf("%-28s %9.1f ns, %lu found\n", what, ns[TIMING_ROUNDS / 2],
                 (unsigned long)found / TIMING_ROUNDS);
}

static inline bool timing_keep_none(void *arg, const char *id)
{
    (void)arg;
    (void)id;
    return false;
}
