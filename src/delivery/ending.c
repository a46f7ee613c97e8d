/* A stream that the policy no longer sends to a sink: its events up to the reload are
 * still delivered, and no more. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "delivery/subscription.h"

uint64_t subscription_end(const struct subscription *o, uint32_t epoch, uint32_t worker)
{
    if (!o->ending || epoch < o->ends_epoch) {
        return UINT64_MAX;
    }
    for (uint32_t i = 0; i < o->n_ends; i++) {
        if (o->ends[i].epoch == epoch && o->ends[i].worker == worker) {
            return o->ends[i].seq;
        }
    }
    return 0;
}

/* The readers and the spool learn of other ends. */
static void tell(struct subscription *o)
{
    for (uint32_t i = 0; i < o->n_readers; i++) {
        o->readers[i].end =
            subscription_end(o, o->readers[i].epoch, o->readers[i].worker);
    }
    if (o->consumer != NULL && o->ending) {
        spool_consumer_leave(o->consumer, o->ends_epoch, o->ends, o->n_ends);
    }
}

static uint32_t bound_records(const struct subscription *o, uint32_t from,
                              struct batch_range *ranges, struct record *out)
{
    uint32_t n = 0;

    while (from + n < o->n_ends && n < RECORD_RANGES_MAX) {
        const struct spool_pos *p = &o->ends[from + n];

        ranges[n++] = (struct batch_range){p->epoch, p->worker, p->seq, 0};
    }
    *out = (struct record){.type = RECORD_RETIRE,
                           .value = o->ends_epoch,
                           .stream = str_of(o->name),
                           .ranges = ranges,
                           .n_ranges = n};
    return n;
}

void subscription_emit_ending(const struct subscription *o, struct journal_draft *draft)
{
    struct batch_range ranges[RECORD_RANGES_MAX];
    struct record r;
    uint32_t at = 0;

    if (o->ending) {
        do {
            at += bound_records(o, at, ranges, &r);
            journal_emit(draft, &r);
        } while (at < o->n_ends);
    }
}

/* j NULL: it can't be used. */
static void note_ending(const struct subscription *o, struct journal *j)
{
    struct batch_range ranges[RECORD_RANGES_MAX];
    char quoted[ERR_TEXT_MAX + 16];
    struct record r;
    struct err e;
    uint32_t at = 0;
    bool ok = j != NULL || err_set(&e, "its journal can't be used");

    do {
        at += bound_records(o, at, ranges, &r);
        ok = ok && journal_append(j, &r, &e);
    } while (at < o->n_ends);
    if (!ok || !journal_sync(j, &e)) {
        log_write(LOG_WARN, "sink", "sink=%s stream=%s status=retiring why=%s", o->sink,
                  o->name, log_quote(quoted, sizeof quoted, e.text));
    }
}

struct subscription_ends subscription_ends(struct spool *spool, int stream)
{
    const uint32_t room = spool_ends(spool, stream, NULL, 0);
    struct subscription_ends at = {mem_alloc((room + 1) * sizeof *at.list), 0};

    at.n = spool_ends(spool, stream, at.list, room);
    at.n = at.n < room ? at.n : room;
    return at;
}

void subscription_retire(struct subscription *o, struct spool *spool, struct journal *j,
                         const struct subscription_ends *at)
{
    struct subscription_ends now = {NULL, 0};

    if (o->ending) {
        return;
    }
    if (at == NULL) {
        now = subscription_ends(spool, o->conf.id);
        at = &now;
    }
    o->n_ends = at->n;
    o->ends = mem_realloc(o->ends, (o->n_ends + 1) * sizeof *o->ends);
    memcpy(o->ends, at->list, o->n_ends * sizeof *o->ends);
    free(now.list);
    o->ends_epoch = spool_epoch(spool);
    o->ending = true;
    note_ending(o, j);
    tell(o);
}

