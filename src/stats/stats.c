/*
 * The registry of series. Makers find their cell once, and write to it without a lock; whoever
 * looks takes a copy of the list under the lock and reads without it: nothing that it may read
 * is freed or added to a past until it has ended.
 */
#include "stats/stats.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "stats/internal.h"

struct farewell {
    struct farewell *next;
    stats_gone_fn *gone;
    void *arg;
};

static _Thread_local struct stats_owner *owner;

static struct registry registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void lock(void)
{
    (void)pthread_mutex_lock(&registry.lock);
}

static void unlock(void)
{
    (void)pthread_mutex_unlock(&registry.lock);
}

/* ---- the series, by their words; all under the lock ---- */

static struct series **place_of(const char *name, const char *labels)
{
    uint64_t x = str_hash(str_hash(STR_HASH, str_of(name)), str_of(labels));

    return &registry.places[(size_t)(x ^ x >> 32) & (registry.room - 1)];
}

static void put_in_place(struct series *s)
{
    struct series **place = place_of(s->name, s->labels);

    s->next = *place;
    *place = s;
}

static void grow(void)
{
    registry.room = registry.room == 0 ? 64 : 2 * registry.room;
    registry.list = mem_realloc(registry.list, registry.room * sizeof(struct series *));
    registry.places =
        mem_realloc(registry.places, registry.room * sizeof(struct series *));
    memset(registry.places, 0, registry.room * sizeof *registry.places);
    for (size_t i = 0; i < registry.n; i++) {
        put_in_place(registry.list[i]);
    }
}

static bool is(const struct series *s, const struct series *of, const char *name,
               const char *labels)
{
    return s->kind == of->kind && s->unit == of->unit && s->asked == of->asked &&
           s->total == of->total && strcmp(s->labels, labels) == 0 &&
           strcmp(s->name, name) == 0;
}

struct series *series_get(const struct series *of, const char *name, const char *help,
                          const char *labels)
{
    struct series *s = registry.room == 0 ? NULL : *place_of(name, labels);

    while (s != NULL && !is(s, of, name, labels)) {
        s = s->next;
    }
    if (s != NULL) {
        return s;
    }
    if (registry.n == registry.room) {
        grow();
    }
    s = mem_zalloc(sizeof *s);
    s->kind = of->kind;
    s->unit = of->unit;
    s->asked = of->asked;
    s->total = of->total;
    s->name = mem_strdup(name);
    s->help = mem_strdup(help);
    s->labels = mem_strdup(labels);
    s->at = registry.n;
    registry.list[registry.n++] = s;
    put_in_place(s);
    return s;
}

void series_drop(struct series *s)
{
    struct series **at = place_of(s->name, s->labels);

    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    registry.list[s->at] = registry.list[--registry.n];
    registry.list[s->at]->at = s->at;
    free(s->name);
    free(s->help);
    free(s->labels);
    free(s);
}

/* ---- makers ---- */

/* Whole before a look finds it. */
static struct cell *cell_new(struct series *s, stats_read_fn *read, const void *arg)
{
    struct cell *c = aligned_alloc(LINE_BYTES, sizeof *c);

    if (c == NULL) {
        abort(); /* as mem_alloc does */
    }
    memset(c, 0, sizeof *c);
    c->of = s;
    c->read = read;
    c->arg = arg;
    if (s->kind == HISTOGRAM) {
        c->histogram = mem_zalloc(sizeof *c->histogram);
        c->histogram->unit = s->unit;
    }
    atomic_store_explicit(&c->next,
                          atomic_load_explicit(&s->cells, memory_order_relaxed),
                          memory_order_relaxed);
    return c;
}

static struct cell *add(const struct series *of, const char *name, const char *help,
                        const char *labels, stats_read_fn *read, const void *arg)
{
    struct series *s;
    struct cell *c;

    lock();
    s = series_get(of, name, help, labels);
    gone_return(&registry, s);
    c = cell_new(s, read, arg);
    atomic_store_explicit(&s->cells, c, memory_order_release);
    if (owner != NULL) {
        c->of_owner = owner->cells;
        owner->cells = c;
    }
    if (owner == NULL || !owner->hidden) {
        (void)atomic_fetch_add(&s->n_shown, 1);
    }
    unlock();
    return c;
}

struct stats_owner *stats_own(struct stats_owner *by)
{
    struct stats_owner *before = owner;

    owner = by;
    return before;
}

void stats_hide(struct stats_owner *by, bool hidden)
{
    lock();
    if (by->hidden != hidden) {
        by->hidden = hidden;
        for (struct cell *c = by->cells; c != NULL; c = c->of_owner) {
            (void)atomic_fetch_add(&c->of->n_shown, hidden ? -1u : 1u);
        }
    }
    unlock();
}

/* Those to tell that nobody reads what they have named any more; under the lock. */
static struct farewell *settle(void)
{
    struct farewell *list = NULL;

    if (registry.n_looking == 0) {
        gone_settle(&registry);
        list = registry.farewells;
        registry.farewells = NULL;
    }
    return list;
}

static void tell(struct farewell *list)
{
    while (list != NULL) {
        struct farewell *f = list;

        list = f->next;
        f->gone(f->arg);
        free(f);
    }
}

/* What it asks for may take locks. */
static void take_last(struct stats_owner *by)
{
    for (struct cell *c = by->cells; c != NULL; c = c->of_owner) {
        c->last = c->read != NULL && c->of->kind == COUNTER ? c->read(c->arg) : 0;
    }
}

