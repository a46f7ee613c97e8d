/* Batches that an earlier process journaled: rebuilt as they were, and passed over by
 * the readers. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "delivery/subscription.h"

/* With room for n ranges, and none in it. */
static struct intent *intent_new(uint64_t id, struct str destination, uint32_t n)
{
    struct intent *p = mem_alloc(sizeof *p + n * sizeof *p->ranges + destination.n + 1);
    char *text = (char *)(p->ranges + n);

    if (destination.n > 0) {
        memcpy(text, destination.p, destination.n);
    }
    text[destination.n] = '\0';
    *p = (struct intent){.id = id, .destination = text};
    return p;
}

void subscription_intend(struct subscription *o, uint64_t id, struct str destination,
                         const struct batch_range *ranges, uint32_t n)
{
    struct intent *p = intent_new(id, destination, n);
    struct intent **at = &o->intents;

    p->n = n;
    memcpy(p->ranges, ranges, n * sizeof *ranges);
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = p;
}

/* The part of a that is not in b: at most two ranges. */
static uint32_t rest_of(const struct batch_range *a, const struct batch_range *b,
                        struct batch_range *out)
{
    uint64_t a_end = a->first + a->n, b_end = b->first + b->n;
    uint32_t n = 0;

    if (a->epoch != b->epoch || a->worker != b->worker || b->first >= a_end ||
        b_end <= a->first) {
        out[0] = *a;
        return 1;
    }
    if (a->first < b->first) {
        out[n++] =
            (struct batch_range){a->epoch, a->worker, a->first, b->first - a->first};
    }
    if (b_end < a_end) {
        out[n++] = (struct batch_range){a->epoch, a->worker, b_end, a_end - b_end};
    }
    return n;
}

/* Makes *p again without the range. */
static void take_out(struct intent **p, const struct batch_range *range)
{
    struct intent *old = *p;
    struct intent *new = intent_new(old->id, str_of(old->destination), old->n + 1);

    new->next = old->next;
    new->proven = old->proven;
    for (uint32_t i = 0; i < old->n; i++) {
        new->n += rest_of(&old->ranges[i], range, new->ranges + new->n);
    }
    *p = new;
    free(old);
}

void subscription_prove(struct subscription *o, uint64_t id)
{
    for (struct intent *p = o->intents; p != NULL; p = p->next) {
        p->proven |= p->id == id;
    }
}

void subscription_split(struct subscription *o, uint64_t id,
                        const struct batch_range *ranges, uint32_t n)
{
    const char *destination = "";
    bool proven = false;

    for (struct intent **at = &o->intents; *at != NULL; at = &(*at)->next) {
        for (uint32_t i = 0; i < n && (*at)->id == id; i++) {
            take_out(at, &ranges[i]);
        }
        destination = (*at)->id == id ? (*at)->destination : destination;
        proven |= (*at)->id == id && (*at)->proven;
    }
    subscription_intend(o, id, str_of(destination), ranges, n);
    if (proven) {
        subscription_prove(o, id);
    }
}

void subscription_pass(struct subscription *o, const struct batch_range *r)
{
    if (o->n_spans == o->spans_room) {
        o->spans_room = o->spans_room == 0 ? 16 : 2 * o->spans_room;
        o->spans = mem_realloc(o->spans, o->spans_room * sizeof *o->spans);
    }
    o->spans[o->n_spans++] =
        (struct subscription_span){r->epoch, r->worker, r->first, r->first + r->n};
}

/* How many of the first of r are acked. */
static uint64_t acked_first(const struct subscription *o, const struct batch_range *r)
{
    const struct cursor *c = ack_tracker_find(&o->acks, r->epoch, r->worker);
    uint64_t seq = r->first;

    if (c == NULL) {
        return 0;
    }
    seq = c->next > seq ? c->next : seq;
    for (uint32_t i = 0; i < c->n_ahead; i++) {
        if (c->ahead[i].first <= seq && c->ahead[i].end > seq) {
            seq = c->ahead[i].end;
        }
    }
    return seq - r->first < r->n ? seq - r->first : r->n;
}

/* Whether all of r is acked. */
static bool acked(const struct subscription *o, const struct batch_range *r)
{
    return acked_first(o, r) == r->n;
}

bool subscription_owes(const struct subscription *o, uint32_t epoch, uint32_t worker,
                       uint64_t seq)
{
    const struct batch_range one = {epoch, worker, seq, 1};

    return ack_tracker_find(&o->acks, epoch, worker) != NULL && !acked(o, &one);
}

/* Whether any of r is. */
static bool touched(const struct subscription *o, const struct batch_range *r)
{
    const struct cursor *c = ack_tracker_find(&o->acks, r->epoch, r->worker);
    bool any = acked_first(o, r) > 0;

    for (uint32_t i = 0; c != NULL && i < c->n_ahead; i++) {
        any |= c->ahead[i].first < r->first + r->n && c->ahead[i].end > r->first;
    }
    return any;
}

/* A batch of which a part is acked was taken in part, or had bad rows: its remaining
 * rows say nothing of the table. Its parts have one id. */
static void prove(struct subscription *o, const struct intent *by)
{
    bool any = false;

    for (uint32_t i = 0; i < by->n; i++) {
        any |= touched(o, &by->ranges[i]);
    }
    if (any) {
        subscription_prove(o, by->id);
    }
}

