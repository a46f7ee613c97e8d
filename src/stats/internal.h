/*
 * internal - the series, shared by the registry (stats.c), what is written of them
 * (exposition.c) and their exemplars (exemplar.c). No other file includes it.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "stats/stats.h"

enum { STEP_BITS = 3, STEPS = 1 << STEP_BITS, N_BUCKETS = 64 * STEPS };

struct stats_histogram {
    enum stats_unit unit;
    stats_cell sum;
    stats_cell buckets[N_BUCKETS];
    struct exemplar *_Atomic exemplars; /* one a bound that is shown; NULL: none yet */
};

enum series_kind { COUNTER, GAUGE, HISTOGRAM, AGE };

struct series {
    struct series *next; /* of the same place in the registry; under its lock */
    char *name, *help, *labels;
    enum series_kind kind;
    enum stats_unit unit; /* of the histogram */
    stats_cell cell;
    struct stats_histogram *histogram;
    stats_read_fn *read; /* NULL: the cell has the value */
    const void *arg;
    const void *owner;   /* NULL: the process; under the lock */
    atomic_bool is_free; /* its owner is gone; set under the lock */
    uint64_t freed;      /* then: the number of its end */
};

/* Values below STEPS have a bucket each; above, STEPS a power of two. */
static inline unsigned bucket_of(uint64_t v)
{
    unsigned top;

    if (v < STEPS) {
        return (unsigned)v;
    }
    top = 63u - (unsigned)__builtin_clzll(v);
    return (top - STEP_BITS + 1) * STEPS +
           (unsigned)(v >> (top - STEP_BITS) & (STEPS - 1));
}

/* The smallest value of the next bucket. */
static inline double bucket_end(unsigned b)
{
    unsigned top = b / STEPS;

    if (top == 0) {
        return b + 1;
    }
    return (double)(STEPS + b % STEPS + 1) * (double)(1ull << (top - 1));
}

/* ---- stats.c ---- */

/* All series, sorted; they stay until series_unlook. */
struct series **series_look(size_t *n);
void series_unlook(struct series **list);
int series_by_name(const void *a, const void *b);

/* ---- exposition.c ---- */

/* The bounds that are shown. */
const double *bounds_of(enum stats_unit unit, size_t *n);

/* ---- exemplar.c: a value of a bucket, and the trace of its request ---- */

enum { EXEMPLAR_WORDS = STATS_TRACE_BYTES / 8 };

/* One thread writes, any reads: seq is odd while it is written. */
struct exemplar {
    _Atomic uint64_t seq, value, time_ms, trace[EXEMPLAR_WORDS];
};

struct exemplar_text {
    uint64_t value, time_ms;
    char trace[STATS_TRACE_BYTES + 1];
};

/* The newest of the bucket that ends with bound number at, in all n histograms of a series;
 * false: there is none. */
bool exemplar_read(struct series *const *group, size_t n, size_t at,
                   struct exemplar_text *out) MUST_USE;
