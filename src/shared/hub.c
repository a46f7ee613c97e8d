#include "shared/hub.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "stats/stats.h"

/* A limit or a stream's memory of keys, under its name for ever; the table comes
 * and goes. */
struct named {
    struct named *next;
    struct hub *hub;
    char *name;
    bool limit;
    struct buckets *buckets; /* a reference; NULL: none now */
    struct seen *seen;
    char *key;               /* of seen */
    /* Of the tables before this one, so that counters do not go back. */
    uint64_t refused, forgotten, repeats, unsure, full;
};

struct hub {
    atomic_uint refs;
    bool published;
    atomic_uint stripe;
    pthread_mutex_t lock;
    struct metric **metrics;
    size_t n_metrics;
    struct named *named;
};

struct hub *hub_new(bool published)
{
    struct hub *h = mem_zalloc(sizeof *h);

    atomic_init(&h->refs, 1);
    h->published = published;
    (void)pthread_mutex_init(&h->lock, NULL);
    return h;
}

struct hub *hub_ref(struct hub *h)
{
    (void)atomic_fetch_add(&h->refs, 1);
    return h;
}

static uint64_t repeats_of(const struct seen *s)
{
    return seen_results(s, SEEN_BEFORE) + seen_results(s, SEEN_MINE) +
           seen_results(s, SEEN_BUSY) - seen_n_passed(s);
}

static void let_go(struct named *n)
{
    if (n->buckets != NULL) {
        n->refused += buckets_refused(n->buckets);
        n->forgotten += buckets_forgotten(n->buckets);
        buckets_unref(n->buckets);
        n->buckets = NULL;
    }
    if (n->seen != NULL) {
        n->forgotten += seen_forgotten(n->seen);
        n->repeats += repeats_of(n->seen);
        n->unsure += seen_n_passed(n->seen);
        n->full += seen_results(n->seen, SEEN_FULL);
        seen_unref(n->seen);
        free(n->key);
        n->seen = NULL;
        n->key = NULL;
    }
}

void hub_unref(struct hub *h)
{
    if (h == NULL || atomic_fetch_sub(&h->refs, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < h->n_metrics; i++) {
        metric_free(h->metrics[i]);
    }
    while (h->named != NULL) {
        struct named *next = h->named->next;

        let_go(h->named);
        free(h->named->name);
        free(h->named);
        h->named = next;
    }
    (void)pthread_mutex_destroy(&h->lock);
    free(h->metrics);
    free(h);
}

uint32_t hub_stripe(struct hub *h)
{
    return atomic_fetch_add(&h->stripe, 1);
}

static struct metric *metric_locked(struct hub *h,
                                    const struct metric_conf *conf,
                                    struct err *e)
{
    for (size_t i = 0; i < h->n_metrics; i++) {
        struct metric *m = h->metrics[i];

        if (strcmp(metric_name(m), conf->name) != 0) {
            continue;
        }
        if (!metric_is(m, conf)) {
            (void)err_set(e,
                          "%s \"%s\": since this process started it has another "
                          "kind, other labels or another max_series; give it "
                          "another name, or restart",
                          conf->gauge ? "gauge" : "counter", conf->name);
            return NULL;
        }
        return m;
    }
    h->metrics = mem_realloc(h->metrics,
                             (h->n_metrics + 1) * sizeof(struct metric *));
    h->metrics[h->n_metrics] = metric_new(conf, h->published);
    return h->metrics[h->n_metrics++];
}

struct metric *hub_metric(struct hub *h, const struct metric_conf *conf,
                          struct err *e)
{
    struct metric *m;

    (void)pthread_mutex_lock(&h->lock);
    m = metric_locked(h, conf, e);
    (void)pthread_mutex_unlock(&h->lock);
    return m;
}

/* ---- for /metrics ---- */

static double read_refused(const void *arg)
{
    const struct named *n = arg;
    uint64_t v;

    (void)pthread_mutex_lock(&n->hub->lock);
    v = n->refused + (n->buckets == NULL ? 0 : buckets_refused(n->buckets));
    (void)pthread_mutex_unlock(&n->hub->lock);
    return (double)v;
}

static double read_forgotten(const void *arg)
{
    const struct named *n = arg;
    uint64_t v;

    (void)pthread_mutex_lock(&n->hub->lock);
    v = n->forgotten +
        (n->buckets == NULL ? 0 : buckets_forgotten(n->buckets)) +
        (n->seen == NULL ? 0 : seen_forgotten(n->seen));
    (void)pthread_mutex_unlock(&n->hub->lock);
    return (double)v;
}

static double read_keys(const void *arg)
{
    const struct named *n = arg;
    uint64_t v;

    (void)pthread_mutex_lock(&n->hub->lock);
    v = n->seen == NULL ? 0 : seen_count(n->seen);
    (void)pthread_mutex_unlock(&n->hub->lock);
    return (double)v;
}

static double read_repeats(const void *arg)
{
    const struct named *n = arg;
    uint64_t v;

    (void)pthread_mutex_lock(&n->hub->lock);
    v = n->repeats + (n->seen == NULL ? 0 : repeats_of(n->seen));
    (void)pthread_mutex_unlock(&n->hub->lock);
    return (double)v;
}

static double read_unsure(const void *arg)
{
    const struct named *n = arg;
    uint64_t v;

    (void)pthread_mutex_lock(&n->hub->lock);
    v = n->unsure + (n->seen == NULL ? 0 : seen_n_passed(n->seen));
    (void)pthread_mutex_unlock(&n->hub->lock);
    return (double)v;
}

static double read_full(const void *arg)
{
    const struct named *n = arg;
    uint64_t v;

    (void)pthread_mutex_lock(&n->hub->lock);
    v = n->full + (n->seen == NULL ? 0 : seen_results(n->seen, SEEN_FULL));
    (void)pthread_mutex_unlock(&n->hub->lock);
    return (double)v;
}

static void publish_results(struct named *n, const char *labels)
{
    static const struct {
        const char *result;
        stats_read_fn *read;
    } rows[] = {{"repeat", read_repeats}, {"unsure", read_unsure},
                {"full", read_full}};

    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        char all[400];

        (void)snprintf(all, sizeof all, "%s,result=\"%s\"", labels,
                       rows[i].result);
        stats_asked_counter("sluice_dedup_events_total",
                            "Events that dedup took out (repeat), or let pass "
                            "though they may be repeats: of more requests under "
                            "way than it can wait for (unsure), all places are "
                            "reserved (full).",
                            all, rows[i].read, n);
    }
}

