#include "delivery/subscription.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

enum { SHARDS_MAX = 4096 };

/* Where a sink begins that needs nothing of a shard. */
static const uint64_t SHARD_PASSED = UINT64_MAX - 1;

void subscription_open(struct subscription *o, struct spool *spool,
                       const struct delivery_stream *conf, const char *sink,
                       const struct subscription *before, spool_wake_fn *wake,
                       void *wake_arg)
{
    const struct spool_consumer_conf consumer = {
        .name = sink,
        .skip = conf->skip && !conf->spared,
        .max_lag_bytes = conf->max_lag_bytes,
        .before = before == NULL ? NULL : before->consumer,
        .wake = wake,
        .wake_arg = wake_arg};

    o->conf = *conf;
    (void)snprintf(o->name, sizeof o->name, "%s", conf->name);
    o->conf.name = o->name;
    o->sink = sink;
    o->epoch = spool_epoch(spool);
    o->met = o->known;
    o->consumer = spool_consumer_open(spool, conf->id, &consumer);
}

void subscription_close(struct subscription *o)
{
    for (uint32_t i = 0; i < o->n_readers; i++) {
        spool_cursor_close(o->readers[i].cursor);
    }
    free(o->readers);
    while (o->intents != NULL) {
        struct intent *next = o->intents->next;

        free(o->intents);
        o->intents = next;
    }
    free(o->spans);
    free(o->ends);
    if (o->consumer != NULL) {
        spool_consumer_close(o->consumer);
    }
    batch_free(o->batch);
    ack_tracker_fini(&o->acks);
    ack_tracker_fini(&o->begins);
    ack_tracker_fini(&o->firsts);
    ack_tracker_fini(&o->refused);
    *o = (struct subscription){.number = o->number};
}

void subscription_note(struct subscription *o, enum record_type type, uint64_t value,
                       const struct batch_range *range)
{
    if (o->places != NULL) {
        places_note(o->places, type, str_of(o->name), str_of(""), clock_wall_ms(),
                    value, range, 1);
    }
}

void subscription_note_first(struct subscription *o, uint64_t value,
                             const struct batch_range *range)
{
    subscription_note(o, RECORD_SKIP, value, range);
    if (o->places != NULL) {
        (void)places_sync(o->places);
    }
}

static struct subscription_reader *find_reader(struct subscription *o, uint32_t epoch,
                                               uint32_t worker)
{
    for (uint32_t i = 0; i < o->n_readers; i++) {
        if (o->readers[i].epoch == epoch && o->readers[i].worker == worker) {
            return &o->readers[i];
        }
    }
    return NULL;
}

static bool note_start(const struct subscription *o, struct journal *j,
                       const struct batch_range *r, struct err *e)
{
    struct record rec = {.type = RECORD_START,
                         .stream = str_of(o->name),
                         .ranges = r,
                         .n_ranges = r == NULL ? 0 : 1};

    return journal_append(j, &rec, e);
}

/* Events of a shard that were gone when the sink, which reads the stream, looked at it. */
static void tell_passed(struct subscription *o, const struct batch_range *gone)
{
    o->skipped += o->conf.skip ? gone->n : 0;
    subscription_tell_gap(o, gone, o->conf.skip ? "skipped" : "unsure");
}

/* Where the sink begins in a shard that it has not met: a stream new to it begins at
 * its end, if the policy says from = "now" (skip); otherwise at its first event. */
static uint64_t begin_at(const struct spool_shard_id *id, bool skip)
{
    if (id->first == 0) {
        /* The disk does not tell its events yet: all of them came before now. */
        return skip ? SHARD_PASSED : 0;
    }
    return skip ? id->next : id->first;
}

static bool begin(struct subscription *o, const struct spool_shard_id *id, bool skip,
                  struct journal *j, struct err *e)
{
    const struct batch_range r = {.epoch = id->epoch,
                                  .worker = id->worker,
                                  .first = begin_at(id, skip)},
                             gone = {r.epoch, r.worker, 1,
                                     r.first > 1 ? r.first - 1 : 0};
    const bool passed = o->known && gone.n > 0;

    if (passed) {
        /* One that may not skip may have had them: its journal has been mended. */
        subscription_note_first(o, o->conf.skip ? 0 : PLACES_UNSURE, &gone);
    }
    /* Also at its first event: if the shard goes with the disk, it is known to be missing. */
    if (!note_start(o, j, &r, e)) {
        return false;
    }
    if (passed) {
        tell_passed(o, &gone);
    }
    ack_tracker_start(&o->acks, id->epoch, id->worker, r.first);
    return true;
}

