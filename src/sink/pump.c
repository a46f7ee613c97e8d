/*
 * The thread of one sink:
 *
 *   spool's wake ─► pump ─► outlet_look, outlet_take ─► batch ── due ──► submit
 *                    ▲                                                    │
 *                    └── linger, retry (timers) ◄── done ◄── the sink ◄───┘
 *                                                    └─ journal ─► outlet_settle
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "sink/state.h"

enum {
    IN_FLIGHT_MAX = 2,          /* batches, a stream */
    TURN_BATCHES = 16,          /* before the loop gets its turn */
    RETRY_FIRST_MS = 100,
    RETRY_MAX_MS = 5000,
    JOURNAL_COMPACT_BYTES = 1 << 20,
    POOL_MAX = 8
};

static const double TICK_S = 0.25;

static int64_t now_ms(const struct delivery *d)
{
    return (int64_t)(ev_now(d->loop) * 1000.);
}

static struct batch_limits limits_of(const struct delivery *d)
{
    const struct batch_plan *b = &d->conf->batch;

    return (struct batch_limits){.target = b->target,
                                 .min = b->min,
                                 .max = b->max,
                                 .max_bytes = b->max_bytes,
                                 .linger_ms = b->linger_ms};
}

static void on_emit(void *arg, struct journal_draft *draft)
{
    struct delivery *d = arg;
    struct record head = {.type = RECORD_HEAD,
                          .value = 1,
                          .name = str_of(spool_uuid(d->spool))};

    journal_emit(draft, &head);
    for (uint32_t i = 0; i < d->n_outlets; i++) {
        if (d->outlets[i].consumer != NULL) {
            outlet_emit(&d->outlets[i], draft);
        }
    }
    if (d->ops->emit != NULL) {
        d->ops->emit(d->sink, draft);
    }
}

bool pump_compact(struct delivery *d, struct err *e)
{
    if (!journal_rewrite(d->journal, on_emit, d, e)) {
        return false;
    }
    d->compacted_bytes = journal_bytes(d->journal);
    return true;
}

/* ---- holding ---- */

static void hold(struct delivery *d, const char *why)
{
    char quoted[300];

    d->backoff_ms = d->backoff_ms == 0 ? RETRY_FIRST_MS : 2 * d->backoff_ms;
    d->backoff_ms = d->backoff_ms < RETRY_MAX_MS ? d->backoff_ms : RETRY_MAX_MS;
    (void)pthread_mutex_lock(&d->lock);
    if (!d->status.holding) {
        log_write(LOG_ERROR, "sink", "sink=%s status=holding why=%s", d->name,
                  log_quote(quoted, sizeof quoted, why));
    }
    d->status.holding = true;
    (void)snprintf(d->status.why, sizeof d->status.why, "%s", why);
    (void)pthread_mutex_unlock(&d->lock);
    stats_set(d->holding, 1);
    stats_add(d->retries, 1);
    ev_timer_stop(d->loop, &d->retry);
    ev_timer_set(&d->retry, (double)d->backoff_ms / 1000., 0.);
    ev_timer_start(d->loop, &d->retry);
}

static void go_on(struct delivery *d)
{
    if (d->backoff_ms == 0) {
        return;
    }
    d->backoff_ms = 0;
    (void)pthread_mutex_lock(&d->lock);
    d->status.holding = false;
    (void)pthread_mutex_unlock(&d->lock);
    stats_set(d->holding, 0);
    log_write(LOG_INFO, "sink", "sink=%s status=delivering", d->name);
}

/* ---- batches ---- */

static struct batch *batch_get(struct delivery *d)
{
    struct batch *b = d->pool;

    if (b == NULL) {
        return batch_new(d->ops->keep);
    }
    d->pool = b->next;
    d->n_pool--;
    batch_reset(b);
    return b;
}

static void batch_put(struct delivery *d, struct batch *b)
{
    if (d->n_pool == POOL_MAX) {
        batch_free(b);
        return;
    }
    b->next = d->pool;
    d->pool = b;
    d->n_pool++;
}