void subscription_ending(struct subscription *o, const struct record *r)
{
    o->ending = r->value != 0;
    if (o->ends_epoch != r->value) {
        o->n_ends = 0;
    }
    o->ends_epoch = (uint32_t)r->value;
    o->ends = mem_realloc(o->ends, (o->n_ends + r->n_ranges + 1) * sizeof *o->ends);
    for (uint32_t i = 0; i < r->n_ranges; i++) {
        o->ends[o->n_ends++] = (struct spool_pos){
            r->ranges[i].epoch, r->ranges[i].worker, r->ranges[i].first};
    }
}

void subscription_ending_old(struct subscription *o, uint32_t epoch, struct journal *j)
{
    if (!o->ending) {
        o->ending = true;
        o->ends_epoch = epoch;
        o->n_ends = 0;
        note_ending(o, j); /* a sink without its plan never writes it again */
    }
    tell(o);
}

bool subscription_ending_as(struct subscription *o, const struct subscription *before)
{
    if (before == NULL || before->consumer == NULL) {
        return false;
    }
    if (!o->ending && before->ending) {
        o->ending = true;
        o->ends_epoch = before->ends_epoch;
        o->n_ends = before->n_ends;
        o->ends = mem_realloc(o->ends, (o->n_ends + 1) * sizeof *o->ends);
        memcpy(o->ends, before->ends, o->n_ends * sizeof *o->ends);
    }
    tell(o);
    return true;
}

bool subscription_pass_gaps(struct subscription *o, const struct spool_pos *from,
                            uint64_t how, struct journal *j, struct err *e)
{
    struct spool_pos at = *from;
    uint64_t end;

    while (spool_hole(o->consumer, &at, &end)) {
        struct batch_range gone = {at.epoch, at.worker, at.seq, end - at.seq};
        struct record r = {.type = RECORD_DONE,
                           .stream = str_of(o->name),
                           .ranges = &gone,
                           .n_ranges = 1};

        /* First, because the journal calls them done. */
        subscription_note_first(o, how, &gone);
        if (!journal_append(j, &r, e)) {
            return false;
        }
        subscription_pass(o, &gone);
        subscription_ack(o, &gone, 1);
        at.seq = end;
    }
    return true;
}

/* Events after the end that the spool no longer has are not owed: no client was
 * promised that this sink would take them. */
static bool pass_gaps(struct subscription *o, const struct cursor *c, struct journal *j,
                      struct err *e)
{
    const uint64_t owed = subscription_end(o, c->epoch, c->worker);
    const struct spool_pos from = {c->epoch, c->worker,
                                   owed > c->next ? owed : c->next};

    return owed == UINT64_MAX ||
           subscription_pass_gaps(o, &from, PLACES_NOT_ITS_OWN, j, e);
}

/* The same of those that stood at the end of a shard of an earlier process. Nobody waits for
 * them, and sluice find would take them for lost. */
static void pass_tails(struct subscription *o)
{
    uint32_t n;
    struct spool_shard_id *ids = subscription_shards(o, &n);

    for (uint32_t i = 0; i < n; i++) {
        const uint64_t owed = subscription_end(o, ids[i].epoch, ids[i].worker),
                       first = owed > ids[i].next ? owed : ids[i].next;
        const struct batch_range gone = {ids[i].epoch, ids[i].worker, first,
                                         UINT64_MAX - 1 - first};

        if (ids[i].epoch < o->epoch && ids[i].first != 0 && owed < UINT64_MAX - 1) {
            subscription_note(o, RECORD_SKIP, PLACES_NOT_ITS_OWN, &gone);
        }
    }
    free(ids);
}

/* A sink that holds does not look: shards that have come since then, also while the stream
 * led elsewhere, are to be met before their gaps can be passed. */