void subscription_replayed(struct subscription *o)
{
    struct intent **at = &o->intents;

    for (const struct intent *p = o->intents; p != NULL; p = p->next) {
        prove(o, p);
    }
    while (*at != NULL) {
        struct intent *p = *at;
        bool remains = false;

        for (uint32_t i = 0; i < p->n; i++) {
            remains |= !acked(o, &p->ranges[i]);
        }
        if (remains) {
            for (uint32_t i = 0; i < p->n; i++) {
                subscription_pass(o, &p->ranges[i]);
            }
            at = &p->next;
        } else {
            *at = p->next;
            free(p);
        }
    }
    for (uint32_t i = 0; i < o->acks.n; i++) {
        const struct cursor *c = &o->acks.shards[i];

        for (uint32_t k = 0; k < c->n_ahead; k++) {
            subscription_pass(
                o, &(struct batch_range){c->epoch, c->worker, c->ahead[k].first,
                                         c->ahead[k].end - c->ahead[k].first});
        }
    }
}

/* Where acked events have left gaps, a batch may have more ranges than it had. */
static bool has_room(const struct batch *b, const struct batch_range *r)
{
    const struct batch_range *last = &b->ranges[BATCH_RANGES_MAX - 1];

    return b->n_ranges < BATCH_RANGES_MAX ||
           (last->epoch == r->epoch && last->worker == r->worker &&
            last->first + last->n == r->first);
}

/* The events of the block that belong to r and are not acked. Returns the sequence of
 * the first one for which b has no room; 0: it has all. */
static uint64_t rebuild_block(struct subscription *o, struct batch *b,
                              const struct batch_range *r,
                              const struct spool_block *block, int64_t now_ms)
{
    for (uint32_t i = 0; i < block->n; i++) {
        struct batch_range one = {r->epoch, r->worker, block->first + i, 1};

        if (one.first >= r->first && one.first < r->first + r->n && !acked(o, &one)) {
            if (!has_room(b, &one)) {
                return one.first;
            }
            batch_append(
                b, &one,
                &(struct batch_source){block->payload, block->wall_ms, block->key_hash},
                (const struct batch_entry *)(const void *)(block->entries + i), now_ms);
        }
    }
    return 0;
}

/* n events from sequence first on, which is in r, that the spool does not have; promised:
 * clients count on them. Those behind r are other plans' or the readers'. They may be read
 * more than once. */
static void pass_gone(struct subscription *o, const struct batch_range *r,
                      uint64_t first, uint64_t n, bool promised)
{
    const uint64_t planned = r->first + r->n - first;
    const struct batch_range gone = {r->epoch, r->worker, first,
                                     n < planned ? n : planned};

    if (promised && !acked(o, &gone)) {
        o->skipped += o->conf.skip ? gone.n : 0;
        o->lost += o->conf.skip ? 0 : gone.n;
        subscription_note(o, RECORD_SKIP, PLACES_UNSURE, &gone);
    }
    subscription_ack(o, &gone, 1);
}

/* *rest: as rebuild_block returns it. */
static bool rebuild_range(struct subscription *o, struct batch *b,
                          const struct batch_range *r, uint64_t *rest, int64_t now_ms)
{
    struct spool_cursor *cur = spool_cursor_open(
        o->consumer, (struct spool_pos){r->epoch, r->worker, r->first});
    uint64_t next = r->first, lost;
    struct spool_block block;
    bool ok = true;

    *rest = 0;
    while (ok && *rest == 0 && next < r->first + r->n) {
        enum spool_read got = spool_cursor_next(cur, &block, &lost);

        switch (got) {
        case SPOOL_READ_OK:
            *rest = rebuild_block(o, b, r, &block, now_ms);
            next = block.first + block.n;
            break;
        case SPOOL_READ_GAP:
        case SPOOL_READ_VOID:
            pass_gone(o, r, next, lost, got == SPOOL_READ_GAP);
            next += lost;
            break;
        case SPOOL_READ_END:
            /* A power cut took the end of the shard; one that has gone is no loss. */
            lost = r->first + r->n - next;
            if (ack_tracker_find(&o->acks, r->epoch, r->worker) != NULL) {
                pass_gone(o, r, next, lost, true);
            }
            next += lost;
            break;
        case SPOOL_READ_AGAIN:
            ok = false; /* not yet readable: asked again */
            break;
        }
    }
    spool_cursor_close(cur);
    return ok;
}

void subscription_emit_intents(const struct subscription *o, const char *sink,
                               struct journal_draft *draft)
{
    for (const struct intent *p = o->intents; p != NULL; p = p->next) {
        for (uint32_t at = 0; at < p->n; at += RECORD_RANGES_MAX) {
            uint32_t left = p->n - at;
            struct record plan = {
                .type = RECORD_PLAN,
                .value = p->id,
                .time_ms = p->proven,
                .id = str_of(p->destination),
                .stream = str_of(o->name),
                .name = str_of(sink),
                .ranges = p->ranges + at,
                .n_ranges = left < RECORD_RANGES_MAX ? left : RECORD_RANGES_MAX};

            journal_emit(draft, &plan);
        }
    }
}

/* What comes from sequence first of range i on stays planned, under the same id. */
static void keep_rest(struct intent *p, uint32_t i, uint64_t first)
{
    p->n -= i;
    memmove(p->ranges, p->ranges + i, p->n * sizeof *p->ranges);
    p->ranges[0].n -= first - p->ranges[0].first;
    p->ranges[0].first = first;
}

bool subscription_rebuild(struct subscription *o, struct batch *b, int64_t now_ms)
{
    struct intent *p = o->intents;
    uint64_t rest = 0;
    uint32_t i;

    b->id = p->id;
    for (i = 0; i < p->n && rest == 0; i++) {
        if (!rebuild_range(o, b, &p->ranges[i], &rest, now_ms)) {
            return false;
        }
    }
    b->proven = p->proven;
    batch_destination(b, p->destination[0] == '\0' ? NULL : p->destination);
    if (rest != 0) {
        keep_rest(p, i - 1, rest);
    } else {
        o->intents = p->next;
        free(p);
    }
    return true;
}