static void disown(struct stats_owner *by, struct farewell *f)
{
    struct cell *c, *next;

    take_last(by);
    lock();
    for (c = by->cells; c != NULL; c = next) {
        next = c->of_owner;
        if (!by->hidden) {
            (void)atomic_fetch_sub(&c->of->n_shown, 1);
        }
        if (c->of->kind == GAUGE || c->of->kind == AGE) {
            stats_set(&c->value, 0);
        }
        c->of_owner = registry.leaving;
        registry.leaving = c;
    }
    by->cells = NULL;
    if (f != NULL) {
        f->next = registry.farewells;
        registry.farewells = f;
    }
    f = settle();
    unlock();
    tell(f);
}

void stats_disown(struct stats_owner *by)
{
    disown(by, NULL);
}

void stats_disown_asked(struct stats_owner *by, stats_gone_fn *gone, void *arg)
{
    struct farewell *f = mem_alloc(sizeof *f);

    *f = (struct farewell){NULL, gone, arg};
    disown(by, f);
}

void stats_asked_counter(const char *name, const char *help, const char *labels,
                         stats_read_fn *read, const void *arg)
{
    const struct series of = {.kind = COUNTER, .asked = true};

    (void)add(&of, name, help, labels, read, arg);
}

void stats_asked_gauge(const char *name, const char *help, const char *labels,
                       stats_read_fn *read, const void *arg)
{
    const struct series of = {.kind = GAUGE, .asked = true};

    (void)add(&of, name, help, labels, read, arg);
}

static stats_cell *add_value(enum series_kind kind, const char *name, const char *help,
                             const char *labels)
{
    const struct series of = {.kind = kind};

    return &add(&of, name, help, labels, NULL, NULL)->value;
}

stats_cell *stats_counter(const char *name, const char *help, const char *labels)
{
    return add_value(COUNTER, name, help, labels);
}

stats_cell *stats_gauge(const char *name, const char *help, const char *labels)
{
    return add_value(GAUGE, name, help, labels);
}

stats_cell *stats_age(const char *name, const char *help, const char *labels)
{
    return add_value(AGE, name, help, labels);
}

struct stats_histogram *stats_histogram(const char *name, const char *help,
                                        const char *labels, enum stats_unit unit)
{
    const struct series of = {.kind = HISTOGRAM, .unit = unit};

    return add(&of, name, help, labels, NULL, NULL)->histogram;
}

/* ---- labels ---- */

const char *stats_label(char *out, size_t out_bytes, const char *text)
{
    return text_z(TEXT_LABEL, str_of(text), out, out_bytes);
}

/* One that is cut has its last quotation mark all the same. */
const char *stats_label_pair(char *out, size_t out_bytes, const char *name,
                             const char *value)
{
    size_t n = strlen(name);

    assert(n + sizeof "=\"\"" <= out_bytes);
    memcpy(out, name, n);
    memcpy(out + n, "=\"", 2);
    n += 2;
    n += text_write(TEXT_LABEL, str_of(value), out + n, out_bytes - n - 2);
    memcpy(out + n, "\"", 2);
    return out;
}

/* ---- those that look ---- */

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

    lock();
    *n = registry.n;
    registry.n_looking++;
    list = mem_alloc((*n + 1) * sizeof(struct series *));
    if (*n > 0) {
        memcpy(list, registry.list, *n * sizeof(struct series *));
    }
    unlock();
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
    struct farewell *f;

    lock();
    registry.n_looking--;
    f = settle();
    unlock();
    tell(f);
    free(list);
}

uint64_t stats_value(const char *name, const char *labels)
{
    uint64_t v = 0;

    lock();
    for (size_t i = 0; i < registry.n; i++) {
        const struct series *s = registry.list[i];

        if (strcmp(s->name, name) == 0 && strcmp(s->labels, labels) == 0) {
            v += series_value(s);
        }
    }
    unlock();
    return v;
}

static void see(const struct series *s, stats_seen_fn *seen, void *arg)
{
    uint64_t past = atomic_load_explicit(&s->past, memory_order_relaxed);
    struct stats_histogram *h =
        atomic_load_explicit(&s->past_histogram, memory_order_relaxed);

    for (const struct cell *c = first_cell(s); c != NULL; c = next_cell(c)) {
        seen(arg, &(struct stats_series){
                      s->name, s->labels,
                      atomic_load_explicit(&c->value, memory_order_relaxed),
                      c->histogram, s->total});
    }
    if (past > 0 || h != NULL) {
        seen(arg, &(struct stats_series){s->name, s->labels, past, h, s->total});
    }
}

void stats_each(stats_seen_fn *seen, void *arg)
{
    size_t n;
    struct series **list = copy(&n);

    for (size_t i = 0; i < n; i++) {
        if (!list[i]->asked) {
            see(list[i], seen, arg);
        }
    }
    series_unlook(list);
}

void stats_each_asked(stats_wanted_fn *wanted, stats_seen_fn *seen, void *arg)
{
    size_t n;
    struct series **list = copy(&n);

    for (size_t i = 0; i < n; i++) {
        const struct series *s = list[i];

        if (s->asked && s->kind == COUNTER && wanted(arg, s->name)) {
            seen(arg, &(struct stats_series){s->name, s->labels,
                                             (uint64_t)series_double(s), NULL, false});
        }
    }
    series_unlook(list);
}
