#include "policy/run/dedup.h"

#include <stdlib.h>

#include "base/attr.h"
#include "base/mem.h"
#include "keys/keystore.h"
#include "policy/run/handles.h"
#include "policy/run/internal.h"
#include "shared/seen.h"

/* One stream's part of it, for the request in hand. */
struct dedup {
    struct policy_state *s;
    const struct stream_plan *stream;
    struct seen *seen;
    struct keyview *view; /* persist: the keys on disk; NULL: there is none */
    struct seen_hash *identities;
    uint64_t bit;
    int slots[DEDUP_PARTS_MAX]; /* of the key's parts in the route's schema; -1: none */
    struct dedup_now now;
    uint64_t owner;
    uint32_t chain;
    uint32_t n_repeats;
    struct dedup_hold *hold;
    enum dedup_result result;
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

/* A text as it means, a number as it was sent; beside other parts also an object or an
 * array as it was sent. False: none of these, or the empty text, which is no identity. */
static bool part_of(const struct dedup *d, uint32_t part, const struct event_batch *b,
                    struct event *ev, struct str *key, enum seen_kind *kind)
{
    struct str path = d->stream->dedup_parts[part];
    int at = d->slots[part];
    struct sluice_value v;

    if (at >= 0 && ev->n_edits == 0 && (ev->slots[at].tag & 15) != SLOT_ESCAPED) {
        const struct slot *x = &ev->slots[at];

        v.kind = x->tag & 15;
        *key = (struct str){b->body + x->off, x->tag >> 4};
    } else {
        if (sluice_find(&d->s->context, (struct sluice_event *)(void *)ev, path.p,
                        path.n, &v) == 0) {
            return false;
        }
        *key = (struct str){v.text, v.len};
    }
    if (v.kind == SLOT_STRING || v.kind == SLOT_ESCAPED) {
        *kind = SEEN_TEXT;
        return key->n > 0;
    }
    *kind = SEEN_DIGITS;
    return v.kind == SLOT_NUMBER || (d->stream->n_dedup_parts > 1 &&
                                     (v.kind == SLOT_OBJECT || v.kind == SLOT_ARRAY));
}

/* Several parts are known by their hashes together. False: the event lacks one. */
static bool hash_of(const struct dedup *d, const struct event_batch *b,
                    struct event *ev, struct seen_hash *out)
{
    struct seen_hash parts[DEDUP_PARTS_MAX];
    const uint32_t n = d->stream->n_dedup_parts;
    enum seen_kind kind;
    struct str key;

    for (uint32_t i = 0; i < n; i++) {
        if (!part_of(d, i, b, ev, &key, &kind)) {
            return false;
        }
        parts[i] = seen_hash_of(d->seen, key, kind);
    }
    *out = n == 1 ? parts[0]
                  : seen_hash_of(d->seen,
                                 (struct str){(const char *)parts, n * sizeof *parts},
                                 SEEN_PARTS);
    return true;
}

/* The route's stream, or those that a hook named. */
static uint64_t streams_of(const struct route *route, const struct event *ev)
{
    if (ev->flags & EVENT_ROUTED) {
        return ev->to;
    }
    return route->stream < 0 ? 0 : 1ull << route->stream;
}

static struct key key_of(const struct seen_hash *h)
{
    return (struct key){.a = h->hash[1], .b = (uint32_t)h->hash[0]};
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
        return false;
    }
    hold->ties[hold->n_ties].owner = owner;
    hold->ties[hold->n_ties++].seen = seen_ref(d->seen);
    return true;
}

/* Hashes all first, so that memory has the places of many keys on their way at once. */
static void hash_all(struct dedup *d, const struct route *route, struct event_batch *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct event *ev = &b->events[i];
        struct seen_hash *h = &d->identities[i];

        if (ev->fate != EVENT_ACCEPT || (streams_of(route, ev) & d->bit) == 0 ||
            !hash_of(d, b, ev, h)) {
            *h = (struct seen_hash){{0, 0}};
        } else if (d->view != NULL) {
            struct key k = key_of(h);

            keyview_prefetch(d->view, &k);
        }
    }
}

/* Whether its key is on disk. */
static bool on_disk(struct dedup *d, const struct seen_hash *h)
{
    if (d->view == NULL) {
        return false;
    }
    switch (keyview_find(d->view, key_of(h), (uint32_t)(d->now.wall_ms / 1000),
                         (uint32_t)(d->stream->dedup_window_ms / 1000))) {
    case KEYS_ABSENT:
        break;
    case KEYS_UNREAD:
        d->result = DEDUP_UNREAD;
        break;
    case KEYS_FOUND:
        return true;
    }
    return false;
}

/* Whether the event is a repeat: of a key on disk, or here. */
static bool repeats(struct dedup *d, const struct seen_hash *h)
{
    uint64_t other;

    if (on_disk(d, h)) {
        return true;
    }
    if (d->result == DEDUP_UNREAD) {
        return false; /* its request is refused: nothing of it is counted, or held */
    }
    switch (seen_ask(d->seen, h, d->owner,
                     (struct seen_when){d->now.mono_ms, d->stream->dedup_window_ms},
                     &d->chain, &other)) {
    case SEEN_NEW:
        return false;
    case SEEN_FULL:
        d->result = d->stream->dedup_persist ? DEDUP_FULL : d->result;
        return false;
    case SEEN_BUSY:
        if (!tie(d, other)) {
            if (d->stream->dedup_persist) {
                d->result = DEDUP_FULL;
            } else {
                seen_passed(d->seen);
            }
            return false;
        }
        return true;
    default:
        return true;
    }
}

