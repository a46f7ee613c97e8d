/*
 * The thread of one sink:
 *
 *   spool's wake ─► pump ─► subscription_look, subscription_take ─► batch ── due ──► submit
 *                    ▲                                                              │
 *                    └── linger, retry (timers) ◄── done ◄── the sink ◄─────────────┘
 *                                                    └─ journal ─► subscription_ack
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "delivery/internal.h"

enum {
    IN_FLIGHT = 2,     /* batches, a stream, unless the sink says */
    TURN_BATCHES = 16, /* before the loop gets its turn */
    POOL_MAX = 8
};

static const double TICK_S = 0.25;

static int64_t now_ms(void)
{
    return (int64_t)(clock_mono_ns() / 1000000u); /* a wall clock may be set back */
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

void pump_put(struct delivery *d, struct batch *b)
{
    if (d->n_pool == POOL_MAX) {
        batch_free(b);
        return;
    }
    b->next = d->pool;
    d->pool = b;
    d->n_pool++;
}

static bool has_intent(const struct delivery *d, const struct batch *b)
{
    for (uint32_t i = 0; i < d->n_intents; i++) {
        if (d->intents[i] == b) {
            return true;
        }
    }
    return false;
}

/* A planned batch is sent as it was planned, also by the next process. */
static bool note_intent(struct delivery *d, struct batch *b, struct err *e)
{
    struct record plan;

    if (!d->ops->intends || has_intent(d, b)) {
        return true;
    }
    if (d->n_intents == INTENTS_MAX) {
        return err_set(e, "more than %d batches are planned", INTENTS_MAX);
    }
    if (b->id != 0) { /* by an earlier process: the journal has it */
        d->intents[d->n_intents++] = b;
        return true;
    }
    b->id = ++d->last_id;
    batch_destination(b, d->ops->destination == NULL ? NULL
                                                     : d->ops->destination(d->sink));
    plan = pump_intent(d, b);
    if (!journal_append(d->journal, &plan, e) || !journal_sync(d->journal, e)) {
        b->id = 0;
        return false;
    }
    d->intents[d->n_intents++] = b;
    return true;
}

static void submit(struct delivery *d, struct subscription *o, enum batch_reason why)
{
    struct batch *b = o->batch;
    struct err e;

    o->batch = NULL;
    o->in_flight++;
    b->stream = o->number;
    b->submitted_ns = clock_mono_ns();
    stats_add(d->reasons[why], 1);
    stats_record(d->batch_events, b->n);
    stats_record(d->batch_bytes, b->n_bytes);
    if (!note_intent(d, b, &e)) {
        result_fail(d, b, e.text, 0);
        return;
    }
    d->ops->submit(d->sink, b);
}

void pump_later(struct delivery *d)
{
    if (!ev_is_active(&d->again)) {
        ev_idle_start(d->loop, &d->again);
    }
}

/* ---- the pump ---- */

static uint32_t window(const struct delivery *d)
{
    uint32_t n = d->ops->window == NULL ? IN_FLIGHT : d->ops->window(d->sink);

    return d->n_intents == INTENTS_MAX ? 0 : n;
}

/* The next batch that an earlier process planned and did not see through. */
static bool take_intent(struct delivery *d, struct subscription *o)
{
    struct batch *b = batch_get(d);

    if (!subscription_rebuild(o, b, now_ms())) {
        pump_put(d, b);
        return false;
    }
    if (b->n == 0) { /* nothing of it is left */
        pump_put(d, b);
        return true;
    }
    b->again = true;
    o->batch = b;
    submit(d, o, BATCH_DRAIN);
    return true;
}

/* A batch that has its target also takes the events that wait already, up to max: it
 * waits no longer by that, and costs less an event. A target of adapt is not passed. */
static enum subscription_result fill(struct delivery *d, struct subscription *o,
                                     const struct batch_limits *l, struct err *e)
{
    enum subscription_result r = subscription_take(o, l, now_ms(), d->journal, e);
    struct batch_limits most = *l;

    if (r != SUBSCRIPTION_FULL || !d->ops->grows || d->target != 0) {
        return r;
    }
    most.target = l->max;
    r = subscription_take(o, &most, now_ms(), d->journal, e);
    return r == SUBSCRIPTION_FAILED ? r : SUBSCRIPTION_FULL;
}

/* Sends the batches of one stream that are due; true: there is more to read. */
static bool pump_subscription(struct delivery *d, struct subscription *o,
                              int64_t *next_ms)
{
    struct batch_limits l = adapt_limits(d);
    struct err e;

    if (!subscription_look(o, d->journal, &e)) {
        result_back_off(d, e.text, 0);
        return false;
    }
    for (int i = 0; i < TURN_BATCHES; i++) {
        enum subscription_result r;
        enum batch_reason why;
        unsigned state;

        if (o->in_flight >= window(d)) {
            return false; /* done comes, and pumps */
        }
        if (o->intents != NULL) {
            if (!take_intent(d, o)) {
                return false;
            }
            continue;
        }
        if (o->batch == NULL) {
            o->batch = batch_get(d);
        }
        r = fill(d, o, &l, &e);
        if (r == SUBSCRIPTION_FAILED) {
            result_back_off(d, e.text, 0);
            return false;
        }
        state = (r == SUBSCRIPTION_FULL ? BATCH_IS_FULL : 0u) |
                (r == SUBSCRIPTION_EMPTY && o->in_flight == 0 ? BATCH_IS_IDLE : 0u) |
                (d->draining || o->ending ? BATCH_IS_DRAINING : 0u);
        why = batch_due(o->batch, &l, now_ms(), state);
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
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        if (d->subscriptions[i].consumer != NULL &&
            !subscription_idle(&d->subscriptions[i])) {
            return false;
        }
    }
    return true;
}

/* The journal forgets the stream, because one that comes back later is new. */
static bool close_retired(struct delivery *d, struct subscription *o)
{
    struct record gone = {.type = RECORD_START, .value = 1, .stream = str_of(o->name)};
    struct err e;

    if (!journal_append(d->journal, &gone, &e)) {
        result_back_off(d, e.text, 0);
        return false;
    }
    log_write(LOG_INFO, "sink", "sink=%s stream=%s status=retired", d->name, o->name);
    subscription_close(o);
    return true;
}

static void look_retired(struct delivery *d)
{
    bool any = false;

    if (ev_is_active(&d->retry)) {
        return;
    }
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        struct subscription *o = &d->subscriptions[i];

        any |=
            o->consumer != NULL && (!subscription_finished(o) || !close_retired(d, o));
    }
    if (d->removed && !any && !d->status.finished) {
        struct err e;

        if (d->ops->finish != NULL && !d->ops->finish(d->sink, &e)) {
            result_back_off(d, e.text, 0);
            return;
        }
        pump_show(d); /* nothing is left, before anybody is told so */
        (void)pthread_mutex_lock(&d->lock);
        d->status.finished = true;
        (void)pthread_mutex_unlock(&d->lock);
        if (d->retired != NULL) {
            d->retired(d->retired_arg);
        }
    }
}

