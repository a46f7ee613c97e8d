/*
 * store - the accepted events of a request, copied to the pending blocks of
 * their streams. All of them or none: a request that finds no room leaves no
 * trace.
 */
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ingest/internal.h"
#include "ingest/stored_event.h"
#include "shared/seen.h"

struct sizes {
    uint64_t streams; /* plan streams touched, as a mask */
    uint64_t bytes[PLAN_STREAMS_MAX];
};

static void measure(const struct ingest *in, const struct binding *b,
                    const struct route *route, struct sizes *z)
{
    const struct event_batch *batch = &in->batch;

    z->streams = 0;
    for (uint32_t i = 0; i < batch->n; i++) {
        const struct event *ev = &batch->events[i];
        uint64_t to = stored_event_streams(route, ev, b->dead);
        size_t n;

        if (to == 0) {
            continue;
        }
        n = stored_event_bound(batch, ev) + 1 + sizeof(struct spool_entry) +
            sizeof(struct spool_identity);
        for (; to != 0; to &= to - 1) {
            int s = __builtin_ctzll(to);

            if ((z->streams & (1ull << s)) == 0) {
                z->streams |= 1ull << s;
                z->bytes[s] = 0;
            }
            z->bytes[s] += n;
        }
    }
}

/* The bytes of stream s that it needs beyond those reserved as its body arrived. */
static uint64_t missing(const struct route *route, const struct sizes *z,
                        const struct waiter *w, int s)
{
    uint64_t had = s == route->stream ? w->reserved : 0;

    return z->bytes[s] > had ? z->bytes[s] - had : 0;
}

/* Whether what the block of stream s has with the request is to be stored for sure: parts of
 * requests for more streams, as those may be that it has already. */
static bool is_sure(const struct ingest *in, const struct binding *b,
                    const struct sizes *z, int s)
{
    return (z->streams & (z->streams - 1)) != 0 ||
           spool_writer_pending(in->writers[b->stream_ids[s]].writer) > 0;
}

/* A stream whose segments have no room for its part; -1: none. */
static int find_full(const struct ingest *in, const struct binding *b,
                     const struct sizes *z)
{
    for (uint64_t left = z->streams; left != 0; left &= left - 1) {
        int s = __builtin_ctzll(left);

        if (UNLIKELY(!spool_writer_fits(in->writers[b->stream_ids[s]].writer,
                                        z->bytes[s], is_sure(in, b, z, s)))) {
            return s;
        }
    }
    return -1;
}

/* Whether the segments may have room. What is pending is of other requests, or of what this one
 * refused: behind it the bound of its size may be too large for a segment that takes it. */
static enum store_result find_room(struct ingest *in, const struct binding *b,
                                   const struct sizes *z)
{
    const int full = find_full(in, b, z);

    if (LIKELY(full < 0)) {
        return STORE_OK;
    }
    if (spool_writer_pending(in->writers[b->stream_ids[full]].writer) == 0) {
        return store_no_room(in, b->stream_ids[full]);
    }
    commit_turn(in);
    return STORE_OK;
}

/* The last look, behind all else that commits or refuses: of a request for more streams no part
 * is stored alone. */
static enum store_result keep_room(const struct ingest *in, const struct binding *b,
                                   const struct sizes *z)
{
    for (uint64_t left = z->streams; left != 0; left &= left - 1) {
        int s = __builtin_ctzll(left), id = b->stream_ids[s];

        if (UNLIKELY(!spool_writer_keep(in->writers[id].writer, z->bytes[s],
                                        is_sure(in, b, z, s)))) {
            return store_no_room(in, id);
        }
    }
    return STORE_OK;
}

/* Room for the whole request in every stream. */
static enum store_result reserve(struct ingest *in, const struct binding *b,
                                 const struct route *route, const struct sizes *z,
                                 const struct waiter *w)
{
    uint64_t left = z->streams, had = 0;
    enum store_result r = STORE_OK;

    for (; left != 0 && r == STORE_OK; left &= left - 1) {
        int s = __builtin_ctzll(left);

        if (spool_reserve(in->conf.spool, b->stream_ids[s], missing(route, z, w, s))) {
            had |= 1ull << s;
        } else {
            r = store_no_room(in, b->stream_ids[s]);
        }
    }
    if (r == STORE_OK) {
        r = find_room(in, b, z);
    }
    /* Asked, not kept: this worker commits within the turn, and the pending
     * bytes of the others are bounded by a block each. */
    for (; had != 0; had &= had - 1) {
        int s = __builtin_ctzll(had);

        spool_release(in->conf.spool, b->stream_ids[s], missing(route, z, w, s));
    }
    return r;
}

/* The place of an event's key, for its entry. */
struct place {
    uint32_t off, len, flags;
};