static void publish(struct named *n)
{
    char labels[320];

    (void)stats_label_pair(labels, sizeof labels, n->limit ? "limit" : "stream",
                           n->name);
    if (n->limit) {
        stats_asked_counter("sluice_limit_refused_total",
                            "Calls that a limit refused.", labels, read_refused,
                            n);
        stats_asked_counter("sluice_limit_forgotten_total",
                            "Keys in debt forgotten for want of room.", labels,
                            read_forgotten, n);
        return;
    }
    stats_asked_gauge("sluice_dedup_keys", "Keys that dedup remembers.", labels,
                      read_keys, n);
    stats_asked_counter("sluice_dedup_forgotten_total",
                        "Keys forgotten before their window's end, for want of "
                        "room: repeats of them pass.",
                        labels, read_forgotten, n);
    publish_results(n, labels);
}

/* ---- by name, under the lock ---- */

static struct named *named_of(struct hub *h, const char *name, bool limit)
{
    struct named *n;

    for (n = h->named; n != NULL; n = n->next) {
        if (n->limit == limit && strcmp(n->name, name) == 0) {
            return n;
        }
    }
    n = mem_zalloc(sizeof *n);
    n->hub = h;
    n->name = mem_strdup(name);
    n->limit = limit;
    n->next = h->named;
    h->named = n;
    if (h->published) {
        publish(n);
    }
    return n;
}

/* Tables that no generation uses any more. */
static void sweep(struct hub *h)
{
    for (struct named *n = h->named; n != NULL; n = n->next) {
        if ((n->buckets != NULL && buckets_unshared(n->buckets)) ||
            (n->seen != NULL && seen_unshared(n->seen))) {
            let_go(n);
        }
    }
}

struct buckets *hub_buckets(struct hub *h, const char *name,
                            const struct buckets_conf *conf)
{
    struct buckets *b;
    struct named *n;

    (void)pthread_mutex_lock(&h->lock);
    sweep(h);
    n = named_of(h, name, true);
    if (n->buckets == NULL || !buckets_are(n->buckets, conf)) {
        let_go(n);
        n->buckets = buckets_new(conf);
    }
    b = buckets_ref(n->buckets);
    (void)pthread_mutex_unlock(&h->lock);
    return b;
}

struct seen *hub_seen(struct hub *h, const char *name, const char *key,
                      const struct seen_conf *conf)
{
    struct seen *s;
    struct named *n;

    (void)pthread_mutex_lock(&h->lock);
    sweep(h);
    n = named_of(h, name, false);
    if (n->seen == NULL || !seen_is(n->seen, conf) ||
        strcmp(n->key, key) != 0) {
        let_go(n);
        n->seen = seen_new(conf);
        n->key = mem_strdup(key);
    }
    s = seen_ref(n->seen);
    (void)pthread_mutex_unlock(&h->lock);
    return s;
}
