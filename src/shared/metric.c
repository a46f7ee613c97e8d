#include "shared/metric.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "base/text.h"
#include "stats/stats.h"

/* A byte that is no UTF-8 becomes three. */
enum {
    LINE_BYTES = 64,
    VALUE_ROOM = 3 * METRIC_VALUE_BYTES + 1,
    LABELS_BYTES = METRIC_LABELS_MAX * (VALUE_ROOM + 96)
};

/* Each on a cache line of its own. */
struct stripe {
    _Alignas(LINE_BYTES) _Atomic double value;
};

struct series {
    struct stripe stripes[METRIC_STRIPES];
    uint64_t hash; /* of its values */
};

struct metric {
    char *name, *help, *labels[METRIC_LABELS_MAX];
    uint32_t n_labels, max_series;
    bool gauge, published;
    struct siphash_key key;
    pthread_mutex_t lock; /* of threads that add a series */
    struct stats_owner shown;
    _Atomic uint32_t n;
    struct series *_Atomic *list; /* max_series, and one for the others */
};

/* Keyed: equal hashes are one series, and clients choose values. */
static uint64_t hash_of(const struct metric *m, const struct str *values)
{
    uint64_t h[METRIC_LABELS_MAX] = {0};

    for (uint32_t i = 0; i < m->n_labels; i++) {
        h[i] = siphash13(&m->key, values[i].p, values[i].n);
    }
    return siphash13(&m->key, h, sizeof h);
}

static double read_series(const void *arg)
{
    const struct series *s = arg;
    double v = 0;

    for (int i = 0; i < METRIC_STRIPES; i++) {
        v += atomic_load_explicit(&s->stripes[i].value, memory_order_relaxed);
    }
    return v;
}

static void publish(struct metric *m, struct series *s, const struct str *values)
{
    char labels[LABELS_BYTES] = "", value[VALUE_ROOM];
    struct stats_owner *before = stats_own(&m->shown);
    size_t n = 0;

    for (uint32_t i = 0; i < m->n_labels; i++) {
        /* Headers need not be UTF-8, and a cut may go through a character. */
        (void)text_z(TEXT_LABEL, values[i], value, sizeof value);
        n += (size_t)snprintf(labels + n, sizeof labels - n, "%s%s=\"%s\"",
                              i > 0 ? "," : "", m->labels[i], value);
    }
    if (m->gauge) {
        stats_asked_gauge(m->name, m->help, labels, read_series, s);
    } else {
        stats_asked_counter(m->name, m->help, labels, read_series, s);
    }
    (void)stats_own(before);
}

/* Under the lock. */
static void add_series(struct metric *m, uint32_t at, uint64_t hash,
                       const struct str *values)
{
    struct series *s = aligned_alloc(LINE_BYTES, sizeof *s);

    if (s == NULL) {
        abort(); /* as mem_alloc does */
    }
    memset(s, 0, sizeof *s);
    s->hash = hash;
    atomic_store_explicit(&m->list[at], s, memory_order_release);
    if (m->published) {
        publish(m, s, values);
    }
}

struct metric *metric_new(const struct metric_conf *conf)
{
    struct metric *m = mem_zalloc(sizeof *m);
    struct str none[METRIC_LABELS_MAX] = {{NULL, 0}};

    m->name = mem_strdup(conf->name);
    m->help = mem_strdup(conf->help);
    for (uint32_t i = 0; i < conf->n_labels; i++) {
        m->labels[i] = mem_strdup(conf->labels[i]);
    }
    m->n_labels = conf->n_labels;
    m->max_series = conf->n_labels == 0 ? 1 : conf->max_series;
    m->gauge = conf->gauge;
    siphash_key_random(&m->key);
    (void)pthread_mutex_init(&m->lock, NULL);
    m->list = mem_zalloc((m->max_series + 1) * sizeof *m->list);
    if (m->n_labels == 0) {
        add_series(m, 0, hash_of(m, none), none);
        atomic_store_explicit(&m->n, 1, memory_order_release);
    }
    return m;
}

void metric_publish(struct metric *m)
{
    const struct str none[METRIC_LABELS_MAX] = {{NULL, 0}};

    (void)pthread_mutex_lock(&m->lock);
    m->published = true;
    if (m->n_labels == 0) {
        publish(m, atomic_load(&m->list[0]), none);
    }
    (void)pthread_mutex_unlock(&m->lock);
}