static bool meet_shards(struct subscription *o, struct journal *j, struct err *e)
{
    uint32_t n;
    struct spool_shard_id *ids = subscription_shards(o, &n);
    bool ok = true;

    for (uint32_t i = 0; i < n && ok; i++) {
        const struct batch_range at = {ids[i].epoch, ids[i].worker, ids[i].first, 0},
                                 gone = {at.epoch, at.worker, 1, at.first - 1};
        const struct record r = {.type = RECORD_START,
                                 .stream = str_of(o->name),
                                 .ranges = &at,
                                 .n_ranges = 1};

        if (at.first == 0 || ack_tracker_find(&o->acks, at.epoch, at.worker) != NULL ||
            subscription_end(o, at.epoch, at.worker) == UINT64_MAX) {
            continue;
        }
        if (gone.n > 0) {
            subscription_note_first(o, PLACES_NOT_ITS_OWN, &gone);
        }
        ok = journal_append(j, &r, e);
        if (ok) {
            ack_tracker_start(&o->acks, at.epoch, at.worker, at.first);
        }
    }
    free(ids);
    return ok;
}

/* Blocks of which it took a part are read again. */
static void read_on(struct subscription *o, struct subscription_reader *r)
{
    if (r->end != UINT64_MAX) {
        subscription_reread(o, r);
    }
}

bool subscription_return(struct subscription *o, struct journal *j, struct err *e)
{
    struct record r = {.type = RECORD_RETIRE, .stream = str_of(o->name)};
    bool ok;

    if (!o->ending) {
        return true;
    }
    spool_consumer_return(o->consumer);
    pass_tails(o);
    ok = meet_shards(o, j, e);
    for (uint32_t i = 0; i < o->acks.n && ok; i++) {
        ok = pass_gaps(o, &o->acks.shards[i], j, e);
    }
    if (!ok || !journal_append(j, &r, e)) {
        tell(o);
        return false;
    }
    for (uint32_t i = 0; i < o->n_readers; i++) {
        read_on(o, &o->readers[i]);
    }
    o->ending = false;
    o->back = true;
    tell(o);
    return true;
}

void subscription_unreturn(struct subscription *o, struct journal *j)
{
    if (o->back && !o->ending) {
        o->ending = true;
        note_ending(o, j);
        tell(o);
    }
    o->back = false;
}

void subscription_forget(struct subscription *o)
{
    char name[sizeof o->name];
    bool wanted = o->wanted;

    memcpy(name, o->name, sizeof name);
    subscription_close(o);
    memcpy(o->name, name, sizeof o->name);
    o->wanted = wanted;
}

void subscription_refuse(struct subscription *o)
{
    struct ack_tracker begun = o->acks;

    ack_tracker_init(&o->acks);
    subscription_forget(o);
    o->refused = begun;
    o->unread = true;
}

void subscription_note_unread(struct subscription *o, const struct batch_range *begins,
                              uint32_t n)
{
    for (uint32_t i = 0; o->unread && i < n; i++) {
        const struct batch_range *b = &begins[i];
        const struct cursor *c = ack_tracker_find(&o->refused, b->epoch, b->worker);
        struct batch_range r = {b->epoch, b->worker, c == NULL ? 1 : c->next, 0};

        /* Of another old shard an earlier plan may have had a part. */
        if ((c != NULL || b->epoch == o->epoch) && b->first > r.first) {
            r.n = b->first - r.first;
            subscription_note(o, RECORD_SKIP, PLACES_NOT_ITS_OWN, &r);
        }
    }
}

/* Whether it may still get an event before its end. Where a sync failed after the end
 * was noted, the spool ends before it, and the next event is beyond. */
static bool awaits(const struct subscription *o, const struct subscription_reader *r)
{
    return !r->ended && r->next < r->end &&
           r->next < spool_end(o->consumer, r->epoch, r->worker);
}

bool subscription_finished(const struct subscription *o)
{
    for (uint32_t i = 0; o->ending && i < o->n_readers; i++) {
        if (awaits(o, &o->readers[i])) {
            return false;
        }
    }
    return o->ending && o->n_unknown == 0 && subscription_idle(o);
}

