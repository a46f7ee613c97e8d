#include "shared/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "shared/registry_table.h"
#include "stats/stats.h"

enum { LABEL_BYTES = 2600 }; /* a route's, of a limit on what it keeps of refusals */

struct registry *registry_new(bool published)
{
    struct registry *h = mem_zalloc(sizeof *h);

    atomic_init(&h->refs, 1);
    h->published = published;
    (void)pthread_mutex_init(&h->lock, NULL);
    return h;
}

bool registry_is_published(const struct registry *h)
{
    return h->published;
}

struct registry *registry_ref(struct registry *h)
{
    (void)atomic_fetch_add(&h->refs, 1);
    return h;
}

/* The sums of the counters of one table, or of all tables that are gone. */
struct sums {
    uint64_t refused, forgotten, repeats, unsure, full, keys;
};

static void add_table(struct sums *x, const struct table *t)
{
    if (t->buckets != NULL) {
        x->refused += buckets_refused(t->buckets);
        x->forgotten += buckets_forgotten(t->buckets);
    }
    if (t->quota != NULL) {
        x->refused += quota_refused(t->quota);
        x->forgotten += quota_forgotten(t->quota);
    }
    if (t->seen != NULL) {
        x->forgotten += seen_forgotten(t->seen);
        x->repeats += seen_n_repeats(t->seen);
        x->unsure += seen_n_passed(t->seen);
        x->full += seen_n_full(t->seen);
        x->keys += seen_count(t->seen);
    }
}

static struct table *table_free(struct table *t)
{
    struct table *next = t->next;

    buckets_unref(t->buckets);
    quota_unref(t->quota);
    seen_unref(t->seen);
    free(t->key);
    free(t);
    return next;
}

/* A table that no generation uses any more: its counts stay. */
static struct table *let_go(struct named *n, struct table *t)
{
    struct sums x = {0};

    add_table(&x, t);
    n->refused += x.refused;
    n->forgotten += x.forgotten;
    n->repeats += x.repeats;
    n->unsure += x.unsure;
    n->full += x.full;
    return table_free(t);
}

/* No thread asks it. */
static void named_free(void *arg)
{
    struct named *n = arg;

    while (n->tables != NULL) {
        n->tables = table_free(n->tables);
    }
    free(n->name);
    free(n);
}