/* kept: slots tell the places of values in the stored text. A key that an edit sets is
 * found at delivery, as are those of routes whose schema does not name it. */
static struct place key_place(const struct route *route, const struct event *ev, int s,
                              bool kept)
{
    const struct place unknown = {0, 0, ENTRY_KEY_UNKNOWN};
    int at = route->key_slots[s];
    const struct slot *x;

    if (at < 0 || !kept) {
        return unknown;
    }
    x = &ev->slots[at];
    /* A value of the envelope lies outside of the event. */
    if (x->off - ev->off >= ev->len && (x->tag & 15) != SLOT_ABSENT) {
        return unknown;
    }
    switch (x->tag & 15) {
    case SLOT_STRING:
    case SLOT_NUMBER:
    case SLOT_ESCAPED:
        if (x->tag >> 4 > SPOOL_KEY_MAX) {
            return unknown;
        }
        return (struct place){x->off - ev->off, x->tag >> 4,
                              (x->tag & 15) == SLOT_ESCAPED ? ENTRY_KEY_ESCAPED : 0};
    case SLOT_ABSENT:
        return ev->n_edits > 0 ? unknown : (struct place){0, 0, 0};
    default:
        return (struct place){0, 0, 0};
    }
}

/* Whether the stream's blocks say by what each event is recognised. */
static bool is_identified(const struct binding *b, int s)
{
    return s != b->dead && b->plan->streams[s].dedup_persist;
}

/* A reader finds the ids of a block by the policy that the block names. */
bool store_joins(struct ingest *in, const struct binding *b, int s)
{
    struct stream_writer *o = &in->writers[b->stream_ids[s]];
    const bool dead = s == b->dead;
    const uint64_t ids = dead || b->id_fields == NULL ? 0 : b->id_fields[s].hash;

    if ((spool_writer_pending(o->writer) > 0 && o->ids_field != ids) ||
        !spool_writer_key(o->writer, dead ? 0 : b->plan->streams[s].key_hash,
                          is_identified(b, s))) {
        return false;
    }
    if (spool_writer_pending(o->writer) == 0) {
        /* That of the block's first event, also if this one is not stored in the end. */
        o->policy8 = b->policy8;
        o->ids_field = ids;
    }
    return true;
}

static void identify(struct spool_writer *w, const struct dedup_hold *hold, int s,
                     uint32_t i)
{
    const struct seen_hash *h = dedup_identity(hold, (uint32_t)s, i);

    if (h != NULL) {
        spool_writer_identify(w, &(struct spool_identity){{h->hash[0], h->hash[1]}});
    }
}

static bool append(struct ingest *in, const struct binding *b,
                   const struct route *route, uint32_t i, int s,
                   const struct dedup_hold *hold)
{
    const struct event *ev = &in->batch.events[i];
    struct stream_writer *o = &in->writers[b->stream_ids[s]];
    char *out = spool_writer_room(o->writer, stored_event_bound(&in->batch, ev));
    struct place key = {0, 0, 0};
    bool kept;
    size_t n;

    if (out == NULL) {
        return false;
    }
    n = stored_event_write(b->plan, route, &in->batch, ev, in->wall_ms, out, &kept);
    if (route->key_slots != NULL && ev->fate != EVENT_DEAD) {
        key = key_place(route, ev, s, kept);
    }
    spool_writer_append(o->writer, (uint32_t)n, key.off, key.len,
                        key.flags | (ev->n_edits > 0 ? ENTRY_EDITED : 0u));
    if (UNLIKELY(is_identified(b, s))) {
        identify(o->writer, hold, s, i);
    }
    if (UNLIKELY(b->id_fields != NULL) && s != b->dead && b->id_fields[s].hash != 0) {
        spool_writer_note(o->writer,
                          event_id_of(&b->id_fields[s], route->id_slots[s], &in->batch,
                                      ev, kept, (struct str){out, n}));
    }
    o->n_pending++;
    return true;
}

/* Appends all; on the first failure takes back the events that it has appended. */
static bool append_all(struct ingest *in, const struct binding *b,
                       const struct route *route, const struct sizes *z,
                       const uint32_t *marks, const struct dedup_hold *hold)
{
    for (uint32_t i = 0; i < in->batch.n; i++) {
        const struct event *ev = &in->batch.events[i];
        uint64_t to = stored_event_streams(route, ev, b->dead);

        for (; to != 0; to &= to - 1) {
            if (!append(in, b, route, i, __builtin_ctzll(to), hold)) {
                uint64_t left = z->streams;

                for (; left != 0; left &= left - 1) {
                    int s = __builtin_ctzll(left);
                    struct stream_writer *o = &in->writers[b->stream_ids[s]];

                    o->n_pending -= spool_writer_mark(o->writer) - marks[s];
                    spool_writer_rollback(o->writer, marks[s]);
                }
                return false;
            }
        }
    }
    return true;
}

