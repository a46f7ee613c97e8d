/*
 * The registry of series and their Prometheus text. Only its maker and stats_write find
 * a cell; a series stays in the list, and goes on with its next maker when the one
 * before is gone.
 */
#include "stats/stats.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

enum { LINE_BYTES = 4096 }; /* of the exposition */
enum { FREE_MAX = 2048 };   /* series without an owner that are kept */
enum { STEP_BITS = 3, STEPS = 1 << STEP_BITS, N_BUCKETS = 64 * STEPS };

struct stats_histogram {
    enum stats_unit unit;
    stats_cell sum;
    stats_cell buckets[N_BUCKETS];
};

enum series_kind { COUNTER, GAUGE, HISTOGRAM, AGE };

struct series {
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

static _Thread_local const void *owner;

static struct {
    pthread_mutex_t lock;
    struct series **list;
    size_t n, room;
    uint64_t n_freed;   /* ends of series, ever */
    unsigned n_writing; /* that look at the series without the lock */
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* One of the same name, labels and unit whose owner is gone; NULL: none. Locked. */
static struct series *take_free(const struct series *of, const char *name,
                                const char *labels)
{
    for (size_t i = 0; i < registry.n && of->read == NULL; i++) {
        struct series *s = registry.list[i];

        if (s->is_free && s->kind == of->kind && s->unit == of->unit &&
            strcmp(s->name, name) == 0 && strcmp(s->labels, labels) == 0) {
            s->is_free = false;
            s->owner = owner;
            return s;
        }
    }
    return NULL;
}

/* Whole before others find it: they take no lock to look at it. */
static struct series *make(const struct series *of, const char *name, const char *help,
                           const char *labels)
{
    struct series *s = mem_zalloc(sizeof *s);

    s->kind = of->kind;
    s->unit = of->unit;
    s->read = of->read;
    s->arg = of->arg;
    s->name = mem_strdup(name);
    s->help = mem_strdup(help);
    s->labels = mem_strdup(labels);
    s->owner = of->read == NULL ? owner : NULL;
    if (of->kind == HISTOGRAM) {
        s->histogram = mem_zalloc(sizeof *s->histogram);
        s->histogram->unit = of->unit;
    }
    return s;
}

static struct series *add(const struct series *of, const char *name, const char *help,
                          const char *labels)
{
    struct series *s;

    (void)pthread_mutex_lock(&registry.lock);
    s = take_free(of, name, labels);
    if (s == NULL) {
        s = make(of, name, help, labels);
        if (registry.n == registry.room) {
            registry.room = registry.room == 0 ? 64 : 2 * registry.room;
            registry.list =
                mem_realloc(registry.list, registry.room * sizeof(struct series *));
        }
        registry.list[registry.n++] = s;
    }
    (void)pthread_mutex_unlock(&registry.lock);
    return s;
}

const void *stats_own(const void *by)
{
    const void *before = owner;

    owner = by;
    return before;
}

/* Of those that are gone the last FREE_MAX are kept, to go on when their maker comes
 * again: a policy may name another sink at each reload. Locked. */
static void forget_old(void)
{
    size_t kept = 0;

    if (registry.n_writing > 0) {
        return;
    }
    for (size_t i = 0; i < registry.n; i++) {
        struct series *s = registry.list[i];

        if (s->is_free && registry.n_freed - s->freed >= FREE_MAX) {
            free(s->histogram);
            free(s->name);
            free(s->help);
            free(s->labels);
            free(s);
        } else {
            registry.list[kept++] = s;
        }
    }
    registry.n = kept;
}

void stats_disown(const void *by)
{
    (void)pthread_mutex_lock(&registry.lock);
    for (size_t i = 0; i < registry.n && by != NULL; i++) {
        struct series *s = registry.list[i];

        if (s->owner == by) {
            s->owner = NULL;
            s->is_free = true;
            s->freed = ++registry.n_freed;
            if (s->kind == GAUGE || s->kind == AGE) {
                stats_set(&s->cell, 0);
            }
        }
    }
    forget_old();
    (void)pthread_mutex_unlock(&registry.lock);
}

void stats_asked_counter(const char *name, const char *help, const char *labels,
                         stats_read_fn *read, const void *arg)
{
    const struct series of = {.kind = COUNTER, .read = read, .arg = arg};

    (void)add(&of, name, help, labels);
}

void stats_asked_gauge(const char *name, const char *help, const char *labels,
                       stats_read_fn *read, const void *arg)
{
    const struct series of = {.kind = GAUGE, .read = read, .arg = arg};

    (void)add(&of, name, help, labels);
}

stats_cell *stats_counter(const char *name, const char *help, const char *labels)
{
    return &add(&(struct series){.kind = COUNTER}, name, help, labels)->cell;
}

stats_cell *stats_gauge(const char *name, const char *help, const char *labels)
{
    return &add(&(struct series){.kind = GAUGE}, name, help, labels)->cell;
}

stats_cell *stats_age(const char *name, const char *help, const char *labels)
{
    return &add(&(struct series){.kind = AGE}, name, help, labels)->cell;
}

struct stats_histogram *stats_histogram(const char *name, const char *help,
                                        const char *labels, enum stats_unit unit)
{
    return add(&(struct series){.kind = HISTOGRAM, .unit = unit}, name, help, labels)
        ->histogram;
}

/* Values below STEPS have a bucket each; above, STEPS a power of two. */
static unsigned bucket_of(uint64_t v)
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
static double bucket_end(unsigned b)
{
    unsigned top = b / STEPS;

    if (top == 0) {
        return b + 1;
    }
    return (double)(STEPS + b % STEPS + 1) * (double)(1ull << (top - 1));
}

void stats_record(struct stats_histogram *h, uint64_t value)
{
    stats_add(&h->buckets[bucket_of(value)], 1);
    stats_add(&h->sum, value);
}

struct stats_histogram *stats_histogram_new(void)
{
    return mem_zalloc(sizeof(struct stats_histogram));
}

void stats_histogram_clear(struct stats_histogram *h)
{
    for (unsigned b = 0; b < N_BUCKETS; b++) {
        stats_set(&h->buckets[b], 0);
    }
    stats_set(&h->sum, 0);
}

void stats_histogram_free(struct stats_histogram *h)
{
    free(h);
}

static uint64_t in_bucket(const struct stats_histogram *const *list, size_t n,
                          unsigned b)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        v += list[i] == NULL
                 ? 0
                 : atomic_load_explicit(&list[i]->buckets[b], memory_order_relaxed);
    }
    return v;
}