void registry_unref(struct registry *h)
{
    if (h == NULL || atomic_fetch_sub(&h->refs, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < h->n_metrics; i++) {
        metric_free(h->metrics[i].metric);
    }
    while (h->named != NULL) {
        struct named *next = h->named->next;

        stats_disown_asked(&h->named->shown, named_free, h->named);
        h->named = next;
    }
    (void)pthread_mutex_destroy(&h->lock);
    free(h->metrics);
    free(h);
}

uint32_t registry_stripe(struct registry *h)
{
    return atomic_fetch_add(&h->stripe, 1);
}

static struct shown *shown_of(struct registry *h, const char *name)
{
    for (size_t i = 0; i < h->n_metrics; i++) {
        if (strcmp(metric_name(h->metrics[i].metric), name) == 0) {
            return &h->metrics[i];
        }
    }
    return NULL;
}

static struct metric *metric_locked(struct registry *h, const struct metric_conf *conf,
                                    struct err *e)
{
    struct shown *x = shown_of(h, conf->name);

    if (x == NULL) {
        h->metrics = mem_realloc(h->metrics, (h->n_metrics + 1) * sizeof *h->metrics);
        x = &h->metrics[h->n_metrics++];
        *x = (struct shown){metric_new(conf), 0, false};
    } else if (!metric_is(x->metric, conf)) {
        (void)err_set(e,
                      "%s \"%s\": a policy that is still used has it with another "
                      "kind, other labels or another max_series; give it "
                      "another name, or take it out first",
                      conf->gauge ? "gauge" : "counter", conf->name);
        return NULL;
    }
    x->users++;
    return x->metric;
}

struct metric *registry_metric(struct registry *h, const struct metric_conf *conf,
                               struct err *e)
{
    struct metric *m;

    (void)pthread_mutex_lock(&h->lock);
    m = metric_locked(h, conf, e);
    (void)pthread_mutex_unlock(&h->lock);
    return m;
}

void registry_metric_drop(struct registry *h, const struct metric *m)
{
    struct metric *last = NULL;
    struct shown *x;

    (void)pthread_mutex_lock(&h->lock);
    x = shown_of(h, metric_name(m));
    if (--x->users == 0) {
        last = x->metric;
        *x = h->metrics[--h->n_metrics];
    }
    (void)pthread_mutex_unlock(&h->lock);
    metric_free(last);
}

void registry_publish(struct registry *h, struct metric *m)
{
    struct shown *x;

    (void)pthread_mutex_lock(&h->lock);
    x = shown_of(h, metric_name(m));
    if (h->published && !x->published) {
        x->published = true;
        metric_publish(m);
    }
    (void)pthread_mutex_unlock(&h->lock);
}

/* ---- for /metrics ---- */

/* Over all tables of the name, those that went too. */
static struct sums sums_of(const struct named *n)
{
    struct sums x;

    (void)pthread_mutex_lock(&n->registry->lock);
    x = (struct sums){n->refused, n->forgotten, n->repeats, n->unsure, n->full, 0};
    for (const struct table *t = n->tables; t != NULL; t = t->next) {
        add_table(&x, t);
    }
    (void)pthread_mutex_unlock(&n->registry->lock);
    return x;
}

static double read_refused(const void *arg)
{
    return (double)sums_of(arg).refused;
}

static double read_forgotten(const void *arg)
{
    return (double)sums_of(arg).forgotten;
}

static double read_keys(const void *arg)
{
    return (double)sums_of(arg).keys;
}

static double read_repeats(const void *arg)
{
    return (double)sums_of(arg).repeats;
}

static double read_unsure(const void *arg)
{
    return (double)sums_of(arg).unsure;
}

static double read_full(const void *arg)
{
    return (double)sums_of(arg).full;
}

static void publish_results(struct named *n, const char *labels)
{
    static const struct {
        const char *result;
        stats_read_fn *read;
    } rows[] = {{"repeat", read_repeats}, {"unsure", read_unsure}, {"full", read_full}};

    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        char all[LABEL_BYTES + 24];

        (void)snprintf(all, sizeof all, "%s,result=\"%s\"", labels, rows[i].result);
        stats_asked_counter("sluice_dedup_events_total",
                            "Events that dedup removed (repeat), or stored "
                            "although they may be repeats, because too many "
                            "requests were under way (unsure) or all places "
                            "were reserved (full; with persist their clients get "
                            "503).",
                            all, rows[i].read, n);
    }
}

static void publish(struct named *n)
{
    char labels[LABEL_BYTES];
    struct stats_owner *before = stats_own(&n->shown);

    (void)stats_label_pair(labels, sizeof labels, n->limit ? "limit" : "stream",
                           n->name);
    if (n->limit) {
        stats_asked_counter("sluice_limit_refused_total", "Calls that a limit refused.",
                            labels, read_refused, n);
        stats_asked_counter("sluice_limit_forgotten_total",
                            "Keys that a limit forgot before their bucket was "
                            "full again, because it reached max_keys.",
                            labels, read_forgotten, n);
        (void)stats_own(before);
        return;
    }
    stats_asked_gauge("sluice_dedup_keys",
                      "Keys that dedup remembers in memory: with persist those that "
                      "are not on disk yet.",
                      labels, read_keys, n);
    stats_asked_counter("sluice_dedup_forgotten_total",
                        "Keys forgotten before their window ended, because "
                        "dedup reached max_keys; their repeats are stored.",
                        labels, read_forgotten, n);
    publish_results(n, labels);
    (void)stats_own(before);
}

/* ---- by name, under the lock ---- */

static struct named *named_of(struct registry *h, const char *name, bool limit)
{
    struct named *n;

    for (n = h->named; n != NULL; n = n->next) {
        if (n->limit == limit && strcmp(n->name, name) == 0) {
            return n;
        }
    }
    n = mem_zalloc(sizeof *n);
    n->registry = h;
    n->name = mem_strdup(name);
    n->limit = limit;
    n->next = h->named;
    h->named = n;
    if (h->published) {
        publish(n);
    }
    return n;
}

