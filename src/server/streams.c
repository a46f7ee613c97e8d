/* The plan's streams in the spool, and which of them feed a sink. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "plan/outcome.h"
#include "server/index/indexes.h"
#include "server/internal.h"
#include "server/keys/keystores.h"

static const char DEAD[] = "dead";
enum { DEAD_BYTES = 1 << 30 };

/* Hooks whose failure stores the event aside, refusals kept there, and events that the
 * answer does not call refused, need the stream. */
static bool wants_dead(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        const struct route *r = &plan->routes[i];

        if ((r->has_on_event && r->on_error == ON_ERROR_DEAD_LETTER) ||
            (r->on_refused != NULL && r->on_refused->stream < 0) ||
            outcome_keeps_refused(r)) {
            return true;
        }
    }
    return false;
}

/* An earlier policy's, not yet delivered. */
static bool left_dead(const struct server *s)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", s->spool_dir, DEAD);
    return path_there(path) != 0; /* it may be */
}

bool dead_stream_open(struct server *s, const struct plan *plan, int *dead_stream,
                      struct err *e)
{
    *dead_stream = s->dead_stream;
    if ((wants_dead(plan) || left_dead(s)) && s->dead_stream < 0) {
        *dead_stream = spool_stream(
            s->spool,
            &(struct spool_stream_conf){.name = DEAD, .max_bytes = DEAD_BYTES}, e);
        return *dead_stream >= 0;
    }
    return true;
}

/* The plan may still be refused: the stream has no less room than the live one gives it, and
 * its sinks get no event before the sync that that one wants. */
static int open_stream(const struct server *s, const struct stream_plan *st,
                       struct err *e)
{
    const struct plan *live = policy_plan(s->policy);
    struct spool_stream_conf c = {.name = st->name,
                                  .max_bytes = st->max_bytes,
                                  .synced = st->ack == ACK_SYNCED,
                                  .delivered = st->ack == ACK_DELIVERED};

    for (uint32_t i = 0; i < live->n_streams; i++) {
        const struct stream_plan *l = &live->streams[i];

        if (strcmp(l->name, st->name) == 0) {
            c.max_bytes = l->max_bytes > c.max_bytes ? l->max_bytes : c.max_bytes;
            c.synced |= l->ack == ACK_SYNCED;
        }
    }
    return spool_stream(s->spool, &c, e);
}

bool streams_open(struct server *s, const struct plan *plan, int *ids, int *dead_stream,
                  struct err *e)
{
    for (uint32_t i = 0; i < plan->n_streams; i++) {
        ids[i] = open_stream(s, &plan->streams[i], e);
        if (ids[i] < 0) {
            return false;
        }
    }
    return dead_stream_open(s, plan, dead_stream, e);
}

void streams_used(struct server *s)
{
    int ids[PLAN_STREAMS_MAX + 1];
    const struct plan *plan = policy_plan(s->policy);
    uint32_t n = plan->n_streams;
    struct err ignored; /* they are there */

    for (uint32_t i = 0; i < n; i++) {
        (void)open_stream(s, &plan->streams[i], &ignored);
    }
    memcpy(ids, s->stream_ids, n * sizeof *ids);
    ids[n++] = s->dead_stream;
    spool_streams_used(s->spool, ids, n);
    keystores_show(s);
    indexes_follow(s);
}

static void tell_left(void *arg, const char *name)
{
    const struct server *s = arg;

    log_write(
        LOG_WARN, "stream_left",
        "stream=%s why=\"no policy has the stream, and no sink reads it: put the "
        "stream back, or save its events with sluice inspect --salvage and delete "
        "the folder %s/%s\"",
        name, s->spool_dir, name);
}

void streams_tell_left(struct server *s)
{
    spool_streams_left(s->spool, tell_left, s);
}

void streams_restore(struct server *s)
{
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    if (!streams_open(s, policy_plan(s->policy), s->stream_ids, &s->dead_stream, &e)) {
        log_write(LOG_ERROR, "spool", "status=not_undone why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
        return;
    }
    if (!indexes_open(s, policy_plan(s->policy), s->stream_ids, false, &e)) {
        log_write(LOG_ERROR, "index_not_undone", "why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
    streams_used(s); /* those that only the refused policy had are not */
}

uint32_t streams_of(const struct plan *plan, uint32_t sink, const int *ids,
                    struct delivery_stream *out)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < plan->n_streams; i++) {
        const struct stream_plan *st = &plan->streams[i];

        for (uint32_t j = 0; j < st->n_sinks; j++) {
            if (st->sinks[j].sink == sink) {
                out[n++] = (struct delivery_stream){
                    .id = ids[i],
                    .name = st->name,
                    .synced = st->ack == ACK_SYNCED || st->dedup_persist,
                    .skip = st->sinks[j].when_full == FULL_SKIP,
                    .max_lag_bytes = st->sinks[j].max_lag_bytes,
                    .indexed = st->index_field != NULL,
                    .from_oldest = plan->sinks[sink].from_oldest};
            }
        }
    }
    return n;
}
