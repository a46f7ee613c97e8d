/*
 * stats - counters, gauges and histograms, and their text for Prometheus.
 *
 *   stats_counter(...) at set-up -> stats_add on the hot path -> stats_write
 *
 * The registry is the program's one piece of global state besides the log. A cell
 * has one writing thread (gauges with stats_set: any); cells with the same name and
 * labels are summed when written out. Creation takes a lock and allocates;
 * adding does neither.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef _Atomic uint64_t stats_cell;

/* name: Prometheus name ("sluice_events_total"); help: one sentence; labels:
 * "" or 'stream="events",reason="drop"' (already escaped). name, help and labels
 * are copied. The cell lives as long as its owner (stats_own). Calling again makes a new
 * cell of the same series. */
stats_cell *stats_counter(const char *name, const char *help, const char *labels);
stats_cell *stats_gauge(const char *name, const char *help, const char *labels);

/* A gauge whose cell has the wall time (ms) of something, 0: of nothing; it shows the
 * seconds since then, also while the thread that sets it hangs. Of several cells the
 * oldest counts. */
stats_cell *stats_age(const char *name, const char *help, const char *labels);

/* Series that come and go with a part of the process: begins as {0}; embedded in the part.
 * Series that this thread makes from now on belong to by; NULL: to the process. Returns the
 * owner before. Several threads may make series of one owner. */
struct stats_owner {
    struct cell *cells;
    bool hidden;
};
struct stats_owner *stats_own(struct stats_owner *by);
/* Whether scrapes show the series that no other owner shows; also those that by makes later.
 * They go on counting. */
void stats_hide(struct stats_owner *by, bool hidden);
/* by is gone, and no thread writes to its cells any more: they are freed. A series that no
 * other has is not shown any more; a counter or histogram goes on with its count if it is
 * made again soon, and begins at 0 if many others went since. */
void stats_disown(struct stats_owner *by);
/* The same of an owner with series that are asked: gone is called when no thread can ask
 * them, before it returns or by another thread. */
typedef void stats_gone_fn(void *arg);
void stats_disown_asked(struct stats_owner *by, stats_gone_fn *gone, void *arg);

/* A series that is asked for its value when it is written out, by the thread that
 * writes, and of a counter by the one that disowns it, without a lock; read must not block,
 * arg lives as long as the owner. A counter that is made again goes on as others do: what
 * read says is added to its past. */
typedef double stats_read_fn(const void *arg);
void stats_asked_counter(const char *name, const char *help, const char *labels,
                         stats_read_fn *read, const void *arg);
void stats_asked_gauge(const char *name, const char *help, const char *labels,
                       stats_read_fn *read, const void *arg);

/* One writer a cell: no locked instruction. */
static inline void stats_add(stats_cell *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline void stats_set(stats_cell *c, uint64_t n)
{
    atomic_store_explicit(c, n, memory_order_relaxed);
}

/* For a cell that several threads write. */
static inline void stats_add_shared(stats_cell *c, uint64_t n)
{
    (void)atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

/* Log-linear histogram over nanoseconds or counts: 8 steps a power of two. */
struct stats_histogram;

/* NS: the name ends in _seconds and values are nanoseconds. FINE: with bounds that are
 * close enough for a p99.9. */
enum stats_unit { STATS_NS, STATS_COUNT, STATS_NS_FINE };
struct stats_histogram *stats_histogram(const char *name, const char *help,
                                        const char *labels, enum stats_unit unit);
/* Escapes text for a label's value; returns out. */
const char *stats_label(char *out, size_t out_bytes, const char *text);

/* Escapes and joins: out = name="value"; returns out. */
const char *stats_label_pair(char *out, size_t out_bytes, const char *name,
                             const char *value);

/* The sum over all cells of a series; 0 if there is none. For /status, tests. */
uint64_t stats_value(const char *name, const char *labels);

/* What one maker, or all that are gone, counted of a series as it is now, but for those that
 * are asked for their value: value of a counter or gauge, else histogram. All live until
 * seen returns. */
struct stats_series {
    const char *name, *labels;
    uint64_t value;
    const struct stats_histogram *histogram; /* NULL: it is none */
    bool total; /* a sum of series that are long gone: one for each family and result */
};
typedef void stats_seen_fn(void *arg, const struct stats_series *x);

/* seen is called with each series, in no order, also with those that no scrape shows; for
 * pages that add up by themselves. The labels of a total are total="" and the result. */
void stats_each(stats_seen_fn *seen, void *arg);
/* The same of counters that are asked for their value, of names that wanted takes; value is
 * the whole one, rounded down. */
typedef bool stats_wanted_fn(void *arg, const char *name);
void stats_each_asked(stats_wanted_fn *wanted, stats_seen_fn *seen, void *arg);

/* ---- histogram.c ---- */

void stats_record(struct stats_histogram *h, uint64_t value);

/* One that no exposition shows, for comparisons that end. One thread records and
 * clears; any may ask. */
struct stats_histogram *stats_histogram_new(void);
void stats_histogram_clear(struct stats_histogram *h);
void stats_histogram_free(struct stats_histogram *h); /* NULL is fine */

/* to gets all counts of from; and loses those of an earlier copy of its own. */
void stats_histogram_add(struct stats_histogram *to,
                         const struct stats_histogram *from);
void stats_histogram_less(struct stats_histogram *to,
                          const struct stats_histogram *before);
uint64_t stats_histogram_count(const struct stats_histogram *h);

/* The value that share q (0..1) of all values in the n histograms does not pass, at
 * most an eighth too much; 0 when they are empty. NULL ones are skipped. */
double stats_quantile(const struct stats_histogram *const *list, size_t n, double q);

/* ---- exemplar.c ---- */

/* The trace of a request with that value, as digits: what OpenMetrics calls an exemplar.
 * The bucket keeps the last one. The thread that records; its first call allocates. */
enum { STATS_TRACE_BYTES = 32 };
void stats_exemplar(struct stats_histogram *h, uint64_t value,
                    const char trace[STATS_TRACE_BYTES], int64_t now_ms);

/* ---- exposition.c ---- */

/* Appends the exposition of all series, sorted by name then labels, through
 * put; any thread. */
typedef void stats_put_fn(void *arg, const char *text, size_t n);
enum stats_format { STATS_TEXT, STATS_OPENMETRICS, STATS_PROTOBUF };
void stats_write(enum stats_format format, stats_put_fn *put, void *arg);