double stats_quantile(const struct stats_histogram *const *list, size_t n, double q)
{
    uint64_t total = 0, below = 0;

    for (unsigned b = 0; b < N_BUCKETS; b++) {
        total += in_bucket(list, n, b);
    }
    for (unsigned b = 0; b < N_BUCKETS && total > 0; b++) {
        below += in_bucket(list, n, b);
        if ((double)below >= q * (double)total) {
            return bucket_end(b) - 1;
        }
    }
    return 0;
}

const char *stats_label(char *out, size_t out_bytes, const char *text)
{
    return text_z(TEXT_LABEL, str_of(text), out, out_bytes);
}

const char *stats_label_pair(char *out, size_t out_bytes, const char *name,
                             const char *value)
{
    char escaped[256];

    (void)stats_label(escaped, sizeof escaped, value);
    (void)snprintf(out, out_bytes, "%s=\"%s\"", name, escaped);
    return out;
}

static int by_name(const void *a, const void *b)
{
    const struct series *x = *(struct series *const *)a;
    const struct series *y = *(struct series *const *)b;
    int c = strcmp(x->name, y->name);

    return c != 0 ? c : strcmp(x->labels, y->labels);
}

struct writer {
    stats_put_fn *put;
    void *arg;
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

static void write_histogram(const struct writer *w, struct series *const *group,
                            size_t n)
{
    const struct series *s = group[0];
    static const struct {
        const double *list;
        size_t n;
    } all[] = {[STATS_NS] = {ns_bounds, N_ELEMS(ns_bounds)},
               [STATS_COUNT] = {count_bounds, N_ELEMS(count_bounds)},
               [STATS_NS_FINE] = {fine_bounds, N_ELEMS(fine_bounds)}};
    bool ns = s->histogram->unit != STATS_COUNT;
    const double *bounds = all[s->histogram->unit].list;
    size_t n_bounds = all[s->histogram->unit].n;
    uint64_t total = 0, sum = 0;
    size_t at = 0;
    const char *comma = s->labels[0] ? "," : "";

    for (unsigned b = 0; b < N_BUCKETS; b++) {
        for (; at < n_bounds && bucket_end(b) - 1 > bounds[at]; at++) {
            line(w, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", s->name, s->labels, comma,
                 ns ? bounds[at] / 1e9 : bounds[at], total);
        }
        for (size_t i = 0; i < n; i++) {
            total += atomic_load_explicit(&group[i]->histogram->buckets[b],
                                          memory_order_relaxed);
        }
    }
    for (size_t i = 0; i < n; i++) {
        sum += atomic_load_explicit(&group[i]->histogram->sum, memory_order_relaxed);
    }
    line(w, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", s->name, s->labels, comma,
         total);
    line(w, "%s_sum%s%s%s %.9g\n", s->name, s->labels[0] ? "{" : "", s->labels,
         s->labels[0] ? "}" : "", ns ? (double)sum / 1e9 : (double)sum);
    line(w, "%s_count%s%s%s %" PRIu64 "\n", s->name, s->labels[0] ? "{" : "", s->labels,
         s->labels[0] ? "}" : "", total);
}

/* Those that stay until unlook, sorted, and whether any of them has an owner or belongs to
 * the process. */
static struct series **look(size_t *n)
{
    struct series **list;