static void free_metric(void *arg)
{
    struct metric *m = arg;

    for (uint32_t i = 0; i <= m->max_series; i++) {
        free(atomic_load(&m->list[i]));
    }
    for (uint32_t i = 0; i < m->n_labels; i++) {
        free(m->labels[i]);
    }
    (void)pthread_mutex_destroy(&m->lock);
    free((void *)m->list);
    free(m->name);
    free(m->help);
    free(m);
}

void metric_free(struct metric *m)
{
    if (m == NULL) {
        return;
    }
    if (m->published) {
        stats_disown_asked(&m->shown, free_metric, m);
    } else {
        free_metric(m);
    }
}

const char *metric_name(const struct metric *m)
{
    return m->name;
}

bool metric_is(const struct metric *m, const struct metric_conf *conf)
{
    if (m->gauge != conf->gauge || m->n_labels != conf->n_labels ||
        (m->n_labels > 0 && m->max_series != conf->max_series)) {
        return false;
    }
    for (uint32_t i = 0; i < m->n_labels; i++) {
        if (strcmp(m->labels[i], conf->labels[i]) != 0) {
            return false;
        }
    }
    return true;
}

static int32_t find(struct metric *m, uint64_t hash, uint32_t from)
{
    uint32_t n = atomic_load_explicit(&m->n, memory_order_acquire);

    for (uint32_t i = from; i < n; i++) {
        if (atomic_load_explicit(&m->list[i], memory_order_relaxed)->hash == hash) {
            return (int32_t)i;
        }
    }
    return n < m->max_series ? -2 : METRIC_OTHER;
}

/* Under the lock: a new series, or the one of the others. */
static int32_t add_one(struct metric *m, uint64_t hash, const struct str *values)
{
    uint32_t n = atomic_load(&m->n);

    if (n < m->max_series) {
        add_series(m, n, hash, values);
        atomic_store_explicit(&m->n, n + 1, memory_order_release);
        return (int32_t)n;
    }
    return METRIC_OTHER;
}

static void need_other(struct metric *m)
{
    const struct str other[METRIC_LABELS_MAX] = {STR("other"), STR("other"),
                                                 STR("other")};

    if (atomic_load(&m->list[m->max_series]) == NULL) {
        add_series(m, m->max_series, 0, other);
    }
}

int32_t metric_series(struct metric *m, const struct str *values)
{
    struct str cut[METRIC_LABELS_MAX];
    uint64_t hash;
    int32_t at;

    for (uint32_t i = 0; i < m->n_labels; i++) {
        cut[i] = values[i];
        if (cut[i].n > METRIC_VALUE_BYTES) {
            cut[i].n = METRIC_VALUE_BYTES;
        }
    }
    hash = hash_of(m, cut);
    at = find(m, hash, 0);
    if (at >= 0 ||
        (at == METRIC_OTHER && atomic_load(&m->list[m->max_series]) != NULL)) {
        return at;
    }
    (void)pthread_mutex_lock(&m->lock);
    at = find(m, hash, 0);
    if (at < 0) {
        at = add_one(m, hash, cut);
    }
    if (at == METRIC_OTHER) {
        need_other(m);
    }
    (void)pthread_mutex_unlock(&m->lock);
    return at;
}

/* Numbers from Lua are checked, not trusted. */
static struct series *series_at(struct metric *m, int32_t series)
{
    uint32_t at = series == METRIC_OTHER ? m->max_series : (uint32_t)series;

    return at > m->max_series
               ? NULL
               : atomic_load_explicit(&m->list[at], memory_order_acquire);
}

void metric_add(struct metric *m, int32_t series, uint32_t stripe, double v)
{
    struct series *s = series_at(m, series);
    _Atomic double *cell;
    double before;

    if (s == NULL) {
        return;
    }
    cell = &s->stripes[m->gauge ? 0 : stripe % METRIC_STRIPES].value;
    before = atomic_load_explicit(cell, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        cell, &before, before + v, memory_order_relaxed, memory_order_relaxed)) {
    }
}

void metric_set(struct metric *m, int32_t series, double v)
{
    struct series *s = series_at(m, series);

    if (s != NULL) {
        atomic_store_explicit(&s->stripes[0].value, v, memory_order_relaxed);
    }
}

double metric_value(struct metric *m, int32_t series)
{
    const struct series *s = series_at(m, series);

    return s == NULL ? 0 : read_series(s);
}
