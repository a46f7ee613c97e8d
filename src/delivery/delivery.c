/* A sink's delivery as the supervisor holds it: started, altered, stopped. */
#include "delivery/delivery.h"

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
#include "base/folder.h"
#include "base/mem.h"
#include "delivery/internal.h"

struct subscription *subscription_of(struct delivery *d, struct str stream)
{
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        if (str_eq(str_of(d->subscriptions[i].name), stream)) {
            return &d->subscriptions[i];
        }
    }
    return NULL;
}

const struct subscription *subscription_before(const struct delivery_conf *c,
                                               const struct subscription *o)
{
    for (uint32_t i = 0; c->before != NULL && i < c->before->n_subscriptions; i++) {
        if (strcmp(c->before->subscriptions[i].name, o->name) == 0) {
            return &c->before->subscriptions[i];
        }
    }
    return NULL;
}

/* A free place for a stream; NULL: all are taken. */
static struct subscription *add_subscription(struct delivery *d, struct str stream)
{
    uint32_t at = 0;
    struct subscription *o;

    while (at < d->n_subscriptions &&
           (d->subscriptions[at].wanted || d->subscriptions[at].known ||
            d->subscriptions[at].consumer != NULL)) {
        at++;
    }
    if (at == PLAN_STREAMS_MAX) {
        return NULL;
    }
    d->n_subscriptions += at == d->n_subscriptions;
    o = &d->subscriptions[at];
    subscription_forget(o);
    o->number = at;
    (void)snprintf(o->name, sizeof o->name, "%.*s", (int)stream.n, stream.p);
    d->streams[at].synced = false;
    (void)snprintf(d->streams[at].name, sizeof d->streams[at].name, "%.*s",
                   (int)stream.n, stream.p);
    return o;
}

static void on_ack(void *arg, struct str stream, const struct batch_range *ranges,
                   uint32_t n)
{
    struct subscription *o = subscription_of(arg, stream);

    for (uint32_t i = 0; o != NULL && i < n; i++) {
        (void)ack_tracker_ack(&o->acks, &ranges[i]);
    }
}

/* A journal that was another sink's says nothing of this one's dead letters, but
 * servers know the batches that were journaled under that name by it. */
static void take_head(struct delivery *d, const struct record *r)
{
    struct str origin = r->stream.n > 0 ? r->stream : r->id;

    d->fresh = r->id.n > 0 && !str_eq(r->id, str_of(d->name));
    if (origin.n > 0) {
        (void)snprintf(d->origin, sizeof d->origin, "%.*s", (int)origin.n, origin.p);
    }
}

