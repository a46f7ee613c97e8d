/* A sink's delivery as the supervisor holds it: started, altered, stopped. */
#include "sink/delivery.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "sink/state.h"

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
    case RECORD_PLAN:
        if (o != NULL) {
            outlet_plan(o, r->value, r->ranges, r->n_ranges);
        }
        break;
    case RECORD_DEAD:
        d->dead_known = r->value; /* smaller, where the file was taken away */
        on_settle(d, r->stream, r->ranges, r->n_ranges);
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
    d->dead_events = stats_counter("sluice_dead_events_total",
                                   "Events that a sink refused for good.", sink);
    d->dead_bytes = stats_gauge("sluice_dead_bytes",
                                "Bytes of a sink's dead letters.", sink);
    d->target_gauge = stats_gauge("sluice_batch_target",
                                  "Events that a batch is to have now.", sink);
    d->batch_bytes = stats_histogram("sluice_batch_bytes", "Bytes a batch.",
                                     sink, STATS_COUNT);
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
    static const struct sink_ops *const ops[] = {
        [SINK_KIND_NULL] = &sink_null,
        [SINK_KIND_FILE] = &sink_file,
        [SINK_KIND_KAFKA] = &sink_kafka,
        [SINK_KIND_CLICKHOUSE] = &sink_clickhouse,
        [SINK_KIND_HTTP] = &sink_http};

    return ops[kind];
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
                             .hooks = &d->hooks,
                             .done = pump_done,
                             .settle = on_settle,
                             .arg = d};

    d->ops = ops_of(c->sink->kind);
    d->sink = d->ops->open(&conf, e);
    if (d->sink == NULL || !open_journal(d, c->spool_dir, e) ||
        (d->ops->recover != NULL && !d->ops->recover(d->sink, e))) {
        return false;
    }
    for (uint32_t i = 0; i < d->n_outlets; i++) {
        outlet_replayed(&d->outlets[i]);
    }
    dead_init(&d->dead, c->data_dir, d->name);
    return dead_open(&d->dead, d->dead_known, e);
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
    while (d->kept != NULL) {
        struct kept_verdict *next = d->kept->next;

        free(d->kept);
        d->kept = next;
    }
    dead_close(&d->dead);
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

struct delivery *delivery_start(const struct delivery_conf *c, struct err *e)
{
    struct delivery *d = mem_zalloc(sizeof *d);
    sigset_t all, before;
    struct err why;
    int rc;

    d->loop = ev_loop_new(EVFLAG_AUTO);
    d->dead.fd = -1;
    if (getrandom(d->random, sizeof d->random, 0) < 0) {
        d->random[0] = (unsigned short)clock_wall_ms();
    }
    d->last_id = (uint64_t)spool_epoch(c->spool) << 32;
    d->hooks = c->hooks;
    d->spool = c->spool;
    d->conf = c->sink;
    d->plan = plan_ref(c->plan);
    (void)snprintf(d->name, sizeof d->name, "%s", c->sink->name);
    (void)pthread_mutex_init(&d->lock, NULL);
    (void)pthread_cond_init(&d->changed, NULL);
    mailbox_init(&d->mail, d->loop);
    make_cells(d);
    pump_watch(d);
    take_streams(d, c);
    if (!open_sink(d, c, &why)) {
        (void)err_set(e, "sink \"%s\": %s", c->sink->name, why.text);
        journal_close(d->journal);
        d->journal = NULL;
        free_delivery(d);
        return NULL;
    }
    open_outlets(d, c);
    if (!pump_compact(d, &why)) {
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
    struct sink_hooks hooks = d->hooks;

    if (ops_of(c->sink->kind) != d->ops) {
        return err_set(e, "sink \"%s\" changes its kind: give it another name",
                       d->name);
    }
    d->hooks = c->hooks;
    if (!d->ops->apply(d->sink, c->sink, e)) {
        d->hooks = hooks;
        return false;
    }
    d->conf = c->sink;
    d->plan = plan_ref(c->plan);
    d->target = 0;
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
    pump_later(d);
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

struct forcing {
    struct delivery *d;
    bool open;
};

static void on_force(void *arg)
{
    struct forcing *f = arg;

    f->d->ops->force(f->d->sink, f->open);
    pump_later(f->d);
    free(f);
}

bool delivery_force(struct delivery *d, bool open)
{
    struct forcing *f;

    if (d->ops->force == NULL) {
        return false;
    }
    f = mem_alloc(sizeof *f);
    *f = (struct forcing){d, open};
    mailbox_post(&d->mail, on_force, f);
    return true;
}

static void on_stop(void *arg)
{
    struct delivery *d = arg;

    d->draining = true;
    pump_later(d);
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
