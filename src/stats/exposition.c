/* What a scrape gets: Prometheus' text, or OpenMetrics. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/text.h"
#include "stats/internal.h"

enum { LINE_BYTES = 4096 };

struct writer {
    stats_put_fn *put;
    void *arg;
    bool open; /* OpenMetrics */
};

static void line(const struct writer *w, const char *fmt, ...) PRINTF(2, 3);

static void line(const struct writer *w, const char *fmt, ...)
{
    char text[LINE_BYTES];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n > 0) {
        w->put(w->arg, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    }
}

static void write_value(const struct writer *w, struct series *const *group, size_t n)
{
    const struct series *s = group[0];
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        v += atomic_load_explicit(&group[i]->cell, memory_order_relaxed);
    }
    line(w, "%s%s%s%s %" PRIu64 "\n", s->name, s->labels[0] ? "{" : "", s->labels,
         s->labels[0] ? "}" : "", v);
}

static void write_age(const struct writer *w, struct series *const *group, size_t n)
{
    const struct series *s = group[0];
    int64_t now = clock_wall_ms(), oldest = now;
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        int64_t at =
            (int64_t)atomic_load_explicit(&group[i]->cell, memory_order_relaxed);

        if (at != 0) {
            any = true;
            oldest = at < oldest ? at : oldest;
        }
    }
    line(w, "%s%s%s%s %.3f\n", s->name, s->labels[0] ? "{" : "", s->labels,
         s->labels[0] ? "}" : "", any ? (double)(now - oldest) / 1e3 : 0.);
}

/* The shortest digits that give the value back. */
static void write_asked(const struct writer *w, struct series *const *group, size_t n)
{
    const struct series *s = group[0];
    double v = 0;
    char digits[40];

    for (size_t i = 0; i < n; i++) {
        v += group[i]->read(group[i]->arg);
    }
    for (int k = 15; k <= 17; k++) {
        (void)snprintf(digits, sizeof digits, "%.*g", k, v);
        if (strtod(digits, NULL) == v) {
            break;
        }
    }
    line(w, "%s%s%s%s %s\n", s->name, s->labels[0] ? "{" : "", s->labels,
         s->labels[0] ? "}" : "", digits);
}

/* Bounds shown: 1, 2.5 and 5 of each power of ten that can matter. */
static const double ns_bounds[] = {1e3, 2.5e3, 5e3, 1e4,  2.5e4, 5e4, 1e5, 2.5e5, 5e5,
                                   1e6, 2.5e6, 5e6, 1e7,  2.5e7, 5e7, 1e8, 2.5e8, 5e8,
                                   1e9, 2.5e9, 5e9, 1e10, 3e10,  6e10};
/* Six of each power of ten between 0.1 ms and 10 s. */
static const double fine_bounds[] = {
    1e4, 3e4,   1e5, 1.5e5, 2e5, 3e5, 5e5, 7.5e5, 1e6,  1.5e6, 2e6, 3e6,
    5e6, 7.5e6, 1e7, 1.5e7, 2e7, 3e7, 5e7, 7.5e7, 1e8,  1.5e8, 2e8, 3e8,
    5e8, 7.5e8, 1e9, 1.5e9, 2e9, 3e9, 5e9, 7.5e9, 1e10, 3e10,  6e10};
static const double count_bounds[] = {1,   2,   5,   10,  20,  50,  100, 200,
                                      500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5,
                                      2e5, 5e5, 1e6, 2e6, 5e6, 1e7};

const double *bounds_of(enum stats_unit unit, size_t *n)
{
    static const struct {
        const double *list;
        size_t n;
    } all[] = {[STATS_NS] = {ns_bounds, N_ELEMS(ns_bounds)},
               [STATS_COUNT] = {count_bounds, N_ELEMS(count_bounds)},
               [STATS_NS_FINE] = {fine_bounds, N_ELEMS(fine_bounds)}};

    *n = all[unit].n;
    return all[unit].list;
}