void on_journal_record(void *arg, const struct record *r)
{
    struct delivery *d = arg;
    struct subscription *o = subscription_of(d, r->stream);

    /* Also streams that the policy has no more: see ending.c. */
    if (o == NULL && r->type == RECORD_START && r->value == 0) {
        o = add_subscription(d, r->stream);
        d->crowded |= o == NULL;
    }
    switch (r->type) {
    case RECORD_HEAD:
        take_head(d, r);
        break;
    case RECORD_START:
        if (r->stream.n == 0) {
            d->patched |= r->value == RECORD_START_LOST;
        } else if (o != NULL && r->value != 0) {
            subscription_forget(o);
        } else if (o != NULL) {
            /* The last of them: before it a crash has left a part of its shards. */
            o->known |= r->n_ranges == 0;
            if (r->n_ranges > 0) {
                ack_tracker_start(&o->acks, r->ranges[0].epoch, r->ranges[0].worker,
                                  r->ranges[0].first);
            }
        }
        break;
    case RECORD_PLAN:
        if (o != NULL) {
            subscription_intend(o, r->value, r->id, r->ranges, r->n_ranges);
            if (r->time_ms != 0) {
                subscription_prove(o, r->value);
            }
        }
        break;
    case RECORD_SPLIT:
        if (o != NULL) {
            subscription_split(o, r->value, r->ranges, r->n_ranges);
        }
        break;
    case RECORD_RETIRE:
        if (o != NULL) {
            subscription_ending(o, r);
        }
        break;
    case RECORD_DEAD:
        d->dead_known = r->value; /* smaller, where the file was taken away */
        (void)snprintf(d->dead_mark, sizeof d->dead_mark, "%.*s", (int)r->name.n,
                       r->name.p);
        on_ack(d, r->stream, r->ranges, r->n_ranges);
        break;
    case RECORD_DONE:
    case RECORD_SKIP:
        on_ack(d, r->stream, r->ranges, r->n_ranges);
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

/* What came counts as lag at once: a client that has its answer may ask, before this
 * sink's thread has had its turn. */
static void on_wake(void *arg)
{
    struct delivery *d = arg;

    stats_add_shared(d->lag, 1);
    pump_came(d);
    ev_async_send(d->loop, &d->woken);
}

static void *run(void *arg)
{
    struct delivery *d = arg;
    char name[16];

    (void)snprintf(name, sizeof name, "%.15s", d->name);
    (void)pthread_setname_np(pthread_self(), name);
    (void)stats_own(&d->series); /* endpoints come with a new plan */
    pump(d);
    (void)ev_run(d->loop, 0);
    /* Here, because it may take a while: no other thread waits for it. */
    d->ops->close(d->sink);
    d->sink = NULL;
    latch_open(&d->ended);
    return NULL;
}

static void make_cells(struct delivery *d)
{
    char sink[160], labels[224];

    (void)stats_label_pair(sink, sizeof sink, "sink", d->name);
    d->delivered = stats_counter("sluice_delivered_events_total",
                                 "Events that a sink has taken.", sink);
    d->retries = stats_counter("sluice_sink_retries_total",
                               "Times that the sink could not take a batch.", sink);
    d->lag = stats_gauge("sluice_sink_lag_bytes",
                         "Bytes in the spool that the sink has not delivered; "
                         "0 only when nothing is left.",
                         sink);
    pump_cells(d, sink);
    d->holding = stats_gauge("sluice_sink_holding",
                             "1 while the sink cannot take any event, "
                             "otherwise 0.",
                             sink);
    d->lost = stats_gauge("sluice_sink_lost_events",
                          "Events that the spool lost before the sink "
                          "delivered them.",
                          sink);
    d->skipped =
        stats_gauge("sluice_sink_skipped_events",
                    "Events that a sink that may skip (when_full) will not get: it was "
                    "more than max_lag behind, or the spool lost them.",
                    sink);
    for (int i = BATCH_SIZE; i < BATCH_N_REASONS; i++) {
        (void)snprintf(labels, sizeof labels, "%s,reason=\"%s\"", sink,
                       batch_reason_name((enum batch_reason)i));
        d->reasons[i] =
            stats_counter("sluice_batches_total", "Batches sent, by reason.", labels);
    }
    d->replayed = stats_counter("sluice_dead_replayed_events_total",
                                "Dead letters that the sink took in a replay.", sink);
    d->unrecorded = stats_counter(
        "sluice_sink_unrecorded_places_total",
        "Records that the disk did not take: of the place of events that the sink "
        "has, or of how others ended.",
        sink);
    d->dead_events = stats_counter("sluice_dead_events_total",
                                   "Events that became dead letters of the "
                                   "sink.",
                                   sink);
    d->dead_bytes =
        stats_gauge("sluice_dead_bytes", "Bytes of a sink's dead letters.", sink);
    d->target_gauge = stats_gauge("sluice_batch_target",
                                  "Number of events at which a batch is sent "
                                  "now.",
                                  sink);
    d->linger_gauge = stats_gauge("sluice_batch_linger_seconds",
                                  "Whole seconds that a batch waits for more events "
                                  "at most (linger).",
                                  sink);
    d->batch_bytes =
        stats_histogram("sluice_batch_bytes", "Bytes of a batch.", sink, STATS_COUNT);
    d->batch_events =
        stats_histogram("sluice_batch_events", "Events of a batch.", sink, STATS_COUNT);
    d->age = stats_histogram("sluice_delivery_age_seconds",
                             "Age of a batch's oldest event when the batch was "
                             "done: taken, or its bad events dead letters.",
                             sink, STATS_NS);
}

bool take_streams(struct delivery *d, const struct delivery_conf *c, struct err *e)
{
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        d->subscriptions[i].wanted = false;
    }
    for (uint32_t k = 0; k < c->n_streams; k++) {
        const struct delivery_stream *st = &c->streams[k];
        struct subscription *o = subscription_of(d, str_of(st->name));

        o = o != NULL ? o : add_subscription(d, str_of(st->name));
        if (o == NULL) {
            return err_set(e,
                           "more than %d streams, those that retire "
                           "included",
                           PLAN_STREAMS_MAX);
        }
        o->wanted = true;
        d->streams[o->number].synced = st->synced;
    }
    return true;
}

/* Streams that the journal has and the policy does not. One that the policy of this
 * process had up to now ends when delivery_retire says so. */
static bool open_left(struct delivery *d, const struct delivery_conf *c,
                      struct subscription *o, struct err *e)
{
    char name[sizeof o->name];
    struct delivery_stream st = {.name = name, .from_oldest = true};
    struct err ignored;

    memcpy(name, o->name, sizeof name);
    st.id = spool_stream_left(d->spool, o->name, e);
    if (st.id < 0) {
        return false;
    }
    subscription_open(o, d->spool, &st, d->name, subscription_before(c, o), on_wake, d);
    o->places = &d->places;
    o->held = d->ops == &sink_absent;
    o->files = d->ops->journals;
    if (!subscription_ending_as(o, subscription_before(c, o))) {
        subscription_ending_old(o, spool_epoch(d->spool), d->journal);
    } else if (c->removed) {
        subscription_retire(o, d->spool, d->journal, NULL);
    }
    /* Shards that have gone leave the journal with its rewrite. The pump looks again. */
    (void)!subscription_look(o, d->journal, &ignored);
    return true;
}

bool open_subscriptions(struct delivery *d, const struct delivery_conf *c,
                        struct err *e)
{
    bool ok = true;

    /* On the way back to the plan before, all that can be opened is. */
    for (uint32_t k = 0; k < c->n_streams && (ok || c->undo); k++) {
        struct subscription *o = subscription_of(d, str_of(c->streams[k].name));
        const struct delivery_stream st = stream_for(d, c, k, o);

        if (o->consumer == NULL) {
            subscription_open(o, d->spool, &st, d->name, subscription_before(c, o),
                              on_wake, d);
            o->places = &d->places;
            o->held = d->ops == &sink_absent;
            o->files = d->ops->journals;
        } else {
            subscription_apply(o, &st);
        }
        ok = subscription_return(o, d->journal, e) &&
             subscription_adopt(o, subscription_before(c, o), d->journal, e) &&
             subscription_look(o, d->journal, e) && ok;
    }
    return ok;
}

static bool open_all(struct delivery *d, const struct delivery_conf *c, struct err *e)
{
    change_mark_new(d);
    if (!open_subscriptions(d, c, e)) {
        return false;
    }
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        struct subscription *o = &d->subscriptions[i];

        if (o->consumer == NULL && o->known && !open_left(d, c, o, e)) {
            return false;
        }
    }
    return true;
}