static void submit(struct delivery *d, struct outlet *o, enum batch_reason why)
{
    struct batch *b = o->batch;

    o->batch = NULL;
    o->in_flight++;
    b->stream = o->number;
    stats_add(d->reasons[why], 1);
    stats_record(d->batch_events, b->n);
    d->ops->submit(d->sink, b);
}

void pump_later(struct delivery *d)
{
    if (!ev_is_active(&d->again)) {
        ev_idle_start(d->loop, &d->again);
    }
}

void pump_done(void *arg, struct batch *b, const struct sink_verdict *v)
{
    struct delivery *d = arg;
    struct outlet *o = &d->outlets[b->stream];
    struct record done = {.type = RECORD_DONE,
                          .stream = str_of(o->name),
                          .ranges = b->ranges,
                          .n_ranges = b->n_ranges};
    struct err e;

    if (v->kind == SINK_OK && !d->ops->journals &&
        !journal_append(d->journal, &done, &e)) {
        hold(d, e.text);
        b->next = d->failed;
        d->failed = b;
        return;
    }
    if (v->kind != SINK_OK) {
        hold(d, v->why);
        b->next = d->failed;
        d->failed = b;
        return;
    }
    go_on(d);
    outlet_settle(o, b->ranges, b->n_ranges);
    stats_add(d->delivered, b->n);
    stats_record(d->age,
                 (uint64_t)(clock_wall_ms() > b->oldest_wall_ms
                                ? clock_wall_ms() - b->oldest_wall_ms
                                : 0) *
                     1000000u);
    (void)pthread_mutex_lock(&d->lock);
    d->status.delivered += b->n;
    d->status.batches++;
    (void)pthread_mutex_unlock(&d->lock);
    o->in_flight--;
    batch_put(d, b);
    pump_later(d);
    if (journal_bytes(d->journal) >
            d->compacted_bytes + JOURNAL_COMPACT_BYTES &&
        !pump_compact(d, &e)) {
        hold(d, e.text);
    }
}

/* ---- the pump ---- */

/* Sends what is due of one stream; true: there is more to read. */
static bool pump_outlet(struct delivery *d, struct outlet *o, int64_t *next_ms)
{
    struct batch_limits l = limits_of(d);
    struct err e;

    if (!outlet_look(o, d->journal, &e)) {
        hold(d, e.text);
        return false;
    }
    for (int i = 0; i < TURN_BATCHES; i++) {
        enum outlet_result r;
        enum batch_reason why;
        unsigned state;

        if (o->in_flight >= IN_FLIGHT_MAX) {
            return false; /* done comes, and pumps */
        }
        if (o->batch == NULL) {
            o->batch = batch_get(d);
        }
        r = outlet_take(o, &l, now_ms(d), d->journal, &e);
        if (r == OUTLET_FAILED) {
            hold(d, e.text);
            return false;
        }
        state = (r == OUTLET_FULL ? BATCH_IS_FULL : 0u) |
                (r == OUTLET_EMPTY && o->in_flight == 0 ? BATCH_IS_IDLE : 0u) |
                (d->draining || o->retiring ? BATCH_IS_DRAINING : 0u);
        why = batch_due(o->batch, &l, now_ms(d), state);
        if (why == BATCH_WAIT) {
            if (o->batch->n > 0 && batch_deadline(o->batch, &l) < *next_ms) {
                *next_ms = batch_deadline(o->batch, &l);
            }
            return false;
        }
        submit(d, o, why);
    }
    return true;
}

static bool all_idle(const struct delivery *d)
{
    for (uint32_t i = 0; i < d->n_outlets; i++) {
        if (d->outlets[i].consumer != NULL && !outlet_idle(&d->outlets[i])) {
            return false;
        }
    }
    return true;
}

