/*
 * internal - the parts that the files of this room share. No other file includes it.
 *
 *   load.c      a policy loaded
 *   ask.c       a request decided, and the lines that it would leave
 *   refusals.c  what on_refused keeps of it
 *   sink.c      its functions' decisions for a sink
 *   describe.c  its plan as JSON
 */
#pragma once

#include "base/arena.h"
#include "decode/event.h"
#include "policy/load/load.h"
#include "policy/run/run.h"
#include "sink/hooks.h"
#include "testkit/testkit.h"

struct encoding;
struct outcome;
struct refused;
struct sink_lua;

struct sluice_kit {
    struct policy *policy; /* NULL: it is bad */
    struct policy_state *state;
    struct policy_report report;
    struct policy_env env;
    struct sink_lua *sinks[PLAN_SINKS_MAX]; /* made on first use */
    struct sink_hooks hooks[PLAN_SINKS_MAX];
    bool asked[PLAN_SINKS_MAX];
    char *plan_json;    /* NULL: not asked for yet */
    struct arena arena; /* of the request in hand */
    struct event_batch batch;
    struct encoding *encoding;
    struct arena answer; /* the memory that the last answer points to */
};

/* A request that has a route and a body. */
struct asked {
    const struct policy_request *request;
    const struct route *route;
    enum scan_shape shape;
    struct str body, type;
};

/* ---- ask.c ---- */

/* Memory of the answer; never NULL. */
void *kit_take(struct sluice_kit *k, size_t n);

/* ---- refusals.c: what a route with on_refused keeps; rates and room aside ---- */

void refusals_of_events(struct sluice_kit *k, const struct asked *a,
                        const struct outcome *o, struct sluice_kit_answer *out);
void refusals_of_body(struct sluice_kit *k, const struct asked *a,
                      const struct refused *no, struct sluice_kit_answer *out);