/* A stream that is new to it may have gaps, where another sink that is leaving holds older
 * events: nobody has promised them to this one, unless its journal has been mended. */
static bool pass_gaps_of_new(struct subscription *o, const struct cursor *c,
                             struct journal *j, struct err *e)
{
    const struct spool_pos from = {c->epoch, c->worker, c->next};

    return o->known || subscription_pass_gaps(o, &from, PLACES_UNSURE, j, e);
}

static void add_reader(struct subscription *o, const struct spool_shard_id *id,
                       uint64_t next)
{
    struct subscription_reader *r;

    if (o->n_readers == o->readers_room) {
        o->readers_room = o->readers_room == 0 ? 8 : 2 * o->readers_room;
        o->readers = mem_realloc(o->readers, o->readers_room * sizeof *o->readers);
    }
    r = &o->readers[o->n_readers++];
    *r = (struct subscription_reader){
        .cursor = spool_cursor_open(o->consumer,
                                    (struct spool_pos){id->epoch, id->worker, next}),
        .epoch = id->epoch,
        .worker = id->worker,
        .next = next,
        .end = subscription_end(o, id->epoch, id->worker),
        .live = id->live};
    spool_cursor_release(r->cursor, next);
}

void subscription_reread(struct subscription *o, struct subscription_reader *r)
{
    spool_cursor_close(r->cursor);
    r->cursor = spool_cursor_open(o->consumer,
                                  (struct spool_pos){r->epoch, r->worker, r->next});
    r->block.n = 0;
    r->at = 0;
}

/* An old shard that was read to its end and is settled to it. */
static bool done_with(const struct subscription *o, const struct subscription_reader *r)
{
    const struct cursor *c = ack_tracker_find(&o->acks, r->epoch, r->worker);

    return r->ended && c != NULL && c->next >= r->next;
}

/* The cursor stays, and with it the journal's records of the shard: its segments may
 * outlive this process, by a crash before they are deleted or a power cut that takes
 * the deletion back, and would be delivered again. */
static void drop_done(struct subscription *o)
{
    for (uint32_t i = 0; i < o->n_readers;) {
        struct subscription_reader *r = &o->readers[i];

        if (done_with(o, r)) {
            /* Also the events that the shard's end lost: no client waits for them. */
            spool_cursor_release(r->cursor, UINT64_MAX);
            spool_cursor_close(r->cursor);
            *r = o->readers[--o->n_readers];
        } else {
            i++;
        }
    }
}

struct listed {
    const struct spool_shard_id *ids;
    uint32_t n;
};

static bool is_listed(void *arg, uint32_t epoch, uint32_t worker)
{
    const struct listed *l = arg;

    for (uint32_t i = 0; i < l->n; i++) {
        if (l->ids[i].epoch == epoch && l->ids[i].worker == worker) {
            return true;
        }
    }
    return false;
}

/* What it has never seen: events before its beginning, and shards that have gone by now.
 * On stable storage before the journal has any of it, so that no crash and no reader finds
 * the beginning without it. skip: as in begin_at. */
static void meet(struct subscription *o, const struct spool_shard_id *ids, uint32_t n,
                 bool skip)
{
    struct batch_range ranges[RECORD_RANGES_MAX];
    const int64_t now = clock_wall_ms();
    uint32_t at = 0;

    if (o->met || o->places == NULL) {
        return;
    }
    do {
        uint32_t k = 0;

        for (; at < n && k < RECORD_RANGES_MAX; at++) {
            const struct cursor *c =
                ack_tracker_find(&o->acks, ids[at].epoch, ids[at].worker);

            ranges[k++] =
                (struct batch_range){ids[at].epoch, ids[at].worker,
                                     c == NULL ? begin_at(&ids[at], skip) : c->next, 1};
        }
        subscription_note_unread(o, ranges, k);
        places_note(o->places, RECORD_START, str_of(o->name), STR(""), now, o->epoch,
                    ranges, k);
    } while (at < n);
    (void)places_sync(o->places);
    o->met = true;
}

