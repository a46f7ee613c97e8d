#include "policy/run/handles.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/library/library.h"
#include "policy/run/internal.h"
#include "shared/registry.h"

enum {
    REHEARSAL_KEYS = 64,
    PERSIST_KEYS =
        1 << 20 /* that are not on disk yet: some seconds of the fastest stream,
                              or what gathers until they are saved */
};

struct handles {
    struct registry *registry;
    struct metric **metrics;
    struct held_limit *limits;
    uint32_t n_metrics, n_limits;
    uint32_t stripe;
    struct seen *seen[PLAN_STREAMS_MAX]; /* NULL: the stream has none */
    struct buckets **refusals;           /* by the route's index; NULL: it keeps none */
    uint32_t n_routes;
};

static bool take_metrics(struct handles *h, struct registry *registry,
                         const struct plan *plan, struct err *e)
{
    h->metrics = mem_zalloc(plan->n_metrics * sizeof(struct metric *));
    for (uint32_t i = 0; i < plan->n_metrics; i++) {
        const struct metric_plan *m = &plan->metrics[i];
        const struct metric_conf conf = {.name = m->name,
                                         .help = m->help,
                                         .gauge = m->gauge,
                                         .labels = m->labels,
                                         .n_labels = m->n_labels,
                                         .max_series = m->max_series};

        h->metrics[i] = registry_metric(registry, &conf, e);
        if (h->metrics[i] == NULL) {
            return false;
        }
        h->n_metrics++;
    }
    return true;
}

struct seen *handles_find_seen(struct registry *registry, const struct stream_plan *st,
                               bool rehearsal)
{
    /* Keys that no server keeps on disk are kept in memory. */
    const bool persist =
        st->dedup_persist && !rehearsal && registry_is_published(registry);
    /* Policies of any window share it: on disk each looks through its own. */
    const struct seen_conf conf = {.window_ms = persist ? 1 : st->dedup_window_ms,
                                   .max_keys = rehearsal ? REHEARSAL_KEYS
                                               : persist ? PERSIST_KEYS
                                                         : st->dedup_max_keys,
                                   .persist = persist};

    return registry_seen(registry, st->name, st->dedup_key.p, &conf);
}

static void take_seen(struct handles *h, struct registry *registry,
                      const struct plan *plan, bool rehearsal)
{
    for (uint32_t i = 0; i < plan->n_streams; i++) {
        const struct stream_plan *st = &plan->streams[i];

        if (st->dedup_key.p != NULL) {
            h->seen[i] = handles_find_seen(registry, st, rehearsal);
        }
    }
}

/* The finest units in which a bucket of a slow rate still fits: see buckets.h. */
static double units_of(const struct limit_plan *l)
{
    return l->column.p == NULL ? 0
           : l->unit_s == 1    ? 64000
           : l->unit_s == 60   ? 1000
                               : 32;
}

static void take_limits(struct handles *h, struct registry *registry,
                        const struct plan *plan, bool rehearsal)
{
    for (uint32_t i = 0; i < plan->n_limits; i++) {
        const struct limit_plan *l = &plan->limits[i];
        const uint32_t max_keys = rehearsal ? REHEARSAL_KEYS : l->max_keys;
        const double units_per_ms = units_of(l);
        const struct buckets_conf conf = {.rate = units_per_ms > 0 ? 0 : l->amount,
                                          .burst = units_per_ms > 0 ? 0 : l->burst,
                                          .max_keys = max_keys,
                                          .units_per_ms = units_per_ms};

        if (l->window_s > 0) {
            h->limits[h->n_limits++].quota = registry_quota(
                registry, l->name, &(struct quota_conf){l->window_s, max_keys});
        } else {
            h->limits[h->n_limits++].buckets =
                registry_buckets(registry, l->name, &conf);
        }
    }
}

/* One bucket for each route that keeps what it refuses. */
static void take_refusals(struct handles *h, struct registry *registry,
                          const struct plan *plan)
{
    h->refusals = mem_zalloc((plan->n_routes + 1) * sizeof(struct buckets *));
    h->n_routes = plan->n_routes;
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        const struct route *r = &plan->routes[i];
        char name[1200];

        if (r->on_refused != NULL) {
            const struct buckets_conf conf = {.rate = r->on_refused->rate,
                                              .burst = r->on_refused->burst,
                                              .max_keys = 1};

            (void)snprintf(name, sizeof name, "on_refused %s %s", r->method, r->path);
            h->refusals[r->index] = registry_buckets(registry, name, &conf);
        }
    }
}

