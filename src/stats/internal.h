/*
 * internal - the series, shared by the registry (stats.c, gone.c), the histograms
 * (histogram.c), what is written of them (exposition.c) and their exemplars (exemplar.c).
 * No other file includes it.
 *
 *   series   a name with labels: what a scrape shows, while a maker shows it
 *   cell     what one maker counts of it; makers are the process and owners (stats_own)
 *   past     what the makers that are gone have counted of it
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "base/attr.h"
#include "stats/stats.h"

enum { STEP_BITS = 3, STEPS = 1 << STEP_BITS, N_BUCKETS = 64 * STEPS, LINE_BYTES = 64 };

struct stats_histogram {
    enum stats_unit unit;
    stats_cell sum;
    stats_cell buckets[N_BUCKETS];
    struct exemplar *_Atomic exemplars; /* one a bound that is shown; NULL: none yet */
};

enum series_kind { COUNTER, GAUGE, HISTOGRAM, AGE };

/* On a cache line of its own: threads do not meet. */
struct cell {
    _Alignas(LINE_BYTES) stats_cell value;
    struct stats_histogram *histogram; /* NULL: the value is a number */
    stats_read_fn *read;               /* gives the value; NULL: it is in the cell */
    const void *arg;
    double last; /* of an asked counter whose owner is gone */
    struct series *of;
    struct cell *_Atomic next; /* of the series */
    struct cell *of_owner;     /* the owner's next; once that is gone, the next to go */
};

struct series {
    struct series *next; /* of the same place in the registry */
    char *name, *help, *labels;
    enum series_kind kind;
    enum stats_unit unit; /* of the histogram */
    bool asked;           /* its cells have a function in place of a value */
    bool total;           /* sum of a family's series that are forgotten; never shown */
    size_t at, bytes;     /* in the registry's list; of memory */
    atomic_uint n_shown;  /* cells whose owner is there, and not hidden */
    struct cell *_Atomic cells;
    stats_cell past;
    struct stats_histogram *_Atomic past_histogram; /* NULL: nothing */
    double asked_past; /* the same of an asked counter; nobody looks when it changes */
    struct series *older, *newer; /* in the list of remembered series without a maker */
};

struct registry {
    pthread_mutex_t lock;
    struct series **list;
    struct series **places; /* room of them: the first series of each hash's place */
    size_t n, room;         /* room: a power of two */
    unsigned n_looking;     /* readers without the lock: nothing is freed meanwhile */
    struct cell *leaving;   /* cells whose owner is gone, until the last reader ends */
    struct farewell *farewells;
    /* Series without a maker that are remembered: */
    struct series *oldest, *newest;
    size_t gone_bytes;
};

static inline const struct cell *first_cell(const struct series *s)
{
    return atomic_load_explicit(&s->cells, memory_order_acquire);
}

static inline const struct cell *next_cell(const struct cell *c)
{
    return atomic_load_explicit(&c->next, memory_order_relaxed);
}

static inline bool series_is_shown(const struct series *s)
{
    return atomic_load_explicit(&s->n_shown, memory_order_relaxed) > 0;
}

/* The sum over all its makers, and those that are gone. */
static inline uint64_t series_value(const struct series *s)
{
    uint64_t v = atomic_load_explicit(&s->past, memory_order_relaxed);

    for (const struct cell *c = first_cell(s); c != NULL; c = next_cell(c)) {
        v += atomic_load_explicit(&c->value, memory_order_relaxed);
    }
    return v;
}

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
struct series **series_look(size_t *n) MUST_USE;
void series_unlook(struct series **list);
int series_by_name(const void *a, const void *b);
/* The one with these words, made if it is not there. Locked. */
struct series *series_get(const struct series *of, const char *name, const char *help,
                          const char *labels);
/* Out of the registry, and freed; it has no cells. Locked, and nobody looks. */
void series_drop(struct series *s);

/* ---- gone.c: cells whose owner is gone, and series without a maker ---- */

/* Adds the cells that leave to the past of their series, and frees them. Locked, and nobody
 * looks. */
void gone_settle(struct registry *r);
/* s has a maker again. Locked. */
void gone_return(struct registry *r, struct series *s);

/* ---- histogram.c ---- */

/* to gets all of from. */
void histogram_merge(struct stats_histogram *to, const struct stats_histogram *from);

/* ---- exposition.c ---- */

/* The bounds that are shown. */
const double *bounds_of(enum stats_unit unit, size_t *n);
/* The value of one that is no histogram. */
double series_double(const struct series *s);
/* How many values all makers have in each bucket of a histogram; returns their sum. */
uint64_t series_buckets(const struct series *s, uint64_t buckets[N_BUCKETS]);

/* ---- protobuf.c ---- */

/* Those of a sorted list that are shown. */
void protobuf_write(struct series *const *list, size_t n, stats_put_fn *put, void *arg);

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

/* The newest of the bucket that ends with bound number at, in all histograms of a series;
 * false: there is none. */
bool exemplar_read(const struct series *s, size_t at,
                   struct exemplar_text *out) MUST_USE;
