/* The view of a delivery that others get: the supervisor, the metrics, and requests
 * that wait for it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "delivery/internal.h"

/* Under lock. */
static void show_endpoints(struct delivery *d)
{
    struct sink_endpoint list[DELIVERY_ENDPOINTS];

    if (d->ops->endpoints == NULL) {
        return;
    }
    d->status.n_endpoints = d->ops->endpoints(d->sink, list, DELIVERY_ENDPOINTS);
    for (uint32_t i = 0; i < d->status.n_endpoints; i++) {
        struct delivery_endpoint *p = &d->status.endpoints[i];

        memcpy(p->url, list[i].url, sizeof p->url);
        p->state = breaker_state_name(list[i].state);
        p->counts = list[i].counts;
    }
}

/* Under lock. */
static void show_hedge(struct delivery *d)
{
    const char *why = d->ops->hedging == NULL ? NULL : d->ops->hedging(d->sink);

    d->status.hedge_wanted = why != NULL;
    d->status.hedging = why != NULL && why[0] == '\0';
    (void)snprintf(d->status.hedge_why, sizeof d->status.hedge_why, "%s",
                   why == NULL ? "" : why);
}

void pump_block(struct delivery *d)
{
    struct sink_endpoint list[DELIVERY_ENDPOINTS];
    uint32_t n = d->ops->endpoints == NULL
                     ? 0
                     : d->ops->endpoints(d->sink, list, DELIVERY_ENDPOINTS);
    bool blocked = n > 0;

    for (uint32_t i = 0; i < n; i++) {
        blocked &= list[i].spare || list[i].state == BREAKER_OPEN;
    }
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        struct subscription *o = &d->subscriptions[i];

        if (o->consumer != NULL && o->blocked != blocked) {
            o->blocked = blocked;
            spool_consumer_block(o->consumer, blocked);
        }
    }
}

void pump_cells(struct delivery *d, const char *sink)
{
    d->remaining_events = stats_gauge(
        "sluice_sink_left_events", "Events that a sink has not delivered yet.", sink);
    d->oldest = stats_age("sluice_sink_oldest_event_seconds",
                          "Age of the oldest event that a sink has not delivered; 0 "
                          "when nothing is left.",
                          sink);
    d->failing =
        stats_age("sluice_sink_failing_seconds",
                  "Time since the sink began to fail; 0 while it takes events.", sink);
}

void pump_show_error(struct delivery *d, const char *why)
{
    struct delivery_status *x = &d->status;

    x->error_ms = clock_wall_ms();
    (void)snprintf(x->error, sizeof x->error, "%s", why);
    if (!x->holding) {
        x->holding_ms = x->error_ms;
    }
    x->holding = true;
    (void)snprintf(x->why, sizeof x->why, "%s", why);
    stats_set(d->failing, (uint64_t)x->holding_ms);
}

/* Not 0 when something came meanwhile, see on_wake. */
uint64_t pump_show_lag(struct delivery *d)
{
    uint64_t known = atomic_load(d->lag), lag = 0;

    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        if (d->subscriptions[i].consumer != NULL) {
            lag += spool_consumer_lag(d->subscriptions[i].consumer);
        }
    }
    if (!atomic_compare_exchange_strong(d->lag, &known, lag)) {
        stats_set(d->lag, lag > 0 ? lag : 1);
    }
    return lag;
}

void pump_came(struct delivery *d)
{
    uint64_t none = 0;

    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(d->remaining_events, memory_order_relaxed) == 0) {
        (void)atomic_compare_exchange_strong(d->remaining_events, &none, 1);
    }
    none = 0;
    if (atomic_load_explicit(d->oldest, memory_order_relaxed) == 0) {
        (void)atomic_compare_exchange_strong(d->oldest, &none,
                                             (uint64_t)clock_wall_ms());
    }
}

/* What came meanwhile is not hidden by an older look. */
static void show_left(struct delivery *d, uint64_t remaining, int64_t oldest)
{
    stats_set(d->remaining_events, remaining);
    stats_set(d->oldest, (uint64_t)oldest);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(d->lag) > 0) {
        pump_came(d);
    }
}

void pump_show_idle(struct delivery *d)
{
    if (pump_show_lag(d) != 0) {
        return;
    }
    show_left(d, 0, 0);
    (void)pthread_mutex_lock(&d->lock);
    d->status.lag_bytes = 0; /* what comes meanwhile is in the cells */
    d->status.remaining = 0;
    d->status.oldest_ms = 0;
    (void)pthread_mutex_unlock(&d->lock);
}

void pump_show(struct delivery *d)
{
    int64_t oldest = 0;
    uint64_t lag = pump_show_lag(d), lost = 0, skipped = 0, remaining = 0;
    bool retiring = d->removed, leaving = false, skips = false;

    pump_block(d);
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        if (d->subscriptions[i].consumer != NULL) {
            int64_t at = spool_consumer_oldest(d->subscriptions[i].consumer);

            oldest = at != 0 && (oldest == 0 || at < oldest) ? at : oldest;
            remaining += subscription_remaining(&d->subscriptions[i]);
            skips |= d->subscriptions[i].conf.skip;
            retiring |= d->subscriptions[i].ending;
            leaving |= !d->subscriptions[i].wanted && !d->subscriptions[i].ending;
        }
        lost += d->subscriptions[i].lost;
        skipped += subscription_skipped(&d->subscriptions[i]);
    }
    show_left(d, remaining, oldest);
    stats_set(d->lost, lost);
    stats_set(d->skipped, skipped);
    stats_set(d->dead_bytes, dead_bytes(&d->dead)); /* people take the file away */
    (void)pthread_mutex_lock(&d->lock);
    show_endpoints(d);
    show_hedge(d);
    d->status.lag_bytes = lag;
    d->status.remaining = remaining;
    d->status.oldest_ms = oldest;
    d->status.skips = skips;
    d->status.retiring = retiring;
    d->status.leaving = leaving;
    d->status.lost = lost;
    d->status.skipped = skipped;
    (void)pthread_mutex_unlock(&d->lock);
}
