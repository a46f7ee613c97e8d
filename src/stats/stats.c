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
#include "base/str.h"
#include "base/text.h"
#include "stats/internal.h"

enum { FREE_MAX = 2048 }; /* series without an owner that are kept */
static _Thread_local const void *owner;

static struct {
    pthread_mutex_t lock;
    struct series **list;
    struct series **places; /* room of them: the first series of each hash's place */
    size_t n, room;         /* room: a power of two */
    uint64_t n_freed;       /* ends of series, ever */
    unsigned n_writing;     /* that look at the series without the lock */
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t place_of(const char *name, const char *labels)
{
    uint64_t x = str_hash(str_hash(STR_HASH, str_of(name)), str_of(labels));

    return (size_t)(x ^ x >> 32) & (registry.room - 1);
}

static void put_in_place(struct series *s)
{
    struct series **place = &registry.places[place_of(s->name, s->labels)];

    s->next = *place;
    *place = s;
}

/* After the list has changed but by a new series at its end. Locked. */
static void place_all(void)
{
    memset(registry.places, 0, registry.room * sizeof *registry.places);
    for (size_t i = 0; i < registry.n; i++) {
        put_in_place(registry.list[i]);
    }
}

static bool same_series(const struct series *s, const char *name, const char *labels)
{
    return strcmp(s->labels, labels) == 0 && strcmp(s->name, name) == 0;
}

static struct series *first_at(const char *name, const char *labels)
{
    return registry.room == 0 ? NULL : registry.places[place_of(name, labels)];
}

/* One of the same name, labels and unit whose owner is gone; NULL: none. Locked. */
static struct series *take_free(const struct series *of, const char *name,
                                const char *labels)
{
    for (struct series *s = first_at(name, labels); s != NULL && of->read == NULL;
         s = s->next) {
        if (s->is_free && s->kind == of->kind && s->unit == of->unit &&
            same_series(s, name, labels)) {
            s->is_free = false;
            s->owner = owner;
            return s;
        }
    }
    return NULL;
}

/* Whether a scrape shows the series of a cell whose owner is gone. Locked. */
static bool is_shown(const struct series *of)
{
    for (const struct series *s = first_at(of->name, of->labels); s != NULL;
         s = s->next) {
        if (!s->is_free && same_series(s, of->name, of->labels)) {
            return true;
        }
    }
    return false;
}

/* Locked. */
static void append(struct series *s)
{
    if (registry.n == registry.room) {
        registry.room = registry.room == 0 ? 64 : 2 * registry.room;
        registry.list =
            mem_realloc(registry.list, registry.room * sizeof(struct series *));
        registry.places =
            mem_realloc(registry.places, registry.room * sizeof(struct series *));
        place_all();
    }
    registry.list[registry.n++] = s;
    put_in_place(s);
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
        append(s);
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

static void forget(struct series *s)
{
    if (s->histogram != NULL) {
        free(s->histogram->exemplars);
    }
    free(s->histogram);
    free(s->name);
    free(s->help);
    free(s->labels);
    free(s);
}

/* Of those that are gone the last FREE_MAX are kept, to go on when their maker comes
 * again: a policy may name another sink at each reload. So are those of a series that is
 * shown, whose count would go back without them. Locked. */
static void forget_old(void)
{
    size_t kept = 0, n_old = 0;
    struct series **old;

    if (registry.n_writing > 0) {
        return;
    }
    old = mem_alloc(registry.n * sizeof(struct series *));
    for (size_t i = 0; i < registry.n; i++) {
        struct series *s = registry.list[i];

        if (s->is_free && registry.n_freed - s->freed >= FREE_MAX && !is_shown(s)) {
            old[n_old++] = s;
        } else {
            registry.list[kept++] = s;
        }
    }
    registry.n = kept;
    if (n_old > 0) {
        place_all();
    }
    for (size_t i = 0; i < n_old; i++) {
        forget(old[i]);
    }
    free(old);
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

void stats_histogram_add(struct stats_histogram *to, const struct stats_histogram *from)
{
    for (unsigned b = 0; b < N_BUCKETS; b++) {
        stats_add(&to->buckets[b],
                  atomic_load_explicit(&from->buckets[b], memory_order_relaxed));
    }
}

void stats_histogram_less(struct stats_histogram *to,
                          const struct stats_histogram *before)
{
    for (unsigned b = 0; b < N_BUCKETS; b++) {
        uint64_t n = atomic_load_explicit(&to->buckets[b], memory_order_relaxed);
        uint64_t less = atomic_load_explicit(&before->buckets[b], memory_order_relaxed);

        stats_set(&to->buckets[b], n > less ? n - less : 0);
    }
}

uint64_t stats_histogram_count(const struct stats_histogram *h)
{
    uint64_t n = 0;

    for (unsigned b = 0; b < N_BUCKETS; b++) {
        n += atomic_load_explicit(&h->buckets[b], memory_order_relaxed);
    }
    return n;
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

int series_by_name(const void *a, const void *b)
{
    const struct series *x = *(struct series *const *)a;
    const struct series *y = *(struct series *const *)b;
    int c = strcmp(x->name, y->name);

    return c != 0 ? c : strcmp(x->labels, y->labels);
}

/* In no order; series_unlook. */
static struct series **copy(size_t *n)
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
    return list;
}

struct series **series_look(size_t *n)
{
    struct series **list = copy(n);

    qsort(list, *n, sizeof *list, series_by_name);
    return list;
}

void series_unlook(struct series **list)
{
    (void)pthread_mutex_lock(&registry.lock);
    registry.n_writing--;
    (void)pthread_mutex_unlock(&registry.lock);
    free(list);
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

void stats_each(stats_seen_fn *seen, void *arg)
{
    size_t n;
    struct series **list = copy(&n);

    for (size_t i = 0; i < n; i++) {
        if (list[i]->read == NULL) {
            seen(arg, &(struct stats_series){
                          list[i]->name, list[i]->labels,
                          atomic_load_explicit(&list[i]->cell, memory_order_relaxed),
                          list[i]->histogram});
        }
    }
    series_unlook(list);
}