static bool is_planned(const struct subscription *o, const struct cursor *c)
{
    for (const struct intent *p = o->intents; p != NULL; p = p->next) {
        for (uint32_t i = 0; i < p->n; i++) {
            if (p->ranges[i].epoch == c->epoch && p->ranges[i].worker == c->worker) {
                return true;
            }
        }
    }
    return false;
}

/* Of a shard that has gone, all that the sink is not done with is lost, or skipped where it
 * may skip, unless it was sent before. Where it was done with all, these are no events. */
static void note_lost(struct subscription *o, const struct cursor *c)
{
    const uint64_t how = is_planned(o, c) ? PLACES_UNSURE : !o->conf.skip,
                   owed = subscription_end(o, c->epoch, c->worker),
                   last = owed < SHARD_PASSED ? owed : SHARD_PASSED;
    struct batch_range r = {c->epoch, c->worker, c->next, 0};

    for (uint32_t i = 0; i <= c->n_ahead; i++) {
        const uint64_t end = i < c->n_ahead ? c->ahead[i].first : last;

        r.n = end > r.first ? end - r.first : 0;
        if (r.n > 0) {
            subscription_note(o, RECORD_SKIP, how, &r);
        }
        r.first = i < c->n_ahead ? c->ahead[i].end : r.first + r.n;
    }
    if (r.first < SHARD_PASSED) { /* the stream led elsewhere by then */
        r.n = SHARD_PASSED - r.first;
        subscription_note(o, RECORD_SKIP, PLACES_NOT_ITS_OWN, &r);
    }
}

/* At the first look: shards that the spool did not find on the disk are gone for good.
 * Those that this process has deleted may come back with a power cut, or were not
 * deleted at all, because the disk did not do it. A held sink leaves them to a later start. */
static void forget_gone(struct subscription *o, const struct spool_shard_id *ids,
                        uint32_t n)
{
    if (!o->looked && !o->known) {
        /* Where an attempt that did not come to its end would have begun. */
        ack_tracker_fini(&o->acks);
    } else if (!o->looked && !o->held && n < SHARDS_MAX &&
               spool_consumer_recovers(o->consumer)) {
        struct listed there = {ids, n};

        for (uint32_t i = 0; i < o->acks.n; i++) {
            const struct cursor *c = &o->acks.shards[i];

            /* Of a shard that had gone before, a file that is not sealed yet has a part. */
            if ((c->started || !o->files) && !is_listed(&there, c->epoch, c->worker)) {
                note_lost(o, c);
            }
        }
        ack_tracker_drop(&o->acks, is_listed, &there);
    }
    o->looked = true;
}

bool subscription_look(struct subscription *o, struct journal *j, struct err *e)
{
    static const uint32_t few = 64;
    const bool skip = !o->known && !o->conf.from_oldest;
    struct spool_shard_id small[64], *ids = small;
    uint32_t n;
    bool ok = true;

    drop_done(o);
    n = spool_shards(o->consumer, ids, few);
    if (n > few) {
        n = n < SHARDS_MAX ? n : SHARDS_MAX;
        ids = mem_alloc(n * sizeof *ids);
        n = spool_shards(o->consumer, ids, n);
    }
    forget_gone(o, ids, n);
    meet(o, ids, n, skip);
    o->n_unknown = 0;
    for (uint32_t i = 0; i < n && ok; i++) {
        const struct cursor *c;

        if (find_reader(o, ids[i].epoch, ids[i].worker) != NULL) {
            continue;
        }
        c = ack_tracker_find(&o->acks, ids[i].epoch, ids[i].worker);
        if (ids[i].first == 0 && (c != NULL || o->known || o->conf.from_oldest)) {
            o->n_unknown++; /* the spool wakes us when it knows */
            continue;
        }
        if (subscription_end(o, ids[i].epoch, ids[i].worker) <=
            (c == NULL ? ids[i].first : c->next)) {
            continue;
        }
        if (c == NULL) {
            ok = begin(o, &ids[i], skip, j, e);
            c = ack_tracker_find(&o->acks, ids[i].epoch, ids[i].worker);
        }
        ok = ok && pass_gaps_of_new(o, c, j, e);
        if (ok) {
            add_reader(o, &ids[i], c->next);
        }
    }
    if (ok && !o->known) {
        ok = note_start(o, j, NULL, e);
        o->known = ok;
    }
    o->met &= o->known; /* another try may begin somewhere else */
    free(ids != small ? ids : NULL);
    return ok;
}

