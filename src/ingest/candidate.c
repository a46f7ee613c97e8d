/*
 * A worker's part in a rollout: a canary gets its share of the requests, a shadow its
 * copies, and both sides are counted. Nothing of this runs unless in->candidate is set.
 */
#include <strings.h>

#include "base/clock.h"
#include "ingest/internal.h"

static struct str header(const struct http_view *v, const char *name)
{
    struct str n = str_of(name);

    for (uint32_t i = 0; i < v->n_headers; i++) {
        const struct str_pair *h = &v->headers[i];

        if (h->name.n == n.n && strncasecmp(h->name.p, n.p, n.n) == 0) {
            return h->value;
        }
    }
    return (struct str){NULL, 0};
}

/* Requests without the header stay with the live policy. */
static bool by_header(struct ingest *in, const struct http_view *v, uint32_t *unit)
{
    struct str value = header(v, in->candidate->plan->rollout.header);

    /* Each request without it is a unit of its own. */
    *unit = value.p != NULL ? (uint32_t)share_hash(value)
                            : (uint32_t)share_mix(++in->candidate_number);
    return value.p != NULL && share_text(value, in->candidate_parts);
}

static bool by_number(const struct ingest *in, uint64_t number, uint32_t *unit)
{
    /* Other workers number their own. */
    *unit = (uint32_t)share_mix(number << 16 | in->conf.worker);
    return share_number(number, in->candidate_parts);
}

struct binding *candidate_pick(struct ingest *in, struct http_request *r,
                               const struct http_view *v, uint32_t *unit)
{
    const struct rollout_plan *t = &in->candidate->plan->rollout;
    bool take = false;

    *unit = 0;
    if (t->kind != ROLLOUT_CANARY) {
        return in->current;
    }
    switch (t->by) {
    case SHARE_BY_CONNECTION:
        take = by_number(in, http_connection(r), unit);
        break;
    case SHARE_BY_REQUEST:
        take = by_number(in, ++in->candidate_number, unit);
        break;
    case SHARE_BY_PEER:
        *unit = (uint32_t)share_hash(v->peer);
        take = share_text(v->peer, in->candidate_parts);
        break;
    case SHARE_BY_HEADER:
        take = by_header(in, v, unit);
        break;
    }
    return take ? in->candidate : in->current;
}

/* A shadow sees this request. */
static bool shadowed(struct ingest *in)
{
    return in->candidate->shadow != NULL &&
           share_number(++in->candidate_number, in->candidate_parts);
}

void candidate_head(struct ingest *in, struct binding *b, const struct http_view *v,
                    const struct refused *no, const struct request_state *p,
                    uint64_t spent_ns)
{
    tally_request(&b->tally, p->unit, 1, 1, no->status >= 500, spent_ns);
    if (shadowed(in)) {
        shadow_head(in, in->candidate, v, no->error.code);
    }
}

void candidate_body(struct ingest *in, const struct request_state *p,
                    const struct http_view *v, const struct candidate_body *t)
{
    const struct outcome *o = t->outcome;
    uint64_t events = o == NULL ? 1 : in->batch.n;

    tally_request(&p->binding->tally, p->unit, events,
                  o != NULL && o->store ? o->rejected : events, t->raised,
                  clock_mono_ns() - t->began_ns + p->head_ns);
    if (shadowed(in)) {
        shadow_body(in, in->candidate, v, p,
                    &(struct shadow_live){o, t->code, t->unknown});
    }
}
