/*
 * The thread of one sink:
 *
 *   spool's wake ─► pump ─► outlet_look, outlet_take ─► batch ── due ──► submit
 *                    ▲                                                    │
 *                    └── linger, retry (timers) ◄── done ◄── the sink ◄───┘
 *                                                    └─ journal ─► outlet_settle
 */
#include "sink/delivery.h"

#include <errno.h>
#include <ev.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/mailbox.h"
#include "sink/outlet.h"
#include "sink/sink.h"
#include "stats/stats.h"

enum {
    IN_FLIGHT_MAX = 2,          /* batches, a stream */
    TURN_BATCHES = 16,          /* before the loop gets its turn */
    RETRY_FIRST_MS = 100,
    RETRY_MAX_MS = 5000,
    JOURNAL_COMPACT_BYTES = 1 << 20,
    POOL_MAX = 8
};

static const double TICK_S = 0.25;

struct delivery {
    struct ev_loop *loop;
    struct mailbox mail;
    ev_async woken;
    ev_timer linger, retry, tick;
    ev_idle again;
    pthread_t thread;
    char name[96];
    struct plan *plan;
    const struct sink_plan *conf;
    struct spool *spool;
    const struct sink_ops *ops;
    struct sink *sink;
    struct sink_stream streams[PLAN_STREAMS_MAX]; /* as the sink sees them */
    struct outlet outlets[PLAN_STREAMS_MAX];
    uint32_t n_outlets;
    struct journal *journal;
    uint64_t compacted_bytes;   /* size after the last rewrite */
    struct batch *pool, *failed;
    uint32_t n_pool;
    int64_t backoff_ms;
    bool draining;
    uint64_t drain_until_ns;
    bool empty;                 /* at the end: nothing was left */
    /* for the supervisor */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct delivery_status status;
    bool applied, apply_ok;
    struct err apply_why;
    stats_cell *delivered, *reasons[BATCH_N_REASONS], *retries, *lag, *holding,
        *lost, *skipped;
    struct stats_histogram *batch_events, *age;
};

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

/* ---- the journal ---- */

static struct outlet *outlet_of(struct delivery *d, struct str stream)
{
    for (uint32_t i = 0; i < d->n_outlets; i++) {
        if (str_eq(str_of(d->outlets[i].name), stream)) {
            return &d->outlets[i];
        }
    }
    return NULL;
}

static void on_settle(void *arg, struct str stream,
                      const struct batch_range *ranges, uint32_t n)
{
    struct outlet *o = outlet_of(arg, stream);

    for (uint32_t i = 0; o != NULL && i < n; i++) {
        (void)cursors_settle(&o->cursors, &ranges[i]);
    }
}