struct spool_shard_id *subscription_shards(const struct subscription *o, uint32_t *n)
{
    const uint32_t all = spool_shards(o->consumer, NULL, 0),
                   room = all < SHARDS_MAX ? all : SHARDS_MAX;
    struct spool_shard_id *ids = mem_alloc((room + 1) * sizeof *ids);

    *n = spool_shards(o->consumer, ids, room);
    *n = *n < room ? *n : room;
    return ids;
}

void subscription_mark(struct subscription *o, const struct subscription *before)
{
    struct spool_shard_id *ids;
    uint32_t n = 0;

    o->unnoted = true;
    if (before != NULL && before->unnoted) {
        for (uint32_t i = 0; i < before->begins.n; i++) {
            const struct cursor *c = &before->begins.shards[i];

            ack_tracker_start(&o->begins, c->epoch, c->worker, c->next);
        }
        return;
    }
    ids = o->conf.from_oldest ? NULL : subscription_shards(o, &n);
    for (uint32_t i = 0; i < n; i++) {
        ack_tracker_start(&o->begins, ids[i].epoch, ids[i].worker,
                          begin_at(&ids[i], true));
    }
    free(ids);
}

bool subscription_adopt(struct subscription *o, const struct subscription *before,
                        struct journal *j, struct err *e)
{
    struct spool_shard_id *ids;
    bool ok = true;
    uint32_t n;

    if (before == NULL || !before->unnoted || o->known) {
        return true;
    }
    ack_tracker_fini(&o->acks);
    for (uint32_t i = 0; i < before->begins.n; i++) {
        const struct cursor *c = &before->begins.shards[i];

        ack_tracker_start(&o->acks, c->epoch, c->worker, c->next);
    }
    ids = subscription_shards(o, &n);
    meet(o, ids, n, false); /* it reads all of the shards that have come since */
    free(ids);
    for (uint32_t i = 0; ok && i < o->acks.n; i++) {
        const struct cursor *c = &o->acks.shards[i];
        const struct batch_range r = {
            .epoch = c->epoch, .worker = c->worker, .first = c->next};

        ok = note_start(o, j, &r, e);
    }
    o->known = o->looked = o->met = ok && note_start(o, j, NULL, e);
    return o->known;
}

void subscription_ack(struct subscription *o, const struct batch_range *ranges,
                      uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct subscription_reader *r;

        if (!ack_tracker_ack(&o->acks, &ranges[i])) {
            continue;
        }
        r = find_reader(o, ranges[i].epoch, ranges[i].worker);
        if (r != NULL) {
            spool_cursor_release(r->cursor,
                                 ack_tracker_find(&o->acks, r->epoch, r->worker)->next);
        }
    }
}

void subscription_rest(struct subscription *o)
{
    for (uint32_t i = 0; i < o->n_readers; i++) {
        spool_cursor_rest(o->readers[i].cursor);
    }
}

bool subscription_idle(const struct subscription *o)
{
    return o->in_flight == 0 && o->intents == NULL &&
           (o->batch == NULL || o->batch->n == 0);
}

static void emit_done(const struct subscription *o, const struct cursor *c,
                      uint64_t first, uint64_t end, struct journal_draft *draft)
{
    const struct batch_range r = {c->epoch, c->worker, first, end - first};

    if (r.n > 0) {
        journal_emit(draft, &(struct record){RECORD_DONE, .stream = str_of(o->name),
                                             .ranges = &r, .n_ranges = 1});
    }
}

void subscription_emit(const struct subscription *o, struct journal_draft *draft)
{
    if (o->known) {
        journal_emit(draft, &(struct record){RECORD_START, .stream = str_of(o->name)});
    }
    for (uint32_t i = 0; i < o->acks.n; i++) {
        const struct cursor *c = &o->acks.shards[i];
        struct batch_range at = {c->epoch, c->worker, c->next, 0};

        if (c->started) {
            journal_emit(draft,
                         &(struct record){RECORD_START, .stream = str_of(o->name),
                                          .ranges = &at, .n_ranges = 1});
        }
        emit_done(o, c, 1, c->started ? 1 : c->next, draft);
        for (uint32_t k = 0; k < c->n_ahead; k++) {
            emit_done(o, c, c->ahead[k].first, c->ahead[k].end, draft);
        }
    }
    subscription_emit_ending(o, draft);
}