static void mark_event(struct dedup *d, const struct route *route, struct event *ev,
                       const struct seen_hash *h)
{
    if ((h->hash[0] | h->hash[1]) == 0 || !repeats(d, h)) {
        return;
    }
    d->n_repeats++;
    ev->to = streams_of(route, ev) & ~d->bit;
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

static struct seen_hash *identities_of(struct policy_state *s, uint32_t i, uint32_t n)
{
    if (n > s->identities_room[i]) {
        s->identities_room[i] = n;
        s->identities[i] = mem_realloc(s->identities[i], n * sizeof *s->identities[i]);
    }
    return s->identities[i];
}

static struct dedup_part *part_at(struct dedup_hold *hold, uint32_t i)
{
    return i < DEDUP_STREAMS_FEW ? &hold->list[i] : &hold->more[i - DEDUP_STREAMS_FEW];
}

static struct dedup_part *next_part(struct dedup_hold *hold)
{
    if (hold->n == DEDUP_STREAMS_FEW) {
        hold->more =
            mem_alloc((PLAN_STREAMS_MAX - DEDUP_STREAMS_FEW) * sizeof *hold->more);
    }
    return part_at(hold, hold->n++);
}

/* Of one stream, whose number in hold is hold->n until it is counted. */
static void mark_stream(struct dedup *d, const struct route *route,
                        struct event_batch *b, uint32_t stream)
{
    struct keystore *store = seen_store(d->seen);
    struct dedup_hold *hold = d->hold;

    d->identities = identities_of(d->s, hold->n, b->n);
    for (uint32_t i = 0; i < d->stream->n_dedup_parts; i++) {
        d->slots[i] = slot_of(route, d->stream->dedup_parts[i]);
    }
    d->view = store == NULL ? NULL : keystore_view(store);
    hash_all(d, route, b);
    d->owner = seen_begin(d->seen);
    for (uint32_t i = 0; i < b->n; i++) {
        mark_event(d, route, &b->events[i], &d->identities[i]);
    }
    if (d->view != NULL) {
        keyview_release(d->view);
    }
    if (d->chain == 0) {
        seen_finish(d->seen, d->owner, 0, true); /* no request waits for it */
    }
    if (d->chain == 0 && d->n_repeats == 0) {
        return;
    }
    *next_part(hold) =
        (struct dedup_part){.chain = d->chain,
                            .n_repeats = d->n_repeats,
                            .stream = stream,
                            .bit = DEDUP_ALL_LOST,
                            .owner = d->owner,
                            .seen = seen_ref(d->seen),
                            .identities = store == NULL ? NULL : d->identities};
}

enum dedup_result dedup_mark(struct policy_state *s, const struct route *route,
                             struct event_batch *b, struct dedup_now now,
                             struct dedup_hold *hold)
{
    const struct plan *plan = s->policy->plan;
    uint64_t to = all_streams(route, b);
    enum dedup_result result = DEDUP_OK;

    hold->n = hold->n_ties = 0;
    s->context.batch = b; /* for sluice_find */
    s->context.body = b->body;
    for (; to != 0; to &= to - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(to);
        struct dedup d = {.s = s, .bit = 1ull << i, .now = now, .hold = hold};

        d.seen = i < plan->n_streams ? handles_seen(s->handles, i) : NULL;
        if (d.seen == NULL) {
            continue;
        }
        d.stream = &plan->streams[i];
        mark_stream(&d, route, b, i);
        result = d.result == DEDUP_OK ? result : d.result;
    }
    s->context.batch = NULL;
    return result;
}

const struct seen_hash *dedup_identity(const struct dedup_hold *hold, uint32_t stream,
                                       uint32_t i)
{
    for (uint32_t k = 0; k < hold->n; k++) {
        const struct dedup_part *part =
            k < DEDUP_STREAMS_FEW ? &hold->list[k] : &hold->more[k - DEDUP_STREAMS_FEW];

        if (part->stream == stream) {
            return part->identities == NULL ? NULL : &part->identities[i];
        }
    }
    return NULL;
}

void dedup_pending(struct dedup_hold *hold, const int *stream_ids)
{
    for (uint32_t i = 0; i < hold->n; i++) {
        struct dedup_part *part = part_at(hold, i);

        part->bit = 1ull << stream_ids[part->stream];
    }
}

void dedup_own(struct dedup_hold *hold, uint64_t lost)
{
    const bool many = hold->n > DEDUP_STREAMS_FEW;

    while (hold->n > 0) {
        const struct dedup_part *part = part_at(hold, --hold->n);

        if (lost == DEDUP_NONE_LOST) {
            seen_repeated(part->seen, part->n_repeats);
        }
        if (part->chain != 0) {
            seen_finish(part->seen, part->owner, part->chain, (lost & part->bit) == 0);
        }
        seen_unref(part->seen);
    }
    if (UNLIKELY(many)) {
        free(hold->more);
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
    dedup_own(hold, stored ? DEDUP_NONE_LOST : DEDUP_ALL_LOST);
    drop_ties(hold);
}