static bool is_unused(const struct registry *h, const struct table *t)
{
    if (t->quota != NULL) { /* the next one with its name needs what was used */
        return quota_unshared(t->quota) &&
               (h->restore == NULL || !quota_unsaved(t->quota));
    }
    return t->buckets != NULL ? buckets_unshared(t->buckets) : seen_unshared(t->seen);
}

/* Tables that no generation uses any more. */
static void sweep(struct registry *h)
{
    for (struct named *n = h->named; n != NULL; n = n->next) {
        struct table **at = &n->tables;

        while (*at != NULL) {
            struct table *t = *at;

            if (is_unused(h, t)) {
                *at = let_go(n, t);
            } else {
                at = &t->next;
            }
        }
    }
}

void registry_tidy(struct registry *h)
{
    struct named *gone = NULL, **at;

    (void)pthread_mutex_lock(&h->lock);
    sweep(h);
    for (at = &h->named; *at != NULL;) {
        struct named *n = *at;

        if (n->tables == NULL) {
            *at = n->next;
            n->next = gone;
            gone = n;
        } else {
            at = &n->next;
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
    while (gone != NULL) {
        struct named *next = gone->next;

        stats_disown_asked(&gone->shown, named_free, gone);
        gone = next;
    }
}

static struct table *table_new(struct named *n)
{
    struct table *t = mem_zalloc(sizeof *t);

    t->next = n->tables;
    n->tables = t;
    return t;
}

struct buckets *registry_buckets(struct registry *h, const char *name,
                                 const struct buckets_conf *conf)
{
    struct buckets *b;
    struct named *n;
    struct table *t;

    (void)pthread_mutex_lock(&h->lock);
    sweep(h);
    n = named_of(h, name, true);
    for (t = n->tables;
         t != NULL && (t->buckets == NULL || !buckets_are(t->buckets, conf));) {
        t = t->next;
    }
    if (t == NULL) {
        t = table_new(n);
        t->buckets = buckets_new(conf);
    }
    b = buckets_ref(t->buckets);
    (void)pthread_mutex_unlock(&h->lock);
    return b;
}

/* Of the name's windows; NULL: none yet. */
static struct quota *quota_of(const struct named *n, uint32_t window_s)
{
    for (const struct table *t = n->tables; t != NULL; t = t->next) {
        if (t->quota != NULL && quota_window_s(t->quota) == window_s) {
            return quota_ref(t->quota);
        }
    }
    return NULL;
}

static struct quota *quota_there(struct registry *h, const char *name,
                                 uint32_t window_s)
{
    struct quota *q;

    (void)pthread_mutex_lock(&h->lock);
    sweep(h);
    q = quota_of(named_of(h, name, true), window_s);
    (void)pthread_mutex_unlock(&h->lock);
    return q;
}

struct quota *registry_quota(struct registry *h, const char *name,
                             const struct quota_conf *conf)
{
    struct quota *q = quota_there(h, name, conf->window_s), *made;
    struct named *n;

    if (q != NULL) {
        return q;
    }
    /* Not under the lock: the disk may take its time, and /metrics waits for the lock. */
    made = quota_new(conf);
    if (h->restore != NULL) {
        h->restore(h->restore_arg, name, made);
    }
    (void)pthread_mutex_lock(&h->lock);
    n = named_of(h, name, true);
    q = quota_of(n, conf->window_s);
    if (q == NULL) {
        table_new(n)->quota = quota_ref(made);
        q = quota_ref(made);
    }
    (void)pthread_mutex_unlock(&h->lock);
    quota_unref(made);
    return q;
}

struct seen *registry_seen(struct registry *h, const char *name, const char *key,
                           const struct seen_conf *conf)
{
    struct seen *s;
    struct named *n;
    struct table *t;

    (void)pthread_mutex_lock(&h->lock);
    sweep(h);
    n = named_of(h, name, false);
    for (t = n->tables;
         t != NULL && (!seen_is(t->seen, conf) || strcmp(t->key, key) != 0);) {
        t = t->next;
    }
    if (t == NULL) {
        t = table_new(n);
        t->seen = seen_new(conf);
        t->key = mem_strdup(key);
    }
    s = seen_ref(t->seen);
    (void)pthread_mutex_unlock(&h->lock);
    return s;
}