static void close_retired(struct delivery *d)
{
    for (uint32_t i = 0; i < d->n_outlets; i++) {
        struct outlet *o = &d->outlets[i];

        if (o->consumer != NULL && o->retiring && outlet_idle(o)) {
            log_write(LOG_INFO, "sink", "sink=%s stream=%s status=retired",
                      d->name, o->name);
            outlet_close(o);
        }
    }
}

void pump(struct delivery *d)
{
    int64_t next_ms = INT64_MAX;
    bool more = false;

    if (d->failed != NULL || ev_is_active(&d->retry)) {
        return; /* order is kept: nothing new before what failed */
    }
    for (uint32_t i = 0; i < d->n_outlets; i++) {
        if (d->outlets[i].consumer != NULL) {
            more |= pump_outlet(d, &d->outlets[i], &next_ms);
        }
    }
    ev_timer_stop(d->loop, &d->linger);
    if (next_ms != INT64_MAX) {
        int64_t left = next_ms - now_ms(d);

        ev_timer_set(&d->linger, left > 0 ? (double)left / 1000. : 0.001, 0.);
        ev_timer_start(d->loop, &d->linger);
    }
    if (more) {
        pump_later(d);
        return;
    }
    close_retired(d);
    if (d->draining && !ev_is_active(&d->retry) && all_idle(d)) {
        d->empty = true;
        ev_break(d->loop, EVBREAK_ALL);
    }
}

static void on_again(struct ev_loop *loop, ev_idle *w, int events)
{
    (void)events;
    ev_idle_stop(loop, w);
    pump(OUTER(w, struct delivery, again));
}

static void on_woken(struct ev_loop *loop, ev_async *w, int events)
{
    (void)loop;
    (void)events;
    pump(OUTER(w, struct delivery, woken));
}

static void on_linger(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    pump(OUTER(w, struct delivery, linger));
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int events)
{
    struct delivery *d = OUTER(w, struct delivery, retry);
    struct batch *b = d->failed, *oldest = NULL;
    struct err e;

    (void)loop;
    (void)events;
    /* The trouble may have been the journal's own: a new file is the way out. */
    if (!pump_compact(d, &e)) {
        hold(d, e.text);
        return;
    }
    d->failed = NULL;
    while (b != NULL) {
        struct batch *next = b->next;

        b->next = oldest;
        oldest = b;
        b = next;
    }
    while (oldest != NULL) {
        b = oldest;
        oldest = b->next;
        b->next = NULL;
        d->ops->submit(d->sink, b);
    }
    if (d->backoff_ms == 0) {
        d->backoff_ms = RETRY_FIRST_MS;
    }
    pump_later(d);
}

static void show(struct delivery *d)
{
    uint64_t lag = 0, lost = 0, skipped = 0;

    for (uint32_t i = 0; i < d->n_outlets; i++) {
        if (d->outlets[i].consumer != NULL) {
            lag += spool_consumer_lag(d->outlets[i].consumer);
        }
        lost += d->outlets[i].lost;
        skipped += d->outlets[i].skipped;
    }
    stats_set(d->lag, lag);
    stats_set(d->lost, lost);
    stats_set(d->skipped, skipped);
    (void)pthread_mutex_lock(&d->lock);
    d->status.lag_bytes = lag;
    d->status.lost = lost;
    d->status.skipped = skipped;
    (void)pthread_mutex_unlock(&d->lock);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
    struct delivery *d = OUTER(w, struct delivery, tick);

    (void)loop;
    (void)events;
    show(d);
    if (d->draining && clock_mono_ns() >= d->drain_until_ns) {
        ev_break(d->loop, EVBREAK_ALL);
        return;
    }
    pump(d);
}

void pump_watch(struct delivery *d)
{
    ev_async_init(&d->woken, on_woken);
    ev_async_start(d->loop, &d->woken);
    ev_timer_init(&d->linger, on_linger, 0., 0.);
    ev_timer_init(&d->retry, on_retry, 0., 0.);
    ev_timer_init(&d->tick, on_tick, TICK_S, TICK_S);
    ev_timer_start(d->loop, &d->tick);
    ev_idle_init(&d->again, on_again);
}
