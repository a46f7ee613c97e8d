#include "ingest/refusals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ingest/internal.h"
#include "ingest/refusal_record.h"
#include "plan/auth.h"
#include "policy/run/run.h"

/* A record of more bytes counts for several. */
enum { TOKEN_BYTES = 1024 };
/* Of the dead letters' stream: hooks that fail need the rest. */
enum { DEAD_SPARED = 512 << 20 };

enum keep_result { KEPT, OVER_RATE, NO_ROOM };

/* One request's refusals on their way to a stream. */
struct keeping {
    struct ingest *in;
    const struct binding *b;
    const struct route *route;
    int stream, id;           /* the binding's, the spool's */
    struct stream_writer *to; /* of that */
    uint64_t spared;
    struct refusal_record record; /* what all of them share */
    uint32_t n;                   /* records pending */
};

static int place_of(const struct binding *b, const struct refusal_plan *plan)
{
    return plan->stream < 0 ? b->dead : plan->stream;
}

static stats_cell *result_of(struct stats_owner *owner, const char *stream,
                             const char *result)
{
    struct stats_owner *before = stats_own(owner);
    stats_cell *c;
    char pair[160], labels[256];

    (void)stats_label_pair(pair, sizeof pair, "stream", stream);
    (void)snprintf(labels, sizeof labels, "%s,result=\"%s\"", pair, result);
    c = stats_counter("sluice_refused_records_total",
                      "Refusals of routes with on_refused: stored, or lost as over "
                      "their rate, without room, or not written.",
                      labels);
    (void)stats_own(before);
    return c;
}

void refusals_bind(struct ingest *in, const struct binding *b)
{
    for (uint32_t i = 0; i < b->plan->n_routes; i++) {
        const struct refusal_plan *plan = b->plan->routes[i].on_refused;
        struct stats_owner *owner;
        const char *name;
        struct stream_writer *o;
        int s;

        if (plan == NULL || (s = place_of(b, plan)) < 0) {
            continue;
        }
        o = &in->writers[b->stream_ids[s]];
        if (o->records.stored == NULL) {
            name = s == b->dead ? "dead" : b->plan->streams[s].name;
            owner = spool_stream_series(in->conf.spool, b->stream_ids[s]);
            o->records.stored = result_of(owner, name, "stored");
            o->records.over_rate = result_of(owner, name, "over_rate");
            o->records.no_room = result_of(owner, name, "no_room");
            o->records.failed = result_of(owner, name, "failed");
        }
    }
}

/* The query without keys; "" where there is no memory for it. */
static struct str query_of(struct ingest *in, const struct route *route,
                           const struct http_view *v)
{
    char *room;

    if (LIKELY(!auth_in_query(route->auth)) || v->query.n == 0) {
        return v->query;
    }
    room = arena_alloc(&in->arena, v->query.n);
    return room == NULL ? STR("") : auth_without_keys(route->auth, v->query, room);
}

static bool begin(struct keeping *k, struct ingest *in, const struct request_state *p,
                  const struct http_view *v)
{
    const struct refusal_plan *plan = p->route->on_refused;
    int s = place_of(p->binding, plan);
    bool in_query = p->shape == SCAN_QUERY;
    struct str query;

    if (s < 0) {
        return false;
    }
    query = query_of(in, p->route, v);
    *k = (struct keeping){.in = in, .b = p->binding, .route = p->route, .stream = s};
    k->id = p->binding->stream_ids[s];
    k->to = &in->writers[k->id];
    k->spared = s == p->binding->dead ? DEAD_SPARED : 0;
    k->record = (struct refusal_record){.method = p->route->method,
                                        .route = p->route->path,
                                        .path = v->path,
                                        .query = in_query ? STR("") : query,
                                        .type = v->content_type,
                                        .peer = v->peer,
                                        .time_ms = (uint64_t)in->wall_ms,
                                        .index = -1,
                                        .raw = in_query ? query : v->body,
                                        .max = plan->max_record};
    return true;
}

static bool take(const struct keeping *k, size_t tokens)
{
    return policy_refusal_take(k->b->state, k->route->index, (double)tokens,
                               k->in->mono_ms);
}