struct handles *handles_new(struct registry *registry, const struct plan *plan,
                            bool rehearsal, struct err *e)
{
    struct handles *h = mem_zalloc(sizeof *h);

    h->registry = registry;
    h->stripe = registry_stripe(registry);
    h->limits = mem_zalloc((plan->n_limits + 1) * sizeof *h->limits);
    if (!take_metrics(h, registry, plan, e)) {
        handles_free(h);
        return NULL;
    }
    take_limits(h, registry, plan, rehearsal);
    take_seen(h, registry, plan, rehearsal);
    take_refusals(h, registry, plan);
    return h;
}

void handles_free(struct handles *h)
{
    if (h == NULL) {
        return;
    }
    for (uint32_t i = 0; i < h->n_metrics; i++) {
        registry_metric_drop(h->registry, h->metrics[i]);
    }
    for (uint32_t i = 0; i < h->n_limits; i++) {
        buckets_unref(h->limits[i].buckets);
        quota_unref(h->limits[i].quota);
    }
    for (uint32_t i = 0; i < PLAN_STREAMS_MAX; i++) {
        seen_unref(h->seen[i]);
    }
    for (uint32_t i = 0; i < h->n_routes; i++) {
        buckets_unref(h->refusals[i]);
    }
    free(h->refusals);
    free(h->limits);
    free(h->metrics);
    free(h);
}

void policy_publish(struct policy_state *s)
{
    for (uint32_t i = 0; s->handles != NULL && i < s->handles->n_metrics; i++) {
        registry_publish(s->handles->registry, s->handles->metrics[i]);
    }
}

bool policy_metric(struct policy_state *s, const char *name, const struct str *values,
                   uint32_t n, double *v)
{
    const struct plan *plan = s->policy->plan;

    for (uint32_t i = 0; s->handles != NULL && i < s->handles->n_metrics; i++) {
        struct metric *m = s->handles->metrics[i];

        if (strcmp(plan->metrics[i].name, name) == 0 &&
            plan->metrics[i].n_labels == n) {
            *v = metric_value(m, n == 0 ? 0 : metric_series(m, values));
            return true;
        }
    }
    return false;
}

const struct held_limit *handles_limit(const struct handles *h, uint32_t i)
{
    return h == NULL || i >= h->n_limits ? NULL : &h->limits[i];
}

struct seen *handles_seen(const struct handles *h, uint32_t i)
{
    return h == NULL ? NULL : h->seen[i];
}

bool policy_refusal_take(struct policy_state *s, uint32_t route, double n,
                         double now_ms)
{
    const struct handles *h = s->handles;

    return h == NULL || h->refusals[route] == NULL ||
           buckets_take(h->refusals[route], STR(""), n, now_ms) == 0;
}

/* ---- functions that handles call ---- */

static const struct handles *handles_of(struct sluice_context *c)
{
    return OUTER(c, struct policy_state, context)->handles;
}

static struct metric *metric_of(struct sluice_context *c, int32_t metric)
{
    const struct handles *h = handles_of(c);

    return h == NULL || (uint32_t)metric >= h->n_metrics ? NULL : h->metrics[metric];
}

int sluice_rehearsal(struct sluice_context *c)
{
    const struct policy_state *s = OUTER(c, struct policy_state, context);

    return s->handles == NULL || s->trying;
}

int32_t sluice_series(struct sluice_context *c, int32_t metric, const char *x,
                      size_t nx, const char *y, size_t ny, const char *z, size_t nz)
{
    const struct str values[METRIC_LABELS_MAX] = {{x, nx}, {y, ny}, {z, nz}};
    struct metric *m = metric_of(c, metric);

    return m == NULL ? METRIC_OTHER : metric_series(m, values);
}

void sluice_add(struct sluice_context *c, int32_t metric, int32_t series, double v)
{
    struct metric *m = metric_of(c, metric);

    if (m != NULL) {
        metric_add(m, series, handles_of(c)->stripe, v);
    }
}

void sluice_set(struct sluice_context *c, int32_t metric, int32_t series, double v)
{
    struct metric *m = metric_of(c, metric);

    if (m != NULL) {
        metric_set(m, series, v);
    }
}

void sluice_limited(struct sluice_context *c, struct sluice_event *ev, double wait_ms)
{
    if (wait_ms > c->batch->wait_ms) {
        c->batch->wait_ms = wait_ms;
    }
    ((struct event *)(void *)ev)->flags |= EVENT_RETRY;
}
