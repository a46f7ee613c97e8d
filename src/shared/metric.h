/*
 * metric - a counter or gauge that a policy has named: real numbers, written by
 * all workers, shown in /metrics.
 *
 *   metric_new (registry.c) -> metric_publish -> metric_series, metric_add, metric_set
 *   -> metric_free
 *
 * Any thread; only a new series takes a lock. Label values are bounded: when
 * max_series are there, all further ones count as "other".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { METRIC_LABELS_MAX = 3, METRIC_VALUE_BYTES = 128, METRIC_STRIPES = 8 };
enum { METRIC_OTHER = -1 };

struct metric_conf {
    const char *name, *help;
    bool gauge;
    const char *const *labels; /* names */
    uint32_t n_labels;         /* at most METRIC_LABELS_MAX */
    uint32_t max_series;       /* > 0; of different label values */
};

struct metric;

/* Copies conf. Without labels its one series is there at once. */
struct metric *metric_new(const struct metric_conf *conf);
/* Once, before it has series with labels: registers its series, and those to come,
 * with stats, which asks them for their values until it is freed. */
void metric_publish(struct metric *m);
void metric_free(struct metric *m); /* NULL is fine; nobody else uses it then */
const char *metric_name(const struct metric *m);
/* Whether conf asks for the same kind and labels; help may differ. */
bool metric_is(const struct metric *m, const struct metric_conf *conf);

/* The place of the series with these label values, from 0; METRIC_OTHER: there are
 * too many. Values are cut at METRIC_VALUE_BYTES. */
int32_t metric_series(struct metric *m, const struct str *values);

/* stripe: a number of the caller's own, so that workers do not meet. */
void metric_add(struct metric *m, int32_t series, uint32_t stripe, double v);
void metric_set(struct metric *m, int32_t series, double v); /* gauges */
double metric_value(struct metric *m, int32_t series);