/* Of the events from..end those that the readers do not pass over. */
static uint64_t unpassed(const struct subscription *o, const struct spool_shard_id *id,
                         uint64_t from, uint64_t end)
{
    uint64_t n = 0;

    while (from < end) {
        const struct subscription_span *s =
            subscription_span_from(o, id->epoch, id->worker, from);
        const bool near = s != NULL && s->first < end;
        const uint64_t to = near ? s->first : end;

        n += to > from ? to - from : 0;
        from = near ? s->end : end;
    }
    return n;
}

/* Of the events from..end those that the spool has given up for the sink, which has not
 * come to them yet (when_full = "skip"). Those that it has read are in its hands, and those
 * that it passes over are settled, or planned and still owed. */
static uint64_t given_up(const struct subscription *o, const struct spool_shard_id *id,
                         uint64_t from, uint64_t end)
{
    uint64_t to = id->first;

    for (uint32_t i = 0; i < o->n_readers; i++) {
        const struct subscription_reader *r = &o->readers[i];

        if (r->epoch == id->epoch && r->worker == id->worker) {
            uint64_t read = r->next + (r->block.n - r->at);
            uint64_t skipped = read + spool_cursor_skipping(r->cursor);

            from = read > from ? read : from;
            to = skipped > to ? skipped : to;
        }
    }
    return unpassed(o, id, from, to < end ? to : end);
}

/* Events of the shard from its cursor on, less those settled ahead of it or given up. */
static uint64_t remaining_of(const struct subscription *o,
                             const struct spool_shard_id *id)
{
    const struct cursor *c = ack_tracker_find(&o->acks, id->epoch, id->worker);
    uint64_t end = subscription_end(o, id->epoch, id->worker);
    uint64_t from = c == NULL ? id->first : c->next, n;

    end = id->next < end ? id->next : end;
    n = end > from ? end - from : 0;
    n -= o->conf.skip ? given_up(o, id, from, end) : 0;
    for (uint32_t i = 0; c != NULL && i < c->n_ahead; i++) {
        uint64_t ahead = c->ahead[i].end - c->ahead[i].first;

        n -= c->ahead[i].end <= end && ahead <= n ? ahead : 0;
    }
    return n;
}

uint64_t subscription_remaining(const struct subscription *o)
{
    uint64_t remaining = 0;
    uint32_t n;
    struct spool_shard_id *ids = subscription_shards(o, &n);

    for (uint32_t i = 0; i < n; i++) {
        remaining += remaining_of(o, &ids[i]);
    }
    free(ids);
    return remaining;
}

/* Events given up of a shard that came after its last look, as a held sink has them: once it
 * meets the shard it counts them itself. */
static uint64_t unmet_of(const struct subscription *o, const struct spool_shard_id *id)
{
    const uint64_t owed = subscription_end(o, id->epoch, id->worker),
                   end = id->first < owed ? id->first : owed;

    return o->known && end > 1 &&
                   ack_tracker_find(&o->acks, id->epoch, id->worker) == NULL
               ? end - 1
               : 0;
}

/* Events given up that a reader has not come to, also where the spool gave them up for a
 * delivery in whose stead this one came. */
static uint64_t uncome_of(const struct subscription *o,
                          const struct subscription_reader *r,
                          const struct spool_shard_id *ids, uint32_t n)
{
    const struct cursor *c = ack_tracker_find(&o->firsts, r->epoch, r->worker);

    for (uint32_t i = 0; i < n; i++) {
        if (ids[i].epoch == r->epoch && ids[i].worker == r->worker) {
            return given_up(o, &ids[i], c == NULL ? 0 : c->next, r->end);
        }
    }
    return spool_cursor_skipping(r->cursor);
}

uint64_t subscription_skipped(const struct subscription *o)
{
    uint64_t skipped = o->skipped;
    struct spool_shard_id *ids;
    uint32_t n;

    if (!o->conf.skip || o->consumer == NULL) {
        return skipped;
    }
    ids = subscription_shards(o, &n);
    for (uint32_t i = 0; i < o->n_readers; i++) {
        skipped += uncome_of(o, &o->readers[i], ids, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        skipped += unmet_of(o, &ids[i]);
    }
    free(ids);
    return skipped;
}