    (void)pthread_mutex_lock(&registry.lock);
    *n = registry.n;
    registry.n_writing++;
    list = mem_alloc(*n * sizeof(struct series *));
    if (*n > 0) {
        memcpy(list, registry.list, *n * sizeof(struct series *));
    }
    (void)pthread_mutex_unlock(&registry.lock);
    qsort(list, *n, sizeof *list, by_name);
    return list;
}

static void unlook(struct series **list)
{
    (void)pthread_mutex_lock(&registry.lock);
    registry.n_writing--;
    (void)pthread_mutex_unlock(&registry.lock);
    free(list);
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

void stats_write(stats_put_fn *put, void *arg)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram", "gauge"};
    struct writer w = {put, arg};
    size_t n, end;
    struct series **list = look(&n);
    const char *family = NULL;

    for (size_t i = 0; i < n; i = end) {
        for (end = i + 1; end < n && by_name(&list[i], &list[end]) == 0;) {
            end++;
        }
        if (is_gone(list + i, end - i)) {
            continue;
        }
        if (family == NULL || strcmp(list[i]->name, family) != 0) {
            family = list[i]->name;
            line(&w, "# HELP %s %s\n# TYPE %s %s\n", list[i]->name, list[i]->help,
                 list[i]->name, kinds[list[i]->kind]);
        }
        if (list[i]->kind == HISTOGRAM) {
            write_histogram(&w, list + i, end - i);
        } else if (list[i]->kind == AGE) {
            write_age(&w, list + i, end - i);
        } else if (list[i]->read != NULL) {
            write_asked(&w, list + i, end - i);
        } else {
            write_value(&w, list + i, end - i);
        }
    }
    unlook(list);
}

uint64_t stats_value(const char *name, const char *labels)
{
    uint64_t v = 0;

    (void)pthread_mutex_lock(&registry.lock);
    for (size_t i = 0; i < registry.n; i++) {
        struct series *s = registry.list[i];

        if (strcmp(s->name, name) == 0 && strcmp(s->labels, labels) == 0) {
            v += atomic_load_explicit(&s->cell, memory_order_relaxed);
        }
    }
    (void)pthread_mutex_unlock(&registry.lock);
    return v;
}