bool open_journal(struct delivery *d, const char *spool_dir, struct err *e)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/sinks", spool_dir);
    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return err_errno(e, errno, "%s", path);
    }
    /* A sink without a journal would be a new one, and begin at now. */
    if (!folder_sync(spool_dir, e)) {
        return false;
    }
    d->journal = journal_open(d->journal_path, on_journal_record, d, e);
    /* Damage of the last record can't be told from a write that was cut. */
    d->patched |= d->journal != NULL && journal_cut(d->journal) > 0;
    if (d->journal != NULL &&
        journal_bytes(d->journal) + journal_cut(d->journal) == 0) {
        places_remove(d->journal_path); /* of a sink that was dropped */
    }
    return d->journal != NULL;
}

static const char *uuid_of(const void *spool, uint32_t epoch)
{
    return spool_uuid_of(spool, epoch);
}

static bool open_sink(struct delivery *d, const struct delivery_conf *c, struct err *e)
{
    struct sink_conf conf = {.plan = c->sink,
                             .data_dir = c->data_dir,
                             .spool_uuid = spool_uuid(c->spool),
                             .uuid_of = uuid_of,
                             .spool = c->spool,
                             .folders = c->folders,
                             .origin = d->origin,
                             .streams = d->streams,
                             .loop = d->loop,
                             .journal = &d->journal,
                             .hooks = &d->hooks,
                             .shut = &d->shut,
                             .done = pump_done,
                             .ack = on_ack,
                             .arg = d};
    struct stats_owner *before;

    d->ops = c->absent != NULL ? &sink_absent : sink_kind_ops(c->sink->kind);
    before = stats_own(&d->series);
    d->sink = d->ops->open(&conf, e);
    (void)stats_own(before);
    if (d->sink == NULL || !open_journal(d, c->spool_dir, e) ||
        (d->ops->recover != NULL && !d->ops->recover(d->sink, e))) {
        return false;
    }
    if (d->crowded) {
        return err_set(e, "its journal knows more than %d streams", PLAN_STREAMS_MAX);
    }
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        subscription_replayed(&d->subscriptions[i]);
    }
    if (d->conf->was != NULL) {
        places_adopt(d->journal_path, d->conf->was);
    }
    places_mend(&d->places, d->journal_path);
    dead_init(&d->dead, c->data_dir, d->name);
    d->dead.owes = result_owes;
    d->dead.arg = d;
    /* Letters that no journal of its own names are an earlier sink's. */
    return dead_open(&d->dead, d->fresh ? UINT64_MAX : d->dead_known, d->dead_mark, e);
}