/* A block is at most 1 MiB, or one request; its events' keys are of one name, and so are
 * their ids. */
static bool is_crowded(struct ingest *in, const struct binding *b,
                       const struct sizes *z)
{
    bool crowded = false;

    for (uint64_t left = z->streams; left != 0; left &= left - 1) {
        int s = __builtin_ctzll(left);
        struct spool_writer *w = in->writers[b->stream_ids[s]].writer;
        /* Also of a request that is larger than a block. */
        bool named = store_joins(in, b, s);

        crowded |= !named || spool_writer_pending(w) + z->bytes[s] > SPOOL_BLOCK_BYTES;
    }
    return crowded;
}

/* Whether it may wait for sinks, if it has to. */
static enum store_result may_wait(const struct ingest *in, const struct binding *b,
                                  const struct sizes *z)
{
    bool delivered = false;

    for (uint64_t left = z->streams; left != 0; left &= left - 1) {
        int id = b->stream_ids[__builtin_ctzll(left)];
        const struct stream_writer *o = &in->writers[id];

        delivered |= o->delivered;
        if (UNLIKELY(o->delivered && spool_blocked(in->conf.spool, id))) {
            return STORE_BLOCKED;
        }
    }
    if (delivered && in->n_delivering >= DELIVERING_MAX) {
        return STORE_CROWDED;
    }
    return STORE_OK;
}

/* The parts of the pending blocks that are w's, where it has to wait for more than
 * these. */
static void note_syncs(struct ingest *in, const struct binding *b,
                       const struct sizes *z, const uint32_t *marks, struct waiter *w)
{
    const size_t most = (size_t)__builtin_popcountll(z->streams);

    w->syncs =
        UNLIKELY(most > SYNCS_FEW) ? mem_alloc(most * sizeof *w->syncs) : w->few_syncs;
    for (uint64_t left = z->streams; left != 0; left &= left - 1) {
        int s = __builtin_ctzll(left), id = b->stream_ids[s];
        const struct stream_writer *o = &in->writers[id];

        if (!o->synced && !o->delivered) {
            continue;
        }
        w->syncs[w->n_syncs++] =
            (struct sync){.stream = id,
                          .delivered = o->delivered,
                          .offset = marks[s],
                          .n = spool_writer_mark(o->writer) - marks[s]};
        w->delivering |= o->delivered;
    }
    in->n_delivering += w->delivering;
}

enum store_result store_no_room(const struct ingest *in, int stream)
{
    return spool_stream_writable(in->conf.spool, stream) ? STORE_FULL
                                                         : STORE_UNWRITABLE;
}

enum store_result store_events(struct ingest *in, const struct binding *b,
                               const struct route *route, struct waiter *w)
{
    struct sizes z;
    uint32_t marks[PLAN_STREAMS_MAX];
    uint64_t bytes = 0;
    enum store_result r;

    measure(in, b, route, &z);
    r = reserve(in, b, route, &z, w);
    if (r == STORE_OK) {
        r = may_wait(in, b, &z);
    }
    if (r != STORE_OK) {
        return r;
    }
    if (is_crowded(in, b, &z)) {
        commit_turn(in);
        (void)is_crowded(in, b, &z); /* takes the keys' names */
    }
    r = keep_room(in, b, &z);
    if (r != STORE_OK) {
        return r;
    }
    for (uint64_t left = z.streams; left != 0; left &= left - 1) {
        int s = __builtin_ctzll(left);
        int id = b->stream_ids[s];

        marks[s] = spool_writer_mark(in->writers[id].writer);
        w->touched |= 1ull << id;
        bytes += z.bytes[s];
    }
    if (!append_all(in, b, route, &z, marks, &w->hold)) {
        w->touched = 0;
        return STORE_TOO_LARGE; /* its blocks were empty, or have room for it */
    }
    in->pending_bytes += bytes;
    note_syncs(in, b, &z, marks, w);
    dedup_pending(&w->hold, b->stream_ids);
    return STORE_OK;
}

enum store_result store_unrepeated(struct ingest *in, struct request_state *p,
                                   struct dedup_hold *hold)
{
    switch (dedup_mark(p->binding->state, p->route, &in->batch,
                       (struct dedup_now){in->mono_ms, in->wall_ms}, hold)) {
    case DEDUP_FULL:
        return STORE_KEYS_FULL;
    case DEDUP_UNREAD:
        return STORE_KEYS_UNREAD;
    case DEDUP_OK:
        break;
    }
    return STORE_OK;
}
