#include "policy/run/dedup.h"

#include "policy/run/handles.h"
#include "policy/run/internal.h"
#include "shared/seen.h"

/* One stream's part of it, for the request in hand. */
struct dedup {
    struct policy_state *s;
    const struct stream_plan *stream;
    struct seen *seen;
    uint64_t bit;
    int slot; /* of the key in the route's schema; -1: none */
    double now_ms;
    uint64_t owner;
    uint32_t chain;
    struct dedup_hold *hold;
};

static int slot_of(const struct route *route, struct str key)
{
    const struct schema *schema = route->schema;

    for (uint32_t i = 0; schema != NULL && i < schema->n_fields; i++) {
        if (str_eq(schema->fields[i].path, key)) {
            return (int)i;
        }
    }
    return -1;
}

/* A text as it means, a number as it was sent. False: the event has no key: none that
 * is text or number, or the empty text, which is no identity. */
static bool key_of(struct dedup *d, struct event_batch *b, struct event *ev,
                   struct str *key, enum seen_kind *kind)
{
    struct str path = d->stream->dedup_key;
    struct sluice_value v;

    if (d->slot >= 0 && ev->n_edits == 0 &&
        (ev->slots[d->slot].tag & 15) != SLOT_ESCAPED) {
        const struct slot *x = &ev->slots[d->slot];

        v.kind = x->tag & 15;
        *key = (struct str){b->body + x->off, x->tag >> 4};
    } else {
        if (sluice_find(&d->s->context, (struct sluice_event *)(void *)ev, path.p,
                        path.n, &v) == 0) {
            return false;
        }
        *key = (struct str){v.text, v.len};
    }
    *kind = v.kind == SLOT_NUMBER ? SEEN_DIGITS : SEEN_TEXT;
    return key->n > 0 &&
           (v.kind == SLOT_NUMBER || v.kind == SLOT_STRING || v.kind == SLOT_ESCAPED);
}

/* The route's stream, or those that a hook named. */
static uint64_t streams_of(const struct route *route, const struct event *ev)
{
    if (ev->flags & EVENT_ROUTED) {
        return ev->to;
    }
    return route->stream < 0 ? 0 : 1ull << route->stream;
}

/* False: hold is tied to as many as it can be. */
static bool tie(struct dedup *d, uint64_t owner)
{
    struct dedup_hold *hold = d->hold;

    for (uint32_t i = 0; i < hold->n_ties; i++) {
        if (hold->ties[i].owner == owner && hold->ties[i].seen == d->seen) {
            return true;
        }
    }
    if (hold->n_ties == DEDUP_TIES_MAX) {
        seen_passed(d->seen);
        return false;
    }
    hold->ties[hold->n_ties].owner = owner;
    hold->ties[hold->n_ties++].seen = seen_ref(d->seen);
    return true;
}

static void mark_event(struct dedup *d, const struct route *route,
                       struct event_batch *b, struct event *ev)
{
    uint64_t to = ev->fate == EVENT_ACCEPT ? streams_of(route, ev) : 0;
    enum seen_result r;
    enum seen_kind kind;
    uint64_t other;
    struct str key;

    if ((to & d->bit) == 0) {
        return;
    }
    if (!key_of(d, b, ev, &key, &kind)) {
        return;
    }
    r = seen_ask(d->seen, key, kind, d->owner, d->now_ms, &d->chain, &other);
    if (r == SEEN_NEW || r == SEEN_FULL || (r == SEEN_BUSY && !tie(d, other))) {
        return;
    }
    ev->to = to & ~d->bit;
    ev->flags |= EVENT_ROUTED | EVENT_REPEAT;
    if (ev->to == 0) {
        ev->fate = EVENT_DROP;
    }
}

/* The streams that the request's events go to. */
static uint64_t all_streams(const struct route *route, const struct event_batch *b)
{
    uint64_t to = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        to |= streams_of(route, &b->events[i]);
    }
    return to;
}

void dedup_mark(struct policy_state *s, const struct route *route,
                struct event_batch *b, double now_ms, struct dedup_hold *hold)
{
    const struct plan *plan = s->policy->plan;
    uint64_t to = all_streams(route, b);

    hold->n = hold->n_ties = 0;
    s->context.batch = b; /* for sluice_find */
    s->context.body = b->body;
    for (; to != 0; to &= to - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(to);
        struct dedup d = {.s = s, .bit = 1ull << i, .now_ms = now_ms, .hold = hold};

        d.seen = i < plan->n_streams ? handles_seen(s->handles, i) : NULL;
        if (d.seen == NULL || hold->n == DEDUP_STREAMS_MAX) {
            continue;
        }
        d.stream = &plan->streams[i];
        d.slot = slot_of(route, d.stream->dedup_key);
        d.owner = seen_begin(d.seen);
        for (uint32_t k = 0; k < b->n; k++) {
            mark_event(&d, route, b, &b->events[k]);
        }
        if (d.chain == 0) {
            seen_finish(d.seen, d.owner, 0, true); /* no request waits for it */
            continue;
        }
        hold->list[hold->n].chain = d.chain;
        hold->list[hold->n].owner = d.owner;
        hold->list[hold->n++].seen = seen_ref(d.seen);
    }
    s->context.batch = NULL;
}

void dedup_own(struct dedup_hold *hold, bool stored)
{
    while (hold->n > 0) {
        struct seen *seen = hold->list[--hold->n].seen;

        seen_finish(seen, hold->list[hold->n].owner, hold->list[hold->n].chain, stored);
        seen_unref(seen);
    }
}

static void drop_ties(struct dedup_hold *hold)
{
    while (hold->n_ties > 0) {
        seen_unref(hold->ties[--hold->n_ties].seen);
    }
}

enum dedup_fate dedup_ties(struct dedup_hold *hold)
{
    enum dedup_fate fate = DEDUP_DONE;

    for (uint32_t i = 0; i < hold->n_ties; i++) {
        switch (seen_fate(hold->ties[i].seen, hold->ties[i].owner)) {
        case SEEN_LOST:
            drop_ties(hold);
            return DEDUP_LOST;
        case SEEN_PENDING:
            fate = DEDUP_WAIT;
            break;
        case SEEN_STORED:
            break;
        }
    }
    if (fate == DEDUP_DONE) {
        drop_ties(hold);
    }
    return fate;
}

void dedup_finish(struct dedup_hold *hold, bool stored)
{
    dedup_own(hold, stored);
    drop_ties(hold);
}
