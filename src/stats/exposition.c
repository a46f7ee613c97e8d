/* What a scrape gets: Prometheus' text, OpenMetrics, or protobuf (protobuf.c). */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/text.h"
#include "stats/internal.h"

enum { TEXT_BYTES = 8192 };

struct writer {
    stats_put_fn *put;
    void *arg;
    bool open; /* OpenMetrics */
};

static void line(const struct writer *w, const char *fmt, ...) PRINTF(2, 3);

static void line(const struct writer *w, const char *fmt, ...)
{
    char text[TEXT_BYTES];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n > 0) {
        w->put(w->arg, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    }
}

static void write_value(const struct writer *w, const struct series *s)
{
    line(w, "%s%s%s%s %" PRIu64 "\n", s->name, s->labels[0] ? "{" : "", s->labels,
         s->labels[0] ? "}" : "", series_value(s));
}

/* Seconds since the oldest. */
static double age_of(const struct series *s)
{
    int64_t now = clock_wall_ms(), oldest = now;
    bool any = false;

    for (const struct cell *c = first_cell(s); c != NULL; c = next_cell(c)) {
        int64_t at = (int64_t)atomic_load_explicit(&c->value, memory_order_relaxed);

        if (at != 0) {
            any = true;
            oldest = at < oldest ? at : oldest;
        }
    }
    return any ? (double)(now - oldest) / 1e3 : 0.;
}

static double asked_of(const struct series *s)
{
    double v = s->asked_past;

    for (const struct cell *c = first_cell(s); c != NULL; c = next_cell(c)) {
        v += c->read(c->arg);
    }
    return v;
}

double series_double(const struct series *s)
{
    return s->asked         ? asked_of(s)
           : s->kind == AGE ? age_of(s)
                            : (double)series_value(s);
}

static void write_age(const struct writer *w, const struct series *s)
{
    line(w, "%s%s%s%s %.3f\n", s->name, s->labels[0] ? "{" : "", s->labels,
         s->labels[0] ? "}" : "", age_of(s));
}

/* The shortest digits that give the value back. */
static void write_asked(const struct writer *w, const struct series *s)
{
    double v = asked_of(s);
    char digits[40];

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
static void write_exemplar(const struct writer *w, const struct series *s, size_t at)
{
    bool ns = s->unit != STATS_COUNT;
    struct exemplar_text x;

    if (!w->open || !exemplar_read(s, at, &x)) {
        line(w, "\n");
        return;
    }
    line(w, " # {trace_id=\"%s\"} %.9g %.3f\n", x.trace,
         ns ? (double)x.value / 1e9 : (double)x.value, (double)x.time_ms / 1e3);
}

static uint64_t load(const stats_cell *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

/* sum[b] += from's. */
static void add_buckets(uint64_t sum[N_BUCKETS], const struct stats_histogram *from)
{
    for (unsigned b = 0; from != NULL && b < N_BUCKETS; b++) {
        sum[b] += load(&from->buckets[b]);
    }
}

uint64_t series_buckets(const struct series *s, uint64_t buckets[N_BUCKETS])
{
    const struct stats_histogram *past =
        atomic_load_explicit(&s->past_histogram, memory_order_acquire);
    uint64_t sum = past == NULL ? 0 : load(&past->sum);

    memset(buckets, 0, N_BUCKETS * sizeof *buckets);
    add_buckets(buckets, past);
    for (const struct cell *c = first_cell(s); c != NULL; c = next_cell(c)) {
        add_buckets(buckets, c->histogram);
        sum += load(&c->histogram->sum);
    }
    return sum;
}

static void write_histogram(const struct writer *w, const struct series *s)
{
    bool ns = s->unit != STATS_COUNT;
    size_t n_bounds, at = 0;
    const double *bounds = bounds_of(s->unit, &n_bounds);
    uint64_t buckets[N_BUCKETS], total = 0, sum = series_buckets(s, buckets);
    const char *comma = s->labels[0] ? "," : "";

    for (unsigned b = 0; b < N_BUCKETS; b++) {
        for (; at < n_bounds && bucket_end(b) - 1 > bounds[at]; at++) {
            line(w, "%s_bucket{%s%sle=\"%g\"} %" PRIu64, s->name, s->labels, comma,
                 ns ? bounds[at] / 1e9 : bounds[at], total);
            write_exemplar(w, s, at);
        }
        total += buckets[b];
    }
    line(w, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64, s->name, s->labels, comma, total);
    write_exemplar(w, s, n_bounds);
    line(w, "%s_sum%s%s%s %.9g\n", s->name, s->labels[0] ? "{" : "", s->labels,
         s->labels[0] ? "}" : "", ns ? (double)sum / 1e9 : (double)sum);
    line(w, "%s_count%s%s%s %" PRIu64 "\n", s->name, s->labels[0] ? "{" : "", s->labels,
         s->labels[0] ? "}" : "", total);
}

/* A policy's help may have any characters. In the text format a quotation mark stands as it
 * is, in OpenMetrics it has a backslash. */
static void escape_help(const struct writer *w, const char *text, char *out,
                        size_t bytes)
{
    char *to = out;

    (void)stats_label(out, bytes, text);
    for (const char *p = out; !w->open && *p != '\0';) {
        if (p[0] == '\\' && p[1] == '"') {
            p++;
        } else if (p[0] == '\\') {
            *to++ = *p++;
        }
        *to++ = *p++;
    }
    *(w->open ? out + strlen(out) : to) = '\0';
}

/* OpenMetrics' name of a counter's family has no _total. */
static void write_head(const struct writer *w, const struct series *s)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram", "gauge"};
    size_t n = strlen(s->name);
    char help[1024];

    if (w->open && s->kind == COUNTER && n > 6 &&
        strcmp(s->name + n - 6, "_total") == 0) {
        n -= 6;
    }
    escape_help(w, s->help, help, sizeof help);
    line(w, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)n, s->name, help, (int)n, s->name,
         kinds[s->kind]);
}

static void write_series(const struct writer *w, const struct series *s)
{
    if (s->asked) {
        write_asked(w, s);
    } else if (s->kind == HISTOGRAM) {
        write_histogram(w, s);
    } else if (s->kind == AGE) {
        write_age(w, s);
    } else {
        write_value(w, s);
    }
}

void stats_write(enum stats_format format, stats_put_fn *put, void *arg)
{
    struct writer w = {put, arg, format == STATS_OPENMETRICS};
    size_t n;
    struct series **list = series_look(&n);
    const char *family = NULL;

    if (format == STATS_PROTOBUF) {
        protobuf_write(list, n, put, arg);
        n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (!series_is_shown(list[i])) {
            continue; /* of a sink that no policy names, of a total */
        }
        if (family == NULL || strcmp(list[i]->name, family) != 0) {
            family = list[i]->name;
            write_head(&w, list[i]);
        }
        write_series(&w, list[i]);
    }
    series_unlook(list);
    if (w.open) {
        line(&w, "# EOF\n");
    }
}
