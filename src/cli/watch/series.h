/*
 * series - the metrics of a server as numbers: one answer of GET /metrics, read.
 *
 * Owner: the caller; one thread. Values that are no number read as 0.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct series {
    const char *name;   /* "sluice_requests_total" */
    const char *labels; /* "status=\"200\"", without braces; "": none */
    double value;
};

struct series_list {
    char *text;
    struct series *list;
    size_t n;
    uint32_t *places; /* 1 + the number of a series, by its hash; 0: free */
    size_t n_places;  /* a power of two; 0: it has no series */
};

void series_read(struct series_list *s, const char *exposition);
void series_free(struct series_list *s); /* an empty one is fine */

/* The one with that name and exactly n bytes of labels; NULL: none. Many series make sums
 * over all of them slow: this does not depend on their number. */
const struct series *series_find(const struct series_list *s, const char *name,
                                 const char *labels, size_t n);

/* The sum over all series of that name whose labels hold pair ("sink=\"k\""; NULL: all). */
double series_sum(const struct series_list *s, const char *name, const char *pair);

/* The value of a label, unescaped, cut to fit; "" if it has none. Returns out. */
const char *series_label(const struct series *x, const char *name, char *out, size_t n);

/* The quantile q (0..1) of what a histogram of that name saw between two answers, in its
 * unit, by the upper bound of its bucket; -1: it saw nothing. */
double series_quantile(const struct series_list *before, const struct series_list *now,
                       const char *name, double q);