/* Where the record may be written; NULL: there is no room. */
static char *room(const struct keeping *k, size_t n)
{
    char *out;

    if (!spool_has_room(k->in->conf.spool, k->id, n + k->spared)) {
        return NULL;
    }
    /* Without a segment for both, parts of other requests would be lost with it. */
    if (spool_writer_pending(k->to->writer) > 0 &&
        !spool_writer_fits(k->to->writer, n, true)) {
        commit_turn(k->in);
    }
    if (store_joins(k->in, k->b, k->stream) &&
        spool_writer_pending(k->to->writer) + n <= SPOOL_BLOCK_BYTES &&
        (out = spool_writer_room(k->to->writer, n)) != NULL) {
        return out;
    }
    commit_turn(k->in);
    return store_joins(k->in, k->b, k->stream) ? spool_writer_room(k->to->writer, n)
                                               : NULL;
}

/* With escapes the record might be larger than a segment: it is written elsewhere first,
 * and cut where it is. The caller frees it. */
static char *write_large(const struct refusal_record *r, size_t most, size_t *n)
{
    struct refusal_record cut = *r;
    char *out = mem_alloc(refusal_record_bound(r));

    cut.max = r->raw.n < r->max ? r->raw.n : r->max;
    while ((*n = refusal_record_write(&cut, out)) > most) {
        cut.max /= 2;
    }
    return out;
}

static enum keep_result keep(struct keeping *k, const struct refusal_record *r)
{
    const size_t bound = refusal_record_bound(r),
                 most = spool_writer_most(k->to->writer);
    char *out, *large = NULL;
    size_t n = bound;

    if (!take(k, 1)) {
        return OVER_RATE;
    }
    if (UNLIKELY(bound > most)) {
        large = write_large(r, most, &n);
    }
    out = room(k, n);
    if (out != NULL && large != NULL) {
        memcpy(out, large, n);
    } else if (out != NULL) {
        n = refusal_record_write(r, out);
    }
    free(large);
    if (out == NULL) {
        return NO_ROOM;
    }
    if (n > TOKEN_BYTES && !take(k, (n - 1) / TOKEN_BYTES)) {
        return OVER_RATE;
    }
    spool_writer_append(k->to->writer, (uint32_t)n, 0, 0, ENTRY_KEY_UNKNOWN);
    k->to->n_pending++;
    k->to->n_records++;
    k->in->records |= 1ull << k->id;
    k->in->pending_bytes += n;
    k->n++;
    return KEPT;
}

static void count_lost(const struct keeping *k, enum keep_result r, uint32_t n)
{
    stats_add(r == OVER_RATE ? k->to->records.over_rate : k->to->records.no_room, n);
}

bool refusals_events(struct ingest *in, const struct request_state *p,
                     const struct http_view *v, const struct outcome *o)
{
    bool many = scan_takes_many(p->shape);
    enum keep_result result = KEPT;
    uint32_t lost = 0;
    struct keeping k;

    /* A client that got 429 or 5xx sends all again. A HEAD leaves nothing. */
    if (o->status == 429 || o->status >= 500 || str_eq(v->method, STR("HEAD")) ||
        !begin(&k, in, p, v)) {
        return false;
    }
    for (uint32_t i = 0; i < in->batch.n; i++) {
        const struct event *ev = &in->batch.events[i];

        if (!refusal_is_lost(ev, o)) {
            continue;
        }
        if (result == KEPT) {
            struct refusal_record r =
                refusal_record_of(&k.record, &in->batch, ev, many);

            result = keep(&k, &r);
        }
        lost += result != KEPT;
    }
    if (lost > 0) {
        count_lost(&k, result, lost);
    }
    return k.n > 0;
}

bool refusals_body(struct ingest *in, const struct request_state *p,
                   const struct http_view *v, const struct refused *no)
{
    enum keep_result result;
    struct keeping k;

    if (str_eq(v->method, STR("HEAD")) || !begin(&k, in, p, v)) {
        return false;
    }
    k.record.code = no->error.code;
    k.record.message = no->error.detail != NULL ? no->error.detail : no->error.error;
    result = keep(&k, &k.record);
    if (result != KEPT) {
        count_lost(&k, result, 1);
    }
    return k.n > 0;
}

void refusals_committed(struct stream_writer *o, bool stored)
{
    stats_add(stored ? o->records.stored : o->records.failed, o->n_records);
    o->n_records = 0;
}