/* The end of a bucket's line. */
static void write_exemplar(const struct writer *w, struct series *const *group,
                           size_t n, size_t at)
{
    bool ns = group[0]->histogram->unit != STATS_COUNT;
    struct exemplar_text x;

    if (!w->open || !exemplar_read(group, n, at, &x)) {
        line(w, "\n");
        return;
    }
    line(w, " # {trace_id=\"%s\"} %.9g %.3f\n", x.trace,
         ns ? (double)x.value / 1e9 : (double)x.value, (double)x.time_ms / 1e3);
}

static void write_histogram(const struct writer *w, struct series *const *group,
                            size_t n)
{
    const struct series *s = group[0];
    bool ns = s->histogram->unit != STATS_COUNT;
    size_t n_bounds;
    const double *bounds = bounds_of(s->histogram->unit, &n_bounds);
    uint64_t total = 0, sum = 0;
    size_t at = 0;
    const char *comma = s->labels[0] ? "," : "";

    for (unsigned b = 0; b < N_BUCKETS; b++) {
        for (; at < n_bounds && bucket_end(b) - 1 > bounds[at]; at++) {
            line(w, "%s_bucket{%s%sle=\"%g\"} %" PRIu64, s->name, s->labels, comma,
                 ns ? bounds[at] / 1e9 : bounds[at], total);
            write_exemplar(w, group, n, at);
        }
        for (size_t i = 0; i < n; i++) {
            total += atomic_load_explicit(&group[i]->histogram->buckets[b],
                                          memory_order_relaxed);
        }
    }
    for (size_t i = 0; i < n; i++) {
        sum += atomic_load_explicit(&group[i]->histogram->sum, memory_order_relaxed);
    }
    line(w, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64, s->name, s->labels, comma, total);
    write_exemplar(w, group, n, n_bounds);
    line(w, "%s_sum%s%s%s %.9g\n", s->name, s->labels[0] ? "{" : "", s->labels,
         s->labels[0] ? "}" : "", ns ? (double)sum / 1e9 : (double)sum);
    line(w, "%s_count%s%s%s %" PRIu64 "\n", s->name, s->labels[0] ? "{" : "", s->labels,
         s->labels[0] ? "}" : "", total);
}

/* Nobody makes this series any more: a sink that no policy names. */
static bool is_gone(struct series *const *group, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!atomic_load_explicit(&group[i]->is_free, memory_order_relaxed)) {
            return false;
        }
    }
    return true;
}

/* OpenMetrics' name of a counter's family has no _total, and its help no bare quotation
 * mark. */
static void write_head(const struct writer *w, const struct series *s)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram", "gauge"};
    size_t n = strlen(s->name);
    char help[1024];

    if (w->open && s->kind == COUNTER && n > 6 &&
        strcmp(s->name + n - 6, "_total") == 0) {
        n -= 6;
    }
    line(w, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)n, s->name,
         w->open ? stats_label(help, sizeof help, s->help) : s->help, (int)n, s->name,
         kinds[s->kind]);
}

static void write_series(const struct writer *w, struct series *const *group, size_t n)
{
    switch (group[0]->kind) {
    case HISTOGRAM:
        write_histogram(w, group, n);
        break;
    case AGE:
        write_age(w, group, n);
        break;
    default:
        if (group[0]->read != NULL) {
            write_asked(w, group, n);
        } else {
            write_value(w, group, n);
        }
    }
}

void stats_write(enum stats_format format, stats_put_fn *put, void *arg)
{
    struct writer w = {put, arg, format == STATS_OPENMETRICS};
    size_t n, end;
    struct series **list = series_look(&n);
    const char *family = NULL;

    for (size_t i = 0; i < n; i = end) {
        for (end = i + 1; end < n && series_by_name(&list[i], &list[end]) == 0;) {
            end++;
        }
        if (is_gone(list + i, end - i)) {
            continue;
        }
        if (family == NULL || strcmp(list[i]->name, family) != 0) {
            family = list[i]->name;
            write_head(&w, list[i]);
        }
        write_series(&w, list + i, end - i);
    }
    series_unlook(list);
    if (w.open) {
        line(&w, "# EOF\n");
    }
}
