/* The records that a route with on_refused keeps of a request. */
#include <string.h>

#include "ingest/refusal_record.h"
#include "plan/outcome.h"
#include "policy/run/decide.h"
#include "testkit/internal.h"

struct keeping {
    struct sluice_kit *k;
    struct sluice_kit_text *list;
    struct refusal_record record; /* what all of them share */
};

static bool begin(struct keeping *g, const struct asked *a)
{
    const struct policy_request *r = a->request;
    bool in_query = a->shape == SCAN_QUERY;
    struct str query = r->query;

    if (a->route->on_refused == NULL || str_eq(r->method, STR("HEAD"))) {
        return false;
    }
    if (auth_in_query(a->route->auth)) {
        query = auth_without_keys(a->route->auth, query, kit_take(g->k, query.n + 1));
    }
    g->record = (struct refusal_record){.method = a->route->method,
                                        .route = a->route->path,
                                        .path = r->path,
                                        .query = in_query ? STR("") : query,
                                        .type = a->type,
                                        .peer = r->peer,
                                        .time_ms = (uint64_t)r->time_ms,
                                        .index = -1,
                                        .raw = in_query ? query : a->body,
                                        .max = a->route->on_refused->max_record};
    return true;
}

static void keep(struct keeping *g, const struct refusal_record *r,
                 struct sluice_kit_answer *out)
{
    char *line = kit_take(g->k, refusal_record_bound(r));

    g->list[out->n_refusals++] =
        (struct sluice_kit_text){line, refusal_record_write(r, line)};
}

void refusals_of_events(struct sluice_kit *k, const struct asked *a,
                        const struct outcome *o, struct sluice_kit_answer *out)
{
    struct keeping g = {.k = k};

    if (o->status == 429 || o->status >= 500 || !begin(&g, a)) {
        return;
    }
    out->refusals = g.list = kit_take(k, k->batch.n * sizeof *g.list);
    for (uint32_t i = 0; i < k->batch.n; i++) {
        const struct event *ev = &k->batch.events[i];

        if (refusal_is_lost(ev, o)) {
            struct refusal_record r =
                refusal_record_of(&g.record, &k->batch, ev, scan_takes_many(a->shape));

            keep(&g, &r, out);
        }
    }
}

void refusals_of_body(struct sluice_kit *k, const struct asked *a,
                      const struct refused *no, struct sluice_kit_answer *out)
{
    struct keeping g = {.k = k};

    if (begin(&g, a)) {
        out->refusals = g.list = kit_take(k, sizeof *g.list);
        g.record.code = no->error.code;
        g.record.message =
            no->error.detail != NULL ? no->error.detail : no->error.error;
        keep(&g, &g.record, out);
    }
}