static void on_record(void *arg, const struct record *r)
{
    struct delivery *d = arg;
    struct outlet *o = outlet_of(d, r->stream);

    switch (r->type) {
    case RECORD_START:
        if (o != NULL) {
            o->known = true;
            if (r->n_ranges > 0) {
                cursors_start(&o->cursors, r->ranges[0].epoch,
                              r->ranges[0].worker, r->ranges[0].first);
            }
        }
        break;
    case RECORD_DONE:
    case RECORD_SKIP:
        on_settle(d, r->stream, r->ranges, r->n_ranges);
        break;
    case RECORD_FILE:
    case RECORD_SEAL:
        if (d->ops->replay != NULL) {
            d->ops->replay(d->sink, r);
        }
        break;
    default:
        break;
    }
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

static bool compact(struct delivery *d, struct err *e)
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

static void wake_loop(struct delivery *d)
{
    if (!ev_is_active(&d->again)) {
        ev_idle_start(d->loop, &d->again);
    }
}

static void on_done(void *arg, struct batch *b, const struct sink_verdict *v)
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
    wake_loop(d);
    if (journal_bytes(d->journal) >
            d->compacted_bytes + JOURNAL_COMPACT_BYTES &&
        !compact(d, &e)) {
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

static void pump(struct delivery *d)
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
        wake_loop(d);
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
    if (!compact(d, &e)) {
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
    wake_loop(d);
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

/* ---- the supervisor's side ---- */

static void on_wake(void *arg)
{
    struct delivery *d = arg;

    ev_async_send(d->loop, &d->woken);
}

static void *run(void *arg)
{
    struct delivery *d = arg;
    char name[16];

    (void)snprintf(name, sizeof name, "%.15s", d->name);
    (void)pthread_setname_np(pthread_self(), name);
    pump(d);
    (void)ev_run(d->loop, 0);
    return NULL;
}

static void make_cells(struct delivery *d)
{
    char sink[160], labels[224];

    (void)stats_label_pair(sink, sizeof sink, "sink", d->name);
    d->delivered = stats_counter("sluice_delivered_events_total",
                                 "Events that a sink has taken.", sink);
    d->retries = stats_counter("sluice_sink_retries_total",
                               "Times that a sink could not take a batch.",
                               sink);
    d->lag = stats_gauge("sluice_sink_lag_bytes",
                         "Bytes of the spool that a sink has not released.",
                         sink);
    d->holding = stats_gauge("sluice_sink_holding",
                             "1 while a sink can't take anything.", sink);
    d->lost = stats_gauge("sluice_sink_lost_events",
                          "Events that the spool lost before they were "
                          "delivered.",
                          sink);
    d->skipped = stats_gauge("sluice_sink_skipped_events",
                             "Events given up beyond max_lag.", sink);
    for (int i = BATCH_SIZE; i < BATCH_N_REASONS; i++) {
        (void)snprintf(labels, sizeof labels, "%s,reason=\"%s\"", sink,
                       batch_reason_name((enum batch_reason)i));
        d->reasons[i] = stats_counter("sluice_batches_total",
                                      "Batches by why they were sent.", labels);
    }
    d->batch_events = stats_histogram("sluice_batch_events",
                                      "Events a batch.", sink, STATS_COUNT);
    d->age = stats_histogram("sluice_delivery_age_seconds",
                             "Age of a batch's oldest event when it was taken.",
                             sink, STATS_NS);
}

/* Gives the delivery the streams of c; those that are gone retire. */
static void take_streams(struct delivery *d, const struct delivery_conf *c)
{
    for (uint32_t i = 0; i < d->n_outlets; i++) {
        d->outlets[i].wanted = false;
    }
    for (uint32_t k = 0; k < c->n_streams; k++) {
        const struct delivery_stream *st = &c->streams[k];
        struct outlet *o = outlet_of(d, str_of(st->name));

        if (o == NULL) {
            o = &d->outlets[d->n_outlets];
            *o = (struct outlet){.number = d->n_outlets};
            (void)snprintf(o->name, sizeof o->name, "%s", st->name);
            d->n_outlets++;
        }
        o->wanted = true;
        o->retiring = false;
        (void)snprintf(d->streams[o->number].name,
                       sizeof d->streams[o->number].name, "%s", st->name);
        d->streams[o->number].synced = st->synced;
    }
}

static void open_outlets(struct delivery *d, const struct delivery_conf *c)
{
    for (uint32_t k = 0; k < c->n_streams; k++) {
        struct outlet *o = outlet_of(d, str_of(c->streams[k].name));

        if (o->consumer == NULL) {
            outlet_open(o, d->spool, &c->streams[k], d->name, on_wake, d);
        }
    }
    for (uint32_t i = 0; i < d->n_outlets; i++) {
        d->outlets[i].retiring = !d->outlets[i].wanted;
    }
}

static bool open_journal(struct delivery *d, const char *spool_dir,
                         struct err *e)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/sinks", spool_dir);
    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return err_errno(e, errno, "%s", path);
    }
    (void)snprintf(path, sizeof path, "%s/sinks/%s.journal", spool_dir,
                   d->name);
    d->journal = journal_open(path, on_record, d, e);
    return d->journal != NULL;
}

static const struct sink_ops *ops_of(enum sink_kind kind)
{
    return kind == SINK_KIND_NULL ? &sink_null : &sink_file;
}

static bool open_sink(struct delivery *d, const struct delivery_conf *c,
                      struct err *e)
{
    struct sink_conf conf = {.plan = c->sink,
                             .data_dir = c->data_dir,
                             .spool_uuid = spool_uuid(c->spool),
                             .streams = d->streams,
                             .loop = d->loop,
                             .journal = &d->journal,
                             .done = on_done,
                             .settle = on_settle,
                             .arg = d};

    d->ops = ops_of(c->sink->kind);
    d->sink = d->ops->open(&conf, e);
    return d->sink != NULL && open_journal(d, c->spool_dir, e) &&
           d->ops->recover(d->sink, e);
}

static void free_delivery(struct delivery *d)
{
    if (d->sink != NULL) {
        d->ops->close(d->sink);
    }
    for (uint32_t i = 0; i < d->n_outlets; i++) {
        outlet_close(&d->outlets[i]);
    }
    while (d->pool != NULL) {
        struct batch *next = d->pool->next;

        batch_free(d->pool);
        d->pool = next;
    }
    while (d->failed != NULL) {
        struct batch *next = d->failed->next;

        batch_free(d->failed);
        d->failed = next;
    }
    journal_close(d->journal);
    mailbox_fini(&d->mail);
    ev_loop_destroy(d->loop);
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    plan_unref(d->plan);
    free(d);
}

static void watch(struct delivery *d)
{
    ev_async_init(&d->woken, on_woken);
    ev_async_start(d->loop, &d->woken);
    ev_timer_init(&d->linger, on_linger, 0., 0.);
    ev_timer_init(&d->retry, on_retry, 0., 0.);
    ev_timer_init(&d->tick, on_tick, TICK_S, TICK_S);
    ev_timer_start(d->loop, &d->tick);
    ev_idle_init(&d->again, on_again);
}

struct delivery *delivery_start(const struct delivery_conf *c, struct err *e)
{
    struct delivery *d = mem_zalloc(sizeof *d);
    sigset_t all, before;
    struct err why;
    int rc;

    d->loop = ev_loop_new(EVFLAG_AUTO);
    d->spool = c->spool;
    d->conf = c->sink;
    d->plan = plan_ref(c->plan);
    (void)snprintf(d->name, sizeof d->name, "%s", c->sink->name);
    (void)pthread_mutex_init(&d->lock, NULL);
    (void)pthread_cond_init(&d->changed, NULL);
    mailbox_init(&d->mail, d->loop);
    make_cells(d);
    watch(d);
    take_streams(d, c);
    if (!open_sink(d, c, &why)) {
        (void)err_set(e, "sink \"%s\": %s", c->sink->name, why.text);
        journal_close(d->journal);
        d->journal = NULL;
        free_delivery(d);
        return NULL;
    }
    open_outlets(d, c);
    if (!compact(d, &why)) {
        (void)err_set(e, "sink \"%s\": %s", c->sink->name, why.text);
        free_delivery(d);
        return NULL;
    }
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&d->thread, NULL, run, d);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        (void)err_errno(e, rc, "sink \"%s\": thread", c->sink->name);
        free_delivery(d);
        return NULL;
    }
    return d;
}