struct delivery *delivery_new(const struct delivery_conf *c)
{
    struct delivery *d = mem_zalloc(sizeof *d);
    struct stats_owner *before = stats_own(&d->series);

    d->loop = ev_loop_new(EVFLAG_AUTO);
    d->dead.fd = -1;
    if (getrandom(d->random, sizeof d->random, 0) < 0) {
        d->random[0] = (unsigned short)clock_mono_ns();
    }
    d->last_id = (uint64_t)spool_epoch(c->spool) << 32;
    d->hooks = c->hooks;
    d->spool = c->spool;
    d->conf = c->sink;
    d->plan = plan_ref(c->plan);
    d->removed = c->removed;
    atomic_init(&d->waiting, c->wait);
    atomic_init(&d->shut, c->before != NULL && atomic_load(&c->before->shut));
    d->spares = c->wait;
    d->retired = c->retired;
    d->retired_arg = c->arg;
    (void)snprintf(d->name, sizeof d->name, "%s", c->sink->name);
    (void)snprintf(d->origin, sizeof d->origin, "%s", c->sink->name);
    (void)snprintf(d->journal_path, sizeof d->journal_path, "%s/sinks/%s.journal",
                   c->spool_dir, d->name);
    d->fresh = true;
    (void)pthread_mutex_init(&d->lock, NULL);
    latch_condition(&d->changed);
    latch_init(&d->ended);
    mailbox_init(&d->mail, d->loop);
    make_cells(d);
    places_init(&d->places, d->journal_path, d->unrecorded);
    d->places.spool = d->spool;
    pump_watch(d);
    (void)stats_own(before);
    return d;
}

struct delivery *delivery_start(const struct delivery_conf *c, struct err *e)
{
    struct delivery *d = delivery_new(c);
    sigset_t all, before;
    struct err why;
    int rc;

    if (!take_streams(d, c, &why) || !open_sink(d, c, &why) ||
        !change_forget_refused(d, c, &why) || !open_all(d, c, &why) ||
        !pump_try_compact(d, &why)) {
        (void)err_set(e, "sink \"%s\": %s", c->sink->name, why.text);
        delivery_free(d);
        return NULL;
    }
    d->patched = false; /* what it reads is noted; later streams are new ones */
    d->read_all = true;
    paused_carry(d, c);
    if (c->absent != NULL) {
        pump_show_error(d, c->absent);
    }
    pump_show(d);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&d->thread, NULL, run, d);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        (void)err_errno(e, rc, "sink \"%s\": thread", c->sink->name);
        delivery_free(d);
        return NULL;
    }
    return d;
}

void delivery_status(const struct delivery *d, struct delivery_status *out)
{
    struct delivery *m = (struct delivery *)(uintptr_t)d;

    (void)pthread_mutex_lock(&m->lock);
    *out = m->status;
    (void)pthread_mutex_unlock(&m->lock);
    /* The last look of the sink's thread may be older than what came since. */
    if (out->remaining == 0) {
        out->remaining = atomic_load(d->remaining_events);
    }
    if (out->oldest_ms == 0) {
        out->oldest_ms = (int64_t)atomic_load(d->oldest);
    }
    if (out->lag_bytes == 0) {
        out->lag_bytes = atomic_load(d->lag);
    }
}