/* A batch that failed waits, and is not in flight. */
static bool quiet(const struct delivery *d)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        n += d->subscriptions[i].in_flight;
    }
    for (const struct batch *b = d->failed; b != NULL; b = b->next) {
        n--;
    }
    return (n == 0 && !replay_in_flight(d)) || d->kept != NULL;
}

/* Events that it took of a stream which a refused plan gave it would be no other policy's
 * to take back. */
static bool waits_to_go(const struct delivery *d, const struct subscription *o)
{
    return d->new_waits && (o->fresh || o->back);
}

/* The same for each stream. They share the room that the sink has: it begins behind the
 * last one that was given some, so that none waits for the end of another's backlog. */
static bool pump_all(struct delivery *d, int64_t *next_ms)
{
    uint32_t from = d->turn;
    bool more = false;

    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        uint32_t k = (from + i) % d->n_subscriptions;
        struct subscription *o = &d->subscriptions[k];
        uint32_t before = o->in_flight;

        if (o->consumer == NULL || waits_to_go(d, o)) {
            continue;
        }
        more |= pump_subscription(d, o, next_ms);
        if (o->in_flight != before) {
            d->turn = k + 1;
        }
    }
    return more;
}

void pump(struct delivery *d)
{
    int64_t next_ms = INT64_MAX;
    bool more;

    if (d->handing_over) {
        if (quiet(d)) {
            d->empty = pump_show_lag(d) == 0;
            ev_break(d->loop, EVBREAK_ALL);
        }
        return;
    }
    if (atomic_load(&d->waiting)) {
        if (d->draining) {
            ev_break(d->loop, EVBREAK_ALL);
        }
        return;
    }
    if (d->spares && !d->new_waits) {
        spared_no_more(d);
    }
    if (d->replay != NULL && d->owed.plan == NULL) {
        replay_pump(d);
    }

    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        if (d->subscriptions[i].consumer != NULL && d->subscriptions[i].conf.skip) {
            subscription_rest(&d->subscriptions[i]);
        }
    }
    if (d->failed != NULL || d->kept != NULL || d->owed.plan != NULL ||
        ev_is_active(&d->retry)) {
        return; /* order is kept: nothing new before the batch that failed */
    }
    more = pump_all(d, &next_ms);
    ev_timer_stop(d->loop, &d->linger);
    if (next_ms != INT64_MAX) {
        int64_t remaining = next_ms - now_ms();

        ev_timer_set(&d->linger, remaining > 0 ? (double)remaining / 1000. : 0.001, 0.);
        ev_timer_start(d->loop, &d->linger);
    }
    if (more) {
        pump_later(d);
        return;
    }
    look_retired(d);
    if (atomic_load(d->lag) > 0 && all_idle(d)) {
        pump_show_idle(d);
    }
    if (d->draining && !ev_is_active(&d->retry) && all_idle(d) &&
        !replay_in_flight(d)) {
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

/* Why the sink's server takes nothing of what is in flight; NULL: it does. */
static const char *stuck(const struct delivery *d)
{
    return d->sink == NULL || d->ops->stuck == NULL ? NULL : d->ops->stuck(d->sink);
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int events)
{
    struct delivery *d = OUTER(w, struct delivery, retry);
    struct batch *b = d->failed, *oldest = NULL;
    struct err e;

    (void)loop;
    (void)events;
    if (d->handing_over && d->kept == NULL) {
        pump_later(d); /* those that failed are another sink's */
        return;
    }
    if (!settings_settle(d, &e)) {
        result_back_off(d, e.text, 0);
        return;
    }
    /* Only then: a new file costs syncs, which clients' writes wait for, and a sink
     * that a server or a full file holds comes back every second or two. */
    if (journal_in_trouble(d->journal) && !pump_try_compact(d, &e)) {
        result_back_off(d, e.text, 0);
        return;
    }
    if (b == NULL && d->kept == NULL && stuck(d) == NULL) {
        result_go_on(d); /* it was the journal's alone */
    }
    result_retry(d);
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
        if (note_intent(d, b, &e)) {
            d->ops->submit(d->sink, b);
        } else {
            result_fail(d, b, e.text, 0);
        }
    }
    pump_later(d);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
    struct delivery *d = OUTER(w, struct delivery, tick);
    const char *why = stuck(d);
    struct err e;

    (void)loop;
    (void)events;
    pump_show(d);
    adapt(d);
    if (why != NULL && !ev_is_active(&d->retry)) {
        result_back_off(d, why, 0);
        d->stuck = true;
    } else if (why == NULL && d->stuck && !ev_is_active(&d->retry) &&
               result_is_free(d)) {
        /* What waited may never have an answer, or not for long: it was taken back, or
         * lingers. */
        result_go_on(d);
    }
    /* Also when there is nothing to send: a file may wait for its name. */
    if (journal_poisoned(d->journal) && !ev_is_active(&d->retry) &&
        !pump_compact(d, &e)) {
        result_back_off(d, e.text, 0);
    }
    (void)!pump_erase_traces(d, &e); /* until the disk takes it */
    if ((d->draining || d->handing_over) && clock_mono_ns() >= d->drain_until_ns) {
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