struct change {
    struct delivery *d;
    const struct delivery_conf *c;
};

static bool apply_here(struct delivery *d, const struct delivery_conf *c,
                       struct err *e)
{
    struct plan *before = d->plan;

    if (ops_of(c->sink->kind) != d->ops) {
        return err_set(e, "sink \"%s\" changes its kind: give it another name",
                       d->name);
    }
    if (!d->ops->apply(d->sink, c->sink, e)) {
        return false;
    }
    d->conf = c->sink;
    d->plan = plan_ref(c->plan);
    take_streams(d, c);
    open_outlets(d, c);
    plan_unref(before);
    return true;
}

static void on_apply(void *arg)
{
    struct change *ch = arg;
    struct delivery *d = ch->d;
    bool ok = apply_here(d, ch->c, &d->apply_why);

    (void)pthread_mutex_lock(&d->lock);
    d->apply_ok = ok;
    d->applied = true;
    (void)pthread_cond_signal(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
    wake_loop(d);
}

bool delivery_apply(struct delivery *d, const struct delivery_conf *c,
                    struct err *e)
{
    struct change ch = {d, c};
    bool ok;

    d->applied = false;
    mailbox_post(&d->mail, on_apply, &ch);
    (void)pthread_mutex_lock(&d->lock);
    while (!d->applied) {
        (void)pthread_cond_wait(&d->changed, &d->lock);
    }
    ok = d->apply_ok;
    (void)pthread_mutex_unlock(&d->lock);
    return ok || err_set(e, "%s", d->apply_why.text);
}

static void on_stop(void *arg)
{
    struct delivery *d = arg;

    d->draining = true;
    wake_loop(d);
}

bool delivery_stop(struct delivery *d, int64_t flush_ms)
{
    bool empty;

    d->drain_until_ns = clock_mono_ns() + (uint64_t)flush_ms * 1000000u;
    mailbox_post(&d->mail, on_stop, d);
    (void)pthread_join(d->thread, NULL);
    empty = d->empty;
    free_delivery(d);
    return empty;
}

void delivery_status(const struct delivery *d, struct delivery_status *out)
{
    struct delivery *m = (struct delivery *)(uintptr_t)d;

    (void)pthread_mutex_lock(&m->lock);
    *out = m->status;
    (void)pthread_mutex_unlock(&m->lock);
}
