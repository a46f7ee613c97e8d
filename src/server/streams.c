/* The plan's streams opened in the spool, and its sinks as running threads. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "server/state.h"

static const char DEAD[] = "dead";
enum { DEAD_BYTES = 1 << 30 };

/* Hooks whose failure stores the event aside need somewhere to put it. */
static bool wants_dead(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        const struct route *r = &plan->routes[i];

        if (r->has_on_event && r->on_error == ON_ERROR_DEAD_LETTER) {
            return true;
        }
    }
    return false;
}

bool dead_stream_open(struct server *s, const struct plan *plan, int *dead_stream,
               struct err *e)
{
    *dead_stream = s->dead_stream;
    if (wants_dead(plan) && s->dead_stream < 0) {
        *dead_stream = spool_stream(
            s->spool,
            &(struct spool_stream_conf){.name = DEAD, .max_bytes = DEAD_BYTES},
            e);
        return *dead_stream >= 0;
    }
    return true;
}

bool streams_open(struct server *s, const struct plan *plan, int *ids,
                  int *dead_stream, struct err *e)
{
    for (uint32_t i = 0; i < plan->n_streams; i++) {
        const struct stream_plan *st = &plan->streams[i];

        ids[i] = spool_stream(
            s->spool,
            &(struct spool_stream_conf){.name = st->name,
                                        .max_bytes = st->max_bytes,
                                        .synced = st->ack == ACK_SYNCED,
                                        .delivered = st->ack == ACK_DELIVERED},
            e);
        if (ids[i] < 0) {
            return false;
        }
    }
    return dead_stream_open(s, plan, dead_stream, e);
}

struct running_sink *sinks_find(struct server *s, const char *name)
{
    for (uint32_t i = 0; i <= PLAN_SINKS_MAX; i++) {
        if (s->sinks[i].delivery != NULL &&
            strcmp(s->sinks[i].name, name) == 0) {
            return &s->sinks[i];
        }
    }
    return NULL;
}

/* lua is taken when it succeeds. */
static bool start_or_apply(struct server *s, const struct delivery_conf *c,
                           struct sink_lua *lua, struct err *e)
{
    struct running_sink *r = sinks_find(s, c->sink->name);

    if (r != NULL) {
        r->wanted = true;
        if (!delivery_apply(r->delivery, c, e)) {
            return false;
        }
        sink_lua_free(r->lua);
        r->lua = lua;
        return true;
    }
    for (r = s->sinks; r->delivery != NULL; r++) {
    }
    r->delivery = delivery_start(c, e);
    if (r->delivery == NULL) {
        return false;
    }
    r->lua = lua;
    (void)snprintf(r->name, sizeof r->name, "%s", c->sink->name);
    r->wanted = true;
    return true;
}

/* The streams that feed sink number k. */
static uint32_t streams_of(const struct server *s, const struct plan *plan,
                           uint32_t k, const int *ids,
                           struct delivery_stream *out)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < plan->n_streams; i++) {
        const struct stream_plan *st = &plan->streams[i];

        for (uint32_t j = 0; j < st->n_sinks; j++) {
            if (st->sinks[j].sink == k) {
                out[n++] = (struct delivery_stream){
                    .id = ids[i],
                    .name = st->name,
                    .synced = st->ack == ACK_SYNCED,
                    .skip = st->sinks[j].when_full == FULL_SKIP,
                    .max_lag_bytes = st->sinks[j].max_lag_bytes,
                    /* At the start a sink without a journal takes all that the
                     * spool holds: nobody else has. */
                    .from_oldest = s->workers == NULL};
            }
        }
    }
    return n;
}

/* The dead letters' own file sink: one NDJSON file below data/dead. */
static const struct sink_plan dead_plan = {
    .name = "dead-letters",
    .kind = SINK_KIND_FILE,
    .batch = {.target = 1000,
              .min = 1,
              .max = 10000,
              .max_bytes = 1 << 20,
              .linger_ms = 100},
    .dir = "dead",
    .rotate_bytes = 256u << 20,
    .rotate_age_ms = 24 * 3600 * 1000,
    .compress = COMPRESS_NONE};

static struct delivery_conf conf_of(const struct server *s, struct plan *plan,
                                    const struct sink_plan *sink,
                                    const struct delivery_stream *streams,
                                    uint32_t n)
{
    return (struct delivery_conf){.spool = s->spool,
                                  .spool_dir = s->spool_dir,
                                  .data_dir = s->conf.data_dir,
                                  .sink = sink,
                                  .plan = plan,
                                  .streams = streams,
                                  .n_streams = n};
}

bool sinks_apply(struct server *s, struct policy *p, const int *ids,
                 int dead_stream, struct err *e)
{
    struct plan *plan = policy_plan_mutable(p);
    struct delivery_stream streams[PLAN_STREAMS_MAX];
    struct delivery_conf c;

    for (uint32_t i = 0; i <= PLAN_SINKS_MAX; i++) {
        s->sinks[i].wanted = false;
    }
    for (uint32_t k = 0; k < plan->n_sinks; k++) {
        struct sink_lua *lua;

        c = conf_of(s, plan, &plan->sinks[k], streams,
                    streams_of(s, plan, k, ids, streams));
        if (!sink_lua_new(p, k, &lua, &c.hooks, e)) {
            return false;
        }
        if (!start_or_apply(s, &c, lua, e)) {
            sink_lua_free(lua);
            return false;
        }
    }
    if (dead_stream >= 0) {
        streams[0] = (struct delivery_stream){
            .id = dead_stream, .name = DEAD, .from_oldest = true};
        c = conf_of(s, plan, &dead_plan, streams, 1);
        if (!start_or_apply(s, &c, NULL, e)) {
            return false;
        }
    }
    for (uint32_t i = 0; i <= PLAN_SINKS_MAX; i++) {
        struct running_sink *r = &s->sinks[i];

        if (r->delivery != NULL && !r->wanted) {
            bool empty = delivery_stop(r->delivery,
                                       policy_plan(s->policy)->server.drain_ms);

            r->delivery = NULL;
            sink_lua_free(r->lua);
            r->lua = NULL;
            log_write(empty ? LOG_INFO : LOG_WARN, "sink",
                      "sink=%s status=removed left=%s", r->name,
                      empty ? "nothing" : "events");
        }
    }
    return true;
}

void sinks_stop(struct server *s, int64_t flush_ms)
{
    for (uint32_t i = 0; i <= PLAN_SINKS_MAX; i++) {
        if (s->sinks[i].delivery != NULL) {
            bool empty = delivery_stop(s->sinks[i].delivery, flush_ms);

            s->sinks[i].delivery = NULL;
            sink_lua_free(s->sinks[i].lua);
            s->sinks[i].lua = NULL;
            log_write(LOG_INFO, "sink", "sink=%s status=stopped left=%s",
                      s->sinks[i].name, empty ? "nothing" : "events");
        }
    }
}
